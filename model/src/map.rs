//! The map: nodes, ring and tables together, what every router and shard knows (FORMAT.md "Maps").
//!
//! It travels between cores and processes as an item, whole ([`Map::encode`]) or as what is different since an older one
//! ([`Map::delta`]), the ring's vnodes as packed bytes in it; whoever gets either takes it with [`Map::update`].
//!
//! Promises: a decoded map's ring owns every token once, and each table stands under its own name; a delta changes the map
//! that it was made from, and no other, into exactly the newer one.
//! Leaves to others: how a new map is announced (`net`), and who decides on it (the catalog).

mod delta;
mod packed;
#[cfg(test)]
mod tests;

pub use packed::{Packed, push_replicas};

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    item::{Corrupt, ItemBuilder, ItemRef, ValueRef},
    node::Node,
    record::{Fields, push_number},
    ring::{NodeId, PeerId, Place, Replicas, Ring, ShardId, VnodeId},
    table::Table,
};

/// What every router and shard knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Grows with every change.
    pub version: u64,
    /// Who owns what.
    pub ring: Ring,
    /// Who keeps the catalog.
    pub catalog: Replicas,
    /// The cluster's nodes; none when this one is alone.
    pub nodes: BTreeMap<NodeId, Rc<Node>>,
    /// By name.
    pub tables: BTreeMap<String, Rc<Table>>,
}

/// The version of a map's encoding.
const MAP_VERSION: u64 = 3;

impl Map {
    /// What a node that is alone knows before its catalog has spoken: a ring, version 0, and no tables.
    pub fn alone(ring: Ring) -> Map {
        let here = Place { node: NodeId(0), shard: ShardId(0) };
        let catalog = Replicas::alone(PeerId(1), here);
        Map { version: 0, ring, catalog, nodes: BTreeMap::new(), tables: BTreeMap::new() }
    }

    /// The replicas of a vnode, the catalog's among them.
    pub fn replicas(&self, vnode: VnodeId) -> Option<Replicas> {
        if vnode == crate::ring::CATALOG {
            return Some(self.catalog);
        }
        self.ring.vnode(vnode).map(|vnode| vnode.replicas)
    }

    /// The map as an item, for messages.
    pub fn encode(&self) -> Vec<u8> {
        let mut builder = ItemBuilder::new();
        let out = &mut builder;
        out.begin_item();
        push_number(out, "v", MAP_VERSION);
        push_number(out, "version", self.version);
        push_number(out, "epoch", self.ring.epoch);
        push_binary(out, "vnodes", &packed::pack(self.ring.vnodes()));
        let mut catalog = Vec::new();
        push_replicas(&mut catalog, &self.catalog);
        push_binary(out, "catalog", &catalog);
        push_records(out, "nodes", self.nodes.values().map(|node| node.to_item()));
        push_records(out, "tables", self.tables.values().map(|table| table.to_item()));
        builder.finish()
    }

    /// Reads an encoded map, fully checked.
    pub fn decode(bytes: &[u8]) -> Result<Map, Corrupt> {
        let mut fields = Fields::new(ItemRef::check(bytes)?.as_map());
        if fields.number("v")? != MAP_VERSION {
            return Err(Corrupt::new("a map of an unknown version", 0));
        }
        let version = fields.number("version")?;
        let epoch = fields.number("epoch")?;
        let mut vnodes = packed::Unpack::new(fields.binary("vnodes")?);
        let ring = Ring::new(epoch, &mut vnodes);
        if let Some(corrupt) = vnodes.failed {
            return Err(corrupt);
        }
        let ring = ring.map_err(|what| Corrupt::new(what, 0))?;
        let catalog = read_replicas(fields.binary("catalog")?)?;
        let nodes = fields.values("nodes", read_node)?;
        if !nodes.is_sorted_by(|a, b| a.number < b.number) {
            return Err(Corrupt::new("nodes out of order in a map", 0));
        }
        let records = fields.values("tables", read_table)?;
        fields.end()?;
        if !records.is_sorted_by(|a, b| a.name < b.name) {
            return Err(Corrupt::new("tables out of order in a map", 0));
        }
        let tables = records.into_iter().map(|table| (table.name.clone(), Rc::new(table))).collect();
        let nodes = nodes.into_iter().map(|node| (node.number, Rc::new(node))).collect();
        Ok(Map { version, ring, catalog, nodes, tables })
    }
}

/// All replicas of the catalog, and nothing else.
fn read_replicas(bytes: &[u8]) -> Result<Replicas, Corrupt> {
    let mut packed = Packed(bytes);
    let replicas = packed.replicas()?;
    if !packed.0.is_empty() || replicas.check().is_err() {
        return Err(Corrupt::new("the catalog's replicas make no sense", 0));
    }
    Ok(replicas)
}

fn push_binary(out: &mut ItemBuilder, name: &str, bytes: &[u8]) {
    out.name(name);
    out.binary(bytes).expect("a value may be anything");
}

fn push_records(out: &mut ItemBuilder, name: &str, records: impl Iterator<Item = Vec<u8>>) {
    out.name(name);
    out.begin_list().expect("a map is flat");
    records.for_each(|record| out.binary(&record).expect("a value may be anything"));
    out.end_list();
}

fn read_node(value: ValueRef<'_>) -> Result<Node, Corrupt> {
    match value {
        ValueRef::B(record) => Node::from_item(ItemRef::check(record)?),
        _ => Err(Corrupt::new("an attribute of the wrong type in a record", 0)),
    }
}

fn read_table(value: ValueRef<'_>) -> Result<Table, Corrupt> {
    match value {
        ValueRef::B(record) => Table::from_item(ItemRef::check(record)?),
        _ => Err(Corrupt::new("an attribute of the wrong type in a record", 0)),
    }
}
