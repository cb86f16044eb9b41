//! A host written down: one text file that people can read, cut and send.
//!
//! ```text
//! torc host 1
//! data-dir /var/lib/torc
//! == /proc/sys/kernel/osrelease
//! |6.8.0-48-generic
//! == /sys/dev/block/259:1 -> /sys/devices/pci0000:40/.../block/nvme0n1
//! == /sys/class/net/ eth0 lo
//! == /proc/1/environ denied
//! ```
//!
//! Lines of content begin with `|`. Lines that begin with `#` are remarks. A path that is not in it was not there. Names of
//! directories that are not listed follow from the paths below them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Unseen;

const FIRST_LINE: &str = "torc host 1";

/// What one path was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file with this text.
    Text(String),
    /// It leads here.
    Link(String),
    /// A directory with these names.
    List(Vec<String>),
    /// There, and not readable.
    Denied,
}

/// What each path was, at one time, on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Where the data was, or should be.
    pub data_dir: String,
    entries: BTreeMap<String, Vec<Entry>>,
}

/// What is wrong with a text that should be a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecording {
    line: usize,
    what: &'static str,
}

impl fmt::Display for BadRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for BadRecording {}

impl Recording {
    /// Of a host on which nothing was read yet.
    pub fn new(data_dir: &str) -> Recording {
        Recording { data_dir: data_dir.to_owned(), entries: BTreeMap::new() }
    }

    /// Adds what a path was; what it was before in the same way is forgotten.
    pub fn put(&mut self, path: &str, entry: Entry) {
        let entries = self.entries.entry(path.to_owned()).or_default();
        entries.retain(|known| std::mem::discriminant(known) != std::mem::discriminant(&entry));
        entries.push(entry);
    }

    /// Every path, with what it was.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[Entry])> {
        self.entries.iter().map(|(path, entries)| (path.as_str(), entries.as_slice()))
    }

    /// Reads one that was written.
    pub fn parse(text: &str) -> Result<Recording, BadRecording> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let bad = |line, what| Err(BadRecording { line, what });
        if lines.next().map(|(_, line)| line) != Some(FIRST_LINE) {
            return bad(1, "a recording of a host begins with `torc host 1`");
        }
        let mut recording = Recording::default();
        let mut open: Option<(String, String)> = None;
        for (number, line) in lines {
            if let Some(content) = line.strip_prefix('|') {
                let Some((_, text)) = &mut open else { return bad(number, "content of no file") };
                text.push_str(content);
                text.push('\n');
                continue;
            }
            recording.close(open.take());
            if let Some(dir) = line.strip_prefix("data-dir ") {
                recording.data_dir = dir.to_owned();
            } else if let Some(head) = line.strip_prefix("== ") {
                open = recording.head(head);
            } else if !line.trim().is_empty() && !line.starts_with('#') {
                return bad(number, "neither `== path` nor content, which begins with |");
            }
        }
        recording.close(open);
        match recording.data_dir.starts_with('/') {
            true => Ok(recording),
            false => bad(2, "no data-dir that is an absolute path"),
        }
    }

    /// A `==` line; the file whose text follows, if it is one.
    fn head(&mut self, head: &str) -> Option<(String, String)> {
        if let Some((path, target)) = head.split_once(" -> ") {
            self.put(path, Entry::Link(target.trim().to_owned()));
        } else if let Some(path) = head.strip_suffix(" denied") {
            self.put(path, Entry::Denied);
        } else if let Some((path, names)) = head.split_once("/ ") {
            self.put(path, Entry::List(names.split_whitespace().map(str::to_owned).collect()));
        } else {
            return Some((head.trim().to_owned(), String::new()));
        }
        None
    }

    fn close(&mut self, open: Option<(String, String)>) {
        if let Some((path, text)) = open {
            self.put(&path, Entry::Text(text));
        }
    }

    pub(super) fn read(&self, path: &str) -> Result<String, Unseen> {
        let real = self.real(path).ok_or(Unseen::Absent)?;
        for entry in self.entries.get(&real).into_iter().flatten() {
            match entry {
                Entry::Text(text) => return Ok(text.clone()),
                Entry::Denied => return Err(Unseen::Denied),
                Entry::Link(_) | Entry::List(_) => {}
            }
        }
        Err(Unseen::Absent)
    }

    pub(super) fn list(&self, path: &str) -> Vec<String> {
        let Some(real) = self.real(path) else { return Vec::new() };
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for entry in self.entries.get(&real).into_iter().flatten() {
            if let Entry::List(listed) = entry {
                names.extend(listed.iter().map(String::as_str));
            }
        }
        let prefix = format!("{real}/");
        for (below, _) in self.entries.range(prefix.clone()..) {
            let Some(rest) = below.strip_prefix(&prefix) else { break };
            names.extend(rest.split('/').next());
        }
        names.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.real(path).is_some()
    }

    /// Follows the links on a path; none when nothing is there.
    pub(super) fn real(&self, path: &str) -> Option<String> {
        const LINKS_MAX: usize = 40;
        let mut path = path.to_owned();
        // What a link leads to was there, even if nothing below it was asked for.
        let mut followed = false;
        'again: for _ in 0..LINKS_MAX {
            let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
            for end in ends {
                let target =
                    self.entries.get(&path[..end]).into_iter().flatten().find_map(|entry| match entry {
                        Entry::Link(target) if *target != path[..end] => Some(target),
                        _ => None,
                    });
                if let Some(target) = target {
                    followed = end == path.len();
                    path = format!("{target}{}", &path[end..]);
                    continue 'again;
                }
            }
            let prefix = format!("{path}/");
            let is_there = followed
                || self.entries.contains_key(&path)
                || self
                    .entries
                    .range(prefix.clone()..)
                    .next()
                    .is_some_and(|(below, _)| below.starts_with(&prefix));
            return is_there.then_some(path);
        }
        None
    }

    pub(super) fn denied(&self) -> Vec<String> {
        let denied = self.entries.iter().filter(|(_, entries)| entries.contains(&Entry::Denied));
        denied.map(|(path, _)| path.clone()).collect()
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\ndata-dir {}", self.data_dir)?;
        for (path, entries) in &self.entries {
            for entry in entries {
                match entry {
                    Entry::Text(text) => {
                        writeln!(f, "== {path}")?;
                        text.lines().try_for_each(|line| writeln!(f, "|{line}"))?;
                    }
                    Entry::Link(target) => writeln!(f, "== {path} -> {target}")?,
                    Entry::List(names) => writeln!(f, "== {path}/ {}", names.join(" "))?,
                    Entry::Denied => writeln!(f, "== {path} denied")?,
                }
            }
        }
        Ok(())
    }
}
