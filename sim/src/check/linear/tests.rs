//! Histories known good and bad, and all small ones against a search without any cleverness.

use super::*;

fn event(operation: Operation, called: u64, returned: u64, outcome: Outcome) -> Event {
    Event { operation, called, returned, outcome }
}

fn put(number: u64, called: u64, returned: u64) -> Event {
    event(Operation::Put(number), called, returned, Outcome::Done)
}

fn lost_put(number: u64, called: u64) -> Event {
    event(Operation::Put(number), called, 0, Outcome::Unknown)
}

fn put_if(expected: Held, number: u64, called: u64, returned: u64) -> Event {
    event(Operation::PutIf { expected, number }, called, returned, Outcome::Done)
}

fn refused(expected: Held, found: Held, called: u64, returned: u64) -> Event {
    event(Operation::PutIf { expected, number: 1000 + called }, called, returned, Outcome::Held(found))
}

fn read(held: Held, called: u64, returned: u64) -> Event {
    event(Operation::Read, called, returned, Outcome::Held(held))
}

fn count(to: u64, called: u64, returned: u64) -> Event {
    event(Operation::Count, called, returned, Outcome::Held(Some(to)))
}

fn lost_count(called: u64) -> Event {
    event(Operation::Count, called, 0, Outcome::Unknown)
}

fn history(events: &[Event]) -> History {
    let mut history = History::default();
    events.iter().for_each(|event| history.note("key", *event));
    history
}

#[track_caller]
fn check(events: &[Event], honest: bool) {
    let verdict = history(events).check();
    assert_eq!(verdict.is_ok(), honest, "{verdict:?}");
}

#[test]
fn one_after_the_other() {
    check(&[], true);
    check(&[read(None, 1, 2), put(1, 3, 4), read(Some(1), 5, 6)], true);
    check(&[put(1, 1, 2), put(2, 3, 4), read(Some(2), 5, 6)], true);
    check(&[put(1, 1, 2), put(2, 3, 4), read(Some(1), 5, 6)], false);
    check(&[put(1, 1, 2), read(None, 3, 4)], false);
    check(&[read(Some(1), 1, 2), put(1, 3, 4)], false);
    check(&[read(Some(9), 1, 2)], false);
}

#[test]
fn what_is_beside_each_other_may_come_in_any_order() {
    check(&[put(1, 1, 9), put(2, 2, 8), read(Some(1), 10, 11)], true);
    check(&[put(1, 1, 9), put(2, 2, 8), read(Some(2), 10, 11)], true);
    check(&[put(1, 1, 9), read(Some(1), 2, 3), read(None, 4, 5)], false);
    check(&[put(1, 1, 9), read(None, 2, 3), read(Some(1), 4, 5)], true);
    // Two who saw the writes in different orders.
    let seen = [put(1, 1, 20), put(2, 1, 20), read(Some(1), 2, 3), read(Some(2), 4, 5)];
    check(&seen, true);
    check(&[&seen[..], &[read(Some(1), 6, 7)]].concat(), false);
    // One begins in the moment in which the other ends.
    check(&[put(1, 1, 5), read(None, 5, 6)], true);
}

#[test]
fn conditions_see_what_they_found() {
    check(&[put_if(None, 1, 1, 2), put_if(Some(1), 2, 3, 4), read(Some(2), 5, 6)], true);
    check(&[put_if(None, 1, 1, 2), put_if(None, 2, 3, 4)], false);
    check(&[put_if(None, 1, 1, 4), put_if(None, 2, 2, 3)], false);
    check(&[put(1, 1, 2), refused(None, Some(1), 3, 4)], true);
    check(&[put(1, 1, 2), put(2, 3, 4), refused(None, Some(1), 5, 6)], false);
}

#[test]
fn what_nobody_knows_is_there_once_or_never() {
    check(&[put(1, 1, 2), lost_put(2, 3), read(Some(1), 4, 5)], true);
    check(&[put(1, 1, 2), lost_put(2, 3), read(Some(1), 4, 5), read(Some(2), 6, 7)], true);
    // Not back again.
    let back = [put(1, 1, 2), lost_put(2, 3), read(Some(2), 4, 5), read(Some(1), 6, 7)];
    check(&back, false);
    // Not twice.
    let twice =
        [lost_put(2, 3), read(Some(2), 4, 5), put(3, 6, 7), read(Some(3), 8, 9), read(Some(2), 10, 11)];
    check(&twice, false);
    // Not before it was sent.
    check(&[read(Some(2), 1, 2), lost_put(2, 3)], false);
    // A condition that was met has seen it.
    check(&[lost_put(1, 1), put_if(Some(1), 2, 2, 3), read(Some(2), 4, 5)], true);
    check(&[lost_put(1, 1), put_if(Some(1), 2, 2, 3), put_if(Some(1), 3, 4, 5)], false);
    // Also one of unknown outcome that somebody has seen.
    let chain = event(Operation::PutIf { expected: Some(1), number: 2 }, 2, 0, Outcome::Unknown);
    check(&[lost_put(1, 1), chain, read(Some(2), 4, 5)], true);
    check(&[lost_put(1, 5), chain, read(Some(2), 3, 4)], false);
}

#[test]
fn counters_count_each_once() {
    check(&[count(1, 1, 2), count(2, 3, 4), read(Some(2), 5, 6)], true);
    check(&[count(2, 1, 9), count(1, 2, 3)], true);
    check(&[count(2, 1, 2), count(1, 3, 4)], false);
    check(&[count(1, 1, 9), count(1, 2, 8)], false);
    check(&[count(1, 1, 2), count(3, 3, 4)], false);
    check(&[count(1, 1, 2), lost_count(2), count(3, 3, 4)], true);
    check(&[count(1, 1, 2), lost_count(2), count(2, 3, 4)], true);
    check(&[count(1, 1, 2), count(3, 3, 4), lost_count(5)], false);
    check(&[count(1, 1, 2), lost_count(2), count(4, 3, 4)], false);
    check(&[lost_count(1), lost_count(2), read(None, 3, 4), read(Some(2), 5, 6), count(3, 7, 8)], true);
    check(&[lost_count(1), read(Some(1), 3, 4), read(None, 5, 6)], false);
    check(&[count(1, 1, 2), read(None, 3, 4)], false);
}

#[test]
fn a_complaint_names_the_key_and_what_cannot_be() {
    let mut all = history(&[put(1, 1, 2)]);
    all.merge(history(&[read(None, 3, 4)]));
    let complaint = all.check().unwrap_err().to_string();
    assert!(complaint.contains("key key is not linearizable"), "{complaint}");
    assert!(complaint.contains("See(None)") && complaint.contains("Put(1)"), "{complaint}");
}

#[test]
#[should_panic(expected = "a key is a register or a counter")]
fn a_key_is_one_thing() {
    let _ = history(&[put(1, 1, 2), count(1, 3, 4)]).check();
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Whether the operations can be put in an order, by trying all of them. An operation of unknown outcome may be anywhere behind its call, or nowhere.
fn is_possible(events: &[Event], taken: &mut Vec<bool>, held: Held) -> bool {
    let is_known = |event: &Event| event.outcome != Outcome::Unknown;
    let left = || events.iter().zip(taken.iter()).filter(|(event, taken)| is_known(event) && !**taken);
    let Some(first_end) = left().map(|(event, _)| event.returned).min() else { return true };
    for place in 0..events.len() {
        let event = events[place];
        if taken[place] || event.called > first_end {
            continue;
        }
        let after = match (event.operation, event.outcome) {
            (Operation::Put(number), _) => Some(Some(number)),
            (Operation::PutIf { .. }, Outcome::Held(found)) => (found == held).then_some(held),
            (Operation::PutIf { expected, number }, _) => (expected == held).then_some(Some(number)),
            (Operation::Count, Outcome::Unknown) => Some(counted(held)),
            (Operation::Count, outcome) => (outcome == Outcome::Held(counted(held))).then_some(counted(held)),
            (Operation::Read, outcome) => (outcome == Outcome::Held(held)).then_some(held),
        };
        let Some(after) = after else { continue };
        taken[place] = true;
        let possible = is_possible(events, taken, after);
        taken[place] = false;
        if possible {
            return true;
        }
    }
    false
}

fn small_history(dice: &mut Dice) -> Vec<Event> {
    let (count, is_counter) = (2 + dice.roll(5), dice.roll(3) == 0);
    (1..=count)
        .map(|number| {
            let called = dice.roll(10);
            let returned = called + dice.roll(6);
            let held = Some(dice.roll(count + 1)).filter(|held| *held > 0);
            let lost = dice.roll(4) == 0;
            let (operation, outcome) = match (is_counter, dice.roll(4)) {
                (true, 0..2) => (Operation::Count, Outcome::Held(held)),
                (false, 0) => (Operation::Put(number), Outcome::Done),
                (false, 1) => (Operation::PutIf { expected: held, number }, Outcome::Done),
                (false, 2) => {
                    let expected = held.map_or(Some(77), |_| None);
                    (Operation::PutIf { expected, number }, Outcome::Held(held))
                }
                _ => (Operation::Read, Outcome::Held(held)),
            };
            let is_read = operation == Operation::Read;
            let outcome = if lost && !is_read { Outcome::Unknown } else { outcome };
            event(operation, called, returned, outcome)
        })
        .collect()
}

#[test]
fn small_histories_are_judged_as_by_trying_all_orders() {
    let mut dice = Dice(1);
    let (mut honest, mut lies) = (0, 0);
    for _ in 0..60_000 {
        let events = small_history(&mut dice);
        let expected = is_possible(&events, &mut vec![false; events.len()], None);
        let verdict = history(&events).check();
        assert_eq!(verdict.is_ok(), expected, "{verdict:?}: {events:#?}");
        match expected {
            true => honest += 1,
            false => lies += 1,
        }
    }
    assert!(honest > 5_000 && lies > 5_000, "{honest} honest, {lies} lies");
}

/// What clients of an honest item see: each operation takes effect at a moment of its own, or, if its outcome is unknown, perhaps never.
fn honest_history(dice: &mut Dice, clients: u64, operations: usize, counter: bool) -> Vec<Event> {
    let mut free: Vec<u64> = (0..clients).collect();
    // Sorted by the moment of their effects.
    let mut planned: Vec<(u64, Event)> = Vec::new();
    for number in 1..=operations as u64 {
        let client = dice.roll(clients) as usize;
        let called = free[client] + dice.roll(50);
        let effect = called + dice.roll(100);
        let returned = effect + dice.roll(100);
        free[client] = returned + 1;
        let lost = dice.roll(200) == 0;
        let operation = match (counter, dice.roll(3)) {
            (_, 0) => Operation::Read,
            (true, _) => Operation::Count,
            (false, 1) => Operation::Put(number),
            (false, _) => Operation::PutIf { expected: None, number },
        };
        let outcome = if lost { Outcome::Unknown } else { Outcome::Done };
        planned.push((effect, event(operation, called, returned, outcome)));
    }
    planned.sort_by_key(|(effect, _)| *effect);
    let mut held = None;
    let mut events = Vec::new();
    for (_, mut event) in planned {
        let is_lost = event.outcome == Outcome::Unknown;
        if is_lost && dice.roll(2) == 0 {
            events.push(event);
            continue;
        }
        let outcome = match &mut event.operation {
            Operation::Read => Outcome::Held(held),
            Operation::Count => {
                held = counted(held);
                Outcome::Held(held)
            }
            Operation::Put(number) => {
                held = Some(*number);
                Outcome::Done
            }
            Operation::PutIf { expected, number } if dice.roll(2) == 0 => {
                (*expected, held) = (held, Some(*number));
                Outcome::Done
            }
            Operation::PutIf { expected, .. } => {
                *expected = held.map_or(Some(u64::MAX), |_| None);
                Outcome::Held(held)
            }
        };
        event.outcome = if is_lost { Outcome::Unknown } else { outcome };
        events.push(event);
    }
    events
}

#[test]
fn long_histories_of_an_honest_item_pass() {
    for seed in 0..6 {
        let events = honest_history(&mut Dice(seed), 10, 3_000, seed % 3 == 0);
        let totals = history(&events).check().unwrap();
        assert!(totals.unknown > 0 && totals.known > 2_900, "{totals:?}");
    }
}

/// Canaries: one lie among thousands of honest answers is found.
#[test]
fn one_lie_in_a_long_history_is_found() {
    for seed in 0..6 {
        let events = honest_history(&mut Dice(100 + seed), 8, 2_000, false);
        let mut reads: Vec<usize> = Vec::new();
        for (place, event) in events.iter().enumerate() {
            if event.operation == Operation::Read && event.outcome != Outcome::Unknown {
                reads.push(place);
            }
        }
        let mut lied = events.clone();
        // A read shows what another one showed that ended long before.
        let (early, late) = (reads[reads.len() / 2], reads[reads.len() - 5]);
        lied[late].outcome = lied[early].outcome;
        check(&events, true);
        check(&lied, false);
        // An acknowledged write that took no effect, or took it twice, is a count too few or too many.
        let counts = honest_history(&mut Dice(200 + seed), 8, 2_000, true);
        let unknown = counts.iter().filter(|event| event.outcome == Outcome::Unknown).count() as u64;
        let shifted = |by: u64| {
            let mut shifted = counts.clone();
            for event in &mut shifted[1_000..] {
                if let Outcome::Held(Some(count)) = &mut event.outcome {
                    *count += by;
                }
            }
            shifted
        };
        check(&counts, true);
        check(&shifted(unknown + 1), false);
    }
}
