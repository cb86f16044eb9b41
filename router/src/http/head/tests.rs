use super::*;

const BODY_MAX: usize = 1000;

fn parse(block: &str) -> Result<Head, Reject> {
    let parsed = Head::parse(block.as_bytes(), BODY_MAX)?;
    let (head, size) = parsed.expect("the block's end is there");
    assert_eq!(size, block.len());
    Ok(head)
}

/// Parses a POST with these header lines beside Host.
fn post(lines: &str) -> Result<Head, Reject> {
    parse(&format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n"))
}

fn refused(lines: &str, status: u16) {
    assert_eq!(post(lines).map_err(|reject| reject.status), Err(status), "{lines:?}");
}

#[test]
fn an_ordinary_post() {
    let block = "POST /?a=b HTTP/1.1\r\nhOST: h:1\r\nX-AMZ-target: T.Op\r\ncontent-LENGTH: 12\r\n\r\n";
    let head = parse(block).expect("it is well-formed");
    assert_eq!(head.method, Method::Post);
    assert_eq!(&block[head.path.clone()], "/?a=b");
    assert_eq!(&block[head.host.clone().expect("given")], "h:1");
    assert_eq!(&block[head.target.clone().expect("given")], "T.Op");
    assert_eq!(head.framing, Framing::Size(12));
    assert!(head.keep_alive && !head.expects_continue);
}

#[test]
fn framing() {
    assert_eq!(post("").map(|head| head.framing), Ok(Framing::Size(0)));
    assert_eq!(post("Content-Length: 0\r\n").map(|head| head.framing), Ok(Framing::Size(0)));
    assert_eq!(post("Content-Length: 1000\r\n").map(|head| head.framing), Ok(Framing::Size(1000)));
    assert_eq!(post("Transfer-Encoding: Chunked\r\n").map(|head| head.framing), Ok(Framing::Chunked));
}

#[test]
fn framing_that_could_be_read_in_two_ways_is_refused() {
    refused("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400);
    refused("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400);
    refused("Content-Length: 3\r\nContent-Length: 3\r\n", 400);
    refused("Content-Length: 3, 3\r\n", 400);
    refused("Content-Length: +3\r\n", 400);
    refused("Content-Length: -3\r\n", 400);
    refused("Content-Length: 0x3\r\n", 400);
    refused("Content-Length: 3 3\r\n", 400);
    refused("Content-Length:\r\n", 400);
    refused("Content-Length : 3\r\n", 400);
    refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400);
    refused("Transfer-Encoding: gzip, chunked\r\n", 501);
    refused("Transfer-Encoding: identity\r\n", 501);
    refused("Host: other\r\n", 400);
    refused("X-Amz-Target: a\r\nX-Amz-Target: b\r\n", 400);
    refused("Bad Name: 1\r\n", 400);
    refused("Control: a\u{1}b\r\n", 400);
}

#[test]
fn limits() {
    refused("Content-Length: 1001\r\n", 413);
    refused("Content-Length: 99999999999999999999999999\r\n", 413);
    let many = |count: usize| "X: y\r\n".repeat(count);
    assert!(post(&many(HEADERS_MAX - 1)).is_ok());
    refused(&many(HEADERS_MAX), 431);
}

#[test]
fn what_is_not_supported_is_said() {
    refused("Content-Encoding: br\r\n", 415);
    refused("Content-Encoding: gzip, gzip\r\n", 415);
    refused("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", 400);
    let coding = |lines: &str| post(lines).map(|head| (head.coding, head.accepted));
    assert_eq!(coding(""), Ok((Coding::Identity, Coding::Identity)));
    assert_eq!(coding("Content-Encoding: identity\r\n"), Ok((Coding::Identity, Coding::Identity)));
    assert_eq!(
        coding("Content-Encoding: GZIP\r\nAccept-Encoding: gzip\r\n"),
        Ok((Coding::Gzip, Coding::Gzip))
    );
    assert_eq!(coding("Content-Encoding: deflate\r\n"), Ok((Coding::Deflate, Coding::Identity)));
    refused("Expect: 200-ok\r\n", 417);
    assert!(post("Expect: 100-Continue\r\n").is_ok_and(|head| head.expects_continue));
}

#[test]
fn versions_and_keep_alive() {
    let keeps = |block: &str| parse(block).map(|head| head.keep_alive).map_err(|reject| reject.status);
    assert_eq!(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Ok(true));
    assert_eq!(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n"), Ok(false));
    assert_eq!(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: te, close\r\n\r\n"), Ok(false));
    assert_eq!(keeps("GET / HTTP/1.0\r\n\r\n"), Ok(false));
    assert_eq!(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), Ok(true));
    assert_eq!(keeps("GET / HTTP/1.1\r\n\r\n"), Err(400));
    assert_eq!(keeps("GET / HTTP/2.0\r\n\r\n"), Err(505));
    assert_eq!(keeps("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(400));
    assert_eq!(keeps("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), Err(400));
    assert_eq!(keeps("\u{1}\u{2}\r\n\r\n"), Err(400));
}

#[test]
fn a_block_ends_where_it_ends() {
    let block = b"POST / HTTP/1.1\r\nHost: h\r\n\r\n";
    for size in 0..block.len() {
        assert_eq!(Head::parse(&block[..size], BODY_MAX), Ok(None), "{size}");
    }
    let more = [&block[..], b"body\r\n\r\n"].concat();
    assert!(
        Head::parse(&more, BODY_MAX).is_ok_and(|parsed| parsed.is_some_and(|(_, size)| size == block.len()))
    );
}

#[test]
fn bare_line_feeds_are_refused() {
    for block in [
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nX:\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.0\n\r\n",
    ] {
        assert_eq!(Head::parse(block.as_bytes(), BODY_MAX), Err(BARE_LINE_FEED), "{block:?}");
    }
}
