//! Questions to the sums: any stretch of time, by any dimensions, of what fits a filter.
//! Days are taken whole where a stretch covers them, then hours, then minutes, so that a year is few rows.
//! Rule: neighbouring stretches share their edge; no record is in two, and none between them is lost.

use super::log;
use super::record::Call;
use super::rollup::{self, Grain};
use super::sealed::{self, Day};
use super::sums::{Dimension, Dims, Sums};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::glob;
use crate::store::Reader;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which records count: each dimension fits its pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// A dimension and a glob with `*`.
    pub fits: Vec<(Dimension, String)>,
}

impl Filter {
    pub fn hits(&self, dims: &Dims) -> bool {
        self.fits.iter().all(|(dimension, pattern)| glob::fits(pattern, &dims.value(*dimension)))
    }

    pub fn hits_call(&self, call: &Call) -> bool {
        self.fits.is_empty() || self.hits(&Dims::of(call))
    }
}

/// Sums of the stretches between neighbouring edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub edges: Vec<Timestamp>,
    #[serde(default)]
    pub group_by: Vec<Dimension>,
    #[serde(default)]
    pub filter: Filter,
}

/// One stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub from: Timestamp,
    pub until: Timestamp,
    /// Those with records; one without a key where nothing is told apart.
    pub groups: Vec<Group>,
}

impl Point {
    /// All groups together.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        self.groups.iter().for_each(|group| total.add(&group.sums));
        total
    }
}

/// What has the same values of the dimensions that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub key: Vec<String>,
    pub sums: Sums,
}

/// Answers a query. Edges lie on the finest unit of time that is still kept there: minutes for three days, hours for
/// four hundred, days before.
pub fn answer(tx: &Reader, query: &Query) -> Result<Vec<Point>> {
    let Some(kept) = rollup::kept(tx)? else { return of_records(tx, query) };
    let Some(first) = rollup::first(tx)? else { return Ok(Points::new(query, &query.edges).done()) };
    let edge = |edge: &Timestamp| align((*edge).max(first), kept);
    let edges: Vec<Timestamp> = query.edges.iter().map(edge).collect();
    let mut points = Points::new(query, &query.edges);
    let parts = !query.group_by.is_empty() || !query.filter.fits.is_empty();
    for (number, pair) in edges.windows(2).enumerate() {
        for stretch in cover(pair[0], pair[1]) {
            match stretch.0 {
                Grain::Day if parts => days(tx, &mut points, number, (stretch.1, stretch.2))?,
                _ => rollup::visit(tx, stretch, parts, &mut |_, dims, sums| points.add(number, dims, sums))?,
            }
        }
    }
    Ok(points.done())
}

/// Whole days by parts: from their sealed records where that is quicker than from their sums, or the sums do not tell
/// everything apart.
fn days(
    tx: &Reader,
    points: &mut Points<'_>,
    number: usize,
    (mut from, until): (Timestamp, Timestamp),
) -> Result<()> {
    let sums = |points: &mut Points<'_>, from, until| {
        let add = &mut |_, dims: &Dims, sums: &Sums| points.add(number, dims, sums);
        rollup::visit(tx, (Grain::Day, from, until), true, add)
    };
    for (start, day) in sealed::days(tx, from, until)? {
        if start < from || start >= until || !is_read(tx, start, &day)? {
            continue;
        }
        sums(points, from, start)?;
        for head in &day.blocks {
            let Query { group_by, filter, .. } = points.query;
            for (key, sums) in sealed::scan::block(tx, head, filter, group_by)? {
                points.groups[number].entry(key).or_default().add(&sums);
            }
        }
        from = Timestamp(start.0.saturating_add(Grain::Day.length()));
    }
    sums(points, from, until)
}

/// Records that are read from a block in the time of one sum.
const RECORDS_OF_A_SUM: u64 = 32;

/// Whether the blocks of a day are to be read: they hold all of its records.
fn is_read(tx: &Reader, start: Timestamp, day: &Day) -> Result<bool> {
    let Some(total) = rollup::total(tx, Grain::Day, start)? else { return Ok(false) };
    let rows = day.rows();
    let quicker = u64::from(total.kinds).saturating_mul(RECORDS_OF_A_SUM) >= rows;
    Ok(total.sums.records == rows && (total.is_full() || quicker))
}

/// A store from before there were sums.
fn of_records(tx: &Reader, query: &Query) -> Result<Vec<Point>> {
    let mut points = Points::new(query, &query.edges);
    for (number, pair) in query.edges.windows(2).enumerate() {
        log::each(tx, pair[0], pair[1], |_, call| {
            points.add(number, &Dims::of(&call), &Sums::of(&call));
            Ok(true)
        })?;
    }
    Ok(points.done())
}

struct Points<'q> {
    query: &'q Query,
    edges: &'q [Timestamp],
    groups: Vec<BTreeMap<Vec<String>, Sums>>,
}

impl<'q> Points<'q> {
    fn new(query: &'q Query, edges: &'q [Timestamp]) -> Self {
        Self { query, edges, groups: vec![BTreeMap::new(); edges.len().saturating_sub(1)] }
    }

    fn add(&mut self, number: usize, dims: &Dims, sums: &Sums) {
        if self.query.filter.hits(dims) {
            let key = self.query.group_by.iter().map(|dimension| dims.value(*dimension)).collect();
            self.groups[number].entry(key).or_default().add(sums);
        }
    }

    fn done(self) -> Vec<Point> {
        let group = |(key, sums)| Group { key, sums };
        let point = |(pair, groups): (&[Timestamp], BTreeMap<_, _>)| Point {
            from: pair[0],
            until: pair[1],
            groups: groups.into_iter().map(group).collect(),
        };
        self.edges.windows(2).zip(self.groups).map(point).collect()
    }
}

/// The start of the finest unit around a moment whose sums are kept.
fn align(at: Timestamp, kept: [Timestamp; 3]) -> Timestamp {
    let grain = Grain::ALL.into_iter().find(|grain| grain.floor(at) >= kept[*grain as usize]);
    grain.unwrap_or(Grain::Day).floor(at)
}

/// The fewest units that cover a stretch between two aligned edges.
fn cover(from: Timestamp, until: Timestamp) -> Vec<(Grain, Timestamp, Timestamp)> {
    let mut stretches: Vec<(Grain, Timestamp, Timestamp)> = Vec::new();
    let mut at = from;
    while at < until {
        let fits = |grain: &Grain| grain.floor(at) == at && until.0 - at.0 >= grain.length();
        let grain = Grain::ALL.into_iter().rev().find(fits).unwrap_or(Grain::Minute);
        // Days at once: there are two hundred million of them in all time.
        let units = if grain == Grain::Day { (until.0 - at.0) / grain.length() } else { 1 };
        let next = Timestamp(at.0.saturating_add(units * grain.length()));
        match stretches.last_mut().filter(|last| last.0 == grain) {
            Some(last) => last.2 = next,
            None => stretches.push((grain, at, next)),
        }
        at = next;
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::usage::record::tests::call;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    #[test]
    fn a_stretch_is_days_then_hours_then_minutes() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let cases = cover(at("2026-03-01T22:58:00Z"), at("2026-03-04T01:01:00Z"));
        let shown: Vec<String> = cases
            .iter()
            .map(|(grain, from, until)| format!("{grain:?} {}", (until.0 - from.0) / grain.length()))
            .collect();
        assert_eq!(shown, ["Minute 2", "Hour 1", "Day 2", "Hour 1", "Minute 1"]);
        assert!(cover(Timestamp(0), Timestamp(u64::MAX)).len() <= 3, "all time is no walk");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn sums_and_records_agree_whatever_comes_in_which_order(
            times in proptest::collection::vec((0u64..400_000, 0u64..5, 0usize..40), 1..20),
            from in 0u64..400_000,
            length in 0u64..400_000,
        ) {
            let store = Store::memory();
            let minute = |minute: u64| Timestamp((29_000_000 + minute) * 60_000_000);
            let calls: Vec<_> = times
                .iter()
                .map(|(at, tool, bytes)| {
                    let call = Call { tool: format!("t{tool}"), ..call(*bytes as u64) };
                    (Timestamp(minute(*at).0 + *bytes as u64), call)
                })
                .collect();
            for (at, one) in &calls {
                store.write(|tx| rollup::push(tx, *at, &mut one.clone())).unwrap();
            }
            let query = Query {
                edges: vec![minute(from), minute(from + length)],
                group_by: vec![Dimension::Tool],
                filter: Filter { fits: vec![(Dimension::Tool, "t*".into())] },
            };
            let inside = |at: &Timestamp| *at >= minute(from) && *at < minute(from + length);
            let mut expected = Sums::default();
            calls.iter().filter(|(at, _)| inside(at)).for_each(|(_, call)| expected.add(&Sums::of(call)));
            let (by_tool, total, checked) = store
                .read(|tx| {
                    let total = Query { group_by: Vec::new(), filter: Filter::default(), ..query.clone() };
                    Ok((answer(tx, &query)?, answer(tx, &total)?, rollup::differences(tx)?))
                })
                .unwrap();
            prop_assert_eq!(by_tool[0].total(), expected.clone());
            prop_assert_eq!(total[0].total(), expected);
            prop_assert_eq!((checked.records, checked.differences), (calls.len() as u64, Vec::new()));
        }
    }
}
