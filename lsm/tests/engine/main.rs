//! Log and tree together, as a shard uses them, on a simulated disk with every fault that it knows.
//!
//! - `model`: what was written, what was acknowledged, and what must therefore be there.
//! - `engine`: one shard's worth: append, wait until durable, acknowledge, apply, flush, release, replay.
//! - `world`: one seed: which faults, how many lives, and the judge.
//! - `seeds`: thousands of worlds; every kind of fault must have happened; planted bugs must be found.
//!
//! What is promised depends on the disk. An honest one (it forgets what was not synced, tears, reorders, fails with an
//! error, is full or slow) loses nothing that was acknowledged. One that lies (loses or misplaces writes that it
//! acknowledged, rots) may take data, but never silently changes it: an error names the file, or what is there is
//! exactly the state of an earlier moment.

#![allow(clippy::unwrap_used, missing_docs)]

mod engine;
mod model;
mod seeds;
mod world;
