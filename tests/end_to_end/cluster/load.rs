//! Writers and readers over all nodes of a cluster, and what they may see.
//!
//! Each key has one writer, which writes ever higher versions, each on the condition that the item shows a lower one: so a write whose outcome is unknown
//! changes nothing any more once a later one is there. A strong read of a linearizable store then shows
//!
//! - at least the last version that was acknowledged before it began, and at least what any read showed that ended before it began;
//! - at most the last version that was sent before it ended.
//!
//! Errors may come, of the kind that a client may repeat; any other fails the test.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tokio::task::JoinHandle;

use super::Cluster;
use crate::server::{n, patient_client_of, s};

const WRITERS: usize = 6;
const READERS: usize = 3;
const KEYS_PER_WRITER: usize = 4;

/// A process that stands still answers nothing: whoever asked it goes to another.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one key is known to be.
#[derive(Default)]
struct Key {
    acknowledged: AtomicU64,
    sent: AtomicU64,
    /// The highest version that a read has shown that is over.
    shown: AtomicU64,
}

/// What a load has done.
#[derive(Debug, Default, Clone)]
pub struct Done {
    pub writes: u64,
    pub reads: u64,
    /// Requests that were answered with an error, or not at all.
    pub failed: u64,
    /// The longest time between two acknowledged writes of one writer.
    pub gap_max: Duration,
}

/// A load that is under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    done: Arc<Mutex<Done>>,
    keys: Arc<Vec<Key>>,
    clients: Arc<Vec<Client>>,
}

impl Load {
    /// Begins to write and read table `tab` through all of these URLs.
    pub fn start(urls: &[String], retries: RetryConfig, patience: Duration) -> Load {
        let client = |url: &String| patient_client_of(url, retries.clone(), patience);
        let clients: Vec<Client> = urls.iter().map(client).collect();
        let load = Load {
            stop: Arc::default(),
            tasks: Vec::new(),
            done: Arc::default(),
            keys: Arc::new((0..WRITERS * KEYS_PER_WRITER).map(|_| Key::default()).collect()),
            clients: Arc::new(clients),
        };
        let writers = (0..WRITERS).map(|writer| tokio::spawn(load.worker().write(writer)));
        let readers = (0..READERS).map(|reader| tokio::spawn(load.worker().read(reader)));
        let tasks = writers.chain(readers).collect();
        Load { tasks, ..load }
    }

    /// Over all nodes of a cluster, each failure seen.
    pub fn over(cluster: &Cluster) -> Load {
        Load::start(&cluster.urls(), RetryConfig::disabled(), PATIENCE)
    }

    fn worker(&self) -> Worker {
        Worker {
            stop: self.stop.clone(),
            done: self.done.clone(),
            keys: self.keys.clone(),
            clients: self.clients.clone(),
        }
    }

    /// So far.
    pub fn done(&self) -> Done {
        self.done.lock().unwrap().clone()
    }

    /// Waits until this many more writes are acknowledged.
    pub async fn progress(&self, writes: u64) {
        let wanted = self.done().writes + writes;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.done().writes < wanted {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a worker has failed");
            assert!(Instant::now() < deadline, "no progress: {:?}", self.done());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops, and reads every key once more: each shows what was acknowledged.
    pub async fn finish(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let worker = self.worker();
        for task in self.tasks {
            task.await.expect("a worker ends well");
        }
        for key in 0..worker.keys.len() {
            let deadline = Instant::now() + Duration::from_secs(30);
            // Of the nodes that it began with, one may be gone for ever: each try asks another.
            let mut turn = key;
            while !worker.read_one(key, turn).await {
                turn += 1;
                assert!(Instant::now() < deadline, "key {key} cannot be read");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        worker.done.lock().unwrap().clone()
    }
}

struct Worker {
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<Done>>,
    keys: Arc<Vec<Key>>,
    clients: Arc<Vec<Client>>,
}

impl Worker {
    async fn write(self, writer: usize) {
        let mut last = Instant::now();
        for turn in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let key = writer * KEYS_PER_WRITER + turn % KEYS_PER_WRITER;
            let known = &self.keys[key];
            let version = known.sent.fetch_add(1, Ordering::SeqCst) + 1;
            let put = self.client(writer + turn).put_item().table_name("tab");
            let put = put.item("p", s(format!("k{key}"))).item("v", n(version)).item("f", s("x".repeat(100)));
            let put = put.condition_expression("attribute_not_exists(v) OR v < :v");
            match put.expression_attribute_values(":v", n(version)).send().await {
                Ok(_) => {
                    known.acknowledged.fetch_max(version, Ordering::SeqCst);
                    let mut done = self.done.lock().unwrap();
                    done.writes += 1;
                    done.gap_max = done.gap_max.max(last.elapsed());
                    last = Instant::now();
                }
                Err(error) => self.fail(error).await,
            }
        }
    }

    async fn read(self, reader: usize) {
        for turn in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.read_one((reader * 7 + turn * 5) % self.keys.len(), reader + turn).await;
        }
    }

    /// One strong read, held against what is known; false when it failed.
    async fn read_one(&self, key: usize, client: usize) -> bool {
        let known = &self.keys[key];
        let least = known.acknowledged.load(Ordering::SeqCst).max(known.shown.load(Ordering::SeqCst));
        let get = self.client(client).get_item().table_name("tab").key("p", s(format!("k{key}")));
        match get.consistent_read(true).send().await {
            Ok(got) => {
                let most = known.sent.load(Ordering::SeqCst);
                let version = got.item.map_or(0, |item| item["v"].as_n().unwrap().parse().unwrap());
                assert!(
                    (least..=most).contains(&version),
                    "key {key} shows version {version}: {least} was there before, and {most} was the last one sent"
                );
                known.shown.fetch_max(version, Ordering::SeqCst);
                self.done.lock().unwrap().reads += 1;
                true
            }
            Err(error) => {
                self.fail(error).await;
                false
            }
        }
    }

    fn client(&self, turn: usize) -> &Client {
        &self.clients[turn % self.clients.len()]
    }

    /// A client may repeat what failed so.
    async fn fail<E, R>(&self, error: SdkError<E, R>)
    where
        E: ProvideErrorMetadata + std::fmt::Debug,
        R: std::fmt::Debug,
    {
        assert!(is_repeatable(&error), "{error:?}");
        self.done.lock().unwrap().failed += 1;
        // A node that is gone refuses at once: that is no reason to burn the processor.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a client may repeat what failed so.
pub fn is_repeatable<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().unwrap_or("");
            ["InternalServerError", "ThrottlingException", "ServiceUnavailableException"].contains(&code)
        }
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        _ => false,
    }
}
