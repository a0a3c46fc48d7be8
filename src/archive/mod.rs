//! Reads zip archives that nobody vouches for: every name, size and kind is checked before a byte is unpacked.
//! It touches no disk; names that come out are relative, plain, and different in every file system. `write` makes
//! archives that this reader takes. Rule: what a careful archive has no need of is refused, not repaired.

mod write;

use crate::error::{Error, Result, codes};
use std::collections::{BTreeMap, BTreeSet};
pub use write::{Packed, write};

/// Largest archive, in bytes.
pub const MAX_ARCHIVE: u64 = 256 << 20;
/// Most entries of one archive.
const MAX_ENTRIES: usize = 50_000;
/// Largest sum of all unpacked files, in bytes.
const MAX_TOTAL: u64 = 1 << 30;
/// An archive that claims to unpack to more than so many times its size is a bomb, above [`SMALL`].
const MAX_RATIO: u64 = 100;
const SMALL: u64 = 16 << 20;
const MAX_NAME: usize = 1024;
const MAX_DEPTH: usize = 64;

const END: u32 = 0x0605_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, with `/`.
    pub path: String,
    pub size: u64,
    /// Whether somebody may run it.
    pub executable: bool,
    deflated: bool,
    crc: u32,
    /// Where its bytes lie.
    start: usize,
    end: usize,
}

/// Numbers of an archive; nothing outside of it is ever read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number<const N: usize>(&self, at: usize) -> Result<u64> {
        let end = at.checked_add(N).ok_or_else(cut)?;
        let bytes = self.0.get(at..end).ok_or_else(cut)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn word(&self, at: usize) -> Result<usize> {
        Ok(self.number::<2>(at)? as usize)
    }

    fn double(&self, at: usize) -> Result<usize> {
        Ok(self.number::<4>(at)? as usize)
    }

    fn slice(&self, at: usize, length: usize) -> Result<&[u8]> {
        self.0.get(at..at.checked_add(length).ok_or_else(cut)?).ok_or_else(cut)
    }
}

/// All files of an archive, checked; folders are left out, since files name them.
pub fn entries(archive: &[u8]) -> Result<Vec<Entry>> {
    let bytes = Bytes(archive);
    let end = end_of(&bytes)?;
    let (count, start) = (bytes.word(end + 10)?, bytes.double(end + 16)?);
    let whole = bytes.word(end + 4)? == 0 && bytes.word(end + 6)? == 0 && bytes.word(end + 8)? == count;
    if !whole || count == 0xffff || start == 0xffff_ffff {
        return Err(bad("it has several parts or is of the form for large archives"));
    }
    if count > MAX_ENTRIES {
        return Err(bad(format!("it has {count} entries; {MAX_ENTRIES} are allowed")));
    }
    let mut entries = Vec::with_capacity(count);
    let mut at = start;
    for _ in 0..count {
        let (entry, next) = entry(&bytes, at)?;
        entries.extend(entry);
        at = next;
    }
    if at != end {
        return Err(bad("its list of entries is not where it says"));
    }
    check_together(&entries, archive.len() as u64)?;
    Ok(entries)
}

/// The end record; nothing may stand behind it but its own comment.
fn end_of(bytes: &Bytes<'_>) -> Result<usize> {
    let last = bytes.0.len().checked_sub(22).ok_or_else(cut)?;
    let found = (last.saturating_sub(0xffff)..=last).rev().find(|at| {
        let is_end = bytes.double(*at).is_ok_and(|sign| sign == END as usize);
        is_end && bytes.word(at + 20).is_ok_and(|comment| at + 22 + comment == bytes.0.len())
    });
    found.ok_or_else(|| bad("it is no zip archive"))
}

/// One entry of the list, and where the next one begins; `None` for a folder.
fn entry(bytes: &Bytes<'_>, at: usize) -> Result<(Option<Entry>, usize)> {
    if bytes.double(at)? != CENTRAL as usize {
        return Err(bad("its list of entries is damaged"));
    }
    let (name_length, extra, comment) = (bytes.word(at + 28)?, bytes.word(at + 30)?, bytes.word(at + 32)?);
    let raw = bytes.slice(at + 46, name_length)?;
    let name = std::str::from_utf8(raw).map_err(|_| bad("a name in it is not UTF-8"))?;
    let next = at + 46 + name_length + extra + comment;
    let is_folder = name.ends_with('/');
    let path = check_name(name.strip_suffix('/').unwrap_or(name))?;
    let flags = bytes.word(at + 8)?;
    if flags & 0x2041 != 0 {
        return Err(bad(format!("`{path}` is encrypted")));
    }
    let executable = mode(bytes, at, &path, is_folder)?;
    let method = bytes.word(at + 10)?;
    if method != 0 && method != 8 {
        return Err(bad(format!("`{path}` is packed in a way that umcp does not read")));
    }
    let (packed, size) = (bytes.double(at + 20)?, bytes.double(at + 24)?);
    if is_folder {
        return if size == 0 {
            Ok((None, next))
        } else {
            Err(bad(format!("the folder `{path}` has content")))
        };
    }
    let local = bytes.double(at + 42)?;
    let local_name = bytes.word(local + 26)?;
    let same = bytes.double(local)? == LOCAL as usize
        && bytes.word(local + 8)? == method
        && bytes.slice(local + 30, local_name)? == raw;
    if !same {
        return Err(bad(format!("`{path}` is another file in the list than where it lies")));
    }
    let start = local + 30 + local_name + bytes.word(local + 28)?;
    bytes.slice(start, packed)?;
    if method == 0 && packed != size {
        return Err(bad(format!("`{path}` has two sizes")));
    }
    let crc = u32::try_from(bytes.double(at + 16)?).unwrap_or_default();
    let (deflated, end) = (method == 8, start + packed);
    Ok((Some(Entry { path, size: size as u64, executable, deflated, crc, start, end }), next))
}

/// Whether a file may be run; links and devices are refused.
fn mode(bytes: &Bytes<'_>, at: usize, path: &str, is_folder: bool) -> Result<bool> {
    const KIND: usize = 0o170_000;
    let made_on_unix = bytes.word(at + 4)? >> 8 == 3;
    let mode = if made_on_unix { bytes.double(at + 38)? >> 16 } else { 0 };
    let expected = if is_folder { 0o040_000 } else { 0o100_000 };
    match mode & KIND {
        0 => Ok(mode & 0o111 != 0),
        kind if kind == expected => Ok(mode & 0o111 != 0),
        0o120_000 => Err(bad(format!("`{path}` is a link"))),
        _ => Err(bad(format!("`{path}` is neither a file nor a folder"))),
    }
}

/// A name that stays below the folder it is unpacked into, on every system.
pub fn check_name(name: &str) -> Result<String> {
    let shown: String = name.chars().take(60).collect();
    let refuse = |why: &str| Err(bad(format!("the name `{}` {why}", shown.escape_default())));
    if name.is_empty() || name.len() > MAX_NAME {
        return refuse("is empty or too long");
    }
    if name.starts_with('/') || name.contains(['\\', ':']) {
        return refuse("is not relative");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | '"' | '|' | '?' | '*')) {
        return refuse("holds characters that are no part of a name");
    }
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > MAX_DEPTH || parts.iter().any(|part| part.len() > 255) {
        return refuse("is too long");
    }
    if parts.iter().any(|part| matches!(*part, "" | "." | "..") || part.ends_with(['.', ' '])) {
        return refuse("leads elsewhere");
    }
    let device = |part: &&str| {
        let stem = part.split('.').next().unwrap_or(part).to_ascii_uppercase();
        let numbered = ["COM", "LPT"].iter().any(|kind| {
            stem.strip_prefix(kind)
                .is_some_and(|rest| rest.len() == 1 && rest.chars().all(|c| c.is_ascii_digit()))
        });
        numbered || matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
    };
    if parts.iter().any(device) {
        return refuse("is that of a device");
    }
    Ok(name.into())
}

/// What shows only when all entries are looked at.
fn check_together(entries: &[Entry], archive: u64) -> Result<()> {
    let mut seen = BTreeSet::new();
    for entry in entries {
        if !seen.insert(entry.path.to_lowercase()) {
            return Err(bad(format!("`{}` is in it twice", entry.path)));
        }
    }
    for entry in entries {
        let lower = entry.path.to_lowercase();
        let above = lower.match_indices('/').map(|(at, _)| &lower[..at]);
        if let Some(file) = above.into_iter().find(|above| seen.contains(*above)) {
            return Err(bad(format!("`{file}` is a file and a folder in it")));
        }
    }
    let total = entries.iter().try_fold(0u64, |sum, entry| sum.checked_add(entry.size));
    match total {
        Some(total) if total <= MAX_TOTAL && (total <= SMALL || total / archive.max(1) <= MAX_RATIO) => {}
        _ => return Err(bad("it would unpack to far more than it is")),
    }
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.end > entry.start) {
        if places.insert(entry.start, entry.end).is_some() {
            return Err(bad("two entries lie in one place"));
        }
    }
    let ends = places.values();
    match places.keys().skip(1).zip(ends).all(|(start, end)| start >= end) {
        true => Ok(()),
        false => Err(bad("two entries lie in one place")),
    }
}

impl Entry {
    /// The unpacked bytes, exactly as many as the list says.
    pub fn read(&self, archive: &[u8]) -> Result<Vec<u8>> {
        let packed = archive.get(self.start..self.end).ok_or_else(cut)?;
        let size = usize::try_from(self.size).map_err(|_| cut())?;
        let damaged = || bad(format!("`{}` is damaged", self.path));
        let bytes = match self.deflated {
            true => {
                miniz_oxide::inflate::decompress_to_vec_with_limit(packed, size).map_err(|_| damaged())?
            }
            false => packed.to_vec(),
        };
        match bytes.len() == size && crc32fast::hash(&bytes) == self.crc {
            true => Ok(bytes),
            false => Err(damaged()),
        }
    }
}

fn cut() -> Error {
    bad("it is cut off")
}

fn bad(why: impl Into<String>) -> Error {
    Error::new(&codes::PACKAGE_INVALID, format!("the archive is not taken: {}", why.into()))
}

#[cfg(test)]
mod tests;
