use super::*;

fn meta<'a>() -> Meta<'a> {
    Meta {
        status: 200,
        content: Content::Json,
        id: b"ID",
        date: b"D",
        keep_alive: true,
        coding: Coding::Identity,
        without_body: false,
        more: b"",
    }
}

fn check(body: &str, meta: &Meta<'_>, expected: &str) {
    let mut response = Response::default();
    response.begin().extend_from_slice(b"a former one, never sent");
    response.begin().extend_from_slice(body.as_bytes());
    response.finish(meta);
    assert_eq!(String::from_utf8_lossy(response.bytes()), expected);
}

#[test]
fn heads() {
    check(
        "{}",
        &meta(),
        "HTTP/1.1 200 OK\r\nServer: Server\r\nDate: D\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: 2\r\nConnection: keep-alive\r\nx-amzn-RequestId: ID\r\nx-amz-crc32: 2745614147\r\n\r\n{}",
    );
    check(
        "ok",
        &Meta {
            status: 404,
            content: Content::Text,
            keep_alive: false,
            without_body: true,
            more: b"A: b\r\n",
            ..meta()
        },
        "HTTP/1.1 404 Not Found\r\nServer: Server\r\nDate: D\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 2\r\nConnection: close\r\nx-amzn-RequestId: ID\r\nx-amz-crc32: 2044517703\r\nA: b\r\n\r\n",
    );
}

#[test]
fn packed_bodies() {
    check(
        "xx",
        &Meta { content: Content::PlainJson, coding: Coding::Gzip, ..meta() },
        "HTTP/1.1 200 OK\r\nServer: Server\r\nDate: D\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\
         Content-Length: 2\r\nConnection: keep-alive\r\nx-amzn-RequestId: ID\r\nx-amz-crc32: 4175501327\r\n\r\nxx",
    );
    let mut response = Response::default();
    response.begin().extend_from_slice(b"a long one");
    assert_eq!(response.body(), b"a long one");
    response.replace_body(b"short");
    response.finish(&meta());
    assert!(response.bytes().ends_with(b"\r\n\r\nshort"));
}

#[test]
fn a_long_head_is_as_good() {
    let more = format!("A: {}\r\n", "b".repeat(10_000));
    let mut response = Response::default();
    response.begin();
    response.finish(&Meta { content: Content::Empty, more: more.as_bytes(), ..meta() });
    let text = String::from_utf8_lossy(response.bytes()).into_owned();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with(&format!("{more}\r\n")), "{text}");
}

#[test]
fn dates() {
    for (seconds, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    ] {
        assert_eq!(std::str::from_utf8(&http_date(seconds)), Ok(expected));
    }
}

#[test]
fn ids() {
    let end = id_end([u64::MAX, 0, u64::MAX]);
    let id = request_id([u64::MAX, 0], &end);
    let expected = ["V", "0"].map(|part| part.repeat(12)).concat().repeat(2) + "VVVV";
    assert_eq!(std::str::from_utf8(&id), Ok(expected.as_str()));
    assert_ne!(request_id([u64::MAX, 1], &end), id);
    assert_ne!(request_id([u64::MAX, 0], &id_end([1, 0, 0])), id);
}
