//! Every target on its committed corpus, and on mutations of it: no fuzzer, no nightly, part of every test run.

#![expect(clippy::disallowed_methods, reason = "reads the committed corpus, on the build's machine")]

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz_targets::{TARGETS, Target, run};

/// Mutations of each input.
const MUTATIONS: u64 = 60;
/// What the corpus of a target may take in the repository, in bytes.
const CORPUS_BYTES_MAX: u64 = 512 << 10;

#[test]
fn no_target_fails_on_its_corpus() {
    for target in TARGETS.iter().filter(|target| !target.canary) {
        for (path, input) in inputs(target) {
            check(target, &path, "as it is", &input);
        }
    }
}

#[test]
fn no_target_fails_on_mutations_of_its_corpus() {
    for target in TARGETS.iter().filter(|target| !target.canary) {
        for (path, input) in inputs(target) {
            for seed in 0..MUTATIONS {
                check(target, &path, &format!("mutation {seed}"), &mutated(&input, seed));
            }
        }
    }
}

#[test]
fn the_canaries_fail_on_theirs() {
    let canaries: Vec<&Target> = TARGETS.iter().filter(|target| target.canary).collect();
    assert!(!canaries.is_empty());
    for target in canaries {
        let failed = inputs(target).iter().filter(|(_, input)| fails(target, input)).count();
        assert!(failed > 0, "{} lives through its whole corpus", target.name);
    }
}

#[test]
fn the_list_the_binaries_and_the_corpus_agree() {
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz/ is a package");
    for target in TARGETS {
        let entry = format!("name = \"{0}\"\npath = \"fuzz_targets/{0}.rs\"", target.name);
        assert!(manifest.contains(&entry), "fuzz/Cargo.toml has no binary {}", target.name);
        let source = fuzz().join("fuzz_targets").join(format!("{}.rs", target.name));
        let source =
            std::fs::read_to_string(&source).unwrap_or_else(|_| panic!("{} is missing", source.display()));
        let call = format!("fuzz_targets::run(\"{}\", data)", target.name);
        assert!(source.contains(&call), "fuzz_targets/{}.rs does not call its target", target.name);
    }
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len(), "names are unique");
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len(), "each binary has its target");
    for folder in std::fs::read_dir(fuzz().join("corpus")).expect("there is a corpus") {
        let name = folder.expect("it can be listed").file_name();
        assert!(names.contains(name.to_str().expect("names are ASCII")), "{name:?} is a corpus of nothing");
    }
}

fn check(target: &Target, path: &Path, what: &str, input: &[u8]) {
    if fails(target, input) {
        panic!("{} fails on {}, {what}: {} bytes", target.name, path.display(), input.len());
    }
}

fn fails(target: &Target, input: &[u8]) -> bool {
    catch_unwind(|| run(target.name, input)).is_err()
}

/// A target's committed inputs, by name.
fn inputs(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target.name);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{} is missing", folder.display()));
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    let inputs: Vec<(PathBuf, Vec<u8>)> = paths
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).expect("it can be read");
            (path, bytes)
        })
        .collect();
    let total: u64 = inputs.iter().map(|(_, input)| input.len() as u64).sum();
    assert!(total <= CORPUS_BYTES_MAX, "{} has {total} bytes: keep the corpus small", folder.display());
    inputs
}

/// One to four small damages, always the same for a seed.
fn mutated(input: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed ^ 0xf022);
    let mut bytes = input.to_vec();
    for _ in 0..1 + dice.below(4) {
        if bytes.is_empty() {
            bytes.push(dice.below(256) as u8);
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(6) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5) as usize],
            2 => bytes.truncate(at),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, dice.below(256) as u8),
            _ => {
                let from = dice.below(bytes.len() as u64) as usize;
                let size = (dice.below(64) as usize).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + size, at);
            }
        }
    }
    bytes
}

/// Random numbers of a test (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in fuzz/").to_path_buf()
}
