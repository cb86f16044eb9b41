//! A small DynamoDB that does what it is told, also wrong things: one table, items of the generator's shape.
//!
//! It answers over real HTTP on any runtime, so that the generator is tested with its client and all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use runtime::{Class, Listener, Runtime, Stream, Task};
use serde_json::{Value, json};

/// What the server does besides answering. `n` in "every nth" counts requests from 1; 0 is never.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Time from a request to its answer.
    pub delay: Duration,
    /// Every nth PutItem is refused with a throttling error.
    pub throttles_every: u64,
    /// Every nth PutItem is written and answered with a 500.
    pub fails_after_writing_every: u64,
    /// Every nth PutItem is answered with a 500 and written this much later.
    pub writes_late_every: u64,
    /// Every nth request is never answered.
    pub hangs_every: u64,
    /// Every nth BatchWriteItem leaves its last item unprocessed.
    pub leaves_unprocessed_every: u64,
    /// All BatchWriteItem are refused.
    pub refuses_batches: bool,
    /// Whether it answers `x-torc-trace` requests with their stages.
    pub sends_stages: bool,
    /// WRONG: conditions are not looked at.
    pub ignores_conditions: bool,
    /// WRONG: every nth Query leaves out an item.
    pub leaves_out_every: u64,
    /// WRONG: every nth PutItem is acknowledged and not written.
    pub loses_every: u64,
    /// WRONG: every nth PutItem is refused and written.
    pub writes_refused_every: u64,
    /// WRONG: every nth GetItem shows the item as it was before its last write.
    pub stale_every: u64,
    /// WRONG: every nth GetItem shows an item with one changed letter.
    pub garbles_every: u64,
    /// WRONG: every nth GetItem shows another item.
    pub swaps_every: u64,
}

/// What the server holds and has seen.
#[derive(Debug, Default)]
pub struct State {
    pub table: Option<String>,
    pub items: BTreeMap<String, Value>,
    before: BTreeMap<String, Value>,
    pub puts: u64,
    pub gets: u64,
    pub batches: u64,
    pub queries: u64,
    pub requests: u64,
    /// Requests by operation.
    pub seen: BTreeMap<String, u64>,
}

/// The server. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    pub behaviour: Behaviour,
    pub state: Rc<RefCell<State>>,
}

const STAGES: &str = "x-torc-trace: parse;dur=10.000, read;dur=30.000, total;dur=40.000\r\n";

fn due(count: u64, every: u64) -> bool {
    every > 0 && count.is_multiple_of(every)
}

impl Fake {
    pub fn new(behaviour: Behaviour) -> Fake {
        Fake { behaviour, state: Rc::default() }
    }

    /// Serves until it is dropped.
    pub async fn serve<R: Runtime>(self, rt: R, listener: R::Listener) {
        loop {
            let (stream, _) = listener.accept().await.expect("a listener that works");
            rt.spawn(Class::Foreground, self.clone().converse(rt.clone(), stream)).detach();
        }
    }

    async fn converse<R: Runtime>(self, rt: R, stream: R::Stream) {
        let mut bytes = Vec::new();
        let mut piece = vec![0; 4096];
        loop {
            while let Some((target, body, size)) = parse(&bytes) {
                let asks = bytes[..size].windows(15).any(|part| part == b"x-torc-trace: 1");
                let stages = if asks && self.behaviour.sends_stages { STAGES } else { "" };
                bytes.drain(..size);
                let Some((status, reply)) = self.handle(&rt, &target, &body) else {
                    return std::future::pending().await;
                };
                rt.sleep(self.behaviour.delay).await;
                let reply = reply.to_string();
                let head = format!("HTTP/1.1 {status} X\r\n{stages}content-length: {}\r\n\r\n", reply.len());
                if stream.write_all([head.as_bytes(), reply.as_bytes()].concat().as_slice()).await.is_err() {
                    return;
                }
            }
            match stream.read(&mut piece).await {
                Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
                _ => return,
            }
        }
    }

    /// Status and body; `None` for no answer at all.
    fn handle<R: Runtime>(&self, rt: &R, operation: &str, body: &Value) -> Option<(u16, Value)> {
        let requests = {
            let mut state = self.state.borrow_mut();
            state.requests += 1;
            *state.seen.entry(operation.to_owned()).or_default() += 1;
            state.requests
        };
        if due(requests, self.behaviour.hangs_every) {
            return None;
        }
        Some(match operation {
            "CreateTable" => self.create(body),
            "DescribeTable" => self.describe(body),
            "DeleteTable" => self.delete(body),
            "PutItem" => self.put(rt, body),
            "GetItem" => self.get(body),
            "BatchWriteItem" => self.batch(body),
            "UpdateItem" => self.update(body),
            "DeleteItem" => {
                self.state.borrow_mut().items.remove(&key_of(&body["Key"]));
                (200, json!({}))
            }
            "Query" => self.query(body),
            "BatchGetItem" => self.batch_get(body),
            other => error(400, other),
        })
    }

    fn create(&self, body: &Value) -> (u16, Value) {
        let mut state = self.state.borrow_mut();
        if state.table.is_some() {
            return error(400, "ResourceInUseException");
        }
        state.table = body["TableName"].as_str().map(str::to_owned);
        (200, json!({"TableDescription": {"TableStatus": "CREATING"}}))
    }

    /// A table becomes active when it is looked at for the second time.
    fn describe(&self, body: &Value) -> (u16, Value) {
        let state = self.state.borrow();
        if state.table.as_deref() != body["TableName"].as_str() {
            return error(400, "ResourceNotFoundException");
        }
        let status = if state.requests.is_multiple_of(2) { "CREATING" } else { "ACTIVE" };
        (200, json!({"Table": {"TableStatus": status}}))
    }

    fn delete(&self, body: &Value) -> (u16, Value) {
        let mut state = self.state.borrow_mut();
        if state.table.as_deref() != body["TableName"].as_str() {
            return error(400, "ResourceNotFoundException");
        }
        state.table = None;
        (200, json!({}))
    }

    fn put<R: Runtime>(&self, rt: &R, body: &Value) -> (u16, Value) {
        let behaviour = &self.behaviour;
        let puts = {
            let mut state = self.state.borrow_mut();
            state.puts += 1;
            state.puts
        };
        if !behaviour.ignores_conditions && !self.passes(body) {
            return error(400, "ConditionalCheckFailedException");
        }
        if due(puts, behaviour.throttles_every) {
            return error(400, "ProvisionedThroughputExceededException");
        }
        if due(puts, behaviour.loses_every) {
            return (200, json!({}));
        }
        if due(puts, behaviour.writes_late_every) {
            self.put_late(rt, body["Item"].clone());
            return error(500, "InternalServerError");
        }
        self.state.borrow_mut().write(body["Item"].clone());
        match () {
            () if due(puts, behaviour.fails_after_writing_every) => error(500, "InternalServerError"),
            () if due(puts, behaviour.writes_refused_every) => error(400, "ThrottlingException"),
            () => (200, json!({})),
        }
    }

    fn passes(&self, body: &Value) -> bool {
        let there = self.state.borrow().items.contains_key(&key_of(&body["Item"]));
        match body["ConditionExpression"].as_str() {
            None => true,
            Some("attribute_exists(pk)") => there,
            Some("attribute_not_exists(pk)") => !there,
            Some(other) => panic!("a condition that nobody sends: {other}"),
        }
    }

    fn update(&self, body: &Value) -> (u16, Value) {
        let (mut item, values) = (body["Key"].clone(), &body["ExpressionAttributeValues"]);
        item["v"] = values[":v"].clone();
        item["d"] = values[":d"].clone();
        self.state.borrow_mut().write(item);
        (200, json!({}))
    }

    fn query(&self, body: &Value) -> (u16, Value) {
        let mut state = self.state.borrow_mut();
        state.queries += 1;
        let values = &body["ExpressionAttributeValues"];
        let (partition, from) = (&values[":p"]["S"], values[":s"]["S"].as_str().expect("a sort key"));
        let limit = body["Limit"].as_u64().expect("a limit") as usize;
        let fits =
            |item: &&Value| item["pk"]["S"] == *partition && item["sk"]["S"].as_str().expect("S") >= from;
        let mut items: Vec<Value> = state.items.values().filter(fits).take(limit).cloned().collect();
        if due(state.queries, self.behaviour.leaves_out_every) {
            items.remove(items.len() / 2);
        }
        (200, json!({"Count": items.len(), "Items": items, "ScannedCount": items.len()}))
    }

    fn batch_get(&self, body: &Value) -> (u16, Value) {
        let state = self.state.borrow();
        let (table, asked) = body["RequestItems"].as_object().expect("a map").iter().next().expect("a table");
        let keys = asked["Keys"].as_array().expect("a list").iter();
        let items: Vec<Value> = keys.rev().filter_map(|key| state.items.get(&key_of(key)).cloned()).collect();
        (200, json!({"Responses": {table: items}, "UnprocessedKeys": {}}))
    }

    fn put_late<R: Runtime>(&self, rt: &R, item: Value) {
        let (clock, state) = (rt.clone(), self.state.clone());
        let late = async move {
            clock.sleep(Duration::from_millis(300)).await;
            state.borrow_mut().write(item);
        };
        rt.spawn(Class::Foreground, late).detach();
    }

    fn get(&self, body: &Value) -> (u16, Value) {
        let mut state = self.state.borrow_mut();
        state.gets += 1;
        let key = &key_of(&body["Key"]);
        let mut item = state.items.get(key).cloned();
        if due(state.gets, self.behaviour.stale_every) {
            item = state.before.get(key).cloned();
        }
        if due(state.gets, self.behaviour.swaps_every) {
            item = state.items.values().find(|other| key_of(other) != *key).cloned();
        }
        if let (Some(item), true) = (&mut item, due(state.gets, self.behaviour.garbles_every)) {
            let text = item["d"]["S"].as_str().expect("a filler");
            item["d"]["S"] = format!("{}~", &text[..text.len() - 1]).into();
        }
        (200, item.map_or_else(|| json!({}), |item| json!({"Item": item})))
    }

    fn batch(&self, body: &Value) -> (u16, Value) {
        if self.behaviour.refuses_batches {
            return error(400, "ThrottlingException");
        }
        let mut state = self.state.borrow_mut();
        state.batches += 1;
        let (table, puts) = body["RequestItems"].as_object().expect("a map").iter().next().expect("a table");
        let mut puts = puts.as_array().expect("a list").clone();
        let left =
            if due(state.batches, self.behaviour.leaves_unprocessed_every) { puts.pop() } else { None };
        puts.into_iter().for_each(|put| state.write(put["PutRequest"]["Item"].clone()));
        let left = left.map_or_else(|| json!({}), |left| json!({table: [left]}));
        (200, json!({"UnprocessedItems": left}))
    }
}

impl State {
    fn write(&mut self, item: Value) {
        let key = key_of(&item);
        if let Some(old) = self.items.insert(key.clone(), item) {
            self.before.insert(key, old);
        }
    }
}

/// Partition and sort key, in the order of their items.
fn key_of(item: &Value) -> String {
    let partition = item["pk"]["S"].as_str().expect("a string key");
    item["sk"]["S"].as_str().map_or_else(|| partition.to_owned(), |sort| format!("{partition} {sort}"))
}

fn error(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "as told"}))
}

/// The first whole request: operation, body, bytes.
fn parse(bytes: &[u8]) -> Option<(String, Value, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).expect("HTTP") else { return None };
    let header = |name: &str| {
        let header = request.headers.iter().find(|header| header.name == name).expect(name);
        std::str::from_utf8(header.value).expect("ASCII").trim().to_owned()
    };
    let size = head + header("content-length").parse::<usize>().expect("a number");
    let body = bytes.get(head..size)?;
    let target = header("x-amz-target");
    let operation = target.strip_prefix("DynamoDB_20120810.").expect("DynamoDB's prefix").to_owned();
    Some((operation, serde_json::from_slice(body).expect("JSON"), size))
}
