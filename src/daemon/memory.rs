//! Keeping the daemon and the bridges small on systems with glibc: one heap instead of one for each thread, and
//! what a burst left behind is given back when it is over. Elsewhere the allocator is left alone.

/// One heap for all threads. Called once, before any thread starts.
pub fn one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a parameter of the allocator; no memory is touched.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives free memory back to the system.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only gives back pages that hold nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}
