//! router
#![forbid(unsafe_code)]
pub mod json;
