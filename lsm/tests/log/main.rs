//! The log on a simulated disk: its public surface, one binary.
//!
//! - `world`: one log on one simulated node, and how to open it.
//! - `model`: what was appended, acknowledged, released; and the judge of what a replay gives back.
//! - `seeds`: thousands of worlds that append, release, crash and recover; planted bugs that must be found.
//! - `damage`: rot, lost and misdirected writes: refused with file and offset, never silently cut.
//! - `full`: a disk that fills up and is given room again.
//! - `real`: the same on a real disk.
//! - `basics`: small facts.

#![allow(clippy::unwrap_used, missing_docs)]

mod basics;
mod damage;
mod full;
mod model;
mod real;
mod seeds;
mod world;
