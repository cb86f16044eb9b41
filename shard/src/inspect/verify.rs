//! A whole data directory, checked without being opened.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lsm::inspect::sstable::EntryAbout;
use lsm::inspect::{Problem, Watch, log, tree};
use lsm::log::Record;
use model::item::ItemRef;
use model::key::{encode_key, key_of_item, keyspace};
use model::map::Map;
use model::ring::{CATALOG, NodeId, Ring, ShardId, VnodeId};
use runtime::Runtime;

use super::names::{EffectAbout, KeyAbout, Names, RecordMeaning, ValueAbout};
use crate::node::{self, Identity, shard_dir};
use crate::recovery::check_index;
use crate::replication::Found;
use crate::replication::record::{vnode_of_entries, vnode_of_states};
use crate::stored;

/// What a data directory holds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Who the node is, if that can be told.
    pub identity: Option<Identity>,
    /// Its shards, in order.
    pub shards: Vec<ShardReport>,
}

/// What a shard holds.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// Which.
    pub shard: ShardId,
    /// Its log.
    pub log: log::Summary,
    /// Its tree.
    pub tree: tree::Summary,
}

/// Checks everything in the data directory of a node. What is wrong goes to `watch`.
pub async fn verify<R: Runtime>(rt: &R, data: &Path, watch: &mut dyn Watch) -> Report {
    let identity = match node::read(rt, data).await {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            let advice = "name the directory that was given to torc as --data-dir";
            let what = "no data directory: it has neither an identity nor shards".into();
            watch.problem(Problem { path: data.to_owned(), offset: 0, what, advice });
            return Report::default();
        }
        Err(error) => {
            watch.problem(Problem::damage(&data.join("node"), 0, error.to_string()));
            return Report::default();
        }
    };
    name_strangers(rt, data, &identity, watch).await;
    let home = Home::find(rt, data, &identity, watch).await;
    let names = Names::load(rt, data).await;
    let mut report = Report { identity: Some(identity), shards: Vec::new() };
    for shard in (0..identity.shard_count).map(ShardId) {
        report.shards.push(verify_shard(rt, data, &identity, &names, &home, shard, watch).await);
    }
    report
}

/// What does not belong into a data directory.
async fn name_strangers<R: Runtime>(rt: &R, data: &Path, identity: &Identity, watch: &mut dyn Watch) {
    let shards: Vec<_> = (0..identity.shard_count).map(|shard| shard_dir(data, ShardId(shard))).collect();
    for entry in rt.list(data).await.unwrap_or_default() {
        let path = data.join(&entry.name);
        match entry.name.as_str() {
            "node" | "LOCK" | "map" | "begun" | "users.toml" | "device-profile.toml" => {}
            _ if shards.contains(&path) => {}
            "node.new" | "map.new" | "waiting" => watch.orphan(&path, "left behind by a stop"),
            name if name.starts_with("shard-") => watch.orphan(&path, "a shard that this node does not have"),
            _ => watch.orphan(&path, "no file of torc"),
        }
    }
}

/// One shard: its tree, its log, and that the log goes on where the tree ends.
async fn verify_shard<R: Runtime>(
    rt: &R,
    data: &Path,
    identity: &Identity,
    names: &Names,
    home: &Home,
    shard: ShardId,
    watch: &mut dyn Watch,
) -> ShardReport {
    let dir = shard_dir(data, shard);
    let mut report = ShardReport { shard, log: log::Summary::default(), tree: tree::Summary::default() };
    for part in ["tree", "log"] {
        if rt.list(&dir.join(part)).await.is_err() {
            let advice = "if this node was stopped during its very first start, start it again; else restore the directory";
            let what = "the shard has no such directory".into();
            watch.problem(Problem { path: dir.join(part), offset: 0, what, advice });
            return report;
        }
    }
    let mut replicas = Replicas::default();
    let meaning = Meaning { names, home, shard, kept: RefCell::default() };
    report.tree = tree::verify(rt, &dir.join("tree"), watch, &mut |entry| {
        replicas.entry(entry);
        meaning.entry(entry)
    })
    .await;
    let marks = report.tree.version.as_ref().map(|version| version.marks.clone()).unwrap_or_default();
    let mark = |stream: u64| marks.get(&stream).copied().unwrap_or(0);
    let mut found = replicas.found();
    let whose = lsm::log::Identity { cluster: identity.cluster, node: identity.number.0, shard: shard.0 };
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    report.log = log::verify(rt, &dir.join("log"), Some(whose), watch, &mut |record| {
        match home {
            Home::Cluster(_) => found.logged(record, mark)?,
            Home::Alone(_) => {
                let before = seen.insert(record.stream, record.index);
                check_index(record.index, before, mark(record.stream).max(before.unwrap_or(0)))?;
            }
        }
        meaning.record(record)
    })
    .await;
    if let Err((vnode, what)) = found.finish(mark) {
        let what = format!("vnode {}: {what}", vnode.0);
        watch.problem(Problem::damage(&dir.join("log"), 0, what));
    }
    // Who ever had a replica here has left a mark in the tree, or a record in the log.
    let streams = marks.keys().chain(report.log.streams.keys()).copied();
    let had: BTreeSet<VnodeId> =
        streams.filter_map(|stream| vnode_of_entries(stream).or(vnode_of_states(stream))).collect();
    for (vnode, token) in meaning.kept.into_inner() {
        if !had.contains(&vnode) {
            let what = format!(
                "a key with token {token:016x} of vnode {}, which never had a replica on this shard",
                vnode.0
            );
            watch.problem(Problem::damage(&dir.join("tree"), 0, what));
        }
    }
    report
}

/// What says where keys belong.
enum Home {
    /// A node that is alone: the ring that it was founded with.
    Alone(Ring),
    /// A cluster's node: the ring of the map that it keeps, if that can be read. Of which vnodes it has replicas, its shards say.
    Cluster(Option<Ring>),
}

impl Home {
    async fn find<R: Runtime>(rt: &R, data: &Path, identity: &Identity, watch: &mut dyn Watch) -> Home {
        let path = data.join("map");
        let is_member = identity.number != NodeId(0);
        match node::known(rt, data).await {
            Ok(None) if !is_member => Home::Alone(identity.founding_ring()),
            Ok(None) => {
                let what = "the map that a node of a cluster keeps is missing";
                watch.problem(Problem::damage(&path, 0, what));
                Home::Cluster(None)
            }
            Ok(Some(map)) => {
                if let Err(what) = check_map(&map, identity) {
                    watch.problem(Problem::damage(&path, 0, what));
                }
                Home::Cluster(Some(map.ring))
            }
            Err(error) => {
                watch.problem(Problem::damage(&path, 0, error.to_string()));
                Home::Cluster(None)
            }
        }
    }
}

/// The map must know the node by the same id.
fn check_map(map: &Map, identity: &Identity) -> Result<(), String> {
    let Some(node) = map.nodes.get(&identity.number) else {
        return Err(format!("the map does not know node {}, whose directory this is", identity.number.0));
    };
    if node.id != identity.node || node.addresses.len() != usize::from(identity.shard_count) {
        return Err(format!("node {} has another directory, or other shards, in the map", identity.number.0));
    }
    Ok(())
}

/// The newest of what the tree's SSTables have of the shard's replicas; the older ones are there until they are merged.
#[derive(Default)]
struct Replicas {
    newest: BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>,
}

impl Replicas {
    fn entry(&mut self, entry: &EntryAbout<'_>) {
        if entry.key.first() != Some(&keyspace::GROUPS) {
            return;
        }
        let known = self.newest.entry(entry.key.to_vec()).or_default();
        if entry.sequence >= known.0 {
            *known = (entry.sequence, entry.value.map(<[u8]>::to_vec));
        }
    }

    fn found(self) -> Found {
        let mut found = Found::default();
        for (key, (_, value)) in self.newest {
            // What makes no sense was reported when its entry was checked.
            let _ = value.map(|value| found.kept(&key, &value));
        }
        found
    }
}

/// What keys and values of a shard must be.
struct Meaning<'a> {
    names: &'a Names,
    home: &'a Home,
    shard: ShardId,
    /// In a cluster: the vnodes of which there is a key, and the first one's token.
    kept: RefCell<BTreeMap<VnodeId, u64>>,
}

impl Meaning<'_> {
    /// An entry of the tree.
    fn entry(&self, entry: &EntryAbout<'_>) -> Result<(), String> {
        self.key(entry.key)?;
        match entry.value {
            Some(value) => self.value(entry.key, value),
            None => Ok(()),
        }
    }

    /// A record of the log.
    fn record(&self, record: &Record<'_>) -> Result<(), String> {
        if let Home::Alone(ring) = self.home {
            let vnode = VnodeId(u32::try_from(record.stream).unwrap_or(u32::MAX));
            let leader = ring.vnode(vnode).map(|vnode| vnode.leader().shard);
            let leader = if vnode == CATALOG { Some(ShardId(0)) } else { leader };
            if leader != Some(self.shard) {
                return Err(format!("a record of vnode {}, which is not this shard's", record.stream));
            }
        }
        let RecordMeaning::Command(about) = super::meaning(record.kind, record.payload)? else {
            return Ok(());
        };
        if about.effects.is_empty() && matches!(self.home, Home::Alone(_)) {
            return Err("a command without effects".into());
        }
        for effect in about.effects {
            match effect {
                EffectAbout::Put(_, ValueAbout::Senseless(what)) => return Err(what),
                EffectAbout::Put(key, _) | EffectAbout::Delete(key) => self.key(&key)?,
                EffectAbout::DropRange(from, to) if from >= to => return Err("a drop of nothing".into()),
                EffectAbout::DropRange(..) => {}
            }
        }
        Ok(())
    }

    fn key(&self, key: &[u8]) -> Result<(), String> {
        let token_high = match self.names.key(key) {
            KeyAbout::CatalogState
            | KeyAbout::CatalogTable(_)
            | KeyAbout::CatalogVnode(_)
            | KeyAbout::CatalogNode(_) => {
                let is_first = self.shard == ShardId(0);
                return is_first.then_some(()).ok_or("a record of the catalog outside shard 0".into());
            }
            KeyAbout::Item { key, .. } => key.token_high,
            KeyAbout::ItemOfUnknown { token_high, .. } => token_high,
            KeyAbout::Replica(_) => return Ok(()),
            KeyAbout::Senseless(what) => return Err(what),
        };
        match self.home {
            Home::Alone(ring) => match ring.owner(token_high).leader().shard {
                owner if owner == self.shard => Ok(()),
                owner => Err(format!("a key with token {token_high:016x}, which is shard {}'s", owner.0)),
            },
            Home::Cluster(ring) => {
                if let Some(ring) = ring {
                    let vnode = ring.owner(token_high).id;
                    self.kept.borrow_mut().entry(vnode).or_insert(token_high);
                }
                Ok(())
            }
        }
    }

    fn value(&self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if let ValueAbout::Senseless(what) = super::value(key, value) {
            return Err(what);
        }
        let KeyAbout::Item { table, key: decoded } = self.names.key(key) else { return Ok(()) };
        let Some((_, item)) = stored::open(value) else { return Ok(()) };
        let schema = self.names.schema(decoded.table).ok_or("a table without a schema")?;
        let item = ItemRef::check(item).map_err(|error| error.to_string())?;
        let own = key_of_item(schema, item).map_err(|error| format!("table {table}: {}", error.message))?;
        let own = encode_key(keyspace::ITEMS, decoded.table, schema, own.partition, own.sort);
        if own == key { Ok(()) } else { Err(format!("table {table}: an item under another item's key")) }
    }
}
