use super::*;
use crate::http::intake::{Intake, Limits, Step};

#[test]
fn queries_are_decoded_once_and_encoded_once() {
    for (query, canonical) in [
        ("", ""),
        ("a=b", "a=b"),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1", "a=1&a=2"),
        ("a", "a="),
        ("a=b=c", "a=b%3Dc"),
        ("a=%2f", "a=%2F"),
        ("a=%252F", "a=%252F"),
        ("a=/", "a=%2F"),
        ("a=+", "a=%2B"),
        ("a=%20", "a=%20"),
        ("a=%zz", "a=%25zz"),
        ("a=%", "a=%25"),
        ("a=%c3%a9", "a=%C3%A9"),
        ("~-._=~-._", "~-._=~-._"),
        ("&&a=1&", "a=1"),
        ("X-Amz-Signature=abc&X-Amz-Date=d", "X-Amz-Date=d"),
    ] {
        assert_eq!(Query::read(query).canonical(), canonical, "{query}");
    }
    assert!(Query::read("a=1&b=2&%61=3").has_twice());
    assert!(!Query::read("a=1&b=1").has_twice());
    assert_eq!(Query::read("a=1&a=2").get("a"), Some("1"));
}

#[test]
fn digits() {
    assert_eq!(hex(&[0x00, 0x5d, 0xff]), "005dff");
}

fn request_of(text: &str) -> Intake {
    let mut intake = Intake::new(Limits { head_bytes_max: 16 << 10, body_bytes_max: 1 << 20 });
    let bytes = text.as_bytes();
    intake.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
    intake.fill(bytes.len());
    while intake.step() != Step::Ready {}
    intake
}

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=NAMES, Signature=00";

/// The hash of a request with these signed headers, or what is wrong with them.
fn hash_of(names: &str, lines: &str) -> Result<[u8; 32], String> {
    let intake = request_of(&format!(
        "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 20150830T123600Z\r\nAuthorization: {}\r\n{lines}\
         Content-Length: 2\r\n\r\n{{}}",
        SIGNED.replace("NAMES", names)
    ));
    let request = intake.request();
    let mut room = [httparse::EMPTY_HEADER; crate::http::head::HEADERS_MAX];
    let headers = request.headers(&mut room);
    let query = Query::default();
    let claim = Claim::read(&query, headers).expect("it is well-formed");
    check_signed_headers(&claim, headers).map_err(|error| error.message)?;
    let body = digest::digest(&SHA256, request.body);
    hash(&request, headers, &claim, &body).map_err(|error| error.message)
}

/// The canonical request written out by hand.
fn expected(headers: &str, names: &str) -> [u8; 32] {
    let body = hex(digest::digest(&SHA256, b"{}").as_ref());
    let text = format!("POST\n/\n\n{headers}\n{names}\n{body}");
    digest::digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("32 bytes")
}

#[test]
fn headers_are_trimmed_and_their_spaces_collapsed() {
    let names = "host;x-a;x-amz-date";
    let hashed = expected("host:h\nx-a:a b c\nx-amz-date:20150830T123600Z\n", names);
    for line in ["X-A: a b c\r\n", "x-a:   a  b     c  \r\n", "X-a:a b  c\t\r\n"] {
        assert_eq!(hash_of(names, line), Ok(hashed), "{line:?}");
    }
    assert_ne!(hash_of(names, "X-A: ab c\r\n"), Ok(hashed));
    let empty = expected("host:h\nx-a:\nx-amz-date:20150830T123600Z\n", names);
    assert_eq!(hash_of(names, "X-A:   \r\n"), Ok(empty));
}

#[test]
fn what_decides_must_be_signed() {
    let must = |names: &str, lines: &str, name: &str| {
        let why = hash_of(names, lines).expect_err("it is refused");
        assert_eq!(why, format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."));
    };
    must("x-amz-date", "", "Host' or ':authority");
    must("host", "", "x-amz-date");
    must("host;x-amz-date", "X-Amz-Target: t\r\n", "x-amz-target");
    must("host;x-amz-date", "X-Amz-Security-Token: t\r\n", "x-amz-security-token");
    must("host;x-amz-date", "X-Amz-Content-Sha256: t\r\n", "x-amz-content-sha256");
    assert!(hash_of("host;x-amz-date", "X-Other: t\r\n").is_ok());
}

#[test]
fn lists_of_names_that_are_not_in_order_are_refused() {
    let mismatch = Err(mismatch().message);
    for names in [
        "x-amz-date;host",
        "host;host;x-amz-date",
        "Host;host;x-amz-date",
        "X-Amz-Date;host;x-amz-date",
        ";host;x-amz-date",
        "host;x-amz-date;",
        "host;x-absent;x-amz-date",
    ] {
        assert_eq!(hash_of(names, ""), mismatch, "{names}");
    }
    assert_eq!(hash_of("host;x-a;x-amz-date", "X-A: 1\r\nx-a: 2\r\n"), mismatch);
}

#[test]
fn a_hash_that_is_given_must_be_the_bodys() {
    let names = "host;x-amz-content-sha256;x-amz-date";
    let right = hex(digest::digest(&SHA256, b"{}").as_ref());
    assert!(hash_of(names, &format!("X-Amz-Content-Sha256: {right}\r\n")).is_ok());
    for wrong in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "",
        &right.to_uppercase(),
        &"0".repeat(64),
    ] {
        let line = format!("X-Amz-Content-Sha256: {wrong}\r\n");
        assert_eq!(hash_of(names, &line), Err(mismatch().message), "{wrong}");
    }
}
