//! Benchmarks that need a core: files and tasks of `runtime::real`, timed from inside.
//!
//! Each sample starts an executor on a new directory and prepares its subject; only what the work itself times counts.

use std::path::PathBuf;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use perf::bench::host::cpus_allowed;
use perf::bench::local::Client;
use runtime::real::RealRuntime;

/// A group for benchmarks that touch the disk: few samples, each of them long.
pub fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group
}

/// Runs `work` for `rounds` on a core and an empty directory; it returns the time that counts.
pub fn timed(
    rounds: u64,
    work: impl AsyncFn(RealRuntime, PathBuf, u64) -> Duration + Clone + Send + 'static,
) -> Duration {
    let dir =
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the target");
    let path = dir.path().to_owned();
    let last_core = *cpus_allowed().last().expect("at least one");
    let core = Client { cores: vec![last_core], dir: path.clone() };
    let timed = core.on_one(move |rt| {
        let (work, path) = (work.clone(), path.clone());
        async move { Ok(work(rt, path, rounds).await) }
    });
    timed.expect("a core that starts")
}
