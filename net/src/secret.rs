//! The cluster's secret, and how both ends of a connection prove that they know it.
//!
//! ```text
//! code = HMAC-SHA256(secret, words that name the role | hello of the end that connected | hello of the end that accepted)
//! ```
//!
//! 1. Each hello holds a nonce that was never used before, so that no code is good for a second connection.
//! 2. The role is part of what is signed: a code cannot be sent back to whom it came from. So are both hellos whole: cluster,
//!    node, shard, and that a secret is demanded.
//! 3. The end that connected proves first. The other compares in constant time, and sends its own code only to who knows the secret.
//!
//! Promises: who does not know the secret cannot begin a session, not with anything that it saw of others. Not promised without TLS: that what follows is
//! read or changed by nobody on the way. Leaves to others: where the secret is kept.

use crate::frame::{CODE_BYTES, HELLO_BYTES, Hello, NONCE_BYTES};
use ring::hmac;
use runtime::{Purpose, Runtime};

/// Bytes of a secret at least. It should be drawn at random, for whoever is connected to can try guesses against a code.
pub const SECRET_BYTES_MIN: usize = 16;

/// Bytes of a secret at most.
pub const SECRET_BYTES_MAX: usize = 1024;

/// What all processes of a cluster know and nobody else does.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// Whom this process lets in.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Who proves to know the cluster's secret.
    Secret(Secret),
    /// Everybody that has no secret either: for trials on one machine, and for simulation.
    Everybody,
}

/// A secret that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSecret {
    /// Its bytes.
    pub size: usize,
}

impl std::fmt::Display for BadSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.size;
        write!(
            f,
            "a cluster secret of {size} bytes: it needs {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}, drawn at random"
        )
    }
}

impl std::error::Error for BadSecret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Which end of the connection somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It connected.
    Connecting,
    /// It was connected to.
    Accepting,
}

impl Role {
    fn words(self) -> &'static [u8] {
        match self {
            Role::Connecting => b"torc: I connected and know the cluster's secret\n",
            Role::Accepting => b"torc: I accepted and know the cluster's secret\n",
        }
    }

    /// The role of the other end.
    pub fn other(self) -> Role {
        match self {
            Role::Connecting => Role::Accepting,
            Role::Accepting => Role::Connecting,
        }
    }
}

impl Secret {
    /// From its bytes.
    pub fn new(bytes: &[u8]) -> Result<Secret, BadSecret> {
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(BadSecret { size: bytes.len() });
        }
        Ok(Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }
}

impl Trust {
    /// Whether a secret is demanded.
    pub fn has_secret(&self) -> bool {
        matches!(self, Trust::Secret(_))
    }

    /// The code by which the end of `role` proves that it knows the secret; zeros without one.
    pub fn code(&self, role: Role, connecting: &Hello, accepting: &Hello) -> [u8; CODE_BYTES] {
        let Trust::Secret(Secret(key)) = self else { return [0; CODE_BYTES] };
        let tag = hmac::sign(key, &signed(role, connecting, accepting));
        tag.as_ref().try_into().expect("SHA-256 has thirty-two bytes")
    }

    /// Whether `code` is the one of the end of `role`. Takes the same time for every wrong code.
    pub fn accepts(
        &self,
        code: &[u8; CODE_BYTES],
        role: Role,
        connecting: &Hello,
        accepting: &Hello,
    ) -> bool {
        match self {
            Trust::Secret(Secret(key)) => {
                hmac::verify(key, &signed(role, connecting, accepting), code).is_ok()
            }
            Trust::Everybody => *code == [0; CODE_BYTES],
        }
    }

    /// A nonce: never the same twice, and with a secret nobody who does not know it can guess it. The runtime's numbers
    /// alone could be: they are made for speed.
    pub fn nonce<R: Runtime>(&self, rt: &R) -> [u8; NONCE_BYTES] {
        let mut drawn = [0; NONCE_BYTES];
        for chunk in drawn.chunks_exact_mut(8) {
            chunk.copy_from_slice(&rt.random(Purpose::Id).to_le_bytes());
        }
        let Trust::Secret(Secret(key)) = self else { return drawn };
        let mut text = b"torc: a nonce\n".to_vec();
        text.extend_from_slice(&drawn);
        text.extend_from_slice(&rt.wall().0.to_le_bytes());
        text.extend_from_slice(&rt.now().0.to_le_bytes());
        hmac::sign(key, &text).as_ref().try_into().expect("SHA-256 has thirty-two bytes")
    }
}

fn signed(role: Role, connecting: &Hello, accepting: &Hello) -> Vec<u8> {
    let mut text = Vec::with_capacity(64 + 2 * HELLO_BYTES);
    text.extend_from_slice(role.words());
    text.extend_from_slice(&connecting.encode());
    text.extend_from_slice(&accepting.encode());
    text
}

#[cfg(test)]
mod tests;
