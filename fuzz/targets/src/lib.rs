//! What is fuzzed: functions that take any bytes and must neither panic nor hang nor take much memory.
//!
//! One list, [`TARGETS`], three users:
//!
//! 1. `cargo +nightly fuzz run NAME` (in `fuzz/`): a binary per target, each a single line that calls [`run`].
//! 2. `fuzz/smoke`: every target for a minute, and the canary, which must be found.
//! 3. `tests/corpus.rs` of this crate, on any toolchain, in every `cargo test`: the committed corpus, and mutations of it.
//!
//! To add a target: a function, its line in [`TARGETS`], its binary in `fuzz/fuzz_targets/` with the entry in
//! `fuzz/Cargo.toml`, and a folder `fuzz/corpus/NAME` with a few valid inputs; `tests/corpus.rs` says what is missing.
//!
//! A target does more than not to panic: where an answer can be checked (what decodes must encode to the same bytes, a
//! search must agree with a walk), it is.

#![forbid(unsafe_code)]

mod block;
mod canary;
mod expression;
mod http;
mod item;
mod json;
pub mod log_replay;
mod manifest;
mod map;
mod number;
mod packed;
mod request;
mod signature;
pub mod sstable;
mod wire;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the binary, of the corpus' folder.
    pub name: &'static str,
    /// Takes any bytes; panics when something is wrong.
    pub run: fn(&[u8]),
    /// Inputs are cut there, in bytes: what is larger only makes fuzzing slower.
    pub input_bytes_max: usize,
    /// A planted bug: this target must fail, or fuzzing finds nothing.
    pub canary: bool,
}

/// Everything that is fuzzed.
pub const TARGETS: &[Target] = &[
    Target { name: "log_replay", run: log_replay::run, input_bytes_max: 64 << 10, canary: false },
    Target { name: "sstable", run: sstable::run, input_bytes_max: 64 << 10, canary: false },
    Target { name: "block", run: block::run, input_bytes_max: 16 << 10, canary: false },
    Target { name: "manifest", run: manifest::run, input_bytes_max: 64 << 10, canary: false },
    Target { name: "map", run: map::run, input_bytes_max: 4096, canary: false },
    Target { name: "item", run: item::run, input_bytes_max: 4096, canary: false },
    Target { name: "http", run: http::run, input_bytes_max: 8192, canary: false },
    Target { name: "packed", run: packed::run, input_bytes_max: 4096, canary: false },
    Target { name: "signature", run: signature::run, input_bytes_max: 4096, canary: false },
    Target { name: "number", run: number::run, input_bytes_max: 512, canary: false },
    Target { name: "expression", run: expression::run, input_bytes_max: 4096, canary: false },
    Target { name: "program", run: expression::run_program, input_bytes_max: 4096, canary: false },
    Target { name: "json", run: json::run, input_bytes_max: 8192, canary: false },
    Target { name: "request", run: request::run, input_bytes_max: 8192, canary: false },
    Target { name: "message", run: wire::run_message, input_bytes_max: 4096, canary: false },
    Target { name: "frame", run: wire::run_frame, input_bytes_max: 4096, canary: false },
    Target { name: "canary", run: canary::run, input_bytes_max: 64, canary: true },
];

/// Runs the target `name` on `data`.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("{name} is not in the list of targets"));
    (target.run)(&data[..data.len().min(target.input_bytes_max)]);
}
