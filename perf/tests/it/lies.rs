//! `--verify` finds what is wrong, and nothing that is only unlucky.

use std::time::Duration;

use perf::bench::verify::Findings;
use runtime::sim::{Chance, NetworkFaults, WorldOptions};

use crate::fake::Behaviour;
use crate::generator::Stage;

fn findings(seed: u64, network: NetworkFaults, behaviour: Behaviour, arguments: &str) -> Findings {
    let stage = Stage::new(seed, WorldOptions { network, ..WorldOptions::default() }, behaviour);
    let counted = stage.run(&format!("--verify --timeout 2s --duration 60s {arguments}")).expect("a run");
    counted.findings.expect("--verify finds something or nothing, but says so")
}

const MIXED: &str = "--workload mixed --keys 40 --requests 1500 --connections 12 --item-bytes 200";
const NAMED: [&str; 4] = [
    "--workload dynamodb --keys 60 --requests 1500 --connections 12 --item-bytes 200",
    "--workload d --keys 60 --requests 1500 --connections 12 --item-bytes 200",
    "--workload e --keys 60 --requests 800 --connections 12 --item-bytes uniform:100-400",
    "--workload f --keys 60 --requests 1500 --connections 12 --item-bytes 200",
];
const UNIQUE: &str = "--workload put --preload 20 --requests 300 --connections 12 --item-bytes 200";

#[test]
fn an_honest_server_is_never_accused() {
    for seed in 0..5 {
        for arguments in NAMED.into_iter().chain([MIXED, UNIQUE]) {
            let findings = findings(seed, NetworkFaults::default(), Behaviour::default(), arguments);
            assert_eq!((findings.wrong, findings.examples), (0, vec![]), "seed {seed}");
            assert!(findings.checked >= 40, "seed {seed}: {} reads", findings.checked);
        }
    }
}

#[test]
fn an_unlucky_server_is_not_accused_either() {
    let unlucky = Behaviour {
        delay: Duration::from_micros(300),
        throttles_every: 7,
        fails_after_writing_every: 31,
        writes_late_every: 37,
        hangs_every: 101,
        ..Behaviour::default()
    };
    let network = NetworkFaults { reset: Chance::per_mille(2), ..NetworkFaults::default() };
    for seed in 0..5 {
        for arguments in NAMED.into_iter().chain([MIXED, UNIQUE]) {
            let findings = findings(seed, network.clone(), unlucky.clone(), arguments);
            assert_eq!((findings.wrong, findings.examples), (0, vec![]), "seed {seed}");
        }
    }
}

/// The server does one wrong thing now and then.
fn accused(behaviour: Behaviour, arguments: &str, expected: &str) {
    let findings = findings(1, NetworkFaults::default(), behaviour, arguments);
    assert!(findings.wrong > 0, "a lie that was not found: {expected}");
    assert!(findings.examples.iter().any(|example| example.contains(expected)), "{:?}", findings.examples);
}

#[test]
fn a_lost_write_is_found() {
    accused(Behaviour { loses_every: 50, ..Behaviour::default() }, MIXED, "an acknowledged write is missing");
    accused(
        Behaviour { loses_every: 50, ..Behaviour::default() },
        UNIQUE,
        "an acknowledged write is missing",
    );
}

#[test]
fn a_stale_read_is_found() {
    accused(Behaviour { stale_every: 50, ..Behaviour::default() }, MIXED, "an acknowledged write is missing");
}

#[test]
fn a_write_that_was_refused_and_made_is_found() {
    let behaviour = Behaviour { writes_refused_every: 50, ..Behaviour::default() };
    accused(behaviour, UNIQUE, "nobody wrote that");
}

#[test]
fn changed_content_is_found() {
    accused(Behaviour { garbles_every: 50, ..Behaviour::default() }, MIXED, "with another content");
}

#[test]
fn another_item_is_found() {
    accused(Behaviour { swaps_every: 50, ..Behaviour::default() }, MIXED, "the answer is item");
}

#[test]
fn a_condition_that_nobody_looked_at_is_found() {
    accused(
        Behaviour { ignores_conditions: true, ..Behaviour::default() },
        NAMED[0],
        "a condition held that could not",
    );
}

#[test]
fn an_item_that_a_query_leaves_out_is_found() {
    accused(Behaviour { leaves_out_every: 20, ..Behaviour::default() }, NAMED[2], "is missing");
}

#[test]
fn a_lost_write_is_found_in_every_mix_that_reads_it_again() {
    for arguments in [NAMED[0], NAMED[3]] {
        accused(
            Behaviour { loses_every: 25, ..Behaviour::default() },
            arguments,
            "an acknowledged write is missing",
        );
    }
}
