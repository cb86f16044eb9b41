//! Images: a vnode's whole content, copied from its leader to a replica that is too far behind, or new.
//!
//! ```text
//! leader:  image wanted --> a view of the tree at the applied index --> "there is an image of index i"
//! replica: "installing" durable --> old content dropped --> parts pulled from the leader --> flushed --> "installed" durable
//! ```
//!
//! 1. The leader keeps a view of the tree, so all parts show the content at one index, whatever is written meanwhile.
//! 2. The replica says durably that it is installing, before the first old byte goes. Until it is done it acknowledges nothing in its
//!    group and answers no reads; it votes, which `consensus` explains.
//! 3. It pulls the content part by part; what it gets is applied without entries, flushed, and only then it says that it is
//!    complete. A crash at any point before begins anew.
//!    So does the answer of a leader that it does not have that image.
//! 4. A leader that hears nothing of a replica any more lets the view go and tells the group, which offers another image later.
//!
//! Promises: the content of a complete replica is that of one index. Leaves to others: when an image is needed, and of which
//! index (`consensus`).

use crate::refusal::Refusal;
use crate::replication::{Canary, Cluster, Install};
use crate::shard::Shard;
use lsm::{Direction, Mark, Range, View, WriteBatch};
use model::key::{KeyRange, TableId, keyspace, successor, token_range};
use model::ring::{CATALOG, VnodeId};
use net::message::{
    ArchivedImageAsk, ArchivedReply, ImageAsk, ImagePart, Items, Operation, Request, read_reply,
};
use runtime::sync::{Either, select};
use runtime::{Mono, Runtime};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Images that a leader keeps at once; another one that is wanted waits.
const VIEWS_MAX: usize = 4;

/// Bytes of a part that are applied at once, about.
const BATCH_BYTES: usize = 256 << 10;

/// How long a replica waits for one part.
const PART_WAIT_MAX: Duration = Duration::from_secs(3);

/// Behind all keys that there are: who asks from there on only says that it is still at work.
const BEHIND_ALL: &[u8] = &[0xFF];

/// A replica that could not get a part tries again after so long.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How often to look whether somebody needs an image.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The stream of marks that images are applied with. It has no records in the log.
const IMAGE_STREAM: u64 = 2 << 32;

/// The images that this shard offers.
pub struct Images<R: Runtime> {
    views: RefCell<BTreeMap<VnodeId, Offered<R>>>,
}

struct Offered<R: Runtime> {
    index: u64,
    view: Rc<View<R>>,
    used: Mono,
}

impl<R: Runtime> Default for Images<R> {
    fn default() -> Images<R> {
        Images { views: RefCell::default() }
    }
}

impl<R: Runtime> Images<R> {
    /// Lets go what nobody has asked for in a while; whether there is room for another one.
    fn make_room(&self, now: Mono, cluster: &Cluster<R>) -> bool {
        let idle_max = cluster.options().image_idle_max;
        let idle = |_: &VnodeId, offered: &mut Offered<R>| now.since(offered.used) >= idle_max;
        let gone: Vec<_> = self.views.borrow_mut().extract_if(.., idle).collect();
        gone.iter().for_each(|(vnode, _)| cluster.withdraw_image(*vnode));
        self.views.borrow().len() < VIEWS_MAX
    }
}

/// What came of asking for a part.
enum Pulled {
    /// The reply that has it.
    Part(Vec<u8>),
    /// Nobody has that image any more.
    Gone,
    /// Nothing, this time.
    Nothing,
}

/// The leader's side.
impl<R: Runtime> Shard<R> {
    /// Offers images to those who need one, and lets go what nobody needs; never returns.
    pub(crate) async fn offer_images(&self, cluster: &Cluster<R>) {
        loop {
            let wanted = cluster.images_wanted();
            for vnode in wanted {
                let now = self.rt.now();
                if !self.images.make_room(now, cluster) {
                    break;
                }
                // The view and the index belong together: nothing is applied between these lines.
                if let Some(index) = cluster.offer_image(vnode) {
                    let offered = Offered { index, view: Rc::new(self.tree.view()), used: now };
                    self.images.views.borrow_mut().insert(vnode, offered);
                }
            }
            self.images.make_room(self.rt.now(), cluster);
            self.rt.sleep(LOOK_EVERY).await;
        }
    }

    /// A part of the image that was offered.
    pub(crate) async fn image(&self, ask: &ArchivedImageAsk) -> Result<ImagePart, Refusal> {
        let (vnode, index) = (VnodeId(ask.vnode.to_native()), ask.index.to_native());
        let cluster = self.replication.cluster().ok_or_else(Refusal::internal)?;
        let view = self.view_at(cluster, vnode, index).ok_or_else(|| self.not_leader(vnode))?;
        cluster.image_asked(vnode, ask.peer.to_native());
        self.part(&view, vnode, ask.after.as_slice()).await
    }

    /// A view of the tree that shows the vnode at this index: one that was kept, or the present, if that is it.
    fn view_at(&self, cluster: &Cluster<R>, vnode: VnodeId, index: u64) -> Option<Rc<View<R>>> {
        let now = self.rt.now();
        let mut views = self.images.views.borrow_mut();
        if let Some(offered) = views.get_mut(&vnode).filter(|offered| offered.index == index) {
            offered.used = now;
            return Some(offered.view.clone());
        }
        drop(views);
        if cluster.content_of(vnode) != Some(index) || !self.images.make_room(now, cluster) {
            return None;
        }
        let view = Rc::new(self.tree.view());
        let offered = Offered { index, view: view.clone(), used: now };
        self.images.views.borrow_mut().insert(vnode, offered);
        Some(view)
    }

    /// The pairs behind `after`, from the vnode's ranges one after the other.
    async fn part(&self, view: &View<R>, vnode: VnodeId, after: &[u8]) -> Result<ImagePart, Refusal> {
        let mut part = ImagePart::default();
        let mut from = match after.is_empty() {
            true => vec![first_keyspace(vnode)],
            false => successor(after),
        };
        while let Some(range) = self.range_behind(view, vnode, &from).await? {
            let mut pairs = view.scan(Range::half_open(&range.from, &range.to), Direction::Forward);
            while let Some((key, value)) = pairs.next().await.map_err(|error| self.internal(&error))? {
                push_pair(&mut part.pairs, key, value);
                if part.pairs.byte_count() >= self.options.replication.image_part_bytes {
                    return Ok(part);
                }
                if self.rt.should_yield() {
                    self.rt.yield_now().await;
                }
            }
            from = range.to;
        }
        part.last = true;
        Ok(part)
    }

    /// The next range of the vnode at or behind `from` that has anything in it: one per table.
    async fn range_behind(
        &self,
        view: &View<R>,
        vnode: VnodeId,
        from: &[u8],
    ) -> Result<Option<KeyRange>, Refusal> {
        if vnode == CATALOG {
            let range = KeyRange { from: from.to_vec(), to: vec![keyspace::CATALOG + 1] };
            return Ok((!range.is_empty()).then_some(range));
        }
        let (low, high) = self.tables.map().ring.range(vnode).ok_or_else(Refusal::internal)?;
        let mut from = from.to_vec();
        loop {
            // Whatever table comes next in the tree, whether or not the map knows it.
            let rest = Range::half_open(&from, &[keyspace::ITEMS + 1]);
            let mut keys = view.scan(rest, Direction::Forward);
            let next = keys.next().await.map_err(|error| self.internal(&error))?;
            let Some((key, _)) = next else { return Ok(None) };
            let table = key.get(1..5).and_then(|table| table.try_into().ok());
            let table = table.ok_or_else(|| self.internal(&"a key without a table"))?;
            let table = TableId(u32::from_be_bytes(table));
            let mut range = token_range(keyspace::ITEMS, table, low, high);
            if range.to.as_slice() > from.as_slice() && key < range.to.as_slice() {
                range.from = range.from.max(from);
                return Ok(Some(range));
            }
            let Some(next_table) = table.0.checked_add(1) else { return Ok(None) };
            from = token_range(keyspace::ITEMS, TableId(next_table), 0, 0).from;
        }
    }
}

/// The replica's side.
impl<R: Runtime> Shard<R> {
    /// Installs images, one after the other; returns when the tree takes nothing any more.
    pub(crate) async fn install_images(&self, cluster: &Cluster<R>) -> lsm::Error {
        loop {
            let install = cluster.next_install().await;
            let installed = Box::pin(self.install(cluster, &install));
            match select(installed, Box::pin(self.stay_in_touch(cluster, &install))).await {
                Either::First(Ok(())) => {}
                Either::First(Err(error)) => return error,
                Either::Second(()) => unreachable!("it never ends"),
            }
        }
    }

    /// Tells the leader now and then that the image is still needed: applying a part, or the last flush, may take its time.
    async fn stay_in_touch(&self, cluster: &Cluster<R>, install: &Install) {
        loop {
            self.rt.sleep(cluster.options().image_idle_max / 5).await;
            drop(self.pull(cluster, install, BEHIND_ALL).await);
        }
    }

    async fn install(&self, cluster: &Cluster<R>, install: &Install) -> Result<(), lsm::Error> {
        let mut after = Vec::new();
        let mut begun = false;
        let mut heard = self.rt.now();
        while cluster.is_current(install) {
            if !begun {
                let planted = cluster.options().canary.is(Canary::ImageOverOld);
                begun = planted || self.wipe(install.vnode).await.is_ok();
            }
            let pulled = match begun {
                true => self.pull(cluster, install, &after).await,
                false => Pulled::Nothing,
            };
            let mut is_lost = self.rt.now().since(heard) >= cluster.options().image_idle_max;
            let part = match pulled {
                // What is current may have changed while the part was on its way.
                Pulled::Part(part) if cluster.is_current(install) => part,
                pulled => {
                    is_lost |= matches!(pulled, Pulled::Gone);
                    let is_lost = is_lost && !cluster.options().canary.is(Canary::WaitForImage);
                    if is_lost && cluster.give_install_up(install) {
                        return Ok(());
                    }
                    self.rt.sleep(RETRY_PAUSE).await;
                    continue;
                }
            };
            heard = self.rt.now();
            let Ok(ArchivedReply::Image(part)) = read_reply(&part) else { continue };
            self.take_part(install.vnode, &part.pairs, &mut after).await?;
            if part.last || cluster.options().canary.is(Canary::HalfImage) {
                self.settle_tree().await?;
                cluster.installed(install);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Asks the leader for the pairs behind `after`.
    async fn pull(&self, cluster: &Cluster<R>, install: &Install, after: &[u8]) -> Pulled {
        let Some(leader) = cluster.leader_of(install.vnode) else { return Pulled::Nothing };
        let ask = ImageAsk {
            vnode: install.vnode.0,
            peer: install.peer,
            index: install.base.index,
            after: after.to_vec(),
        };
        let epoch = self.tables.map().ring.epoch;
        let request = Request { epoch, operation: Operation::Image(ask) }.encode();
        let deadline = self.rt.now().after(PART_WAIT_MAX);
        let Ok(reply) = cluster.call(leader, deadline, request).await else { return Pulled::Nothing };
        match read_reply(&reply) {
            Ok(ArchivedReply::Image(_)) => Pulled::Part(reply),
            // It leads, and does not have that image: another one has begun to lead, or it was let go.
            Ok(ArchivedReply::Moved(moved)) if moved.node.to_native() == leader.node.0 => Pulled::Gone,
            _ => Pulled::Nothing,
        }
    }

    /// Applies a part; `after` becomes its last key.
    async fn take_part(
        &self,
        vnode: VnodeId,
        pairs: &net::message::ArchivedItems,
        after: &mut Vec<u8>,
    ) -> Result<(), lsm::Error> {
        let mut batch = WriteBatch::new();
        let mut all = pairs.iter();
        while let (Some(key), Some(value)) = (all.next(), all.next()) {
            if !self.is_content(vnode, key) || key <= after.as_slice() {
                (self.options.report)(&format!("vnode {}: an image with a foreign key", vnode.0));
                continue;
            }
            if let Some((stamp, _)) = crate::stored::open(value) {
                self.clock.witness(stamp);
            }
            batch.put(key, value);
            *after = key.to_vec();
            if batch.bytes() >= BATCH_BYTES {
                self.apply_unlogged(&batch).await?;
                batch.clear();
            }
        }
        self.apply_unlogged(&batch).await
    }

    /// Whether a key is of this vnode's content.
    fn is_content(&self, vnode: VnodeId, key: &[u8]) -> bool {
        let map = self.tables.map();
        match key.first() {
            Some(&keyspace::CATALOG) => vnode == CATALOG,
            Some(&keyspace::ITEMS) => {
                let token = model::key::token_high_of_key(key);
                token.is_some_and(|token| map.ring.owner(token).id == vnode)
            }
            _ => false,
        }
    }

    /// Drops what the tree has of replicas that are gone; never returns.
    pub(crate) async fn drop_gone(&self, cluster: &Cluster<R>) {
        loop {
            let (vnode, number) = cluster.next_gone().await;
            while self.wipe(vnode).await.is_err() {
                self.rt.sleep(self.options.disk_check_every).await;
            }
            cluster.forget(vnode, number);
        }
    }

    /// Drops all that the tree has of a vnode.
    pub(crate) async fn wipe(&self, vnode: VnodeId) -> Result<(), Refusal> {
        let view = self.tree.view();
        let mut batch = WriteBatch::new();
        let mut from = vec![first_keyspace(vnode)];
        while let Some(range) = self.range_behind(&view, vnode, &from).await? {
            batch.drop_range(&range.from, &range.to);
            from = range.to;
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.apply_unlogged(&batch).await.map_err(|error| self.internal(&error))
    }

    /// Applies what no entry stands for.
    async fn apply_unlogged(&self, batch: &WriteBatch) -> Result<(), lsm::Error> {
        self.tree_ready().await?;
        let number = self.unlogged.get().max(self.tree.flushed_mark(IMAGE_STREAM)) + 1;
        self.unlogged.set(number);
        self.tree.apply(batch, Mark { stream: IMAGE_STREAM, index: number });
        Ok(())
    }

    /// Makes all that was applied durable, however long that takes.
    pub(crate) async fn settle_tree(&self) -> Result<(), lsm::Error> {
        loop {
            match self.tree.flush().await {
                Ok(()) => return Ok(()),
                Err(error @ lsm::Error::Poisoned { .. }) => return Err(error),
                Err(_) => self.rt.sleep(self.options.disk_check_every).await,
            }
        }
    }
}

fn push_pair(pairs: &mut Items, key: &[u8], value: &[u8]) {
    pairs.push(key);
    pairs.push(value);
}

fn first_keyspace(vnode: VnodeId) -> u8 {
    if vnode == CATALOG { keyspace::CATALOG } else { keyspace::ITEMS }
}
