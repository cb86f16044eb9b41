use std::future::Future;
use std::time::Duration;

use model::ring::{NodeId, Place, ShardId};
use net::mesh::CallError;
use runtime::Runtime;
use runtime::sim::{SimRuntime, World, WorldOptions};

use super::{BUCKETS, PATIENCE_FIRST, PATIENCE_MAX, PATIENCE_MIN, Places, SILENCE_MAX, bucket_of, end_of};

const THERE: Place = Place { node: NodeId(2), shard: ShardId(1) };

fn with_world<F: Future<Output = ()>>(test: impl FnOnce(SimRuntime, Places) -> F) {
    let world = World::new(1, WorldOptions::default());
    let rt = world.runtime(world.node("here"));
    world.block_on(test(rt, Places::default()));
}

async fn answered(rt: &SimRuntime, places: &Places, place: Place, us: u64) {
    let open = places.begin(rt, place, None).expect("another process");
    rt.sleep(Duration::from_micros(us)).await;
    open.end(&Ok::<_, CallError>(()));
}

#[test]
fn buckets_cover_all_times() {
    let mut last = 0;
    for us in 1..100_000 {
        let bucket = bucket_of(us);
        assert!(us < end_of(bucket), "{us} in bucket {bucket}, which ends at {}", end_of(bucket));
        assert!(bucket >= last);
        last = bucket;
    }
    assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    assert_eq!(bucket_of(0), 0);
}

#[test]
fn what_is_here_is_not_watched() {
    with_world(|rt, places| async move {
        assert!(places.begin(&rt, THERE, Some(THERE.node)).is_none());
    });
}

#[test]
fn patience_follows_what_nearly_all_answers_took() {
    with_world(|rt, places| async move {
        assert_eq!(places.patience(THERE), PATIENCE_FIRST);
        for count in 0..1000 {
            // One in a hundred is slow: it does not make everybody wait.
            answered(&rt, &places, THERE, if count % 100 == 0 { 30_000 } else { 2_500 }).await;
        }
        let patience = places.patience(THERE);
        assert!(
            patience > Duration::from_micros(2_500) && patience < Duration::from_millis(5),
            "{patience:?}"
        );
        for _ in 0..3000 {
            answered(&rt, &places, THERE, 20).await;
        }
        assert_eq!(places.patience(THERE), PATIENCE_MIN);
        for _ in 0..3000 {
            answered(&rt, &places, THERE, 300_000).await;
        }
        assert_eq!(places.patience(THERE), PATIENCE_MAX);
    });
}

#[test]
fn silence_with_open_questions_is_suspect_and_an_answer_ends_it() {
    with_world(|rt, places| async move {
        answered(&rt, &places, THERE, 100).await;
        rt.sleep(SILENCE_MAX * 2).await;
        assert!(!places.is_suspect(THERE, rt.now()), "nobody asked");
        let one = places.begin(&rt, THERE, None).expect("another process");
        let two = places.begin(&rt, THERE, None).expect("another process");
        rt.sleep(SILENCE_MAX / 2).await;
        assert!(!places.is_suspect(THERE, rt.now()));
        rt.sleep(SILENCE_MAX / 2).await;
        assert!(places.is_suspect(THERE, rt.now()));
        assert_eq!(places.cost(THERE, rt.now()), u64::MAX);
        one.end(&Ok::<_, CallError>(()));
        assert!(!places.is_suspect(THERE, rt.now()), "it lives");
        rt.sleep(SILENCE_MAX).await;
        assert!(places.is_suspect(THERE, rt.now()), "the other question is open still");
        drop(two);
        assert!(!places.is_suspect(THERE, rt.now()), "nothing is open");
    });
}

#[test]
fn who_cannot_be_reached_is_down_for_a_moment() {
    with_world(|rt, places| async move {
        let open = places.begin(&rt, THERE, None).expect("another process");
        open.end(&Err::<(), _>(CallError::NotServing));
        assert!(places.is_down(THERE, rt.now()));
        rt.sleep(Duration::from_secs(1)).await;
        assert!(!places.is_down(THERE, rt.now()));
        let open = places.begin(&rt, THERE, None).expect("another process");
        open.end(&Err::<(), _>(CallError::Busy));
        assert!(!places.is_down(THERE, rt.now()), "it was refused on this side");
    });
}

#[test]
fn who_answers_nothing_twice_in_a_row_is_down_for_a_moment() {
    with_world(|rt, places| async move {
        for misses in 1..=3 {
            let open = places.begin(&rt, THERE, None).expect("another process");
            rt.sleep(Duration::from_millis(20)).await;
            drop(open);
            assert_eq!(places.is_down(THERE, rt.now()), misses >= 2);
        }
        rt.sleep(Duration::from_secs(1)).await;
        answered(&rt, &places, THERE, 100).await;
        drop(places.begin(&rt, THERE, None));
        assert!(!places.is_down(THERE, rt.now()), "an answer came between");
    });
}

#[test]
fn the_faster_and_the_less_busy_cost_less() {
    with_world(|rt, places| async move {
        let other = Place { node: NodeId(3), ..THERE };
        for _ in 0..20 {
            answered(&rt, &places, THERE, 1_000).await;
            answered(&rt, &places, other, 200).await;
        }
        assert!(places.cost(other, rt.now()) < places.cost(THERE, rt.now()));
        let open: Vec<_> = (0..9).map(|_| places.begin(&rt, other, None)).collect();
        assert!(places.cost(other, rt.now()) > places.cost(THERE, rt.now()), "nine are waiting there");
        drop(open);
        rt.sleep(Duration::from_secs(20)).await;
        assert_eq!(places.cost(THERE, rt.now()), 0, "long ago");
    });
}
