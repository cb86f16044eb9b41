//! The router's public surface: real requests over simulated sockets, answered by shards that keep their items in a map.

mod access;
mod calls;
mod cluster;
mod connections;
mod fuzz;
mod hostile;
mod large;
mod leaders;
mod packed;
mod replicas;
mod script;
mod shard;
mod world;
