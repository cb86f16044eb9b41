use super::*;

/// Level 1 of 100 bytes alone, factor 10.
fn check(bytes: [u64; LEVEL_COUNT], entry: usize, targets: [u64; LEVEL_COUNT]) {
    let mut options = TreeOptions::new("tree");
    (options.level1_bytes, options.level_factor) = (100, 10);
    options.level0_tables = 4;
    assert_eq!(Shape::of(&bytes, &options), Shape { entry, level0_tables: 8, targets });
}

#[test]
fn a_small_tree_has_one_level() {
    check([7, 0, 0, 0, 0, 0, 0], 1, [0, 100, 0, 0, 0, 0, 0]);
    check([7, 90, 0, 0, 0, 0, 0], 1, [0, 100, 0, 0, 0, 0, 0]);
}

#[test]
fn a_level_that_is_full_moves_down_as_a_whole() {
    check([7, 80, 30, 0, 0, 0, 0], 1, [0, 0, 1000, 0, 0, 0, 0]);
    check([7, 0, 110, 0, 0, 0, 0], 2, [0, 0, 1000, 0, 0, 0, 0]);
    check([7, 20, 960, 50, 0, 0, 0], 1, [0, 0, 96, 10_000, 0, 0, 0]);
}

#[test]
fn levels_above_the_last_are_a_tenth_each() {
    check([0, 0, 201, 0, 0, 0, 0], 1, [0, 20, 1000, 0, 0, 0, 0]);
    check([0, 50, 900, 0, 0, 0, 0], 1, [0, 90, 1000, 0, 0, 0, 0]);
    check([0, 0, 95, 1900, 0, 0, 0], 2, [0, 0, 190, 10_000, 0, 0, 0]);
    check([0, 0, 95, 2100, 0, 0, 0], 1, [0, 21, 210, 10_000, 0, 0, 0]);
}

#[test]
fn a_tree_that_shrank_keeps_its_last_level() {
    check([0, 0, 0, 150, 0, 0, 0], 3, [0, 0, 0, 10_000, 0, 0, 0]);
    check([0, 0, 3, 150, 0, 0, 0], 2, [0, 0, 0, 10_000, 0, 0, 0]);
}

#[test]
fn at_rest_all_goes_down_that_is_more_than_an_eighth() {
    let mut options = TreeOptions::new("tree");
    (options.level1_bytes, options.level_factor, options.level0_tables) = (100, 10, 4);
    let rest = |bytes| Shape::at_rest(&bytes, &options);
    let targets = [0, 0, 1000, 0, 0, 0, 0];
    assert_eq!(rest([40, 86, 1000, 0, 0, 0, 0]), Shape { entry: 1, level0_tables: 1, targets });
    assert_eq!(rest([51, 0, 400, 0, 0, 0, 0]), Shape { entry: 1, level0_tables: 1, targets });
    let targets = [0, 100, 1000, 0, 0, 0, 0];
    assert_eq!(rest([40, 85, 1000, 0, 0, 0, 0]), Shape { entry: 1, level0_tables: 4, targets });
    let targets = [0, 100, 0, 0, 0, 0, 0];
    assert_eq!(rest([5, 0, 0, 0, 0, 0, 0]), Shape { entry: 1, level0_tables: 1, targets });
}

#[test]
fn level_0_grows_under_writes_but_not_to_where_it_slows_them() {
    for (rest, slow, expected) in [(1, 12, 2), (4, 12, 8), (4, 6, 5), (4, 4, 4), (1, 1, 1)] {
        let mut options = TreeOptions::new("tree");
        (options.level0_tables, options.level0_tables_slow) = (rest, slow);
        assert_eq!(Shape::of(&[0; LEVEL_COUNT], &options).level0_tables, expected);
    }
}

#[test]
fn the_deepest_level_has_no_end() {
    let huge = [0, 0, 0, 0, 0, 0, u64::MAX - 1];
    let mut options = TreeOptions::new("tree");
    options.level1_bytes = u64::MAX / 2;
    assert_eq!(Shape::of(&huge, &options).entry, 6);
    options.level1_bytes = 1 << 28;
    assert_eq!(Shape::of(&huge, &options).entry, 1);
}
