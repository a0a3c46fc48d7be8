//! Looking the store over: every envelope, every page, and its sizes. It repairs nothing.
//! Pages are verified through a second, write-less view of the same bytes, so that a check cannot do harm.

use super::codec;
use super::db::{self, Core, Handle};
use super::failure::call;
use super::opening;
use super::tables;
use super::view::ALL;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Records read and found whole.
    pub records: u64,
    /// Records, or whole tables, that are not.
    pub damage: Vec<Damage>,
    /// Whether all pages have their checksums; `None` for a store that has no pages of its own to read.
    pub pages_whole: Option<bool>,
}

impl Report {
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.pages_whole != Some(false)
    }
}

/// One damaged record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    pub table: String,
    /// The key as text, or in hex; `None` when the table cannot be walked any further.
    pub key: Option<String>,
    pub reason: String,
}

/// Sizes of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes of the file; `None` in memory.
    pub file_bytes: Option<u64>,
    pub format: u32,
    pub id: String,
    pub tables: Vec<TableStats>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStats {
    pub name: String,
    pub owner: String,
    pub rows: u64,
}

pub fn check(core: &Core) -> Result<Report> {
    let mut report = Report { records: 0, damage: Vec::new(), pages_whole: None };
    core.read(|reader| {
        for table in tables::ALL {
            let walked = reader.view(table.name).and_then(|view| {
                view.walk(ALL, false, |key, bytes| {
                    if codec::verify(key, bytes).is_some() {
                        report.records += 1;
                    } else {
                        report.damage.push(Damage {
                            table: table.name.into(),
                            key: Some(codec::show(key)),
                            reason: "checksum".into(),
                        });
                    }
                    Ok(true)
                })
            });
            if let Err(error) = walked {
                report.damage.push(Damage { table: table.name.into(), key: None, reason: error.to_string() });
            }
        }
        Ok(())
    })?;
    report.pages_whole = pages(core)?;
    Ok(report)
}

/// Verifies all pages of what is on the disk.
fn pages(core: &Core) -> Result<Option<bool>> {
    core.refuse_if_writing()?;
    let live = core.live()?;
    let (Handle::ReadWrite(database), Some(below)) = (live.handle(), live.below()) else {
        return Ok(None);
    };
    db::write(&core.place, database, |_| {
        // The open transaction keeps writers away: every page on the disk belongs to a finished commit.
        let observer = below.observer();
        let whole = call(&core.place, || {
            let mut second = opening::builder().create_with_backend(observer)?;
            second.check_integrity()
        });
        Ok(Some(whole.unwrap_or(false)))
    })
}

pub fn stats(core: &Core, path: Option<&Path>) -> Result<Stats> {
    let live = core.live()?;
    let (format, _) = opening::look(&core.place, &live)?;
    let reader = db::reader(&core.place, &live)?;
    let mut rows = Vec::new();
    for table in tables::ALL {
        let count = reader.view(table.name)?.len()?;
        rows.push(TableStats { name: table.name.into(), owner: table.owner.into(), rows: count });
    }
    let size = |path: &Path| {
        let meta = std::fs::metadata(path);
        meta.map(|meta| meta.len()).map_err(|error| crate::paths::io_error("read", path, &error))
    };
    let file_bytes = path.map(size).transpose()?;
    Ok(Stats { file_bytes, format: format.format, id: format.id, tables: rows })
}
