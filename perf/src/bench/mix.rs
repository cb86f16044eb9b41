//! What a workload is made of: how many operations of which kind among a thousand.
//!
//! YCSB's core workloads (Cooper et al. 2010, "Benchmarking cloud serving systems with YCSB", table 2), said in DynamoDB's operations:
//!
//! ```text
//! A  50 % GetItem, 50 % PutItem                       Zipf
//! B  95 % GetItem,  5 % PutItem                       Zipf
//! C 100 % GetItem                                     Zipf
//! D  95 % GetItem,  5 % PutItem of a new item         latest
//! E  95 % Query of 1 to 100 items, 5 % new items      Zipf
//! F  50 % GetItem, 50 % GetItem, then PutItem of it   Zipf
//! ```
//!
//! E scans within a partition of [`GROUP_ITEMS`] items: DynamoDB has no order across partitions.
//!
//! `dynamodb` is a mix as applications have it: point reads and writes, updates, conditions of which some fail, queries,
//! and batches, on items whose sizes are spread.

/// Items of one partition, where a table has a sort key.
pub const GROUP_ITEMS: u64 = 1_000;
/// Items of one Query of YCSB's E, at most.
pub const SCAN_ITEMS_MAX: u64 = 100;
/// Items of one Query, BatchGetItem and BatchWriteItem of the DynamoDB mix, at most.
const MIX_ITEMS_MAX: u64 = 10;
/// Sizes of the DynamoDB mix, if nothing else is said.
pub const MIX_SIZES: &str = "lognormal:600,1.2,65536";

/// A kind of operation that a mix may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GetItem.
    Get,
    /// PutItem of an item that is there.
    Put,
    /// PutItem of a new item.
    Insert,
    /// UpdateItem that sets version and content.
    Update,
    /// PutItem with a condition; one of eight cannot hold.
    PutIf,
    /// GetItem, then PutItem of the same item; one operation.
    Modify,
    /// Query from an item on.
    Query,
    /// BatchGetItem.
    BatchGet,
    /// BatchWriteItem of items that are there.
    BatchWrite,
}

impl Verb {
    /// In the order of the fields.
    pub const ALL: [Verb; 9] = [
        Verb::Get,
        Verb::Put,
        Verb::Insert,
        Verb::Update,
        Verb::PutIf,
        Verb::Modify,
        Verb::Query,
        Verb::BatchGet,
        Verb::BatchWrite,
    ];
}

/// Operations of each kind among 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    shares: [u16; Verb::ALL.len()],
    /// Items of a Query or a batch: 1 to this.
    pub items_max: u64,
}

impl Mix {
    /// Of these shares; they add up to 1000.
    pub fn of(shares: &[(Verb, u16)], items_max: u64) -> Mix {
        let mut mix = Mix { shares: [0; Verb::ALL.len()], items_max };
        shares.iter().for_each(|(verb, share)| mix.shares[*verb as usize] += share);
        assert_eq!(mix.shares.iter().sum::<u16>(), 1000, "shares of a whole");
        mix
    }

    /// GetItem and PutItem, so many percent of the first.
    pub fn reads_and_writes(reads_percent: u8) -> Mix {
        let reads = u16::from(reads_percent) * 10;
        Mix::of(&[(Verb::Get, reads), (Verb::Put, 1000 - reads)], 1)
    }

    /// YCSB's core workload of this letter.
    pub fn ycsb(letter: char) -> Mix {
        let shares = match letter {
            'a' => [(Verb::Get, 500), (Verb::Put, 500)],
            'b' => [(Verb::Get, 950), (Verb::Put, 50)],
            'c' => [(Verb::Get, 1000), (Verb::Put, 0)],
            'd' => [(Verb::Get, 950), (Verb::Insert, 50)],
            'e' => [(Verb::Query, 950), (Verb::Insert, 50)],
            'f' => [(Verb::Get, 500), (Verb::Modify, 500)],
            other => unreachable!("YCSB has no core workload {other}"),
        };
        Mix::of(&shares, SCAN_ITEMS_MAX)
    }

    /// As applications on DynamoDB have it.
    pub fn dynamodb() -> Mix {
        let shares = [
            (Verb::Get, 450),
            (Verb::Put, 120),
            (Verb::Insert, 30),
            (Verb::Update, 150),
            (Verb::PutIf, 80),
            (Verb::Query, 100),
            (Verb::BatchGet, 40),
            (Verb::BatchWrite, 30),
        ];
        Mix::of(&shares, MIX_ITEMS_MAX)
    }

    /// How many of 1000 are of this kind.
    pub fn share(&self, verb: Verb) -> u16 {
        self.shares[verb as usize]
    }

    /// The kind that the number `drawn`, below 1000, stands for.
    pub fn verb(&self, drawn: u64) -> Verb {
        let mut rest = drawn;
        for verb in Verb::ALL {
            let share = u64::from(self.share(verb));
            if rest < share {
                return verb;
            }
            rest -= share;
        }
        unreachable!("{drawn} is not below 1000")
    }

    /// The kind of most operations.
    pub fn most(&self) -> Verb {
        Verb::ALL.into_iter().max_by_key(|verb| self.share(*verb)).expect("there are kinds")
    }
}

#[cfg(test)]
mod tests;
