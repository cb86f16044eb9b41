//! Who can prove what to whom.

use super::*;
use model::ring::{NodeId, Place, ShardId};
use runtime::sim::{World, WorldOptions};

fn secret(bytes: &[u8]) -> Trust {
    Trust::Secret(Secret::new(bytes).unwrap())
}

fn hello(node: u16) -> Hello {
    let place = Some(Place { node: NodeId(node), shard: ShardId(0) });
    Hello { cluster: 1, node: u128::from(node), place, start: 5, secret: true, nonce: [node as u8; 32] }
}

#[test]
fn who_knows_the_secret_is_accepted() {
    let (trust, one, two) = (secret(b"sixteen bytes or more"), hello(1), hello(2));
    for role in [Role::Connecting, Role::Accepting] {
        let code = trust.code(role, &one, &two);
        assert!(trust.accepts(&code, role, &one, &two));
        assert!(!trust.accepts(&code, role.other(), &one, &two), "it was reflected");
        assert!(!trust.accepts(&code, role, &two, &one), "the ends are swapped");
        let other = secret(b"sixteen bytes or less");
        assert!(!other.accepts(&code, role, &one, &two));
        assert!(!Trust::Everybody.accepts(&code, role, &one, &two));
    }
}

#[test]
fn a_code_is_good_for_one_connection_and_one_node() {
    let (trust, one, two) = (secret(&[1; 32]), hello(1), hello(2));
    let code = trust.code(Role::Connecting, &one, &two);
    let changes: [fn(&mut Hello); 6] = [
        |hello| hello.nonce[31] ^= 1,
        |hello| hello.cluster ^= 1,
        |hello| hello.node ^= 1,
        |hello| hello.place = None,
        |hello| hello.start ^= 1,
        |hello| hello.secret = false,
    ];
    for change in changes {
        let (mut other_one, mut other_two) = (one, two);
        change(&mut other_one);
        change(&mut other_two);
        assert!(!trust.accepts(&code, Role::Connecting, &other_one, &two));
        assert!(!trust.accepts(&code, Role::Connecting, &one, &other_two));
    }
    for bit in 0..CODE_BYTES * 8 {
        let mut wrong = code;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(!trust.accepts(&wrong, Role::Connecting, &one, &two), "bit {bit}");
    }
}

/// HMAC-SHA256 as RFC 4231 has it (test case 2), so that a second speaker can be written from the page.
#[test]
fn the_code_is_hmac_sha256() {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
    let tag = hmac::sign(&key, b"what do ya want for nothing?");
    assert_eq!(tag.as_ref()[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    let (one, two) = (hello(1), hello(2));
    let mut text = b"torc: I accepted and know the cluster's secret\n".to_vec();
    text.extend_from_slice(&one.encode());
    text.extend_from_slice(&two.encode());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[3; 20]);
    let code = secret(&[3; 20]).code(Role::Accepting, &one, &two);
    assert_eq!(hmac::sign(&key, &text).as_ref(), code);
}

#[test]
fn a_secret_has_its_bounds_and_is_not_printed() {
    for size in [0, 1, SECRET_BYTES_MIN - 1, SECRET_BYTES_MAX + 1] {
        let error = Secret::new(&vec![b'a'; size]).unwrap_err();
        assert!(error.to_string().contains(&format!("{size} bytes")), "{error}");
    }
    let trust = secret(b"hunter2hunter2hunter2");
    assert_eq!(format!("{trust:?}"), "Secret(Secret)");
}

#[test]
fn nonces_differ() {
    let world = World::new(1, WorldOptions::default());
    let rt = world.runtime(world.node("n"));
    for trust in [secret(&[1; 16]), Trust::Everybody] {
        let mut seen: Vec<_> = (0..200).map(|_| trust.nonce(&rt)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 200);
    }
}
