//! The one form of a request that the client and torc both hash.
//!
//! ```text
//! POST                           method
//! /                              path: the API has no other
//! X-Amz-Date=...                 query: decoded once, encoded once, in order, without its signature
//! host:127.0.0.1:8000            each signed header: its name in lower case, its value trimmed, runs of
//! x-amz-date:20150830T123600Z    spaces made one
//!
//! host;x-amz-date                the names again
//! e3b0c442...                    SHA-256 of the body, byte for byte as it came
//! ```
//!
//! Source: "Create a signed AWS API request", step 1, in the IAM User Guide. The rules are stricter than a client needs: what two readers
//! could see in two ways is refused, and what decides about a call (`host`, the time, the target) must be signed.

use httparse::Header;
use model::error::ApiError;
use ring::digest::{self, SHA256};

use super::claim::{Claim, invalid, single};
use super::mismatch;
use crate::http::head::Method;
use crate::http::intake::Request;

/// The parameters of a query, decoded.
#[derive(Debug, Default)]
pub struct Query {
    /// In the order in which they came.
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Reads what stands behind the question mark.
    pub fn read(text: &str) -> Query {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let parameters = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        });
        Query { parameters: parameters.collect() }
    }

    /// The first parameter of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a name comes twice.
    pub fn has_twice(&self) -> bool {
        let mut names: Vec<&str> = self.parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Encoded and in order, the signature left out.
    pub fn canonical(&self) -> String {
        let signed = self.parameters.iter().filter(|(name, _)| name != "X-Amz-Signature");
        let mut encoded: Vec<(String, String)> =
            signed.map(|(name, value)| (encode(name), encode(value))).collect();
        encoded.sort_unstable();
        let pairs: Vec<String> = encoded.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

/// Undoes %XX once; what is not UTF-8 behind it stands for itself as a mark, which no signer signed.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = pair
            .filter(|digits| bytes[at] == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Everything but letters, digits and `-._~` as %XX, in upper case.
fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
            out.extend(['%', char::from(high), char::from(low)]);
        }
    }
    out
}

/// Refuses a claim that leaves out what decides about the call, or that two readers could read in two ways.
pub(super) fn check_signed_headers(claim: &Claim<'_>, headers: &[Header<'_>]) -> Result<(), ApiError> {
    let is_signed = |name: &str| claim.signed_headers.split(';').any(|signed| signed == name);
    if !is_signed("host") {
        return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let date = if headers.iter().any(|header| header.name.eq_ignore_ascii_case("x-amz-date")) {
        "x-amz-date"
    } else {
        "date"
    };
    for (name, decides) in [
        (date, !claim.presigned),
        ("x-amz-date", true),
        ("x-amz-target", true),
        ("x-amz-security-token", true),
        ("x-amz-content-sha256", true),
    ] {
        let is_there = headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        if decides && is_there && !is_signed(name) {
            return Err(invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
        }
    }
    let names: Vec<&str> = claim.signed_headers.split(';').collect();
    let in_order = names.windows(2).all(|pair| pair[0] < pair[1]);
    let lower = names.iter().all(|name| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase()));
    if in_order && lower { Ok(()) } else { Err(mismatch()) }
}

/// The hash of the canonical request, whose body has the hash `body`.
pub(super) fn hash(
    request: &Request<'_>,
    headers: &[Header<'_>],
    claim: &Claim<'_>,
    body: &digest::Digest,
) -> Result<[u8; 32], ApiError> {
    let body = hex(body.as_ref());
    // Whoever names another hash, or none at all, has signed something else than this body.
    if single(headers, "x-amz-content-sha256")?.is_some_and(|given| given != body) {
        return Err(mismatch());
    }
    assert!(request.method() == Method::Post && request.path() == b"/", "the API is POST /");
    let mut context = digest::Context::new(&SHA256);
    context.update(b"POST\n/\n");
    context.update(claim.query.canonical().as_bytes());
    context.update(b"\n");
    for name in claim.signed_headers.split(';') {
        update_header(&mut context, headers, name)?;
    }
    context.update(b"\n");
    context.update(claim.signed_headers.as_bytes());
    context.update(b"\n");
    context.update(body.as_bytes());
    Ok(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

fn update_header(context: &mut digest::Context, headers: &[Header<'_>], name: &str) -> Result<(), ApiError> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let (Some(header), None) = (found.next(), found.next()) else { return Err(mismatch()) };
    context.update(name.as_bytes());
    context.update(b":");
    let mut rest = trim(header.value);
    while let Some(run) = rest.windows(2).position(|pair| pair == b"  ") {
        context.update(&rest[..=run]);
        let spaces = rest[run..].iter().take_while(|byte| **byte == b' ').count();
        rest = &rest[run + spaces..];
    }
    context.update(rest);
    context.update(b"\n");
    Ok(())
}

/// A header's value without the white space around it.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// Bytes as hexadecimal digits in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests;
