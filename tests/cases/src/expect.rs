//! An answer held against what was expected.
//!
//! JSON must be equal, with these wildcards: `"$any"` is any value, `"$number"`, `"$text"` and `"$uuid"` one of that kind,
//! `$any` inside a string any part of it. A member `"$more"` lets an object have members beside those named, and an
//! array that begins with `"$unordered"` may have its elements in any order; so may sets, which have none. Numbers
//! are equal if their values are. Where several constraints are violated, DynamoDB's order of telling them is that of a
//! hash: any order will do.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::Answer;

/// Where an exception comes from, its status, and the member that holds its message.
const EXCEPTIONS: &[(&str, &str, u16, &str)] = &[
    ("ValidationException", VALIDATE, 400, "message"),
    ("SerializationException", SERVICE, 400, "Message"),
    ("UnknownOperationException", SERVICE, 400, "message"),
    ("MissingAuthenticationTokenException", SERVICE, 400, "message"),
    ("IncompleteSignatureException", SERVICE, 400, "message"),
    ("InvalidSignatureException", SERVICE, 400, "message"),
    ("UnrecognizedClientException", SERVICE, 400, "message"),
    ("AccessDeniedException", SERVICE, 400, "Message"),
    ("RequestEntityTooLargeException", SERVICE, 413, "message"),
    ("InternalFailure", SERVICE, 500, "message"),
    ("ThrottlingException", "com.amazon.coral.availability#", 400, "message"),
];
const VALIDATE: &str = "com.amazon.coral.validate#";
const SERVICE: &str = "com.amazon.coral.service#";
/// All other exceptions are DynamoDB's own.
const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";

/// What an answer is called when there is not a word about it.
pub const SUCCESS: &str = "success";

/// Whether `answer` is what `expected` (expanded) says; otherwise what differs.
pub fn check(expected: &str, answer: &Answer) -> Result<()> {
    if let Some(line) = expected.strip_prefix("header ") {
        let (name, value) = line.split_once(':').context("a header has a value")?;
        let found = answer.header(name).with_context(|| format!("there is no header {name}"))?;
        ensure!(like(value.trim(), found), "{name}: {found}");
        return Ok(());
    }
    if let Some(name) = expected.strip_prefix("no header ") {
        ensure!(answer.header(name).is_none(), "there is a header {name}");
        return Ok(());
    }
    if let Some(rest) = expected.strip_prefix("http ") {
        return check_http(rest, answer);
    }
    check_frame(answer)?;
    match expected.as_bytes().first() {
        None => {
            ensure!(answer.status == 200 && answer.body.is_empty(), "not a success without a body");
            Ok(())
        }
        Some(b'{' | b'[') => {
            ensure!(answer.status == 200, "not a success");
            let wanted = serde_json::from_str(expected).context("the expectation is no JSON")?;
            same(&wanted, &answer.json()?, &mut String::from("$"))
        }
        Some(_) => check_exception(expected, answer),
    }
}

/// What holds for each answer that DynamoDB gives to a call.
pub fn check_frame(answer: &Answer) -> Result<()> {
    let sum = answer.header("x-amz-crc32").context("there is no checksum")?;
    ensure!(sum == crc32fast::hash(&answer.body).to_string(), "x-amz-crc32 is {sum}, which is wrong");
    let id = answer.header("x-amzn-RequestId").context("there is no x-amzn-RequestId")?;
    let is_id = id.len() == 52 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    ensure!(is_id, "{id} is no request id");
    let kind = answer.header("Content-Type").unwrap_or("none");
    ensure!(kind == "application/x-amz-json-1.0", "the content's type is {kind}");
    Ok(())
}

fn check_http(expected: &str, answer: &Answer) -> Result<()> {
    let (status, body) = expected.split_once(' ').unwrap_or((expected, ""));
    ensure!(answer.status.to_string() == status, "the status is {}", answer.status);
    let found = String::from_utf8_lossy(&answer.body);
    ensure!(like(body.trim(), found.trim()), "the body differs");
    Ok(())
}

/// `Name: message | item`.
fn check_exception(expected: &str, answer: &Answer) -> Result<()> {
    let (name, rest) = expected.split_once(':').unwrap_or((expected, ""));
    let (message, item) = match rest.split_once(" | {") {
        Some((message, item)) => (message, Some(format!("{{{item}"))),
        None => (rest, None),
    };
    let known = EXCEPTIONS.iter().find(|known| known.0 == name);
    let (prefix, status, member) =
        known.map_or((DYNAMODB, 400, "message"), |found| (found.1, found.2, found.3));
    let body = answer.json()?;
    let object = body.as_object().context("the body is no object")?;
    ensure!(answer.status == status, "the status is {}", answer.status);
    ensure!(object.get("__type") == Some(&Value::from(format!("{prefix}{name}"))), "another exception");
    let found = object.get(member).map_or(Some(""), Value::as_str).context("the message is no string")?;
    ensure!(same_message(message.trim(), found.trim()), "the message differs");
    match item {
        Some(item) => {
            let wanted = serde_json::from_str(&item).context("the expected item is no JSON")?;
            same(&wanted, object.get("Item").context("there is no item")?, &mut String::from("$.Item"))?;
        }
        None => ensure!(!object.contains_key("Item"), "there is an item"),
    }
    let allowed = ["__type", member, "Item"];
    let stranger = object.keys().find(|key| !allowed.contains(&key.as_str()));
    ensure!(stranger.is_none(), "there is a member {stranger:?}");
    Ok(())
}

/// Violated constraints may be told in any order.
fn same_message(expected: &str, found: &str) -> bool {
    const DETECTED: &str = " detected: ";
    let (Some((count, wanted)), Some((found_count, violations))) =
        (expected.split_once(DETECTED), found.split_once(DETECTED))
    else {
        return like(expected, found);
    };
    if count != found_count {
        return false;
    }
    let mut left: Vec<&str> = violations.split("; ").collect();
    wanted.split("; ").all(|wanted| match left.iter().position(|found| like(wanted, found)) {
        Some(index) => {
            left.remove(index);
            true
        }
        None => false,
    }) && left.is_empty()
}

/// Whether `text` is `pattern`, in which `$any` is any text.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split("$any");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

fn same(expected: &Value, found: &Value, path: &mut String) -> Result<()> {
    match (expected, found) {
        (Value::String(pattern), _) if pattern == "$any" => Ok(()),
        (Value::String(pattern), Value::Number(_)) if pattern == "$number" => Ok(()),
        (Value::String(pattern), Value::String(text)) => same_text(pattern, text, path),
        (Value::Number(one), Value::Number(two)) if one.as_f64() == two.as_f64() => Ok(()),
        (Value::Object(wanted), Value::Object(members)) => {
            let wanted: BTreeMap<&str, &Value> =
                wanted.iter().map(|(name, value)| (&**name, value)).collect();
            for (name, value) in &wanted {
                if *name == "$more" {
                    continue;
                }
                let Some(member) = members.get(*name) else { bail!("{path}.{name} is missing") };
                let length = path.len();
                path.push('.');
                path.push_str(name);
                if matches!(*name, "SS" | "NS" | "BS") {
                    same_elements(value, member, path)?;
                } else {
                    same(value, member, path)?;
                }
                path.truncate(length);
            }
            let stranger = members.keys().find(|name| !wanted.contains_key(name.as_str()));
            if let Some(name) = stranger.filter(|_| !wanted.contains_key("$more")) {
                bail!("{path}.{name} is there: {}", members[name]);
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(_)) if wanted.first() == Some(&Value::from("$unordered")) => {
            same_elements(&Value::Array(wanted[1..].to_vec()), found, path)
        }
        (Value::Array(wanted), Value::Array(elements)) => {
            ensure!(wanted.len() == elements.len(), "{path} has {} elements", elements.len());
            for (index, (wanted, element)) in wanted.iter().zip(elements).enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                same(wanted, element, path)?;
                path.truncate(length);
            }
            Ok(())
        }
        _ if expected == found => Ok(()),
        _ => bail!("{path} is {found}, not {expected}"),
    }
}

fn same_text(pattern: &str, text: &str, path: &str) -> Result<()> {
    let is_same = match pattern {
        "$text" => !text.is_empty(),
        "$uuid" => is_uuid(text),
        _ => like(pattern, text),
    };
    ensure!(is_same, "{path} is {text:?}, not {pattern:?}");
    Ok(())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase(),
        })
}

/// The same elements in any order.
fn same_elements(expected: &Value, found: &Value, path: &mut String) -> Result<()> {
    let (Value::Array(wanted), Value::Array(elements)) = (expected, found) else {
        return same(expected, found, path);
    };
    let mut left: Vec<&Value> = elements.iter().collect();
    for wanted in wanted {
        let index = left.iter().position(|element| same(wanted, element, &mut path.clone()).is_ok());
        let Some(index) = index else { bail!("{path} has no {wanted}: {found}") };
        left.swap_remove(index);
    }
    ensure!(left.is_empty(), "{path} has more: {found}");
    Ok(())
}

#[cfg(test)]
mod tests;
