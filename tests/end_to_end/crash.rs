//! SIGKILL under concurrent writers: every acknowledged write is there after the restart, and every item is whole.
//!
//! 1. Writers put, update and delete on keys of their own, each write carrying the next version of its key and a filler
//!    that repeats it. What was acknowledged is noted; so is what was sent and not answered.
//! 2. The process is killed at a random moment and started again on the same directory.
//! 3. Each key must show the last acknowledged version, or one that was sent after it and never answered. Whatever it
//!    shows must be whole.
//!
//! `TORC_CRASH_ROUNDS=200 cargo test --test end_to_end crash` runs more rounds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::server::{Server, create_table, data_directory, n, s};

const ROUNDS: usize = 20;
const WRITERS: usize = 8;
const KEYS_PER_WRITER: usize = 8;

/// What one key is known to be.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The version of the last acknowledged write, 0 before the first.
    acknowledged: u64,
    /// The version of the last write that was sent.
    sent: u64,
}

type Knowledge = HashMap<String, Known>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_sigkill() {
    let rounds =
        std::env::var("TORC_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"));
    let data = data_directory();
    let mut knowledge = Knowledge::new();
    let server = Server::start_in(data.path());
    create_table(&server.client(), "tab", None).await;
    server.kill();

    let mut acknowledged_total = 0;
    for round in 0..rounds {
        let server = Server::start_in(data.path());
        verify(&server.client(), &knowledge, round).await;
        // From a few writes to thousands; the moment differs by round and by what the machine does.
        let pause = Duration::from_millis(20 + (round as u64 * 37) % 180);
        acknowledged_total += write_until(server, &mut knowledge, pause, Server::kill).await;
    }
    // The last time it is asked to stop, under the same load.
    let server = Server::start_in(data.path());
    verify(&server.client(), &knowledge, rounds).await;
    write_until(server, &mut knowledge, Duration::from_millis(100), Server::stop).await;
    let server = Server::start_in(data.path());
    verify(&server.client(), &knowledge, rounds).await;
    assert!(
        acknowledged_total > rounds * 10,
        "only {acknowledged_total} writes were acknowledged: the test tested nothing"
    );
    server.stop();
    let server = Server::start_in(data.path());
    verify(&server.client(), &knowledge, rounds + 1).await;
}

/// Runs all writers, ends the server after `pause`, and takes over what they know. Returns the acknowledged writes.
async fn write_until(server: Server, knowledge: &mut Knowledge, pause: Duration, end: fn(Server)) -> usize {
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mine = (0..KEYS_PER_WRITER).map(|key| format!("writer-{writer}-key-{key}"));
            let mine: Knowledge =
                mine.map(|key| (key.clone(), knowledge.get(&key).copied().unwrap_or_default())).collect();
            tokio::spawn(write(server.client(), mine, Arc::clone(&stop)))
        })
        .collect();
    tokio::time::sleep(pause).await;
    end(server);
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = 0;
    for writer in writers {
        let (mine, count) = writer.await.unwrap();
        knowledge.extend(mine);
        acknowledged += count;
    }
    acknowledged
}

async fn write(client: Client, mut mine: Knowledge, stop: Arc<AtomicBool>) -> (Knowledge, usize) {
    let keys: Vec<String> = mine.keys().cloned().collect();
    let mut acknowledged = 0;
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = &keys[turn % keys.len()];
        let known = mine.get_mut(key).expect("each writer knows its keys");
        known.sent += 1;
        if write_version(&client, key, known.sent).await.is_err() {
            break;
        }
        known.acknowledged = known.sent;
        acknowledged += 1;
    }
    (mine, acknowledged)
}

/// Writes one version of a key: a put, an update or, at every seventh version, a delete.
async fn write_version(client: &Client, key: &str, version: u64) -> Result<(), aws_sdk_dynamodb::Error> {
    if is_delete(version) {
        client.delete_item().table_name("tab").key("p", s(key)).send().await?;
    } else if version.is_multiple_of(2) {
        let put = client
            .put_item()
            .table_name("tab")
            .item("p", s(key))
            .item("v", n(version))
            .item("f", s(filler(version)));
        put.send().await?;
    } else {
        let update =
            client.update_item().table_name("tab").key("p", s(key)).update_expression("SET v = :v, f = :f");
        let update = update.expression_attribute_values(":v", n(version));
        update.expression_attribute_values(":f", s(filler(version))).send().await?;
    }
    Ok(())
}

fn is_delete(version: u64) -> bool {
    version.is_multiple_of(7)
}

/// A text that tells its version and is torn visibly: 50 bytes to 9 KB.
fn filler(version: u64) -> String {
    format!("<{version}>").repeat(10 + (version as usize * 131) % 1500)
}

/// Checks every key against what is known of it, and takes what is there as acknowledged from now on.
async fn verify(client: &Client, knowledge: &Knowledge, round: usize) {
    for (key, known) in knowledge {
        let got =
            client.get_item().table_name("tab").key("p", s(key)).consistent_read(true).send().await.unwrap();
        let possible = known.acknowledged..=known.sent;
        match got.item {
            None => {
                let explained = known.acknowledged == 0 || possible.clone().any(is_delete);
                assert!(explained, "round {round}: {key} is gone, known {known:?}");
            }
            Some(item) => {
                let version = number(&item["v"]);
                assert!(
                    possible.contains(&version),
                    "round {round}: {key} shows version {version}, known {known:?}"
                );
                assert!(!is_delete(version), "round {round}: {key} shows a deleted version");
                assert_eq!(item["f"], s(filler(version)), "round {round}: {key} is torn");
            }
        }
    }
}

fn number(value: &AttributeValue) -> u64 {
    value.as_n().unwrap().parse().unwrap()
}
