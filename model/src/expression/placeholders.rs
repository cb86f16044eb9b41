//! `ExpressionAttributeNames` and `ExpressionAttributeValues`: what `#name` and `:name` stand for, and which were used.

use super::ExpressionCache;
use crate::{
    error::ApiError,
    limits::{ATTRIBUTE_NAME_BYTES_MAX, EXPRESSION_VALUES_BYTES_MAX, PLACEHOLDER_BYTES_MAX},
};
use std::{collections::BTreeMap, rc::Rc};

/// The names and values of one request; all its expressions share them.
#[derive(Clone, Debug, Default)]
pub struct Placeholders<'a> {
    names: BTreeMap<&'a str, Entry<&'a str>>,
    values: BTreeMap<&'a str, Entry<Rc<[u8]>>>,
    /// Where texts may have been parsed before.
    pub(super) cache: Option<&'a ExpressionCache>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    stands_for: T,
    used: bool,
}

impl<'a> Placeholders<'a> {
    /// No names, no values.
    pub fn new() -> Placeholders<'a> {
        Placeholders::default()
    }

    /// No names, no values; texts that were parsed before are found in `cache`.
    pub fn with_cache(cache: &'a ExpressionCache) -> Placeholders<'a> {
        Placeholders { cache: Some(cache), ..Placeholders::default() }
    }

    /// `ExpressionAttributeNames`: `#name` and the attribute's name. Call it only if the request has the parameter.
    ///
    /// Errors: no names at all, a key that is not `#` and a word, a name that is empty or too long.
    pub fn set_names(&mut self, names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), ApiError> {
        self.names = collect(names, '#', "ExpressionAttributeNames")?;
        for (key, entry) in &self.names {
            check_name(key, entry.stands_for)?;
        }
        Ok(())
    }

    /// `ExpressionAttributeValues`: `:name` and the encoded value (tag and payload). Call it only if the request has it.
    ///
    /// Errors: no values at all, a key that is not `:` and a word, more than 2 MiB of values.
    pub fn set_values(
        &mut self,
        values: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), ApiError> {
        let values = values.into_iter().map(|(key, encoded)| (key, Rc::from(encoded)));
        self.values = collect(values, ':', "ExpressionAttributeValues")?;
        let bytes: usize = self.values.values().map(|entry| entry.stands_for.len()).sum();
        if bytes > EXPRESSION_VALUES_BYTES_MAX {
            let problem = "ExpressionAttributeValues has exceeded the maximum allowed size";
            return Err(ApiError::validation(format!("{problem}; size: {bytes}")));
        }
        Ok(())
    }

    /// To be called when all of a request's expressions are parsed: each name and value must have been used.
    pub fn check_all_used(&self) -> Result<(), ApiError> {
        refuse_unused("ExpressionAttributeNames", &self.names)?;
        refuse_unused("ExpressionAttributeValues", &self.values)
    }

    /// The attribute's name behind `#name`.
    pub(super) fn name(&mut self, alias: &str) -> Option<&'a str> {
        let entry = self.names.get_mut(alias)?;
        entry.used = true;
        Some(entry.stands_for)
    }

    /// The encoded value behind `:name`.
    pub(super) fn value(&mut self, alias: &str) -> Option<Rc<[u8]>> {
        let entry = self.values.get_mut(alias)?;
        entry.used = true;
        Some(Rc::clone(&entry.stands_for))
    }
}

fn collect<'a, T>(
    pairs: impl IntoIterator<Item = (&'a str, T)>,
    sign: char,
    parameter: &str,
) -> Result<BTreeMap<&'a str, Entry<T>>, ApiError> {
    let mut entries = BTreeMap::new();
    for (key, stands_for) in pairs {
        if key.len() > PLACEHOLDER_BYTES_MAX {
            let problem = "The expression attribute map contains a key that is too long";
            let message = format!("{parameter} contains invalid key: {problem}; size of key: {}", key.len());
            return Err(ApiError::validation(message));
        }
        if !is_placeholder(key, sign) {
            let message = format!("{parameter} contains invalid key: Syntax error; key: \"{key}\"");
            return Err(ApiError::validation(message));
        }
        entries.insert(key, Entry { stands_for, used: false });
    }
    if entries.is_empty() {
        return Err(ApiError::validation(format!("{parameter} must not be empty")));
    }
    Ok(entries)
}

fn check_name(key: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        let problem = "ExpressionAttributeNames contains invalid value: Empty attribute name";
        return Err(ApiError::validation(format!("{problem}; key: {key}")));
    }
    check_name_size(name)
}

/// Names of attributes have a limit wherever they come from.
pub(super) fn check_name_size(name: &str) -> Result<(), ApiError> {
    if name.len() > ATTRIBUTE_NAME_BYTES_MAX {
        let limit = ATTRIBUTE_NAME_BYTES_MAX + 1;
        return Err(ApiError::validation(format!(
            "1 validation error detected: Attribute name is too large, must be less than {limit} bytes"
        )));
    }
    Ok(())
}

fn is_placeholder(key: &str, sign: char) -> bool {
    let word = key.strip_prefix(sign).unwrap_or_default();
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn unused<T>(entries: &BTreeMap<&str, Entry<T>>) -> String {
    let keys = entries.iter().filter(|(_, entry)| !entry.used).map(|(key, _)| *key);
    keys.collect::<Vec<_>>().join(", ")
}

fn refuse_unused<T>(parameter: &str, entries: &BTreeMap<&str, Entry<T>>) -> Result<(), ApiError> {
    if entries.values().all(|entry| entry.used) {
        return Ok(());
    }
    let keys = unused(entries);
    let message = format!("Value provided in {parameter} unused in expressions: keys: {{{keys}}}");
    Err(ApiError::validation(message))
}

#[cfg(test)]
mod tests;
