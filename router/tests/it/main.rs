//! The router's public surface: real requests over simulated sockets, answered by a shard that keeps its items in a map.

mod access;
mod calls;
mod connections;
mod fuzz;
mod hostile;
mod large;
mod packed;
mod script;
mod shard;
mod world;
