//! Directory handles on Unix. Every name below a root is resolved by the kernel from the root's handle: on Linux
//! with `openat2` and `RESOLVE_BENEATH`; elsewhere, and where that is missing, name by name without following links.
//! No path is ever checked and then used, so nothing can be exchanged in between.

use super::{Info, Kind};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The longest target of a link that is shown.
const MAX_TARGET: usize = 4096;
const DIRECTORY: libc::c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;

/// An open directory.
pub struct Dir(OwnedFd);

/// Whether the error means that a link leads out of the root (or is one where none may be).
pub fn is_escape(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EXDEV | libc::ELOOP))
}

impl Dir {
    /// The root itself: whoever wrote the entry may use links in it.
    pub fn root(path: &Path) -> io::Result<Self> {
        open_at(libc::AT_FDCWD, path.as_os_str(), DIRECTORY, 0).map(Self)
    }

    /// A directory below this one.
    pub fn dir(&self, below: &Path) -> io::Result<Self> {
        beneath(&self.0, below, DIRECTORY).map(Self)
    }

    /// A directory in this one that is no link.
    pub fn child(&self, name: &OsStr) -> io::Result<Self> {
        open_at(self.0.as_raw_fd(), name, DIRECTORY | libc::O_NOFOLLOW, 0).map(Self)
    }

    /// A regular file below this directory, for reading.
    pub fn file(&self, below: &Path) -> io::Result<File> {
        // Without O_NONBLOCK, opening a pipe would wait for a writer.
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        let file = File::from(beneath(&self.0, below, flags)?);
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        match kind.is_file() {
            true => Ok(file),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        }
    }

    /// What a name in this directory is.
    pub fn info(&self, name: &OsStr) -> io::Result<Info> {
        self.stat(name).map(|stat| info_of(&stat))
    }

    fn stat(&self, name: &OsStr) -> io::Result<libc::stat> {
        let name = c_string(name)?;
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the handle is open, the name ends with NUL, the buffer has the size of `stat`.
        let code = unsafe {
            libc::fstatat(self.0.as_raw_fd(), name.as_ptr(), stat.as_mut_ptr(), libc::AT_SYMLINK_NOFOLLOW)
        };
        check(code)?;
        // SAFETY: the call succeeded, so the buffer is filled.
        Ok(unsafe { stat.assume_init() })
    }

    pub fn own_info(&self) -> io::Result<Info> {
        self.info(OsStr::new("."))
    }

    /// Where a link in this directory points.
    pub fn link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let name = c_string(name)?;
        let mut target = vec![0u8; MAX_TARGET];
        // SAFETY: the buffer has the length that is given.
        let length = unsafe {
            libc::readlinkat(self.0.as_raw_fd(), name.as_ptr(), target.as_mut_ptr().cast(), target.len())
        };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        target.truncate(length);
        Ok(OsString::from_vec(target).into())
    }

    /// The names in this directory, in no order.
    pub fn entries(&self) -> io::Result<Vec<(OsString, Kind)>> {
        // A handle of its own, since reading moves a position that copies of a handle share.
        let own = open_at(self.0.as_raw_fd(), OsStr::new("."), DIRECTORY, 0)?.into_raw_fd();
        // SAFETY: the stream takes over the handle and is closed below.
        let stream = unsafe { libc::fdopendir(own) };
        if stream.is_null() {
            let error = io::Error::last_os_error();
            // SAFETY: the stream did not take the handle over.
            drop(unsafe { OwnedFd::from_raw_fd(own) });
            return Err(error);
        }
        let mut entries = Vec::new();
        loop {
            // SAFETY: the stream is open and only this thread uses it; the entry is read before the next call.
            let entry = unsafe { libc::readdir(stream) };
            if entry.is_null() {
                break;
            }
            // SAFETY: `readdir` gave a valid entry, whose name ends with NUL.
            let (name, kind) = unsafe { (CStr::from_ptr((*entry).d_name.as_ptr()), (*entry).d_type) };
            let name = OsStr::from_bytes(name.to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match kind {
                libc::DT_REG => Kind::File,
                libc::DT_DIR => Kind::Directory,
                libc::DT_LNK => Kind::Link,
                libc::DT_UNKNOWN => self.info(name).map_or(Kind::Other, |info| info.kind),
                _ => Kind::Other,
            };
            entries.push((name.to_os_string(), kind));
        }
        // SAFETY: the stream is open and not used again.
        unsafe { libc::closedir(stream) };
        Ok(entries)
    }

    /// Makes a directory.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        let name = c_string(name)?;
        // SAFETY: the handle is open and the name ends with NUL.
        check(unsafe { libc::mkdirat(self.0.as_raw_fd(), name.as_ptr(), 0o777) })
    }

    /// Puts a file with this content in the place of what was there, in one step. True when nothing was.
    pub fn replace(&self, name: &OsStr, content: &[u8]) -> io::Result<bool> {
        let mode = self.stat(name).ok().map(|stat| stat.st_mode & 0o777);
        let temporary = OsString::from(format!(".umcp-{}", crate::ids::random_hex(8)));
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let mut file = File::from(open_at(self.0.as_raw_fd(), &temporary, flags, 0o666)?);
        let written = file.write_all(content).and_then(|()| match mode {
            // SAFETY: the handle is open.
            Some(mode) => check(unsafe { libc::fchmod(file.as_raw_fd(), mode) }),
            None => Ok(()),
        });
        let (from, to) = (c_string(&temporary)?, c_string(name)?);
        let directory = self.0.as_raw_fd();
        // SAFETY: the handle is open and both names end with NUL.
        let moved = written.and_then(|()| {
            check(unsafe { libc::renameat(directory, from.as_ptr(), directory, to.as_ptr()) })
        });
        if moved.is_err() {
            // SAFETY: as above.
            unsafe { libc::unlinkat(directory, from.as_ptr(), 0) };
        }
        moved.map(|()| mode.is_none())
    }
}

/// Opens something below a directory.
fn beneath(root: &OwnedFd, below: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    match linux(root.as_raw_fd(), below, flags) {
        // Kernels before 5.6 and some containers do not have the call.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
        other => return other,
    }
    walk(root, below, flags)
}

#[cfg(target_os = "linux")]
fn linux(root: RawFd, below: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let path = if below.as_os_str().is_empty() { OsStr::new(".") } else { below.as_os_str() };
    let path = c_string(path)?;
    // SAFETY: all zeroes is a valid value of this structure of numbers.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(flags.cast_unsigned());
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    for _ in 0..16 {
        // SAFETY: the handle is open, the path ends with NUL, the structure has the size that is given.
        let handle = unsafe {
            libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &raw const how, size_of::<libc::open_how>())
        };
        if handle >= 0 {
            let handle = RawFd::try_from(handle).map_err(|_| io::ErrorKind::InvalidData)?;
            // SAFETY: the call gave this handle to us alone.
            return Ok(unsafe { OwnedFd::from_raw_fd(handle) });
        }
        let error = io::Error::last_os_error();
        // Something on the way was renamed meanwhile: the kernel cannot vouch for the result and asks to try again.
        if error.raw_os_error() != Some(libc::EAGAIN) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

/// Opens name by name, following no link at all.
fn walk(root: &OwnedFd, below: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let names: Vec<&OsStr> = below.iter().collect();
    let Some((last, above)) = names.split_last() else {
        return open_at(root.as_raw_fd(), OsStr::new("."), flags, 0);
    };
    let mut at = root.try_clone()?;
    for name in above {
        at = no_link(&at, name, DIRECTORY)?;
    }
    no_link(&at, last, flags)
}

/// Opens a name that is no link. Systems differ in how they refuse one; this says it in one way.
fn no_link(at: &OwnedFd, name: &OsStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    if name == ".." {
        return Err(io::Error::from_raw_os_error(libc::EXDEV));
    }
    open_at(at.as_raw_fd(), name, flags | libc::O_NOFOLLOW, 0).map_err(|error| {
        let link = at.try_clone().and_then(|at| Dir(at).info(name)).is_ok_and(|info| info.kind == Kind::Link);
        if link { io::Error::from_raw_os_error(libc::ELOOP) } else { error }
    })
}

fn open_at(at: RawFd, name: &OsStr, flags: libc::c_int, mode: libc::c_uint) -> io::Result<OwnedFd> {
    let name = c_string(name)?;
    // SAFETY: the handle is open and the name ends with NUL.
    let handle = unsafe { libc::openat(at, name.as_ptr(), flags, mode) };
    check(handle)?;
    // SAFETY: the call gave this handle to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(handle) })
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn c_string(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn info_of(stat: &libc::stat) -> Info {
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    };
    Info { kind, size: u64::try_from(stat.st_size).unwrap_or(0), modified: Some(stat.st_mtime) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Both ways of resolving refuse the same; only links that stay inside differ.
    #[test]
    fn nothing_leads_out_of_a_root() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("work");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(home.path().join("work-evil")).unwrap();
        std::fs::write(root.join("a/in.txt"), "in").unwrap();
        std::fs::write(home.path().join("out.txt"), "out").unwrap();
        symlink("../../out.txt", root.join("a/out")).unwrap();
        symlink(home.path(), root.join("up")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        symlink("in.txt", root.join("a/inside")).unwrap();
        let root = Dir::root(&root).unwrap();
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        #[cfg(target_os = "linux")]
        let has_openat2 = linux(root.0.as_raw_fd(), Path::new(""), flags).is_ok();
        #[cfg(not(target_os = "linux"))]
        let has_openat2 = false;
        for (path, beneath_root, walked) in [
            ("a/in.txt", true, true),
            ("a/b", true, true),
            ("a/inside", has_openat2, false),
            ("a/out", false, false),
            ("up/out.txt", false, false),
            ("magic/etc/passwd", false, false),
            ("../out.txt", false, false),
            ("../work-evil", false, false),
            ("a/../../out.txt", false, false),
            ("a/none", false, false),
        ] {
            assert_eq!(beneath(&root.0, Path::new(path), flags).is_ok(), beneath_root, "{path}");
            let outcome = walk(&root.0, Path::new(path), flags);
            assert_eq!(outcome.is_ok(), walked, "walk {path}");
            if let Err(error) = outcome {
                assert_eq!(is_escape(&error), path != "a/none", "{path}: {error}");
            }
        }
    }
}
