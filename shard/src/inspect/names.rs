//! Keys, stored values and commands, in the words of the API.

use std::collections::BTreeMap;
use std::path::Path;

use lsm::inspect::log::Segment;
use lsm::inspect::sstable::{Sstable, Step, is_sstable_name};
use model::item::{ItemRef, Value};
use model::key::{DecodedKey, KeySchema, TableId, decode_key, keyspace, token_high_of_key};
use model::ring::{NodeId, Replicas, ShardId, Vnode, VnodeId};
use model::table::Table;
use runtime::Runtime;

use crate::catalog::{Head, read_vnode};
use crate::command::{Command, Effect, RECORD_KIND};
use crate::consensus::change::{self, Step as Member};
use crate::node::{self, shard_dir};
use crate::replication::record::{self, Base, Kept, State};
use crate::stored;

/// What a storage key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAbout {
    /// The catalog's state.
    CatalogState,
    /// A table's record.
    CatalogTable(String),
    /// The record of a vnode's replicas; of vnode 0, of the catalog's own.
    CatalogVnode(VnodeId),
    /// A node's record.
    CatalogNode(NodeId),
    /// An item of a table that is known.
    Item {
        /// The table's name.
        table: String,
        /// The key taken apart.
        key: DecodedKey,
    },
    /// An item of a table whose record is gone: what can be told without its schema.
    ItemOfUnknown {
        /// The table's number.
        table: TableId,
        /// The token's high half.
        token_high: u64,
    },
    /// What a replica of a vnode keeps of itself.
    Replica(VnodeId),
    /// No key of this program.
    Senseless(String),
}

/// What a stored value means.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueAbout {
    /// An item, or a table's record, which is one too.
    Item {
        /// The hybrid clock of its write.
        stamp: u64,
        /// Its attributes.
        attributes: BTreeMap<String, Value>,
    },
    /// The catalog's state.
    CatalogState {
        /// The hybrid clock of its write.
        stamp: u64,
        /// The map's version.
        version: u64,
        /// The id that the next table gets.
        next_table: u32,
        /// The ring's epoch and how many vnodes it has; none of a node that is alone.
        ring: Option<(u64, u32)>,
    },
    /// Who keeps a vnode.
    CatalogVnode {
        /// The hybrid clock of its write.
        stamp: u64,
        /// The ring's epoch of that change.
        epoch: u64,
        /// Where its range begins.
        start: u64,
        /// Who keeps it.
        replicas: Replicas,
    },
    /// A replica's newest state, and the number of the log record that it came in.
    State(u64, StateAbout),
    /// Where a replica's content ends.
    Standing(StandingAbout),
    /// No value of this program.
    Senseless(String),
}

/// What a replica must not forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateAbout {
    /// Its number in the cluster.
    pub peer: u64,
    /// The version of the map that it was made by.
    pub born: u64,
    /// The newest term that it has seen.
    pub term: u64,
    /// Whom it voted for in it; 0 for nobody.
    pub vote: u64,
    /// Up to here it knew that entries are committed.
    pub commit: u64,
    /// Where its log begins, if that is said.
    pub begins: Option<StandingAbout>,
    /// What was before in the log does not count.
    pub anew: bool,
    /// Its content is being copied.
    pub installing: bool,
    /// It is gone.
    pub destroyed: bool,
}

/// A place in a replica's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingAbout {
    /// The entry's index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Who votes from there on.
    pub voters: Vec<u64>,
    /// Who follows without a vote.
    pub learners: Vec<u64>,
}

impl From<Base> for StandingAbout {
    fn from(base: Base) -> StandingAbout {
        let Base { index, term, members } = base;
        StandingAbout { index, term, voters: members.voters, learners: members.learners }
    }
}

impl From<State> for StateAbout {
    fn from(state: State) -> StateAbout {
        let State { peer, born, term, vote, commit, anew, base, installing, destroyed } = state;
        let begins = base.map(StandingAbout::from);
        StateAbout { peer, born, term, vote, commit, begins, anew, installing, destroyed }
    }
}

/// What a log record means.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordMeaning {
    /// A command; without effects it is the first entry of a new leader.
    Command(CommandAbout),
    /// A replica's state.
    State(StateAbout),
    /// The membership changes, said in words.
    Change(Vec<String>),
}

/// What a log record's payload means.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAbout {
    /// The hybrid clock of the write.
    pub stamp: u64,
    /// What it does to the tree.
    pub effects: Vec<EffectAbout>,
}

/// One effect of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum EffectAbout {
    /// Sets a key.
    Put(Vec<u8>, ValueAbout),
    /// Removes a key.
    Delete(Vec<u8>),
    /// Removes the keys from the first up to and without the second.
    DropRange(Vec<u8>, Vec<u8>),
}

/// The tables that a data directory knows or knew, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    tables: BTreeMap<TableId, (u64, Table)>,
}

impl Names {
    /// Reads the tables' records in the log and tree of shard 0 of the node in `data`, and in the map that it keeps. What cannot be read is passed over:
    /// then fewer keys can be told, and that something is damaged is for others to say.
    pub async fn load<R: Runtime>(rt: &R, data: &Path) -> Names {
        let mut names = Names::default();
        let shard = shard_dir(data, ShardId(0));
        for entry in rt.list(&shard.join("tree")).await.unwrap_or_default() {
            if is_sstable_name(&entry.name)
                && let Ok(table) = Sstable::open(rt, &shard.join("tree").join(&entry.name)).await
            {
                drop(table.walk(&mut |step| names.take_step(&step)).await);
            }
        }
        for entry in rt.list(&shard.join("log")).await.unwrap_or_default() {
            let path = shard.join("log").join(&entry.name);
            if lsm::inspect::log::is_segment_name(&entry.name)
                && let Ok(mut segment) = Segment::open(rt, &path).await
            {
                names.take_segment(&mut segment).await;
            }
        }
        // A cluster's node need not have a replica of the catalog.
        if let Ok(Some(map)) = node::known(rt, data).await {
            for table in map.tables.values() {
                names.tables.entry(table.id).or_insert_with(|| (0, Table::clone(table)));
            }
        }
        names
    }

    /// The catalog comes first in the order of keys; behind it the walk ends.
    fn take_step(&mut self, step: &Step<'_>) -> bool {
        match step {
            Step::Entry(entry) if entry.key.first() != Some(&keyspace::CATALOG) => false,
            Step::Entry(entry) => {
                self.take(entry.key, entry.value.unwrap_or_default());
                true
            }
            _ => true,
        }
    }

    async fn take_segment<R: Runtime>(&mut self, segment: &mut Segment<R>) {
        while let Ok(Some(_)) = segment.next().await {
            for record in segment.records().flatten().filter(|record| record.record.kind == RECORD_KIND) {
                let Ok(command) = Command::decode(record.record.payload) else { continue };
                for effect in command.effects() {
                    if let Effect::Put { key, value } = effect {
                        self.take(key, value);
                    }
                }
            }
        }
    }

    /// Takes a table's record, if this is one; of two, the younger.
    fn take(&mut self, key: &[u8], value: &[u8]) {
        if !matches!(key, [keyspace::CATALOG, 1, ..]) {
            return;
        }
        let Some((stamp, record)) = stored::open(value) else { return };
        let table = ItemRef::check(record).ok().and_then(|item| Table::from_item(item).ok());
        let Some(table) = table else { return };
        let known = self.tables.get(&table.id).is_some_and(|(known, _)| *known > stamp.0);
        if !known {
            self.tables.insert(table.id, (stamp.0, table));
        }
    }

    /// The schema of a table, if its record was found.
    pub fn schema(&self, table: TableId) -> Option<&KeySchema> {
        self.tables.get(&table).map(|(_, table)| &table.schema)
    }

    /// What `key` means.
    pub fn key(&self, key: &[u8]) -> KeyAbout {
        match key {
            [keyspace::CATALOG, 0] => KeyAbout::CatalogState,
            [keyspace::CATALOG, 1, name @ ..] => match std::str::from_utf8(name) {
                Ok(name) => KeyAbout::CatalogTable(name.to_owned()),
                Err(_) => KeyAbout::Senseless("a table's name that is not UTF-8".into()),
            },
            [keyspace::CATALOG, 2, a, b, c, d] => {
                KeyAbout::CatalogVnode(VnodeId(u32::from_be_bytes([*a, *b, *c, *d])))
            }
            [keyspace::CATALOG, 3, a, b] => KeyAbout::CatalogNode(NodeId(u16::from_be_bytes([*a, *b]))),
            [keyspace::ITEMS, a, b, c, d, ..] => {
                self.item_key(TableId(u32::from_be_bytes([*a, *b, *c, *d])), key)
            }
            [keyspace::GROUPS, ..] => match record::open_key(key) {
                Some((vnode, _)) => KeyAbout::Replica(vnode),
                None => KeyAbout::Senseless("a key of the replicas that is not known".into()),
            },
            _ => KeyAbout::Senseless("a keyspace that is not known".into()),
        }
    }

    fn item_key(&self, id: TableId, key: &[u8]) -> KeyAbout {
        let Some(token_high) = token_high_of_key(key) else {
            return KeyAbout::Senseless("a key that ends before its token does".into());
        };
        let Some((_, table)) = self.tables.get(&id) else {
            return KeyAbout::ItemOfUnknown { table: id, token_high };
        };
        match decode_key(&table.schema, key) {
            Ok(key) => KeyAbout::Item { table: table.name.clone(), key },
            Err(error) => KeyAbout::Senseless(format!("a key of table {}: {error}", table.name)),
        }
    }
}

/// What the value stored under `key` means.
pub fn value(key: &[u8], value: &[u8]) -> ValueAbout {
    match record::open_key(key) {
        None => {}
        Some((_, Kept::State)) => {
            return match record::open_kept_state(value) {
                Ok((number, state)) => ValueAbout::State(number, state.into()),
                Err(what) => ValueAbout::Senseless(what.into()),
            };
        }
        Some((_, Kept::Standing)) => {
            return match record::decode_standing(value) {
                Ok(standing) => ValueAbout::Standing(standing.into()),
                Err(what) => ValueAbout::Senseless(what.into()),
            };
        }
    }
    let Some((stamp, record)) = stored::open(value) else {
        return ValueAbout::Senseless("a stored value of an unknown version".into());
    };
    if key == [keyspace::CATALOG, 0] {
        let Some(head) = Head::read(record) else {
            return ValueAbout::Senseless("the catalog's state makes no sense".into());
        };
        let ring = head.cluster.map(|cluster| (cluster.epoch, cluster.vnode_count));
        let (version, next_table) = (head.version, head.next_table);
        return ValueAbout::CatalogState { stamp: stamp.0, version, next_table, ring };
    }
    if let [keyspace::CATALOG, 2, a, b, c, d] = key {
        let id = VnodeId(u32::from_be_bytes([*a, *b, *c, *d]));
        let Some((epoch, Vnode { start, replicas, .. })) = read_vnode(id, record) else {
            return ValueAbout::Senseless("a vnode's record makes no sense".into());
        };
        return ValueAbout::CatalogVnode { stamp: stamp.0, epoch, start, replicas };
    }
    match ItemRef::check(record) {
        Ok(item) => ValueAbout::Item { stamp: stamp.0, attributes: Value::attributes(item) },
        Err(error) => ValueAbout::Senseless(format!("an item: {error}")),
    }
}

/// What the payload of a log record of `kind` means.
pub fn meaning(kind: u8, payload: &[u8]) -> Result<RecordMeaning, String> {
    match kind {
        RECORD_KIND => command(payload).map(RecordMeaning::Command),
        record::STATE_KIND => Ok(RecordMeaning::State(State::decode(payload)?.into())),
        record::CHANGE_KIND => {
            let steps = change::decode(payload).ok_or("a change of the membership that makes no sense")?;
            let word = |step: &Member| match step {
                Member::Voter(peer) => format!("{} votes", peer.0),
                Member::Learner(peer) => format!("{} follows", peer.0),
                Member::Remove(peer) => format!("{} leaves", peer.0),
            };
            Ok(RecordMeaning::Change(steps.iter().map(word).collect()))
        }
        other => Err(format!("a record of unknown kind {other}")),
    }
}

fn command(payload: &[u8]) -> Result<CommandAbout, String> {
    if payload.is_empty() {
        return Ok(CommandAbout { stamp: 0, effects: Vec::new() });
    }
    let command = Command::decode(payload)?;
    let effects = command.effects().map(|effect| match effect {
        Effect::Put { key, value: bytes } => EffectAbout::Put(key.to_vec(), value(key, bytes)),
        Effect::Delete { key } => EffectAbout::Delete(key.to_vec()),
        Effect::DropRange { from, to } => EffectAbout::DropRange(from.to_vec(), to.to_vec()),
    });
    Ok(CommandAbout { stamp: command.stamp.0, effects: effects.collect() })
}
