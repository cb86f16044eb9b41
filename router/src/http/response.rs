//! One response in one buffer, written with one call.
//!
//! ```text
//! [ room for the head | body ............ ]     the body is written first, where it will stand
//!        [ head       | body ............ ]     then the head in front of it, and this is what is sent
//! ```
//!
//! The head says what DynamoDB's says: `x-amzn-RequestId` and `x-amz-crc32` with every answer, the size always.

use crate::json::writer;

use super::coding::Coding;

/// Room in front of the body for the ordinary head.
const HEAD_BYTES: usize = 512;

/// Bytes that the buffer of an idle connection may keep.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `application/x-amz-json-1.0`
    Json,
    /// `text/plain`
    Text,
    /// `application/json`, for who asked in it.
    PlainJson,
    /// Prometheus' text format.
    Figures,
    /// There is no body, and no word about one but its size.
    Empty,
}

/// What the head says beside the body's size and checksum.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// The HTTP status.
    pub status: u16,
    /// What the body is.
    pub content: Content,
    /// The request's id.
    pub id: &'a [u8],
    /// `Date`, as HTTP writes it.
    pub date: &'a [u8],
    /// Whether the connection stays.
    pub keep_alive: bool,
    /// How the body is packed.
    pub coding: Coding,
    /// Whether the body is only described (HEAD).
    pub without_body: bool,
    /// More header lines, each with its line end.
    pub more: &'a [u8],
}

/// The responses of one connection, one after the other, in one buffer.
#[derive(Debug, Default)]
pub struct Response {
    bytes: Vec<u8>,
    head: Vec<u8>,
    /// Where the head begins, once there is one.
    start: usize,
}

impl Response {
    /// Starts the next response; where its body goes. Callers append.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.resize(HEAD_BYTES, 0);
        &mut self.bytes
    }

    /// The body so far.
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES..]
    }

    /// Puts another body in place of the one so far.
    pub fn replace_body(&mut self, body: &[u8]) {
        self.bytes.truncate(HEAD_BYTES);
        self.bytes.extend_from_slice(body);
    }

    /// Puts the head before the body: now `bytes` are all that is to be sent.
    pub fn finish(&mut self, meta: &Meta<'_>) {
        assert!(self.bytes.len() >= HEAD_BYTES, "a response is begun before it is finished");
        self.head.clear();
        write_head(&mut self.head, meta, &self.bytes[HEAD_BYTES..]);
        if meta.without_body {
            self.bytes.truncate(HEAD_BYTES);
        }
        if self.head.len() > HEAD_BYTES {
            self.bytes.splice(..HEAD_BYTES, self.head.iter().copied());
            self.start = 0;
            return;
        }
        self.start = HEAD_BYTES - self.head.len();
        self.bytes[self.start..HEAD_BYTES].copy_from_slice(&self.head);
    }

    /// The finished response.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

fn write_head(out: &mut Vec<u8>, meta: &Meta<'_>, body: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    writer::integer(out, u64::from(meta.status));
    out.push(b' ');
    out.extend_from_slice(reason(meta.status).as_bytes());
    out.extend_from_slice(b"\r\nServer: Server\r\nDate: ");
    out.extend_from_slice(meta.date);
    match meta.content {
        Content::Json => out.extend_from_slice(b"\r\nContent-Type: application/x-amz-json-1.0"),
        Content::PlainJson => out.extend_from_slice(b"\r\nContent-Type: application/json"),
        Content::Figures => {
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(meter::text::CONTENT_TYPE.as_bytes());
        }
        Content::Text => out.extend_from_slice(b"\r\nContent-Type: text/plain; charset=utf-8"),
        Content::Empty => assert!(body.is_empty(), "an empty body is empty"),
    }
    if meta.coding != Coding::Identity {
        out.extend_from_slice(b"\r\nContent-Encoding: ");
        out.extend_from_slice(meta.coding.name().as_bytes());
    }
    out.extend_from_slice(b"\r\nContent-Length: ");
    writer::integer(out, body.len() as u64);
    let connection: &[u8] = if meta.keep_alive { b"keep-alive" } else { b"close" };
    for part in [b"\r\nConnection: ", connection, b"\r\nx-amzn-RequestId: ", meta.id, b"\r\nx-amz-crc32: "] {
        out.extend_from_slice(part);
    }
    writer::integer(out, u64::from(crc32fast::hash(body)));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(meta.more);
    out.extend_from_slice(b"\r\n");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

/// Characters of a request id, and of its part that differs from request to request.
pub(crate) const ID_BYTES: usize = 52;
const OWN_BYTES: usize = 24;

/// What the request ids of one core end with, from random numbers: it tells one core and start from another.
pub fn id_end(random: [u64; 3]) -> [u8; ID_BYTES - OWN_BYTES] {
    let mut end = [0; ID_BYTES - OWN_BYTES];
    write_id(&mut end, &random);
    end
}

/// A request id like DynamoDB's: 52 characters of digits and upper-case letters. 120 random bits are this request's own.
pub fn request_id(random: [u64; 2], end: &[u8; ID_BYTES - OWN_BYTES]) -> [u8; ID_BYTES] {
    let mut id = [0; ID_BYTES];
    write_id(&mut id[..OWN_BYTES], &random);
    id[OWN_BYTES..].copy_from_slice(end);
    id
}

fn write_id(characters: &mut [u8], random: &[u64]) {
    for (characters, number) in characters.chunks_mut(12).zip(random) {
        // Twelve characters of five bits use 60 bits of each number.
        for (index, pair) in characters.chunks_exact_mut(2).enumerate() {
            pair.copy_from_slice(&PAIRS[(number >> (10 * index)) as usize % PAIRS.len()]);
        }
    }
}

/// Two characters for each ten bits.
static PAIRS: [[u8; 2]; 1024] = {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    let mut pairs = [[0; 2]; 1024];
    let mut index = 0;
    while index < pairs.len() {
        pairs[index] = [ALPHABET[index % 32], ALPHABET[index / 32]];
        index += 1;
    }
    pairs
};

/// `Date` for a second since 1970: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(seconds: u64) -> [u8; 29] {
    const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let (day_index, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(day_index);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[usize::try_from(day_index % 7).expect("below 7")]);
    text[8..11].copy_from_slice(MONTHS[month - 1]);
    for (at, number) in [(5, day), (12, year / 100), (14, year % 100), (17, second / 3600)] {
        put_two(&mut text[at..at + 2], number);
    }
    put_two(&mut text[20..22], second / 60 % 60);
    put_two(&mut text[23..25], second % 60);
    text
}

fn put_two(place: &mut [u8], number: u64) {
    place[0] = b'0' + u8::try_from(number / 10 % 10).expect("a digit");
    place[1] = b'0' + u8::try_from(number % 10).expect("a digit");
}

/// Year, month (from 1) and day (from 1) of a day since 1970: the era arithmetic of Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub(crate) fn civil(day_index: u64) -> (u64, usize, u64) {
    let days = day_index + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, usize::try_from(month).expect("at most 12"), day)
}

#[cfg(test)]
mod tests;
