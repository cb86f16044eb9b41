//! What the catalog knows, how it lies in the tree, and the difference that one change makes to it.
//!
//! ```text
//! 00 00          version, next ids, settings       with every change
//! 00 01 name     a table        00 02 number   a vnode's replicas, the catalog's as 0        00 03 number   a node
//! ```
//!
//! One record for each thing, so that a change writes what it changes and the head. A node that is alone has no vnodes' and
//! nodes' records: its ring is the one that its directory was founded with.
//!
//! A cluster's first state comes from the map that its nodes were founded with. It is written in several commands when it is large, the
//! head last: without a head there is no state, and whoever leads next writes it again.

use crate::clock::Stamp;
use crate::command::CommandBuilder;
use crate::error::Error;
use crate::stored;
use lsm::{Direction, Range, Tree};
use model::item::ItemRef;
use model::key::{TableId, keyspace};
use model::map::{Map, Packed, push_replicas};
use model::node::Node;
use model::ring::{CATALOG, NodeId, PeerId, Replicas, Ring, ShardId, Vnode, VnodeId};
use model::table::{Table, TableStatus};
use runtime::Runtime;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The keys of the catalog's records begin with the keyspace and one of these.
const HEAD_KEY: &[u8] = &[keyspace::CATALOG, 0];
const TABLE_PREFIX: &[u8] = &[keyspace::CATALOG, 1];
const VNODE_PREFIX: &[u8] = &[keyspace::CATALOG, 2];
const NODE_PREFIX: &[u8] = &[keyspace::CATALOG, 3];

/// Records of one command at most.
const COMMAND_RECORDS_MAX: usize = 1000;

/// What the catalog knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The map's version.
    pub(crate) version: u64,
    /// The id of the next table.
    pub(crate) next_table: u32,
    /// The ring.
    pub(crate) ring: Ring,
    /// By name.
    pub(crate) tables: BTreeMap<String, Rc<Table>>,
    /// Who keeps the catalog.
    pub(crate) catalog: Replicas,
    /// The cluster's nodes; none when this one is alone.
    pub(crate) nodes: BTreeMap<NodeId, Rc<Node>>,
    /// The number of the next replica.
    pub(crate) next_peer: PeerId,
    /// The number of the next node.
    pub(crate) next_node: u32,
    /// Moves are not begun.
    pub(crate) is_paused: bool,
    /// Of each vnode that is on the move, the catalog among them: the epoch in which that was decided.
    pub(crate) set_in: BTreeMap<VnodeId, u64>,
}

/// The state after a change, and which records differ.
pub(crate) struct Next {
    pub(crate) state: State,
    changed: Vec<Record>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    Table(String),
    Vnode(VnodeId),
    Node(NodeId),
}

/// What a tree holds of a catalog.
pub(crate) enum Loaded {
    /// A state.
    State(State),
    /// Nothing yet, in a cluster: this state is to be written.
    Founding(State),
}

impl State {
    /// Reads the state and every record. `founding` is what the node began with: the ring of one that is alone, the map of
    /// a cluster.
    pub(crate) async fn load<R: Runtime>(
        shard: ShardId,
        tree: &Tree<R>,
        founding: &Map,
    ) -> Result<Loaded, Error> {
        let senseless = |what: String| Error::Senseless { shard, vnode: CATALOG, what };
        let mut reading = Reading::default();
        let range = Range::half_open(&[keyspace::CATALOG], &[keyspace::CATALOG + 1]);
        let mut records = tree.view().scan(range, Direction::Forward);
        while let Some((key, value)) = records.next().await? {
            let read = stored::open(value).ok_or("a record of an unknown version".to_string());
            read.and_then(|(_, record)| reading.take(key, record)).map_err(senseless)?;
        }
        reading.finish(founding).map_err(senseless)
    }

    /// The state that a map describes, of version 1.
    fn of_map(map: &Map) -> State {
        let replicas = map.ring.vnodes().map(|vnode| vnode.replicas).chain([map.catalog]);
        let last_peer = replicas.filter_map(|all| all.iter().map(|one| one.peer.0).max()).max();
        State {
            version: 1,
            next_table: 1,
            ring: map.ring.clone(),
            tables: BTreeMap::new(),
            catalog: map.catalog,
            nodes: map.nodes.clone(),
            next_peer: PeerId(last_peer.unwrap_or(0) + 1),
            next_node: map.nodes.keys().last().map_or(1, |last| u32::from(last.0) + 1),
            is_paused: false,
            set_in: BTreeMap::new(),
        }
    }

    /// Whether this node is alone, and no cluster.
    pub(crate) fn is_alone(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The map that everybody routes by.
    pub(crate) fn map(&self) -> Rc<Map> {
        Rc::new(Map {
            version: self.version,
            ring: self.ring.clone(),
            catalog: self.catalog,
            nodes: self.nodes.clone(),
            tables: self.tables.clone(),
        })
    }

    /// Tables that are on their way to another status: those that come first, by id, then those that go.
    pub(crate) fn unfinished(&self) -> Vec<Rc<Table>> {
        let unfinished = self.tables.values().filter(|table| table.status != TableStatus::Active);
        let mut unfinished: Vec<Rc<Table>> = unfinished.cloned().collect();
        unfinished.sort_by_key(|table| (table.status == TableStatus::Deleting, table.id));
        unfinished
    }

    /// The state with this table in it.
    pub(crate) fn with_table(&self, table: Table) -> Next {
        let mut next = self.next();
        next.state.next_table =
            next.state.next_table.max(table.id.0.checked_add(1).expect("table ids do not run out"));
        next.changed.push(Record::Table(table.name.clone()));
        next.state.tables.insert(table.name.clone(), Rc::new(table));
        next
    }

    /// The state without this table.
    pub(crate) fn without_table(&self, name: &str) -> Next {
        let mut next = self.next();
        next.state.tables.remove(name);
        next.changed.push(Record::Table(name.to_string()));
        next
    }

    /// The state with this node in it, new or changed.
    pub(crate) fn with_node(&self, node: Node) -> Next {
        let mut next = self.next();
        next.state.next_node = next.state.next_node.max(u32::from(node.number.0) + 1);
        next.changed.push(Record::Node(node.number));
        next.state.nodes.insert(node.number, Rc::new(node));
        next
    }

    /// The state in which these keep a vnode, or the catalog.
    pub(crate) fn with_replicas(&self, vnode: VnodeId, replicas: Replicas) -> Next {
        let mut next = self.next();
        let state = &mut next.state;
        state.ring.epoch += 1;
        match vnode {
            CATALOG => state.catalog = replicas,
            _ => state.ring.set_replicas(vnode, replicas),
        }
        let last_peer = replicas.iter().map(|one| one.peer.0).max().expect("there is a replica");
        state.next_peer = PeerId(state.next_peer.0.max(last_peer + 1));
        match replicas.is_moving() {
            true => state.set_in.insert(vnode, state.ring.epoch),
            false => state.set_in.remove(&vnode),
        };
        next.changed.push(Record::Vnode(vnode));
        next
    }

    /// The state in which moves are begun, or not.
    pub(crate) fn with_pause(&self, is_paused: bool) -> Next {
        let mut next = self.next();
        next.state.is_paused = is_paused;
        next
    }

    fn next(&self) -> Next {
        Next { state: State { version: self.version + 1, ..self.clone() }, changed: Vec::new() }
    }

    /// The id that the next table gets.
    pub(crate) fn next_id(&self) -> TableId {
        TableId(self.next_table)
    }

    /// This state as a change that writes all of it.
    pub(crate) fn founding(self) -> Next {
        let vnodes = self.ring.vnodes().map(|vnode| Record::Vnode(vnode.id));
        let changed = vnodes
            .chain([Record::Vnode(CATALOG)])
            .chain(self.nodes.keys().map(|node| Record::Node(*node)))
            .collect();
        Next { state: self, changed }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = [self.version.to_le_bytes().as_slice(), &self.next_table.to_le_bytes()].concat();
        if !self.is_alone() {
            head.extend_from_slice(&self.ring.epoch.to_le_bytes());
            let numbers =
                [self.next_peer.0, self.next_node, self.ring.len() as u32, u32::from(self.is_paused)];
            numbers.iter().for_each(|number| head.extend_from_slice(&number.to_le_bytes()));
        }
        head
    }

    fn vnode_record(&self, id: VnodeId) -> Vec<u8> {
        let start = self.ring.vnode(id).map_or(0, |vnode| vnode.start);
        let replicas = match id {
            CATALOG => self.catalog,
            _ => self.ring.vnode(id).expect("a vnode of the ring").replicas,
        };
        let mut record = [self.ring.epoch.to_le_bytes(), start.to_le_bytes()].concat();
        push_replicas(&mut record, &replicas);
        record
    }
}

impl Next {
    /// The effects of the change, the head in the last command: mostly there is one.
    pub(crate) fn commands(&self, stamp: impl Fn() -> Stamp) -> Vec<CommandBuilder> {
        let mut commands = Vec::new();
        let mut changed = self.changed.as_slice();
        loop {
            let (some, rest) = changed.split_at(changed.len().min(COMMAND_RECORDS_MAX));
            let mut command = CommandBuilder::new(stamp());
            let header = stored::header(stamp());
            if rest.is_empty() {
                command.put(HEAD_KEY, &[&header, &self.state.head()]);
            }
            some.iter().for_each(|record| self.fill(record, &header, &mut command));
            commands.push(command);
            if rest.is_empty() {
                return commands;
            }
            changed = rest;
        }
    }

    fn fill(&self, record: &Record, header: &[u8], command: &mut CommandBuilder) {
        match record {
            Record::Table(name) => {
                let key = [TABLE_PREFIX, name.as_bytes()].concat();
                match self.state.tables.get(name) {
                    Some(table) => command.put(&key, &[header, &table.to_item()]),
                    None => command.delete(&key),
                }
            }
            Record::Vnode(id) => {
                let key = [VNODE_PREFIX, &id.0.to_be_bytes()].concat();
                command.put(&key, &[header, &self.state.vnode_record(*id)]);
            }
            Record::Node(number) => {
                let key = [NODE_PREFIX, &number.0.to_be_bytes()].concat();
                command.put(&key, &[header, &self.state.nodes[number].to_item()]);
            }
        }
    }
}

/// The head of a state: version and next table, and of a cluster what else there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u64,
    pub(crate) next_table: u32,
    pub(crate) cluster: Option<ClusterHead>,
}

/// What the head of a cluster's state has beyond the one of a node that is alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClusterHead {
    pub(crate) epoch: u64,
    pub(crate) next_peer: u32,
    pub(crate) next_node: u32,
    pub(crate) vnode_count: u32,
    pub(crate) is_paused: bool,
}

impl Head {
    /// Reads a head's record.
    pub(crate) fn read(record: &[u8]) -> Option<Head> {
        let mut packed = Packed(record);
        let mut head = Head {
            version: u64::from_le_bytes(packed.take().ok()?),
            next_table: u32::from_le_bytes(packed.take().ok()?),
            cluster: None,
        };
        if !packed.0.is_empty() {
            head.cluster = Some(ClusterHead {
                epoch: u64::from_le_bytes(packed.take().ok()?),
                next_peer: u32::from_le_bytes(packed.take().ok()?),
                next_node: u32::from_le_bytes(packed.take().ok()?),
                vnode_count: u32::from_le_bytes(packed.take().ok()?),
                is_paused: match u32::from_le_bytes(packed.take().ok()?) {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
            });
        }
        packed.0.is_empty().then_some(head)
    }
}

/// A vnode's record: the epoch in which its replicas were set, and the vnode; of the catalog without a meaningful start.
pub(crate) fn read_vnode(id: VnodeId, record: &[u8]) -> Option<(u64, Vnode)> {
    let mut packed = Packed(record);
    let set_in = u64::from_le_bytes(packed.take().ok()?);
    let start = u64::from_le_bytes(packed.take().ok()?);
    let replicas = packed.replicas().ok()?;
    let sound = packed.0.is_empty() && replicas.check().is_ok();
    sound.then_some((set_in, Vnode { id, start, replicas }))
}

/// Records that are being read.
#[derive(Default)]
struct Reading {
    head: Option<Head>,
    tables: BTreeMap<String, Rc<Table>>,
    vnodes: Vec<Vnode>,
    set_in: BTreeMap<VnodeId, u64>,
    nodes: BTreeMap<NodeId, Rc<Node>>,
}

impl Reading {
    fn take(&mut self, key: &[u8], record: &[u8]) -> Result<(), String> {
        match key {
            HEAD_KEY => {
                self.head = Some(Head::read(record).ok_or("the catalog's state is cut short")?);
                Ok(())
            }
            [keyspace::CATALOG, 1, name @ ..] => self.take_table(name, record),
            [keyspace::CATALOG, 2, a, b, c, d] => {
                let id = VnodeId(u32::from_be_bytes([*a, *b, *c, *d]));
                let read = read_vnode(id, record);
                let (set_in, vnode) =
                    read.ok_or_else(|| format!("the record of vnode {} makes no sense", id.0))?;
                if vnode.replicas.is_moving() {
                    self.set_in.insert(id, set_in);
                }
                self.vnodes.push(vnode);
                Ok(())
            }
            [keyspace::CATALOG, 3, a, b] => {
                let number = NodeId(u16::from_be_bytes([*a, *b]));
                let node = ItemRef::check(record).and_then(Node::from_item);
                let node = node.map_err(|error| format!("a node's record: {error}"))?;
                if node.number != number {
                    return Err(format!("the record of node {} lies under another number", node.number.0));
                }
                self.nodes.insert(number, Rc::new(node));
                Ok(())
            }
            _ => Err("a catalog key of an unknown kind".to_string()),
        }
    }

    fn take_table(&mut self, name: &[u8], record: &[u8]) -> Result<(), String> {
        let table = ItemRef::check(record).and_then(Table::from_item);
        let table = table.map_err(|error| format!("a table's record: {error}"))?;
        if table.name.as_bytes() != name {
            return Err(format!("the record of table {} lies under another name", table.name));
        }
        self.tables.insert(table.name.clone(), Rc::new(table));
        Ok(())
    }

    fn finish(self, founding: &Map) -> Result<Loaded, String> {
        let Some(head) = self.head else {
            // What lies there without a head is of a founding that was cut short.
            let state = State::of_map(founding);
            return Ok(if state.is_alone() { Loaded::State(state) } else { Loaded::Founding(state) });
        };
        let next_table = head.next_table;
        if let Some(table) = self.tables.values().find(|table| table.id.0 >= next_table) {
            return Err(format!("table {} has an id that was not given yet", table.name));
        }
        let Some(cluster) = head.cluster else {
            if !founding.nodes.is_empty() {
                return Err("the state is of a node that was alone, and this one is of a cluster".to_string());
            }
            let state = State::of_map(founding);
            return Ok(Loaded::State(State {
                version: head.version,
                next_table,
                tables: self.tables,
                ..state
            }));
        };
        let (catalog, mut vnodes): (Vec<Vnode>, Vec<Vnode>) =
            self.vnodes.into_iter().partition(|vnode| vnode.id == CATALOG);
        let catalog = catalog.first().ok_or("nothing says who keeps the catalog")?.replicas;
        if vnodes.len() != cluster.vnode_count as usize {
            return Err(format!("there are {} of {} vnodes", vnodes.len(), cluster.vnode_count));
        }
        vnodes.sort_unstable_by_key(|vnode| vnode.start);
        let ring = Ring::new(cluster.epoch, vnodes.into_iter())?;
        Ok(Loaded::State(State {
            version: head.version,
            next_table,
            ring,
            tables: self.tables,
            catalog,
            nodes: self.nodes,
            next_peer: PeerId(cluster.next_peer),
            next_node: cluster.next_node,
            is_paused: cluster.is_paused,
            set_in: self.set_in,
        }))
    }
}
