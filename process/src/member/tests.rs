//! What core 0 does for a node, on the simulated runtime.

use super::*;
use model::ring::Ring;
use runtime::sim::{Chance, World, WorldOptions};

#[test]
fn a_map_that_could_not_be_kept_is_tried_again() {
    let world = World::new(1, WorldOptions::default());
    let node = world.node("n");
    let rt = world.runtime(node);
    let lines = Rc::new(RefCell::new(Vec::new()));
    let (data, disk) = (Path::new("data"), world.disk(node));
    let cell = MapCell::new(Map::alone(Ring::even(1, 1)));
    let report: Report = Rc::new({
        let lines = lines.clone();
        move |line: &str| lines.borrow_mut().push(line.to_owned())
    });
    let (clock, watched) = (rt.clone(), cell.clone());
    let _remembers = world.spawn(async move { remember(&clock, &watched, data, &report).await });
    world.run_for(REMEMBER_PAUSE);
    let known = || world.block_on(shard::node::known(&rt, data)).expect("it can be read");

    disk.change_faults(|faults| faults.sync_error = Chance::ALWAYS);
    let mut newer = Map::clone(&cell.get());
    newer.version += 1;
    newer.ring.epoch += 1;
    cell.set(Rc::new(newer));
    world.run_for(10 * REMEMBER_AGAIN);
    assert_eq!(known().map(|map| map.version), None);
    assert_eq!(lines.borrow().len(), 1, "the same is said once: {lines:?}");

    disk.change_faults(|faults| faults.sync_error = Chance::NEVER);
    world.run_for(2 * REMEMBER_AGAIN);
    assert_eq!(
        known().map(|map| map.version),
        Some(cell.get().version),
        "nothing has changed since, and it is kept all the same"
    );
    assert_eq!(lines.borrow().len(), 1);
}
