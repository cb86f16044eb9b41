//! Three nodes whose shards replicate their vnodes: the whole driver, log and tree under it, over a network that loses and cuts.

mod canaries;
mod inputs;
mod rules;
mod seeds;
mod sleep;
mod world;
