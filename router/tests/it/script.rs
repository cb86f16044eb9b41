//! Dialogues: a call, and what it is answered.
//!
//! ```text
//! # A comment.
//! GetItem {"TableName": "t",
//!   "Key": {...}}
//! => {"Item": {...}}
//! GetItem {}
//! => ValidationException: 2 validation errors detected: ...
//! ```
//!
//! A body goes on over the lines up to `=>`; nothing behind it is an answer without a body. An answer with an item behind an exception is `Name: message | {...}`.

use router::RouterOptions;

use crate::world::{Client, Response, with_server};

/// Plays a script against a fresh server; every difference is told at the end.
pub fn play(script: &'static str) {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let mut wrong = Vec::new();
        let dialogues = dialogues(script);
        assert!(!dialogues.is_empty(), "a script has dialogues");
        for (line, call, expected) in dialogues {
            let (operation, body) = call.split_once(' ').unwrap_or((&call, ""));
            let answer = shown(&client.call(operation, body).await);
            if answer != expected {
                wrong.push(format!("line {line}: {call}\nexpected {expected}\n     got {answer}\n"));
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    });
}

/// Line number, call and expected answer of each.
fn dialogues(script: &str) -> Vec<(usize, String, String)> {
    let (mut dialogues, mut call, mut start) = (Vec::new(), String::new(), 0);
    for (index, line) in script.lines().enumerate() {
        match line.strip_prefix("=> ") {
            _ if line.starts_with('#') || line.trim().is_empty() => (),
            Some(expected) => dialogues.push((start, std::mem::take(&mut call), expected.to_owned())),
            None => {
                if call.is_empty() {
                    start = index + 1;
                }
                call.push_str(if call.is_empty() { "" } else { "\n" });
                call.push_str(line);
            }
        }
    }
    assert!(call.is_empty(), "a call without an answer: {call}");
    dialogues
}

fn shown(response: &Response) -> String {
    let body = &response.body;
    if response.status == 200 {
        return body.clone();
    }
    assert!(response.header("Content-Type") == Some("application/x-amz-json-1.0"), "{response:?}");
    let json: serde_json::Value = serde_json::from_str(body).expect("answers are JSON");
    let kind = json["__type"].as_str().expect("errors have a type");
    let name = kind.split_once('#').expect("types have a namespace").1;
    let message = json["message"].as_str().or(json["Message"].as_str()).unwrap_or("");
    match json.get("Item") {
        Some(item) => format!("{name}: {message} | {item}"),
        None => format!("{name}: {message}"),
    }
}
