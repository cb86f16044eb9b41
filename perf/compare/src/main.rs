//! torc's storage engine beside RocksDB, fjall and the bare device, in one run on one machine.
//!
//! ```text
//! cargo run --release --manifest-path perf/compare/Cargo.toml                    all, about twelve minutes
//! cargo run --release --manifest-path perf/compare/Cargo.toml -- --quick         smaller, about two
//! cargo run --release --manifest-path perf/compare/Cargo.toml -- --only 2,7      some
//!
//! parent ── child: device   ── one step, one process, one cpu ── a line of JSON
//!        ├─ child: torc                                            │
//!        ├─ child: RocksDB     in turn, repeat by repeat           v
//!        └─ child: fjall                              medians ── table, compare.json, compare.md
//! ```
//!
//! 1. `workload` names the nine workloads, `options` the sizes, `settings` what every engine is told alike.
//! 2. `run` is the parent: it starts each measurement in a process of its own, pinned to the same cpu with all of
//!    its threads, contenders in turn, so that a machine's mood strikes all; and takes medians.
//! 3. `child` is such a process. `ours` drives torc's log and tree with tasks, `peers` drives engines that block with
//!    threads, `device` drives io_uring alone. They do the same operations on the same `keys`.
//! 4. `report` sets figures side by side, with ratios and the goals that we set ourselves, and says which are missed.
//!
//! What is equal: keys and values, durability (each durable put is on the device when it returns), cache and memtable
//! bytes, shape of the tree, compression (none), Bloom bits of the bottom level, cpu. What is not: what each engine makes of
//! that (torc's filters are longer further up, and count in its space), and what `report` says beside the table.
//!
//! It needs libclang for RocksDB's bindings: `apt-get install -y libclang-dev`.

#![warn(missing_docs)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the peers block and use threads; what torc's own code must not do is what is compared"
)]

mod child;
mod contender;
mod device;
mod host;
mod keys;
mod options;
mod ours;
mod outcome;
mod peers;
mod report;
mod run;
mod settings;
mod workload;

use clap::Parser;

use options::{Child, Options};

/// The same allocator for the two engines in Rust; RocksDB brings its own calls to the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match options.child {
        Some(Child::Child { step }) => child::run(&step),
        None => run::run(&options.run),
    }
}
