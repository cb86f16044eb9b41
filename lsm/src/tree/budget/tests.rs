use super::*;

fn room(memtable_bytes: usize, level0: usize) -> Room {
    let flushing_bytes = memtable_bytes.min(1000);
    Room {
        memtable_bytes,
        memtable_bytes_max: 3000,
        flushing_bytes,
        level0,
        level0_slow: 12,
        level0_stop: 24,
    }
}

#[test]
fn the_way_begins_at_half_the_memtables_or_many_tables() {
    assert_eq!(room(1500, 12).owed(), 0);
    assert_eq!(room(1515, 12).owed(), 10);
    assert_eq!(room(0, 13).owed(), 83);
    assert_eq!(room(3000, 0).owed(), OWED_MAX);
    assert_eq!(room(9000, 0).owed(), OWED_MAX);
    assert_eq!(room(0, 30).owed(), OWED_MAX);
    assert_eq!((room(500, 0).bytes(), room(1600, 0).bytes(), room(0, 13).bytes()), (1000, 0, 0));
}

#[test]
fn a_flush_has_all_urgency_before_writers_are_slowed() {
    let pressures = [0, 1000, 1250, 1500, 2000].map(|bytes| room(bytes, 0).flush_pressure());
    assert_eq!(pressures, [0, 0, 500, 1000, 1000]);
    for bytes in 0..4000 {
        assert!(room(bytes, 0).owed() == 0 || room(bytes, 0).flush_pressure() == OWED_MAX);
    }
}

#[test]
fn the_rate_falls_smoothly_to_a_trickle() {
    assert_eq!(rate(0), None);
    let mut before = RATE_FIRST;
    for owed in 1..=OWED_MAX {
        let now = rate(owed).expect("there is a limit");
        assert!(now < before, "{owed} thousandths");
        assert!(now >= before - before / 90, "no step is larger than a ninetieth: {owed}");
        before = now;
    }
    assert_eq!((rate(500), rate(OWED_MAX)), (Some(32 << 20), Some(RATE_LAST)));
}

#[test]
fn writers_wait_for_all_bytes_however_many_they_are() {
    let (now, before) = (Mono(5_000_000), Mono(0));
    assert_eq!(due(now, before, 1 << 30, 0), Mono(0), "nothing is owed");
    let first = due(now, before, 32 << 10, 500);
    assert_eq!(first, Mono(5_976_562), "a thousandth of 32 MiB a second");
    assert_eq!(due(now, first, 32 << 10, 500), Mono(6_953_124), "behind the one before");
    assert_eq!(due(Mono(9_000_000), first, 0, 500), Mono(9_000_000), "nothing is saved up");
}

#[test]
fn waits_are_worth_their_timer_and_bounded() {
    assert_eq!(pause(Duration::from_micros(49)), None);
    assert_eq!(pause(Duration::from_micros(976)), Some(Duration::from_micros(976)));
    assert_eq!(pause(Duration::from_secs(5)), Some(PAUSE_MAX));
}
