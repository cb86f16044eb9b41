use super::*;

const BODY_MAX: usize = 16 << 20;

fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new(coding);
    while !packer.piece(bytes) {}
    packer.finish()
}

fn unpacked(coding: Coding, bytes: &[u8]) -> Result<Vec<u8>, Rejected> {
    let mut unpacker = Unpacker::new(coding, bytes, BODY_MAX);
    let mut out = Vec::new();
    while !unpacker.piece(&mut out)? {}
    Ok(out)
}

/// Bytes that do not pack well.
fn noise(size: usize) -> Vec<u8> {
    let mut seed = 1u64;
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

#[test]
fn what_is_packed_comes_back() {
    for coding in [Coding::Gzip, Coding::Deflate] {
        for size in [0, 1, 100, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 500_000] {
            let bytes = noise(size);
            assert!(unpacked(coding, &packed(coding, &bytes)) == Ok(bytes), "{coding:?} {size}");
        }
        let text = "{\"TableName\":\"music\"}".repeat(1000);
        let small = packed(coding, text.as_bytes());
        assert!(small.len() < text.len() / 20, "{} of {}", small.len(), text.len());
    }
    let halves = [packed(Coding::Gzip, b"one, "), packed(Coding::Gzip, b"two")].concat();
    assert_eq!(
        unpacked(Coding::Gzip, &halves),
        Ok(b"one, two".to_vec()),
        "members stand one after the other"
    );
}

#[test]
fn what_is_damaged_is_refused() {
    for coding in [Coding::Gzip, Coding::Deflate] {
        let whole = packed(coding, &noise(1000));
        for size in 0..whole.len() {
            assert_eq!(unpacked(coding, &whole[..size]), Err(Rejected::Damaged), "{coding:?} cut at {size}");
        }
        for at in (whole.len() - 4..whole.len()).chain([0, 1, 20, 500]) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            assert_eq!(unpacked(coding, &bytes), Err(Rejected::Damaged), "{coding:?} changed at {at}");
        }
    }
    assert_eq!(unpacked(Coding::Gzip, b"{}"), Err(Rejected::Damaged));
    assert_eq!(unpacked(Coding::Deflate, b"{}"), Err(Rejected::Damaged));
    assert_eq!(unpacked(Coding::Gzip, &packed(Coding::Deflate, b"{}")), Err(Rejected::Damaged));
}

#[test]
fn bombs_do_not_go_off() {
    for coding in [Coding::Gzip, Coding::Deflate] {
        let small = packed(coding, &vec![b' '; UNPACKED_BYTES_FREE]);
        assert!(small.len() < 10_000 && unpacked(coding, &small).is_ok(), "a megabyte is free");
        assert_eq!(
            unpacked(coding, &packed(coding, &vec![b' '; 8 << 20])),
            Err(Rejected::TooLarge),
            "a thousand times its size"
        );
        assert_eq!(
            unpacked(coding, &packed(coding, &noise(BODY_MAX + 1))),
            Err(Rejected::TooLarge),
            "more than a request may have"
        );
        let mut unpacker = Unpacker::new(coding, &small, 100_000);
        let mut out = Vec::new();
        let rejected = loop {
            match unpacker.piece(&mut out) {
                Ok(is_end) => assert!(!is_end && out.len() <= 100_000),
                Err(rejected) => break rejected,
            }
        };
        assert_eq!(rejected, Rejected::TooLarge);
        assert!(out.len() <= 100_000 + PIECE_BYTES, "it ends with the piece that was too much");
    }
}

#[test]
fn names_of_codings() {
    for (name, coding) in [
        ("", Some(Coding::Identity)),
        ("identity", Some(Coding::Identity)),
        ("GZip", Some(Coding::Gzip)),
        ("x-gzip", Some(Coding::Gzip)),
        ("deflate", Some(Coding::Deflate)),
        ("br", None),
        ("gzip, gzip", None),
    ] {
        assert_eq!(Coding::of(name.as_bytes()), coding, "{name}");
    }
    for (list, coding) in [
        ("", Coding::Identity),
        ("identity", Coding::Identity),
        ("gzip", Coding::Gzip),
        ("deflate, gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br;q=1, GZIP;q=0.8, *;q=0.1", Coding::Gzip),
        ("gzip;q=0.5, deflate;q=0.6", Coding::Deflate),
        ("gzip;q=0", Coding::Identity),
        ("gzip;q=0.000, deflate;q=0", Coding::Identity),
        ("gzip ; Q=0.001", Coding::Gzip),
        ("*", Coding::Identity),
        ("gzip;q=nonsense", Coding::Identity),
        (",,;;q=,", Coding::Identity),
    ] {
        assert_eq!(Coding::accepted(list.as_bytes()), coding, "{list}");
    }
}
