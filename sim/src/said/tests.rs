use super::*;

fn check(line: &str, harms: &[Harm], explained: bool) {
    assert_eq!(is_explained(line, &harms.iter().copied().collect()), explained, "{line} by {harms:?}");
}

#[test]
fn a_line_is_explained_by_what_it_is_about_and_by_nothing_else() {
    let full = "shard 0: /data/shard-0/log/1: no space left; free some, writing goes on by itself";
    check(full, &[Harm::Full], true);
    check(full, &[Harm::Failing, Harm::LostShards], false);
    check(full, &[], false);
    let failed =
        "shard 0 fails: /data/shard-0/log/1 at byte 0: Input/output error (os error 5); check the device";
    check(failed, &[Harm::Failing], true);
    check(failed, &[Harm::Full], false);
    check("shard 0: closed", &[Harm::Failing], true);
    check("shard 0: closed", &[Harm::Stopped], true);
    check("shard 0: closed", &[Harm::Full, Harm::LostShards], false);
    check("vnode 3 should have a replica here, and its data is gone", &[Harm::LostShards], true);
    check("vnode 3 should have a replica here, and its data is gone", &[Harm::Full, Harm::Failing], false);
}

#[test]
fn what_nobody_foresaw_is_explained_by_a_disk_that_lies_alone_and_a_panic_by_nothing() {
    let all = [Harm::Full, Harm::Failing, Harm::LostShards];
    check("shard 0: a stored value of an unknown version", &all, false);
    check("shard 0: a stored value of an unknown version", &[Harm::Lying], true);
    check("the library panicked", &all, false);
    check("the library panicked", &[Harm::Lying], false);
}
