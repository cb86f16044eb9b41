//! Mailboxes between the cores of one node. Order is kept per sender; between senders it is random.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::random::Stream;
use crate::sync::Notify;
use crate::{Closed, CoreId};

pub(super) struct Mesh {
    mailboxes: Vec<Mailbox>,
    packets_max: usize,
}

struct Mailbox {
    /// One queue per sending core.
    senders: RefCell<Vec<VecDeque<Vec<u8>>>>,
    changed: Notify,
}

impl Mesh {
    pub fn new(core_count: usize, packets_max: usize) -> Mesh {
        assert!(packets_max > 0, "a mailbox holds at least one packet");
        let mailbox =
            || Mailbox { senders: RefCell::new(vec![VecDeque::new(); core_count]), changed: Notify::new() };
        Mesh { mailboxes: (0..core_count).map(|_| mailbox()).collect(), packets_max }
    }

    /// Puts a packet in; gives it back while the mailbox is full.
    fn put(&self, from: CoreId, to: CoreId, packet: Vec<u8>) -> Result<(), Vec<u8>> {
        let mailbox = &self.mailboxes[usize::from(to.0)];
        let mut senders = mailbox.senders.borrow_mut();
        if senders.iter().map(VecDeque::len).sum::<usize>() >= self.packets_max {
            return Err(packet);
        }
        senders[usize::from(from.0)].push_back(packet);
        drop(senders);
        mailbox.changed.notify_all();
        Ok(())
    }

    fn take(&self, core: CoreId, stream: &RefCell<Stream>) -> Option<(CoreId, Vec<u8>)> {
        let mailbox = &self.mailboxes[usize::from(core.0)];
        let mut senders = mailbox.senders.borrow_mut();
        let waiting = senders.iter().filter(|queue| !queue.is_empty()).count();
        if waiting == 0 {
            return None;
        }
        let picked = stream.borrow_mut().index(waiting);
        let (from, queue) = senders
            .iter_mut()
            .enumerate()
            .filter(|(_, queue)| !queue.is_empty())
            .nth(picked)
            .expect("fewer were picked from than wait");
        let packet = queue.pop_front().expect("it is not empty");
        drop(senders);
        mailbox.changed.notify_all();
        Some((CoreId(from as u16), packet))
    }

    pub async fn send(&self, from: CoreId, to: CoreId, mut packet: Vec<u8>) -> Result<(), Closed> {
        let Some(mailbox) = self.mailboxes.get(usize::from(to.0)) else { return Err(Closed) };
        loop {
            let changed = mailbox.changed.notified();
            match self.put(from, to, packet) {
                Ok(()) => return Ok(()),
                Err(back) => packet = back,
            }
            changed.await;
        }
    }

    pub async fn receive(&self, core: CoreId, stream: &RefCell<Stream>) -> (CoreId, Vec<u8>) {
        loop {
            let changed = self.mailboxes[usize::from(core.0)].changed.notified();
            if let Some(received) = self.take(core, stream) {
                return received;
            }
            changed.await;
        }
    }
}
