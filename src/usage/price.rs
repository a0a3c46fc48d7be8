//! The price book: what tokens, calls, hours and bytes cost, from when until when, by model and by what is used.
//! Every change makes a new version; a record keeps the version it was reckoned with.
//! Rule: costs are whole pico-dollars. What does not come out even is rounded half up, once for each part of a price.

pub mod file;
pub mod model;
pub mod presets;

use super::money::Pico;
use super::record::{Call, Cost, Tokens};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
pub use model::{Book, Dollars, PerTokens, Price};
use model::{Compiled, Part};
use serde::{Deserialize, Serialize};

const PRICES: Table<Stored> = Table::new(tables::PRICES);
const CURRENT: &str = "current";

/// The most that one record can cost, and one price say, in pico-dollars.
pub const HIGHEST: i128 = 1_000_000_000 * 1_000_000_000_000;

/// A book as JSON text, so that a later version can add fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    version: u32,
    at: Timestamp,
    json: String,
}

impl Row for Stored {
    const KIND: u8 = 82;
    const VERSION: u16 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Show,
    /// Takes over what the book says; with `replace` it stands for everything there was.
    Put {
        book: Box<Book>,
        replace: bool,
        now: Timestamp,
    },
    Delete {
        names: Vec<String>,
        now: Timestamp,
    },
    /// What a record would cost at a time.
    Test {
        at: Timestamp,
        call: Box<Call>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Version 0 is that of no book.
    Book {
        version: u32,
        at: Option<Timestamp>,
        book: Box<Book>,
    },
    Tested {
        cost: Option<Cost>,
        parts: Vec<Line>,
    },
}

/// One part of a cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Name of the price.
    pub price: String,
    pub part: Part,
    /// How much of it: tokens, calls, microseconds, bytes.
    pub amount: u64,
    pub cost: Pico,
}

impl Request {
    pub fn writes(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. })
    }
}

pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Show => {
            let (version, at, book) = stored(tx)?;
            Ok(Reply::Book { version, at, book: Box::new(book) })
        }
        Request::Test { at, call } => {
            let Some(current) = current(tx)? else {
                return Ok(Reply::Tested { cost: None, parts: Vec::new() });
            };
            let mut call = call.clone();
            call.detail.cost = None;
            current.complete(*at, &mut call);
            let parts = current.parts(*at, &call);
            Ok(Reply::Tested { cost: call.detail.cost, parts })
        }
        Request::Put { .. } | Request::Delete { .. } => {
            Err(Error::bug("a write was handed to `price::read`"))
        }
    }
}

pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    let (version, _, mut book) = stored(tx)?;
    let now = match request {
        Request::Show | Request::Test { .. } => return read(tx, &request),
        Request::Put { book: new, replace, now } => {
            if replace {
                book = *new;
            } else {
                book.merge(*new);
            }
            now
        }
        Request::Delete { names, now } => {
            for name in names {
                let at = book.prices.iter().position(|price| price.name == name);
                book.prices.remove(at.ok_or_else(|| not_found(&book, &name))?);
            }
            now
        }
    };
    book.clone().compile()?;
    let json = serde_json::to_string(&book)
        .map_err(|error| Error::bug("a price book cannot be written as JSON").because(error))?;
    let stored = Stored { version: version.saturating_add(1), at: now, json };
    tx.put(&PRICES, CURRENT, &stored)?;
    // What a record was reckoned with stays readable.
    tx.put(&PRICES, &format!("{:08x}", stored.version), &stored)?;
    Ok(Reply::Book { version: stored.version, at: Some(now), book: Box::new(book) })
}

fn stored(tx: &Reader) -> Result<(u32, Option<Timestamp>, Book)> {
    match tx.get(&PRICES, CURRENT)? {
        None => Ok((0, None, Book::default())),
        Some(stored) => Ok((stored.version, Some(stored.at), read_json(&stored.json)?)),
    }
}

fn read_json(json: &str) -> Result<Book> {
    serde_json::from_str(json).map_err(|error| {
        Error::new(&codes::STORE_NEWER, "the price book was written by a newer umcp").because(error)
    })
}

/// "No price named …", with the nearest one.
fn not_found(book: &Book, name: &str) -> Error {
    let error = Error::new(&codes::PRICE_NOT_FOUND, format!("no price named `{name}`"));
    match crate::documents::near(name, book.prices.iter().map(|price| price.name.as_str())) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp pricing list"),
    }
}

/// The book that is in force.
pub struct Current {
    version: u32,
    compiled: Compiled,
}

/// Nothing where there is no book, and where a newer program wrote it: then records have no cost, and are kept.
pub fn current(tx: &Reader) -> Result<Option<Current>> {
    let Some(stored) = tx.get(&PRICES, CURRENT)? else { return Ok(None) };
    let compiled = read_json(&stored.json).and_then(|book| book.compile());
    Ok(compiled.ok().map(|compiled| Current { version: stored.version, compiled }))
}

impl Current {
    /// Fills in the client's model and the cost, where nobody told them.
    pub fn complete(&self, at: Timestamp, call: &mut Call) {
        if call.detail.model.is_none() {
            call.detail.model = self.compiled.model_of(&call.client).map(Into::into);
        }
        if call.detail.cost.is_none() {
            call.detail.cost = self.cost(at, call);
        }
    }

    /// Nothing where no price applies.
    pub fn cost(&self, at: Timestamp, call: &Call) -> Option<Cost> {
        let parts = self.parts(at, call);
        if parts.is_empty() {
            return None;
        }
        let pico: Pico = parts.iter().map(|line| line.cost).sum();
        (pico.0 <= HIGHEST).then_some(Cost { pico, version: Some(self.version) })
    }

    /// What one call costs however it goes, known before it is made.
    pub fn known_before(&self, at: Timestamp, call: &Call) -> Pico {
        let parts = self.parts(at, call);
        parts.iter().filter(|line| line.part == Part::ApiCalls).map(|line| line.cost).sum()
    }

    /// Each part is the matter of the first price that applies and has it.
    fn parts(&self, at: Timestamp, call: &Call) -> Vec<Line> {
        let Tokens { input, output } = call.tokens_by_way();
        let amounts = [
            (Part::InputTokens, input),
            (Part::OutputTokens, output),
            // An answer from the cache asks no service.
            (Part::ApiCalls, if call.cached { 0 } else { call.api_calls() }),
            (Part::ComputeHours, if call.cached { 0 } else { call.compute_us() }),
            (Part::Bytes, call.request_bytes.saturating_add(call.result_bytes)),
        ];
        let line = |(part, amount): (Part, u64)| {
            let (price, each) = self.compiled.price(at, call, part)?;
            Some(Line { price: price.into(), part, amount, cost: part.cost(amount, each) })
        };
        amounts.into_iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests;
