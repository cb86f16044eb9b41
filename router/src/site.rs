//! What is asked by URL: the API is `POST /`; beside it there are a health text, CORS, the list of live nodes, and nothing else.
//!
//! `GET /localnodes` is what clients of ScyllaDB's Alternator ask to spread their calls over nodes: the hosts that serve HTTP, as a JSON list; `?rack=`
//! takes those of one zone, `?dc=` those of one region. A node is on the list when it has just answered this router.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use model::node::NodeState;
use model::ring::{NodeId, Place, ShardId};
use net::message::{Measure, Operation, Request as Question};
use runtime::sync::join_all;
use runtime::{Mono, Runtime};

use crate::Router;
use crate::http::head::{Method, Reject};
use crate::http::intake::Request;
use crate::http::response::Content;
use crate::inside::Page;
use crate::json::writer;
use crate::route::Said;
use model::error::Code;

/// What DynamoDB says where there is nothing.
const NOTHING_HERE: &[u8] = b"<UnknownOperationException/>\n";

/// Before the first map has come.
const NO_MAP: &[u8] = b"waiting for the cluster's map: no node of it has answered yet\n";

/// A node that answers within this is alive.
const SIGN_OF_LIFE_MAX: Duration = Duration::from_millis(300);

/// For so long nobody is asked again.
const LIVING_KEPT: Duration = Duration::from_secs(1);

/// Nodes that answered, and when that was.
#[derive(Debug, Default)]
pub(crate) struct Living {
    last: RefCell<Option<(Mono, BTreeSet<NodeId>)>>,
}

/// How a response's head differs from the next one's.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) without_body: bool,
    pub(crate) more: Vec<u8>,
}

/// Answers one request; the body is appended to `out`.
pub(crate) async fn answer<R: Runtime>(
    router: &Router<R>,
    request: &Request<'_>,
    out: &mut Vec<u8>,
) -> Reply {
    let (status, content) = match (request.method(), request.path()) {
        (Method::Options, _) if request.has_origin() => (200, Content::Empty),
        (Method::Post, b"/") if takes_json(request) => {
            (router.answer(request, out).await, content_of_answer(request))
        }
        (Method::Get | Method::Head, b"/localnodes") => {
            write_nodes(router, request, out).await;
            (200, Content::PlainJson)
        }
        (Method::Get | Method::Head, b"/") if !router.has_map() => {
            out.extend_from_slice(NO_MAP);
            (503, Content::Text)
        }
        (Method::Get | Method::Head, b"/") => {
            out.extend_from_slice(b"healthy: dynamodb.");
            out.extend_from_slice(router.options.region.as_bytes());
            out.extend_from_slice(b".amazonaws.com ");
            (200, Content::Text)
        }
        _ => {
            out.extend_from_slice(NOTHING_HERE);
            (404, Content::Text)
        }
    };
    Reply { status, content, without_body: request.method() == Method::Head, more: cors(request) }
}

/// A page about this process.
pub(crate) fn tell(told: Vec<u8>, page: Page, request: &Request<'_>, out: &mut Vec<u8>) -> Reply {
    out.extend_from_slice(&told);
    let content = match page {
        Page::Metrics => Content::Figures,
        Page::Slow => Content::PlainJson,
    };
    Reply { status: 200, content, without_body: request.method() == Method::Head, more: Vec::new() }
}

/// Where nothing is.
pub(crate) fn nothing(out: &mut Vec<u8>) -> Reply {
    out.extend_from_slice(NOTHING_HERE);
    Reply { status: 404, content: Content::Text, without_body: false, more: Vec::new() }
}

/// The hosts of the nodes that serve HTTP and answer, each once, in the order of the nodes.
async fn write_nodes<R: Runtime>(router: &Router<R>, request: &Request<'_>, out: &mut Vec<u8>) {
    let (zone, region) = (query_value(request, "rack"), query_value(request, "dc"));
    let mut hosts: Vec<String> = Vec::new();
    if region.is_none_or(|region| region == router.options.region) {
        let map = router.map();
        let living = if !router.has_map() { BTreeSet::new() } else { living(router).await };
        let is_wanted = |node: &model::node::Node| zone.is_none_or(|zone| zone == node.zone);
        for node in map.nodes.values().filter(|node| living.contains(&node.number) && is_wanted(node)) {
            let host = node.http.map(|http| http.ip().to_string());
            hosts.extend(host.filter(|host| !hosts.contains(host)));
        }
        if map.nodes.is_empty() && router.has_map() && zone.is_none() {
            // One that is alone is reached as it was reached now.
            hosts.push(host_of(request.host().unwrap_or("localhost")).to_owned());
        }
    }
    out.push(b'[');
    for (index, host) in hosts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        writer::string(out, host);
    }
    out.push(b']');
}

/// The nodes that answer; asked at most once in a while.
async fn living<R: Runtime>(router: &Router<R>) -> BTreeSet<NodeId> {
    let now = router.rt.now();
    if let Some((when, nodes)) = &*router.living.last.borrow()
        && now.since(*when) < LIVING_KEPT
    {
        return nodes.clone();
    }
    let map = router.map();
    let serving = map.nodes.values().filter(|node| node.state != NodeState::Removed && node.http.is_some());
    let numbers: Vec<NodeId> = serving.map(|node| node.number).collect();
    // A question about no table: whatever the answer is, it is one.
    let question =
        Question { epoch: map.ring.epoch, operation: Operation::Measure(Measure { table: u32::MAX }) };
    let deadline = now.after(SIGN_OF_LIFE_MAX);
    let ask = |node: &NodeId| router.call(Place { node: *node, shard: ShardId(0) }, deadline, &question);
    let answers = join_all(numbers.iter().map(ask)).await;
    let is_alive = |said: &Said| !matches!(said, Said::Absent | Said::Silent);
    let alive = numbers.into_iter().zip(&answers).filter(|(_, said)| is_alive(said));
    let alive: BTreeSet<NodeId> = alive.map(|(node, _)| node).collect();
    *router.living.last.borrow_mut() = Some((now, alive.clone()));
    alive
}

/// A value of the query, as it stands there: names of zones and regions need no escapes.
fn query_value<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let query = std::str::from_utf8(request.query()).ok()?;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// Without the port.
fn host_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What is said to a request that was refused before it was whole.
pub(crate) fn refusal(reject: Reject, out: &mut Vec<u8>) -> Content {
    let code = match reject.status {
        413 => Code::RequestEntityTooLarge,
        503 => Code::ServiceUnavailable,
        _ => {
            out.extend_from_slice(reject.why.as_bytes());
            out.push(b'\n');
            return Content::Text;
        }
    };
    out.extend_from_slice(b"{\"__type\":\"");
    out.extend_from_slice(code.prefix().as_bytes());
    out.extend_from_slice(code.name().as_bytes());
    out.extend_from_slice(b"\",\"message\":");
    writer::string(out, reject.why);
    out.push(b'}');
    Content::Json
}

/// The notation of the API.
const AMZ_JSON: &str = "application/x-amz-json-1.0";

/// DynamoDB reads bodies in no other notation. Where there is no body, none is asked for.
fn takes_json(request: &Request<'_>) -> bool {
    let kind = kind_of(request);
    request.body.is_empty()
        || kind.eq_ignore_ascii_case(AMZ_JSON)
        || kind.eq_ignore_ascii_case("application/json")
}

/// Whoever asks in the API's notation is answered in it.
fn content_of_answer(request: &Request<'_>) -> Content {
    if kind_of(request).eq_ignore_ascii_case(AMZ_JSON) { Content::Json } else { Content::PlainJson }
}

/// `Content-Type` without its parameters.
fn kind_of<'a>(request: &Request<'a>) -> &'a str {
    let given = request.content_type().unwrap_or("");
    if given == AMZ_JSON {
        return given;
    }
    given.split(';').next().unwrap_or(given).trim()
}

/// Lines that let a browser's page from anywhere call.
fn cors(request: &Request<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    if !request.has_origin() {
        return lines;
    }
    lines.extend_from_slice(b"Access-Control-Allow-Origin: *\r\n");
    if request.method() != Method::Options {
        lines.extend_from_slice(
            b"Access-Control-Expose-Headers: x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,\
              x-amzn-ErrorMessage,Date\r\n",
        );
        return lines;
    }
    // A parsed header value holds no line end, so echoing it adds no line.
    for (name, value) in [
        ("Access-Control-Allow-Methods", request.cors_method()),
        ("Access-Control-Allow-Headers", request.cors_headers()),
    ] {
        if let Some(value) = value {
            for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                lines.extend_from_slice(part);
            }
        }
    }
    lines.extend_from_slice(b"Access-Control-Max-Age: 172800\r\n");
    lines
}
