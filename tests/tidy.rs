//! What the architecture forbids, kept by a test.
//!
//! The folders are the design's crates, and the arrows between them are the design. This test reads `cargo metadata` and the
//! sources, and fails with the line to look at. A new arrow is a change of the design: make it alone, here and in
//! `docs/ARCHITECTURE.md`.

#![expect(clippy::disallowed_methods, reason = "reads the sources, on the build's machine")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate and the workspace crates that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("runtime", &[]),
    ("tuning", &[]),
    ("meter", &["runtime"]),
    ("lsm", &["runtime"]),
    ("net", &["meter", "model", "runtime"]),
    ("shard", &["lsm", "meter", "model", "net", "runtime"]),
    ("router", &["meter", "model", "net", "runtime"]),
    ("process", &["meter", "model", "net", "router", "runtime", "shard"]),
    ("sim", &["lsm", "model", "net", "process", "router", "runtime", "shard"]),
    ("perf", &["model", "net", "process", "runtime", "tuning"]),
    ("fuzz_targets", &["lsm", "model", "net", "router", "runtime", "shard"]),
    ("cases", &[]),
    (
        "torc",
        &["lsm", "meter", "model", "net", "perf", "process", "router", "runtime", "shard", "sim", "tuning"],
    ),
];

/// Packages from outside that only some crates may name.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("glommio", &["runtime"]),
    ("io-uring", &["perf", "tuning"]),
    ("raft", &["shard"]),
    ("rkyv", &["net", "router", "shard"]),
    ("flate2", &["router"]),
    ("httparse", &["fuzz_targets", "perf", "router"]),
    ("ring", &["cases", "net", "perf", "router", "torc"]),
    ("rustls", &["cases", "runtime"]),
    ("serde_json", &["cases", "fuzz_targets", "perf", "sim", "torc"]),
    ("base64", &["model", "router", "torc"]),
    ("anyhow", &["cases", "perf", "torc"]),
    ("clap", &["cases", "perf", "torc"]),
    ("ratatui", &["torc"]),
];

/// Crates whose modules may hold `unsafe`.
const UNSAFE_ALLOWED: &[&str] = &["runtime", "tuning"];

/// Lines of one source file; past this it is more than one noun.
const FILE_LINES_MAX: usize = 1_500;

#[test]
fn arrows_between_crates_are_the_designs() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, arrows)| (*name, arrows.iter().copied().collect())).collect();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        let arrows = allowed.get(name).unwrap_or_else(|| panic!("{name} is not a crate of the design"));
        for dependency in dependencies(&package, None) {
            let is_ours = allowed.contains_key(dependency.as_str());
            assert!(!is_ours || arrows.contains(dependency.as_str()), "{name} may not use {dependency}");
        }
    }
}

/// Planted bugs are for tests: no build of torc itself has them.
#[test]
fn planted_bugs_are_in_no_binary() {
    let tree = |edges: &str| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--package", "sim", "--package", "torc", "--edges", edges])
            .args(["--format", "{p} {f}", "--prefix", "none", "--locked", "--offline"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("names are text")
    };
    assert!(!tree("normal,build").contains("canaries"), "torc is built with planted bugs");
    assert!(tree("normal,build,dev").contains("canaries"), "the tests of sim are built without them");
}

#[test]
fn outside_packages_stay_where_they_belong() {
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        for dependency in dependencies(&package, None) {
            let Some((_, users)) = OUTSIDE.iter().find(|(outside, _)| *outside == dependency) else {
                continue;
            };
            assert!(users.contains(&name), "{name} may not use {dependency}: only {users:?} may");
        }
    }
}

#[test]
fn glommio_is_named_only_by_the_real_runtime() {
    for (path, text) in sources() {
        if path.starts_with("runtime/src/real")
            || path.starts_with("runtime/src/real.rs")
            || path.starts_with("tests/")
        {
            continue;
        }
        for (number, line) in code_lines(&text) {
            assert!(
                !line.contains("glommio"),
                "{}:{number}: glommio is named outside runtime::real",
                path.display()
            );
        }
    }
}

#[test]
fn unsafe_lives_in_few_places() {
    for (name, _) in ARROWS {
        if UNSAFE_ALLOWED.contains(name) || *name == "torc" {
            continue;
        }
        let text = std::fs::read_to_string(folder(name).join("src/lib.rs")).expect("each crate has a lib.rs");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{name}/src/lib.rs does not forbid unsafe code");
    }
}

#[test]
fn each_file_opens_with_its_story() {
    for (path, text) in sources() {
        let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        assert!(is_test || text.starts_with("//!"), "{} does not say what it is for", path.display());
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources() {
        let count = text.lines().count();
        assert!(count <= FILE_LINES_MAX, "{} has {count} lines: split it by nouns", path.display());
    }
}

#[test]
fn nothing_is_left_for_later_in_silence() {
    let marks = ["todo!(", "unimplemented!(", "#[ignore"];
    for (path, text) in sources() {
        if path == Path::new("tests/tidy.rs") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let found = marks.iter().find(|mark| line.contains(**mark));
            assert!(found.is_none(), "{}:{number}: {}", path.display(), line.trim());
        }
    }
}

#[test]
fn tests_sit_in_sibling_files() {
    for (path, text) in sources() {
        for (number, line) in code_lines(&text) {
            assert!(
                line.trim() != "mod tests {",
                "{}:{number}: move the tests to a sibling file",
                path.display()
            );
        }
    }
}

#[test]
fn the_documents_that_are_named_exist() {
    let pages = ["README.md", "docs/ARCHITECTURE.md", "CHANGELOG.md"];
    for page in pages {
        let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|_| panic!("{page} is missing"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().expect("split gives at least one part");
            let base = Path::new(page).parent().expect("a page has a folder");
            let is_local = !file.is_empty() && !file.contains("://");
            assert!(
                !is_local || root().join(base).join(file).exists(),
                "{page} points to {target}, which is not there"
            );
        }
    }
}

/// The workspace's packages, as `cargo metadata` gives them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("metadata lists packages").clone();
    assert_eq!(packages.len(), ARROWS.len(), "each crate of the design, and no other");
    packages
}

/// Names of a package's dependencies of one kind: `None` the ordinary ones, `Some("dev")` those of its tests.
fn dependencies(package: &Value, kind: Option<&str>) -> Vec<String> {
    let all = package["dependencies"].as_array().expect("a package lists dependencies");
    let chosen = all.iter().filter(|dependency| dependency["kind"].as_str() == kind);
    chosen
        .map(|dependency| dependency["name"].as_str().expect("a dependency has a name").to_string())
        .collect()
}

/// Every Rust source of the workspace: its path below the root, and its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let crates = ARROWS.iter().map(|(name, _)| *name).filter(|name| *name != "torc").map(folder);
    for folder in crates.chain([root().join("src"), root().join("tests")]) {
        walk(&folder, &mut found);
    }
    assert!(found.len() > ARROWS.len(), "the sources were found");
    found
}

/// Where a crate lies.
fn folder(name: &str) -> PathBuf {
    match name {
        "fuzz_targets" => root().join("fuzz/targets"),
        "cases" => root().join("tests/cases"),
        name => root().join(name),
    }
}

fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a listed entry can be read").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
            let below_root = path.strip_prefix(root()).expect("walked from the root").to_path_buf();
            found.push((below_root, text));
        }
    }
}

/// Lines that are not comments, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
