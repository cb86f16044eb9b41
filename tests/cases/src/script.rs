//! The notation of `.cases` files.
//!
//! ```text
//! # A comment.
//! table orders: p S, s N               a table of this file's own; $orders is its name
//! let key "p":{"S":"$id"}              $key stands for this text
//! given PutItem {...}                  done once, before the file's cases; must be answered with success
//!
//! case numbers are normalized: $1
//! given PutItem {"TableName":"$hash","Item":{$key,"n":{"N":"$1"}}}
//! GetItem {"TableName":"$hash","Key":{$key}}
//! => {"Item":{$key,"n":{"N":"$2"}}}
//! | 1.0 | 1
//! | 1E2 | 100
//! ```
//!
//! A line that begins with a blank goes on with the line before. A case with rows is one case for each row, `$1` being its
//! first cell. `case[torc]` is left out when others are asked: it says what torc does not have yet.
//!
//! Answers: `=> {...}` is success with this JSON (wildcards: [`crate::expect`]); `=>` alone success without a body;
//! `=> Name: message`, with ` | {...}` for an item, is an exception; `=> http 404 text` is any other answer. Then
//! `=> header Name: value` and `=> no header Name` may follow.
//!
//! Steps beside calls: `wait TABLE` until it is ACTIVE, `gone TABLE` until it is not there, and requests that are no calls:
//!
//! ```text
//! http POST /path
//!   Header: value
//!   body {"the":"rest of the line, and of the lines that follow"}
//! ```
//!
//! `body[gzip]`, `body[deflate]` and `body[chunked]` send it in that form.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::text;

/// The files, in the order in which they run.
const FILES: &[(&str, &str)] = &[
    ("numbers", include_str!("../data/numbers.cases")),
    ("values", include_str!("../data/values.cases")),
    ("keys", include_str!("../data/keys.cases")),
    ("sizes", include_str!("../data/sizes.cases")),
    ("conditions", include_str!("../data/conditions.cases")),
    ("expressions", include_str!("../data/expressions.cases")),
    ("updates", include_str!("../data/updates.cases")),
    ("reads", include_str!("../data/reads.cases")),
    ("legacy", include_str!("../data/legacy.cases")),
    ("queries", include_str!("../data/queries.cases")),
    ("scans", include_str!("../data/scans.cases")),
    ("batches", include_str!("../data/batches.cases")),
    ("tables", include_str!("../data/tables.cases")),
    ("indexes", include_str!("../data/indexes.cases")),
    ("settings", include_str!("../data/settings.cases")),
    ("wire", include_str!("../data/wire.cases")),
    ("tocome", include_str!("../data/tocome.cases")),
];

/// One file.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Its name, without the ending.
    pub name: String,
    /// Tables of its own: name and key.
    pub tables: Vec<(String, String)>,
    /// What `$name` stands for.
    pub lets: BTreeMap<String, String>,
    /// Done once, before its cases.
    pub given: Vec<Step>,
    /// Its cases, rows expanded.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, in words.
    pub name: String,
    /// The line that it begins on.
    pub line: usize,
    /// Whether only torc is expected to answer so.
    pub only_torc: bool,
    /// `$1` and so on.
    pub row: Vec<String>,
    /// What is asked and answered, in order.
    pub steps: Vec<Step>,
}

/// One line of a dialogue.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line that it begins on.
    pub line: usize,
    /// What is done.
    pub action: Action,
    /// What must be answered; none for what only has to succeed.
    pub answers: Vec<String>,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Action {
    /// An operation with its input.
    Call(String, String),
    /// A request that is no call.
    Http(String),
    /// Until the table is ACTIVE.
    Wait(String),
    /// Until the table is gone.
    Gone(String),
}

/// All scripts of this repository.
pub fn all() -> Result<Vec<Script>> {
    FILES.iter().map(|(name, text)| parse(name, text)).collect()
}

/// Reads one file.
pub fn parse(name: &str, text: &str) -> Result<Script> {
    let mut reader = Reader { script: Script { name: name.to_owned(), ..Script::default() }, open: None };
    for (line, text) in logical_lines(text) {
        reader.line(line, &text).with_context(|| format!("{name}.cases:{line}: {text}"))?;
    }
    reader.close();
    Ok(reader.script)
}

/// Lines with those that go on with them, without comments.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, last)) if line.starts_with(' ') => {
                last.push('\n');
                last.push_str(line);
            }
            _ => lines.push((index + 1, line.to_owned())),
        }
    }
    lines
}

struct Reader {
    script: Script,
    open: Option<Open>,
}

/// A case that is being read.
struct Open {
    case: Case,
    rows: Vec<Vec<String>>,
}

impl Reader {
    fn line(&mut self, line: usize, text: &str) -> Result<()> {
        let (word, rest) = text.split_once([' ', '\n']).unwrap_or((text, ""));
        match word {
            "table" => {
                let (name, key) = rest.split_once(':').context("a table has a name and a key")?;
                self.script.tables.push((name.trim().to_owned(), key.trim().to_owned()));
            }
            "let" => {
                let (name, value) = rest.split_once(' ').context("a name and what it stands for")?;
                self.script.lets.insert(name.to_owned(), value.trim().to_owned());
            }
            "case" | "case[torc]" => {
                self.close();
                let case = Case {
                    name: rest.trim().to_owned(),
                    line,
                    only_torc: word == "case[torc]",
                    row: Vec::new(),
                    steps: Vec::new(),
                };
                self.open = Some(Open { case, rows: Vec::new() });
            }
            "|" => self.case()?.rows.push(text[1..].split('|').map(|cell| cell.trim().to_owned()).collect()),
            "=>" => {
                let steps = &mut self.case()?.case.steps;
                let step = steps.last_mut().context("an answer comes after its question")?;
                step.answers.push(rest.trim().to_owned());
            }
            "given" => {
                let action = action(rest)?;
                let step = Step { line, action, answers: Vec::new() };
                match &mut self.open {
                    Some(open) => open.case.steps.push(step),
                    None => self.script.given.push(step),
                }
            }
            _ => self.case()?.case.steps.push(Step { line, action: action(text)?, answers: Vec::new() }),
        }
        Ok(())
    }

    fn case(&mut self) -> Result<&mut Open> {
        self.open.as_mut().context("this belongs into a case")
    }

    /// Puts the open case where it belongs, once for each row.
    fn close(&mut self) {
        let Some(Open { case, rows }) = self.open.take() else { return };
        if rows.is_empty() {
            return self.script.cases.push(case);
        }
        for row in rows {
            self.script.cases.push(Case { row, ..case.clone() });
        }
    }
}

fn action(text: &str) -> Result<Action> {
    let (word, rest) = text.split_once([' ', '\n']).unwrap_or((text, ""));
    Ok(match word {
        "wait" => Action::Wait(rest.trim().to_owned()),
        "gone" => Action::Gone(rest.trim().to_owned()),
        "http" => Action::Http(rest.to_owned()),
        name => {
            // Its name may be a cell.
            let first = name.strip_prefix('$').map_or(b'A'..=b'Z', |_| b'$'..=b'$');
            let is_name =
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'$'));
            ensure!(is_name && first.contains(&name.as_bytes()[0]), "{name} is no operation");
            if rest.trim().is_empty() {
                bail!("{name} needs an input, if only {{}}");
            }
            Action::Call(name.to_owned(), rest.trim().to_owned())
        }
    })
}

impl Script {
    /// The calls of all cases, as operation and input. Names that only a run can know stand for `x`.
    pub fn calls(&self) -> Result<Vec<(String, String)>> {
        let steps =
            self.cases.iter().flat_map(|case| case.steps.iter().map(|step| (case.row.as_slice(), step)));
        let mut calls = Vec::new();
        for (row, step) in self.given.iter().map(|step| (&[][..], step)).chain(steps) {
            let Action::Call(operation, input) = &step.action else { continue };
            let lookup = |name: &str| match name.parse::<usize>() {
                Ok(cell) => row.get(cell.checked_sub(1)?).cloned(),
                Err(_) => Some(self.lets.get(name).cloned().unwrap_or_else(|| "x".to_owned())),
            };
            calls.push((text::expand(operation, &lookup)?, text::expand(input, &lookup)?));
        }
        Ok(calls)
    }
}

impl Case {
    /// Its name with the cells of its row.
    pub fn title(&self) -> String {
        if self.row.is_empty() {
            return self.name.clone();
        }
        let cells = self.row.join(" | ");
        let cut = cells.char_indices().nth(100).map_or(cells.as_str(), |(end, _)| &cells[..end]);
        format!("{} | {cut}", self.name)
    }
}

#[cfg(test)]
mod tests;
