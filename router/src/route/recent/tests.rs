use super::*;

fn at(millis: u64) -> Mono {
    Mono(0).after(Duration::from_millis(millis))
}

#[test]
fn what_was_written_is_recent_for_a_moment() {
    let recent = Recent::new();
    assert!(!recent.has(7, at(1)) && !recent.has_any(at(1)));
    recent.note(7, at(1000));
    assert!(recent.has(7, at(1001)) && recent.has_any(at(1001)));
    assert!(!recent.has(8, at(1001)));
    assert!(!recent.has(7, at(1300)) && !recent.has_any(at(1300)));
    recent.note(7 + SLOTS as u64, at(2000));
    assert!(!recent.has(7, at(2000)), "another token in its place");
    assert!(recent.has(7 + SLOTS as u64, at(2000)));
}
