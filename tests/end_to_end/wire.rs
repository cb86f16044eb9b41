//! Requests that no SDK would send. Each is answered with the right error, promptly, and the process lives on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Server;

/// An answer that takes longer than this has failed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// One HTTP answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The error's name without its namespace.
    fn code(&self) -> String {
        self.json()["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_string()
    }

    fn message(&self) -> String {
        let json = self.json();
        json["message"].as_str().or(json["Message"].as_str()).unwrap_or_default().to_string()
    }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).unwrap();
    stream.set_write_timeout(Some(ANSWER_TIME_MAX)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The bytes of a well-formed request.
fn request(operation: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: DynamoDB_20120810.{operation}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads one answer with a content length.
fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return None,
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no answer: {error}"),
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_string(), value.trim().to_string()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    answer.body = vec![0; length];
    stream.read_exact(&mut answer.body).unwrap();
    Some(answer)
}

fn exchange(server: &Server, bytes: &[u8]) -> Answer {
    let mut stream = connect(server);
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    read_answer(&mut stream).expect("an answer, not a closed connection")
}

fn call(server: &Server, operation: &str, body: &Value) -> Answer {
    exchange(server, &request(operation, body.to_string().as_bytes()))
}

fn server_with_table() -> Server {
    let server = Server::start();
    let table = json!({
        "TableName": "tab", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    });
    assert_eq!(call(&server, "CreateTable", &table).status, 200);
    let started = std::time::Instant::now();
    while call(&server, "DescribeTable", &json!({"TableName": "tab"})).json()["Table"]["TableStatus"]
        != "ACTIVE"
    {
        assert!(started.elapsed() < ANSWER_TIME_MAX);
        std::thread::sleep(Duration::from_millis(2));
    }
    server
}

#[test]
fn health_is_told() {
    let server = Server::start();
    let answer = exchange(&server, b"GET / HTTP/1.1\r\nhost: localhost:8000\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8(answer.body).unwrap().starts_with("healthy: dynamodb.us-east-1.amazonaws.com"));
    assert_eq!(exchange(&server, b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n").status, 404);
}

#[test]
fn answers_carry_checksum_and_request_id() {
    let server = Server::start();
    for answer in [
        call(&server, "ListTables", &json!({})),
        call(&server, "DescribeTable", &json!({"TableName": "absent"})),
    ] {
        let sum: u32 = answer.header("x-amz-crc32").unwrap().parse().unwrap();
        assert_eq!(sum, crc32(&answer.body));
        assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.0"));
        assert_eq!(answer.header("x-amzn-requestid").unwrap().len(), 52);
    }
}

#[test]
fn malformed_requests_get_dynamodbs_errors() {
    let server = server_with_table();
    let deep = format!("{}{}", "{\"M\":{\"a\":".repeat(5_000), "{\"N\":\"1\"}");
    let bomb = format!("{{\"TableName\":\"tab\",\"Item\":{{\"p\":{{\"S\":\"k\"}},\"v\":{deep}");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("PutItem", b"{".to_vec(), "SerializationException"),
        ("PutItem", b"".to_vec(), "SerializationException"),
        ("PutItem", b"[]".to_vec(), "SerializationException"),
        ("PutItem", b"{\"TableName\": 5}".to_vec(), "SerializationException"),
        ("PutItem", b"{\"TableName\": \"tab\", \"Item\": []}".to_vec(), "SerializationException"),
        (
            "PutItem",
            b"{\"TableName\": \"tab\", \"Item\": {\"p\": {\"S\": 1}}}".to_vec(),
            "SerializationException",
        ),
        ("PutItem", b"{\"TableName\": \"\xff\xfe\"}".to_vec(), "SerializationException"),
        ("PutItem", b"{}".to_vec(), "ValidationException"),
        ("PutItem", b"{\"TableName\": \"tab\"}".to_vec(), "ValidationException"),
        ("PutItem", b"{\"TableName\": \"tab\", \"Item\": {\"p\": {}}}".to_vec(), "ValidationException"),
        (
            "PutItem",
            b"{\"TableName\": \"tab\", \"Item\": {\"p\": {\"S\": \"a\", \"N\": \"1\"}}}".to_vec(),
            "ValidationException",
        ),
        (
            "PutItem",
            b"{\"TableName\": \"tab\", \"Item\": {\"p\": {\"B\": \"not base64!\"}}}".to_vec(),
            "SerializationException",
        ),
        ("PutItem", bomb.into_bytes(), "SerializationException"),
        (
            "GetItem",
            b"{\"TableName\": \"tab\", \"Key\": {\"p\": {\"N\": \"1\"}}}".to_vec(),
            "ValidationException",
        ),
        (
            "GetItem",
            b"{\"TableName\": \"absent\", \"Key\": {\"p\": {\"S\": \"1\"}}}".to_vec(),
            "ResourceNotFoundException",
        ),
        ("Nothing", b"{}".to_vec(), "UnknownOperationException"),
        ("TransactWriteItems", b"{}".to_vec(), "UnknownOperationException"),
        ("ExecuteStatement", b"{}".to_vec(), "UnknownOperationException"),
    ];
    for (operation, body, code) in cases {
        let answer = exchange(&server, &request(operation, &body));
        let shown: String = String::from_utf8_lossy(&body).chars().take(80).collect();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{operation} {shown}: {}",
            answer.message()
        );
    }
    let answer = exchange(&server, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "UnknownOperationException"),
        "no target at all"
    );
    assert_eq!(call(&server, "ListTables", &json!({})).status, 200, "the process lives on");
}

#[test]
fn model_constraints_are_listed_together() {
    let server = Server::start();
    let answer = call(&server, "ListTables", &json!({"Limit": 0, "ExclusiveStartTableName": "a"}));
    assert_eq!((answer.status, answer.code().as_str()), (400, "ValidationException"));
    let message = answer.message();
    assert!(message.starts_with("2 validation errors detected: "), "{message}");
    assert!(message.contains("Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"), "{message}");
    assert!(message.contains("Member must have length greater than or equal to 3"), "{message}");
}

#[test]
fn oversized_requests_are_refused_before_memory_is_spent() {
    let server = server_with_table();
    let head = "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: DynamoDB_20120810.PutItem\r\ncontent-length: 999999999999\r\n\r\n";
    let answer = exchange(&server, head.as_bytes());
    assert_eq!(answer.status, 413, "{answer:?}");

    let mut huge_header = b"POST / HTTP/1.1\r\nhost: x\r\nx-filler: ".to_vec();
    huge_header.extend(std::iter::repeat_n(b'a', 100_000));
    let mut stream = connect(&server);
    let _ = stream.write_all(&huge_header);
    let answer = read_answer(&mut stream);
    assert!(answer.as_ref().is_none_or(|answer| matches!(answer.status, 400 | 413 | 431)), "{answer:?}");

    let before = resident_bytes(&server);
    let streams: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect(&server);
            let _ = stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: DynamoDB_20120810.PutItem\r\ncontent-length: 16000000\r\n\r\n{");
            stream
        })
        .collect();
    assert_eq!(call(&server, "ListTables", &json!({})).status, 200, "fifty idle uploads stop nobody");
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 200 << 20, "promised bytes that never came cost {grown} bytes");
    drop(streams);
}

#[test]
fn broken_http_is_refused() {
    let server = Server::start();
    let cases: &[&[u8]] = &[
        b"NONSENSE\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in cases {
        let mut stream = connect(&server);
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = read_answer(&mut stream);
        assert!(
            answer.as_ref().is_none_or(|answer| answer.status == 400),
            "{:?}: {answer:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(call(&server, "ListTables", &json!({})).status, 200, "the process lives on");
}

#[test]
fn connections_are_kept_and_requests_may_be_pipelined() {
    let server = server_with_table();
    let mut stream = connect(&server);
    for number in 0..3 {
        let item = json!({"TableName": "tab", "Item": {"p": {"S": format!("k{number}")}}});
        stream.write_all(&request("PutItem", item.to_string().as_bytes())).unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    }
    stream.write_all(&request("PutItem", b"{broken")).unwrap();
    assert_eq!(
        read_answer(&mut stream).unwrap().status,
        400,
        "an error in the body does not end the connection"
    );
    let mut burst = Vec::new();
    for number in 0..20 {
        let get = json!({"TableName": "tab", "Key": {"p": {"S": format!("k{}", number % 4)}}, "ConsistentRead": true});
        burst.extend(request("GetItem", get.to_string().as_bytes()));
    }
    stream.write_all(&burst).unwrap();
    for number in 0..20 {
        let answer = read_answer(&mut stream).unwrap();
        let expected =
            if number % 4 < 3 { json!({"p": {"S": format!("k{}", number % 4)}}) } else { Value::Null };
        assert_eq!(answer.json()["Item"], expected, "answer {number}");
    }
}

#[test]
fn chunked_and_byte_by_byte_bodies_arrive_whole() {
    let server = server_with_table();
    let mut stream = connect(&server);
    let head = "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: DynamoDB_20120810.ListTables\r\ncontent-type: application/x-amz-json-1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"1\r\n{\r\n1;extension=1\r\n}\r\n0\r\ntrailer: x\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().json(), json!({"TableNames": ["tab"]}));
    for byte in request("ListTables", b"{ }") {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_answer(&mut stream).unwrap().json(), json!({"TableNames": ["tab"]}));
}

#[test]
fn half_closed_and_abandoned_connections_disturb_nobody() {
    let server = server_with_table();
    let mut stream = connect(&server);
    stream.write_all(&request("ListTables", b"{}")).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200, "a half-closed client still gets its answer");
    for _ in 0..200 {
        let mut stream = connect(&server);
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-le").unwrap();
    }
    assert_eq!(call(&server, "ListTables", &json!({})).status, 200);
}

#[test]
fn hundreds_of_connections_are_served_together() {
    let server = server_with_table();
    let mut streams: Vec<_> = (0..500).map(|_| connect(&server)).collect();
    let put = |number: usize| {
        request(
            "PutItem",
            json!({"TableName": "tab", "Item": {"p": {"S": format!("k{number}")}}}).to_string().as_bytes(),
        )
    };
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&put(number)).unwrap();
    }
    for stream in &mut streams {
        assert_eq!(read_answer(stream).unwrap().status, 200);
    }
    let counted =
        call(&server, "Scan", &json!({"TableName": "tab", "Select": "COUNT", "ConsistentRead": true}));
    assert_eq!(counted.json()["Count"], 500);
}

fn resident_bytes(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// CRC-32 (IEEE), bit by bit: an implementation of its own, so that it checks the server's.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
