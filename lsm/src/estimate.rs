//! Estimates: how many keys a range holds and how many bytes, without reading it.
//!
//! 1. An SSTable that lies in the range counts with what the manifest and its properties say of it. One that straddles
//!    an end of the range counts by its index: what lies between the blocks of the two ends, exactly if that is
//!    little ([`WALK_BYTES_MAX`]), as its share of the file if it is more.
//! 2. The memtables are walked key by key: they are bounded, and the walk yields.
//! 3. Dropped ranges count for nothing in SSTables that were written wholly before the drop.
//!
//! What it does not do is look up what a write hides: a put counts as a new key and a delete as the end of one, unless
//! the memtables themselves know better. So a key that was written again counts once for each SSTable and for the memtables
//! until compaction has merged its writes, and a tombstone that has nothing left to hide takes one away until compaction
//! has dropped it. Exact are keys that were put once, and deletes of what the memtables or the SSTables right
//! below still hold.
//!
//! Bytes are those of keys and values as they were put, before compression.

use std::rc::Rc;

use runtime::Runtime;

use crate::Error;
use crate::batch::Direction;
use crate::memtable::{Memtable, MemtableWalk};
use crate::sstable::TableMeta;
use crate::sstable::block::Goal;
use crate::sstable::cursor::{LevelCursor, ReadPattern};
use crate::sstable::reader::Table;
use crate::tree::options::LEVEL_COUNT;
use crate::version::{DroppedRange, State};

/// Up to so many bytes of data blocks are walked rather than guessed.
const WALK_BYTES_MAX: u64 = 256 << 10;
/// How such a walk reads.
const PATTERN: ReadPattern =
    ReadPattern { readahead_bytes: 64 << 10, cached: true, expected_bytes: Some(64 << 10) };

/// What a range holds, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Keys.
    pub entries: u64,
    /// Bytes of these keys and their values.
    pub bytes: u64,
}

/// Keys from `from` up to and without `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    from: Box<[u8]>,
    to: Box<[u8]>,
}

/// What was counted in an SSTable or a part of one.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    puts: u64,
    tombstones: u64,
    /// Of keys and values of both.
    bytes: u64,
}

/// What the memtables do to the SSTables below them.
#[derive(Default)]
struct Change {
    added: Estimate,
    /// Keys that they delete or put again after a delete.
    removed: u64,
}

/// Estimates what a reader of `state` at `sequence` finds from `from` up to and without `to`.
pub(crate) async fn estimate<R: Runtime>(
    runtime: &R,
    state: &State<R>,
    sequence: u64,
    from: &[u8],
    to: &[u8],
) -> Result<Estimate, Error> {
    if from >= to {
        return Ok(Estimate::default());
    }
    let change = count_memtables(runtime, state, sequence, from, to).await;
    let range = Piece { from: from.into(), to: to.into() };
    let mut below = Counted::default();
    for level in 0..LEVEL_COUNT {
        for (index, table) in state.version.levels[level].iter().enumerate() {
            let counted = count_table(runtime, state, sequence, table, &range).await?;
            below.puts += counted.puts;
            below.bytes += counted.bytes;
            // A tombstone above nothing deletes nothing.
            let hides = has_older(&state.version.levels, level, index);
            below.tombstones += if hides { counted.tombstones } else { 0 };
            if runtime.should_yield() {
                runtime.yield_now().await;
            }
        }
    }
    let live = below.puts.saturating_sub(below.tombstones).saturating_sub(change.removed);
    Ok(Estimate {
        entries: live + change.added.entries,
        bytes: share(below.bytes, live, below.puts) + change.added.bytes,
    })
}

async fn count_memtables<R: Runtime>(
    runtime: &R,
    state: &State<R>,
    sequence: u64,
    from: &[u8],
    to: &[u8],
) -> Change {
    let memtables: Vec<&Rc<Memtable>> = state.memtables().collect();
    let mut change = Change::default();
    for (age, memtable) in memtables.iter().enumerate() {
        let (newer, older) = (&memtables[..age], &memtables[age + 1..]);
        let mut walk = MemtableWalk::new(memtable, from, sequence);
        while let Some(writes) = walk.next_key() {
            let key = writes.key();
            if *key >= *to {
                break;
            }
            let has = |memtable: &&Rc<Memtable>| memtable.get(key, sequence).is_some();
            let is_dropped = |written| state.is_dropped(key, written, sequence);
            let is_put = writes.value_size.is_some() && !is_dropped(writes.newest);
            if is_put && !newer.iter().any(has) {
                change.added.entries += 1;
                change.added.bytes += (key.len() + writes.value_size.unwrap_or(0)) as u64;
            }
            // Who deletes first of all deletes something older; who puts first puts something new.
            let first = writes.begins_with_delete && !older.iter().any(has) && !is_dropped(writes.oldest);
            if first && spans(&state.version.levels, key) {
                change.removed += 1;
            }
            if runtime.should_yield() {
                runtime.yield_now().await;
            }
        }
    }
    change
}

async fn count_table<R: Runtime>(
    runtime: &R,
    state: &State<R>,
    sequence: u64,
    table: &Rc<Table<R>>,
    range: &Piece,
) -> Result<Counted, Error> {
    let mut sum = Counted::default();
    if !range.touches(&table.meta) {
        return Ok(sum);
    }
    let hidden: Vec<DroppedRange> = state
        .version
        .drops
        .iter()
        .cloned()
        .chain(state.memtables().flat_map(|memtable| memtable.drops().to_vec()))
        .filter(|drop| (table.meta.sequence_max..=sequence).contains(&drop.sequence))
        .collect();
    for piece in range.without(&hidden) {
        let counted = match (piece.touches(&table.meta), piece.covers(&table.meta)) {
            (false, _) => continue,
            (true, true) => whole(table).await?,
            (true, false) => part(runtime, table, &piece).await?,
        };
        sum.puts += counted.puts;
        sum.tombstones += counted.tombstones;
        sum.bytes += counted.bytes;
    }
    Ok(sum)
}

async fn whole<R: Runtime>(table: &Rc<Table<R>>) -> Result<Counted, Error> {
    let (entries, tombstones) = (table.meta.entries, table.meta.tombstones);
    Ok(Counted { puts: entries.saturating_sub(tombstones), tombstones, bytes: table.raw_bytes().await? })
}

/// An SSTable that holds more than the piece.
async fn part<R: Runtime>(runtime: &R, table: &Rc<Table<R>>, piece: &Piece) -> Result<Counted, Error> {
    let reader = table.reader().await?;
    let (start, end) = (reader.offset_of(&piece.from).await?, reader.offset_of(&piece.to).await?);
    let between = end.saturating_sub(start);
    if between <= WALK_BYTES_MAX {
        return walk(runtime, table, piece).await;
    }
    let all = whole(table).await?;
    let of = |number| share(number, between, reader.top_offset);
    Ok(Counted { puts: of(all.puts), tombstones: of(all.tombstones), bytes: of(all.bytes) })
}

async fn walk<R: Runtime>(runtime: &R, table: &Rc<Table<R>>, piece: &Piece) -> Result<Counted, Error> {
    let mut counted = Counted::default();
    let mut cursor = LevelCursor::new(vec![table.clone()], PATTERN);
    cursor.seek(Goal::AtOrAfter(&piece.from)).await?;
    while let Some(entry) = cursor.current().filter(|entry| *entry.key < *piece.to) {
        counted.bytes += (entry.key.len() + entry.value.unwrap_or_default().len()) as u64;
        match entry.value {
            Some(_) => counted.puts += 1,
            None => counted.tombstones += 1,
        }
        if runtime.should_yield() {
            runtime.yield_now().await;
        }
        cursor.step(Direction::Forward).await?;
    }
    Ok(counted)
}

impl Piece {
    fn touches(&self, table: &TableMeta) -> bool {
        *self.from <= *table.largest && *table.smallest < *self.to
    }

    fn covers(&self, table: &TableMeta) -> bool {
        *self.from <= *table.smallest && *table.largest < *self.to
    }

    /// What dropped ranges leave of it.
    fn without(&self, drops: &[DroppedRange]) -> Vec<Piece> {
        let mut pieces = vec![self.clone()];
        for drop in drops {
            pieces = pieces.iter().flat_map(|piece| piece.around(drop)).collect();
        }
        pieces
    }

    /// What lies before the drop, and what lies behind it.
    fn around(&self, drop: &DroppedRange) -> impl Iterator<Item = Piece> {
        let before = Piece { from: self.from.clone(), to: self.to.clone().min(drop.from.clone()) };
        let behind = Piece { from: self.from.clone().max(drop.to.clone()), to: self.to.clone() };
        [before, behind].into_iter().filter(|piece| piece.from < piece.to)
    }
}

/// Whether some SSTable may hold `key`.
fn spans<R: Runtime>(levels: &[Vec<Rc<Table<R>>>; LEVEL_COUNT], key: &[u8]) -> bool {
    levels[0].iter().any(|table| table.meta.spans(key))
        || levels[1..].iter().any(|level| {
            let at = level.partition_point(|table| *table.meta.largest < *key);
            level.get(at).is_some_and(|table| table.meta.spans(key))
        })
}

/// Whether an SSTable with older writes overlaps this one.
fn has_older<R: Runtime>(levels: &[Vec<Rc<Table<R>>>; LEVEL_COUNT], level: usize, index: usize) -> bool {
    let table = &levels[level][index].meta;
    let rest = if level == 0 { &levels[0][index + 1..] } else { &[] };
    rest.iter().any(|older| older.meta.overlaps(table))
        || levels[level + 1..].iter().any(|level| {
            let at = level.partition_point(|older| older.meta.largest < table.smallest);
            level.get(at).is_some_and(|older| older.meta.overlaps(table))
        })
}

/// `number * part / whole`; nothing of nothing.
fn share(number: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let share = u128::from(number) * u128::from(part.min(whole)) / u128::from(whole);
    u64::try_from(share).expect("a part is not larger than its whole")
}
