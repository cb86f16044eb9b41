//! Words for people and programs on standard output and standard error. Whoever has read enough and closed its end is no reason to stop
//! serving, nor to fail; `println!` and `eprintln!` would panic.

use std::fmt::Display;
use std::io::Write;

/// A line on standard output, at once.
pub fn line(what: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}

/// A line on standard error, as torc's own.
pub fn warn(what: impl Display) {
    let _ = writeln!(std::io::stderr(), "torc: {what}");
}
