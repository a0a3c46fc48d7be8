//! What stands in a price book, and which of its prices applies to a record. Pure.

use super::super::money::{DOLLAR, Pico};
use super::super::record::{Call, Entity};
use super::HIGHEST;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::glob;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

const MOST_PRICES: usize = 10_000;

/// All prices, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Book {
    /// Only `USD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Client -> the model it speaks for, where the client does not tell.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, String>,
    pub prices: Vec<Price>,
}

/// One price. Patterns take `*`; none means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    pub name: String,
    /// What is used: `SERVER.TOOL`, or `skill:NAME` and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// First day, or instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The day, or instant, from which it holds no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Dollars for 1,000 tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PerTokens>,
    /// Dollars for one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_calls: Option<Dollars>,
    /// Dollars for one hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_hours: Option<Dollars>,
    /// Dollars for one byte of arguments or result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Dollars>,
}

/// Dollars for 1,000 tokens that a model reads, and that it writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerTokens {
    pub input: Dollars,
    pub output: Dollars,
}

/// An amount as people write it: a number, or a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dollars(pub Pico);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        match text.parse::<f64>() {
            Ok(number) if number.to_string() == text => serializer.serialize_f64(number),
            _ => serializer.serialize_str(&text),
        }
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            // The shortest number that reads as the same: what was written, for any price.
            serde_json::Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() => float.to_string(),
                _ => number.to_string(),
            },
            _ => return Err(serde::de::Error::custom("a price is a number of dollars")),
        };
        Pico::parse(&text).map(Dollars).map_err(|error| serde::de::Error::custom(error.message))
    }
}

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    InputTokens,
    OutputTokens,
    ApiCalls,
    ComputeHours,
    Bytes,
}

impl Part {
    pub fn word(self) -> &'static str {
        match self {
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::ApiCalls => "calls",
            Self::ComputeHours => "compute time",
            Self::Bytes => "bytes",
        }
    }

    /// The units of an amount that a price is for.
    fn unit(self) -> i128 {
        match self {
            Self::InputTokens | Self::OutputTokens => 1000,
            Self::ApiCalls | Self::Bytes => 1,
            // Microseconds.
            Self::ComputeHours => 3_600_000_000,
        }
    }

    /// `amount` at a price; half a pico-dollar is rounded up. No product of a price and an amount overflows.
    pub(super) fn cost(self, amount: u64, each: Pico) -> Pico {
        let product = i128::from(amount).saturating_mul(each.0);
        Pico(product.saturating_add(self.unit() / 2) / self.unit())
    }
}

impl Price {
    fn part(&self, part: Part) -> Option<Pico> {
        let dollars = match part {
            Part::InputTokens => self.tokens.map(|tokens| tokens.input),
            Part::OutputTokens => self.tokens.map(|tokens| tokens.output),
            Part::ApiCalls => self.api_calls,
            Part::ComputeHours => self.compute_hours,
            Part::Bytes => self.bytes,
        };
        dollars.map(|dollars| dollars.0)
    }

    fn all(&self) -> impl Iterator<Item = Pico> {
        let parts = [Part::InputTokens, Part::OutputTokens, Part::ApiCalls, Part::ComputeHours, Part::Bytes];
        parts.into_iter().filter_map(|part| self.part(part)).collect::<Vec<_>>().into_iter()
    }

    /// Refuses what is no price.
    pub fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(&codes::PRICE_INVALID, message));
        if self.name.is_empty() || self.name.len() > 128 || self.name.chars().any(char::is_control) {
            return wrong("a price needs a name of at most 128 characters".into());
        }
        let name = &self.name;
        if self.all().next().is_none() {
            return wrong(format!("`{name}` has no price: tokens, api_calls, compute_hours or bytes"));
        }
        if let Some(price) = self.all().find(|price| price.0 < 0 || price.0 > HIGHEST / 1000) {
            return wrong(format!("`{name}` has the price {price}; prices are from 0 to a million dollars"));
        }
        let (from, until) = (instant(name, self.from.as_deref())?, instant(name, self.until.as_deref())?);
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return wrong(format!("`{name}` ends before it begins"));
        }
        Ok(())
    }
}

fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let day = || Timestamp::parse(&format!("{text}T00:00:00Z"));
    let at = Timestamp::parse(text).or_else(day).ok_or_else(|| {
        Error::new(&codes::PRICE_INVALID, format!("`{name}` holds from or until `{text}`, which is no day"))
            .hint("write 2026-01-31 (midnight UTC) or 2026-01-31T12:00:00Z")
    });
    at.map(Some)
}

impl Book {
    /// Takes over another book: prices of the same name are replaced in their place, others come first.
    pub fn merge(&mut self, other: Self) {
        self.currency = other.currency.or(self.currency.take());
        self.models.extend(other.models);
        let mut added = Vec::new();
        for price in other.prices {
            match self.prices.iter_mut().find(|known| known.name == price.name) {
                Some(known) => *known = price,
                None => added.push(price),
            }
        }
        self.prices.splice(0..0, added);
    }

    /// # Errors
    /// `PRICE_INVALID`.
    pub(super) fn compile(self) -> Result<Compiled> {
        let wrong = |message: String| Err(Error::new(&codes::PRICE_INVALID, message));
        if self.currency.as_ref().is_some_and(|currency| currency != "USD") {
            return wrong("prices are in US dollars: `currency` is `USD` or left out".into());
        }
        if self.prices.len() > MOST_PRICES {
            return wrong(format!("a price book has at most {MOST_PRICES} prices"));
        }
        let mut names = BTreeSet::new();
        for price in &self.prices {
            price.check()?;
            if !names.insert(&price.name) {
                return wrong(format!("two prices have the name `{}`", price.name));
            }
        }
        let times = |price: &Price| {
            let from = instant(&price.name, price.from.as_deref())?.unwrap_or_default();
            let until = instant(&price.name, price.until.as_deref())?.unwrap_or(Timestamp(u64::MAX));
            Ok((from, until))
        };
        let times = self.prices.iter().map(times).collect::<Result<Vec<_>>>()?;
        Ok(Compiled { book: self, times })
    }
}

/// A book whose times are read.
pub struct Compiled {
    book: Book,
    times: Vec<(Timestamp, Timestamp)>,
}

impl Compiled {
    pub fn model_of(&self, client: &str) -> Option<&str> {
        self.book
            .models
            .iter()
            .find(|(pattern, _)| glob::fits(pattern, client))
            .map(|(_, model)| model.as_str())
    }

    /// The first price that applies and has this part, and what it says.
    pub fn price(&self, at: Timestamp, call: &Call, part: Part) -> Option<(&str, Pico)> {
        let prices = self.book.prices.iter().zip(&self.times);
        let mut fitting = prices.filter(|(price, (from, until))| {
            at >= *from && at < *until && of_model(price, call) && of_entity(price, call)
        });
        fitting.find_map(|(price, _)| Some((price.name.as_str(), price.part(part)?)))
    }
}

fn of_model(price: &Price, call: &Call) -> bool {
    let model = call.detail.model.as_deref();
    price.models.is_empty()
        || model.is_some_and(|model| price.models.iter().any(|pattern| glob::fits(pattern, model)))
}

fn of_entity(price: &Price, call: &Call) -> bool {
    if price.entities.is_empty() {
        return true;
    }
    let path = call.path();
    price.entities.iter().any(|pattern| match pattern.split_once(':') {
        Some((word, pattern)) if Entity::parse(word).is_some() => {
            call.detail.entity.word() == word && glob::fits(pattern, &path)
        }
        _ => glob::fits(pattern, &path),
    })
}

const _: () = assert!(DOLLAR as i128 * 1_000_000_000 == HIGHEST);
