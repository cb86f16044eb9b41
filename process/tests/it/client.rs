//! One connection to a node, one request after the other.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::{Runtime, Stream};

const CREATE_TABLE: &str = r#"{"TableName":"things","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;

pub struct Client<R: Runtime> {
    stream: R::Stream,
    buffer: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub head: String,
    pub body: String,
}

impl<R: Runtime> Client<R> {
    pub async fn connect(rt: &R, address: SocketAddr) -> Client<R> {
        loop {
            // The node may be starting still.
            match rt.connect(address).await {
                Ok(stream) => return Client { stream, buffer: vec![0; 1 << 20] },
                Err(_) => rt.sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Makes the table, and waits until it serves.
    pub async fn create_table(&mut self, rt: &R) {
        let answer = self.call("CreateTable", CREATE_TABLE).await;
        assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}{}", answer.head, answer.body);
        while !self
            .call("DescribeTable", r#"{"TableName":"things"}"#)
            .await
            .body
            .contains(r#""TableStatus":"ACTIVE""#)
        {
            rt.sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn call(&mut self, operation: &str, body: &str) -> Answer {
        self.ask(operation, body, "").await
    }

    /// The same, with where the time went in the answer's head.
    pub async fn trace(&mut self, operation: &str, body: &str) -> Answer {
        self.ask(operation, body, "x-torc-trace: 1\r\n").await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await
    }

    async fn ask(&mut self, operation: &str, body: &str, more: &str) -> Answer {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(&request).await
    }

    async fn exchange(&mut self, request: &str) -> Answer {
        self.stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut filled = 0;
        loop {
            filled += self.stream.read(&mut self.buffer[filled..]).await.expect("the server answers");
            if let Some(answer) = whole(&self.buffer[..filled]) {
                return answer;
            }
        }
    }
}

fn whole(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
    let size = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a size");
    let body = &bytes[end..];
    (body.len() == size.parse().expect("a number"))
        .then(|| Answer { head, body: String::from_utf8(body.to_vec()).expect("JSON is text") })
}

impl Answer {
    /// The ledger in the head: names with nanoseconds, in order; followers by their node.
    pub fn ledger(&self) -> Vec<(String, u64)> {
        let line = self.head.lines().find_map(|line| line.strip_prefix("x-torc-trace: "));
        let entry = |entry: &str| {
            let (name, micros) = entry.split_once(";dur=").expect("a name and a time");
            let (whole, part) = micros.split_once('.').expect("three decimals");
            assert_eq!(part.len(), 3, "{micros}");
            let number = |text: &str| text.parse::<u64>().expect("a number");
            (name.to_owned(), number(whole) * 1000 + number(part))
        };
        line.map_or_else(Vec::new, |line| line.split(", ").map(entry).collect())
    }
}
