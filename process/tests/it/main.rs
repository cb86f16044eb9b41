//! Whole cores of nodes, seen from outside: what is said about them, held against clocks and counts that are not theirs.

mod client;
mod ledger;
mod metrics;
mod timed;
