//! Faults that know where it hurts: aimed at the leader, at the moment after an election, at a transfer; and quiet
//! phases, in which a bug shows that traffic would hide.

use super::world::{Dice, MS, World};

/// What one seed does to its world.
pub(super) struct Nemesis {
    dice: Dice,
    /// Kinds that this seed uses, by number; each seed draws its own.
    kinds: Vec<u64>,
    pause_max: u64,
    /// What follows after the last strike: (kind, peer).
    planned: Option<(Then, u64)>,
}

/// The second half of a strike in two steps.
#[derive(Clone, Copy)]
enum Then {
    RestartAndCut,
    Stall,
    Deafen,
    Heal,
}

const KINDS: u64 = 15;

impl Nemesis {
    pub(super) fn new(seed: u64) -> Nemesis {
        let mut dice = Dice::new(seed, 2);
        let mut kinds: Vec<u64> = (0..KINDS).filter(|_| dice.per_mille(450)).collect();
        if kinds.is_empty() {
            kinds.push(0);
        }
        let pause_max = dice.between(100, 800) * MS;
        Nemesis { dice, kinds, pause_max, planned: None }
    }

    /// Does one thing; the time until the next.
    pub(super) fn strike(&mut self, world: &mut World) -> u64 {
        if let Some((then, peer)) = self.planned.take() {
            return self.follow(then, peer, world);
        }
        let Some(kind) = self.dice.pick(&self.kinds) else { return self.pause_max };
        self.aim(kind, world).unwrap_or_else(|| self.dice.between(10 * MS, self.pause_max))
    }

    fn aim(&mut self, kind: u64, world: &mut World) -> Option<u64> {
        let running = world.running();
        let any = self.dice.pick(&running)?;
        let leader = world.leader().unwrap_or(any);
        let others: Vec<u64> = world.voters().into_iter().filter(|peer| *peer != leader).collect();
        let follower = self.dice.pick(&others).unwrap_or(any);
        match kind {
            0 => world.crash(any, self.away()),
            1 => world.crash(leader, self.away()),
            2 => self.cut_off(leader, world),
            3 => world.cuts = [(leader, follower)].into(),
            4 => world.pause(leader, self.dice.between(20, 400) * MS),
            5 => world.pause(any, self.dice.between(20, 400) * MS),
            6 => return Some(self.transfer(leader, follower, world)),
            7 => world.replace(follower),
            8 => self.weather(world),
            9 => self.disks(leader, world),
            10 => return Some(self.split_vote(leader, follower, Then::RestartAndCut, world)),
            11 => return Some(self.lose_leader_and_one(leader, follower, world)),
            12 => self.traffic(world),
            13 => running.iter().for_each(|peer| world.crash(*peer, self.dice.between(1, 50) * MS)),
            14 => return Some(self.split_vote(leader, follower, Then::Stall, world)),
            _ => unreachable!("{KINDS} kinds"),
        }
        if self.dice.per_mille(300) {
            world.heal();
        }
        None
    }

    /// A follower does not hear the leader for a while, and then the other one forgets or stalls, right when it is
    /// asked for its vote.
    fn split_vote(&mut self, leader: u64, candidate: u64, then: Then, world: &mut World) -> u64 {
        world.heal();
        (world.client_every, world.write_per_mille) = (MS, 20);
        world.cuts = [(leader, candidate), (candidate, leader)].into();
        let others = world.voters();
        let voter = others.into_iter().find(|peer| *peer != leader && *peer != candidate);
        self.planned = voter.map(|voter| (then, voter));
        self.dice.between(90, 320) * MS
    }

    fn follow(&mut self, then: Then, peer: u64, world: &mut World) -> u64 {
        match then {
            Then::RestartAndCut => {
                let leader = world.leader().unwrap_or(peer);
                self.cut_off(leader, world);
                world.write_per_mille = 700;
                if peer != leader {
                    world.crash(peer, self.dice.between(0, 3) * MS);
                }
                self.planned = Some((Then::Heal, peer));
                self.dice.between(80, 250) * MS
            }
            Then::Stall => {
                // Long enough for an election, short enough for the leader not to miss its quorum.
                let stall = self.dice.between(100, 160);
                world.pause(peer, stall * MS);
                // Its first words after the stall still reach the leader, what follows from it does not.
                self.planned = Some((Then::Deafen, peer));
                stall * MS + self.dice.between(5, 35) * MS / 10
            }
            Then::Deafen => {
                let leader = world.leaders().into_iter().find(|leader| *leader != peer).unwrap_or(peer);
                self.cut_off(leader, world);
                world.write_per_mille = 700;
                self.planned = Some((Then::Heal, peer));
                self.dice.between(20, 120) * MS
            }
            Then::Heal => {
                world.heal();
                self.dice.between(10, 100) * MS
            }
        }
    }

    /// Leadership leaves, and the old leader hears nothing of it.
    fn transfer(&mut self, leader: u64, to: u64, world: &mut World) -> u64 {
        (world.client_every, world.write_per_mille) = (MS, 500);
        world.transfer(to);
        let deaf = world.running().into_iter().filter(|peer| *peer != leader).map(|peer| (peer, leader));
        if self.dice.per_mille(700) {
            // What the transfer needs of the transferee may be under way already.
            world.cuts = deaf.collect();
        }
        self.planned = Some((Then::Heal, leader));
        self.dice.between(5, 150) * MS
    }

    /// The leader crashes with a slow disk, and who has its last entries is out of reach.
    fn lose_leader_and_one(&mut self, leader: u64, one: u64, world: &mut World) -> u64 {
        (world.client_every, world.write_per_mille) = (MS, 900);
        world.crash(leader, self.dice.between(1, 5) * MS);
        self.cut_off(one, world);
        self.planned = Some((Then::Heal, one));
        self.dice.between(200, 700) * MS
    }

    fn cut_off(&mut self, peer: u64, world: &mut World) {
        let others = world.running().into_iter().filter(|other| *other != peer);
        world.cuts = others.flat_map(|other| [(peer, other), (other, peer)]).collect();
    }

    fn weather(&mut self, world: &mut World) {
        world.delay_max = self.dice.pick(&[MS, 5 * MS, 30 * MS, 90 * MS]).expect("four");
        world.lose_per_mille = self.dice.pick(&[0, 10, 100, 300]).expect("four");
        world.repeat_per_mille = self.dice.pick(&[0, 0, 100]).expect("three");
    }

    fn disks(&mut self, leader: u64, world: &mut World) {
        for (peer, replica) in &mut world.replicas {
            let slow = *peer == leader || self.dice.per_mille(200);
            let max = if slow { self.dice.between(5, 300) } else { 1 };
            replica.disk_delay_max = max * MS;
        }
    }

    fn traffic(&mut self, world: &mut World) {
        world.client_every = self.dice.pick(&[MS, 2 * MS, 20 * MS]).expect("three");
        world.write_per_mille = self.dice.pick(&[0, 20, 500, 950]).expect("four");
    }

    fn away(&mut self) -> u64 {
        let range = self.dice.pick(&[(0, 20), (50, 600), (1000, 3000)]).expect("three");
        self.dice.between(range.0, range.1) * MS
    }
}
