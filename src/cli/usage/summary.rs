//! `umcp usage summary`: everything of a stretch of time in sum, and beside the stretch before.

use super::super::context::Context;
use super::figures::{Figures, Measure, duration, named};
use super::scope::{Scope, shown};
use crate::error::Result;
use crate::ui::{Column, Output, Page, Table, text};
use crate::usage::period::{Step, Window};
use crate::usage::query::Group;
use crate::usage::sums::{Dimension, Sums};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Show calls, tokens, time and money in sum
#[derive(Debug, Default, Args)]
pub struct Summary {
    #[command(flatten)]
    scope: Scope,
}

#[derive(Serialize)]
struct Shown {
    from: String,
    until: String,
    #[serde(flatten)]
    figures: Figures,
    /// The stretch of the same length before.
    before: Figures,
    top: Vec<Line>,
    #[serde(skip)]
    window: Window,
    #[serde(skip)]
    sums: Sums,
    #[serde(skip)]
    course: Vec<u64>,
    #[serde(skip)]
    ascii: bool,
}

#[derive(Serialize)]
struct Line {
    entity: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    sums: Sums,
}

impl Summary {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = self.scope.window(ctx, "month")?;
        let point = self.scope.sums(ctx, window, &[Dimension::Entity])?;
        let before = self.scope.sums(ctx, window.before(), &[])?.total();
        let sums = point.total();
        let course = self.course(ctx, window)?;
        let mut groups = point.groups;
        groups.sort_by_key(|group| std::cmp::Reverse((group.sums.cost, group.sums.records)));
        let line = |Group { key, sums }| Line { entity: key.concat(), figures: Figures::from(&sums), sums };
        ctx.ui.show(&Shown {
            from: window.from.rfc3339(),
            until: window.until.rfc3339(),
            figures: Figures::from(&sums),
            before: Figures::from(&before),
            top: groups.into_iter().take(5).map(line).collect(),
            window,
            sums,
            course,
            ascii: ctx.ui.look().ascii,
        })
    }

    fn course(&self, ctx: &Context, window: Window) -> Result<Vec<u64>> {
        if window.from.0 == 0 {
            return Ok(Vec::new());
        }
        let edges = Step::fitting(window).edges(window, &TimeZone::system())?;
        let points = self.scope.points(ctx, edges, &[])?;
        Ok(points.iter().map(|point| Measure::Records.of(&point.total())).collect())
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

impl Output for Shown {
    const KIND: &'static str = "usage.summary/1";

    fn human(&self, page: &mut Page) {
        let (sums, before) = (&self.sums, &self.before);
        page.heading(format!("usage, {}", shown(self.window)));
        if sums.records == 0 {
            page.text("no calls in that time");
            return;
        }
        let more = |now: u64, then: u64| match then {
            0 => String::new(),
            then => format!(" ({:+.0} % on the time before)", (now as f64 / then as f64 - 1.0) * 100.0),
        };
        let spark = text::sparkline(&self.course, self.ascii);
        let mut pairs = vec![
            ("calls", format!("{}{}", text::number(sums.records), more(sums.records, before.records))),
            ("failed", format!("{} ({})", text::number(sums.failed), share(sums.failed, sums.records))),
            (
                "tokens",
                format!(
                    "{} read by models, {} written{}",
                    text::number(sums.input_tokens),
                    text::number(sums.output_tokens),
                    more(sums.tokens(), before.tokens)
                ),
            ),
            ("estimated", format!("tokens of {}", share(sums.estimated, sums.records))),
            ("bytes", text::bytes(sums.request_bytes.saturating_add(sums.result_bytes))),
            (
                "time",
                format!(
                    "{}; half of the calls within {}, 95 % within {}",
                    duration(sums.duration_us),
                    duration(sums.within_us(0.5)),
                    duration(sums.within_us(0.95))
                ),
            ),
            ("cost", format!("{} ({} have a price)", sums.cost.short(), share(sums.priced, sums.records))),
        ];
        if sums.cached > 0 {
            pairs.push((
                "from the cache",
                format!("{} ({})", text::number(sums.cached), share(sums.cached, sums.records)),
            ));
        }
        if self.course.len() > 1 {
            pairs.push(("course", spark));
        }
        page.pairs(pairs);
        let columns = [
            Column::new("used"),
            Column::new("calls").right(),
            Column::new("tokens").right(),
            Column::new("time").right().optional(1),
            Column::new("cost").right(),
        ];
        let mut table = Table::new("", columns);
        for line in &self.top {
            table.row([
                named(&line.entity).to_string(),
                text::number(line.sums.records),
                text::number(line.sums.tokens()),
                duration(line.sums.duration_us),
                line.sums.cost.short(),
            ]);
        }
        page.blank().table(table);
        if sums.priced == 0 {
            page.blank().text("nothing has a price yet: umcp pricing import --preset all");
        }
    }
}
