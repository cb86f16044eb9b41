//! From bytes as they come to whole requests: no sockets, no clock, one buffer for each connection.
//!
//! ```text
//! room() <- read          step() -> More     read again, the buffer being at least so large
//! filled(n)                      -> Head     the header block is complete: admit it, answer 100-continue
//!                                -> Ready    the body is complete: request()
//!                                -> Reject   say so and close
//! next()                  the request is done with; what was pipelined behind it moves to the front
//! ```
//!
//! 1. The header block ends at its first empty line. Every line feed on the way must follow a carriage return, and no
//!    line may begin with white space. Mostly the block comes in one piece, and is parsed at once; one that comes in pieces is looked through for its
//!    end, piece by piece, and parsed then.
//! 2. A body of a known size is read where it comes to lie. Chunks are moved together in place, behind the head.
//! 3. The buffer only grows when `room` is called: the caller has reserved the memory by then.
//!
//! Promises: linear in the bytes however they are cut; at most `head_bytes_max` of head, `body_bytes_max` of body and
//! [`LINE_BYTES_MAX`] of each chunk's line are held.

use std::ops::Range;

use super::coding::Coding;
use super::head::{
    BARE_LINE_FEED, Framing, HEAD_TOO_LARGE, HEADERS_MAX, Head, Method, Reject, Span, TOO_LARGE,
};

/// Bytes of the buffer of a connection that has not asked for more.
pub const BUFFER_BYTES: usize = 8 << 10;

/// Bytes of the line that introduces a chunk, with its extensions.
pub const LINE_BYTES_MAX: usize = 256;

/// Bytes of the lines behind the last chunk.
pub const TRAILER_BYTES_MAX: usize = 4 << 10;

/// How much one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the header block.
    pub head_bytes_max: usize,
    /// Bytes of the body.
    pub body_bytes_max: usize,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read more; the buffer must have this many bytes.
    More(usize),
    /// The head is complete and the body is not asked for yet. Comes once for each request.
    Head,
    /// The request is complete.
    Ready,
    /// It is refused.
    Reject(Reject),
}

/// The requests of one connection, one after the other.
#[derive(Debug)]
pub struct Intake {
    limits: Limits,
    buffer: Vec<u8>,
    filled: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Looking for the end of the header block; `scanned` bytes hold no further line feed, the line began at `line`.
    Head { scanned: usize, line: usize },
    /// The body lies in `body`, or will.
    Sized { head: Head, body: Range<usize> },
    /// The body so far lies in `body`; what follows it is not decoded yet.
    Chunked { head: Head, body: Range<usize>, chunk: Chunk },
    /// The body is complete.
    Complete { head: Head, body: Range<usize> },
}

#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// A line with a size is next.
    Size,
    /// So many bytes of data are next.
    Data(usize),
    /// The line end behind the data is next.
    DataEnd,
    /// Lines up to an empty one are next; so many bytes of them were seen.
    Trailer(usize),
}

/// One whole request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    bytes: &'a [u8],
    head: &'a Head,
    /// Its body as it came, chunks joined and nothing else decoded: what a signature is of.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// What is wanted.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// The path, without a query.
    pub fn path(&self) -> &'a [u8] {
        self.split_target().0
    }

    /// What stands behind the path's question mark.
    pub fn query(&self) -> &'a [u8] {
        self.split_target().1
    }

    fn split_target(&self) -> (&'a [u8], &'a [u8]) {
        let target = &self.bytes[self.head.path.clone()];
        match memchr::memchr(b'?', target) {
            Some(mark) => (&target[..mark], &target[mark + 1..]),
            None => (target, b""),
        }
    }

    /// All headers, as they came. They are read again from the block: only signatures need them.
    pub fn headers<'s>(
        &self,
        room: &'s mut [httparse::Header<'a>; HEADERS_MAX],
    ) -> &'s [httparse::Header<'a>] {
        let mut request = httparse::Request::new(room);
        let complete = request.parse(self.bytes).is_ok_and(|status| status.is_complete());
        assert!(complete, "the block was parsed before");
        request.headers
    }

    /// How the body came packed.
    pub fn coding(&self) -> Coding {
        self.head.coding
    }

    /// Whether the client wants to know where the time went.
    pub fn is_traced(&self) -> bool {
        self.head.traced
    }

    /// How the answer may be packed.
    pub fn accepted(&self) -> Coding {
        self.head.accepted
    }

    /// `Host`, if it is text.
    pub fn host(&self) -> Option<&'a str> {
        self.field(&self.head.host)
    }

    /// `X-Amz-Target`, if it is text.
    pub fn target(&self) -> Option<&'a str> {
        self.field(&self.head.target)
    }

    /// `Content-Type`, if it is text.
    pub fn content_type(&self) -> Option<&'a str> {
        self.field(&self.head.content_type)
    }

    /// Whether a browser's page asks.
    pub fn has_origin(&self) -> bool {
        self.head.origin.is_some()
    }

    /// `Access-Control-Request-Method`, if it is text.
    pub fn cors_method(&self) -> Option<&'a str> {
        self.field(&self.head.cors_method)
    }

    /// `Access-Control-Request-Headers`, if it is text.
    pub fn cors_headers(&self) -> Option<&'a str> {
        self.field(&self.head.cors_headers)
    }

    /// Whether the connection stays for another request.
    pub fn keep_alive(&self) -> bool {
        self.head.keep_alive
    }

    fn field(&self, span: &Option<Span>) -> Option<&'a str> {
        std::str::from_utf8(&self.bytes[span.clone()?]).ok()
    }
}

impl Intake {
    /// For a new connection; takes no memory before the first `room`.
    pub fn new(limits: Limits) -> Intake {
        assert!(limits.head_bytes_max >= BUFFER_BYTES, "a head may fill the first buffer");
        Intake { limits, buffer: Vec::new(), filled: 0, state: State::Head { scanned: 0, line: 0 } }
    }

    /// Bytes that the buffer takes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing of a next request is there yet.
    pub fn is_idle(&self) -> bool {
        self.filled == 0
    }

    /// Bytes of the present request that are there.
    pub fn filled_bytes(&self) -> usize {
        self.filled
    }

    /// Where to read to; makes the buffer `size` bytes first if it is smaller.
    pub fn room(&mut self, size: usize) -> &mut [u8] {
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// So many bytes were read into `room`.
    pub fn fill(&mut self, size: usize) {
        self.filled += size;
        assert!(self.filled <= self.buffer.len(), "bytes are read into the room there is");
    }

    /// Looks at what is there.
    pub fn step(&mut self) -> Step {
        match &self.state {
            State::Head { .. } => self.find_head(),
            State::Sized { .. } => self.fill_body(),
            State::Chunked { .. } => self.join_chunks().unwrap_or_else(Step::Reject),
            State::Complete { .. } => Step::Ready,
        }
    }

    /// The head, once [`Step::Head`] was returned.
    pub fn head(&self) -> &Head {
        match &self.state {
            State::Head { .. } => panic!("a head is asked for after it was found"),
            State::Sized { head, .. } | State::Chunked { head, .. } | State::Complete { head, .. } => head,
        }
    }

    /// The whole request, once [`Step::Ready`] was returned.
    pub fn request(&self) -> Request<'_> {
        let State::Complete { head, body } = &self.state else { panic!("a request is asked for when ready") };
        let body = &self.buffer[body.clone()];
        Request { bytes: &self.buffer, head, body }
    }

    /// Drops the present request and begins with what came behind it. Gives back a large buffer.
    pub fn next(&mut self) {
        let State::Complete { body, .. } = &self.state else {
            panic!("only a complete request is done with")
        };
        self.buffer.copy_within(body.end..self.filled, 0);
        self.filled -= body.end;
        self.state = State::Head { scanned: 0, line: 0 };
        if self.buffer.len() > 8 * BUFFER_BYTES && self.filled <= BUFFER_BYTES {
            self.buffer.truncate(BUFFER_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    fn find_head(&mut self) -> Step {
        self.skip_empty_lines();
        match self.parse_head() {
            Err(reject) => Step::Reject(reject),
            Ok(None) if self.filled >= self.limits.head_bytes_max => Step::Reject(HEAD_TOO_LARGE),
            Ok(None) if self.filled == self.buffer.len() => {
                Step::More((2 * self.filled).clamp(BUFFER_BYTES, self.limits.head_bytes_max))
            }
            Ok(None) => Step::More(self.buffer.len()),
            Ok(Some((_, size))) if size > self.limits.head_bytes_max => Step::Reject(HEAD_TOO_LARGE),
            Ok(Some((head, size))) => self.begin_body(head, size),
        }
    }

    /// The head and its size, if its end is there.
    fn parse_head(&mut self) -> Result<Option<(Head, usize)>, Reject> {
        let body_bytes_max = self.limits.body_bytes_max;
        // What is wrong with it is said when its end is there, as of one that comes in pieces.
        if self.filled > 0
            && matches!(self.state, State::Head { scanned: 0, .. })
            && let Ok(Some(whole)) = Head::parse(&self.buffer[..self.filled], body_bytes_max)
        {
            return Ok(Some(whole));
        }
        let Some(size) = self.scan()? else { return Ok(None) };
        match Head::parse(&self.buffer[..size], body_bytes_max)? {
            Some((head, parsed)) if parsed == size => Ok(Some((head, size))),
            _ => Err(Reject::malformed("The header block does not end where it ends.")),
        }
    }

    /// Line ends before a request line are passed over (RFC 9112, 2.2).
    fn skip_empty_lines(&mut self) {
        let State::Head { scanned, line: 0 } = &mut self.state else { return };
        let mut size = 0;
        while self.buffer[size..self.filled].starts_with(b"\r\n") {
            size += 2;
        }
        if size > 0 {
            self.buffer.copy_within(size..self.filled, 0);
            self.filled -= size;
            *scanned = 0;
        }
    }

    /// Size of the header block, if its end is there.
    fn scan(&mut self) -> Result<Option<usize>, Reject> {
        let State::Head { scanned, line } = &mut self.state else { panic!("only a head is scanned") };
        let bytes = &self.buffer[..self.filled];
        while let Some(distance) = memchr::memchr(b'\n', &bytes[*scanned..]) {
            let feed = *scanned + distance;
            if feed == 0 || bytes[feed - 1] != b'\r' {
                return Err(BARE_LINE_FEED);
            }
            if feed - 1 == *line {
                return Ok(Some(feed + 1));
            }
            if matches!(bytes[*line], b' ' | b'\t') {
                return Err(Reject::malformed("A header is folded."));
            }
            *line = feed + 1;
            *scanned = feed + 1;
        }
        *scanned = bytes.len();
        Ok(None)
    }

    fn begin_body(&mut self, head: Head, head_bytes: usize) -> Step {
        self.state = match head.framing {
            Framing::Size(size) => State::Sized { head, body: head_bytes..head_bytes + size },
            Framing::Chunked => State::Chunked { head, body: head_bytes..head_bytes, chunk: Chunk::Size },
        };
        Step::Head
    }

    fn fill_body(&mut self) -> Step {
        let State::Sized { head, body } = &self.state else { panic!("only a sized body is filled") };
        if self.filled < body.end {
            return Step::More(body.end.max(self.buffer.len()));
        }
        self.state = State::Complete { head: head.clone(), body: body.clone() };
        Step::Ready
    }

    /// Decodes what is there, in place, and closes the gap that it leaves.
    fn join_chunks(&mut self) -> Result<Step, Reject> {
        let State::Chunked { head, body, chunk } = &mut self.state else { panic!("only chunks are joined") };
        let mut decoder = Decoder {
            bytes: &mut self.buffer[..self.filled],
            body: body.clone(),
            at: body.end,
            chunk: *chunk,
        };
        let complete = decoder.run(self.limits.body_bytes_max)?;
        let (joined, at, next) = (decoder.body, decoder.at, decoder.chunk);
        self.buffer.copy_within(at..self.filled, joined.end);
        self.filled -= at - joined.end;
        if complete {
            self.state = State::Complete { head: head.clone(), body: joined };
            return Ok(Step::Ready);
        }
        (*body, *chunk) = (joined, next);
        let size_max =
            self.limits.head_bytes_max + self.limits.body_bytes_max + LINE_BYTES_MAX + TRAILER_BYTES_MAX;
        let full = self.filled == self.buffer.len();
        Ok(Step::More(if full { (2 * self.filled).min(size_max) } else { self.buffer.len() }))
    }
}

/// Chunks being joined: `body` is done, `at` is what comes next.
struct Decoder<'a> {
    bytes: &'a mut [u8],
    body: Range<usize>,
    at: usize,
    chunk: Chunk,
}

impl Decoder<'_> {
    /// Goes as far as the bytes do; true when the body is complete.
    fn run(&mut self, body_bytes_max: usize) -> Result<bool, Reject> {
        loop {
            let advanced = match self.chunk {
                Chunk::Size => self.size(body_bytes_max)?,
                Chunk::Data(size) => self.data(size),
                Chunk::DataEnd => self.data_end()?,
                Chunk::Trailer(seen) => match self.line(TRAILER_BYTES_MAX - seen)? {
                    None => false,
                    Some(line) if line.is_empty() => return Ok(true),
                    Some(line) => {
                        self.chunk = Chunk::Trailer(seen + line.len() + 2);
                        true
                    }
                },
            };
            if !advanced {
                return Ok(false);
            }
        }
    }

    fn size(&mut self, body_bytes_max: usize) -> Result<bool, Reject> {
        let Some(line) = self.line(LINE_BYTES_MAX)? else { return Ok(false) };
        let line = &self.bytes[line];
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        if digits == 0 || !matches!(line.get(digits), None | Some(b';' | b' ' | b'\t')) {
            return Err(Reject::malformed("A chunk's size is malformed."));
        }
        let size = line[..digits].iter().fold(0usize, |size, digit| {
            size.saturating_mul(16)
                .saturating_add(char::from(*digit).to_digit(16).expect("checked above") as usize)
        });
        if size > body_bytes_max - self.body.len() {
            return Err(TOO_LARGE);
        }
        self.chunk = if size == 0 { Chunk::Trailer(0) } else { Chunk::Data(size) };
        Ok(true)
    }

    fn data(&mut self, size: usize) -> bool {
        let there = size.min(self.bytes.len() - self.at);
        self.bytes.copy_within(self.at..self.at + there, self.body.end);
        self.body.end += there;
        self.at += there;
        self.chunk = if there == size { Chunk::DataEnd } else { Chunk::Data(size - there) };
        there == size
    }

    fn data_end(&mut self) -> Result<bool, Reject> {
        match &self.bytes[self.at..] {
            [b'\r', b'\n', ..] => {
                self.at += 2;
                self.chunk = Chunk::Size;
                Ok(true)
            }
            [] | [b'\r'] => Ok(false),
            _ => Err(Reject::malformed("A chunk does not end where it should.")),
        }
    }

    /// The next line without its end, if it is there; at most `size_max` bytes with it.
    fn line(&mut self, size_max: usize) -> Result<Option<Range<usize>>, Reject> {
        let rest = &self.bytes[self.at..];
        let Some(feed) = memchr::memchr(b'\n', &rest[..rest.len().min(size_max)]) else {
            let over = rest.len() >= size_max;
            return if over { Err(Reject::malformed("A chunk's line is too long.")) } else { Ok(None) };
        };
        if feed == 0 || rest[feed - 1] != b'\r' {
            return Err(BARE_LINE_FEED);
        }
        let line = self.at..self.at + feed - 1;
        self.at += feed + 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests;
