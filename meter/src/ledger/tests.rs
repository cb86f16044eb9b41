use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::{World, WorldOptions};
use runtime::{Runtime, Ticks};

use super::{FOLLOWERS_MAX, Follower, Ledger, Served, fold, mark, serve, under};
use crate::stage::{Operation, Stage};

fn sum(ledger: &Ledger) -> u64 {
    Stage::ALL.iter().map(|stage| ledger.total_of(*stage)).sum()
}

#[test]
fn stages_add_up_to_the_time_between_first_and_last_mark() {
    let ledger = Ledger::default();
    ledger.begin(Ticks(1_000));
    ledger.mark(Ticks(1_300), Stage::Receive);
    ledger.mark(Ticks(1_350), Stage::Parse);
    ledger.mark(Ticks(1_350), Stage::Auth);
    ledger.mark(Ticks(2_350), Stage::Parse);
    assert_eq!((ledger.here(Stage::Receive), ledger.here(Stage::Parse)), (300, 1_050));
    assert_eq!((ledger.total(), sum(&ledger)), (1_350, 1_350));
    ledger.begin(Ticks(5_000));
    assert_eq!((ledger.total(), sum(&ledger)), (0, 0));
}

#[test]
fn what_is_spent_elsewhere_is_counted_once() {
    let ledger = Ledger::default();
    ledger.begin(Ticks(0));
    ledger.mark(Ticks(10), Stage::Parse);
    // Two shards work at the same time; the second is ready 20 later.
    ledger.fold(Ticks(110), &Served::of(&[(Stage::Read, 60), (Stage::Evaluate, 10)]));
    ledger.fold(Ticks(130), &Served::of(&[(Stage::Read, 80), (Stage::Evaluate, 15)]));
    assert_eq!((ledger.total_of(Stage::Route), ledger.total_of(Stage::Read)), (30, 65));
    assert_eq!((ledger.total_of(Stage::Evaluate), ledger.here(Stage::Evaluate)), (25, 0));
    assert_eq!((ledger.total(), sum(&ledger)), (130, 130));
}

#[test]
fn a_header_names_what_took_time() {
    let ledger = Ledger::default();
    ledger.begin(Ticks(0));
    ledger.mark(Ticks(1_203), Stage::Receive);
    ledger.mark(Ticks(9_073), Stage::Parse);
    ledger.fold(Ticks(109_073), &Served::of(&[(Stage::Durable, 90_000)]));
    let mut followers = [Follower::default(); FOLLOWERS_MAX];
    followers[0] = Follower { node: 2, nanos: 95_400 };
    ledger.set_followers(&followers);
    let mut out = Vec::new();
    ledger.write_header(&mut out);
    let expected = "receive;dur=1.203, parse;dur=7.870, route;dur=10.000, durable;dur=90.000, total;dur=109.073, follower;node=2;dur=95.400";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_shard_elsewhere_tells_its_time_behind_the_reply() {
    let world = World::new(1, WorldOptions { buggify: false, ..WorldOptions::default() });
    let node = world.node("node");
    let rt = world.runtime(node);
    world.block_on(async {
        let ledger = Rc::new(Ledger::default());
        ledger.begin(rt.ticks());
        let asks = async {
            let answers = async {
                rt.sleep(Duration::from_micros(20)).await;
                super::with_present(|there| {
                    assert!(there.is_for_others() && !there.was_served());
                    there.mark_arrived(rt.ticks());
                    assert!(there.was_served());
                    there.set_operation(Operation::GetItem);
                });
                rt.sleep(Duration::from_micros(50)).await;
                mark(&rt, Stage::Read);
                b"reply".to_vec()
            };
            let mut reply = serve(&rt, answers).await;
            rt.sleep(Duration::from_micros(7)).await;
            assert!(fold(&rt, &mut reply));
            assert_eq!(reply, b"reply");
        };
        under(&ledger, pin!(asks)).await;
        assert_eq!((ledger.total_of(Stage::Queue), ledger.total_of(Stage::Read)), (20_000, 50_000));
        assert_eq!((ledger.here(Stage::Route), ledger.total(), sum(&ledger)), (7_000, 77_000, 77_000));
        // Nothing runs for a request now.
        super::with_present(|_| panic!("nobody is present"));
        assert!(!fold(&rt, &mut b"too short".to_vec()));
    });
}
