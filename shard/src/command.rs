//! Commands: what a vnode's log entry carries. Effects, never conditions to be evaluated again.
//!
//! ```text
//! CommandBuilder --put/delete/drop_range--> bytes --log--> Command::decode --effects--> WriteBatch
//! ```
//!
//! The leader evaluates an operation once, under the key's latch, and writes down what it does to the tree. Whoever
//! applies the entry, now or at a replay, does exactly that: the same bytes, no clock, no condition.
//!
//! Promises: decoding takes any bytes and gives a command or says what is wrong. FORMAT.md, "Commands", has the bytes.

use crate::clock::Stamp;
use bytes::{BufMut, Bytes, BytesMut};
use lsm::{Arena, WriteBatch};

/// The kind of log record that holds a command.
pub const RECORD_KIND: u8 = 1;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 12;
const EFFECT_HEADER_BYTES: usize = 8;
const PUT: u8 = 1;
const DELETE: u8 = 2;
const DROP: u8 = 3;

/// Builds a command's bytes.
pub struct CommandBuilder {
    bytes: BytesMut,
    count: u16,
}

impl CommandBuilder {
    /// A command without effects yet.
    pub fn new(stamp: Stamp) -> CommandBuilder {
        CommandBuilder::over(stamp, BytesMut::new())
    }

    /// The same in memory of `arena`, for one effect with `room` bytes of key and value: what comes out is shared by
    /// log entry and memtable, and costs no allocation.
    pub fn in_arena(stamp: Stamp, arena: &mut Arena, room: usize) -> CommandBuilder {
        CommandBuilder::over(stamp, arena.piece(HEADER_BYTES + EFFECT_HEADER_BYTES + room))
    }

    fn over(stamp: Stamp, mut bytes: BytesMut) -> CommandBuilder {
        bytes.put_slice(&[VERSION, 0, 0, 0]);
        bytes.put_u64_le(stamp.0);
        CommandBuilder { bytes, count: 0 }
    }

    /// Sets `key` to the value that `parts` make together.
    pub fn put(&mut self, key: &[u8], parts: &[&[u8]]) {
        self.effect(PUT, key, parts);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.effect(DELETE, key, &[]);
    }

    /// Removes all keys from `from` up to and without `to`.
    pub fn drop_range(&mut self, from: &[u8], to: &[u8]) {
        assert!(from < to, "a dropped range must not be empty");
        self.effect(DROP, from, &[to]);
    }

    /// The command's bytes.
    pub fn finish(mut self) -> Bytes {
        assert!(self.count > 0, "a command without effects must not be proposed");
        self.bytes[2..4].copy_from_slice(&self.count.to_le_bytes());
        self.bytes.freeze()
    }

    fn effect(&mut self, kind: u8, key: &[u8], parts: &[&[u8]]) {
        assert!(!key.is_empty() && key.len() <= lsm::KEY_BYTES_MAX, "a key of {} bytes", key.len());
        let value_size: usize = parts.iter().map(|part| part.len()).sum();
        assert!(value_size <= lsm::VALUE_BYTES_MAX, "a value of {value_size} bytes");
        let key_size = u32::try_from(key.len()).expect("KEY_BYTES_MAX fits u24");
        self.bytes.put_u8(kind);
        self.bytes.put_slice(&key_size.to_le_bytes()[..3]);
        self.bytes.put_u32_le(u32::try_from(value_size).expect("VALUE_BYTES_MAX fits u32"));
        self.bytes.extend_from_slice(key);
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.count = self.count.checked_add(1).expect("at most 65,535 effects");
    }
}

/// A command's bytes, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// When it was written.
    pub stamp: Stamp,
    effects: &'a [u8],
}

/// One thing that a command does to the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Sets a key.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Removes a range of keys.
    DropRange {
        /// The first.
        from: &'a [u8],
        /// The first that stays.
        to: &'a [u8],
    },
}

impl<'a> Command<'a> {
    /// Checks a command's bytes; says what is wrong with them.
    pub fn decode(bytes: &'a [u8]) -> Result<Command<'a>, &'static str> {
        let (header, effects) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or("a command is cut short")?;
        if header[0] != VERSION {
            return Err("a command of an unknown version");
        }
        let count = u16::from_le_bytes([header[2], header[3]]);
        if header[1] != 0 || count == 0 {
            return Err("a command's header makes no sense");
        }
        let stamp = Stamp(u64::from_le_bytes(header[4..12].try_into().expect("eight bytes")));
        let mut rest = effects;
        for _ in 0..count {
            (_, rest) = split_effect(rest)?;
        }
        if rest.is_empty() {
            Ok(Command { stamp, effects })
        } else {
            Err("a command has bytes after its effects")
        }
    }

    /// What it does, in order.
    pub fn effects(&self) -> impl Iterator<Item = Effect<'a>> {
        let mut rest = self.effects;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (effect, tail) = split_effect(rest).expect("decode checked every effect");
            rest = tail;
            Some(effect)
        })
    }

    /// Adds what it does to `batch`, as [`Command::fill`], but keys and values that are put are shared with `whole`, the
    /// command's own bytes, instead of copied.
    pub fn share(&self, whole: &Bytes, batch: &mut WriteBatch) {
        for effect in self.effects() {
            match effect {
                Effect::Put { key, value } => {
                    let begin = key.as_ptr().addr() - whole.as_ptr().addr();
                    let pair = whole.slice(begin..begin + key.len() + value.len());
                    batch.adopt(pair, key.len());
                }
                Effect::Delete { key } => batch.delete(key),
                Effect::DropRange { from, to } => batch.drop_range(from, to),
            }
        }
    }

    /// Adds what it does to `batch`.
    pub fn fill(&self, batch: &mut WriteBatch) {
        for effect in self.effects() {
            match effect {
                Effect::Put { key, value } => batch.put(key, value),
                Effect::Delete { key } => batch.delete(key),
                Effect::DropRange { from, to } => batch.drop_range(from, to),
            }
        }
    }
}

fn split_effect(bytes: &[u8]) -> Result<(Effect<'_>, &[u8]), &'static str> {
    let (header, rest) = bytes.split_first_chunk::<EFFECT_HEADER_BYTES>().ok_or("an effect is cut short")?;
    let key_size = u32::from_le_bytes([header[1], header[2], header[3], 0]) as usize;
    let value_size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    if key_size == 0 || key_size > lsm::KEY_BYTES_MAX || value_size > lsm::VALUE_BYTES_MAX {
        return Err("an effect's sizes are out of bounds");
    }
    let (key, rest) = rest.split_at_checked(key_size).ok_or("an effect is cut short")?;
    let (value, rest) = rest.split_at_checked(value_size).ok_or("an effect is cut short")?;
    let effect = match header[0] {
        PUT => Effect::Put { key, value },
        DELETE if value.is_empty() => Effect::Delete { key },
        DROP if key < value && value.len() <= lsm::KEY_BYTES_MAX => {
            Effect::DropRange { from: key, to: value }
        }
        _ => return Err("an effect of an unknown kind"),
    };
    Ok((effect, rest))
}

#[cfg(test)]
mod tests;
