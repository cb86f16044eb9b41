//! Settings made and taken back, below a directory that stands for a host.

use std::path::{Path, PathBuf};

use tuning::change::{self, ChangeError};
use tuning::checks::{self, Finding};
use tuning::facts;
use tuning::host::{Entry, Host};
use tuning::measure::Measured;

use crate::hosts::recording;

/// The recorded host as files; what a test changes there is read again like a host's.
struct Root {
    dir: tempfile::TempDir,
}

impl Root {
    fn of(name: &str) -> Root {
        let dir = tempfile::tempdir().unwrap();
        for (path, entries) in recording(name).entries() {
            let place = dir.path().join(&path[1..]);
            let is_file =
                path.starts_with('/') && entries.iter().any(|entry| matches!(entry, Entry::Text(_)));
            if !is_file || place.is_dir() {
                continue;
            }
            let text = entries.iter().find_map(|entry| match entry {
                Entry::Text(text) => Some(text),
                _ => None,
            });
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text.unwrap()).unwrap();
        }
        for (path, entries) in recording(name).entries() {
            for entry in entries {
                if let Entry::Link(target) = entry
                    && target != path
                {
                    let (place, target) = (dir.path().join(&path[1..]), dir.path().join(&target[1..]));
                    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                    std::fs::create_dir_all(&target).unwrap();
                    std::os::unix::fs::symlink(target, place).unwrap();
                }
            }
        }
        Root { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn undo_file(&self) -> PathBuf {
        self.path().join("var/lib/torc/undo.toml")
    }

    fn findings(&self) -> Vec<Finding> {
        let host = Host::under(self.path(), Path::new("/var/lib/torc"));
        checks::judge(&facts::read(&host), &Measured::nothing("a root"))
    }

    fn says(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap().trim().to_owned()
    }
}

const HUGE_PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const GOVERNOR: &str = "sys/devices/system/cpu/cpu31/cpufreq/scaling_governor";
const SWAPPINESS: &str = "proc/sys/vm/swappiness";

#[test]
fn what_apply_sets_undo_brings_back() {
    let root = Root::of("metal");
    let plan = change::plan(&root.findings(), root.path());
    let paths: Vec<&str> = plan.iter().map(|write| &write.path[1..]).collect();
    for wanted in [HUGE_PAGES, GOVERNOR, SWAPPINESS] {
        assert!(paths.contains(&wanted), "{wanted} is not in {paths:?}");
    }
    assert_eq!(root.says(HUGE_PAGES), "[always] madvise never", "a plan changes nothing");
    assert!(!root.undo_file().exists());

    let done = change::apply(&plan, root.path(), &root.undo_file()).unwrap();
    assert!(done.iter().all(|done| done.failed.is_none()), "{done:?}");
    assert_eq!(
        (root.says(HUGE_PAGES), root.says(GOVERNOR)),
        ("madvise".to_owned(), "performance".to_owned())
    );
    let left = change::plan(&root.findings(), root.path());
    assert!(left.is_empty(), "nothing is left to set: {left:?}");

    let back = change::undo_plan(root.path(), &root.undo_file()).unwrap();
    assert_eq!(back.len(), plan.len());
    let undone = change::undo(root.path(), &root.undo_file()).unwrap();
    assert!(undone.iter().all(|done| done.failed.is_none()), "{undone:?}");
    // Of a choice the word that was chosen, which is what the kernel takes.
    assert_eq!((root.says(HUGE_PAGES), root.says(GOVERNOR)), ("always".to_owned(), "schedutil".to_owned()));
    assert_eq!(root.says(SWAPPINESS), "60");
    assert!(matches!(change::undo(root.path(), &root.undo_file()), Err(ChangeError::NothingKept(_))));
}

#[test]
fn a_second_apply_keeps_what_was_first() {
    let root = Root::of("metal");
    let plan = change::plan(&root.findings(), root.path());
    change::apply(&plan, root.path(), &root.undo_file()).unwrap();
    // Something sets it otherwise, and torc sets it again.
    std::fs::write(root.path().join(SWAPPINESS), "30").unwrap();
    let again = change::plan(&root.findings(), root.path());
    assert_eq!(again.len(), 1);
    change::apply(&again, root.path(), &root.undo_file()).unwrap();
    change::undo(root.path(), &root.undo_file()).unwrap();
    assert_eq!(root.says(SWAPPINESS), "60");
}

#[test]
fn what_somebody_else_has_set_meanwhile_is_left_alone() {
    let root = Root::of("metal");
    let plan = change::plan(&root.findings(), root.path());
    change::apply(&plan, root.path(), &root.undo_file()).unwrap();
    std::fs::write(root.path().join(SWAPPINESS), "10").unwrap();
    let undone = change::undo(root.path(), &root.undo_file()).unwrap();
    let failed: Vec<_> =
        undone.iter().filter_map(|done| Some((&done.write.path, done.failed.as_ref()?))).collect();
    assert!(
        matches!(&failed[..], [(path, why)] if path.ends_with("swappiness") && why.contains("10 meanwhile")),
        "{failed:?}"
    );
    assert_eq!((root.says(SWAPPINESS), root.says(HUGE_PAGES)), ("10".to_owned(), "always".to_owned()));
}

#[test]
fn a_write_that_fails_is_told_and_can_still_be_undone() {
    let root = Root::of("metal");
    let plan = change::plan(&root.findings(), root.path());
    std::fs::remove_file(root.path().join(GOVERNOR)).unwrap();
    let done = change::apply(&plan, root.path(), &root.undo_file()).unwrap();
    let failed: Vec<_> = done.iter().filter(|done| done.failed.is_some()).collect();
    assert!(matches!(&failed[..], [one] if one.write.path[1..] == *GOVERNOR), "{failed:?}");
    assert!(!root.path().join(GOVERNOR).exists(), "a file that is not there is not made");
    assert_eq!(root.says(HUGE_PAGES), "madvise");
}

#[test]
fn an_undo_file_that_makes_no_sense_is_refused_and_nothing_is_written() {
    let root = Root::of("metal");
    let file = root.undo_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let check = |text: &str, words: &str| {
        std::fs::write(&file, text).unwrap();
        let error = change::undo(root.path(), &file).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        let plan = change::plan(&root.findings(), root.path());
        assert!(change::apply(&plan, root.path(), &file).is_err());
        assert_eq!(root.says(HUGE_PAGES), "[always] madvise never");
    };
    let change = |path: &str| {
        format!(
            "version = 1\n[[change]]\ncheck = \"x\"\npath = \"{path}\"\nold = \"evil\"\nvalue = \"good\"\n"
        )
    };
    check("nonsense", "no undo file");
    check("version = 2\n", "version 2");
    check(&change("/etc/passwd"), "not in /proc or /sys");
    check(&change("/sys/../etc/passwd"), "not in /proc or /sys");
}
