//! One connection of HTTP/1.1, as thin as it can be: a request out, its answer back, one at a time.
//!
//! An answer stays in the connection's buffer and is read in place. What can go wrong is sorted by what it means for
//! a write: [`Answer::Refused`] says that nothing happened, [`Answer::Failed`] and [`Broken`] leave it unknown.
//!
//! Where the run signs its requests, they are signed here; `https` is the runtime's TLS around the same connection.
//!
//! Bounds: a head of [`HEAD_BYTES_MAX`], a body of [`BODY_BYTES_MAX`]. How long to wait is the caller's matter.

use std::fmt;
use std::io;
use std::ops::Range;

use runtime::tls::{Socket, TlsStream};
use runtime::{Runtime, Stream};

use super::options::Target;
use super::request::insert_headers;
use super::sign::Signing;
use super::stages;

/// Bytes of an answer's head, at most.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an answer's body, at most: DynamoDB's largest answers are 16 MB.
pub const BODY_BYTES_MAX: usize = 20 * 1024 * 1024;
const HEADERS_MAX: usize = 32;
const READ_BYTES: usize = 16 * 1024;

/// A connection that is opened again when it is needed after a failure.
pub struct Connection<R: Runtime> {
    rt: R,
    target: Target,
    stream: Option<Socket<R::Stream>>,
    buffer: Vec<u8>,
    signing: Option<Signing>,
    signed: Vec<u8>,
    /// Where the last answer's ledger lies in the buffer, if it had one.
    ledger: Option<Range<usize>>,
    /// Where its body lies.
    body: Range<usize>,
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Status 200 and its body.
    Done(&'a [u8]),
    /// Status 4xx with the error's code: nothing was changed.
    Refused(String),
    /// Status 5xx or something unexpected: what happened is unknown.
    Failed(String),
}

/// No answer: what happened is unknown. The connection is closed.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nobody listens.
    Unreachable(io::ErrorKind),
    /// The connection ended or failed before the answer was whole.
    Lost(io::ErrorKind),
    /// What came back is not the HTTP that we speak.
    Nonsense(&'static str),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Unreachable(kind) => write!(f, "Unreachable ({kind})"),
            Broken::Lost(kind) => write!(f, "ConnectionLost ({kind})"),
            Broken::Nonsense(what) => write!(f, "BadResponse ({what})"),
        }
    }
}

/// Where the parts of an answer lie in the buffer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body: Range<usize>,
    close: bool,
    ledger: Option<Range<usize>>,
}

impl<R: Runtime> Connection<R> {
    /// A connection to `target`; opened by the first exchange.
    pub fn new(rt: &R, target: &Target) -> Connection<R> {
        let signing = target.signer.as_ref().map(|signer| Signing::new(signer, &target.host));
        Connection {
            rt: rt.clone(),
            target: target.clone(),
            stream: None,
            buffer: Vec::new(),
            signing,
            signed: Vec::new(),
            ledger: None,
            body: 0..0,
        }
    }

    /// Opens the connection if it is not open.
    pub async fn open(&mut self) -> Result<(), Broken> {
        if self.stream.is_none() {
            let unreachable = |error: io::Error| Broken::Unreachable(error.kind());
            let stream = self.rt.connect(self.target.address).await.map_err(unreachable)?;
            self.stream = Some(match &self.target.tls {
                None => Socket::Plain(stream),
                Some(tls) => {
                    let secured = TlsStream::connect(stream, &tls.setup, &tls.name).await;
                    Socket::Tls(Box::new(secured.map_err(unreachable)?))
                }
            });
        }
        Ok(())
    }

    /// Sends one request and reads its answer. After an error, or when this future was dropped half-way, the next
    /// exchange opens a new connection.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Broken> {
        self.ledger = None;
        self.body = 0..0;
        self.open().await?;
        let request = match &self.signing {
            None => request,
            Some(signing) => {
                sign(signing, self.rt.wall(), request, &mut self.signed);
                &self.signed
            }
        };
        // Taken, and put back only when the answer is whole: a connection with half an answer in it is never reused.
        let stream = self.stream.take().expect("opened above");
        let head = transfer(&stream, request, &mut self.buffer).await?;
        if !head.close {
            self.stream = Some(stream);
        }
        self.ledger = head.ledger;
        self.body = head.body.clone();
        Ok(sort(head.status, &self.buffer[head.body]))
    }

    /// What the last answer says for people, if it is an error that says something.
    pub fn message(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Error {
            #[serde(alias = "Message")]
            message: String,
        }
        serde_json::from_slice::<Error>(&self.buffer[self.body.clone()]).ok().map(|error| error.message)
    }

    /// What the last answer says about where its time went, if it says something.
    pub fn ledger(&self) -> Option<&str> {
        self.ledger.clone().and_then(|range| std::str::from_utf8(&self.buffer[range]).ok())
    }
}

/// `request` with the headers that prove who sends it.
fn sign(signing: &Signing, now: runtime::Wall, request: &[u8], into: &mut Vec<u8>) {
    let body = request.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head") + 4;
    let head = std::str::from_utf8(&request[..body]).expect("our own heads are ASCII");
    let target =
        head.lines().find_map(|line| line.strip_prefix("x-amz-target: ")).expect("every head has one");
    let lines = signing.lines(now, target, &request[body..]);
    into.clear();
    into.extend_from_slice(request);
    insert_headers(into, lines.as_bytes());
}

async fn transfer<S: Stream>(stream: &S, request: &[u8], buffer: &mut Vec<u8>) -> Result<Head, Broken> {
    stream.write_all(request).await.map_err(|error| Broken::Lost(error.kind()))?;
    buffer.resize(buffer.len().max(READ_BYTES), 0);
    let mut filled = 0;
    let mut head: Option<Head> = None;
    loop {
        if head.is_none() {
            head = parse_head(&buffer[..filled])?;
        }
        match head {
            Some(head) if filled == head.body.end => return Ok(head),
            Some(head) if filled > head.body.end => return Err(Broken::Nonsense("more than was announced")),
            Some(ref head) if head.body.end > buffer.len() => buffer.resize(head.body.end, 0),
            None if filled == buffer.len() => return Err(Broken::Nonsense("the head is too long")),
            _ => {}
        }
        let count = stream.read(&mut buffer[filled..]).await.map_err(|error| Broken::Lost(error.kind()))?;
        if count == 0 {
            return Err(Broken::Lost(io::ErrorKind::UnexpectedEof));
        }
        filled += count;
    }
}

const _: () = assert!(READ_BYTES >= HEAD_BYTES_MAX, "a whole head fits into the first buffer");

/// The head, once all of it is there.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|_| Broken::Nonsense("not HTTP"))?;
    let httparse::Status::Complete(start) = parsed else { return Ok(None) };
    let status = response.code.expect("httparse has read the status of a complete head");
    let mut length = None;
    let mut close = response.version == Some(0);
    let mut ledger = None;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = Some(parse_length(header.value)?);
        } else if header.name.eq_ignore_ascii_case("connection") {
            close |= header.value.eq_ignore_ascii_case(b"close");
        } else if header.name.eq_ignore_ascii_case(stages::HEADER) {
            let begin = header.value.as_ptr().addr() - bytes.as_ptr().addr();
            ledger = Some(begin..begin + header.value.len());
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Broken::Nonsense("a chunked answer: only content-length is understood here"));
        }
    }
    let length = length.ok_or(Broken::Nonsense("an answer without content-length"))?;
    Ok(Some(Head { status, body: start..start + length, close, ledger }))
}

fn parse_length(value: &[u8]) -> Result<usize, Broken> {
    let length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let length = length.ok_or(Broken::Nonsense("a content-length that is no number"))?;
    if length > BODY_BYTES_MAX { Err(Broken::Nonsense("a body that is too long")) } else { Ok(length) }
}

fn sort(status: u16, body: &[u8]) -> Answer<'_> {
    match status {
        200 => Answer::Done(body),
        400..=499 => Answer::Refused(code(status, body)),
        _ => Answer::Failed(code(status, body)),
    }
}

/// The error's code as DynamoDB writes it, `"__type":"prefix#Code"`, or the status where there is none.
fn code(status: u16, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Error<'a> {
        #[serde(rename = "__type", borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    match serde_json::from_slice::<Error<'_>>(body) {
        Ok(error) => error.kind.rsplit('#').next().unwrap_or_default().to_owned(),
        Err(_) => format!("Http{status}"),
    }
}

#[cfg(test)]
mod tests;
