//! A full disk and a failing sync: the n-th operation fails, for every n of a scenario.
//! The error is typed, nothing acknowledged is lost, and the same store works again once there is space.

use super::disk::{Disk, Fault};
use super::{NOTES, Note, format_disk, open_disk};
use crate::error::codes;
use crate::store::Store;

const OPERATIONS: u64 = 200;
/// Long enough for the file to grow several times.
const TEXT: usize = 60_000;

fn keys(store: &Store) -> Vec<String> {
    store.read(|tx| tx.all(&NOTES)).unwrap().into_iter().map(|(key, _)| key).collect()
}

fn put(store: &Store, number: u64) -> crate::error::Result<()> {
    let row = Note { text: "x".repeat(TEXT), number };
    store.write(|tx| tx.put(&NOTES, &format!("{number:03}"), &row))
}

/// Runs the scenario into `fault`; whether it was met.
fn survives(fault: Fault) -> bool {
    let disk = Disk::default();
    format_disk(&disk);
    disk.fault(Some(fault));
    let store = match open_disk(&disk) {
        Ok(store) => store,
        Err(error) => {
            assert!(error.is(&codes::STORE_FULL) || error.is(&codes::STORE_IO), "{fault:?}: {error}");
            disk.fault(None);
            open_disk(&disk).unwrap_or_else(|error| panic!("{fault:?}: {error}"))
        }
    };
    let (mut acknowledged, mut failed) = (Vec::<String>::new(), false);
    for number in 0..24 {
        match put(&store, number) {
            Ok(()) => acknowledged.push(format!("{number:03}")),
            Err(error) => {
                assert!(error.is(&codes::STORE_FULL) || error.is(&codes::STORE_IO), "{fault:?}: {error}");
                failed = true;
                break;
            }
        }
    }
    let holds_all = |store: &Store, when: &str| {
        let found = keys(store);
        let unsure = found.len().saturating_sub(acknowledged.len());
        assert!(found.starts_with(&acknowledged) && unsure <= 1, "{fault:?} {when}: {found:?}");
    };
    if failed && matches!(fault, Fault::Full(_)) {
        assert!(put(&store, 500).is_err(), "{fault:?}: the disk is still full");
    }
    disk.fault(None);
    put(&store, 900).unwrap_or_else(|error| panic!("{fault:?} after the space came back: {error}"));
    store.write(|tx| tx.remove(&NOTES, "900")).unwrap();
    holds_all(&store, "in the same process");
    store.close().unwrap();
    let store = open_disk(&disk).unwrap();
    holds_all(&store, "after reopening");
    assert!(store.check().unwrap().is_whole());
    failed
}

#[test]
fn every_failing_operation_is_survived() {
    let met = (1..=OPERATIONS).filter(|at| survives(Fault::Once(*at))).count();
    assert!(met > 150, "only {met} faults fell into a write");
}

#[test]
fn a_disk_full_from_any_operation_on_is_survived() {
    let met = (1..=OPERATIONS).filter(|from| survives(Fault::Full(*from))).count();
    assert!(met > 150, "only {met} faults fell into a write");
}
