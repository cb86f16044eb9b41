//! Each second has what was over in it.

use super::*;

const SECOND: u64 = 1_000_000_000;

fn series() -> Series {
    Series::new(Mono(5 * SECOND), Duration::from_secs(1))
}

#[test]
fn an_operation_belongs_to_the_second_in_which_it_was_over() {
    let mut series = series();
    series.note(Kind::Put, Mono(5 * SECOND + 1), 1000, true);
    series.note(Kind::Put, Mono(6 * SECOND - 1), 3000, false);
    series.note(Kind::Get, Mono(6 * SECOND - 1), 10, true);
    series.note(Kind::Put, Mono(8 * SECOND), 2_000_000_000, true);
    series.finish();
    series.finish();
    let puts = &series.past[&Kind::Put];
    assert_eq!(puts.keys().collect::<Vec<_>>(), [&0, &3], "seconds without operations are not there");
    assert_eq!((puts[&0].ok, puts[&0].errors, puts[&0].histogram().len()), (1, 1, 2));
    assert!(puts[&3].histogram().max().abs_diff(2 * SECOND) < SECOND / 500);
    let all = series.all_kinds();
    assert_eq!((all[&0].ok, all[&0].histogram().len(), all[&3].ok), (2, 3, 1));
}

#[test]
fn cores_add_up_second_by_second() {
    let (mut one, mut two) = (series(), series());
    one.note(Kind::Put, Mono(5 * SECOND), 1000, true);
    two.note(Kind::Put, Mono(5 * SECOND), 1000, true);
    two.note(Kind::Get, Mono(7 * SECOND), 500, true);
    one.finish();
    two.finish();
    one.merge(&two);
    assert_eq!(one.past[&Kind::Put][&0].ok, 2);
    assert_eq!(one.past[&Kind::Get][&2].histogram().len(), 1);
    assert_eq!(one.past[&Kind::Put][&0].histogram().value_at_quantile(0.5), 1000);
}
