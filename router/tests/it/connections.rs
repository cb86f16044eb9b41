//! Connections: what is asked by URL, deadlines, bounds, retries, and the end.

use std::time::Duration;

use router::{RouterOptions, ServerOptions};
use runtime::Runtime;

use crate::world::{Client, Server, request, with_server};

const TABLE: &str = r#"{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;

async fn ask(server: &Server, bytes: &str) -> (u16, String) {
    let client = Client::connect(server).await;
    client.send(bytes.as_bytes()).await;
    let response = client.response(!bytes.starts_with("HEAD")).await.expect("an answer");
    (response.status, response.body)
}

#[test]
fn urls() {
    with_server(RouterOptions::default(), |server| async move {
        let nothing = (404, "<UnknownOperationException/>\n".to_owned());
        for (bytes, expected) in [
            (
                "GET / HTTP/1.1\r\nHost: db:8000\r\n\r\n",
                (200, "healthy: dynamodb.us-east-1.amazonaws.com ".to_owned()),
            ),
            ("GET /?x HTTP/1.0\r\n\r\n", (200, "healthy: dynamodb.us-east-1.amazonaws.com ".to_owned())),
            ("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", (200, String::new())),
            ("GET /other HTTP/1.1\r\nHost: h\r\n\r\n", nothing.clone()),
            ("PUT / HTTP/1.1\r\nHost: h\r\n\r\n", nothing.clone()),
            (
                "POST /x HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\r\n",
                nothing.clone(),
            ),
            ("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n", nothing.clone()),
            ("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", nothing.clone()),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}",
                nothing.clone(),
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\r\n{}",
                nothing.clone(),
            ),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", nothing),
            (
                "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
                (400, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#.to_owned()),
            ),
        ] {
            assert_eq!(ask(&server, bytes).await, expected, "{bytes}");
        }
    });
}

#[test]
fn browsers_may_ask() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        client
            .send(
                b"OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: http://o\r\nAccess-Control-Request-Method: POST\r\n\
                  Access-Control-Request-Headers: x-amz-target\r\n\r\n",
            )
            .await;
        let response = client.response(true).await.expect("an answer");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(response.header("Access-Control-Allow-Methods"), Some("POST"));
        assert_eq!(response.header("Access-Control-Allow-Headers"), Some("x-amz-target"));
        assert_eq!(response.header("Access-Control-Max-Age"), Some("172800"));
        assert_eq!(response.header("Access-Control-Expose-Headers"), None);
        assert_eq!(response.header("Content-Length"), Some("0"));
    });
}

#[test]
fn an_answer_to_a_browser_may_be_read_by_it() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let call = String::from_utf8(request("ListTables", "{}")).expect("text");
        client.send(call.replace("Host:", "Origin: http://o\r\nHost:").as_bytes()).await;
        let response = client.response(true).await.expect("an answer");
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(
            response.header("Access-Control-Expose-Headers"),
            Some("x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date")
        );
        assert_eq!(response.header("Access-Control-Max-Age"), None);
        let plain = client.call("ListTables", "{}").await;
        assert!(!plain.head.contains("Access-Control"), "who does not ask is not told");
    });
}

#[test]
fn notations() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        for (asked, answered) in [
            ("application/x-amz-json-1.0", "application/x-amz-json-1.0"),
            ("Application/X-Amz-Json-1.0; charset=utf-8", "application/x-amz-json-1.0"),
            ("application/json", "application/json"),
        ] {
            for operation in ["ListTables", "Nonsense"] {
                let call = String::from_utf8(request(operation, "{}")).expect("text");
                client.send(call.replace("application/x-amz-json-1.0", asked).as_bytes()).await;
                let response = client.response(true).await.expect("an answer");
                assert_eq!(response.header("Content-Type"), Some(answered), "{operation} in {asked}");
            }
        }
    });
}

#[test]
fn every_answer_names_itself() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let (first, second) = (client.call("ListTables", "{}").await, client.call("Nonsense", "").await);
        for response in [&first, &second] {
            let id = response.header("x-amzn-RequestId").expect("an id");
            assert!(
                id.len() == 52 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
            );
            assert_eq!(response.header("Connection"), Some("keep-alive"));
            assert!(response.header("Date").is_some_and(|date| date.ends_with(" GMT")));
        }
        assert_ne!(first.header("x-amzn-RequestId"), second.header("x-amzn-RequestId"));
    });
}

#[test]
fn requests_may_be_pipelined_and_chunked() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let chunked = "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.DescribeTable\r\n\
                       Content-Type: application/x-amz-json-1.0\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"TableNa\r\nA\r\nme\":\"abc\"}\r\n0\r\n\r\n";
        let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let all =
            [request("ListTables", "{}"), chunked.as_bytes().to_vec(), last.as_bytes().to_vec()].concat();
        client.send(&all).await;
        assert_eq!(client.response(true).await.expect("an answer").body, r#"{"TableNames":[]}"#);
        let body = client.response(true).await.expect("an answer").body;
        assert!(body.contains("Table: abc not found"), "{body}");
        let last = client.response(true).await.expect("an answer");
        assert_eq!((last.status, last.header("Connection")), (200, Some("close")));
        assert!(client.is_closed().await);
    });
}

#[test]
fn a_client_may_wait_for_the_word_to_go_on() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let whole = String::from_utf8(request("ListTables", "{}")).expect("text");
        let head = whole.replace("\r\n\r\n{}", "\r\nExpect: 100-continue\r\n\r\n");
        client.send(head.as_bytes()).await;
        assert_eq!(client.response(false).await.expect("the word").status, 100);
        client.send(b"{}").await;
        assert_eq!(client.response(true).await.expect("an answer").body, r#"{"TableNames":[]}"#);
    });
}

#[test]
fn refused_requests_are_answered_and_the_connection_closed() {
    with_server(RouterOptions::default(), |server| async move {
        for (bytes, status) in [
            ("GET / HTTP/1.1\nHost: h\n\n".to_owned(), 400),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    .to_owned(),
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx".to_owned(),
                415,
            ),
            ("GET / HTTP/1.1\r\nHost: h\r\n folded: 1\r\n\r\n".to_owned(), 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n".to_owned(), 417),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), 501),
            ("GET / HTTP/3.0\r\nHost: h\r\n\r\n".to_owned(), 505),
            (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(64)), 431),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 16777217\r\n\r\n".to_owned(), 413),
            (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "y".repeat(16 << 10)), 431),
        ] {
            let client = Client::connect(&server).await;
            client.send(bytes.as_bytes()).await;
            let response = client.response(true).await.expect("an answer");
            assert_eq!(response.status, status, "{bytes}");
            assert_eq!(response.header("Connection"), Some("close"));
            assert!(response.header("x-amzn-RequestId").is_some_and(|id| id.len() == 52));
            if status == 413 {
                assert!(response.body.contains("#RequestEntityTooLargeException"), "{}", response.body);
            }
            assert!(client.is_closed().await, "{bytes}");
        }
        assert_eq!(
            ask(&server, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.0,
            200,
            "others are not disturbed"
        );
    });
}

#[test]
fn slow_clients_are_told_and_idle_ones_are_not() {
    with_server(RouterOptions::default(), |server| async move {
        let start = server.rt.now();
        let (slow, stuck) = (Client::connect(&server).await, Client::connect(&server).await);
        let idle = Client::connect(&server).await;
        slow.send(b"POST / HT").await;
        stuck.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{").await;
        assert_eq!(slow.response(true).await.expect("an answer").status, 408);
        let waited = server.rt.now().since(start);
        assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(14), "{waited:?}");
        assert_eq!(stuck.response(true).await.expect("an answer").status, 408);
        assert!(idle.is_closed().await);
        let waited = server.rt.now().since(start);
        assert!(waited >= Duration::from_secs(60) && waited < Duration::from_secs(64), "{waited:?}");
    });
}

#[test]
fn connections_are_bounded() {
    let server = ServerOptions { connections_max: 2, ..ServerOptions::default() };
    with_server(RouterOptions { server, ..RouterOptions::default() }, |server| async move {
        let (first, second) = (Client::connect(&server).await, Client::connect(&server).await);
        first.call("ListTables", "{}").await;
        second.call("ListTables", "{}").await;
        assert!(Client::connect(&server).await.is_closed().await);
        drop(first);
        server.rt.sleep(Duration::from_secs(1)).await;
        Client::connect(&server).await.call("ListTables", "{}").await;
        second.call("ListTables", "{}").await;
    });
}

#[test]
fn memory_for_bodies_is_bounded() {
    let server = ServerOptions { body_bytes_max: 3 << 20, ..ServerOptions::default() };
    with_server(RouterOptions { server, ..RouterOptions::default() }, |server| async move {
        let head = |size: usize| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n");
        let holder = Client::connect(&server).await;
        holder.send(head(2 << 20).as_bytes()).await;
        server.rt.sleep(Duration::from_millis(100)).await;
        let refused = Client::connect(&server).await;
        refused.send(head(2 << 20).as_bytes()).await;
        let response = refused.response(true).await.expect("an answer");
        assert_eq!(response.status, 503);
        assert!(response.body.contains("#ServiceUnavailableException"), "{}", response.body);
        let small = Client::connect(&server).await;
        assert_eq!(small.call("ListTables", "{}").await.status, 200, "small ones need none of it");
        drop(holder);
        server.rt.sleep(Duration::from_secs(1)).await;
        let later = Client::connect(&server).await;
        let body = format!("{}{{}}", " ".repeat(2 << 20));
        for _ in 0..3 {
            assert_eq!(later.call("ListTables", &body).await.status, 200, "memory is given back");
        }
    });
}

/// A client that asks and asks and takes no answer holds one connection for a minute, and no more than that.
#[test]
fn a_client_that_does_not_read_is_cut_off() {
    with_server(RouterOptions::default(), |server| async move {
        let name = "a".repeat(50_000);
        let call = request("PutItem", &format!(r#"{{"TableName":"{name}"}}"#));
        let deaf = Client::connect(&server).await;
        let start = server.rt.now();
        let mut sent = 0;
        while deaf.try_send(&call, Duration::from_secs(100)).await {
            sent += call.len();
            assert!(sent < 100 << 20, "it is not read for ever");
        }
        let waited = server.rt.now().since(start);
        assert!(waited >= Duration::from_secs(55) && waited < Duration::from_secs(101), "{waited:?}");
        assert_eq!(Client::connect(&server).await.call("ListTables", "{}").await.status, 200);
    });
}

#[test]
fn a_half_closed_client_is_answered() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        client.send(&[request("ListTables", "{}"), request("ListTables", "{}")].concat()).await;
        client.finish().await;
        assert_eq!(client.response(true).await.expect("an answer").status, 200);
        assert_eq!(client.response(true).await.expect("an answer").status, 200);
        assert!(client.is_closed().await);
    });
}

#[test]
fn thousands_of_connections_are_served_and_one_more_is_not() {
    let options = ServerOptions { connections_max: 3_000, ..ServerOptions::default() };
    with_server(RouterOptions { server: options, ..RouterOptions::default() }, |server| async move {
        let mut clients = Vec::new();
        for _ in 0..3_000 {
            clients.push(Client::connect(&server).await);
        }
        for client in &clients {
            client.send(&request("ListTables", "{}")).await;
        }
        for client in &clients {
            assert_eq!(client.response(true).await.expect("an answer").status, 200);
        }
        assert!(Client::connect(&server).await.is_closed().await);
        assert_eq!(clients[0].call("ListTables", "{}").await.status, 200, "the others are not disturbed");
    });
}

#[test]
fn stopping_lets_requests_end() {
    with_server(RouterOptions::default(), |server| async move {
        let (idle, busy) = (Client::connect(&server).await, Client::connect(&server).await);
        idle.call("ListTables", "{}").await;
        let whole = request("ListTables", "{}");
        busy.send(&whole[..whole.len() - 1]).await;
        server.rt.sleep(Duration::from_millis(100)).await;
        server.router.borrow().as_ref().expect("started").stop();
        assert!(idle.is_closed().await);
        assert!(!server.served.get(), "a request is under way");
        busy.send(&whole[whole.len() - 1..]).await;
        let response = busy.response(true).await.expect("an answer");
        assert_eq!((response.status, response.header("Connection")), (200, Some("close")));
        server.rt.sleep(Duration::from_secs(1)).await;
        assert!(server.served.get());
    });
}

#[test]
fn stopping_does_not_wait_forever() {
    with_server(RouterOptions::default(), |server| async move {
        let stuck = Client::connect(&server).await;
        stuck.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n{").await;
        server.rt.sleep(Duration::from_millis(100)).await;
        server.router.borrow().as_ref().expect("started").stop();
        server.rt.sleep(Duration::from_secs(11)).await;
        assert!(server.served.get());
        assert!(stuck.is_closed().await);
    });
}

#[test]
fn what_had_no_effect_is_tried_again() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        assert_eq!(client.call("CreateTable", TABLE).await.status, 200);
        for (operation, body) in [
            ("PutItem", r#"{"TableName":"ttt","Item":{"p":{"S":"a"}}}"#),
            ("GetItem", r#"{"TableName":"ttt","Key":{"p":{"S":"a"}}}"#),
            ("Scan", r#"{"TableName":"ttt"}"#),
            ("BatchGetItem", r#"{"RequestItems":{"ttt":{"Keys":[{"p":{"S":"a"}}]}}}"#),
            ("UpdateTable", r#"{"TableName":"ttt","DeletionProtectionEnabled":true}"#),
        ] {
            server.store.busy.set(2);
            server.store.moved.set(2);
            let response = client.call(operation, body).await;
            assert_eq!(response.status, 200, "{operation}: {}", response.body);
            assert_eq!((server.store.busy.get(), server.store.moved.get()), (0, 0), "{operation}");
        }
    });
}

#[test]
fn a_shard_that_stays_busy_is_told_in_time() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        client.call("CreateTable", TABLE).await;
        server.store.busy.set(u32::MAX);
        let start = server.rt.now();
        for (operation, body) in [
            ("PutItem", r#"{"TableName":"ttt","Item":{"p":{"S":"a"}}}"#),
            ("BatchWriteItem", r#"{"RequestItems":{"ttt":[{"PutRequest":{"Item":{"p":{"S":"a"}}}}]}}"#),
        ] {
            let response = client.call(operation, body).await;
            assert!(response.body.contains("#ThrottlingException"), "{operation}: {}", response.body);
        }
        assert!(server.rt.now().since(start) <= Duration::from_secs(11));
    });
}
