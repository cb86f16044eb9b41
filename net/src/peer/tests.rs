//! Payloads between replicas: what comes back, and that no bytes make the reader go wrong.

use super::*;

fn batch() -> (Batch, Vec<Vec<u8>>) {
    let commands = vec![b"first".to_vec(), Vec::new(), vec![7; 3000]];
    let entries = commands.iter().zip(10..).map(|(command, index)| EntryHead {
        kind: 0,
        term: 3,
        index,
        size: command.len() as u32,
        context: vec![1; (index % 2) as usize],
    });
    let append = Envelope {
        vnode: 7,
        kind: 3,
        from: 1,
        to: 2,
        term: 3,
        index: 9,
        log_term: 2,
        commit: 8,
        sent: 1234,
        entries: entries.collect(),
        ..Envelope::default()
    };
    let image = Image { index: 5, term: 2, voters: vec![1, 2, 3], learners: vec![4], ..Image::default() };
    let snapshot = Envelope { vnode: 8, kind: 7, image: Some(image), ..Envelope::default() };
    (Batch { envelopes: vec![Envelope::default(), append, snapshot], beside: beside() }, commands)
}

fn beside() -> Beside {
    Beside {
        shard: 3,
        pulse: Some(Pulse { reign: 5, sent: 7 }),
        echo: Some(Echo { reign: 8, sent: 11, loyalty: 9 }),
        naps: vec![Nap { vnode: 1, from: 2, to: 3, term: 4, index: 5, asked: 6, agreed: true, under: 7 }],
    }
}

fn bytes() -> Vec<u8> {
    let (batch, commands) = batch();
    encode(&batch, commands.iter().map(Vec::as_slice))
}

#[test]
fn messages_and_commands_come_back() {
    let received = Received::read(Bytes::from(bytes())).expect("it was just encoded");
    let all: Vec<_> = received.envelopes().collect();
    assert_eq!(all.len(), 3);
    assert_eq!(all[1].0.vnode.to_native(), 7);
    assert_eq!(all[1].0.sent.to_native(), 1234);
    assert_eq!(all[1].1, batch().1);
    assert!(all[0].1.is_empty() && all[2].0.image.is_some());
    assert_eq!(received.beside(), beside());
}

#[test]
fn a_command_is_a_slice_of_what_came_in() {
    let payload = Bytes::from(bytes());
    let range = payload.as_ptr_range();
    let received = Received::read(payload.clone()).expect("it was just encoded");
    let (_, commands) = received.envelopes().nth(1).expect("three messages");
    assert!(range.contains(&commands[2].as_ptr()));
}

#[test]
fn cut_and_longer_payloads_are_refused() {
    let whole = bytes();
    for end in 0..whole.len() {
        assert!(Received::read(Bytes::copy_from_slice(&whole[..end])).is_err(), "cut at {end}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(Received::read(Bytes::from(longer)).is_err());
}

#[test]
fn a_flipped_bit_never_makes_the_reader_panic() {
    let whole = bytes();
    for bit in 0..whole.len().min(1500) * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(received) = Received::read(Bytes::from(bad)) {
            let _ = received.envelopes().map(|(_, commands)| commands.len()).sum::<usize>();
        }
    }
}
