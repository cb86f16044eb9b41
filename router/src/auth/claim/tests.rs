use super::*;

/// 2015-08-30T12:36:00Z
const NOW: u64 = 1_440_938_160;

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/dynamodb/aws4_request, \
                             SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

/// Reads a claim and checks it at `NOW`; what is wrong with it.
fn check(query: &str, headers: &[(&str, &str)]) -> Result<(), String> {
    let query = Query::read(query);
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    let claim = Claim::read(&query, &headers).map_err(|error| error.to_string())?;
    claim.check("us-east-1", Wall(NOW * 1_000_000)).map_err(|error| error.to_string())
}

fn header(authorization: &str, date: &str) -> Result<(), String> {
    check("", &[("Authorization", authorization), ("X-Amz-Date", date)])
}

fn refused(outcome: Result<(), String>, expected: &str) {
    assert_eq!(outcome.expect_err("it is refused"), expected);
}

#[test]
fn a_claim_is_read() {
    let headers = [("authorization", AUTHORIZATION), ("X-AMZ-Date", " 20150830T123600Z ")]
        .map(|(name, value)| Header { name, value: value.as_bytes() });
    let query = Query::default();
    let claim = Claim::read(&query, &headers).expect("it is well-formed");
    assert_eq!((claim.access_key, claim.signed_headers, claim.time), ("AKID", "host;x-amz-date", NOW));
    assert_eq!(&claim.day(), b"20150830");
    assert!(claim.has_signature_shape() && !claim.presigned && !claim.has_security_token);
    assert_eq!(claim.signature_bytes()[..4], [0x5d, 0x67, 0x2d, 0x79]);
    assert_eq!(header(AUTHORIZATION, "20150830T123600Z"), Ok(()));
    assert_eq!(header(&AUTHORIZATION.replace(", ", ","), "20150830T123600Z"), Ok(()), "no space is needed");
    let by_date = [("Authorization", AUTHORIZATION), ("Date", "Sun, 30 Aug 2015 12:36:00 GMT")];
    assert_eq!(check("", &by_date), Ok(()));
}

#[test]
fn without_any() {
    refused(check("", &[]), "MissingAuthenticationTokenException: Request is missing Authentication Token");
    refused(
        check("X-Amz-Signature=a", &[("X-Amz-Date", "20150830T123600Z")]),
        "MissingAuthenticationTokenException: Request is missing Authentication Token",
    );
    refused(
        check("X-Amz-Algorithm=AWS4-HMAC-SHA256", &[("Authorization", AUTHORIZATION)]),
        "InvalidSignatureException: Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as \
         HTTP header.",
    );
}

#[test]
fn what_is_missing_in_a_header_is_told_together() {
    refused(
        check("", &[("Authorization", "AWS4-HMAC-SHA256")]),
        "IncompleteSignatureException: Authorization header requires 'Credential' parameter. Authorization header \
         requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization \
         header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256",
    );
    refused(
        header("AWS4-HMAC-SHA256 Credential=a, Signature=b", "20150830T123600Z"),
        "IncompleteSignatureException: Authorization header requires 'SignedHeaders' parameter. \
         Authorization=AWS4-HMAC-SHA256",
    );
    refused(
        header("AWS4-HMAC-SHA256 nonsense", "20150830T123600Z"),
        "IncompleteSignatureException: 'nonsense' not a valid key=value pair (missing equal-sign) in Authorization \
         header.",
    );
    refused(
        header(&AUTHORIZATION.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"), "20150830T123600Z"),
        "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-HMAC-MD5'. ",
    );
}

#[test]
fn what_comes_twice_is_refused() {
    let mismatch = crate::auth::mismatch().to_string();
    let twice = AUTHORIZATION.replace("Credential=", "Credential=a/b/c/d/e, Credential=");
    refused(header(&twice, "20150830T123600Z"), &mismatch);
    let date = ("X-Amz-Date", "20150830T123600Z");
    let authorization = ("Authorization", AUTHORIZATION);
    refused(check("", &[authorization, authorization, date]), &mismatch);
    refused(check("", &[authorization, date, date]), &mismatch);
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&\
                 X-Amz-Date=d&X-Amz-Date=e";
    refused(check(query, &[]), &mismatch);
}

#[test]
fn a_credential_has_five_parts() {
    for credential in
        ["AKID", "AKID/20150830/us-east-1/dynamodb", "A/B/20150830/us-east-1/dynamodb/aws4_request"]
    {
        let wrong = AUTHORIZATION.replace("AKID/20150830/us-east-1/dynamodb/aws4_request", credential);
        refused(
            header(&wrong, "20150830T123600Z"),
            &format!(
                "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            ),
        );
    }
}

#[test]
fn a_scope_is_for_here_and_today() {
    let scoped = |scope: &str| {
        header(&AUTHORIZATION.replace("20150830/us-east-1/dynamodb/aws4_request", scope), "20150830T123600Z")
    };
    refused(
        scoped("20150830/eu-west-1/dynamodb/aws4_request"),
        "InvalidSignatureException: Credential should be scoped to a valid region, not 'eu-west-1'. ",
    );
    refused(
        scoped("20150830/us-east-1/s3/aws4_request"),
        "InvalidSignatureException: Credential should be scoped to correct service: 'dynamodb'. ",
    );
    refused(
        scoped("20150830/us-east-1/dynamodb/aws4"),
        "InvalidSignatureException: Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'. ",
    );
    refused(
        scoped("20150829/us-east-1/dynamodb/aws4_request"),
        "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
         from HTTP: '20150829' != '20150830', from '20150830T123600Z'. ",
    );
    refused(
        scoped("20150830/eu-west-1/s3/aws4_request"),
        "InvalidSignatureException: Credential should be scoped to a valid region, not 'eu-west-1'. Credential should \
         be scoped to correct service: 'dynamodb'. ",
    );
}

#[test]
fn a_clock_may_be_off_by_a_quarter_of_an_hour() {
    assert_eq!(header(AUTHORIZATION, "20150830T122100Z"), Ok(()));
    assert_eq!(header(AUTHORIZATION, "20150830T125100Z"), Ok(()));
    refused(
        header(AUTHORIZATION, "20150830T122059Z"),
        "InvalidSignatureException: Signature expired: 20150830T122059Z is now earlier than 20150830T122100Z \
         (20150830T123600Z - 15 min.)",
    );
    refused(
        header(AUTHORIZATION, "20150830T125101Z"),
        "InvalidSignatureException: Signature not yet current: 20150830T125101Z is still later than 20150830T125100Z \
         (20150830T123600Z + 15 min.)",
    );
    refused(
        header(AUTHORIZATION, "2015-08-30T12:36:00Z"),
        "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '2015-08-30T12:36:00Z'. See \
         http://en.wikipedia.org/wiki/ISO_8601",
    );
}

fn presigned(date: &str, more: &str) -> Result<(), String> {
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20150830%2Fus-east-1%2Fdynamodb%2Faws4_request&\
         X-Amz-Date={date}&X-Amz-SignedHeaders=host&X-Amz-Signature=ab{more}"
    );
    check(&query, &[])
}

#[test]
fn presigned_claims() {
    assert_eq!(presigned("20150830T122100Z", ""), Ok(()));
    assert!(presigned("20150830T122059Z", "").expect_err("expired").contains("Signature expired"));
    assert_eq!(presigned("20150830T003700Z", "&X-Amz-Expires=43200"), Ok(()));
    refused(
        presigned("20150830T123459Z", "&X-Amz-Expires=60"),
        "InvalidSignatureException: Signature expired: 20150830T123459Z is now earlier than 20150830T123500Z \
         (20150830T123600Z - 1 min.)",
    );
    assert!(
        presigned("20150830T125101Z", "&X-Amz-Expires=60").expect_err("later").contains("not yet current")
    );
    assert!(presigned("20150830T123600Z", "&X-Amz-Expires=604801").expect_err("long").contains("a week"));
    for wrong in ["", "0", "-1", "1.5", "a"] {
        let outcome = presigned("20150830T123600Z", &format!("&X-Amz-Expires={wrong}"));
        assert!(outcome.expect_err("no number").contains("X-Amz-Expires should be a number"), "{wrong}");
    }
    refused(
        check("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=a", &[]),
        "IncompleteSignatureException: AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string \
         parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. \
         Re-examine the query-string parameters.",
    );
}

#[test]
fn a_signature_is_64_digits_in_lower_case() {
    for signature in ["", "5d", &"5D".repeat(32), &"5d".repeat(33), &"5g".repeat(32), &"\u{e9}".repeat(32)] {
        let authorization =
            format!("{}Signature={signature}", AUTHORIZATION.split("Signature=").next().expect("a part"));
        let headers = [("Authorization", authorization.as_str()), ("X-Amz-Date", "20150830T123600Z")]
            .map(|(name, value)| Header { name, value: value.as_bytes() });
        let query = Query::default();
        let claim = Claim::read(&query, &headers).expect("it is well-formed");
        assert!(!claim.has_signature_shape(), "{signature}");
        assert_eq!(claim.signature_bytes(), [0; 32]);
    }
}
