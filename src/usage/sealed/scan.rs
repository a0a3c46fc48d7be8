//! Questions to a block: which rows fit a filter, by what they are grouped, and what they add up to. Names are compared
//! once a block and not once a record, and figures are read of those rows only that fit.
//! Rule: the sums are those of the records, one by one.

use super::super::query::Filter;
use super::super::record::Entity;
use super::super::sums::{Dimension, Dims, Sums, cut};
use super::columns::{self, Figures, Names};
use super::{Head, LETTERS, part};
use crate::error::Result;
use crate::glob;
use crate::store::Reader;
use std::collections::HashMap;

/// One dimension of a block: the values there are, and which one each row has.
struct Axis {
    values: Vec<String>,
    rows: Vec<u32>,
}

impl Axis {
    fn read(names: &Names<'_>, rows: usize, dimension: Dimension) -> Option<Self> {
        let single = |column| Self::of_texts(names, rows, column);
        match dimension {
            Dimension::EntityType => {
                let values = Entity::ALL.map(|entity| entity.word().to_string()).to_vec();
                Self::checked(values, names.entity()?.all(rows))
            }
            Dimension::Server => single(columns::SERVER),
            Dimension::Tool => single(columns::TOOL),
            Dimension::Client => single(columns::CLIENT),
            Dimension::Agent => single(columns::AGENT),
            Dimension::User => single(columns::USER),
            Dimension::Model => single(columns::MODEL),
            Dimension::Workflow => single(columns::WORKFLOW),
            Dimension::Entity => {
                let (server, tool) = (single(columns::SERVER)?, single(columns::TOOL)?);
                let value = |server: &str, tool: &str| {
                    let dims = Dims { server: server.into(), tool: tool.into(), ..Dims::default() };
                    dims.value(Dimension::Entity)
                };
                Some(Self::joined(&server, &tool, value))
            }
            Dimension::Environment => {
                let (own, profile) = (single(columns::ENVIRONMENT)?, single(columns::PROFILE)?);
                let known = names.texts(columns::ENVIRONMENT)?.rows.all(rows);
                if known.iter().all(|number| *number == 0) {
                    return Some(profile);
                }
                // What is there counts, even if it is empty.
                let mut profile = profile;
                let first = profile.values.len() as u32;
                profile.values.extend(own.values);
                for (row, place) in profile.rows.iter_mut().enumerate() {
                    if known[row] != 0 {
                        *place = first + own.rows[row];
                    }
                }
                Some(profile)
            }
        }
    }

    fn of_texts(names: &Names<'_>, rows: usize, column: usize) -> Option<Self> {
        let texts = names.texts(column)?;
        let mut values = vec![String::new()];
        values.extend(texts.list.iter().map(|text| cut(text)));
        Self::checked(values, texts.rows.all(rows))
    }

    /// Nothing when a row has a value that is not there.
    fn checked(values: Vec<String>, rows: Vec<u64>) -> Option<Self> {
        let fits = rows.iter().all(|number| *number < values.len() as u64);
        fits.then(|| Self { values, rows: rows.into_iter().map(|number| number as u32).collect() })
    }

    fn joined(left: &Self, right: &Self, value: impl Fn(&str, &str) -> String) -> Self {
        let (mut known, mut values) = (HashMap::new(), Vec::new());
        let pairs = left.rows.iter().zip(&right.rows);
        let rows = pairs.map(|pair| {
            *known.entry(pair).or_insert_with(|| {
                values.push(value(&left.values[*pair.0 as usize], &right.values[*pair.1 as usize]));
                values.len() as u32 - 1
            })
        });
        let rows = rows.collect();
        Self { values, rows }
    }
}

/// The rows that fit.
fn hits(names: &Names<'_>, rows: usize, filter: &Filter) -> Option<Vec<usize>> {
    let mut hits: Option<Vec<usize>> = None;
    for (dimension, pattern) in &filter.fits {
        let axis = Axis::read(names, rows, *dimension)?;
        let fits: Vec<bool> = axis.values.iter().map(|value| glob::fits(pattern, value)).collect();
        let hit = |row: &usize| fits[axis.rows[*row] as usize];
        hits = Some(match hits {
            _ if !fits.contains(&true) => return Some(Vec::new()),
            Some(hits) => hits.into_iter().filter(hit).collect(),
            None => (0..rows).filter(hit).collect(),
        });
    }
    Some(hits.unwrap_or_else(|| (0..rows).collect()))
}

/// Which group each hit belongs to, and the values of each group.
fn groups(
    names: &Names<'_>,
    rows: usize,
    hits: &[usize],
    by: &[Dimension],
) -> Option<(Vec<usize>, Vec<Vec<String>>)> {
    let (mut of_hits, mut keys) = (vec![0; hits.len()], vec![Vec::new()]);
    for dimension in by {
        let axis = Axis::read(names, rows, *dimension)?;
        let (mut known, mut longer) = (HashMap::new(), Vec::<Vec<String>>::new());
        for (group, row) in of_hits.iter_mut().zip(hits) {
            let value = axis.rows[*row];
            *group = *known.entry((*group, value)).or_insert_with(|| {
                let mut key: Vec<String> = keys[*group].clone();
                key.push(axis.values[value as usize].clone());
                longer.push(key);
                longer.len() - 1
            });
        }
        keys = longer;
    }
    Some((of_hits, keys))
}

/// The sums of the records of a block that fit a filter, by dimensions.
///
/// # Errors
/// `STORE_DAMAGED` with the time of the block.
pub fn block(
    tx: &Reader,
    head: &Head,
    filter: &Filter,
    by: &[Dimension],
) -> Result<Vec<(Vec<String>, Sums)>> {
    let rows = head.rows as usize;
    let bytes = part(tx, head, LETTERS[0])?;
    let names = Names::read(&bytes, rows).ok_or_else(|| head.damaged())?;
    let hits = hits(&names, rows, filter).ok_or_else(|| head.damaged())?;
    if hits.is_empty() {
        return Ok(Vec::new());
    }
    let (of_hits, keys) = groups(&names, rows, &hits, by).ok_or_else(|| head.damaged())?;
    let bytes = part(tx, head, LETTERS[1])?;
    let figures = Figures::read(&bytes, rows).ok_or_else(|| head.damaged())?;
    let (mut sums, mut call) = (vec![Sums::default(); keys.len()], columns::blank());
    for (row, group) in hits.into_iter().zip(of_hits) {
        figures.fill(row, &mut call).ok_or_else(|| head.damaged())?;
        sums[group].count(&call);
    }
    Ok(keys.into_iter().zip(sums).collect())
}
