//! Key files: 32 random bytes as one line of base64 (or 64 hex digits), readable by their owner only.
//! Rules: a file that others may read, or that is a link, is refused; an existing file is never written over.

use super::{DataKey, KEY};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::paths::{create_private_dir, io_error, private_options};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Longest key file that is read.
const MOST: u64 = 4096;

/// Reads a key file. `None`: it does not exist.
///
/// # Errors
/// `NOT_PRIVATE` when others may read it or it is a link, `VAULT_KEY_WRONG` when no key stands in it.
pub fn read(path: &Path) -> Result<Option<DataKey>> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path, &error)),
    };
    check(path, &meta)?;
    let mut text = Zeroizing::new(String::new());
    let read = fs::File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(no_key(path)),
        Err(error) => return Err(io_error("read", path, &error)),
    }
    parse(&text).map(Some).ok_or_else(|| no_key(path))
}

fn no_key(path: &Path) -> Error {
    Error::new(&codes::VAULT_KEY_WRONG, format!("`{}` holds no key", path.display()))
        .hint("a key file is one line: 32 random bytes as base64")
}

#[cfg(unix)]
fn check(path: &Path, meta: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let shown = path.display();
    let refuse =
        |reason: &str| Err(Error::new(&codes::NOT_PRIVATE, format!("the key file `{shown}` {reason}")));
    if !meta.is_file() {
        return refuse("is not a plain file");
    }
    // SAFETY: asks for a number only.
    let own = unsafe { libc::geteuid() };
    if meta.uid() != own && meta.uid() != 0 {
        return refuse("belongs to another user");
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return refuse("can be read by others")
            .map_err(|error: Error| error.hint(format!("chmod 600 {shown}")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(path: &Path, meta: &fs::Metadata) -> Result<()> {
    match meta.is_file() {
        true => Ok(()),
        false => {
            let message = format!("the key file `{}` is not a plain file", path.display());
            Err(Error::new(&codes::NOT_PRIVATE, message))
        }
    }
}

/// The key in a line of base64 or hex.
pub fn parse(text: &str) -> Option<DataKey> {
    let text = text.trim();
    let mut bytes = Zeroizing::new([0; KEY]);
    if text.len() == 2 * KEY && text.is_ascii() {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
    } else {
        let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
        bytes.copy_from_slice(decoded.get(..KEY).filter(|_| decoded.len() == KEY)?);
    }
    Some(DataKey::from_bytes(&bytes))
}

/// A key as the line of its file.
pub fn line(key: &DataKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", STANDARD.encode(key.expose())))
}

/// Makes a new key file, or reads the one that somebody else made first.
///
/// # Errors
/// As [`read`], and what the file system refuses.
pub fn create(path: &Path) -> Result<DataKey> {
    let dir = path.parent().unwrap_or(Path::new("."));
    create_private_dir(dir)?;
    let key = DataKey::generate();
    let aside = dir.join(format!(".{}.tmp", ids::fresh("key")));
    // Complete and synced before it has its name; a link, unlike a rename, replaces nothing.
    let made = (|| {
        let mut file = private_options().write(true).create_new(true).open(&aside)?;
        file.write_all(line(&key).as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&aside, path)
    })();
    let _ = fs::remove_file(&aside);
    match made {
        Ok(()) => {
            #[cfg(unix)]
            fs::File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(|error| io_error("sync", dir, &error))?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| Error::bug("a key file was there and is not"))
        }
        Err(error) => Err(io_error("write", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        assert!(read(&path).unwrap().is_none());
        let key = create(&path).unwrap();
        assert_eq!(create(&path).unwrap().expose(), key.expose());
        assert_eq!(read(&path).unwrap().unwrap().expose(), key.expose());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let hex = ids::hex(key.expose());
        assert_eq!(parse(&format!(" {hex}\n")).unwrap().expose(), key.expose());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        for text in ["", "short", "AAAA", &"z".repeat(64), &"é".repeat(32), &"A".repeat(5000)] {
            fs::write(&path, text).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            assert!(read(&path).unwrap_err().is(&codes::VAULT_KEY_WRONG), "{text}");
        }
        fs::write(&path, [0xff; 40]).unwrap();
        assert!(read(&path).unwrap_err().is(&codes::VAULT_KEY_WRONG));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        create(&path).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read(&link).unwrap_err().is(&codes::NOT_PRIVATE));
        for mode in [0o640, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.is(&codes::NOT_PRIVATE));
            assert_eq!(error.hints, [format!("chmod 600 {}", path.display())]);
        }
    }
}
