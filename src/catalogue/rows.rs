//! The rows of the noun: sources, entries, ratings, and the shelf that is made of the entries.

use super::bundled;
use super::model::{Entry, Rating, Source};
use super::ranking::Shelf;
use super::{Listed, key};
use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Keyed by name.
pub const SOURCES: Table<Source> = Table::new(tables::CATALOGUE_SOURCES);
/// Keyed by `SOURCE/NAME`. The bundled ones are not in it.
pub const ENTRIES: Table<Shelved> = Table::new(tables::CATALOGUE_ENTRIES);
/// Keyed by `SOURCE/NAME`.
pub const RATINGS: Table<Rating> = Table::new(tables::CATALOGUE_RATINGS);
/// Two rows: all that a search needs, and the names alone.
const SHELF: Table<Kept> = Table::new(tables::CATALOGUE_SHELF);

impl Row for Source {
    const KIND: u8 = 61;
    const VERSION: u16 = 1;
}

/// An entry, and in which reading of its source it was seen last.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shelved {
    pub entry: Entry,
    pub round: u32,
}

impl Row for Shelved {
    const KIND: u8 = 62;
    const VERSION: u16 = 1;
}

impl Row for Rating {
    const KIND: u8 = 63;
    const VERSION: u16 = 1;
}

/// What is made of the entries; it can be made anew at any time.
#[derive(Debug, Serialize, Deserialize)]
pub enum Kept {
    Shelf(Box<Shelf>),
    /// `SOURCE/NAME`, one on each line.
    Names(String),
}

impl Row for Kept {
    const KIND: u8 = 67;
    const VERSION: u16 = 1;
}

const WHOLE: &str = "whole";
const NAMES: &str = "names";

/// All sources, the built-in ones first.
pub fn sources(tx: &Reader) -> Result<Vec<Source>> {
    let mut stored: Vec<Source> = tx.all(&SOURCES)?.into_iter().map(|(_, source)| source).collect();
    let mut all = Vec::new();
    for built_in in bundled::sources() {
        match stored.iter().position(|source| source.name == built_in.name) {
            // Where it is and what it holds is the program's business; the row says what the user decided.
            Some(at) => {
                let row = stored.remove(at);
                let entries = if built_in.name == bundled::BUNDLED { built_in.entries } else { row.entries };
                all.push(Source { origin: built_in.origin, entries, ..row });
            }
            None => all.push(built_in),
        }
    }
    all.extend(stored);
    Ok(all)
}

/// One source by name, or an error that names the nearest one.
pub fn source(tx: &Reader, name: &str) -> Result<Source> {
    let all = sources(tx)?;
    if let Some(source) = all.iter().find(|source| source.name == name) {
        return Ok(source.clone());
    }
    let error =
        Error::new(&codes::SOURCE_NOT_FOUND, format!("no source named `{}`", super::check::shown(name)));
    Err(match near(name, all.iter().map(|source| source.name.as_str())) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp catalog source list"),
    })
}

pub fn stars(tx: &Reader) -> Result<HashMap<String, u8>> {
    Ok(tx.all(&RATINGS)?.into_iter().map(|(key, rating)| (key, rating.stars)).collect())
}

/// The entry under a key; none when it is gone since the shelf was made.
pub fn listed(tx: &Reader, key: &str, stars: &HashMap<String, u8>) -> Result<Option<Listed>> {
    let Some((source, name)) = key.split_once('/') else { return Ok(None) };
    let entry = match source {
        bundled::BUNDLED => bundled::find(name).cloned(),
        _ => tx.get(&ENTRIES, key)?.map(|shelved| shelved.entry),
    };
    let stars = stars.get(key).copied();
    Ok(entry.map(|entry| Listed { source: source.into(), entry, stars, also: Vec::new() }))
}

/// The shelf, and whether it had to be made because none is kept or the bundled list is another.
pub fn shelf(tx: &Reader) -> Result<(Shelf, bool)> {
    match tx.get(&SHELF, WHOLE)? {
        Some(Kept::Shelf(shelf)) if shelf.stamp == bundled::stamp() => Ok((*shelf, false)),
        _ => {
            let shelf = build(tx)?;
            // Without a source of the user's it is made in no time, and nothing needs to be kept.
            let untidy = tx.count(&ENTRIES)? > 0;
            Ok((shelf, untidy))
        }
    }
}

/// Makes the shelf anew and keeps it.
pub fn tidy(tx: &mut Writer) -> Result<()> {
    let shelf = build(tx)?;
    tx.put(&SHELF, NAMES, &Kept::Names(shelf.keys().to_string()))?;
    tx.put(&SHELF, WHOLE, &Kept::Shelf(Box::new(shelf)))
}

fn build(tx: &Reader) -> Result<Shelf> {
    let enabled: Vec<Source> = sources(tx)?.into_iter().filter(|source| source.enabled).collect();
    let mut stored = Vec::new();
    for source in enabled.iter().filter(|source| source.name != bundled::BUNDLED) {
        stored.extend(tx.prefix(&ENTRIES, &format!("{}/", source.name))?);
    }
    let mut all: Vec<(String, &Entry)> =
        stored.iter().map(|(key, shelved)| (key.clone(), &shelved.entry)).collect();
    if enabled.iter().any(|source| source.name == bundled::BUNDLED) {
        all.extend(bundled::entries().iter().map(|entry| (key(bundled::BUNDLED, &entry.name), entry)));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Shelf::build(bundled::stamp(), &all))
}

/// All names, one on each line, without reading an entry; nothing before the first refresh.
pub fn names(tx: &Reader) -> Result<Option<String>> {
    Ok(match tx.get(&SHELF, NAMES)? {
        Some(Kept::Names(names)) => Some(names),
        _ => None,
    })
}
