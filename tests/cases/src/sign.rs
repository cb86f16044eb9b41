//! AWS Signature Version 4 in the `Authorization` header.
//!
//! Source: "Signature Version 4 signing process" in the AWS General Reference.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::{digest, hmac};

use crate::http::Request;

/// Who signs, and for which region.
#[derive(Clone, Debug)]
pub struct Signer {
    /// AWS_ACCESS_KEY_ID
    pub access_key: String,
    /// AWS_SECRET_ACCESS_KEY
    pub secret_key: String,
    /// AWS_SESSION_TOKEN, of temporary credentials.
    pub session_token: Option<String>,
    /// `us-east-1`
    pub region: String,
}

impl Signer {
    /// Out of the environment, where the AWS CLI looks too; none without a key.
    pub fn from_environment(region: &str) -> Option<Signer> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Some(Signer {
            access_key: variable("AWS_ACCESS_KEY_ID")?,
            secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
            session_token: variable("AWS_SESSION_TOKEN"),
            region: region.to_owned(),
        })
    }

    /// Adds the headers that prove who asks. All others must be there already.
    pub fn sign(&self, request: &mut Request) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        self.sign_at(request, now);
    }

    /// The same at a time: seconds since 1970.
    pub fn sign_at(&self, request: &mut Request, now: u64) {
        let time = timestamp(now);
        request.headers.push(("X-Amz-Date".to_owned(), time.clone()));
        if let Some(token) = &self.session_token {
            request.headers.push(("X-Amz-Security-Token".to_owned(), token.clone()));
        }
        let mut headers: Vec<(String, &str)> =
            request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
        headers.sort_unstable();
        let mut canonical = format!("{}\n{}\n\n", request.method, request.path);
        for (name, value) in &headers {
            writeln!(canonical, "{name}:{value}").expect("a String takes every text");
        }
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        write!(canonical, "\n{names}\n{}", hash(&request.body)).expect("a String takes every text");
        let scope = format!("{}/{}/dynamodb/aws4_request", &time[..8], self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
        let signature = hex(&mac(&self.key(&time[..8]), text.as_bytes()));
        let key = &self.access_key;
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        request.headers.push(("Authorization".to_owned(), value));
    }

    fn key(&self, day: &str) -> Vec<u8> {
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in [day, &self.region, "dynamodb", "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        key
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every text");
        text
    })
}

/// `20150830T123600Z`
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since 1970-01-01. Years begin with March, so that February's end is the year's.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
