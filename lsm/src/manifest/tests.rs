use std::collections::BTreeMap;

use runtime::sim::{NodeId, SimRuntime, World, WorldOptions};
use runtime::{Runtime, Wall};

use super::record::{SECTOR_BYTES, scan};
use super::*;
use crate::sstable::TableMeta;
use crate::version::DroppedRange;

fn meta(id: u64) -> TableMeta {
    TableMeta {
        id,
        size: 4096 * id,
        entries: 3 + id,
        tombstones: id % 3,
        sequence_min: id,
        sequence_max: id + 7,
        drops_applied: id / 2,
        created: Wall(1_700_000_000_000_000),
        newest: None,
        content_checksum: 0xdead_beef ^ id as u32,
        smallest: format!("key/{id}").into_bytes().into(),
        largest: format!("key/{id}/{}", "z".repeat(id as usize % 300)).into_bytes().into(),
    }
}

/// Edit number `step` of a tree that adds an SSTable each time and removes one now and then.
fn edit(step: u64) -> Edit {
    Edit {
        next_file_id: step + 1,
        last_sequence: step + 100,
        added: vec![(step as usize % 7, meta(step))],
        removed: if step.is_multiple_of(3) { vec![step - 1] } else { Vec::new() },
        marks: BTreeMap::from([(step % 2, step), (u64::MAX, step)]),
        drops: vec![DroppedRange { sequence: step, from: b"a"[..].into(), to: b"b"[..].into() }],
        retired: if step > 2 { vec![step - 2] } else { Vec::new() },
    }
}

fn picture(steps: u64) -> Picture {
    let mut picture = Picture::new(77);
    (1..=steps).for_each(|step| picture.apply(&edit(step)).expect("they follow each other"));
    picture
}

#[test]
fn edits_and_pictures_come_back() {
    for step in 1..20 {
        assert_eq!(Edit::decode(&edit(step).encode()), Ok(edit(step)));
        let picture = picture(step);
        assert_eq!(Picture::decode(&picture.encode(5), 5), Ok((picture.clone(), 2)));
        assert!(Picture::decode(&picture.encode(5), 6).is_err(), "another generation");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |change: &dyn Fn(&mut Edit)| {
        let mut edit = edit(5);
        change(&mut edit);
        picture(4).apply(&edit).expect_err("it does not fit")
    };
    assert!(refused(&|edit| edit.next_file_id = 2).contains("go back"));
    assert!(refused(&|edit| edit.last_sequence = 2).contains("go back"));
    assert!(refused(&|edit| edit.removed = vec![99]).contains("99"));
    assert!(refused(&|edit| edit.marks = BTreeMap::from([(0, 1)])).contains("mark"));
    assert!(refused(&|edit| edit.added[0].0 = 7).contains("level 7"));
    assert!(refused(&|edit| edit.added[0].1.sequence_max = 1 << 40).contains("out of bounds"));
    assert!(refused(&|edit| edit.added[0].1.newest = Some(Wall(1))).contains("age"));
    assert!(refused(&|edit| edit.added[0].1.smallest = b"zzz"[..].into()).contains("ends before"));
    assert!(Edit::decode(&[200]).expect_err("no such tag").contains("200"));
    let cut = edit(5).encode();
    assert!(Edit::decode(&cut[..cut.len() - 1]).is_err());
    let mut newer = picture(2).encode(1);
    newer[8] = 3;
    assert!(Picture::decode(&newer, 1).expect_err("a newer version").contains("version"));
}

#[test]
fn edits_of_any_bytes_are_read_or_refused() {
    let good = edit(6).encode();
    for at in 0..good.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            if let Ok(edit) = Edit::decode(&bytes) {
                let _ = picture(5).apply(&edit);
            }
        }
    }
}

/// Three records and room behind them.
fn generation() -> (Vec<u8>, Vec<u64>) {
    let records = [vec![1; 1000], vec![2; 10], vec![3; 6000]];
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for (number, record) in records.iter().enumerate() {
        let encoded = encode(record, 9, bytes.len() as u64, number as u64);
        bytes.extend_from_slice(&encoded);
        ends.push(bytes.len() as u64);
    }
    bytes.resize(bytes.len() + 16384, 0);
    (bytes, ends)
}

#[test]
fn a_torn_last_record_is_cut_whatever_is_left_of_it() {
    let (whole, ends) = generation();
    let first = ends[1] as usize;
    let sectors = 6000usize.div_ceil(496);
    for kept in 0..1u32 << sectors {
        let mut bytes = whole.clone();
        for sector in (0..sectors).filter(|sector| kept & 1 << sector == 0) {
            let at = first + sector * SECTOR_BYTES;
            bytes[at..at + SECTOR_BYTES].fill(0);
        }
        let (records, tail) = scan(&bytes, 9).expect("a torn tail is no damage");
        let complete = kept + 1 == 1 << sectors;
        assert_eq!(records.len(), if complete { 3 } else { 2 });
        assert_eq!(tail.torn, kept != 0 && !complete);
        assert_eq!(tail.end, if complete { ends[2] } else { ends[1] });
        assert_eq!(tail.next_number, records.len() as u64);
    }
}

#[test]
fn rot_is_an_error_wherever_it_is() {
    let (mut bytes, ends) = generation();
    for at in (0..bytes.len()).step_by(37) {
        bytes[at] ^= 16;
        let (offset, what) = scan(&bytes, 9).expect_err("one bit is wrong");
        assert_eq!(offset as usize, at / SECTOR_BYTES * SECTOR_BYTES, "{what}");
        bytes[at] ^= 16;
    }
    assert!(scan(&bytes, 8).is_err(), "sectors of another generation");
    assert_eq!(scan(&bytes, 9).expect("all is well again").1.end, ends[2]);
}

#[test]
fn a_record_that_is_gone_before_another_is_an_error() {
    let (whole, ends) = generation();
    for (start, end) in [(0, ends[0]), (ends[0], ends[1])] {
        let mut bytes = whole.clone();
        bytes[start as usize..end as usize].fill(0);
        let (offset, what) = scan(&bytes, 9).expect_err("it was acknowledged");
        assert_eq!(offset, start);
        assert!(what.contains("missing"), "{what}");
    }
}

async fn open(runtime: &SimRuntime, reserve: u64) -> Result<Manifest<SimRuntime>, Error> {
    let dir = Path::new("tree");
    runtime.create_dir(dir).await.expect("no faults");
    let names = runtime.list(dir).await.expect("no faults");
    Manifest::open(runtime.clone(), dir, &names, reserve, Canary::None).await
}

fn names(world: &World) -> Vec<String> {
    let files = world.disk(NodeId(0)).files();
    files
        .into_iter()
        .map(|(path, _)| path.file_name().expect("a file").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn generations_follow_each_other_and_one_is_kept() {
    let world = World::new(1, WorldOptions::default());
    let runtime = world.runtime(world.node("node"));
    world.block_on(async {
        let mut manifest = open(&runtime, 8192).await.expect("a new one");
        for step in 1..100 {
            manifest.append(&edit(step)).await.expect("no faults");
            let again = open(&runtime, 8192).await.expect("it was closed well");
            assert_eq!(again.picture(), manifest.picture());
        }
        assert!(manifest.generation > 20, "{}", manifest.generation);
    });
    assert_eq!(names(&world).len(), 2, "{:?}", names(&world));
}

#[test]
fn a_full_disk_changes_nothing_and_passes() {
    let world = World::new(2, WorldOptions::default());
    let runtime = world.runtime(world.node("node"));
    let disk = world.disk(NodeId(0));
    world.block_on(async {
        let mut manifest = open(&runtime, 8192).await.expect("a new one");
        disk.change_faults(|faults| faults.bytes_max = disk.bytes_used());
        let mut step = 1;
        let full = loop {
            let before = manifest.picture().clone();
            if let Err(error) = manifest.append(&edit(step)).await {
                assert_eq!(manifest.picture(), &before);
                break error;
            }
            step += 1;
        };
        assert!(matches!(full, Error::Full { .. }), "{full}");
        assert!(step > 1, "what was reserved can be used on a full disk");
        disk.change_faults(|faults| faults.bytes_max = u64::MAX);
        manifest.append(&edit(step)).await.expect("there is space again");
        assert_eq!(open(&runtime, 8192).await.expect("well").picture(), manifest.picture());
    });
    assert!(names(&world).iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn a_rotten_manifest_is_named_and_left_alone() {
    let world = World::new(3, WorldOptions::default());
    let node = world.node("node");
    let runtime = world.runtime(node);
    let disk = world.disk(node);
    world.block_on(async {
        let mut manifest = open(&runtime, 1 << 16).await.expect("a new one");
        for step in 1..5 {
            manifest.append(&edit(step)).await.expect("no faults");
        }
    });
    let path = Path::new("tree").join(file_name(1));
    disk.flip_bit(&path, 4096 + 600, 3);
    let before = disk.read_file(&path);
    let error = world.block_on(open(&runtime, 1 << 16)).err().expect("it is damaged");
    assert!(matches!(&error, Error::Corrupt { offset: 4608, .. }), "{error}");
    assert!(error.to_string().contains("manifest-0000000000000001"), "{error}");
    assert_eq!(disk.read_file(&path), before);
    assert_eq!(names(&world).len(), 1);
}

/// A generation of version 1, written from the page by another program: it opens, and the next edit begins a generation
/// of the new version.
#[test]
fn a_manifest_of_version_1_still_opens() {
    let world = World::new(4, WorldOptions::default());
    let node = world.node("node");
    let (runtime, disk) = (world.runtime(node), world.disk(node));
    let old = include_bytes!("tests/version-1.manifest");
    disk.write_file(Path::new("tree").join(file_name(3)), old);
    world.block_on(async {
        let mut manifest = open(&runtime, 1 << 16).await.expect("an old version is read");
        let picture = manifest.picture().clone();
        assert_eq!((picture.identity, picture.next_file_id, picture.last_sequence), (77, 302, 9500));
        assert_eq!(picture.tables.keys().copied().collect::<Vec<_>>(), [17, 301]);
        let (level, table) = &picture.tables[&17];
        assert_eq!((*level, table.newest, table.largest.len(), table.sequence_max), (2, None, 600, 650));
        assert_eq!((picture.marks[&5], picture.drops.len()), (44, 0));
        let aged = TableMeta { newest: Some(Wall(5)), ..meta(400) };
        let edit = Edit { next_file_id: 401, last_sequence: 9501, added: vec![(0, aged)], ..Edit::default() };
        manifest.append(&edit).await.expect("no faults");
        assert_eq!(manifest.generation, 4);
        let again = open(&runtime, 1 << 16).await.expect("its own");
        assert_eq!(again.picture(), manifest.picture());
        assert_eq!(again.picture().tables[&400].1.newest, Some(Wall(5)));
    });
    let kept = disk.read_file(Path::new("tree").join(file_name(3)));
    assert_eq!(kept.as_deref(), Some(&old[..]), "what was acknowledged is never written again");
}

/// FORMAT.md, byte by byte.
#[test]
fn the_bytes_are_those_of_the_page() {
    let record = vec![0xab; 500];
    let bytes = encode(&record, 3, 8192, 6);
    assert_eq!(bytes.len(), 4096);
    assert_eq!(bytes[4..16], [0xf4, 1, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[16..512], [0xab; 496]);
    assert_eq!(bytes[512 + 16..512 + 20], [0xab; 4]);
    assert!(bytes[512 + 20..].iter().all(|byte| *byte == 0));
    let place = [&3u64.to_le_bytes()[..], &8704u64.to_le_bytes(), &bytes[516..1024]].concat();
    assert_eq!(bytes[512..516], crc32c::crc32c(&place).to_le_bytes());

    let edit = Edit {
        next_file_id: 300,
        last_sequence: 9,
        removed: vec![4],
        marks: BTreeMap::from([(2, 5)]),
        drops: vec![DroppedRange { sequence: 8, from: b"a"[..].into(), to: b"bc"[..].into() }],
        retired: vec![1],
        ..Edit::default()
    };
    let fields: [&[u8]; 6] = [
        &[1, 0xac, 2],
        &[2, 9],
        &[4, 4],
        &[5, 2, 0, 0, 0, 0, 0, 0, 0, 5],
        &[6, 8, 1, b'a', 2, b'b', b'c'],
        &[7, 1],
    ];
    assert_eq!(edit.encode(), fields.concat());
    let first = Picture::new(0x0708).encode(2);
    assert_eq!(first[..12], *b"torcMAN\0\x02\0\0\0");
    assert_eq!((first[12], &first[20..22]), (2, &[8, 7][..]));
}
