//! DynamoDB's API over one connection: as little as a load generator needs.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::Writer;

/// The table that is written to.
pub const TABLE: &str = "cluster";

/// An answer that takes longer is a failure.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// One connection.
pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
    head: Vec<u8>,
    read: Vec<u8>,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Client { address, stream, head: Vec::new(), read: Vec::new() })
    }

    /// Asks and waits; the status and the body of the answer.
    pub async fn call(&mut self, operation: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
        let asked = self.exchange(operation, body);
        tokio::time::timeout(ANSWER_TIME_MAX, asked).await.context("no answer came in time")?
    }

    async fn exchange(&mut self, operation: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
        self.head.clear();
        self.head.extend_from_slice(
            format!(
                "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-1.0\r\n\
                 X-Amz-Target: DynamoDB_20120810.{operation}\r\nX-Amz-Date: 20250101T000000Z\r\n\
                 Authorization: AWS4-HMAC-SHA256 Credential=bench/20250101/us-east-1/dynamodb/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-target, Signature={:064}\r\nContent-Length: {}\r\n\r\n",
                self.address,
                // It has the shape of a signature and proves nothing: for servers that take any credentials.
                0,
                body.len()
            )
            .as_bytes(),
        );
        self.head.extend_from_slice(body);
        self.stream.write_all(&self.head).await?;
        self.read.clear();
        let end = loop {
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the connection was closed");
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&self.read[..end])?.to_ascii_lowercase();
        let status: u16 = head.get(9..12).and_then(|text| text.parse().ok()).context("no status")?;
        let length: usize = head
            .split("content-length:")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok())
            .context("no length")?;
        while self.read.len() < end + length {
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the connection was closed");
        }
        Ok((status, String::from_utf8_lossy(&self.read[end..end + length]).into_owned()))
    }

    /// As [`Client::call`], but anything else than success is an error.
    pub async fn insist(&mut self, operation: &str, body: &str) -> anyhow::Result<String> {
        let (status, answer) = self.call(operation, body.as_bytes()).await?;
        ensure!(status == 200, "{operation}: {status} {answer}");
        Ok(answer)
    }

    /// Creates the table and waits until it serves.
    pub async fn create_table(&mut self) -> anyhow::Result<()> {
        self.insist(
            "CreateTable",
            &format!(
                "{{\"TableName\":\"{TABLE}\",\"BillingMode\":\"PAY_PER_REQUEST\",\
                 \"KeySchema\":[{{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}}],\
                 \"AttributeDefinitions\":[{{\"AttributeName\":\"p\",\"AttributeType\":\"S\"}}]}}"
            ),
        )
        .await?;
        for _ in 0..100 {
            let answer = self.insist("DescribeTable", &format!("{{\"TableName\":\"{TABLE}\"}}")).await?;
            if answer.contains("\"TableStatus\":\"ACTIVE\"") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the table is not active after five seconds")
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Writes items of one binary attribute.
pub struct Putter {
    client: Client,
    value: Rc<str>,
}

impl Putter {
    /// One that writes this value, given in base64.
    pub async fn connect(address: SocketAddr, value: Rc<str>) -> anyhow::Result<Putter> {
        Ok(Putter { client: Client::connect(address).await?, value })
    }
}

impl Writer for Putter {
    async fn put(&mut self, key: u64) -> anyhow::Result<()> {
        let value = &self.value;
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Item\":{{\"p\":{{\"S\":\"key-{key:08}\"}},\"v\":{{\"B\":\"{value}\"}}}}}}"
        );
        self.client.insist("PutItem", &body).await.map(drop)
    }

    async fn get(&mut self, key: u64) -> anyhow::Result<()> {
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"key-{key:08}\"}}}},\"ConsistentRead\":true}}"
        );
        let answer = self.client.insist("GetItem", &body).await?;
        ensure!(answer.len() > self.value.len(), "key {key} is not there");
        Ok(())
    }
}

/// Bytes in base64.
pub fn base64(bytes: &[u8]) -> Rc<str> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit =
                if place <= chunk.len() { DIGITS[(word >> (18 - 6 * place)) as usize & 63] } else { b'=' };
            text.push(char::from(digit));
        }
    }
    text.into()
}
