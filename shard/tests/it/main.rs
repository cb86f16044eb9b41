//! Whole shards on a simulated node: messages in, replies out, crashes in between.

mod bounds;
mod catalog;
mod crash;
mod harness;
mod operations;
mod scans;
