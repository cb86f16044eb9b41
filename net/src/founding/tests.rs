use super::*;

#[test]
fn what_is_said_is_heard() {
    let adopt = Adopt { node: 1, cluster: 2, number: 3, map: b"a map".to_vec() };
    let bytes = Ask::Adopt(adopt).encode();
    let ArchivedAsk::Adopt(heard) = read_ask(&bytes).unwrap() else { panic!("an adoption") };
    assert_eq!((heard.node.to_native(), heard.cluster.to_native(), heard.number.to_native()), (1, 2, 3));
    assert_eq!(heard.map.as_slice(), b"a map");
    let member = Member {
        id: 7,
        name: "a".into(),
        zone: "z".into(),
        addresses: vec!["127.0.0.1:7000".into()],
        http: None,
    };
    let bytes = Told::Described(member).encode();
    assert!(matches!(read_told(&bytes), Ok(ArchivedTold::Described(member)) if member.name == "a"));
}

#[test]
fn cut_or_changed_bytes_are_safe() {
    let bytes = Told::Refused("because".into()).encode();
    for size in 0..bytes.len() {
        let _ = read_told(&bytes[..size]);
        let _ = read_ask(&bytes[..size]);
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        let _ = read_told(&changed);
        let _ = read_ask(&changed);
    }
}
