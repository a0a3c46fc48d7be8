//! `umcp usage breakdown`, `costs` and `top`: sums told apart by one or more dimensions.

use super::super::context::Context;
use super::figures::{Figures, Measure, bar, duration, named};
use super::scope::{Scope, dimension, shown};
use crate::error::Result;
use crate::ui::{Column, Output, Page, Table, text};
use crate::usage::period::Window;
use crate::usage::sums::{Dimension, Sums};
use clap::Args;
use serde::{Serialize, Serializer};

/// Break usage down by app, tool, client, user, model and more
#[derive(Debug, Args)]
pub struct Breakdown {
    /// By entity_type, entity, server (or app), tool, client, agent, user, environment, model or workflow
    #[arg(long, short, value_name = "DIMENSION", value_delimiter = ',', value_parser = dimension, default_value = "server")]
    group_by: Vec<Dimension>,
    /// Rank by calls, tokens, cost, time or failed
    #[arg(long, value_name = "MEASURE", value_parser = Measure::parse, default_value = "calls")]
    by: Measure,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    scope: Scope,
}

/// Show what was spent, and on what
#[derive(Debug, Args)]
pub struct Costs {
    /// As for `breakdown`
    #[arg(long, short, value_name = "DIMENSION", value_delimiter = ',', value_parser = dimension, default_value = "entity")]
    group_by: Vec<Dimension>,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    scope: Scope,
}

/// Show what is used most, takes longest or fails most
#[derive(Debug, Args)]
pub struct Top {
    /// As for `breakdown`
    #[arg(value_name = "DIMENSION", value_parser = dimension, default_value = "entity")]
    what: Dimension,
    /// Rank by calls, tokens, cost, time or failed
    #[arg(long, value_name = "MEASURE", value_parser = Measure::parse, default_value = "calls")]
    by: Measure,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    #[command(flatten)]
    scope: Scope,
}

impl Breakdown {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { group_by, by, limit, scope } = self;
        show(ctx, &scope, Wanted { group_by, by, limit })
    }
}

impl Costs {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { group_by, limit, scope } = self;
        show(ctx, &scope, Wanted { group_by, by: Measure::Cost, limit })
    }
}

impl Top {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { what, by, limit, scope } = self;
        show(ctx, &scope, Wanted { group_by: vec![what], by, limit })
    }
}

struct Wanted {
    group_by: Vec<Dimension>,
    by: Measure,
    limit: usize,
}

fn show(ctx: &Context, scope: &Scope, wanted: Wanted) -> Result<()> {
    let window = scope.window(ctx, "month")?;
    let point = scope.sums(ctx, window, &wanted.group_by)?;
    let total = point.total();
    let mut lines: Vec<Line> = point
        .groups
        .into_iter()
        .map(|group| {
            let words = wanted.group_by.iter().map(|dimension| dimension.word());
            let key = words.zip(group.key).collect();
            Line { key: Key(key), share: 0.0, figures: Figures::from(&group.sums), sums: group.sums }
        })
        .collect();
    let whole = wanted.by.of(&total).max(1) as f64;
    lines.iter_mut().for_each(|line| line.share = wanted.by.of(&line.sums) as f64 / whole);
    lines.sort_by_key(|line| std::cmp::Reverse((wanted.by.of(&line.sums), line.sums.records)));
    let left_out = lines.len().saturating_sub(wanted.limit);
    lines.truncate(wanted.limit);
    ctx.ui.show(&Shown {
        from: window.from.rfc3339(),
        until: window.until.rfc3339(),
        total: Figures::from(&total),
        groups: lines,
        left_out,
        window,
        wanted,
        sums: total,
        ascii: ctx.ui.look().ascii,
    })
}

#[derive(Serialize)]
struct Shown {
    from: String,
    until: String,
    total: Figures,
    groups: Vec<Line>,
    /// Groups beyond the limit.
    left_out: usize,
    #[serde(skip)]
    window: Window,
    #[serde(skip)]
    wanted: Wanted,
    #[serde(skip)]
    sums: Sums,
    #[serde(skip)]
    ascii: bool,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    key: Key,
    /// Of what it is ranked by, 0 to 1.
    share: f64,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    sums: Sums,
}

/// Dimensions with their values.
struct Key(Vec<(&'static str, String)>);

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(word, value)| (word, value)))
    }
}

impl Output for Shown {
    const KIND: &'static str = "usage.breakdown/1";

    fn human(&self, page: &mut Page) {
        page.heading(format!("by {}, {}", self.wanted.by.word(), shown(self.window)));
        let keys = self.wanted.group_by.iter().map(|dimension| Column::new(dimension.word()));
        let rest = [
            Column::new("calls").right(),
            Column::new("failed").right().optional(3),
            Column::new("tokens").right(),
            Column::new("median").right().optional(2),
            Column::new("cost").right(),
            Column::new("share").right().optional(1),
            Column::new("").optional(4),
        ];
        let mut table = Table::new("no calls in that time", keys.chain(rest));
        let largest = self.groups.iter().map(|line| self.wanted.by.of(&line.sums)).max().unwrap_or(0);
        for line in &self.groups {
            let sums = &line.sums;
            let figures = [
                text::number(sums.records),
                text::number(sums.failed),
                text::number(sums.tokens()),
                duration(sums.within_us(0.5)),
                sums.cost.short(),
                format!("{:.1} %", line.share * 100.0),
                bar(self.wanted.by.of(sums), largest, 16, self.ascii),
            ];
            table.row(line.key.0.iter().map(|(_, value)| named(value).to_string()).chain(figures));
        }
        page.table(table);
        if self.left_out > 0 {
            page.text(format!("{} more, with a higher --limit", text::number(self.left_out as u64)));
        }
        if self.sums.records > 0 {
            page.blank().text(format!(
                "in all {}, {} tokens, {}",
                text::plural(usize::try_from(self.sums.records).unwrap_or(usize::MAX), "call"),
                text::number(self.sums.tokens()),
                self.sums.cost.short()
            ));
        }
    }

    fn ids(&self) -> Vec<String> {
        let id =
            |line: &Line| line.key.0.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
        self.groups.iter().map(id).collect()
    }
}
