//! The kernel: its release, and whether io_uring answers.

use crate::Missing;

/// The kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    read_line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_string())
}

/// The processor's name, as the kernel prints it.
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_string(), |(_, name)| name.trim().to_string())
}

/// Sets up a ring and sends one operation through it.
///
/// Fails where the kernel is too old, where `kernel.io_uring_disabled` or a container's seccomp filter forbids it, and
/// where the process may not lock the memory for the ring.
pub fn try_io_uring() -> Result<(), Missing> {
    let mut ring = io_uring::IoUring::new(8).map_err(|error| explain(&error))?;
    let nop = io_uring::opcode::Nop::new().build();
    // SAFETY: a no-op refers to no memory.
    unsafe { ring.submission().push(&nop) }.expect("an empty queue of eight has room for one");
    ring.submit_and_wait(1).map_err(|error| explain(&error))?;
    let completed = ring.completion().count();
    assert_eq!(completed, 1, "one operation went in, so one comes out");
    Ok(())
}

fn explain(error: &std::io::Error) -> Missing {
    let advice = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            let setting = read_line("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
            format!(
                "allow it: `sysctl kernel.io_uring_disabled=0` (now: {}); in a container, run with a seccomp profile \
                 that allows io_uring_setup, io_uring_enter and io_uring_register",
                if setting.is_empty() { "unknown" } else { &setting }
            )
        }
        Some(libc::ENOSYS) => "run on Linux 5.11 or later with CONFIG_IO_URING".to_string(),
        Some(libc::ENOMEM) => {
            "raise the limit on locked memory: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the systemd unit".to_string()
        }
        _ => format!("see io_uring_setup(2) for this error; the kernel here is {}", release()),
    };
    Missing { what: format!("io_uring is not available: {error}"), advice }
}

fn read_line(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

#[cfg(test)]
mod tests;
