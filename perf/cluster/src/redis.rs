//! Redis' protocol (RESP), as little of it as a load generator needs.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::Writer;

/// Writes and reads values, over a connection of its own.
pub struct Putter {
    stream: TcpStream,
    value: Rc<[u8]>,
    out: Vec<u8>,
    read: Vec<u8>,
}

impl Putter {
    /// One that writes this value.
    pub async fn connect(address: SocketAddr, value: Rc<[u8]>) -> anyhow::Result<Putter> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Putter { stream, value, out: Vec::new(), read: Vec::new() })
    }

    /// Sends what is in `out` and reads until `whole` says that the answer is there.
    async fn exchange(&mut self, whole: impl Fn(&[u8]) -> bool) -> anyhow::Result<()> {
        self.stream.write_all(&self.out).await?;
        self.read.clear();
        while !whole(&self.read) {
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the connection was closed");
            if self.read.starts_with(b"-") && self.read.ends_with(b"\r\n") {
                bail!("{}", String::from_utf8_lossy(&self.read).trim());
            }
        }
        Ok(())
    }
}

/// A command of these words.
fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.clear();
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

impl Writer for Putter {
    async fn put(&mut self, key: u64) -> anyhow::Result<()> {
        command(&mut self.out, &[b"SET", format!("key-{key:08}").as_bytes(), &self.value]);
        self.exchange(|read| read.ends_with(b"\r\n")).await?;
        ensure!(self.read == b"+OK\r\n", "SET: {}", String::from_utf8_lossy(&self.read));
        Ok(())
    }

    async fn get(&mut self, key: u64) -> anyhow::Result<()> {
        command(&mut self.out, &[b"GET", format!("key-{key:08}").as_bytes()]);
        let head = format!("${}\r\n", self.value.len());
        let size = head.len() + self.value.len() + 2;
        self.exchange(|read| read.len() >= size || read == b"$-1\r\n").await?;
        ensure!(self.read.starts_with(head.as_bytes()), "key {key} is not there");
        Ok(())
    }
}
