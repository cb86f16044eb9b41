//! Whom writes and strong reads are sent to, and what is never sent twice.

use std::time::Duration;

use router::RouterOptions;
use runtime::Runtime;
use runtime::sync::join_all;

use crate::cluster::{Mode, assert_fault, assert_ok, batch_put, get, put, with_cluster};

#[test]
fn a_redirect_is_followed_and_remembered() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        cluster.leader.set(Some(3));
        assert_ok(&client.call("PutItem", &put(1, 1)).await);
        assert_eq!((cluster.fake(1).asked.get(), cluster.fake(3).asked.get()), (1, 1));
        for value in 2..10 {
            assert_ok(&client.call("PutItem", &put(1, value)).await);
        }
        assert_eq!(
            (cluster.fake(1).asked.get(), cluster.fake(3).asked.get()),
            (1, 9),
            "it asks the one it heard of"
        );
        assert_ok(&client.call("GetItem", &get(1, true)).await);
        assert_eq!(cluster.fake(3).asked.get(), 10, "strong reads too");
    });
}

#[test]
fn redirects_in_a_circle_end_with_a_fault_in_time() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        cluster.fake(1).mode.set(Mode::Sends { epoch: 1, to: 2 });
        cluster.fake(2).mode.set(Mode::Sends { epoch: 1, to: 3 });
        cluster.fake(3).mode.set(Mode::Sends { epoch: 1, to: 1 });
        let start = cluster.rt.now();
        assert_fault(&client.call("PutItem", &put(1, 1)).await);
        let took = cluster.rt.now().since(start);
        assert!(took >= Duration::from_secs(2) && took <= Duration::from_secs(3), "{took:?}");
        assert!(cluster.asked() < 400, "{} messages for one request", cluster.asked());
        assert_eq!(cluster.fakes.iter().map(|fake| fake.written.get()).sum::<u32>(), 0);
    });
}

#[test]
fn a_newer_ring_is_asked_for_and_not_guessed_at() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        // Node 1 knows a newer ring in which node 2 leads; the router does not.
        cluster.prefer(2, &cluster.fake(1).map);
        cluster.prefer(2, &cluster.fake(2).map);
        cluster.leader.set(Some(2));
        assert_ok(&client.call("PutItem", &put(1, 1)).await);
        assert_eq!(cluster.fake(1).watched.get(), 1, "whoever knows it is asked");
        assert_eq!(cluster.router_map.get().version, cluster.fake(1).map.get().version);
        for value in 0..5 {
            assert_ok(&client.call("PutItem", &put(2, value)).await);
        }
        assert_eq!(cluster.fake(1).asked.get(), 1, "the map says it now");
        assert_eq!(cluster.fake(1).watched.get(), 1);
    });
}

#[test]
fn a_newer_ring_that_nobody_gives_does_not_make_it_spin() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        for number in 1..=3 {
            cluster.fake(number).mode.set(Mode::Sends { epoch: 99, to: 1 });
        }
        assert_fault(&client.call("PutItem", &put(1, 1)).await);
        let watched: u32 = cluster.fakes.iter().map(|fake| fake.watched.get()).sum();
        assert!(watched > 0 && watched < 400, "{watched}");
    });
}

#[test]
fn a_dead_leader_is_replaced_by_whom_the_others_elect() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        assert_ok(&client.call("PutItem", &put(1, 1)).await);
        cluster.crash(1);
        cluster.leader.set(None);
        // The connection's end is heard of: from then on nothing is lost in it.
        cluster.rt.sleep(Duration::from_millis(10)).await;
        let election = async {
            cluster.rt.sleep(Duration::from_millis(800)).await;
            cluster.leader.set(Some(2));
        };
        let writes = async {
            let start = cluster.rt.now();
            assert_ok(&client.call("PutItem", &put(1, 2)).await);
            let took = cluster.rt.now().since(start);
            assert!(took <= Duration::from_millis(1100), "{took:?} for an election of 800 ms");
        };
        futures(election, writes).await;
    });
}

async fn futures(one: impl Future<Output = ()>, two: impl Future<Output = ()>) {
    let boxed: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = vec![Box::pin(one), Box::pin(two)];
    join_all(boxed).await;
}

#[test]
fn one_searches_for_all() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let mut clients = Vec::new();
        for _ in 0..100 {
            clients.push(cluster.client().await);
        }
        cluster.crash(1);
        cluster.leader.set(None);
        // The connection's end is heard of: from then on nothing is lost in it.
        cluster.rt.sleep(Duration::from_millis(10)).await;
        let election = async {
            cluster.rt.sleep(Duration::from_secs(1)).await;
            cluster.leader.set(Some(3));
        };
        let writes = async {
            // All of one vnode.
            let calls = clients.iter().map(|client| async { client.call("PutItem", &put(1, 1)).await });
            join_all(calls).await.iter().for_each(assert_ok);
        };
        futures(election, writes).await;
        assert!(cluster.asked() < 400, "{} messages for 100 writes", cluster.asked());
        assert_eq!(cluster.fake(3).written.get(), 100, "each once");
    });
}

#[test]
fn without_a_leader_writes_and_strong_reads_fail_soon_and_eventual_reads_go_on() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        assert_ok(&client.call("PutItem", &put(1, 1)).await);
        cluster.leader.set(None);
        let start = cluster.rt.now();
        assert_fault(&client.call("PutItem", &put(1, 2)).await);
        let first = cluster.rt.now().since(start);
        assert!(first <= Duration::from_secs(3), "{first:?}: an election may take a while");
        for _ in 0..3 {
            let start = cluster.rt.now();
            assert_fault(&client.call("GetItem", &get(1, true)).await);
            assert_fault(&client.call("PutItem", &put(1, 2)).await);
            let took = cluster.rt.now().since(start);
            assert!(
                took <= Duration::from_millis(700),
                "{took:?} for two that need nobody's patience any more"
            );
        }
        let start = cluster.rt.now();
        let response = client.call("GetItem", &get(1, false)).await;
        assert!(response.body.contains(r#""v":{"N":"1"}"#), "{}", response.body);
        assert!(cluster.rt.now().since(start) <= Duration::from_millis(50));
        cluster.leader.set(Some(2));
        assert_ok(&client.call("PutItem", &put(1, 3)).await);
        cluster.leader.set(None);
        let election = async {
            cluster.rt.sleep(Duration::from_millis(800)).await;
            cluster.leader.set(Some(3));
        };
        let write = async { assert_ok(&client.call("PutItem", &put(1, 4)).await) };
        futures(election, write).await;
    });
}

#[test]
fn a_write_whose_outcome_nobody_knows_is_not_sent_again() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        cluster.fake(1).mode.set(Mode::Mute);
        let update = r#"{"TableName":"ttt","Key":{"p":{"S":"k1"}},"UpdateExpression":"ADD n :one",
            "ExpressionAttributeValues":{":one":{"N":"1"}}}"#;
        assert_fault(&client.call("UpdateItem", update).await);
        assert_eq!((cluster.asked(), cluster.fake(1).written.get()), (1, 1), "applied once, asked once");
        cluster.fake(1).mode.set(Mode::Serves);
        let response = client.call("GetItem", &get(1, true)).await;
        assert!(response.body.contains(r#""n":{"N":"1"}"#), "{}", response.body);
    });
}

#[test]
fn a_connection_that_breaks_under_a_write_leaves_it_alone() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        cluster.fake(1).mode.set(Mode::Mute);
        let crash = async {
            cluster.rt.sleep(Duration::from_millis(50)).await;
            cluster.crash(1);
            cluster.leader.set(Some(2));
        };
        let write = async { assert_fault(&client.call("PutItem", &put(1, 1)).await) };
        futures(crash, write).await;
        assert_eq!(cluster.asked(), 1);
        assert_ok(&client.call("PutItem", &put(1, 2)).await);
    });
}

#[test]
fn a_strong_read_that_is_not_answered_is_asked_elsewhere() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        assert_ok(&client.call("PutItem", &put(1, 1)).await);
        cluster.fake(1).mode.set(Mode::Mute);
        let election = async {
            cluster.rt.sleep(Duration::from_millis(900)).await;
            cluster.leader.set(Some(2));
        };
        let read = async { assert_ok(&client.call("GetItem", &get(1, true)).await) };
        futures(election, read).await;
        assert!(cluster.fake(2).asked.get() >= 1);
    });
}

#[test]
fn a_leader_that_stands_still_takes_no_more_writes_with_it() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let (stuck, client) = (cluster.client().await, cluster.client().await);
        cluster.fake(1).mode.set(Mode::Mute);
        let lost = async { assert_fault(&stuck.call("PutItem", &put(1, 1)).await) };
        let later = async {
            cluster.rt.sleep(Duration::from_secs(1)).await;
            cluster.leader.set(Some(2));
            let start = cluster.rt.now();
            assert_ok(&client.call("PutItem", &put(1, 2)).await);
            let took = cluster.rt.now().since(start);
            assert!(took <= Duration::from_millis(100), "{took:?}");
        };
        futures(lost, later).await;
        assert_eq!(cluster.fake(1).written.get(), 1, "only the first one went there");
    });
}

#[test]
fn messages_beyond_the_first_are_bounded_by_the_requests() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        (1..=3).for_each(|number| cluster.fake(number).mode.set(Mode::Busy));
        // The burst is spent.
        for _ in 0..20 {
            let response = client.call("PutItem", &put(1, 1)).await;
            assert!(response.body.contains("#ThrottlingException"), "{}", response.body);
        }
        cluster.forget();
        for _ in 0..500 {
            client.call("PutItem", &put(1, 1)).await;
        }
        let asked = cluster.asked();
        assert!((500..=610).contains(&asked), "{asked} messages for 500 requests");
    });
}

#[test]
fn batches_hand_back_what_a_dead_leader_keeps() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        assert_ok(&client.call("BatchWriteItem", &batch_put(0..20)).await);
        assert_eq!(cluster.fake(1).written.get(), 20);
        cluster.leader.set(Some(2));
        let response = client.call("BatchWriteItem", &batch_put(0..20)).await;
        assert_ok(&response);
        assert!(response.body.contains(r#""UnprocessedItems":{}"#), "{}", response.body);
        assert_eq!(cluster.fake(2).written.get(), 20, "redirected as a whole");
        cluster.leader.set(None);
        assert_fault(&client.call("BatchWriteItem", &batch_put(0..20)).await);
        cluster.fake(2).mode.set(Mode::Mute);
        cluster.leader.set(Some(2));
        assert_fault(&client.call("BatchWriteItem", &batch_put(0..20)).await);
        assert_eq!(cluster.fake(2).written.get(), 40, "what nobody knows the outcome of was sent once");
    });
}
