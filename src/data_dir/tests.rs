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
