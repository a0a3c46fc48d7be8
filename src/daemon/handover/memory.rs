//! The memory of the book: made by the bridge, mapped by the daemon. The only place that touches it by address.
//! Rule: no reference to shared bytes ever exists; they are copied in and out, and every place is checked first.

use super::layout::{PAGE, SIZE, Word};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a book of zeros, which nobody can make smaller under the one who has mapped it.
pub fn create() -> io::Result<File> {
    // SAFETY: the name is a C string; the descriptor is ours when the call succeeds.
    let file = unsafe {
        let fd = libc::memfd_create(c"umcp-book".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(fd)
    };
    file.set_len(SIZE as u64)?;
    // SAFETY: `file` is open; no memory is involved.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// A book mapped into this process.
#[derive(Debug)]
pub struct Map(NonNull<u8>);

// SAFETY: the mapping belongs to this value alone, and nothing in it is tied to a thread.
unsafe impl Send for Map {}

impl Map {
    /// Maps a book; refuses memory of another size, or that could shrink.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: `file` is open; no memory is involved.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        if seals < 0 || seals & SEALS != SEALS || file.metadata()?.len() != SIZE as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of SIZE bytes at a place of the kernel's choice; the seals keep it whole.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping was just made. Where the system prefers large pages, a client would cost megabytes.
        unsafe { libc::madvise(base, SIZE, libc::MADV_NOHUGEPAGE) };
        NonNull::new(base.cast()).map(Self).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        // SAFETY: every word lies within the first page, aligned to eight bytes, and lives as long as the mapping.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().add(word as usize).cast()) }
    }

    pub fn load(&self, word: Word) -> u64 {
        self.word(word).load(Ordering::Acquire)
    }

    /// Stores a word behind everything written before.
    pub fn store(&mut self, word: Word, value: u64) {
        self.word(word).store(value, Ordering::Release);
    }

    /// Copies bytes in. False: there is no room for them there.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> bool {
        let fits = fits(at, bytes.len());
        if fits {
            // SAFETY: the place was checked, and private memory does not overlap the mapping.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.as_ptr().add(at), bytes.len());
            }
        }
        fits
    }

    /// Copies bytes out. False: the book ends before.
    pub fn read(&self, at: usize, into: &mut [u8]) -> bool {
        let fits = fits(at, into.len());
        if fits {
            // SAFETY: as in `write`.
            unsafe {
                std::ptr::copy_nonoverlapping(self.0.as_ptr().add(at), into.as_mut_ptr(), into.len());
            }
        }
        fits
    }

    /// Copies bytes to another place of the book.
    pub fn copy(&mut self, from: Range<usize>, to: usize) {
        if fits(from.start, from.len()) && fits(to, from.len()) {
            let base = self.0.as_ptr();
            // SAFETY: both places were checked; they may overlap.
            unsafe { std::ptr::copy(base.add(from.start), base.add(to), from.len()) };
        }
    }

    pub fn zero(&mut self, range: Range<usize>) {
        if fits(range.start, range.len()) {
            // SAFETY: the place was checked.
            unsafe { std::ptr::write_bytes(self.0.as_ptr().add(range.start), 0, range.len()) };
        }
    }

    /// Zeroes whole pages and gives them back to the system. Places within a page are rounded inwards.
    pub fn give_back(&mut self, range: Range<usize>) {
        let (start, end) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
        if start < end && fits(start, end - start) {
            // SAFETY: the place was checked; pages given back read as zeros.
            let given =
                unsafe { libc::madvise(self.0.as_ptr().add(start).cast(), end - start, libc::MADV_REMOVE) };
            if given != 0 {
                self.zero(start..end);
            }
        }
    }

    /// Reads from a pipe, or a socket, straight into the book: at most `most` bytes. Never waits on a socket; a pipe
    /// has to be non-blocking.
    pub fn receive(&mut self, from: BorrowedFd, socket: bool, at: usize, most: usize) -> io::Result<usize> {
        if !fits(at, most) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the place was checked, and the kernel writes at most `most` bytes there.
        let read = unsafe {
            let place = self.0.as_ptr().add(at).cast();
            match socket {
                true => libc::recv(from.as_raw_fd(), place, most, libc::MSG_DONTWAIT),
                false => libc::read(from.as_raw_fd(), place, most),
            }
        };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this size, and nothing points into it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

fn fits(at: usize, length: usize) -> bool {
    at.checked_add(length).is_some_and(|end| end <= SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::handover::layout::INPUT;
    use std::os::unix::fs::FileExt;

    #[test]
    fn places_outside_the_book_are_refused() {
        let mut map = Map::new(&create().unwrap()).unwrap();
        assert!(map.write(SIZE - 3, b"end") && !map.write(SIZE - 2, b"end") && !map.write(usize::MAX, b"x"));
        let mut three = [0; 3];
        assert!(map.read(SIZE - 3, &mut three) && &three == b"end" && !map.read(SIZE - 2, &mut three));
        map.zero(SIZE - 1..SIZE + 1);
        map.copy(0..10, SIZE - 9);
        map.give_back(SIZE..SIZE + 2 * PAGE);
        assert!(map.read(SIZE - 3, &mut three) && &three == b"end");
    }

    #[test]
    fn only_a_book_is_mapped_and_nobody_can_shrink_it() {
        assert!(Map::new(&tempfile::tempfile().unwrap()).is_err());
        let book = create().unwrap();
        assert!(book.set_len(1).is_err());
        let mut map = Map::new(&book).unwrap();
        map.store(Word::Skip, 7);
        map.write(INPUT, b"hello");
        let mut bytes = [0; 8];
        book.read_exact_at(&mut bytes, Word::Skip as u64).unwrap();
        assert_eq!((u64::from_ne_bytes(bytes), map.load(Word::Skip)), (7, 7));
        book.read_exact_at(&mut bytes, INPUT as u64).unwrap();
        assert_eq!(&bytes, b"hello\0\0\0");
    }

    #[test]
    fn pages_given_back_are_zeros_and_cost_nothing() {
        use std::os::unix::fs::MetadataExt;
        let book = create().unwrap();
        let mut map = Map::new(&book).unwrap();
        map.write(INPUT, &vec![b'x'; 1 << 20]);
        assert!(book.metadata().unwrap().blocks() * 512 >= 1 << 20);
        map.give_back(INPUT + 1..INPUT + (1 << 20));
        let mut bytes = [1; 2];
        assert!(map.read(INPUT + PAGE, &mut bytes) && bytes == [0; 2]);
        assert!(book.metadata().unwrap().blocks() * 512 <= 2 * PAGE as u64);
    }
}
