//! The map: ring and tables, what every router and shard knows.

use crate::{item::Corrupt, ring::Ring, table::Table};
use std::{collections::BTreeMap, rc::Rc};

/// What every router and shard knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Grows with every change.
    pub version: u64,
    /// Who owns what.
    pub ring: Ring,
    /// By name.
    pub tables: BTreeMap<String, Rc<Table>>,
}
impl Map {
    /// The map as an item, for messages.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads an encoded map, fully checked.
    pub fn decode(_bytes: &[u8]) -> Result<Map, Corrupt> {
        todo!()
    }
}
