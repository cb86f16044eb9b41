#![expect(clippy::disallowed_methods, reason = "reads the sources, on the machine of the build")]

use super::*;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_mark_in_the_sources_is_on_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for folder in ["lsm/src", "net/src", "process/src", "router/src", "shard/src"] {
        walk(&root.join(folder), &mut found);
    }
    let listed: BTreeSet<String> = ALL.iter().map(|mark| (*mark).to_string()).collect();
    assert_eq!(found, listed);
    assert_eq!(listed.len(), ALL.len(), "each once");
}

fn walk(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let marks = text.split(".mark(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(marks.map(str::to_string));
        }
    }
}
