//! Clients that note what they ask and what they are answered, and the linearizability checker over that.
//!
//! Few keys and many clients, so that they meet. Half of the keys are registers (PutItem, with and without a condition), half are counters (UpdateItem
//! with ADD); strong reads of both. A condition that is not met returns the item that was found, so every answer but that of a plain
//! PutItem says whose write it saw.
//!
//! The checker is `sim`'s: the same that simulated clients use. The root crate depends on `sim` anyway, for `torc sim`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use sim::check::linear::{Event, Held, History, Operation, Outcome, Totals};
use tokio::task::JoinHandle;

use super::load::is_repeatable;
use crate::server::{n, patient_client_of, s};

const CLIENTS: u64 = 8;
const KEYS: u64 = 6;

/// A process that stands still answers nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Clients that are at work.
pub struct Clients {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<History>>,
}

struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    /// Each write has a number of its own.
    number: AtomicU64,
    began: Instant,
    clients: Vec<Client>,
}

impl Clients {
    /// Begins to work on table `tab` through all of these URLs.
    pub fn start(urls: &[String]) -> Clients {
        let client = |url: &String| patient_client_of(url, RetryConfig::disabled(), PATIENCE);
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            number: AtomicU64::new(1),
            began: Instant::now(),
            clients: urls.iter().map(client).collect(),
        });
        let work = |client| tokio::spawn(Worker::new(shared.clone(), client).work());
        let tasks = (0..CLIENTS).map(work).collect();
        Clients { shared, tasks }
    }

    /// Waits until so many more operations are answered.
    pub async fn progress(&self, operations: u64) {
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        let wanted = answered() + operations;
        let deadline = Instant::now() + Duration::from_secs(60);
        while answered() < wanted {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a client has failed");
            assert!(Instant::now() < deadline, "no progress: {} answers", answered());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops, and has the checker look at all that was noted.
    pub async fn finish(self) -> Totals {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = History::default();
        for task in self.tasks {
            all.merge(task.await.expect("a client ends well"));
        }
        all.check().unwrap_or_else(|complaint| panic!("{complaint}"))
    }
}

struct Worker {
    shared: Arc<Shared>,
    dice: u64,
    /// What it has seen last of each key.
    seen: Vec<Held>,
    history: History,
}

impl Worker {
    fn new(shared: Arc<Shared>, client: u64) -> Worker {
        Worker { shared, dice: client, seen: vec![None; KEYS as usize], history: History::default() }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    async fn work(mut self) -> History {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let place = self.roll(KEYS) as usize;
            let operation = self.draw(place);
            let turn = self.roll(self.shared.clients.len() as u64) as usize;
            let client = self.shared.clients[turn].clone();
            // Beside the keys of a load that may be at work as well.
            let key = format!("shared-{place}");
            let called = self.now();
            let outcome = ask(&client, &key, operation).await;
            let event = Event { operation, called, returned: self.now(), outcome };
            self.history.note(&key, event);
            match outcome {
                Outcome::Unknown => {
                    // A node that is gone refuses at once: that is no reason to burn the processor.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                Outcome::Held(held) => self.seen[place] = held,
                Outcome::Done => {
                    if let Operation::Put(number) | Operation::PutIf { number, .. } = operation {
                        self.seen[place] = Some(number);
                    }
                }
            }
            self.shared.answered.fetch_add(1, Ordering::Relaxed);
        }
        self.history
    }

    fn draw(&mut self, place: usize) -> Operation {
        let is_counter = place % 2 == 1;
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        match (is_counter, self.roll(4)) {
            (_, 0) => Operation::Read,
            (true, _) => Operation::Count,
            (false, 1) => Operation::Put(number),
            (false, _) => Operation::PutIf { expected: self.seen[place], number },
        }
    }

    fn now(&self) -> u64 {
        self.shared.began.elapsed().as_nanos() as u64
    }
}

/// What a key is answered with; an error that no client should see fails the test.
async fn ask(client: &Client, key: &str, operation: Operation) -> Outcome {
    match operation {
        Operation::Put(number) => {
            let put = client.put_item().table_name("tab").item("p", s(key)).item("v", n(number));
            unless(put.send().await, |_| Outcome::Done)
        }
        Operation::PutIf { expected, number } => put_if(client, key, expected, number).await,
        Operation::Count => {
            let update = client.update_item().table_name("tab").key("p", s(key));
            let update = update.update_expression("ADD v :one").expression_attribute_values(":one", n(1));
            let answer = update.return_values(ReturnValue::UpdatedNew).send().await;
            unless(answer, |answer| Outcome::Held(held(answer.attributes.as_ref())))
        }
        Operation::Read => {
            let get = client.get_item().table_name("tab").key("p", s(key)).consistent_read(true);
            unless(get.send().await, |answer| Outcome::Held(held(answer.item.as_ref())))
        }
    }
}

async fn put_if(client: &Client, key: &str, expected: Held, number: u64) -> Outcome {
    let put = client.put_item().table_name("tab").item("p", s(key)).item("v", n(number));
    let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let put = match expected {
        None => put.condition_expression("attribute_not_exists(v)"),
        Some(old) => put.condition_expression("v = :old").expression_attribute_values(":old", n(old)),
    };
    match put.send().await {
        Err(SdkError::ServiceError(context)) => match context.err() {
            PutItemError::ConditionalCheckFailedException(refusal) => Outcome::Held(held(refusal.item())),
            _ => unless(Err::<(), _>(SdkError::ServiceError(context)), |()| Outcome::Done),
        },
        answer => unless(answer, |_| Outcome::Done),
    }
}

/// What an answer says, unless it is none.
fn unless<T, E, R>(answer: Result<T, SdkError<E, R>>, of: impl FnOnce(T) -> Outcome) -> Outcome
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    match answer {
        Ok(answer) => of(answer),
        Err(error) => {
            assert!(is_repeatable(&error), "{error:?}");
            Outcome::Unknown
        }
    }
}

type Item = std::collections::HashMap<String, AttributeValue>;

fn held(item: Option<&Item>) -> Held {
    item.map(|item| item["v"].as_n().unwrap().parse().unwrap())
}
