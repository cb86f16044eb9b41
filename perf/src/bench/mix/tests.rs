//! Mixes are what their tables say.

use super::*;

#[test]
fn shares_are_drawn_as_often_as_they_say() {
    for mix in ['a', 'b', 'c', 'd', 'e', 'f'].map(Mix::ycsb).into_iter().chain([Mix::dynamodb()]) {
        for verb in Verb::ALL {
            let drawn = (0..1000).filter(|drawn| mix.verb(*drawn) == verb).count();
            assert_eq!(drawn, usize::from(mix.share(verb)), "{verb:?} of {mix:?}");
        }
    }
}

#[test]
fn ycsbs_workloads_are_what_they_are_known_for() {
    assert_eq!(Mix::ycsb('a').shares, Mix::reads_and_writes(50).shares);
    assert_eq!(Mix::ycsb('b'), Mix::of(&[(Verb::Get, 950), (Verb::Put, 50)], SCAN_ITEMS_MAX));
    assert_eq!(Mix::ycsb('c').most(), Verb::Get);
    assert_eq!((Mix::ycsb('d').share(Verb::Insert), Mix::ycsb('e').share(Verb::Query)), (50, 950));
    assert_eq!(Mix::ycsb('f').share(Verb::Modify), 500);
}

#[test]
#[should_panic(expected = "shares of a whole")]
fn shares_that_are_no_whole_are_a_bug() {
    Mix::of(&[(Verb::Get, 999)], 1);
}
