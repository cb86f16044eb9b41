//! Lines of text or JSON, from the same facts.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lsm::inspect::Problem;
use model::item::Value;
use model::ring::Replica;
use serde_json::{Value as Json, json};
use shard::inspect::{EffectAbout, KeyAbout, Names, RecordMeaning, StandingAbout, StateAbout, ValueAbout};

use super::Hex;
use crate::say;

/// Facts about one thing, in the order in which they are told.
pub struct Line {
    kind: &'static str,
    depth: usize,
    facts: Vec<(&'static str, Json)>,
}

impl Line {
    /// A line about a `kind` of thing, so many levels inside others.
    pub fn new(kind: &'static str, depth: usize) -> Line {
        Line { kind, depth, facts: Vec::new() }
    }

    /// Adds a fact.
    pub fn fact(mut self, name: &'static str, value: impl Into<Json>) -> Line {
        self.facts.push((name, value.into()));
        self
    }

    /// As an object with its kind first.
    fn json(&self) -> String {
        let mut out = format!("{{\"kind\":{}", json!(self.kind));
        for (name, value) in &self.facts {
            let _ = write!(out, ",{}:{value}", json!(name));
        }
        out.push('}');
        out
    }

    fn text(&self) -> String {
        let mut out = format!("{:indent$}{}", "", self.kind, indent = 2 * self.depth);
        for (name, value) in &self.facts {
            match value {
                Json::Null => {}
                Json::String(text) => _ = write!(out, "  {name} {text}"),
                value => _ = write!(out, "  {name} {value}"),
            }
        }
        out
    }
}

/// Where lines go.
pub struct Printer {
    json: bool,
}

impl Printer {
    /// Prints JSON or text.
    pub fn new(json: bool) -> Printer {
        Printer { json }
    }

    /// Prints one line. Who reads no further ends us.
    pub fn line(&self, line: &Line) {
        let text = if self.json { line.json() } else { line.text() };
        if writeln!(std::io::stdout(), "{text}").is_err() {
            std::process::exit(0);
        }
    }

    /// Prints something that is wrong.
    pub fn problem(&self, problem: &Problem) {
        match self.json {
            true => self.line(&problem_line(problem)),
            false => say::warn(problem),
        }
    }
}

/// The facts of a problem.
pub fn problem_line(problem: &Problem) -> Line {
    Line::new("problem", 0)
        .fact("path", problem.path.display().to_string())
        .fact("offset", problem.offset)
        .fact("what", problem.what.clone())
        .fact("what_to_do", problem.advice)
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The reverse of [`hex`].
pub fn parse_hex(text: &str) -> Result<Hex, String> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or("not hexadecimal digits")?;
    if digits.len() % 2 == 1 {
        return Err("two hexadecimal digits make a byte".into());
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A checksum, an epoch: a number that is only ever compared.
pub fn hex32(number: u32) -> String {
    format!("{number:08x}")
}

/// The same of 64 bits.
pub fn hex64(number: u64) -> String {
    format!("{number:016x}")
}

/// What a storage key means.
pub fn key(names: &Names, key: &[u8]) -> Json {
    match names.key(key) {
        KeyAbout::CatalogState => json!({"catalog": "state"}),
        KeyAbout::CatalogTable(name) => json!({"catalog_table": name}),
        KeyAbout::CatalogVnode(id) => json!({"catalog_vnode": id.0}),
        KeyAbout::CatalogNode(number) => json!({"catalog_node": number.0}),
        KeyAbout::Item { table, key } => {
            let mut about = json!({
                "table": table, "token": hex64(key.token_high), "partition": dynamo(&key.partition),
            });
            if let Some(sort) = &key.sort {
                about["sort"] = dynamo(sort);
            }
            about
        }
        KeyAbout::ItemOfUnknown { table, token_high } => {
            json!({"table_id": table.0, "token": hex64(token_high), "hex": hex(key)})
        }
        KeyAbout::Replica(vnode) => json!({"replica_of_vnode": vnode.0, "hex": hex(key)}),
        KeyAbout::Senseless(what) => json!({"senseless": what, "hex": hex(key)}),
    }
}

/// What a stored value means.
pub fn value(about: &ValueAbout) -> Json {
    match about {
        ValueAbout::Item { stamp, attributes } => {
            let item: serde_json::Map<String, Json> =
                attributes.iter().map(|(name, value)| (name.clone(), dynamo(value))).collect();
            json!({"stamp": stamp, "item": item})
        }
        ValueAbout::CatalogState { stamp, version, next_table, ring } => {
            let mut about = json!({"stamp": stamp, "map_version": version, "next_table": next_table});
            if let Some((epoch, vnode_count)) = ring {
                about["epoch"] = json!(epoch);
                about["vnodes"] = json!(vnode_count);
            }
            about
        }
        ValueAbout::CatalogVnode { stamp, epoch, start, replicas } => {
            let replica = |one: Replica| {
                let (node, shard) = (one.place.node.0, one.place.shard.0);
                json!({"peer": one.peer.0, "node": node, "shard": shard, "role": format!("{:?}", one.role)})
            };
            let replicas: Vec<Json> = replicas.iter().map(replica).collect();
            json!({"stamp": stamp, "epoch": epoch, "start": hex64(*start), "replicas": replicas})
        }
        ValueAbout::State(number, about) => json!({"number": number, "state": state(about)}),
        ValueAbout::Standing(about) => standing(about),
        ValueAbout::Senseless(what) => json!({"senseless": what}),
    }
}

fn state(about: &StateAbout) -> Json {
    json!({
        "peer": about.peer, "born": about.born, "term": about.term, "vote": about.vote, "commit": about.commit,
        "begins": about.begins.as_ref().map(standing), "anew": about.anew, "installing": about.installing,
        "destroyed": about.destroyed,
    })
}

fn standing(about: &StandingAbout) -> Json {
    json!({"index": about.index, "term": about.term, "voters": about.voters, "learners": about.learners})
}

/// What a log record's payload means.
pub fn record_meaning(names: &Names, about: Result<RecordMeaning, String>) -> Json {
    let about = match about {
        Ok(RecordMeaning::Command(about)) => about,
        Ok(RecordMeaning::State(about)) => return json!({"state": state(&about)}),
        Ok(RecordMeaning::Change(steps)) => return json!({"members": steps}),
        Err(what) => return json!({"senseless": what}),
    };
    let effect = |effect: &EffectAbout| match effect {
        EffectAbout::Put(at, stored) => json!({"put": key(names, at), "value": value(stored)}),
        EffectAbout::Delete(at) => json!({"delete": key(names, at)}),
        EffectAbout::DropRange(from, to) => json!({"drop_from": hex(from), "to": hex(to)}),
    };
    let effects: Vec<Json> = about.effects.iter().map(effect).collect();
    json!({"stamp": about.stamp, "effects": effects})
}

/// A value as DynamoDB's JSON has it.
pub fn dynamo(value: &Value) -> Json {
    match value {
        Value::S(text) => json!({"S": text}),
        Value::N(number) => json!({"N": number.to_string()}),
        Value::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
        Value::Bool(value) => json!({"BOOL": value}),
        Value::Null => json!({"NULL": true}),
        Value::M(map) => {
            let map: serde_json::Map<String, Json> =
                map.iter().map(|(name, value)| (name.clone(), dynamo(value))).collect();
            json!({"M": map})
        }
        Value::L(list) => json!({"L": list.iter().map(dynamo).collect::<Vec<_>>()}),
        Value::Ss(set) => json!({"SS": set}),
        Value::Ns(set) => json!({"NS": set.iter().map(ToString::to_string).collect::<Vec<_>>()}),
        Value::Bs(set) => json!({"BS": set.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>()}),
    }
}
