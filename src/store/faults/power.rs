//! Power cuts: money is moved between accounts until the power fails at a random operation.
//! After every cut: acknowledged <= found <= acknowledged + 1, and no money is made or lost.

use super::disk::{Disk, Fault};
use super::{Dice, LOG, NOTES, Note, cases, format_disk, open_disk};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::{Store, Writer};

const ACCOUNTS: u64 = 8;
const START: u64 = 1_000;
/// Cuts one disk goes through before a new one is taken.
const LIVES: u64 = 50;

fn account(number: u64) -> String {
    format!("account-{number}")
}

fn set(tx: &mut Writer, key: &str, number: u64, text: String) -> Result<()> {
    tx.put(&NOTES, key, &Note { text, number })
}

/// One transfer, its number and its record: three tables' worth of pages in one commit.
fn transfer(store: &Store, dice: &mut Dice) -> Result<()> {
    let (from, to) = (dice.below(ACCOUNTS), dice.below(ACCOUNTS));
    let (amount, padding) = (dice.below(50), "x".repeat(dice.below(3_000) as usize));
    store.write(|tx| {
        let number = |key: &str| tx.get(&NOTES, key).map(|row| row.map_or(0, |row| row.number));
        let (have, count) = (number(&account(from))?, number("count")?);
        let amount = amount.min(have);
        set(tx, &account(from), have - amount, padding.clone())?;
        let had = tx.get(&NOTES, &account(to))?.map_or(0, |row| row.number);
        set(tx, &account(to), had + amount, padding)?;
        set(tx, "count", count + 1, String::new())?;
        tx.push(&LOG, Timestamp(7), &super::note(count + 1)).map(drop)
    })
}

/// What the store holds: number of transfers, and the sum over all accounts.
fn found(store: &Store) -> (u64, u64) {
    let (rows, records) = store.read(|tx| Ok((tx.all(&NOTES)?, tx.count(&LOG)?))).unwrap();
    let count = rows.iter().find(|(key, _)| key == "count").map_or(0, |(_, row)| row.number);
    assert_eq!(records, count, "the record of a transfer belongs to its commit");
    (count, rows.iter().filter(|(key, _)| key != "count").map(|(_, row)| row.number).sum())
}

fn new_disk() -> Disk {
    let disk = Disk::default();
    format_disk(&disk);
    let store = open_disk(&disk).unwrap();
    store
        .write(|tx| (0..ACCOUNTS).try_for_each(|number| set(tx, &account(number), START, String::new())))
        .unwrap();
    store.close().unwrap();
    disk
}

#[test]
fn no_acknowledged_transfer_is_lost_and_none_is_halved() {
    let mut dice = Dice(0x5eed);
    let (mut disk, mut acknowledged, mut in_opening) = (new_disk(), 0, 0);
    for cut in 0..cases(1_000) {
        if cut % LIVES == 0 {
            (disk, acknowledged) = (new_disk(), 0);
        }
        disk.fault(Some(Fault::Power(1 + dice.below(120))));
        let opened = open_disk(&disk);
        in_opening += u64::from(opened.is_err());
        if let Ok(store) = opened {
            let (count, sum) = found(&store);
            assert!(
                (acknowledged..=acknowledged + 1).contains(&count),
                "cut {cut}: {count} of {acknowledged}"
            );
            assert_eq!(sum, ACCOUNTS * START, "cut {cut}");
            acknowledged = count;
            while transfer(&store, &mut dice).is_ok() {
                acknowledged += 1;
            }
        }
        disk = disk.after_power_cut(&mut dice);
    }
    let store = open_disk(&disk).unwrap();
    assert!(store.check().unwrap().is_whole());
    assert!(in_opening > 0, "some cuts fall into the opening");
}
