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
    let memtable = Rc::new(Memtable::new(4096, seed));
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
    let memtable = Rc::new(Memtable::new(4096, 1));
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
    let memtable = Memtable::new(1 << 20, 1);
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
    let empty = Memtable::new(1 << 20, 1);
    empty.apply(&WriteBatch::new(), Some(Mark { stream: 1, index: 1 }), 1);
    assert!(!empty.is_empty(), "a mark alone has to be flushed as well");
}
