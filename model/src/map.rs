//! The map: ring and tables together, what every router and shard knows (FORMAT.md "Table records").
//!
//! It travels between cores as an item. Promises: a decoded map's ring owns every token once, and each table stands
//! under its own name. Leaves to others: how a new map is announced (`net`), and who decides on it (the catalog).

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    item::{Corrupt, ItemBuilder, ItemRef, MapRef, ValueRef},
    record::{Fields, push_list, push_number},
    ring::{NodeId, Place, Ring, ShardId, Vnode, VnodeId},
    table::Table,
};

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

/// The version of a map's encoding.
const MAP_VERSION: u64 = 1;

impl Map {
    /// The map as an item, for messages.
    pub fn encode(&self) -> Vec<u8> {
        let mut builder = ItemBuilder::new();
        let out = &mut builder;
        out.begin_item();
        push_number(out, "v", MAP_VERSION);
        push_number(out, "version", self.version);
        push_number(out, "epoch", self.ring.epoch);
        push_list(out, "vnodes", &self.ring.vnodes, |out, vnode| {
            push_number(out, "id", u64::from(vnode.id.0));
            push_number(out, "start", vnode.start);
            push_number(out, "node", u64::from(vnode.leader.node.0));
            push_number(out, "shard", u64::from(vnode.leader.shard.0));
        });
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
        let ring = Ring { epoch: fields.number("epoch")?, vnodes: fields.list("vnodes", read_vnode)? };
        ring.check().map_err(|what| Corrupt::new(what, 0))?;
        let records = fields.values("tables", read_table)?;
        fields.end()?;
        if !records.is_sorted_by(|a, b| a.name < b.name) {
            return Err(Corrupt::new("tables out of order in a map", 0));
        }
        let tables = records.into_iter().map(|table| (table.name.clone(), Rc::new(table))).collect();
        Ok(Map { version, ring, tables })
    }
}

fn read_vnode(map: MapRef<'_>) -> Result<Vnode, Corrupt> {
    let mut fields = Fields::new(map);
    let vnode = Vnode {
        id: VnodeId(fields.number_as("id")?),
        start: fields.number("start")?,
        leader: Place { node: NodeId(fields.number_as("node")?), shard: ShardId(fields.number_as("shard")?) },
    };
    fields.end()?;
    Ok(vnode)
}

fn read_table(value: ValueRef<'_>) -> Result<Table, Corrupt> {
    match value {
        ValueRef::B(record) => Table::from_item(ItemRef::check(record)?),
        _ => Err(Corrupt::new("an attribute of the wrong type in a record", 0)),
    }
}
