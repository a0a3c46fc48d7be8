//! Landlock: rules over files, TCP and other processes that a process puts on itself and cannot take off.
//! The three system calls and their structures, written down here because no more is needed of them.
//! A set of rules is built before the fork and only taken on after it.

use super::super::plan::{Files, Plan};
use super::super::profile::{Base, Net};
use super::super::reach::Reach;
use super::{MOVES, PORTS, step};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// What a rule on something else than a folder may speak of.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
const READ: u64 = EXECUTE | READ_FILE | READ_DIR;

const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 2;

const ABSTRACT_SOCKETS: u64 = 1;
const SIGNALS: u64 = 2;

/// The system calls have the same numbers on every processor.
const CREATE_RULESET: libc::c_long = 444;
const ADD_RULE: libc::c_long = 445;
const RESTRICT_SELF: libc::c_long = 446;
const RULE_PATH: libc::c_int = 1;
const RULE_PORT: libc::c_int = 2;

#[repr(C)]
struct Handled {
    files: u64,
    net: u64,
    scope: u64,
}

#[repr(C, packed)]
struct PathRule {
    allowed: u64,
    parent: i32,
}

#[repr(C)]
struct PortRule {
    allowed: u64,
    port: u64,
}

/// The version the kernel offers; 0 when it offers none.
pub fn version() -> i32 {
    const ASK: libc::c_int = 1;
    // SAFETY: with this flag no structure is read.
    let answer = unsafe { libc::syscall(CREATE_RULESET, std::ptr::null::<u8>(), 0, ASK) };
    i32::try_from(answer).unwrap_or(0).max(0)
}

/// Rights over files that a version knows.
fn known(version: i32) -> u64 {
    match version {
        ..=0 => 0,
        1 => REFER - 1,
        2 => TRUNCATE - 1,
        3 | 4 => IOCTL_DEV - 1,
        _ => (IOCTL_DEV << 1) - 1,
    }
}

/// The rules of a plan; `None` where Landlock cannot help. `masked`: hidden places are hidden already.
pub fn ruleset(plan: &Plan, version: i32, masked: bool) -> io::Result<Option<OwnedFd>> {
    // The first version forbids to move files between folders whatever the rules say; only a strict child bears that.
    let least = if plan.base == Base::Strict { 1 } else { MOVES };
    if version < least {
        return Ok(None);
    }
    let rights = known(version);
    let ports = match &plan.net {
        Net::Any => None,
        Net::None => Some(&[][..]),
        Net::Ports(ports) => Some(ports.as_slice()),
    };
    let strict = plan.base == Base::Strict;
    let files = match &plan.files {
        Files::Only(_) => rights,
        // No rule at all would not hold the child apart from other processes. Nobody makes block devices, and a child
        // under any rule over files may not mount, which keeps covered what root covered.
        Files::Hide(_) if masked => MAKE_BLOCK | REFER,
        Files::Hide(_) => rights & (MAKE_BLOCK | REFER | READ_FILE | WRITE_FILE | TRUNCATE),
    };
    let handled = Handled {
        files,
        net: if ports.is_some() && version >= PORTS { BIND_TCP | CONNECT_TCP } else { 0 },
        scope: if strict && version >= 6 { ABSTRACT_SOCKETS | SIGNALS } else { 0 },
    };
    let set = create(&handled)?;
    match &plan.files {
        Files::Only(reach) => allow_reach(&set, reach, rights)?,
        Files::Hide(places) => {
            allow(&set, Path::new("/"), REFER)?;
            if !masked {
                allow_all_but(&set, places, files & (READ_FILE | WRITE_FILE | TRUNCATE))?;
            }
        }
    }
    if handled.net != 0 {
        for port in ports.into_iter().flatten() {
            add(&set, RULE_PORT, &PortRule { allowed: CONNECT_TCP, port: u64::from(*port) })?;
        }
    }
    Ok(Some(set))
}

fn allow_reach(set: &OwnedFd, reach: &Reach, rights: u64) -> io::Result<()> {
    for place in &reach.read {
        allow(set, place, READ & rights)?;
    }
    for place in &reach.write {
        allow(set, place, rights & !(MAKE_CHAR | MAKE_BLOCK))?;
    }
    Ok(())
}

/// Rules can only allow, so everything beside the hidden places is: of each folder above one, all its other entries.
/// What is made there later is not among them.
fn allow_all_but(set: &OwnedFd, hidden: &[PathBuf], rights: u64) -> io::Result<()> {
    let mut folders = vec![PathBuf::from("/")];
    while let Some(folder) = folders.pop() {
        if !hidden.iter().any(|place| place.starts_with(&folder)) {
            allow(set, &folder, rights)?;
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            // A link leads to a place that has its own entry.
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) || hidden.contains(&path) {
                continue;
            }
            match hidden.iter().any(|place| place.starts_with(&path)) {
                true => folders.push(path),
                false => allow(set, &path, rights)?,
            }
        }
    }
    Ok(())
}

fn create(handled: &Handled) -> io::Result<OwnedFd> {
    // SAFETY: pointer and size describe `handled`; a descriptor that comes back is ours to close.
    unsafe {
        let size = size_of::<Handled>();
        let fd = libc::syscall(CREATE_RULESET, std::ptr::from_ref(handled), size, 0);
        match RawFd::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A place that is gone or may not be opened gets no rule: nobody could use it.
fn allow(set: &OwnedFd, place: &Path, rights: u64) -> io::Result<()> {
    let Ok(path) = CString::new(place.as_os_str().as_bytes()) else { return Ok(()) };
    // SAFETY: the path ends with a zero; a descriptor that comes back is ours to close; `fstat` fills the structure.
    let (place, is_folder) = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
        if fd < 0 {
            return Ok(());
        }
        let place = OwnedFd::from_raw_fd(fd);
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(fd, &raw mut stat);
        (place, stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
    };
    let allowed = if is_folder { rights } else { rights & OF_FILES };
    if allowed == 0 {
        return Ok(());
    }
    match add(set, RULE_PATH, &PathRule { allowed, parent: place.as_raw_fd() }) {
        // Pipes and sockets of the kernel's own, which rules do not reach.
        Err(error) if error.raw_os_error() == Some(libc::EBADFD) => Ok(()),
        other => other,
    }
}

fn add<T>(set: &OwnedFd, kind: libc::c_int, rule: &T) -> io::Result<()> {
    // SAFETY: `rule` is the structure of its kind and outlives the call.
    let answer = unsafe { libc::syscall(ADD_RULE, set.as_raw_fd(), kind, std::ptr::from_ref(rule), 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs in the child.
pub fn restrict(set: RawFd) -> io::Result<()> {
    // SAFETY: a number and no memory.
    let answer = unsafe { libc::syscall(RESTRICT_SELF, set, 0) };
    step(6, if answer < 0 { -1 } else { 0 })
}
