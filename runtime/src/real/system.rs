//! The few system calls that std and glommio do not offer, each behind a safe function.

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Random numbers from the kernel's generator.
pub(super) fn random_words<const COUNT: usize>() -> io::Result<[u64; COUNT]> {
    let mut words = [0u64; COUNT];
    let size = size_of_val(&words);
    assert!(size <= 256, "the kernel gives so many bytes in one piece");
    // SAFETY: the pointer and the size are those of `words`, which any bytes are valid for.
    let filled = check(unsafe { libc::getrandom(words.as_mut_ptr().cast(), size, 0) } as libc::c_long)?;
    assert_eq!(filled as usize, size, "up to 256 bytes come whole");
    Ok(words)
}

/// Raises the limit of locked memory as far as it goes, and tells how far that is.
pub(super) fn raise_locked_memory() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that the call fills.
    check(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) }.into())?;
    for most in [libc::RLIM_INFINITY, limit.rlim_max] {
        let raised = libc::rlimit { rlim_cur: most, rlim_max: most.max(limit.rlim_max) };
        // SAFETY: `raised` is a valid rlimit that the call only reads.
        if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raised) } == 0 {
            return Ok(most);
        }
    }
    Ok(limit.rlim_cur)
}

/// Raises the limit of open files, sockets included, as far as an ordinary user may; tells how far that is.
pub(super) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that the call fills.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }.into())?;
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: `raised` is a valid rlimit that the call only reads.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) }.into())?;
    Ok(raised.rlim_cur)
}

/// Whether the kernel lets this process make a ring.
pub(super) fn try_ring() -> io::Result<()> {
    // `struct io_uring_params`: 120 bytes; zeros ask for the defaults.
    let mut parameters = [0u32; 30];
    // SAFETY: the kernel reads and fills the 120 bytes of `parameters`, which are valid for any content.
    let ring = check(unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) })?;
    // SAFETY: the descriptor was just made and nobody else has it.
    check(unsafe { libc::close(ring as RawFd) }.into())?;
    Ok(())
}

/// What kind of file system a path is on (its magic number), and the bytes free to ordinary users there.
pub(super) fn file_system(path: &Path) -> io::Result<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statfs is plain data, for which zeros are valid.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends with a zero byte, and `found` is a valid place for the answer.
    check(unsafe { libc::statfs(path.as_ptr(), &mut found) }.into())?;
    Ok((found.f_type as u64, found.f_bavail * found.f_bsize as u64))
}

/// Size of an open file. By its descriptor: its name may be another file's by now.
pub(super) fn size_of_open(file: RawFd) -> io::Result<u64> {
    // SAFETY: stat is plain data, for which zeros are valid.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a valid place for the answer; a bad descriptor is an error, no more.
    check(unsafe { libc::fstat(file, &mut found) }.into())?;
    Ok(found.st_size as u64)
}

#[cfg(test)]
mod tests;
