//! Numbers against texts that DynamoDB documents, and against a slow exact reference.

use super::*;
use crate::testing::Chance;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn prints_plainly() {
    let check = |input: &str, expected: &str| assert_eq!(number(input).to_string(), expected, "{input}");
    check("0", "0");
    check("-0", "0");
    check("+0.00", "0");
    check("0E1000000", "0");
    check("0e-99999999999999999999", "0");
    check("1", "1");
    check("+1", "1");
    check("-1", "-1");
    check("007", "7");
    check("1e2", "100");
    check("1E+2", "100");
    check("100", "100");
    check("0.0010", "0.001");
    check("-0.5", "-0.5");
    check(".5", "0.5");
    check("5.", "5");
    check("12.30", "12.3");
    check("123.456e-1", "12.3456");
    check("123456789012345678901234567890", "123456789012345678901234567890");
    check("1.0000000000000000000000000000000000000000000000000000000000", "1");
    check("1E125", &format!("1{}", "0".repeat(125)));
    check("1E-130", &format!("0.{}1", "0".repeat(129)));
    check("0.1e-129", &format!("0.{}1", "0".repeat(129)));
    check("9.9999999999999999999999999999999999999E+125", &format!("{}{}", "9".repeat(38), "0".repeat(88)));
    check(
        "-9.9999999999999999999999999999999999999E-130",
        &format!("-0.{}{}", "0".repeat(129), "9".repeat(38)),
    );
}

#[test]
fn text_stays_within_its_bound() {
    let longest = number("-9.9999999999999999999999999999999999999E-130").to_string();
    assert_eq!(longest.len(), NUMBER_TEXT_BYTES_MAX);
}

#[test]
fn refuses_with_the_messages_of_dynamodb() {
    let check = |input: &str, expected: &str| {
        assert_eq!(Number::parse(input).expect_err(input).to_string(), expected, "{input}")
    };
    let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    let underflow =
        "Number underflow. Attempting to store a number with magnitude smaller than supported range";
    let precision = "Attempting to store more than 38 significant digits in a Number";
    check("1E126", overflow);
    check("-1E126", overflow);
    check("1E1000000", overflow);
    check("1E999999999999999999999999999999", overflow);
    check("10E125", overflow);
    check(&format!("1{}", "0".repeat(126)), overflow);
    check(&"7".repeat(200), overflow);
    check("1E-131", underflow);
    check("-0.1E-130", underflow);
    check("1E-1000000", underflow);
    check("1E-999999999999999999999999999999", underflow);
    check(&format!("0.{}1", "0".repeat(130)), underflow);
    check(&"1".repeat(39), precision);
    check("1.00000000000000000000000000000000000001", precision);
    check("100000000000000000000000000000000000000.1", precision);
    check(&format!("0.{}", "3".repeat(39)), precision);
    check("", "The parameter cannot be converted to a numeric value");
    check("  ", "The parameter cannot be converted to a numeric value");
    for text in [
        "a", "1a", "0x1", "1e", "1e+", "e5", ".", "-", "+", "--1", "1.2.3", "1e5.0", "1,0", " 1", "1 ",
        "NaN", "Infinity", "1e 5", "١", "1_000", "-.e1",
    ] {
        check(text, &format!("The parameter cannot be converted to a numeric value: {text}"));
    }
}

#[test]
fn a_long_text_costs_its_length_only() {
    let zeros = "0".repeat(1 << 20);
    assert_eq!(number(&format!("{zeros}12.5{zeros}")).to_string(), "12.5");
    assert_eq!(number(&format!("1{zeros}e-{}", 1 << 20)).to_string(), "1");
    assert_eq!(number(&format!("0.{zeros}1e{}", (1 << 20) + 3)).to_string(), "100");
    assert_eq!(Number::parse(&format!("1{zeros}1")), Err(NumberError::Overflow));
    assert_eq!(Number::parse(&format!("1{zeros}1e-{}", 1 << 20)), Err(NumberError::Precision));
    assert_eq!(Number::parse(&format!("1e{}", "9".repeat(1 << 20))), Err(NumberError::Overflow));
}

#[test]
fn bytes_are_those_of_the_format_page() {
    let check = |input: &str, expected: &str| assert_eq!(hex(number(input).bytes()), expected, "{input}");
    check("0", "80");
    check("1", "C0 82 14");
    check("123", "C0 84 19 3C");
    check("-123", "40 7B E6 C3");
    check("0.001", "C0 7F 14");
    let nines = "C7 ".repeat(18);
    check("9.9999999999999999999999999999999999999E+125", &format!("C0 FF {nines}C6"));
    check("-9.9999999999999999999999999999999999999E+125", &format!("40 00 {}39", "38 ".repeat(18)));
    check("1E-130", "C0 00 14");
    let page = include_str!("../../../docs/FORMAT.md");
    for line in [
        "    123        C0 84 19 3C ",
        "    -123       40 7B E6 C3\n",
        "    0.001      C0 7F 14 ",
        "    1          C0 82 14 ",
    ] {
        assert!(page.contains(line), "FORMAT.md has lost {line}");
    }
}

#[test]
fn check_takes_exactly_what_is_packed() {
    let refused: &[&[u8]] = &[
        &[],
        &[0x00],
        &[0x80, 0x00],
        &[0xC0],
        &[0xC0, 0x82],
        &[0xC0, 0x82, 0x15],       // says that more follows
        &[0xC0, 0x82, 0x12],       // first pair 9
        &[0xC0, 0x82, 0x15, 0x00], // last pair 0
        &[0xC0, 0x82, 0xC8],       // pair 100
        &[0xC0, 0x82, 0x14, 0x14], // something after the end
        &[0x40, 0x7B, 0x14],
        &[0x41, 0x7B, 0xEB],
    ];
    for bytes in refused {
        assert_eq!(NumberRef::check(bytes), None, "{}", hex(bytes));
    }
    let mut too_long = vec![0xC0, 0x82];
    too_long.extend([0x15; 19]);
    too_long.push(0x14);
    assert_eq!(NumberRef::check(&too_long), None);
    assert!(NumberRef::check(&[0x40, 0x7D, 0xEB]).is_some());
}

#[test]
fn split_finds_its_own_end() {
    for text in ["0", "1", "-1", "12345", "-1.5e-100", "99999999999999999999999999999999999999"] {
        let mut bytes = number(text).bytes().to_vec();
        bytes.extend_from_slice(b"\xFF\x00rest");
        let (found, rest) = NumberRef::split(&bytes).expect("a number");
        assert_eq!((found.to_string(), rest), (number(text).to_string(), &b"\xFF\x00rest"[..]));
    }
}

#[test]
fn charges_half_a_byte_per_digit() {
    let check = |input: &str, expected: usize| {
        assert_eq!(number(input).as_ref().charged_bytes(), expected, "{input}")
    };
    check("0", 1);
    check("1", 2);
    check("12", 2);
    check("123", 3);
    check("1000", 2);
    check("-1", 3);
    check("-0.0123", 4);
    check(&"1".repeat(38), 20);
    check(&format!("-{}", "1".repeat(38)), 21);
}

#[test]
fn integers_come_and_go() {
    for value in [0, 1, -1, 10, -900, i64::MAX, i64::MIN, 1_000_000_007] {
        assert_eq!(Number::from(value).as_i64(), Some(value));
        assert_eq!(Number::from(value).to_string(), value.to_string());
    }
    assert_eq!(Number::from(u64::MAX).as_u64(), Some(u64::MAX));
    assert_eq!(Number::from(u64::MAX).as_i64(), None);
    assert_eq!(Number::from(-1_i64).as_u64(), None);
    assert_eq!(number("0.5").as_i64(), None);
    assert_eq!(number("12.5").as_u64(), None);
    assert_eq!(number("1e37").as_u64(), None);
    assert_eq!(number("1e125").as_i64(), None);
    assert_eq!(number("9223372036854775808").as_i64(), None);
}

#[test]
fn sums_are_exact_or_refused() {
    let check = |a: &str, b: &str, expected: &str| {
        let told = |result: Result<Number, NumberError>| match result {
            Ok(sum) => sum.to_string(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(told(number(a).add(number(b))), expected, "{a} + {b}");
        assert_eq!(told(number(b).add(number(a))), expected, "{b} + {a}");
    };
    check("1", "2", "3");
    check("0", "0", "0");
    check("5", "-5", "0");
    check("0.1", "0.2", "0.3");
    check("99", "1", "100");
    check("1", "-0.01", "0.99");
    check("1e37", "1", "10000000000000000000000000000000000001");
    check("1e38", "1", "Precision");
    check("1e38", "-1", "99999999999999999999999999999999999999");
    check("1e39", "-1", "Precision");
    check("99999999999999999999999999999999999999", "1", "100000000000000000000000000000000000000");
    check("99999999999999999999999999999999999999", "0.1", "Precision");
    check("10", "-9.9999999999999999999999999999999999999", "0.0000000000000000000000000000000000001");
    check("9.9999999999999999999999999999999999999E+125", "1E+125", "Overflow");
    check("9.9999999999999999999999999999999999999E+125", "1E+88", "Overflow");
    check("9E125", "1E125", "Overflow");
    check("-9E125", "-1E125", "Overflow");
    check("9.9E125", "9E-130", "Precision");
    check("9.99999E125", "9.9999999999999999999999999999999999999E120", "Overflow");
    check("1E125", "1E-130", "Precision");
    check("1.5E-130", "-1E-130", "Underflow");
    check("2E-130", "-1E-130", &format!("0.{}1", "0".repeat(129)));
    assert_eq!(number("1").sub(number("3")), Ok(number("-2")));
    assert_eq!(number("0").sub(number("3")), Ok(number("-3")));
    assert_eq!(number("0").sub(number("0")), Ok(Number::ZERO));
    assert_eq!(number("-9E125").sub(number("2E125")), Err(NumberError::Overflow));
}

/// The slow reference: an integer of 10^-400 in 1000 decimal places, most significant first.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Slow {
    negative: bool,
    places: Vec<u8>,
}

const SLOW_PLACES: usize = 1000;
const SLOW_UNIT: usize = 400;

impl Slow {
    fn new(negative: bool, digits: &[u8], lowest_exponent: i32) -> Slow {
        let mut places = vec![0; SLOW_PLACES];
        for (index, digit) in digits.iter().rev().enumerate() {
            let exponent = lowest_exponent + index as i32;
            places[SLOW_PLACES - 1 - (exponent + SLOW_UNIT as i32) as usize] = *digit;
        }
        Slow { negative, places }.normal()
    }

    fn normal(mut self) -> Slow {
        self.negative &= self.places.iter().any(|digit| *digit != 0);
        self
    }

    /// Complement arithmetic: each of both as its place-wise difference, no case analysis.
    fn add(&self, other: &Slow) -> Slow {
        let signed =
            |slow: &Slow, place: usize| i32::from(slow.places[place]) * if slow.negative { -1 } else { 1 };
        let raw: Vec<i32> =
            (0..SLOW_PLACES).map(|place| signed(self, place) + signed(other, place)).collect();
        let negative = raw.iter().find(|digit| **digit != 0).is_some_and(|digit| *digit < 0);
        let mut places = vec![0; SLOW_PLACES];
        let mut carry = 0;
        for place in (0..SLOW_PLACES).rev() {
            let digit = if negative { -raw[place] } else { raw[place] } + carry;
            places[place] = digit.rem_euclid(10) as u8;
            carry = digit.div_euclid(10);
        }
        assert_eq!(carry, 0);
        Slow { negative, places }.normal()
    }

    fn order(&self, other: &Slow) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.places.cmp(&other.places),
            (true, true) => other.places.cmp(&self.places),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    fn text(&self) -> String {
        let digits: String = self.places.iter().map(|digit| char::from(b'0' + digit)).collect();
        let (integer, fraction) = digits.split_at(SLOW_PLACES - SLOW_UNIT);
        let (integer, fraction) = (integer.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let sign = if self.negative { "-" } else { "" };
        let integer = if integer.is_empty() { "0" } else { integer };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{integer}{point}{fraction}")
    }

    fn verdict(&self) -> Result<String, NumberError> {
        let Some(first) = self.places.iter().position(|digit| *digit != 0) else { return Ok("0".to_owned()) };
        let last = self.places.iter().rposition(|digit| *digit != 0).expect("one is not zero");
        let exponent = (SLOW_PLACES - 1 - first) as i32 - SLOW_UNIT as i32;
        match () {
            () if exponent > 125 => Err(NumberError::Overflow),
            () if exponent < -130 => Err(NumberError::Underflow),
            () if last + 1 - first > 38 => Err(NumberError::Precision),
            () => Ok(self.text()),
        }
    }
}

/// A random decimal as text, in one of many spellings, and as reference. Exponents gather near each other and at the ends.
fn draw(chance: &mut Chance) -> (String, Slow) {
    let digit_count = [1, 2, 3, 17, 37, 38, 39, 40][chance.below(8) as usize];
    let nines = chance.below(4) == 0;
    let mut digits: Vec<u8> = (0..digit_count)
        .map(|_| if nines || chance.below(5) == 0 { 9 } else { chance.below(10) as u8 })
        .collect();
    if chance.below(4) == 0 {
        let kept = 1 + chance.below(digit_count) as usize;
        digits[kept..].fill(0);
    }
    let center =
        [0, 0, -130, 125, -130 - digit_count as i32, 125 - digit_count as i32][chance.below(6) as usize];
    let lowest = center + chance.below(8) as i32 - 4;
    let negative = chance.below(2) == 0;
    let mut text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let point = chance.below(digit_count + 1) as usize;
    let exponent = lowest + (digits.len() - point) as i32;
    if point < digits.len() || chance.below(2) == 0 {
        text.insert(point, '.');
    }
    let sign = if negative { "-" } else { ["", "+"][chance.below(2) as usize] };
    let zeros = "0".repeat(chance.below(3) as usize);
    (format!("{sign}{zeros}{text}e{exponent}"), Slow::new(negative, &digits, lowest))
}

#[test]
fn agrees_with_the_slow_reference() {
    let mut chance = Chance::new(1);
    let mut good: Vec<(Number, Slow)> = Vec::new();
    let mut refused_count = 0;
    for _ in 0..20_000 {
        let (text, slow) = draw(&mut chance);
        let parsed = Number::parse(&text);
        assert_eq!(parsed.clone().map(|number| number.to_string()), slow.verdict(), "{text}");
        let Ok(parsed) = parsed else {
            refused_count += 1;
            continue;
        };
        assert_eq!(NumberRef::check(parsed.bytes()), Some(parsed.as_ref()), "{text}");
        assert_eq!(Number::parse(&parsed.to_string()), Ok(parsed), "{text}");
        if let Some((other, other_slow)) = good.get(chance.below(good.len().max(1) as u64) as usize) {
            assert_eq!(parsed.cmp(other), slow.order(other_slow), "{parsed} and {other}");
            let sum = parsed.add(*other).map(|sum| sum.to_string());
            assert_eq!(sum, slow.add(other_slow).verdict(), "{parsed} + {other}");
            let minus = Slow { negative: !other_slow.negative, ..other_slow.clone() }.normal();
            let difference = parsed.sub(*other).map(|difference| difference.to_string());
            assert_eq!(difference, slow.add(&minus).verdict(), "{parsed} - {other}");
        }
        good.push((parsed, slow));
    }
    assert!(
        good.len() > 5_000 && refused_count > 1_000,
        "both kinds are drawn: {} {refused_count}",
        good.len()
    );
}

#[test]
fn check_and_access_survive_random_bytes() {
    let mut chance = Chance::new(2);
    let mut good_count = 0;
    for _ in 0..200_000 {
        let length = chance.below(24) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| chance.next() as u8).collect();
        if let Some(class) = bytes.first_mut() {
            *class = [0x40, 0x80, 0xC0, *class][chance.below(4) as usize];
        }
        let trusted = NumberRef::trusted(&bytes);
        assert!(trusted.to_string().len() <= NUMBER_TEXT_BYTES_MAX);
        let _ = (trusted.to_number(), trusted.charged_bytes(), trusted.to_number().as_i64());
        if let Some(number) = NumberRef::check(&bytes) {
            good_count += 1;
            assert_eq!(Number::parse(&number.to_string()).expect("in range").bytes(), bytes);
        }
    }
    assert!(good_count > 1_000, "some bytes are numbers: {good_count}");
}
