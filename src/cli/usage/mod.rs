//! `umcp usage`: what calls cost in tokens, time and money. Verbs here; what sums mean stands in the noun.

mod breakdown;
mod export;
mod figures;
mod forecast;
mod insights;
mod invoice;
mod keep;
mod live;
mod paper;
mod pdf;
mod record;
mod report;
mod scope;
mod sheet;
mod summary;
mod trends;

use super::context::Context;
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp usage summary --period month\n  umcp usage breakdown --group-by app\n  umcp usage costs --user user_123\n  umcp usage export --format csv --output usage.csv\n  umcp usage record skill:sentiment --tokens-in 1125 --tokens-out 375 --calls 3"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// The help of each verb stands on its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "show")]
    Summary(summary::Summary),
    Breakdown(breakdown::Breakdown),
    #[command(alias = "cost")]
    Costs(breakdown::Costs),
    Trends(trends::Trends),
    Top(breakdown::Top),
    Live(live::Live),
    Export(export::Export),
    Report(report::Report),
    Invoice(invoice::Invoice),
    Insights(insights::Insights),
    Forecast(forecast::Forecasted),
    Anomalies(insights::Anomalies),
    Record(Box<record::Record>),
    Recalculate(keep::Recalculate),
    Check(keep::Check),
    Seal(keep::Seal),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or_else(|| Verb::Summary(summary::Summary::default())) {
            Verb::Summary(verb) => verb.run(ctx),
            Verb::Breakdown(verb) => verb.run(ctx),
            Verb::Costs(verb) => verb.run(ctx),
            Verb::Trends(verb) => verb.run(ctx),
            Verb::Top(verb) => verb.run(ctx),
            Verb::Live(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
            Verb::Report(verb) => verb.run(ctx),
            Verb::Invoice(verb) => verb.run(ctx),
            Verb::Insights(verb) => verb.run(ctx),
            Verb::Forecast(verb) => verb.run(ctx),
            Verb::Anomalies(verb) => verb.run(ctx),
            Verb::Record(verb) => verb.run(ctx),
            Verb::Recalculate(verb) => verb.run(ctx),
            Verb::Check(verb) => verb.run(ctx),
            Verb::Seal(verb) => verb.run(ctx),
        }
    }
}
