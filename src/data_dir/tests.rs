#![expect(clippy::disallowed_methods, reason = "the test's own directories")]

use super::*;

#[test]
fn one_holder_at_a_time() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("a/b");
    let first = DataDir::open(&path).unwrap();
    assert!(first.path().is_absolute());
    let refusal = DataDir::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(refusal.contains("in use") && refusal.contains(&std::process::id().to_string()), "{refusal}");
    drop(first);
    DataDir::open(&path).unwrap();
}

#[test]
fn who_only_looks_is_told_who_serves_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path();
    assert!(DataDir::hold(data).unwrap().is_none(), "it was never served");
    assert!(data.read_dir().unwrap().next().is_none(), "and nothing was left there");
    let serving = DataDir::open(data).unwrap();
    std::fs::create_dir_all(data.join("shard-000/tree")).unwrap();
    let deep = data.join("shard-000/tree");
    assert_eq!(holder(&deep).unwrap(), Some(std::process::id().to_string()));
    let refusal = DataDir::hold(data).map(|_| ()).unwrap_err().to_string();
    assert!(refusal.contains("in use") && refusal.contains("what to do"), "{refusal}");
    drop(serving);
    assert_eq!(holder(&deep).unwrap(), None);
    let held = DataDir::hold(data).unwrap();
    assert!(held.is_some() && DataDir::hold(data).unwrap().is_some(), "two may look");
    assert!(DataDir::open(data).is_err(), "nobody serves it meanwhile");
}
