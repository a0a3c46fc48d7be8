//! Reads the history and keeps it short. Rows of one schedule stand together in the order of their instants.

use super::model::{Firing, Status};
use super::{FIRINGS, Filter, Reply, SCHEDULES, find};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Writer};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Rows that fit, newest first.
pub fn list(tx: &Reader, filter: &Filter) -> Result<Vec<Firing>> {
    let limit = filter.limit as usize;
    if let Some(name) = &filter.schedule {
        let id = find(tx, name)?.id;
        let rows = tx.prefix(&FIRINGS, &format!("{id}/"))?.into_iter().rev().map(|(_, row)| row);
        return Ok(rows.filter(|row| fits(filter, row)).take(limit).collect());
    }
    // Of all schedules only the newest rows are kept while looking.
    let newest = RefCell::new(BinaryHeap::new());
    tx.find(&FIRINGS, |row: &Firing| {
        if fits(filter, row) {
            let mut newest = newest.borrow_mut();
            newest.push(Reverse((row.due, row.key())));
            if newest.len() > limit {
                newest.pop();
            }
        }
        false
    })?;
    let mut keys: Vec<(Timestamp, String)> = newest.into_inner().into_iter().map(|Reverse(it)| it).collect();
    keys.sort_by(|one, other| other.cmp(one));
    let mut rows = Vec::new();
    for (_, key) in keys {
        rows.extend(tx.get(&FIRINGS, &key)?);
    }
    Ok(rows)
}

fn fits(filter: &Filter, row: &Firing) -> bool {
    (filter.agent.is_none() || row.agent == filter.agent)
        && filter.since.is_none_or(|since| row.until >= since)
        && filter.until.is_none_or(|until| row.due <= until)
        && filter.status.is_none_or(|status| row.status == status)
        && holds(row, &filter.words)
}

/// Whether every word stands somewhere in the texts of a row, in any case of letters.
fn holds(row: &Firing, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let failure = row.failure.iter().flat_map(|failure| [&failure.code, &failure.message]);
    let lines = row.lines.iter().map(|line| &line.text);
    let texts = [&row.id, &row.schedule, &row.input, &row.result].into_iter().chain(failure).chain(lines);
    let mut texts: Vec<String> = texts.map(|text| text.to_lowercase()).collect();
    texts.push(row.target.name().to_lowercase());
    texts.push(row.status.word().into());
    words.iter().all(|word| {
        let word = word.to_lowercase();
        texts.iter().any(|text| text.contains(&word))
    })
}

/// One row by its id or the end of it.
pub fn one(tx: &Reader, schedule: Option<&str>, id: &str) -> Result<Reply> {
    let hit = |row: &Firing| {
        row.id == id || row.run.as_deref() == Some(id) || (id.len() >= 4 && row.id.ends_with(id))
    };
    let found = match schedule {
        Some(name) => {
            let prefix = format!("{}/", find(tx, name)?.id);
            tx.prefix(&FIRINGS, &prefix)?.into_iter().map(|(_, row)| row).find(hit)
        }
        None => tx.find(&FIRINGS, hit)?,
    };
    found.map(|row| Reply::Firing(Box::new(row))).ok_or_else(|| {
        let error = Error::new(&codes::RUN_NOT_FOUND, format!("no run `{id}` of a schedule"));
        error.hint(format!("umcp schedule history {}", schedule.unwrap_or_default()).trim_end())
    })
}

/// Removes rows beyond `keep` of each schedule, those that ended before `before`, and those of schedules that are gone.
pub fn trim(tx: &mut Writer, keep: u64, before: Timestamp) -> Result<u64> {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let living: BTreeSet<String> = tx.all(&SCHEDULES)?.into_iter().map(|(_, schedule)| schedule.id).collect();
    let (group, gone) = (RefCell::new(Group::default()), RefCell::new(Vec::new()));
    let settle = |group: Group| gone.borrow_mut().extend(group.gone(keep, before, &living));
    tx.find(&FIRINGS, |row: &Firing| {
        let mut group = group.borrow_mut();
        if group.id != row.schedule_id {
            settle(std::mem::replace(&mut group, Group { id: row.schedule_id.clone(), rows: Vec::new() }));
        }
        group.rows.push((row.key(), row.ended.filter(|_| row.status.is_over())));
        false
    })?;
    settle(group.into_inner());
    let gone = gone.into_inner();
    for key in &gone {
        tx.remove(&FIRINGS, key)?;
    }
    Ok(gone.len() as u64)
}

/// The rows of one schedule, oldest first, with their ends.
#[derive(Default)]
struct Group {
    id: String,
    rows: Vec<(String, Option<Timestamp>)>,
}

impl Group {
    /// Keys of the rows that are to go; what is under way stays while its schedule lives.
    fn gone(self, keep: usize, before: Timestamp, living: &BTreeSet<String>) -> Vec<String> {
        let (beyond, lives) = (self.rows.len().saturating_sub(keep), living.contains(&self.id));
        let numbered = self.rows.into_iter().enumerate();
        let goes = |number: usize, ended: Option<Timestamp>| {
            !lives || ended.is_some_and(|ended| number < beyond || ended < before)
        };
        numbered.filter_map(|(number, (key, ended))| goes(number, ended).then_some(key)).collect()
    }
}

impl Firing {
    /// How long the run took.
    pub fn took_ms(&self) -> Option<u64> {
        self.status.ran().then(|| Some(self.ended?.since_ms(self.began?))).flatten()
    }

    /// Whether it is a run that went wrong.
    pub fn went_wrong(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Interrupted)
    }
}
