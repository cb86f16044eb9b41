//! A world of one group: replicas with disks and clocks of their own, a network, clients, and the checkers.
//!
//! Everything happens in one thread on virtual time, in an order that the seed decides. The state machine is a chain of
//! hashes over the commands, so that replicas agree exactly when their chains do. Its flushed copy and the log are what
//! survives a crash; of writes that were not durable yet a prefix may.

use super::super::change::Step;
use super::super::group::{Group, GroupOptions, Letter, PeerId, Read, Saved, Work};
use super::super::wire;
use super::Canary;
use super::nemesis::Nemesis;
use bytes::Bytes;
use model::ring::VnodeId;
use net::peer::Beside;
use raft::eraftpb::{ConfState, Entry, HardState, SnapshotMetadata};
use runtime::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) const MS: u64 = 1_000_000;
pub(super) const TICK: u64 = 10 * MS;
pub(super) const ELECTION_TICKS: usize = 10;
const VNODE: VnodeId = VnodeId(1);
/// Index and term that every group is founded with, so that a new replica always needs an image.
const FOUNDED: (u64, u64) = (1, 1);

/// A repeatable stream of numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, purpose: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(super) fn per_mille(&mut self, chance: u64) -> bool {
        self.next() % 1000 < chance
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let place = self.next() as usize;
        (!from.is_empty()).then(|| from[place % from.len()])
    }
}

/// The state machine.
#[derive(Clone, Default)]
struct State {
    index: u64,
    term: u64,
    chain: u64,
    members: ConfState,
}

/// One write to the log, not durable yet.
struct Write {
    number: u64,
    entries: Vec<Entry>,
    hard_state: Option<HardState>,
    install: Option<State>,
}

/// What survives a crash.
#[derive(Default)]
struct Disk {
    hard_state: HardState,
    start: (u64, u64),
    entries: Vec<Entry>,
    flushed: State,
    pending: VecDeque<Write>,
}

impl Disk {
    fn commit(&mut self, write: Write) {
        if let Some(image) = write.install {
            self.start = (image.index, image.term);
            self.entries.clear();
            self.flushed = image;
        }
        if let Some(first) = write.entries.first() {
            let keep = first.index.checked_sub(self.start.0 + 1).expect("nothing below the start is written");
            self.entries.truncate(keep as usize);
            self.entries.extend(write.entries);
        }
        if let Some(state) = write.hard_state {
            self.hard_state = state;
        }
    }
}

/// A replica's process.
struct Process {
    group: Group,
    state: State,
    /// Commands proposed here: entry bytes.
    proposed: BTreeSet<Bytes>,
    /// Reads that wait: number, and what they must see.
    reads: BTreeMap<u64, u64>,
}

pub(super) struct Replica {
    disk: Disk,
    process: Option<Process>,
    started_before: bool,
    incarnation: u64,
    pub(super) paused_until: u64,
    late: Vec<Event>,
    clock: (u64, u64),
    pub(super) disk_delay_max: u64,
}

enum Event {
    Tick { peer: u64, incarnation: u64 },
    Arrive { peer: u64, payload: Vec<u8> },
    Durable { peer: u64, incarnation: u64 },
    Start { peer: u64 },
    Resume { peer: u64 },
    Report { peer: u64, to: u64, image: u64 },
    Client,
    Nemesis,
}

/// What a run did.
#[derive(Default, Debug, PartialEq, Eq, Clone)]
pub(super) struct Counts {
    pub(super) commits: u64,
    pub(super) acknowledged: u64,
    pub(super) lease_reads: u64,
    pub(super) index_reads: u64,
    pub(super) elections: u64,
    pub(super) crashes: u64,
    pub(super) images: u64,
    pub(super) changes: u64,
    pub(super) transfers: u64,
    pub(super) trace: u64,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) replicas: BTreeMap<u64, Replica>,
    pub(super) dice: Dice,
    pub(super) cuts: BTreeSet<(u64, u64)>,
    pub(super) delay_max: u64,
    pub(super) lose_per_mille: u64,
    pub(super) repeat_per_mille: u64,
    pub(super) client_every: u64,
    pub(super) write_per_mille: u64,
    pub(super) counts: Counts,
    nemesis: Option<Nemesis>,
    canary: Option<Canary>,
    seed: u64,
    events: BTreeMap<(u64, u64), Event>,
    event_count: u64,
    /// By index: what is committed there.
    committed: BTreeMap<u64, (u64, Bytes)>,
    chains: BTreeMap<u64, u64>,
    leaders: BTreeMap<u64, u64>,
    /// No later read may see less than this index.
    floor: u64,
    acknowledged: BTreeMap<u64, Bytes>,
    images: BTreeMap<(u64, u64), State>,
    next_command: u64,
    next_peer: u64,
}

impl World {
    pub(super) fn new(seed: u64, canary: Option<Canary>) -> World {
        let mut world = World {
            now: 0,
            replicas: BTreeMap::new(),
            dice: Dice::new(seed, 1),
            cuts: BTreeSet::new(),
            delay_max: MS,
            lose_per_mille: 0,
            repeat_per_mille: 0,
            client_every: 2 * MS,
            write_per_mille: 500,
            counts: Counts::default(),
            nemesis: Some(Nemesis::new(seed)),
            canary,
            seed,
            events: BTreeMap::new(),
            event_count: 0,
            committed: BTreeMap::new(),
            chains: BTreeMap::from([(FOUNDED.0, 0)]),
            leaders: BTreeMap::new(),
            floor: 0,
            acknowledged: BTreeMap::new(),
            images: BTreeMap::new(),
            next_command: 0,
            next_peer: 4,
        };
        let members = ConfState { voters: vec![1, 2, 3], ..ConfState::default() };
        for peer in 1..=3 {
            world.add(peer, members.clone(), FOUNDED);
        }
        world.after(0, Event::Client);
        world.after(50 * MS, Event::Nemesis);
        world
    }

    /// Lets the seed's faults happen until `until`, then heals and lets all recover. Panics at the first thing that
    /// must not be.
    pub(super) fn run(mut self, until: u64) -> Counts {
        self.run_until(until);
        self.nemesis = None;
        self.heal();
        self.run_until(until + 4_000 * MS);
        self.check_recovered();
        self.counts
    }

    pub(super) fn run_until(&mut self, until: u64) {
        while let Some((&(at, _), _)) = self.events.first_key_value()
            && at <= until
        {
            let ((at, order), event) = self.events.pop_first().expect("there is a first");
            self.now = at;
            self.counts.trace = mix(self.counts.trace, at ^ order.rotate_left(32));
            self.handle(event);
        }
        self.now = until;
    }

    /// The peer that leads in the newest term.
    pub(super) fn leader(&self) -> Option<u64> {
        self.leaders().last().copied()
    }

    /// All that think they lead, in the order of their terms.
    pub(super) fn leaders(&self) -> Vec<u64> {
        let running =
            self.replicas.iter().filter_map(|(peer, replica)| Some((replica.process.as_ref()?, *peer)));
        let leaders = running.filter(|(process, _)| process.group.is_leader());
        let mut leaders: Vec<(u64, u64)> =
            leaders.map(|(process, peer)| (process.group.term(), peer)).collect();
        leaders.sort_unstable();
        leaders.into_iter().map(|(_, peer)| peer).collect()
    }

    pub(super) fn voters(&self) -> Vec<u64> {
        let newest = self.replicas.values().filter_map(|replica| replica.process.as_ref());
        let newest = newest.max_by_key(|process| process.state.index);
        newest.map(|process| process.group.members().voters.clone()).unwrap_or_default()
    }

    pub(super) fn running(&self) -> Vec<u64> {
        self.replicas.iter().filter(|(_, replica)| replica.process.is_some()).map(|(peer, _)| *peer).collect()
    }

    /// The process ends now; of its writes under way a prefix is durable. It starts again after `away`.
    pub(super) fn crash(&mut self, peer: u64, away: u64) {
        let kept = self.dice.between(0, 3);
        let replica = self.replicas.get_mut(&peer).expect("only known peers crash");
        if replica.process.take().is_none() {
            return;
        }
        self.counts.crashes += 1;
        replica.incarnation += 1;
        replica.paused_until = 0;
        replica.late.clear();
        let pending: Vec<Write> = replica.disk.pending.drain(..).take(kept as usize).collect();
        pending.into_iter().for_each(|write| replica.disk.commit(write));
        if self.canary == Some(Canary::TailLost) {
            let keep = replica.disk.entries.len().saturating_sub(2);
            replica.disk.entries.truncate(keep);
        }
        self.after(away, Event::Start { peer });
    }

    /// Nothing runs there until `duration` has passed; then everything that was missed comes at once.
    pub(super) fn pause(&mut self, peer: u64, duration: u64) {
        let until = self.now + duration;
        self.replicas.get_mut(&peer).expect("only known peers pause").paused_until = until;
        self.after(duration, Event::Resume { peer });
    }

    pub(super) fn transfer(&mut self, to: u64) {
        let Some(leader) = self.leader() else { return };
        if let Some(process) = self.process(leader) {
            process.group.transfer(PeerId(to)).expect("transfers never close a group");
            self.counts.transfers += 1;
            self.pump(leader);
        }
    }

    /// Puts a new replica in the place of `old`: first as a learner, or, when one is there and has caught up, for good.
    pub(super) fn replace(&mut self, old: u64) {
        let Some(leader) = self.leader() else { return };
        let members = self.process(leader).expect("a leader runs").group.members().clone();
        let steps = match members.learners.first() {
            Some(learner) => vec![Step::Voter(PeerId(*learner)), Step::Remove(PeerId(old))],
            None => {
                let new = self.next_peer;
                self.next_peer += 1;
                self.add(new, ConfState::default(), (0, 0));
                vec![Step::Learner(PeerId(new))]
            }
        };
        let process = self.process(leader).expect("a leader runs");
        if process.group.change(&steps).is_ok() {
            self.counts.changes += 1;
        }
        self.pump(leader);
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        (self.lose_per_mille, self.repeat_per_mille, self.delay_max) = (0, 0, MS);
        (self.client_every, self.write_per_mille) = (5 * MS, 500);
        for (peer, replica) in &mut self.replicas {
            replica.disk_delay_max = MS;
            replica.paused_until = 0;
            let late = std::mem::take(&mut replica.late);
            let first = self.event_count;
            self.event_count += late.len() as u64 + 1;
            let keyed =
                late.into_iter().enumerate().map(|(place, event)| ((self.now, first + place as u64), event));
            self.events.extend(keyed);
            self.events.insert((self.now, self.event_count), Event::Resume { peer: *peer });
            self.event_count += 1;
        }
    }

    fn add(&mut self, peer: u64, members: ConfState, start: (u64, u64)) {
        let mut hard_state = HardState::default();
        (hard_state.term, hard_state.commit) = (start.1, start.0);
        let flushed = State { index: start.0, term: start.1, chain: 0, members };
        let disk = Disk { hard_state, start, flushed, ..Disk::default() };
        // Two clocks drift apart by a tenth at most.
        let clock = (self.dice.between(1, 1 << 40), self.dice.between(952_000, 1_048_000));
        let replica = Replica {
            disk,
            process: None,
            started_before: false,
            incarnation: 0,
            paused_until: 0,
            late: Vec::new(),
            clock,
            disk_delay_max: MS,
        };
        self.replicas.insert(peer, replica);
        self.after(0, Event::Start { peer });
    }

    fn start(&mut self, peer: u64) {
        let now = self.clock(peer);
        let mut options = options(peer, self.seed);
        options.canary = self.canary;
        let replica = self.replicas.get_mut(&peer).expect("only known peers start");
        if replica.process.is_some() {
            return;
        }
        let disk = &replica.disk;
        let saved = Saved {
            hard_state: disk.hard_state.clone(),
            conf_state: disk.flushed.members.clone(),
            start: disk.start,
            entries: disk.entries.clone(),
            applied: disk.flushed.index,
            void_after: None,
            first_start: !replica.started_before,
        };
        replica.started_before = true;
        let group = Group::open(options, saved, now).expect("what was written can be opened");
        let state = disk.flushed.clone();
        replica.process = Some(Process { group, state, proposed: BTreeSet::new(), reads: BTreeMap::new() });
        let incarnation = replica.incarnation;
        self.after(TICK, Event::Tick { peer, incarnation });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Client => self.client(),
            Event::Nemesis => self.strike(),
            Event::Start { peer } => self.start(peer),
            Event::Resume { peer } => self.resume(peer),
            Event::Report { peer, to, image } => self.report(peer, to, image),
            Event::Tick { peer, .. } | Event::Arrive { peer, .. } | Event::Durable { peer, .. } => {
                let Some(replica) = self.replicas.get_mut(&peer) else { return };
                match replica.paused_until > self.now {
                    true => replica.late.push(event),
                    false => self.handle_at(peer, event),
                }
            }
        }
    }

    fn handle_at(&mut self, peer: u64, event: Event) {
        let now = self.clock(peer);
        let replica = self.replicas.get_mut(&peer).expect("checked by the caller");
        let Some(process) = replica.process.as_mut() else { return };
        match event {
            Event::Tick { incarnation, .. } if incarnation == replica.incarnation => {
                process.group.tick(now).expect("ticks never close a group");
                self.after(TICK, Event::Tick { peer, incarnation });
            }
            Event::Arrive { payload, .. } => {
                let (letters, _) = wire::decode(Bytes::from(payload)).expect("what was encoded is sound");
                for (vnode, letter) in letters {
                    assert_eq!(vnode, VNODE);
                    process.group.step(now, letter).expect("no message of a sane peer closes a group");
                }
            }
            Event::Durable { incarnation, .. } if incarnation == replica.incarnation => {
                let write = replica.disk.pending.pop_front().expect("each write is done once");
                let (number, image) = (write.number, write.install.is_some());
                replica.disk.commit(write);
                let free = process.group.persisted(number).expect("a finished write never closes a group");
                if image && replica.disk.pending.iter().all(|write| write.install.is_none()) {
                    process.group.applied(process.state.index).expect("the image is durable");
                }
                self.send(peer, free);
            }
            _ => return,
        }
        self.pump(peer);
    }

    /// How sending an image ended.
    fn report(&mut self, peer: u64, to: u64, image: u64) {
        let arrived = self.process(to).is_some_and(|process| process.state.index >= image);
        let Some(process) = self.process(peer) else { return };
        process.group.image_sent(PeerId(to), arrived).expect("a report never closes a group");
        self.pump(peer);
    }

    fn resume(&mut self, peer: u64) {
        let Some(replica) = self.replicas.get_mut(&peer) else { return };
        if replica.paused_until > self.now {
            return;
        }
        let mut late = std::mem::take(&mut replica.late);
        // What is looked at first, the timer or the sockets, is up to the process.
        if self.dice.per_mille(700) {
            late.sort_by_key(|event| matches!(event, Event::Tick { .. }));
        }
        for event in late {
            self.handle_at(peer, event);
        }
    }

    /// Does what the group says until it says nothing.
    fn pump(&mut self, peer: u64) {
        loop {
            let now = self.clock(peer);
            let Some(process) = self.process(peer) else { return };
            let Some(work) = process.group.work(now).expect("work never closes a group") else { break };
            self.perform(peer, work);
        }
        let Some(process) = self.process(peer) else { return };
        if process.group.image_wanted().is_some() {
            process.group.offer_image();
            let state = process.state.clone();
            self.images.insert((state.index, state.term), state);
        }
        self.check_leader(peer);
    }

    fn perform(&mut self, peer: u64, work: Work) {
        self.send(peer, work.send);
        let install = work.install.map(|meta| self.install(peer, &meta));
        self.write(peer, work.number, work.entries, work.hard_state, install);
        for entry in work.committed {
            self.apply(peer, entry);
        }
        for (number, index) in work.reads {
            let process = self.process(peer).expect("it is at work");
            if let Some(floor) = process.reads.remove(&number) {
                assert!(index >= floor, "a read by index sees {index}, {floor} was seen before it began");
                self.counts.index_reads += 1;
            }
        }
        let flush = self.dice.per_mille(200);
        let replica = self.replicas.get_mut(&peer).expect("it is at work");
        let process = replica.process.as_mut().expect("it is at work");
        // Neither the group nor a flush may go beyond an image that is not durable yet.
        if replica.disk.pending.iter().any(|write| write.install.is_some()) {
            return;
        }
        process.group.applied(process.state.index).expect("what is applied was committed");
        if flush {
            replica.disk.flushed = process.state.clone();
            // Keep a few entries, so that followers need an image only when they are far behind.
            let start = process.state.index.saturating_sub(10);
            process.group.compact(start, 0);
        }
    }

    fn install(&mut self, peer: u64, meta: &SnapshotMetadata) -> State {
        let image = self.images.get(&(meta.index, meta.term)).expect("an image that was offered").clone();
        self.counts.images += 1;
        let process = self.process(peer).expect("it is at work");
        assert!(image.index >= process.state.index, "an image must not go back");
        process.state = image.clone();
        image
    }

    fn write(
        &mut self,
        peer: u64,
        number: u64,
        entries: Vec<Entry>,
        hard_state: Option<HardState>,
        install: Option<State>,
    ) {
        let delay_max = self.replicas[&peer].disk_delay_max;
        let delay = self.dice.between(MS / 20, delay_max);
        let forget = self.canary == Some(Canary::VoteNotPersisted);
        let replica = self.replicas.get_mut(&peer).expect("it is at work");
        let mut hard_state = hard_state;
        if let Some(state) = &mut hard_state
            && forget
        {
            (state.term, state.vote) = (replica.disk.hard_state.term, replica.disk.hard_state.vote);
        }
        replica.disk.pending.push_back(Write { number, entries, hard_state, install });
        let incarnation = replica.incarnation;
        self.after(delay, Event::Durable { peer, incarnation });
    }

    fn apply(&mut self, peer: u64, entry: Entry) {
        let content = (entry.term, entry.data.clone());
        let known = self.committed.entry(entry.index).or_insert_with(|| content.clone());
        assert_eq!(*known, content, "entry {} is committed twice, differently", entry.index);
        let process = self.process(peer).expect("it is at work");
        assert_eq!(entry.index, process.state.index + 1, "entries are applied without a gap");
        if let Some(members) = process.group.apply_change(&entry).expect("a committed change can be applied")
        {
            process.state.members = members;
        }
        let state = &mut process.state;
        (state.index, state.term) = (entry.index, entry.term);
        state.chain =
            entry.data.iter().fold(mix(state.chain, entry.term), |chain, byte| mix(chain, u64::from(*byte)));
        let chain = state.chain;
        let mine = process.proposed.remove(&entry.data) && process.group.is_leader();
        let known = *self.chains.entry(entry.index).or_insert(chain);
        assert_eq!(known, chain, "replicas differ at {}", entry.index);
        self.counts.commits += 1;
        if mine {
            self.counts.acknowledged += 1;
            self.floor = self.floor.max(entry.index);
            self.acknowledged.insert(entry.index, entry.data);
        }
    }

    fn send(&mut self, from: u64, letters: Vec<Letter>) {
        for letter in letters {
            let to = letter.message.to;
            if letter.message.has_snapshot() {
                let image = letter.message.get_snapshot().get_metadata().index;
                self.after(2 * self.delay_max + 5 * MS, Event::Report { peer: from, to, image });
            }
            if self.cuts.contains(&(from, to)) {
                let process = self.process(from).expect("it just spoke");
                process.group.unreachable(PeerId(to)).expect("a report never closes a group");
                continue;
            }
            if self.dice.per_mille(self.lose_per_mille) {
                continue;
            }
            let payload = wire::encode(&[(VNODE, letter)], Beside::default());
            let copies = if self.dice.per_mille(self.repeat_per_mille) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = self.dice.between(MS / 10, self.delay_max);
                self.after(delay, Event::Arrive { peer: to, payload: payload.clone() });
            }
        }
    }

    /// A client writes to the newest leader, and reads from everybody who thinks that it leads.
    fn client(&mut self) {
        let every = self.client_every;
        self.after(every, Event::Client);
        if self.dice.per_mille(self.write_per_mille)
            && let Some(leader) = self.leader()
            && self.replicas[&leader].paused_until <= self.now
        {
            self.next_command += 1;
            let command = Bytes::copy_from_slice(&self.next_command.to_le_bytes());
            let process = self.process(leader).expect("a leader runs");
            if process.group.propose([command.clone()]).is_ok() {
                process.proposed.insert(command);
            }
            self.pump(leader);
        }
        for peer in self.running() {
            self.read(peer);
        }
    }

    fn read(&mut self, peer: u64) {
        if self.replicas[&peer].paused_until > self.now {
            return;
        }
        let (now, floor, number) = (self.clock(peer), self.floor, self.event_count);
        let process = self.process(peer).expect("it runs");
        let answer = process.group.read(now, number).expect("reads never close a group");
        match answer {
            Read::Now => {
                let seen = process.state.index;
                assert!(
                    seen >= floor,
                    "peer {peer} read up to {seen} under its lease, {floor} was seen before"
                );
                self.floor = seen;
                self.counts.lease_reads += 1;
            }
            Read::Later => drop(process.reads.insert(number, floor)),
            Read::NotYet | Read::NotLeader(_) => {}
        }
        self.pump(peer);
    }

    fn strike(&mut self) {
        let Some(mut nemesis) = self.nemesis.take() else { return };
        let pause = nemesis.strike(self);
        self.nemesis = Some(nemesis);
        self.after(pause, Event::Nemesis);
    }

    fn check_leader(&mut self, peer: u64) {
        let process = self.process(peer).expect("checked by the caller");
        if !process.group.is_leader() {
            return;
        }
        let term = process.group.term();
        let (entries, _) = process.group.kept();
        assert!(entries < 20_000, "{entries} entries are kept in memory");
        if !self.leaders.contains_key(&term) {
            self.counts.elections += 1;
        }
        let first = *self.leaders.entry(term).or_insert(peer);
        assert_eq!(first, peer, "two leaders in term {term}");
    }

    /// With all faults gone there is a leader, and every member has everything.
    fn check_recovered(&mut self) {
        let leader = self.leader().expect("somebody leads after all faults are gone");
        let newest = *self.committed.last_key_value().expect("something was committed").0;
        let process = self.process(leader).expect("a leader runs");
        let members = process.group.members().clone();
        for peer in members.voters.iter().chain(&members.learners) {
            let index = self.process(*peer).expect("all members run").state.index;
            // The last commits may still be on their way.
            assert!(index + 3 >= newest, "peer {peer} is at {index}, the group at {newest}");
        }
        for (index, command) in &self.acknowledged {
            assert_eq!(&self.committed[index].1, command, "an acknowledged write is gone");
        }
        let last = self.acknowledged.last_key_value().map_or(0, |(index, _)| *index);
        assert!(last + 20 >= newest, "writes are acknowledged again");
    }

    fn process(&mut self, peer: u64) -> Option<&mut Process> {
        self.replicas.get_mut(&peer)?.process.as_mut()
    }

    fn clock(&self, peer: u64) -> Mono {
        let (offset, rate) = self.replicas[&peer].clock;
        Mono(offset + (u128::from(self.now) * u128::from(rate) / 1_000_000) as u64)
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.events.insert((self.now + delay, self.event_count), event);
        self.event_count += 1;
    }
}

/// The options that the tests use.
pub(super) fn options(peer: u64, seed: u64) -> GroupOptions {
    GroupOptions {
        vnode: VNODE,
        peer: PeerId(peer),
        seed,
        tick: Duration::from_nanos(TICK),
        election_ticks: ELECTION_TICKS,
        heartbeat_ticks: 2,
        message_bytes_max: 256,
        in_flight_max: 16,
        uncommitted_bytes_max: 64 << 10,
        committed_bytes_max: 1 << 10,
        canary: None,
    }
}

fn mix(a: u64, b: u64) -> u64 {
    (a ^ b).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}
