//! Tables: their life, DynamoDB's words for what may not be, and crashes between any two steps.

use crate::crash::{small, small_world};
use crate::harness::*;
use model::error::Code;
use model::table::{BillingMode, Table, TableStatus, TimeToLive};
use net::message::{
    BillingMode as NewMode, Catalog, KeyAt, Operation, TableChange, TableClass, TagKeys, Tags,
    TimeToLiveChange,
};
use runtime::sync::join_all;
use std::collections::BTreeSet;

fn create(name: &str) -> Catalog {
    Catalog::Create(table(name).to_item())
}

fn change(name: &str) -> TableChange {
    TableChange { name: name.to_string(), ..TableChange::default() }
}

/// Waits until a table is gone from this core's map.
async fn gone(client: &Client, name: &str) {
    loop {
        let map = client.mesh.map().get();
        if !map.tables.contains_key(name) {
            return;
        }
        client.mesh.map().at_least(map.version + 1).await;
    }
}

#[test]
fn a_table_is_creating_then_active_everywhere_and_knows_its_birth() {
    let node = Node::new(1, 3);
    node.run(|client| async move {
        let first = client.catalog(create("first")).await.table();
        assert_eq!((first.status, first.id.0), (TableStatus::Creating, 1));
        assert!(first.created_us > 0);
        let parts: Vec<usize> = first.uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{}", first.uuid);
        let active = client.active("first").await;
        assert_eq!(*active, Table { status: TableStatus::Active, ..first.clone() });
        let second = client.create("second").await;
        assert!(second.id > first.id && second.uuid != first.uuid);
    });
    for core in 0..3 {
        let map = node.client(core).mesh.map().get();
        assert_eq!(map.tables.keys().collect::<Vec<_>>(), ["first", "second"], "core {core}");
    }
}

#[test]
fn every_core_knows_a_change_when_its_client_hears_of_it() {
    let node = Node::new(2, 3);
    node.run(|client| async move {
        client.catalog(create("first")).await.table();
    });
    for core in 0..3 {
        assert!(node.client(core).mesh.map().get().tables.contains_key("first"), "core {core}");
    }
}

#[test]
fn a_description_is_what_every_core_knows() {
    let node = Node::new(8, 3);
    let described = node.run(|client| async move {
        let ask = || client.catalog(Catalog::Describe("first".to_string()));
        let message = "Requested resource not found: Table: first not found";
        assert_eq!(ask().await.failure(), (Code::ResourceNotFound, message));
        client.catalog(create("first")).await.table();
        loop {
            let table = ask().await.table();
            if table.status == TableStatus::Active {
                return table;
            }
            client.rt.sleep(std::time::Duration::from_micros(10)).await;
        }
    });
    for core in 0..3 {
        assert_eq!(*node.client(core).mesh.map().get().tables["first"], described, "core {core}");
    }
}

#[test]
fn what_may_not_be_is_refused_in_dynamodb_s_words() {
    Node::new(3, 1).run(|client| async move {
        client.create("first").await;
        let exists = client.catalog(create("first")).await;
        assert_eq!(exists.failure(), (Code::ResourceInUse, "Table already exists: first"));
        let unknown = "Requested resource not found: Table: other not found";
        for refused in [Catalog::Delete("other".to_string()), Catalog::Update(change("other"))] {
            assert_eq!(client.catalog(refused).await.failure(), (Code::ResourceNotFound, unknown));
        }
        let protect = TableChange { deletion_protection: Some(true), ..change("first") };
        assert!(client.catalog(Catalog::Update(protect)).await.table().deletion_protection);
        client.active("first").await;
        let refused = client.catalog(Catalog::Delete("first".to_string())).await;
        assert_eq!(
            refused.failure(),
            (
                Code::Validation,
                "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
            )
        );
        let release = TableChange { deletion_protection: Some(false), ..change("first") };
        client.catalog(Catalog::Update(release)).await.table();
        client.active("first").await;
        let deleting = client.catalog(Catalog::Delete("first".to_string())).await.table();
        assert_eq!(deleting.status, TableStatus::Deleting);
        gone(&client, "first").await;
        assert_eq!(client.catalog(Catalog::Delete("first".to_string())).await.failure().0, Code::ResourceNotFound);
    });
}

#[test]
fn settings_change_and_billing_follows_its_rules() {
    Node::new(4, 1).run(|client| async move {
        client.create("t").await;
        let ask = |change| client.catalog(Catalog::Update(change));
        let units = TableChange { provisioned: Some((5, 5)), ..change("t") };
        let message = "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be \
                       specified when BillingMode is PAY_PER_REQUEST";
        assert_eq!(ask(units.clone()).await.failure(), (Code::Validation, message));
        let mode = TableChange { billing_mode: Some(NewMode::Provisioned), ..change("t") };
        assert_eq!(ask(mode.clone()).await.failure().0, Code::Validation, "units are missing");
        let updated = ask(TableChange { provisioned: Some((5, 7)), ..mode }).await.table();
        assert_eq!(updated.status, TableStatus::Updating);
        let active = client.active("t").await;
        assert_eq!((active.billing.mode, active.billing.read_units, active.billing.write_units), (BillingMode::Provisioned, 5, 7));
        assert!(active.billing.last_increase_us.is_some() && active.billing.last_decrease_us.is_none());

        let same = ask(TableChange { provisioned: Some((5, 7)), ..change("t") }).await;
        assert!(same.failure().1.starts_with("The provisioned throughput for the table will not change."));
        ask(TableChange { provisioned: Some((1, 7)), ..change("t") }).await.table();
        assert_eq!(client.active("t").await.billing.decreases_today, 1);
        ask(TableChange { provisioned: Some((1, 6)), ..change("t") }).await.table();
        assert_eq!(client.active("t").await.billing.decreases_today, 2);

        let on_demand = TableChange {
            billing_mode: Some(NewMode::PayPerRequest),
            table_class: Some(TableClass::InfrequentAccess),
            ..change("t")
        };
        ask(on_demand).await.table();
        let active = client.active("t").await;
        assert_eq!((active.billing.read_units, active.billing.write_units), (0, 0));
        assert!(active.billing.last_on_demand_us.is_some());
        assert_eq!(active.class, model::table::TableClass::InfrequentAccess);
    });
}

#[test]
fn a_deleted_table_s_items_are_gone_also_for_a_table_of_the_same_name() {
    for seed in 0..10 {
        let node = Node::with(small_world(seed), 2, small);
        node.run(|client| async move {
            let old = client.create("t").await;
            for n in 0..50 {
                client.put(&format!("p{n}"), n, &[]).await;
            }
            let stale = client.at("p1", 1);
            client.catalog(Catalog::Delete("t".to_string())).await.table();
            gone(&client, "t").await;
            let late = client.ask(&stale, Operation::Put(put(stale.clone(), item("p1", 1, &[])))).await;
            assert_eq!(late.failure(), (Code::ResourceNotFound, "Requested resource not found"));
            let new = client.create("t").await;
            assert!(new.id > old.id);
            assert_eq!(client.scan_all().await.len(), 0);
            client.put("p1", 1, &[]).await;
            assert_eq!(client.scan_all().await.len(), 1);
        });
        node.restart();
        node.run(|client| async move {
            client.active("t").await;
            assert_eq!(client.scan_all().await.len(), 1, "the replay drops what was dropped, and no more");
        });
    }
}

#[test]
fn writes_that_race_with_a_deletion_are_refused_or_dropped_with_the_table() {
    for seed in 0..20 {
        let node = Node::with(small_world(seed), 2, small);
        let leftovers = node.run(|client| async move {
            client.create("t").await;
            let write = |n: i64| {
                let client = client.clone();
                async move {
                    let at = client.at(&format!("p{n}"), n);
                    let ask = Operation::Put(put(at.clone(), item(&format!("p{n}"), n, &[])));
                    let answer = client.ask(&at, ask).await;
                    assert!(
                        matches!(answer, Answer::Written { .. })
                            || answer.failure() == (Code::ResourceNotFound, "Requested resource not found")
                    );
                    at
                }
            };
            let writers = async { join_all((0..60).map(write)).await };
            let delete = async {
                client
                    .rt
                    .sleep(std::time::Duration::from_micros(client.rt.random(Purpose::Workload) % 3000))
                    .await;
                client.catalog(Catalog::Delete("t".to_string())).await.table();
                gone(&client, "t").await;
                Vec::new()
            };
            let both: [std::pin::Pin<Box<dyn Future<Output = Vec<KeyAt>>>>; 2] =
                [Box::pin(writers), Box::pin(delete)];
            join_all(both).await.swap_remove(0)
        });
        // The tree itself must not hold any of them, whatever the catalog says.
        node.world.block_on(async {
            for at in leftovers {
                for core in 0..2 {
                    assert!(!node.shard(core).holds(&at.key).await, "seed {seed}");
                }
            }
        });
    }
}

use runtime::{Purpose, Runtime};

#[test]
fn changes_that_come_at_once_are_made_one_after_the_other() {
    Node::new(6, 2).run(|client| async move {
        let answers = join_all((0..20).map(|n| client.catalog(create(&format!("table-{}", n % 10))))).await;
        let made: Vec<_> = answers.iter().filter(|answer| matches!(answer, Answer::Table(_))).collect();
        let refused =
            answers.iter().filter(|answer| matches!(answer, Answer::Failed(Code::ResourceInUse, ..))).count();
        assert_eq!((made.len(), refused), (10, 10));
        let ids: BTreeSet<_> = made.into_iter().map(|answer| answer.clone().table().id).collect();
        assert_eq!(ids.len(), 10);
    });
}

/// Crashes while tables are made and deleted; afterwards every table gets to where it was going, acknowledged changes
/// are there, ids were never given twice and the version never went back.
#[test]
fn a_crash_between_any_two_steps_is_carried_on_from() {
    let (mut created, mut deleted, mut unfinished) = (0, 0, 0);
    for seed in 0..150 {
        let node = Node::with(small_world(seed), 2, small);
        let made = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let removed = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let client = node.run(|client| async move { client });
        let version_before = client.mesh.map().get().version;
        let script = {
            let (made, removed) = (made.clone(), removed.clone());
            async move {
                for n in 0.. {
                    let name = format!("table-{n}");
                    let table = client.catalog(create(&name)).await.table();
                    made.borrow_mut().push(table);
                    client.active(&name).await;
                    for key in 0..3 {
                        client.put("p", key, &[]).await;
                    }
                    if n % 2 == 1 {
                        client.catalog(Catalog::Delete(name.clone())).await.table();
                        removed.borrow_mut().push(name.clone());
                        gone(&client, &name).await;
                    }
                }
            }
        };
        node.world.block_on_steps(node.world.draw("crash", 0) % 4000, script);
        let version = node.client(0).mesh.map().get().version;
        node.restart();
        let (made, removed) = (made.borrow().clone(), removed.borrow().clone());
        assert!(node.settle(), "{:?}", node.failures.borrow());
        let client = node.client(0);
        unfinished += client
            .mesh
            .map()
            .get()
            .tables
            .values()
            .filter(|table| table.status != TableStatus::Active)
            .count();
        node.world.block_on(async {
            loop {
                let map = client.mesh.map().get();
                if map.tables.values().all(|table| table.status == TableStatus::Active) {
                    break;
                }
                client.mesh.map().at_least(map.version + 1).await;
            }
            let map = client.mesh.map().get();
            assert!(map.version >= version && version >= version_before);
            for table in &made {
                let present = map.tables.get(&table.name);
                if removed.contains(&table.name) {
                    assert!(present.is_none(), "seed {seed}: {} was deleted", table.name);
                } else if let Some(present) = present {
                    assert_eq!((present.id, &present.uuid), (table.id, &table.uuid), "seed {seed}");
                } else {
                    let number: usize = table.name["table-".len()..].parse().unwrap();
                    assert!(
                        number % 2 == 1 && number + 1 == made.len(),
                        "seed {seed}: {} is lost",
                        table.name
                    );
                }
            }
            let ids: BTreeSet<_> = made.iter().map(|table| table.id).collect();
            assert_eq!(ids.len(), made.len());
            let next = client.create("next").await;
            assert!(ids.iter().all(|id| next.id > *id), "seed {seed}: an id was given twice");
            assert_eq!(client.scan_all().await.len(), 0);
        });
        (created, deleted) = (created + made.len(), deleted + removed.len());
    }
    assert!(created > 300 && deleted > 100 && unfinished > 5, "{created} {deleted} {unfinished}");
}

#[test]
fn a_client_that_goes_away_does_not_stop_a_change() {
    for steps in (0..400).step_by(7) {
        let node = Node::with(small_world(steps), 2, small);
        let client = node.run(|client| async move { client });
        assert!(client.mesh.map().get().tables.is_empty());
        node.world.block_on_steps(steps, client.catalog(create("t")));
        node.run(|client| async move {
            // Whether it was taken or not, the catalog goes on, and the name is in one state.
            client.create("other").await;
            let again = client.catalog(create("t")).await;
            assert!(matches!(again, Answer::Table(_) | Answer::Failed(Code::ResourceInUse, ..)));
            client.active("t").await;
        });
    }
}

#[test]
fn only_the_first_shard_changes_the_catalog() {
    Node::new(7, 2).run(|client| async move {
        let answer = client.send(model::ring::ShardId(1), Operation::Catalog(create("t"))).await.unwrap();
        assert_eq!(answer.failure().0, Code::InternalServerError);
        assert!(client.mesh.map().get().tables.is_empty());
    });
}

#[test]
fn tags_come_and_go_and_survive_a_restart() {
    let node = Node::new(31, 2);
    let tags = |names: &[(&str, &str)]| -> Vec<(String, String)> {
        names.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
    };
    let shown = |table: &Table| -> Vec<(String, String)> {
        table.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    };
    node.run(|client| async move {
        client.create("t").await;
        let tag = |names: &[(&str, &str)]| Catalog::Tag(Tags { name: "t".to_string(), tags: tags(names) });
        let untag = |keys: &[&str]| {
            let keys = keys.iter().map(ToString::to_string).collect();
            Catalog::Untag(TagKeys { name: "t".to_string(), keys })
        };
        let tagged = client.catalog(tag(&[("b", "1"), ("a", "")])).await.table();
        assert_eq!(tagged.status, TableStatus::Active);
        assert_eq!(shown(&tagged), tags(&[("a", ""), ("b", "1")]));
        let tagged = client.catalog(tag(&[("b", "2"), ("c", "3")])).await.table();
        assert_eq!(shown(&tagged), tags(&[("a", ""), ("b", "2"), ("c", "3")]));
        let untagged = client.catalog(untag(&["a", "none"])).await.table();
        assert_eq!(shown(&untagged), tags(&[("b", "2"), ("c", "3")]));
        let many: Vec<(String, String)> = (0..49).map(|n| (format!("n{n}"), String::new())).collect();
        let many = |count| Catalog::Tag(Tags { name: "t".to_string(), tags: many[..count].to_vec() });
        assert_eq!(client.catalog(many(48)).await.table().tags.len(), 50);
        let message = "Number of Tags exceed the current limit for the provided ResourceArn";
        assert_eq!(client.catalog(many(49)).await.failure(), (Code::Validation, message));
        let version = client.mesh.map().get().version;
        assert_eq!(client.catalog(untag(&["none"])).await.table().tags.len(), 50);
        assert_eq!(client.mesh.map().get().version, version, "what changes nothing writes nothing");
    });
    node.restart();
    node.run(|client| async move {
        assert_eq!(client.catalog(Catalog::Describe("t".to_string())).await.table().tags.len(), 50);
    });
}

#[test]
fn time_to_live_is_switched_on_and_off_and_survives_a_restart() {
    let node = Node::new(32, 2);
    let switch = |attribute: &str, enabled| {
        let (name, attribute) = ("t".to_string(), attribute.to_string());
        Catalog::TimeToLive(TimeToLiveChange { name, attribute, enabled })
    };
    node.run(|client| async move {
        let unknown = "Requested resource not found: Table: t not found";
        let refused = client.catalog(switch("x", true)).await;
        assert_eq!(refused.failure(), (Code::ResourceNotFound, unknown));
        client.create("t").await;
        let refused = client.catalog(switch("x", false)).await;
        assert_eq!(refused.failure(), (Code::Validation, "TimeToLive is already disabled"));
        let table = client.catalog(switch("x", true)).await.table();
        assert_eq!(table.status, TableStatus::Active);
        assert_eq!(table.time_to_live, Some(TimeToLive { attribute: "x".to_string() }));
        let refused = client.catalog(switch("x", true)).await;
        assert_eq!(refused.failure(), (Code::Validation, "TimeToLive is already enabled"));
        let message = "TimeToLive is active on a different AttributeName: current AttributeName is x";
        for enabled in [true, false] {
            let refused = client.catalog(switch("y", enabled)).await;
            assert_eq!(refused.failure(), (Code::Validation, message));
        }
    });
    node.restart();
    node.run(|client| async move {
        let table = client.catalog(Catalog::Describe("t".to_string())).await.table();
        assert_eq!(table.time_to_live, Some(TimeToLive { attribute: "x".to_string() }));
        assert_eq!(client.catalog(switch("x", false)).await.table().time_to_live, None);
    });
}
