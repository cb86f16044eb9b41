//! The load generator against a server whose behaviour is known, in simulated time, and once for real.

mod fake;
mod generator;
mod lies;
mod real;
