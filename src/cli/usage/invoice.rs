//! `umcp usage invoice`: what somebody owes for a stretch of time, line by line, to the last digit.
//! It is no bookkeeping: who pays whom, and by which number, is what the caller says.

use super::super::context::Context;
use super::super::user;
use super::figures::named;
use super::paper::{Block, Paper, Way};
use super::scope::{Scope, shown};
use crate::error::Result;
use crate::ui::{Output, Page, text};
use crate::usage::money::Pico;
use crate::usage::query::Group;
use crate::usage::sums::{Dimension, Sums};
use clap::Args;
use serde::Serialize;

/// Write an invoice about what was used
///
/// One line for each tool and model that has a cost. Amounts are exact; what is due is rounded to cents.
#[derive(Debug, Args)]
pub struct Invoice {
    /// Number of the invoice
    #[arg(long, value_name = "TEXT")]
    number: Option<String>,
    /// Whom it is for; without it the user, and what is said about that user
    #[arg(long, value_name = "TEXT")]
    to: Option<String>,
    /// Whom it is from
    #[arg(long, value_name = "TEXT")]
    from: Option<String>,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Serialize)]
struct Document {
    number: Option<String>,
    to: Option<String>,
    #[serde(rename = "from")]
    sender: Option<String>,
    since: String,
    until: String,
    currency: &'static str,
    lines: Vec<Line>,
    total_usd: String,
    total_pico_usd: Pico,
    /// Rounded half up to cents.
    due_usd: String,
    /// Calls that have no price, and are not on the invoice.
    unpriced: u64,
}

#[derive(Serialize)]
struct Line {
    entity: String,
    model: String,
    calls: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_usd: String,
    cost_pico_usd: Pico,
}

impl Invoice {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = self.scope.window(ctx, "month")?;
        let mut groups = self.scope.sums(ctx, window, &[Dimension::Entity, Dimension::Model])?.groups;
        groups.sort_by(|left, right| (right.sums.cost, &left.key).cmp(&(left.sums.cost, &right.key)));
        let mut total = Sums::default();
        groups.iter().for_each(|group| total.add(&group.sums));
        let line = |Group { key, sums }: Group| Line {
            entity: named(&key[0]).into(),
            model: key[1].clone(),
            calls: sums.records,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            cost_usd: sums.cost.to_string(),
            cost_pico_usd: sums.cost,
        };
        let document = Document {
            number: self.number.clone(),
            to: self.recipient(ctx)?,
            sender: self.from.clone(),
            since: window.from.rfc3339(),
            until: window.until.rfc3339(),
            currency: "USD",
            lines: groups.into_iter().filter(|group| group.sums.priced > 0).map(line).collect(),
            total_usd: total.cost.to_string(),
            total_pico_usd: total.cost,
            due_usd: cents(total.cost),
            unpriced: total.records.saturating_sub(total.priced),
        };
        self.way.send(ctx, &document, &document.paper(shown(window)))
    }

    fn recipient(&self, ctx: &Context) -> Result<Option<String>> {
        if self.to.is_some() {
            return Ok(self.to.clone());
        }
        let Some(name) = &self.scope.user else { return Ok(None) };
        let users = user::ask(ctx, crate::usage::user::Request::List)?;
        let about = users.into_iter().find(|user| user.name == *name).and_then(|user| user.about);
        Ok(Some(about.map_or_else(|| name.clone(), |about| format!("{name}, {about}"))))
    }
}

/// Dollars with two digits, rounded half up.
fn cents(amount: Pico) -> String {
    const CENT: i128 = 10_000_000_000;
    let cents = (amount.0 + CENT / 2).div_euclid(CENT);
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

impl Document {
    fn paper(&self, time: String) -> Paper {
        let title = self.number.as_ref().map_or("Invoice".into(), |number| format!("Invoice {number}"));
        let head = [
            self.sender.as_ref().map(|from| format!("From: {from}")),
            self.to.as_ref().map(|to| format!("To: {to}")),
            Some(format!("For: {time}")),
        ];
        let heads =
            ["what", "model", "calls", "tokens in", "tokens out", "amount"].map(String::from).to_vec();
        let row = |line: &Line| {
            vec![
                line.entity.clone(),
                line.model.clone(),
                text::number(line.calls),
                text::number(line.input_tokens),
                text::number(line.output_tokens),
                format!("${}", line.cost_usd),
            ]
        };
        let mut rows: Vec<Vec<String>> = self.lines.iter().map(row).collect();
        let mut last = |name: &str, amount: String| {
            let mut row = vec![name.to_string()];
            row.extend(["", "", "", ""].map(String::from));
            row.push(amount);
            rows.push(row);
        };
        last("Total", format!("${}", self.total_usd));
        last("Amount due", format!("${}", self.due_usd));
        let note = match self.unpriced {
            0 => String::new(),
            count => format!(
                "{} without a price are not on this invoice.",
                text::plural(usize::try_from(count).unwrap_or(usize::MAX), "call")
            ),
        };
        Paper {
            title,
            head: head.into_iter().flatten().collect(),
            blocks: vec![Block::Table { heads, rows }],
            note,
        }
    }
}

impl Output for Document {
    const KIND: &'static str = "usage.invoice/1";

    fn human(&self, page: &mut Page) {
        page.text(self.paper(format!("{} to {}", self.since, self.until)).markdown());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_rounded_to_cents() {
        let due = [0, 4_999_999_999, 5_000_000_000, 22_500_000_000, 1_999_999_999_999_999]
            .map(|it| cents(Pico(it)));
        assert_eq!(due, ["0.00", "0.00", "0.01", "0.02", "2000.00"]);
        assert_eq!(cents(Pico(-22_500_000_000)), "-0.02");
    }
}
