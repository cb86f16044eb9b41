use super::{Signer, timestamp};
use crate::http::Request;

#[test]
fn times_are_written_as_aws_reads_them() {
    let check = |seconds, expected: &str| assert_eq!(timestamp(seconds), expected);
    check(0, "19700101T000000Z");
    check(951_827_696, "20000229T123456Z");
    check(1_440_938_160, "20150830T123600Z");
    check(4_107_542_399, "21000228T235959Z");
    check(4_107_542_400, "21000301T000000Z");
}

/// The example of the AWS documentation for deriving a signing key, with this service's name.
#[test]
fn a_signature_is_repeatable_and_depends_on_everything() {
    let signer = Signer {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
        region: "us-east-1".to_owned(),
    };
    let sign = |signer: &Signer, body: &str, now| {
        let mut request = Request::call("ListTables", body);
        request.headers.push(("Host".to_owned(), "dynamodb.us-east-1.amazonaws.com".to_owned()));
        signer.sign_at(&mut request, now);
        request.headers.pop().expect("the signature comes last").1
    };
    let value = sign(&signer, "{}", 1_440_938_160);
    assert!(value.starts_with(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
    ));
    assert_eq!(value, sign(&signer, "{}", 1_440_938_160));
    assert_ne!(value, sign(&signer, "{ }", 1_440_938_160));
    assert_ne!(value, sign(&signer, "{}", 1_440_938_161));
    let other = Signer { secret_key: "other".to_owned(), ..signer };
    assert_ne!(value, sign(&other, "{}", 1_440_938_160));
}
