//! Runs cases against an endpoint, one after the other, and says what differs.
//!
//! 1. The tables that the chosen cases name are made, under names of this run, and waited for.
//! 2. Each script's `given` is done once, then its cases. A case ends with its first difference; the others go on.
//! 3. All tables of this run are deleted, those of cases too, whatever happened.
//!
//! Cases share tables, and each has keys of its own (`$id`), so they do not see each other.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::expect::{self, SUCCESS};
use crate::http::{Answer, Client, Request};
use crate::script::{Action, Case, Script, Step};
use crate::text;

/// Tables that every script may name: partition key, sort key.
const TABLES: &[(&str, &str)] = &[
    ("hash", "p S"),
    ("hashn", "p N"),
    ("hashb", "p B"),
    ("range", "p S, s S"),
    ("rangen", "p S, s N"),
    ("rangeb", "p S, s B"),
];

/// A table that takes longer than this to come or go has failed.
const TABLE_TIME_MAX: Duration = Duration::from_secs(300);
/// Between two looks at such a table: torc is done in moments, DynamoDB in seconds, and it counts how often it is asked.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
const LOOK_PAUSE_ELSEWHERE: Duration = Duration::from_millis(1000);
/// How often a call is made again that is refused for coming too early or too often.
const THROTTLED_MAX: usize = 60;

/// What is run, and against what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The region in ARNs.
    pub region: String,
    /// Only cases whose script or name has this in it.
    pub filter: Option<String>,
    /// Whether it is torc: then it also has to answer what only torc answers.
    pub is_torc: bool,
    /// Begins the names of this run's tables; made up if it is not given.
    pub prefix: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options { region: "us-east-1".to_owned(), filter: None, is_torc: true, prefix: None }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cases that went as expected.
    pub passed: usize,
    /// Cases that say what only torc does, and it is not torc.
    pub skipped: usize,
    /// Cases that did not go as expected.
    pub failures: Vec<Failure>,
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The script.
    pub script: String,
    /// The line of the step.
    pub line: usize,
    /// The case.
    pub case: String,
    /// What was asked.
    pub request: String,
    /// What should have been answered.
    pub expected: String,
    /// What was answered.
    pub got: String,
    /// Where the two differ.
    pub why: String,
}

/// Bytes of a request or an answer that a report shows.
const SHOWN_BYTES_MAX: usize = 2000;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| match text.char_indices().nth(SHOWN_BYTES_MAX) {
            Some((end, _)) => format!("{} ... ({} bytes)", &text[..end], text.len()),
            None => text.to_owned(),
        };
        writeln!(f, "{}.cases:{}: {}", self.script, self.line, self.case)?;
        writeln!(f, "   asked {}", cut(&self.request))?;
        writeln!(f, "expected {}", cut(&self.expected))?;
        writeln!(f, "     got {}", cut(&self.got))?;
        write!(f, "     why {}", self.why)
    }
}

impl Failure {
    /// For machines.
    pub fn json(&self) -> Value {
        json!({"script": self.script, "line": self.line, "case": self.case, "request": self.request,
            "expected": self.expected, "got": self.got, "why": self.why})
    }
}

/// Runs the scripts' cases that the options choose.
pub fn run(client: &mut Client, scripts: &[Script], options: &Options) -> Result<Report> {
    let prefix = options.prefix.clone().unwrap_or_else(made_up_prefix);
    let mut runner = Runner {
        client,
        options,
        prefix,
        account: String::new(),
        used: BTreeSet::new(),
        report: Report::default(),
    };
    let done = runner.all(scripts);
    let cleaned = runner.clean_up();
    done?;
    cleaned?;
    Ok(runner.report)
}

fn made_up_prefix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    format!("cases-{:08x}", (now.as_nanos() / 1_000_000) as u32)
}

struct Runner<'r> {
    client: &'r mut Client,
    options: &'r Options,
    prefix: String,
    account: String,
    /// Tables that cases may have made.
    used: BTreeSet<String>,
    report: Report,
}

/// Where a text stands: what its names mean.
struct Place<'p> {
    script: &'p Script,
    case: Option<(&'p Case, usize)>,
}

impl Runner<'_> {
    fn all(&mut self, scripts: &[Script]) -> Result<()> {
        let mut number = 0;
        let chosen: Vec<(&Script, Vec<(&Case, usize)>)> = scripts
            .iter()
            .map(|script| {
                let numbered = script.cases.iter().map(|case| {
                    number += 1;
                    (case, number)
                });
                (script, numbered.filter(|(case, _)| self.is_chosen(script, case)).collect())
            })
            .collect();
        let chosen: Vec<_> = chosen.into_iter().filter(|(_, cases)| !cases.is_empty()).collect();
        let mut tables: Vec<(String, &str)> =
            TABLES.iter().map(|(name, key)| (self.table(name), *key)).collect();
        for (script, _) in &chosen {
            for (name, key) in &script.tables {
                tables.push((self.own_table(script, name), key));
            }
        }
        self.make_tables(&tables)?;
        for (script, cases) in chosen {
            let place = Place { script, case: None };
            for step in &script.given {
                if let Err(failure) = self.step(&place, step) {
                    bail!("what is given does not work:\n{failure}");
                }
            }
            for (case, number) in cases {
                self.one(script, case, number);
            }
        }
        Ok(())
    }

    fn is_chosen(&self, script: &Script, case: &Case) -> bool {
        let Some(filter) = &self.options.filter else { return true };
        format!("{}: {}", script.name, case.title()).contains(filter.as_str())
    }

    fn one(&mut self, script: &Script, case: &Case, number: usize) {
        if case.only_torc && !self.options.is_torc {
            self.report.skipped += 1;
            return;
        }
        let place = Place { script, case: Some((case, number)) };
        for step in &case.steps {
            if let Err(failure) = self.step(&place, step) {
                self.report.failures.push(*failure);
                return;
            }
        }
        self.report.passed += 1;
    }

    fn step(&mut self, place: &Place<'_>, step: &Step) -> Result<(), Box<Failure>> {
        let mut seen = Seen::default();
        self.try_step(place, step, &mut seen).map_err(|error| {
            Box::new(Failure {
                script: place.script.name.clone(),
                line: step.line,
                case: place.case.map_or("given".to_owned(), |(case, _)| case.title()),
                request: seen.request,
                expected: seen.expected,
                got: seen.got,
                why: format!("{error:#}"),
            })
        })
    }

    fn try_step(&mut self, place: &Place<'_>, step: &Step, seen: &mut Seen) -> Result<()> {
        seen.expected = SUCCESS.to_owned();
        let request = match &step.action {
            Action::Wait(table) => return self.wait_active(&self.expand(place, table)?),
            Action::Gone(table) => return self.wait_gone(&self.expand(place, table)?),
            Action::Call(operation, input) => {
                let (operation, input) = (self.expand(place, operation)?, self.expand(place, input)?);
                seen.request = format!("{operation} {input}");
                Request::call(&operation, &input)
            }
            Action::Http(text) => {
                let text = self.expand(place, text)?;
                seen.request = format!("http {text}");
                plain_request(&text)?
            }
        };
        self.note_tables(&seen.request);
        let answer = self.send(&request)?;
        seen.got = answer.shown();
        if step.answers.is_empty() {
            ensure!(answer.status == 200, "it was not done");
        }
        for expected in &step.answers {
            seen.expected = self.expand(place, expected)?;
            expect::check(&seen.expected, &answer)?;
        }
        Ok(())
    }

    /// Asks; who is told to be slower is. torc throttles nobody, so that a test of it hides nothing.
    fn send(&mut self, request: &Request) -> Result<Answer> {
        for _ in 0..THROTTLED_MAX {
            let answer = self.client.send(request)?;
            let is_throttled = answer.status == 400 && answer.shown().contains("#ThrottlingException");
            if self.options.is_torc || !is_throttled {
                return Ok(answer);
            }
            self.pause();
        }
        self.client.send(request)
    }

    fn pause(&self) {
        std::thread::sleep(if self.options.is_torc { LOOK_PAUSE } else { LOOK_PAUSE_ELSEWHERE });
    }

    fn expand(&self, place: &Place<'_>, text: &str) -> Result<String> {
        text::expand(text, &|name| self.lookup(place, name))
    }

    fn lookup(&self, place: &Place<'_>, name: &str) -> Option<String> {
        if let Ok(cell) = name.parse::<usize>() {
            return place.case?.0.row.get(cell.checked_sub(1)?).cloned();
        }
        if let Some(text) = place.script.lets.get(name) {
            return Some(text.clone());
        }
        if place.script.tables.iter().any(|(own, _)| own == name) {
            return Some(self.own_table(place.script, name));
        }
        if TABLES.iter().any(|(table, _)| *table == name) {
            return Some(self.table(name));
        }
        // Always as long, so that sizes are the same in each run.
        let number = place.case.map_or(0, |(_, number)| number);
        match name {
            "id" => Some(format!("k{number:05}")),
            "new" | "new2" | "new3" => Some(self.table(&format!("{name}-{number:05}"))),
            "prefix" => Some(self.prefix.clone()),
            "region" => Some(self.options.region.clone()),
            "account" => Some(self.account.clone()),
            "arn" => Some(format!("arn:aws:dynamodb:{}:{}:table/", self.options.region, self.account)),
            _ => None,
        }
    }

    fn table(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn own_table(&self, script: &Script, name: &str) -> String {
        format!("{}-{}-{name}", self.prefix, script.name)
    }

    /// Remembers the tables that a CreateTable may make.
    fn note_tables(&mut self, request: &str) {
        if !request.starts_with("CreateTable ") {
            return;
        }
        let mut rest = request;
        while let Some(start) = rest.find(&self.prefix) {
            let name = &rest[start..];
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c));
            let (name, after) = name.split_at(end.unwrap_or(name.len()));
            self.used.insert(name.to_owned());
            rest = after;
        }
    }

    fn make_tables(&mut self, tables: &[(String, &str)]) -> Result<()> {
        for (name, key) in tables {
            let answer = self.send(&Request::call("CreateTable", &table_input(name, key)?.to_string()))?;
            ensure!(answer.status == 200, "{name} cannot be made: {}", answer.shown());
            self.used.insert(name.clone());
            let arn = answer.json()?["TableDescription"]["TableArn"].clone();
            let account = arn.as_str().and_then(|arn| arn.split(':').nth(4));
            self.account = account.context("a table's ARN names its account")?.to_owned();
        }
        tables.iter().try_for_each(|(name, _)| self.wait_active(name))
    }

    fn describe(&mut self, table: &str) -> Result<Answer> {
        self.send(&Request::call("DescribeTable", &json!({"TableName": table}).to_string()))
    }

    fn wait_active(&mut self, table: &str) -> Result<()> {
        let since = Instant::now();
        loop {
            let answer = self.describe(table)?;
            if answer.json()?["Table"]["TableStatus"] == "ACTIVE" {
                return Ok(());
            }
            ensure!(since.elapsed() < TABLE_TIME_MAX, "{table} is never ACTIVE: {}", answer.shown());
            self.pause();
        }
    }

    fn wait_gone(&mut self, table: &str) -> Result<()> {
        let since = Instant::now();
        while self.describe(table)?.status == 200 {
            ensure!(since.elapsed() < TABLE_TIME_MAX, "{table} is never gone");
            self.pause();
        }
        Ok(())
    }

    /// Deletes this run's tables. Those that a case has deleted already are not there.
    fn clean_up(&mut self) -> Result<()> {
        for table in std::mem::take(&mut self.used) {
            let since = Instant::now();
            let input = json!({"TableName": table}).to_string();
            loop {
                let answer = self.send(&Request::call("DeleteTable", &input))?;
                let text = answer.shown();
                if answer.status == 200 || text.contains("ResourceNotFound") || text.contains("being deleted")
                {
                    break;
                }
                if text.contains("protected against deletion") {
                    let off = json!({"TableName": table, "DeletionProtectionEnabled": false}).to_string();
                    self.send(&Request::call("UpdateTable", &off))?;
                } else if text.contains("ValidationException") {
                    // A name that no table can have.
                    break;
                }
                ensure!(since.elapsed() < TABLE_TIME_MAX, "{table} cannot be deleted: {text}");
                self.pause();
            }
        }
        Ok(())
    }
}

/// What a report needs, as far as it came.
#[derive(Default)]
struct Seen {
    request: String,
    expected: String,
    got: String,
}

/// CreateTable's input for `p S, s N`.
fn table_input(name: &str, key: &str) -> Result<Value> {
    let (mut schema, mut definitions) = (Vec::new(), Vec::new());
    for (part, role) in key.split(',').zip(["HASH", "RANGE"]) {
        let (attribute, kind) = part.trim().split_once(' ').context("a name and a type")?;
        schema.push(json!({"AttributeName": attribute, "KeyType": role}));
        definitions.push(json!({"AttributeName": attribute, "AttributeType": kind}));
    }
    Ok(json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema, "AttributeDefinitions": definitions}))
}

/// `POST /path`, then headers, then `body`.
fn plain_request(text: &str) -> Result<Request> {
    let mut lines = text.lines();
    let (method, path) = lines.next().and_then(|line| line.split_once(' ')).context("a method and a path")?;
    let mut request =
        Request { method: method.to_owned(), path: path.trim().to_owned(), ..Request::default() };
    while let Some(line) = lines.next() {
        let line = line.trim();
        let Some((form, first)) = line.strip_prefix("body").and_then(|rest| rest.split_once(' ')) else {
            let (name, value) = line.split_once(':').context("a header has a value")?;
            request.headers.push((name.to_owned(), value.trim().to_owned()));
            continue;
        };
        let rest: Vec<&str> = std::iter::once(first).chain(lines).collect();
        let body = rest.join("\n").into_bytes();
        match form {
            "" => request.body = body,
            "[chunked]" => (request.body, request.chunked) = (body, true),
            "[gzip]" => request.body = packed::gzip(&body),
            "[deflate]" => request.body = packed::zlib(&body),
            other => bail!("a body cannot be {other}"),
        }
        break;
    }
    Ok(request)
}

/// Packed without being smaller: stored blocks, which every unpacker takes.
mod packed {
    /// RFC 1952
    pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        stored(&mut out, body);
        out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out
    }

    /// RFC 1950
    pub(super) fn zlib(body: &[u8]) -> Vec<u8> {
        let mut out = vec![0x78, 0x01];
        stored(&mut out, body);
        let (a, b) = body.iter().fold((1u32, 0u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65_521;
            (a, (b + a) % 65_521)
        });
        out.extend_from_slice(&((b << 16) | a).to_be_bytes());
        out
    }

    /// RFC 1951, 3.2.4: one block, which is the last.
    fn stored(out: &mut Vec<u8>, body: &[u8]) {
        let size = u16::try_from(body.len()).expect("bodies of cases are short");
        out.push(1);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&(!size).to_le_bytes());
        out.extend_from_slice(body);
    }
}
