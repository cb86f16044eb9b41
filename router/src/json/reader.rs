//! A pull parser over text that is known to be UTF-8.
//!
//! ```text
//! begin_object -> next_key -> (one value) -> next_key -> (one value) -> next_key = None
//! begin_array -> next_element -> (one value) -> ... -> next_element = false
//! ```
//!
//! The caller asks [`Reader::peek`] what comes, and then takes exactly that. Whoever does not want a value calls
//! [`Reader::skip`], which checks it all the same. [`Reader::end`] makes sure that nothing follows.
//!
//! Promises: strings without escapes are borrowed from the input; every failure is [`Malformed`] with its offset.

use std::borrow::Cow;

use super::DEPTH_MAX;
use super::scan::plain_size;

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number, in its JSON spelling.
    Number,
    /// A string.
    String,
    /// `[`
    Array,
    /// `{`
    Object,
}

/// The text is not JSON, or nests too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where it was noticed, in bytes from the start.
    pub offset: usize,
}

/// One pass over one text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// A container was just opened: its first member takes no comma.
    fresh: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0, depth: 0, fresh: false }
    }

    /// Starts at the beginning of `bytes`, which are checked to be UTF-8 first, all at once.
    pub fn over(bytes: &'a [u8]) -> Result<Reader<'a>, Malformed> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Reader::new(text)),
            Err(error) => Err(Malformed { offset: error.valid_up_to() }),
        }
    }

    /// Where the reader stands, in bytes from the start.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The kind of the value that comes next; takes only the white space before it.
    pub fn peek(&mut self) -> Result<Kind, Malformed> {
        self.skip_space();
        match self.byte() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.malformed()),
        }
    }

    /// Takes `null`.
    pub fn null(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        self.literal("null")
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, Malformed> {
        self.skip_space();
        match self.byte() {
            Some(b't') => self.literal("true").map(|()| true),
            _ => self.literal("false").map(|()| false),
        }
    }

    /// Takes a number and returns its spelling, which follows RFC 8259.
    pub fn number(&mut self) -> Result<&'a str, Malformed> {
        self.skip_space();
        let start = self.at;
        self.accept(b'-');
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.malformed()),
        }
        if self.accept(b'.') {
            self.digits()?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            let _sign = self.accept(b'+') || self.accept(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Takes a string, unescaped; borrowed where it has no escapes.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.skip_space();
        self.expect(b'"')?;
        let start = self.at;
        let plain = self.plain_run()?;
        if self.accept(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::with_capacity(plain.len() + 16);
        text.push_str(plain);
        loop {
            self.escape(&mut text)?;
            text.push_str(self.plain_run()?);
            if self.accept(b'"') {
                assert!(self.at > start, "a string ends after its start");
                return Ok(Cow::Owned(text));
            }
        }
    }

    /// Takes `{"S":"text"}` for any one letter of `letters`, if that stands here without escapes, and with no space in it
    /// but one behind the colon, as nearly all values of items do. Otherwise it takes only the white space before it.
    pub fn tagged_string(&mut self, letters: &[u8]) -> Option<(u8, &'a str)> {
        self.skip_space();
        let bytes = self.text.as_bytes();
        let [b'{', b'"', letter, b'"', b':', rest @ ..] = &bytes[self.at..] else { return None };
        let (space, rest) = match rest {
            [b'"', rest @ ..] => (0, rest),
            [b' ', b'"', rest @ ..] => (1, rest),
            _ => return None,
        };
        let size = plain_size(rest);
        let is_whole = matches!(rest[size..], [b'"', b'}', ..]);
        if !is_whole || self.depth == DEPTH_MAX || !letters.contains(letter) {
            return None;
        }
        let start = self.at + 6 + space;
        self.at = start + size + 2;
        Some((*letter, &self.text[start..start + size]))
    }

    /// Takes `{`.
    pub fn begin_object(&mut self) -> Result<(), Malformed> {
        self.begin(b'{')
    }

    /// Takes the comma, the next key and its colon; `None` where the object ends, which is taken too.
    pub fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        if !self.next_member(b'}')? {
            return Ok(None);
        }
        let key = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Takes `[`.
    pub fn begin_array(&mut self) -> Result<(), Malformed> {
        self.begin(b'[')
    }

    /// Takes the comma before the next element; false where the array ends, which is taken too.
    pub fn next_element(&mut self) -> Result<bool, Malformed> {
        self.next_member(b']')
    }

    /// Takes one whole value of any kind, checking it like every other. Its recursion is bounded by [`DEPTH_MAX`].
    pub fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek()? {
            Kind::Null => self.null(),
            Kind::True | Kind::False => self.boolean().map(|_| ()),
            Kind::Number => self.number().map(|_| ()),
            Kind::String => self.string().map(|_| ()),
            Kind::Array => {
                self.begin_array()?;
                while self.next_element()? {
                    self.skip()?;
                }
                Ok(())
            }
            Kind::Object => {
                self.begin_object()?;
                while self.next_key()?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
        }
    }

    /// Makes sure that nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.malformed()) }
    }

    /// The failure at the present place; for callers that know better what belongs here.
    pub fn malformed(&self) -> Malformed {
        Malformed { offset: self.at }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.accept(byte) { Ok(()) } else { Err(self.malformed()) }
    }

    fn literal(&mut self, word: &str) -> Result<(), Malformed> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.malformed()) }
    }

    fn begin(&mut self, open: u8) -> Result<(), Malformed> {
        self.skip_space();
        if self.depth == DEPTH_MAX {
            return Err(self.malformed());
        }
        self.expect(open)?;
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    fn next_member(&mut self, close: u8) -> Result<bool, Malformed> {
        assert!(self.depth > 0, "a member is asked for inside a container");
        self.skip_space();
        let first = std::mem::take(&mut self.fresh);
        if self.accept(close) {
            self.depth -= 1;
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Text up to the next quote or backslash, which stays; no control characters in between.
    fn plain_run(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        self.at += plain_size(&self.text.as_bytes()[start..]);
        match self.byte() {
            Some(b'"' | b'\\') => Ok(&self.text[start..self.at]),
            _ => Err(self.malformed()),
        }
    }

    /// One escape, from its backslash on.
    fn escape(&mut self, text: &mut String) -> Result<(), Malformed> {
        self.expect(b'\\')?;
        let byte = self.byte().ok_or(self.malformed())?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(text),
            _ => return Err(self.malformed()),
        };
        self.at += 1;
        text.push(plain);
        Ok(())
    }

    /// `uXXXX`, or two of them that make one character beyond the first plane.
    fn unicode_escape(&mut self, text: &mut String) -> Result<(), Malformed> {
        let first = self.four_digits()?;
        let code = match first {
            0xD800..=0xDBFF => {
                self.expect(b'\\')?;
                let second = self.four_digits()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.malformed());
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            _ => first,
        };
        text.push(char::from_u32(code).ok_or(self.malformed())?);
        Ok(())
    }

    /// `u` and four hexadecimal digits.
    fn four_digits(&mut self) -> Result<u32, Malformed> {
        self.expect(b'u')?;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16)).ok_or(self.malformed())?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests;
