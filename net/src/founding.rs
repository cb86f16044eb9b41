//! What is said to a node that belongs to no cluster yet: who are you, and: you belong to this one.
//!
//! ```text
//! Describe --> Described(member)          Adopt { cluster, number, map } --> Adopted, once it is durable
//! ```
//!
//! Such a node says cluster 0 in its hello; so does who looks for it. The secret is asked for as in a cluster. Everything may be
//! asked twice.
//!
//! Promises: any bytes are safe to hand to the readers. The bytes are described in docs/WIRE.md, "Founding".

use rkyv::rancor::Failure;
use rkyv::{Archive, Serialize};

use crate::message::{ADDRESSES_MAX, MESSAGE_BYTES_MAX, Malformed, Member};

/// The cluster id of who belongs to none.
pub const NO_CLUSTER: u128 = 0;

/// What a node that waits can be asked.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Ask {
    /// Who are you? Answer: `Described`.
    Describe,
    /// You belong to a cluster. Answer: `Adopted`, or `Refused`.
    Adopt(Adopt),
}

/// A cluster, and a node's place in it.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Adopt {
    /// The id of the node that is meant.
    pub node: u128,
    /// The cluster's id.
    pub cluster: u128,
    /// The node's number in it.
    pub number: u16,
    /// The cluster's map, in which the node is.
    pub map: Vec<u8>,
}

/// What a node that waits answers.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Told {
    /// To `Describe`.
    Described(Member),
    /// To `Adopt`: it is written down, the node goes on as a member.
    Adopted,
    /// Why not, in words for people.
    Refused(String),
}

impl Ask {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        rkyv::to_bytes::<Failure>(self).expect("memory is the only thing that an archive needs").to_vec()
    }
}

impl Told {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        rkyv::to_bytes::<Failure>(self).expect("memory is the only thing that an archive needs").to_vec()
    }
}

/// Checks a question's bytes and gives it to read in place.
pub fn read_ask(bytes: &[u8]) -> Result<&ArchivedAsk, Malformed> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed);
    }
    rkyv::access::<ArchivedAsk, Failure>(bytes).map_err(|Failure| Malformed)
}

/// Checks an answer's bytes and gives it to read in place.
pub fn read_told(bytes: &[u8]) -> Result<&ArchivedTold, Malformed> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed);
    }
    let told = rkyv::access::<ArchivedTold, Failure>(bytes).map_err(|Failure| Malformed)?;
    match told {
        ArchivedTold::Described(member) if member.addresses.len() > ADDRESSES_MAX => Err(Malformed),
        _ => Ok(told),
    }
}

#[cfg(test)]
mod tests;
