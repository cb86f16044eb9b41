//! Cpus: which there are, which are ours, who shares what, how they sleep and how they tell the time.

use serde::Serialize;

use super::{chosen, cpu_list};
use crate::host::Host;

const CPU: &str = "/sys/devices/system/cpu";

/// Cpus whose own files are read; a host with more has more of the same.
const CPUS_MAX: usize = 1024;

/// Cpus and how they are run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpus {
    /// The name that they give themselves.
    pub model: Option<String>,
    /// Those that run.
    pub online: Vec<usize>,
    /// Those that this process may use: affinity and cpuset.
    pub allowed: Vec<usize>,
    /// Where the allowed ones sit.
    pub cores: Vec<Core>,
    /// Whether two threads share a core somewhere.
    pub smt: Option<bool>,
    /// Memory nodes, each with its cpus.
    pub nodes: Vec<Vec<usize>>,
    /// Whether the kernel moves pages between nodes by itself.
    pub numa_balancing: Option<bool>,
    /// Each cpu's frequency governor, where frequencies can be seen.
    pub governors: Vec<(usize, String)>,
    /// What sets frequencies.
    pub frequency_driver: Option<String>,
    /// What puts cpus to sleep.
    pub idle_driver: Option<String>,
    /// The states that the first allowed cpu may sleep in.
    pub idle_states: Vec<IdleState>,
    /// Cpus that the scheduler leaves alone.
    pub isolated: Vec<usize>,
    /// Cpus without a tick while one task runs.
    pub tickless: Vec<usize>,
    /// What the kernel's clock is read from.
    pub clock: Option<String>,
    /// What else it could be read from.
    pub clocks: Vec<String>,
    /// Ticks that the hypervisor took, of all ticks since the start; in hundredths of a second as a rule.
    pub stolen_ticks: Option<(u64, u64)>,
}

/// Where a cpu sits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Core {
    /// Its number.
    pub cpu: usize,
    /// Cpus that share its core, itself included.
    pub threads: Vec<usize>,
    /// Cpus that share its last cache, itself included; empty where that is not told.
    pub cache: Vec<usize>,
    /// Its socket.
    pub package: Option<i32>,
}

/// A state that a cpu may sleep in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleState {
    /// Its directory's name, such as `state2`.
    pub dir: String,
    /// Its name.
    pub name: String,
    /// How long it takes to wake from it, by the firmware's word, in microseconds.
    pub exit_us: u64,
    /// Whether it is switched off.
    pub disabled: bool,
}

pub(super) fn read(host: &Host) -> Cpus {
    let cpuinfo = host.read("/proc/cpuinfo").unwrap_or_default();
    let status = host.read("/proc/self/status").unwrap_or_default();
    let list =
        |name: &str| host.text(&format!("{CPU}/{name}")).map(|text| cpu_list(&text)).unwrap_or_default();
    let online = list("online");
    let allowed =
        field(&status, "Cpus_allowed_list").map(|text| cpu_list(&text)).unwrap_or_else(|| online.clone());
    let first = allowed.first().copied().unwrap_or(0);
    let governor =
        |cpu: &usize| Some((*cpu, host.text(&format!("{CPU}/cpu{cpu}/cpufreq/scaling_governor"))?));
    let clocks = "/sys/devices/system/clocksource/clocksource0";
    Cpus {
        model: field(&cpuinfo, "model name"),
        cores: allowed.iter().take(CPUS_MAX).map(|cpu| core(host, *cpu)).collect(),
        smt: host.number::<u8>(&format!("{CPU}/smt/active")).map(|active| active == 1),
        nodes: nodes(host),
        numa_balancing: host.number::<u8>("/proc/sys/kernel/numa_balancing").map(|value| value != 0),
        governors: allowed.iter().take(CPUS_MAX).filter_map(governor).collect(),
        frequency_driver: host.text(&format!("{CPU}/cpu{first}/cpufreq/scaling_driver")),
        idle_driver: host.text(&format!("{CPU}/cpuidle/current_driver")).filter(|driver| driver != "none"),
        idle_states: idle_states(host, first),
        isolated: list("isolated"),
        tickless: list("nohz_full"),
        clock: host.text(&format!("{clocks}/current_clocksource")),
        clocks: words(host.text(&format!("{clocks}/available_clocksource"))),
        stolen_ticks: host.read("/proc/stat").ok().and_then(|stat| stolen(&stat)),
        online,
        allowed,
    }
}

fn words(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The value of a `name : value` line.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn core(host: &Host, cpu: usize) -> Core {
    let list = |name: &str| host.text(&format!("{CPU}/cpu{cpu}/{name}")).map(|text| cpu_list(&text));
    let threads = list("topology/thread_siblings_list").unwrap_or_else(|| vec![cpu]);
    let package = host.number(&format!("{CPU}/cpu{cpu}/topology/physical_package_id"));
    let cache =
        ["cache/index3/shared_cpu_list", "cache/index2/shared_cpu_list"].iter().find_map(|name| list(name));
    Core { cpu, threads, cache: cache.unwrap_or_default(), package: package.filter(|id| *id >= 0) }
}

fn nodes(host: &Host) -> Vec<Vec<usize>> {
    let online = host.text("/sys/devices/system/node/online").map(|text| cpu_list(&text)).unwrap_or_default();
    let cpus = |node: &usize| host.text(&format!("/sys/devices/system/node/node{node}/cpulist"));
    online.iter().map(|node| cpus(node).map(|text| cpu_list(&text)).unwrap_or_default()).collect()
}

fn idle_states(host: &Host, cpu: usize) -> Vec<IdleState> {
    let base = format!("{CPU}/cpu{cpu}/cpuidle");
    let state = |dir: String| {
        Some(IdleState {
            name: host.text(&format!("{base}/{dir}/name"))?,
            exit_us: host.number(&format!("{base}/{dir}/latency"))?,
            disabled: host.number::<u8>(&format!("{base}/{dir}/disable")).is_some_and(|value| value != 0),
            dir,
        })
    };
    host.list(&base).into_iter().filter(|name| name.starts_with("state")).filter_map(state).collect()
}

/// Of the `cpu` line: what the hypervisor gave to others, and all.
fn stolen(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal guest guest_nice; guests are in user and nice already.
    Some((*ticks.get(7)?, ticks[..8].iter().sum()))
}

/// A choice such as a scheduler: the one in force, and all of them.
pub(super) fn choice(text: &str) -> (String, Vec<String>) {
    let all = text.split_whitespace().map(|word| word.trim_matches(['[', ']']).to_owned()).collect();
    (chosen(text), all)
}
