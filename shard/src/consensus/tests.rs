//! Groups under every fault, in virtual time: a world of one group, its checkers, and the bugs that they must find.

mod canaries;
mod nemesis;
mod rules;
mod seeds;
mod world;

use super::Canary;
