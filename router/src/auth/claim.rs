//! What a request says of itself: which key signed what, when, and for where.
//!
//! ```text
//! Authorization: AWS4-HMAC-SHA256 Credential=KEY/20150830/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=5d67...
//! /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=KEY%2F20150830%2F...&X-Amz-Date=...&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=5d67...
//! ```
//!
//! Reading and checking a claim needs no secret: what is malformed, out of its time or meant for elsewhere ends here, and
//! costs nothing more.

use httparse::Header;
use model::error::{ApiError, Code};
use runtime::Wall;

use super::canonical::{self, Query};
use super::time;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The service in the scope of a credential.
pub(super) const SERVICE: &str = "dynamodb";
/// The end of the scope of a credential.
pub(super) const TERMINATOR: &str = "aws4_request";

/// How far a clock may be off, in minutes, and how long a signature is good.
const WINDOW_MINUTES: u64 = 15;
/// Seconds that a presigned request may be good: a week.
const EXPIRES_SECONDS_MAX: u64 = 604_800;

/// What a request says of itself.
#[derive(Debug)]
pub struct Claim<'a> {
    /// Whose signature it is.
    pub access_key: &'a str,
    /// Day, region, service and terminator of the credential.
    scope: [&'a str; 4],
    /// Names of headers, with semicolons between.
    pub signed_headers: &'a str,
    signature: &'a str,
    /// When it was signed, in seconds since 1970.
    pub time: u64,
    /// Seconds that a presigned request is good.
    expires: Option<u64>,
    /// Whether the signature stands in the query.
    pub presigned: bool,
    /// Whether it brings a token of temporary credentials, which torc does not give out.
    pub has_security_token: bool,
    /// The query, less the signature.
    pub query: &'a Query,
}

impl<'a> Claim<'a> {
    /// Reads it from the query or from the headers.
    pub fn read(query: &'a Query, headers: &'a [Header<'a>]) -> Result<Claim<'a>, ApiError> {
        let authorization = single(headers, "authorization")?;
        match (query.get("X-Amz-Algorithm"), authorization) {
            (Some(_), Some(_)) => Err(invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
            )),
            (Some(algorithm), None) => Claim::from_query(query, algorithm),
            (None, Some(authorization)) => Claim::from_header(query, authorization, headers),
            (None, None) => {
                let message = "Request is missing Authentication Token";
                Err(ApiError::new(Code::MissingAuthenticationToken, message))
            }
        }
    }

    fn from_header(
        query: &'a Query,
        authorization: &'a str,
        headers: &'a [Header<'a>],
    ) -> Result<Claim<'a>, ApiError> {
        let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let fields = Fields::read(rest)?;
        let date = match single(headers, "x-amz-date")? {
            Some(date) => Some(date),
            None => single(headers, "date")?,
        };
        let (Some(credential), Some(signature), Some(signed_headers), Some(date)) =
            (fields.credential, fields.signature, fields.signed_headers, date)
        else {
            return Err(incomplete(missing_fields(&fields, date, scheme)));
        };
        if scheme != ALGORITHM {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{scheme}'. ")));
        }
        let has_security_token =
            single(headers, "x-amz-security-token")?.is_some_and(|token| !token.is_empty());
        let (access_key, scope) = split(credential)?;
        let time = time::parse_basic(date).or_else(|| time::parse_http(date));
        let time = time.ok_or_else(|| no_date(date))?;
        let (expires, presigned) = (None, false);
        Ok(Claim {
            access_key,
            scope,
            signed_headers,
            signature,
            time,
            expires,
            presigned,
            has_security_token,
            query,
        })
    }

    fn from_query(query: &'a Query, algorithm: &'a str) -> Result<Claim<'a>, ApiError> {
        let names = ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];
        let [Some(credential), Some(signature), Some(signed_headers), Some(date)] =
            names.map(|name| query.get(name))
        else {
            let missing = names.iter().filter(|name| query.get(name).is_none());
            let mut message: String =
                missing.map(|name| format!("AWS query-string parameters must include '{name}'. ")).collect();
            message.push_str("Re-examine the query-string parameters.");
            return Err(incomplete(message));
        };
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'. ")));
        }
        if query.has_twice() {
            return Err(super::mismatch());
        }
        let has_security_token = query.get("X-Amz-Security-Token").is_some_and(|token| !token.is_empty());
        let expires = query.get("X-Amz-Expires").map(read_expires).transpose()?;
        let (access_key, scope) = split(credential)?;
        let time = time::parse_basic(date).ok_or_else(|| no_date(date))?;
        let presigned = true;
        Ok(Claim {
            access_key,
            scope,
            signed_headers,
            signature,
            time,
            expires,
            presigned,
            has_security_token,
            query,
        })
    }

    /// Refuses what is meant for elsewhere, or for another time than `now`.
    pub fn check(&self, region: &str, now: Wall) -> Result<(), ApiError> {
        self.check_scope(region)?;
        self.check_time(now.0 / 1_000_000)
    }

    fn check_scope(&self, region: &str) -> Result<(), ApiError> {
        let [day, given_region, service, terminator] = self.scope;
        let time = time::basic(self.time);
        let mut wrong = String::new();
        if given_region != region {
            wrong += &format!("Credential should be scoped to a valid region, not '{given_region}'. ");
        }
        if service != SERVICE {
            wrong += &format!("Credential should be scoped to correct service: '{SERVICE}'. ");
        }
        if terminator != TERMINATOR {
            wrong += &format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. "
            );
        }
        if day != &time[..8] {
            wrong += &format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{day}' != '{}', from '{time}'. ",
                &time[..8]
            );
        }
        if wrong.is_empty() { Ok(()) } else { Err(invalid(wrong)) }
    }

    fn check_time(&self, now: u64) -> Result<(), ApiError> {
        let window = WINDOW_MINUTES * 60;
        let good = self.expires.unwrap_or(window);
        let show = time::basic;
        let (signed, earliest, latest) = (self.time, now.saturating_sub(good), now + window);
        if signed < earliest {
            return Err(invalid(format!(
                "Signature expired: {} is now earlier than {} ({} - {} min.)",
                show(signed),
                show(earliest),
                show(now),
                good / 60
            )));
        }
        if signed > latest {
            return Err(invalid(format!(
                "Signature not yet current: {} is still later than {} ({} + {WINDOW_MINUTES} min.)",
                show(signed),
                show(latest),
                show(now)
            )));
        }
        Ok(())
    }

    /// `YYYYMMDD` of the signature's time.
    pub fn day(&self) -> [u8; 8] {
        time::basic(self.time).as_bytes()[..8].try_into().expect("a basic time begins with its day")
    }

    /// Whether the signature is one in form: 64 hexadecimal digits in lower case.
    pub fn has_signature_shape(&self) -> bool {
        self.signature.len() == 64
            && self.signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The signature; of one that is none in form, zeros: see [`Claim::has_signature_shape`].
    pub fn signature_bytes(&self) -> [u8; 32] {
        if !self.has_signature_shape() {
            return [0; 32];
        }
        let digits = self.signature.as_bytes();
        let value = |at: usize| match digits[at] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit => digit - b'a' + 10,
        };
        std::array::from_fn(|index| value(2 * index) << 4 | value(2 * index + 1))
    }
}

/// What stands behind the algorithm in an `Authorization` header.
#[derive(Default)]
struct Fields<'a> {
    credential: Option<&'a str>,
    signature: Option<&'a str>,
    signed_headers: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(rest: &'a str) -> Result<Fields<'a>, ApiError> {
        let mut fields = Fields::default();
        for part in rest.split([',', ' ']).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(incomplete(format!(
                    "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header."
                )));
            };
            let field = match name {
                "Credential" => &mut fields.credential,
                "Signature" => &mut fields.signature,
                "SignedHeaders" => &mut fields.signed_headers,
                _ => continue,
            };
            // A second one would let two readers see two claims.
            if field.replace(value).is_some() {
                return Err(super::mismatch());
            }
        }
        Ok(fields)
    }
}

fn missing_fields(fields: &Fields<'_>, date: Option<&str>, scheme: &str) -> String {
    let mut message = String::new();
    for (name, value) in [
        ("Credential", fields.credential),
        ("Signature", fields.signature),
        ("SignedHeaders", fields.signed_headers),
    ] {
        if value.is_none() {
            message += &format!("Authorization header requires '{name}' parameter. ");
        }
    }
    if date.is_none() {
        message += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    }
    message + "Authorization=" + scheme
}

/// The access key and the scope of a credential.
fn split(credential: &str) -> Result<(&str, [&str; 4]), ApiError> {
    let mut parts = credential.split('/');
    let mut next = || parts.next();
    let five = (next(), next(), next(), next(), next(), next());
    let (Some(key), Some(day), Some(region), Some(service), Some(end), None) = five else {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
             '{credential}'"
        )));
    };
    Ok((key, [day, region, service, end]))
}

fn read_expires(text: &str) -> Result<u64, ApiError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().unwrap_or(u64::MAX));
    match number {
        Some(seconds @ 1..=EXPIRES_SECONDS_MAX) => Ok(seconds),
        Some(1..) => Err(incomplete(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
             than 604800 seconds",
        )),
        _ => Err(incomplete("X-Amz-Expires should be a number")),
    }
}

/// A header that may be there once, as text.
pub(super) fn single<'h>(headers: &'h [Header<'h>], name: &str) -> Result<Option<&'h str>, ApiError> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let Some(header) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(super::mismatch());
    }
    std::str::from_utf8(canonical::trim(header.value)).map(Some).map_err(|_| super::mismatch())
}

fn no_date(text: &str) -> ApiError {
    incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
    ))
}

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::IncompleteSignature, message)
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::InvalidSignature, message)
}

#[cfg(test)]
mod tests;
