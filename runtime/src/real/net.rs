//! TCP sockets.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};

use crate::{Listener, Stream};

/// Whether this process may listen on `address`; the address with its port, which the system picks for port 0.
///
/// Ask this once, before the cores listen: they share the port (SO_REUSEPORT), so the kernel would also let a second
/// process of the same user join them and take half of the connections. Two processes that ask in the same instant
/// are kept apart by their data directories, not by this.
///
/// A port that is taken is asked for again for a moment: the kernel lets go of the sockets of a process that was killed only
/// after it has ended, when it has taken its rings apart.
pub fn check_port_free(address: SocketAddr) -> io::Result<SocketAddr> {
    let mut pauses = 0;
    loop {
        #[expect(
            clippy::disallowed_types,
            reason = "a blocking socket for an instant, before the executors start"
        )]
        let alone = std::net::TcpListener::bind(address);
        match alone {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && pauses < PORT_PAUSES_MAX => pauses += 1,
            outcome => return outcome?.local_addr(),
        }
        #[expect(clippy::disallowed_methods, reason = "before the executors start")]
        std::thread::sleep(PORT_PAUSE);
    }
}

/// How long to wait before a port that is taken is asked for again, and how often: a second in all.
const PORT_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
const PORT_PAUSES_MAX: u32 = 50;

/// A socket that accepts.
pub struct RealListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl RealListener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<RealListener> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok(RealListener { listener, address })
    }
}

impl Listener for RealListener {
    type Stream = RealStream;

    async fn accept(&self) -> io::Result<(RealStream, SocketAddr)> {
        loop {
            let stream = self.listener.accept().await?;
            // A client that is gone already has no address any more: not an error of the listener.
            if let Ok(stream) = RealStream::new(stream) {
                let peer = stream.peer;
                return Ok((stream, peer));
            }
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

/// A connected socket.
pub struct RealStream {
    /// Borrowed for the time of one poll only, so that one task may read while another writes.
    stream: RefCell<TcpStream>,
    peer: SocketAddr,
}

impl RealStream {
    fn new(stream: TcpStream) -> io::Result<RealStream> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok(RealStream { stream: RefCell::new(stream), peer })
    }

    pub(super) async fn connect(address: SocketAddr) -> io::Result<RealStream> {
        RealStream::new(TcpStream::connect(address).await?)
    }
}

impl Stream for RealStream {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_read(context, buffer)).await
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let write = poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, rest));
            match write.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
        Ok(())
    }

    async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_close(context)).await
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }
}
