//! `umcp usage live`: a line for every moment in which something was used.

use super::super::context::Context;
use super::super::interrupt;
use super::figures::{Figures, duration};
use super::scope::Scope;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::servers::formats::own::parse_time;
use crate::ui::text;
use crate::usage::sums::Sums;
use crate::usage::{self, Records};
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// Watch usage as it happens, until Ctrl-C
#[derive(Debug, Args)]
pub struct Live {
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "2s")]
    interval: u64,
    /// End after so many looks
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Serialize)]
struct Event {
    r#type: &'static str,
    time: String,
    #[serde(flatten)]
    now: Figures,
    in_all: Figures,
}

#[derive(Serialize)]
struct End {
    in_all: Figures,
}

impl Live {
    pub fn run(self, ctx: &Context) -> Result<()> {
        interrupt::watch();
        let (mut from, mut all, mut looks) = (ctx.clock.now(), Sums::default(), 0);
        while !interrupt::happened() && !ctx.ui.closed() && self.count.is_none_or(|count| looks < count) {
            interrupt::wait(Duration::from_millis(self.interval.clamp(100, 3_600_000)));
            let until = ctx.clock.now();
            let sums = self.between(ctx, from, until)?;
            all.add(&sums);
            (from, looks) = (until, looks + 1);
            let event =
                Event { r#type: "usage", time: until.rfc3339(), now: (&sums).into(), in_all: (&all).into() };
            let human = format!(
                "{}  {} calls, {} failed, {} tokens, {}, {}; in all {} calls, {} tokens, {}",
                until.rfc3339(),
                text::number(sums.records),
                text::number(sums.failed),
                text::number(sums.tokens()),
                duration(sums.duration_us),
                sums.cost.short(),
                text::number(all.records),
                text::number(all.tokens()),
                all.cost.short(),
            );
            ctx.ui.line(&event, &human);
        }
        ctx.ui.finish_stream(&End { in_all: (&all).into() });
        Ok(())
    }

    fn between(&self, ctx: &Context, from: Timestamp, until: Timestamp) -> Result<Sums> {
        let (mut sums, mut after) = (Sums::default(), None);
        loop {
            let request =
                usage::Request::Records { from, until, after, filter: self.scope.filter(), limit: 1000 };
            let Records { entries, next } = match ctx.call(request)? {
                Reply::Usage(usage::Reply::Records(records)) => records,
                other => return engine::unexpected(&other),
            };
            entries.iter().for_each(|entry| sums.add(&Sums::of(&entry.call)));
            after = next;
            if after.is_none() {
                return Ok(sums);
            }
        }
    }
}
