//! The noun `usage`: one record for every call, from whatever door it came, and for what agents and scripts report;
//! what the records add up to, and what they cost.
//! Records are appended off the call's path by the store's writer thread, which completes and sums them (`rollup`).

pub mod forecast;
pub mod insight;
pub mod log;
pub mod money;
pub mod period;
pub mod price;
pub mod query;
pub mod quota;
pub mod record;
pub mod report;
pub mod rollup;
pub mod sealed;
pub mod sums;
pub mod user;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::store::{Reader, Writer};
pub use record::{CALLS, Call, Class, Cost, Detail, Door, Entity, Tokens};
use rollup::Checked;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Newest first.
    History {
        server: Option<String>,
        tool: Option<String>,
        failed: bool,
        since: Option<Timestamp>,
        limit: u32,
    },
    /// Calls and failures of every tool since a time, for search's prior and for `tool budget`.
    Counts { since: Timestamp },
    /// Sums of stretches of time.
    Query(query::Query),
    /// Records as they are, oldest first, from `after`; at most `limit` at once.
    Records {
        from: Timestamp,
        until: Timestamp,
        after: Option<crate::store::Position>,
        filter: query::Filter,
        limit: u32,
    },
    /// What somebody reports.
    Record { reports: Vec<report::Report>, now: Timestamp },
    /// Compares the sums with the records.
    Check,
    /// Makes the sums anew from the records.
    Rebuild,
    /// Reckons the costs of records anew by the prices of today.
    Recalculate { from: Timestamp, until: Timestamp },
    /// Seals days that are over, a piece at a time: from `after`, where the step before ended.
    Seal { now: Timestamp, after: Option<crate::store::Position> },
    /// Keeps the newest `keep` records of those since `since`, and the sums that are not too old.
    Trim { keep: u64, since: Timestamp, now: Timestamp },
    /// What things cost.
    Price(price::Request),
    /// How much may be used.
    Quota(quota::Request),
    /// Whom calls are accounted to.
    User(user::Request),
}

/// A record with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    #[serde(flatten)]
    pub call: Call,
}

/// How often a tool was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub server: String,
    pub tool: String,
    pub calls: u64,
    pub failed: u64,
}

/// Records, and where the next ones begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    pub entries: Vec<Entry>,
    /// Nothing when these were the last.
    pub next: Option<crate::store::Position>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    History(Vec<Entry>),
    Counts(Vec<Count>),
    Points(Vec<query::Point>),
    Records(Records),
    /// As they were recorded, with their costs.
    Recorded(Vec<Entry>),
    Checked(Checked),
    /// How many rows or records.
    Rebuilt(u64),
    Sealed(sealed::Sealing),
    Trimmed(u64),
    Price(price::Reply),
    Quotas(Vec<quota::Standing>),
    /// All of them.
    Users(Vec<user::User>),
}

impl Request {
    /// Whether a name comes or goes that can be completed.
    pub fn renames(&self) -> bool {
        self.writes() && matches!(self, Self::Price(_) | Self::Quota(_) | Self::User(_))
    }

    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        match self {
            Self::Seal { .. }
            | Self::Trim { .. }
            | Self::Record { .. }
            | Self::Rebuild
            | Self::Recalculate { .. } => true,
            Self::Price(request) => request.writes(),
            Self::Quota(request) => request.writes(),
            Self::User(request) => request.writes(),
            Self::History { .. }
            | Self::Counts { .. }
            | Self::Query(_)
            | Self::Records { .. }
            | Self::Check => false,
        }
    }
}

/// Completes records: who is behind them, by which model, and what they cost.
struct Completer {
    people: user::People,
    book: Option<price::Current>,
}

impl Completer {
    fn read(tx: &Reader) -> Result<Self> {
        Ok(Self { people: user::People::read(tx)?, book: price::current(tx)? })
    }

    /// Whether that changed the record.
    fn complete(&self, at: Timestamp, call: &mut Call) -> bool {
        let attributed = call.attribute() | self.people.account(call);
        let Some(book) = &self.book else { return attributed };
        book.complete(at, call);
        true
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::History { server, tool, failed, since, limit } => {
            let fits = |call: &Call| {
                server.as_ref().is_none_or(|server| call.server == *server)
                    && tool.as_ref().is_none_or(|tool| call.tool == *tool)
                    && (!failed || call.class != Class::Ok)
            };
            let mut entries = Vec::new();
            log::newest(tx, *since, |at, call| {
                if fits(&call) {
                    entries.push(Entry { at, call });
                }
                entries.len() < *limit as usize
            })?;
            Ok(Reply::History(entries))
        }
        Request::Counts { since } => counts(tx, *since),
        Request::Query(query) => query::answer(tx, query).map(Reply::Points),
        Request::Records { from, until, after, filter, limit } => {
            records(tx, (*from, *until), *after, filter, *limit)
        }
        Request::Check => rollup::differences(tx).map(Reply::Checked),
        Request::Price(request) => price::read(tx, request).map(Reply::Price),
        Request::Quota(request) => quota::read(tx, request).map(Reply::Quotas),
        Request::User(request) => user::read(tx, request).map(Reply::Users),
        Request::Seal { .. }
        | Request::Trim { .. }
        | Request::Record { .. }
        | Request::Rebuild
        | Request::Recalculate { .. } => Err(Error::bug("a write was handed to `usage::read`")),
    }
}

fn counts(tx: &Reader, since: Timestamp) -> Result<Reply> {
    let mut counts = std::collections::BTreeMap::<(String, String), (u64, u64)>::new();
    let mut add = |server: &str, tool: &str, calls: u64, failed: u64| {
        let count = counts.entry((server.into(), tool.into())).or_default();
        *count = (count.0 + calls, count.1 + failed);
    };
    tx.each(&CALLS, since, Timestamp(u64::MAX), |_, call| {
        if call.detail.entity == Entity::Tool && call.door != Door::Report {
            add(&call.server, &call.tool, 1, u64::from(call.class != Class::Ok));
        }
        Ok(true)
    })?;
    for head in sealed::heads(tx, since, Timestamp(u64::MAX))? {
        sealed::open(tx, &head, |records| {
            let mut block = std::collections::HashMap::<(&str, &str), (u64, u64)>::new();
            for row in (0..records.count()).filter(|row| records.position(*row).at >= since) {
                let Some((server, tool, failed)) = records.called(row)? else { continue };
                let count = block.entry((server, tool)).or_default();
                *count = (count.0 + 1, count.1 + u64::from(failed));
            }
            block.into_iter().for_each(|((server, tool), (calls, failed))| add(server, tool, calls, failed));
            Some(Ok(()))
        })?;
    }
    let count = |((server, tool), (calls, failed))| Count { server, tool, calls, failed };
    Ok(Reply::Counts(counts.into_iter().map(count).collect()))
}

fn records(
    tx: &Reader,
    (from, until): (Timestamp, Timestamp),
    after: Option<crate::store::Position>,
    filter: &query::Filter,
    limit: u32,
) -> Result<Reply> {
    let mut records = Records { entries: Vec::new(), next: None };
    log::each(tx, after.map_or(from, |after| after.at.max(from)), until, |position, call| {
        if after.is_some_and(|after| position <= after) || !filter.hits_call(&call) {
            return Ok(true);
        }
        // One that came late may stand where another one was sealed.
        if records.entries.len() >= limit as usize && records.next != Some(position) {
            return Ok(false);
        }
        records.entries.push(Entry { at: position.at, call });
        records.next = Some(position);
        Ok(true)
    })?;
    if records.entries.len() < limit as usize {
        records.next = None;
    }
    Ok(Reply::Records(records))
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Seal { now, after } => rollup::seal(tx, now, after).map(Reply::Sealed),
        Request::Trim { keep, since, now } => rollup::trim(tx, keep, since, now).map(Reply::Trimmed),
        Request::Rebuild => rollup::rebuild(tx).map(Reply::Rebuilt),
        Request::Recalculate { from, until } => rollup::recalculate(tx, from, until).map(Reply::Rebuilt),
        Request::Record { reports, now } => {
            let mut recorded = Vec::new();
            for report in reports {
                let (at, mut call) = report.into_call(now)?;
                rollup::push(tx, at, &mut call)?;
                recorded.push(Entry { at, call });
            }
            Ok(Reply::Recorded(recorded))
        }
        Request::Price(request) => price::write(tx, request).map(Reply::Price),
        Request::Quota(request) => quota::write(tx, request).map(Reply::Quotas),
        Request::User(request) => user::write(tx, request).map(Reply::Users),
        Request::History { .. }
        | Request::Counts { .. }
        | Request::Query(_)
        | Request::Records { .. }
        | Request::Check => read(tx, &request),
    }
}
