//! Load and figures: what torc (or any DynamoDB endpoint) does under load, in numbers that can be trusted.
//!
//! Modules in reading order:
//!
//! - [`mod@bench`]: the library behind `torc bench`: a load generator over HTTP, its checks and its reports.
//!
//! `benches/` beside this crate holds the micro-benchmarks of the parts (criterion); they see every crate.
//!
//! The life of one measured request:
//!
//! 1. The [`schedule`](bench::schedule) says when it is due: at a fixed pace, by chance, or as soon as its lane is free.
//! 2. The [`workload`](bench::workload) says what it is: which key, which version of its item, read or write.
//! 3. A lane (one connection, one task) fills a prepared request and sends it; the [`client`](bench::client) reads the answer.
//! 4. The [`recorder`](bench::recorder) takes the time from when the request was due, so that a stall of the server
//!    is charged to every request that it delayed, also to those that could not be sent yet.
//! 5. The [`verify`](bench::verify) ledger compares what was read with what was acknowledged, if asked to.
//! 6. The [`report`](bench::report) sets it beside the host, the command, the seed and the physical limits.

#![forbid(unsafe_code)]

pub mod bench;
