//! Sums as commands show them: with their derived figures, and money in dollars.

use crate::error::Result;
use crate::ui::text;
use crate::usage::money::Pico;
use crate::usage::sums::Sums;
use serde::Serialize;

/// The fields of every JSON document about usage.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    pub records: u64,
    pub failed: u64,
    pub cached: u64,
    pub tokens: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Records whose tokens are an estimate from their bytes.
    pub estimated: u64,
    pub api_calls: u64,
    pub request_bytes: u64,
    pub result_bytes: u64,
    pub storage_bytes: u64,
    pub duration_ms: f64,
    pub compute_ms: f64,
    pub median_ms: f64,
    pub p95_ms: f64,
    pub slowest_ms: f64,
    pub cost_usd: f64,
    /// The same, exactly.
    pub cost_pico_usd: Pico,
    /// Records that have a cost.
    pub priced: u64,
}

fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl From<&Sums> for Figures {
    fn from(sums: &Sums) -> Self {
        Self {
            records: sums.records,
            failed: sums.failed,
            cached: sums.cached,
            tokens: sums.tokens(),
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            estimated: sums.estimated,
            api_calls: sums.api_calls,
            request_bytes: sums.request_bytes,
            result_bytes: sums.result_bytes,
            storage_bytes: sums.storage_bytes,
            duration_ms: millis(sums.duration_us),
            compute_ms: millis(sums.compute_us),
            median_ms: millis(sums.within_us(0.5)),
            p95_ms: millis(sums.within_us(0.95)),
            slowest_ms: millis(sums.slowest_us),
            cost_usd: sums.cost.dollars(),
            cost_pico_usd: sums.cost,
            priced: sums.priced,
        }
    }
}

/// What records are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Records,
    Tokens,
    Cost,
    Time,
    Failed,
}

impl Measure {
    /// Reads one for clap.
    pub fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "calls" | "records" | "api_calls" => Self::Records,
            "tokens" => Self::Tokens,
            "cost" | "costs" => Self::Cost,
            "time" | "duration" => Self::Time,
            "failed" | "failures" | "errors" => Self::Failed,
            _ => return Err("it is one of calls, tokens, cost, time, failed".into()),
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Records => "calls",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Time => "time",
            Self::Failed => "failed",
        }
    }

    /// For comparing and drawing.
    pub fn of(self, sums: &Sums) -> u64 {
        match self {
            Self::Records => sums.records,
            Self::Tokens => sums.tokens(),
            Self::Cost => u64::try_from(sums.cost.0.max(0)).unwrap_or(u64::MAX),
            Self::Time => sums.duration_us,
            Self::Failed => sums.failed,
        }
    }

    pub fn show(self, sums: &Sums) -> String {
        match self {
            Self::Cost => sums.cost.short(),
            Self::Time => duration(sums.duration_us),
            _ => text::number(self.of(sums)),
        }
    }
}

pub fn duration(us: u64) -> String {
    if us < 10_000 { format!("{:.1}ms", millis(us)) } else { text::duration_ms(us / 1000) }
}

/// A bar of at most `width` characters; what is not zero has at least one.
pub fn bar(value: u64, largest: u64, width: u64, ascii: bool) -> String {
    let length = (u128::from(value) * u128::from(width)).div_ceil(u128::from(largest.max(1)));
    if ascii { "#" } else { "█" }.repeat(usize::try_from(length).unwrap_or(0))
}

/// What nobody told.
pub fn named(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_that_there_is_something() {
        let bars = [0, 1, 50, 100].map(|value| bar(value, 100, 10, true));
        assert_eq!(bars, ["", "#", "#####", "##########"]);
        assert_eq!(bar(u64::MAX, u64::MAX, 4, true), "####");
    }
}
