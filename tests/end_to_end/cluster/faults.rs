//! What fails under load, and what clients see of it.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;

use super::history::Clients;
use super::load::Load;
use super::{Cluster, network};
use crate::server::{create_table, n, s};

/// A leader that is gone is replaced within this, on a machine that does other things too. The figure for a machine of its own is in
/// docs/PERFORMANCE.md.
const FAILOVER_MAX: Duration = Duration::from_secs(10);

/// A write and a strong read that find no majority are answered within this: twice what the manual says, and a little for the machine.
const NO_MAJORITY_MAX: Duration = Duration::from_secs(6);

/// Eventual reads that see a write one after the other, before it counts as being everywhere.
const SEEN_IN_A_ROW: u32 = 20;

async fn started() -> Cluster {
    let cluster = Cluster::start();
    create_table(&cluster.client(1), "tab", None).await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_nothing_and_nothing_is_stale() {
    let mut cluster = started().await;
    let load = Load::over(&cluster);
    load.progress(300).await;
    for _ in 0..2 {
        let busiest = cluster.busiest();
        cluster.take(busiest).kill();
        load.progress(300).await;
        cluster.restart(busiest);
        load.progress(300).await;
    }
    let done = load.finish().await;
    assert!(done.gap_max < FAILOVER_MAX, "{done:?}");
    assert!(done.reads > 100, "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stands_still_is_replaced_and_comes_back_behind() {
    let cluster = started().await;
    let load = Load::over(&cluster);
    load.progress(300).await;
    let busiest = cluster.busiest();
    for number in [busiest, busiest % 3 + 1] {
        cluster.node(number).signal("STOP");
        let began = Instant::now();
        load.progress(100).await;
        tokio::time::sleep(Duration::from_secs(3).saturating_sub(began.elapsed())).await;
        cluster.node(number).signal("CONT");
        load.progress(300).await;
    }
    let done = load.finish().await;
    assert!(done.gap_max < FAILOVER_MAX, "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_network_divides_no_opinion() {
    let cluster = started().await;
    let load = cut_in_all_ways(&cluster).await;
    load.finish().await;
}

/// The same by cables: packets vanish, and no connection is told. Where no network can be made (see [`network`]), by the transport's switch once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_cables_divide_no_opinion() {
    if !network::is_inside() {
        let name = "cluster::faults::cut_cables_divide_no_opinion";
        let entered = tokio::task::spawn_blocking(|| network::enter(name)).await.unwrap();
        if let Err(why) = entered {
            eprintln!("no network can be made here ({why}): cut by the transport's switch instead");
            cut_in_all_ways(&started().await).await.finish().await;
        }
        return;
    }
    let cluster = Cluster::start_on_hosts();
    create_table(&cluster.client(1), "tab", None).await;
    let load = cut_in_all_ways(&cluster).await;
    // Off everybody, clients included.
    for _ in 0..2 {
        let busiest = cluster.busiest();
        cluster.plug(busiest, false);
        let began = Instant::now();
        load.progress(30).await;
        tokio::time::sleep(Duration::from_secs(2).saturating_sub(began.elapsed())).await;
        cluster.plug(busiest, true);
        load.progress(200).await;
    }
    let done = load.finish().await;
    assert!(done.gap_max < Duration::from_secs(20) && done.reads > 100, "{done:?}");
    println!("{done:?}");
}

/// Cuts the busiest node off the others under load.
async fn cut_in_all_ways(cluster: &Cluster) -> Load {
    let load = Load::over(cluster);
    load.progress(300).await;
    let busiest = cluster.busiest();
    let others: Vec<usize> = (1..=3).filter(|number| *number != busiest).collect();
    // Off both others, then off one of them, then in one direction alone.
    for lines in [
        format!("{} both\n{} both\n", others[0], others[1]),
        format!("{} both\n", others[0]),
        format!("{} in\n{} in\n", others[0], others[1]),
    ] {
        cluster.cut(busiest, &lines);
        let began = Instant::now();
        load.progress(30).await;
        tokio::time::sleep(Duration::from_secs(2).saturating_sub(began.elapsed())).await;
        cluster.cut(busiest, "");
        load.progress(200).await;
    }
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let mut cluster = started().await;
    let router = cluster.router();
    // An SDK as it comes, through a router that stays: what is left for it to see is what torc lets through.
    let load =
        Load::start(std::slice::from_ref(&router.url), RetryConfig::standard(), Duration::from_secs(20));
    load.progress(200).await;
    for number in 1..=3 {
        cluster.take(number).stop();
        load.progress(50).await;
        cluster.restart(number);
        load.progress(200).await;
    }
    let done = load.finish().await;
    assert_eq!(done.failed, 0, "{done:?}");
}

/// One node of three is a minority, whatever it thinks: it says so soon, and goes on with what needs no majority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_writes_and_strong_reads_fail_fast_and_eventual_reads_go_on() {
    let mut cluster = started().await;
    let client = cluster.client(1);
    let put = |key: u32, value: u32| {
        client.put_item().table_name("tab").item("p", s(format!("k{key}"))).item("v", n(value)).send()
    };
    let get = |key: u32, strong: bool| {
        client.get_item().table_name("tab").key("p", s(format!("k{key}"))).consistent_read(strong).send()
    };
    for key in 0..10 {
        put(key, 1).await.unwrap();
    }
    // A majority has what was acknowledged, and that need not be node 1: it is once eventual reads, which any replica may answer, do not miss it.
    let deadline = Instant::now() + FAILOVER_MAX;
    for key in 0..10 {
        let mut seen = 0;
        while seen < SEEN_IN_A_ROW {
            assert!(Instant::now() < deadline, "some replica does not hear of k{key}");
            seen = if get(key, false).await.unwrap().item.is_some() { seen + 1 } else { 0 };
        }
    }
    for number in [2, 3] {
        cluster.take(number).kill();
    }
    for key in 0..10 {
        let began = Instant::now();
        let refusal = put(key, 2).await.unwrap_err().into_service_error();
        assert_eq!(refusal.code(), Some("InternalServerError"), "{refusal:?}");
        let refusal = get(key, true).await.unwrap_err().into_service_error();
        assert_eq!(refusal.code(), Some("InternalServerError"), "{refusal:?}");
        assert!(began.elapsed() < NO_MAJORITY_MAX, "{:?} for two requests", began.elapsed());
        let old = get(key, false).await.unwrap().item.unwrap();
        assert!(old["v"] == n(1) || old["v"] == n(2), "{old:?}");
    }
    cluster.restart(2);
    let deadline = Instant::now() + FAILOVER_MAX;
    for key in 0..10 {
        while put(key, 3).await.is_err() {
            assert!(Instant::now() < deadline, "two of three are there, and k{key} cannot be written");
        }
        assert_eq!(get(key, true).await.unwrap().item.unwrap()["v"], n(3));
    }
}

/// Leaders and followers are killed, stopped and cut off, while a few clients fight for few keys; what they saw was one item for each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_saw_under_all_faults_is_linearizable() {
    let mut cluster = started().await;
    let router = cluster.router();
    let urls: Vec<String> = cluster.urls().into_iter().chain([router.url.clone()]).collect();
    let clients = Clients::start(&urls);
    clients.progress(200).await;
    for round in 0..2 {
        let leader = cluster.busiest();
        let follower = leader % 3 + 1;
        let others: Vec<usize> = (1..=3).filter(|number| *number != leader).collect();

        cluster.take(leader).kill();
        clients.progress(100).await;
        cluster.restart(leader);
        clients.progress(50).await;

        let leader = cluster.busiest();
        cluster.node(leader).signal("STOP");
        clients.progress(50).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.node(leader).signal("CONT");
        clients.progress(50).await;

        match round {
            0 => cluster.cut(leader, &format!("{} both\n{} both\n", others[0], others[1])),
            _ => cluster.cut(leader, &format!("{} out\n", others[0])),
        }
        clients.progress(30).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.cut(leader, "");
        clients.progress(50).await;

        cluster.take(follower).kill();
        clients.progress(50).await;
        cluster.restart(follower);
        clients.progress(50).await;
    }
    let totals = clients.finish().await;
    assert!(totals.known > 800 && totals.unknown > 0, "{totals:?}");
    println!("{totals:?}");
}
