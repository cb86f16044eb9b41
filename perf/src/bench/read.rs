//! What reads have shown, taken apart for `--verify`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::request::Contents;

/// One item of an answer.
#[derive(Deserialize)]
pub struct Read<'a> {
    #[serde(borrow)]
    pk: Text<'a>,
    #[serde(borrow)]
    sk: Option<Text<'a>>,
    v: Number<'a>,
    d: Text<'a>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(rename = "S", borrow)]
    s: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Number<'a> {
    #[serde(rename = "N", borrow)]
    n: Cow<'a, str>,
}

impl Read<'_> {
    /// Its key, if it is one of ours.
    pub fn key(&self, contents: &Contents) -> Option<u64> {
        contents.key_of(&self.pk.s, self.sk.as_ref().map(|sort| &*sort.s))
    }

    /// Its key attributes.
    pub fn name(&self) -> String {
        let sort = self.sk.as_ref().map(|sort| format!(" {}", sort.s));
        format!("{}{}", self.pk.s, sort.unwrap_or_default())
    }

    /// Its version, if it is item `key` and holds what that version holds.
    pub fn version(&self, contents: &Contents, key: u64) -> Result<u64, String> {
        let version = self.v.n.parse::<u64>().ok().filter(|version| *version > 0);
        let version = version.ok_or_else(|| format!("key {key}: version `{}`", self.v.n))?;
        if self.key(contents) != Some(key) {
            return Err(format!("key {key}: the answer is item `{}`", self.name()));
        }
        if self.d.s.as_bytes() != contents.filler(key, version) {
            return Err(format!("key {key}: version {version} with another content"));
        }
        Ok(version)
    }
}

fn whole<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("not our item: {error}"))
}

/// The answer of GetItem.
#[derive(Deserialize)]
pub struct Got<'a> {
    #[serde(rename = "Item", borrow)]
    item: Option<Read<'a>>,
}

impl<'a> Got<'a> {
    /// The item, if there is one.
    pub fn read(body: &'a [u8]) -> Result<Option<Read<'a>>, String> {
        whole::<Got<'_>>(body).map(|got| got.item)
    }
}

/// The answer of Query.
#[derive(Deserialize)]
pub struct Page<'a> {
    #[serde(rename = "Items", borrow)]
    items: Vec<Read<'a>>,
}

impl<'a> Page<'a> {
    /// The items.
    pub fn read(body: &'a [u8]) -> Result<Vec<Read<'a>>, String> {
        whole::<Page<'_>>(body).map(|page| page.items)
    }
}

/// The answer of BatchGetItem.
#[derive(Deserialize)]
pub struct Many<'a> {
    #[serde(rename = "Responses", borrow)]
    responses: BTreeMap<Cow<'a, str>, Vec<Read<'a>>>,
}

impl<'a> Many<'a> {
    /// The items, of the only table.
    pub fn read(body: &'a [u8]) -> Result<Vec<Read<'a>>, String> {
        whole::<Many<'_>>(body).map(|many| many.responses.into_values().flatten().collect())
    }
}
