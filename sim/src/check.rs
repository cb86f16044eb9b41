//! Checkers that know nothing of worlds: histories in, a verdict out. Clients of real processes use them as well as simulated ones.

pub mod linear;
