//! What a seed decides beside the order of events: a cluster, its sizes and bounds, what clients do, and what goes wrong when.
//!
//! A plan is a plain value. The same plan gives the same run; a plan with fewer faults or clients is another run, which is how a failure is made
//! smaller (`shrink`). Each decision has a stream of its own, so that one that is added moves no other.
//!
//! Small limits on purpose: a memtable of some kilobytes is flushed and compacted within a second, and a segment of few blocks is recycled while
//! somebody looks.
//!
//! The faults stay within what torc promises to survive: any number of power failures, cuts and pauses, clocks that drift less than the
//! leases allow for; and one node only whose disk changes bits or cannot be read. Then all of it ends, and that node is taken away.

use std::fmt;
use std::time::Duration;

use runtime::sim::{Chance, DiskFaults, NetworkFaults, Span, WorldOptions};

/// The bugs that may be planted, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Of replication.
    pub replication: shard::Canary,
    /// Of the log.
    pub log: lsm::log::Canary,
    /// Of the tree.
    pub tree: lsm::tree::Canary,
    /// Of one group.
    pub group: Option<shard::GroupCanary>,
    /// Routers ask again for what may have been done.
    pub router_repeats: bool,
}

impl Planted {
    /// None.
    pub const NOTHING: Planted = Planted {
        replication: shard::Canary::None,
        log: lsm::log::Canary::None,
        tree: lsm::tree::Canary::None,
        group: None,
        router_repeats: false,
    };
}

/// One run, decided.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything was drawn from, and what is drawn on the way.
    pub seed: u64,
    /// Nodes that the cluster is founded with, each in a zone of its own as far as there are zones.
    pub nodes: usize,
    /// Zones.
    pub zones: usize,
    /// Nodes that may join later.
    pub spares: usize,
    /// Cores, and so shards, of each node.
    pub cores: usize,
    /// Routers without data.
    pub routers: usize,
    /// Data vnodes.
    pub vnodes: u32,
    /// Clients at once.
    pub clients: usize,
    /// Those of them that only read.
    pub readers: usize,
    /// Keys that they share.
    pub keys: u64,
    /// Of so many operations, all but one are for few of the keys.
    pub skew: u64,
    /// Bytes of the filler of each write, at most.
    pub filler_bytes_max: u64,
    /// A client waits so long for an answer.
    pub patience: Duration,
    /// Pause of a client between two operations.
    pub think: Span,
    /// Clients rest so long after they have worked so long; zero for those who never rest.
    pub rest: Duration,
    /// The weights of what clients do.
    pub mix: Mix,
    /// How long faults may happen.
    pub length: Duration,
    /// Memory of each shard in bytes, which sets its memtable and cache.
    pub memory_bytes: usize,
    /// Bytes of a memtable.
    pub memtable_bytes: usize,
    /// Bytes of a segment of the log.
    pub segment_bytes: u64,
    /// Between two ticks of a group.
    pub tick: Duration,
    /// Ticks without a leader after which a replica stands for election.
    pub election_ticks: usize,
    /// Bytes of entries that leaders keep for those who lag.
    pub tail_bytes_max: usize,
    /// Bytes of a part of an image.
    pub image_part_bytes: usize,
    /// Queues, windows and what may be under way at once are so small that clients reach the bounds.
    pub is_tight: bool,
    /// Whether rare and legal branches are taken.
    pub buggify: bool,
    /// What disks do when nothing special goes wrong.
    pub disk: DiskFaults,
    /// What the network does when nothing special goes wrong.
    pub network: NetworkFaults,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// More disks lie than torc promises to survive: what was written may be lost then, and nothing may be made up.
    pub is_beyond: bool,
    /// A bug that was put in, for tests of the tests.
    pub planted: Planted,
    /// Steps after which the run ends, wherever it is.
    pub steps_max: Option<u64>,
    /// Prints every event.
    pub trace: bool,
}

/// How often clients do what, in parts of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Counts a counter up.
    pub count: u64,
    /// Reads a counter or a register, strongly.
    pub read: u64,
    /// Reads from any replica.
    pub eventual: u64,
    /// Puts into a register.
    pub put: u64,
    /// Reads a register, then writes it on the condition that it has not changed.
    pub swap: u64,
    /// Writes and reads several keys at once.
    pub batch: u64,
    /// Goes on with the client's own chain of puts and deletes.
    pub chain: u64,
    /// Scans the table.
    pub scan: u64,
}

impl Mix {
    /// The parts, in order.
    pub fn parts(&self) -> [u64; 8] {
        [self.count, self.read, self.eventual, self.put, self.swap, self.batch, self.chain, self.scan]
    }
}

/// Something that goes wrong, and is over after a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it begins, or is armed.
    pub at: Duration,
    /// How long it is.
    pub lasts: Duration,
    /// What it is.
    pub kind: Kind,
}

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A node, counted from 0.
    Node(usize),
    /// Who leads this vnode when it begins.
    Leader(u32),
    /// Who wins the next election of any vnode, this long after that.
    Elected(Duration),
    /// A node that is about to recycle a segment of its log, this long after one was recycled.
    Recycling(Duration),
    /// Who leads a vnode of which a replica is made from an image, this long after that was seen.
    Offering(Duration),
}

/// Which way a node cannot be heard, or cannot hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing comes in.
    In,
    /// Nothing goes out.
    Out,
    /// Neither.
    Both,
}

/// What a disk does that nobody may rely on it not to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Bits of what lies there change.
    Rot,
    /// Bits change on the way.
    RotOnRead,
    /// Writes are acknowledged, and not there.
    Lost,
    /// Writes are acknowledged, and land elsewhere.
    Misdirected,
    /// Blocks cannot be read any more.
    Unreadable,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Power fails at one node; what was not synced is lost, torn or kept.
    Crash(Whom),
    /// And again this long after it has come back: while it recovers, mostly.
    CrashTwice(Whom, Duration),
    /// Power fails everywhere.
    Blackout,
    /// Power fails, and what the shards of the node have is lost for good. Who it is, it still knows.
    LoseShards(usize),
    /// A clean stop, and a start with other settings.
    Restart(Whom),
    /// The process stands still, and its time does not.
    Pause(Whom),
    /// One node is cut off from all others, clients included.
    Isolate(Whom, Way),
    /// Cut off, then power fails before anybody hears from it again.
    IsolateThenCrash(Whom),
    /// Other nodes cannot be heard and do not hear it, but clients do: who led goes on answering them as long as it thinks that it leads.
    Depose(Whom),
    /// The same, then power fails there before any other node hears of what it took meanwhile.
    DeposeThenCrash(Whom),
    /// Two nodes do not hear each other, or one the other.
    Cut(usize, usize, bool),
    /// A router and a node do not hear each other.
    CutRouter(usize, Whom),
    /// Everything from one node to another takes this much longer.
    SlowLink(usize, usize, Duration),
    /// Everything takes longer.
    SlowNetwork(Duration),
    /// Connections break, and some attempts are refused.
    Resets(Chance),
    /// A clock runs so many parts per million too fast, or too slow.
    Drift(usize, i32),
    /// A wall clock jumps by so many microseconds.
    Jump(usize, i64),
    /// A disk stands still now and then.
    SlowDisk(Whom),
    /// Writes and syncs fail: the process has to stop.
    FailingDisk(Whom),
    /// A disk has no room for a while.
    FullDisk(usize),
    /// A disk does what disks must not do.
    LyingDisk(usize, Lie),
    /// Leadership of a vnode shall go to that node, at once.
    Transfer(u32, usize),
    /// Leadership is handed over, and who gets it is cut off.
    TransferThenCut(u32, usize),
    /// The same, but clients still reach who led.
    TransferThenDepose(u32, usize),
    /// A replica moves.
    Move(u32, usize, usize),
    /// A spare node joins.
    Join(usize),
    /// A node is drained, and kept again at the end.
    Drain(usize),
}

impl Kind {
    /// The word for it in summaries.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Crash(Whom::Node(_)) => "crash",
            Kind::Crash(Whom::Leader(_)) => "crash of a leader",
            Kind::Crash(Whom::Elected(_)) => "crash after an election",
            Kind::Crash(Whom::Recycling(_)) => "crash at a segment's recycling",
            Kind::Crash(Whom::Offering(_)) => "crash of who offers an image",
            Kind::CrashTwice(..) => "crash in recovery",
            Kind::Blackout => "blackout",
            Kind::LoseShards(_) => "lost shards",
            Kind::Restart(_) => "restart with other settings",
            Kind::Pause(Whom::Node(_)) => "pause",
            Kind::Pause(_) => "pause of a leader",
            Kind::Isolate(Whom::Offering(_), _) => "isolation of who offers an image",
            Kind::Isolate(_, Way::Both) => "isolation",
            Kind::Isolate(..) => "one-way isolation",
            Kind::IsolateThenCrash(_) => "isolation, then crash",
            Kind::Depose(_) => "deposition",
            Kind::DeposeThenCrash(_) => "deposition, then crash",
            Kind::Cut(_, _, true) => "cut",
            Kind::Cut(_, _, false) => "one-way cut",
            Kind::CutRouter(..) => "cut of a router",
            Kind::SlowLink(..) => "slow link",
            Kind::SlowNetwork(_) => "slow network",
            Kind::Resets(_) => "resets",
            Kind::Drift(..) => "clock drift",
            Kind::Jump(..) => "clock jump",
            Kind::SlowDisk(_) => "slow disk",
            Kind::FailingDisk(_) => "failing disk",
            Kind::FullDisk(_) => "full disk",
            Kind::LyingDisk(..) => "lying disk",
            Kind::Transfer(..) => "transfer",
            Kind::TransferThenCut(..) => "transfer, then cut",
            Kind::TransferThenDepose(..) => "transfer, then deposition",
            Kind::Move(..) => "move",
            Kind::Join(_) => "join",
            Kind::Drain(_) => "drain",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}: {:?}", self.at, self.lasts, self.kind)
    }
}

/// Draws numbers by name.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// Of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice { seed }
    }

    /// The number of this name and index.
    pub fn roll(&self, name: &str, index: u64) -> u64 {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        mix(mix(self.seed ^ hash) ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// One of 0 to `bound` less 1.
    pub fn below(&self, name: &str, index: u64, bound: u64) -> u64 {
        self.roll(name, index) % bound.max(1)
    }

    /// One of these.
    pub fn pick<T: Copy>(&self, name: &str, choices: &[T]) -> T {
        choices[self.below(name, 0, choices.len() as u64) as usize]
    }

    fn coin(&self, name: &str) -> bool {
        self.roll(name, 0) & 1 == 1
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl Plan {
    /// A calm cluster of three nodes: what a scenario begins with.
    pub fn calm(seed: u64) -> Plan {
        Plan {
            seed,
            nodes: 3,
            zones: 3,
            spares: 0,
            cores: 1,
            routers: 1,
            vnodes: 4,
            clients: 4,
            readers: 1,
            keys: 6,
            skew: 1,
            filler_bytes_max: 64,
            patience: Duration::from_secs(10),
            think: Span::millis(2, 40),
            rest: Duration::ZERO,
            mix: Mix { count: 4, read: 4, eventual: 1, put: 2, swap: 2, batch: 1, chain: 1, scan: 0 },
            length: Duration::from_secs(10),
            memory_bytes: 4 << 20,
            memtable_bytes: 64 << 10,
            segment_bytes: 256 << 10,
            tick: Duration::from_millis(40),
            election_ticks: 8,
            tail_bytes_max: 1 << 20,
            image_part_bytes: 8 << 10,
            is_tight: false,
            buggify: false,
            disk: DiskFaults::default(),
            network: NetworkFaults::default(),
            faults: Vec::new(),
            is_beyond: false,
            planted: Planted::NOTHING,
            steps_max: None,
            trace: false,
        }
    }

    /// What a seed draws.
    pub fn drawn(seed: u64) -> Plan {
        Plan::shaped(seed, None)
    }

    /// The same, with so many nodes of one core, no spare one, and one router, if a number is given: clusters of one size, to compare how fast they are simulated.
    pub fn shaped(seed: u64, nodes_wanted: Option<usize>) -> Plan {
        let dice = Dice::new(seed);
        let (nodes, spares, cores, routers) = match nodes_wanted {
            Some(nodes) => (nodes, 0, 1, 1),
            None => (
                dice.pick("nodes", &[3, 3, 3, 4, 5]),
                dice.pick("spares", &[0, 0, 1]),
                dice.pick("cores", &[1, 1, 2]),
                dice.pick("routers", &[0, 1, 2]),
            ),
        };
        // Idle phases show what traffic hides: what falls asleep, what is forgotten after a while. They are long, because they cost next to nothing.
        let (rest, times) = dice.pick("rest", &[(0, 1), (1, 1), (5, 1), (20, 4), (60, 10)]);
        let length = Duration::from_secs(times * dice.pick("length", &[8, 15, 30, 40]));
        let mut plan = Plan {
            nodes,
            zones: dice.pick("zones", &[3, 3, nodes]),
            spares,
            cores,
            routers,
            vnodes: dice.pick("vnodes", &[1, 2, 4, 8]),
            clients: 1 + dice.below("clients", 0, 8) as usize,
            readers: dice.pick("readers", &[0, 0, 1, 3]),
            keys: 1 + dice.below("keys", 0, 12),
            skew: dice.pick("skew", &[1, 1, 4, 20]),
            filler_bytes_max: dice.pick("filler", &[8, 200, 2_000, 20_000]),
            patience: Duration::from_millis(dice.pick("patience", &[10_000, 10_000, 1_000, 200])),
            think: dice.pick(
                "think",
                &[Span::millis(0, 20), Span::millis(5, 100), Span::millis(20, 400), Span::millis(50, 1000)],
            ),
            rest: Duration::from_secs(rest),
            mix: draw_mix(&dice),
            length,
            memory_bytes: dice.pick("memory", &[1 << 20, 4 << 20, 32 << 20]),
            memtable_bytes: dice.pick("memtable", &[16 << 10, 64 << 10, 1 << 20]),
            segment_bytes: dice.pick("segment", &[256 << 10, 1 << 20]),
            tick: Duration::from_millis(dice.pick("tick", &[15, 40, 40, 100])),
            election_ticks: dice.pick("election", &[5, 8, 12]),
            tail_bytes_max: dice.pick("tail", &[0, 10_000, 1 << 20]),
            image_part_bytes: dice.pick("part", &[700, 8 << 10, 1 << 20]),
            is_tight: dice.below("tight", 0, 4) == 0,
            buggify: dice.coin("buggify"),
            disk: draw_disk(&dice),
            network: draw_network(&dice),
            ..Plan::calm(seed)
        };
        if plan.is_tight {
            plan.network.window_bytes_max = 4 << 10;
        }
        plan.faults = draw_faults(&dice, &plan);
        plan
    }

    /// What a seed draws when disks do what nobody promises to survive, on any number of nodes at once.
    pub fn beyond(seed: u64) -> Plan {
        let dice = Dice::new(seed);
        let mut plan = Plan { is_beyond: true, ..Plan::drawn(seed) };
        plan.faults.truncate(12);
        for index in 0..2 + dice.below("lies", 0, 4) {
            let at = Duration::from_millis(dice.below("lies.at", index, plan.length.as_millis() as u64));
            let node = dice.below("lies.node", index, plan.nodes as u64) as usize;
            let lie = [Lie::Rot, Lie::RotOnRead, Lie::Lost, Lie::Misdirected, Lie::Unreadable]
                [dice.below("lies.kind", index, 5) as usize];
            let lasts = Duration::from_millis(500 + dice.below("lies.lasts", index, 5_000));
            plan.faults.push(Fault { at, lasts, kind: Kind::LyingDisk(node, lie) });
            // What was not written shows when it is read again.
            let at = at + lasts;
            let lasts = Duration::from_millis(50);
            let kind = match dice.below("lies.end", index, 4) {
                0 => Kind::LoseShards(node),
                1 => Kind::Blackout,
                _ => Kind::Crash(Whom::Node(node)),
            };
            plan.faults.push(Fault { at, lasts, kind });
        }
        plan.faults.sort_by_key(|fault| fault.at);
        plan
    }

    /// Nodes that there may be at all.
    pub fn machines(&self) -> usize {
        self.nodes + self.spares
    }

    /// Operations that a shard takes at once, and bytes of commands that it has not applied.
    pub fn bounds(&self) -> (usize, usize) {
        if self.is_tight { (8, 32 << 10) } else { (16 << 10, self.memory_bytes.max(64 << 20) / 8) }
    }

    /// The world's own options.
    pub fn world(&self) -> WorldOptions {
        WorldOptions {
            mailbox_packets_max: if self.is_tight { 4 } else { 1024 },
            disk: self.disk.clone(),
            network: self.network.clone(),
            buggify: self.buggify,
            polls_max: 2_000_000,
            trace: self.trace,
            ..WorldOptions::default()
        }
    }
}

fn draw_mix(dice: &Dice) -> Mix {
    let weight =
        |name: &str, most: u64| dice.below("mix", name.len() as u64, 2) * dice.below(name, 0, most + 1);
    Mix {
        count: 1 + weight("count", 6),
        read: 1 + weight("read of it", 6),
        eventual: weight("eventual", 2),
        put: weight("put", 4),
        swap: weight("swap them", 4),
        batch: weight("batched ", 2),
        chain: weight("chain of one", 3),
        scan: weight("a scan of all", 1),
    }
}

fn draw_disk(dice: &Dice) -> DiskFaults {
    DiskFaults {
        write: dice.pick("disk.write", &[Span::micros(15, 90), Span::micros(50, 2000)]),
        stall: dice.pick("disk.stall", &[Chance::NEVER, Chance::per_mille(2)]),
        stall_time: Span::millis(1, 300),
        crash_keeps: dice.pick("disk.keeps", &[Chance::percent(33), Chance::NEVER, Chance::percent(80)]),
        ..DiskFaults::default()
    }
}

fn draw_network(dice: &Dice) -> NetworkFaults {
    NetworkFaults {
        delay: dice.pick("net.delay", &[Span::micros(30, 300), Span::micros(200, 3000), Span::millis(1, 12)]),
        reset: dice.pick("net.reset", &[Chance::NEVER, Chance(200)]),
        stall: dice.pick("net.stall", &[Chance::NEVER, Chance(500)]),
        stall_time: Span::millis(1, 400),
        give_up: Duration::from_secs(dice.pick("net.give_up", &[2, 20])),
        ..NetworkFaults::default()
    }
}

/// Kinds that a seed may switch off.
const KINDS: u64 = 31;

fn draw_faults(dice: &Dice, plan: &Plan) -> Vec<Fault> {
    let length = plan.length.as_millis() as u64;
    let gap = dice.pick("faults.gap", &[300_u64, 1_000, 3_000, 10_000]);
    let count = (length / gap).clamp(1, 60);
    let on: Vec<u64> = (0..KINDS).filter(|kind| dice.below("faults.on", *kind, 2) == 1).collect();
    let mut faults = Vec::new();
    for index in 0..count {
        let Some(kind) = on.get(dice.below("faults.kind", index, on.len() as u64) as usize) else { break };
        let at = Duration::from_millis(dice.below("faults.at", index, length * 9 / 10));
        let lasts = match dice.below("faults.long", index, 3) {
            0 => 1 + dice.below("faults.lasts", index, 20),
            1 => 50 + dice.below("faults.lasts", index, 550),
            _ => 600 + dice.below("faults.lasts", index, 4_000),
        };
        let kind = draw_kind(dice, plan, index, *kind);
        faults.push(Fault { at, lasts: Duration::from_millis(lasts), kind });
    }
    let joins = (0..plan.spares).map(|spare| {
        let at = Duration::from_millis(dice.below("faults.join", spare as u64, length / 2));
        Fault { at, lasts: Duration::ZERO, kind: Kind::Join(plan.nodes + spare) }
    });
    faults.extend(joins);
    faults.extend(draw_lies(dice, plan));
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// One seed in so many has a node whose disk lies.
const LYING_ONE_IN: u64 = 6;

/// Bits that change and blocks that cannot be read, at one node. What was lost in silence is beyond what is promised: who has forgotten what it acknowledged
/// may vote for somebody who never had it.
fn draw_lies(dice: &Dice, plan: &Plan) -> Vec<Fault> {
    if dice.below("lies", 0, LYING_ONE_IN) != 0 {
        return Vec::new();
    }
    let node = dice.below("lies.node", 0, plan.nodes as u64) as usize;
    let fault = |index: u64| {
        let lie = [Lie::Rot, Lie::RotOnRead, Lie::Unreadable][dice.below("lies.kind", index, 3) as usize];
        let at = Duration::from_millis(dice.below("lies.at", index, plan.length.as_millis() as u64 * 9 / 10));
        let lasts = Duration::from_millis(200 + dice.below("lies.lasts", index, 4_000));
        Fault { at, lasts, kind: Kind::LyingDisk(node, lie) }
    };
    (0..1 + dice.below("lies.count", 0, 3)).map(fault).collect()
}

fn draw_kind(dice: &Dice, plan: &Plan, index: u64, kind: u64) -> Kind {
    let nodes = plan.nodes as u64;
    let node = dice.below("fault.node", index, nodes) as usize;
    let other = (node + 1 + dice.below("fault.other", index, nodes - 1) as usize) % plan.nodes;
    let vnode = dice.below("fault.vnode", index, u64::from(plan.vnodes) + 1) as u32;
    let moment = Duration::from_micros(dice.below("fault.moment", index, 20_000));
    let whom = match dice.below("fault.whom", index, 4) {
        0 => Whom::Leader(vnode),
        1 => Whom::Elected(moment),
        _ => Whom::Node(node),
    };
    let sign = if dice.below("fault.sign", index, 2) == 0 { 1 } else { -1 };
    let way = [Way::In, Way::Out, Way::Both][dice.below("fault.way", index, 3) as usize];
    match kind {
        0 | 1 => Kind::Crash(whom),
        2 => Kind::Crash(Whom::Leader(vnode)),
        3 => Kind::CrashTwice(whom, moment * 10),
        4 => Kind::Blackout,
        5 => Kind::Restart(whom),
        6 => Kind::Pause(whom),
        7 => Kind::Pause(Whom::Leader(vnode)),
        8 => Kind::Isolate(whom, way),
        9 => Kind::Isolate(Whom::Leader(vnode), way),
        10 => Kind::IsolateThenCrash(whom),
        11 => Kind::Cut(node, other, way == Way::Both),
        12 => Kind::SlowNetwork(moment),
        13 => Kind::Resets(Chance(1 + dice.below("fault.resets", index, 20_000) as u32)),
        14 => Kind::Drift(node, sign * dice.below("fault.ppm", index, 20_000) as i32),
        15 => Kind::Jump(node, i64::from(sign) * (dice.below("fault.jump", index, 7_200_000_000) as i64)),
        16 => Kind::SlowDisk(whom),
        17 => Kind::Crash(Whom::Recycling(moment)),
        18 => Kind::Transfer(vnode, node),
        19 => Kind::Depose(Whom::Leader(vnode)),
        20 => Kind::Depose(whom),
        21 => Kind::TransferThenDepose(vnode, node),
        22 => Kind::DeposeThenCrash(Whom::Leader(vnode)),
        23 => Kind::SlowLink(node, other, moment * 10),
        24 => Kind::FailingDisk(whom),
        25 => Kind::FullDisk(node),
        26 => Kind::Move(vnode, node, dice.below("fault.to", index, plan.machines() as u64) as usize),
        27 => Kind::Drain(node),
        28 if plan.routers > 0 => Kind::CutRouter(node % plan.routers, whom),
        29 if sign > 0 => Kind::Crash(Whom::Offering(moment)),
        29 => Kind::Isolate(Whom::Offering(moment), way),
        _ => Kind::TransferThenCut(vnode, node),
    }
}

#[cfg(test)]
mod tests;
