//! Damage to what was acknowledged: refused with the file and the offset, nothing changed on disk (W7); or it struck
//! bytes that mean nothing, and all is there. Never a log that is silently shorter.

use lsm::Error;
use lsm::log::{Canary, LogOptions};
use runtime::sim::Chance;

use crate::world::{Bench, DIR, record, small};

const RECORDS: u64 = 60;

/// A log of several segments, the first of them recycled, closed cleanly and gone down.
fn written(seed: u64, options: &LogOptions) -> Bench {
    let bench = Bench::new(seed);
    let (log, _) = bench.open(options).unwrap();
    bench.world.block_on(async {
        for index in 1..=40 {
            let position = log.append_when_ready(record(1, index, &[7; 3000])).await.unwrap();
            log.durable(position).await.unwrap();
            log.release(|_| index);
        }
        for index in 41..=40 + RECORDS {
            let size = (index * 977 % 6000) as usize;
            let position = log.append_when_ready(record(1, index, &vec![index as u8; size])).await.unwrap();
            if index % 3 == 0 {
                log.durable(position).await.unwrap();
            }
        }
        log.close().await.unwrap();
    });
    drop(log);
    bench.world.crash(bench.node);
    bench
}

/// What opening says about a damaged log.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Every acknowledged record is there.
    Whole,
    /// `Corrupt`, with file and offset, and nothing on disk was changed.
    Refused { path: String, offset: u64 },
    /// The unforgivable.
    Shorter(usize),
}

fn open(bench: &Bench, options: &LogOptions) -> Verdict {
    let before = bench.files();
    match bench.open(options) {
        Ok((_, records)) => {
            let acknowledged = records.iter().filter(|(_, record)| record.index > 40).count();
            match acknowledged as u64 == RECORDS {
                true => Verdict::Whole,
                false => Verdict::Shorter(acknowledged),
            }
        }
        Err(Error::Corrupt { path, offset, .. }) => {
            assert_eq!(bench.files(), before, "a refused log is left as it was");
            Verdict::Refused { path: path.display().to_string(), offset }
        }
        Err(error) => panic!("{error}"),
    }
}

/// Flips one bit somewhere and opens: (whole, refused) counts, or the seed of a log that was silently cut.
fn rot(seeds: u64, canary: Canary) -> Result<(u32, u32), u64> {
    let (mut whole, mut refused) = (0, 0);
    for seed in 0..seeds {
        let options = LogOptions { canary, ..small() };
        let bench = written(seed, &options);
        let disk = bench.world.disk(bench.node);
        let files = disk.files();
        let (path, size) = &files[(bench.world.draw("file", 0) % files.len() as u64) as usize];
        let place = bench.world.draw("place", 0) % size;
        disk.flip_bit(path, place, 3);
        match open(&bench, &options) {
            Verdict::Whole => whole += 1,
            Verdict::Shorter(_) => return Err(seed),
            Verdict::Refused { path: named, offset } => {
                assert_eq!(named, path.display().to_string(), "seed {seed} names the damaged file");
                assert!(offset <= place, "seed {seed}: {offset} is said, {place} was damaged");
                assert!(place - offset < 16 << 10, "seed {seed}: {offset} is said, {place} was damaged");
                refused += 1;
            }
        }
    }
    Ok((whole, refused))
}

#[test]
fn rot_is_refused_or_harmless() {
    let (whole, refused) =
        rot(400, Canary::None).unwrap_or_else(|seed| panic!("seed {seed} was cut silently"));
    assert!(whole > 50 && refused > 50, "{whole} whole, {refused} refused");
}

#[test]
fn a_log_that_cuts_at_any_damage_is_found() {
    assert!(rot(100, Canary::CutDamage).is_err());
}

#[test]
fn rot_names_the_record() {
    let options = small();
    let bench = written(1, &options);
    let disk = bench.world.disk(bench.node);
    let (path, bytes) = disk
        .files()
        .into_iter()
        .filter_map(|(path, _)| Some((path.clone(), find_record(&disk.read_file(&path)?, 60)?)))
        .next()
        .expect("record 60 is somewhere");
    disk.flip_bit(&path, bytes + 100, 0);
    let refused = open(&bench, &options);
    assert_eq!(refused, Verdict::Refused { path: path.display().to_string(), offset: bytes });
}

/// The offset of the record with `index` of stream 1, by its header's bytes as FORMAT.md has them.
fn find_record(bytes: &[u8], index: u64) -> Option<u64> {
    let mut header = [1_u64.to_le_bytes(), 1_u64.to_le_bytes(), index.to_le_bytes()].concat();
    header.extend(std::iter::repeat_n(index as u8, 16));
    let found = bytes.windows(header.len()).position(|window| window == header)?;
    Some(found as u64 - 16)
}

#[test]
fn an_unreadable_block_is_an_error_that_names_it() {
    let options = small();
    let bench = written(2, &options);
    let disk = bench.world.disk(bench.node);
    let (path, _) = disk.files().into_iter().max_by_key(|(path, _)| path.clone()).unwrap();
    disk.break_region(&path, 4096..8192);
    let error = bench.open(&options).map(|_| ()).unwrap_err();
    assert!(matches!(&error, Error::Io { path: named, .. } if *named == path), "{error}");
}

#[test]
fn a_bit_that_flips_on_the_way_costs_nothing() {
    let options = small();
    for seed in 0..50 {
        let bench = written(seed, &options);
        // Rare enough that the second look is clean.
        bench.world.disk(bench.node).change_faults(|faults| faults.rot_on_read = Chance::percent(1));
        let verdict = open(&bench, &options);
        assert!(!matches!(verdict, Verdict::Shorter(_)), "seed {seed}: {verdict:?}");
    }
}

/// Appends one record whose write has `fault`, though it is acknowledged; then a few more; then closes.
fn with_one_bad_write(seed: u64, fault: impl Fn(&mut runtime::sim::DiskFaults, Chance)) -> Verdict {
    let options = small();
    let bench = written(seed, &options);
    let disk = bench.world.disk(bench.node);
    let (log, _) = bench.open(&options).unwrap();
    bench.world.run_for(options.idle * 10); // The preparer is done: what is written next is a batch.
    disk.change_faults(|faults| fault(faults, Chance::ALWAYS));
    let position = log.append(record(2, 1, b"acknowledged, and not there")).unwrap();
    bench.world.block_on(log.durable(position)).unwrap();
    disk.change_faults(|faults| fault(faults, Chance::NEVER));
    bench.world.block_on(async {
        for index in 2..5 {
            let position = log.append(record(2, index, b"well")).unwrap();
            log.durable(position).await.unwrap();
        }
        log.close().await.unwrap();
    });
    drop(log);
    bench.world.crash(bench.node);
    open(&bench, &options)
}

#[test]
fn a_lost_write_is_found() {
    for seed in 0..50 {
        let verdict = with_one_bad_write(seed, |faults, chance| faults.lost_write = chance);
        assert!(matches!(verdict, Verdict::Refused { .. }), "seed {seed}: {verdict:?}");
    }
}

#[test]
fn a_misdirected_write_is_found() {
    for seed in 0..50 {
        let verdict = with_one_bad_write(seed, |faults, chance| faults.misdirected_write = chance);
        // One in sixteen or so goes astray to where it belongs.
        let well = matches!(verdict, Verdict::Refused { .. } | Verdict::Whole);
        assert!(well, "seed {seed}: {verdict:?}");
    }
}

#[test]
fn a_missing_segment_is_noticed() {
    let options = small();
    let mut refused = 0;
    // The newest segment that was written to has nothing behind it that knows of it; all others have.
    let mut vanished = 0;
    for missing in 0.. {
        let bench = written(3, &options);
        let disk = bench.world.disk(bench.node);
        let Some((path, _)) = disk.files().into_iter().nth(missing) else { break };
        disk.remove_file(&path);
        match open(&bench, &options) {
            Verdict::Shorter(_) => vanished += 1,
            Verdict::Refused { .. } => refused += 1,
            Verdict::Whole => {}
        }
    }
    assert!(refused >= 3 && vanished <= 1, "{refused} refused, {vanished} not noticed");
}

#[test]
fn a_segment_number_that_leaves_no_next_one_is_refused() {
    for number in ["ffffffffffffffff", "8000000000000000"] {
        let options = small();
        let bench = written(4, &options);
        let disk = bench.world.disk(bench.node);
        let path = format!("{DIR}/{number}-0000000000000000.log");
        disk.write_file(&path, &vec![0; options.segment_bytes as usize]);
        assert_eq!(open(&bench, &options), Verdict::Refused { path: path.clone(), offset: 0 });
        disk.remove_file(&path);
        assert_eq!(open(&bench, &options), Verdict::Whole);
    }
}

#[test]
fn a_future_format_is_refused() {
    let options = small();
    let bench = written(4, &options);
    let disk = bench.world.disk(bench.node);
    let (path, _) = disk.files().into_iter().next().unwrap();
    let mut block = disk.read_file(&path).unwrap()[..4096].to_vec();
    block[8] = 9;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..]);
    block[12..16].copy_from_slice(&crc.to_le_bytes());
    disk.overwrite(&path, 0, &block);
    let error = bench.open(&options).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Version { found: 9, known: 1, .. }), "{error}");
}

/// Any number of damages may shorten a log, for what vouches can be damaged too. But it opens or says why, it does not
/// panic, and what it gives back was written, in order.
#[test]
fn wild_damage_never_makes_records_up() {
    let options = small();
    let (mut opened, mut refused) = (0, 0);
    for seed in 0..300 {
        let bench = written(seed % 10, &options);
        let disk = bench.world.disk(bench.node);
        let files = disk.files();
        let draw = |name: &str, of: u64, below: u64| bench.world.draw(name, seed * 100 + of) % below;
        for damage in 0..1 + draw("damages", 0, 8) {
            let any = |name| &files[draw(name, damage, files.len() as u64) as usize];
            let ((from, from_size), (to, to_size)) = (any("from"), any("to"));
            let size = 512 << draw("size", damage, 6);
            let source = draw("source", damage, from_size / 512) * 512;
            let target = draw("target", damage, to_size / 512) * 512;
            let bytes = disk.read_file(from).unwrap();
            let end = bytes.len().min((source + size) as usize).min((source + to_size - target) as usize);
            disk.overwrite(to, target, &bytes[source as usize..end]);
        }
        match bench.open(&options) {
            Ok((_, records)) => {
                opened += 1;
                assert!(records.is_sorted_by(|(_, a), (_, b)| a.index + 1 == b.index), "seed {seed}");
                for (_, record) in records.iter().filter(|(_, record)| record.index > 40) {
                    let size = (record.index * 977 % 6000) as usize;
                    assert_eq!(record.payload, vec![record.index as u8; size], "seed {seed}");
                }
            }
            Err(Error::Corrupt { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(opened > 10 && refused > 10, "{opened} opened, {refused} refused");
}
