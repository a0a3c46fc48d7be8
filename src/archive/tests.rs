//! Archives as they should be and as they should not: a small writer that can lie about everything.

use super::*;

/// One entry as it is written down, truly or not.
#[derive(Clone)]
struct Written {
    name: &'static str,
    local_name: Option<&'static str>,
    data: Vec<u8>,
    deflate: bool,
    mode: u32,
    flags: u16,
    claimed: Option<u32>,
    crc: Option<u32>,
}

fn file(name: &'static str, text: &str) -> Written {
    Written {
        name,
        local_name: None,
        data: text.into(),
        deflate: true,
        mode: 0o100_644,
        flags: 0,
        claimed: None,
        crc: None,
    }
}

fn zip(files: &[Written]) -> Vec<u8> {
    let (mut archive, mut list) = (Vec::new(), Vec::new());
    for it in files {
        let packed = match it.deflate {
            true => miniz_oxide::deflate::compress_to_vec(&it.data, 6),
            false => it.data.clone(),
        };
        let at = u32::try_from(archive.len()).unwrap();
        let method = if it.deflate { 8u16 } else { 0 };
        let size = it.claimed.unwrap_or(u32::try_from(it.data.len()).unwrap());
        let crc = it.crc.unwrap_or_else(|| crc32fast::hash(&it.data));
        let local = it.local_name.unwrap_or(it.name);
        let packed_size = u32::try_from(packed.len()).unwrap();
        archive.extend(LOCAL.to_le_bytes());
        for word in [20, it.flags, method, 0, 0] {
            archive.extend(word.to_le_bytes());
        }
        for double in [crc, packed_size, size] {
            archive.extend(double.to_le_bytes());
        }
        archive.extend((local.len() as u16).to_le_bytes());
        archive.extend(0u16.to_le_bytes());
        archive.extend(local.as_bytes());
        archive.extend(&packed);
        list.extend(CENTRAL.to_le_bytes());
        for word in [3 << 8 | 20, 20, it.flags, method, 0, 0] {
            list.extend(word.to_le_bytes());
        }
        for double in [crc, packed_size, size] {
            list.extend(double.to_le_bytes());
        }
        for word in [it.name.len() as u16, 0, 0, 0, 0] {
            list.extend(word.to_le_bytes());
        }
        list.extend((it.mode << 16).to_le_bytes());
        list.extend(at.to_le_bytes());
        list.extend(it.name.as_bytes());
    }
    let start = u32::try_from(archive.len()).unwrap();
    archive.extend(&list);
    archive.extend(END.to_le_bytes());
    for word in [0, 0, files.len() as u16, files.len() as u16] {
        archive.extend(word.to_le_bytes());
    }
    archive.extend(u32::try_from(list.len()).unwrap().to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend(0u16.to_le_bytes());
    archive
}

#[test]
fn a_plain_archive_comes_out_as_it_went_in() {
    let stored = Written { deflate: false, mode: 0o100_755, ..file("bin/run", "#!/bin/sh\n") };
    let folder = Written { deflate: false, mode: 0o040_755, ..file("bin/", "") };
    let long = "text ".repeat(10_000);
    let archive = zip(&[folder, stored, file("ä/manifest.json", &long), file("empty", "")]);
    let entries = entries(&archive).unwrap();
    let seen: Vec<(&str, bool, usize)> = entries
        .iter()
        .map(|it| (it.path.as_str(), it.executable, it.read(&archive).unwrap().len()))
        .collect();
    assert_eq!(seen, [("bin/run", true, 10), ("ä/manifest.json", false, 50_000), ("empty", false, 0)]);
}

#[test]
fn what_could_leave_the_folder_or_fool_a_reader_is_refused() {
    let names = [
        ("/etc/passwd", "not relative"),
        ("../x", "leads elsewhere"),
        ("a/../../x", "leads elsewhere"),
        ("a//x", "leads elsewhere"),
        ("./x", "leads elsewhere"),
        ("a\\..\\x", "not relative"),
        ("C:x", "not relative"),
        ("x\n", "characters"),
        ("x\0y", "characters"),
        ("x.", "leads elsewhere"),
        ("nul.txt", "device"),
        ("a/COM1", "device"),
        ("", "empty"),
    ];
    for (name, why) in names {
        let error = entries(&zip(&[file(name, "x")])).unwrap_err();
        assert!(error.message.contains(why), "{name:?}: {error}");
    }
    let x = || file("x", "1");
    for (files, why) in [
        (vec![Written { mode: 0o120_777, ..x() }], "is a link"),
        (vec![Written { mode: 0o020_666, ..x() }], "neither a file nor a folder"),
        (vec![Written { flags: 1, ..x() }], "encrypted"),
        (vec![x(), x()], "twice"),
        (vec![x(), file("X", "2")], "twice"),
        (vec![x(), file("x/y", "2")], "a file and a folder"),
        (vec![Written { local_name: Some("y"), ..x() }], "another file in the list"),
        (vec![Written { claimed: Some(u32::MAX - 1), ..x() }], "far more than it is"),
        (vec![Written { mode: 0o040_755, ..file("x/", "hidden") }], "has content"),
    ] {
        let error = entries(&zip(&files)).unwrap_err();
        assert!(error.message.contains(why), "{error}");
    }
}

#[test]
fn a_bomb_does_not_go_off() {
    let zeros = "\0".repeat(20 << 20);
    let error = entries(&zip(&[file("x", &zeros)])).unwrap_err();
    assert!(error.message.contains("far more than it is"), "{error}");
    // One that says it is small: nothing beyond what it says is unpacked.
    let lying = Written { claimed: Some(10), ..file("x", &zeros) };
    let archive = zip(&[lying]);
    assert!(entries(&archive).unwrap()[0].read(&archive).unwrap_err().message.contains("damaged"));
    let wrong = Written { crc: Some(7), ..file("x", "1") };
    let archive = zip(&[wrong]);
    assert!(entries(&archive).unwrap()[0].read(&archive).is_err());
}

#[test]
fn entries_that_share_their_bytes_are_refused() {
    let mut archive = zip(&[file("a", "same"), file("a", "same")]);
    // The second entry of the list leads to where the first one lies.
    let end = archive.len() - 22;
    let start = u32::from_le_bytes(archive[end + 16..end + 20].try_into().unwrap()) as usize;
    let second = start + 46 + 1;
    archive[second + 42..second + 46].copy_from_slice(&0u32.to_le_bytes());
    assert!(entries(&archive).is_err());
}

#[test]
fn no_cut_or_flipped_byte_makes_it_fall_over() {
    let archive = zip(&[file("a/b", "text text text"), file("c", "more")]);
    for length in 0..archive.len() {
        assert!(entries(&archive[..length]).is_err(), "{length}");
    }
    for at in 0..archive.len() {
        for bit in [1, 0x80] {
            let mut flipped = archive.clone();
            flipped[at] ^= bit;
            for entry in entries(&flipped).into_iter().flatten() {
                assert!(!entry.path.contains(".."));
                let _ = entry.read(&flipped);
            }
        }
    }
}
