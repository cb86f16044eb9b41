//! A number spread out into its decimal digits, for parsing, arithmetic and printing.
//!
//! `(-1)^negative * d1.d2d3...dn * 10^exponent`; neither d1 nor dn is zero, and zero itself has no digits. Digits may
//! be out of DynamoDB's range until [`Digits::checked`] has passed them.

use super::NumberError;
use crate::limits::NUMBER_DIGITS_MAX;

/// The smallest exponent: 1E-130 is the smallest magnitude.
pub(super) const EXPONENT_MIN: i32 = -130;
/// The largest exponent: 9.99..E+125 is the largest magnitude.
pub(super) const EXPONENT_MAX: i32 = 125;
/// Places that a sum is computed in: 38 digits, one that cancels, one that is carried.
const PLACES: usize = NUMBER_DIGITS_MAX + 2;
/// Where counting an exponent's text stops; texts are shorter than this, so the answer stays out of range.
const EXPONENT_SATURATED: i64 = 1 << 40;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    negative: bool,
    exponent: i32,
    count: u8,
    places: [u8; PLACES],
}

impl Digits {
    pub(super) const ZERO: Digits = Digits { negative: false, exponent: 0, count: 0, places: [0; PLACES] };

    /// From digits that may begin and end with zeros; the first of them stands at `exponent`.
    pub(super) fn new(negative: bool, places: &[u8], exponent: i32) -> Digits {
        let Some(first) = places.iter().position(|digit| *digit != 0) else { return Digits::ZERO };
        let last = places.iter().rposition(|digit| *digit != 0).expect("one digit is not zero");
        let mut digits = Digits { negative, exponent: exponent - first as i32, ..Digits::ZERO };
        digits.count = (last + 1 - first) as u8;
        digits.places[..=last - first].copy_from_slice(&places[first..=last]);
        digits
    }

    pub(super) fn from_integer(negative: bool, mut magnitude: u64) -> Digits {
        const U64_DIGITS: usize = 20;
        let mut places = [0; U64_DIGITS];
        for place in places.iter_mut().rev() {
            *place = (magnitude % 10) as u8;
            magnitude /= 10;
        }
        Digits::new(negative, &places, U64_DIGITS as i32 - 1)
    }

    /// Reads a text. Of more than 38 significant digits 39 are kept, enough to be refused by [`Digits::checked`].
    pub(super) fn parse(text: &str) -> Result<Digits, NumberError> {
        let (negative, unsigned) = split_sign(text.as_bytes());
        let parsed = Mantissa::parse(unsigned).and_then(|(mantissa, rest)| {
            let exponent = if rest.is_empty() { 0 } else { parse_exponent(&rest[1..])? };
            Some(mantissa.into_digits(negative, exponent))
        });
        parsed.ok_or_else(|| match text.trim() {
            "" => NumberError::Empty,
            _ => NumberError::Syntax(text.to_owned()),
        })
    }

    /// The exact sum, in range or not; an error when it would need more than [`PLACES`] digits.
    pub(super) fn sum(a: &Digits, b: &Digits) -> Result<Digits, NumberError> {
        if a.count == 0 || b.count == 0 {
            return Ok(if a.count == 0 { *b } else { *a });
        }
        // One place above the higher one, for the carry.
        let top = a.exponent.max(b.exponent) + 1;
        let bottom = a.lowest().min(b.lowest());
        let (a_places, b_places) = (a.aligned(top), b.aligned(top));
        let sum = if a.negative == b.negative {
            Digits::new(a.negative, &added(&a_places, &b_places), top)
        } else if a_places >= b_places {
            Digits::new(a.negative, &subtracted(&a_places, &b_places), top)
        } else {
            Digits::new(b.negative, &subtracted(&b_places, &a_places), top)
        };
        // Wider than the window, no cancelling can bring it back to 38 digits: only when the tops differ by at most one
        // can more than one place cancel, and then 39 places and the carry are enough. What the window cut off
        // belongs to the lower one alone, so nothing was carried out of it and the sum's exponent is exact.
        let is_cut_off = (top - bottom) as usize >= PLACES;
        match is_cut_off {
            true if sum.exponent > EXPONENT_MAX => Err(NumberError::Overflow),
            true => Err(NumberError::Precision),
            false => Ok(sum),
        }
    }

    pub(super) fn negated(mut self) -> Digits {
        self.negative = !self.negative && self.count > 0;
        self
    }

    /// These digits, if DynamoDB can hold them. It looks at the magnitude first.
    pub(super) fn checked(self) -> Result<Digits, NumberError> {
        match self.exponent {
            _ if self.count == 0 => Ok(self),
            i32::MIN..EXPONENT_MIN => Err(NumberError::Underflow),
            EXPONENT_MIN..=EXPONENT_MAX if usize::from(self.count) > NUMBER_DIGITS_MAX => {
                Err(NumberError::Precision)
            }
            EXPONENT_MIN..=EXPONENT_MAX => Ok(self),
            _ => Err(NumberError::Overflow),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.count == 0
    }

    pub(super) fn negative(&self) -> bool {
        self.negative
    }

    pub(super) fn exponent(&self) -> i32 {
        self.exponent
    }

    pub(super) fn significant(&self) -> &[u8] {
        &self.places[..usize::from(self.count)]
    }

    /// The integer, if it is one below 10^37.
    pub(super) fn integer(&self) -> Option<i128> {
        if self.count > 0 && (self.lowest() < 0 || self.exponent > 36) {
            return None;
        }
        let digits = self.significant().iter().fold(0, |sum: i128, digit| sum * 10 + i128::from(*digit));
        let magnitude = if self.count == 0 { 0 } else { digits * 10_i128.pow(self.lowest() as u32) };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Plain text: `-123`, `0.001`, `1200`.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return out.push(b'0');
        }
        if self.negative {
            out.push(b'-');
        }
        let significant = self.significant();
        let integer_length = self.exponent + 1;
        if integer_length <= 0 {
            out.extend_from_slice(b"0.");
            push_zeros(out, -integer_length as usize);
            return push_digits(out, significant);
        }
        let integer_length = integer_length as usize;
        if significant.len() <= integer_length {
            push_digits(out, significant);
            return push_zeros(out, integer_length - significant.len());
        }
        push_digits(out, &significant[..integer_length]);
        out.push(b'.');
        push_digits(out, &significant[integer_length..]);
    }

    /// The exponent of the last digit.
    fn lowest(&self) -> i32 {
        self.exponent + 1 - i32::from(self.count)
    }

    /// The digits in a window whose first place stands at `top`; what lies below the window is cut off.
    fn aligned(&self, top: i32) -> [u8; PLACES] {
        let mut window = [0; PLACES];
        let start = ((top - self.exponent) as usize).min(PLACES);
        for (place, digit) in window[start..].iter_mut().zip(self.significant()) {
            *place = *digit;
        }
        window
    }
}

/// The part of a text before the exponent.
struct Mantissa {
    places: [u8; PLACES],
    /// Significant digits kept in `places`, zeros at the end left out; stops at [`PLACES`].
    count: usize,
    /// Zeros seen since the last digit that was kept.
    zeros_after: usize,
    /// How far left of the point the first significant digit stands: 1 for `5`, 0 for `.5`, -1 for `.05`.
    first_place: i64,
}

impl Mantissa {
    /// Reads up to the `e` of an exponent, which is in the rest, or to the end. None if what it reads is no decimal with
    /// at least one digit and at most one point.
    fn parse(text: &[u8]) -> Option<(Mantissa, &[u8])> {
        let mut mantissa = Mantissa { places: [0; PLACES], count: 0, zeros_after: 0, first_place: 0 };
        let mut point = None;
        let mut first = None;
        let mut length = 0;
        for byte in text {
            match byte {
                b'0' if first.is_none() => {}
                b'0'..=b'9' => {
                    first.get_or_insert(length);
                    mantissa.push(byte - b'0');
                }
                b'.' if point.is_none() => point = Some(length),
                b'e' | b'E' => break,
                _ => return None,
            }
            length += 1;
        }
        let first = first.unwrap_or(0) as i64;
        let point_index = point.unwrap_or(length) as i64;
        mantissa.first_place =
            if first < point_index { point_index - first } else { point_index - first + 1 };
        let digit_count = length - usize::from(point.is_some());
        (digit_count > 0).then_some((mantissa, &text[length..]))
    }

    fn push(&mut self, digit: u8) {
        if digit == 0 {
            self.zeros_after += 1;
            return;
        }
        let place = (self.count + self.zeros_after).min(NUMBER_DIGITS_MAX);
        self.places[place] = digit;
        self.count = place + 1;
        self.zeros_after = 0;
    }

    /// The first place holds the first digit that is not zero, and `count` stops behind the last one.
    fn into_digits(self, negative: bool, exponent: i64) -> Digits {
        if self.count == 0 {
            return Digits::ZERO;
        }
        // What is cut here is out of range either way, and small enough to reckon with.
        let exponent = (exponent + self.first_place - 1).clamp(-100_000, 100_000) as i32;
        Digits { negative, exponent, count: self.count as u8, places: self.places }
    }
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// The exponent's value; beyond [`EXPONENT_SATURATED`] it stays there.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude =
        digits.iter().fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_SATURATED));
    Some(if negative { -magnitude } else { magnitude })
}

fn added(a: &[u8; PLACES], b: &[u8; PLACES]) -> [u8; PLACES] {
    let mut sum = [0; PLACES];
    let mut carry = 0;
    for place in (0..PLACES).rev() {
        let digit = a[place] + b[place] + carry;
        carry = u8::from(digit >= 10);
        sum[place] = digit - 10 * carry;
    }
    assert_eq!(carry, 0, "the window has a place for the carry");
    sum
}

/// `a - b`, for `a >= b`.
fn subtracted(a: &[u8; PLACES], b: &[u8; PLACES]) -> [u8; PLACES] {
    let mut difference = [0; PLACES];
    let mut borrow = 0;
    for place in (0..PLACES).rev() {
        let digit = 10 + a[place] - b[place] - borrow;
        borrow = u8::from(digit < 10);
        difference[place] = digit % 10;
    }
    assert_eq!(borrow, 0, "the greater one stands first");
    difference
}

fn push_zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b'0');
}

fn push_digits(out: &mut Vec<u8>, digits: &[u8]) {
    out.extend(digits.iter().map(|digit| digit + b'0'));
}
