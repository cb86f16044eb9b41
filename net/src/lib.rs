//! What is said between cores and processes, and how it travels.
#![forbid(unsafe_code)]
pub mod message;
