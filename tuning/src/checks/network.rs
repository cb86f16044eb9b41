//! The network's cards and the interrupts of devices: which cpus have the work.

use std::collections::BTreeMap;

use super::{Check, Judged, Seen};
use crate::facts::{Interrupt, Nic, show_cpus};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "card-queues",
        why: "what comes in is handled on the cpu that its queue interrupts: with one queue, one shard's core works for all",
        source: "Linux: Documentation/networking/scaling.rst; ethtool(8), -L",
        judge: queues,
    },
    Check {
        id: "interrupts",
        why: "interrupts take the core from the shard that runs there; spread evenly they are small, on one core they are that shard's latency",
        source: "Linux: Documentation/core-api/irq/irq-affinity.rst; proc_interrupts(5)",
        judge: interrupts,
    },
];

fn queues(seen: &Seen<'_>) -> Judged {
    let cpus = &seen.facts.cpus.allowed;
    let cards: Vec<&Nic> = seen.facts.network.iter().filter(|nic| nic.driver.is_some() && nic.up).collect();
    if cards.is_empty() {
        return match seen.hidden_by() {
            Some(who) if seen.facts.place.container.is_some() => {
                Judged::unseen(format!("no network card can be seen: {who}"))
            }
            _ => Judged::unseen("no network card is up"),
        };
    }
    let speed = |nic: &Nic| {
        nic.speed_mbps.map_or(String::new(), |mbps| format!(", {} Gbit/s", f64::from(mbps) / 1000.0))
    };
    let text: Vec<String> = cards
        .iter()
        .map(|nic| {
            format!(
                "{} ({}{}): {} in, {} out",
                nic.name,
                nic.driver.as_deref().unwrap_or(""),
                speed(nic),
                nic.rx_queues,
                nic.tx_queues
            )
        })
        .collect();
    let text = format!("{}, for {} cpus", text.join("; "), cpus.len());
    let few: Vec<&&Nic> =
        cards.iter().filter(|nic| nic.rx_queues < cpus.len() && nic.rps_queues < nic.rx_queues).collect();
    if few.is_empty() {
        return Judged::good(text);
    }
    let judged = Judged::advice(text).not_measured("it takes load from other machines to be felt");
    few.iter().fold(judged, |judged, nic| {
        let more = format!(
            "ethtool -L {} combined {} (`ethtool -l {}` says how many it has)",
            nic.name,
            cpus.len(),
            nic.name
        );
        let judged = judged.by_hand(more, format!("ethtool -L {} combined {}", nic.name, nic.rx_queues));
        match seen.facts.place.container {
            Some(_) => judged,
            // In software: the card's queue stays on its cpu, the packets are handed on.
            None => (0..nic.rx_queues).fold(judged, |judged, queue| {
                judged.write(format!("/sys/class/net/{}/queues/rx-{queue}/rps_cpus", nic.name), mask(cpus))
            }),
        }
    })
}

/// Cpus as the kernel reads masks: 32 bits a word, in hexadecimal digits, the highest word first.
fn mask(cpus: &[usize]) -> String {
    let words = cpus.iter().max().map_or(1, |most| most / 32 + 1);
    let mut mask = vec![0u32; words];
    for cpu in cpus {
        mask[cpu / 32] |= 1 << (cpu % 32);
    }
    let mut words = mask.iter().rev();
    let first = words.next().map(|word| format!("{word:x}")).unwrap_or_default();
    words.fold(first, |text, word| format!("{text},{word:08x}"))
}

/// One cpu with more than this part of all interrupts works for the others.
const SHARE_MAX: f64 = 0.8;
/// Fewer than this since the start say nothing.
const COUNT_MIN: u64 = 10_000;

fn interrupts(seen: &Seen<'_>) -> Judged {
    let facts = seen.facts;
    let ours: Vec<&Interrupt> =
        facts.interrupts.iter().filter(|interrupt| is_ours(seen, interrupt)).collect();
    let mut by_cpu: BTreeMap<usize, u64> = BTreeMap::new();
    for (cpu, count) in ours.iter().flat_map(|interrupt| &interrupt.cpus) {
        *by_cpu.entry(*cpu).or_default() += count;
    }
    let all: u64 = by_cpu.values().sum();
    if all < COUNT_MIN {
        return match seen.hidden_by() {
            Some(who) if ours.is_empty() => {
                Judged::unseen(format!("no interrupts of disk or card can be seen: {who}"))
            }
            _ => Judged::good(format!(
                "{} lines, {all} interrupts so far: too few to say where they go",
                ours.len()
            )),
        };
    }
    let (cpu, count) =
        by_cpu.iter().max_by_key(|(_, count)| **count).map(|(cpu, count)| (*cpu, *count)).unwrap_or((0, 0));
    let share = count as f64 / all as f64;
    let text = format!(
        "{} lines of disk and card; cpu {cpu} had {:.0}% of {all} interrupts",
        ours.len(),
        share * 100.0
    );
    if share <= SHARE_MAX || facts.cpus.allowed.len() < 2 {
        return Judged::good(text);
    }
    if !facts.cpus.allowed.contains(&cpu) {
        return Judged::good(format!("{text}, and no shard runs there"));
    }
    let busiest = ours.iter().max_by_key(|interrupt| interrupt.count).expect("there were some");
    let others: Vec<usize> =
        facts.cpus.online.iter().copied().filter(|cpu| !facts.cpus.allowed.contains(cpu)).collect();
    let judged = Judged::advice(format!("{text}, where a shard runs; most came from {}", busiest.device))
        .not_measured("it depends on the load; compare the shards' latencies");
    match (others.is_empty(), &facts.place.container) {
        (_, Some(container)) => judged.by_hand(
            format!("on the host of this container ({container}): more queues for the device, or its interrupt on a cpu that is not torc's"),
            "the old list in /proc/irq/N/smp_affinity_list",
        ),
        (false, None) => judged
            .write(format!("/proc/irq/{}/smp_affinity_list", busiest.number), show_cpus(&others))
            .lasting("irqbalance with IRQBALANCE_BANNED_CPULIST, or a unit that writes it at the start"),
        (true, None) => judged.by_hand(
            format!("leave cpu {cpu} to the interrupts: `torc node --cpus` or `taskset -c` with the others; or more queues, if the device has them"),
            "start it with all cpus again",
        ),
    }
}

/// Whether a line belongs to the data's disk or to a card.
fn is_ours(seen: &Seen<'_>, interrupt: &Interrupt) -> bool {
    let words = || interrupt.device.split(|c: char| c.is_whitespace() || "-:@".contains(c));
    let begins = |name: &str| !name.is_empty() && words().any(|word| word.starts_with(name));
    // nvme0n1 is a namespace of nvme0, whose lines are nvme0q1 and so on.
    let disk = |name: &str| begins(if name.starts_with("nvme") { controller(name) } else { name });
    let facts = seen.facts;
    let virtio = interrupt.device.contains("virtio")
        && ["-req", "-input", "-output"].iter().any(|part| interrupt.device.contains(part));
    virtio
        || facts.storage.disks.iter().any(|found| disk(&found.name))
        || facts.network.iter().any(|nic| nic.driver.is_some() && begins(&nic.name))
        || facts
            .network
            .iter()
            .filter_map(|nic| nic.driver.as_deref())
            .any(|driver| driver.len() > 2 && begins(driver.trim_end_matches("_core")))
}

/// `nvme0` of `nvme0n1`.
fn controller(name: &str) -> &str {
    let behind = name.strip_prefix("nvme").unwrap_or(name);
    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    &name[..name.len() - behind.len() + digits]
}
