//! What routers ask and shards answer: one rkyv archive per message, checked once, read in place.
//!
//! ```text
//! Request { epoch, operation } --encode--> bytes --mesh or frame--> read_request --> &ArchivedRequest
//! Reply                        <--read_reply-- bytes <--mesh or frame-- encode
//! ```
//!
//! 1. The sender fills an owned [`Request`] or [`Reply`] and calls `encode`: one copy into one buffer.
//! 2. The receiver calls [`read_request`] or [`read_reply`] once: length limit, bytecheck, then what bytecheck
//!    cannot know (a list's ends ascend and stay inside its bytes). After that every field is read where it lies.
//! 3. Items, keys and expression programs travel as the encodings of `model`, opaque here.
//!
//! Promises: any bytes are safe to hand to the readers, on any alignment. Only fixed integers, `Vec`, strings,
//! options and enums are used (RELIABILITY.md 5.4), so no message can make the reader allocate or recurse.
//! Leaves to others: whether an item, a key or a program is sound (`model`), and whether the shard owns the vnode (`shard`).
//!
//! The bytes are described in docs/WIRE.md, "Messages".

use rkyv::rancor::Failure;
use rkyv::{Archive, Serialize};

/// Most bytes of one message. A BatchGetItem answer holds 16 MiB of items plus its frame; nothing legal is larger.
pub const MESSAGE_BYTES_MAX: usize = 24 << 20;

/// Most parts of one `GetMany` or `WriteMany`. The API allows 100 and 25; the rest is for internal callers.
pub const PARTS_MAX: usize = 1024;

/// Bytes of items after which a page ends, as DynamoDB charges them.
pub const PAGE_BYTES_MAX: u32 = 1 << 20;

/// `Scan::limit` when the client named none.
pub const LIMIT_NONE: u32 = u32::MAX;

/// One operation for one shard, by somebody whose map has `epoch`.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Request {
    /// The ring's epoch in the asker's map.
    pub epoch: u64,
    /// What to do.
    pub operation: Operation,
}

/// What a shard can be asked to do.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Operation {
    /// Read one item. Answer: `Item`.
    Get(Get),
    /// Write one whole item. Answer: `Written`.
    Put(Put),
    /// Delete one item. Answer: `Written`.
    Delete(Delete),
    /// Change parts of one item, creating it when it is not there. Answer: `Written`.
    Update(Update),
    /// Read several items of this shard, in any order. Answer: `Many`, one part per get, in the order asked.
    GetMany(GetMany),
    /// Put and delete several items of this shard, unconditionally, not atomically. Answer: `Many`, in the order asked.
    WriteMany(WriteMany),
    /// Read one page of a range of keys of one vnode. Answer: `Page`.
    Scan(Scan),
    /// Change the catalog; only for the shard that leads vnode 0. Answer: `Table`.
    Catalog(Catalog),
    /// Remove a vnode's share of a dropped table; sent by the catalog. Answer: `Done`.
    Drop(Drop),
    /// Say about how much of a table this shard holds. Answer: `Measured`.
    Measure(Measure),
    /// Say when there is a newer map; for shard 0 of any node. Answer: `Map`, or `Done` when there was no news for a while.
    Watch(Watch),
    /// Change the cluster, or ask about it; only for the shard that leads the catalog. Answer: each says.
    Cluster(Cluster),
    /// Give a part of a vnode's content to one of its replicas; sent by that replica. Answer: `Image`.
    Image(ImageAsk),
}

/// Where one key lives.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct KeyAt {
    /// The vnode that owns the key's token.
    pub vnode: u32,
    /// The table's id.
    pub table: u32,
    /// The storage key: FORMAT.md, "Keys".
    pub key: Vec<u8>,
}

/// Read one item.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Get {
    /// Which.
    pub at: KeyAt,
    /// Whether the answer must hold every write acknowledged before it was asked.
    pub consistent: bool,
    /// A projection program; the whole item when there is none.
    pub projection: Option<Vec<u8>>,
}

/// Write one whole item.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Put {
    /// Which.
    pub at: KeyAt,
    /// The item's bytes.
    pub item: Vec<u8>,
    /// A condition program that the old item must pass.
    pub condition: Option<Vec<u8>>,
    /// Answer with the old item (`ALL_OLD`).
    pub return_old: bool,
    /// When the condition fails, answer with the old item.
    pub return_old_on_failure: bool,
    /// The asker needs exact `old_bytes`, to charge for the larger of old and new.
    pub measure: bool,
}

/// Delete one item.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Delete {
    /// Which.
    pub at: KeyAt,
    /// A condition program that the old item must pass.
    pub condition: Option<Vec<u8>>,
    /// Answer with the old item (`ALL_OLD`).
    pub return_old: bool,
    /// When the condition fails, answer with the old item.
    pub return_old_on_failure: bool,
    /// The asker needs exact `old_bytes`.
    pub measure: bool,
}

/// Change parts of one item.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Update {
    /// Which.
    pub at: KeyAt,
    /// An item of the key attributes alone: what the update starts from when there is no item.
    pub key_item: Vec<u8>,
    /// An update program; none changes nothing, but creates the item.
    pub program: Option<Vec<u8>>,
    /// A condition program that the old item must pass.
    pub condition: Option<Vec<u8>>,
    /// What to answer with.
    pub returns: ReturnValues,
    /// When the condition fails, answer with the old item.
    pub return_old_on_failure: bool,
}

/// What an update answers with.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug, Clone, Copy, PartialEq, Eq))]
pub enum ReturnValues {
    /// Nothing.
    None,
    /// The item before.
    AllOld,
    /// Of the item before, what the update touched.
    UpdatedOld,
    /// The item after.
    AllNew,
    /// Of the item after, what the update touched.
    UpdatedNew,
}

/// Read several items.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct GetMany {
    /// At most [`PARTS_MAX`].
    pub gets: Vec<Get>,
    /// After this many bytes of items, as charged, the rest is answered with `Skipped`.
    pub bytes_max: u32,
}

/// Put and delete several items.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct WriteMany {
    /// At most [`PARTS_MAX`]; no two of one key.
    pub writes: Vec<Write>,
    /// The asker needs exact `old_bytes`.
    pub measure: bool,
}

/// One unconditional put or delete.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Write {
    /// Which.
    pub at: KeyAt,
    /// The new item; none deletes.
    pub item: Option<Vec<u8>>,
}

/// Read one page of a range of keys.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Scan {
    /// The vnode that the range lies in.
    pub vnode: u32,
    /// The table that the range lies in.
    pub table: u32,
    /// First storage key, inclusive. To go on after a key forwards, this is that key with a zero byte appended.
    pub from: Vec<u8>,
    /// End of the storage keys, exclusive. To go on before a key backwards, this is that key.
    pub to: Vec<u8>,
    /// Ascending or descending.
    pub forward: bool,
    /// Items to evaluate at most, at least 1; [`LIMIT_NONE`] for no limit.
    pub limit: u32,
    /// The page ends with the item that brings the evaluated bytes to this; at most [`PAGE_BYTES_MAX`].
    pub bytes_max: u32,
    /// Whether the answer must hold every write acknowledged before it was asked.
    pub consistent: bool,
    /// A condition program that drops items after they were counted as scanned.
    pub filter: Option<Vec<u8>>,
    /// A projection program for the items that are answered.
    pub projection: Option<Vec<u8>>,
    /// Answer with counts and no items.
    pub count_only: bool,
}

/// Change the catalog, or ask it.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Catalog {
    /// Create a table. Its record comes as `model::table` has it; the catalog fills in id, uuid, time and status.
    Create(Vec<u8>),
    /// Change a table's settings.
    Update(TableChange),
    /// Delete a table, by its name, and all that is in it.
    Delete(String),
    /// Describe a table, by its name, as every core knows it by now.
    Describe(String),
    /// Put tags on a table.
    Tag(Tags),
    /// Take tags off a table.
    Untag(TagKeys),
    /// Switch a table's time to live on or off.
    TimeToLive(TimeToLiveChange),
}

/// Wait for a newer map.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Watch {
    /// The version that the asker has, and acknowledges with this.
    pub have: u64,
    /// Who asks: a node's id, or what a router has drawn when it started.
    pub watcher: u128,
    /// The asker's number, if it is a node.
    pub node: Option<u16>,
    /// Whoever is asked may answer; else only who leads the catalog, and others say `Moved`.
    pub anyone: bool,
}

/// Change the cluster, or ask about it. What cannot be is refused with a text for people that says what to do.
///
/// All of it may be asked twice: what is so already is answered as if it were done now.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Cluster {
    /// A new node comes. Answer: `Joined`.
    Join(Member),
    /// A node that has a number is back, maybe under other addresses. Answer: `Joined`, with that number.
    Announce(Announce),
    /// Move everything away from a node. Answer: `Done` when that is decided.
    Drain(u16),
    /// A node that drains keeps vnodes again. Answer: `Done`.
    Activate(u16),
    /// A node is gone for ever. Answer: `Done`.
    Remove(Remove),
    /// Move one replica. Answer: `Done` when that is decided.
    Move(MoveReplica),
    /// Let another replica lead. Answer: `Done` when that is decided.
    Prefer(Prefer),
    /// A vnode's leader says that its group is what the map asked for. Answer: `Done`.
    Report(Report),
    /// Begin no moves, or begin them again. Answer: `Done`.
    Pause(bool),
    /// How is it going? Answer: `Status`.
    Status,
}

/// A node as it presents itself.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Member {
    /// What its data directory was founded with.
    pub id: u128,
    /// What people call it.
    pub name: String,
    /// What fails together with it.
    pub zone: String,
    /// Where other nodes reach its shards, by shard: `IP:PORT`.
    pub addresses: Vec<String>,
    /// Where clients reach it, if they do.
    pub http: Option<String>,
}

/// A node that has a number is back.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Announce {
    /// The number that it was given.
    pub node: u16,
    /// The rest of it.
    pub member: Member,
}

/// A node is gone for ever.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Remove {
    /// Its number.
    pub node: u16,
    /// Also when it still keeps replicas; not while it is alive.
    pub force: bool,
}

/// Move one replica.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct MoveReplica {
    /// Of this vnode; 0 is the catalog.
    pub vnode: u32,
    /// From this node.
    pub from: u16,
    /// To this one.
    pub to: u16,
    /// To this shard of it; else the one with least.
    pub shard: Option<u16>,
}

/// Let another replica lead.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Prefer {
    /// This vnode; 0 is the catalog.
    pub vnode: u32,
    /// The one on this node.
    pub node: u16,
}

/// A group is what the map asked for.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Report {
    /// Whose.
    pub vnode: u32,
    /// The epoch of the map that it followed.
    pub epoch: u64,
    /// The numbers of the replicas that vote, and no others do.
    pub voters: Vec<u32>,
}

/// Replicas in a `Report` at most.
pub const VOTERS_MAX: usize = 16;

/// Addresses of a `Member` at most: one for each shard.
pub const ADDRESSES_MAX: usize = 4096;

/// How the cluster is, as the catalog's leader sees it. What is where, its map says.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct ClusterStatus {
    /// The map's version.
    pub version: u64,
    /// The ring's epoch.
    pub epoch: u64,
    /// The node that answers: it leads the catalog.
    pub leader: u16,
    /// No moves are begun.
    pub paused: bool,
    /// Vnodes whose replicas are under way.
    pub moving: u32,
    /// About how many replicas have to be moved yet.
    pub left: u32,
    /// Each node of the map, ascending by number.
    pub nodes: Vec<NodeStatus>,
}

/// What the catalog's leader has heard of a node.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct NodeStatus {
    /// Its number.
    pub node: u16,
    /// Whether it counts as there.
    pub up: bool,
    /// Milliseconds since it was heard of; none when this leader never has.
    pub seen_ms: Option<u64>,
    /// The map's version that it had then.
    pub version: u64,
}

impl ArchivedCluster {
    /// Whether its lists are no longer than they can be.
    fn sound(&self) -> bool {
        match self {
            ArchivedCluster::Join(member) => member.addresses.len() <= ADDRESSES_MAX,
            ArchivedCluster::Announce(announce) => announce.member.addresses.len() <= ADDRESSES_MAX,
            ArchivedCluster::Report(report) => report.voters.len() <= VOTERS_MAX,
            _ => true,
        }
    }
}

/// Put tags on a table; a tag with the key of one that is there replaces it.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Tags {
    /// The table's name.
    pub name: String,
    /// Keys and values; no key twice.
    pub tags: Vec<(String, String)>,
}

/// Take tags off a table; keys that are not there are fine.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct TagKeys {
    /// The table's name.
    pub name: String,
    /// The tags' keys.
    pub keys: Vec<String>,
}

/// Switch a table's time to live on or off.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct TimeToLiveChange {
    /// The table's name.
    pub name: String,
    /// The attribute that holds the time.
    pub attribute: String,
    /// On or off.
    pub enabled: bool,
}

/// The settings that UpdateTable changes; what is `None` stays.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct TableChange {
    /// The table's name.
    pub name: String,
    /// A new billing mode.
    pub billing_mode: Option<BillingMode>,
    /// New provisioned read and write capacity units.
    pub provisioned: Option<(u64, u64)>,
    /// Protect against deletion, or no longer.
    pub deletion_protection: Option<bool>,
    /// A new class.
    pub table_class: Option<TableClass>,
}

/// How a table's throughput is paid for.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug, Clone, Copy, PartialEq, Eq))]
pub enum BillingMode {
    /// `PROVISIONED`.
    Provisioned,
    /// `PAY_PER_REQUEST`.
    PayPerRequest,
}

/// What a table's storage is optimised for.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug, Clone, Copy, PartialEq, Eq))]
pub enum TableClass {
    /// `STANDARD`.
    Standard,
    /// `STANDARD_INFREQUENT_ACCESS`.
    InfrequentAccess,
}

/// Remove a vnode's share of a dropped table.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Drop {
    /// The vnode.
    pub vnode: u32,
    /// The table, already out of service in every map.
    pub table: u32,
}

/// Say about how much of a table the shard holds, in all of its vnodes.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Measure {
    /// The table.
    pub table: u32,
}

/// Give a part of a vnode's content as it was at an index.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct ImageAsk {
    /// The vnode.
    pub vnode: u32,
    /// The replica that wants it.
    pub peer: u64,
    /// The last entry that the content holds.
    pub index: u64,
    /// The last key of the part before; empty for the first part.
    pub after: Vec<u8>,
}

/// A part of a vnode's content.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct ImagePart {
    /// Storage keys and stored values in turn, ascending by key.
    pub pairs: Items,
    /// There is nothing behind it.
    pub last: bool,
}

/// What a shard answers.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Reply {
    /// To `Get`.
    Item(Item),
    /// To `Put`, `Delete`, `Update`.
    Written(Written),
    /// To `GetMany`, `WriteMany`: one part for each that was asked, in order.
    Many(Vec<Part>),
    /// To `Scan`.
    Page(Page),
    /// To `Catalog`: the table's record after the change, an item.
    Table(Vec<u8>),
    /// To `Drop`.
    Done,
    /// An answer of DynamoDB's that is an exception.
    Failed(Failed),
    /// The shard does not own the vnode, or its map is newer than the asker's.
    Moved(Moved),
    /// The shard's queue is full; nothing was done.
    Busy,
    /// To `Measure`.
    Measured(Measured),
    /// To `Watch`: a map for `model::map::Map::update`, whole or as a delta from the version that the asker has.
    Map(Vec<u8>),
    /// To `Cluster::Join` and `Cluster::Announce`: the node's number.
    Joined(u16),
    /// To `Cluster::Status`.
    Status(ClusterStatus),
    /// To `Image`.
    Image(ImagePart),
}

/// One answer of `Many`.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub enum Part {
    /// To a get.
    Item(Item),
    /// To a write.
    Written(Written),
    /// Not looked at: the answer is full. Ask again.
    Skipped,
    /// An exception for this part alone.
    Failed(Failed),
    /// As `Reply::Moved`, for this part alone.
    Moved(Moved),
    /// The shard's queue is full; this part was not done.
    Busy,
}

/// One item that was read.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Item {
    /// The item after projection; none when there is none.
    pub item: Option<Vec<u8>>,
    /// Bytes of the whole item as DynamoDB charges them; 0 when there is none.
    pub charged_bytes: u32,
}

/// About how much of a table a shard holds.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct Measured {
    /// Items.
    pub items: u64,
    /// Bytes of their storage keys and stored values.
    pub bytes: u64,
}

/// One write that is durable and visible.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Written {
    /// What was asked to be returned; none when nothing was, or there is nothing.
    pub attributes: Option<Vec<u8>>,
    /// Charged bytes of the item before; 0 when there was none or nobody needed to know.
    pub old_bytes: u32,
    /// Charged bytes of the item after; 0 after a delete.
    pub new_bytes: u32,
}

/// One page of a scan.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct Page {
    /// The items that passed the filter, projected; empty when only counts were asked for.
    pub items: Items,
    /// Items that passed the filter.
    pub count: u32,
    /// Items that were evaluated.
    pub scanned: u32,
    /// Bytes of the evaluated items, as DynamoDB charges them.
    pub charged_bytes: u32,
    /// Where the page ended, when it ended before its range did: by its limit or its size.
    pub last: Option<LastKey>,
}

/// The key of the last item that a page evaluated.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct LastKey {
    /// Its storage key.
    pub key: Vec<u8>,
    /// Its key attributes as an item: LastEvaluatedKey.
    pub key_item: Vec<u8>,
}

/// Items one behind the other, with the offset at which each ends.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct Items {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Items {
    /// Appends one item.
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a page stays under MESSAGE_BYTES_MAX"));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all together.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }
}

impl ArchivedItems {
    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The items in order, where they lie.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = end.to_native() as usize;
            let item = &self.bytes[start..end];
            start = end;
            item
        })
    }

    /// Whether the ends ascend and the last one is the end of the bytes: then `iter` cannot go wrong.
    fn sound(&self) -> bool {
        let mut last = 0;
        for end in self.ends.iter() {
            let end = end.to_native() as usize;
            if end < last {
                return false;
            }
            last = end;
        }
        last == self.bytes.len()
    }
}

/// One of DynamoDB's exceptions.
#[derive(Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Failed {
    /// Its number: `model::error::Code::number`.
    pub code: u16,
    /// Its message, as the client sees it.
    pub message: String,
    /// The old item, when a condition failed and the client wanted it.
    pub item: Option<Vec<u8>>,
}

/// Who to ask instead.
#[derive(Archive, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Moved {
    /// The epoch of the answering shard's ring. When it is not newer than the asker's, wait a moment and ask again.
    pub epoch: u64,
    /// The owner's node.
    pub node: u16,
    /// The owner's shard on that node.
    pub shard: u16,
}

/// Bytes that are no message: too long, cut, or not what this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes are no message of this version")
    }
}

impl std::error::Error for Malformed {}

impl Request {
    /// The message's bytes, behind whatever `buffer` holds room for; what it held is dropped.
    pub fn encode_into(&self, buffer: Vec<u8>) -> Vec<u8> {
        encode(self, buffer)
    }

    /// The message's bytes in a buffer of its own.
    pub fn encode(&self) -> Vec<u8> {
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let inside = match &self.operation {
            Operation::Get(get) => get.at.key.len() + size(&get.projection),
            Operation::Put(put) => put.at.key.len() + put.item.len() + size(&put.condition),
            Operation::Delete(delete) => delete.at.key.len() + size(&delete.condition),
            Operation::Update(update) => {
                let programs = size(&update.program) + size(&update.condition);
                update.at.key.len() + update.key_item.len() + programs
            }
            Operation::Scan(scan) => {
                scan.from.len() + scan.to.len() + size(&scan.filter) + size(&scan.projection)
            }
            _ => ENCODED_BYTES_GUESS,
        };
        self.encode_into(Vec::with_capacity(inside + SKELETON_BYTES))
    }
}

impl Reply {
    /// The message's bytes, in `buffer`; what it held is dropped.
    pub fn encode_into(&self, buffer: Vec<u8>) -> Vec<u8> {
        encode(self, buffer)
    }

    /// The message's bytes in a buffer of its own.
    pub fn encode(&self) -> Vec<u8> {
        let inside = match self {
            Reply::Item(Item { item: Some(item), .. }) => item.len(),
            Reply::Written(Written { attributes: Some(item), .. }) => item.len(),
            Reply::Item(_) | Reply::Written(_) | Reply::Done | Reply::Busy => 0,
            Reply::Map(map) => map.len(),
            Reply::Image(part) => part.pairs.bytes.len() + 4 * part.pairs.ends.len() + ENCODED_BYTES_GUESS,
            Reply::Page(page) => page.items.bytes.len() + 4 * page.items.ends.len() + ENCODED_BYTES_GUESS,
            _ => ENCODED_BYTES_GUESS,
        };
        self.encode_into(Vec::with_capacity(inside + SKELETON_BYTES))
    }
}

/// Bytes around the keys, items and programs of a message, with room for the mesh's trailer: where their sizes are known
/// there is one allocation, and it is no larger than it must be.
const SKELETON_BYTES: usize = 128;

/// Bytes of a message whose parts are not worth counting.
const ENCODED_BYTES_GUESS: usize = 512;

fn encode<T>(message: &T, mut buffer: Vec<u8>) -> Vec<u8>
where
    T: for<'a> Serialize<
        rkyv::api::high::HighSerializer<Vec<u8>, rkyv::ser::allocator::ArenaHandle<'a>, Failure>,
    >,
{
    buffer.clear();
    rkyv::api::high::to_bytes_in(message, buffer).expect("memory is the only thing that an archive needs")
}

/// Checks a request's bytes and gives it to read in place.
pub fn read_request(bytes: &[u8]) -> Result<&ArchivedRequest, Malformed> {
    let request = access::<ArchivedRequest>(bytes)?;
    let parts = match &request.operation {
        ArchivedOperation::GetMany(many) => many.gets.len(),
        ArchivedOperation::WriteMany(many) => many.writes.len(),
        _ => 0,
    };
    let sound = match &request.operation {
        ArchivedOperation::Cluster(cluster) => cluster.sound(),
        _ => true,
    };
    if parts <= PARTS_MAX && sound { Ok(request) } else { Err(Malformed) }
}

/// Checks a reply's bytes and gives it to read in place.
pub fn read_reply(bytes: &[u8]) -> Result<&ArchivedReply, Malformed> {
    let reply = access::<ArchivedReply>(bytes)?;
    let sound = match reply {
        ArchivedReply::Page(page) => page.items.sound(),
        ArchivedReply::Image(part) => part.pairs.sound() && part.pairs.len() % 2 == 0,
        ArchivedReply::Many(parts) => parts.len() <= PARTS_MAX,
        _ => true,
    };
    if sound { Ok(reply) } else { Err(Malformed) }
}

/// Whether a reply is no answer: `Failed`, `Moved` or `Busy`. It looks at one byte and checks nothing, so that whoever reads the
/// answer checks it, once.
pub fn is_refusal(reply: &[u8]) -> bool {
    // The root is the archive's end and begins with the variant's number.
    const REFUSALS: std::ops::RangeInclusive<u8> = 6..=8;
    let root = reply.len().checked_sub(size_of::<ArchivedReply>());
    root.is_some_and(|root| REFUSALS.contains(&reply[root]))
}

fn access<T>(bytes: &[u8]) -> Result<&T, Malformed>
where
    T: rkyv::Portable + for<'a> rkyv::bytecheck::CheckBytes<rkyv::api::high::HighValidator<'a, Failure>>,
{
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed);
    }
    rkyv::access::<T, Failure>(bytes).map_err(|Failure| Malformed)
}

/// The bytes of an optional field, where they lie.
pub fn optional(field: &rkyv::option::ArchivedOption<rkyv::vec::ArchivedVec<u8>>) -> Option<&[u8]> {
    field.as_ref().map(|bytes| bytes.as_slice())
}

#[cfg(test)]
mod tests;
