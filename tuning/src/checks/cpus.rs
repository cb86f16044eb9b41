//! Cpus: how fast they go, how deep they sleep, who shares what, and what they tell the time by.

use super::{Check, Judged, Seen, Verdict, show_us};
use crate::facts::show_cpus;
use crate::measure::{Gaps, Latency, Neighbours};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "governor",
        why: "a cpu that is clocked down while requests are few takes longer for each of them",
        source: "Linux: Documentation/admin-guide/pm/cpufreq.rst",
        judge: governor,
    },
    Check {
        id: "idle-states",
        why: "a shard that waits lets its cpu sleep; waking from a deep state is added to the next request",
        source: "Linux: Documentation/admin-guide/pm/cpuidle.rst",
        judge: idle_states,
    },
    Check {
        id: "threads-of-a-core",
        why: "two shards on one core's two threads get about half of it each, and their caches are half as large",
        source: "Linux: Documentation/admin-guide/cputopology.rst",
        judge: threads,
    },
    Check {
        id: "isolation",
        why: "whatever else the scheduler puts on a shard's cpu is a gap in it",
        source: "Linux: Documentation/admin-guide/kernel-parameters.txt, isolcpus, nohz_full; cpuset in cgroup-v2.rst",
        judge: isolation,
    },
    Check {
        id: "clock",
        why: "every request looks at the clock several times; a clock outside of the cpu takes a microsecond for each look",
        source: "Linux: Documentation/virt/kvm/x86/timekeeping.rst; Documentation/ABI/testing/sysfs-devices-system-clocksource",
        judge: clock,
    },
    Check {
        id: "timer",
        why: "timers pace compaction and end waits; one that comes late is late for everybody",
        source: "Linux: Documentation/timers/hrtimers.rst; prctl(2), PR_SET_TIMERSLACK",
        judge: timer,
    },
    Check {
        id: "memory-nodes",
        why: "memory, disk and network card of another socket are farther away, for every single access",
        source: "Linux: Documentation/admin-guide/mm/numa_memory_policy.rst; numactl(8); sysctl kernel.numa_balancing",
        judge: nodes,
    },
    Check {
        id: "messages",
        why: "a request that lands on another core than its shard's crosses over and back: twice this, at least",
        source: "measured: a cache line between two threads",
        judge: messages,
    },
];

fn governor(seen: &Seen<'_>) -> Judged {
    let cpus = &seen.facts.cpus;
    if cpus.governors.is_empty() {
        return seen.unseen("how cpus are clocked");
    }
    let slow: Vec<&(usize, String)> =
        cpus.governors.iter().filter(|(_, governor)| governor != "performance").collect();
    let driver = cpus.frequency_driver.as_deref().unwrap_or("unknown driver");
    let Some((_, name)) = slow.first() else {
        return Judged::good(format!("performance on all {} cpus ({driver})", cpus.governors.len()));
    };
    let numbers: Vec<usize> = slow.iter().map(|(cpu, _)| *cpu).collect();
    let judged = Judged::advice(format!("{name} on cpus {} ({driver})", show_cpus(&numbers)));
    let judged = judged
        .not_measured("only a change of it could show that; run `torc tune` before and after, and compare its timer and idle-states")
        .lasting("cpupower.service with GOVERNOR=performance, or `tuned-adm profile latency-performance`");
    numbers.iter().fold(judged, |judged, cpu| {
        judged.write(format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"), "performance")
    })
}

/// A state that takes longer than this to leave costs more than what a request has to wait for anyway.
const EXIT_US_MAX: u64 = 20;

fn idle_states(seen: &Seen<'_>) -> Judged {
    let cpus = &seen.facts.cpus;
    let wake = |latency: &Latency| {
        (
            latency.us_p99,
            format!("the p99 of waking a thread on an idle cpu; p50 is {}", show_us(latency.us_p50)),
        )
    };
    if cpus.idle_states.is_empty() {
        return seen.unseen("how deep cpus sleep").cost_of(&seen.measured.wake, wake);
    }
    let driver = cpus.idle_driver.as_deref().unwrap_or("unknown driver");
    let deep: Vec<_> =
        cpus.idle_states.iter().filter(|state| !state.disabled && state.exit_us > EXIT_US_MAX).collect();
    let Some(deepest) = deep.iter().max_by_key(|state| state.exit_us) else {
        let names: Vec<&str> = cpus
            .idle_states
            .iter()
            .filter(|state| !state.disabled)
            .map(|state| state.name.as_str())
            .collect();
        return Judged::good(format!("only {} ({driver})", names.join(", ")))
            .cost_of(&seen.measured.wake, wake);
    };
    let text = format!(
        "{} may be used, which takes {} us to leave by the firmware's word ({driver})",
        deepest.name, deepest.exit_us
    );
    let judged = Judged::advice(text)
        .cost_of(&seen.measured.wake, wake)
        .lasting("`tuned-adm profile latency-performance`, or processor.max_cstate=1 (AMD), intel_idle.max_cstate=1 (Intel) on the kernel's command line");
    cpus.allowed.iter().flat_map(|cpu| deep.iter().map(move |state| (cpu, state))).fold(
        judged,
        |judged, (cpu, state)| {
            judged.write(format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle/{}/disable", state.dir), "1")
        },
    )
}

fn threads(seen: &Seen<'_>) -> Judged {
    let cpus = &seen.facts.cpus;
    let hypervisor = seen.facts.place.hypervisor.is_some();
    let firsts: Vec<usize> = cpus
        .cores
        .iter()
        .filter(|core| {
            let first = core.threads.iter().find(|thread| cpus.allowed.contains(thread));
            first == Some(&core.cpu)
        })
        .map(|core| core.cpu)
        .collect();
    let all = cpus.cores.len();
    match cpus.smt {
        None => seen.unseen("whether two cpus are one core"),
        Some(_) if firsts.len() < all => {
            let list = show_cpus(&firsts);
            Judged::advice(format!("{all} cpus may be used, and they are the threads of {} cores", firsts.len()))
                .not_measured("it depends on what both threads do at that moment")
                .by_hand(
                    format!("one shard for each core: `taskset -c {list} torc serve`, or `torc node --cpus {list}`; for a new data directory"),
                    "start it without",
                )
        }
        Some(_) if hypervisor => Judged::unseen(
            "the hypervisor shows each cpu as a core of its own; whether two are one real core's threads cannot be seen",
        ),
        Some(true) => Judged::good(format!(
            "of each core one thread at most may be used: cpus {}",
            show_cpus(&cpus.allowed)
        )),
        Some(false) => Judged::good("every cpu is a core"),
    }
}

/// With gaps below this part of the time, and this length, isolation would give nothing that is worth a restart.
const LOST_MAX: f64 = 0.000_5;
const GAP_US_MAX: f64 = 250.0;

fn isolation(seen: &Seen<'_>) -> Judged {
    let cpus = &seen.facts.cpus;
    let apart: Vec<usize> = cpus.allowed.iter().copied().filter(|cpu| cpus.isolated.contains(cpu)).collect();
    if apart.len() == cpus.allowed.len() && !apart.is_empty() {
        return Judged::good(format!(
            "cpus {} are isolated: the scheduler puts nothing else there",
            show_cpus(&apart)
        ));
    }
    let longest = |gaps: &Vec<Gaps>| gaps.iter().map(|gaps| gaps.us_max).fold(0.0, f64::max);
    let cost = |judged: Judged| {
        judged.cost_of(&seen.measured.gaps, |gaps| {
            (longest(gaps), "the longest gap of a busy thread".to_owned())
        })
    };
    let is_quiet = seen
        .measured
        .gaps
        .get()
        .is_some_and(|gaps| longest(gaps) < GAP_US_MAX && gaps.iter().all(|gaps| gaps.lost() < LOST_MAX));
    let text = match apart.len() {
        0 => "no cpu is isolated".to_owned(),
        _ => format!("only cpus {} are isolated", show_cpus(&apart)),
    };
    if is_quiet {
        return cost(Judged::good(format!("{text}, and none has to be: nobody was in the way")));
    }
    if let Some(container) = &seen.facts.place.container {
        return cost(Judged::unseen(format!(
            "{text}, as far as this container ({container}) is told; it is for its host to set"
        )));
    }
    if cpus.online.len() < 4 {
        return cost(Judged::good(format!("{text}; with {} cpus there is none to spare", cpus.online.len())));
    }
    let rest = show_cpus(&cpus.online[1..]);
    cost(Judged::advice(text)).by_hand(
        format!("kernel command line: isolcpus=managed_irq,domain,{rest} nohz_full={rest} rcu_nocbs={rest}; then `taskset -c {rest} torc serve`"),
        "take the words off the command line",
    )
}

/// Clocks that are read without leaving the process.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];
const LOOK_US_MAX: f64 = 0.2;

fn clock(seen: &Seen<'_>) -> Judged {
    let cpus = &seen.facts.cpus;
    let Some(clock) = &cpus.clock else { return seen.unseen("the clock") };
    let is_fast = FAST_CLOCKS.contains(&clock.as_str());
    let is_slow_here = seen.measured.clock.get().is_some_and(|look| look.us_p50 > LOOK_US_MAX);
    let look = |look: &Latency| (look.us_p50, "one look at it".to_owned());
    if is_fast && !is_slow_here {
        return Judged::good(clock.clone()).cost_of(&seen.measured.clock, look);
    }
    let better = cpus.clocks.iter().find(|name| FAST_CLOCKS.contains(&name.as_str()) && *name != clock);
    let judged = Judged::problem(format!("{clock}; there are {}", cpus.clocks.join(", ")))
        .cost_of(&seen.measured.clock, look);
    match better {
        Some(better) => judged
            .write("/sys/devices/system/clocksource/clocksource0/current_clocksource", better)
            .lasting(format!("clocksource={better} on the kernel's command line")),
        None => judged.by_hand("see `dmesg | grep -i clocksource` for why the kernel gave up the tsc: firmware or hypervisor have to be mended", "-"),
    }
}

/// A timer that is later than this makes what waits for it late.
const LATE_US_MAX: f64 = 100.0;

fn timer(seen: &Seen<'_>) -> Judged {
    let late = |latency: &Latency| {
        (latency.us_p99, format!("the p99 of being late; p50 is {}", show_us(latency.us_p50)))
    };
    let judged = match seen.measured.timer.get() {
        None => Judged::unseen("nobody has looked"),
        Some(latency) if latency.us_p99 <= LATE_US_MAX => Judged::good("sleeps of 200 us end in time"),
        Some(_) => Judged::advice(
            "sleeps of 200 us end late: see gaps, idle-states and stolen-time for who is to blame",
        ),
    };
    judged.cost_of(&seen.measured.timer, late)
}

fn nodes(seen: &Seen<'_>) -> Judged {
    let (cpus, storage) = (&seen.facts.cpus, &seen.facts.storage);
    let used: Vec<usize> = (0..cpus.nodes.len())
        .filter(|node| cpus.nodes[*node].iter().any(|cpu| cpus.allowed.contains(cpu)))
        .collect();
    match (cpus.nodes.len(), seen.facts.place.hypervisor.is_some()) {
        (0, _) => return seen.unseen("which memory is near"),
        (1, true) => {
            return Judged::unseen("one node, by the hypervisor's word; whether that is true cannot be seen");
        }
        (1, false) => return Judged::good("one node: everything is near"),
        _ => {}
    }
    let disks = storage.disks.iter().filter_map(|disk| Some(format!("{} at node {}", disk.name, disk.node?)));
    let nics = seen
        .facts
        .network
        .iter()
        .filter(|nic| nic.up)
        .filter_map(|nic| Some(format!("{} at node {}", nic.name, nic.node?)));
    let devices: Vec<String> = disks.chain(nics).collect();
    let text = format!("{} nodes, {} of them used; {}", cpus.nodes.len(), used.len(), devices.join(", "));
    let far = |messages: &Vec<crate::measure::Message>| {
        let to = |share| {
            messages.iter().find(|message| message.share == share).map(|message| message.latency.us_p50)
        };
        let near = to(Neighbours::Cache).or(to(Neighbours::Socket)).unwrap_or(0.0);
        let far = to(Neighbours::Nothing).unwrap_or(near);
        (
            far - near,
            format!(
                "more for a cache line from another socket ({}) than from this one ({})",
                show_us(far),
                show_us(near)
            ),
        )
    };
    let balancing = cpus.numa_balancing == Some(true);
    if used.len() == 1 && !balancing {
        return Judged::good(text);
    }
    let mut judged = Judged::advice(text).cost_of(&seen.measured.messages, far);
    if used.len() > 1 {
        let node = storage.disks.iter().find_map(|disk| disk.node).unwrap_or(0);
        judged = judged.by_hand(
            format!("one torc for each node, each with a disk of its own: `numactl --cpunodebind={node} --membind={node} torc node ...`"),
            "start it without numactl",
        );
    }
    if balancing {
        judged = judged
            .write("/proc/sys/kernel/numa_balancing", "0")
            .lasting("kernel.numa_balancing = 0 in /etc/sysctl.d/90-torc.conf");
    }
    judged
}

/// A cache line that takes longer than this goes over a hypervisor's or a scheduler's desk.
const MESSAGE_US_MAX: f64 = 1.0;

fn messages(seen: &Seen<'_>) -> Judged {
    let Some(messages) = seen.measured.messages.get() else {
        return Judged::unseen("nobody has looked")
            .cost_of(&seen.measured.messages, |_| unreachable!("there is no value"));
    };
    let share = |share: Neighbours| match share {
        Neighbours::Core => "same core",
        Neighbours::Cache => "same cache",
        Neighbours::Socket => "same socket",
        Neighbours::Nothing => "other socket",
    };
    let parts: Vec<String> = messages
        .iter()
        .map(|message| {
            format!(
                "cpu {} to {} ({}): {}",
                message.from,
                message.to,
                share(message.share),
                show_us(message.latency.us_p50)
            )
        })
        .collect();
    let worst = messages.iter().map(|message| message.latency.us_p50).fold(0.0, f64::max);
    let verdict = if worst > MESSAGE_US_MAX { Verdict::Advice } else { Verdict::Good };
    Judged::new(verdict, parts.join("; "))
        .cost_of(&seen.measured.messages, |_| (worst, "one way, the farthest pair".to_owned()))
}
