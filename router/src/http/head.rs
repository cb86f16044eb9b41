//! One request's head: what of the header block torc acts on, and how the body is framed.
//!
//! The block is parsed by httparse, and then held against the rules that keep one request from being read as two
//! (RELIABILITY.md 5.1): no Content-Length beside Transfer-Encoding, no header that decides anything twice, no folded
//! lines (httparse refuses them), no bare line feeds.
//!
//! A head borrows nothing: it names places in the buffer, so that the buffer may grow under it while the body comes.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::coding::Coding;

/// Most headers of one request.
pub const HEADERS_MAX: usize = 64;

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// OPTIONS
    Options,
    /// Any other.
    Other,
}

/// How the body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its size, which may be 0.
    Size(usize),
    /// By its chunks.
    Chunked,
}

/// Why a request is refused before anybody looks at what it says; the connection is closed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The HTTP status.
    pub status: u16,
    /// For whoever reads the answer.
    pub why: &'static str,
}

impl Reject {
    /// The request is not HTTP as torc takes it.
    pub const fn malformed(why: &'static str) -> Reject {
        Reject { status: 400, why }
    }
}

/// A place in the buffer, from the request's first byte on.
pub type Span = Range<usize>;

/// What of a header block torc acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is wanted.
    pub method: Method,
    /// The request's target, as it was sent.
    pub path: Span,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the client keeps the connection for another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// `Host`
    pub host: Option<Span>,
    /// `X-Amz-Target`
    pub target: Option<Span>,
    /// `Content-Type`
    pub content_type: Option<Span>,
    /// How the body is packed.
    pub coding: Coding,
    /// How the answer may be packed.
    pub accepted: Coding,
    /// Whether the client wants to know where the time went.
    pub traced: bool,
    /// `Origin`
    pub origin: Option<Span>,
    /// `Access-Control-Request-Method`
    pub cors_method: Option<Span>,
    /// `Access-Control-Request-Headers`
    pub cors_headers: Option<Span>,
}

/// What is gathered while the headers are walked.
#[derive(Default)]
struct Fields {
    size: Option<usize>,
    chunked: bool,
    connection_close: bool,
    connection_keep: bool,
    expects_continue: bool,
    host: Option<Span>,
    target: Option<Span>,
    content_type: Option<Span>,
    coding: Option<Coding>,
    accepted: Option<Coding>,
    traced: bool,
    origin: Option<Span>,
    cors_method: Option<Span>,
    cors_headers: Option<Span>,
}

impl Head {
    /// Reads a header block, from the request line to the empty line: what is in it, and its size. Nothing while its end is not there.
    pub fn parse(bytes: &[u8], body_bytes_max: usize) -> Result<Option<(Head, usize)>, Reject> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let block = match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(httparse::Status::Complete(size)) => &bytes[..size],
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(refusal(error)),
        };
        let method = request.method.expect("a complete request has a method");
        if !block.starts_with(method.as_bytes()) || !block.ends_with(b"\r\n\r\n") {
            return Err(BARE_LINE_FEED);
        }
        let mut fields = Fields::default();
        for header in request.headers.iter() {
            // So each line before the last two ends as it should, too.
            if !block[..span_of(block, header.name.as_bytes()).start].ends_with(b"\r\n") {
                return Err(BARE_LINE_FEED);
            }
            fields.take(block, header, body_bytes_max)?;
        }
        let version = request.version.expect("a complete request has a version");
        let path = request.path.expect("a complete request has a target");
        let head = fields.into_head(method_of(method), span_of(block, path.as_bytes()), version)?;
        Ok(Some((head, block.len())))
    }
}

impl Fields {
    fn take(
        &mut self,
        block: &[u8],
        header: &httparse::Header<'_>,
        body_bytes_max: usize,
    ) -> Result<(), Reject> {
        let value = trim(header.value);
        let name = header.name;
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            4 if is("host") => once(&mut self.host, block, value),
            6 if is("origin") => once(&mut self.origin, block, value),
            6 if is("expect") => self.expect(value),
            10 if is("connection") => {
                self.connection(value);
                Ok(())
            }
            12 if is("content-type") => once(&mut self.content_type, block, value),
            12 if is("x-amz-target") => once(&mut self.target, block, value),
            12 if is("x-torc-trace") => {
                self.traced = value == b"1";
                Ok(())
            }
            14 if is("content-length") => self.content_length(value, body_bytes_max),
            15 if is("accept-encoding") => {
                self.accepted.get_or_insert(Coding::accepted(value));
                Ok(())
            }
            16 if is("content-encoding") => self.content_encoding(value),
            17 if is("transfer-encoding") => self.transfer_encoding(value),
            29 if is("access-control-request-method") => once(&mut self.cors_method, block, value),
            30 if is("access-control-request-headers") => once(&mut self.cors_headers, block, value),
            _ => Ok(()),
        }
    }

    fn content_length(&mut self, value: &[u8], body_bytes_max: usize) -> Result<(), Reject> {
        if self.size.is_some() {
            return Err(Reject::malformed("Content-Length is given twice."));
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Reject::malformed("Content-Length is not a number."));
        }
        let size = value
            .iter()
            .fold(0usize, |size, digit| size.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
        if size > body_bytes_max {
            return Err(TOO_LARGE);
        }
        self.size = Some(size);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.chunked {
            return Err(Reject::malformed("Transfer-Encoding is given twice."));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Reject { status: 501, why: "The only Transfer-Encoding is chunked." });
        }
        self.chunked = true;
        Ok(())
    }

    fn content_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.coding.is_some() {
            return Err(Reject::malformed("Content-Encoding is given twice."));
        }
        self.coding = Some(Coding::of(value).ok_or(UNKNOWN_CODING)?);
        Ok(())
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Reject> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Reject { status: 417, why: "The only expectation is 100-continue." });
        }
        self.expects_continue = true;
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(trim) {
            self.connection_close |= option.eq_ignore_ascii_case(b"close");
            self.connection_keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn into_head(self, method: Method, path: Span, version: u8) -> Result<Head, Reject> {
        if self.chunked && self.size.is_some() {
            return Err(Reject::malformed("Content-Length beside Transfer-Encoding."));
        }
        if self.chunked && version == 0 {
            return Err(Reject::malformed("HTTP/1.0 has no Transfer-Encoding."));
        }
        if self.host.is_none() && version == 1 {
            return Err(Reject::malformed("HTTP/1.1 requires a Host header."));
        }
        Ok(Head {
            method,
            path,
            framing: if self.chunked { Framing::Chunked } else { Framing::Size(self.size.unwrap_or(0)) },
            keep_alive: !self.connection_close && (version == 1 || self.connection_keep),
            expects_continue: self.expects_continue && version == 1,
            host: self.host,
            target: self.target,
            content_type: self.content_type,
            coding: self.coding.unwrap_or_default(),
            accepted: self.accepted.unwrap_or_default(),
            traced: self.traced,
            origin: self.origin,
            cors_method: self.cors_method,
            cors_headers: self.cors_headers,
        })
    }
}

/// The answer to a line that others would read differently.
pub const BARE_LINE_FEED: Reject = Reject::malformed("A line feed stands without its carriage return.");

const UNKNOWN_CODING: Reject =
    Reject { status: 415, why: "Content-Encoding is not supported: the codings are gzip and deflate." };

/// The answer to a body beyond the limit, however it is framed.
pub const TOO_LARGE: Reject = Reject { status: 413, why: "Request body is too large." };

/// The answer to a header block beyond the limits.
pub const HEAD_TOO_LARGE: Reject = Reject { status: 431, why: "The header block is too large." };

fn method_of(name: &str) -> Method {
    match name {
        "POST" => Method::Post,
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    }
}

fn refusal(error: httparse::Error) -> Reject {
    match error {
        httparse::Error::TooManyHeaders => HEAD_TOO_LARGE,
        httparse::Error::Version => Reject { status: 505, why: "The versions are HTTP/1.1 and HTTP/1.0." },
        httparse::Error::Token => Reject::malformed("The request line is malformed."),
        httparse::Error::HeaderName => Reject::malformed("A header's name is malformed."),
        httparse::Error::HeaderValue => Reject::malformed("A header's value is malformed."),
        _ => Reject::malformed("The header block is malformed."),
    }
}

/// Sets a header that decides something: a second one would decide otherwise.
fn once(field: &mut Option<Span>, block: &[u8], value: &[u8]) -> Result<(), Reject> {
    if field.is_some() {
        return Err(Reject::malformed("A header that must be single is given twice."));
    }
    *field = Some(span_of(block, value));
    Ok(())
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// Where `part`, a slice of `block`, lies in it.
fn span_of(block: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr() as usize - block.as_ptr() as usize;
    assert!(start + part.len() <= block.len(), "the part lies in the block");
    start..start + part.len()
}

#[cfg(test)]
mod tests;
