//! A client of the simulated server: DynamoDB's API over a simulated socket, one request at a time.
//!
//! It speaks as an SDK does, with bodies written by hand.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use runtime::sync::timeout;
use runtime::{Runtime, Stream};

/// An answer that takes longer than this in simulated time is given up; its outcome is then unknown.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// The largest answer that a client takes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// 200 and its kin.
    pub status: u16,
    /// The JSON text.
    pub body: String,
}

impl Answer {
    /// The number of attribute `name` where it first appears, as in `"name":{"N":"12"}`.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.after(&format!("\"{name}\":{{\"N\":\"")).and_then(|rest| rest.split('"').next()?.parse().ok())
    }

    /// The string of attribute `name` where it first appears.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.after(&format!("\"{name}\":{{\"S\":\"")).and_then(|rest| rest.split('"').next())
    }

    /// Whether the answer is an error of this name.
    pub fn is_error(&self, name: &str) -> bool {
        self.status != 200 && self.body.contains(name)
    }

    fn after(&self, mark: &str) -> Option<&str> {
        self.body.find(mark).map(|at| &self.body[at + mark.len()..])
    }
}

/// A connection that is made when needed and thrown away after any trouble.
pub struct Client<R: Runtime> {
    rt: R,
    server: SocketAddr,
    stream: Option<R::Stream>,
    /// Something of the last request may have left.
    sent: bool,
    patience: Duration,
}

impl<R: Runtime> Client<R> {
    /// A client of the server at `server`; connects at its first call.
    pub fn new(rt: R, server: SocketAddr) -> Client<R> {
        Client { rt, server, stream: None, sent: false, patience: ANSWER_TIME_MAX }
    }

    /// Gives up earlier.
    pub fn with_patience(self, patience: Duration) -> Client<R> {
        Client { patience, ..self }
    }

    /// Another server from now on.
    pub fn turn_to(&mut self, server: SocketAddr) {
        self.stream = None;
        self.server = server;
    }

    /// Whether the last request may have been executed, if its call ended with an error.
    pub fn was_sent(&self) -> bool {
        self.sent
    }

    /// Calls one operation. An error means that the outcome is unknown: the request may have been executed, now or later.
    pub async fn call(&mut self, operation: &str, body: &str) -> io::Result<Answer> {
        let rt = self.rt.clone();
        self.sent = false;
        let outcome = timeout(&rt, self.patience, self.exchange(operation, body)).await;
        let result = outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if result.is_err() {
            self.stream = None;
        }
        result
    }

    async fn exchange(&mut self, operation: &str, body: &str) -> io::Result<Answer> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.rt.connect(self.server).await?,
        };
        let request = format!(
            "POST / HTTP/1.1\r\nhost: torc\r\ncontent-type: application/x-amz-json-1.0\r\n\
             x-amz-target: DynamoDB_20120810.{operation}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sent = true;
        stream.write_all(request.as_bytes()).await?;
        let answer = read_answer(&stream).await?;
        self.stream = Some(stream);
        Ok(answer)
    }
}

async fn read_answer(stream: &impl Stream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    loop {
        if let Some(answer) = parse_answer(&bytes)? {
            return Ok(answer);
        }
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match stream.read(&mut chunk).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// The answer that `bytes` hold, if they hold all of it.
fn parse_answer(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_string());
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| bad("a head that is not text"))?;
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| bad("no status"))?;
    let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
    let length =
        head.lines().find(is_length).and_then(|line| line.split(':').nth(1)?.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| bad("no content-length"))?;
    let body = &bytes[head_end + 4..];
    if body.len() < length {
        return Ok(None);
    }
    let body = std::str::from_utf8(&body[..length]).map_err(|_| bad("a body that is not text"))?;
    Ok(Some(Answer { status, body: body.to_string() }))
}
