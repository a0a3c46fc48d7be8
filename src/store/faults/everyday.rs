//! The store as its callers use it: rows, series, transactions, reopening.

use super::{LOG, NOTES, Note, note};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Position, ReadOnly, Store};

#[test]
fn rows_are_written_read_and_removed() {
    let store = Store::memory();
    store
        .write(|tx| {
            for (key, number) in [("b", 2), ("a", 1), ("ab", 3)] {
                tx.put(&NOTES, key, &note(number))?;
            }
            assert_eq!(tx.get(&NOTES, "ab")?, Some(note(3)), "a writer sees its own changes");
            Ok(())
        })
        .unwrap();
    let rows = store.read(|tx| tx.all(&NOTES)).unwrap();
    assert_eq!(rows, [("a".into(), note(1)), ("ab".into(), note(3)), ("b".into(), note(2))]);
    assert_eq!(store.read(|tx| tx.prefix(&NOTES, "a")).unwrap().len(), 2);
    let seen = std::cell::Cell::new(0);
    let third = |row: &Note| {
        seen.set(seen.get() + 1);
        *row == note(3)
    };
    assert_eq!(store.read(|tx| tx.find(&NOTES, third)).unwrap(), Some(note(3)));
    assert_eq!(seen.get(), 2, "those behind it are not read");
    assert_eq!(store.read(|tx| tx.find(&NOTES, |_| false)).unwrap(), None);
    assert!(store.write(|tx| tx.remove(&NOTES, "a")).unwrap());
    assert!(!store.write(|tx| tx.remove(&NOTES, "a")).unwrap());
    assert_eq!(store.read(|tx| tx.count(&NOTES)).unwrap(), 2);
    assert!(!store.read(|tx| tx.contains(&NOTES, "a")).unwrap());
}

#[test]
fn a_failed_write_changes_nothing() {
    let store = Store::memory();
    let failed: Result<()> = store.write(|tx| {
        tx.put(&NOTES, "a", &note(1))?;
        Err(Error::new(&codes::FAILED, "no"))
    });
    assert!(failed.unwrap_err().is(&codes::FAILED));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = store.write(|tx| -> Result<()> {
            tx.put(&NOTES, "a", &note(1))?;
            panic!("a bug of the caller")
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(store.read(|tx| tx.get(&NOTES, "a")).unwrap(), None);
    store.write(|tx| tx.put(&NOTES, "a", &note(2))).unwrap();
}

#[test]
fn a_write_within_a_write_is_an_error_and_one_within_a_read_is_not() {
    let (store, other) = (Store::memory(), Store::memory());
    let nested = store.write(|_| store.write(|tx| tx.put(&NOTES, "a", &note(1))));
    assert!(nested.unwrap_err().is(&codes::BUG));
    assert!(store.write(|_| store.flush()).unwrap_err().is(&codes::BUG));
    store.write(|_| other.write(|tx| tx.put(&NOTES, "a", &note(1)))).unwrap();
    store.read(|_| store.write(|tx| tx.put(&NOTES, "a", &note(1)))).unwrap();
}

#[test]
fn a_write_that_changes_nothing_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = Store::open(&path, Timestamp(7)).unwrap();
    store.write(|tx| tx.put(&NOTES, "a", &note(1))).unwrap();
    let before = std::fs::read(&path).unwrap();
    store
        .write(|tx| {
            tx.put(&NOTES, "a", &note(1))?;
            tx.trim_to(&LOG, 5)?;
            tx.remove(&NOTES, "b")
        })
        .unwrap();
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn many_make_the_same_store_and_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    std::thread::scope(|scope| {
        for number in 0..4 {
            let path = &path;
            scope.spawn(move || {
                // A slow disk may keep one waiting for longer than it is patient.
                let store = loop {
                    match Store::open(path, Timestamp(number)) {
                        Err(error) if error.is(&codes::STORE_LOCKED) => {}
                        other => break other.unwrap(),
                    }
                };
                store.write(|tx| tx.put(&NOTES, &format!("{number}"), &note(number))).unwrap();
                store.close().unwrap();
            });
        }
    });
    let store = Store::open(&path, Timestamp(9)).unwrap();
    assert_eq!(store.read(|tx| tx.count(&NOTES)).unwrap(), 4);
}

#[test]
fn a_series_is_read_from_its_end_by_cursor_and_trimmed() {
    let store = Store::memory();
    let at = |micros| Timestamp(micros);
    store
        .write(|tx| {
            for (micros, number) in [(10, 1), (20, 2), (20, 3), (30, 4), (40, 5)] {
                tx.push(&LOG, at(micros), &note(number))?;
            }
            Ok(())
        })
        .unwrap();
    let numbers = |limit, since, before| -> Vec<u64> {
        let rows = store.read(|tx| tx.last(&LOG, limit, since, before)).unwrap();
        rows.into_iter().map(|(_, row)| row.number).collect()
    };
    assert_eq!(numbers(2, None, None), [5, 4]);
    assert_eq!(numbers(0, None, None), [0; 0]);
    assert_eq!(numbers(9, Some(at(20)), None), [5, 4, 3, 2]);
    assert_eq!(numbers(9, None, Some(Position { at: at(20), sequence: 1 })), [2, 1]);
    assert_eq!(numbers(9, Some(at(40)), Some(Position::start(at(30)))), [0; 0]);
    let range = store.read(|tx| tx.range(&LOG, at(20), at(40))).unwrap();
    assert_eq!(range.iter().map(|(_, row)| row.number).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(store.read(|tx| tx.at(&LOG, range[1].0)).unwrap(), Some(note(3)));
    assert_eq!(store.write(|tx| tx.trim_before(&LOG, at(20))).unwrap(), 1);
    assert_eq!(store.write(|tx| tx.trim_to(&LOG, 2)).unwrap(), 2);
    assert_eq!(numbers(9, None, None), [5, 4]);
    assert_eq!(store.write(|tx| tx.trim_to(&LOG, 0)).unwrap(), 2);
}

#[test]
fn a_file_is_private_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/store.redb");
    assert!(matches!(Store::open_read_only(&path).unwrap(), ReadOnly::Missing));
    let store = Store::open(&path, Timestamp(7)).unwrap();
    store.write(|tx| tx.put(&NOTES, "a", &note(1))).unwrap();
    assert!(store.append(&LOG, Timestamp(5), &note(2)).unwrap());
    store.flush().unwrap();
    assert!(store.append(&LOG, Timestamp(5), &note(3)).unwrap());
    assert!(matches!(Store::open_read_only(&path).unwrap(), ReadOnly::Locked));
    let error = Store::open(&path, Timestamp(8)).err().unwrap();
    assert!(error.is(&codes::STORE_LOCKED));
    assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
    store.close().unwrap();
    let ReadOnly::Open(store) = Store::open_read_only(&path).unwrap() else { panic!("not open") };
    assert_eq!(store.read(|tx| tx.get(&NOTES, "a")).unwrap(), Some(note(1)));
    assert_eq!(store.read(|tx| tx.last(&LOG, 9, None, None)).unwrap().len(), 2);
    assert!(store.write(|tx| tx.put(&NOTES, "a", &note(1))).unwrap_err().is(&codes::BUG));
    let names: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["store.redb"], "no note and no half-made file is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_backup_and_a_check_work_on_a_living_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = Store::open(&path, Timestamp(7)).unwrap();
    store.write(|tx| tx.put(&NOTES, "a", &note(1))).unwrap();
    let report = store.check().unwrap();
    assert_eq!((report.records, report.is_whole(), report.pages_whole), (2, true, Some(true)));
    let to = dir.path().join("copy.redb");
    store.backup(&to).unwrap();
    assert!(store.backup(&to).unwrap_err().is(&codes::BACKUP_EXISTS));
    store.write(|tx| tx.put(&NOTES, "b", &note(2))).unwrap();
    let copy = Store::open(&to, Timestamp(9)).unwrap();
    assert_eq!(copy.read(|tx| tx.all(&NOTES)).unwrap(), [("a".into(), note(1))]);
    assert_eq!(copy.stats().unwrap().id, store.stats().unwrap().id);
    assert_eq!(store.stats().unwrap().tables[1].rows, 2);
}

#[test]
fn a_backup_under_load_is_one_committed_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::memory();
    let both = |number| {
        store.write(|tx| {
            tx.put(&NOTES, "left", &note(number))?;
            tx.put(&NOTES, "right", &note(number))
        })
    };
    both(0).unwrap();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| (1..400).try_for_each(both));
        for number in 0..4 {
            let to = dir.path().join(format!("{number}.redb"));
            store.backup(&to).unwrap();
            let rows = Store::open(&to, Timestamp(1)).unwrap().read(|tx| tx.all(&NOTES)).unwrap();
            assert_eq!(rows[0].1, rows[1].1);
        }
        busy.join().unwrap().unwrap();
    });
}
