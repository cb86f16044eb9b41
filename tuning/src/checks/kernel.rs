//! The kernel: its age, its rings, and the toll for entering it.

use super::{Check, Judged, Seen, show_us};
use crate::measure::Latency;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kernel",
        why: "io_uring became what torc needs in 5.11, and fast in 6.1",
        source: "docs/OPERATING.md, \"What it needs\"; io_uring(7)",
        judge: kernel,
    },
    Check {
        id: "io-uring",
        why: "all I/O goes through it: without it torc does not start",
        source: "io_uring_setup(2); Linux: Documentation/admin-guide/sysctl/kernel.rst, io_uring_disabled",
        judge: rings,
    },
    Check {
        id: "system-call",
        why: "a core enters the kernel for every batch of I/O; what guards against the processor's flaws makes that dearer",
        source: "Linux: Documentation/admin-guide/hw-vuln; kernel-parameters.txt, mitigations",
        judge: system_call,
    },
    Check {
        id: "accept-queue",
        why: "connections that arrive at once wait here to be accepted; beyond it the client waits a second and tries again",
        source: "listen(2); Linux: Documentation/admin-guide/sysctl/net.rst, somaxconn",
        judge: accept_queue,
    },
];

fn kernel(seen: &Seen<'_>) -> Judged {
    let kernel = &seen.facts.kernel;
    let (Some(release), Some(version)) = (&kernel.release, kernel.version) else {
        return Judged::unseen("the kernel does not say which it is");
    };
    match version {
        (..5, _) | (5, ..11) => Judged::problem(format!("{release}: too old"))
            .not_measured("torc does not start")
            .by_hand("Linux 6.1 or later", "-"),
        (5, _) | (6, 0) => Judged::advice(format!("{release}: rings cost more here than they have to"))
            .cost_of(&seen.measured.ring, |ring| {
                (ring.us_p50, "an empty round trip through a ring".to_owned())
            })
            .by_hand("Linux 6.1 or later", "-"),
        _ => Judged::good(release.clone()),
    }
}

/// Features without which torc's executor has to take detours.
const FEATURES: [&str; 3] = ["nodrop", "fast-poll", "ext-arg"];

fn rings(seen: &Seen<'_>) -> Judged {
    let (ring, disabled) = (&seen.facts.ring, seen.facts.kernel.io_uring_disabled);
    let cost = |judged: Judged| {
        judged.cost_of(&seen.measured.ring, |ring: &Latency| {
            (ring.us_p50, "an empty round trip through a ring".to_owned())
        })
    };
    if let Some(refusal) = &ring.refusal {
        let judged =
            Judged::problem(format!("no ring could be made: {refusal}")).not_measured("torc does not start");
        return match (&seen.facts.place.container, disabled) {
            (_, Some(1..)) if seen.facts.place.container.is_none() => judged
                .write("/proc/sys/kernel/io_uring_disabled", "0")
                .lasting("kernel.io_uring_disabled = 0 in /etc/sysctl.d/90-torc.conf"),
            (Some(_), _) => judged.by_hand(
                "a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register (Docker: --security-opt seccomp=FILE)",
                "the old profile",
            ),
            _ => judged.by_hand("a kernel with CONFIG_IO_URING, and room to lock memory: see locked-memory", "-"),
        };
    }
    if !ring.missing.is_empty() {
        return cost(Judged::problem(format!("the kernel does not know {}", ring.missing.join(", "))))
            .by_hand("Linux 6.1 or later", "-");
    }
    let lacking: Vec<&str> =
        FEATURES.into_iter().filter(|name| !ring.features.iter().any(|found| found == name)).collect();
    let text = format!("it works; rings may be {}", ring.setups.join(", "));
    match lacking.is_empty() {
        true => cost(Judged::good(text)),
        false => cost(Judged::advice(format!("{text}; it lacks {}", lacking.join(", "))))
            .by_hand("Linux 6.1 or later", "-"),
    }
}

/// A call that takes longer than this pays for something.
const CALL_US_MAX: f64 = 0.5;

fn system_call(seen: &Seen<'_>) -> Judged {
    let guarded =
        seen.facts.kernel.vulnerabilities.iter().filter(|(_, state)| state.starts_with("Mitigation"));
    let names: Vec<&str> = guarded.map(|(name, _)| name.as_str()).collect();
    let text = match names.is_empty() {
        true => "nothing is guarded against".to_owned(),
        false => format!("guarded against {}", names.join(", ")),
    };
    let judged = match seen.measured.system_call.get() {
        Some(call) if call.us_p50 > CALL_US_MAX => Judged::advice(text).by_hand(
            "only on a host where nothing else runs and nobody else has an account: mitigations=off on the kernel's command line",
            "take it off again",
        ),
        _ => Judged::good(text),
    };
    judged.cost_of(&seen.measured.system_call, |call| {
        (call.us_p50, format!("an empty system call; p99 is {}", show_us(call.us_p99)))
    })
}

/// What torc asks for when it listens, so that a smaller number here would cut it.
const WAITING_MIN: u32 = 1024;

fn accept_queue(seen: &Seen<'_>) -> Judged {
    match seen.facts.kernel.somaxconn {
        None => Judged::unseen("net.core.somaxconn cannot be read"),
        Some(most @ WAITING_MIN..) => Judged::good(format!("{most} connections may wait")),
        Some(most) => Judged::advice(format!("only {most} connections may wait"))
            .not_measured("it is felt when many connect at the same moment")
            .write("/proc/sys/net/core/somaxconn", "4096")
            .lasting("net.core.somaxconn = 4096 in /etc/sysctl.d/90-torc.conf"),
    }
}
