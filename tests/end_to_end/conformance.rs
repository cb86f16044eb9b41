//! DynamoDB's behaviour, case by case (`tests/cases`), against the real process.

use cases::http::{Client, Endpoint};
use cases::run::{Options, run};
use cases::script;

use crate::server::Server;

/// Cases that there are at least: fewer, and some have been lost.
const CASES_MIN: usize = 2_000;

fn client(server: &Server) -> Client {
    let endpoint = Endpoint::parse(&format!("http://{}", server.address())).unwrap();
    Client::new(endpoint, None)
}

#[test]
fn every_case_is_answered_as_dynamodb_answers_it() {
    let server = Server::start();
    let scripts = script::all().unwrap();
    let report = run(&mut client(&server), &scripts, &Options::default()).unwrap();
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(
        failures.is_empty(),
        "{} passed, {} not:\n\n{}",
        report.passed,
        failures.len(),
        failures.join("\n\n")
    );
    assert!(report.passed >= CASES_MIN, "only {} cases are left", report.passed);
    server.stop();
}

/// The runner's canary: it must tell every kind of wrong expectation.
#[test]
fn a_wrong_expectation_fails() {
    let wrong = "\
        let key \"p\":{\"S\":\"$id\"}\n\
        case right\n\
        given PutItem {\"TableName\":\"$hash\",\"Item\":{$key,\"n\":{\"N\":\"1\"}}}\n\
        GetItem {\"TableName\":\"$hash\",\"Key\":{$key},\"ConsistentRead\":true}\n\
        => {\"Item\":{$key,\"n\":{\"N\":\"1\"}}}\n\
        case another value\n\
        given PutItem {\"TableName\":\"$hash\",\"Item\":{$key,\"n\":{\"N\":\"1\"}}}\n\
        GetItem {\"TableName\":\"$hash\",\"Key\":{$key},\"ConsistentRead\":true}\n\
        => {\"Item\":{$key,\"n\":{\"N\":\"2\"}}}\n\
        case another exception\n\
        GetItem {\"TableName\":\"$hash\",\"Key\":{}}\n\
        => ResourceNotFoundException: The provided key element does not match the schema\n\
        case another message\n\
        GetItem {\"TableName\":\"$hash\",\"Key\":{}}\n\
        => ValidationException: The provided key element matches the schema\n\
        case an exception instead of success\n\
        GetItem {\"TableName\":\"$hash\",\"Key\":{}}\n\
        => {}\n\
        case success instead of an exception\n\
        GetItem {\"TableName\":\"$hash\",\"Key\":{$key}}\n\
        => ValidationException: The provided key element does not match the schema\n\
        case what is given does not work\n\
        given GetItem {\"TableName\":\"$hash\",\"Key\":{}}\n\
        case another status\n\
        http GET /nowhere\n\
        => http 200 $any\n";
    let server = Server::start();
    let script = script::parse("wrong", wrong).unwrap();
    let report = run(&mut client(&server), &[script], &Options::default()).unwrap();
    assert_eq!((report.passed, report.failures.len()), (1, 7), "{:#?}", report.failures);
    let shown = report.failures[0].to_string();
    for part in ["wrong.cases:8: another value", "expected {", "got 200", "$.Item.n.N is \"1\", not \"2\""] {
        assert!(shown.contains(part), "{shown}");
    }
}
