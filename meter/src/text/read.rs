//! Reading a page back, strictly.

use std::collections::{BTreeMap, BTreeSet};

/// Everything under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it is.
    pub help: String,
    /// Its samples, in order.
    pub samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its name: the family's, with `_bucket`, `_sum` or `_count` in a histogram.
    pub name: String,
    /// Labels with their values.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty when it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Reads a page. An error names the line and says what is wrong there.
pub fn parse(page: &str) -> Result<Vec<Family>, String> {
    if !page.is_empty() && !page.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut reading = Reading::default();
    for (index, line) in page.lines().enumerate() {
        reading.line(line).map_err(|why| format!("line {}: {why}: {line}", index + 1))?;
    }
    for family in &reading.families {
        check_family(family).map_err(|why| format!("{}: {why}", family.name))?;
    }
    Ok(reading.families)
}

#[derive(Default)]
struct Reading {
    families: Vec<Family>,
    names: BTreeSet<String>,
    series: BTreeSet<String>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, help) = head.split_once(' ').ok_or("no help")?;
            if !is_name(name, ":") || !self.names.insert(name.to_owned()) {
                return Err("a name that is none, or comes twice".to_owned());
            }
            let family = Family {
                name: name.to_owned(),
                help: help.to_owned(),
                kind: String::new(),
                samples: Vec::new(),
            };
            self.families.push(family);
            return Ok(());
        }
        let family = self.families.last_mut().ok_or("a line before the first family")?;
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').ok_or("no type")?;
            if name != family.name || !family.kind.is_empty() || !family.samples.is_empty() {
                return Err("a type that does not belong here".to_owned());
            }
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err("an unknown type".to_owned());
            }
            family.kind = kind.to_owned();
            return Ok(());
        }
        let sample = sample(line)?;
        if family.kind.is_empty() || !belongs(family, &sample.name) {
            return Err("a sample that does not belong to its family".to_owned());
        }
        if !self.series.insert(format!("{}{:?}", sample.name, sample.labels)) {
            return Err("a sample that is there already".to_owned());
        }
        family.samples.push(sample);
        Ok(())
    }
}

fn belongs(family: &Family, name: &str) -> bool {
    match family.kind.as_str() {
        "histogram" => {
            let rest = name.strip_prefix(family.name.as_str());
            rest.is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest))
        }
        _ => name == family.name,
    }
}

fn is_name(name: &str, more: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
    !name.is_empty() && name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name, ":") {
        return Err("no name".to_owned());
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            number.parse().map_err(|_| "no number")?
        }
        _ => return Err("no number".to_owned()),
    };
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Reads labels up to the closing brace; what follows it.
fn read_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Result<&'a str, String> {
    loop {
        let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(label, "") {
            return Err("a label that is none".to_owned());
        }
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().ok_or("a value without an end")? {
                (at, '"') => break at + 1,
                (_, '\\') => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                    _ => return Err("an escape that is none".to_owned()),
                },
                (_, other) => value.push(other),
            }
        };
        if labels.insert(label.to_owned(), value).is_some() {
            return Err("a label that comes twice".to_owned());
        }
        rest = &after[end..];
        if let Some(over) = rest.strip_prefix('}') {
            return Ok(over);
        }
        rest = rest.strip_prefix(',').ok_or("no comma between labels")?;
    }
}

fn check_family(family: &Family) -> Result<(), String> {
    if family.kind.is_empty() || family.samples.is_empty() {
        return Err("no type, or no sample".to_owned());
    }
    let counts = family.kind == "counter";
    if counts != family.name.ends_with("_total") {
        return Err("what ends with _total is a counter, and nothing else".to_owned());
    }
    if counts && family.samples.iter().any(|sample| sample.value < 0.0) {
        return Err("a counter below 0".to_owned());
    }
    if family.kind == "histogram" { check_histogram(family) } else { Ok(()) }
}

/// Buckets ascend, and the last one is all there is.
fn check_histogram(family: &Family) -> Result<(), String> {
    #[derive(Default)]
    struct Series {
        buckets: Vec<(f64, f64)>,
        count: Option<f64>,
        has_sum: bool,
    }
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        let series = all.entry(format!("{labels:?}")).or_default();
        match sample.name.strip_prefix(family.name.as_str()).unwrap_or("") {
            "_bucket" => {
                let bound = bound.ok_or("a bucket without a bound")?;
                let bound =
                    if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| "no bound")? };
                series.buckets.push((bound, sample.value));
            }
            "_count" => series.count = Some(sample.value),
            _ => series.has_sum = true,
        }
    }
    for series in all.values() {
        let ascends = series.buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = series.buckets.last().ok_or("no bucket")?;
        if !ascends || last.0 != f64::INFINITY || Some(last.1) != series.count || !series.has_sum {
            return Err("buckets that do not ascend to the count".to_owned());
        }
    }
    Ok(())
}
