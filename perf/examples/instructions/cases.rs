//! What is counted. A new case is a line here and a function that does its operation `count` times.

use crate::{api, engine};

/// One operation.
pub struct Case {
    /// Its name here, in the budgets and on the command line: `layer/operation`.
    pub name: &'static str,
    /// What one operation is, in a few words.
    pub what: &'static str,
    /// A small and a large count. What lies between is what is counted: enough of it that rare work (a new arena
    /// block, a full batch, a recycled segment) has its share.
    pub counts: [u64; 2],
    /// Options of callgrind that leave out what is not torc's.
    pub gates: &'static [&'static str],
    /// Prepares, the same for every count, and does the operation so many times.
    pub run: fn(u64),
}

/// All cases.
pub const CASES: &[Case] = &[
    Case {
        name: "engine/put",
        what: "128 bytes: append, durable 64 at a time, apply",
        counts: [640, 6_400],
        gates: &[],
        run: engine::put,
    },
    Case {
        name: "log/append",
        what: "128 bytes, durable 64 at a time",
        counts: [640, 6_400],
        gates: &[],
        run: engine::log_append,
    },
    Case {
        name: "tree/apply",
        what: "128 bytes into a memtable of 10,000 keys",
        counts: [500, 5_500],
        gates: &[],
        run: engine::apply,
    },
    Case {
        name: "tree/get from memtable",
        what: "one of 10,000 keys",
        counts: [500, 5_500],
        gates: &[],
        run: engine::get_from_memtable,
    },
    Case {
        name: "tree/get cached",
        what: "one of 10,000 keys in an SSTable, all blocks cached",
        counts: [500, 5_500],
        gates: &[],
        run: engine::get_cached,
    },
    Case {
        name: "tree/get absent",
        what: "no such key among 10,000 in an SSTable: a Bloom miss",
        counts: [500, 5_500],
        gates: &[],
        run: engine::get_absent,
    },
    Case {
        name: "tree/scan entry",
        what: "one entry of scans of 100, all blocks cached",
        counts: [1_000, 11_000],
        gates: &[],
        run: engine::scan,
    },
    Case {
        name: "filter/miss",
        what: "hash and probes of an absent key, 1,000 keys",
        counts: [500, 5_500],
        gates: &[],
        run: engine::filter_miss,
    },
    Case {
        name: "block/search",
        what: "one key in a data block of 4 KiB",
        counts: [500, 5_500],
        gates: &[],
        run: engine::block_search,
    },
    Case {
        name: "api/put item",
        what: "1 KiB: bytes of an HTTP request to bytes of its response",
        counts: [200, 1_200],
        gates: &api::GATES,
        run: api::put_item,
    },
    Case {
        name: "api/put item if",
        what: "the same with a condition, a name and a value",
        counts: [200, 1_200],
        gates: &api::GATES,
        run: api::put_item_condition,
    },
    Case {
        name: "api/get item",
        what: "1 KiB, consistent, from the memtable",
        counts: [200, 1_200],
        gates: &api::GATES,
        run: api::get_item,
    },
    Case {
        name: "api/update item",
        what: "ADD and SET with placeholders, UPDATED_NEW",
        counts: [200, 1_200],
        gates: &api::GATES,
        run: api::update_item,
    },
    Case {
        name: "api/query",
        what: "10 items of 150 bytes, key condition and filter",
        counts: [100, 600],
        gates: &api::GATES,
        run: api::query,
    },
];
