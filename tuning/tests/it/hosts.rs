//! Hosts that were written down, and figures that go with them.

use std::path::Path;

use tuning::facts::{self, Facts};
use tuning::host::{Host, Recording};
use tuning::measure::{Device, Gaps, Latency, Measured, Message, Neighbours, Transfer, TransferKind, Tried};

pub const HOSTS: [&str; 3] = ["metal", "vm", "container"];

pub fn recording(name: &str) -> Recording {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(format!("{name}.txt"));
    Recording::parse(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn facts(name: &str) -> Facts {
    facts::read(&Host::recorded(recording(name)))
}

/// A latency with these percentiles.
pub fn latency(us_p50: f64, us_p99: f64) -> Latency {
    Latency { count: 1000, us_p50, us_p99, us_p999: us_p99, us_max: us_p99 }
}

/// Figures of a host on which all is well.
pub fn fast() -> Measured {
    let gaps =
        |cpu| Gaps { cpu, watched_us: 600_000.0, count: 3, us_sum: 45.0, us_max: 18.0, preemptions: 0 };
    let message = |to, share, us| Message { from: 0, to, share, latency: latency(us, us * 1.2) };
    Measured {
        gaps: Tried::Measured(vec![gaps(0), gaps(1)]),
        clock: Tried::Measured(latency(0.022, 0.025)),
        system_call: Tried::Measured(latency(0.09, 0.1)),
        ring: Tried::Measured(latency(0.4, 0.5)),
        timer: Tried::Measured(latency(4.0, 9.0)),
        wake: Tried::Measured(latency(3.0, 6.0)),
        messages: Tried::Measured(vec![
            message(1, Neighbours::Cache, 0.05),
            message(8, Neighbours::Nothing, 0.4),
        ]),
        device: Tried::Measured(device(22.0)),
    }
}

/// A device whose durable writes take so long.
pub fn device(write_us: f64) -> Device {
    let point = |kind, size, depth: usize, us: f64| Transfer {
        kind,
        size,
        depth,
        per_second: depth as f64 * 1e6 / us,
        latency: latency(us, us * 2.0),
    };
    let (read, write) = (TransferKind::Read, TransferKind::Write);
    Device {
        file_bytes: 32 << 20,
        transfers: vec![
            point(write, 4096, 1, write_us),
            point(write, 4096, 4, write_us * 1.5),
            point(read, 4096, 1, 80.0),
            point(read, 4096, 16, 95.0),
        ],
    }
}

/// Figures of a host on which everything is slow.
pub fn slow() -> Measured {
    let gaps =
        Gaps { cpu: 1, watched_us: 600_000.0, count: 80, us_sum: 9_000.0, us_max: 2_400.0, preemptions: 70 };
    Measured {
        gaps: Tried::Measured(vec![gaps]),
        clock: Tried::Measured(latency(1.1, 1.4)),
        system_call: Tried::Measured(latency(0.9, 1.0)),
        ring: Tried::Measured(latency(2.0, 3.0)),
        timer: Tried::Measured(latency(60.0, 800.0)),
        wake: Tried::Measured(latency(45.0, 420.0)),
        messages: Tried::Measured(vec![Message {
            from: 0,
            to: 1,
            share: Neighbours::Cache,
            latency: latency(1.6, 2.0),
        }]),
        device: Tried::Measured(device(2_600.0)),
    }
}
