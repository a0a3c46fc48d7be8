//! Prices of common models, as their makers' public price lists stated them on the day named below, for standard
//! requests without caching or batches. They are a start: makers change their prices, and contracts differ.

use super::super::money::Pico;
use super::model::{Book, Dollars, PerTokens, Price};

/// The day on which the lists were read.
pub const AS_OF: &str = "2026-11-21";

/// Maker, model, and cents for a million tokens in and out.
const MODELS: &[(&str, &str, i128, i128)] = &[
    ("anthropic", "claude-opus-5-5", 400, 2000),
    ("anthropic", "claude-opus-5", 500, 2500),
    ("anthropic", "claude-opus-4-6", 500, 2500),
    ("anthropic", "claude-opus-4-5", 500, 2500),
    ("anthropic", "claude-opus-4-1", 1500, 7500),
    ("anthropic", "claude-sonnet-5-5", 200, 1000),
    ("anthropic", "claude-sonnet-5", 200, 1000),
    ("anthropic", "claude-sonnet-4-6", 300, 1500),
    ("anthropic", "claude-sonnet-4-5", 300, 1500),
    ("anthropic", "claude-haiku-4-5", 100, 500),
    ("openai", "gpt-5.5", 500, 3000),
    ("openai", "gpt-5.4", 250, 1500),
    ("openai", "gpt-5.4-mini", 75, 450),
    ("openai", "gpt-5.4-nano", 20, 125),
    ("openai", "gpt-5.1", 125, 1000),
    ("openai", "gpt-5", 125, 1000),
    ("openai", "gpt-5-mini", 25, 200),
    ("openai", "gpt-5-nano", 5, 40),
    ("openai", "gpt-4.1", 200, 800),
    ("openai", "gpt-4.1-mini", 40, 160),
    ("openai", "gpt-4.1-nano", 10, 40),
    ("openai", "gpt-4o", 250, 1000),
    ("openai", "gpt-4o-mini", 15, 60),
    ("openai", "o3", 200, 800),
    ("openai", "o4-mini", 110, 440),
];

/// Names of the makers.
pub fn makers() -> Vec<&'static str> {
    let mut makers: Vec<_> = MODELS.iter().map(|row| row.0).collect();
    makers.dedup();
    makers
}

/// The models of one maker, or those of all; nothing for a maker that is not known.
pub fn preset(maker: &str) -> Option<Book> {
    let of = |row: &&(&str, &str, i128, i128)| maker == "all" || row.0 == maker;
    let prices: Vec<Price> = MODELS.iter().filter(of).map(price).collect();
    (!prices.is_empty()).then_some(Book { prices, ..Book::default() })
}

fn price((_, model, input, output): &(&str, &str, i128, i128)) -> Price {
    // A cent for a million tokens is ten million pico-dollars for a thousand.
    let dollars = |cents: i128| Dollars(Pico(cents * 10_000_000));
    Price {
        name: (*model).into(),
        // With or without the date of a version; another model's name goes on with something else.
        models: vec![(*model).into(), format!("{model}-20*")],
        tokens: Some(PerTokens { input: dollars(*input), output: dollars(*output) }),
        ..Price::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_whole_and_do_not_meet() {
        assert_eq!(makers(), ["anthropic", "openai"]);
        let all = preset("all").unwrap();
        assert_eq!(all.prices.len(), MODELS.len());
        let mini = all.prices.iter().find(|price| price.name == "gpt-4o-mini").unwrap();
        assert_eq!(mini.tokens.unwrap().input.0.to_string(), "0.00015");
        assert!(all.compile().is_ok() && preset("nobody").is_none());
    }
}
