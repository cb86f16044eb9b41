use super::*;

#[test]
fn the_same_seed_draws_the_same_plan() {
    for seed in 0..50 {
        let (one, two) = (Plan::drawn(seed), Plan::drawn(seed));
        assert_eq!(one.faults, two.faults);
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
}

#[test]
fn all_kinds_of_faults_and_sizes_are_drawn() {
    let plans: Vec<Plan> = (0..500).map(Plan::drawn).collect();
    let kinds: std::collections::BTreeSet<&str> =
        plans.iter().flat_map(|plan| &plan.faults).map(|fault| fault.kind.name()).collect();
    assert!(kinds.len() >= 20, "{kinds:?}");
    for nodes in 3..=5 {
        assert!(plans.iter().any(|plan| plan.nodes == nodes));
    }
    for part in 0..8 {
        assert!(plans.iter().any(|plan| plan.mix.parts()[part] > 0), "part {part} of the mix is never drawn");
        assert!(part < 2 || plans.iter().any(|plan| plan.mix.parts()[part] == 0));
    }
}

#[test]
fn faults_end_with_the_plan() {
    for plan in (0..200).map(Plan::drawn) {
        assert!(plan.faults.iter().all(|fault| fault.at <= plan.length));
        assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
    }
}
