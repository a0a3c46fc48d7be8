//! Makes zip archives: the same files always give the same bytes, since nothing of the time or the machine goes in.
//! Not for large ones: an archive is made in memory, in the form without 64-bit sizes.

use super::{CENTRAL, END, LOCAL};
use crate::error::{Error, Result, codes};

/// One file to pack: its relative name with `/`, whether somebody may run it, its bytes.
pub type Packed<'a> = (&'a str, bool, &'a [u8]);

/// The day that stands for no day: the first one the format knows.
const DATE: u16 = 0x0021;
const UTF8: u16 = 0x0800;

/// An archive of these files, in this order.
pub fn write(files: &[Packed<'_>]) -> Result<Vec<u8>> {
    let (mut archive, mut list) = (Vec::new(), Vec::new());
    for (name, executable, bytes) in files {
        let deflated = miniz_oxide::deflate::compress_to_vec(bytes, 6);
        let (method, packed) = match deflated.len() < bytes.len() {
            true => (8_u16, deflated.as_slice()),
            false => (0, *bytes),
        };
        let at = double(archive.len())?;
        let mut about = Vec::new();
        for word in [20, UTF8, method, 0, DATE] {
            about.extend(word.to_le_bytes());
        }
        for number in [crc32fast::hash(bytes), double(packed.len())?, double(bytes.len())?] {
            about.extend(number.to_le_bytes());
        }
        about.extend(word(name.len())?.to_le_bytes());
        about.extend(0_u16.to_le_bytes());
        archive.extend(LOCAL.to_le_bytes());
        archive.extend(&about);
        archive.extend(name.as_bytes());
        archive.extend(packed);
        list.extend(CENTRAL.to_le_bytes());
        // Made on Unix, so that the mode counts.
        list.extend((3_u16 << 8 | 20).to_le_bytes());
        list.extend(&about);
        list.extend([0; 6]);
        let mode: u32 = if *executable { 0o100_755 } else { 0o100_644 };
        list.extend((mode << 16).to_le_bytes());
        list.extend(at.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (start, length, count) = (double(archive.len())?, double(list.len())?, word(files.len())?);
    archive.extend(&list);
    archive.extend(END.to_le_bytes());
    for word in [0, 0, count, count] {
        archive.extend(word.to_le_bytes());
    }
    archive.extend(length.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend(0_u16.to_le_bytes());
    Ok(archive)
}

fn word(number: usize) -> Result<u16> {
    u16::try_from(number).map_err(|_| too_large())
}

fn double(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::new(&codes::FILE_TOO_LARGE, "an archive of so many bytes or files is not made")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::entries;

    #[test]
    fn what_is_written_is_read_again() {
        let long = "text ".repeat(1000);
        let files: [Packed<'_>; 3] = [
            ("SKILL.md", false, long.as_bytes()),
            ("bin/run", true, b"#!/bin/sh\n"),
            ("\u{e4}/x", false, b""),
        ];
        let archive = write(&files).unwrap();
        assert_eq!(archive, write(&files).unwrap(), "the same files give the same bytes");
        let read = entries(&archive).unwrap();
        let seen: Vec<(&str, bool, Vec<u8>)> = read
            .iter()
            .map(|entry| (entry.path.as_str(), entry.executable, entry.read(&archive).unwrap()))
            .collect();
        let expected: Vec<(&str, bool, Vec<u8>)> =
            files.iter().map(|(name, executable, bytes)| (*name, *executable, bytes.to_vec())).collect();
        assert_eq!(seen, expected);
    }
}
