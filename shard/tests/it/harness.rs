//! A simulated node of shards, and a client that speaks messages to it.

use model::error::Code;
use model::expression::{ExpressionKind, Placeholders, parse_condition, parse_projection, parse_update};
use model::item::{ItemRef, Value};
use model::key::{
    KeyAttribute, KeySchema, KeyType, KeyValues, TableId, Token, encode_key, key_item, key_of_item, keyspace,
};
use model::map::Map;
use model::number::Number;
use model::ring::ShardId;
use model::table::{AttributeDefinition, Billing, BillingMode, Table, TableClass, TableStatus};
use net::map::MapCell;
use net::mesh::{CallError, Mesh, MeshOptions};
use net::message::*;
use runtime::sim::{NodeId, SimRuntime, World, WorldOptions};
use runtime::sync::{Either, select};
use runtime::{CoreId, Runtime};
use shard::node::{self, Identity};
use shard::{Shard, ShardOptions};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

pub const DATA: &str = "data";
pub const VNODES: u32 = 8;

type Attributes = BTreeMap<String, Value>;
pub type Change = Rc<dyn Fn(&mut ShardOptions)>;
pub type Founding = Rc<dyn Fn(&Identity) -> Map>;

/// One core's parts, while its node is up.
#[derive(Clone)]
pub struct Part {
    pub rt: SimRuntime,
    pub mesh: Mesh<SimRuntime>,
    pub shard: Rc<Shard<SimRuntime>>,
}

/// A node of shards in a world of its own.
pub struct Node {
    pub world: World,
    pub id: NodeId,
    pub cores: u16,
    pub change: Change,
    /// What the node knows when it starts.
    pub founding: Founding,
    pub parts: Rc<RefCell<BTreeMap<u16, Part>>>,
    /// Why shards did not open, or stopped.
    pub failures: Rc<RefCell<Vec<String>>>,
    /// What shards reported.
    pub reports: Rc<RefCell<Vec<String>>>,
}

impl Node {
    /// A node of `cores` shards, started.
    pub fn new(seed: u64, cores: u16) -> Node {
        Node::with(World::new(seed, WorldOptions::default()), cores, |_| ())
    }

    /// The same, in this world and with other options.
    pub fn with(world: World, cores: u16, change: impl Fn(&mut ShardOptions) + 'static) -> Node {
        let alone = |identity: &Identity| Map::alone(identity.founding_ring());
        Node::founded(world, cores, change, alone)
    }

    /// The same, in a cluster that begins with this map.
    pub fn founded(
        world: World,
        cores: u16,
        change: impl Fn(&mut ShardOptions) + 'static,
        founding: impl Fn(&Identity) -> Map + 'static,
    ) -> Node {
        let id = world.node("n");
        let node = Node {
            world,
            id,
            cores,
            change: Rc::new(change),
            founding: Rc::new(founding),
            parts: Rc::default(),
            failures: Rc::default(),
            reports: Rc::default(),
        };
        node.start();
        node
    }

    /// Starts the node's program; it must be down.
    pub fn start(&self) {
        self.parts.borrow_mut().clear();
        self.world.start(self.id, usize::from(self.cores), |rt| {
            let (change, founding) = (self.change.clone(), self.founding.clone());
            let parts = self.parts.clone();
            let (failures, reports, cores) = (self.failures.clone(), self.reports.clone(), self.cores);
            async move {
                if let Err(why) = serve(rt, cores, (change, founding), parts, reports).await {
                    failures.borrow_mut().push(why);
                }
            }
        });
    }

    /// Power off and on again.
    pub fn restart(&self) {
        self.world.crash(self.id);
        self.start();
    }

    /// Runs until every shard serves; false when that does not come to be.
    pub fn settle(&self) -> bool {
        let serving = |part: &Part| part.mesh.map().get().version > 0;
        let settled = || {
            let serving = self.parts.borrow().values().filter(|part| serving(part)).count();
            serving == usize::from(self.cores) || !self.failures.borrow().is_empty()
        };
        self.world.block_on_for(Duration::from_secs(60), async {
            while !settled() {
                self.world.sleep(Duration::from_millis(1)).await;
            }
        });
        settled() && self.failures.borrow().is_empty()
    }

    /// A client at one core.
    pub fn client(&self, core: u16) -> Client {
        let part = self.parts.borrow()[&core].clone();
        Client { mesh: part.mesh, rt: part.rt, table: RefCell::new(None).into() }
    }

    /// Runs a script with a client at core 0, once all serve.
    pub fn run<T, F: Future<Output = T>>(&self, script: impl FnOnce(Client) -> F) -> T {
        assert!(self.settle(), "the shards do not serve: {:?}", self.failures.borrow());
        self.world.block_on(script(self.client(0)))
    }

    /// One shard.
    pub fn shard(&self, core: u16) -> Rc<Shard<SimRuntime>> {
        self.parts.borrow()[&core].shard.clone()
    }
}

async fn serve(
    rt: SimRuntime,
    cores: u16,
    (change, founding): (Change, Founding),
    parts: Rc<RefCell<BTreeMap<u16, Part>>>,
    reports: Rc<RefCell<Vec<String>>>,
) -> Result<(), String> {
    let identity = identity(&rt, cores).await?;
    let mesh = Mesh::new(rt.clone(), MapCell::new(founding(&identity)), MeshOptions::default());
    let mut options = ShardOptions::new(Path::new(DATA), identity, ShardId(rt.core().0), 64 << 20);
    options.report = Rc::new(move |line| reports.borrow_mut().push(line.to_string()));
    change(&mut options);
    let shard = Shard::open(rt.clone(), options, mesh.clone()).await.map_err(|error| error.to_string())?;
    mesh.set_handler(shard.handler());
    parts.borrow_mut().insert(rt.core().0, Part { rt, mesh: mesh.clone(), shard: shard.clone() });
    match select(shard.run(), mesh.run()).await {
        Either::First(outcome) => outcome.map_err(|error| error.to_string()),
        Either::Second(()) => Ok(()),
    }
}

/// Core 0 founds or reads; the others wait for it.
async fn identity(rt: &SimRuntime, cores: u16) -> Result<Identity, String> {
    if rt.core() == CoreId(0) {
        return node::open(rt, Path::new(DATA), Some(cores), VNODES).await.map_err(|error| error.to_string());
    }
    loop {
        match node::read(rt, Path::new(DATA)).await {
            Ok(Some(identity)) => return Ok(identity),
            Ok(None) => rt.sleep(Duration::from_millis(1)).await,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A reply, taken out of its bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Item(Option<Attributes>, u32),
    Written { attributes: Option<Attributes>, old: u32, new: u32 },
    Many(Vec<Answer>),
    Page(PageAnswer),
    Table(Box<Table>),
    Done,
    Failed(Code, String, Option<Attributes>),
    Moved { epoch: u64, node: u16, shard: u16 },
    Busy,
    Skipped,
    Measured(u64, u64),
    Map(Vec<u8>),
    Joined(u16),
    Status { moving: u32, left: u32, paused: bool, up: Vec<(u16, bool)> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct PageAnswer {
    pub items: Vec<Attributes>,
    pub count: u32,
    pub scanned: u32,
    pub charged: u32,
    pub last: Option<(Vec<u8>, Attributes)>,
}

impl Answer {
    pub fn failure(&self) -> (Code, &str) {
        let Answer::Failed(code, message, _) = self else { panic!("not a failure: {self:?}") };
        (*code, message)
    }

    pub fn attributes(&self) -> Option<&Attributes> {
        match self {
            Answer::Item(attributes, _) | Answer::Written { attributes, .. } => attributes.as_ref(),
            other => panic!("no attributes in {other:?}"),
        }
    }

    pub fn page(self) -> PageAnswer {
        let Answer::Page(page) = self else { panic!("not a page: {self:?}") };
        page
    }

    pub fn measured(self) -> (u64, u64) {
        let Answer::Measured(items, bytes) = self else { panic!("not a measure: {self:?}") };
        (items, bytes)
    }

    pub fn table(self) -> Table {
        let Answer::Table(table) = self else { panic!("not a table: {self:?}") };
        *table
    }
}

fn attributes(item: &[u8]) -> Attributes {
    Value::attributes(ItemRef::check(item).expect("a sound item"))
}

pub fn read_answer(bytes: &[u8]) -> Answer {
    match read_reply(bytes).expect("a sound reply") {
        ArchivedReply::Item(item) => read_item(item),
        ArchivedReply::Written(written) => read_written(written),
        ArchivedReply::Many(parts) => Answer::Many(parts.iter().map(read_part).collect()),
        ArchivedReply::Page(page) => Answer::Page(PageAnswer {
            items: page.items.iter().map(attributes).collect(),
            count: page.count.to_native(),
            scanned: page.scanned.to_native(),
            charged: page.charged_bytes.to_native(),
            last: page.last.as_ref().map(|last| (last.key.to_vec(), attributes(&last.key_item))),
        }),
        ArchivedReply::Table(record) => {
            let item = ItemRef::check(record).expect("a sound record");
            Answer::Table(Box::new(Table::from_item(item).expect("a table")))
        }
        ArchivedReply::Done => Answer::Done,
        ArchivedReply::Failed(failed) => read_failed(failed),
        ArchivedReply::Moved(moved) => read_moved(moved),
        ArchivedReply::Busy => Answer::Busy,
        ArchivedReply::Measured(measured) => {
            Answer::Measured(measured.items.to_native(), measured.bytes.to_native())
        }
        ArchivedReply::Map(map) => Answer::Map(map.to_vec()),
        ArchivedReply::Joined(node) => Answer::Joined(node.to_native()),
        ArchivedReply::Status(status) => Answer::Status {
            moving: status.moving.to_native(),
            left: status.left.to_native(),
            paused: status.paused,
            up: status.nodes.iter().map(|node| (node.node.to_native(), node.up)).collect(),
        },
        ArchivedReply::Image(_) => panic!("only replicas ask for images"),
    }
}

fn read_part(part: &ArchivedPart) -> Answer {
    match part {
        ArchivedPart::Item(item) => read_item(item),
        ArchivedPart::Written(written) => read_written(written),
        ArchivedPart::Skipped => Answer::Skipped,
        ArchivedPart::Failed(failed) => read_failed(failed),
        ArchivedPart::Moved(moved) => read_moved(moved),
        ArchivedPart::Busy => Answer::Busy,
    }
}

fn read_item(item: &ArchivedItem) -> Answer {
    Answer::Item(optional(&item.item).map(attributes), item.charged_bytes.to_native())
}

fn read_written(written: &ArchivedWritten) -> Answer {
    let attributes = optional(&written.attributes).map(attributes);
    Answer::Written { attributes, old: written.old_bytes.to_native(), new: written.new_bytes.to_native() }
}

fn read_failed(failed: &ArchivedFailed) -> Answer {
    let code = Code::from_number(failed.code.to_native()).expect("a known code");
    Answer::Failed(code, failed.message.as_str().to_string(), optional(&failed.item).map(attributes))
}

fn read_moved(moved: &ArchivedMoved) -> Answer {
    let (node, shard) = (moved.node.to_native(), moved.shard.to_native());
    Answer::Moved { epoch: moved.epoch.to_native(), node, shard }
}

/// A client at one core: finds the owner in the core's map and asks it.
#[derive(Clone)]
pub struct Client {
    pub mesh: Mesh<SimRuntime>,
    pub rt: SimRuntime,
    table: Rc<RefCell<Option<Rc<Table>>>>,
}

impl Client {
    /// Sends an operation to a shard, whether or not it is the owner.
    pub async fn send(&self, shard: ShardId, operation: Operation) -> Result<Answer, CallError> {
        let epoch = self.mesh.map().get().ring.epoch;
        self.send_in(epoch, shard, operation).await
    }

    pub async fn send_in(
        &self,
        epoch: u64,
        shard: ShardId,
        operation: Operation,
    ) -> Result<Answer, CallError> {
        let deadline = self.rt.now().after(Duration::from_secs(30));
        let reply = self.mesh.call(shard, deadline, Request { epoch, operation }.encode()).await?;
        Ok(read_answer(&reply))
    }

    /// Sends an operation to the owner of `at`.
    pub async fn ask(&self, at: &KeyAt, operation: Operation) -> Answer {
        self.try_ask(at, operation).await.expect("the call ends with a reply")
    }

    pub async fn try_ask(&self, at: &KeyAt, operation: Operation) -> Result<Answer, CallError> {
        self.send(self.owner(at.vnode), operation).await
    }

    pub fn owner(&self, vnode: u32) -> ShardId {
        let map = self.mesh.map().get();
        map.ring.vnode(model::ring::VnodeId(vnode)).expect("a vnode of the ring").leader().shard
    }

    /// Makes a table with partition key `p` (string) and sort key `s` (number), and waits until it is active.
    pub async fn create(&self, name: &str) -> Rc<Table> {
        let answer = self.catalog(Catalog::Create(table(name).to_item())).await;
        assert_eq!(answer.table().status, TableStatus::Creating);
        self.active(name).await
    }

    /// Waits until a table is active, and works with it from now on.
    pub async fn active(&self, name: &str) -> Rc<Table> {
        loop {
            let map = self.mesh.map().get();
            if let Some(table) = map.tables.get(name).filter(|table| table.status == TableStatus::Active) {
                *self.table.borrow_mut() = Some(table.clone());
                return table.clone();
            }
            self.mesh.map().at_least(map.version + 1).await;
        }
    }

    /// Works from now on with a table that is active already.
    pub fn active_now(&self, name: &str) {
        let table = self.mesh.map().get().tables.get(name).cloned();
        *self.table.borrow_mut() = Some(table.expect("the table is there"));
    }

    pub async fn catalog(&self, change: Catalog) -> Answer {
        self.send(ShardId(0), Operation::Catalog(change)).await.expect("the catalog answers")
    }

    /// Where a key of the current table lives.
    pub fn at(&self, partition: &str, sort: i64) -> KeyAt {
        let table = self.table.borrow().clone().expect("a table");
        let partition = Value::S(partition.to_string()).encode();
        let sort = number(sort).encode();
        let values = (model::item::ValueRef::trusted(&partition), model::item::ValueRef::trusted(&sort));
        let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.0, Some(values.1));
        let vnode = self.mesh.map().get().ring.owner(Token::of(values.0).high()).id;
        KeyAt { vnode: vnode.0, table: table.id.0, key }
    }

    pub async fn put(&self, partition: &str, sort: i64, more: &[(&str, Value)]) -> Answer {
        let at = self.at(partition, sort);
        self.ask(&at.clone(), Operation::Put(put(at, item(partition, sort, more)))).await
    }

    pub async fn get(&self, partition: &str, sort: i64) -> Answer {
        let at = self.at(partition, sort);
        self.ask(&at.clone(), Operation::Get(Get { at, consistent: true, projection: None })).await
    }

    pub async fn delete(&self, partition: &str, sort: i64) -> Answer {
        let at = self.at(partition, sort);
        self.ask(&at.clone(), Operation::Delete(delete(at))).await
    }

    pub async fn update(&self, partition: &str, sort: i64, text: &str, values: &[(&str, Value)]) -> Answer {
        let at = self.at(partition, sort);
        let operation = Operation::Update(update(at.clone(), partition, sort, text, values));
        self.ask(&at, operation).await
    }

    /// Whether every shard refuses a request.
    pub async fn all_refuse(&self) -> bool {
        let mut refused = true;
        for shard in 0..self.rt.core_count() {
            let shard = ShardId(u16::try_from(shard).expect("few cores"));
            let operation = Operation::Drop(Drop { vnode: 1, table: 9999 });
            refused &= matches!(
                self.send(shard, operation).await,
                Ok(Answer::Busy) | Err(CallError::NotServing | CallError::Closed)
            );
        }
        refused
    }

    /// Items and bytes of a table, as all shards together say.
    pub async fn measure(&self, table: TableId) -> (u64, u64) {
        let (mut items, mut bytes) = (0, 0);
        for shard in 0..self.rt.core_count() {
            let shard = ShardId(u16::try_from(shard).expect("few cores"));
            let operation = Operation::Measure(Measure { table: table.0 });
            let measured = self.send(shard, operation).await.expect("a shard answers").measured();
            (items, bytes) = (items + measured.0, bytes + measured.1);
        }
        (items, bytes)
    }

    /// Every item of the current table, by scanning all vnodes page after page.
    pub async fn scan_all(&self) -> Vec<Attributes> {
        let map = self.mesh.map().get();
        let table = self.table.borrow().clone().expect("a table");
        let mut items = Vec::new();
        for vnode in map.ring.vnodes() {
            let mut from = model::key::table_range(keyspace::ITEMS, table.id).from;
            loop {
                let to = model::key::table_range(keyspace::ITEMS, table.id).to;
                let scan = scan(vnode.id.0, table.id, from.clone(), to);
                let page = self.send(vnode.leader().shard, Operation::Scan(scan)).await.unwrap().page();
                items.extend(page.items);
                match page.last {
                    Some((key, _)) => from = model::key::successor(&key),
                    None => break,
                }
            }
        }
        items
    }
}

pub fn number(value: i64) -> Value {
    Value::N(Number::parse(&value.to_string()).expect("a number"))
}

pub fn text(value: &str) -> Value {
    Value::S(value.to_string())
}

/// An item's attributes: its key and more.
pub fn attributes_of(partition: &str, sort: i64, more: &[(&str, Value)]) -> Attributes {
    let mut attributes: Attributes =
        more.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect();
    attributes.insert("p".to_string(), text(partition));
    attributes.insert("s".to_string(), number(sort));
    attributes
}

pub fn item(partition: &str, sort: i64, more: &[(&str, Value)]) -> Vec<u8> {
    Value::encode_item(&attributes_of(partition, sort, more))
}

pub fn put(at: KeyAt, item: Vec<u8>) -> Put {
    Put { at, item, condition: None, return_old: false, return_old_on_failure: false, measure: false }
}

pub fn delete(at: KeyAt) -> Delete {
    Delete { at, condition: None, return_old: false, return_old_on_failure: false, measure: false }
}

pub fn update(at: KeyAt, partition: &str, sort: i64, text: &str, values: &[(&str, Value)]) -> Update {
    Update {
        at,
        key_item: item(partition, sort, &[]),
        program: (!text.is_empty()).then(|| update_program(text, values)),
        condition: None,
        returns: ReturnValues::AllNew,
        return_old_on_failure: false,
    }
}

pub fn scan(vnode: u32, table: TableId, from: Vec<u8>, to: Vec<u8>) -> Scan {
    Scan {
        vnode,
        table: table.0,
        from,
        to,
        forward: true,
        limit: LIMIT_NONE,
        bytes_max: PAGE_BYTES_MAX,
        consistent: true,
        filter: None,
        projection: None,
        count_only: false,
    }
}

fn with_values<T>(values: &[(&str, Value)], parse: impl FnOnce(&mut Placeholders<'_>) -> T) -> T {
    let encoded: Vec<(&str, Vec<u8>)> = values.iter().map(|(name, value)| (*name, value.encode())).collect();
    let mut placeholders = Placeholders::new();
    if !encoded.is_empty() {
        placeholders
            .set_values(encoded.iter().map(|(name, value)| (*name, value.as_slice())))
            .expect("values");
    }
    parse(&mut placeholders)
}

pub fn condition_program(text: &str, values: &[(&str, Value)]) -> Vec<u8> {
    with_values(values, |placeholders| {
        parse_condition(ExpressionKind::Condition, text, placeholders).expect("a condition").encode()
    })
}

pub fn update_program(text: &str, values: &[(&str, Value)]) -> Vec<u8> {
    with_values(values, |placeholders| parse_update(text, placeholders).expect("an update").encode())
}

pub fn projection_program(text: &str) -> Vec<u8> {
    parse_projection(text, &mut Placeholders::new()).expect("a projection").encode()
}

/// The key attributes of an item, as a key item has them.
pub fn key_attributes(partition: &str, sort: i64) -> Attributes {
    let (schema, item) = (schema(), item(partition, sort, &[]));
    let KeyValues { partition, sort } = key_of_item(&schema, ItemRef::trusted(&item)).expect("a key");
    attributes(&key_item(&schema, KeyValues { partition, sort }))
}

pub fn schema() -> KeySchema {
    KeySchema {
        partition: KeyAttribute { name: "p".to_string(), kind: KeyType::S },
        sort: Some(KeyAttribute { name: "s".to_string(), kind: KeyType::N }),
    }
}

/// A table as a router asks for it.
pub fn table(name: &str) -> Table {
    let definition = |name: &str, kind| AttributeDefinition { name: name.to_string(), kind };
    Table {
        id: TableId(0),
        uuid: String::new(),
        name: name.to_string(),
        schema: schema(),
        attribute_definitions: vec![definition("p", KeyType::S), definition("s", KeyType::N)],
        status: TableStatus::Creating,
        created_us: 0,
        billing: Billing { mode: BillingMode::PayPerRequest, ..Billing::default() },
        deletion_protection: false,
        class: TableClass::default(),
        encryption: None,
        time_to_live: None,
        tags: Vec::new(),
    }
}
