//! The noun `catalog`: what could be installed, from which sources, and what the user thinks of it. Reading sources is
//! the command line's work, page by page; here stands what was read, and the search over it.
//! Rule: a search reads the shelf and the entries it shows, never all of them.

pub mod bundled;
pub mod check;
pub mod list;
pub mod marketplace;
pub mod model;
pub mod pager;
pub mod ranking;
pub mod registry;
mod rows;

use crate::clock::Timestamp;
use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Writer};
use model::short;
pub use model::{Entry, Origin, Pending, Rating, Source, Way};
pub use ranking::{Query, Shelf};
pub use rows::names;
use rows::{ENTRIES, RATINGS, SOURCES, Shelved};
use serde::{Deserialize, Serialize};

/// Most entries of one source.
pub const MOST_ENTRIES: u64 = 100_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Sources,
    Search(Query),
    /// Every entry a name could mean: `NAME`, its last part, or `SOURCE/NAME`.
    Named {
        name: String,
        source: Option<String>,
    },
    Ratings,
    AddSource {
        source: Box<Source>,
    },
    RemoveSource {
        name: String,
    },
    EnableSource {
        name: String,
        enabled: bool,
    },
    /// Begins to read a source: where the last reading stopped, after the last change, or all of it.
    Begin {
        name: String,
        full: bool,
    },
    /// Some of what was read, and where the reading stands.
    Take {
        name: String,
        entries: Vec<Entry>,
        removed: Vec<String>,
        pending: Pending,
    },
    /// The reading came to its end.
    Finish {
        name: String,
        at: Timestamp,
    },
    /// Makes the shelf anew.
    Tidy,
    Rate {
        rating: Rating,
    },
    Unrate {
        key: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Sources(Vec<Source>),
    Source(Box<Source>),
    Found(Found),
    Entries(Vec<Listed>),
    Ratings(Vec<Rating>),
    Rating(Box<Rating>),
    Done,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    pub entries: Vec<Listed>,
    /// How many entries there are to search.
    pub of: u64,
    /// The shelf had to be made for this search; `Tidy` keeps it for the next.
    pub untidy: bool,
}

/// An entry with its source and the user's stars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub source: String,
    pub entry: Entry,
    pub stars: Option<u8>,
    /// Other sources that have the same server.
    pub also: Vec<String>,
}

impl Listed {
    /// `SOURCE/NAME`.
    pub fn key(&self) -> String {
        key(&self.source, &self.entry.name)
    }
}

/// What an entry is stored and rated under.
pub fn key(source: &str, name: &str) -> String {
    format!("{source}/{name}")
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Sources | Self::Search(_) | Self::Named { .. } | Self::Ratings)
    }

    /// Whether it changes which names there are.
    pub fn renames(&self) -> bool {
        !matches!(
            self,
            Self::Sources
                | Self::Search(_)
                | Self::Named { .. }
                | Self::Ratings
                | Self::Begin { .. }
                | Self::Take { .. }
                | Self::Rate { .. }
                | Self::Unrate { .. }
        )
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Sources => Ok(Reply::Sources(rows::sources(tx)?)),
        Request::Search(query) => search(tx, query).map(Reply::Found),
        Request::Named { name, source } => named(tx, name, source.as_deref()).map(Reply::Entries),
        Request::Ratings => {
            Ok(Reply::Ratings(tx.all(&RATINGS)?.into_iter().map(|(_, rating)| rating).collect()))
        }
        _ => Err(Error::bug("a write was handed to `catalogue::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::AddSource { source } => add_source(tx, *source),
        Request::RemoveSource { name } => remove_source(tx, &name),
        Request::EnableSource { name, enabled } => {
            let mut source = rows::source(tx, &name)?;
            source.enabled = enabled;
            tx.put(&SOURCES, &name, &source)?;
            rows::tidy(tx)?;
            Ok(Reply::Source(Box::new(source)))
        }
        Request::Begin { name, full } => begin(tx, &name, full),
        Request::Take { name, entries, removed, pending } => take(tx, &name, entries, removed, pending),
        Request::Finish { name, at } => finish(tx, &name, at),
        Request::Tidy => rows::tidy(tx).map(|()| Reply::Done),
        Request::Rate { rating } => {
            tx.put(&RATINGS, &rating.key, &rating)?;
            Ok(Reply::Rating(Box::new(rating)))
        }
        Request::Unrate { key } => {
            if !tx.remove(&RATINGS, &key)? {
                return Err(Error::new(&codes::ENTRY_NOT_FOUND, format!("you have not rated `{key}`"))
                    .hint("umcp catalog rate"));
            }
            Ok(Reply::Done)
        }
        Request::Sources | Request::Search(_) | Request::Named { .. } | Request::Ratings => {
            read(tx, &request)
        }
    }
}

fn search(tx: &Reader, query: &Query) -> Result<Found> {
    if let Some(source) = &query.source {
        rows::source(tx, source)?;
    }
    let stars = rows::stars(tx)?;
    // Some of what answers is the same server from another source, and is shown once.
    let more = Query { limit: query.limit.saturating_mul(2).saturating_add(10), ..query.clone() };
    let (shelf, untidy) = rows::shelf(tx)?;
    let mut entries: Vec<Listed> = Vec::new();
    for hit in shelf.search(&more, &stars) {
        let Some(listed) = rows::listed(tx, hit.key, &stars)? else { continue };
        let same = |other: &&mut Listed| {
            let subject = |listed: &Listed| listed.entry.way().map(Way::subject);
            subject(other).is_some() && subject(other) == subject(&listed) && other.source != listed.source
        };
        match entries.iter_mut().find(same) {
            Some(other) => other.also.push(listed.source),
            None => entries.push(listed),
        }
    }
    entries.truncate(query.limit as usize);
    Ok(Found { entries, of: shelf.len() as u64, untidy })
}

fn named(tx: &Reader, name: &str, source: Option<&str>) -> Result<Vec<Listed>> {
    let sources = rows::sources(tx)?;
    let stars = rows::stars(tx)?;
    if let Some(source) = source {
        rows::source(tx, source)?;
    }
    let asked = |known: &&Source| source.map_or(known.enabled, |source| known.name == source);
    let mut keys: Vec<String> = sources.iter().filter(asked).map(|source| key(&source.name, name)).collect();
    if let Some((before, _)) = name.split_once('/')
        && sources.iter().any(|known| known.name == before)
    {
        keys.push(name.to_string());
    }
    let mut found = Vec::new();
    for key in &keys {
        found.extend(rows::listed(tx, key, &stars)?);
    }
    if found.is_empty() {
        let within = |key: &&str| source.is_none_or(|source| key.starts_with(&format!("{source}/")));
        let (shelf, _) = rows::shelf(tx)?;
        for key in shelf.keys().lines().filter(within).filter(|key| short(key).eq_ignore_ascii_case(name)) {
            found.extend(rows::listed(tx, key, &stars)?);
        }
        if found.is_empty() {
            return Err(not_found(name, shelf.keys().lines().filter(within).map(short)));
        }
    }
    Ok(found)
}

fn not_found<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let shown = check::shown(name);
    let error = Error::new(&codes::ENTRY_NOT_FOUND, format!("no catalogue has `{shown}`"));
    match near(name, known) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!("umcp catalog search {shown}")).hint("umcp catalog refresh"),
    }
}

fn add_source(tx: &mut Writer, source: Source) -> Result<Reply> {
    model::check_source_name(&source.name)?;
    if rows::sources(tx)?.iter().any(|known| known.name == source.name) {
        let message = format!("a source named `{}` exists already", source.name);
        return Err(Error::new(&codes::SOURCE_EXISTS, message).hint("umcp catalog source list"));
    }
    tx.put(&SOURCES, &source.name.clone(), &source)?;
    Ok(Reply::Source(Box::new(source)))
}

fn remove_source(tx: &mut Writer, name: &str) -> Result<Reply> {
    let source = rows::source(tx, name)?;
    if bundled::sources().iter().any(|known| known.name == name) {
        let message = format!("`{name}` is part of umcp and cannot be removed");
        return Err(
            Error::new(&codes::SOURCE_EXISTS, message).hint(format!("umcp catalog source disable {name}"))
        );
    }
    for (key, _) in tx.prefix(&ENTRIES, &format!("{name}/"))? {
        tx.remove(&ENTRIES, &key)?;
    }
    tx.remove(&SOURCES, name)?;
    rows::tidy(tx)?;
    Ok(Reply::Source(Box::new(source)))
}

fn begin(tx: &mut Writer, name: &str, full: bool) -> Result<Reply> {
    let mut source = rows::source(tx, name)?;
    let paged = matches!(source.origin, Origin::Registry { .. });
    let going_on = paged && !full && source.pending.is_some();
    if !going_on {
        let since = source.watermark.clone().filter(|_| paged && !full);
        if since.is_none() {
            source.round = source.round.wrapping_add(1);
        }
        source.pending = Some(Pending { cursor: None, newest: since.clone(), since });
    }
    tx.put(&SOURCES, name, &source)?;
    Ok(Reply::Source(Box::new(source)))
}

fn take(
    tx: &mut Writer,
    name: &str,
    entries: Vec<Entry>,
    removed: Vec<String>,
    pending: Pending,
) -> Result<Reply> {
    let mut source = rows::source(tx, name)?;
    source.entries += entries.len() as u64;
    if source.entries > MOST_ENTRIES * 2 {
        let message = format!("the source `{name}` has more than {MOST_ENTRIES} entries");
        return Err(Error::new(&codes::SOURCE_INVALID, message));
    }
    for entry in entries {
        let key = key(name, &entry.name);
        tx.put(&ENTRIES, &key, &Shelved { entry, round: source.round })?;
    }
    for gone in removed {
        tx.remove(&ENTRIES, &key(name, &gone))?;
    }
    source.pending = Some(pending);
    tx.put(&SOURCES, name, &source)?;
    Ok(Reply::Done)
}

fn finish(tx: &mut Writer, name: &str, at: Timestamp) -> Result<Reply> {
    let mut source = rows::source(tx, name)?;
    let pending = source.pending.take().unwrap_or_default();
    let mut kept = 0;
    for (key, shelved) in tx.prefix(&ENTRIES, &format!("{name}/"))? {
        if pending.since.is_none() && shelved.round != source.round {
            tx.remove(&ENTRIES, &key)?;
        } else {
            kept += 1;
        }
    }
    source.entries = kept;
    source.watermark = pending.newest.or(source.watermark);
    source.refreshed = Some(at);
    tx.put(&SOURCES, name, &source)?;
    rows::tidy(tx)?;
    Ok(Reply::Source(Box::new(source)))
}

#[cfg(test)]
mod tests;
