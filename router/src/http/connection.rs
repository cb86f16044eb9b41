//! The conversation on one socket.
//!
//! ```text
//! idle --first byte--> head --admitted--> body --complete--> answering --written--> idle
//!   60 s                10 s           10 s + size/rate      the operation's own deadline
//! ```
//!
//! A deadline that passes while idle ends the connection without a word; later it is answered with 408. A refused
//! request is answered, and what the client still sends is read for a moment and dropped, because closing at once
//! would reset the connection and lose the answer.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use meter::ledger::{self, Ledger};
use meter::stage::Stage;
use runtime::sync::{Either, select};
use runtime::{Runtime, Stream, Ticks};

use super::coding::{Coding, PACKED_BYTES_MIN, Packer};
use super::head::{Framing, Method, Reject};
use super::intake::{BUFFER_BYTES, Intake, Request, Step};
use super::response::{Content, Meta, Response};
use super::server::{Place, Scheme, Server};
use super::socket::Socket;
use crate::Router;
use crate::inside::{Page, Pages};
use crate::site;

/// Bytes that are read and dropped after a refusal.
const LINGER_BYTES_MAX: usize = 32 << 20;
/// Time for that.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

const TIMEOUT: Reject = Reject { status: 408, why: "The request did not arrive in time." };
const OVERLOAD: Reject = Reject { status: 503, why: "Too many bytes of requests are under way; try again." };

/// One connection.
pub(crate) struct Connection<R: Runtime> {
    router: Rc<Router<R>>,
    scheme: Scheme,
    stream: Socket<R>,
    place: Rc<Place>,
    intake: Intake,
    response: Response,
    /// Taken from the budget for the intake's buffer.
    reserved: usize,
    phase: Phase,
    /// Of the request that is under way, or was the last one.
    ledger: Rc<Ledger>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Body,
}

/// Why a conversation ends.
enum End {
    /// Nothing more to say.
    Silent,
    /// Say this first.
    Refused(Reject),
}

impl<R: Runtime> Connection<R> {
    pub(crate) fn new(
        router: Rc<Router<R>>,
        scheme: Scheme,
        stream: Socket<R>,
        place: Rc<Place>,
    ) -> Connection<R> {
        let intake = Intake::new(router.server.options.limits);
        Connection {
            router,
            scheme,
            stream,
            place,
            intake,
            response: Response::default(),
            reserved: 0,
            phase: Phase::Idle,
            ledger: Rc::default(),
        }
    }

    /// Talks until the end.
    pub(crate) async fn run(mut self) {
        self.ledger.begin(self.router.rt.ticks());
        self.set_deadline(self.options().idle_timeout);
        let end = loop {
            match self.turn().await {
                Ok(()) => (),
                Err(end) => break end,
            }
        };
        if let End::Refused(reject) = end {
            self.refuse(reject).await;
        }
    }

    async fn turn(&mut self) -> Result<(), End> {
        match self.intake.step() {
            Step::More(size) => self.read(size).await,
            Step::Head => self.admit().await,
            Step::Ready => self.answer().await,
            Step::Reject(reject) => Err(End::Refused(reject)),
        }
    }

    /// Reads once, if there is memory for it, before the deadline.
    async fn read(&mut self, size: usize) -> Result<(), End> {
        self.reserve(size)?;
        let taken = self.read_some(size).await?;
        if taken == 0 {
            return Err(End::Silent);
        }
        self.intake.fill(taken);
        let now = self.router.rt.ticks();
        match self.phase {
            Phase::Idle => self.begin_head(now),
            Phase::Head | Phase::Body => self.ledger.mark(now, Stage::Receive),
        }
        Ok(())
    }

    async fn read_some(&mut self, size: usize) -> Result<usize, End> {
        let idle = self.phase == Phase::Idle && self.intake.is_idle();
        let (router, place) = (&self.router, &self.place);
        let mut read = pin!(self.stream.read(self.intake.room(size)));
        // When something was done last: this is asked at once, before any time has passed.
        let mut now = self.ledger.last();
        loop {
            let woken = place.woken();
            let over = place.deadline.get().is_some_and(|deadline| deadline <= now);
            if idle && (over || router.server.is_stopping()) {
                return Err(End::Silent);
            }
            if over {
                return Err(End::Refused(TIMEOUT));
            }
            if let Either::First(outcome) = select(read.as_mut(), woken).await {
                return outcome.map_err(|_| End::Silent);
            }
            now = router.rt.ticks();
        }
    }

    /// The first bytes of a request start its clock.
    fn begin_head(&mut self, now: Ticks) {
        if !self.intake.is_idle() {
            self.phase = Phase::Head;
            self.ledger.begin(now);
            self.set_deadline(self.options().head_timeout);
        }
    }

    /// Takes memory for a buffer of `size` bytes before there is one.
    fn reserve(&mut self, size: usize) -> Result<(), End> {
        let more = size.saturating_sub(BUFFER_BYTES + self.reserved);
        if !self.server().budget.reserve(more) {
            return Err(End::Refused(OVERLOAD));
        }
        self.reserved += more;
        Ok(())
    }

    /// Gives back what the buffer no longer takes.
    fn release(&mut self) {
        let needed = self.intake.buffer_bytes().saturating_sub(BUFFER_BYTES);
        let less = self.reserved.saturating_sub(needed);
        self.server().budget.release(less);
        self.reserved -= less;
    }

    /// A head is complete: memory and time for the body, and the word that a client may wait for.
    async fn admit(&mut self) -> Result<(), End> {
        let head = self.intake.head();
        let (expects_continue, framing) = (head.expects_continue, head.framing);
        let size = match framing {
            Framing::Size(size) => size,
            Framing::Chunked => self.options().limits.body_bytes_max,
        };
        if let Framing::Size(size) = framing {
            self.reserve(self.intake.filled_bytes().max(BUFFER_BYTES) + size)?;
        }
        self.phase = Phase::Body;
        let seconds = size / self.options().body_rate_min.max(1);
        self.set_deadline(self.options().head_timeout + Duration::from_secs(seconds as u64));
        if expects_continue {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<(), End> {
        self.place.deadline.set(None);
        let request = self.intake.request();
        let keep_alive = request.keep_alive() && !self.router.server.is_stopping();
        let (accepted, traced) = (request.accepted(), request.is_traced());
        let pages = self.pages(&request);
        // What is asked about the process is no work of its own.
        let is_booked = pages.is_none() && self.scheme != Scheme::Metrics;
        let mut reply = match pages {
            Some((pages, page)) => site::tell(pages(page).await, page, &request, self.response.begin()),
            None if self.scheme == Scheme::Metrics => site::nothing(self.response.begin()),
            None => {
                let answering = pin!(site::answer(&self.router, &request, self.response.begin()));
                ledger::under(&self.ledger, answering).await
            }
        };
        let coding = self.pack(accepted, reply.content).await;
        if traced {
            self.trace(&mut reply.more);
        }
        let keep_alive = keep_alive && !self.router.server.is_stopping();
        let meta = Meta {
            status: reply.status,
            content: reply.content,
            id: &self.router.request_id(),
            date: &self.router.date(),
            keep_alive,
            coding,
            without_body: reply.without_body,
            more: &reply.more,
        };
        self.response.finish(&meta);
        self.ledger.mark(self.router.rt.ticks(), Stage::Encode);
        self.flush().await?;
        self.ledger.mark(self.router.rt.ticks(), Stage::Send);
        if is_booked {
            self.router.book.close(&self.ledger, || self.router.rt.wall());
        }
        if !keep_alive {
            return Err(End::Silent);
        }
        self.intake.next();
        self.release();
        self.phase = Phase::Idle;
        self.set_deadline(self.options().idle_timeout);
        // Of a request that came behind this one, the time begins now.
        self.begin_head(self.ledger.last());
        Ok(())
    }

    /// What makes a page about this process, if one is asked for by somebody who may see it.
    fn pages(&self, request: &Request<'_>) -> Option<(Pages, Page)> {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return None;
        }
        let page = Page::at(request.path())?;
        let is_local = self.stream.peer_address().ip().is_loopback();
        Some((self.router.pages(self.scheme, is_local)?, page))
    }

    /// The ledger as it stands, in a header line. What comes after it, above all the sending, cannot be in it.
    fn trace(&self, lines: &mut Vec<u8>) {
        self.ledger.mark(self.router.rt.ticks(), Stage::Encode);
        lines.extend_from_slice(b"x-torc-trace: ");
        self.ledger.write_header(lines);
        lines.extend_from_slice(b"\r\n");
    }

    /// Packs the answer if the client asked for that and it is worth it.
    async fn pack(&mut self, accepted: Coding, content: Content) -> Coding {
        let is_json = matches!(content, Content::Json | Content::PlainJson);
        if accepted == Coding::Identity || !is_json || self.response.body().len() < PACKED_BYTES_MIN {
            return Coding::Identity;
        }
        let rt = &self.router.rt;
        let mut packer = Packer::new(accepted);
        while !packer.piece(self.response.body()) {
            if rt.should_yield() {
                rt.yield_now().await;
            }
        }
        self.response.replace_body(&packer.finish());
        accepted
    }

    /// Answers what is no request and reads on for a moment.
    async fn refuse(&mut self, reject: Reject) {
        let content = site::refusal(reject, self.response.begin());
        let meta = Meta {
            status: reject.status,
            content,
            id: &self.router.request_id(),
            date: &self.router.date(),
            keep_alive: false,
            coding: Coding::Identity,
            without_body: false,
            more: b"",
        };
        self.response.finish(&meta);
        self.ledger.mark(self.router.rt.ticks(), Stage::Encode);
        if self.flush().await.is_ok() {
            self.linger().await;
        }
    }

    /// Writes the finished response.
    async fn flush(&self) -> Result<(), End> {
        self.send(self.response.bytes()).await
    }

    /// Writes, as long as the client takes it.
    async fn send(&self, bytes: &[u8]) -> Result<(), End> {
        let before = self.place.deadline.get();
        self.set_deadline(self.options().idle_timeout);
        let mut write = pin!(self.stream.write_all(bytes));
        let outcome = loop {
            if let Either::First(outcome) = select(write.as_mut(), self.place.woken()).await {
                break outcome.map_err(|_| End::Silent);
            }
            if self.is_over() {
                break Err(End::Silent);
            }
        };
        self.place.deadline.set(before);
        outcome
    }

    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let mut sink = [0; 4096];
        let mut left = LINGER_BYTES_MAX;
        let drain = async {
            while let Ok(size) = self.stream.read(&mut sink).await {
                if size == 0 || size >= left {
                    return;
                }
                left -= size;
            }
        };
        select(drain, self.router.rt.sleep(LINGER_TIMEOUT)).await;
    }

    fn is_over(&self) -> bool {
        self.place.deadline.get().is_some_and(|deadline: Ticks| deadline <= self.router.rt.ticks())
    }

    /// From the last mark on, which was just made.
    fn set_deadline(&self, after: Duration) {
        self.place.deadline.set(Some(self.ledger.last().after(after)));
    }

    fn options(&self) -> &super::server::ServerOptions {
        &self.router.server.options
    }

    fn server(&self) -> &Server {
        &self.router.server
    }
}

impl<R: Runtime> Drop for Connection<R> {
    fn drop(&mut self) {
        self.server().budget.release(self.reserved);
    }
}
