//! Each scenario holds as it is, and finds the bugs that are planted for it.

use sim::plan::Plan;
use sim::scenario;

#[test]
fn every_scenario_holds() {
    for scenario in scenario::ALL {
        for seed in 0..2 {
            let ended = (scenario.run)(&(scenario.plan)(seed));
            ended.unwrap_or_else(|failure| panic!("{}: {failure}", scenario.name));
        }
    }
}

#[test]
fn every_scenario_finds_the_bugs_that_are_planted_for_it() {
    let mut missed = Vec::new();
    for scenario in scenario::ALL {
        for planted in scenario.bugs {
            let fails = |seed: &u64| {
                let plan = Plan { planted: *planted, ..(scenario.plan)(*seed) };
                (scenario.run)(&plan).is_err()
            };
            let found = (0..scenario.seeds_max).find(fails);
            println!("{}: {planted:?}: {found:?}", scenario.name);
            if found.is_none() {
                missed.push(format!("{}: {planted:?}", scenario.name));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
