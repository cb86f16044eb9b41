//! Whole shards on a simulated node: messages in, replies out, crashes in between.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bounds;
mod catalog;
mod cluster;
mod crash;
mod fixture;
mod harness;
mod members;
mod opening;
mod operations;
mod scans;
