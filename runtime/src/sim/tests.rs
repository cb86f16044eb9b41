//! The simulated world, seen from a test.

mod disk;
mod network;
mod world;
