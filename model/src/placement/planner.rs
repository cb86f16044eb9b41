//! The search for the next move, a few vnodes at a time, and what is remembered between two searches.
//!
//! ```text
//! look --> count what has changed --> undo? --> mend? --> balance? --> lead? --> nothing
//!            chunk by chunk            only chunks in which something is on the move, or wrong
//! ```
//!
//! 1. Rings share what they have in common, in chunks of vnodes. What nodes have is counted per chunk, once: after a change of one vnode its chunk alone is
//!    counted again. A change of the nodes' states begins anew.
//! 2. The kinds of moves come in the order of their urgency. Whole kinds are passed over by what the nodes have (nobody has too much), chunks by what was noted of
//!    them (nothing is wrong there).
//! 3. One [`Planner::look`] looks at [`CHUNKS_AT_ONCE`] chunks at most, so that its caller can let others run; then it goes on where it was, unless something has
//!    changed: then it begins the search anew, not the counting.
//! 4. In a ring of many chunks the first good move will do: one that is found in [`CHUNKS_ENOUGH`] chunks is taken, and the next search
//!    goes on behind it. Smaller rings are searched to their end.
//!
//! Promises: what it finds is right for the map that it was given. A planner that is new gives the same answer for the same map.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::fleet::Fleet;
use super::moves::{Found, LeadRank, Plan, Shift, progress_of};
use super::{Limits, Move, Progress, Why};
use crate::{
    map::Map,
    node::Node,
    ring::{CATALOG, NodeId, PeerId, Replicas},
};

/// Chunks that one look counts or searches.
pub const CHUNKS_AT_ONCE: usize = 8;

/// Chunks after which a search takes what it has found.
const CHUNKS_ENOUGH: usize = 16;

/// What a look has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// This is to be done next.
    Move(Move),
    /// Nothing is to be done, or enough is under way.
    Nothing,
    /// It has not seen enough: look again.
    More,
}

/// Searches a map for its next move.
#[derive(Default)]
pub struct Planner {
    basis: Option<Basis>,
    fleet: Fleet,
    chunks: Vec<Chunk>,
    /// The catalog's replicas, as they were counted.
    catalog: Option<Replicas>,
    search: Option<Search>,
    /// Where the last search found something to shift, and somebody to lead: there the next one begins.
    shifted: usize,
    led: usize,
}

/// What all counts rest on.
struct Basis {
    nodes: BTreeMap<NodeId, Rc<Node>>,
    limits: Limits,
    vnodes: usize,
}

/// What was counted of a chunk.
#[derive(Default)]
struct Chunk {
    kept: Option<Rc<[Replicas]>>,
    is_moving: bool,
    /// The most urgent of what is wrong there.
    wrong: Option<Why>,
}

/// How far a search is.
struct Search {
    next_peer: PeerId,
    kind: Kind,
    /// Chunks that this kind is done with.
    done: usize,
    /// Those of them that it has looked into.
    seen: usize,
    mend: Option<Move>,
    shift: Option<(Shift, usize)>,
    lead: Option<(LeadRank, Move, usize)>,
    /// There is something to do, once other moves are done.
    waits: bool,
    result: Option<Look>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Undo,
    Mend,
    Balance,
    Lead,
}

/// What a kind has come to.
enum Step {
    More,
    Found(Move),
    /// Nothing is to be done of this kind, and of no other.
    Wait,
    /// Nothing of this kind.
    Next,
}

impl Planner {
    /// Looks a little further for the next change towards what the nodes' states and loads ask for. A replica that is made gets the number
    /// `next_peer`.
    pub fn look(&mut self, map: &Map, next_peer: PeerId, limits: &Limits) -> Look {
        if map.nodes.is_empty() {
            return Look::Nothing;
        }
        let mut left = CHUNKS_AT_ONCE;
        if !self.count(map, limits, &mut left) {
            return Look::More;
        }
        let known = self.search.take().filter(|search| search.next_peer == next_peer);
        let mut search = known.unwrap_or_else(|| Search::new(next_peer));
        while search.result.is_none() {
            match self.step(&mut search, map, limits, &mut left) {
                Step::More => break,
                Step::Found(found) => {
                    search.result = Some(Look::Move(found));
                    match (search.kind, &search.shift, &search.lead) {
                        (Kind::Balance, Some((_, chunk)), _) => self.shifted = *chunk,
                        (Kind::Lead, _, Some((_, _, chunk))) => self.led = *chunk,
                        _ => {}
                    }
                }
                Step::Wait => search.result = Some(Look::Nothing),
                Step::Next => search.next_kind(),
            }
        }
        let look = search.result.unwrap_or(Look::More);
        self.search = Some(search);
        look
    }

    /// How far the ring is from where it is going. Counts what is not counted yet, all at once.
    pub fn progress(&mut self, map: &Map, limits: &Limits) -> Progress {
        if map.nodes.is_empty() {
            return Progress::default();
        }
        let mut all = usize::MAX;
        assert!(self.count(map, limits, &mut all), "nothing held it up");
        progress_of(&self.fleet, map.ring.len())
    }

    /// Counts what has changed, at most `left` chunks; whether all is counted now. A change ends the search.
    fn count(&mut self, map: &Map, limits: &Limits, left: &mut usize) -> bool {
        self.begin_anew_unless_same(map, limits);
        if self.catalog != Some(map.catalog) {
            self.catalog.iter().for_each(|old| self.fleet.count_moves(old, -1));
            self.fleet.count_moves(&map.catalog, 1);
            (self.catalog, self.search) = (Some(map.catalog), None);
        }
        for (chunk, kept) in self.chunks.iter_mut().zip(map.ring.chunks()) {
            if chunk.kept.as_ref().is_some_and(|old| Rc::ptr_eq(old, kept)) {
                continue;
            }
            if *left == 0 {
                return false;
            }
            *left -= 1;
            self.search = None;
            chunk.kept.iter().flat_map(|old| old.iter()).for_each(|old| self.fleet.count(old, -1));
            kept.iter().for_each(|new| self.fleet.count(new, 1));
            let wanted = self.fleet.wanted();
            let wrong = kept.iter().filter_map(|replicas| self.fleet.wrong(replicas, wanted)).min();
            *chunk =
                Chunk { kept: Some(kept.clone()), is_moving: kept.iter().any(Replicas::is_moving), wrong };
        }
        true
    }

    /// Forgets all when the nodes, the limits or the number of vnodes are others.
    fn begin_anew_unless_same(&mut self, map: &Map, limits: &Limits) {
        let is_same = |basis: &Basis| {
            basis.nodes == map.nodes && basis.limits == *limits && basis.vnodes == map.ring.len()
        };
        if self.basis.as_ref().is_some_and(is_same) {
            return;
        }
        *self = Planner {
            basis: Some(Basis { nodes: map.nodes.clone(), limits: limits.clone(), vnodes: map.ring.len() }),
            fleet: Fleet::empty(map.nodes.values().map(|node| &**node), &limits.down),
            chunks: map.ring.chunks().iter().map(|_| Chunk::default()).collect(),
            ..Planner::default()
        };
    }

    fn step(&mut self, search: &mut Search, map: &Map, limits: &Limits, left: &mut usize) -> Step {
        let plan = Plan::new(&self.fleet, map.ring.len(), limits, search.next_peer);
        match search.kind {
            Kind::Undo => self.undo(search, map, &plan, left),
            Kind::Mend if self.fleet.moving >= limits.moves_max => Step::Wait,
            Kind::Mend => self.mend(search, map, &plan, left),
            Kind::Balance => self.balance(search, map, &plan, left),
            Kind::Lead => self.lead(search, map, &plan, left),
        }
    }

    fn undo(&self, search: &mut Search, map: &Map, plan: &Plan<'_>, left: &mut usize) -> Step {
        if self.fleet.moving == 0 {
            return Step::Next;
        }
        if let Some(found) = plan.undo(CATALOG, &map.catalog) {
            return Step::Found(found);
        }
        while let Some(chunk) = search.next_chunk(&self.chunks, 0, |chunk| chunk.is_moving) {
            if !search.may_look(left) {
                return Step::More;
            }
            if let Some(found) = map.ring.chunk(chunk).find_map(|vnode| plan.undo(vnode.id, &vnode.replicas))
            {
                return Step::Found(found);
            }
        }
        Step::Next
    }

    fn mend(&self, search: &mut Search, map: &Map, plan: &Plan<'_>, left: &mut usize) -> Step {
        let catalog = plan.wrong(CATALOG, &map.catalog);
        let least = self.chunks.iter().filter_map(|chunk| chunk.wrong).chain(catalog).min();
        if search.done == 0 {
            search.take_mend(plan.mend(CATALOG, &map.catalog));
        }
        loop {
            // Who waits does so for what is under way, and is looked at again after that.
            let enough = search.seen >= CHUNKS_ENOUGH && search.waits && search.mend.is_none();
            if enough || search.mend.is_some_and(|best| Some(best.why) <= least) {
                break;
            }
            let Some(chunk) = search.next_chunk(&self.chunks, 0, |chunk| chunk.wrong.is_some()) else {
                break;
            };
            if !search.may_look(left) {
                return Step::More;
            }
            for vnode in map.ring.chunk(chunk) {
                search.take_mend(plan.mend(vnode.id, &vnode.replicas));
            }
        }
        match search.mend {
            Some(found) => Step::Found(found),
            None if search.waits => Step::Wait,
            None => Step::Next,
        }
    }

    fn balance(&self, search: &mut Search, map: &Map, plan: &Plan<'_>, left: &mut usize) -> Step {
        let Some(scales) = plan.scales() else { return Step::Next };
        loop {
            let is_straight = search.shift.as_ref().is_some_and(|((rank, ..), _)| !rank.0);
            if search.seen >= CHUNKS_ENOUGH && (is_straight || search.waits) {
                break;
            }
            let Some(chunk) = search.next_chunk(&self.chunks, self.shifted, |_| true) else { break };
            if !search.may_look(left) {
                return Step::More;
            }
            for vnode in map.ring.chunk(chunk) {
                let (shift, waits) = plan.shift(&vnode, &scales);
                search.waits |= waits;
                let Some(shift) = shift else { continue };
                if search.shift.as_ref().is_none_or(|(best, _)| shift.0 < best.0) {
                    search.shift = Some((shift, chunk));
                }
            }
        }
        match search.shift {
            // Once those that are under way are done, there may be a straight way.
            Some(((rank, ..), _)) if rank.0 && search.waits => Step::Wait,
            Some((shift, _)) => Step::Found(plan.shifted(shift)),
            None if search.waits => Step::Wait,
            None => Step::Next,
        }
    }

    fn lead(&self, search: &mut Search, map: &Map, plan: &Plan<'_>, left: &mut usize) -> Step {
        if !plan.may_lead_better() {
            return Step::Wait;
        }
        let full = plan.by_leaders();
        loop {
            let helps_nodes = search.lead.as_ref().is_some_and(|(rank, ..)| !rank.0);
            if search.seen >= CHUNKS_ENOUGH && helps_nodes {
                break;
            }
            let Some(chunk) = search.next_chunk(&self.chunks, self.led, |_| true) else { break };
            if !search.may_look(left) {
                return Step::More;
            }
            for vnode in map.ring.chunk(chunk) {
                let Some((rank, found)) = plan.lead(&vnode, &full) else { continue };
                if search.lead.as_ref().is_none_or(|(best, ..)| rank < *best) {
                    search.lead = Some((rank, found, chunk));
                }
            }
        }
        search.lead.as_ref().map_or(Step::Wait, |(_, found, _)| Step::Found(*found))
    }
}

impl Search {
    fn new(next_peer: PeerId) -> Search {
        Search {
            next_peer,
            kind: Kind::Undo,
            done: 0,
            seen: 0,
            mend: None,
            shift: None,
            lead: None,
            waits: false,
            result: None,
        }
    }

    /// The next chunk that this kind wants to look into, behind those that it is done with; they are counted from `first` on.
    fn next_chunk(
        &mut self,
        chunks: &[Chunk],
        first: usize,
        wanted: impl Fn(&Chunk) -> bool,
    ) -> Option<usize> {
        while self.done < chunks.len() {
            let place = (first + self.done) % chunks.len();
            if wanted(&chunks[place]) {
                return Some(place);
            }
            self.done += 1;
        }
        None
    }

    /// Whether that chunk may be looked into now; then it is done with.
    fn may_look(&mut self, left: &mut usize) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        (self.done, self.seen) = (self.done + 1, self.seen + 1);
        true
    }

    fn take_mend(&mut self, found: Option<Found>) {
        match found {
            Some(Found::Move(found)) if self.mend.is_none_or(|best| found.why < best.why) => {
                self.mend = Some(found);
            }
            Some(Found::Wait) => self.waits = true,
            Some(Found::Move(_)) | None => {}
        }
    }

    fn next_kind(&mut self) {
        self.kind = match self.kind {
            Kind::Undo => Kind::Mend,
            Kind::Mend => Kind::Balance,
            Kind::Balance | Kind::Lead => Kind::Lead,
        };
        (self.done, self.seen, self.waits) = (0, 0, false);
    }
}
