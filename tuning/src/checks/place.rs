//! Where it runs: machine, neighbours, and what is granted of it.

use super::{Check, Judged, Seen, Verdict, show_us};
use crate::facts::show_cpus;
use crate::measure::Gaps;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "machine",
        why: "what is virtual or contained is decided elsewhere: torc can only say what it sees from here, and measure what it gets",
        source: "Linux: Documentation/virt; proc(5), cgroups(7)",
        judge: machine,
    },
    Check {
        id: "gaps",
        why: "a shard that is not let run answers nobody: every gap is added to the latency of all requests of that core",
        source: "Linux: Documentation/admin-guide/kernel-per-CPU-kthreads.rst; getrusage(2)",
        judge: gaps,
    },
    Check {
        id: "stolen-time",
        why: "time that the hypervisor gives to others is lost to all requests of the core, and no figure of this host shows it otherwise",
        source: "Linux: proc_stat(5), `steal`",
        judge: stolen,
    },
    Check {
        id: "cpu-quota",
        why: "a quota stops all threads once it is used up, until the period ends: requests then wait for milliseconds",
        source: "Linux: Documentation/admin-guide/cgroup-v2.rst, cpu.max; Documentation/scheduler/sched-bwc.rst",
        judge: quota,
    },
];

fn machine(seen: &Seen<'_>) -> Judged {
    let place = &seen.facts.place;
    let cpus = &seen.facts.cpus;
    let model = cpus.model.as_deref().unwrap_or("unknown cpus");
    let name = place.machine.as_deref().unwrap_or("no name");
    let all = format!("{} of {} cpus ({model})", cpus.allowed.len(), cpus.online.len());
    let denied = match seen.facts.denied.len() {
        0 => String::new(),
        count => format!("; {count} files may not be read as this user"),
    };
    let doubted = place.container_doubted.as_ref().map_or(String::new(), |sign| {
        format!("; {sign} is there, but the root is no image: left over, and no container")
    });
    let host = "settings of the kernel are its host's, for all that run there";
    match (&place.hypervisor, &place.container) {
        (None, None) => Judged::good(format!("a whole machine ({name}), {all}{denied}{doubted}")),
        (Some(hypervisor), None) => Judged::unseen(format!(
            "a virtual machine under {hypervisor} ({name}), {all}: frequencies, the real cores, memory nodes and disks are the hypervisor's and not seen{denied}{doubted}"
        )),
        (None, Some(container)) => {
            Judged::unseen(format!("a container ({container}), {all}: {host}{denied}"))
        }
        (Some(hypervisor), Some(container)) => Judged::unseen(format!(
            "a container ({container}) in a virtual machine under {hypervisor}, {all}: {host}, and the machine's own are the hypervisor's{denied}"
        )),
    }
}

/// From this part of the time on, nothing that is measured is this host's alone.
const BUSY: f64 = 0.05;
/// Beyond this part of the time, gaps are worth words.
const LOST_MAX: f64 = 0.002;
/// And beyond this length.
const GAP_US_MAX: f64 = 1_000.0;

fn gaps(seen: &Seen<'_>) -> Judged {
    let Some(gaps) = seen.measured.gaps.get() else {
        return Judged::unseen("nobody has looked")
            .cost_of(&seen.measured.gaps, |_| unreachable!("there is no value"));
    };
    let worst =
        gaps.iter().max_by(|one, other| one.us_sum.total_cmp(&other.us_sum)).copied().unwrap_or_default();
    let Gaps { cpu, count, us_max, preemptions, watched_us, .. } = worst;
    let text = format!(
        "cpu {cpu} was kept from a busy thread {count} times in {}, {:.2}% of the time, at most {}; {preemptions} of these by other threads of this host",
        show_us(watched_us),
        worst.lost() * 100.0,
        show_us(us_max)
    );
    let is_bad = worst.lost() > LOST_MAX || us_max > GAP_US_MAX;
    let text = match worst.lost() > BUSY {
        true => {
            format!("{text}. Every other figure here has their load within: measure again when they rest")
        }
        false => text,
    };
    let judged = Judged::new(if is_bad { Verdict::Advice } else { Verdict::Good }, text);
    let judged = judged.cost_of(&seen.measured.gaps, |_| (us_max, "the longest gap".to_owned()));
    match (is_bad, seen.facts.place.hypervisor.is_some(), preemptions * 2 > count) {
        (false, ..) => judged,
        (true, _, true) => judged.by_hand(
            "find who runs there (`pidstat -t 1`, `perf sched record`), and move it elsewhere: `systemctl set-property --runtime user.slice AllowedCPUs=...`, and system.slice",
            "the same with all cpus",
        ),
        (true, true, false) => judged.by_hand("a type of virtual machine with cpus of its own (dedicated, not burstable)", "-"),
        (true, false, false) => judged.by_hand("interrupts and firmware (SMI): see the checks interrupts and isolation, and `turbostat --show SMI`", "-"),
    }
}

fn stolen(seen: &Seen<'_>) -> Judged {
    let place = &seen.facts.place;
    let Some(hypervisor) = &place.hypervisor else {
        return Judged::good("no hypervisor takes any");
    };
    let Some((stolen, all)) = seen.facts.cpus.stolen_ticks else {
        return Judged::unseen("/proc/stat says nothing of it");
    };
    let part = stolen as f64 / all.max(1) as f64;
    let text = format!("{hypervisor} took {:.3}% of the cpus' time since the start", part * 100.0);
    let why = "the kernel counts it in ticks, not per request; the check gaps measures what it does now";
    match part {
        ..0.001 => Judged::good(text),
        ..0.02 => Judged::advice(text)
            .not_measured(why)
            .by_hand("a type of virtual machine with cpus of its own", "-"),
        _ => Judged::problem(text)
            .not_measured(why)
            .by_hand("a type of virtual machine with cpus of its own", "-"),
    }
}

fn quota(seen: &Seen<'_>) -> Judged {
    let (cgroup, cpus) = (&seen.facts.cgroup, &seen.facts.cpus);
    let allowed = show_cpus(&cpus.allowed);
    let Some(quota) = cgroup.cpu_quota else {
        return match cgroup.version {
            0 => Judged::unseen("no control group can be read, so nobody knows whether there is a quota"),
            version => Judged::good(format!("no quota (control groups, version {version}); cpus {allowed}")),
        };
    };
    let period = cgroup.cpu_period_us.unwrap_or(0);
    let text = format!("{quota:.2} cpus' worth of every {} on cpus {allowed}", show_us(period as f64));
    let cpuset = "give it whole cpus instead: `docker run --cpuset-cpus=...`, Kubernetes' static cpu manager with whole cpus as limit and request, systemd's AllowedCPUs=";
    let stopped = cgroup.throttled.filter(|throttled| throttled.stopped > 0);
    match stopped {
        Some(throttled) => {
            let mean = throttled.stopped_us as f64 / throttled.stopped as f64;
            let text =
                format!("{text}; it was stopped in {} of {} periods", throttled.stopped, throttled.periods);
            let cost = super::Cost::Measured {
                us: mean,
                of: "a stop, on average since the group's start".to_owned(),
            };
            Judged::problem(text).cost(cost).by_hand(cpuset, "the quota again")
        }
        None if quota >= cpus.allowed.len() as f64 => Judged::good(format!("{text}: as many as there are")),
        None => Judged::advice(text)
            .not_measured(format!(
                "it was not stopped yet; when it is, a stop lasts up to {}",
                show_us(period as f64)
            ))
            .by_hand(cpuset, "the quota again"),
    }
}
