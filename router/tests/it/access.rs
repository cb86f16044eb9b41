//! Signatures and permissions, through the whole server: signed by AWS's own signer, checked by ours.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use router::RouterOptions;
use router::auth::users::{Secret, User, Users};
use runtime::Runtime;

use crate::world::{Client, Response, Server, with_server};

const KEY: &str = "TORCEXAMPLEEXAMPLEEX";
const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12";

const CREATE: &str = r#"{"TableName":"orders","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;

fn user(name: &str, key: &str, secret: &str, tables: &[&str], actions: &[&str]) -> User {
    let owned = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
    User {
        name: name.to_owned(),
        access_key_id: key.to_owned(),
        secret: Secret::new(secret.to_owned()),
        tables: owned(tables),
        actions: owned(actions),
    }
}

fn users() -> Users {
    Users::new(vec![
        user("root", KEY, SECRET, &["*"], &["*"]),
        user(
            "reader",
            "TORCREADERREADERREAD",
            "reader-secret-reader-secret",
            &["orders"],
            &["GetItem", "Query"],
        ),
    ])
    .expect("they can be")
}

fn options() -> RouterOptions {
    RouterOptions { users: Some(Arc::new(users())), ..RouterOptions::default() }
}

/// A request that is to be signed and then, perhaps, spoilt.
#[derive(Clone)]
struct Asked {
    key: &'static str,
    secret: &'static str,
    operation: &'static str,
    body: &'static str,
    region: &'static str,
    service: &'static str,
    token: Option<&'static str>,
    /// Seconds from the server's now.
    offset: i64,
    location: SignatureLocation,
    with_hash: bool,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked {
            key: KEY,
            secret: SECRET,
            operation: "ListTables",
            body: "{}",
            region: "us-east-1",
            service: "dynamodb",
            token: None,
            offset: 0,
            location: SignatureLocation::Headers,
            with_hash: false,
        }
    }
}

/// A signed request as text: request line, headers, body.
fn signed(server: &Server, asked: &Asked) -> String {
    signed_head(server, asked, asked.body.as_bytes(), None) + asked.body
}

/// Request line and headers, signed for these bytes of a body.
fn signed_head(server: &Server, asked: &Asked, body: &[u8], coding: Option<&str>) -> String {
    let token = asked.token.map(str::to_owned);
    let identity = Credentials::new(asked.key, asked.secret, token, None, "test").into();
    let now = server.rt.wall().0 / 1_000_000;
    let time =
        SystemTime::UNIX_EPOCH + Duration::from_secs(now.checked_add_signed(asked.offset).expect("later"));
    let mut settings = SigningSettings::default();
    settings.signature_location = asked.location;
    if asked.with_hash {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if asked.location == SignatureLocation::QueryParams {
        settings.expires_in = Some(Duration::from_secs(60));
    }
    let params = SigningParams::builder()
        .identity(&identity)
        .region(asked.region)
        .name(asked.service)
        .time(time)
        .settings(settings)
        .build()
        .expect("all is given")
        .into();
    let target = format!("DynamoDB_20120810.{}", asked.operation);
    let size = body.len().to_string();
    let mut headers = vec![
        ("host".to_owned(), "localhost:8000".to_owned()),
        ("x-amz-target".to_owned(), target),
        ("content-type".to_owned(), "application/x-amz-json-1.0".to_owned()),
        ("content-length".to_owned(), size),
    ];
    headers.extend(coding.map(|coding| ("content-encoding".to_owned(), coding.to_owned())));
    let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let url = "http://localhost:8000/";
    let request = SignableRequest::new("POST", url, named, SignableBody::Bytes(body));
    let (instructions, _) =
        sign(request.expect("it can be signed"), &params).expect("it is signed").into_parts();
    let (more, query) = instructions.into_parts();
    headers.extend(more.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST /{query} HTTP/1.1\r\n{lines}\r\n")
}

fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn send(server: &Server, text: &str) -> Response {
    send_bytes(server, text.as_bytes()).await.expect("an answer")
}

async fn send_bytes(server: &Server, bytes: &[u8]) -> Option<Response> {
    let client = Client::connect(server).await;
    client.send(bytes).await;
    client.response(true).await
}

/// `Name: message` of an error.
fn told(response: &Response) -> String {
    let json: serde_json::Value = serde_json::from_str(&response.body).expect("errors are JSON");
    let kind = json["__type"].as_str().expect("errors have a type").rsplit('#').next().expect("a name");
    let message = json["message"].as_str().or(json["Message"].as_str()).unwrap_or("");
    format!("{kind}: {message}")
}

async fn refused(server: &Server, text: &str, part: &str) {
    let response = send(server, text).await;
    assert_eq!(response.status, 400, "{text}\n{response:?}");
    let told = told(&response);
    assert!(told.contains(part), "expected {part:?} in {told:?} for\n{text}");
    assert!(!told.contains(SECRET));
}

#[test]
fn what_is_signed_is_answered() {
    with_server(options(), |server| async move {
        for location in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
            for with_hash in [false, true] {
                for body in ["{}", r#"{"Limit":5}"#] {
                    let text = signed(&server, &Asked { location, with_hash, body, ..Asked::default() });
                    let response = send(&server, &text).await;
                    assert_eq!(
                        (response.status, response.body.as_str()),
                        (200, r#"{"TableNames":[]}"#),
                        "{text}"
                    );
                }
            }
        }
    });
}

#[test]
fn without_users_nothing_is_asked() {
    with_server(RouterOptions::default(), |server| async move {
        let nobody =
            Asked { key: "whoever", secret: "x", region: "elsewhere", offset: 86_400, ..Asked::default() };
        let response = send(&server, &signed(&server, &nobody)).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(Client::connect(&server).await.call("ListTables", "{}").await.status, 200);
    });
}

#[test]
fn order_of_telling() {
    with_server(options(), |server| async move {
        let client = Client::connect(&server).await;
        let bare = client.call("Nonsense", "{").await;
        assert!(told(&bare).starts_with("UnknownOperationException"), "the target comes first");
        let bare = client.call("ListTables", "{").await;
        assert_eq!(
            told(&bare),
            "MissingAuthenticationTokenException: Request is missing Authentication Token",
            "then who asks"
        );
        let type_wrong = Asked { body: r#"{"Limit":"5"}"#, ..Asked::default() };
        let text = signed(&server, &type_wrong);
        refused(&server, &text, "SerializationException").await;
        let forged = text.replace("Limit", "limit");
        refused(&server, &forged, "InvalidSignatureException").await;
    });
}

#[test]
fn wrong_keys_times_and_places() {
    with_server(options(), |server| async move {
        let unknown = "UnrecognizedClientException: The security token included in the request is invalid.";
        let mismatch = "InvalidSignatureException: The request signature we calculated does not match";
        for (asked, part) in [
            (Asked { key: "TORCNOBODYNOBODYNOBO", ..Asked::default() }, unknown),
            (Asked { token: Some("a-token"), ..Asked::default() }, unknown),
            (Asked { secret: "another-secret", ..Asked::default() }, mismatch),
            (
                Asked {
                    secret: "nobody has this secret, and nothing that it signs is ever accepted",
                    key: "TORCNOBODYNOBODYNOBO",
                    ..Asked::default()
                },
                unknown,
            ),
            (
                Asked { region: "eu-west-1", ..Asked::default() },
                "Credential should be scoped to a valid region, not 'eu-west-1'. ",
            ),
            (
                Asked { service: "s3", ..Asked::default() },
                "Credential should be scoped to correct service: 'dynamodb'. ",
            ),
            (Asked { offset: -901, ..Asked::default() }, "InvalidSignatureException: Signature expired: "),
            (
                Asked { offset: 905, ..Asked::default() },
                "InvalidSignatureException: Signature not yet current: ",
            ),
        ] {
            for location in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
                let text = signed(&server, &Asked { location, ..asked.clone() });
                refused(&server, &text, part).await;
            }
        }
        for offset in [-890, 890] {
            let response = send(&server, &signed(&server, &Asked { offset, ..Asked::default() })).await;
            assert_eq!(response.status, 200, "{offset} s");
        }
    });
}

/// Each byte of a signed request, changed: never another answer than the one that was signed for.
#[test]
fn no_byte_may_be_changed() {
    with_server(options(), |server| async move {
        let asked = Asked { body: r#"{"Limit":7}"#, ..Asked::default() };
        for location in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
            let text = signed(&server, &Asked { location, ..asked.clone() });
            let mut accepted = Vec::new();
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                // What makes a request wait for more than was sent is no answer; the client goes away.
                let client = Client::connect(&server).await;
                client.send(&bytes).await;
                client.finish().await;
                if client.response(true).await.is_some_and(|response| response.status == 200) {
                    accepted.push(at);
                }
            }
            let harmless: Vec<&str> =
                accepted.iter().map(|at| &text[at.saturating_sub(8)..(at + 8).min(text.len())]).collect();
            // Only what means the same may be changed: the version of HTTP, and white space around a value.
            let means_the_same = |at: &usize| {
                let line_end = text.find("\r\n").expect("a request line");
                (*at < line_end && text[..*at].ends_with("HTTP/1.")) || text[*at..].starts_with(' ')
            };
            assert!(accepted.iter().all(means_the_same), "accepted: {harmless:?}");
        }
    });
}

#[test]
fn claims_that_could_be_read_twice() {
    with_server(options(), |server| async move {
        let text = signed(&server, &Asked::default());
        let mismatch = "InvalidSignatureException";
        let spoilt = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replacen(from, to, 1)
        };
        refused(&server, &spoilt("host: localhost", "host:  otherhost"), mismatch).await;
        refused(&server, &spoilt("\r\n\r\n", "\r\nX-Amz-Date: 20150830T123600Z\r\n\r\n"), mismatch).await;
        refused(&server, &spoilt("\r\n\r\n", "\r\nAuthorization: AWS4-HMAC-SHA256 a=b\r\n\r\n"), mismatch)
            .await;
        refused(&server, &spoilt("\r\n\r\n", "\r\nX-Amz-Security-Token: t\r\n\r\n"), "x-amz-security-token")
            .await;
        refused(
            &server,
            &spoilt("\r\n\r\n", "\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n\r\n"),
            "x-amz-content-sha256",
        )
        .await;
        refused(&server, &spoilt("POST / ", "POST /?a=b "), mismatch).await;
        refused(&server, &spoilt("POST / ", "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256 "), "Found both").await;
        refused(
            &server,
            &spoilt(
                "x-amz-target: DynamoDB_20120810.ListTables",
                "x-amz-target: DynamoDB_20120810.DescribeLimits",
            ),
            mismatch,
        )
        .await;
        refused(&server, &spoilt("Signature=", "Signature=0"), mismatch).await;
        refused(&server, &spoilt("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 "), "Unsupported AWS 'algorithm'")
            .await;
        // Headers that are not signed may be added by whoever is between.
        assert_eq!(
            send(&server, &spoilt("\r\n\r\n", "\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")).await.status,
            200
        );
        assert_eq!(send(&server, &spoilt("host: localhost", "HOST:    localhost")).await.status, 200);
    });
}

#[test]
fn a_signature_is_of_the_body_however_it_is_sent() {
    with_server(options(), |server| async move {
        let text = signed(&server, &Asked { body: r#"{"Limit":7}"#, ..Asked::default() });
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let signs_size = head.contains("SignedHeaders=content-length");
        assert!(!signs_size || head.contains("content-length: 11"));
        // Without the size among the signed headers the body may come in chunks.
        let head = head.replace("content-length: 11", "transfer-encoding: chunked");
        let chunked = format!("{head}\r\n\r\n4\r\n{}\r\n7\r\n{}\r\n0\r\n\r\n", &body[..4], &body[4..]);
        let status = send(&server, &chunked).await.status;
        assert_eq!(status, if signs_size { 400 } else { 200 });
        let both = text.replace("content-length: 11", "content-length: 11\r\ntransfer-encoding: chunked");
        assert_eq!(
            send(&server, &both).await.header("Connection"),
            Some("close"),
            "never read as two requests"
        );
    });
}

/// The signature is of the packed bytes, and nothing is unpacked for whom it does not fit.
#[test]
fn a_signature_is_of_the_body_as_it_came() {
    with_server(options(), |server| async move {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(b"{}").expect("a Vec takes every byte");
        let packed = encoder.finish().expect("a Vec takes every byte");
        let head = signed_head(&server, &Asked::default(), &packed, Some("gzip"));
        let whole = [head.as_bytes(), &packed].concat();
        assert_eq!(send_bytes(&server, &whole).await.expect("an answer").body, r#"{"TableNames":[]}"#);
        let rubbish = vec![0; packed.len()];
        let spoilt = send_bytes(&server, &[head.as_bytes(), &rubbish].concat()).await.expect("an answer");
        assert!(told(&spoilt).starts_with("InvalidSignatureException"), "{spoilt:?}");
        let of_plain = signed_head(&server, &Asked::default(), b"{}", Some("gzip"));
        let of_plain = of_plain.replace("content-length: 2", &format!("content-length: {}", packed.len()));
        let refused = send_bytes(&server, &[of_plain.as_bytes(), &packed].concat()).await.expect("an answer");
        assert!(told(&refused).starts_with("InvalidSignatureException"), "{refused:?}");
    });
}

#[test]
fn a_user_may_do_what_its_entry_names() {
    with_server(options(), |server| async move {
        let created = send(
            &server,
            &signed(&server, &Asked { operation: "CreateTable", body: CREATE, ..Asked::default() }),
        )
        .await;
        assert_eq!(created.status, 200, "{created:?}");
        let reader =
            Asked { key: "TORCREADERREADERREAD", secret: "reader-secret-reader-secret", ..Asked::default() };
        let ask = |operation, body| signed(&server, &Asked { operation, body, ..reader.clone() });
        let get = ask("GetItem", r#"{"TableName":"orders","Key":{"p":{"S":"a"}}}"#);
        assert_eq!(send(&server, &get).await.status, 200);
        let put = ask("PutItem", r#"{"TableName":"orders","Item":{"p":{"S":"a"}}}"#);
        assert_eq!(
            told(&send(&server, &put).await),
            "AccessDeniedException: User: arn:aws:iam::000000000000:user/reader is not authorized to perform: \
             dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/orders because no \
             identity-based policy allows the dynamodb:PutItem action"
        );
        let other = ask("GetItem", r#"{"TableName":"secrets","Key":{"p":{"S":"a"}}}"#);
        refused(&server, &other, "AccessDeniedException").await;
        refused(&server, &ask("ListTables", "{}"), "dynamodb:ListTables on resource").await;
        let batch = r#"{"RequestItems":{"orders":{"Keys":[{"p":{"S":"a"}}]}}}"#;
        refused(&server, &ask("BatchGetItem", batch), "dynamodb:BatchGetItem").await;
        refused(&server, &ask("PutItem", "{}"), "ValidationException").await;
        refused(&server, &ask("DeleteTable", r#"{"TableName":"orders"}"#), "AccessDeniedException").await;
        let after = send(&server, &signed(&server, &Asked::default())).await;
        assert_eq!(after.body, r#"{"TableNames":["orders"]}"#, "nothing was deleted");
    });
}

#[test]
fn users_may_change_while_it_runs() {
    with_server(options(), |server| async move {
        let text = signed(&server, &Asked::default());
        let client = Client::connect(&server).await;
        client.send(text.as_bytes()).await;
        assert_eq!(client.response(true).await.expect("an answer").status, 200);
        let router = server.router.borrow().clone().expect("started");
        let changed = user("root", KEY, "a-new-secret-a-new-secret", &["*"], &["*"]);
        router.set_users(Arc::new(Users::new(vec![changed]).expect("it can be")));
        client.send(text.as_bytes()).await;
        let old = client.response(true).await.expect("an answer");
        assert!(
            told(&old).starts_with("InvalidSignatureException"),
            "a key that was derived is forgotten, too"
        );
        let new = signed(&server, &Asked { secret: "a-new-secret-a-new-secret", ..Asked::default() });
        assert_eq!(send(&server, &new).await.status, 200);
        router.set_users(Arc::new(Users::default()));
        refused(&server, &new, "UnrecognizedClientException").await;
        let bare = Client::connect(&server).await.call("ListTables", "{}").await;
        assert!(told(&bare).starts_with("MissingAuthenticationToken"), "an empty list lets nobody in");
    });
}

#[test]
fn a_bad_signature_does_not_spoil_a_good_one() {
    with_server(options(), |server| async move {
        let good = signed(&server, &Asked::default());
        let bad = signed(&server, &Asked { secret: "another-secret", ..Asked::default() });
        for _ in 0..3 {
            assert_eq!(send(&server, &bad).await.status, 400);
            assert_eq!(send(&server, &good).await.status, 200);
        }
    });
}

/// Random changes of signed requests: no panic, no answer that was not signed for.
#[test]
fn mutated_claims_are_survived() {
    with_server(options(), |server| async move {
        let mut seed = 7u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).expect("31 bits") % below
        };
        for round in 0..300 {
            let location =
                if round % 2 == 0 { SignatureLocation::Headers } else { SignatureLocation::QueryParams };
            let mut bytes = signed(&server, &Asked { location, ..Asked::default() }).into_bytes();
            for _ in 0..=random(6) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = u8::try_from(random(256)).expect("a byte"),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"%&=;,/ :Z\xff"[random(10)]),
                }
            }
            let client = Client::connect(&server).await;
            client.send(&bytes).await;
            client.finish().await;
            if let Some(response) = client.response(true).await {
                let harmless = response.status != 200 || response.body == r#"{"TableNames":[]}"#;
                assert!(harmless, "{}\n{response:?}", String::from_utf8_lossy(&bytes));
            }
        }
        assert_eq!(
            send(&server, &signed(&server, &Asked::default())).await.status,
            200,
            "others are not disturbed"
        );
    });
}
