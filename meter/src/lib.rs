//! Where the time of each request goes, on one core.
//!
//! Modules in reading order:
//!
//! - [`stage`]: the stages of a request, and its operations.
//! - [`ledger`]: one request's account: each nanosecond of it belongs to one stage.
//! - [`histogram`]: how often a stage took how long.
//! - [`book`]: what a core keeps of all its requests: histograms, and the ledgers of the slowest.
//! - [`text`]: figures as Prometheus reads them.
//!
//! The life of one ledger:
//!
//! 1. The first byte of a request begins it. Whoever works for the request says what the time since the last such word was spent on:
//!    `ledger::mark(&rt, Stage::Parse)`. So the stages add up to the wall time by construction: there is no time between two marks that belongs to
//!    nobody.
//! 2. Nobody hands the ledger around: while a request's task runs, its ledger is the core's present one ([`ledger::under`]).
//! 3. A shard on another core, or of another node, keeps a ledger of its own. What it took comes back behind the reply, and what is left of the time between
//!    question and reply was spent on the way.
//! 4. The last byte that is handed to the socket ends it, and the core's book takes it in.
//!
//! Promises: nothing is allocated for a request; a mark is one reading of the clock and two additions; everything has a bound.
#![forbid(unsafe_code)]

pub mod book;
pub mod histogram;
pub mod ledger;
pub mod stage;
pub mod text;
