//! Answers whole, in pieces, too long, and wrong.

use super::*;

fn head(text: &str) -> Result<Option<Head>, Broken> {
    parse_head(text.as_bytes())
}

#[test]
fn a_head_says_status_length_and_whether_to_close() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-other: 1\r\n\r\n";
    let expected = Head { status: 200, body: text.len()..text.len() + 5, close: false, ledger: None };
    assert_eq!(head(text), Ok(Some(expected)));
    let closing = head("HTTP/1.1 400 Bad Request\r\ncontent-length:0\r\nConnection: Close\r\n\r\n");
    assert!(matches!(closing, Ok(Some(Head { status: 400, close: true, .. }))));
    assert!(matches!(
        head("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
        Ok(Some(Head { close: true, .. }))
    ));
}

#[test]
fn half_a_head_is_not_a_head_yet() {
    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n";
    for end in 0..whole.len() {
        assert_eq!(head(&whole[..end]), Ok(None), "{end}");
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let check = |text: &str, expected: &str| match head(text) {
        Err(Broken::Nonsense(what)) => assert!(what.contains(expected), "{what}"),
        other => panic!("{text:?}: {other:?}"),
    };
    check("SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP");
    check("HTTP/1.1 200 OK\r\n\r\n", "without content-length");
    check("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "no number");
    check("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "too long");
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "chunked");
}

#[test]
fn answers_are_sorted_by_what_they_mean_for_a_write() {
    let throttled = br#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}"#;
    assert_eq!(sort(200, b"{}"), Answer::Done(b"{}"));
    assert_eq!(sort(400, throttled), Answer::Refused("ThrottlingException".into()));
    assert_eq!(
        sort(500, br#"{"__type":"InternalServerError"}"#),
        Answer::Failed("InternalServerError".into())
    );
    assert_eq!(sort(503, b"<html>"), Answer::Failed("Http503".into()));
    assert_eq!(sort(302, b""), Answer::Failed("Http302".into()));
}

#[test]
fn a_ledger_is_found_in_the_head() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nX-Torc-Trace: read;dur=1.0, total;dur=1.0\r\n\r\n";
    let head = head(text).expect("HTTP").expect("a whole head");
    assert_eq!(&text[head.ledger.expect("it has one")], "read;dur=1.0, total;dur=1.0");
}
