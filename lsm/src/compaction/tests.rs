use std::time::Duration;

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
        newest: None,
        content_checksum: 0,
        smallest: smallest.as_bytes().into(),
        largest: largest.as_bytes().into(),
    })
}

type Tree = [Vec<Box<TableMeta>>; LEVEL_COUNT];

fn options() -> TreeOptions {
    let mut options = TreeOptions::new("tree");
    (options.level0_tables, options.level0_tables_slow) = (2, 2);
    options.level1_bytes = 100;
    options.level_factor = 10;
    options
}

fn job(kind: Kind, level: usize, inputs: &[u64], target: usize, below: &[u64]) -> Option<Job> {
    Some(Job { kind, level, inputs: inputs.to_vec(), target, below: below.to_vec() })
}

fn check(levels: Tree, drops: &[DroppedRange], expected: Option<Job>) {
    let situation = Situation {
        drops,
        options: &options(),
        quarantined: &BTreeSet::new(),
        now: Wall(0),
        room_bytes: u64::MAX,
        resting: false,
    };
    assert_eq!(pick(&levels, &situation), expected);
}

#[test]
fn nothing_to_do() {
    check(Tree::default(), &[], None);
    let mut levels = Tree::default();
    levels[0] = vec![table(1, 1000, "a", "z")];
    levels[1] = vec![table(2, 100, "a", "z")];
    check(levels, &[], None);
}

#[test]
fn all_of_level_0_goes_into_what_it_overlaps() {
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 10, "c", "f"), table(8, 10, "d", "h")];
    levels[1] =
        vec![table(1, 10, "a", "b"), table(2, 10, "b2", "c"), table(3, 10, "g", "k"), table(4, 10, "l", "m")];
    check(levels, &[], job(Kind::Merge, 0, &[9, 8], 1, &[2, 3]));
}

#[test]
fn what_overlaps_nothing_moves() {
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 10, "g", "h"), table(8, 10, "c", "f")];
    levels[1] = vec![table(1, 10, "a", "b"), table(2, 10, "i", "k")];
    check(levels, &[], job(Kind::Move, 0, &[9, 8], 1, &[]));
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 10, "f", "h"), table(8, 10, "c", "f")];
    check(levels, &[], job(Kind::Merge, 0, &[9, 8], 1, &[]));
}

#[test]
fn a_deeper_level_gives_the_table_that_costs_least() {
    let mut levels = Tree::default();
    levels[1] = vec![table(1, 60, "a", "c"), table(2, 60, "d", "f"), table(3, 60, "g", "k")];
    levels[2] = vec![table(4, 80, "a", "b"), table(5, 10, "d", "e"), table(6, 90, "g", "z")];
    check(levels, &[], job(Kind::Merge, 1, &[2], 2, &[5]));
}

/// What is written later must not come below what was written before.
#[test]
fn level_0_passes_levels_that_are_not_in_use_once_they_are_empty() {
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 10, "a", "f"), table(8, 10, "a", "b")];
    levels[2] = vec![table(1, 60, "a", "c"), table(2, 60, "d", "k")];
    check(levels.clone(), &[], job(Kind::Merge, 0, &[9, 8], 2, &[1, 2]));
    levels[1] = vec![table(3, 10, "e", "f")];
    check(levels.clone(), &[], job(Kind::Merge, 1, &[3], 2, &[2]));
    levels[0].extend([7, 6].map(|id| table(id, 10, "a", "f")));
    check(levels, &[], job(Kind::Merge, 0, &[9, 8, 7, 6], 1, &[3]));
}

/// Neighbours without overlap in `level`, moved until nothing is due: tables by level.
fn settled(level: usize, count: u64) -> [usize; 4] {
    let mut levels = Tree::default();
    levels[level] = (0..count).map(|at| table(at, 10, &format!("{at:03}a"), &format!("{at:03}b"))).collect();
    for _ in 0..10 {
        let Some(job) = picked(&levels, &options(), &[], 0) else { break };
        assert_eq!((job.kind, job.target), (Kind::Move, job.level + 1));
        let all = levels[job.level].drain(..);
        let (goes, stays): (Vec<_>, Vec<_>) = all.partition(|table| job.inputs.contains(&table.id));
        levels[job.level] = stays;
        levels[job.target].extend(goes);
        levels[job.target].sort_by(|a, b| a.smallest.cmp(&b.smallest));
    }
    assert_eq!(picked(&levels, &options(), &[], 0), None, "a few moves were enough");
    std::array::from_fn(|level| levels[level].len())
}

#[test]
fn a_last_level_that_is_full_moves_down_but_for_a_tenth() {
    assert_eq!(settled(1, 10), [0, 10, 0, 0]);
    assert_eq!(settled(1, 30), [0, 0, 30, 0]);
    assert_eq!(settled(2, 110), [0, 0, 10, 100]);
}

#[test]
fn the_level_that_is_furthest_over_comes_first() {
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 10, "a", "b"), table(8, 10, "a", "b")];
    levels[1] = vec![table(1, 250, "x", "y")];
    check(levels.clone(), &[], job(Kind::Move, 1, &[1], 2, &[]));
    levels[1] = vec![table(1, 101, "x", "y")];
    check(levels, &[], job(Kind::Merge, 0, &[9, 8], 1, &[]));
}

#[test]
fn the_last_level_is_never_too_full() {
    let mut levels = Tree::default();
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
    let mut levels = Tree::default();
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
    let mut levels = Tree::default();
    levels[0] = vec![table(1, 7, "a", "b")];
    levels[1] = vec![table(2, 130, "a", "b")];
    levels[2] = vec![table(3, 999, "a", "b")];
    assert_eq!(debt(&levels, &options()), 130 - 99);
    levels[0].push(table(4, 5, "a", "b"));
    assert_eq!(debt(&levels, &options()), 130 - 99 + 12);
}

/// The same table, of an age range, with its newest entry at so many microseconds and its own place in time.
fn aged(mut table: Box<TableMeta>, newest: u64, sequence: u64) -> Box<TableMeta> {
    table.newest = Some(Wall(newest));
    (table.sequence_min, table.sequence_max) = (sequence, sequence + 9);
    table
}

/// Keys from "s" to "t" live for 100 s, in windows of 10 s.
fn with_ages() -> TreeOptions {
    let mut options = options();
    options.table_bytes = 100;
    options.age_ranges = vec![AgeRange {
        from: b"s".to_vec(),
        to: b"t".to_vec(),
        ttl: Duration::from_secs(100),
        window: Duration::from_secs(10),
    }];
    options
}

fn picked(levels: &Tree, options: &TreeOptions, quarantined: &[u64], now_s: u64) -> Option<Job> {
    let quarantined = quarantined.iter().copied().collect();
    let now = Wall(now_s * 1_000_000);
    let room_bytes = u64::MAX;
    pick(
        levels,
        &Situation { drops: &[], options, quarantined: &quarantined, now, room_bytes, resting: false },
    )
}

fn seconds(count: u64) -> u64 {
    count * 1_000_000
}

#[test]
fn what_has_an_age_expires_whole_and_never_goes_down() {
    let mut levels = Tree::default();
    levels[0] = vec![
        aged(table(9, 90, "s3", "s9"), seconds(15), 300),
        aged(table(8, 90, "s1", "s4"), seconds(5), 200),
        aged(table(7, 90, "s1", "s9"), seconds(5), 100),
    ];
    let options = with_ages();
    assert_eq!(picked(&levels, &options, &[], 104), None, "three tables, two would be too many for level 0");
    assert_eq!(level0_count(&levels[0], &options), 0);
    assert_eq!(debt(&levels, &options), 0);
    assert_eq!(picked(&levels, &options, &[], 105), job(Kind::Expire, 0, &[8, 7], 0, &[]));
    assert_eq!(picked(&levels, &options, &[8, 9], 200), job(Kind::Expire, 0, &[9, 8, 7], 0, &[]));
    assert_eq!(expires(&levels[0][0], &options), Some(Wall(seconds(115))));
}

#[test]
fn small_ones_of_a_window_that_is_over_are_gathered() {
    let small = |id, newest, sequence| aged(table(id, 10, "s1", "s9"), seconds(newest), sequence);
    let mut levels = Tree::default();
    levels[0] =
        vec![small(5, 21, 500), small(4, 19, 400), small(3, 12, 300), small(2, 9, 200), small(1, 1, 100)];
    let options = with_ages();
    assert_eq!(picked(&levels, &options, &[], 22), job(Kind::Gather, 0, &[2, 1], 0, &[]));
    assert_eq!(picked(&levels, &options, &[1], 22), job(Kind::Gather, 0, &[4, 3], 0, &[]));
    levels[0].truncate(3);
    assert_eq!(picked(&levels, &options, &[], 22), job(Kind::Gather, 0, &[4, 3], 0, &[]));
    assert_eq!(picked(&levels, &options, &[], 19), None, "the window is open: they are few");
    levels[0][1].size = 60;
    assert_eq!(
        picked(&levels, &options, &[], 22),
        None,
        "a large one stays as it is, and parts its neighbours"
    );
    let many = (0..GATHER_OPEN as u64).rev().map(|id| small(id + 1, 15, 100 + 10 * id));
    levels[0] = many.collect();
    assert_eq!(picked(&levels, &options, &[], 16).map(|job| job.inputs.len()), Some(GATHER_OPEN));
    levels[0].pop();
    assert_eq!(picked(&levels, &options, &[], 16), None);
}

/// A range that lost its age: its tables are like any other. One that got it back: what lies above them takes them along.
#[test]
fn ages_that_come_and_go_keep_newer_above_older() {
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 10, "a", "s5"), table(8, 10, "a", "c"), aged(table(7, 10, "s1", "s9"), 1, 1)];
    (levels[0][0].sequence_min, levels[0][0].sequence_max) = (40, 50);
    assert_eq!(picked(&levels, &options(), &[], 2), job(Kind::Merge, 0, &[9, 8, 7], 1, &[]));
    assert_eq!(picked(&levels, &with_ages(), &[], 2), job(Kind::Merge, 0, &[9, 8, 7], 1, &[]));
    levels[0][2].sequence_min = 60;
    levels[0][2].sequence_max = 69;
    assert_eq!(picked(&levels, &with_ages(), &[], 2), job(Kind::Merge, 0, &[9, 8], 1, &[]));
}

#[test]
fn what_cannot_be_read_takes_part_in_nothing() {
    let mut levels = Tree::default();
    levels[1] = vec![table(1, 60, "a", "c"), table(2, 60, "d", "f"), table(3, 60, "g", "k")];
    levels[2] = vec![table(4, 80, "a", "b"), table(5, 10, "d", "e"), table(6, 90, "g", "z")];
    let pick = |quarantined: &[u64]| picked(&levels, &options(), quarantined, 0);
    assert_eq!(pick(&[2]), job(Kind::Merge, 1, &[1], 2, &[4]));
    assert_eq!(pick(&[5]), job(Kind::Merge, 1, &[1], 2, &[4]));
    assert_eq!(pick(&[1, 5]), job(Kind::Merge, 1, &[3], 2, &[6]));
    assert_eq!(pick(&[1, 5, 6]), None);
}

#[test]
fn above_an_unreadable_table_of_level_0_newer_ones_stay_and_become_fewer() {
    let mut levels = Tree::default();
    let tables = |ids: &[u64]| ids.iter().map(|id| table(*id, 10, "a", "z")).collect::<Vec<_>>();
    levels[0] = tables(&[9, 8, 7, 6, 5]);
    let pick = |levels: &Tree, quarantined: &[u64]| picked(levels, &options(), quarantined, 0);
    assert_eq!(pick(&levels, &[7]), job(Kind::Merge, 0, &[6, 5], 1, &[]), "older ones go down");
    levels[0] = tables(&[9, 8, 7]);
    assert_eq!(pick(&levels, &[7]), job(Kind::Gather, 0, &[9, 8], 0, &[]));
    levels[0] = tables(&[9, 7]);
    assert_eq!(pick(&levels, &[7]), None);
    levels[0] = tables(&[9, 8, 6, 7]);
    levels[0][2].size = 50;
    assert_eq!(
        pick(&levels, &[7]),
        job(Kind::Gather, 0, &[9, 8], 0, &[]),
        "a large one is not copied for two small ones"
    );
    levels[0] = tables(&[9, 8]);
    levels[1] = vec![table(1, 10, "k", "l")];
    assert_eq!(pick(&levels, &[1]), job(Kind::Gather, 0, &[9, 8], 0, &[]), "nor into one below");
}

#[test]
fn a_job_that_the_disk_has_no_room_for_is_not_begun() {
    let mut levels = Tree::default();
    levels[0] = vec![table(9, 40, "a", "c"), table(8, 40, "b", "d")];
    levels[1] = vec![table(1, 30, "a", "b")];
    let pick = |levels: &Tree, room_bytes| {
        let (options, quarantined) = (options(), BTreeSet::new());
        let (quarantined, now, resting) = (&quarantined, Wall(0), false);
        pick(levels, &Situation { drops: &[], options: &options, quarantined, now, room_bytes, resting })
    };
    assert_eq!(pick(&levels, 110), job(Kind::Merge, 0, &[9, 8], 1, &[1]));
    assert_eq!(pick(&levels, 109), None);
    levels[0][1] = table(8, 40, "e", "f");
    levels[1].clear();
    assert_eq!(pick(&levels, 0), job(Kind::Move, 0, &[9, 8], 1, &[]), "a move writes nothing");
}

#[test]
fn neighbours_go_together_when_that_saves_bytes_at_the_edges() {
    let mut options = options();
    options.table_bytes = 1000;
    let mut levels = Tree::default();
    // Each overlaps two below, but both together only three.
    levels[1] = vec![table(1, 100, "a", "f"), table(2, 100, "g", "m"), table(3, 100, "x", "z")];
    levels[2] = vec![
        table(4, 100, "a", "c"),
        table(5, 100, "d", "h"),
        table(6, 100, "i", "m"),
        table(7, 300, "n", "z"),
    ];
    assert_eq!(picked(&levels, &options, &[], 0), job(Kind::Merge, 1, &[1, 2], 2, &[4, 5, 6]));
    // The level above may have 200.
    levels[2][3].size = 1700;
    options.level1_bytes = 200;
    assert_eq!(
        picked(&levels, &options, &[], 0),
        job(Kind::Merge, 1, &[1], 2, &[4, 5]),
        "not more than is too much"
    );
    levels[2][3].size = 300;
    (options.level1_bytes, options.table_bytes) = (100, 30);
    assert_eq!(
        picked(&levels, &options, &[], 0),
        job(Kind::Merge, 1, &[1], 2, &[4, 5]),
        "nor too much at once"
    );
}

/// The walk along two levels against looking at every pair.
#[test]
fn what_lies_under_a_run_is_found_in_one_walk() {
    let mut state = 7u64;
    let mut below_64 = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..200 {
        let mut level = |first_id: u64| {
            let mut key = 0;
            let count = below_64(8);
            let tables = (0..count).map(|index| {
                let smallest = key + 1 + below_64(4);
                key = smallest + below_64(5);
                table(first_id + index, 1 + below_64(9), &format!("{smallest:03}"), &format!("{key:03}"))
            });
            tables.collect::<Vec<_>>()
        };
        let (upper, below) = (level(1), level(100));
        let upper: Vec<&TableMeta> = upper.iter().map(|table| &**table).collect();
        let below: Vec<&TableMeta> = below.iter().map(|table| &**table).collect();
        let under = Under::new(&upper, &below);
        for first in 0..upper.len() {
            for last in first..upper.len() {
                let beneath = under.of(first..last + 1);
                let expected = overlapping(&upper[first..=last], &below);
                assert_eq!(ids(&below[beneath.tables]), ids(&expected));
                assert_eq!(beneath.bytes, expected.iter().map(|table| table.size).sum::<u64>());
            }
        }
    }
}
