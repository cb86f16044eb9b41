//! What clients do: add to counters, read them, write fillers that tell their version.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use runtime::sim::{Control, SimRuntime};
use runtime::{Purpose, Runtime};

use super::swarm::Swarm;
use crate::checker::{Action, Event, History};
use crate::client::{Answer, Client};

/// The table that all clients use.
pub const TABLE: &str = "sim";

/// The port that the server listens on.
pub const PORT: u16 = 8000;

/// What all clients of a run share.
pub struct Shared {
    /// The world, for its true time.
    pub world: Control,
    /// The drawn configuration.
    pub swarm: Swarm,
    /// What was seen.
    pub history: RefCell<History>,
    /// Set when clients shall come to an end.
    pub stop: Cell<bool>,
    /// Answers that no fault explains; the first one is kept.
    pub surprise: RefCell<Option<String>>,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.world.elapsed().as_nanos()).expect("worlds end before 584 years")
    }

    fn surprise(&self, operation: &str, answer: &Answer) {
        let text = format!("{operation} was answered {} {}", answer.status, answer.body);
        self.surprise.borrow_mut().get_or_insert(text);
    }
}

/// One client, from its first operation until `stop`.
pub async fn run(rt: SimRuntime, shared: Rc<Shared>, server: std::net::SocketAddr) {
    let mut client = Client::new(rt.clone(), server);
    while !shared.stop.get() {
        let key = format!("key-{}", rt.random(Purpose::Workload) % shared.swarm.keys as u64);
        match rt.random(Purpose::Workload) % 3 {
            0 => read(&rt, &mut client, &shared, &key).await,
            _ => write(&rt, &mut client, &shared, &key).await,
        }
        let span = shared.swarm.think.most.saturating_sub(shared.swarm.think.least);
        let nanos = u64::try_from(span.as_nanos()).expect("a pause is short");
        if nanos > 0 {
            let extra = std::time::Duration::from_nanos(rt.random(Purpose::Workload) % nanos);
            rt.sleep(shared.swarm.think.least + extra).await;
        }
    }
}

async fn write(rt: &SimRuntime, client: &mut Client<SimRuntime>, shared: &Shared, key: &str) {
    let filler_bytes = rt.random(Purpose::Workload) as usize % (shared.swarm.filler_bytes_max + 1);
    let filler = "f".repeat(filler_bytes);
    let body = format!(
        "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\
         \"UpdateExpression\":\"SET filler = :f, size_of_filler = :s ADD v :one\",\
         \"ExpressionAttributeValues\":{{\":one\":{{\"N\":\"1\"}},\":f\":{{\"S\":\"{filler}\"}},\
         \":s\":{{\"N\":\"{filler_bytes}\"}}}},\"ReturnValues\":\"ALL_NEW\"}}"
    );
    let began = shared.now();
    let result = client.call("UpdateItem", &body).await;
    let answer = match &result {
        Ok(answer) if answer.status == 200 => Some(version_of(shared, "UpdateItem", answer)),
        Ok(answer) => {
            refused(shared, "UpdateItem", answer);
            None
        }
        Err(_) => {
            pause_after_trouble(rt).await;
            None
        }
    };
    let answer = answer.map(|version| (shared.now(), version));
    shared.history.borrow_mut().note(key, Event { action: Action::Write, began, answer });
}

async fn read(rt: &SimRuntime, client: &mut Client<SimRuntime>, shared: &Shared, key: &str) {
    let body = format!(
        "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\"ConsistentRead\":true}}"
    );
    let began = shared.now();
    let Ok(answer) = client.call("GetItem", &body).await else { return pause_after_trouble(rt).await };
    if answer.status != 200 {
        return refused(shared, "GetItem", &answer);
    }
    let version = if answer.body == "{}" { 0 } else { version_of(shared, "GetItem", &answer) };
    let event = Event { action: Action::Read, began, answer: Some((shared.now(), version)) };
    shared.history.borrow_mut().note(key, event);
}

/// The version that an item tells, after a look at whether it is whole.
fn version_of(shared: &Shared, operation: &str, answer: &Answer) -> u64 {
    let filler = answer.string("filler").map(str::len);
    let told = answer.number("size_of_filler").map(|size| size as usize);
    let version = answer.number("v");
    if filler.is_none() || filler != told || version.is_none() {
        shared.surprise(operation, answer);
    }
    version.unwrap_or(0)
}

/// A refusal that a server under faults may give is fine; anything else is a surprise.
fn refused(shared: &Shared, operation: &str, answer: &Answer) {
    let is_explained =
        ["InternalServerError", "ThrottlingException", "ServiceUnavailable", "RequestLimitExceeded"]
            .iter()
            .any(|name| answer.is_error(name));
    if !is_explained {
        shared.surprise(operation, answer);
    }
}

/// A client that cannot connect does not spin.
async fn pause_after_trouble(rt: &SimRuntime) {
    let micros = 100 + rt.random(Purpose::Jitter) % 5_000;
    rt.sleep(std::time::Duration::from_micros(micros)).await;
}
