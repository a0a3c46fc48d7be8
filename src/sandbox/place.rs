//! Where a path leads: the answer of `canonicalize` in fewer calls of the system, because every start of a server asks
//! about a hundred places, most of which do not exist.
//! Rule: a link that changed is seen, at the latest a [`MOMENT`] after; and in doubt the long way is taken.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long holds what `found` said. A server that starts now is shut in as if it had started so much earlier.
pub const MOMENT: Duration = Duration::from_millis(200);

/// What is asked by all servers that start together.
static ASKED: Mutex<Option<Asked>> = Mutex::new(None);

struct Asked {
    since: Instant,
    found: HashMap<PathBuf, Option<PathBuf>>,
}

/// As [`real`], for the places that every start asks about; `None` where there is nothing.
pub fn found(place: &Path) -> Option<PathBuf> {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if asked.as_ref().is_none_or(|asked| asked.since.elapsed() > MOMENT) {
        *asked = Some(Asked { since: Instant::now(), found: HashMap::new() });
    }
    let asked = asked.as_mut()?;
    if let Some(known) = asked.found.get(place) {
        return known.clone();
    }
    let real = real(place).ok();
    asked.found.insert(place.to_path_buf(), real.clone());
    real
}

/// The path without links of what `place` is or leads to.
///
/// # Errors
/// As `canonicalize`: it does not exist, or the way to it is closed.
pub fn real(place: &Path) -> io::Result<PathBuf> {
    match short(place) {
        Ok(Some(real)) => Ok(real),
        Ok(None) => place.canonicalize(),
        Err(missing) => Err(missing),
    }
}

/// Asks the kernel which path it found. `None`: it did not tell; an error: there is nothing.
#[cfg(target_os = "linux")]
fn short(place: &Path) -> io::Result<Option<PathBuf>> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;
    // Opens nothing but the name: no right to read is needed, and no device notices.
    let opened = match std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(place) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
        // No descriptor is left, perhaps; that does not make the place missing.
        Err(_) => return Ok(None),
    };
    let told = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok();
    // Pipes have no path; and one that is gone by now, or never had a name, is marked at its end.
    Ok(told.filter(|path| path.is_absolute() && !path.as_os_str().as_bytes().ends_with(b" (deleted)")))
}

#[cfg(not(target_os = "linux"))]
fn short(_place: &Path) -> io::Result<Option<PathBuf>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_place_is_where_canonicalize_says() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        for name in ["a/file", "old (deleted)", "closed"] {
            std::fs::write(at(name), "").unwrap();
        }
        std::fs::set_permissions(at("closed"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        for (link, to) in
            [("link", "a"), ("chain", "link/../link/b"), ("lost", "nowhere"), ("round", "round")]
        {
            symlink(to, at(link)).unwrap();
        }
        let names = [
            "a",
            "a/b/..",
            "a/file",
            "a/file/x",
            "old (deleted)",
            "closed",
            "link/b",
            "chain",
            "lost",
            "round",
            "x",
        ];
        let system =
            ["/", "/bin/sh", "/dev/fd", "/dev/null", "/dev/stdin", "/proc/self/exe"].map(PathBuf::from);
        for place in names.map(at).into_iter().chain(system) {
            let kind = |answer: io::Result<PathBuf>| answer.map_err(|error| error.kind());
            assert_eq!(kind(real(&place)), kind(place.canonicalize()), "{}", place.display());
        }
        // What a link leads to is asked each time.
        std::fs::remove_file(at("link")).unwrap();
        symlink("a/b", at("link")).unwrap();
        assert_eq!(real(&at("link")).unwrap(), at("a/b").canonicalize().unwrap());
    }
}
