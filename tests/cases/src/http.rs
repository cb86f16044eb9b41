//! One connection to an endpoint, kept alive, one request after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::sign::Signer;

/// An answer that takes longer than this has failed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer's body.
const BODY_BYTES_MAX: usize = 32 << 20;

/// Where cases are told.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `http` or `https`.
    pub scheme: String,
    /// Host and, if it is not the scheme's own, port.
    pub authority: String,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `POST`
    pub method: String,
    /// `/`
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body as it travels.
    pub body: Vec<u8>,
    /// Whether the body is sent in chunks.
    pub chunked: bool,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Endpoint {
    /// Reads `http://127.0.0.1:8000`.
    pub fn parse(url: &str) -> Result<Endpoint> {
        let (scheme, rest) = url.split_once("://").with_context(|| format!("{url} is no URL"))?;
        ensure!(matches!(scheme, "http" | "https"), "{scheme} is not spoken here");
        let authority = rest.trim_end_matches('/');
        ensure!(!authority.is_empty() && !authority.contains('/'), "{url} names more than a host");
        Ok(Endpoint { scheme: scheme.to_owned(), authority: authority.to_owned() })
    }

    fn address(&self) -> String {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match (has_port, self.scheme.as_str()) {
            (true, _) => self.authority.clone(),
            (false, "https") => format!("{}:443", self.authority),
            (false, _) => format!("{}:80", self.authority),
        }
    }
}

impl Request {
    /// A call of an operation.
    pub fn call(operation: &str, input: &str) -> Request {
        let target = match operation.strip_prefix("Streams.") {
            Some(name) => format!("DynamoDBStreams_20120810.{name}"),
            None => format!("DynamoDB_20120810.{operation}"),
        };
        Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![
                ("Content-Type".to_owned(), "application/x-amz-json-1.0".to_owned()),
                ("X-Amz-Target".to_owned(), target),
            ],
            body: input.as_bytes().to_vec(),
            chunked: false,
        }
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }

    /// As a report shows it.
    pub fn shown(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// A connection, made again when the server has closed it.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    signer: Option<Signer>,
    stream: Option<BufReader<Stream>>,
}

/// With TLS or without.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

impl Stream {
    /// Speaks TLS with `host`, whose certificate the host's own roots must vouch for.
    fn tls(host: &str, stream: TcpStream) -> Result<Stream> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        ensure!(!roots.is_empty(), "this host has no certificates that it trusts (SSL_CERT_FILE)");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())?;
        let connection = ClientConnection::new(Arc::new(config), name)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

impl Client {
    /// Nothing is connected before the first request.
    pub fn new(endpoint: Endpoint, signer: Option<Signer>) -> Client {
        Client { endpoint, signer, stream: None }
    }

    /// Asks, and reads the answer.
    pub fn send(&mut self, request: &Request) -> Result<Answer> {
        let mut request = request.clone();
        request.headers.push(("Host".to_owned(), self.endpoint.authority.clone()));
        if let Some(signer) = &self.signer {
            signer.sign(&mut request);
        }
        let bytes = encode(&request);
        let was_connected = self.stream.is_some();
        match self.exchange(&bytes) {
            // The server may have closed a connection that was idle.
            Err(_) if was_connected => {
                self.stream = None;
                self.exchange(&bytes)
            }
            answered => answered,
        }
    }

    /// Calls an operation.
    pub fn call(&mut self, operation: &str, input: &str) -> Result<Answer> {
        self.send(&Request::call(operation, input))
    }

    fn exchange(&mut self, bytes: &[u8]) -> Result<Answer> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let mut stream = stream;
        // Who is refused early is answered before everything is read.
        let _ = stream.get_mut().write_all(bytes).and_then(|()| stream.get_mut().flush());
        let answer = read(&mut stream)?;
        if answer.header("Connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<BufReader<Stream>> {
        let address = self.endpoint.address();
        let stream = TcpStream::connect(&address).with_context(|| format!("no connection to {address}"))?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        stream.set_write_timeout(Some(ANSWER_TIME_MAX))?;
        stream.set_nodelay(true)?;
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        Ok(BufReader::new(match self.endpoint.scheme.as_str() {
            "https" => Stream::tls(host, stream)?,
            _ => Stream::Plain(stream),
        }))
    }
}

/// Bytes of a chunk, where a body is sent in chunks: small, so that there are several.
const CHUNK_BYTES: usize = 50;

fn encode(request: &Request) -> Vec<u8> {
    let mut out = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
    let mut line = |name: &str, value: &str| out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    for (name, value) in &request.headers {
        line(name, value);
    }
    if request.chunked {
        line("Transfer-Encoding", "chunked");
        out.extend_from_slice(b"\r\n");
        for chunk in request.body.chunks(CHUNK_BYTES) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        return out;
    }
    line("Content-Length", &request.body.len().to_string());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&request.body);
    out
}

fn read(stream: &mut impl BufRead) -> Result<Answer> {
    loop {
        let answer = read_one(stream)?;
        // 100 Continue announces the answer that counts.
        if answer.status != 100 {
            return Ok(answer);
        }
    }
}

fn read_one(stream: &mut impl BufRead) -> Result<Answer> {
    let status = line(stream)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Answer { status: status.context("no status")?, headers: Vec::new(), body: Vec::new() };
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let size = answer.header("Content-Length").map_or(Ok(0), str::parse::<usize>)?;
    ensure!(size <= BODY_BYTES_MAX, "a body of {size} bytes");
    answer.body = vec![0; size];
    stream.read_exact(&mut answer.body)?;
    Ok(answer)
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if stream.take(64 << 10).read_line(&mut line)? == 0 {
        bail!("the connection was closed instead of an answer");
    }
    Ok(line.trim_end().to_owned())
}
