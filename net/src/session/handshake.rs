//! How a session begins: both ends say who they are, prove it, and refuse strangers with the reason.
//!
//! ```text
//! connecting  -- hello -->  <-- hello --  accepting
//!             -- proof -->
//!                           <-- proof, or why not --
//! ```
//!
//! 1. Underneath there is TLS, if certificates are configured: each end's must be signed by the cluster's authority.
//! 2. Each end checks the other's hello for itself, so both know why they part.
//! 3. Who refuses lets its last words arrive before it closes: bytes that nobody read would make the system reset the connection.
//!
//! Leaves to others: the time that it may take (`session`), what the proof is made of (`secret`).

use super::{Admission, Candidate, Refusal, SessionError, SessionOptions};
use crate::frame::{HELLO_BYTES, Hello, OPENING_BYTES, Proof, Verdict};
use crate::secret::Role;
use runtime::sync::{Semaphore, timeout};
use runtime::tls::{Refused, Socket, TlsStream};
use runtime::{Runtime, Stream};
use std::io;
use std::time::Duration;

/// Bytes of a refused peer that are read before the connection is closed.
const LINGER_BYTES_MAX: usize = 16 << 10;

/// How long a refused peer may take to close its end.
const LINGER_MAX: Duration = Duration::from_millis(500);

/// Wraps a connection that was made into TLS, if that is configured.
pub(super) async fn connected<R: Runtime>(
    stream: R::Stream,
    options: &SessionOptions,
) -> Result<Socket<R::Stream>, SessionError> {
    let Some(tls) = &options.tls else { return Ok(Socket::Plain(stream)) };
    let stream = TlsStream::connect(stream, &tls.peer.client, &tls.name).await.map_err(tls_failed)?;
    Ok(Socket::Tls(Box::new(stream)))
}

/// Wraps a connection that was accepted. `turns` has one permit for all handshakes of the core.
pub(super) async fn accepted<R: Runtime>(
    stream: R::Stream,
    options: &SessionOptions,
    turns: &Semaphore,
) -> Result<Socket<R::Stream>, SessionError> {
    let Some(tls) = &options.tls else { return Ok(Socket::Plain(stream)) };
    match TlsStream::accept(stream, &tls.peer.server, turns).await {
        Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
        Err(Refused::PlainText(_stream)) => Err(SessionError::Refused(Refusal::NoTls)),
        Err(Refused::Failed(error)) => Err(tls_failed(error)),
    }
}

/// What rustls finds wrong is invalid data; a plain socket never says so.
fn tls_failed(error: io::Error) -> SessionError {
    match error.kind() {
        io::ErrorKind::InvalidData => SessionError::Refused(Refusal::Certificate(error.to_string())),
        _ => SessionError::Io(error),
    }
}

/// Says hello as the one that connected; gives the other's.
pub(super) async fn connecting<R: Runtime>(
    rt: &R,
    stream: &impl Stream,
    options: &SessionOptions,
) -> Result<Hello, SessionError> {
    let outcome = async {
        let ours = hello(rt, options);
        stream.write_all(&ours.encode()).await?;
        let theirs = read_hello(stream, &ours).await?;
        let trust = &options.trust;
        let code = trust.code(Role::Connecting, &ours, &theirs);
        stream.write_all(&Proof { verdict: Verdict::Welcome, code }.encode()).await?;
        let proof = Proof::decode(&read_exactly(stream, &[]).await?)?;
        match proof.verdict {
            Verdict::Welcome if trust.accepts(&proof.code, Role::Accepting, &ours, &theirs) => Ok(theirs),
            Verdict::Welcome | Verdict::WrongSecret => Err(Refusal::WrongSecret.into()),
            Verdict::Full => Err(Refusal::Full.into()),
            Verdict::NotMember => Err(Refusal::NotMember.into()),
            Verdict::NotCertified => Err(Refusal::NotCertified.into()),
        }
    };
    parting(rt, stream, outcome.await).await
}

/// Says hello as the one that was connected to; gives the other's, if it knows the secret and `admission` lets it in.
pub(super) async fn accepting<R: Runtime>(
    rt: &R,
    stream: &Socket<R::Stream>,
    options: &SessionOptions,
    admission: &Admission,
) -> Result<Hello, SessionError> {
    let outcome = async {
        let ours = hello(rt, options);
        stream.write_all(&ours.encode()).await?;
        let theirs = read_hello(stream, &ours).await?;
        let proof = Proof::decode(&read_exactly(stream, &[]).await?)?;
        if proof.verdict != Verdict::Welcome {
            return Err(crate::frame::FrameError::Senseless.into());
        }
        let knows = options.trust.accepts(&proof.code, Role::Connecting, &theirs, &ours);
        let bears = |name: &str| stream.bears(name);
        let verdict = match knows {
            true => admission(&Candidate::new(theirs, &bears)),
            false => Some(Verdict::WrongSecret),
        };
        let Some(verdict) = verdict else { return std::future::pending().await };
        let refusal = match verdict {
            Verdict::Welcome => {
                let code = options.trust.code(Role::Accepting, &theirs, &ours);
                stream.write_all(&Proof { verdict, code }.encode()).await?;
                return Ok(theirs);
            }
            Verdict::WrongSecret => Refusal::WrongSecret,
            Verdict::Full => Refusal::Full,
            Verdict::NotMember => Refusal::NotMember,
            Verdict::NotCertified => Refusal::NotCertified,
        };
        stream.write_all(&Proof::refusal(verdict).encode()).await?;
        Err(refusal.into())
    };
    parting(rt, stream, outcome.await).await
}

fn hello<R: Runtime>(rt: &R, options: &SessionOptions) -> Hello {
    let identity = &options.identity;
    Hello {
        cluster: identity.cluster,
        node: identity.node,
        place: identity.place,
        start: identity.start,
        secret: options.trust.has_secret(),
        nonce: options.trust.nonce(rt),
    }
}

async fn read_hello(stream: &impl Stream, ours: &Hello) -> Result<Hello, SessionError> {
    let opening: [u8; OPENING_BYTES] = read_exactly(stream, &[]).await?;
    Hello::check_opening(&opening)?;
    let bytes: [u8; HELLO_BYTES] = read_exactly(stream, &opening).await?;
    let theirs = Hello::decode(&bytes, ours.cluster)?;
    match (ours.secret, theirs.secret) {
        (true, false) => Err(Refusal::NoSecretThere.into()),
        (false, true) => Err(Refusal::NoSecretHere.into()),
        _ => Ok(theirs),
    }
}

/// Reads `N` bytes, of which the first were read before.
async fn read_exactly<const N: usize>(stream: &impl Stream, first: &[u8]) -> Result<[u8; N], SessionError> {
    let mut bytes = [0; N];
    bytes[..first.len()].copy_from_slice(first);
    let mut filled = first.len();
    while filled < N {
        match stream.read(&mut bytes[filled..]).await? {
            0 => return Err(SessionError::Ended),
            count => filled += count,
        }
    }
    Ok(bytes)
}

/// Before an end closes the connection to a peer that it refuses: what it said has to arrive.
async fn parting<R: Runtime>(
    rt: &R,
    stream: &impl Stream,
    outcome: Result<Hello, SessionError>,
) -> Result<Hello, SessionError> {
    if matches!(outcome, Err(SessionError::Frame(_) | SessionError::Refused(_))) {
        let drain = async {
            let (mut buffer, mut left) = ([0; 1024], LINGER_BYTES_MAX);
            // Whatever goes wrong now: the reason why they part is another.
            let _ = stream.shutdown().await;
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                left = left.saturating_sub(count);
                if left == 0 {
                    return;
                }
            }
        };
        let _ = timeout(rt, LINGER_MAX, drain).await;
    }
    // In TLS 1.3 the one that connected learns only now that its certificate was refused.
    outcome.map_err(|error| match error {
        SessionError::Io(error) => tls_failed(error),
        other => other,
    })
}
