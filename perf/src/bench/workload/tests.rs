//! Which operations come, and what is made of their ends.

use super::super::options::tests::options;
use super::*;

fn plan(arguments: &str) -> Plan {
    Plan { seed: Some(1), ..options(arguments).plan().expect("a plan") }
}

fn contents() -> Contents {
    Contents::new(crate::bench::sizes::Sizes::Fixed(1024).lay_out(), None, 1)
}

/// What a server answers to GetItem of `key` that holds `version`.
fn item(contents: &Contents, key: u64, version: u64) -> String {
    let filler = std::str::from_utf8(contents.filler(key, version)).expect("letters");
    format!(r#"{{"Item":{{"d":{{"S":"{filler}"}},"pk":{{"S":"k{key:016}"}},"v":{{"N":"{version}"}}}}}}"#)
}

fn put(key: u64, version: u64) -> Operation {
    Operation::Put { key, version, demand: Demand::Nothing, size: 0 }
}

fn done(body: &str) -> End<'_> {
    End::Answered(Answer::Done(body.as_bytes()))
}

#[test]
fn shares_add_up_and_own_keys_do_not_overlap() {
    let parts = [0, 1, 2].map(|index| Part { index, count: 3 });
    assert_eq!(parts.map(|part| part.share(10)), [4, 3, 3]);
    let mut keys: Vec<u64> =
        parts.iter().flat_map(|part| (0..part.share(10)).map(|index| part.key(index))).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..10).collect::<Vec<_>>());
    for part in parts {
        assert_eq!(part.index(part.key(7)), 7);
    }
}

#[test]
fn unique_puts_go_on_after_what_was_loaded() {
    let part = Part { index: 1, count: 2 };
    let mut workload = Workload::measured(&plan("--workload put --preload 4"), part, 1);
    let keys: Vec<Operation> = (0..2).filter_map(|_| workload.start(0)).collect();
    assert_eq!(keys, [put(5, 1), put(7, 1)]);
}

#[test]
fn a_load_covers_every_key_once_and_ends() {
    let part = Part { index: 0, count: 1 };
    let mut workload = Workload::measured(&plan("--workload load --keys 60"), part, 1);
    let batches: Vec<Operation> = std::iter::from_fn(|| workload.start(0)).collect();
    let batch = |first, count| Operation::Batch { first, count };
    assert_eq!(batches, [batch(0, 25), batch(25, 25), batch(50, 10)]);
    assert_eq!((batch(0, 25).kind(), batch(0, 1).kind()), (Kind::Batch, Kind::Put));
}

#[test]
fn mixed_reads_as_often_as_it_was_told() {
    let mut workload = Workload::measured(&plan("--workload mixed --reads-percent 80"), Part::WHOLE, 1);
    let reads = (0..10_000).filter(|_| matches!(workload.start(0), Some(Operation::Get { .. }))).count();
    assert!((7_800..8_200).contains(&reads), "{reads}");
}

#[test]
fn requests_are_bounded_over_all_cores() {
    let plan = plan("--workload get --requests 7");
    let count = |index| {
        let mut workload = Workload::measured(&plan, Part { index, count: 2 }, 1);
        std::iter::from_fn(|| workload.start(0)).count()
    };
    assert_eq!((count(0), count(1)), (4, 3));
}

#[test]
fn an_answer_without_the_item_is_an_error_of_a_read() {
    let mut workload = Workload::measured(&plan("--workload get"), Part::WHOLE, 1);
    let get = Operation::Get { key: 3, floor: 0 };
    let contents = contents();
    assert_eq!(workload.settle(&contents, &get, &done("{}")), Ruling::Error("ItemMissing".into()));
    assert_eq!(workload.settle(&contents, &get, &done(&item(&contents, 3, 1))), Ruling::Fine);
    let refused = End::Answered(Answer::Refused("ThrottlingException".into()));
    assert_eq!(workload.settle(&contents, &get, &refused), Ruling::Error("ThrottlingException".into()));
}

#[test]
fn loading_insists_until_it_fails() {
    let mut workload = Workload::preload(&plan("--workload get"), Part::WHOLE);
    let batch = workload.start(0).expect("a batch");
    let left = r#"{"UnprocessedItems":{"t":[{}]}}"#;
    assert_eq!(workload.settle(&contents(), &batch, &done(left)), Ruling::Again("UnprocessedItems".into()));
    assert_eq!(workload.settle(&contents(), &batch, &done(r#"{"UnprocessedItems":{}}"#)), Ruling::Fine);
    workload.fail(&batch, "UnprocessedItems");
    assert_eq!(workload.start(0), None);
    let failure = workload.failure().expect("it failed");
    assert_eq!(failure, "loading: BatchWriteItem failed 10 times, at last with UnprocessedItems");
}

/// Settles one read of key 3, which holds version 1, with `body` and says what was found.
fn verify(body: &str) -> Findings {
    let mut workload = Workload::measured(&plan("--workload get --verify"), Part::WHOLE, 1);
    let ruling = workload.settle(&contents(), &Operation::Get { key: 3, floor: 1 }, &done(body));
    assert_eq!(ruling, Ruling::Fine, "a wrong read is a finding, not an error");
    workload.findings().clone()
}

#[test]
fn verification_accepts_what_was_written_and_nothing_else() {
    let contents = contents();
    let right = item(&contents, 3, 1);
    assert_eq!(verify(&right), Findings { checked: 1, ..Findings::default() });
    let cases = [
        ("{}".to_owned(), "an acknowledged write is missing"),
        (item(&contents, 3, 2), "nobody wrote that"),
        (item(&contents, 4, 1), "the answer is item `k0000000000000004`"),
        (right.replace("\"N\":\"1\"", "\"N\":\"one\""), "version `one`"),
        (right.replacen("\"d\":{\"S\":\"", "\"d\":{\"S\":\"!", 1), "version 1 with another content"),
        (right.replace("\"v\"", "\"w\""), "not our item"),
        ("<html>".to_owned(), "not our item"),
    ];
    for (body, expected) in cases {
        let findings = verify(&body);
        assert_eq!(findings.wrong, 1, "{body}");
        assert!(findings.examples[0].contains(expected), "{:?}", findings.examples);
    }
}

#[test]
fn every_known_key_is_read_back_once() {
    let part = Part { index: 1, count: 2 };
    let mut workload = Workload::measured(&plan("--workload put --preload 6 --verify"), part, 1);
    let new = workload.start(0).expect("a put");
    assert_eq!(new, put(7, 1));
    workload.settle(&contents(), &new, &done("{}"));
    let (mut workload, keys) = workload.read_back().expect("a ledger");
    let reads: Vec<Operation> = std::iter::from_fn(|| workload.start(0)).collect();
    assert_eq!(reads, [1, 3, 5, 7].map(|key| Operation::Get { key, floor: 1 }));
    assert_eq!(keys, 4);
}

#[test]
fn a_key_that_is_being_written_is_read_instead() {
    let mut workload = Workload::measured(&plan("--workload put --keys 1 --verify"), Part::WHOLE, 1);
    assert_eq!(workload.start(0), Some(put(0, 1)));
    assert_eq!(workload.start(0), Some(Operation::Get { key: 0, floor: 0 }));
}
