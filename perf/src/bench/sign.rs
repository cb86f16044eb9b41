//! AWS Signature Version 4, for every request of a run.
//!
//! The parts of a signature that stay the same for a day or a run are made once; per request there is one hash of its body, one of the
//! canonical request, and one code. That is the client's work, and part of what it measures: about 4 µs for an item of 1 KiB.
//!
//! Source: "Signature Version 4 signing process" in the AWS General Reference.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use anyhow::Context;
use ring::{digest, hmac};
use runtime::Wall;

/// Who signs, and for which region.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    region: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer {{ {}, {} }}", self.access_key, self.region)
    }
}

impl Signer {
    /// Out of the environment, where the AWS CLI looks too.
    pub fn from_environment(region: &str) -> anyhow::Result<Signer> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let needed = |name: &str| variable(name).with_context(|| format!("--sign: set {name}"));
        Ok(Signer {
            access_key: needed("AWS_ACCESS_KEY_ID")?,
            secret_key: needed("AWS_SECRET_ACCESS_KEY")?,
            session_token: variable("AWS_SESSION_TOKEN"),
            region: region.to_owned(),
        })
    }
}

/// Signs the requests of one connection.
#[derive(Debug)]
pub struct Signing {
    signer: Signer,
    host: String,
    /// The day and its key.
    day: RefCell<Option<(String, Rc<hmac::Key>)>>,
}

impl Signing {
    /// For requests to `host`.
    pub fn new(signer: &Signer, host: &str) -> Signing {
        Signing { signer: signer.clone(), host: host.to_owned(), day: RefCell::default() }
    }

    /// The header lines that prove who asks for `target` with `body`.
    pub fn lines(&self, now: Wall, target: &str, body: &[u8]) -> String {
        let time = timestamp(now.0 / 1_000_000);
        let (token_line, token_name, token) = match &self.signer.session_token {
            Some(token) => (format!("x-amz-security-token:{token}\n"), "x-amz-security-token;", Some(token)),
            None => (String::new(), "", None),
        };
        let names = format!("content-type;host;x-amz-date;{token_name}x-amz-target");
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/x-amz-json-1.0\nhost:{}\nx-amz-date:{time}\n{token_line}\
             x-amz-target:{target}\n\n{names}\n{}",
            self.host,
            hash(body)
        );
        let scope = format!("{}/{}/dynamodb/aws4_request", &time[..8], self.signer.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
        let signature = hex(hmac::sign(&self.key(&time[..8]), text.as_bytes()).as_ref());
        let token = token.map(|token| format!("x-amz-security-token: {token}\r\n")).unwrap_or_default();
        format!(
            "x-amz-date: {time}\r\n{token}authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, \
             SignedHeaders={names}, Signature={signature}\r\n",
            self.signer.access_key
        )
    }

    fn key(&self, day: &str) -> Rc<hmac::Key> {
        if let Some((known, key)) = &*self.day.borrow()
            && known == day
        {
            return key.clone();
        }
        let start = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", self.signer.secret_key).as_bytes());
        let parts = [day, &self.signer.region, "dynamodb", "aws4_request"];
        let key = parts.iter().fold(start, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
        let key = Rc::new(key);
        *self.day.borrow_mut() = Some((day.to_owned(), key.clone()));
        key
    }
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a String takes every text"));
    text
}

/// `20150830T123600Z`
fn timestamp(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let second = seconds % 86_400;
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let (mut year, mut rest) = (1970, days);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while rest >= 365 + u64::from(is_leap(year)) {
        rest -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests;
