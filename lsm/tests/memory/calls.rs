//! Work that must not call the kernel, in a child process that the kernel ends at the first call.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// `ld [nr]; jeq exit, +1; ret kill; ret allow`: all that the child may do is end.
const EXIT_ALONE: [libc::sock_filter; 4] = [
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_exit as u32),
    instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_KILL_PROCESS),
    instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
];

/// What the child says when the filter is not to be had.
const NO_FILTER: i32 = 77;

const fn instruction(code: u32, jump: u8, operand: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: jump, jf: 0, k: operand }
}

/// Whether `work` comes to its end and says yes without a single system call.
pub fn needs_no_system_call(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child has this thread alone. It runs `work`, which asks nobody else for anything, and never returns.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a fork");
    if child == 0 {
        let code = if forbid_calls() { i32::from(!work()) } else { NO_FILTER };
        // SAFETY: ends the child's only thread, and nothing else of it runs.
        unsafe { libc::syscall(libc::SYS_exit, code) };
        unreachable!("the child has ended");
    }
    let mut status = 0;
    // SAFETY: `child` is ours, and `status` outlives the call.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(ended, child, "the child is waited for");
    let status = ExitStatus::from_raw(status);
    assert_ne!(status.code(), Some(NO_FILTER), "the kernel takes a filter of system calls");
    assert!(
        status.success() || status.code() == Some(1) || status.signal() == Some(libc::SIGSYS),
        "{status}"
    );
    status.success()
}

/// From now on any system call but `exit` ends the process.
fn forbid_calls() -> bool {
    let mut filter = EXIT_ALONE;
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls take plain numbers and a program that outlives them.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}
