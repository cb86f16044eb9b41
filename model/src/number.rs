//! Numbers: exact decimals of 38 digits, held in bytes whose order is the numeric order.

use std::fmt;

/// The longest encoding of a number.
pub const NUMBER_BYTES_MAX: usize = 21;

/// A number: zero, or 1E-130 to 9.9999999999999999999999999999999999999E+125, either sign, up to 38 significant digits.
///
/// Held as its order-preserving bytes, so ordering is `memcmp`.
#[derive(Clone, Copy)]
pub struct Number {
    length: u8,
    bytes: [u8; NUMBER_BYTES_MAX],
}

/// A number inside encoded bytes.
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
        bytes[0] = 0x80;
        Number { length: 1, bytes }
    };
    /// Parses as DynamoDB does, in time of the text's length.
    pub fn parse(_text: &str) -> Result<Number, NumberError> {
        todo!()
    }
    /// The encoded bytes, 1 to [`NUMBER_BYTES_MAX`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
    /// The same number as a reference.
    pub fn as_ref(&self) -> NumberRef<'_> {
        NumberRef(self.bytes())
    }
    /// The exact sum, or the error DynamoDB gives.
    pub fn add(self, _other: Number) -> Result<Number, NumberError> {
        todo!()
    }
    /// The exact difference, or the error DynamoDB gives.
    pub fn sub(self, _other: Number) -> Result<Number, NumberError> {
        todo!()
    }
    /// The integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        todo!()
    }
}

impl<'a> NumberRef<'a> {
    /// Takes one number off the front of `bytes`, checked; the rest comes back with it.
    pub fn split(_bytes: &'a [u8]) -> Option<(NumberRef<'a>, &'a [u8])> {
        todo!()
    }
    /// Checks that `bytes` are exactly one number.
    pub fn check(_bytes: &'a [u8]) -> Option<NumberRef<'a>> {
        todo!()
    }
    /// Believes that `bytes` are exactly one number; wrong ones give wrong values, no panic.
    pub fn trusted(bytes: &'a [u8]) -> NumberRef<'a> {
        NumberRef(bytes)
    }
    /// The encoded bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
    /// A copy that owns its bytes.
    pub fn to_number(self) -> Number {
        todo!()
    }
    /// Bytes that DynamoDB charges for it.
    pub fn charged_bytes(self) -> usize {
        todo!()
    }
    /// Appends the plain decimal text.
    pub fn write_to(self, _out: &mut Vec<u8>) {
        todo!()
    }
}
impl PartialEq for Number {
    fn eq(&self, o: &Number) -> bool {
        self.bytes() == o.bytes()
    }
}
impl Eq for Number {}
impl PartialOrd for Number {
    fn partial_cmp(&self, o: &Number) -> Option<std::cmp::Ordering> {
        Some(self.cmp(o))
    }
}
impl Ord for Number {
    fn cmp(&self, o: &Number) -> std::cmp::Ordering {
        self.bytes().cmp(o.bytes())
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
impl fmt::Display for NumberRef<'_> {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl fmt::Debug for NumberRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl fmt::Display for NumberError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl std::error::Error for NumberError {}
impl From<i64> for Number {
    fn from(_v: i64) -> Number {
        todo!()
    }
}
impl From<u64> for Number {
    fn from(_v: u64) -> Number {
        todo!()
    }
}
