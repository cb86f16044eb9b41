//! Every operation on items: what it does, what it answers, what it charges, and how it is refused.

use crate::harness::*;
use model::error::Code;
use model::item::{ItemRef, Value};
use model::ring::ShardId;
use net::message::*;
use runtime::sync::join_all;

const RED: &[(&str, &str)] = &[("color", "red")];

fn more(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
    pairs.iter().map(|(name, value)| (*name, text(value))).collect()
}

fn charged(item: &[u8]) -> u32 {
    u32::try_from(ItemRef::trusted(item).charged_bytes()).unwrap()
}

#[test]
fn an_item_that_was_put_is_read_projected_and_deleted() {
    Node::new(1, 2).run(|client| async move {
        client.create("things").await;
        assert_eq!(client.get("a", 1).await, Answer::Item(None, 0));
        let whole = item("a", 1, &more(RED));
        let written = Answer::Written { attributes: None, old: 0, new: charged(&whole) };
        assert_eq!(client.put("a", 1, &more(RED)).await, written);
        let expected = attributes_of("a", 1, &more(RED));
        assert_eq!(client.get("a", 1).await, Answer::Item(Some(expected), charged(&whole)));

        let at = client.at("a", 1);
        let get = Get { at: at.clone(), consistent: false, projection: Some(projection_program("color")) };
        let projected = [("color".to_string(), text("red"))].into();
        assert_eq!(
            client.ask(&at, Operation::Get(get)).await,
            Answer::Item(Some(projected), charged(&whole))
        );

        assert_eq!(client.get("a", 2).await, Answer::Item(None, 0), "a neighbour is not there");
        assert_eq!(client.delete("a", 1).await, Answer::Written { attributes: None, old: 0, new: 0 });
        assert_eq!(client.get("a", 1).await, Answer::Item(None, 0));
    });
}

#[test]
fn a_put_answers_with_the_old_item_and_both_sizes_when_asked() {
    Node::new(2, 1).run(|client| async move {
        client.create("things").await;
        let small = item("a", 1, &[]);
        client.put("a", 1, &[]).await;
        let at = client.at("a", 1);
        let large = item("a", 1, &more(RED));
        let ask = Put { return_old: true, ..put(at.clone(), large.clone()) };
        let answer = client.ask(&at, Operation::Put(ask)).await;
        let old = Some(attributes_of("a", 1, &[]));
        let sizes = Answer::Written { attributes: old, old: charged(&small), new: charged(&large) };
        assert_eq!(answer, sizes);
        let measured = Put { measure: true, ..put(at.clone(), small.clone()) };
        let answer = client.ask(&at, Operation::Put(measured)).await;
        assert_eq!(answer, Answer::Written { attributes: None, old: charged(&large), new: charged(&small) });
        let deleted =
            client.ask(&at, Operation::Delete(Delete { return_old: true, ..delete(at.clone()) })).await;
        let old = Some(attributes_of("a", 1, &[]));
        assert_eq!(deleted, Answer::Written { attributes: old, old: charged(&small), new: 0 });
        let again =
            client.ask(&at, Operation::Delete(Delete { return_old: true, ..delete(at.clone()) })).await;
        assert_eq!(again, Answer::Written { attributes: None, old: 0, new: 0 });
    });
}

#[test]
fn a_condition_decides_and_a_failure_shows_the_old_item_only_when_asked() {
    Node::new(3, 1).run(|client| async move {
        client.create("things").await;
        let at = client.at("a", 1);
        let absent = condition_program("attribute_not_exists(p)", &[]);
        let ask = |return_old_on_failure| {
            Operation::Put(Put {
                condition: Some(absent.clone()),
                return_old_on_failure,
                ..put(at.clone(), item("a", 1, &more(RED)))
            })
        };
        assert!(matches!(client.ask(&at, ask(false)).await, Answer::Written { .. }));
        let refused = client.ask(&at, ask(false)).await;
        let message = "The conditional request failed".to_string();
        assert_eq!(refused, Answer::Failed(Code::ConditionalCheckFailed, message.clone(), None));
        let refused = client.ask(&at, ask(true)).await;
        let old = Some(attributes_of("a", 1, &more(RED)));
        assert_eq!(refused, Answer::Failed(Code::ConditionalCheckFailed, message, old));

        let blue = condition_program("color = :c", &[(":c", text("blue"))]);
        let ask = Delete { condition: Some(blue), ..delete(at.clone()) };
        assert_eq!(client.ask(&at, Operation::Delete(ask)).await.failure().0, Code::ConditionalCheckFailed);
        let red = condition_program("color = :c", &[(":c", text("red"))]);
        let ask = Delete { condition: Some(red), ..delete(at.clone()) };
        assert!(matches!(client.ask(&at, Operation::Delete(ask)).await, Answer::Written { .. }));
        assert_eq!(client.get("a", 1).await, Answer::Item(None, 0));
    });
}

#[test]
fn an_update_creates_changes_and_answers_in_every_way() {
    Node::new(4, 1).run(|client| async move {
        client.create("things").await;
        let at = client.at("a", 1);
        let ask = |text, values: &[(&str, Value)], returns| {
            Operation::Update(Update { returns, ..update(at.clone(), "a", 1, text, values) })
        };
        let one = [(":one", number(1))];
        let created = client.ask(&at, ask("ADD n :one", &one, ReturnValues::AllNew)).await;
        assert_eq!(created.attributes(), Some(&attributes_of("a", 1, &[("n", number(1))])));
        let old = client.ask(&at, ask("ADD n :one", &one, ReturnValues::AllOld)).await;
        assert_eq!(old.attributes(), Some(&attributes_of("a", 1, &[("n", number(1))])));
        let old = client.ask(&at, ask("ADD n :one", &one, ReturnValues::UpdatedOld)).await;
        assert_eq!(old.attributes(), Some(&[("n".to_string(), number(2))].into()));
        let new = client.ask(&at, ask("ADD n :one", &one, ReturnValues::UpdatedNew)).await;
        assert_eq!(new.attributes(), Some(&[("n".to_string(), number(4))].into()));
        let none = client.ask(&at, ask("ADD n :one", &one, ReturnValues::None)).await;
        assert_eq!(none.attributes(), None);
        assert_eq!(client.get("a", 1).await.attributes(), Some(&attributes_of("a", 1, &[("n", number(5))])));
        let Answer::Written { old, new, .. } = none else { unreachable!() };
        assert!(old > 0 && new > 0, "an update always knows both sizes");
    });
}

#[test]
fn an_update_without_expression_creates_the_item_and_leaves_it_alone() {
    Node::new(5, 1).run(|client| async move {
        client.create("things").await;
        let key_only = attributes_of("a", 1, &[]);
        assert_eq!(client.update("a", 1, "", &[]).await.attributes(), Some(&key_only));
        client.put("a", 1, &more(RED)).await;
        let red = attributes_of("a", 1, &more(RED));
        assert_eq!(client.update("a", 1, "", &[]).await.attributes(), Some(&red));
    });
}

#[test]
fn an_update_that_only_removes_makes_no_item() {
    Node::new(14, 1).run(|client| async move {
        client.create("things").await;
        let nothing = Answer::Written { attributes: None, old: 0, new: 0 };
        assert_eq!(client.update("a", 1, "REMOVE color", &[]).await, nothing);
        assert_eq!(client.get("a", 1).await, Answer::Item(None, 0));
        client.put("a", 1, &more(RED)).await;
        assert_eq!(
            client.update("a", 1, "REMOVE color", &[]).await.attributes(),
            Some(&attributes_of("a", 1, &[]))
        );
    });
}

#[test]
fn an_update_that_fails_changes_nothing() {
    Node::new(6, 1).run(|client| async move {
        client.create("things").await;
        client.put("a", 1, &more(RED)).await;
        let wrong_type = client.update("a", 1, "ADD color :one", &[(":one", number(1))]).await;
        assert_eq!(wrong_type.failure().0, Code::Validation);
        let chunk = Value::B(vec![7; 300 * 1024]);
        assert!(matches!(
            client.update("a", 1, "SET x = :x", &[(":x", chunk.clone())]).await,
            Answer::Written { .. }
        ));
        let too_large = client.update("a", 1, "SET y = :x", &[(":x", chunk)]).await;
        let message = "Item size to update has exceeded the maximum allowed size";
        assert_eq!(too_large.failure(), (Code::Validation, message));
        let attributes = client.get("a", 1).await.attributes().unwrap().clone();
        assert!(attributes.contains_key("x") && !attributes.contains_key("y"));
        let at = client.at("a", 2);
        let condition = Some(condition_program("attribute_exists(p)", &[]));
        let ask = Update { condition, ..update(at.clone(), "a", 2, "ADD n :one", &[(":one", number(1))]) };
        assert_eq!(client.ask(&at, Operation::Update(ask)).await.failure().0, Code::ConditionalCheckFailed);
        assert_eq!(client.get("a", 2).await, Answer::Item(None, 0));
    });
}

#[test]
fn an_item_over_the_limit_is_refused() {
    Node::new(7, 1).run(|client| async move {
        client.create("things").await;
        let refused = client.put("a", 1, &[("x", Value::B(vec![7; 400 * 1024]))]).await;
        assert_eq!(refused.failure(), (Code::Validation, "Item size has exceeded the maximum allowed size"));
        let largest = Value::B(vec![7; 400 * 1024 - 20]);
        assert!(matches!(client.put("a", 1, &[("x", largest)]).await, Answer::Written { .. }));
    });
}

/// Many tiny elements take more bytes than DynamoDB charges for; the largest such item must still be stored.
#[test]
fn an_item_of_very_many_tiny_elements_is_stored_or_refused_but_never_breaks_the_shard() {
    let node = Node::new(8, 1);
    node.run(|client| async move {
        client.create("things").await;
        for count in [10_000, 100_000, 200_000, 400_000] {
            let answer = client.put("a", 1, &[("l", Value::L(vec![Value::Null; count]))]).await;
            match answer {
                Answer::Written { .. } => {
                    let read = client.get("a", 1).await;
                    assert!(
                        matches!(&read.attributes().unwrap()["l"], Value::L(list) if list.len() == count)
                    );
                }
                other => assert_eq!(other.failure().0, Code::Validation),
            }
        }
        assert!(matches!(client.put("a", 2, &[]).await, Answer::Written { .. }));
    });
    assert!(node.failures.borrow().is_empty());
}

#[test]
fn many_are_read_in_order_and_the_rest_is_left_when_the_answer_is_full() {
    Node::new(9, 1).run(|client| async move {
        client.create("things").await;
        for n in 0..60 {
            client.put("a", n, &[("x", Value::B(vec![1; 1000]))]).await;
        }
        let get = |n| Get { at: client.at("a", n), consistent: true, projection: None };
        let ask =
            |bytes_max| Operation::GetMany(GetMany { gets: (0..70).rev().map(get).collect(), bytes_max });
        let at = client.at("a", 0);
        let Answer::Many(all) = client.ask(&at, ask(1 << 20)).await else { panic!() };
        assert_eq!(all.len(), 70);
        assert!(all[..10].iter().all(|part| *part == Answer::Item(None, 0)), "60 to 69 are not there");
        for (part, n) in all[10..].iter().zip((0..60).rev()) {
            assert_eq!(part.attributes().unwrap()["s"], number(n));
        }
        let Answer::Many(some) = client.ask(&at, ask(20_500)).await else { panic!() };
        let found = some.iter().filter(|part| matches!(part, Answer::Item(Some(_), _))).count();
        let skipped = some.iter().filter(|part| **part == Answer::Skipped).count();
        assert_eq!((some.len(), found), (70, 20), "20 items of a little over 1,000 bytes fit");
        assert!(skipped >= 39);
    });
}

#[test]
fn many_are_written_in_one_go_each_by_itself() {
    Node::new(10, 1).run(|client| async move {
        client.create("things").await;
        client.put("a", 100, &more(RED)).await;
        let write = |n: i64| Write { at: client.at("a", n), item: Some(item("a", n, &more(RED))) };
        let mut writes: Vec<Write> = (0..25).map(write).collect();
        writes.push(Write { at: client.at("a", 100), item: None });
        writes.push(Write { at: client.at("a", 101), item: None });
        writes.push(Write { at: KeyAt { vnode: 9999, ..client.at("a", 102) }, item: None });
        let at = client.at("a", 0);
        let ask = Operation::WriteMany(WriteMany { writes, measure: true });
        let Answer::Many(parts) = client.ask(&at, ask).await else { panic!() };
        assert_eq!(parts.len(), 28);
        let new = charged(&item("a", 1, &more(RED)));
        assert!(
            parts[1..25]
                .iter()
                .all(|part| matches!(part, Answer::Written { old: 0, new: n, .. } if n.abs_diff(new) < 3))
        );
        assert!(matches!(parts[25], Answer::Written { old: 1.., new: 0, .. }));
        assert!(matches!(parts[26], Answer::Written { old: 0, new: 0, .. }));
        assert!(matches!(parts[27], Answer::Moved { .. }), "one part's failure is its own");
        assert_eq!(client.scan_all().await.len(), 25);
    });
}

#[test]
fn who_asks_the_wrong_shard_or_for_the_wrong_key_is_sent_on_whatever_the_epoch() {
    Node::new(11, 2).run(|client| async move {
        client.create("things").await;
        let at = client.at("a", 1);
        let owner = client.owner(at.vnode);
        let other = ShardId(1 - owner.0);
        let get = |at| Operation::Get(Get { at, consistent: true, projection: None });
        let moved = Answer::Moved { epoch: 1, node: 0, shard: owner.0 };
        assert_eq!(client.send(other, get(at.clone())).await.unwrap(), moved);
        for epoch in [0, 7] {
            let answer = client.send_in(epoch, owner, get(at.clone())).await.unwrap();
            assert_eq!(answer, Answer::Item(None, 0), "who has the vnode serves it");
        }
        let wrong_vnode = KeyAt { vnode: at.vnode % VNODES + 1, ..at.clone() };
        assert!(matches!(client.send(owner, get(wrong_vnode)).await.unwrap(), Answer::Moved { .. }));
        let write = Operation::Put(put(at.clone(), item("a", 1, &[])));
        assert_eq!(client.send(other, write).await.unwrap(), moved);
        assert_eq!(client.get("a", 1).await, Answer::Item(None, 0));
    });
}

#[test]
fn an_unknown_table_is_not_found() {
    Node::new(12, 1).run(|client| async move {
        client.create("things").await;
        let mut at = client.at("a", 1);
        at.table = 77;
        at.key[1..5].copy_from_slice(&77_u32.to_be_bytes());
        let answer = client.ask(&at.clone(), Operation::Put(put(at, item("a", 1, &[])))).await;
        assert_eq!(answer.failure(), (Code::ResourceNotFound, "Requested resource not found"));
    });
}

#[test]
fn bytes_that_are_no_message_item_or_program_are_refused_and_the_shard_lives_on() {
    let node = Node::new(13, 1);
    node.run(|client| async move {
        client.create("things").await;
        let shard = ShardId(0);
        let deadline = runtime::Mono(u64::MAX);
        for bytes in [vec![], vec![0; 7], vec![255; 4096]] {
            let reply = client.mesh.call(shard, deadline, bytes).await.unwrap();
            assert!(matches!(read_reply(&reply), Ok(ArchivedReply::Failed(_))));
        }
        let at = client.at("a", 1);
        let internal = |answer: Answer| assert_eq!(answer.failure().0, Code::InternalServerError);
        internal(client.ask(&at, Operation::Put(put(at.clone(), vec![1, 2, 3]))).await);
        let ask = Put { condition: Some(vec![255; 9]), ..put(at.clone(), item("a", 1, &[])) };
        internal(client.ask(&at, Operation::Put(ask)).await);
        let ask = Update { program: Some(vec![255; 9]), ..update(at.clone(), "a", 1, "", &[]) };
        internal(client.ask(&at, Operation::Update(ask)).await);
        let ask = Get { at: at.clone(), consistent: true, projection: Some(vec![255; 9]) };
        internal(client.ask(&at, Operation::Get(ask)).await);
        let foreign = KeyAt { key: [&[0_u8], at.key.as_slice()].concat(), ..at.clone() };
        assert!(matches!(
            client.ask(&at, Operation::Delete(delete(foreign))).await,
            Answer::Failed(Code::InternalServerError, ..) | Answer::Moved { .. }
        ));
        assert_eq!(client.get("a", 1).await, Answer::Item(None, 0));
        assert!(matches!(client.put("a", 1, &[]).await, Answer::Written { .. }));
    });
    assert!(!node.reports.borrow().is_empty(), "what a client is not told is reported");
}

#[test]
fn increments_of_one_key_by_many_clients_all_count() {
    for seed in 0..10 {
        let node = Node::new(100 + seed, 2);
        node.run(|client| async move {
            client.create("things").await;
            let one = [(":one", number(1))];
            let clients = (0..100).map(|_| client.update("a", 1, "ADD n :one", &one));
            let answers = join_all(clients).await;
            let mut seen: Vec<i64> = answers
                .iter()
                .map(|answer| match &answer.attributes().unwrap()["n"] {
                    Value::N(number) => number.as_i64().unwrap(),
                    other => panic!("{other:?}"),
                })
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (1..=100).collect::<Vec<_>>(), "each saw the one before");
            assert_eq!(client.get("a", 1).await.attributes().unwrap()["n"], number(100));
        });
        let stats = node.shard(0).stats();
        assert_eq!((stats.operations, stats.pending, stats.latches), (0, 0, 0));
    }
}

#[test]
fn of_many_who_create_the_same_item_on_condition_one_wins() {
    for seed in 0..10 {
        Node::new(200 + seed, 1).run(|client| async move {
            client.create("things").await;
            let at = client.at("a", 1);
            let answers = join_all((0..30).map(|n| {
                let (client, at) = (client.clone(), at.clone());
                async move {
                    let ask = Put {
                        condition: Some(condition_program("attribute_not_exists(p)", &[])),
                        return_old_on_failure: true,
                        ..put(at.clone(), item("a", 1, &[("n", number(n))]))
                    };
                    client.ask(&at, Operation::Put(ask)).await
                }
            }))
            .await;
            let winners: Vec<_> = (0..30)
                .zip(&answers)
                .filter(|(_, answer)| matches!(answer, Answer::Written { .. }))
                .collect();
            assert_eq!(winners.len(), 1);
            let item = attributes_of("a", 1, &[("n", number(winners[0].0))]);
            for answer in &answers {
                if let Answer::Failed(_, _, old) = answer {
                    assert_eq!(old.as_ref(), Some(&item), "losers saw the winner's item");
                }
            }
        });
    }
}

#[test]
fn a_table_is_measured_by_its_own_items_over_all_shards() {
    let node = Node::new(21, 3);
    node.run(|client| async move {
        let other = client.create("other").await.id;
        for number in 0..7 {
            client.put(&format!("p{number}"), 1, &more(RED)).await;
        }
        let table = client.create("things").await.id;
        assert_eq!(client.measure(table).await, (0, 0));
        let mut bytes = 0;
        for number in 0..50 {
            let name = format!("p{number}");
            client.put(&name, 1, &[]).await;
            client.put(&name, 1, &more(RED)).await;
            bytes += client.at(&name, 1).key.len() + item(&name, 1, &more(RED)).len();
        }
        // Nine bytes before each item: FORMAT.md, "Commands", stored value.
        assert_eq!(client.measure(table).await, (50, (bytes + 50 * 9) as u64));
        for number in 0..10 {
            client.delete(&format!("p{number}"), 1).await;
        }
        assert_eq!(client.measure(table).await.0, 40);
        assert_eq!(client.measure(other).await.0, 7);
    });
    // What was replayed and flushed counts as well.
    node.restart();
    node.run(|client| async move {
        let table = client.active("things").await.id;
        assert_eq!(client.measure(table).await.0, 40);
    });
}
