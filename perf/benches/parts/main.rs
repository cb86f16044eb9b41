//! What the parts of a request cost, each alone.
//!
//! ```text
//! cargo bench -p perf                     all of them
//! cargo bench -p perf -- item/            one group
//! cargo test -p perf --bench parts        each once, as a test: they never rot
//! ```
//!
//! Each benchmark opens with its sketch: what it should cost, counted in copies, hashes and cache misses on a core of
//! about 3 GHz. A figure that is far from its sketch is either a bug or a wrong sketch; both are worth an hour.

mod core;
mod item;
mod json;
mod log;
mod message;
mod request;
mod samples;
mod shard;
mod tree;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    parts,
    item::bench,
    json::bench,
    message::bench,
    request::bench,
    log::bench,
    tree::bench,
    shard::bench
);
criterion_main!(parts);
