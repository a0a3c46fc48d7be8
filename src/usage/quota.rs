//! Quotas: how much a client, user, agent, profile, server, tool or workflow may use in a period, and what happens beyond.
//! Pure decisions and rows; what counts while calls run is remembered by `calls`.
//! Rule: a call is reckoned before it is made, with all that is known of it then.

use super::money::Pico;
use super::period::Step;
use super::price;
use super::query::{Filter, Query, answer};
use super::record::Call;
use super::sums::{Dimension, Dims};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const QUOTAS: Table<Stored> = Table::new(tables::QUOTAS);
const MOST: u64 = 1_000;

/// A quota as JSON text, so that a later version can add fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    json: String,
}

impl Row for Stored {
    const KIND: u8 = 85;
    const VERSION: u16 = 1;
}

/// So much and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub name: String,
    /// Whose calls count, and of what; patterns take `*`. Nothing means all.
    #[serde(default)]
    pub of: BTreeMap<Dimension, String>,
    pub per: Per,
    #[serde(default)]
    pub limit: Limit,
    pub action: Action,
    /// Told to whoever meets it.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What may be used; at least one of them is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    pub calls: Option<u64>,
    pub tokens: Option<u64>,
    pub cost: Option<Pico>,
}

/// The period after which counting begins anew, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    /// Never.
    Total,
}

impl Per {
    pub const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.word() == word)
    }

    /// The period around a moment: its start, and the start of the next.
    pub fn around(self, now: Timestamp, zone: &TimeZone) -> (Timestamp, Timestamp) {
        match Step::parse(self.word()) {
            Some(step) => step.around(now, zone),
            None => (Timestamp(0), Timestamp(u64::MAX)),
        }
    }
}

/// What happens beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The call is made, and the result says so.
    Warn,
    /// Calls are made one after the other, with pauses.
    Throttle,
    /// The call is refused.
    Block,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Warn, Self::Throttle, Self::Block];

    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Throttle => "throttle",
            Self::Block => "block",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// An amount of what quotas count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub calls: u64,
    pub tokens: u64,
    pub cost: Pico,
}

impl Used {
    pub fn of(call: &Call) -> Self {
        Self {
            calls: call.api_calls(),
            tokens: call.tokens(),
            cost: call.detail.cost.map_or(Pico(0), |cost| cost.pico),
        }
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            cost: Pico(self.cost.0.saturating_add(other.cost.0)),
        }
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            tokens: self.tokens.saturating_sub(other.tokens),
            cost: Pico(self.cost.0.saturating_sub(other.cost.0)),
        }
    }
}

impl Quota {
    pub fn filter(&self) -> Filter {
        Filter { fits: self.of.iter().map(|(dimension, pattern)| (*dimension, pattern.clone())).collect() }
    }

    pub fn hits(&self, dims: &Dims) -> bool {
        self.filter().hits(dims)
    }

    /// Whether one more call goes beyond the limit, and which: `known` is what is known of it before it is made.
    pub fn exceeded(&self, used: Used, known: Used) -> Option<&'static str> {
        let after = used.plus(known);
        let Limit { calls, tokens, cost } = self.limit;
        if calls.is_some_and(|limit| after.calls > limit) {
            return Some("calls");
        }
        // What a result will have nobody knows before: a call is made as long as something is left.
        if tokens.is_some_and(|limit| after.tokens > limit || used.tokens >= limit) {
            return Some("tokens");
        }
        let spent = |limit: Pico| after.cost > limit || used.cost >= limit;
        cost.is_some_and(spent).then_some("cost")
    }

    /// What somebody reads who met it.
    pub fn told(&self, what: &str, used: Used, until: Timestamp) -> String {
        let (used, limit) = match what {
            "calls" => (used.calls.to_string(), self.limit.calls.unwrap_or_default().to_string()),
            "tokens" => (used.tokens.to_string(), self.limit.tokens.unwrap_or_default().to_string()),
            _ => (used.cost.short(), self.limit.cost.unwrap_or_default().short()),
        };
        let again = match self.per {
            Per::Total => String::new(),
            per => format!(" for this {}, which ends at {}", per.word(), until.rfc3339()),
        };
        let why = self.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
        format!("the quota `{}` is used up: {what} {used} of {limit}{again}{why}", self.name)
    }

    fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(&codes::QUOTA_INVALID, message));
        if self.name.is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            return wrong("a quota needs a name of at most 64 characters".into());
        }
        if self.limit == Limit::default() {
            return wrong(format!("`{}` has no limit: calls, tokens or cost", self.name));
        }
        if self.limit.cost.is_some_and(|cost| cost.0 < 0 || cost.0 > price::HIGHEST) {
            return wrong(format!("`{}` has no amount from 0 to a billion dollars as its limit", self.name));
        }
        let beforehand = [
            Dimension::Client,
            Dimension::Agent,
            Dimension::User,
            Dimension::Environment,
            Dimension::Server,
            Dimension::Tool,
            Dimension::Entity,
            Dimension::Workflow,
        ];
        match self.of.keys().find(|dimension| !beforehand.contains(dimension)) {
            Some(other) => wrong(format!("a quota cannot go by {}", other.word())),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List { now: Timestamp },
    Put { quota: Quota, now: Timestamp },
    Delete { names: Vec<String>, now: Timestamp },
}

/// A quota, and how far it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub quota: Quota,
    pub from: Timestamp,
    pub until: Timestamp,
    pub used: Used,
}

impl Request {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List { .. })
    }
}

pub fn read(tx: &Reader, request: &Request) -> Result<Vec<Standing>> {
    match request {
        Request::List { now } => standings(tx, *now),
        Request::Put { .. } | Request::Delete { .. } => {
            Err(Error::bug("a write was handed to `quota::read`"))
        }
    }
}

pub fn write(tx: &mut Writer, request: Request) -> Result<Vec<Standing>> {
    let now = match request {
        Request::List { now } => now,
        Request::Put { quota, now } => {
            quota.check()?;
            if !tx.contains(&QUOTAS, &quota.name)? && tx.count(&QUOTAS)? >= MOST {
                return Err(Error::new(&codes::QUOTA_INVALID, format!("there are {MOST} quotas already")));
            }
            let json = serde_json::to_string(&quota)
                .map_err(|error| Error::bug("a quota cannot be written as JSON").because(error))?;
            tx.put(&QUOTAS, &quota.name, &Stored { json })?;
            now
        }
        Request::Delete { names, now } => {
            for name in names {
                if !tx.remove(&QUOTAS, &name)? {
                    return Err(not_found(tx, &name));
                }
            }
            now
        }
    };
    standings(tx, now)
}

fn not_found(tx: &Reader, name: &str) -> Error {
    let error = Error::new(&codes::QUOTA_NOT_FOUND, format!("no quota named `{name}`"));
    let known: Vec<String> = tx.all(&QUOTAS).unwrap_or_default().into_iter().map(|row| row.0).collect();
    match crate::documents::near(name, known.iter().map(String::as_str)) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp quota list"),
    }
}

/// All quotas, by name.
pub fn all(tx: &Reader) -> Result<Vec<Quota>> {
    let read = |(_, stored): (String, Stored)| {
        serde_json::from_str(&stored.json).map_err(|error| {
            Error::new(&codes::STORE_NEWER, "a quota was written by a newer umcp").because(error)
        })
    };
    tx.all(&QUOTAS)?.into_iter().map(read).collect()
}

/// All quotas, by name, with what is used of them.
fn standings(tx: &Reader, now: Timestamp) -> Result<Vec<Standing>> {
    let quotas = all(tx)?;
    if quotas.is_empty() {
        // Most have none, and every start asks; the zone is read from the disk.
        return Ok(Vec::new());
    }
    let zone = TimeZone::system();
    let mut standings = Vec::new();
    for quota in quotas {
        let (from, until) = quota.per.around(now, &zone);
        let query = Query { edges: vec![from, until], group_by: Vec::new(), filter: quota.filter() };
        let sums = answer(tx, &query)?.first().map(super::query::Point::total).unwrap_or_default();
        let used = Used { calls: sums.api_calls, tokens: sums.tokens(), cost: sums.cost };
        standings.push(Standing { quota, from, until, used });
    }
    Ok(standings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::usage::record::tests::call;
    use crate::usage::rollup;

    fn quota(name: &str, limit: Limit) -> Quota {
        let of = [(Dimension::Client, "c".to_string())].into();
        Quota {
            name: name.into(),
            of,
            per: Per::Day,
            limit,
            action: Action::Block,
            reason: Some("enough".into()),
        }
    }

    #[test]
    fn a_limit_is_met_before_the_call() {
        let used = |calls, tokens, cost| Used { calls, tokens, cost: Pico(cost) };
        let limit = Limit { calls: Some(10), tokens: Some(100), cost: Some(Pico(50)) };
        for (so_far, known, expected) in [
            (used(9, 0, 0), used(1, 0, 0), None),
            (used(10, 0, 0), used(1, 0, 0), Some("calls")),
            (used(0, 99, 0), used(1, 0, 0), None),
            (used(0, 99, 0), used(1, 2, 0), Some("tokens")),
            (used(0, 100, 0), used(1, 0, 0), Some("tokens")),
            (used(0, 0, 49), used(1, 0, 1), None),
            (used(0, 0, 49), used(1, 0, 2), Some("cost")),
            (used(u64::MAX, 0, 0), used(1, 0, 0), Some("calls")),
        ] {
            assert_eq!(quota("q", limit).exceeded(so_far, known), expected, "{so_far:?} {known:?}");
        }
        let told = quota("q", limit).told("cost", used(1, 2, 60_000_000_000), Timestamp::from_millis(0));
        let expected = "the quota `q` is used up: cost $0.06 of $0.00000000005 for this day, which ends at 1970-01-01T00:00:00.000Z: enough";
        assert_eq!(told, expected);
    }

    #[test]
    fn quotas_stand_beside_what_is_used() {
        let store = Store::memory();
        let now = Timestamp::parse("2026-03-03T12:00:00Z").unwrap();
        let run = |request| store.write(|tx| write(tx, request));
        for at in [now, Timestamp(now.0 - 10 * 86_400_000_000)] {
            store.write(|tx| rollup::push(tx, at, &mut call(10))).unwrap();
        }
        let limit = Limit { calls: Some(3), ..Limit::default() };
        let put = run(Request::Put { quota: quota("q", limit), now }).unwrap();
        assert_eq!((put.len(), put[0].used.calls, put[0].used.tokens), (1, 1, 5));
        // For everything and all time, which must not be walked day by day.
        let total = Quota { of: Default::default(), per: Per::Total, ..quota("t", limit) };
        let put = run(Request::Put { quota: total, now }).unwrap();
        assert_eq!((put.len(), put[1].used.calls), (2, 2));
        run(Request::Delete { names: vec!["t".into()], now }).unwrap();
        assert!(
            run(Request::Delete { names: vec!["x".into()], now }).unwrap_err().is(&codes::QUOTA_NOT_FOUND)
        );
        for wrong in [
            quota("", limit),
            quota("n", Limit::default()),
            quota("n", Limit { cost: Some(Pico(-1)), ..Limit::default() }),
            Quota { of: [(Dimension::Model, "m".into())].into(), ..quota("n", limit) },
        ] {
            assert!(run(Request::Put { quota: wrong, now }).unwrap_err().is(&codes::QUOTA_INVALID));
        }
        assert_eq!(run(Request::Delete { names: vec!["q".into()], now }).unwrap(), []);
    }
}
