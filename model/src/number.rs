//! Numbers: exact decimals of 38 digits, held in bytes whose order is the numeric order.
//!
//! ```text
//! "-12.3"  -->  digits 1 2 3, exponent 1, negative  -->  40 | 7C | E6 C3
//! ```
//!
//! 1. `parse` walks the text once, keeps at most 38 significant digits and never expands an exponent.
//! 2. The digits are packed two by two behind class and exponent (FORMAT.md "Number"). A [`Number`] *is* these bytes:
//!    comparing is `memcmp`, storing is a copy, a storage key takes them as they are.
//! 3. `add` and `sub` align the digits in a window of 40 places, which is as wide as an exact answer can need.
//!
//! Promises: one number, one encoding; time and space bounded by the text's length, and by 38 digits afterwards.
//! Leaves to others: which attributes are numbers, and how a message is wrapped.

mod digits;
#[cfg(test)]
mod tests;

use std::{cmp::Ordering, fmt};

use digits::Digits;

/// The longest encoding of a number: class, exponent and 19 pairs of digits.
pub const NUMBER_BYTES_MAX: usize = 2 + PAIRS_MAX;

/// The longest text of a number: `-0.`, 129 zeros and 38 digits.
pub const NUMBER_TEXT_BYTES_MAX: usize = 3 + 129 + 38;

const PAIRS_MAX: usize = crate::limits::NUMBER_DIGITS_MAX / 2;
const NEGATIVE: u8 = 0x40;
const ZERO: u8 = 0x80;
const POSITIVE: u8 = 0xC0;
/// What is added to an exponent, so that it is a byte.
const EXPONENT_BIAS: i32 = 130;

const _: () = assert!(NEGATIVE < ZERO && ZERO < POSITIVE, "the class orders before everything else");
const _: () = assert!(digits::EXPONENT_MIN + EXPONENT_BIAS == 0, "exponents fit a byte from below");
const _: () = assert!(digits::EXPONENT_MAX + EXPONENT_BIAS == 255, "exponents fit a byte from above");

/// A number: zero, or 1E-130 to 9.9999999999999999999999999999999999999E+125 of either sign, up to 38 significant
/// digits. Source: DynamoDB Developer Guide, "Data types: Number".
///
/// Held as its order-preserving bytes, so ordering is `memcmp`.
#[derive(Clone, Copy)]
pub struct Number {
    length: u8,
    bytes: [u8; NUMBER_BYTES_MAX],
}

/// A number inside encoded bytes, with the same order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberRef<'a>(&'a [u8]);

/// Why a text or a result is not a number. `Display` is DynamoDB's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Magnitude above 9.99..E+125.
    Overflow,
    /// Magnitude below 1E-130.
    Underflow,
    /// More than 38 significant digits.
    Precision,
    /// Empty or blank text.
    Empty,
    /// The text is no number.
    Syntax(String),
}

impl Number {
    /// Zero.
    pub const ZERO: Number = {
        let mut bytes = [0; NUMBER_BYTES_MAX];
        bytes[0] = ZERO;
        Number { length: 1, bytes }
    };

    /// Parses a decimal with optional sign, fraction and exponent, in time of the text's length.
    ///
    /// Leading and trailing zeros do not count as digits; the sign of zero is dropped.
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        Digits::parse(text)?.checked().map(|digits| Number::pack(&digits))
    }

    /// The encoded bytes, 1 to [`NUMBER_BYTES_MAX`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The same number as a reference.
    pub fn as_ref(&self) -> NumberRef<'_> {
        NumberRef(self.bytes())
    }

    /// The exact sum, or the error that DynamoDB gives where there is none of 38 digits in range.
    #[expect(clippy::should_implement_trait, reason = "it can fail, which the operator cannot say")]
    pub fn add(self, other: Number) -> Result<Number, NumberError> {
        let sum = Digits::sum(&self.as_ref().digits(), &other.as_ref().digits())?;
        sum.checked().map(|digits| Number::pack(&digits))
    }

    /// The exact difference, or the error that DynamoDB gives where there is none of 38 digits in range.
    #[expect(clippy::should_implement_trait, reason = "it can fail, which the operator cannot say")]
    pub fn sub(self, other: Number) -> Result<Number, NumberError> {
        let difference = Digits::sum(&self.as_ref().digits(), &other.as_ref().digits().negated())?;
        difference.checked().map(|digits| Number::pack(&digits))
    }

    /// The integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        i64::try_from(self.as_ref().digits().integer()?).ok()
    }

    /// The integer, if it is one that fits.
    pub fn as_u64(&self) -> Option<u64> {
        u64::try_from(self.as_ref().digits().integer()?).ok()
    }

    /// Packs digits that are in range.
    fn pack(digits: &Digits) -> Number {
        if digits.is_zero() {
            return Number::ZERO;
        }
        let mut bytes = [0; NUMBER_BYTES_MAX];
        bytes[1] = u8::try_from(digits.exponent() + EXPONENT_BIAS)
            .expect("checked digits have their exponent in range");
        let significant = digits.significant();
        let pair_count = significant.len().div_ceil(2);
        for (byte, pair) in bytes[2..].iter_mut().zip(significant.chunks(2)) {
            let value = pair[0] * 10 + pair.get(1).copied().unwrap_or(0);
            *byte = value * 2 + 1;
        }
        bytes[1 + pair_count] -= 1;
        if digits.negative() {
            bytes[1..2 + pair_count].iter_mut().for_each(|byte| *byte = !*byte);
        }
        bytes[0] = if digits.negative() { NEGATIVE } else { POSITIVE };
        Number { length: (2 + pair_count) as u8, bytes }
    }
}

impl<'a> NumberRef<'a> {
    /// Takes one number off the front of `bytes`, checked; the rest comes back with it.
    pub fn split(bytes: &'a [u8]) -> Option<(NumberRef<'a>, &'a [u8])> {
        let invert = match *bytes.first()? {
            ZERO => return Some((NumberRef(&bytes[..1]), &bytes[1..])),
            POSITIVE => 0x00,
            NEGATIVE => 0xFF,
            _ => return None,
        };
        let pairs = bytes.get(2..)?;
        let last = pairs.iter().take(PAIRS_MAX).position(|byte| (byte ^ invert) & 1 == 0)?;
        let in_range = pairs[..=last].iter().all(|byte| (byte ^ invert) >> 1 <= 99);
        if !in_range || (pairs[0] ^ invert) >> 1 < 10 || (pairs[last] ^ invert) >> 1 == 0 {
            return None;
        }
        let (number, rest) = bytes.split_at(3 + last);
        Some((NumberRef(number), rest))
    }

    /// Checks that `bytes` are exactly one number.
    pub fn check(bytes: &'a [u8]) -> Option<NumberRef<'a>> {
        NumberRef::split(bytes).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
    }

    /// Believes that `bytes` are exactly one number; wrong ones give wrong values, no panic.
    pub fn trusted(bytes: &'a [u8]) -> NumberRef<'a> {
        NumberRef(bytes)
    }

    /// The encoded bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// A copy that owns its bytes; bytes that are no number become zero.
    pub fn to_number(self) -> Number {
        if self.0.is_empty() || self.0.len() > NUMBER_BYTES_MAX {
            return Number::ZERO;
        }
        let mut bytes = [0; NUMBER_BYTES_MAX];
        bytes[..self.0.len()].copy_from_slice(self.0);
        Number { length: self.0.len() as u8, bytes }
    }

    /// Bytes that DynamoDB charges for it: one, one per two significant digits, and one for a minus.
    ///
    /// Source: DynamoDB Developer Guide, "Item sizes and formats".
    pub fn charged_bytes(self) -> usize {
        let pair_count = self.0.len().saturating_sub(2);
        1 + pair_count + usize::from(self.0.first() == Some(&NEGATIVE))
    }

    /// Appends the decimal text as DynamoDB prints it: no exponent, no plus, no zeros that say nothing.
    ///
    /// At most [`NUMBER_TEXT_BYTES_MAX`] bytes.
    pub fn write_to(self, out: &mut Vec<u8>) {
        self.digits().write_to(out);
    }

    fn digits(self) -> Digits {
        match self.0 {
            [NEGATIVE, exponent, pairs @ ..] => Digits::unpack(true, !exponent, pairs, 0xFF),
            [POSITIVE, exponent, pairs @ ..] => Digits::unpack(false, *exponent, pairs, 0x00),
            _ => Digits::ZERO,
        }
    }
}

impl Digits {
    /// The reverse of [`Number::pack`]; bytes that are no pairs give some digits, no panic.
    fn unpack(negative: bool, exponent: u8, pairs: &[u8], invert: u8) -> Digits {
        let mut places = [0; 2 * PAIRS_MAX];
        let pair_count = pairs.len().min(PAIRS_MAX);
        for (place, byte) in places.chunks_exact_mut(2).zip(pairs) {
            let value = ((byte ^ invert) >> 1).min(99);
            place[0] = value / 10;
            place[1] = value % 10;
        }
        Digits::new(negative, &places[..2 * pair_count], i32::from(exponent) - EXPONENT_BIAS)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number::pack(&Digits::from_integer(value < 0, value.unsigned_abs()))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number::pack(&Digits::from_integer(false, value))
    }
}

impl fmt::Display for NumberRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(NUMBER_TEXT_BYTES_MAX);
        self.write_to(&mut text);
        f.write_str(str::from_utf8(&text).expect("digits, point and minus are ASCII"))
    }
}

impl fmt::Debug for NumberRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberError::Overflow => f.write_str(
                "Number overflow. Attempting to store a number with magnitude larger than supported range",
            ),
            NumberError::Underflow => f.write_str(
                "Number underflow. Attempting to store a number with magnitude smaller than supported range",
            ),
            NumberError::Precision => {
                f.write_str("Attempting to store more than 38 significant digits in a Number")
            }
            NumberError::Empty => f.write_str("The parameter cannot be converted to a numeric value"),
            NumberError::Syntax(text) => {
                write!(f, "The parameter cannot be converted to a numeric value: {text}")
            }
        }
    }
}

impl std::error::Error for NumberError {}
