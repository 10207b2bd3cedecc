//! How memory is handed out, which the C library can only be told through the environment.
//!
//! glibc gives every few threads an arena of their own, and what one gave back no other uses. A camera has several threads,
//! each with pictures of megabytes. Two arenas are enough, for nothing is allocated a frame.
//!
//! Blocks of megabytes (pictures, a model's tensors) are asked for in pages of 2 MB, where the kernel has them
//! (`transparent_hugepage` at `madvise`, as Debian sets it): one of these is looked up where 512 are else, which in a virtual
//! machine costs most.

/// Read by glibc when the program starts: how many arenas.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

/// Read by glibc from 2.35 on.
const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// Starts the program again, in the same process and with the same arguments, with what is missing of it. It returns
/// only when the environment names it all already (the second time, or because a person wants it otherwise), or when
/// the start failed. To be called first in `main`, before there are threads.
///
/// The detour is needed because a program's own environment can only be changed by `unsafe` code.
///
/// # Errors
/// When the program could not be started again; it then takes more memory.
#[cfg(unix)]
pub fn settle() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;

    let missing = [ARENAS, HUGE_PAGES].map(|(name, value)| {
        let missing = std::env::var_os(name).is_none();
        missing.then_some((name, value))
    });
    if missing.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(again.args(arguments).envs(missing.into_iter().flatten()).exec())
}
