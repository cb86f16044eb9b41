use runtime::Wall;

use super::*;

/// A table of some bytes from one key to another, with sequence numbers from 10 to 20.
fn table(id: u64, size: u64, smallest: &str, largest: &str) -> Box<TableMeta> {
    Box::new(TableMeta {
        id,
        size,
        entries: 1,
        tombstones: 0,
        sequence_min: 10,
        sequence_max: 20,
        drops_applied: 0,
        created: Wall(0),
        content_checksum: 0,
        smallest: smallest.as_bytes().into(),
        largest: largest.as_bytes().into(),
    })
}

type Levels = [Vec<Box<TableMeta>>; LEVEL_COUNT];

fn options() -> TreeOptions {
    let mut options = TreeOptions::new("tree");
    options.level0_tables = 2;
    options.level1_bytes = 100;
    options.level_factor = 10;
    options
}

fn job(kind: Kind, level: usize, inputs: &[u64], target: usize, below: &[u64]) -> Option<Job> {
    Some(Job { kind, level, inputs: inputs.to_vec(), target, below: below.to_vec() })
}

fn check(levels: Levels, drops: &[DroppedRange], expected: Option<Job>) {
    assert_eq!(pick(&levels, drops, &options()), expected);
}

#[test]
fn nothing_to_do() {
    check(Levels::default(), &[], None);
    let mut levels = Levels::default();
    levels[0] = vec![table(1, 1000, "a", "z")];
    levels[1] = vec![table(2, 100, "a", "z")];
    check(levels, &[], None);
}

#[test]
fn all_of_level_0_goes_into_what_it_overlaps() {
    let mut levels = Levels::default();
    levels[0] = vec![table(9, 10, "c", "f"), table(8, 10, "d", "h")];
    levels[1] =
        vec![table(1, 10, "a", "b"), table(2, 10, "b2", "c"), table(3, 10, "g", "k"), table(4, 10, "l", "m")];
    check(levels, &[], job(Kind::Merge, 0, &[9, 8], 1, &[2, 3]));
}

#[test]
fn what_overlaps_nothing_moves() {
    let mut levels = Levels::default();
    levels[0] = vec![table(9, 10, "g", "h"), table(8, 10, "c", "f")];
    levels[1] = vec![table(1, 10, "a", "b"), table(2, 10, "i", "k")];
    check(levels, &[], job(Kind::Move, 0, &[9, 8], 1, &[]));
    let mut levels = Levels::default();
    levels[0] = vec![table(9, 10, "f", "h"), table(8, 10, "c", "f")];
    check(levels, &[], job(Kind::Merge, 0, &[9, 8], 1, &[]));
}

#[test]
fn a_deeper_level_gives_the_table_that_costs_least() {
    let mut levels = Levels::default();
    levels[1] = vec![table(1, 60, "a", "c"), table(2, 60, "d", "f"), table(3, 60, "g", "k")];
    levels[2] = vec![table(4, 80, "a", "b"), table(5, 10, "d", "e"), table(6, 90, "g", "z")];
    check(levels, &[], job(Kind::Merge, 1, &[2], 2, &[5]));
}

#[test]
fn the_level_that_is_furthest_over_comes_first() {
    let mut levels = Levels::default();
    levels[0] = vec![table(9, 10, "a", "b"), table(8, 10, "a", "b")];
    levels[1] = vec![table(1, 250, "x", "y")];
    check(levels.clone(), &[], job(Kind::Move, 1, &[1], 2, &[]));
    levels[1] = vec![table(1, 101, "x", "y")];
    check(levels, &[], job(Kind::Merge, 0, &[9, 8], 1, &[]));
}

#[test]
fn the_last_level_is_never_too_full() {
    let mut levels = Levels::default();
    levels[LEVEL_COUNT - 1] = vec![table(1, u64::MAX / 2, "a", "b")];
    check(levels, &[], None);
}

#[test]
fn dropped_keys_are_rewritten_away_until_nothing_can_hide() {
    let drop = |sequence, from: &str, to: &str| DroppedRange {
        sequence,
        from: from.as_bytes().into(),
        to: to.as_bytes().into(),
    };
    let mut levels = Levels::default();
    levels[2] = vec![table(1, 10, "a", "f"), table(2, 10, "g", "k")];
    check(levels.clone(), &[drop(15, "h", "i")], job(Kind::Rewrite, 2, &[2], 2, &[]));
    check(levels.clone(), &[drop(9, "h", "i")], None); // All that is there was written later.
    check(levels.clone(), &[drop(15, "l", "z")], None);
    check(levels.clone(), &[drop(15, "f2", "g")], None); // The end is not part of it.
    levels[2][1].drops_applied = 15;
    check(levels.clone(), &[drop(15, "h", "i")], None);
    assert!(hides_all(&drop(20, "g", "l"), &levels[2][1]));
    assert!(!hides_all(&drop(19, "g", "l"), &levels[2][1]) && !hides_all(&drop(20, "g", "k"), &levels[2][1]));
}

#[test]
fn debt_is_what_is_above_the_targets() {
    let mut levels = Levels::default();
    levels[0] = vec![table(1, 7, "a", "b")];
    levels[1] = vec![table(2, 130, "a", "b")];
    levels[2] = vec![table(3, 999, "a", "b")];
    assert_eq!(debt(&levels, &options()), 30);
    levels[0].push(table(4, 5, "a", "b"));
    assert_eq!(debt(&levels, &options()), 42);
}
