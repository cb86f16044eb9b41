//! The map: nodes, ring and tables together, what every router and shard knows (FORMAT.md "Table records").
//!
//! It travels between cores and processes as an item, the ring's vnodes as packed bytes in it:
//!
//! ```text
//! id u32 | start u64 | count u8 | count times: peer u32, node u16, shard u16, role u8      little-endian
//! ```
//!
//! Promises: a decoded map's ring owns every token once, and each table stands
//! under its own name. Leaves to others: how a new map is announced (`net`), and who decides on it (the catalog).

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    item::{Corrupt, ItemBuilder, ItemRef, ValueRef},
    node::Node,
    record::{Fields, push_number},
    ring::{NodeId, PeerId, Place, REPLICAS_MAX, Replica, Replicas, Ring, Role, ShardId, Vnode, VnodeId},
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
const MAP_VERSION: u64 = 2;

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
        let mut vnodes = Vec::with_capacity(self.ring.vnodes.len() * 40);
        for vnode in &self.ring.vnodes {
            vnodes.extend_from_slice(&vnode.id.0.to_le_bytes());
            vnodes.extend_from_slice(&vnode.start.to_le_bytes());
            push_replicas(&mut vnodes, &vnode.replicas);
        }
        out.name("vnodes");
        out.binary(&vnodes).expect("a value may be anything");
        let mut catalog = Vec::new();
        push_replicas(&mut catalog, &self.catalog);
        out.name("catalog");
        out.binary(&catalog).expect("a value may be anything");
        out.name("nodes");
        out.begin_list().expect("a map is flat");
        for node in self.nodes.values() {
            out.binary(&node.to_item()).expect("a value may be anything");
        }
        out.end_list();
        out.name("tables");
        out.begin_list().expect("a map is flat");
        for table in self.tables.values() {
            out.binary(&table.to_item()).expect("a value may be anything");
        }
        out.end_list();
        builder.finish()
    }

    /// Reads an encoded map, fully checked.
    pub fn decode(bytes: &[u8]) -> Result<Map, Corrupt> {
        let mut fields = Fields::new(ItemRef::check(bytes)?.as_map());
        if fields.number("v")? != MAP_VERSION {
            return Err(Corrupt::new("a map of an unknown version", 0));
        }
        let version = fields.number("version")?;
        let mut packed = Packed(fields.binary("vnodes")?);
        let mut ring = Ring { epoch: fields.number("epoch")?, vnodes: Vec::new() };
        while !packed.0.is_empty() {
            ring.vnodes.push(packed.vnode()?);
        }
        ring.check().map_err(|what| Corrupt::new(what, 0))?;
        let mut packed = Packed(fields.binary("catalog")?);
        let catalog = packed.replicas()?;
        if !packed.0.is_empty() || catalog.check().is_err() {
            return Err(Corrupt::new("the catalog's replicas make no sense", 0));
        }
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

/// Adds the packed replicas of one vnode.
pub fn push_replicas(out: &mut Vec<u8>, replicas: &Replicas) {
    out.push(replicas.len() as u8);
    for Replica { peer, place, role } in replicas.iter() {
        out.extend_from_slice(&peer.0.to_le_bytes());
        out.extend_from_slice(&place.node.0.to_le_bytes());
        out.extend_from_slice(&place.shard.0.to_le_bytes());
        out.push(role as u8);
    }
}

/// Packed vnodes that are being read.
pub struct Packed<'a>(pub &'a [u8]);

impl Packed<'_> {
    /// The next vnode.
    pub fn vnode(&mut self) -> Result<Vnode, Corrupt> {
        let id = VnodeId(u32::from_le_bytes(self.take()?));
        let start = u64::from_le_bytes(self.take()?);
        Ok(Vnode { id, start, replicas: self.replicas()? })
    }

    /// The next vnode's replicas.
    pub fn replicas(&mut self) -> Result<Replicas, Corrupt> {
        let [count] = self.take()?;
        let count = usize::from(count);
        if !(1..=REPLICAS_MAX).contains(&count) {
            return Err(Corrupt::new("a vnode with too few or too many replicas", 0));
        }
        let replicas = (0..count).map(|_| self.replica()).collect::<Result<Vec<Replica>, Corrupt>>()?;
        Ok(Replicas::new(&replicas))
    }

    fn replica(&mut self) -> Result<Replica, Corrupt> {
        let peer = PeerId(u32::from_le_bytes(self.take()?));
        let node = NodeId(u16::from_le_bytes(self.take()?));
        let shard = ShardId(u16::from_le_bytes(self.take()?));
        let role = match self.take()? {
            [0] => Role::Voter,
            [1] => Role::Joining,
            [2] => Role::Leaving,
            _ => return Err(Corrupt::new("a replica of an unknown role", 0)),
        };
        Ok(Replica { peer, place: Place { node, shard }, role })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Corrupt::new("a vnode is cut short", 0))?;
        self.0 = tail;
        Ok(*head)
    }
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
