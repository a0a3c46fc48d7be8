//! Tests of the whole room: what a caller may rely on, on good days and on bad ones.

mod damage;
mod disk;
mod everyday;
mod full;
mod power;
mod queue;
mod versions;

use super::db::Core;
use super::opening::{self, Plan};
use super::{FORMAT, Row, Series, Store, Table, migrate, tables};
use crate::clock::Timestamp;
use crate::error::Result;
use disk::Disk;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    text: String,
    number: u64,
}

impl Row for Note {
    const KIND: u8 = 250;
    const VERSION: u16 = 1;
}

const NOTES: Table<Note> = Table::new(tables::SERVERS);
const LOG: Series<Note> = Series::new(tables::CALLS);
const PLAN: Plan = Plan { format: FORMAT, steps: migrate::STEPS, now: Timestamp(1) };

fn note(number: u64) -> Note {
    Note { text: format!("note {number}"), number }
}

/// Makes a new store on `disk`, which must not fail meanwhile.
fn format_disk(disk: &Disk) {
    let format = migrate::fresh(FORMAT, "sto_test".into(), Timestamp(1));
    opening::create("disk", disk.clone(), &format).unwrap();
}

/// Opens the store on `disk` as `Store::open` opens that of a file.
fn open_disk(disk: &Disk) -> Result<Store> {
    let (first, again) = (disk.clone(), disk.clone());
    let open = |disk: &Disk| opening::open_backend("disk", Arc::new(disk.clone()), &PLAN, |_, _| Ok(()));
    let live = open(&first)?;
    Ok(Store::over(Core::new("disk".into(), live, Some(Box::new(move || open(&again)))), None, None))
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % limit
    }
}

/// Cases of a simulation: `usual`, or ten times that in a long run.
fn cases(usual: u64) -> u64 {
    if std::env::var_os("UMCP_LONG").is_some() { usual * 10 } else { usual }
}
