use super::FineClock;
use crate::real::handle::instant;

#[test]
fn it_runs_as_fast_as_the_monotonic_clock_and_never_back() {
    let clock = FineClock::get();
    let (begin, begin_nanos) = (instant(), clock.nanos());
    let mut last = begin_nanos;
    loop {
        let nanos = clock.nanos();
        assert!(nanos >= last, "{nanos} after {last}");
        last = nanos;
        let passed = u64::try_from(instant().duration_since(begin).as_nanos()).unwrap();
        if passed > 20_000_000 {
            // Whoever is kept from the core between the two readings is wrong by that much: the better of the two sides counts.
            let late = u64::try_from(instant().duration_since(begin).as_nanos()).unwrap();
            let ticked = clock.nanos() - begin_nanos;
            let again = u64::try_from(instant().duration_since(begin).as_nanos()).unwrap();
            if again - late > 20_000 {
                continue;
            }
            assert!(ticked.abs_diff(late) < late / 200, "{ticked} for {late}");
            return;
        }
    }
}
