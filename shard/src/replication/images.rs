//! Images: what makes a replica whole that is too far behind for the log.
//!
//! A leader offers one, the library tells the follower, and the follower says durably that its content is void before the first
//! old byte goes. It counts again when all of the image is in the tree, durably. The copying itself is done by `image`.
//!
//! Who offers one need not have applied anything of its own term: what it has applied is committed, whoever says so. It must not wait for that either, because the follower
//! that needs the image may be the one without which nothing is committed.
//!
//! A follower that installs answers nothing, so a leader that does not have that image (another one by now, or it has let it go) does not learn that
//! one is needed. After a while without a part the follower begins anew, as after a stop: as one that has nothing, and says so.

use super::cluster::Cluster;
use super::journal::{Backlog, Then, Written};
use super::record::Base;
use super::recover::Recovered;
use super::replica::Replica;
use crate::consensus::{self, Closed, Group, Work};
use lsm::log::Position;
use model::ring::VnodeId;
use raft::eraftpb::SnapshotMetadata;
use runtime::{Mono, Runtime};
use std::collections::VecDeque;

/// An image that a replica has to be made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Install {
    /// Whose.
    pub vnode: VnodeId,
    /// Which replica.
    pub peer: u64,
    /// What the image holds.
    pub base: Base,
}

impl<R: Runtime> Cluster<R> {
    /// Vnodes of which some follower needs an image, and none is offered.
    pub fn images_wanted(&self) -> Vec<VnodeId> {
        let groups = self.groups.borrow();
        let wants = |vnode: &&VnodeId| {
            let replica = groups.get(*vnode);
            replica.is_some_and(|replica| replica.leading.is_some() && replica.group.image_wanted().is_some())
        };
        // The followers of one that sleeps have everything.
        self.awake.borrow().iter().filter(wants).copied().collect()
    }

    /// Offers an image of what is applied at this moment; its index. What is applied is committed, so a leader that has committed nothing in its own
    /// term may do that too: it has to, when it commits nothing without the follower that needs the image.
    pub fn offer_image(&self, vnode: VnodeId) -> Option<u64> {
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&vnode).filter(|replica| replica.leading.is_some())?;
        replica.group.offer_image();
        Some(replica.standing.index)
    }

    /// The image that was offered is not there any more.
    pub fn withdraw_image(&self, vnode: VnodeId) {
        if let Some(replica) = self.groups.borrow_mut().get_mut(&vnode) {
            replica.group.withdraw_image();
        }
    }

    /// The last entry that the content of a vnode holds, if this shard leads it.
    pub fn content_of(&self, vnode: VnodeId) -> Option<u64> {
        let groups = self.groups.borrow();
        groups.get(&vnode).filter(|replica| replica.leading.is_some()).map(|replica| replica.standing.index)
    }

    /// A replica asks for a part of its image.
    pub fn image_asked(&self, vnode: VnodeId, peer: u64) {
        self.sending.borrow_mut().insert((vnode, peer), self.now());
    }

    /// The replica's content is void from now on, and comes as an image. The work is not done before it has come.
    pub(super) fn begin_install(
        &self,
        replica: &mut Replica,
        work: &Work,
        meta: &SnapshotMetadata,
    ) -> Written {
        let base = Base { index: meta.index, term: meta.term, members: meta.get_conf_state().clone() };
        let install = Install { vnode: replica.vnode, peer: replica.peer, base: base.clone() };
        if let Some(new) = &work.hard_state {
            (replica.written.term, replica.written.vote) = (new.term, new.vote);
        }
        (replica.written.anew, replica.written.installing, replica.written.commit) = (true, true, 0);
        replica.written.base = Some(base);
        replica.installing = true;
        replica.next_state(Then::Install(install))
    }

    /// The next image that a replica here waits for.
    pub async fn next_install(&self) -> Install {
        loop {
            let arrived = self.install_arrived.notified();
            if let Some(install) = self.installs.borrow_mut().pop_front() {
                return install;
            }
            arrived.await;
        }
    }

    /// Whether the replica still waits for this image, and no other.
    pub fn is_current(&self, install: &Install) -> bool {
        let groups = self.groups.borrow();
        groups.get(&install.vnode).is_some_and(|replica| {
            replica.peer == install.peer
                && replica.written.installing
                && replica.written.base.as_ref() == Some(&install.base)
        })
    }

    /// Nobody has that image any more: the replica begins anew, with nothing but its promises. Whether it did: not while any of its records is on its way
    /// into the log, because answers that rest on it must not leave before it is durable.
    pub fn give_install_up(&self, install: &Install) -> bool {
        let vnode = install.vnode;
        if !self.is_current(install) || self.landings.borrow().iter().any(|landing| landing.vnode == vnode) {
            return false;
        }
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&vnode).expect("it is current");
        if replica.backlogged > 0 {
            return false;
        }
        self.rt.mark("image given up");
        let saved = Recovered::nothing_but(&replica.written);
        let group = Group::open(self.group_options(vnode, replica.peer), saved, self.now());
        let Ok(group) = group else {
            drop(groups);
            self.closed(vnode);
            return true;
        };
        replica.begin_anew(group);
        drop(groups);
        self.enlist(vnode);
        true
    }

    /// The content is complete, and durable in the tree.
    pub fn installed(&self, install: &Install) {
        if !self.is_current(install) {
            return;
        }
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&install.vnode).expect("it is current");
        (replica.written.anew, replica.written.installing) = (false, false);
        replica.written.commit = install.base.index;
        let state = Some(replica.next_state(Then::Installed(install.clone())));
        let (vnode, peer) = (install.vnode, install.peer);
        self.put_in(replica, Backlog { vnode, peer, number: None, state, entries: VecDeque::new() });
    }

    /// The replica's content is that of the image, durably.
    pub(super) fn complete(&self, install: &Install, durable: Position) {
        {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&install.vnode) else { return };
            if replica.peer != install.peer || replica.written.installing {
                return;
            }
            replica.installing = false;
            self.rt.mark("image installed");
            self.images.set(self.images.get() + 1);
            replica.standing = install.base.clone();
            (replica.begin, replica.stale_until) = (install.base.index, install.base.index);
        }
        self.persist(install.vnode, durable);
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&install.vnode) else { return };
        let applied = replica.group.applied(install.base.index);
        drop(groups);
        match applied {
            Ok(()) => self.enlist(install.vnode),
            Err(Closed) => self.closed(install.vnode),
        }
    }

    /// Tells groups of followers that were being sent an image and are not heard of any more: it starts anew with them.
    pub(super) fn give_images_up(&self, now: Mono) {
        let idle = |_: &(VnodeId, u64), last: &mut Mono| now.since(*last) >= self.options.image_idle_max;
        let idle: Vec<_> = self.sending.borrow_mut().extract_if(.., idle).collect();
        for ((vnode, peer), _) in idle {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&vnode) else { continue };
            let told = replica.group.image_sent(consensus::PeerId(peer), false);
            drop(groups);
            match told {
                Ok(()) => self.enlist(vnode),
                Err(Closed) => self.closed(vnode),
            }
        }
    }
}
