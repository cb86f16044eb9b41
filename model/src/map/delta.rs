//! What is different in a map since an older one: a changed vnode or table does not send the whole map.
//!
//! ```text
//! old, new --delta--> item: from, version, what changed --update--> old becomes new
//! ```
//!
//! Both maps share what they have in common, so making a delta looks at what is not shared: a chunk of the ring, a table, a
//! node. Applying one copies as little.
//!
//! Leaves to others: what to do when there is no delta (send the map whole).

use std::rc::Rc;

use super::{Map, packed, push_binary, push_records, read_node, read_replicas, read_table};
use crate::{
    item::{Corrupt, ItemBuilder, ItemRef, ValueRef},
    record::{Fields, push_number},
};

/// The version of a delta's encoding. A whole map has other numbers.
const DELTA_VERSION: u64 = 1 << 16;

impl Map {
    /// What turns `old` into this map; none when the whole map has to be sent: `old` is not older, has other ranges, or a
    /// node that is not there any more.
    pub fn delta(&self, old: &Map) -> Option<Vec<u8>> {
        let ring_grows = old.ring.epoch <= self.ring.epoch;
        let nodes_stay = old.nodes.keys().all(|number| self.nodes.contains_key(number));
        if old.version >= self.version || !ring_grows || !nodes_stay {
            return None;
        }
        let vnodes = self.ring.changed_since(&old.ring)?;
        let mut builder = ItemBuilder::new();
        let out = &mut builder;
        out.begin_item();
        push_number(out, "v", DELTA_VERSION);
        push_number(out, "from", old.version);
        push_number(out, "version", self.version);
        push_number(out, "epoch", self.ring.epoch);
        push_binary(out, "vnodes", &packed::pack(vnodes.into_iter()));
        if self.catalog != old.catalog {
            let mut catalog = Vec::new();
            packed::push_replicas(&mut catalog, &self.catalog);
            push_binary(out, "catalog", &catalog);
        }
        let nodes = self.nodes.iter().filter(|(number, node)| differs(old.nodes.get(number), node));
        push_records(out, "nodes", nodes.map(|(_, node)| node.to_item()));
        let tables = self.tables.iter().filter(|(name, table)| differs(old.tables.get(*name), table));
        push_records(out, "tables", tables.map(|(_, table)| table.to_item()));
        let gone = old.tables.keys().filter(|name| !self.tables.contains_key(*name));
        push_records(out, "gone", gone.map(|name| name.as_bytes().to_vec()));
        Some(builder.finish())
    }

    /// The newer map that `bytes` hold, whole or as a delta from this one. A delta from another map is refused.
    pub fn update(&self, bytes: &[u8]) -> Result<Map, Corrupt> {
        let mut fields = Fields::new(ItemRef::check(bytes)?.as_map());
        if fields.number("v")? != DELTA_VERSION {
            let map = Map::decode(bytes)?;
            let goes_back = map.version > self.version && map.ring.epoch < self.ring.epoch;
            return if goes_back { Err(Corrupt::new("a newer map with an older ring", 0)) } else { Ok(map) };
        }
        if fields.number("from")? != self.version {
            return Err(Corrupt::new("a delta from another map", 0));
        }
        let mut map = self.clone();
        map.version = fields.number("version")?;
        map.ring.epoch = fields.number("epoch")?;
        if map.version <= self.version || map.ring.epoch < self.ring.epoch {
            return Err(Corrupt::new("a delta to an older map", 0));
        }
        map.change_ring(fields.binary("vnodes")?)?;
        if let Some(catalog) =
            fields.optional("catalog", |fields, name| read_replicas(fields.binary(name)?))?
        {
            map.catalog = catalog;
        }
        for node in fields.values("nodes", read_node)? {
            map.nodes.insert(node.number, Rc::new(node));
        }
        for table in fields.values("tables", read_table)? {
            map.tables.insert(table.name.clone(), Rc::new(table));
        }
        for name in fields.values("gone", read_name)? {
            let gone = std::str::from_utf8(name).ok().and_then(|name| map.tables.remove(name));
            gone.ok_or(Corrupt::new("a delta takes away a table that is not there", 0))?;
        }
        fields.end()?;
        Ok(map)
    }

    fn change_ring(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut vnodes = packed::Unpack::new(bytes);
        for vnode in &mut vnodes {
            vnode.replicas.check().map_err(|what| Corrupt::new(what, 0))?;
            if self.ring.vnode(vnode.id).is_none_or(|known| known.start != vnode.start) {
                return Err(Corrupt::new("a delta changes a vnode that is not there", 0));
            }
            self.ring.set_replicas(vnode.id, vnode.replicas);
        }
        vnodes.failed.map_or(Ok(()), Err)
    }
}

fn differs<T: PartialEq>(old: Option<&Rc<T>>, new: &Rc<T>) -> bool {
    old.is_none_or(|old| !Rc::ptr_eq(old, new) && old != new)
}

fn read_name(value: ValueRef<'_>) -> Result<&[u8], Corrupt> {
    match value {
        ValueRef::B(name) => Ok(name),
        _ => Err(Corrupt::new("an attribute of the wrong type in a record", 0)),
    }
}
