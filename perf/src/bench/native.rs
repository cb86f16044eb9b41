//! torc's own protocol: the generator as a router is, straight to the shard that owns a key.
//!
//! ```text
//! address + secret --hello--> a node --watch--> map --> key's vnode --> its leader's shard <--frame-- Get or Put
//! ```
//!
//! 1. Table and preload go over `--endpoint`, as ever. Then the cluster is found by one address of a node, as a router finds it, and its map is asked for
//!    until the table is in it.
//! 2. Each core has links of its own to every shard; its lanes share them. A lane has one request in flight.
//! 3. A shard that is not the owner names who is; it is asked instead, up to five times.
//!
//! What is left out: everything but GetItem and PutItem without a condition. What is read comes back as the JSON that a router would have made of it, so
//! that `--verify` sees no difference; that is part of the time that is measured, as it is for a router.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use model::error::Code;
use model::item::{ItemRef, Value, ValueRef};
use model::key::{encode_key, keyspace, token_high_of_key};
use model::map::Map;
use model::number::Number;
use model::ring::{NodeId, Place, ShardId};
use model::table::Table;
use net::fabric::Fabric;
use net::map::MapCell;
use net::message::{ArchivedReply, Get, KeyAt, Operation as Asked, Put, Request, optional, read_reply};
use net::secret::{Secret, Trust};
use process::outside::{fabric, find_cluster};
use process::peers::Peers;
use runtime::Runtime;

use super::client::Answer;
use super::options::{NativeTarget, Plan};
use super::request::Contents;
use super::workload::Operation;

/// How often a request goes on to somebody else.
const TRIES_MAX: u32 = 5;
/// How long a new table may take to be in the map.
const TABLE_TIME_MAX: Duration = Duration::from_secs(20);
/// Between two looks at the map.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One core's way to the shards of a cluster.
pub struct Native<R: Runtime> {
    rt: R,
    map: Rc<Map>,
    table: Rc<Table>,
    fabric: Fabric<R>,
    consistent: bool,
    timeout: Duration,
    /// Ends with this.
    _carrier: R::Task<()>,
}

/// What a shard said.
pub enum Said {
    /// It is done; the JSON of an answer.
    Done(Vec<u8>),
    /// Nothing was done.
    Refused(String),
    /// What was done is unknown.
    Failed(String),
}

impl Said {
    /// As an answer over HTTP would have been.
    pub fn answer(&self) -> Answer<'_> {
        match self {
            Said::Done(body) => Answer::Done(body),
            Said::Refused(code) => Answer::Refused(code.clone()),
            Said::Failed(code) => Answer::Failed(code.clone()),
        }
    }
}

/// Whom to trust, out of the file with the cluster's secret.
pub fn peers(secret_file: Option<&Path>) -> anyhow::Result<Peers> {
    let Some(path) = secret_file else { return Ok(Peers::new(Trust::Everybody, None)) };
    let bytes = super::options::read(path).context("--secret-file")?;
    let secret =
        Secret::new(bytes.trim_ascii()).with_context(|| format!("--secret-file {}", path.display()))?;
    Ok(Peers::new(Trust::Secret(secret), None))
}

impl<R: Runtime> Native<R> {
    /// Finds the cluster that `target` is a node of, and the run's table in it.
    pub async fn open(rt: &R, plan: &Plan, target: &NativeTarget) -> anyhow::Result<Native<R>> {
        let until = rt.now().after(TABLE_TIME_MAX);
        let (cluster, map) = loop {
            let found = find_cluster(rt, &[target.address], &target.peers).await;
            let (cluster, map) = found.with_context(|| {
                format!(
                    "--native {}: nothing there speaks torc's own protocol; it is what nodes of a cluster listen on for each other \
                     (`torc cluster`, `torc node`), and a `torc serve` that is alone has no such port",
                    target.address
                )
            })?;
            if map.tables.contains_key(&plan.table) {
                break (cluster, map);
            }
            if rt.now() >= until {
                bail!(
                    "--native {}: its cluster has no table {}: is --endpoint a router of the same cluster?",
                    target.address,
                    plan.table
                );
            }
            rt.sleep(LOOK_EVERY).await;
        };
        let table = map.tables[&plan.table].clone();
        let cell = MapCell::new(map);
        let (fabric, carrier) = fabric(rt, cluster, &target.peers, &cell);
        Ok(Native {
            rt: rt.clone(),
            map: cell.get(),
            table,
            fabric,
            consistent: plan.consistent,
            timeout: plan.timeout,
            _carrier: carrier,
        })
    }

    /// Does one request of `operation`.
    pub async fn exchange(&self, contents: &Contents, operation: &Operation) -> Said {
        let asked = match operation {
            Operation::Put { key, version, size, .. } => self.put(contents, *key, *version, *size),
            Operation::Insert { key, version } | Operation::Modify { key, version, was_read: true, .. } => {
                self.put(contents, *key, *version, 0)
            }
            Operation::Get { key, .. } | Operation::Modify { key, .. } => {
                let get = Get { at: self.at(contents, *key), consistent: self.consistent, projection: None };
                Asked::Get(get)
            }
            other => unreachable!("refused when the plan was made: {other:?}"),
        };
        self.ask(asked).await
    }

    fn put(&self, contents: &Contents, key: u64, version: u64, size: u32) -> Asked {
        let filler =
            std::str::from_utf8(contents.filler_of(key, version, size)).expect("fillers are letters");
        let mut attributes = key_attributes(contents, key);
        attributes.insert("v".to_owned(), Value::N(Number::parse(&version.to_string()).expect("a number")));
        attributes.insert("d".to_owned(), Value::S(filler.to_owned()));
        Asked::Put(Put {
            at: self.at(contents, key),
            item: Value::encode_item(&attributes),
            condition: None,
            return_old: false,
            return_old_on_failure: false,
            measure: false,
        })
    }

    fn at(&self, contents: &Contents, key: u64) -> KeyAt {
        let attributes = key_attributes(contents, key);
        let text = |name: &str| match attributes.get(name) {
            Some(Value::S(text)) => Some(ValueRef::S(text)),
            _ => None,
        };
        let (partition, sort) = (text("pk").expect("every item has one"), text("sk"));
        let key = encode_key(keyspace::ITEMS, self.table.id, &self.table.schema, partition, sort);
        let vnode = self.map.ring.owner(token_high_of_key(&key).expect("a whole key")).id;
        KeyAt { vnode: vnode.0, table: self.table.id.0, key }
    }

    /// Asks the leader of the key's vnode, and whoever is named instead.
    async fn ask(&self, asked: Asked) -> Said {
        let vnode = match &asked {
            Asked::Get(get) => get.at.vnode,
            Asked::Put(put) => put.at.vnode,
            other => unreachable!("only these are made here: {other:?}"),
        };
        let vnode = self.map.ring.vnode(model::ring::VnodeId(vnode)).expect("it came from this ring");
        let mut place = vnode.leader();
        let bytes = Request { epoch: self.map.ring.epoch, operation: asked }.encode();
        let deadline = self.rt.now().after(self.timeout);
        for _ in 0..TRIES_MAX {
            let reply = match self.fabric.call(place, deadline, bytes.clone()).await {
                Ok(reply) => reply,
                Err(error) if error.had_no_effect() => return Said::Refused(format!("{error:?}")),
                Err(error) => return Said::Failed(format!("{error:?}")),
            };
            match read_reply(&reply) {
                Ok(ArchivedReply::Item(item)) => return Said::Done(json(optional(&item.item))),
                Ok(ArchivedReply::Written(_)) => return Said::Done(b"{}".to_vec()),
                Ok(ArchivedReply::Moved(moved)) => {
                    place = Place {
                        node: NodeId(moved.node.to_native()),
                        shard: ShardId(moved.shard.to_native()),
                    };
                }
                Ok(ArchivedReply::Busy) => return Said::Refused("Busy".to_owned()),
                Ok(ArchivedReply::Failed(failed)) => return refusal(failed.code.to_native()),
                Ok(_) | Err(_) => return Said::Failed("BadReply".to_owned()),
            }
        }
        Said::Refused("Moved".to_owned())
    }
}

fn refusal(number: u16) -> Said {
    match Code::from_number(number) {
        Some(code) => Said::Refused(format!("{code:?}")),
        None => Said::Failed(format!("Code{number}")),
    }
}

fn key_attributes(contents: &Contents, key: u64) -> BTreeMap<String, Value> {
    let (partition, sort) = contents.key_texts(key);
    let mut attributes = BTreeMap::from([("pk".to_owned(), Value::S(partition))]);
    attributes.extend(sort.map(|sort| ("sk".to_owned(), Value::S(sort))));
    attributes
}

/// The answer of GetItem that a router would have made. Our items hold strings and numbers of letters and digits: nothing has to be escaped.
fn json(item: Option<&[u8]>) -> Vec<u8> {
    let Some(item) = item else { return b"{}".to_vec() };
    let mut text = String::from("{\"Item\":{");
    for (index, (name, value)) in ItemRef::trusted(item).iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let written = match value {
            ValueRef::S(value) => write!(text, "{comma}\"{name}\":{{\"S\":\"{value}\"}}"),
            ValueRef::N(value) => write!(text, "{comma}\"{name}\":{{\"N\":\"{value}\"}}"),
            other => write!(text, "{comma}\"{name}\":{{\"{}\":\"\"}}", other.type_name()),
        };
        written.expect("a String takes every text");
    }
    text.push_str("}}");
    text.into_bytes()
}
