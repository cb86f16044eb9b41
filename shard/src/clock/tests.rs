//! Stamps follow the wall clock and never go back.

use super::*;
use runtime::sim::{World, WorldOptions};
use std::time::Duration;

#[test]
fn stamps_grow_although_the_wall_clock_goes_back() {
    let world = World::new(1, WorldOptions::default());
    let node = world.node("n");
    let rt = world.runtime(node);
    let clock = Clock::default();
    let mut last = Stamp::default();
    for step in 0..1000 {
        if step % 100 == 50 {
            world.jump_wall(node, -3_600_000_000);
        }
        world.run_for(Duration::from_micros(step % 3));
        let next = clock.next(&rt);
        assert!(next > last);
        last = next;
    }
    world.jump_wall(node, 24 * 3_600_000_000);
    assert_eq!(clock.next(&rt), Stamp::at(rt.wall()), "and follows it again when it is ahead");
}

#[test]
fn a_witnessed_stamp_is_not_given_again() {
    let world = World::new(2, WorldOptions::default());
    let rt = world.runtime(world.node("n"));
    let clock = Clock::default();
    let ahead = Stamp(Stamp::at(rt.wall()).0 + (1 << 40));
    clock.witness(ahead);
    assert_eq!(clock.next(&rt), Stamp(ahead.0 + 1));
    clock.witness(Stamp(5));
    assert_eq!(clock.next(&rt), Stamp(ahead.0 + 2));
}

#[test]
fn a_broken_wall_clock_does_not_end_the_stamps() {
    let end = Stamp::at(Wall(u64::MAX));
    assert!(end.0 < u64::MAX - (1 << 50) && end > Stamp::at(Wall(4_000_000_000_000_000)));
}
