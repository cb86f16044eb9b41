//! Letters on their way out, gathered per shard that they go to, and the wire that takes them.

use crate::consensus::{Letter, wire};
use model::ring::{Place, ShardId, VnodeId};
use net::fabric::Fabric;
use net::mesh::CallError;
use net::peer::{Beside, ENVELOPES_MAX};
use runtime::{Mono, Runtime};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// Bytes of commands that share one payload, about: more go in a payload of their own.
const PAYLOAD_BYTES: usize = 1 << 20;

/// Letters that share one payload.
const PAYLOAD_LETTERS: usize = 4 << 10;

/// An answer that is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>>>>;

/// How a shard reaches the shards of other nodes.
#[derive(Clone)]
pub struct Wire {
    /// Sends a payload one way; false when it surely does not arrive.
    pub tell: Rc<dyn Fn(Place, Vec<u8>) -> bool>,
    /// Asks a shard, of this node or of another one, and waits for its answer until a deadline.
    pub call: Rc<dyn Fn(Place, Mono, Vec<u8>) -> Answer>,
}

impl Wire {
    /// By way of the links to other nodes.
    pub fn over<R: Runtime>(fabric: &Fabric<R>) -> Wire {
        let (there, anywhere) = (fabric.links().cloned(), fabric.clone());
        let tell = move |to: Place, payload| there.as_ref().is_some_and(|links| links.tell(to, payload));
        let call = move |to: Place, deadline, request| -> Answer {
            let fabric = anywhere.clone();
            Box::pin(async move { fabric.call(to, deadline, request).await })
        };
        Wire { tell: Rc::new(tell), call: Rc::new(call) }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

/// Letters that wait to be sent.
#[derive(Default)]
pub struct Outbox {
    by_place: BTreeMap<Place, Parcel>,
}

/// What goes to one shard.
#[derive(Default)]
struct Parcel {
    letters: Vec<(VnodeId, Letter)>,
    beside: Beside,
}

impl Outbox {
    /// Puts a letter in.
    pub fn put(&mut self, to: Place, vnode: VnodeId, letter: Letter) {
        self.by_place.entry(to).or_default().letters.push((vnode, letter));
    }

    /// What is said beside the letters.
    pub fn beside(&mut self, to: Place) -> &mut Beside {
        &mut self.by_place.entry(to).or_default().beside
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// Sends everything, from this shard of the node; gives the letters that surely do not arrive.
    pub fn send(self, wire: &Wire, own: ShardId) -> Vec<(VnodeId, Letter)> {
        let mut lost = Vec::new();
        for (place, Parcel { letters, mut beside }) in self.by_place {
            let mut rest = letters.as_slice();
            loop {
                let (part, others) = rest.split_at(payload_letters(rest));
                rest = others;
                let more = beside.naps.split_off(beside.naps.len().min(ENVELOPES_MAX));
                let now = Beside { shard: own.0, ..std::mem::take(&mut beside) };
                beside.naps = more;
                if !(wire.tell)(place, wire::encode(part, now)) {
                    lost.extend(part.iter().cloned());
                }
                if rest.is_empty() && beside.naps.is_empty() {
                    break;
                }
            }
        }
        lost
    }
}

/// How many of the letters go into one payload: one at least, if there is one.
fn payload_letters(letters: &[(VnodeId, Letter)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, letter): &&(VnodeId, Letter)| {
        bytes += letter.message.entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        bytes <= PAYLOAD_BYTES
    };
    letters.iter().take(PAYLOAD_LETTERS).take_while(fits).count().max(1).min(letters.len())
}
