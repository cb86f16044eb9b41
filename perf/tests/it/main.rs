//! The load generator against a server whose behaviour is known, in simulated time.

mod fake;
mod generator;
mod lies;
