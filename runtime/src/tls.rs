//! TLS over any [`Stream`]: what comes out is a [`Stream`] again.
//!
//! ```text
//! read  <- plain bytes <- rustls <- records <- socket
//! write -> plain bytes -> rustls -> records -> socket
//! ```
//!
//! 1. rustls does no I/O of its own: it is fed with what was read and asked for what is to be written.
//! 2. A handshake is some 0.4 ms of one core, in two steps. Each step takes a turn that all handshakes of a core share: a hundred at once are
//!    a hundred pieces of work between which others run, and one that stalls holds no turn.
//! 3. Records on their way out leave under a turn, so that one task may read (and answer a key update) while another writes.
//!
//! Promises: at most 8 KiB of records and rustls's own bounds (16 KiB of plain text, 64 KiB of records to go) are held for a connection;
//! a write that was given up half-way ends the connection, because what follows could not be told apart.
//! Not promised: rustls draws its own random numbers and reads the wall clock for tickets, so that TLS in a simulated world is not the same twice, byte
//! by byte.
//! Leaves to others: when to give up (timeouts), and what is spoken inside.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};

use crate::Stream;
use crate::sync::Semaphore;

/// Bytes of records that are read at once.
const INBOUND_BYTES: usize = 8 << 10;

/// What a server shows and accepts: its certificate and key, TLS 1.2 and 1.3. Cheap to clone, and the same on all cores.
#[derive(Clone, Debug)]
pub struct TlsServer(Arc<ServerConfig>);

/// Whom a client trusts.
#[derive(Clone, Debug)]
pub struct TlsClient(Arc<ClientConfig>);

/// Why certificates or a key cannot be used.
#[derive(Debug)]
pub struct TlsError(String);

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// What one of two peers shows and demands: both have a certificate, both of the same authorities. TLS 1.3 only.
#[derive(Clone, Debug)]
pub struct TlsPeer {
    /// For the connections that it accepts.
    pub server: TlsServer,
    /// For those that it makes.
    pub client: TlsClient,
}

impl TlsPeer {
    /// From PEM: whom it trusts, its certificate with those that lead to its authority, and its private key.
    pub fn from_pem(authorities: &[u8], certificates: &[u8], key: &[u8]) -> Result<TlsPeer, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(roots_of(authorities)?);
        let unusable = |error| TlsError(format!("certificate and key cannot be used: {error}"));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| TlsError(format!("the authorities cannot be used: {error}")))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates_of(certificates)?, key_of(key)?)
            .map_err(unusable)?;
        server.ticketer = ring::Ticketer::new().map_err(|error| TlsError(error.to_string()))?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError(error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates_of(certificates)?, key_of(key)?)
            .map_err(unusable)?;
        Ok(TlsPeer { server: TlsServer(Arc::new(server)), client: TlsClient(Arc::new(client)) })
    }
}

impl TlsServer {
    /// From PEM: the certificate with those that lead to its authority, and its private key. `protocols` are those of ALPN.
    pub fn from_pem(certificates: &[u8], key: &[u8], protocols: &[&str]) -> Result<TlsServer, TlsError> {
        let chain = certificates_of(certificates)?;
        let key = key_of(key)?;
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?;
        let mut config = versions
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| TlsError(format!("certificate and key cannot be used: {error}")))?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.ticketer = ring::Ticketer::new().map_err(|error| TlsError(error.to_string()))?;
        Ok(TlsServer(Arc::new(config)))
    }
}

impl TlsClient {
    /// Trusts these authorities, in PEM, and no others.
    pub fn trusting(authorities: &[u8], protocols: &[&str]) -> Result<TlsClient, TlsError> {
        let roots = roots_of(authorities)?;
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?;
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsClient(Arc::new(config)))
    }
}

fn roots_of(authorities: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of(authorities)? {
        roots.add(certificate).map_err(|error| TlsError(error.to_string()))?;
    }
    Ok(roots)
}

fn key_of(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| TlsError(format!("there is no private key in PEM: {error}")))
}

fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError("there is no certificate in PEM".to_owned())),
        Err(error) => Err(TlsError(format!("there is no certificate in PEM: {error}"))),
    }
}

/// Why a handshake did not come about.
#[derive(Debug)]
pub enum Refused<S> {
    /// The other side does not speak TLS but plain text, such as HTTP: here is the stream to say so.
    PlainText(S),
    /// The connection is gone, or what was said was no TLS that can be accepted.
    Failed(io::Error),
}

impl<S> From<io::Error> for Refused<S> {
    fn from(error: io::Error) -> Refused<S> {
        Refused::Failed(error)
    }
}

/// A stream inside of TLS.
pub struct TlsStream<S> {
    stream: S,
    /// Borrowed between two awaits only.
    session: RefCell<Connection>,
    /// Records that were read and not yet looked at, when the plain text before them had to be taken first.
    inbound: RefCell<Inbound>,
    /// Who writes.
    turn: Semaphore,
    /// A write is under way, or was given up.
    writing: Cell<bool>,
}

#[derive(Default)]
struct Inbound {
    bytes: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl<S: Stream> TlsStream<S> {
    /// As a server: shakes hands with whoever is at the other end. `turns` has one permit for all handshakes of the core.
    pub async fn accept(stream: S, setup: &TlsServer, turns: &Semaphore) -> Result<TlsStream<S>, Refused<S>> {
        let session = ServerConnection::new(setup.0.clone()).map_err(broken)?;
        let tls = TlsStream::new(stream, Connection::Server(session));
        match tls.first_byte().await? {
            // A handshake is a record of kind 22. All methods of HTTP begin with a letter.
            byte if byte.is_ascii_alphabetic() => return Err(Refused::PlainText(tls.stream)),
            _ => tls.shake_hands(turns).await?,
        }
        Ok(tls)
    }

    /// As a client: shakes hands with the server, which must be `name`.
    pub async fn connect(stream: S, setup: &TlsClient, name: &str) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let session = ClientConnection::new(setup.0.clone(), name).map_err(broken)?;
        let tls = TlsStream::new(stream, Connection::Client(session));
        tls.send().await?;
        tls.shake_hands(&Semaphore::new(1)).await?;
        Ok(tls)
    }

    fn new(stream: S, session: Connection) -> TlsStream<S> {
        let (session, inbound) = (RefCell::new(session), RefCell::default());
        TlsStream { stream, session, inbound, turn: Semaphore::new(1), writing: Cell::new(false) }
    }

    /// The protocol that both sides chose, if they did.
    pub fn protocol(&self) -> Option<Vec<u8>> {
        self.session.borrow().alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Whether the certificate that the other end has shown bears this DNS name; false when it has shown none.
    pub fn bears(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        let session = self.session.borrow();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let parsed = shown.and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
        parsed.is_some_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    }

    async fn first_byte(&self) -> io::Result<u8> {
        self.receive().await?;
        let inbound = self.inbound.borrow();
        Ok(inbound.bytes[inbound.taken])
    }

    async fn shake_hands(&self, turns: &Semaphore) -> io::Result<()> {
        loop {
            let turn = turns.acquire(1).await;
            let outcome = self.digest_now();
            drop(turn);
            self.answer(outcome).await?;
            if !self.session.borrow().is_handshaking() {
                return Ok(());
            }
            self.receive().await?;
        }
    }

    /// Reads records from the socket; the end of it is an error here.
    async fn receive(&self) -> io::Result<()> {
        // Taken out while it is filled: nothing is borrowed across the wait. A read that is given up loses the memory and no bytes.
        let mut bytes = {
            let mut inbound = self.inbound.borrow_mut();
            assert!(inbound.is_empty(), "what was read is looked at first");
            std::mem::take(&mut inbound.bytes)
        };
        bytes.resize(INBOUND_BYTES, 0);
        let filled = self.stream.read(&mut bytes).await?;
        *self.inbound.borrow_mut() = Inbound { bytes, taken: 0, filled };
        if filled == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Gives rustls what was read, as far as it has room for the plain text, and sends what it answers.
    async fn digest(&self) -> io::Result<()> {
        let outcome = self.digest_now();
        self.answer(outcome).await
    }

    async fn answer(&self, outcome: io::Result<()>) -> io::Result<()> {
        if self.session.borrow().wants_write() {
            // Also when it failed: then this is the alert that says why.
            let sent = self.send().await;
            outcome.and(sent)
        } else {
            outcome
        }
    }

    fn digest_now(&self) -> io::Result<()> {
        let (mut session, mut inbound) = (self.session.borrow_mut(), self.inbound.borrow_mut());
        while !inbound.is_empty() {
            let Inbound { bytes, taken, filled } = &mut *inbound;
            let mut rest = &bytes[*taken..*filled];
            let before = rest.len();
            session.read_tls(&mut rest)?;
            *taken += before - rest.len();
            let state = session.process_new_packets().map_err(broken)?;
            if state.plaintext_bytes_to_read() > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Sends all records that are ready.
    async fn send(&self) -> io::Result<()> {
        let turn = self.turn.acquire(1).await;
        let outcome = self.send_in_turn().await;
        drop(turn);
        outcome
    }

    async fn send_in_turn(&self) -> io::Result<()> {
        if self.writing.get() {
            return Err(io::Error::new(ErrorKind::BrokenPipe, "a write was given up half-way"));
        }
        let mut records = Vec::new();
        loop {
            while self.session.borrow().wants_write() {
                self.session.borrow_mut().write_tls(&mut records)?;
            }
            if records.is_empty() {
                return Ok(());
            }
            self.writing.set(true);
            self.stream.write_all(&records).await?;
            self.writing.set(false);
            records.clear();
        }
    }
}

impl Inbound {
    fn is_empty(&self) -> bool {
        self.taken == self.filled
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let outcome = self.session.borrow_mut().reader().read(buffer);
            match outcome {
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                other => return other,
            }
            if self.inbound.borrow().is_empty() {
                match self.receive().await {
                    // The socket ended without the word that ends TLS: somebody may have cut something off.
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(error),
                    other => other?,
                }
            }
            self.digest().await?;
        }
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let turn = self.turn.acquire(1).await;
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.session.borrow_mut().writer().write(rest)?;
            rest = &rest[taken..];
            self.send_in_turn().await?;
        }
        drop(turn);
        Ok(())
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.session.borrow_mut().send_close_notify();
        self.send().await?;
        self.stream.shutdown().await
    }

    fn peer_address(&self) -> SocketAddr {
        self.stream.peer_address()
    }
}

/// A stream that is plain, or inside of TLS.
pub enum Socket<S> {
    /// As it is.
    Plain(S),
    /// Inside of TLS.
    Tls(Box<TlsStream<S>>),
}

impl<S: Stream> Socket<S> {
    /// Whether the certificate that the other end has shown bears this DNS name; none when there is no TLS.
    pub fn bears(&self, name: &str) -> Option<bool> {
        match self {
            Socket::Plain(_) => None,
            Socket::Tls(stream) => Some(stream.bears(name)),
        }
    }
}

impl<S: Stream> Stream for Socket<S> {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.read(buffer).await,
            Socket::Tls(stream) => stream.read(buffer).await,
        }
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Plain(stream) => stream.write_all(bytes).await,
            Socket::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    async fn shutdown(&self) -> io::Result<()> {
        match self {
            Socket::Plain(stream) => stream.shutdown().await,
            Socket::Tls(stream) => stream.shutdown().await,
        }
    }

    fn peer_address(&self) -> SocketAddr {
        match self {
            Socket::Plain(stream) => stream.peer_address(),
            Socket::Tls(stream) => stream.peer_address(),
        }
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
