//! Facts are read, and what is not there is said.

use super::*;

#[test]
fn cpu_lists_are_read_as_the_kernel_writes_them() {
    assert_eq!(parse_cpu_list("0"), [0]);
    assert_eq!(parse_cpu_list("0-2,5"), [0, 1, 2, 5]);
    assert_eq!(parse_cpu_list("0-1, 8-9"), [0, 1, 8, 9]);
    assert_eq!(parse_cpu_list("nonsense"), [0usize; 0]);
}

#[test]
fn this_computer_has_facts() {
    let host = facts();
    assert!(!host.cpus.is_empty());
    assert!(host.memory_mib > 0);
    assert_ne!(host.kernel, "unknown");
    assert!(host.to_string().contains(&host.kernel));
}

#[test]
fn this_process_has_memory_and_a_missing_one_is_named() {
    let (resident, peak) = memory(std::process::id()).expect("this process runs");
    assert!(resident > 0 && resident <= peak);
    let error = memory(u32::MAX).expect_err("no such process").to_string();
    assert!(error.contains("is process 4294967295 running?"), "{error}");
}
