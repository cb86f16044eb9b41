use super::*;
use crate::json::Reader;

fn check(text: &str, expected: &str) {
    let mut out = Vec::new();
    string(&mut out, text);
    assert_eq!(std::str::from_utf8(&out), Ok(expected));
    let back = Reader::over(&out).and_then(|mut reader| reader.string().map(|text| text.into_owned()));
    assert_eq!(back.as_deref(), Ok(text), "what is written reads back");
}

#[test]
fn strings() {
    check("", r#""""#);
    check("plain", r#""plain""#);
    check("é€😀\u{7f}/", "\"é€😀\u{7f}/\"");
    check("a\"b\\c", r#""a\"b\\c""#);
    check("\n\r\t\u{8}\u{c}", r#""\n\r\t\b\f""#);
    check("\0\u{1}\u{1f}", r#""\u0000\u0001\u001f""#);
    check(&"x".repeat(100), &format!("\"{}\"", "x".repeat(100)));
}

#[test]
fn binaries() {
    for (bytes, expected) in [
        (&b""[..], r#""""#),
        (b"f", r#""Zg==""#),
        (b"fo", r#""Zm8=""#),
        (b"foo", r#""Zm9v""#),
        (b"\xff\xfe\xfd", r#""//79""#),
    ] {
        let mut out = Vec::new();
        base64(&mut out, bytes);
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    }
}

#[test]
fn integers() {
    for number in [0, 1, 9, 10, 99, 12345, u64::MAX] {
        let mut out = Vec::new();
        integer(&mut out, number);
        assert_eq!(out, number.to_string().into_bytes());
    }
}
