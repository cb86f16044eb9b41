//! What the bytes of a data directory mean, and whether they make sense together; read-only.
//!
//! `lsm::inspect` tells files, blocks, records and entries; here they become tables, items and commands:
//!
//! 1. [`Names::load`] gathers every table's record that shard 0 still has, old ones too, so that keys can be taken apart.
//! 2. [`Names::key`], [`value`] and [`meaning`] say what a key, a stored value and a log record's payload mean.
//! 3. [`verify`](verify::verify) checks a whole data directory: who the node is, every shard's log and tree, and that they belong together.
//!
//! Promises: nothing is written, nothing is trusted. Leaves to others: that nobody serves the directory meanwhile.

mod names;
pub mod verify;

pub use names::{
    CommandAbout, EffectAbout, KeyAbout, Names, RecordMeaning, StandingAbout, StateAbout, ValueAbout,
    meaning, value,
};
