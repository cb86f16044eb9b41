//! The socket of one connection: plain, or inside of TLS.

use std::io;
use std::net::SocketAddr;

use runtime::tls::TlsStream;
use runtime::{Runtime, Stream};

/// What a connection talks over.
pub(crate) enum Socket<R: Runtime> {
    /// HTTP
    Plain(R::Stream),
    /// HTTPS
    Tls(Box<TlsStream<R::Stream>>),
}

impl<R: Runtime> Stream for Socket<R> {
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
