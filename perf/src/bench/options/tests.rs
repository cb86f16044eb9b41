//! What is asked for, what is refused, and what the refusal says.

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// Options as a command line gives them.
pub(in crate::bench) fn options(arguments: &str) -> Options {
    let words = std::iter::once("bench").chain(arguments.split_whitespace());
    Line::try_parse_from(words).expect("arguments that clap takes").options
}

fn plan(arguments: &str) -> Plan {
    options(arguments).plan().expect("a plan")
}

fn refusal(arguments: &str) -> String {
    format!("{:#}", options(arguments).plan().expect_err("it should be refused"))
}

#[test]
fn defaults_stay_on_this_computer_and_clean_up() {
    let plan = plan("");
    assert_eq!(plan.target.address.to_string(), "127.0.0.1:8000");
    assert!(plan.create && plan.remove && !plan.verify);
    assert_eq!(
        (plan.work, plan.key_count, plan.preload),
        (Work::Mix(Mix::reads_and_writes(50)), 100_000, 100_000)
    );
    assert_eq!((plan.connections, plan.pace), (64, Pace::Closed));
}

#[test]
fn workloads_name_their_keys() {
    let shape = |arguments| {
        let plan = plan(arguments);
        (plan.work, plan.key_count, plan.preload)
    };
    assert_eq!(shape("--workload put"), (Work::PutUnique, 0, 0));
    assert_eq!(shape("--workload put --preload 10"), (Work::PutUnique, 10, 10));
    assert_eq!(shape("--workload put --keys 5"), (Work::Mix(Mix::reads_and_writes(0)), 5, 0));
    assert_eq!(shape("--workload put --keys 5 --preload 9"), (Work::Mix(Mix::reads_and_writes(0)), 5, 5));
    assert_eq!(shape("--workload get --keys 5"), (Work::Mix(Mix::reads_and_writes(100)), 5, 5));
    assert_eq!(shape("--workload get --preload 6"), (Work::Mix(Mix::reads_and_writes(100)), 6, 6));
    assert_eq!(shape("--workload get --keys 5 --reuse"), (Work::Mix(Mix::reads_and_writes(100)), 5, 0));
    assert_eq!(shape("--workload load --keys 8"), (Work::Load, 8, 0));
}

#[test]
fn rates_choose_the_open_loop() {
    assert_eq!(plan("--rate 100").pace, Pace::Constant { per_second: 100.0 });
    assert_eq!(plan("--rate 100 --spacing poisson").pace, Pace::Poisson { per_second: 100.0 });
    assert!(Line::try_parse_from(["bench", "--spacing", "poisson"]).is_err());
}

#[test]
fn zipf_and_verify_are_carried_over() {
    assert_eq!(plan("--choice zipf --zipf 1.2").choice, Choice::Zipf { skew: 1.2 });
    let plan = plan("--verify");
    assert!(plan.verify && plan.consistent);
}

#[test]
fn workloads_with_a_name_bring_their_keys_sizes_and_table() {
    let a = plan("--workload a --keys 500");
    assert_eq!((a.work, a.key_count, a.preload), (Work::Mix(Mix::ycsb('a')), 500, 500));
    assert_eq!((a.choice, a.sizes, a.group_items), (Choice::Zipf { skew: 0.99 }, Sizes::Fixed(1024), None));
    assert_eq!(plan("--workload d").choice, Choice::Latest { skew: 0.99 });
    assert_eq!(plan("--workload d --choice uniform").choice, Choice::Uniform);
    assert_eq!(plan("--workload e").group_items, Some(GROUP_ITEMS));
    assert_eq!(plan("--workload e --group-items 10").group_items, Some(10));
    let mix = plan("--workload dynamodb");
    assert_eq!(mix.sizes, Sizes::LogNormal { median: 600, sigma: 1.2, max: 65536 });
    let hot = Choice::HotSet { keys_percent: 10.0, operations_percent: 90.0 };
    assert_eq!(plan("--choice hot-set --hot-keys 10 --hot-operations 90").choice, hot);
}

#[test]
fn a_report_asks_for_stages_unless_told_otherwise() {
    assert_eq!(plan("").stages_every, 0);
    assert_eq!(plan("--report out").stages_every, STAGES_EVERY_DEFAULT);
    assert_eq!(plan("--report out --stages-every 0").stages_every, 0);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let cases = [
        ("--endpoint ftp://127.0.0.1:1", "http://HOST:PORT or https://HOST"),
        ("--endpoint https://127.0.0.1:1 --ca-file /nowhere", "--ca-file: cannot read /nowhere"),
        ("--trace /nowhere", "--trace: cannot read /nowhere"),
        ("--workload a --keys 5 --preload 4", "reads need their items"),
        ("--workload load --sweep", "is measured once"),
        ("--native 127.0.0.1:1 --workload e", "GetItem and PutItem only"),
        ("--native 127.0.0.1:1 --workload dynamodb", "GetItem and PutItem only"),
        ("--native 127.0.0.1:1 --secret-file /nowhere", "--secret-file: cannot read /nowhere"),
        ("--rounds 2", "--rounds 2: must be 3"),
        ("--hot-keys 0", "--hot-keys 0: between"),
        ("--hot-operations 101", "--hot-operations 101: 0 to 100"),
        ("--expected-interval 10us --connections 0", "--connections 0"),
        ("--expected-interval 0s", "--expected-interval: at least"),
        ("--item-bytes some", "--item-bytes some: write bytes, uniform:"),
        ("--endpoint http://127.0.0.1:1/path", "no path"),
        ("--workload get --keys 5 --preload 4", "reads need their items"),
        ("--verify --reuse", "--verify needs a table of its own"),
        ("--workload load --preload 4", "leave out --preload"),
        ("--workload load --rate 4", "leave out --rate"),
        ("--item-bytes 63", "--item-bytes 63: must be 64 to 409600"),
        ("--item-bytes 409601", "must be 64 to 409600"),
        ("--batch 26", "--batch 26: must be 1 to 25"),
        ("--connections 0", "--connections 0: must be 1 to 10000"),
        ("--connections 1 --cores 2", "fewer than --cores"),
        ("--keys 0", "--keys 0"),
        ("--requests 0", "--requests 0"),
        ("--rate 0", "--rate 0: above 0"),
        ("--zipf 0 --choice zipf", "--zipf 0: above 0"),
        ("--table a", "--table a: 3 to 255"),
        ("--table a\"b\"c", "--table a\"b\"c: 3 to 255"),
        ("--timeout 0s", "--timeout: longer"),
        ("--duration 0s", "--duration: longer"),
    ];
    for (arguments, expected) in cases {
        let said = refusal(arguments);
        assert!(said.contains(expected), "{arguments}: {said}");
    }
}

#[test]
fn durations_are_written_as_people_write_them() {
    let check = |text, expected: Result<u64, &str>| match (parse_duration(text), expected) {
        (Ok(duration), Ok(micros)) => assert_eq!(duration, Duration::from_micros(micros), "{text}"),
        (Err(said), Err(part)) => assert!(said.contains(part), "{text}: {said}"),
        (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
    };
    check("10s", Ok(10_000_000));
    check("10", Ok(10_000_000));
    check("0.5s", Ok(500_000));
    check("250ms", Ok(250_000));
    check("70us", Ok(70));
    check("2m", Ok(120_000_000));
    check("2h", Err("unknown unit `h`"));
    check("s", Err("no duration"));
    check("-1s", Err("out of range"));
}

#[test]
fn endpoints_are_hosts_with_or_without_a_port() {
    let target = Target::parse("http://127.0.0.1:8000/", None).expect("an endpoint");
    assert_eq!((target.address.port(), target.host.as_str()), (8000, "127.0.0.1:8000"));
    assert_eq!(Target::parse("http://127.0.0.1", None).expect("an endpoint").address.port(), 80);
    assert_eq!(Target::parse("http://[::1]:81", None).expect("an endpoint").address.port(), 81);
    assert!(Target::parse("127.0.0.1:8000", None).is_err());
}
