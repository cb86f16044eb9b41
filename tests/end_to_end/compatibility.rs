//! `docs/COMPATIBILITY.md` says what the router has, and what it says works is shown by a case.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/COMPATIBILITY.md");

/// Operation, parameter (empty for the operation itself), state.
struct Row {
    operation: String,
    parameter: String,
    state: String,
    how: String,
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_string()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| ")).map(cells).skip(1);
    rows.map(|cells| {
        assert_eq!(cells.len(), 6, "four columns: {cells:?}");
        let [_, operation, parameter, state, how, _] = <[String; 6]>::try_from(cells).unwrap();
        Row { operation, parameter, state, how }
    })
    .collect()
}

#[test]
fn the_page_has_each_operation_and_parameter_once() {
    let mut found = BTreeMap::new();
    for row in rows() {
        let (operation, parameter) = (row.operation, row.parameter);
        assert!(["works", "partly", "not yet"].contains(&row.state.as_str()), "{operation} {parameter}");
        assert!(row.state != "partly" || !row.how.is_empty(), "{operation} {parameter}: how?");
        let before = found.insert((operation.clone(), parameter.clone()), row.state);
        assert!(before.is_none(), "{operation} {parameter} twice");
    }
    let mut expected = BTreeSet::new();
    for (operation, parameters) in router::operations() {
        assert_eq!(found[&(operation.to_string(), String::new())], "works", "{operation}");
        let names = std::iter::once("").chain(parameters);
        expected.extend(names.map(|name| (operation.to_string(), name.to_string())));
    }
    for operation in router::operations_to_come() {
        let row = (operation, String::new());
        assert_eq!(found.get(&row).map(String::as_str), Some("not yet"), "{row:?}");
        expected.insert(row);
    }
    assert_eq!(found.into_keys().collect::<BTreeSet<_>>(), expected);
    // 62 operations of DynamoDB, 4 of DynamoDB Streams.
    assert_eq!(expected.iter().filter(|(_, parameter)| parameter.is_empty()).count(), 66);
}

#[test]
fn what_works_is_shown_by_a_case() {
    let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for script in cases::script::all().unwrap() {
        for (operation, input) in script.calls().unwrap() {
            calls.entry(operation).or_default().push(input);
        }
    }
    let is_shown = |row: &Row| {
        let Some(inputs) = calls.get(&row.operation) else { return false };
        let member = format!("\"{}\":", row.parameter);
        row.parameter.is_empty() || inputs.iter().any(|input| input.contains(&member))
    };
    let missing = rows().into_iter().filter(|row| row.state != "not yet" && !is_shown(row));
    let missing: Vec<String> = missing.map(|row| format!("{} {}", row.operation, row.parameter)).collect();
    assert!(missing.is_empty(), "no case shows {missing:#?}");
}
