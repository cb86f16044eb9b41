use std::net::SocketAddr;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use runtime::Mono;

use super::reading::{Figures, Reading, latest};
use super::view::View;
use super::{parse_interval, screen};

/// What a `torc serve` of two cores told under load; and two seconds later.
const BEFORE: &str = include_str!("tests/before.txt");
const NOW: &str = include_str!("tests/now.txt");

fn reading(port: u16, second: u64, told: Result<&str, &str>) -> Reading {
    Reading {
        at: SocketAddr::from(([127, 0, 0, 1], port)),
        when: Mono(second * 1_000_000_000),
        told: told.map(|page| Figures::read(page).unwrap()).map_err(str::to_owned),
    }
}

fn recorded() -> View {
    View::between(&[reading(9180, 10, Ok(BEFORE))], &[reading(9180, 12, Ok(NOW))])
}

/// As the terminal shows it.
fn drawn(view: &View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(view, frame.area(), frame.buffer_mut())).unwrap();
    screen::lines_of(terminal.backend().buffer())
}

/// A page of one counter.
fn counter(count: u64) -> String {
    format!(
        "# HELP torc_requests_total Requests.\n# TYPE torc_requests_total counter\n\
         torc_requests_total{{shard=\"0\",operation=\"GetItem\"}} {count}\n"
    )
}

#[test]
fn rates_are_of_one_second_and_of_all_processes() {
    let pages = [counter(100), counter(700), counter(50), counter(90)];
    let before = [reading(1, 0, Ok(&pages[0])), reading(2, 0, Ok(&pages[2]))];
    let now = [reading(1, 2, Ok(&pages[1])), reading(2, 4, Ok(&pages[3]))];
    let view = View::between(&before, &now);
    assert_eq!(view.seconds, 4.0);
    assert_eq!((view.operations[0].operation.as_str(), view.operations[0].requests), ("GetItem", 310.0));
    assert_eq!(view.processes.iter().map(|process| process.requests).collect::<Vec<_>>(), [300.0, 10.0]);
    // A process that was started anew has counted from 0.
    let view = View::between(&[reading(1, 0, Ok(&pages[1]))], &[reading(1, 1, Ok(&pages[2]))]);
    assert_eq!(view.operations[0].requests, 50.0);
    // The first look has nothing to be compared with.
    let view = View::between(&before, &before);
    assert_eq!((view.seconds, view.operations[0].requests), (0.0, 0.0));
}

#[test]
fn who_does_not_answer_is_named_and_compared_with_when_it_did() {
    let pages = [counter(100), counter(400)];
    let begin = vec![reading(1, 0, Ok(&pages[0]))];
    let silent = vec![reading(1, 1, Err("nobody answers at 127.0.0.1:1\n  what to do: look"))];
    let view = View::between(&begin, &silent);
    assert!(view.operations.is_empty());
    let lines = drawn(&view, 100, 40).join("\n");
    assert!(lines.contains("nobody answers at 127.0.0.1:1") && !lines.contains("what to do"), "{lines}");
    let view = View::between(&latest(begin, silent), &[reading(1, 3, Ok(&pages[1]))]);
    assert_eq!((view.seconds, view.operations[0].requests), (3.0, 100.0));
}

#[test]
fn percentiles_are_those_of_the_interval() {
    let histogram = |counts: [u64; 4]| {
        let [first, second, third, all] = counts;
        let sample = |le: &str, count: u64| {
            format!("torc_request_seconds_bucket{{shard=\"0\",operation=\"GetItem\",le=\"{le}\"}} {count}\n")
        };
        let buckets = [("0.001", first), ("0.002", second), ("0.004", third), ("+Inf", all)]
            .map(|(le, count)| sample(le, count));
        counter(all)
            + "# HELP torc_request_seconds Times.\n# TYPE torc_request_seconds histogram\n"
            + &buckets.concat()
            + "torc_request_seconds_sum{shard=\"0\",operation=\"GetItem\"} 1\n"
            + &format!("torc_request_seconds_count{{shard=\"0\",operation=\"GetItem\"}} {all}\n")
    };
    // What was before is out of it: 1,000 of the longest.
    let pages = [histogram([0, 0, 0, 1000]), histogram([100, 199, 200, 1200])];
    let view = View::between(&[reading(1, 0, Ok(&pages[0]))], &[reading(1, 1, Ok(&pages[1]))]);
    let done = &view.operations[0];
    // 98 of the 99 requests of the second bucket, as if they were spread evenly.
    let expected = [(done.p50_us, 1000.0), (done.p99_us, 1000.0 + 1000.0 * 98.0 / 99.0)];
    assert!(expected.iter().all(|(is, wanted)| (is.unwrap() - wanted).abs() < 1e-6), "{done:?}");
    let view = View::between(&[reading(1, 0, Ok(&pages[0]))], &[reading(1, 1, Ok(&pages[0]))]);
    assert_eq!((view.operations[0].p50_us, view.operations[0].p999_us), (None, None));
}

#[test]
fn a_recorded_load_is_drawn() {
    let view = recorded();
    let requests: Vec<(&str, f64)> =
        view.operations.iter().map(|done| (done.operation.as_str(), done.requests)).collect();
    assert_eq!(requests, [("GetItem", 1771.0), ("PutItem", 843.5), ("Other", 0.0)]);
    assert_eq!(view.errors.iter().collect::<Vec<_>>(), [(&"ResourceNotFoundException".to_owned(), &84.5)]);
    let durable = view.operations[1].stages_us["durable"];
    assert!((durable - 1_766_215.765 / 1687.0).abs() < 1e-3, "{durable}");
    let lines = drawn(&view, 120, 60);
    let has = |text: &str| {
        assert!(lines.iter().any(|line| line.contains(text)), "no {text} in\n{}", lines.join("\n"))
    };
    for title in
        ["processes", "operations", "where the time of a request goes", "shards", "hottest vnodes", "storage"]
    {
        has(title);
    }
    for text in ["127.0.0.1:9180", "GetItem", "PutItem", "durable", "p99.9", "compaction", "memory", "space"]
    {
        has(text);
    }
    // What is printed once is the same, and nothing below it.
    let text = screen::text(&view);
    let printed: Vec<&str> = text.lines().collect();
    assert_eq!(printed, lines[..printed.len()]);
    assert!(lines[printed.len()..].iter().all(String::is_empty));
}

#[test]
fn a_small_terminal_shows_what_fits() {
    for (width, height) in [(1, 1), (20, 5), (80, 24)] {
        assert_eq!(drawn(&recorded(), width, height).len(), usize::from(height));
    }
    assert!(drawn(&recorded(), 80, 24)[0].starts_with("torc top   "));
}

#[test]
fn what_is_no_metrics_is_refused() {
    assert!(Figures::read("").is_err());
    assert!(Figures::read("healthy: dynamodb.us-east-1.amazonaws.com \n").is_err());
    assert!(parse_interval("0").is_err() && parse_interval("x").is_err() && parse_interval("NaN").is_err());
    assert_eq!(parse_interval("0.5").unwrap().as_millis(), 500);
}
