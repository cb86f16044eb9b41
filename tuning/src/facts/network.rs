//! Network devices with their queues, and which cpus devices interrupt.

use serde::Serialize;

use super::cpu_list;
use crate::host::Host;

/// Interrupts that are looked at: those of devices, the busiest first.
const INTERRUPTS_MAX: usize = 256;

/// A network device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its driver; none for devices that are only software.
    pub driver: Option<String>,
    /// Megabits a second, where it says so.
    pub speed_mbps: Option<u32>,
    /// Queues for what comes in.
    pub rx_queues: usize,
    /// Queues for what goes out.
    pub tx_queues: usize,
    /// Queues for what comes in that spread their packets over cpus in software.
    pub rps_queues: usize,
    /// The memory node that it is attached to.
    pub node: Option<u32>,
    /// Whether it is up.
    pub up: bool,
}

/// An interrupt line of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interrupt {
    /// Its number.
    pub number: u32,
    /// Controller and device, as the kernel names them.
    pub device: String,
    /// How often it came since the start, on all cpus.
    pub count: u64,
    /// The cpus that it went to, each with its share.
    pub cpus: Vec<(usize, u64)>,
    /// The cpus that it may go to.
    pub may: Vec<usize>,
}

pub(super) fn read(host: &Host) -> Vec<Nic> {
    host.list("/sys/class/net").into_iter().filter(|name| name != "lo").map(|name| nic(host, name)).collect()
}

fn nic(host: &Host, name: String) -> Nic {
    let base = format!("/sys/class/net/{name}");
    let driver = host.real(&format!("{base}/device/driver"));
    let queues = host.list(&format!("{base}/queues"));
    let count = |kind: &str| queues.iter().filter(|queue| queue.starts_with(kind)).count();
    let spreads = |queue: &&String| {
        let mask = host.text(&format!("{base}/queues/{queue}/rps_cpus")).unwrap_or_default();
        mask.chars().any(|digit| digit.is_ascii_hexdigit() && digit != '0')
    };
    Nic {
        driver: driver.and_then(|path| path.rsplit('/').next().map(str::to_owned)),
        speed_mbps: host.number::<i64>(&format!("{base}/speed")).and_then(|speed| u32::try_from(speed).ok()),
        rx_queues: count("rx-"),
        tx_queues: count("tx-"),
        rps_queues: queues.iter().filter(|queue| queue.starts_with("rx-")).filter(spreads).count(),
        node: host
            .number::<i64>(&format!("{base}/device/numa_node"))
            .and_then(|node| u32::try_from(node).ok()),
        up: host.text(&format!("{base}/operstate")).is_some_and(|state| state == "up"),
        name,
    }
}

pub(super) fn interrupts(host: &Host) -> Vec<Interrupt> {
    let text = host.read("/proc/interrupts").unwrap_or_default();
    let mut lines = text.lines();
    let column = |word: &str| word.strip_prefix("CPU")?.parse::<usize>().ok();
    let cpus: Vec<usize> = lines.next().unwrap_or_default().split_whitespace().filter_map(column).collect();
    let mut found: Vec<Interrupt> = lines.filter_map(|line| interrupt(line, &cpus)).collect();
    found.sort_by_key(|interrupt| (std::cmp::Reverse(interrupt.count), interrupt.number));
    found.truncate(INTERRUPTS_MAX);
    for interrupt in &mut found {
        let list = host.text(&format!("/proc/irq/{}/smp_affinity_list", interrupt.number));
        interrupt.may = list.map(|list| cpu_list(&list)).unwrap_or_default();
    }
    found
}

/// `36:  0  14201066  PCI-MSIX-0000:00:02.0  1-edge  virtio1-req.0`; lines without a number are the kernel's own.
fn interrupt(line: &str, cpus: &[usize]) -> Option<Interrupt> {
    let (number, rest) = line.trim_start().split_once(':')?;
    let number = number.parse().ok()?;
    let mut words = rest.split_whitespace();
    let counts: Vec<u64> = cpus.iter().map_while(|_| words.next()?.parse().ok()).collect();
    let device = words.collect::<Vec<_>>().join(" ");
    let count = counts.iter().sum();
    let shares = cpus.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect();
    (count > 0).then_some(Interrupt { number, device, count, cpus: shares, may: Vec::new() })
}
