//! DynamoDB's behaviour as data: what is asked, and what is answered, exactly.
//!
//! ```text
//! data/*.cases --script--> cases --text--> one request --http--> any endpoint
//!                                              answer --expect--> as it should be, or what differs
//! ```
//!
//! The same cases run against torc in `cargo test --workspace` (`tests/end_to_end/conformance.rs`) and against DynamoDB
//! itself, by somebody with credentials: `cargo run -p cases -- --endpoint https://dynamodb.us-east-1.amazonaws.com`.
//! What both must answer alike is one case; what only torc answers (what it does not have yet) says so.
//!
//! Modules in reading order:
//!
//! - [`script`]: the notation of `.cases` files, and [`script::all`] of them.
//! - [`text`]: what `$` stands for in them.
//! - [`expect`]: an answer held against what was expected.
//! - [`http`] and [`sign`]: one connection, one request after the other, signed if there are credentials.
//! - [`run`]: tables made before and deleted after, case after case, and the report.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a client with a socket and a clock of its own: it runs against servers elsewhere"
)]

pub mod expect;
pub mod http;
pub mod run;
pub mod script;
pub mod sign;
pub mod text;
