//! Memory of the program: who gives it out, and how the daemon and the bridges stay small. What a burst or the start
//! left behind is given back when it is over: free memory, and those pages of the program that nobody runs any more.

use mimalloc::MiMalloc;

/// The records of a call are made on the thread that answers it and let go on the one that writes them. With the
/// allocator of glibc the two wait for each other's lock, which cost a third of the CPU of a call; that of musl, which
/// the released programs have, is slow for every thread. Huge pages are left out by a feature: with them the daemon
/// takes three times the memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives free memory back to the system, and the pages of the program itself.
pub fn give_back() {
    // SAFETY: looks at this thread's own heap and at what ended threads left; gives back pages that hold nothing.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    #[cfg(target_os = "linux")]
    leave_program();
}

/// Takes the pages of the program's code and constants out of this process. They stay in the system's cache of the file,
/// and those that are needed come back by themselves, 64 KiB at a time; what only the start needed stays out. Measured
/// after a start: 11 of 15 MiB of code.
#[cfg(target_os = "linux")]
fn leave_program() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    let Ok(program) = std::fs::read_link("/proc/self/exe") else { return };
    for (from, to) in unchanged(&maps, &program.to_string_lossy()) {
        // SAFETY: the range is mapped from a file that is not written to, and no page of it was changed in memory: they
        // can be read again.
        unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_DONTNEED) };
    }
}

/// The ranges of `/proc/self/smaps` that are the program's as it stands in its file: not writable, and no page of them
/// was ever written to, by the loader or by a debugger.
#[cfg(target_os = "linux")]
fn unchanged(maps: &str, program: &str) -> Vec<(usize, usize)> {
    let (mut found, mut current) = (Vec::new(), None);
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            // Written, and in memory.
            (Some("Anonymous:"), Some(size)) if size != "0" => current = None,
            // The last word: what was written and then swapped out is no page of the file either.
            (Some("Swap:"), Some("0")) => found.extend(current.take()),
            (Some(range), Some("r-xp" | "r--p")) if words.nth(3) == Some(program) => {
                let number = |text| usize::from_str_radix(text, 16).ok();
                current = range.split_once('-').and_then(|(from, to)| Some((number(from)?, number(to)?)));
            }
            (Some(name), _) if !name.ends_with(':') => current = None,
            _ => {}
        }
    }
    found
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_unchanged_in_the_program_is_left() {
        let place = |line: &str, anonymous: u32, swapped: u32| {
            format!("{line}\nRss: 4 kB\nAnonymous: {anonymous} kB\nSwap: {swapped} kB\nVmFlags: rd\n")
        };
        let maps = [
            place("1000-2000 r--p 00000000 fe:00 77   /bin/umcp", 0, 0),
            place("2000-3000 r-xp 00010000 fe:00 77   /bin/umcp", 4, 0),
            place("3000-4000 r-xp 00010000 fe:00 77   /bin/umcp", 0, 0),
            place("4000-5000 r--p 00010000 fe:00 77   /bin/umcp", 0, 4),
            place("5000-6000 rw-p 00010000 fe:00 77   /bin/umcp", 0, 0),
            place("6000-7000 r-xp 00010000 fe:00 77   /lib/libc.so.6", 0, 0),
            place("7000-8000 r--p 00000000 00:00 0", 0, 0),
        ]
        .concat();
        assert_eq!(unchanged(&maps, "/bin/umcp"), [(0x1000, 0x2000), (0x3000, 0x4000)]);
        leave_program();
    }
}
