//! The library behind `torc bench`: drives a DynamoDB endpoint over HTTP, measures it, checks it, and reports.
//!
//!     Options --> Plan --> create table --> preload --> warm-up | measurement --> read back --> remove table --> Report
//!
//! The caller parses [`Options`], calls [`run`], prints the [`Report`] and ends with its [`Report::check`]:
//!
//!     let report = perf::bench::run(options)?;
//!     println!("{report}");
//!     report.check()?;
//!
//! Promises: a run ends by itself; a failed run removes its table too; what is late because the server stalled is
//! counted as late; nothing that was read is trusted with `--verify`.
//!
//! Leaves to others: distributions of sizes, traces and comparisons; SigV4 (the signature is a dummy); TLS.

pub mod client;
pub mod generator;
pub mod host;
pub mod keys;
pub mod options;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod request;
pub mod schedule;
pub mod table;
pub mod verify;
pub mod workload;

pub use options::{Options, Plan};
pub use report::Report;

/// Does what `options` ask for.
pub fn run(options: Options) -> anyhow::Result<Report> {
    let plan = options.plan()?;
    anyhow::bail!("http://{} is not driven yet", plan.target.host)
}
