//! Watching: how a process that does not lead the catalog hears of new maps.
//!
//! ```text
//! Watch { have } --to the catalog's leader, else its other nodes, else anyone--> Map | Done after a while | Moved
//!       ^                                                                        |
//!       +--------------------- at once; after a pause when nobody answered ------+
//! ```
//!
//! 1. One task per process asks, one question at a time, and tells by each what it has.
//! 2. The catalog's leader is asked first: it waits for those who ask it when it tells a client of a change. Its other nodes know who
//!    leads, and send on. When that leads to nobody who answers, any node will do: news may be late then, but comes.
//! 3. News is whole or a delta. A delta that does not fit (the asked one was wrong about what was had) makes the next
//!    question one for everything.
//!
//! Promises: nobody is asked more often than every 10 ms, whatever they answer. Without answers the process goes on
//! with the map that it has. Leaves to others: giving the map to the other cores (`take`), and how a shard is reached (`call`).

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use model::map::Map;
use model::node::NodeState;
use model::ring::{NodeId, Place, ShardId};
use runtime::{Mono, Purpose, Runtime};

use crate::map::MapCell;
use crate::mesh::CallError;
use crate::message::{ArchivedReply, Operation, Request, Watch, read_reply};

/// The pause after a question that got no answer to go by, at first; it doubles with each more, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A question ends after this: longer than a shard waits for news, and the way there and back.
const QUESTION_MAX: Duration = Duration::from_secs(3);

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// A node's id, or a number that a router has drawn when it started.
    pub watcher: u128,
    /// Its number, if it is a node.
    pub node: Option<NodeId>,
}

/// Watches for ever: asks with `call`, and gives each newer map to `take` before it asks on.
pub async fn watch<R: Runtime>(
    rt: &R,
    cell: &MapCell,
    who: Who,
    call: impl AsyncFn(Place, Mono, Vec<u8>) -> Result<Vec<u8>, CallError>,
    take: impl AsyncFn(Rc<Map>),
) -> std::convert::Infallible {
    let mut asking = Asking::default();
    let mut pause = PAUSE_MIN;
    loop {
        let map = cell.get();
        let (place, anyone) = asking.next(&map, who.node);
        let began = rt.now();
        let have = if asking.wants_all { 0 } else { map.version };
        let watch = Watch { have, watcher: who.watcher, node: who.node.map(|node| node.0), anyone };
        let request = Request { epoch: map.ring.epoch, operation: Operation::Watch(watch) };
        let answer = match place {
            Some(place) => call(place, began.after(QUESTION_MAX), request.encode()).await,
            None => Err(CallError::NotServing),
        };
        let heard = match answer.as_ref().map(|bytes| read_reply(bytes)) {
            Ok(Ok(reply)) => asking.hear(place, reply, &map),
            _ => Heard::Nothing,
        };
        match heard {
            Heard::News(map) => take(map).await,
            Heard::NoNews => {}
            Heard::Again | Heard::Nothing => {
                if heard == Heard::Nothing {
                    asking.give_up(place);
                }
                rt.sleep(jittered(rt, pause)).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
        }
        pause = PAUSE_MIN;
        // Whatever they answer: nobody is asked in a tight loop.
        let took = rt.now().since(began);
        rt.sleep(PAUSE_MIN.saturating_sub(took)).await;
    }
}

/// Between half of a pause and all of it.
fn jittered<R: Runtime>(rt: &R, pause: Duration) -> Duration {
    let half = pause / 2;
    let nanos = u64::try_from(half.as_nanos()).expect("pauses are short").max(1);
    half + Duration::from_nanos(rt.random(Purpose::Jitter) % nanos)
}

/// What came of a question.
#[derive(Debug, PartialEq)]
enum Heard {
    News(Rc<Map>),
    NoNews,
    /// The next question is another one, or for somebody else.
    Again,
    /// Nothing that helps.
    Nothing,
}

/// Whom to ask.
#[derive(Default)]
struct Asking {
    /// Who leads the catalog, as far as is known.
    leader: Option<Place>,
    /// Whom to ask then; filled again when it is empty.
    others: VecDeque<(Place, bool)>,
    /// Who has sent us on since somebody has answered, or all were asked.
    sent_on: BTreeSet<Place>,
    wants_all: bool,
}

impl Asking {
    /// Whom to ask next, and whether anyone's answer will do.
    fn next(&mut self, map: &Map, own: Option<NodeId>) -> (Option<Place>, bool) {
        if let Some(leader) = self.leader {
            return (Some(leader), false);
        }
        if self.others.is_empty() {
            self.sent_on.clear();
            self.others.extend(map.catalog.iter().map(|replica| (replica.place, false)));
            let others = map.nodes.values().filter(|node| node.state != NodeState::Removed);
            let others = others.map(|node| node.number).filter(|number| Some(*number) != own);
            self.others.extend(others.map(|node| (Place { node, shard: ShardId(0) }, true)));
        }
        match self.others.front() {
            Some((place, anyone)) => (Some(*place), *anyone),
            None => (None, true),
        }
    }

    fn hear(&mut self, place: Option<Place>, reply: &ArchivedReply, map: &Map) -> Heard {
        match reply {
            ArchivedReply::Done => {
                self.stay_with(place);
                Heard::NoNews
            }
            ArchivedReply::Map(bytes) => match map.update(bytes) {
                Ok(newer) => {
                    self.stay_with(place);
                    self.wants_all = false;
                    if newer.version > map.version { Heard::News(Rc::new(newer)) } else { Heard::NoNews }
                }
                Err(_) => {
                    self.wants_all = true;
                    Heard::Again
                }
            },
            ArchivedReply::Moved(moved) => {
                let (node, shard) = (moved.node.to_native(), moved.shard.to_native());
                let leader = Place { node: NodeId(node), shard: ShardId(shard) };
                self.sent_on.extend(place);
                // Who sends on to themselves is between two minds, and so are those who send on to one another.
                if self.sent_on.contains(&leader) {
                    return Heard::Nothing;
                }
                self.leader = Some(leader);
                Heard::Again
            }
            _ => Heard::Nothing,
        }
    }

    /// Who answered for the catalog is asked again. Anyone else's answer will do once: then the catalog is tried anew.
    fn stay_with(&mut self, place: Option<Place>) {
        self.sent_on.clear();
        match self.others.front() {
            Some((_, true)) if self.leader.is_none() => self.others.clear(),
            _ => self.leader = place,
        }
    }

    /// That one did not answer. Who sent us there would do so again: it may be a node that our map does not know, because it came later, and then only
    /// another map helps, whoever has it.
    fn give_up(&mut self, place: Option<Place>) {
        match self.leader.take() {
            Some(_) => self.others.retain(|(other, _)| Some(*other) != place),
            None => drop(self.others.pop_front()),
        }
        self.others.retain(|(other, anyone)| *anyone || !self.sent_on.contains(other));
    }
}

#[cfg(test)]
mod tests;
