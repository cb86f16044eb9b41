//! Whole clusters: seeds that must hold, bugs that must be found, and that the same seed is the same world.

mod canaries;
mod determinism;
mod remains;
mod scenarios;
mod seeds;
