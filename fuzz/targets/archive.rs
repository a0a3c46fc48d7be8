//! Archives that nobody vouches for: what the reader takes has plain names of its own, unpacks to what it said, and is
//! written again as an archive that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use umcp::archive::{Packed, check_name, entries, write};

/// What an input may unpack to here, in bytes.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if let Ok(name) = std::str::from_utf8(data)
        && let Ok(checked) = check_name(name)
    {
        assert!(checked.split('/').all(|part| !matches!(part, "" | "." | "..")), "{checked:?}");
        assert!(!checked.contains(['\\', '\0']) && !checked.starts_with('/'), "{checked:?}");
    }
    read(data);
    // Few inputs are archives by chance: their bytes are also made into one, and one byte of it is changed.
    let files: [Packed<'_>; 1] = [("manifest.json", false, data)];
    let mut archive = write(&files).expect("a plain file can be packed");
    let again = read(&archive).expect("what was written can be read");
    assert_eq!(again, [("manifest.json".to_string(), data.to_vec())]);
    if let [at, with, ..] = data {
        let length = archive.len();
        // The list at the end is what a stranger writes.
        let place = length - 1 - usize::from(*at).min(length - 1);
        archive[place] ^= with;
        read(&archive);
    }
});

/// All files of an archive, if it is one.
fn read(archive: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let found = entries(archive).ok()?;
    let names: BTreeSet<String> = found.iter().map(|entry| entry.path.to_lowercase()).collect();
    assert_eq!(names.len(), found.len(), "two files have one name");
    if found.iter().map(|entry| entry.size).sum::<u64>() > LIMIT {
        return None;
    }
    let mut files = Vec::new();
    for entry in &found {
        assert_eq!(check_name(&entry.path).ok().as_ref(), Some(&entry.path));
        let bytes = entry.read(archive).ok()?;
        assert_eq!(bytes.len() as u64, entry.size);
        files.push((entry.path.clone(), bytes));
    }
    Some(files)
}
