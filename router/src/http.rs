//! HTTP/1.1 as DynamoDB's clients speak it, and no more of it.
//!
//! ```text
//! listener(s) -> server::serve -> one task for each connection -> intake -> Router::answer -> response -> one write
//! ```
//!
//! - [`head`]: one header block, held against the rules against smuggling.
//! - [`intake`]: bytes as they come, to whole requests; keep-alive, pipelining, chunks. No I/O.
//! - [`coding`]: packed bodies and packed answers.
//! - [`response`]: one response in one buffer.
//! - [`connection`]: the conversation on one socket: deadlines, memory admission, `100 Continue`.
//! - `socket`: plain, or inside of TLS.
//! - [`server`]: accepts, bounds, watches the deadlines, and stops gracefully.
//!
//! Promises: memory and time of every connection are bounded; a request that is refused is answered, then the
//! connection is closed; a request that was read is answered in order.
//! Leaves to others: what a request says (`operation`), who may say it (`auth`).

pub mod coding;
pub mod connection;
pub mod head;
pub mod intake;
pub mod response;
pub mod server;
mod socket;
