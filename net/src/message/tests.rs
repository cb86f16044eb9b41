//! Messages: what comes back, at any alignment, and that no bytes make a reader go wrong.

use super::*;

fn at(key: &[u8]) -> KeyAt {
    KeyAt { vnode: 7, table: 42, key: key.to_vec() }
}

fn requests() -> Vec<Request> {
    let get = Get { at: at(b"k1"), consistent: true, projection: Some(vec![1, 2, 3]) };
    let write = |item: Option<&[u8]>| Write { at: at(b"k2"), item: item.map(<[u8]>::to_vec) };
    let operations = vec![
        Operation::Get(get.clone()),
        Operation::Put(Put {
            at: at(b"k3"),
            item: vec![9; 3000],
            condition: Some(vec![4]),
            return_old: true,
            return_old_on_failure: false,
            measure: true,
        }),
        Operation::Delete(Delete {
            at: at(b""),
            condition: None,
            return_old: false,
            return_old_on_failure: true,
            measure: false,
        }),
        Operation::Update(Update {
            at: at(b"k4"),
            key_item: vec![5; 20],
            program: Some(vec![6; 40]),
            condition: None,
            returns: ReturnValues::UpdatedNew,
            return_old_on_failure: false,
        }),
        Operation::GetMany(GetMany { gets: vec![get; 100], bytes_max: 16 << 20 }),
        Operation::WriteMany(WriteMany { writes: vec![write(Some(b"item")), write(None)], measure: true }),
        Operation::Scan(Scan {
            vnode: 1,
            table: 2,
            from: vec![0],
            to: vec![255; 9],
            forward: false,
            limit: LIMIT_NONE,
            bytes_max: PAGE_BYTES_MAX,
            consistent: false,
            filter: Some(vec![8; 8]),
            projection: None,
            count_only: true,
        }),
        Operation::Catalog(Catalog::Create(vec![1; 100])),
        Operation::Catalog(Catalog::Delete("music".to_string())),
        Operation::Catalog(Catalog::Describe("music".to_string())),
        Operation::Catalog(Catalog::Update(TableChange {
            name: "music".to_string(),
            billing_mode: Some(BillingMode::Provisioned),
            provisioned: Some((5, 6)),
            deletion_protection: Some(true),
            table_class: Some(TableClass::InfrequentAccess),
        })),
        Operation::Catalog(Catalog::Tag(Tags {
            name: "music".to_string(),
            tags: vec![("a".to_string(), String::new()), ("b".to_string(), "2".to_string())],
        })),
        Operation::Catalog(Catalog::Untag(TagKeys {
            name: "music".to_string(),
            keys: vec!["a".to_string()],
        })),
        Operation::Catalog(Catalog::TimeToLive(TimeToLiveChange {
            name: "music".to_string(),
            attribute: "expires".to_string(),
            enabled: true,
        })),
        Operation::Drop(Drop { vnode: 3, table: 4 }),
        Operation::Measure(Measure { table: 4 }),
        Operation::Watch(Watch { have: 9, watcher: 1 << 100, node: Some(3), anyone: true }),
        Operation::Cluster(Cluster::Join(member(4))),
        Operation::Cluster(Cluster::Announce(Announce { node: 7, member: member(1) })),
        Operation::Cluster(Cluster::Drain(1)),
        Operation::Cluster(Cluster::Activate(1)),
        Operation::Cluster(Cluster::Remove(Remove { node: 2, force: true })),
        Operation::Cluster(Cluster::Move(MoveReplica { vnode: 9, from: 1, to: 2, shard: Some(0) })),
        Operation::Cluster(Cluster::Prefer(Prefer { vnode: 9, node: 2 })),
        Operation::Cluster(Cluster::Report(Report { vnode: 9, epoch: 77, voters: vec![1, 2, 3] })),
        Operation::Cluster(Cluster::Pause(true)),
        Operation::Cluster(Cluster::Status),
        Operation::Image(ImageAsk { vnode: 9, peer: 31, index: 1 << 40, after: b"key".to_vec() }),
    ];
    operations.into_iter().map(|operation| Request { epoch: 11, operation }).collect()
}

fn member(shard_count: usize) -> Member {
    Member {
        id: u128::MAX / 3,
        name: "node-a".to_string(),
        zone: "zone-a".to_string(),
        addresses: vec!["10.0.0.1:7000".to_string(); shard_count],
        http: Some("10.0.0.1:8000".to_string()),
    }
}

fn image_pairs() -> Items {
    let mut pairs = Items::default();
    for bytes in [&b"a"[..], b"one", b"b", b""] {
        pairs.push(bytes);
    }
    pairs
}

fn replies() -> Vec<Reply> {
    let item = Item { item: Some(b"item".to_vec()), charged_bytes: 17 };
    let written = Written { attributes: None, old_bytes: 3, new_bytes: 4 };
    let failed =
        Failed { code: 101, message: "The conditional request failed".to_string(), item: Some(vec![7; 9]) };
    let moved = Moved { epoch: 12, node: 1, shard: 2 };
    let mut items = Items::default();
    [b"one".as_slice(), b"", b"three"].into_iter().for_each(|item| items.push(item));
    let last = Some(LastKey { key: b"key".to_vec(), key_item: b"key item".to_vec() });
    vec![
        Reply::Item(item.clone()),
        Reply::Item(Item { item: None, charged_bytes: 0 }),
        Reply::Written(written.clone()),
        Reply::Many(vec![
            Part::Item(item),
            Part::Written(written),
            Part::Skipped,
            Part::Failed(failed.clone()),
            Part::Moved(moved),
            Part::Busy,
        ]),
        Reply::Page(Page { items, count: 3, scanned: 5, charged_bytes: 1000, last }),
        Reply::Page(Page::default()),
        Reply::Table(vec![1, 2, 3]),
        Reply::Done,
        Reply::Image(ImagePart { pairs: image_pairs(), last: true }),
        Reply::Measured(Measured { items: 1 << 40, bytes: u64::MAX }),
        Reply::Map(vec![5; 700]),
        Reply::Joined(3),
        Reply::Status(ClusterStatus {
            version: 3,
            moving: 2,
            nodes: vec![NodeStatus { node: 1, up: true, seen_ms: Some(5), version: 2 }],
            ..ClusterStatus::default()
        }),
        Reply::Failed(failed),
        Reply::Moved(moved),
        Reply::Busy,
    ]
}

#[test]
fn a_refusal_is_known_by_one_byte() {
    for reply in replies() {
        let refuses = matches!(reply, Reply::Failed(_) | Reply::Moved(_) | Reply::Busy);
        assert_eq!(is_refusal(&reply.encode()), refuses, "{reply:?}");
    }
    assert!(!is_refusal(&[]));
    assert!(!is_refusal(&[7]));
}

/// The bytes at an address that is `shift` beyond an aligned one.
fn shifted(bytes: &[u8], shift: usize) -> Vec<u8> {
    let mut moved = vec![0xAA; shift];
    moved.extend_from_slice(bytes);
    moved
}

#[test]
fn every_request_comes_back_at_every_alignment() {
    for request in requests() {
        let bytes = request.encode();
        for shift in 0..16 {
            let moved = shifted(&bytes, shift);
            let read = read_request(&moved[shift..]).expect("a sound message");
            assert_eq!(format!("{read:?}"), format!("{:?}", read_request(&bytes).unwrap()));
            assert_eq!(read.epoch, 11);
        }
    }
}

#[test]
fn a_put_is_read_in_place() {
    let bytes = requests()[1].encode();
    let ArchivedOperation::Put(put) = &read_request(&bytes).unwrap().operation else { panic!("a put") };
    assert_eq!((put.at.vnode.to_native(), put.at.table.to_native()), (7, 42));
    assert_eq!((put.at.key.as_slice(), put.item.as_slice()), (b"k3".as_slice(), [9; 3000].as_slice()));
    assert_eq!(optional(&put.condition), Some([4].as_slice()));
    assert!(put.return_old && !put.return_old_on_failure && put.measure);
    let within = bytes.as_ptr_range();
    assert!(within.contains(&put.item.as_slice().as_ptr()), "nothing was copied");
}

#[test]
fn a_scan_and_a_table_change_are_read_in_place() {
    let nth = |want: fn(&Operation) -> bool| {
        requests().into_iter().find(|request| want(&request.operation)).unwrap()
    };
    let bytes = nth(|operation| matches!(operation, Operation::Scan(_))).encode();
    let ArchivedOperation::Scan(scan) = &read_request(&bytes).unwrap().operation else { panic!("a scan") };
    assert_eq!((scan.from.as_slice(), scan.to.as_slice()), ([0].as_slice(), [255; 9].as_slice()));
    assert_eq!((scan.limit.to_native(), scan.bytes_max.to_native()), (LIMIT_NONE, PAGE_BYTES_MAX));
    assert_eq!((optional(&scan.filter), optional(&scan.projection)), (Some([8; 8].as_slice()), None));
    let bytes = nth(|operation| matches!(operation, Operation::Catalog(Catalog::Update(_)))).encode();
    let ArchivedOperation::Catalog(ArchivedCatalog::Update(change)) =
        &read_request(&bytes).unwrap().operation
    else {
        panic!("a table change")
    };
    assert_eq!(change.name.as_str(), "music");
    assert_eq!(
        change.provisioned.as_ref().map(|both| (both.0.to_native(), both.1.to_native())),
        Some((5, 6))
    );
    assert_eq!(change.table_class.as_ref(), Some(&ArchivedTableClass::InfrequentAccess));
}

#[test]
fn a_page_gives_its_items_in_order() {
    let bytes = replies()[4].encode();
    let ArchivedReply::Page(page) = read_reply(&bytes).unwrap() else { panic!("a page") };
    assert_eq!(page.items.iter().collect::<Vec<_>>(), [b"one".as_slice(), b"", b"three"]);
    assert_eq!(page.last.as_ref().unwrap().key_item.as_slice(), b"key item");
}

#[test]
fn ends_that_do_not_fit_their_items_are_refused() {
    for (bytes, ends) in [(3, vec![1, 4]), (3, vec![2, 1]), (3, vec![1, 2]), (1, vec![]), (0, vec![u32::MAX])]
    {
        let items = Items { bytes: vec![0; bytes], ends };
        let reply = Reply::Page(Page { items, ..Page::default() }).encode();
        assert_eq!(read_reply(&reply).err(), Some(Malformed));
    }
}

#[test]
fn too_many_parts_and_too_long_messages_are_refused() {
    let get = Get { at: at(b"k"), consistent: false, projection: None };
    let many = |count| Operation::GetMany(GetMany { gets: vec![get.clone(); count], bytes_max: 1 });
    assert!(read_request(&Request { epoch: 1, operation: many(PARTS_MAX) }.encode()).is_ok());
    assert!(read_request(&Request { epoch: 1, operation: many(PARTS_MAX + 1) }.encode()).is_err());
    assert!(read_reply(&Reply::Many(vec![Part::Busy; PARTS_MAX + 1]).encode()).is_err());
    assert!(read_reply(&Reply::Table(vec![0; MESSAGE_BYTES_MAX]).encode()).is_err());
}

#[test]
fn cut_and_changed_messages_never_panic() {
    let mut refused = 0;
    let mut check = |bytes: &[u8]| {
        let request = read_request(bytes).map(|request| format!("{request:?}"));
        let reply = read_reply(bytes).map(|reply| {
            if let ArchivedReply::Page(page) = reply {
                page.items.iter().for_each(|item| assert!(item.len() <= bytes.len()));
            }
            format!("{reply:?}")
        });
        refused += usize::from(request.is_err()) + usize::from(reply.is_err());
    };
    let short = |bytes: &Vec<u8>| bytes.len() < 400;
    let (requests, replies) = (requests(), replies());
    let all = requests.iter().map(Request::encode).chain(replies.iter().map(Reply::encode)).filter(short);
    for bytes in all {
        (0..bytes.len()).for_each(|length| check(&bytes[..length]));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check(&changed);
        }
    }
    assert!(refused > 1000);
}

#[test]
fn lists_of_the_cluster_are_bounded() {
    let read = |cluster| {
        let bytes = Request { epoch: 1, operation: Operation::Cluster(cluster) }.encode();
        read_request(&bytes).map(|_| ())
    };
    let report = |count| Cluster::Report(Report { vnode: 1, epoch: 1, voters: vec![1; count] });
    assert_eq!((read(report(VOTERS_MAX)), read(report(VOTERS_MAX + 1))), (Ok(()), Err(Malformed)));
    let join = |count| Cluster::Join(member(count));
    assert_eq!((read(join(ADDRESSES_MAX)), read(join(ADDRESSES_MAX + 1))), (Ok(()), Err(Malformed)));
    let announce = |count| Cluster::Announce(Announce { node: 1, member: member(count) });
    assert_eq!((read(announce(ADDRESSES_MAX)), read(announce(ADDRESSES_MAX + 1))), (Ok(()), Err(Malformed)));
}

#[test]
fn an_image_has_a_value_for_each_key() {
    let mut pairs = image_pairs();
    let read = |pairs: &Items| {
        let part = ImagePart { pairs: pairs.clone(), last: false };
        read_reply(&Reply::Image(part).encode()).map(|_| ())
    };
    assert_eq!(read(&pairs), Ok(()));
    pairs.push(b"c");
    assert_eq!(read(&pairs), Err(Malformed));
}
