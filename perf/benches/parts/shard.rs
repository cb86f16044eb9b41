//! One shard, from a request's bytes to a reply's: everything but HTTP and JSON.
//!
//! Sketch, an item of 1 KiB. Put, alone: the log's durable write (70 µs on the virtual disk that this was written on),
//! dispatch, latch, command, memtable and reply, 5 µs together. Put, 64 at a time: the core's time is the bound, 5 to
//! 10 µs each. Get from the memtable: 2 µs.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use model::item::{ItemRef, Value};
use model::key::{KeyAttribute, KeySchema, KeyType, TableId, Token, encode_key, keyspace};
use model::map::Map;
use model::ring::ShardId;
use model::table::{AttributeDefinition, Billing, BillingMode, Table, TableClass, TableStatus};
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use net::message::{ArchivedReply, Catalog, Get, KeyAt, Operation, Put, Request, read_reply};
use runtime::sync::join_all;
use runtime::{Class, Runtime};
use shard::{Shard, ShardOptions, node};

use crate::core::{group, timed};
use crate::samples::{encode, samples};

const KEYS: u64 = 10_000;
const VNODES: u32 = 8;
const MEMORY_BYTES: usize = 256 << 20;
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

pub fn bench(criterion: &mut Criterion) {
    let mut group = group(criterion, "shard/1 KiB");
    group.throughput(Throughput::Elements(1));
    for (name, work, callers) in [
        ("put, 1 caller", Work::Put, 1),
        ("put, 64 callers", Work::Put, 64),
        ("get from the memtable, 1 caller", Work::Get, 1),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, async move |rt, dir, rounds| measure(rt, dir, rounds, work, callers).await)
            });
        });
    }
    group.finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Put,
    Get,
}

/// `rounds` operations by so many callers at once; a get finds what was put before.
async fn measure<R: Runtime>(rt: R, dir: PathBuf, rounds: u64, work: Work, callers: u64) -> Duration {
    let node = Node::start(&rt, dir).await;
    if work == Work::Get {
        for index in 0..KEYS.min(rounds) {
            node.ask(node.put(index)).await;
        }
    }
    let next = Rc::new(Cell::new(0));
    let began = rt.now();
    let tasks = (0..callers).map(|_| {
        let (node, next) = (node.clone(), next.clone());
        rt.spawn(Class::Foreground, async move {
            while next.get() < rounds {
                let index = next.replace(next.get() + 1) % KEYS.min(rounds);
                node.ask(if work == Work::Put { node.put(index) } else { node.get(index) }).await;
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    join_all(tasks).await;
    let spent = rt.now().since(began);
    node.shard.close().await.expect("a disk that works");
    spent
}

/// A node of one shard with one table.
#[derive(Clone)]
struct Node<R: Runtime> {
    rt: R,
    mesh: Mesh<R>,
    shard: Rc<Shard<R>>,
    table: Rc<Table>,
    item: Rc<Vec<u8>>,
}

impl<R: Runtime> Node<R> {
    async fn start(rt: &R, dir: PathBuf) -> Node<R> {
        let identity = node::open(rt, &dir, Some(1), VNODES).await.expect("an empty directory");
        let map = Map::alone(identity.founding_ring());
        let mesh = Mesh::new(rt.clone(), MapCell::new(map), MeshOptions::default());
        let options = ShardOptions::new(&dir, identity, ShardId(0), MEMORY_BYTES);
        let shard = Shard::open(rt.clone(), options, mesh.clone()).await.expect("an empty directory");
        mesh.set_handler(shard.handler());
        let running = shard.clone();
        let run = async move { running.run().await.expect("a disk that works") };
        // Both end with the executor.
        runtime::Task::detach(rt.spawn(Class::Foreground, run));
        let carried = mesh.clone();
        runtime::Task::detach(rt.spawn(Class::Foreground, async move { carried.run().await }));
        mesh.map().at_least(1).await;
        let item = Rc::new(encode(&samples()[0].json));
        let mut node = Node { rt: rt.clone(), mesh, shard, table: Rc::new(table()), item };
        node.ask(Operation::Catalog(Catalog::Create(node.table.to_item()))).await;
        while node.table.status != TableStatus::Active {
            let reply = node.ask(Operation::Catalog(Catalog::Describe(node.table.name.clone()))).await;
            let ArchivedReply::Table(record) = read_reply(&reply).expect("a sound reply") else {
                panic!("the table cannot be described");
            };
            let record = ItemRef::check(record).expect("a sound record");
            node.table = Rc::new(Table::from_item(record).expect("a table"));
            rt.sleep(Duration::from_millis(1)).await;
        }
        node
    }

    /// One call; a reply that is not what was asked for ends the benchmark.
    async fn ask(&self, operation: Operation) -> Vec<u8> {
        let request = Request { epoch: self.mesh.map().get().ring.epoch, operation };
        let deadline = self.rt.now().after(CALL_TIME_MAX);
        let reply = self.mesh.call(ShardId(0), deadline, request.encode()).await.expect("an answer in time");
        let answered = match read_reply(&reply).expect("a sound reply") {
            ArchivedReply::Item(item) => item.item.is_some(),
            ArchivedReply::Written(_) | ArchivedReply::Table(_) => true,
            _ => false,
        };
        assert!(answered, "the shard refused: {:?}", read_reply(&reply));
        reply
    }

    fn at(&self, index: u64) -> KeyAt {
        let partition = Value::S(format!("k{index:016}")).encode();
        let partition = model::item::ValueRef::trusted(&partition);
        let key = encode_key(keyspace::ITEMS, self.table.id, &self.table.schema, partition, None);
        let vnode = self.mesh.map().get().ring.owner(Token::of(partition).high()).id;
        KeyAt { vnode: vnode.0, table: self.table.id.0, key }
    }

    fn put(&self, index: u64) -> Operation {
        Operation::Put(Put {
            at: self.at(index),
            item: self.item.to_vec(),
            condition: None,
            return_old: false,
            return_old_on_failure: false,
            measure: false,
        })
    }

    fn get(&self, index: u64) -> Operation {
        Operation::Get(Get { at: self.at(index), consistent: true, projection: None })
    }
}

fn table() -> Table {
    let partition = KeyAttribute { name: "pk".to_owned(), kind: KeyType::S };
    Table {
        id: TableId(0),
        uuid: String::new(),
        name: "bench".to_owned(),
        schema: KeySchema { partition, sort: None },
        attribute_definitions: vec![AttributeDefinition { name: "pk".to_owned(), kind: KeyType::S }],
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
