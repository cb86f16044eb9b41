//! What a run leaves behind: nothing, or many of them need more memory than there is.

use std::rc::{Rc, Weak};
use std::time::Duration;

use runtime::sim::SimRuntime;
use shard::Shard;
use sim::plan::Plan;
use sim::story::{self, Stage};

type Remains = Vec<Weak<Shard<SimRuntime>>>;

fn shards(stage: &Stage, node: usize) -> Remains {
    stage.cluster.shards(node).iter().map(Rc::downgrade).collect()
}

fn living(remains: &Remains) -> usize {
    remains.iter().filter(|shard| shard.strong_count() > 0).count()
}

#[test]
fn shards_go_with_their_power_and_everything_with_the_world() {
    let plan = Plan { cores: 2, length: Duration::from_secs(3), ..Plan::calm(1) };
    let mut all = Remains::new();
    let ended = story::run_with(&plan, async |stage: &Stage| {
        let first = shards(stage, 0);
        assert_eq!(living(&first), 2);
        stage.cluster.crash(0);
        assert_eq!(living(&first), 0, "power is off");
        stage.cluster.release(0);
        stage.cluster.world().sleep(Duration::from_secs(1)).await;
        let stopped = shards(stage, 1);
        stage.cluster.stop(1, Duration::from_secs(20)).await;
        assert_eq!(living(&stopped), 0, "it has stopped");
        stage.cluster.release(1);
        stage.cluster.world().sleep(Duration::from_secs(1)).await;
        all.extend((0..3).flat_map(|node| shards(stage, node)));
        assert_eq!(living(&all), 6);
    });
    drop(ended.unwrap());
    assert_eq!(living(&all), 0, "the world is over");
}
