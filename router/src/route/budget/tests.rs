use super::Budget;

#[test]
fn a_burst_and_then_a_part_of_the_requests() {
    let budget = Budget::new(200, 10);
    assert_eq!((0..100).filter(|_| budget.take()).count(), 10, "the burst");
    let taken = (0..1000).filter(|_| {
        budget.earn();
        budget.take()
    });
    assert_eq!(taken.count(), 200, "one in five");
    (0..1_000_000).for_each(|_| budget.earn());
    assert_eq!((0..100).filter(|_| budget.take()).count(), 10, "it does not overflow");
}
