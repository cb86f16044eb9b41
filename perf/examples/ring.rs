//! What a ring of many vnodes takes: memory, the owner of a token, the next move, a map's bytes, a delta.
//!
//! ```text
//! cargo run --release -p perf --example ring                  a million vnodes
//! cargo run --release -p perf --example ring -- 256
//! ```
//!
//! The sketch: a lookup touches the index, a start, a number and the replicas, one line of cache each, three of them one after the
//! other: under 200 ns where all of them miss. Memory: 8 bytes of start, 4 of number, 4 to find it by number, 4 of index, 36 of
//! replicas: 56 of them, 53.4 MiB for a million.
//!
//! Each figure is of its own loop over random tokens; every lookup's result is added up, and the sum printed, so that
//! none is left out.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use model::map::Map;
use model::node::{Node, NodeState};
use model::placement::{Limits, Look, Planner, finish, found};
use model::ring::{NodeId, PeerId, Place, Replicas, ShardId, VnodeId};

const LOOKUPS: u64 = 4_000_000;
const NODES: u16 = 30;
const SHARDS: u16 = 16;
/// Moves that are looked for one after the other; a small ring has no more.
const MOVES: u32 = 20;

fn main() {
    let asked = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let vnode_count: u32 = asked.map_or(1_000_000, |count| count.parse().expect("a number of vnodes"));
    let nodes: Vec<Node> = (0..NODES).map(node).collect();
    let (ring, took) = timed(|| found(&nodes, vnode_count).ring);
    println!("vnodes            {vnode_count}, 3 replicas each on {NODES} nodes of {SHARDS} shards");
    println!("dealt in          {:.0} ms", took.as_secs_f64() * 1e3);
    println!("memory            {:.1} MiB", ring.memory_bytes() as f64 / f64::from(1 << 20));

    let mut seed = 1;
    let (sum, took) = timed(|| {
        (0..LOOKUPS).fold(0_u64, |sum, _| {
            let vnode = ring.owner(black_box(next(&mut seed)));
            sum.wrapping_add(u64::from(vnode.id.0)).wrapping_add(u64::from(vnode.leader().node.0))
        })
    });
    let (empty, idle) =
        timed(|| (0..LOOKUPS).fold(0_u64, |sum, _| sum.wrapping_add(black_box(next(&mut seed)))));
    report("owner of a token", took, idle, sum ^ empty);
    let (sum, took) = timed(|| {
        (0..LOOKUPS).fold(0_u64, |sum, _| {
            let id = VnodeId((next(&mut seed) % u64::from(vnode_count)) as u32 + 1);
            sum.wrapping_add(ring.range(black_box(id)).expect("a vnode of the ring").0)
        })
    });
    report("range of a vnode", took, idle, sum);

    let mut grown = Map { version: 1, ..Map::alone(ring.clone()) };
    grown.nodes = (0..=NODES).map(|number| (NodeId(number), Rc::new(node(number)))).collect();
    moves(grown, vnode_count);

    let old = Map { version: 1, ..Map::alone(ring) };
    let (bytes, took) = timed(|| old.encode());
    println!("map, whole        {} bytes, encoded in {:.1} ms", bytes.len(), took.as_secs_f64() * 1e3);
    let (back, took) = timed(|| Map::decode(&bytes).expect("it was encoded"));
    println!("                  decoded in {:.1} ms", took.as_secs_f64() * 1e3);
    let (new, took) = timed(|| changed(&old, vnode_count));
    println!("one vnode moved   {:.1} us", took.as_secs_f64() * 1e6);
    let (delta, took) = timed(|| new.delta(&old).expect("the same ranges"));
    println!("its delta         {} bytes, made in {:.1} us", delta.len(), took.as_secs_f64() * 1e6);
    let (newer, took) = timed(|| back.update(&delta).expect("it was made of the same map"));
    println!("                  taken in {:.1} us", took.as_secs_f64() * 1e6);
    assert!(newer.ring == new.ring, "a delta makes the same ring");
}

/// One more node has joined: what it takes to know what to move next, the first time and then after each move.
fn moves(mut map: Map, vnode_count: u32) {
    let (mut planner, limits) = (Planner::default(), Limits::default());
    let mut next_peer = PeerId(4 * vnode_count);
    let told = |what: &str, searches: u32, looks: &[Duration]| {
        let sum: Duration = looks.iter().sum();
        let longest = looks.iter().max().expect("there was a look");
        println!(
            "{what:<17} {:.1} us in {:.1} looks, the longest look {:.1} us",
            sum.as_secs_f64() * 1e6 / f64::from(searches),
            looks.len() as f64 / f64::from(searches),
            longest.as_secs_f64() * 1e6
        );
    };
    let mut looks = Vec::new();
    for search in 0..=MOVES {
        if search == 1 {
            told("first move found", 1, &looks);
            looks.clear();
        }
        let found = loop {
            let (look, took) = timed(|| planner.look(&map, next_peer, &limits));
            looks.push(took);
            match look {
                Look::Move(found) => break found,
                Look::More => {}
                Look::Nothing => panic!("the new node has not got its share after {search} moves"),
            }
        };
        map.ring.set_replicas(found.vnode, finish(&found.replicas));
        map.ring.epoch += 1;
        next_peer.0 += 1;
    }
    told("each one after it", MOVES, &looks);
}

fn node(number: u16) -> Node {
    let address = |shard: u16| format!("10.0.0.{number}:{}", 7000 + shard).parse().expect("an address");
    Node {
        number: NodeId(number),
        id: u128::from(number),
        name: format!("node-{number}"),
        zone: format!("zone-{}", number % 3),
        addresses: (0..SHARDS).map(address).collect(),
        http: None,
        state: NodeState::Active,
    }
}

fn changed(old: &Map, vnode_count: u32) -> Map {
    let mut map = Map { version: old.version + 1, ..old.clone() };
    let place = Place { node: NodeId(0), shard: ShardId(0) };
    map.ring.set_replicas(VnodeId(vnode_count / 2 + 1), Replicas::alone(PeerId(u32::MAX), place));
    map.ring.epoch += 1;
    map
}

fn report(what: &str, took: Duration, idle: Duration, sum: u64) {
    let each = took.saturating_sub(idle).as_secs_f64() * 1e9 / LOOKUPS as f64;
    println!("{what:<17} {each:.1} ns (sum {sum:016x})");
}

#[expect(clippy::disallowed_methods, reason = "measures time itself")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

/// SplitMix64.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
