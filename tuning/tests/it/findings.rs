//! Each check on each recorded host: verdict, and words that have to be in what it says.

use std::collections::BTreeSet;

use tuning::checks::{self, Cost, Finding, Step, Verdict};
use tuning::facts::Facts;
use tuning::measure::Measured;

use crate::hosts::{HOSTS, device, facts, fast, slow};

use Verdict::{Advice, Good, Problem, Unseen};

/// What a check says of metal, virtual machine and container, none of which was measured.
const EXPECTED: &[(&str, [(Verdict, &str); 3])] = &[
    (
        "machine",
        [
            (Good, "a whole machine (Supermicro AS -1124US-TNRP), 32 of 32 cpus"),
            (Unseen, "a virtual machine under KVM"),
            (Unseen, "a container (Docker)"),
        ],
    ),
    ("gaps", [(Unseen, "nobody"), (Unseen, "nobody"), (Unseen, "nobody")]),
    ("stolen-time", [(Good, "no hypervisor"), (Good, "KVM took 0.0"), (Good, "no hypervisor")]),
    (
        "cpu-quota",
        [
            (Good, "no quota (control groups, version 2); cpus 0-31"),
            (Good, "version 1"),
            (
                Problem,
                "2.50 cpus' worth of every 100.0 ms on cpus 0-7; it was stopped in 310 of 42011 periods",
            ),
        ],
    ),
    (
        "governor",
        [
            (Advice, "schedutil on cpus 0-31 (acpi-cpufreq)"),
            (Unseen, "the hypervisor (KVM) has it"),
            (Advice, "powersave on cpus 0-7 (intel_pstate)"),
        ],
    ),
    (
        "idle-states",
        [
            (Advice, "C2 may be used, which takes 400 us"),
            (Good, "haltpoll"),
            (Advice, "C3_ACPI may be used, which takes 1048 us"),
        ],
    ),
    (
        "threads-of-a-core",
        [
            (Advice, "32 cpus may be used, and they are the threads of 16 cores"),
            (Unseen, "hypervisor shows each cpu as a core"),
            (Advice, "threads of 4 cores"),
        ],
    ),
    (
        "isolation",
        [
            (Advice, "no cpu is isolated"),
            (Good, "with 2 cpus there is none to spare"),
            (Unseen, "for its host to set"),
        ],
    ),
    ("clock", [(Good, "tsc"), (Good, "tsc"), (Problem, "hpet; there are hpet, acpi_pm")]),
    ("timer", [(Unseen, "nobody"), (Unseen, "nobody"), (Unseen, "nobody")]),
    (
        "memory-nodes",
        [
            (Advice, "2 nodes, 2 of them used; nvme0n1 at node 0, ens1f0np0 at node 1"),
            (Unseen, "by the hypervisor's word"),
            (Good, "one node"),
        ],
    ),
    ("messages", [(Unseen, "nobody"), (Unseen, "nobody"), (Unseen, "nobody")]),
    (
        "memory",
        [
            (Good, "503.6 GiB, without a limit"),
            (Good, "without a limit"),
            (Good, "4.0 GiB of 62.7 GiB, by the control group's limit"),
        ],
    ),
    ("huge-pages", [(Advice, "always, defrag madvise"), (Good, "madvise"), (Advice, "always")]),
    ("swap", [(Advice, "swappiness 60"), (Good, "none"), (Advice, "84 MiB of them used")]),
    (
        "locked-memory",
        [(Good, "root may raise"), (Good, "8192 KiB"), (Problem, "64 KiB at most; 512 KiB are needed")],
    ),
    ("open-files", [(Good, "1048576"), (Good, "20000 at most"), (Good, "1048576")]),
    ("durable-write", [(Unseen, "not measured"), (Unseen, "not measured"), (Unseen, "not measured")]),
    ("read", [(Unseen, "not measured"), (Unseen, "not measured"), (Unseen, "not measured")]),
    (
        "file-system",
        [
            (Advice, "xfs at /var/lib/torc (attr2,discard,"),
            (Advice, "ext4 at /"),
            (Good, "ext4 at /data (errors=remount-ro,relatime,rw)"),
        ],
    ),
    (
        "disk",
        [
            (Good, "nvme0n1 (INTEL SSDPF2KX038TZ, 3841 GB, 32 queues), under nvme0n1p1"),
            (Unseen, "vda"),
            (Good, "sda (SAMSUNG MZ7L3480, 480 GB, 1 queues), under sda2"),
        ],
    ),
    ("disk-scheduler", [(Good, "nvme0n1: none"), (Advice, "vda: mq-deadline"), (Advice, "sda: mq-deadline")]),
    (
        "write-cache",
        [(Good, "no cache that forgets"), (Unseen, "asks the hypervisor to flush"), (Advice, "write back")],
    ),
    (
        "polling",
        [(Advice, "nvme.poll_queues is 0"), (Good, "no queues to poll"), (Good, "no queues to poll")],
    ),
    ("kernel", [(Good, "6.1.0-25-amd64"), (Good, "6.18"), (Advice, "5.15.0-122-generic")]),
    ("io-uring", [(Good, "defer-taskrun"), (Good, "defer-taskrun"), (Problem, "Operation not permitted")]),
    (
        "system-call",
        [
            (Good, "spec_store_bypass, spectre_v1, spectre_v2"),
            (Good, "spectre_v1"),
            (Good, "mmio_stale_data"),
        ],
    ),
    ("accept-queue", [(Good, "4096"), (Good, "4096"), (Advice, "only 128 connections")]),
    (
        "card-queues",
        [
            (Good, "ens1f0np0 (mlx5_core, 25 Gbit/s): 32 in, 32 out, for 32 cpus"),
            (Advice, "eth0 (virtio_net): 1 in, 1 out, for 2 cpus"),
            (Unseen, "no network card can be seen"),
        ],
    ),
    (
        "interrupts",
        [
            (Good, "17 lines of disk and card"),
            (Advice, "where a shard runs; most came from PCI-MSIX-0000:00:02.0 1-edge virtio1-req.0"),
            (Unseen, "look on its host"),
        ],
    ),
];

fn find<'a>(findings: &'a [Finding], id: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no check {id}"))
}

#[track_caller]
fn check(facts: &Facts, measured: &Measured, id: &str, verdict: Verdict, words: &str) -> Finding {
    let findings = checks::judge(facts, measured);
    let found = find(&findings, id).clone();
    assert!(
        found.verdict == verdict && found.seen.contains(words),
        "{id}: wanted {verdict:?}, {words:?}; got {found:#?}"
    );
    found
}

#[test]
fn every_check_is_expected_on_every_host() {
    let expected: Vec<&str> = EXPECTED.iter().map(|(id, _)| *id).collect();
    assert_eq!(checks::ids(), expected, "a check without expectations, or the other way");
    let mut wrong = Vec::new();
    for (index, host) in HOSTS.iter().enumerate() {
        let findings = checks::judge(&facts(host), &Measured::nothing("recorded"));
        for (id, expected) in EXPECTED {
            let (verdict, words) = expected[index];
            let found = find(&findings, id);
            if found.verdict != verdict || !found.seen.contains(words) {
                wrong.push(format!(
                    "{host} {id}: wanted {verdict:?} {words:?}, got {:?} {:?}",
                    found.verdict, found.seen
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whatever_is_wrong_says_what_to_do_why_and_where_that_is_written() {
    for host in HOSTS {
        for measured in [fast(), slow(), Measured::nothing("recorded")] {
            for finding in checks::judge(&facts(host), &measured) {
                assert!(!finding.why.is_empty() && !finding.source.is_empty() && !finding.seen.is_empty());
                let is_bad = matches!(finding.verdict, Problem | Advice);
                let only_measured = ["timer", "messages"].contains(&finding.id);
                assert!(
                    !is_bad || only_measured || !finding.steps.is_empty(),
                    "{host}: nothing to do about {finding:#?}"
                );
                assert!(
                    !is_bad || finding.cost != Cost::Nothing,
                    "{host}: no word of the cost of {finding:#?}"
                );
                assert!(is_bad || finding.steps.is_empty(), "{host}: steps without need in {finding:#?}");
                let writes = finding.steps.iter().any(|step| matches!(step, Step::Write { .. }));
                let lasts = !writes || !finding.lasting.is_empty() || finding.id == "card-queues";
                assert!(lasts, "{host}: nothing lasts in {finding:#?}");
            }
        }
    }
}

#[test]
fn ids_are_words_of_their_own() {
    let ids = checks::ids();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
}

#[test]
fn a_figure_that_is_there_is_told_and_no_other() {
    let metal = facts("metal");
    let told = |id, measured: &Measured| find(&checks::judge(&metal, measured), id).cost.clone();
    assert_eq!(
        told("durable-write", &fast()),
        Cost::Measured { us: 22.0, of: "the p50 of a durable write".to_owned() }
    );
    let Cost::Measured { us, of } = told("idle-states", &slow()) else { panic!("it was measured") };
    assert!(us == 420.0 && of.contains("p50 is 45.0 us"), "{us} {of}");
    let Cost::NotMeasured { why } = told("idle-states", &Measured::nothing("recorded")) else {
        panic!("it was not")
    };
    assert_eq!(why, "recorded");
    // The difference between sockets, not the way itself.
    let Cost::Measured { us, .. } = told("memory-nodes", &fast()) else { panic!("it was measured") };
    assert!((us - 0.35).abs() < 1e-9);
}

#[test]
fn what_was_measured_decides_where_settings_only_suggest() {
    for host in HOSTS {
        let facts = facts(host);
        check(&facts, &fast(), "durable-write", Good, "p50 22.0 us");
        check(&facts, &slow(), "durable-write", Problem, "p50 2600 us");
        check(&facts, &fast(), "gaps", Good, "3 times");
        check(&facts, &slow(), "gaps", Advice, "70 of these by other threads");
        check(&facts, &fast(), "timer", Good, "in time");
        check(&facts, &slow(), "timer", Advice, "late");
        check(&facts, &fast(), "messages", Good, "cpu 0 to 1 (same cache): 50 ns");
        check(&facts, &slow(), "messages", Advice, "1.6 us");
        check(&facts, &fast(), "read", Good, "16 in flight");
        check(&facts, &fast(), "system-call", Good, "guarded");
        check(&facts, &slow(), "system-call", Advice, "guarded");
        // Quiet cpus need no isolation, whatever the kernel's command line says.
        check(&facts, &fast(), "isolation", Good, "none has to be");
    }
    check(&facts("vm"), &slow(), "clock", Problem, "tsc");
    check(&facts("metal"), &slow(), "clock", Problem, "tsc");
}

#[test]
fn figures_beside_other_load_say_so() {
    let mut measured = slow();
    let tuning::measure::Tried::Measured(gaps) = &mut measured.gaps else {
        unreachable!("they were measured")
    };
    gaps[0].us_sum = 300_000.0;
    check(&facts("metal"), &measured, "gaps", Advice, "measure again when they rest");
}

#[test]
fn a_cache_that_is_flushed_faster_than_flash_is_protected() {
    let container = facts("container");
    let mut measured = fast();
    check(&container, &measured, "write-cache", Good, "probably protected");
    measured.device = tuning::measure::Tried::Measured(device(900.0));
    let finding = check(&container, &measured, "write-cache", Advice, "every durable write flushes it");
    assert!(matches!(&finding.steps[..], [Step::ByHand { command, .. }] if command.contains("Never write")));
}

#[test]
fn settings_that_were_made_are_good() {
    let mut metal = facts("metal");
    metal.cpus.governors.iter_mut().for_each(|(_, governor)| *governor = "performance".to_owned());
    metal.cpus.idle_states.iter_mut().for_each(|state| state.disabled = state.exit_us > 20);
    metal.cpus.isolated = metal.cpus.allowed.clone();
    metal.memory.huge_pages = Some("never".to_owned());
    (metal.memory.swap_bytes, metal.memory.swap_used_bytes) = (0, 0);
    metal.storage.options.retain(|option| option != "discard");
    metal.storage.disks[0].polls = true;
    let nothing = Measured::nothing("recorded");
    for (id, words) in [
        ("governor", "performance on all 32 cpus"),
        ("idle-states", "only POLL, C1"),
        ("isolation", "cpus 0-31 are isolated"),
        ("huge-pages", "never"),
        ("swap", "none"),
        ("file-system", "xfs"),
        ("polling", "polled"),
    ] {
        check(&metal, &nothing, id, Good, words);
    }
    metal.cpus.allowed = (0..8).collect();
    metal.cpus.cores.retain(|core| core.cpu < 8);
    metal.cpus.numa_balancing = Some(false);
    check(&metal, &nothing, "threads-of-a-core", Good, "one thread at most");
    check(&metal, &nothing, "memory-nodes", Good, "1 of them used");
}

#[test]
fn what_loses_data_or_does_not_run_is_a_problem() {
    let nothing = Measured::nothing("recorded");
    let with_file_system = |kind: &str, options: &[&str]| {
        let mut facts = facts("metal");
        facts.storage.file_system = kind.to_owned();
        facts.storage.options = options.iter().map(|option| (*option).to_owned()).collect();
        facts
    };
    check(&with_file_system("overlay", &["rw"]), &nothing, "file-system", Problem, "use a volume");
    check(&with_file_system("tmpfs", &["rw"]), &nothing, "file-system", Problem, "is memory");
    check(&with_file_system("nfs4", &["rw"]), &nothing, "file-system", Problem, "network");
    check(&with_file_system("ext4", &["ro"]), &nothing, "file-system", Problem, "nothing can be written");
    check(&with_file_system("ext4", &["rw", "nobarrier"]), &nothing, "file-system", Problem, "power cut");
    check(&with_file_system("ext4", &["rw", "data=journal"]), &nothing, "file-system", Problem, "journal");
    check(&with_file_system("btrfs", &["rw"]), &nothing, "file-system", Advice, "elsewhere");
    check(&with_file_system("", &[]), &nothing, "file-system", Unseen, "no mount");

    let mut metal = facts("metal");
    metal.storage.disks[0].rotational = true;
    check(&metal, &nothing, "disk", Problem, "it turns");
    metal.storage.layers.push("dm-0".to_owned());
    metal.storage.disks[0].rotational = false;
    check(&metal, &nothing, "disk", Advice, "each layer");
    metal.storage.disks.clear();
    check(&metal, &nothing, "disk", Unseen, "no disk that can be seen");
    metal.kernel.version = Some((5, 4));
    check(&metal, &nothing, "kernel", Problem, "too old");
    metal.ring.missing = vec!["statx".to_owned()];
    check(&metal, &nothing, "io-uring", Problem, "statx");
    metal.ring =
        tuning::facts::Ring { refusal: Some("Operation not permitted".to_owned()), ..Default::default() };
    metal.kernel.io_uring_disabled = Some(2);
    let finding = check(&metal, &nothing, "io-uring", Problem, "Operation not permitted");
    assert_eq!(
        finding.steps,
        [Step::Write { path: "/proc/sys/kernel/io_uring_disabled".to_owned(), value: "0".to_owned() }]
    );
}

#[test]
fn a_container_is_told_what_to_do_on_its_host_and_never_to_write_there() {
    let findings = checks::judge(&facts("container"), &Measured::nothing("recorded"));
    for id in ["huge-pages", "disk-scheduler"] {
        let finding = find(&findings, id);
        assert!(
            matches!(&finding.steps[..], [Step::ByHand { command, .. }] if command.contains("on the host of this container")),
            "{finding:#?}"
        );
    }
}

#[test]
fn a_sign_alone_makes_no_container() {
    // A virtual machine whose disk came from an image has the file, and a disk under its root.
    let vm = facts("vm");
    assert_eq!(vm.place.container, None);
    check(
        &vm,
        &Measured::nothing("recorded"),
        "machine",
        Unseen,
        "/.dockerenv is there, but the root is no image",
    );
}

#[test]
fn the_page_names_every_check() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATING.md");
    let page = std::fs::read_to_string(page).unwrap();
    for id in checks::ids() {
        assert!(page.contains(&format!("`{id}`")), "docs/OPERATING.md does not name {id}");
    }
}
