use runtime::{Ticks, Wall};

use super::{Book, SLOW_MAX, TABLES_MAX, WINDOW_MIN};
use crate::ledger::Ledger;
use crate::stage::{Operation, Stage};

/// One request, from 0 to the end of its last stage.
fn request(book: &Book, operation: Operation, table: u32, stages: &[(Stage, u64)]) {
    let ledger = Ledger::default();
    ledger.begin(Ticks(0));
    ledger.set_operation(operation);
    ledger.set_table(table);
    let mut now = 0;
    for (stage, nanos) in stages {
        now += nanos;
        ledger.mark(Ticks(now), *stage);
    }
    book.close(&ledger, || Wall(7));
}

#[test]
fn each_stage_is_counted_where_it_took_time() {
    let book = Book::default();
    request(&book, Operation::GetItem, 3, &[(Stage::Parse, 100), (Stage::Read, 50)]);
    request(&book, Operation::GetItem, 3, &[(Stage::Parse, 100)]);
    let mut seen = Vec::new();
    book.visit(|operation, whole, stages| {
        let count = |stage: Stage| stages[stage as usize].as_ref().map_or(0, |histogram| histogram.count());
        seen.push((
            operation,
            whole.count(),
            whole.sum(),
            count(Stage::Parse),
            count(Stage::Read),
            count(Stage::Send),
        ));
    });
    assert_eq!(seen, [(Operation::GetItem, 2, 250, 2, 1, 0)]);
    assert_eq!(book.tables(), [(0, [0; 9]), (3, [2, 0, 0, 0, 0, 0, 0, 0, 0])]);
}

#[test]
fn what_is_beyond_the_live_p99_9_is_kept() {
    let book = Book::default();
    for _ in 0..=WINDOW_MIN {
        request(&book, Operation::PutItem, 1, &[(Stage::Durable, 1_000)]);
    }
    request(&book, Operation::PutItem, 1, &[(Stage::Durable, 1_000)]);
    assert!(book.slow().is_empty());
    request(&book, Operation::PutItem, 1, &[(Stage::Parse, 10), (Stage::Durable, 90_000)]);
    let slow = book.slow().front().cloned().expect("it was slow");
    assert_eq!((slow.nanos, slow.table, slow.at, slow.operation), (90_010, 1, Wall(7), Operation::PutItem));
    assert_eq!(slow.stages[Stage::Durable as usize], 90_000);
    // Once that is what requests take, it is not slow any more.
    for _ in 0..20_000 {
        request(&book, Operation::PutItem, 1, &[(Stage::Durable, 90_000)]);
    }
    let kept = book.slow().len();
    assert!(kept <= SLOW_MAX);
    request(&book, Operation::PutItem, 1, &[(Stage::Durable, 90_001)]);
    assert_eq!(book.slow().len(), kept);
    // Others have a p99.9 of their own.
    request(&book, Operation::Scan, 1, &[(Stage::Read, 1_000_000)]);
    assert_eq!(book.slow().len(), kept);
}

#[test]
fn tables_and_errors_are_bounded() {
    let book = Book::default();
    for _ in 0..2 {
        for table in 1..=2 * TABLES_MAX as u32 {
            request(&book, Operation::GetItem, table, &[]);
        }
    }
    // The first ones have a place each, all others one together.
    let tables = book.tables();
    assert_eq!(tables.len(), TABLES_MAX + 1);
    assert_eq!(tables[0], (0, [2 * TABLES_MAX as u64, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert!(
        tables[1..].iter().all(|(table, counts)| (1..=TABLES_MAX as u32).contains(table) && counts[0] == 2)
    );
    book.count_error(Operation::GetItem, "ResourceNotFoundException");
    book.count_error(Operation::GetItem, "ResourceNotFoundException");
    assert_eq!(book.errors()[&(Operation::GetItem, "ResourceNotFoundException")], 2);
}
