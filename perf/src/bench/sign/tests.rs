//! Signatures that a server computes as well: the one here was computed apart, step by step, from AWS's description.

use super::*;

fn signer(session_token: Option<&str>) -> Signer {
    Signer {
        access_key: "AKIDEXAMPLE".into(),
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: session_token.map(str::to_owned),
        region: "us-east-1".into(),
    }
}

const TARGET: &str = "DynamoDB_20120810.ListTables";
/// 2015-08-30 12:36:00, the time of the documentation's examples.
const NOW: Wall = Wall(1_440_938_160 * 1_000_000);

#[test]
fn a_request_is_signed_as_aws_does_it() {
    let signing = Signing::new(&signer(None), "dynamodb.us-east-1.amazonaws.com");
    let lines = signing.lines(NOW, TARGET, b"{}");
    assert_eq!(lines, EXPECTED);
    assert_eq!(signing.lines(NOW, TARGET, b"{}"), lines, "with the day's key that is known by now");
    assert_ne!(signing.lines(NOW, TARGET, b"{ }"), lines);
}

const EXPECTED: &str = "x-amz-date: 20150830T123600Z\r\n\
    authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
    Signature=75214f17608dbd636679e18f6f89744844ae96fcd228b8147167152488d817de\r\n";

#[test]
fn a_session_token_is_sent_and_signed() {
    let lines = Signing::new(&signer(Some("token")), "host").lines(NOW, TARGET, b"{}");
    assert!(lines.contains("x-amz-security-token: token\r\n"), "{lines}");
    assert!(
        lines.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target"),
        "{lines}"
    );
}

#[test]
fn days_are_those_of_the_calendar() {
    let cases = [
        (0, (1970, 1, 1)),
        (58, (1970, 2, 28)),
        (59, (1970, 3, 1)),
        (11_016, (2000, 2, 29)),
        (20_779, (2026, 11, 22)),
    ];
    for (days, expected) in cases {
        assert_eq!(date(days), expected, "day {days}");
    }
    assert_eq!(timestamp(1_440_938_160), "20150830T123600Z");
}
