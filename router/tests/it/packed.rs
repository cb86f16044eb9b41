//! Packed bodies and packed answers, through the whole server.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use router::{RouterOptions, ServerOptions};

use crate::world::{Client, with_server};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a Vec takes every byte");
    encoder.finish().expect("a Vec takes every byte")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a Vec takes every byte");
    encoder.finish().expect("a Vec takes every byte")
}

/// A call whose body is packed already.
fn call(operation: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const ABSENT: &str = r#"{"TableName":"absent"}"#;

#[test]
fn packed_bodies_are_read() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        for (name, body) in [("gzip", gzip(ABSENT.as_bytes())), ("deflate", zlib(ABSENT.as_bytes()))] {
            let lines = format!("Content-Encoding: {name}\r\n");
            client.send(&call("DescribeTable", &lines, &body)).await;
            let response = client.response(true).await.expect("an answer");
            assert!(response.body.contains("Table: absent not found"), "{name}: {response:?}");
        }
        assert_eq!(client.call("ListTables", "{}").await.status, 200, "the connection goes on");
    });
}

#[test]
fn bombs_and_rubbish_are_refused() {
    with_server(RouterOptions::default(), |server| async move {
        let bomb = gzip(&vec![b' '; 10 << 20]);
        assert!(bomb.len() < 20_000);
        for (body, status, name) in [
            (bomb, 413, "RequestEntityTooLargeException"),
            (b"rubbish".to_vec(), 400, "SerializationException"),
            (gzip(b"{}")[..15].to_vec(), 400, "SerializationException"),
        ] {
            let client = Client::connect(&server).await;
            client.send(&call("ListTables", "Content-Encoding: gzip\r\n", &body)).await;
            let response = client.response(true).await.expect("an answer");
            assert_eq!(response.status, status);
            assert!(response.body.contains(name), "{response:?}");
        }
        assert_eq!(Client::connect(&server).await.call("ListTables", "{}").await.status, 200);
    });
}

/// What a body unpacks to is taken from the same bounded memory as what comes plain, and given back.
#[test]
fn memory_for_unpacked_bodies_is_bounded() {
    let server = ServerOptions { body_bytes_max: 200_000, ..ServerOptions::default() };
    with_server(RouterOptions { server, ..RouterOptions::default() }, |server| async move {
        let body = |size: usize| gzip(format!("{}{{}}", " ".repeat(size)).as_bytes());
        let small = Client::connect(&server).await;
        for _ in 0..5 {
            small.send(&call("ListTables", "Content-Encoding: gzip\r\n", &body(100_000))).await;
            assert_eq!(small.response(true).await.expect("an answer").status, 200);
        }
        let large = Client::connect(&server).await;
        large.send(&call("ListTables", "Content-Encoding: gzip\r\n", &body(300_000))).await;
        let refused = large.response(true).await.expect("an answer");
        assert_eq!(refused.status, 503);
        assert!(refused.body.contains("ServiceUnavailableException"), "{refused:?}");
        small.send(&call("ListTables", "Content-Encoding: gzip\r\n", &body(100_000))).await;
        assert_eq!(small.response(true).await.expect("an answer").status, 200, "memory is given back");
    });
}

#[test]
fn large_answers_are_packed_for_who_asks() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let name = "a".repeat(20_000);
        let body = format!(r#"{{"TableName":"{name}"}}"#);
        let plain = client.call("PutItem", &body).await.body;
        assert!(plain.len() > 4_000, "it repeats what was wrong: {} bytes", plain.len());
        for (name, asked) in [("gzip", "gzip, deflate"), ("deflate", "deflate")] {
            client.send(&call("PutItem", &format!("Accept-Encoding: {asked}\r\n"), body.as_bytes())).await;
            let (head, packed) = client.packed_response().await;
            assert!(head.contains(&format!("Content-Encoding: {name}\r\n")), "{head}");
            assert!(packed.len() < 1_000);
            let sum = format!("x-amz-crc32: {}\r\n", crc32fast::hash(&packed));
            assert!(head.contains(&sum), "the sum is of the bytes as sent: {head}");
            let mut unpacked = String::new();
            match name {
                "gzip" => GzDecoder::new(&packed[..]).read_to_string(&mut unpacked),
                _ => ZlibDecoder::new(&packed[..]).read_to_string(&mut unpacked),
            }
            .expect("it is sound");
            assert_eq!(unpacked, plain);
        }
        client.send(&call("ListTables", "Accept-Encoding: gzip\r\n", b"{}")).await;
        let small = client.response(true).await.expect("an answer");
        assert_eq!((small.header("Content-Encoding"), small.body.as_str()), (None, r#"{"TableNames":[]}"#));
    });
}
