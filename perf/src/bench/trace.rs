//! A recorded trace: what was asked when, to be asked again at the same distances.
//!
//! One operation a line; lines that are empty or begin with `#` are skipped:
//!
//! ```text
//! # microseconds since the beginning, operation, key, bytes of the item
//! 0,get,user:17,0
//! 120,put,user:17,840
//! 121,update,order:3,
//! ```
//!
//! - The offset is in microseconds, with a fraction if need be, and never goes back.
//! - The operation is `get`, `put`, `update`, `delete` (as it is in DynamoDB), `GetItem` and so on.
//! - The key is any text without a comma. Keys are numbered in the order in which they first come; item n of the run stands for the
//!   n-th of them, and all are loaded before.
//! - The size is what the written item shall be charged, and may be left out.
//!
//! Bound: [`LINES_MAX`] operations.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::options::{ITEM_BYTES_MAX, ITEM_BYTES_MIN};

/// Operations of one trace, at most: 16 bytes of memory each.
pub const LINES_MAX: usize = 100_000_000;

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// GetItem.
    Get,
    /// PutItem.
    Put,
    /// UpdateItem.
    Update,
    /// DeleteItem.
    Delete,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, since the beginning.
    pub after: Duration,
    /// What.
    pub asked: Asked,
    /// Which item.
    pub key: u64,
    /// Bytes to write; 0 where the line does not say.
    pub size: u32,
}

/// A trace, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Its operations.
    pub lines: Vec<Line>,
    /// How many different keys they name.
    pub key_count: u64,
}

impl Trace {
    /// Reads a trace.
    pub fn parse(text: &str) -> anyhow::Result<Trace> {
        let mut trace = Trace::default();
        let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let line =
                parse_line(line, &mut numbers).with_context(|| format!("line {}: `{line}`", index + 1))?;
            ensure!(trace.lines.len() < LINES_MAX, "more than {LINES_MAX} operations");
            let back = trace.lines.last().is_some_and(|last| last.after > line.after);
            ensure!(!back, "line {}: time goes back", index + 1);
            trace.lines.push(line);
        }
        ensure!(!trace.lines.is_empty(), "no operations in it");
        trace.key_count = numbers.len() as u64;
        Ok(trace)
    }

    /// From its beginning to its last operation.
    pub fn duration(&self) -> Duration {
        self.lines.last().map_or(Duration::ZERO, |line| line.after)
    }

    /// Operations a second, on average.
    pub fn per_second(&self) -> f64 {
        self.lines.len() as f64 / self.duration().as_secs_f64().max(1e-6)
    }

    /// What the core of number `index` among `count` asks: every so-manieth line.
    pub fn part(&self, index: usize, count: usize) -> Vec<Line> {
        self.lines.iter().copied().skip(index).step_by(count).collect()
    }
}

fn parse_line<'a>(line: &'a str, numbers: &mut BTreeMap<&'a str, u64>) -> anyhow::Result<Line> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let (offset, operation, key, size) = match fields[..] {
        [offset, operation, key] => (offset, operation, key, ""),
        [offset, operation, key, size] => (offset, operation, key, size),
        _ => bail!("write OFFSET_US,OPERATION,KEY,SIZE"),
    };
    let micros: f64 = offset.parse().context("the offset is no number of microseconds")?;
    let after = Duration::try_from_secs_f64(micros / 1e6).context("the offset is out of range")?;
    let asked = match operation.to_ascii_lowercase().trim_end_matches("item") {
        "get" | "read" => Asked::Get,
        "put" | "insert" | "write" => Asked::Put,
        "update" => Asked::Update,
        "delete" => Asked::Delete,
        _ => bail!("the operation is none of get, put, update and delete"),
    };
    ensure!(!key.is_empty(), "the key is missing");
    let next = numbers.len() as u64;
    let key = *numbers.entry(key).or_insert(next);
    let size = match size {
        "" | "0" => 0,
        size => {
            let size: usize = size.parse().context("the size is no number of bytes")?;
            size.clamp(ITEM_BYTES_MIN, ITEM_BYTES_MAX) as u32
        }
    };
    Ok(Line { after, asked, key, size })
}

#[cfg(test)]
mod tests;
