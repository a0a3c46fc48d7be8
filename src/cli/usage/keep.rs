//! `umcp usage check`, `recalculate` and `seal`: whether sums and records agree, costs by the prices of today, and days
//! that are over.

use super::super::context::Context;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, State, text};
use crate::usage;
use crate::usage::period::Window;
use crate::usage::rollup::{Checked, Grain};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Add up all records again and compare
#[derive(Debug, Args)]
pub struct Check {
    /// Make the sums anew from the records
    #[arg(long)]
    repair: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    checked: Checked,
    repaired: bool,
}

impl Check {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let first = ask(ctx);
        let damaged = first.as_ref().is_err_and(|error| error.is(&codes::STORE_DAMAGED));
        let differs = first.as_ref().is_ok_and(|checked| !checked.differences.is_empty());
        let repaired = self.repair && (damaged || differs);
        let checked = match repaired {
            true => {
                ctx.call(usage::Request::Rebuild)?;
                ask(ctx)?
            }
            false => first?,
        };
        let shown = Shown { checked, repaired };
        if shown.checked.differences.is_empty() {
            return ctx.ui.show(&shown);
        }
        let error = Error::new(&codes::DIFFERS, "the sums are not those of the records")
            .hint("umcp usage check --repair");
        ctx.ui.show_failed(&shown, &error)?;
        Err(error)
    }
}

fn ask(ctx: &Context) -> Result<Checked> {
    match ctx.call(usage::Request::Check)? {
        Reply::Usage(usage::Reply::Checked(checked)) => Ok(checked),
        other => engine::unexpected(&other),
    }
}

impl Output for Shown {
    const KIND: &'static str = "usage.check/1";

    fn human(&self, page: &mut Page) {
        let Checked { records, sealed, units, differences } = &self.checked;
        for it in differences.iter().take(20) {
            let unit = match it.unit {
                Grain::Minute => "minute",
                Grain::Hour => "hour",
                Grain::Day => "day",
            };
            let (summed, recorded) = (it.summed, it.recorded);
            let line = format!("{unit} {}: {summed} in the sums, {recorded} records", it.start.rfc3339());
            page.mark(State::Fail, line);
        }
        if differences.is_empty() {
            let done = if self.repaired { ", made anew" } else { "" };
            let said = format!(
                "{} and the sums of {} minutes, hours and days agree{done}",
                text::plural(usize::try_from(*records).unwrap_or(usize::MAX), "record"),
                text::number(*units)
            );
            page.mark(State::Ok, said);
        }
        if sealed.records > 0 {
            let (bytes, each) = (text::bytes(sealed.bytes), sealed.bytes as f64 / sealed.records as f64);
            let count = text::number(sealed.records);
            page.text(format!("{count} of them are sealed: {bytes}, {each:.1} bytes each"));
        }
    }
}

/// Reckon costs anew by the prices of today
///
/// Costs that were reported stay as they are. Only records that are kept can be reckoned anew.
#[derive(Debug, Args)]
pub struct Recalculate {
    /// As for `summary`
    #[arg(long, short, value_name = "PERIOD", default_value = "month")]
    period: String,
}

#[derive(Serialize)]
struct Recalculated {
    changed: u64,
}

impl Recalculate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = Window::parse(&self.period, ctx.clock.now(), &TimeZone::system())?;
        let request = usage::Request::Recalculate { from: window.from, until: window.until };
        match ctx.call(request)? {
            Reply::Usage(usage::Reply::Rebuilt(changed)) => ctx.ui.show(&Recalculated { changed }),
            other => engine::unexpected(&other),
        }
    }
}

impl Output for Recalculated {
    const KIND: &'static str = "usage.recalculate/1";

    fn human(&self, page: &mut Page) {
        let count = usize::try_from(self.changed).unwrap_or(usize::MAX);
        page.text(format!("{} with another cost", text::plural(count, "record")));
    }
}

/// Seal the records of days that are over
///
/// The daemon does so by itself. A sealed record takes about a tenth of the room and is found as before.
#[derive(Debug, Args)]
pub struct Seal {}

#[derive(Serialize)]
struct Sealed {
    records: u64,
    bytes: u64,
}

impl Seal {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (now, mut after) = (ctx.clock.now(), None);
        let mut sealed = Sealed { records: 0, bytes: 0 };
        loop {
            match ctx.call(usage::Request::Seal { now, after })? {
                Reply::Usage(usage::Reply::Sealed(step)) => {
                    sealed.records += step.records;
                    sealed.bytes += step.bytes;
                    after = step.next;
                }
                other => return engine::unexpected(&other),
            }
            if after.is_none() {
                return ctx.ui.show(&sealed);
            }
        }
    }
}

impl Output for Sealed {
    const KIND: &'static str = "usage.seal/1";

    fn human(&self, page: &mut Page) {
        let count = usize::try_from(self.records).unwrap_or(usize::MAX);
        page.text(format!("sealed {} in {}", text::plural(count, "record"), text::bytes(self.bytes)));
    }
}
