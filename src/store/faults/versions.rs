//! Old and new: golden bytes of an envelope, rows of other versions, stores of other formats.

use super::{Disk, NOTES, Note, note, open_disk};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::db;
use crate::store::migrate::{self, Step};
use crate::store::opening::{self, Plan};
use crate::store::{FORMAT, ReadOnly, Row, Store, Table, codec, lock, tables};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// `Note` as a later program might have it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LaterNote {
    text: String,
    number: u64,
    tags: Vec<String>,
}

impl Row for LaterNote {
    const KIND: u8 = Note::KIND;
    const VERSION: u16 = 2;

    fn upgrade(version: u16, payload: &[u8]) -> Result<Self> {
        match version {
            1 => {
                let Note { text, number } = postcard::from_bytes(payload)
                    .map_err(|error| Error::new(&codes::STORE_DAMAGED, "no note").because(error))?;
                Ok(Self { text, number, tags: Vec::new() })
            }
            _ => Err(Error::new(&codes::STORE_DAMAGED, "no such version")),
        }
    }
}

const LATER: Table<LaterNote> = Table::new(tables::SERVERS);

#[test]
fn the_envelope_has_these_bytes() {
    let bytes = codec::encode(b"github", &note(300)).unwrap();
    assert_eq!(crate::ids::hex(&bytes), "fa010094cf4816086e6f746520333030ac02");
}

#[test]
fn an_older_row_is_upgraded_and_a_newer_one_refused() {
    let store = Store::memory();
    store.write(|tx| tx.put(&NOTES, "a", &note(1))).unwrap();
    let upgraded = store.read(|tx| tx.get(&LATER, "a")).unwrap();
    assert_eq!(upgraded, Some(LaterNote { text: "note 1".into(), number: 1, tags: vec![] }));
    store.write(|tx| tx.put(&LATER, "a", &LaterNote { text: "x".into(), number: 2, tags: vec![] })).unwrap();
    let error = store.read(|tx| tx.get(&NOTES, "a")).unwrap_err();
    assert!(error.is(&codes::STORE_NEWER), "{error}");
}

/// Writes a store of `format` to `path`.
fn store_of_format(path: &Path, format: u32) -> Vec<u8> {
    let store = Store::open(path, Timestamp(1)).unwrap();
    store
        .write(|tx| {
            tx.put(&NOTES, "a", &note(1))?;
            migrate::write(tx, &migrate::fresh(format, "sto_old".into(), Timestamp(1)))
        })
        .unwrap();
    store.close().unwrap();
    fs::read(path).unwrap()
}

#[test]
fn a_newer_store_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let bytes = store_of_format(&path, FORMAT + 1);
    let error = Store::open(&path, Timestamp(2)).err().unwrap();
    assert!(error.is(&codes::STORE_NEWER), "{error}");
    assert!(error.message.contains("store.redb"), "{error}");
    assert!(Store::open_read_only(&path).err().unwrap().is(&codes::STORE_NEWER));
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn a_newer_store_that_was_not_closed_is_not_touched_either() {
    let disk = Disk::default();
    let format = migrate::fresh(FORMAT + 1, "sto_new".into(), Timestamp(1));
    // Leaked: the disk is left as a killed process leaves it.
    std::mem::forget(opening::create("disk", disk.clone(), &format).unwrap());
    let before = disk.bytes();
    assert!(open_disk(&disk).err().unwrap().is(&codes::STORE_NEWER));
    assert!(disk.bytes() == before);
}

const TO_3: &[Step] = &[
    Step { from: 1, run: |tx| tx.put(&NOTES, "one", &note(1)) },
    Step { from: 2, run: |tx| tx.remove(&NOTES, "a").map(drop) },
];

#[test]
fn an_older_store_is_copied_and_then_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let bytes = store_of_format(&path, 1);
    let plan = Plan { format: 3, steps: TO_3, now: Timestamp(2) };
    let live = lock::open(&path, &plan).unwrap();
    let rows = db::reader("store", &live).unwrap().all(&NOTES).unwrap();
    assert_eq!(rows, [("one".into(), note(1))]);
    let (format, complete) = opening::look("store", &live).unwrap();
    assert_eq!((format.format, format.id.as_str(), complete), (3, "sto_old", true));
    drop(live);
    assert!(fs::read(dir.path().join("store.redb.bak-1")).unwrap() == bytes);
}

#[test]
fn a_failing_step_leaves_the_old_store() {
    const BROKEN: &[Step] = &[
        Step { from: 1, run: |tx| tx.remove(&NOTES, "a").map(drop) },
        Step { from: 2, run: |_| Err(Error::new(&codes::FAILED, "no")) },
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    store_of_format(&path, 1);
    let plan = Plan { format: 3, steps: BROKEN, now: Timestamp(2) };
    assert!(lock::open(&path, &plan).err().unwrap().is(&codes::FAILED));
    let ReadOnly::Open(store) = Store::open_read_only(&path).unwrap() else { panic!("not open") };
    assert_eq!(store.read(|tx| tx.get(&NOTES, "a")).unwrap(), Some(note(1)));
}

#[test]
fn a_table_added_later_is_created_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    store_of_format(&path, FORMAT);
    let database = opening::builder().open(&path).unwrap();
    let tx = database.begin_write().unwrap();
    let gone = redb::TableDefinition::<&[u8], &[u8]>::new(tables::ERAS.name);
    assert!(tx.delete_table(gone).unwrap());
    tx.commit().unwrap();
    drop(database);
    let ReadOnly::Open(store) = Store::open_read_only(&path).unwrap() else { panic!("not open") };
    let eras: Table<Note> = Table::new(tables::ERAS);
    assert_eq!(store.read(|tx| tx.all(&eras)).unwrap(), []);
    drop(store);
    let store = Store::open(&path, Timestamp(3)).unwrap();
    assert_eq!(store.read(|tx| tx.get(&NOTES, "a")).unwrap(), Some(note(1)));
}

#[test]
fn opening_writes_only_where_something_is_to_be_written() {
    let disk = Disk::default();
    super::format_disk(&disk);
    disk.fault(None);
    let store = open_disk(&disk).unwrap();
    assert_eq!(store.read(|tx| tx.all(&NOTES)).unwrap(), []);
    assert!(store.check().unwrap().is_whole());
    store.close().unwrap();
    assert_eq!(disk.operations(), 0, "read and closed");
    let store = open_disk(&disk).unwrap();
    store.write(|tx| tx.put(&NOTES, "a", &note(1))).unwrap();
    // Leaked: as after a kill.
    std::mem::forget(store);
    disk.fault(None);
    let store = open_disk(&disk).unwrap();
    assert!(disk.operations() > 0, "the repair is written at once");
    assert_eq!(store.read(|tx| tx.get(&NOTES, "a")).unwrap(), Some(note(1)));
}
