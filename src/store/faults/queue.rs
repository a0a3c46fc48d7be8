//! The queue of high-rate records: nothing flushed is lost, order is kept, a full disk costs only the surplus.

use super::disk::{Disk, Fault};
use super::{LOG, format_disk, note, open_disk};
use crate::clock::Timestamp;
use crate::error::codes;
use crate::store::{Link, Position, Series, Store, tables};

const CHAIN: Series<Link> = Series::new(tables::AUDIT);

fn numbers(store: &Store) -> Vec<u64> {
    let rows = store.read(|tx| tx.range(&LOG, Timestamp(0), Timestamp(u64::MAX))).unwrap();
    rows.into_iter().map(|(_, row)| row.number).collect()
}

#[test]
fn records_of_one_moment_keep_their_order() {
    let store = Store::memory();
    for number in 0..5_000 {
        assert!(store.append(&LOG, Timestamp(number / 1_000), &note(number)).unwrap());
    }
    store.flush().unwrap();
    assert_eq!(numbers(&store), (0..5_000).collect::<Vec<_>>());
    assert_eq!(store.dropped(), 0);
}

#[test]
fn many_threads_append_while_others_write() {
    let store = Store::memory();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for number in 0..250 {
                    store.append(&LOG, Timestamp(thread), &note(number)).unwrap();
                    if number % 50 == 0 {
                        store.write(|tx| tx.push(&LOG, Timestamp(thread), &note(number))).unwrap();
                    }
                }
            });
        }
    });
    store.flush().unwrap();
    assert_eq!(numbers(&store).len(), 4 * (250 + 5));
}

#[test]
fn closing_writes_what_is_queued() {
    let disk = Disk::default();
    format_disk(&disk);
    let store = open_disk(&disk).unwrap();
    let clone = store.clone();
    store.append(&LOG, Timestamp(1), &note(1)).unwrap();
    store.close().unwrap();
    assert!(clone.read(|tx| tx.count(&LOG)).unwrap_err().is(&codes::STORE_IO), "closed for all clones");
    assert!(!clone.append(&LOG, Timestamp(1), &note(2)).unwrap());
    drop(clone);
    assert_eq!(numbers(&open_disk(&disk).unwrap()), [1]);
}

#[test]
fn records_wait_for_a_full_disk() {
    let disk = Disk::default();
    format_disk(&disk);
    let store = open_disk(&disk).unwrap();
    disk.fault(Some(Fault::Full(1)));
    for number in 0..10 {
        assert!(store.append(&LOG, Timestamp(number), &note(number)).unwrap());
    }
    assert!(store.flush().unwrap_err().is(&codes::STORE_FULL));
    disk.fault(None);
    while store.flush().is_err() {}
    assert_eq!(numbers(&store), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_record_that_cannot_be_written_keeps_no_other_one_waiting() {
    let store = Store::memory();
    // Nothing can be put behind a record of the same moment whose place cannot be read.
    let odd = store.write(|tx| {
        for number in 0..3 {
            let key = [&Position::start(Timestamp(number)).key()[..], b"!"].concat();
            tx.view(LOG.name)?.insert(&key, b"x")?;
        }
        tx.changed = true;
        Ok(())
    });
    odd.unwrap();
    for number in 0..3 {
        assert!(store.append(&LOG, Timestamp(number), &note(number)).unwrap());
        assert!(store.append_link(&CHAIN, Timestamp(number), "x".into()).unwrap());
    }
    // The thread may have met the first of them before the others came.
    while store.dropped() < 3 {
        let _ = store.flush();
    }
    store.flush().unwrap();
    assert_eq!((store.read(|tx| tx.count(&CHAIN)).unwrap(), store.dropped()), (3, 3));
    store.append(&LOG, Timestamp(2), &note(9)).unwrap();
    assert!(store.flush().unwrap_err().is(&codes::STORE_DAMAGED), "whoever waits hears why");
}

#[test]
fn a_queue_without_end_drops_and_counts() {
    let disk = Disk::default();
    format_disk(&disk);
    let store = open_disk(&disk).unwrap();
    disk.fault(Some(Fault::Full(1)));
    let taken =
        (0..70_000).filter(|at| store.append(&LOG, Timestamp(*at), &note(*at)).unwrap()).count() as u64;
    assert!(store.flush().is_err());
    assert!(taken >= 65_536);
    disk.fault(None);
    while store.flush().is_err() {}
    assert_eq!(numbers(&store).len() as u64 + store.dropped(), 70_000);
}

#[test]
fn a_chain_tells_of_what_it_lost() {
    let disk = Disk::default();
    format_disk(&disk);
    let store = open_disk(&disk).unwrap();
    store.tell_losses(|batch, lost| {
        let body = format!("{} lost {} to {}", lost.records, lost.first.0, lost.last.0);
        batch.link(&CHAIN, lost.last, body);
    });
    disk.fault(Some(Fault::Full(1)));
    let queued = |at: u64| match at % 2 {
        0 => store.append_link(&CHAIN, Timestamp(at), "x".into()).unwrap(),
        _ => store
            .append_later(Some(Timestamp(at)), |batch| batch.link(&CHAIN, Timestamp(1), "y".into()))
            .unwrap(),
    };
    (0..66_000).for_each(|at| assert!(queued(at) || at >= 65_536));
    assert!(store.flush().is_err());
    disk.fault(None);
    while store.flush().is_err() {}
    // What the thread had in its hands when the queue filled counts, too.
    store.append_link(&CHAIN, Timestamp(70_000), "after".into()).unwrap();
    store.flush().unwrap();
    let bodies: Vec<String> = store
        .read(|tx| {
            let mut bodies = Vec::new();
            tx.each(&CHAIN, Timestamp(0), Timestamp(u64::MAX), |_, link| {
                bodies.push(link.body);
                Ok(true)
            })?;
            Ok(bodies)
        })
        .unwrap();
    let told: u64 = bodies
        .iter()
        .filter(|body| body.contains("lost"))
        .map(|body| body.split(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert!(told > 0 && told == store.dropped(), "{told} told, {} dropped", store.dropped());
    assert_eq!(bodies.iter().filter(|body| body.len() == 1).count() as u64 + told, 66_000);
}
