//! `umcp metrics export`: all series, as Prometheus reads them or as JSON.

use super::super::context::Context;
use crate::error::Result;
use crate::metrics::{Snapshot, text};
use crate::ui::{Output, Page};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Write all series as text for Prometheus, or as JSON
///
/// The HTTP endpoint says the same at `/metrics`, to a key with the scope `metrics`.
#[derive(Debug, Args)]
pub struct Export {
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value = "prometheus")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Prometheus,
    Json,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Exported(Snapshot);

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let snapshot = super::snapshot(ctx)?.unwrap_or_default();
        if ctx.ui.is_json() {
            return ctx.ui.show(&Exported(snapshot));
        }
        match self.format {
            Format::Prometheus => ctx.ui.raw(&text::prometheus(&snapshot)),
            Format::Json => ctx.ui.raw(&format!("{}\n", serde_json::to_value(&snapshot).unwrap_or_default())),
        }
    }
}

impl Output for Exported {
    const KIND: &'static str = "metrics.export/1";

    fn human(&self, page: &mut Page) {
        page.text(text::prometheus(&self.0));
    }
}
