//! An own view of the mounts, in which hidden folders are empty and hidden files say nothing.
//! Whoever is not root gets it in a user namespace of its own, with the same numbers and without any capability in it,
//! so that nothing can be uncovered again; root is held by the rules of `landlock.rs`, which forbid mounting.

use super::{Identity, STEP, step};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What to mount in the child.
#[derive(Debug)]
pub struct Mounts {
    folders: Vec<CString>,
    files: Vec<CString>,
    /// The maps of the user namespace; `None` for root, who needs none.
    maps: Option<[String; 2]>,
}

/// Says that a trial came to its end.
const FINE: i32 = 90 * STEP;

/// Whether it can be done here: a child tries, and never becomes a program.
pub fn work(identity: Identity) -> bool {
    let trial = Mounts::over(&[PathBuf::from("/dev")], identity);
    let mut command = Command::new("/proc/self/exe");
    // SAFETY: `enter` makes system calls only.
    unsafe {
        command.pre_exec(move || {
            trial.enter()?;
            Err(io::Error::from_raw_os_error(FINE))
        });
    }
    matches!(command.spawn(), Err(error) if error.raw_os_error() == Some(FINE))
}

impl Mounts {
    /// `places` exist and are no links.
    pub fn over(places: &[PathBuf], identity: Identity) -> Self {
        let (folders, files): (Vec<&PathBuf>, Vec<&PathBuf>) =
            places.iter().partition(|place| place.is_dir());
        let text = |places: Vec<&PathBuf>| {
            places.iter().filter_map(|place| CString::new(place.as_os_str().as_bytes()).ok()).collect()
        };
        let Identity { uid, gid } = identity;
        Self {
            folders: text(folders),
            files: text(files),
            maps: (uid != 0).then(|| [format!("{uid} {uid} 1"), format!("{gid} {gid} 1")]),
        }
    }

    #[cfg(test)]
    pub fn of_folders(folders: &[&str], identity: Identity) -> Self {
        let folders = folders.iter().filter_map(|folder| CString::new(*folder).ok()).collect();
        Self { folders, ..Self::over(&[], identity) }
    }

    /// Runs in the child.
    pub fn enter(&self) -> io::Result<()> {
        let user = if self.maps.is_some() { libc::CLONE_NEWUSER } else { 0 };
        // SAFETY: flags only; the child has one thread, whether it shares memory or not.
        step(2, unsafe { libc::unshare(libc::CLONE_NEWNS | user) })?;
        if let Some([uids, gids]) = &self.maps {
            let [groups, users, members] = open_maps();
            write(&groups?, "deny")?;
            write(&users?, uids)?;
            write(&members?, gids)?;
        }
        // What is mounted later is seen, and nothing done here is seen outside.
        mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_SLAVE, None)?;
        for folder in &self.folders {
            let closed = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            lenient(mount(c"tmpfs", folder, c"tmpfs", closed, Some(c"size=4k,mode=555")))?;
        }
        for file in &self.files {
            lenient(mount(c"/dev/null", file, c"none", libc::MS_BIND, None))?;
        }
        if self.maps.is_some() { renounce() } else { Ok(()) }
    }
}

fn mount(from: &CStr, to: &CStr, kind: &CStr, flags: libc::c_ulong, data: Option<&CStr>) -> io::Result<()> {
    let data = data.map_or(std::ptr::null(), |data| data.as_ptr().cast());
    // SAFETY: all are strings that end with a zero, or no string at all.
    step(4, unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, data) })
}

/// A place that is gone by now needs no hiding.
fn lenient(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.raw_os_error() == Some(4 * STEP + libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// The files of the maps, open. A process that guards its memory may not open its own; so the guard is down for these
/// three calls, and then is what it was before: the flag belongs to the memory, which may be the daemon's.
fn open_maps() -> [io::Result<OwnedFd>; 3] {
    // SAFETY: flags of this process; the paths end with a zero; descriptors that come back are ours to close.
    unsafe {
        let guarded = libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != 1;
        if guarded {
            libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        }
        let maps = [c"/proc/self/setgroups", c"/proc/self/uid_map", c"/proc/self/gid_map"].map(|file| {
            let fd = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            step(3, fd).map(|()| OwnedFd::from_raw_fd(fd))
        });
        if guarded {
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        }
        maps
    }
}

fn write(file: &OwnedFd, text: &str) -> io::Result<()> {
    // SAFETY: pointer and length describe `text`.
    let written = unsafe { libc::write(file.as_raw_fd(), text.as_ptr().cast(), text.len()) };
    step(3, if written < 0 { -1 } else { 0 })
}

/// Gives up every capability in the new user namespace, for good.
fn renounce() -> io::Result<()> {
    /// No privileges by user number, not now and not after any exec, and no way back.
    const SECURE: libc::c_ulong = 0b10_1111;
    const VERSION: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header { version: VERSION, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: a flag of this process; then two structures of the kernel's layout that outlive the call.
    unsafe {
        step(3, libc::prctl(libc::PR_SET_SECUREBITS, SECURE, 0, 0, 0))?;
        let answer = libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr());
        step(3, if answer < 0 { -1 } else { 0 })
    }
}
