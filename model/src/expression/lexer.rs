//! Tokens of the expression languages.
//!
//! One lexer serves all five languages. It never fails: a character that starts no token is a token of its own
//! (`Other`), and the parser refuses it with DynamoDB's syntax error, which names the token and its neighbours.

use crate::limits::EXPRESSION_BYTES_MAX;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare name: a letter, then letters, digits and underscores.
    Name,
    /// `#name`.
    Alias,
    /// `:name`.
    Value,
    /// Digits.
    Index,
    And,
    Or,
    Not,
    Between,
    In,
    Set,
    Remove,
    Add,
    Delete,
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Comma,
    Dot,
    Plus,
    Minus,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Anything else, one character.
    Other,
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// As DynamoDB prints it in a syntax error.
    pub(super) fn shown(&self) -> &str {
        if self.kind == Kind::End { "<EOF>" } else { self.text }
    }
}

/// Hands out tokens from left to right; after the last one, `End` for ever.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    offset: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        assert!(text.len() <= EXPRESSION_BYTES_MAX);
        Lexer { text, offset: 0 }
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn next(&mut self) -> Token<'t> {
        let rest = self.text[self.offset..].trim_start_matches([' ', '\t', '\r', '\n', '\x0c']);
        let start = self.text.len() - rest.len();
        let (kind, bytes) = scan(rest);
        self.offset = start + bytes;
        Token { kind, text: &rest[..bytes], start }
    }
}

/// The kind and length of the token at the start of `rest`.
fn scan(rest: &str) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    let Some(&first) = bytes.first() else {
        return (Kind::End, 0);
    };
    match first {
        b'a'..=b'z' | b'A'..=b'Z' => {
            let length = run(bytes, is_word);
            (keyword(&rest[..length]), length)
        }
        b'0'..=b'9' => (Kind::Index, run(bytes, |byte| byte.is_ascii_digit())),
        b'#' | b':' => placeholder(bytes),
        _ => punctuation(rest),
    }
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| belongs(**byte)).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn placeholder(bytes: &[u8]) -> (Kind, usize) {
    match (bytes[0], run(&bytes[1..], is_word)) {
        (_, 0) => (Kind::Other, 1),
        (b'#', length) => (Kind::Alias, 1 + length),
        (_, length) => (Kind::Value, 1 + length),
    }
}

/// Keywords are case-insensitive, and all of them are reserved words, so no attribute is hidden by them.
fn keyword(word: &str) -> Kind {
    const KEYWORDS: [(&str, Kind); 9] = [
        ("AND", Kind::And),
        ("OR", Kind::Or),
        ("NOT", Kind::Not),
        ("BETWEEN", Kind::Between),
        ("IN", Kind::In),
        ("SET", Kind::Set),
        ("REMOVE", Kind::Remove),
        ("ADD", Kind::Add),
        ("DELETE", Kind::Delete),
    ];
    KEYWORDS.iter().find(|(text, _)| word.eq_ignore_ascii_case(text)).map_or(Kind::Name, |(_, kind)| *kind)
}

fn punctuation(rest: &str) -> (Kind, usize) {
    const SIGNS: [(&str, Kind); 14] = [
        ("<>", Kind::NotEqual),
        ("<=", Kind::LessOrEqual),
        (">=", Kind::GreaterOrEqual),
        ("<", Kind::Less),
        (">", Kind::Greater),
        ("=", Kind::Equal),
        ("(", Kind::Open),
        (")", Kind::Close),
        ("[", Kind::OpenIndex),
        ("]", Kind::CloseIndex),
        (",", Kind::Comma),
        (".", Kind::Dot),
        ("+", Kind::Plus),
        ("-", Kind::Minus),
    ];
    let sign = SIGNS.iter().find(|(text, _)| rest.starts_with(text));
    let other = || (Kind::Other, rest.chars().next().map_or(0, char::len_utf8));
    sign.map_or_else(other, |(text, kind)| (*kind, text.len()))
}

#[cfg(test)]
mod tests;
