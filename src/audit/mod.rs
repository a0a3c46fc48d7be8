//! The noun `audit`: who did what and what was decided, in a chain that shows what was changed afterwards.
//! A chain of hashes is evidence, not protection: who may write the store may write a new chain. The hash of its
//! end, kept elsewhere, shows that too.

pub mod model;
pub mod shape;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::ids::hex;
use crate::store::{Link, Position, Reader, Series, Writer, tables};
pub use model::{Call, Entry, Event, Fault, Filter, Record, Report, Verdict};
use serde::{Deserialize, Serialize};

/// Every record, in the order in which they were committed.
pub const AUDIT: Series<Link> = Series::new(tables::AUDIT);
/// Faults that are told.
const FAULTS: usize = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Newest first.
    List {
        filter: Filter,
        limit: u32,
    },
    Show {
        number: u64,
    },
    /// Oldest first, behind a number; for export, page by page.
    Page {
        after: Option<u64>,
        since: Option<Timestamp>,
        limit: u32,
    },
    /// Hashes the whole chain again. `expect`: a hash that must stand in it.
    Verify {
        expect: Option<String>,
    },
    Report {
        since: Timestamp,
    },
    /// Removes what is older than `before` and all but the newest `keep`, and records that.
    Purge {
        before: Option<Timestamp>,
        keep: Option<u64>,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Entries(Vec<Entry>),
    Verdict(Verdict),
    Report(Box<Report>),
    Purged(u64),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Purge { .. })
    }
}

/// A record as it goes into the chain.
pub fn body(at: Timestamp, event: Event) -> String {
    serde_json::to_string(&Record { at, event }).unwrap_or_default()
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List { filter, limit } => list(tx, filter, *limit as usize),
        Request::Show { number } => {
            let mut found = None;
            tx.each(&AUDIT, Timestamp(0), Timestamp(u64::MAX), |_, link| {
                found = (link.number == *number).then(|| entry(&link));
                Ok(found.is_none())
            })?;
            let missing = || {
                Error::new(&codes::RECORD_NOT_FOUND, format!("the audit trail has no record {number}"))
                    .hint("umcp audit list")
            };
            Ok(Reply::Entries(vec![found.ok_or_else(missing)?]))
        }
        Request::Page { after, since, limit } => {
            let mut entries = Vec::new();
            let from = since.unwrap_or_default();
            tx.each(&AUDIT, from, Timestamp(u64::MAX), |_, link| {
                if after.is_none_or(|after| link.number > after) {
                    entries.push(entry(&link));
                }
                Ok(entries.len() < *limit as usize)
            })?;
            Ok(Reply::Entries(entries))
        }
        Request::Verify { expect } => verify(tx, expect.as_deref()).map(Reply::Verdict),
        Request::Report { since } => {
            let mut report = Report::default();
            tx.each(&AUDIT, *since, Timestamp(u64::MAX), |_, link| {
                if let Some(record) = entry(&link).record() {
                    report.count(&record);
                }
                Ok(true)
            })?;
            Ok(Reply::Report(Box::new(report)))
        }
        Request::Purge { .. } => Err(Error::bug("a write was handed to `audit::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Purge { before, keep, at } => purge(tx, before, keep, at).map(Reply::Purged),
        request => read(tx, &request),
    }
}

fn entry(link: &Link) -> Entry {
    let (hash, previous) = (hex(&link.hash), hex(&link.previous));
    Entry { number: link.number, hash, previous, body: link.body.clone() }
}

fn list(tx: &Reader, filter: &Filter, limit: usize) -> Result<Reply> {
    let mut entries = Vec::new();
    let mut before: Option<Position> = None;
    while entries.len() < limit {
        let page = tx.last(&AUDIT, 512, filter.since, before)?;
        let Some((oldest, _)) = page.last() else { break };
        before = Some(*oldest);
        let entry = |(_, link): &(Position, Link)| {
            let entry = entry(link);
            entry.record().is_some_and(|record| filter.fits(&record)).then_some(entry)
        };
        entries.extend(page.iter().filter_map(entry));
    }
    entries.truncate(limit);
    Ok(Reply::Entries(entries))
}

/// Hashes every record again. A record that was changed, left out or put between is named by its number.
fn verify(tx: &Reader, expect: Option<&str>) -> Result<Verdict> {
    let mut verdict = Verdict {
        records: 0,
        first: None,
        last: None,
        head: None,
        expected: None,
        faults: Vec::new(),
        lost: 0,
    };
    let mut previous: Option<Link> = None;
    let mut start: Option<Link> = None;
    // Number and hash that purges name as removed.
    let mut purged = Vec::new();
    let mut found = false;
    let walked = tx.each(&AUDIT, Timestamp(0), Timestamp(u64::MAX), |_, link| {
        verdict.records += 1;
        found |= expect.is_some_and(|expect| hex(&link.hash) == expect);
        let mut fault = |problem: &str| {
            if verdict.faults.len() < FAULTS {
                verdict.faults.push(Fault { number: link.number, problem: problem.into() });
            }
        };
        if !link.is_whole() {
            fault("it is not what was written");
        }
        match &previous {
            Some(before) if link.number != before.number + 1 => {
                fault(&format!("it follows record {}: what stood between is gone", before.number));
            }
            Some(before) if link.previous != before.hash => fault("it does not follow the record before it"),
            Some(_) => {}
            None => start = Some(link.clone()),
        }
        match entry(&link).record().map(|record| record.event) {
            Some(Event::Purge { through, hash, .. }) => purged.push((through, hash)),
            Some(Event::Lost { records, .. }) => verdict.lost += records,
            _ => {}
        }
        previous = Some(link);
        Ok(true)
    });
    match walked {
        Err(error) if error.is(&codes::STORE_DAMAGED) => {
            let number = previous.as_ref().map_or(1, |link| link.number + 1);
            verdict.faults.push(Fault { number, problem: format!("it cannot be read: {error}") });
        }
        walked => walked?,
    }
    if let Some(first) = &start
        && first.number > 1
        && !purged.contains(&(first.number - 1, hex(&first.previous)))
    {
        let problem = "the records before it are gone, and no purge is recorded".into();
        verdict.faults.insert(0, Fault { number: first.number, problem });
    }
    verdict.first = start.map(|link| link.number);
    verdict.head = previous.as_ref().map(|link| hex(&link.hash));
    verdict.last = previous.map(|link| link.number);
    verdict.expected = expect.map(|_| found);
    Ok(verdict)
}

fn purge(tx: &mut Writer, before: Option<Timestamp>, keep: Option<u64>, at: Timestamp) -> Result<u64> {
    let count = tx.count(&AUDIT)?;
    let excess = keep.map_or(0, |keep| count.saturating_sub(keep));
    let (mut removed, mut last) = (0, None);
    tx.each(&AUDIT, Timestamp(0), Timestamp(u64::MAX), |position, link| {
        let goes = removed < excess || before.is_some_and(|before| position.at < before);
        if goes {
            removed += 1;
            last = Some(link);
        }
        Ok(goes)
    })?;
    let Some(last) = last else { return Ok(0) };
    let event = Event::Purge { through: last.number, hash: hex(&last.hash), records: removed };
    tx.link(&AUDIT, at, body(at, event))?;
    // The new record is kept, whatever was asked for.
    tx.trim_to(&AUDIT, count + 1 - removed)
}

#[cfg(test)]
mod tests;
