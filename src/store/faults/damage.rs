//! Bit rot: a damaged record is an error with table and key, a damaged file is refused and left as it is.
//! No panic of redb gets out, and no wrong row is ever returned.

use super::{Dice, NOTES, Note, cases, note};
use crate::clock::Timestamp;
use crate::error::codes;
use crate::store::{Damage, ReadOnly, Store, codec, tables};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use std::fs;
use std::path::{Path, PathBuf};

const ROWS: u64 = 200;

#[test]
fn every_flipped_bit_of_a_record_is_found() {
    let store = Store::memory();
    store.write(|tx| tx.put(&NOTES, "github", &note(1))).unwrap();
    let whole = codec::encode(b"github", &note(1)).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        store
            .write(|tx| {
                tx.changed = tx.reader.view("servers.v1")?.insert(b"github", &bytes)?;
                Ok(())
            })
            .unwrap();
        for error in [
            store.read(|tx| tx.get(&NOTES, "github")).unwrap_err(),
            store.read(|tx| tx.all(&NOTES)).unwrap_err(),
        ] {
            assert!(error.is(&codes::STORE_DAMAGED), "bit {bit}: {error}");
            assert_eq!(error.message, "record `github` of table `servers.v1` is damaged");
        }
    }
    let damage = Damage { table: "servers.v1".into(), key: Some("github".into()), reason: "checksum".into() };
    assert_eq!(store.check().unwrap().damage, [damage]);
    assert!(store.write(|tx| tx.remove(&NOTES, "github")).unwrap(), "a damaged record can be removed");
    assert!(store.check().unwrap().is_whole());
}

#[test]
fn a_record_under_a_foreign_key_is_damaged() {
    let store = Store::memory();
    let bytes = codec::encode(b"github", &note(1)).unwrap();
    let moved = store.write(|tx| {
        tx.changed = tx.reader.view(tables::SERVERS.name)?.insert(b"gitlab", &bytes)?;
        tx.get(&NOTES, "gitlab")
    });
    assert!(moved.unwrap_err().is(&codes::STORE_DAMAGED));
}

proptest! {
    #[test]
    fn rows_come_back_and_noise_does_not(key: Vec<u8>, text: String, number: u64, noise: Vec<u8>, cut in any::<u8>()) {
        let row = Note { text, number };
        let bytes = codec::encode(&key, &row).unwrap();
        prop_assert_eq!(codec::decode::<Note>("t", &key, &bytes).unwrap(), row);
        let kept = usize::from(cut) % bytes.len();
        prop_assert!(codec::decode::<Note>("t", &key, &bytes[..kept]).is_err());
        prop_assert!(codec::verify(&key, &noise).is_none());
    }
}

/// A closed store of `ROWS` rows, and its bytes.
fn fixture(dir: &Path) -> (PathBuf, Vec<u8>) {
    let path = dir.join("store.redb");
    let store = Store::open(&path, Timestamp(1)).unwrap();
    store
        .write(|tx| (0..ROWS).try_for_each(|number| tx.put(&NOTES, &format!("{number:03}"), &note(number))))
        .unwrap();
    store.close().unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// Opens the damaged file and reads all of it; `true` when it was refused as a whole.
fn refused(path: &Path, bytes: &[u8], what: &str) -> bool {
    fs::write(path, bytes).unwrap();
    let store = match Store::open(path, Timestamp(2)) {
        Ok(store) => store,
        Err(error) => {
            assert!(error.is(&codes::STORE_DAMAGED), "{what}: {error}");
            assert!(!error.hints.is_empty() && error.message.contains("store.redb"), "{what}: {error}");
            assert!(fs::read(path).unwrap() == bytes, "{what}: the refused file was touched");
            return true;
        }
    };
    for number in 0..ROWS {
        match store.read(|tx| tx.get(&NOTES, &format!("{number:03}"))) {
            Ok(Some(row)) => assert_eq!(row, note(number), "{what}"),
            // A damaged key cannot be found under its name; reading all, or a check, tells of it.
            Ok(None) => assert!(!store.check().unwrap().is_whole(), "{what}: {number} vanished in silence"),
            Err(error) => assert!(error.is(&codes::STORE_DAMAGED), "{what}: {error}"),
        }
    }
    if let Ok(rows) = store.read(|tx| tx.all(&NOTES)) {
        for (key, row) in rows {
            assert_eq!(key, format!("{:03}", row.number), "{what}");
        }
    }
    false
}

#[test]
fn a_shortened_file_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = fixture(dir.path());
    assert!(!refused(&path, &whole, "whole"));
    for length in [0, 1, 100, 512, 4_096, whole.len() / 2, whole.len() - 4_096, whole.len() - 1] {
        assert!(refused(&path, &whole[..length], &format!("{length} bytes left")));
    }
    let mut headless = whole.clone();
    headless[..4_096].fill(0);
    assert!(refused(&path, &headless, "no head"));
    assert!(refused(&path, b"not a database at all, but text", "text"));
    fs::write(&path, &whole[..5_000]).unwrap();
    // Opening it read-write, as this asks for, then refuses it.
    assert!(matches!(Store::open_read_only(&path).unwrap(), ReadOnly::NeedsRepair));
    fs::write(&path, &whole).unwrap();
    assert!(matches!(Store::open_read_only(&path).unwrap(), ReadOnly::Open(_)));
}

#[test]
fn random_damage_never_becomes_data() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = fixture(dir.path());
    let mut dice = Dice(38);
    // The file is mostly free pages: aim where the rows are.
    let rows = whole.windows(8).position(|bytes| bytes == b"note 100").unwrap() as u64;
    for case in 0..cases(60) {
        let mut bytes = whole.clone();
        let near = rows.saturating_sub(6_000) + dice.below(12_000);
        let at = if case % 3 == 0 { dice.below(whole.len() as u64) } else { near } as usize;
        let length = 1 + dice.below(64) as usize;
        for byte in bytes.iter_mut().skip(at).take(length) {
            *byte ^= 1 << dice.below(8);
        }
        refused(&path, &bytes, &format!("case {case}: {length} bytes at {at}"));
    }
}
