//! What clients do, all through DynamoDB's API over HTTP, and what they make of the answers.
//!
//! | keys | what is done | what is known of them |
//! |---|---|---|
//! | `c0`, `c1`, ... counters | `ADD v 1` by everybody, strong and eventual reads | versions are a total order that clients see; linearizability |
//! | `r0`, `r1`, ... registers | puts of numbers of their own, conditional puts, batches, strong reads | linearizability |
//! | `d<client>-0`, ... chains | conditional puts and deletes, by one client each | exactly what that client's own map says, or what it does not know yet |
//! | `s0`, `s1`, ... stable | written once before anything goes wrong | each scan shows each of them once |
//!
//! What is answered "internal server error", and what is not answered, may have been done, may be done later, or never: histories say so.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::SimRuntime;
use runtime::{Purpose, Runtime};

use crate::check::linear;
use crate::checker::{self, Action};
use crate::client::{Answer, Client};
use crate::cluster::Cluster;
use crate::json::{self, Attributes, Json};

/// The table that all use.
pub const TABLE: &str = "sim";

/// Keys that are written once.
pub const STABLE: u64 = 8;

/// Chains of each client.
const CHAINS: u64 = 2;

/// Clients that rest work so long between two rests.
const WORK_TIME: Duration = Duration::from_secs(3);

/// Attempts of one call, with pauses between them, as SDKs do it.
const ATTEMPTS_MAX: u32 = 3;

/// What all clients of a run share.
pub struct Crowd {
    cluster: Cluster,
    endpoints: Vec<SocketAddr>,
    /// What was seen of counters.
    pub counters: RefCell<checker::History>,
    /// What was seen of counters and registers.
    pub history: RefCell<linear::History>,
    /// Set when clients shall come to an end.
    pub stop: Cell<bool>,
    /// Nothing goes wrong any more: what still fails is noted.
    pub is_healed: Cell<bool>,
    /// Numbers that were put into registers.
    numbers: Cell<u64>,
    /// Counts that were begun, by key.
    begun: RefCell<BTreeMap<String, u64>>,
}

/// How a call ended.
enum Outcome {
    /// It was answered.
    Answer(Json),
    /// A condition did not hold; with the item that was there.
    Condition(Json),
    /// It was surely not done.
    NotDone,
    /// Nobody knows.
    Unknown,
}

impl Crowd {
    /// Of a cluster.
    pub fn new(cluster: &Cluster) -> Rc<Crowd> {
        Rc::new(Crowd {
            cluster: cluster.clone(),
            endpoints: cluster.endpoints(),
            counters: RefCell::default(),
            history: RefCell::default(),
            stop: Cell::new(false),
            is_healed: Cell::new(false),
            numbers: Cell::new(0),
            begun: RefCell::default(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.cluster.world().elapsed().as_nanos()).expect("worlds end before 584 years")
    }

    fn number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    fn fail(&self, what: String) {
        self.cluster.watch().fail(what);
    }

    fn broken(&self, what: String) {
        self.cluster.watch().broken(what);
    }

    /// Counters and registers of a run.
    pub fn shared_keys(&self) -> Vec<String> {
        let keys = self.cluster.plan().keys;
        (0..keys).flat_map(|key| [format!("c{key}"), format!("r{key}")]).collect()
    }
}

/// One client.
pub struct Caller {
    rt: SimRuntime,
    crowd: Rc<Crowd>,
    http: Client<SimRuntime>,
    /// The endpoint that it uses.
    endpoint: usize,
    number: usize,
    chains: Vec<Chain>,
}

/// What one client knows of a key that only it writes.
#[derive(Clone, Debug, Default)]
struct Chain {
    /// What is there, as far as everything was answered.
    held: Option<u64>,
    /// What may have been done, or may be later: this instead of that.
    unknown: Vec<(Option<u64>, Option<u64>)>,
}

impl Chain {
    /// Everything that may be there.
    fn possible(&self) -> BTreeSet<Option<u64>> {
        let mut possible = BTreeSet::from([self.held]);
        loop {
            let more = self.unknown.iter().filter(|(from, _)| possible.contains(from)).map(|(_, to)| *to);
            let before = possible.len();
            possible.extend(more.collect::<Vec<_>>());
            if possible.len() == before {
                return possible;
            }
        }
    }

    /// It was seen what is there.
    fn saw(&mut self, held: Option<u64>) {
        self.held = held;
        // A number is put once, so what has led to this one is over. Nothing may be there again and again.
        self.unknown.retain(|(_, to)| to.is_none() || *to != held);
    }
}

impl Caller {
    /// A client with a number of its own.
    pub fn new(crowd: &Rc<Crowd>, number: usize) -> Caller {
        let rt = crowd.cluster.client_runtime();
        let endpoint = number % crowd.endpoints.len();
        let http = Client::new(rt.clone(), crowd.endpoints[endpoint]);
        let http = http.with_patience(crowd.cluster.plan().patience);
        let chains = vec![Chain::default(); CHAINS as usize];
        Caller { rt, crowd: crowd.clone(), http, endpoint, number, chains }
    }

    fn draw(&self, bound: u64) -> u64 {
        self.rt.random(Purpose::Workload) % bound.max(1)
    }

    /// Works until the crowd stops; comes back with what it knows.
    pub async fn work(mut self) -> Caller {
        let plan = self.crowd.cluster.plan().clone();
        let parts = plan.mix.parts();
        while !self.crowd.stop.get() {
            self.rest(plan.rest).await;
            let only_reads = (1..=plan.readers).contains(&self.number);
            let parts = if only_reads { [0, 1, 0, 0, 0, 0, 0, 0] } else { parts };
            let mut drawn = self.draw(parts.iter().sum());
            let part = parts.iter().position(|weight| {
                let is_it = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                is_it
            });
            match part.expect("what is drawn is below the sum") {
                0 => drop(self.count(self.key()).await),
                1 => drop(self.read(&self.any_key()).await),
                2 => self.read_any(self.key()).await,
                3 => self.put(self.key()).await,
                4 => self.swap(self.key()).await,
                5 => self.batch().await,
                6 => self.chain().await,
                _ => drop(self.scan(1 + self.draw(4)).await),
            }
            let span = plan.think.most.saturating_sub(plan.think.least).as_nanos() as u64;
            self.rt.sleep(plan.think.least + Duration::from_nanos(self.draw(span + 1))).await;
        }
        self
    }

    /// Idle phases show what traffic hides.
    async fn rest(&self, rest: Duration) {
        let cycle = (WORK_TIME + rest).as_nanos() as u64;
        let moment = Duration::from_nanos(self.crowd.now() % cycle);
        if moment >= WORK_TIME {
            self.rt.sleep(Duration::from_nanos(cycle) - moment).await;
        }
    }

    fn key(&self) -> u64 {
        let plan = self.crowd.cluster.plan();
        match plan.skew > 1 && self.draw(plan.skew) > 0 {
            true => self.draw(2.min(plan.keys)),
            false => self.draw(plan.keys),
        }
    }

    fn any_key(&self) -> String {
        let kind = if self.draw(2) == 0 { 'c' } else { 'r' };
        format!("{kind}{}", self.key())
    }

    /// Calls until there is an answer that says something, or until enough was tried. Only what was surely not done is tried again.
    async fn call(&mut self, operation: &'static str, body: &str) -> Outcome {
        for attempt in 0..ATTEMPTS_MAX {
            let result = self.http.call(operation, body).await;
            self.note_failure(operation, &result);
            let outcome = match result {
                Ok(answer) => self.judge(operation, &answer),
                Err(_) if self.http.was_sent() => Outcome::Unknown,
                Err(_) => Outcome::NotDone,
            };
            self.crowd.cluster.journal().count(match outcome {
                Outcome::Answer(_) => "calls answered",
                Outcome::Condition(_) => "conditions that did not hold",
                Outcome::NotDone => "calls refused",
                Outcome::Unknown => "calls of unknown outcome",
            });
            match outcome {
                Outcome::NotDone => {}
                Outcome::Unknown => {
                    self.turn();
                    return Outcome::Unknown;
                }
                outcome => return outcome,
            }
            self.turn();
            let pause = Duration::from_millis(25 << attempt);
            self.rt.sleep(pause / 2 + Duration::from_nanos(self.draw(pause.as_nanos() as u64 / 2))).await;
        }
        Outcome::NotDone
    }

    /// What fails although nothing goes wrong any more.
    fn note_failure(&self, operation: &str, result: &std::io::Result<Answer>) {
        let what = match result {
            Ok(answer) if answer.status < 500 => return,
            Ok(answer) => format!("{} {}", answer.status, answer.body),
            Err(error) => error.to_string(),
        };
        if self.crowd.is_healed.get() {
            let at = self.crowd.endpoints[self.endpoint];
            self.crowd.cluster.journal().note(format!("client {} at {at}: {operation}: {what}", self.number));
        }
    }

    /// Another endpoint may do better.
    fn turn(&mut self) {
        self.endpoint = (self.endpoint + 1) % self.crowd.endpoints.len();
        self.http.turn_to(self.crowd.endpoints[self.endpoint]);
    }

    fn judge(&self, operation: &str, answer: &Answer) -> Outcome {
        let Some(json) = json::read(&answer.body) else {
            self.crowd
                .fail(format!("{operation} was answered {} with no JSON: {}", answer.status, answer.body));
            return Outcome::Unknown;
        };
        if answer.status == 200 {
            return Outcome::Answer(json);
        }
        if answer.is_error("ConditionalCheckFailedException") {
            return Outcome::Condition(json);
        }
        // Whoever was started while it could not hear of the catalog goes on with the map that it has, and tables are missing there.
        if answer.is_error("ResourceNotFoundException") {
            self.crowd.cluster.journal().count("tables not found");
            return Outcome::NotDone;
        }
        // Before it has a map a router does nothing for anybody; what is throttled was not begun.
        if answer.is_error("ThrottlingException") || answer.is_error("RequestLimitExceeded") {
            return Outcome::NotDone;
        }
        if !answer.is_error("InternalServerError") && !answer.is_error("ServiceUnavailable") {
            self.crowd.fail(format!("{operation} was answered {} {}", answer.status, answer.body));
        }
        Outcome::Unknown
    }

    fn filler(&self) -> String {
        "f".repeat(self.draw(self.crowd.cluster.plan().filler_bytes_max + 1) as usize)
    }

    /// Whether an item is whole.
    fn check_whole(&self, item: &Json) {
        let filler = item.s("filler").filter(|filler| filler.bytes().all(|byte| byte == b'f'));
        let filler = filler.map(|filler| filler.len() as u64);
        if filler.is_none() || filler != item.n("size") {
            self.crowd.fail(format!("an item that is not whole: {item:?}"));
        }
    }

    fn note(&self, key: &str, operation: linear::Operation, called: u64, outcome: linear::Outcome) {
        let returned = self.crowd.now();
        let event = linear::Event { operation, called, returned, outcome };
        self.crowd.history.borrow_mut().note(key, event);
    }

    /// Counts a counter up; its new version if that is known.
    pub async fn count(&mut self, key: u64) -> Option<u64> {
        let key = format!("c{key}");
        let filler = self.filler();
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\
             \"UpdateExpression\":\"SET filler = :f, #s = :s ADD v :one\",\"ExpressionAttributeNames\":{{\"#s\":\"size\"}},\
             \"ExpressionAttributeValues\":{{\":one\":{{\"N\":\"1\"}},\":f\":{{\"S\":\"{filler}\"}},\":s\":{{\"N\":\"{}\"}}}},\
             \"ReturnValues\":\"ALL_NEW\"}}",
            filler.len()
        );
        let began = self.crowd.now();
        *self.crowd.begun.borrow_mut().entry(key.clone()).or_default() += 1;
        let outcome = self.call("UpdateItem", &body).await;
        let version = match outcome {
            Outcome::Answer(json) => {
                let item = json.get("Attributes").unwrap_or(&Json::Null);
                self.check_whole(item);
                item.n("v")
            }
            Outcome::NotDone => return None,
            Outcome::Condition(_) | Outcome::Unknown => None,
        };
        let outcome =
            version.map_or(linear::Outcome::Unknown, |version| linear::Outcome::Held(Some(version)));
        self.note(&key, linear::Operation::Count, began, outcome);
        let answer = version.map(|version| (self.crowd.now(), version));
        let event = checker::Event { action: Action::Write, began, answer };
        self.crowd.counters.borrow_mut().note(&key, event);
        version
    }

    /// Reads a counter or a register; what it holds, if it was answered.
    pub async fn read(&mut self, key: &str) -> Option<linear::Held> {
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\"ConsistentRead\":true}}"
        );
        let began = self.crowd.now();
        let Outcome::Answer(json) = self.call("GetItem", &body).await else { return None };
        let held = self.saw(key, began, json.get("Item"));
        Some(held)
    }

    /// A strong read that began then shows this item.
    fn saw(&self, key: &str, began: u64, item: Option<&Json>) -> linear::Held {
        if let Some(item) = item {
            self.check_whole(item);
        }
        let is_counter = key.starts_with('c');
        let held = item.and_then(|item| item.n(if is_counter { "v" } else { "w" }));
        if item.is_some() && held.is_none() {
            self.crowd.fail(format!("{key} has lost its number: {item:?}"));
        }
        self.note(key, linear::Operation::Read, began, linear::Outcome::Held(held));
        if is_counter {
            let answer = Some((self.crowd.now(), held.unwrap_or(0)));
            let event = checker::Event { action: Action::Read, began, answer };
            self.crowd.counters.borrow_mut().note(key, event);
        }
        held
    }

    /// Reads a counter from whatever replica: nothing comes from nowhere.
    async fn read_any(&mut self, key: u64) {
        let key = format!("c{key}");
        let body = format!("{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}}}}");
        let Outcome::Answer(json) = self.call("GetItem", &body).await else { return };
        let Some(item) = json.get("Item") else { return };
        self.check_whole(item);
        let (seen, begun) =
            (item.n("v").unwrap_or(0), self.crowd.begun.borrow().get(&key).copied().unwrap_or(0));
        if seen > begun {
            self.crowd.fail(format!("{key}: an eventual read shows version {seen} of {begun}"));
        }
    }

    fn item(&self, key: &str, number: u64) -> String {
        let filler = self.filler();
        format!(
            "{{\"p\":{{\"S\":\"{key}\"}},\"w\":{{\"N\":\"{number}\"}},\"filler\":{{\"S\":\"{filler}\"}},\"size\":{{\"N\":\"{}\"}}}}",
            filler.len()
        )
    }

    async fn put(&mut self, key: u64) {
        let (key, number) = (format!("r{key}"), self.crowd.number());
        let body = format!("{{\"TableName\":\"{TABLE}\",\"Item\":{}}}", self.item(&key, number));
        let began = self.crowd.now();
        let outcome = match self.call("PutItem", &body).await {
            Outcome::Answer(_) => linear::Outcome::Done,
            Outcome::NotDone => return,
            Outcome::Condition(_) | Outcome::Unknown => linear::Outcome::Unknown,
        };
        self.note(&key, linear::Operation::Put(number), began, outcome);
    }

    /// A conditional put; the outcome, and what was found if the condition did not hold.
    async fn put_if(&mut self, key: &str, expected: linear::Held, number: u64) -> Outcome {
        let condition = match expected {
            None => "\"ConditionExpression\":\"attribute_not_exists(p)\"".to_string(),
            Some(expected) => format!(
                "\"ConditionExpression\":\"w = :w\",\"ExpressionAttributeValues\":{{\":w\":{{\"N\":\"{expected}\"}}}}"
            ),
        };
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Item\":{},{condition},\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}}",
            self.item(key, number)
        );
        self.call("PutItem", &body).await
    }

    /// Reads a register and writes it if nobody did meanwhile.
    async fn swap(&mut self, key: u64) {
        let key = format!("r{key}");
        let Some(expected) = self.read(&key).await else { return };
        let number = self.crowd.number();
        let began = self.crowd.now();
        let outcome = match self.put_if(&key, expected, number).await {
            Outcome::Answer(_) => linear::Outcome::Done,
            Outcome::Condition(json) => {
                let found = json.get("Item").and_then(|item| item.n("w"));
                if found == expected {
                    self.crowd
                        .fail(format!("{key}: a condition on {expected:?} has failed, and that was there"));
                }
                linear::Outcome::Held(found)
            }
            Outcome::NotDone => return,
            Outcome::Unknown => linear::Outcome::Unknown,
        };
        self.note(&key, linear::Operation::PutIf { expected, number }, began, outcome);
    }

    /// Writes several registers at once, or reads several keys.
    async fn batch(&mut self) {
        let keys: BTreeSet<String> = (0..2 + self.draw(3)).map(|_| format!("r{}", self.key())).collect();
        match self.draw(2) {
            0 => self.batch_write(keys).await,
            _ => self.batch_read(keys).await,
        }
    }

    async fn batch_write(&mut self, keys: BTreeSet<String>) {
        let puts: Vec<(String, u64)> = keys.into_iter().map(|key| (key, self.crowd.number())).collect();
        let requests: Vec<String> = puts
            .iter()
            .map(|(key, number)| format!("{{\"PutRequest\":{{\"Item\":{}}}}}", self.item(key, *number)))
            .collect();
        let body = format!("{{\"RequestItems\":{{\"{TABLE}\":[{}]}}}}", requests.join(","));
        let began = self.crowd.now();
        let open: BTreeSet<String> = match self.call("BatchWriteItem", &body).await {
            Outcome::NotDone => return,
            Outcome::Answer(json) => {
                let left = json.get("UnprocessedItems").and_then(|tables| tables.get(TABLE));
                let key = |request: &Json| {
                    let item = request.get("PutRequest")?.get("Item")?;
                    item.s("p").map(str::to_string)
                };
                json::list(left).iter().filter_map(key).collect()
            }
            Outcome::Condition(_) | Outcome::Unknown => puts.iter().map(|(key, _)| key.clone()).collect(),
        };
        for (key, number) in puts {
            let outcome = match open.contains(&key) {
                true => linear::Outcome::Unknown,
                false => linear::Outcome::Done,
            };
            self.note(&key, linear::Operation::Put(number), began, outcome);
        }
    }

    async fn batch_read(&mut self, keys: BTreeSet<String>) {
        let asked: Vec<String> = keys.iter().map(|key| format!("{{\"p\":{{\"S\":\"{key}\"}}}}")).collect();
        let body = format!(
            "{{\"RequestItems\":{{\"{TABLE}\":{{\"ConsistentRead\":true,\"Keys\":[{}]}}}}}}",
            asked.join(",")
        );
        let began = self.crowd.now();
        let Outcome::Answer(json) = self.call("BatchGetItem", &body).await else { return };
        let left = json.get("UnprocessedKeys").and_then(|tables| tables.get(TABLE));
        let left: BTreeSet<&str> =
            json::list(left.and_then(|left| left.get("Keys"))).iter().filter_map(|key| key.s("p")).collect();
        let found = json.get("Responses").and_then(|tables| tables.get(TABLE));
        let found: BTreeMap<&str, &Json> =
            json::list(found).iter().filter_map(|item| Some((item.s("p")?, item))).collect();
        for key in keys.iter().filter(|key| !left.contains(key.as_str())) {
            self.saw(key, began, found.get(key.as_str()).copied());
        }
    }

    /// One step of a chain: a put or a delete on the condition that the key is as this client left it; or a look.
    async fn chain(&mut self) {
        let which = self.draw(CHAINS) as usize;
        let key = format!("d{}-{which}", self.number);
        let open = self.chains[which].unknown.len() as u64;
        if self.draw(4) < 1 + open.min(3) {
            return self.look_at_chain(which, &key).await;
        }
        let held = self.chains[which].held;
        let deletes = held.is_some() && self.draw(3) == 0;
        let number = self.crowd.number();
        let (outcome, after) = match held {
            Some(held) if deletes => (self.delete_if(&key, held).await, None),
            _ => (self.put_if(&key, held, number).await, Some(number)),
        };
        let chain = &mut self.chains[which];
        match outcome {
            Outcome::Answer(_) => chain.held = after,
            Outcome::NotDone => {}
            Outcome::Unknown => chain.unknown.push((held, after)),
            Outcome::Condition(json) => {
                let found = json.get("Item").and_then(|item| item.n("w"));
                let possible = chain.possible();
                if found == held || !possible.contains(&found) {
                    self.crowd.broken(format!(
                        "{key}: only one client writes it, it left {held:?}, and a condition on that fails: {found:?} is there"
                    ));
                }
                self.chains[which].saw(found);
            }
        }
    }

    async fn delete_if(&mut self, key: &str, held: u64) -> Outcome {
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\"ConditionExpression\":\"w = :w\",\
             \"ExpressionAttributeValues\":{{\":w\":{{\"N\":\"{held}\"}}}},\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}}"
        );
        self.call("DeleteItem", &body).await
    }

    async fn look_at_chain(&mut self, which: usize, key: &str) {
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\"ConsistentRead\":true}}"
        );
        let Outcome::Answer(json) = self.call("GetItem", &body).await else { return };
        let found = json.get("Item").and_then(|item| item.n("w"));
        let possible = self.chains[which].possible();
        if !possible.contains(&found) {
            self.crowd.broken(format!(
                "{key}: only one client writes it, and it shows {found:?}; possible is {possible:?}"
            ));
        }
        self.chains[which].saw(found);
    }

    /// Scans the whole table in pages of `limit`; the keys, or none if it could not be finished. Whatever happens meanwhile, each stable key is shown once,
    /// and no key twice.
    pub async fn scan(&mut self, limit: u64) -> Option<BTreeSet<String>> {
        let mut seen = BTreeSet::new();
        let mut from = String::new();
        loop {
            let body = format!(
                "{{\"TableName\":\"{TABLE}\",\"ConsistentRead\":true,\"Limit\":{limit},\"ProjectionExpression\":\"p\"{from}}}"
            );
            let Outcome::Answer(json) = self.call("Scan", &body).await else { return None };
            for key in json::list(json.get("Items")).iter().filter_map(|item| item.s("p")) {
                if !seen.insert(key.to_string()) {
                    self.crowd.broken(format!("a scan shows {key} twice"));
                }
            }
            match json.get("LastEvaluatedKey").and_then(|key| key.s("p")) {
                Some(key) => from = format!(",\"ExclusiveStartKey\":{{\"p\":{{\"S\":\"{key}\"}}}}"),
                None => break,
            }
        }
        let stable: Vec<String> = (0..STABLE).map(|key| format!("s{key}")).collect();
        if let Some(lost) = stable.iter().find(|key| !seen.contains(*key)) {
            self.crowd
                .broken(format!("a scan does not show {lost}, which was there before it began and stays"));
        }
        Some(seen)
    }

    /// Makes the table and the stable keys, before anything goes wrong.
    pub async fn prepare(&mut self) {
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"BillingMode\":\"PAY_PER_REQUEST\",\
             \"KeySchema\":[{{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}}],\
             \"AttributeDefinitions\":[{{\"AttributeName\":\"p\",\"AttributeType\":\"S\"}}]}}"
        );
        let name = format!("{{\"TableName\":\"{TABLE}\"}}");
        loop {
            let made = self.http.call("CreateTable", &body).await;
            if made.is_ok_and(|answer| answer.status == 200 || answer.is_error("ResourceInUse")) {
                let shown = self.http.call("DescribeTable", &name).await;
                if shown.is_ok_and(|answer| answer.body.contains("\"TableStatus\":\"ACTIVE\"")) {
                    break;
                }
            }
            self.turn();
            self.rt.sleep(Duration::from_millis(100)).await;
        }
        for key in 0..STABLE {
            let body = format!("{{\"TableName\":\"{TABLE}\",\"Item\":{}}}", self.item(&format!("s{key}"), 0));
            while !matches!(self.call("PutItem", &body).await, Outcome::Answer(_)) {
                self.rt.sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Looks at what the client's own keys hold.
    pub async fn look_at_chains(&mut self) {
        for which in 0..self.chains.len() {
            let key = format!("d{}-{which}", self.number);
            self.look_at_chain(which, &key).await;
        }
    }
}
