//! Which replicas eventual reads are sent to: spread, hedged, never to the dead.

use std::time::Duration;

use router::RouterOptions;
use runtime::Runtime;

use crate::cluster::{Mode, assert_fault, assert_ok, batch_get, get, put, with_cluster};
use crate::world::Client;

const QUERY: &str = r#"{"TableName":"ttt","KeyConditionExpression":"p = :p",
    "ExpressionAttributeValues":{":p":{"S":"k1"}}}"#;

async fn read_often(client: &Client, count: u32) {
    for key in 0..count {
        assert_ok(&client.call("GetItem", &get(key % 20, false)).await);
    }
}

#[test]
fn eventual_reads_are_spread_and_strong_ones_are_not() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        read_often(&client, 300).await;
        for fake in &cluster.fakes {
            assert!(fake.asked.get() >= 50, "node {} was asked {} times", fake.number, fake.asked.get());
        }
        cluster.forget();
        for _ in 0..50 {
            assert_ok(&client.call("GetItem", &get(1, true)).await);
        }
        assert_eq!((cluster.fake(1).asked.get(), cluster.asked()), (50, 50));
    });
}

#[test]
fn what_was_just_written_is_read_from_the_leader() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        for value in 0..50 {
            assert_ok(&client.call("PutItem", &put(1, value)).await);
            assert_ok(&client.call("GetItem", &get(1, false)).await);
            assert_ok(&client.call("Query", QUERY).await);
            assert_ok(&client.call("Scan", r#"{"TableName":"ttt"}"#).await);
            assert_ok(&client.call("BatchGetItem", &batch_get(1..2, false)).await);
        }
        assert_eq!(cluster.asked(), cluster.fake(1).asked.get(), "nobody else was asked");
        cluster.rt.sleep(Duration::from_secs(1)).await;
        cluster.forget();
        for _ in 0..50 {
            assert_ok(&client.call("GetItem", &get(1, false)).await);
        }
        assert!(cluster.fake(1).asked.get() < 40, "a second later any replica will do");
    });
}

#[test]
fn a_slow_replica_is_avoided() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        read_often(&client, 100).await;
        cluster.fake(2).mode.set(Mode::Slow(Duration::from_millis(40)));
        read_often(&client, 50).await;
        cluster.forget();
        read_often(&client, 200).await;
        let slow = cluster.fake(2).asked.get();
        assert!(slow < 40, "{slow} of 200 went to the slow one");
    });
}

#[test]
fn a_late_answer_is_not_waited_for() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        read_often(&client, 300).await;
        (2..=3).for_each(|number| cluster.fake(number).mode.set(Mode::Mute));
        for body in [get(1, false), get(2, false)] {
            let start = cluster.rt.now();
            assert_ok(&client.call("GetItem", &body).await);
            let took = cluster.rt.now().since(start);
            assert!(took <= Duration::from_millis(1200), "{took:?}");
        }
        (1..=3).for_each(|number| cluster.fake(number).mode.set(Mode::Serves));
        cluster.rt.sleep(Duration::from_secs(6)).await;
        read_often(&client, 100).await;
        cluster.fake(2).mode.set(Mode::Mute);
        let before = cluster.router.hedged_reads();
        for operation in [("Query", QUERY.to_owned()), ("BatchGetItem", batch_get(0..10, false))] {
            for _ in 0..5 {
                let start = cluster.rt.now();
                let response = client.call(operation.0, &operation.1).await;
                assert_ok(&response);
                assert!(!response.body.contains(r#""UnprocessedKeys":{"ttt""#), "{}", response.body);
                let took = cluster.rt.now().since(start);
                let hedged = cluster.router.hedged_reads();
                assert!(took <= Duration::from_millis(150), "{}: {took:?}, {hedged} hedged", operation.0);
            }
        }
        assert!(cluster.router.hedged_reads() > before, "a second replica was asked");
    });
}

#[test]
fn hedges_are_few() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        read_often(&client, 200).await;
        // All become slow at once: asking twice would only make it worse.
        (1..=3).for_each(|number| cluster.fake(number).mode.set(Mode::Slow(Duration::from_millis(80))));
        cluster.forget();
        read_often(&client, 500).await;
        let asked = cluster.asked();
        assert!((500..=550).contains(&asked), "{asked} messages for 500 reads");
    });
}

#[test]
fn a_dead_replica_costs_nobody_an_answer() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        read_often(&client, 50).await;
        cluster.crash(3);
        let start = cluster.rt.now();
        read_often(&client, 300).await;
        assert_ok(&client.call("BatchGetItem", &batch_get(0..20, false)).await);
        assert_ok(&client.call("Scan", r#"{"TableName":"ttt"}"#).await);
        assert_ok(&client.call("DescribeTable", r#"{"TableName":"ttt"}"#).await);
        let took = cluster.rt.now().since(start);
        assert!(took <= Duration::from_secs(3), "{took:?}");
    });
}

#[test]
fn damage_on_one_replica_is_read_around_and_damage_on_all_is_told() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        assert_ok(&client.call("PutItem", &put(1, 1)).await);
        cluster.fake(2).mode.set(Mode::Damaged);
        read_often(&client, 60).await;
        (1..=3).for_each(|number| cluster.fake(number).mode.set(Mode::Damaged));
        let response = client.call("GetItem", &get(1, false)).await;
        assert_fault(&response);
        assert!(response.body.contains("damaged"), "{}", response.body);
    });
}

#[test]
fn replicas_that_have_it_no_more_are_followed_by_others() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        cluster.fake(2).mode.set(Mode::Sends { epoch: 1, to: 3 });
        read_often(&client, 60).await;
        assert!(cluster.fake(2).asked.get() > 0);
    });
}

#[test]
fn live_nodes_are_listed() {
    with_cluster(RouterOptions::default(), |cluster| async move {
        let client = cluster.client().await;
        let ask = async |path: &str| {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: h:8000\r\n\r\n").as_bytes()).await;
            let response = client.response(true).await.expect("an answer");
            assert_eq!(response.header("Content-Type"), Some("application/json"));
            let hosts: Vec<String> = serde_json::from_str(&response.body).expect("a list");
            hosts
        };
        let all: Vec<String> = cluster
            .router_map
            .get()
            .nodes
            .values()
            .map(|node| node.http.expect("all serve").ip().to_string())
            .collect();
        assert_eq!(ask("/localnodes").await, all);
        assert_eq!(ask("/localnodes?rack=z2").await, all[1..2]);
        assert_eq!(ask("/localnodes?dc=us-east-1&rack=z3").await, all[2..]);
        assert!(ask("/localnodes?dc=mars").await.is_empty());
        cluster.crash(2);
        cluster.rt.sleep(Duration::from_secs(2)).await;
        assert_eq!(ask("/localnodes").await, [all[0].clone(), all[2].clone()]);
    });
}
