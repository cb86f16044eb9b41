use std::collections::BTreeMap;
use std::rc::Rc;

use runtime::sim::{SimRuntime, World, WorldOptions};

use super::block::{Block, BlockBuilder, BlockCursor, Entry, Goal, Malformed};
use super::builder::{BuilderOptions, TableBuilder};
use super::cursor::{LevelCursor, ReadPattern};
use super::footer::Footer;
use super::reader::{Table, Tables};
use super::stored::{Opener, Sealer, seal};
use super::*;
use crate::Error;
use crate::batch::Direction;
use crate::tree::{Compression, TreeOptions};

type Entries = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

fn entries(count: u64, value_size: u64) -> Entries {
    let entry = |number: u64| {
        let key = format!("table/{:04}/{}", number * 3, "x".repeat((number % 9) as usize)).into_bytes();
        let value = (!number.is_multiple_of(11))
            .then(|| vec![number as u8; (number * 31 % (value_size + 1)) as usize]);
        (key, (1000 + number * 7919 % 500, value))
    };
    (0..count).map(entry).collect()
}

fn block(entries: &Entries, interval: usize) -> Rc<Block> {
    let mut builder = BlockBuilder::new(interval);
    for (key, (sequence, value)) in entries {
        let expected = builder.size_with(key, value.as_deref().unwrap_or_default());
        builder.add(Entry { key, sequence: *sequence, value: value.as_deref() });
        assert!(builder.size() <= expected, "the bound holds");
    }
    let (mut bytes, size) = (Vec::new(), builder.size());
    builder.finish(&mut bytes);
    assert_eq!(bytes.len(), size);
    Rc::new(Block::parse(bytes.into()).expect("it was just built"))
}

/// Keys that are there, and others around them.
fn probes(entries: &Entries) -> Vec<Vec<u8>> {
    let around = entries.keys().flat_map(|key| {
        let (mut longer, shorter) = (key.clone(), key[..key.len() - 1].to_vec());
        longer.push(0);
        [key.clone(), longer, shorter]
    });
    around.chain([Vec::new(), vec![0xff; 3]]).collect()
}

#[test]
fn a_block_finds_every_key_and_no_other() {
    for interval in [1, 2, 4, 16] {
        let entries = entries(77, 40);
        let block = block(&entries, interval);
        for probe in probes(&entries) {
            let wanted = entries.range(probe.clone()..).next();
            let found = block.seek(&probe).expect("well formed");
            let Some((key, (sequence, value))) = wanted else {
                assert_eq!(found, None);
                continue;
            };
            let found = found.expect("there is one at or above");
            assert_eq!((found.exact, found.sequence), (*key == probe, *sequence));
            assert_eq!(found.tombstone, value.is_none());
            assert_eq!(block.bytes(found.value), value.as_deref().unwrap_or_default());
        }
    }
}

#[test]
fn a_block_cursor_goes_everywhere() {
    let entries = entries(50, 10);
    let keys: Vec<&[u8]> = entries.keys().map(Vec::as_slice).collect();
    for interval in [1, 3, 16] {
        let mut cursor = BlockCursor::new(block(&entries, interval));
        let mut at = |goal: Goal<'_>| {
            cursor.seek(goal).expect("well formed");
            cursor.current().map(|entry| entry.key.to_vec())
        };
        for probe in probes(&entries) {
            let probe = probe.as_slice();
            let first =
                |want: &dyn Fn(&[u8]) -> bool| keys.iter().find(|key| want(key)).map(|key| key.to_vec());
            let last =
                |want: &dyn Fn(&[u8]) -> bool| keys.iter().rfind(|key| want(key)).map(|key| key.to_vec());
            assert_eq!(at(Goal::AtOrAfter(probe)), first(&|key| key >= probe));
            assert_eq!(at(Goal::After(probe)), first(&|key| key > probe));
            assert_eq!(at(Goal::AtOrBefore(probe)), last(&|key| key <= probe));
            assert_eq!(at(Goal::Before(probe)), last(&|key| key < probe));
        }
        assert_eq!(at(Goal::First).as_deref(), keys.first().copied());
        assert_eq!(at(Goal::Last).as_deref(), keys.last().copied());
    }
}

/// Anything at all: an answer or `Malformed`, never a panic.
#[test]
fn a_block_of_any_bytes_is_read_or_refused() {
    let good = block(&entries(30, 10), 4);
    let good = good.bytes(0..good.size()).to_vec();
    let mut state = 1u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random(4) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        bytes.truncate(bytes.len() - if random(4) == 0 { random(bytes.len()) } else { 0 });
        let walk = || -> Result<(), Malformed> {
            let block = Rc::new(Block::parse(bytes.into())?);
            block.seek(b"table/0030/")?;
            let mut cursor = BlockCursor::new(block);
            cursor.seek(Goal::First)?;
            while cursor.current().is_some() {
                cursor.step()?;
            }
            cursor.seek(Goal::Before(b"table/0050"))?;
            cursor.step_back()
        };
        refused += u32::from(walk().is_err());
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn filters_pass_one_in_a_hundred_and_never_deny() {
    let hash = |number: u64| filter::hash(&number.to_le_bytes(), 99);
    for (count, bits_per_key, passed_max) in
        [(100u64, 10, 4000), (1000, 10, 4000), (100_000, 10, 4000), (20_000, 16, 400), (20_000, 20, 80)]
    {
        let hashes: Vec<u64> = (0..count).map(hash).collect();
        let mut bits = Vec::new();
        filter::build(&hashes, bits_per_key, &mut bits);
        assert_eq!(bits.len(), filter::size(count as usize, bits_per_key));
        assert!(hashes.iter().all(|hash| filter::may_contain(&bits, *hash)));
        let absent = (0..400_000).map(|number| hash(1 << 40 | number));
        let passed = absent.filter(|hash| filter::may_contain(&bits, *hash)).count();
        println!(
            "{count} keys, {bits_per_key} bits each: {:.3}% of 400,000 absent keys pass",
            passed as f64 / 4000.0
        );
        assert!(passed <= passed_max, "{passed} of 400,000 pass a filter of {count} keys");
        assert!(bits_per_key > 10 || passed > 400, "a filter of 10 bits cannot be that good: {passed}");
    }
    assert!(filter::may_contain(&[], 1) && filter::may_contain(&[7], 1), "no filter denies nothing");
}

#[test]
fn filters_of_all_levels_together_pass_one_in_a_hundred() {
    for deepest in 0..7 {
        let bits = |level| filter::bits_per_key(level, deepest);
        assert_eq!(bits(0), 20, "of level 0 several are asked");
        assert!((1..=deepest).is_sorted_by(|above, below| bits(*above) >= bits(*below)));
        assert!(deepest == 0 || bits(deepest) == 10, "the bottom has nearly all keys");
        let share = |level| (-(bits(level) as f64) * std::f64::consts::LN_2.powi(2)).exp();
        let together: f64 = 12.0 * share(0) + (1..=deepest).map(share).sum::<f64>();
        assert!(together < 0.01, "{together} with {deepest} levels and 12 SSTables in level 0");
    }
}

#[test]
fn a_stored_block_opens_only_where_and_as_it_was_sealed() {
    let raw: Vec<u8> = (0..5000u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
    let mine = Seal { identity: 1, file: 2 };
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let mut sealer = Sealer::new(compression).expect("memory");
        let mut stored = Vec::new();
        let body = sealer.compress(&raw);
        assert_eq!(body.0.len() < raw.len() / 2, compression != Compression::None);
        let handle = seal(&mut stored, mine, 8192, body, raw.len());
        let opener = Opener::default();
        assert_eq!(opener.open(&stored, mine, handle).as_deref(), Ok(raw.as_slice()));
        for other in [Seal { identity: 3, ..mine }, Seal { file: 3, ..mine }] {
            assert!(opener.open(&stored, other, handle).is_err());
        }
        assert!(opener.open(&stored, mine, Handle { offset: 4096, ..handle }).is_err());
        assert!(opener.open(&stored, mine, Handle { checksum: !handle.checksum, ..handle }).is_err());
        for at in (0..stored.len()).step_by(97).chain(stored.len() - 9..stored.len()) {
            stored[at] ^= 4;
            assert!(opener.open(&stored, mine, handle).is_err(), "a flipped bit in byte {at}");
            stored[at] ^= 4;
        }
    }
}

#[test]
fn what_does_not_shrink_is_stored_as_it_is() {
    let mut state = 7u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(4000)
    .collect();
    let mut sealer = Sealer::new(Compression::Lz4).expect("memory");
    assert_eq!(sealer.compress(&noise), (noise.as_slice(), 0));
}

/// A directory for SSTables in a new world.
fn tables(world: &World) -> Rc<Tables<SimRuntime>> {
    let runtime = world.runtime(world.node("node"));
    let mut options = TreeOptions::new("tree");
    options.cache_bytes = 8 << 20;
    world.block_on(runtime::Runtime::create_dir(&runtime, "tree".as_ref())).expect("an empty disk");
    Tables::new(runtime, &options, 42)
}

fn builder_options(block_bytes: usize, compression: Compression) -> BuilderOptions {
    BuilderOptions {
        expected_bytes: 0,
        level: 1,
        block_bytes,
        partition_bytes: block_bytes,
        transfer_bytes: 16384,
        compression,
        filter_bits: 10,
        keep: false,
        drops_applied: 5,
    }
}

async fn build(
    tables: &Rc<Tables<SimRuntime>>,
    id: u64,
    options: BuilderOptions,
    entries: &Entries,
) -> Result<Rc<Table<SimRuntime>>, Error> {
    let mut builder = TableBuilder::create(tables, id, options).await?;
    for (key, (sequence, value)) in entries {
        builder.add(Entry { key, sequence: *sequence, value: value.as_deref() }).await?;
    }
    Ok(Table::new(tables, builder.finish().await?.meta))
}

async fn check_table(table: &Rc<Table<SimRuntime>>, entries: &Entries) -> Result<(), Error> {
    for probe in probes(entries) {
        let found = table.get(&probe, filter::hash(&probe, 42)).await?;
        let found = found.map(|hit| (hit.sequence, hit.value.map(|value| value.to_vec())));
        assert_eq!(found.as_ref(), entries.get(&probe), "{}", String::from_utf8_lossy(&probe));
    }
    for cached in [true, false] {
        let pattern = ReadPattern { cached, ..ReadPattern::whole(16384) };
        let mut cursor = LevelCursor::new(vec![table.clone()], pattern);
        for (direction, goal) in [(Direction::Forward, Goal::First), (Direction::Backward, Goal::Last)] {
            cursor.seek(goal).await?;
            let mut found = Vec::new();
            while let Some(entry) = cursor.current() {
                found.push((entry.key.to_vec(), (entry.sequence, entry.value.map(<[u8]>::to_vec))));
                cursor.step(direction).await?;
            }
            if direction == Direction::Backward {
                found.reverse();
            }
            assert!(found.into_iter().eq(entries.iter().map(|(key, entry)| (key.clone(), entry.clone()))));
        }
    }
    Ok(())
}

#[test]
fn an_sstable_gives_back_what_went_in() {
    let world = World::new(1, WorldOptions::default());
    let tables = tables(&world);
    let mut id = 0;
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for (block_bytes, count, value_size) in
            [(256, 150, 30), (4096, 300, 200), (512, 1, 0), (4096, 5, 400_000)]
        {
            id += 1;
            let entries = entries(count, value_size);
            let options = builder_options(block_bytes, compression);
            let table = world.block_on(build(&tables, id, options, &entries)).expect("no faults");
            let meta = &table.meta;
            assert_eq!(meta.entries, count);
            assert_eq!(meta.tombstones, entries.values().filter(|(_, value)| value.is_none()).count() as u64);
            assert_eq!(Some(&meta.smallest.to_vec()), entries.keys().next());
            assert_eq!(Some(&meta.largest.to_vec()), entries.keys().last());
            assert_eq!(
                meta.sequence_min,
                entries.values().map(|(sequence, _)| *sequence).min().expect("one")
            );
            assert_eq!(
                meta.sequence_max,
                entries.values().map(|(sequence, _)| *sequence).max().expect("one")
            );
            world.block_on(check_table(&table, &entries)).expect("no faults");
        }
    }
}

#[test]
fn a_get_costs_one_device_read_when_filter_and_index_are_cached() {
    let world = World::new(2, WorldOptions::default());
    let tables = tables(&world);
    let entries = entries(2000, 200);
    let options = BuilderOptions { partition_bytes: 1 << 20, ..builder_options(4096, Compression::None) };
    let table = world.block_on(build(&tables, 1, options, &entries)).expect("no faults");
    let get = |key: &[u8]| {
        let before = tables.figures.reads.get();
        world.block_on(table.get(key, filter::hash(key, 42))).expect("no faults");
        tables.figures.reads.get() - before
    };
    let keys: Vec<&Vec<u8>> = entries.keys().collect();
    assert_eq!(get(keys[0]), 3, "the tail, the partition, the block");
    assert_eq!(get(keys[1000]), 1, "only the block");
    assert_eq!(get(keys[1000]), 0, "nothing");
    let absent =
        (0..1000).map(|number| get(format!("table/{number:04}/absent").as_bytes())).filter(|n| *n > 0);
    assert!(absent.count() <= 20, "the filter answers for absent keys");
}

#[test]
fn blocks_of_a_page_lie_in_one_page() {
    let world = World::new(3, WorldOptions::default());
    let tables = tables(&world);
    let entries = entries(2000, 300);
    let table = world.block_on(build(&tables, 1, builder_options(4096, Compression::None), &entries));
    let table = table.expect("no faults");
    let raw: usize =
        entries.iter().map(|(key, (_, value))| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
    assert!(table.meta.size < raw as u64 * 13 / 10, "{} bytes for {raw}", table.meta.size);
    let figures = &tables.figures;
    for key in entries.keys() {
        let (reads, bytes) = (figures.reads.get(), figures.read_bytes.get());
        world.block_on(table.get(key, filter::hash(key, 42))).expect("no faults");
        if figures.reads.get() == reads + 1 {
            assert_eq!(figures.read_bytes.get() - bytes, 4096, "a cold block is one page");
        }
    }
    assert!(figures.reads.get() > 50);
}

#[test]
fn damage_of_any_byte_is_an_error_or_harmless() {
    let world = World::new(4, WorldOptions::default());
    let tables = tables(&world);
    let entries = entries(120, 60);
    let table = world.block_on(build(&tables, 1, builder_options(512, Compression::Lz4), &entries));
    let meta = table.expect("no faults").meta.clone();
    let disk = world.disk(runtime::sim::NodeId(0));
    let path = tables.dir.join(file_name(1));
    let mut found = 0;
    for offset in (0..meta.size).step_by(61) {
        disk.flip_bit(&path, offset, (offset % 8) as u32);
        let fresh = Tables::new(tables.runtime.clone(), &TreeOptions::new("tree"), 42);
        let table = Table::new(&fresh, meta.clone());
        match world.block_on(check_table(&table, &entries)) {
            Ok(()) => {}
            Err(Error::Corrupt { path: named, .. }) => {
                assert_eq!(named, path);
                found += 1;
            }
            Err(error) => panic!("byte {offset}: {error}"),
        }
        disk.flip_bit(&path, offset, (offset % 8) as u32);
    }
    assert!(
        found > 100,
        "only {found} flipped bits were noticed; padding and properties alone may go unnoticed"
    );
}

#[test]
fn a_footer_of_another_file_is_refused() {
    let world = World::new(5, WorldOptions::default());
    let tables = tables(&world);
    let entries = entries(10, 10);
    let options = builder_options(512, Compression::None);
    let one = world.block_on(build(&tables, 1, options, &entries)).expect("no faults");
    world.block_on(build(&tables, 2, options, &entries)).expect("no faults");
    let disk = world.disk(runtime::sim::NodeId(0));
    let other = disk.read_file(tables.dir.join(file_name(2))).expect("it was written");
    disk.write_file(tables.dir.join(file_name(1)), &other);
    let error = world.block_on(check_table(&one, &entries)).expect_err("another file's bytes");
    assert!(error.to_string().contains("0000000000000001.sst"), "{error}");
    let mut page = Footer::decode(&other[other.len() - 4096..]).expect("whole").encode();
    page[8] = 9;
    assert!(Footer::decode(&page).expect_err("a newer version").contains("version"));
}

/// FORMAT.md, byte by byte.
#[test]
fn the_bytes_are_those_of_the_page() {
    let mut builder = BlockBuilder::new(16);
    builder.add(Entry { key: b"ab", sequence: 7, value: Some(b"x") });
    builder.add(Entry { key: b"ac", sequence: 5, value: None });
    let mut block = Vec::new();
    builder.finish(&mut block);
    let base = [7, 0, 0, 0, 0, 0, 0, 0];
    let entries = [0, 2, 2, 0, b'a', b'b', b'x', 1, 1, 1, 3, b'c'];
    let restarts = [8, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(block, [&base[..], &entries, &restarts].concat());

    let mut stored = Vec::new();
    let mine = Seal { identity: 0x0102_0304, file: 5 };
    let handle = seal(&mut stored, mine, 4096, (&block, 0), block.len());
    let mut covered = Vec::new();
    [0x0102_0304u64, 5, 4096].iter().for_each(|number| covered.extend_from_slice(&number.to_le_bytes()));
    covered.extend_from_slice(&block);
    covered.extend_from_slice(&[0, block.len() as u8, 0, 0, 0]);
    let checksum = crc32c::crc32c(&covered).to_le_bytes();
    assert_eq!(stored, [&covered[24..], &checksum].concat());
    let mut encoded = Vec::new();
    handle.encode(&mut encoded);
    assert_eq!(encoded, [&[0x80, 0x20, stored.len() as u8], &checksum[..]].concat());
    assert_eq!(Handle::decode(&encoded), Some(handle));

    let footer =
        Footer { seal: mine, top: handle, properties: handle, content_checksum: 0x0a0b_0c0d }.encode();
    assert_eq!(&footer[..12], b"torcSST\0\x01\0\0\0");
    assert_eq!((footer[16], footer[24], footer[33], footer[49]), (4, 5, 0x10, 0x10));
    assert_eq!((footer[40], footer[56]), (stored.len() as u8, stored.len() as u8));
    assert_eq!((&footer[44..48], &footer[60..64]), (&checksum[..], &checksum[..]));
    assert_eq!(footer[64..68], [0x0d, 0x0c, 0x0b, 0x0a]);
    assert_eq!(footer[4092..], crc32c::crc32c(&footer[..4092]).to_le_bytes());

    let mut bits = Vec::new();
    filter::build(&[0], 10, &mut bits);
    assert_eq!(bits.len(), 9, "a probe count and 64 bits");
    // a = b = 0: a stays 0 for the first two probes, then grows by 0, 1, 3, 6, 10 of 2^32: still bit 0.
    assert_eq!(bits, [7, 1, 0, 0, 0, 0, 0, 0, 0]);
}
