//! Links over the simulated network: nodes that come, go, move, and are cut off.

use super::*;
use crate::secret::{Secret, Trust};
use crate::session::Identity;
use model::ring::ShardId;
use runtime::sim::{Chance, NetworkFaults, NodeId as Machine, SimRuntime, Span, World, WorldOptions};
use runtime::sync::join_all;

const CLUSTER: u128 = 42;

type TestLinks = Links<SimRuntime>;

fn place(node: u16) -> Place {
    Place { node: NodeId(node), shard: ShardId(0) }
}

/// One node of a cluster: its links and what they said. Filled anew at each start.
#[derive(Default)]
struct Node {
    links: RefCell<Option<TestLinks>>,
    rt: RefCell<Option<SimRuntime>>,
    told: RefCell<Vec<(NodeId, Vec<u8>)>>,
    events: RefCell<Vec<String>>,
}

impl Node {
    fn links(&self) -> TestLinks {
        self.links.borrow().clone().expect("it has started")
    }

    fn rt(&self) -> SimRuntime {
        self.rt.borrow().clone().expect("it has started")
    }

    fn soon(&self, millis: u64) -> Mono {
        self.rt().now().after(Duration::from_millis(millis))
    }

    fn saw(&self, words: &str) -> usize {
        self.events.borrow().iter().filter(|event| event.contains(words)).count()
    }
}

/// A few nodes, each on a machine, and where they listen. Node n is the machine of index n.
struct Cluster {
    world: World,
    machines: Vec<Machine>,
    nodes: Vec<Rc<Node>>,
    addresses: Rc<RefCell<BTreeMap<Place, SocketAddr>>>,
}

fn options(node: u16, rt: &SimRuntime) -> LinksOptions {
    let identity = Identity {
        cluster: CLUSTER,
        node: u128::from(node),
        place: Some(place(node)),
        start: rt.random(runtime::Purpose::Id),
    };
    let trust = Trust::Secret(Secret::new(b"what only this cluster knows").unwrap());
    LinksOptions::new(SessionOptions::new(identity, trust))
}

/// Answers with the node and the request, after the milliseconds that it begins with.
fn echo(node: u16, rt: &SimRuntime) -> Handler {
    let rt = rt.clone();
    Rc::new(move |request: Vec<u8>| {
        let rt = rt.clone();
        Box::pin(async move {
            let pause = request.first().map_or(0, |first| u64::from(*first));
            if pause > 0 {
                rt.sleep(Duration::from_millis(pause)).await;
            }
            [node.to_le_bytes().as_slice(), &request].concat()
        })
    })
}

fn answer(node: u16, request: &[u8]) -> Result<Vec<u8>, CallError> {
    Ok([node.to_le_bytes().as_slice(), request].concat())
}

impl Cluster {
    /// `count` nodes; those of `up` are started.
    fn new(seed: u64, count: u16, network: NetworkFaults) -> Cluster {
        let world = World::new(seed, WorldOptions { network, ..WorldOptions::default() });
        let machines: Vec<Machine> = (0..count).map(|n| world.node(&format!("n{n}"))).collect();
        let cluster = Cluster {
            machines,
            nodes: (0..count).map(|_| Rc::default()).collect(),
            addresses: Rc::default(),
            world,
        };
        (0..count).for_each(|node| cluster.start(node, 7000, |_| ()));
        cluster.world.run_for(Duration::from_millis(5));
        cluster
    }

    /// Starts a node, which listens on `port`.
    fn start(&self, number: u16, port: u16, change: impl Fn(&mut LinksOptions) + 'static) {
        let machine = self.machines[usize::from(number)];
        let address = self.world.address(machine, port);
        self.addresses.borrow_mut().insert(place(number), address);
        let (node, addresses) = (self.nodes[usize::from(number)].clone(), self.addresses.clone());
        let change = Rc::new(change);
        self.world.start(machine, 1, move |rt| {
            let mut options = options(number, &rt);
            change(&mut options);
            let addresses = addresses.clone();
            let links = Links::new(
                rt.clone(),
                options,
                Rc::new(move |place| addresses.borrow().get(&place).copied()),
            );
            links.set_handler(echo(number, &rt));
            let log = node.clone();
            links.set_receiver(Rc::new(move |node, _shard, bytes| {
                log.told.borrow_mut().push((node, bytes.to_vec()));
            }));
            let log = node.clone();
            links.set_watcher(Rc::new(move |event| {
                let words = match event {
                    LinkEvent::There(place) => format!("there {}", place.node.0),
                    LinkEvent::Gone(place, why) => format!("gone {}: {why}", place.node.0),
                    LinkEvent::Refused(_, why) => format!("refused: {why}"),
                };
                log.events.borrow_mut().push(words);
            }));
            *node.links.borrow_mut() = Some(links.clone());
            *node.rt.borrow_mut() = Some(rt.clone());
            async move {
                let listener = rt.listen(address).await.expect("the port is free");
                select(links.serve(listener), links.run()).await;
            }
        });
    }

    /// A call from one node to another, to its end.
    fn call(&self, from: u16, to: u16, millis: u64, request: &[u8]) -> Result<Vec<u8>, CallError> {
        let node = &self.nodes[usize::from(from)];
        self.world.block_on(node.links().call(place(to), node.soon(millis), request.to_vec()))
    }

    fn node(&self, number: u16) -> &Node {
        &self.nodes[usize::from(number)]
    }

    /// Whether calls from one node to another are answered within `limit`, tried over and over as a router does.
    fn answers_within(&self, limit: Duration, from: u16, to: u16) -> bool {
        let end = self.world.elapsed() + limit;
        while self.world.elapsed() < end {
            if self.call(from, to, 500, b"\0?") == answer(to, b"\0?") {
                return true;
            }
            self.world.run_for(Duration::from_millis(20));
        }
        false
    }

    fn run_millis(&self, millis: u64) {
        self.world.run_for(Duration::from_millis(millis));
    }
}

#[test]
fn a_call_finds_its_way_and_one_connection_serves_both_directions() {
    let cluster = Cluster::new(1, 3, NetworkFaults::default());
    assert_eq!(cluster.call(0, 1, 1000, b"\0hello"), answer(1, b"\0hello"));
    assert!(cluster.node(1).links().is_there(place(0)), "the other end knows who connected");
    assert_eq!(cluster.call(1, 0, 1000, b"\0back"), answer(0, b"\0back"));
    for (node, other) in [(0, 1), (1, 0)] {
        assert_eq!(*cluster.node(node).events.borrow(), [format!("there {other}")], "one session is enough");
    }
    assert!(!cluster.node(0).links().is_there(place(2)), "nobody wanted it");
    let node = cluster.node(0);
    let calls = (0..500_u16).map(|n| {
        let request = [&[(n % 3) as u8], n.to_le_bytes().as_slice()].concat();
        let (links, deadline) = (node.links(), node.soon(5000));
        async move {
            let outcome = links.call(place(1 + n % 2), deadline, request.clone()).await;
            (n, request, outcome)
        }
    });
    let outcomes = cluster.world.block_on(join_all(calls));
    for (n, request, outcome) in outcomes {
        assert_eq!(outcome, answer(1 + n % 2, &request));
    }
}

#[test]
fn what_is_told_arrives_once_there_is_a_session() {
    let cluster = Cluster::new(2, 2, NetworkFaults::default());
    let links = cluster.node(0).links();
    assert!(!links.tell(place(1), b"lost".to_vec()), "there is no session yet");
    cluster.run_millis(50);
    assert!(links.is_there(place(1)), "but somebody connects");
    assert!(links.tell(place(1), b"first".to_vec()));
    assert!(links.tell(place(1), b"second".to_vec()));
    assert!(cluster.node(1).links().tell(place(0), b"back".to_vec()));
    cluster.run_millis(50);
    let told = |words: &[u8]| (NodeId(0), words.to_vec());
    assert_eq!(*cluster.node(1).told.borrow(), [told(b"first"), told(b"second")]);
    assert_eq!(*cluster.node(0).told.borrow(), [(NodeId(1), b"back".to_vec())]);
}

#[test]
fn nobody_knows_the_place() {
    let cluster = Cluster::new(3, 1, NetworkFaults::default());
    let links = cluster.node(0).links();
    assert_eq!(cluster.call(0, 9, 1000, b"x"), Err(CallError::NotServing));
    assert!(!links.tell(place(9), b"x".to_vec()));
    assert!(links.inner.links.borrow().is_empty(), "nothing is kept of it");
}

#[test]
fn nobody_listens_there() {
    let cluster = Cluster::new(4, 2, NetworkFaults::default());
    cluster.world.crash(cluster.machines[1]);
    cluster.world.start(cluster.machines[1], 1, |_| std::future::pending());
    let before = cluster.world.elapsed();
    let mut calls = 0;
    while cluster.world.elapsed() < before + Duration::from_secs(10) {
        assert_eq!(cluster.call(0, 1, 5000, b"x"), Err(CallError::NotServing));
        calls += 1;
        cluster.run_millis(1);
    }
    let attempts = cluster.node(0).saw("gone 1");
    assert!(calls > 5000, "{calls} calls were refused without a wait");
    assert!((8..40).contains(&attempts), "{attempts} attempts, with growing pauses");
    cluster.run_millis(3000);
    assert!(cluster.node(0).links().inner.links.borrow().is_empty(), "nobody wants it any more");
}

#[test]
fn a_call_that_waits_for_a_connection_ends_at_its_deadline() {
    let cluster = Cluster::new(5, 2, NetworkFaults::default());
    cluster.world.cut(cluster.machines[0], cluster.machines[1]);
    let before = cluster.world.elapsed();
    assert_eq!(cluster.call(0, 1, 100, b"x"), Err(CallError::NotServing));
    let took = cluster.world.elapsed() - before;
    assert!((100..200).contains(&took.as_millis()), "{took:?}");
    let before = cluster.world.elapsed();
    assert_eq!(cluster.call(0, 1, 2000, b"x"), Err(CallError::NotServing));
    let took = cluster.world.elapsed() - before;
    assert!((250..350).contains(&took.as_millis()), "{took:?}: others may be asked meanwhile");
    cluster.world.heal_all();
    assert!(cluster.answers_within(Duration::from_secs(8), 0, 1));
}

#[test]
fn calls_that_wait_for_a_connection_have_a_bound() {
    let cluster = Cluster::new(6, 2, NetworkFaults::default());
    cluster.world.cut(cluster.machines[0], cluster.machines[1]);
    let node = cluster.node(0);
    let links = node.links();
    let calls = (0..10).map(|_| links.call(place(1), node.soon(300), vec![0; 10 << 20]));
    let outcomes = cluster.world.block_on(join_all(calls));
    let busy = outcomes.iter().filter(|outcome| **outcome == Err(CallError::Busy)).count();
    let late = outcomes.iter().filter(|outcome| **outcome == Err(CallError::NotServing)).count();
    assert_eq!((busy, late), (4, 6));
}

#[test]
fn a_node_that_comes_back_elsewhere_is_found() {
    let crash_resets = [Chance::NEVER, Chance::ALWAYS];
    for (seed, crash_resets) in (0..10).zip(crash_resets.into_iter().cycle()) {
        let cluster = Cluster::new(seed, 2, NetworkFaults { crash_resets, ..NetworkFaults::default() });
        assert_eq!(cluster.call(0, 1, 1000, b"\0x"), answer(1, b"\0x"));
        cluster.world.crash(cluster.machines[1]);
        let outcome = cluster.call(0, 1, 200, b"\0x");
        assert!(outcome.is_err());
        cluster.start(1, 7999, |_| ());
        cluster.run_millis(5);
        let limit = Duration::from_secs(8);
        assert!(cluster.answers_within(limit, 0, 1), "seed {seed}: {:?}", cluster.node(0).events);
    }
}

/// Nobody told node 0 that node 1 died; it learns it when node 1 connects anew, not after the silence.
#[test]
fn a_new_start_ends_the_sessions_of_the_older_one() {
    let network = NetworkFaults { crash_resets: Chance::NEVER, ..NetworkFaults::default() };
    let cluster = Cluster::new(7, 2, network);
    assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
    cluster.world.crash(cluster.machines[1]);
    let node = cluster.node(0);
    let (links, deadline) = (node.links(), node.soon(60_000));
    let lost =
        node.rt().spawn(Class::Foreground, async move { links.call(place(1), deadline, vec![0]).await });
    cluster.start(1, 7000, |_| ());
    cluster.run_millis(10);
    let before = cluster.world.elapsed();
    assert_eq!(cluster.call(1, 0, 1000, b"\0x"), answer(0, b"\0x"));
    assert_eq!(cluster.world.block_on(lost), Err(CallError::Closed), "nobody knows");
    assert!(
        cluster.world.elapsed() - before < Duration::from_millis(500),
        "long before the silence is too long"
    );
    assert_eq!(cluster.call(0, 1, 1000, b"\0x"), answer(1, b"\0x"), "the new session is used");
}

#[test]
fn a_broken_connection_ends_its_calls_and_is_made_again() {
    let cluster = Cluster::new(8, 2, NetworkFaults::default());
    assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
    let node = cluster.node(0);
    let (links, deadline) = (node.links(), node.soon(60_000));
    let under_way =
        node.rt().spawn(Class::Foreground, async move { links.call(place(1), deadline, vec![200]).await });
    cluster.run_millis(20);
    cluster.world.reset_connections(cluster.machines[0], cluster.machines[1]);
    assert_eq!(cluster.world.block_on(under_way), Err(CallError::Closed));
    assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
    assert_eq!(cluster.node(0).saw("there 1"), 2);
    assert_eq!(cluster.node(0).saw("gone 1: the connection failed"), 1);
}

#[test]
fn somebody_else_at_the_address_is_not_taken_for_the_place() {
    let cluster = Cluster::new(9, 3, NetworkFaults::default());
    let of_two = cluster.addresses.borrow()[&place(2)];
    cluster.addresses.borrow_mut().insert(place(1), of_two);
    assert_eq!(cluster.call(0, 1, 1000, b"\0x"), Err(CallError::NotServing));
    assert_eq!(
        cluster.node(0).saw("shard 0 of node 1 was expected at that address, and shard 0 of node 2"),
        1
    );
}

#[test]
fn another_secret_is_told_on_both_sides() {
    let cluster = Cluster::new(10, 1, NetworkFaults::default());
    let cluster = Cluster {
        machines: vec![cluster.machines[0], cluster.world.node("stranger")],
        nodes: vec![cluster.nodes[0].clone(), Rc::default()],
        ..cluster
    };
    cluster.start(1, 7000, |options| {
        options.session.trust = Trust::Secret(Secret::new(b"what another cluster knows").unwrap());
    });
    cluster.run_millis(5);
    assert_eq!(cluster.call(0, 1, 1000, b"\0x"), Err(CallError::NotServing));
    cluster.run_millis(1000);
    assert!(cluster.node(0).saw("different cluster secrets") >= 1, "{:?}", cluster.node(0).events);
    assert!(cluster.node(1).saw("refused: the two ends have different cluster secrets") >= 1);
}

#[test]
fn who_is_no_member_is_refused_and_so_are_too_many() {
    let cluster = Cluster::new(11, 3, NetworkFaults::default());
    cluster.node(0).links().set_rule(Rc::new(|candidate| match candidate.hello.place == Some(place(1)) {
        true => Verdict::NotMember,
        false => Verdict::Welcome,
    }));
    assert_eq!(cluster.call(1, 0, 1000, b"\0x"), Err(CallError::NotServing));
    assert_eq!(cluster.node(1).saw("no member of the cluster"), 1);
    assert_eq!(cluster.call(2, 0, 1000, b"\0x"), answer(0, b"\0x"));
    cluster.world.crash(cluster.machines[0]);
    cluster.start(0, 7001, |options| options.sessions_max = 1);
    cluster.run_millis(5);
    assert!(cluster.answers_within(Duration::from_secs(8), 1, 0));
    assert!(!cluster.answers_within(Duration::from_secs(3), 2, 0));
    assert!(cluster.node(2).saw("as many sessions as it may") >= 1);
    assert_eq!(cluster.call(0, 2, 1000, b"\0x"), answer(2, b"\0x"), "its own are not counted");
}

/// Those that connect and say nothing hold the handshakes' turns only for their time.
#[test]
fn silent_connections_do_not_keep_others_out_for_ever() {
    let cluster = Cluster::new(12, 3, NetworkFaults::default());
    cluster.world.crash(cluster.machines[0]);
    cluster.start(0, 7000, |options| options.handshakes_max = 4);
    cluster.run_millis(5);
    let (rt, address) = (cluster.node(2).rt(), cluster.addresses.borrow()[&place(0)]);
    let silent = cluster.world.block_on(join_all((0..8).map(|_| rt.connect(address))));
    assert_eq!(cluster.call(1, 0, 1000, b"\0x"), Err(CallError::NotServing), "all turns are taken");
    assert!(cluster.answers_within(Duration::from_secs(12), 1, 0));
    assert_eq!(cluster.node(0).saw("refused: nothing came"), 8);
    drop(silent);
}

/// One address cannot take all the turns, whatever it does with them.
#[test]
fn the_handshakes_of_one_address_are_bounded() {
    let cluster = Cluster::new(13, 3, NetworkFaults::default());
    cluster.world.crash(cluster.machines[0]);
    cluster.start(0, 7000, |options| {
        options.handshakes_max = 8;
        options.handshakes_per_ip_max = 3;
    });
    cluster.run_millis(5);
    let (rt, address) = (cluster.node(2).rt(), cluster.addresses.borrow()[&place(0)]);
    let silent = cluster.world.block_on(join_all((0..40).map(|_| rt.connect(address))));
    cluster.run_millis(20);
    assert_eq!(cluster.node(0).saw("too many of its connections"), 37);
    assert_eq!(cluster.call(1, 0, 1000, b"\0x"), answer(0, b"\0x"), "others are served at once");
    cluster.run_millis(5_000);
    assert_eq!(cluster.node(0).saw("refused: nothing came"), 3, "and the silent ones end in time");
    drop(silent);
    assert!(cluster.answers_within(Duration::from_secs(5), 2, 0), "then it may connect again");
}

#[test]
fn both_may_connect_at_once() {
    for seed in 0..20 {
        let cluster = Cluster::new(seed, 2, NetworkFaults::default());
        let calls = [(0, 1), (1, 0)].map(|(from, to)| {
            let node = cluster.node(from);
            let (links, deadline) = (node.links(), node.soon(1000));
            async move { links.call(place(to), deadline, vec![0, 9]).await }
        });
        let outcomes = cluster.world.block_on(join_all(calls));
        assert_eq!(outcomes, [answer(1, &[0, 9]), answer(0, &[0, 9])]);
        cluster.run_millis(5000);
        assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
        assert!(cluster.answers_within(Duration::from_secs(1), 1, 0));
        assert_eq!(cluster.node(0).saw("gone"), 0, "seed {seed}: two sessions are fine");
    }
}

#[test]
fn a_cut_drops_frames_and_healing_brings_the_link_back() {
    for (direction, seed) in [(Direction::In, 1), (Direction::Out, 2), (Direction::Both, 3)] {
        let cluster = Cluster::new(seed, 2, NetworkFaults::default());
        assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
        let links = cluster.node(0).links();
        links.cut(NodeId(1), direction);
        assert_eq!(
            cluster.call(0, 1, 300, b"\0x"),
            Err(CallError::Deadline),
            "nobody knows what became of it"
        );
        assert!(links.is_there(place(1)), "nothing was closed");
        assert!(links.tell(place(1), b"word".to_vec()));
        cluster.run_millis(100);
        let came = cluster.node(1).told.borrow().len();
        assert_eq!(came, usize::from(direction == Direction::In), "only what comes in is cut");
        cluster.run_millis(6000);
        assert!(!links.is_there(place(1)), "silence ends it");
        assert!(cluster.node(0).saw("gone 1") >= 1 && cluster.node(1).saw("gone 0") >= 1);
        assert_eq!(cluster.call(1, 0, 300, b"\0x"), Err(CallError::NotServing), "nor is it made anew");
        links.heal(NodeId(1));
        assert!(cluster.answers_within(Duration::from_secs(8), 0, 1));
        assert!(cluster.answers_within(Duration::from_secs(8), 1, 0));
    }
}

#[test]
fn a_short_cut_ends_the_session_that_lost_frames() {
    let cluster = Cluster::new(13, 2, NetworkFaults::default());
    assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
    let node = cluster.node(0);
    node.links().cut(NodeId(1), Direction::Both);
    let (links, deadline) = (node.links(), node.soon(60_000));
    let lost =
        node.rt().spawn(Class::Foreground, async move { links.call(place(1), deadline, vec![0]).await });
    cluster.run_millis(50);
    node.links().heal(NodeId(1));
    assert_eq!(cluster.world.block_on(lost), Err(CallError::Closed), "it need not wait for its deadline");
    assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
}

#[test]
fn stopping_ends_everything() {
    let cluster = Cluster::new(14, 2, NetworkFaults::default());
    assert!(cluster.answers_within(Duration::from_secs(1), 0, 1));
    let node = cluster.node(0);
    let (links, deadline) = (node.links(), node.soon(60_000));
    let under_way =
        node.rt().spawn(Class::Foreground, async move { links.call(place(1), deadline, vec![200]).await });
    cluster.run_millis(5);
    node.links().stop();
    assert_eq!(cluster.world.block_on(under_way), Err(CallError::Closed));
    cluster.run_millis(100);
    assert_eq!(cluster.call(0, 1, 1000, b"x"), Err(CallError::NotServing));
    assert_eq!(cluster.call(1, 0, 1000, b"x"), Err(CallError::NotServing), "nobody listens there any more");
    assert!(node.links().inner.links.borrow().is_empty(), "nothing is left");
    let left = Rc::strong_count(&node.links().inner);
    assert_eq!(left, 2, "its node's and this one's own: no task holds it");
}

/// Everything at once: resets, refused and slow connections, cuts, crashes. A call always ends by its deadline, and what is
/// answered is right; when all is quiet, everybody reaches everybody.
#[test]
fn whatever_happens_calls_end_and_answers_are_right() {
    let (mut answered, mut unknown, mut refused) = (0, 0, 0);
    for seed in 0..40 {
        let network = NetworkFaults {
            reset: Chance::per_mille(5),
            refuse: Chance::percent(20),
            stall: Chance::percent(1),
            stall_time: Span::millis(1, 300),
            ..NetworkFaults::default()
        };
        let cluster = Cluster::new(seed, 3, network);
        for round in 0..30_u64 {
            let draw = cluster.world.draw("fate", round);
            let (one, other) =
                (cluster.machines[(draw % 3) as usize], cluster.machines[(draw / 3 % 3) as usize]);
            match draw / 16 % 8 {
                0 if one != other => cluster.world.cut_one_way(one, other),
                1 => cluster.world.heal_all(),
                2 => {
                    cluster.world.crash(one);
                    let number = (draw % 3) as u16;
                    cluster.start(number, 7000 + (round % 2) as u16, |_| ());
                    cluster.run_millis(1);
                }
                _ => (),
            }
            let calls = (0..6_u16).map(|n| {
                let (from, to) = (n % 3, (n + 1 + n / 3) % 3);
                let node = cluster.node(from);
                let (links, rt, deadline) = (node.links(), node.rt(), node.soon(400));
                let request = [&[(draw % 4) as u8], n.to_le_bytes().as_slice()].concat();
                async move {
                    let outcome = links.call(place(to), deadline, request.clone()).await;
                    let over = rt.now().since(deadline);
                    assert!(over < Duration::from_millis(20), "seed {seed}: {over:?} too late");
                    (outcome, answer(to, &request))
                }
            });
            for (outcome, right) in cluster.world.block_on(join_all(calls)) {
                match outcome {
                    Err(error) if error.had_no_effect() => refused += 1,
                    Err(_) => unknown += 1,
                    reply => {
                        assert_eq!(reply, right, "seed {seed}");
                        answered += 1;
                    }
                }
            }
        }
        cluster.world.heal_all();
        cluster.world.set_network_faults(NetworkFaults::default());
        for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
            assert!(cluster.answers_within(Duration::from_secs(15), from, to), "seed {seed}: {from} to {to}");
        }
    }
    assert!(answered > 1000 && unknown > 20 && refused > 100, "{answered}, {unknown}, {refused}");
}
