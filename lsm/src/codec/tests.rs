use super::*;

#[test]
fn varints_come_back() {
    for value in [0, 1, 127, 128, 300, 1 << 14, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        let mut decoder = Decoder::new(&out);
        assert_eq!(decoder.varint(), Some(value));
        assert!(decoder.is_empty());
        assert_eq!(Decoder::new(&out[..out.len() - 1]).varint(), None, "cut short");
    }
}

#[test]
fn overlong_varints_are_refused() {
    assert_eq!(Decoder::new(&[0xff; 10]).varint(), None);
    assert_eq!(Decoder::new(&[0xff; 11]).varint(), None);
    assert_eq!(Decoder::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]).varint(), None);
}

#[test]
fn zigzag_keeps_small_differences_small() {
    for (difference, expected) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MIN, u64::MAX)] {
        assert_eq!(zigzag(difference), expected);
        assert_eq!(unzigzag(expected), difference);
    }
}

#[test]
fn common_prefixes_of_all_lengths() {
    let a: Vec<u8> = (0..40).collect();
    for size in 0..40 {
        let mut b = a.clone();
        b[size] ^= 1;
        assert_eq!(common_prefix(&a, &b), size);
        assert_eq!(common_prefix(&a, &a[..size]), size);
    }
}
