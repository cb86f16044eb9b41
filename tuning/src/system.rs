//! The few system calls that std does not offer, each behind a safe function.

#![expect(unsafe_code, reason = "system calls that std does not offer")]

use std::io;

/// Keeps this thread on one cpu.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::other("a number of a cpu that no mask can hold"));
    }
    // SAFETY: a cpu_set_t is plain bits, for which all zeros is a value; `cpu` is below the number of them.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        set
    };
    // SAFETY: `set` is valid for reads of the size passed along; 0 names this thread.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How often this thread was taken off its cpu although it wanted to go on.
pub(crate) fn preemptions() -> u64 {
    // SAFETY: a rusage is plain numbers, for which zeros are values; the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage
    };
    u64::try_from(usage.ru_nivcsw).unwrap_or(0)
}

/// The cheapest system call that goes into the kernel.
pub(crate) fn enter_kernel() {
    // SAFETY: the call takes no argument and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// From now on this thread's sleeps end when they should, not up to 50 us later to save wake-ups; io_uring's timers have no such slack.
pub(crate) fn no_timer_slack() {
    // SAFETY: only a number is passed; a kernel that does not know the call ignores it.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1u64, 0u64, 0u64, 0u64) };
}
