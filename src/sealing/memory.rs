//! 32 bytes that are not swapped out, stand in no core dump and are wiped when dropped.
//! Where the system refuses to lock memory the bytes are still wiped: a vault that does not open helps nobody.

use super::KEY;
use zeroize::Zeroize;

/// A page of its own, so that locking and unlocking it concerns nothing else.
#[cfg(unix)]
pub struct Locked {
    page: std::ptr::NonNull<u8>,
    length: usize,
}

#[cfg(unix)]
// SAFETY: the page is owned by this value alone and only read after it was made.
unsafe impl Send for Locked {}
#[cfg(unix)]
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Locked {}

#[cfg(unix)]
impl Locked {
    pub fn new(bytes: &[u8; KEY]) -> Self {
        // SAFETY: asks for a number only.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let length = usize::try_from(size).unwrap_or(4096).max(KEY);
        // SAFETY: a fresh private mapping of our own; the result is checked before it is used.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        assert!(page != libc::MAP_FAILED, "the system has a page of memory left");
        // SAFETY: the mapping is `length` bytes long, which is at least KEY; both hints may fail without harm.
        unsafe {
            libc::mlock(page, length);
            #[cfg(target_os = "linux")]
            libc::madvise(page, length, libc::MADV_DONTDUMP);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), page.cast::<u8>(), KEY);
        }
        let page = std::ptr::NonNull::new(page.cast::<u8>()).expect("a mapping is never at address 0");
        Self { page, length }
    }

    pub fn bytes(&self) -> &[u8; KEY] {
        // SAFETY: the page lives as long as `self`, holds KEY initialised bytes and is not written meanwhile.
        unsafe { self.page.cast::<[u8; KEY]>().as_ref() }
    }
}

#[cfg(unix)]
impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: nobody else has the page; it is wiped, then given back once.
        unsafe {
            self.page.cast::<[u8; KEY]>().as_mut().zeroize();
            libc::munmap(self.page.as_ptr().cast(), self.length);
        }
    }
}

/// On other systems the bytes are wiped, and not locked.
#[cfg(not(unix))]
pub struct Locked(Box<[u8; KEY]>);

#[cfg(not(unix))]
impl Locked {
    pub fn new(bytes: &[u8; KEY]) -> Self {
        Self(Box::new(*bytes))
    }

    pub fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

#[cfg(not(unix))]
impl Drop for Locked {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_locked_and_left_out_of_core_dumps() {
        let locked = Locked::new(&[3; KEY]);
        assert_eq!(locked.bytes(), &[3; KEY]);
        let address = locked.bytes().as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        let mut flags = String::new();
        for line in maps.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let number = |text| usize::from_str_radix(text, 16);
            if let Some((Ok(low), Ok(high))) = range.map(|(low, high)| (number(low), number(high))) {
                inside = (low..high).contains(&address);
            } else if let (true, Some(found)) = (inside, line.strip_prefix("VmFlags:")) {
                flags = found.to_string();
            }
        }
        assert!(flags.split_whitespace().any(|flag| flag == "dd"), "in core dumps: {flags}");
        assert!(flags.split_whitespace().any(|flag| flag == "lo"), "not locked: {flags}");
    }
}
