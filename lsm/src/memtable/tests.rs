use super::*;

type Versions = BTreeMap<Vec<u8>, Vec<(u64, Option<Vec<u8>>)>>;

fn key(number: u64) -> Vec<u8> {
    match number % 4 {
        0 => format!("{number}").into_bytes(),
        1 => format!("a-prefix-longer-than-sixteen-bytes/{number:03}").into_bytes(),
        2 => vec![0; (number % 20) as usize],
        _ => format!("k\0{number}").into_bytes(),
    }
}

/// The newest write of each key at or below `sequence`.
fn visible(versions: &Versions, sequence: u64) -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
    let newest = versions.iter().filter_map(|(key, writes)| {
        let (written, value) = writes.iter().rev().find(|(written, _)| *written <= sequence)?;
        Some((key.clone(), *written, value.clone()))
    });
    newest.collect()
}

fn walk(memtable: &Rc<Memtable>, sequence: u64, goal: Goal<'_>) -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
    let direction = match goal {
        Goal::First | Goal::AtOrAfter(_) | Goal::After(_) => Direction::Forward,
        _ => Direction::Backward,
    };
    let mut cursor = MemtableCursor::new(memtable.clone(), sequence);
    cursor.seek(goal);
    let mut found = Vec::new();
    while let Some(entry) = cursor.current() {
        found.push((entry.key.to_vec(), entry.sequence, entry.value.map(<[u8]>::to_vec)));
        cursor.step(direction);
    }
    found
}

fn filled(seed: u64) -> (Rc<Memtable>, Versions, u64) {
    let memtable = Rc::new(Memtable::new(4096));
    let mut versions = Versions::new();
    let mut sequence = 1;
    for step in 0..600u64 {
        let key = key((step * 7919 + seed) % 97);
        let value = (step % 5 != 0).then(|| vec![step as u8; (step % 50) as usize * 30]);
        let mut batch = WriteBatch::new();
        match &value {
            Some(value) => batch.put(&key, value),
            None => batch.delete(&key),
        }
        versions.entry(key).or_default().push((sequence, value));
        sequence = memtable.apply(&batch, None, sequence);
    }
    (memtable, versions, sequence)
}

#[test]
fn every_view_sees_its_own_time_both_ways() {
    for seed in 1..6 {
        let (memtable, versions, end) = filled(seed);
        for sequence in [0, 1, 50, 299, 300, end - 1, u64::MAX] {
            let mut wanted = visible(&versions, sequence);
            assert_eq!(walk(&memtable, sequence, Goal::First), wanted);
            for (key, _, value) in &wanted {
                let found = memtable.get(key, sequence).expect("it is visible");
                assert_eq!(found.value.as_deref(), value.as_deref());
            }
            wanted.reverse();
            assert_eq!(walk(&memtable, sequence, Goal::Last), wanted);
        }
    }
}

#[test]
fn walks_begin_where_they_shall() {
    let (memtable, versions, end) = filled(3);
    for number in 0..120 {
        let goal = key(number);
        let all = visible(&versions, end / 2);
        let keep = |want: &dyn Fn(&[u8]) -> bool| -> Vec<_> {
            all.iter().filter(|(key, ..)| want(key)).cloned().collect()
        };
        let reversed = |mut entries: Vec<_>| {
            entries.reverse();
            entries
        };
        let goal = goal.as_slice();
        assert_eq!(walk(&memtable, end / 2, Goal::AtOrAfter(goal)), keep(&|key| key >= goal));
        assert_eq!(walk(&memtable, end / 2, Goal::After(goal)), keep(&|key| key > goal));
        assert_eq!(walk(&memtable, end / 2, Goal::AtOrBefore(goal)), reversed(keep(&|key| key <= goal)));
        assert_eq!(walk(&memtable, end / 2, Goal::Before(goal)), reversed(keep(&|key| key < goal)));
    }
}

#[test]
fn a_cursor_goes_on_while_writes_come() {
    let memtable = Rc::new(Memtable::new(4096));
    let put = |key: &[u8], sequence| {
        let mut batch = WriteBatch::new();
        batch.put(key, key);
        memtable.apply(&batch, None, sequence)
    };
    put(b"b", 1);
    put(b"d", 2);
    let mut cursor = MemtableCursor::new(memtable.clone(), 2);
    cursor.seek(Goal::First);
    put(b"c", 3);
    put(b"b", 4);
    put(b"a", 5);
    cursor.step(Direction::Forward);
    assert_eq!(cursor.current().map(|entry| entry.key), Some(&b"d"[..]));
    cursor.step(Direction::Backward);
    let entry = cursor.current().expect("back at b");
    assert_eq!((entry.key, entry.sequence), (&b"b"[..], 1));
    cursor.step(Direction::Backward);
    assert!(cursor.current().is_none());
}

#[test]
fn marks_and_drops_are_kept_and_bytes_counted() {
    let memtable = Memtable::new(1 << 20);
    assert!(memtable.is_empty());
    let mut batch = WriteBatch::new();
    batch.put(b"a", &[1; 100]);
    batch.drop_range(b"a", b"b");
    batch.put(b"a", &[2; 100]);
    let next = memtable.apply(&batch, Some(Mark { stream: 7, index: 3 }), 10);
    assert_eq!((next, memtable.last_sequence()), (13, 12));
    assert_eq!(memtable.marks().get(&7), Some(&3));
    assert_eq!(memtable.drops()[0].sequence, 11);
    assert!(memtable.bytes() > 200 && memtable.bytes() < 800, "{}", memtable.bytes());
    let empty = Memtable::new(1 << 20);
    empty.apply(&WriteBatch::new(), Some(Mark { stream: 1, index: 1 }), 1);
    assert!(!empty.is_empty(), "a mark alone has to be flushed as well");
}

#[test]
fn a_pair_that_is_adopted_is_shared_and_found_like_one_that_was_copied() {
    let memtable = Rc::new(Memtable::new(1 << 20));
    let command = Bytes::from_static(b"header:key-one:value-one:rest");
    let mut batch = WriteBatch::new();
    batch.put(b"key-a", b"copied");
    batch.adopt(command.slice(7..24), 7);
    batch.delete(b"key-z");
    batch.adopt(Bytes::from_static(b"key-b"), 5);
    assert_eq!((batch.len(), batch.bytes()), (4, 11 + 17 + 5 + 5));
    memtable.apply(&batch, None, 1);
    let value = memtable.get(b"key-one", 9).and_then(|entry| entry.value).expect("it was put");
    assert_eq!(&value[..], b":value-one");
    assert_eq!(value.as_ptr(), command[14..].as_ptr(), "shared, not copied");
    let empty = memtable.get(b"key-b", 9).expect("it was put");
    assert_eq!((empty.sequence, empty.value.as_deref()), (4, Some(&b""[..])));
    let keys: Vec<_> = walk(&memtable, 9, Goal::First).into_iter().map(|(key, ..)| key).collect();
    assert_eq!(keys, [&b"key-a"[..], b"key-b", b"key-one", b"key-z"]);
    batch.clear();
    assert!(batch.is_empty() && batch.bytes() == 0 && batch.iter().next().is_none());
}

/// Many leaves and levels, whatever the order that the keys come in.
#[test]
fn large_memtables_keep_their_order() {
    const COUNT: u64 = 40_000;
    let orders: [fn(u64) -> u64; 3] =
        [|turn| turn, |turn| COUNT - 1 - turn, |turn| turn.wrapping_mul(7919) % COUNT];
    for order in orders {
        let memtable = Rc::new(Memtable::new(1 << 20));
        let key = |number: u64| format!("a-table-and-more/{number:08}").into_bytes();
        for turn in 0..COUNT {
            let mut batch = WriteBatch::new();
            batch.put(&key(order(turn)), &order(turn).to_le_bytes());
            memtable.apply(&batch, None, turn + 1);
        }
        let forward = walk(&memtable, u64::MAX, Goal::First);
        assert!(forward.iter().map(|(found, ..)| found.clone()).eq((0..COUNT).map(key)));
        let mut backward = walk(&memtable, u64::MAX, Goal::Last);
        backward.reverse();
        assert_eq!(forward, backward);
        for number in [0, 1, COUNT / 3, COUNT - 2, COUNT - 1] {
            let found =
                memtable.get(&key(number), u64::MAX).and_then(|entry| entry.value).expect("it was put");
            assert_eq!(&found[..], number.to_le_bytes());
            assert_eq!(memtable.get(&key(number + COUNT), u64::MAX), None);
        }
    }
}

/// One key with many writes lies over several leaves.
#[test]
fn every_version_of_a_hot_key_is_found() {
    let memtable = Rc::new(Memtable::new(1 << 20));
    for sequence in 1..=1000u64 {
        let mut batch = WriteBatch::new();
        let key: &[u8] = if sequence % 100 == 0 { b"cold" } else { b"hot" };
        batch.put(key, &sequence.to_le_bytes());
        memtable.apply(&batch, None, sequence);
    }
    for sequence in (1..1000).filter(|sequence| sequence % 100 != 0) {
        assert_eq!(memtable.get(b"hot", sequence).expect("it was put").sequence, sequence);
        let keys: Vec<_> = walk(&memtable, sequence, Goal::Last).into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, if sequence < 100 { vec![&b"hot"[..]] } else { vec![&b"hot"[..], b"cold"] });
    }
}
