//! Numbers: their texts, their order-preserving bytes, and arithmetic that must agree with the order.

use std::cmp::Ordering;

use model::number::{Number, NumberRef};

/// The bytes as two texts with a space between, and as an encoded number.
pub fn run(data: &[u8]) {
    if let Some(number) = NumberRef::check(data) {
        let text = number.to_string();
        assert_eq!(Number::parse(&text).expect("what is printed is a number").bytes(), data, "{text}");
        let (split, rest) = NumberRef::split(data).expect("it delimits itself");
        assert!(split.bytes() == data && rest.is_empty());
        assert!(number.charged_bytes() <= data.len());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (left, right) = text.split_once(' ').unwrap_or((text, "0"));
    let (Ok(left), Ok(right)) = (Number::parse(left), Number::parse(right)) else { return };
    check_pair(left, right);
}

fn check_pair(left: Number, right: Number) {
    for number in [left, right] {
        let text = number.as_ref().to_string();
        assert_eq!(Number::parse(&text), Ok(number), "{text}");
        assert!(NumberRef::check(number.bytes()).is_some());
    }
    assert_eq!(left.cmp(&right), left.bytes().cmp(right.bytes()), "bytes are ordered as numbers");
    assert_eq!(left.add(right), right.add(left));
    let zero = Number::parse("0").expect("a number");
    // A difference may be too small or too long to be told; if it is told, it is on the right side of 0.
    if let Ok(difference) = left.sub(right) {
        assert_eq!(difference.cmp(&zero), left.cmp(&right));
        assert_eq!(difference == zero, left.cmp(&right) == Ordering::Equal);
    }
}
