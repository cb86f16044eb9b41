use super::*;

fn check(keys: &[&[u8]], targets: &[&[u8]]) {
    let fence = Fence::new(keys.iter().copied());
    assert_eq!(fence.len(), keys.len());
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(fence.key(at), *key);
    }
    for target in targets.iter().chain(keys) {
        let at_or_above = keys.partition_point(|key| key < target);
        assert_eq!(fence.at_or_above(target), at_or_above, "{target:?} in {keys:?}");
    }
}

#[test]
fn a_fence_finds_what_a_plain_search_finds() {
    let targets: &[&[u8]] =
        &[b"", b"a", b"table", b"table/", b"table/0", b"table/00000001", b"table0", b"zz", &[0xff; 20]];
    check(&[], targets);
    check(&[b""], targets);
    check(&[b"table/1"], targets);
    check(&[b"", b"a", b"b"], targets);
    check(&[b"table/00000000", b"table/00000000\0", b"table/00000000\0\0", b"table/00000001"], targets);
    check(&[b"table/", b"table/\0", b"table/\0\0\0\0\0\0\0\0\0", b"table/x"], targets);
    check(&[b"table/same/prefix/1", b"table/same/prefix/2", b"table/same/prefix/3"], targets);
    check(&[b"a", b"a", b"b", b"b", b"c"], targets);
}

#[test]
fn a_fence_of_many_keys_finds_each_and_what_lies_between() {
    for shape in [3u64, 8, 11] {
        let mut keys: Vec<Vec<u8>> = (0..500u64)
            .map(|number| {
                let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                let mut key = b"t/".to_vec();
                key.extend_from_slice(&mixed.to_be_bytes()[..(1 + mixed % shape.min(8)) as usize]);
                key.resize(key.len() + (number % shape) as usize, 0);
                key
            })
            .collect();
        keys.sort();
        let targets: Vec<Vec<u8>> = keys
            .iter()
            .flat_map(|key| {
                let longer = [key.as_slice(), &[0]].concat();
                [longer, key[..key.len() - 1].to_vec()]
            })
            .collect();
        check(
            &keys.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            &targets.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        );
    }
}
