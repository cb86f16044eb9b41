//! One replica of one vnode: the library's state machine, and the rules that it lacks.
//!
//! 1. Inputs: [`Group::step`], [`Group::tick`], [`Group::propose`], [`Group::change`], [`Group::transfer`],
//!    [`Group::read`]. Each takes the time; none of them waits.
//! 2. [`Group::work`] says what is to be done now; [`Group::persisted`] and [`Group::applied`] say that it was.
//! 3. Whatever makes the library panic closes the group ([`Closed`]); the other groups of the shard go on.

use super::Canary;
use super::change::{self, Step};
use super::lease::Lease;
use super::storage::Tail;
use model::ring::VnodeId;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType, SnapshotMetadata};
use raft::{Config, RawNode, StateRole};
use runtime::Mono;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Context that the library puts on the votes of a transfer.
const TRANSFER: &[u8] = b"CampaignTransfer";

/// The stamp of a letter that only tells, and wants no answer.
const UNANSWERED: Mono = Mono(0);

/// Leases are shorter than the promise that they rest on by this share: what two clocks may drift apart.
const DRIFT_PER_MILLE: u32 = 100;

/// A replica, for ever: one that is removed and comes back is another peer. Not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerId(pub(crate) u64);

/// Sizes and times of a group.
#[derive(Clone)]
pub(crate) struct GroupOptions {
    /// Whose group.
    pub(crate) vnode: VnodeId,
    /// This replica.
    pub(crate) peer: PeerId,
    /// Draws the election timeouts.
    pub(crate) seed: u64,
    /// Between two ticks.
    pub(crate) tick: Duration,
    /// Ticks without a leader after which a follower stands for election, at least.
    pub(crate) election_ticks: usize,
    /// Ticks between two heartbeats.
    pub(crate) heartbeat_ticks: usize,
    /// Bytes of entries in one message at most, or one entry.
    pub(crate) message_bytes_max: u64,
    /// Messages with entries that a follower may have unanswered.
    pub(crate) in_flight_max: usize,
    /// Bytes of entries that are proposed and not committed.
    pub(crate) uncommitted_bytes_max: u64,
    /// Bytes of committed entries that one [`Work`] hands out.
    pub(crate) committed_bytes_max: u64,
    /// A planted bug, for the tests that show that tests find it.
    pub(crate) canary: Option<Canary>,
}

/// What a replica found on its disk.
pub(crate) struct Saved {
    /// Term, vote and commit index.
    pub(crate) hard_state: HardState,
    /// The membership at `applied`.
    pub(crate) conf_state: ConfState,
    /// Index and term of the entry before the first.
    pub(crate) start: (u64, u64),
    /// The entries, without a gap.
    pub(crate) entries: Vec<Entry>,
    /// Up to which the state machine has them, durably.
    pub(crate) applied: u64,
    /// Its content is void and its image has not come: index and term of that image. It votes for nobody who has less.
    pub(crate) void_after: Option<(u64, u64)>,
    /// This replica was never started before, so it has promised nothing to anybody.
    pub(crate) first_start: bool,
}

/// The group panicked and does nothing any more: it must be built again from its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// Why a proposal was not taken. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Somebody else leads, perhaps this peer.
    NotLeader(Option<PeerId>),
    /// Too much is under way, or leadership is being handed over.
    Busy,
    /// See [`Closed`].
    Closed,
}

/// Whether a strong read may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// From what is applied, now.
    Now,
    /// When [`Work::reads`] brings the number back, from what is applied once that is far enough.
    Later,
    /// Ask again soon: this leader has not committed anything in its term.
    NotYet,
    /// Ask this peer.
    NotLeader(Option<PeerId>),
}

/// A message with the stamps that the lease needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// The sender's clock when it was made.
    pub(crate) sent: Mono,
    /// The stamp of the leader's message that this one answers; 0 when it answers none.
    pub(crate) echo: Mono,
    /// What the library says.
    pub(crate) message: Message,
}

impl Letter {
    /// Only a leader says this.
    pub(crate) fn is_leaders(&self) -> bool {
        is_leaders(self.message.get_msg_type())
    }

    /// It answers a leader.
    pub(crate) fn is_answer(&self) -> bool {
        is_answer(self.message.get_msg_type())
    }
}

/// What is to be done, in this order.
#[derive(Default)]
pub(crate) struct Work {
    /// To [`Group::persisted`], once everything in here and before it is durable.
    pub(crate) number: u64,
    /// To the peers, now.
    pub(crate) send: Vec<Letter>,
    /// Votes of a replica that installs an image: to the peers, when the state that they were written down with is durable.
    pub(crate) votes: Vec<Letter>,
    /// An image to be installed first. It must be complete at hand; it is [`Group::applied`] once it is durable.
    pub(crate) install: Option<SnapshotMetadata>,
    /// To the log.
    pub(crate) entries: Vec<Entry>,
    /// To the log, together with them.
    pub(crate) hard_state: Option<HardState>,
    /// To the state machine, in this order, then [`Group::applied`].
    pub(crate) committed: Vec<Entry>,
    /// Reads that are allowed from this applied index on.
    pub(crate) reads: Vec<(u64, u64)>,
}

/// One replica of one vnode.
pub(crate) struct Group {
    options: GroupOptions,
    raw: RawNode<Tail>,
    lease: Lease,
    /// Answers whose promises are not durable yet.
    held: VecDeque<(u64, Vec<Letter>)>,
    started: Mono,
    ticked: Mono,
    /// When the leader of this term was heard last.
    heard: Option<Mono>,
    first_start: bool,
    applied: u64,
    /// The term and the commit index that followers were told last, in a letter of its own.
    told: (u64, u64),
    /// The image that is being installed. Until it is applied, the library cannot read what is committed and would
    /// panic when this replica stands for election.
    installing: Option<u64>,
    /// See [`Saved::void_after`].
    void_after: Option<(u64, u64)>,
    /// The election timeout that was drawn for a term and role.
    drawn: ((u64, u8), usize),
    should_lead: bool,
    closed: bool,
}

impl Group {
    /// The replica as it was when it stopped.
    pub(crate) fn open(options: GroupOptions, saved: Saved, now: Mono) -> Result<Group, Closed> {
        assert!(options.peer.0 != 0, "peer ids start at 1");
        let alone = saved.conf_state.get_voters() == [options.peer.0]
            && saved.conf_state.get_voters_outgoing().is_empty();
        let mut hard_state = saved.hard_state;
        // What is applied was committed, although nobody waited for the commit index to be durable.
        hard_state.commit = hard_state.commit.max(saved.applied);
        let mut tail = Tail::new(hard_state, saved.conf_state, saved.start);
        tail.append(&saved.entries);
        tail.fills_gaps = options.canary == Some(Canary::FillGap) && cfg!(any(test, feature = "canaries"));
        assert!(saved.applied <= tail.last(), "applied {}, the log ends at {}", saved.applied, tail.last());
        let config = config(&options, saved.applied);
        let quiet = slog::Logger::root(slog::Discard, slog::o!());
        let raw = catch_unwind(AssertUnwindSafe(|| RawNode::new(&config, tail, &quiet)));
        let raw = raw.map_err(|_| Closed)?.map_err(|_| Closed)?;
        let mut group = Group {
            options,
            raw,
            lease: Lease::default(),
            held: VecDeque::new(),
            started: now,
            ticked: now,
            heard: None,
            first_start: saved.first_start,
            applied: saved.applied,
            told: (0, 0),
            installing: None,
            void_after: saved.void_after,
            drawn: ((u64::MAX, 0), 0),
            should_lead: false,
            closed: false,
        };
        group.draw_timeout();
        if alone {
            // Nobody else can have been promised anything, so nothing is to be waited for.
            group.guarded(|raw| raw.campaign().is_ok())?;
        }
        Ok(group)
    }

    /// Time passes. At most one tick, however long it was: a stalled process does not make up for what it missed.
    pub(crate) fn tick(&mut self, now: Mono) -> Result<(), Closed> {
        if self.planted(Canary::TickDebt) && self.installing.is_none() {
            while now.since(self.ticked) >= self.options.tick {
                self.ticked = self.ticked.after(self.options.tick);
                self.guarded(|raw| raw.tick())?;
            }
            return Ok(());
        }
        if now.since(self.ticked) < self.options.tick {
            return Ok(());
        }
        self.ticked = now;
        if self.in_quarantine(now) {
            return Ok(());
        }
        if self.installing.is_some() {
            // Time passes for its promise to the leader, and it does not stand for election.
            let elapsed = self.raw.raft.election_elapsed + 1;
            self.raw.raft.election_elapsed = elapsed.min(self.options.election_ticks);
            return Ok(());
        }
        self.guarded(|raw| raw.tick()).map(drop)
    }

    /// Whether its next tick makes it stand for election.
    pub(crate) fn is_about_to_stand(&self) -> bool {
        let raft = &self.raw.raft;
        !self.is_leader()
            && self.installing.is_none()
            && raft.promotable()
            && raft.election_elapsed + 1 >= raft.randomized_election_timeout()
    }

    /// Whether it stands for election, since a moment ago: it may hear yet how that ends.
    pub(crate) fn is_standing(&self) -> bool {
        let raft = &self.raw.raft;
        matches!(raft.state, StateRole::Candidate | StateRole::PreCandidate)
            && raft.election_elapsed < self.options.election_ticks / 2
    }

    /// Whether it is the one who should lead: then it stands before the others do.
    pub(crate) fn should_lead(&mut self, should: bool) {
        if std::mem::replace(&mut self.should_lead, should) != should {
            self.drawn.0 = (u64::MAX, 0);
            self.draw_timeout();
        }
    }

    /// In which turn it stands if not all can at once: who should lead, then the others, then those who have stood before and were not elected.
    pub(crate) fn turn_to_stand(&self) -> u8 {
        match self.raw.raft.state {
            StateRole::Follower => u8::from(!self.should_lead),
            _ => 2,
        }
    }

    /// A peer's message. What does not make sense is ignored: it is late, or not ours.
    pub(crate) fn step(&mut self, now: Mono, letter: Letter) -> Result<(), Closed> {
        if self.closed {
            return Err(Closed);
        }
        let Letter { sent, echo, mut message } = letter;
        self.forgive_lost_content(&mut message);
        if !self.is_plausible(&message) || self.is_early_vote(now, &message) {
            return Ok(());
        }
        let (kind, from, term) = (message.get_msg_type(), message.from, message.term);
        let before = self.raw.raft.msgs.len();
        // An unknown peer, or an answer that came too late: the library says so, and nothing follows from it.
        self.guarded(|raw| raw.step(message).is_ok())?;
        if is_leaders(kind) && term == self.raw.raft.term {
            self.heard = Some(now);
            match sent == UNANSWERED && kind == MessageType::MsgHeartbeat {
                true => self.raw.raft.msgs.truncate(before),
                false => self.note_echo(before, from, sent),
            }
        }
        if is_answer(kind) && self.is_leader() && term == self.raw.raft.term && echo != Mono::default() {
            let stamp = if self.planted(Canary::LeaseFromReceipt) { now } else { echo };
            self.lease.enter(term);
            self.lease.echo(term, from, stamp);
        }
        Ok(())
    }

    /// Whether this message proves that this replica has lost what it had acknowledged as durable: a leader says of entries that they are committed
    /// only as far as it has heard that they are here. So the disk is an old copy, or has lost what it was given. (Who waits for an image has said itself
    /// that it has nothing.)
    pub(crate) fn has_forgotten(&self, message: &Message) -> bool {
        message.get_msg_type() == MessageType::MsgHeartbeat
            && message.to == self.options.peer.0
            && message.term >= self.raw.raft.term
            && message.commit > self.last()
            && !self.members().voters.is_empty()
    }

    /// Puts commands into the log, one entry each, all or none, if this replica leads; the index of the first.
    pub(crate) fn propose(
        &mut self,
        commands: impl IntoIterator<Item = bytes::Bytes>,
    ) -> Result<u64, NotTaken> {
        self.may_propose()?;
        let entry = |command| {
            let mut entry = Entry::default();
            entry.set_data(command);
            entry
        };
        let entries: Vec<Entry> = commands.into_iter().map(entry).collect();
        assert!(!entries.is_empty(), "something is proposed");
        let (count, first) = (entries.len() as u64, self.last() + 1);
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.options.peer.0;
        message.set_entries(entries.into());
        let taken = self.guarded(|raw| raw.step(message).is_ok()).map_err(|Closed| NotTaken::Closed)?;
        if !taken {
            return Err(NotTaken::Busy);
        }
        assert!(self.last() + 1 == first + count, "what is taken follows what was there");
        Ok(first)
    }

    /// Changes the membership, if this replica leads and no other change is under way.
    pub(crate) fn change(&mut self, steps: &[Step]) -> Result<(), NotTaken> {
        self.may_propose()?;
        let (context, change) = (change::encode(steps), change::to_raft(steps));
        let last = self.raw.raft.raft_log.last_index();
        let taken = self
            .guarded(|raw| raw.propose_conf_change(context, change).is_ok())
            .map_err(|Closed| NotTaken::Closed)?;
        // While another change is under way the library takes an empty entry in its place.
        let appended = self.raw.raft.raft_log.last_index() > last && self.raw.raft.has_pending_conf();
        if taken && appended { Ok(()) } else { Err(NotTaken::Busy) }
    }

    /// Hands leadership to a voter. It has happened when this replica does not lead any more.
    pub(crate) fn transfer(&mut self, to: PeerId) -> Result<(), Closed> {
        if self.is_leader() {
            self.guarded(|raw| raw.transfer_leader(to.0))?;
        }
        Ok(())
    }

    /// Whether a strong read may be answered at `now`; `number` comes back in [`Work::reads`] if later.
    pub(crate) fn read(&mut self, now: Mono, number: u64) -> Result<Read, Closed> {
        if self.closed {
            return Err(Closed);
        }
        if !self.is_leader() {
            return Ok(Read::NotLeader(self.leader()));
        }
        if self.holds_lease(now) {
            return Ok(Read::Now);
        }
        if !self.raw.raft.commit_to_current_term() {
            return Ok(Read::NotYet);
        }
        self.guarded(|raw| raw.read_index(number.to_le_bytes().to_vec()))?;
        Ok(Read::Later)
    }

    /// Whether this replica leads, has applied an entry of its term, and nobody else can have become leader.
    pub(crate) fn holds_lease(&mut self, now: Mono) -> bool {
        let term = self.raw.raft.term;
        self.lease.enter(term);
        self.is_leader()
            && (self.raw.raft.raft_log.term(self.applied) == Ok(term) || self.planted(Canary::LeaseUnapplied))
            && self.lease.holds(self.options.peer.0, now, self.members(), self.lease_length())
    }

    /// Whether [`Group::work`] has something.
    pub(crate) fn has_work(&self) -> bool {
        !self.closed && self.raw.has_ready()
    }

    /// Index of the last entry of its log, durable or not.
    pub(crate) fn last(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    /// Up to which index this replica knows that entries are committed.
    pub(crate) fn committed(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    /// What is to be done now; nothing when there is nothing.
    pub(crate) fn work(&mut self, now: Mono) -> Result<Option<Work>, Closed> {
        if self.closed {
            return Err(Closed);
        }
        if !self.raw.has_ready() {
            return Ok(None);
        }
        let leads = self.is_leader();
        let mut ready = self.guarded(|raw| raw.ready())?;
        let mut work = Work {
            number: ready.number(),
            votes: Vec::new(),
            hard_state: ready.hs().cloned(),
            install: (!ready.snapshot().is_empty()).then(|| ready.snapshot().get_metadata().clone()),
            entries: ready.take_entries(),
            committed: ready.take_committed_entries(),
            reads: ready.take_read_states().into_iter().filter_map(read_number).collect(),
            send: self.letters(now, ready.take_messages()),
        };
        let mut held = self.letters(now, ready.take_persisted_messages());
        assert!(leads || work.send.is_empty(), "only a leader's messages leave before they are durable");
        if self.installing.is_some() || work.install.is_some() {
            // Its content is on its way, and may be for long. That it hears its leader promises nothing that has to be durable, and the leader must know it: without it
            // there may be no majority, and then no image either.
            let hears =
                |letter: &mut Letter| letter.message.get_msg_type() == MessageType::MsgHeartbeatResponse;
            work.send.extend(held.extract_if(.., hears));
            // Nor do its votes rest on its content, but on what is written down with them.
            work.votes.extend(held.extract_if(.., |letter| is_vote(letter.message.get_msg_type())));
        }
        match self.planted(Canary::AnswerBeforeDurable) {
            true => work.send.extend(held),
            false => self.held.push_back((work.number, held)),
        }
        self.keep(&work);
        self.guarded(|raw| raw.advance_append_async(ready))?;
        if self.planted(Canary::CountItselfEarly) {
            self.guarded(|raw| raw.on_persist_ready(work.number))?;
        }
        Ok(Some(work))
    }

    /// Everything up to and with the [`Work`] of this number is durable: the answers that may leave now.
    pub(crate) fn persisted(&mut self, number: u64) -> Result<Vec<Letter>, Closed> {
        if self.closed {
            return Err(Closed);
        }
        if !self.planted(Canary::CountItselfEarly) {
            self.guarded(|raw| raw.on_persist_ready(number))?;
        }
        let mut free = Vec::new();
        while let Some((first, _)) = self.held.front()
            && *first <= number
        {
            free.extend(self.held.pop_front().expect("there is a front").1);
        }
        Ok(free)
    }

    /// What followers do not know yet of what is committed: heartbeats that nobody answers.
    pub(crate) fn commit_news(&mut self) -> Vec<Letter> {
        let (term, committed, own) = (self.term(), self.committed(), self.options.peer.0);
        let is_news = std::mem::replace(&mut self.told, (term, committed)) != (term, committed);
        if self.closed || !self.is_leader() || !is_news {
            return Vec::new();
        }
        let news = |(peer, progress): (&u64, &raft::Progress)| {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgHeartbeat);
            (message.from, message.to, message.term) = (own, *peer, term);
            // Never of what the follower may not have.
            message.commit = committed.min(progress.matched);
            Letter { sent: UNANSWERED, echo: Mono::default(), message }
        };
        self.raw.raft.prs().iter().filter(|(peer, _)| **peer != own).map(news).collect()
    }

    /// The state machine has everything up to `index`.
    pub(crate) fn applied(&mut self, index: u64) -> Result<(), Closed> {
        assert!(index >= self.applied, "applied {} and now {index}", self.applied);
        self.applied = index;
        self.installing = self.installing.filter(|image| *image > index);
        self.guarded(|raw| raw.advance_apply_to(index))
    }

    /// Applies a committed change of the membership, in its place among the other entries; the membership from here
    /// on, to be kept with the applied index. None for an entry that is no change.
    pub(crate) fn apply_change(&mut self, entry: &Entry) -> Result<Option<ConfState>, Closed> {
        if entry.get_entry_type() != EntryType::EntryConfChangeV2 {
            return Ok(None);
        }
        let steps = change::decode(&entry.context).ok_or(Closed)?;
        if steps.is_empty() && !self.is_joint() {
            // It was known before: see `leave_joint`.
            return Ok(Some(self.members().clone()));
        }
        self.take_change(&steps).map(Some)
    }

    /// Leaves a joint membership, because others of the group surely have: somebody has applied the entry that ends it, so it is committed, although this replica has
    /// not heard of that, or has forgotten it. Until it has, it would wait for votes of who is not there any more.
    pub(crate) fn leave_joint(&mut self) -> Result<(), Closed> {
        if self.is_joint() {
            self.take_change(&[])?;
        }
        Ok(())
    }

    fn is_joint(&self) -> bool {
        !self.members().voters_outgoing.is_empty()
    }

    fn take_change(&mut self, steps: &[Step]) -> Result<ConfState, Closed> {
        let change = change::to_raft(steps);
        let mut members = self.guarded(|raw| raw.apply_conf_change(&change))?.map_err(|_| Closed)?;
        if self.planted(Canary::TwoMajorities) && !members.voters_outgoing.is_empty() {
            let leave = change::to_raft(&[]);
            members = self.guarded(|raw| raw.apply_conf_change(&leave))?.map_err(|_| Closed)?;
        }
        let own = self.options.peer.0;
        let votes = members.voters.contains(&own) || members.voters_outgoing.contains(&own);
        if self.is_leader() && !votes {
            // The library lets a leader that was removed lead on, and panics when it commits.
            let term = self.raw.raft.term;
            self.guarded(|raw| raw.raft.become_follower(term, 0))?;
        }
        self.raw.mut_store().conf_state = members.clone();
        Ok(members)
    }

    /// Entries up to and with `index` are applied and durable in the state machine: they need not stay in memory, but for
    /// `keep` bytes of the newest ones.
    pub(crate) fn compact(&mut self, index: u64, keep: usize) {
        assert!(index <= self.applied, "only what is applied may go");
        self.raw.mut_store().compact(index, keep);
    }

    /// An image at the applied index that may be sent to a replica that is too far behind.
    pub(crate) fn offer_image(&mut self) {
        let term = self.raw.store().term_of(self.applied).expect("the last applied entry's term is kept");
        let mut meta = SnapshotMetadata { index: self.applied, term, ..SnapshotMetadata::default() };
        meta.set_conf_state(self.raw.store().conf_state.clone());
        self.raw.mut_store().offer(meta);
    }

    /// The image that was offered is not there any more.
    pub(crate) fn withdraw_image(&mut self) {
        self.raw.mut_store().withdraw();
    }

    /// Some follower needs an image at least this new; none has been offered yet.
    pub(crate) fn image_wanted(&self) -> Option<u64> {
        self.raw.store().image_wanted().map(|index| index.min(self.applied))
    }

    /// How sending an image ended.
    pub(crate) fn image_sent(&mut self, to: PeerId, arrived: bool) -> Result<(), Closed> {
        let status = if arrived { raft::SnapshotStatus::Finish } else { raft::SnapshotStatus::Failure };
        self.guarded(|raw| raw.report_snapshot(to.0, status))
    }

    /// How far a peer has come, as far as this leader knows: the last entry that it has, and whether it was heard of lately.
    pub(crate) fn progress(&self, peer: PeerId) -> Option<(u64, bool)> {
        let progress = self.raw.raft.prs().get(peer.0)?;
        Some((progress.matched, progress.recent_active))
    }

    /// Whether a change of the membership is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.raw.raft.has_pending_conf() || self.is_joint()
    }

    /// Whether leadership is being handed over.
    pub(crate) fn is_handing_over(&self) -> bool {
        self.raw.raft.lead_transferee.is_some()
    }

    /// The connection to this peer is gone.
    pub(crate) fn unreachable(&mut self, peer: PeerId) -> Result<(), Closed> {
        self.guarded(|raw| raw.report_unreachable(peer.0))
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Who leads, as far as this replica knows.
    pub(crate) fn leader(&self) -> Option<PeerId> {
        (self.raw.raft.leader_id != 0).then_some(PeerId(self.raw.raft.leader_id))
    }

    pub(crate) fn term(&self) -> u64 {
        self.raw.raft.term
    }

    pub(crate) fn members(&self) -> &ConfState {
        &self.raw.store().conf_state
    }

    /// Entries that are kept in memory, and the bytes of their commands.
    pub(crate) fn kept(&self) -> (usize, usize) {
        self.raw.store().size()
    }

    /// The leader was heard at this time, in another way than by a letter: it counts as if it had been one.
    pub(crate) fn hear(&mut self, at: Mono) {
        if self.raw.raft.state == StateRole::Follower && self.raw.raft.leader_id != 0 {
            self.heard = self.heard.max(Some(at));
            self.raw.raft.election_elapsed = 0;
        }
    }

    /// A follower that was not ticked for a while makes up for it when its leader is silent: it may vote, and soon stands itself.
    pub(crate) fn suspect(&mut self, now: Mono) {
        let silent = self.heard.is_none_or(|heard| now.since(heard) >= self.promise());
        if silent && self.raw.raft.state == StateRole::Follower {
            self.raw.raft.election_elapsed = self.raw.raft.election_elapsed.max(self.options.election_ticks);
        }
    }

    /// A follower votes for nobody else for a while, counted from this stamp of ours; it said so in another way than by a letter.
    pub(crate) fn promised(&mut self, now: Mono, peer: PeerId, stamp: Mono) {
        assert!(self.is_leader(), "who is promised something leads");
        let term = self.raw.raft.term;
        self.lease.enter(term);
        self.lease.echo(term, peer.0, stamp);
        if now.since(stamp) < self.election_timeout()
            && let Some(progress) = self.raw.raft.mut_prs().get_mut(peer.0)
        {
            progress.recent_active = true;
        }
    }

    /// It is not ticked from now on.
    pub(crate) fn rest(&mut self) {
        self.raw.raft.maybe_free_inflight_buffers();
    }

    /// It is ticked again. A leader has not lost its followers only because nothing was said.
    pub(crate) fn rouse(&mut self) -> Result<(), Closed> {
        if self.is_leader() {
            self.raw.raft.election_elapsed = 0;
            self.guarded(|raw| raw.ping())?;
        }
        Ok(())
    }

    /// Runs the library. A panic in it closes the group, for good.
    fn guarded<T>(&mut self, run: impl FnOnce(&mut RawNode<Tail>) -> T) -> Result<T, Closed> {
        if self.closed {
            return Err(Closed);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut self.raw)));
        if outcome.is_err() {
            self.closed = true;
            return Err(Closed);
        }
        self.draw_timeout();
        outcome.map_err(|_| Closed)
    }

    /// The library draws its election timeout from the thread's random numbers: it is always put right again.
    fn draw_timeout(&mut self) {
        let raft = &mut self.raw.raft;
        let of = (raft.term, raft.state as u8);
        if self.drawn.0 != of {
            self.drawn = (of, election_timeout(&self.options, self.should_lead, of.0, of.1));
        }
        if raft.randomized_election_timeout() != self.drawn.1 {
            raft.set_randomized_election_timeout(self.drawn.1);
        }
    }

    fn may_propose(&self) -> Result<(), NotTaken> {
        if self.closed {
            return Err(NotTaken::Closed);
        }
        // Never handed on to the leader: a proposal that travels can arrive twice.
        if self.is_leader() { Ok(()) } else { Err(NotTaken::NotLeader(self.leader())) }
    }

    /// A process that was just started has forgotten whom it promised what: it neither votes nor stands.
    fn in_quarantine(&self, now: Mono) -> bool {
        if self.planted(Canary::NoQuarantine) {
            return false;
        }
        let members = self.members();
        let alone = members.get_voters() == [self.options.peer.0] && members.get_voters_outgoing().is_empty();
        !self.first_start && !alone && now.since(self.started) < self.election_timeout()
    }

    /// A request for a vote, or to stand for election, that comes too early.
    fn is_early_vote(&self, now: Mono, message: &Message) -> bool {
        let kind = message.get_msg_type();
        let asks = matches!(kind, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote);
        if self.members().voters.is_empty() && !is_leaders(kind) {
            // Its content is still to come. One that had content before votes for who has at least the image that was to come; others only listen.
            let has_enough = |image| (message.log_term, message.index) >= image;
            let may_vote = self.void_after.is_some_and(|(index, term)| has_enough((term, index)));
            if !asks || !may_vote {
                return true;
            }
        }
        if kind == MessageType::MsgTimeoutNow {
            return self.installing.is_some() || self.in_quarantine(now);
        }
        if asks && self.in_quarantine(now) {
            return true;
        }
        let promised = self.heard.is_some_and(|heard| now.since(heard) < self.promise());
        asks && promised && &message.context[..] != TRANSFER && !self.planted(Canary::TickDebt)
    }

    /// A replica that gave up what it had for an image, and was restarted before that was whole, has nothing. Its leader may be the one that heard it
    /// acknowledge the old content, and says of that in its heartbeats that it is committed: as far as it is here, it is. Without an answer the
    /// leader would never offer another image.
    fn forgive_lost_content(&self, message: &mut Message) {
        let has_nothing = self.last() == 0 && self.members().voters.is_empty();
        if has_nothing && message.get_msg_type() == MessageType::MsgHeartbeat {
            message.commit = 0;
        }
    }

    /// Whether a message can be stepped: what cannot come from a sane peer makes the library panic.
    fn is_plausible(&self, message: &Message) -> bool {
        use MessageType as M;
        let log = &self.raw.raft.raft_log;
        let ours = message.to == self.options.peer.0 && message.from != 0 && message.from != message.to;
        let same_term = message.term == self.raw.raft.term;
        let in_order = |entries: &[Entry]| {
            let follows = |(place, entry): (usize, &Entry)| entry.index == message.index + 1 + place as u64;
            entries.iter().enumerate().all(follows)
                && entries.is_sorted_by_key(|entry| entry.term)
                && entries.first().is_none_or(|entry| entry.term >= message.log_term)
                && entries.last().is_none_or(|entry| entry.term <= message.term)
        };
        ours && message.term != 0
            && match message.get_msg_type() {
                M::MsgAppend => in_order(&message.entries) && message.index < u64::MAX / 2,
                M::MsgHeartbeat => !same_term || message.commit <= log.last_index(),
                M::MsgAppendResponse => !same_term || message.reject || message.index <= log.last_index(),
                M::MsgSnapshot => {
                    let meta = message.get_snapshot().get_metadata();
                    meta.index > 0 && !meta.get_conf_state().get_voters().is_empty()
                }
                M::MsgRequestVote
                | M::MsgRequestVoteResponse
                | M::MsgRequestPreVote
                | M::MsgRequestPreVoteResponse
                | M::MsgHeartbeatResponse
                | M::MsgTimeoutNow => true,
                // Proposals, reads and transfers are for the leader's own process; the rest is never sent.
                _ => false,
            }
    }

    /// The answers to a leader's message carry its stamp, in a field of the message that the library does not use in them.
    fn note_echo(&mut self, before: usize, leader: u64, sent: Mono) {
        for message in &mut self.raw.raft.msgs[before..] {
            if is_answer(message.get_msg_type()) && message.to == leader {
                message.deprecated_priority = sent.0;
            }
        }
    }

    fn letters(&mut self, now: Mono, messages: Vec<Message>) -> Vec<Letter> {
        let letter = |mut message: Message| {
            let mut echo = Mono::default();
            if is_answer(message.get_msg_type()) {
                echo = Mono(std::mem::take(&mut message.deprecated_priority));
            }
            Letter { sent: now, echo, message }
        };
        let hands_over = |message: &Message| message.get_msg_type() == MessageType::MsgTimeoutNow;
        if messages.iter().any(hands_over) && !self.planted(Canary::LeaseInTransfer) {
            self.lease.enter(self.raw.raft.term);
            self.lease.give_up();
        }
        messages.into_iter().map(letter).collect()
    }

    /// The library must be able to read what it gave us, before it is durable.
    fn keep(&mut self, work: &Work) {
        let tail = self.raw.mut_store();
        if let Some(meta) = &work.install {
            tail.install(meta);
            self.installing = Some(meta.index);
        }
        tail.append(&work.entries);
        if let Some(state) = &work.hard_state {
            tail.hard_state = state.clone();
        }
    }

    fn election_timeout(&self) -> Duration {
        self.options.tick * self.options.election_ticks as u32
    }

    /// How long a follower surely votes for nobody else: the first tick can come right after it heard.
    pub(crate) fn promise(&self) -> Duration {
        self.options.tick * (self.options.election_ticks as u32 - 1)
    }

    fn lease_length(&self) -> Duration {
        self.promise() * (1000 - DRIFT_PER_MILLE) / 1000
    }
}

impl Group {
    fn planted(&self, canary: Canary) -> bool {
        cfg!(any(test, feature = "canaries")) && self.options.canary == Some(canary)
    }

    /// The library panics.
    #[cfg(test)]
    pub(crate) fn panics(&mut self) -> Result<(), Closed> {
        self.guarded(|_| panic!("planted"))
    }
}

/// After how many ticks a replica stands for election in this term and role: at least as many as the options say, fewer than twice as many. Who should lead does so
/// first, so that leadership seldom has to be handed over after an election.
///
/// Every step mixes all bits: what two replicas draw must differ from term to term. With a checksum in its place, which is linear, two
/// replicas drew the same in every term or in none, and those that did stood against each other again and again.
pub(super) fn election_timeout(options: &GroupOptions, should_lead: bool, term: u64, role: u8) -> usize {
    if should_lead {
        return options.election_ticks;
    }
    let mix = |hash: u64, part: u64| {
        let hash = (hash ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        hash ^ (hash >> 32)
    };
    let parts = [u64::from(options.vnode.0), options.peer.0, term, u64::from(role)];
    let drawn = parts.into_iter().fold(mix(0, options.seed), mix);
    // One tick behind the first choice, if there is one.
    let later = options.election_ticks - 1;
    options.election_ticks + 1 + (drawn % later as u64) as usize
}

fn config(options: &GroupOptions, applied: u64) -> Config {
    Config {
        id: options.peer.0,
        election_tick: options.election_ticks,
        heartbeat_tick: options.heartbeat_ticks,
        applied,
        max_size_per_msg: options.message_bytes_max,
        max_inflight_msgs: options.in_flight_max,
        check_quorum: true,
        pre_vote: true,
        batch_append: true,
        // A commit index alone is worth no letter to each follower and its answer: see [`Group::commit_news`].
        skip_bcast_commit: true,
        max_uncommitted_size: options.uncommitted_bytes_max,
        max_committed_size_per_ready: options.committed_bytes_max,
        ..Config::default()
    }
}

/// What only a leader sends, and what proves that it is heard.
fn is_leaders(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot)
}

/// What answers who stands for election.
fn is_vote(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse)
}

/// What answers a leader.
fn is_answer(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse)
}

/// The number of a read that is allowed, and the index that must be applied.
fn read_number(state: raft::ReadState) -> Option<(u64, u64)> {
    let number = <[u8; 8]>::try_from(&state.request_ctx[..]).ok()?;
    Some((u64::from_le_bytes(number), state.index))
}
