//! What is asked by URL: the API is `POST /`; beside it there is a health text, CORS, and nothing else.

use runtime::Runtime;

use crate::Router;
use crate::http::head::{Method, Reject};
use crate::http::intake::Request;
use crate::http::response::Content;
use crate::json::writer;
use model::error::Code;

/// What DynamoDB says where there is nothing.
const NOTHING_HERE: &[u8] = b"<UnknownOperationException/>\n";

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
