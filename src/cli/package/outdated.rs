//! `umcp outdated`: which packages have newer versions. It installs nothing.

use super::known;
use crate::cli::context::Context;
use crate::error::Result;
use crate::packages::{Manager, Reference};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// Show which packages have newer versions
///
/// *wanted* is what `umcp update` would take: the newest version that the reference allows. *latest* is the newest one
/// there is; a package that is pinned to an older one is shown as such, and is not outdated. Newer versions of what a
/// package needs are found by `umcp update --check` alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp outdated")]
pub struct Outdated {
    /// Only these packages
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
    /// Show those that are up to date too
    #[arg(long)]
    all: bool,
}

impl Outdated {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut rows = Vec::new();
        for entry in known::some(ctx, &self.names)? {
            let reference = entry.reference()?;
            let scripts = entry.package.scripts;
            let label = format!("looking up {}", entry.server.name);
            let found = known::work(ctx, &label, |installer| {
                let any = match reference.manager {
                    // No tag of an image is newer than another.
                    Manager::Oci => reference.clone(),
                    _ => Reference { version: None, ..reference.clone() },
                };
                let latest = installer.newest(&any, scripts)?;
                let wanted = match &reference.version {
                    Some(_) => installer.newest(&reference, scripts)?,
                    None => latest.clone(),
                };
                Ok((wanted, latest))
            });
            let current = entry.current()?.version.clone();
            let row = |wanted: Option<String>, latest: Option<String>, error: Option<String>| Row {
                name: entry.server.name.clone(),
                reference: reference.to_string(),
                is_outdated: wanted.as_ref().is_some_and(|wanted| *wanted != current),
                is_pinned: wanted.is_some() && wanted != latest,
                current: current.clone(),
                wanted,
                latest,
                error,
            };
            match found {
                Ok((wanted, latest)) => rows.push(row(Some(wanted), Some(latest), None)),
                Err(error) if error.is(&crate::error::codes::INTERRUPTED) => return Err(error),
                Err(error) => {
                    ctx.ui.warn(&format!("{} could not be looked up: {error}", entry.server.name));
                    rows.push(row(None, None, Some(error.to_string())));
                }
            }
        }
        if !self.all {
            rows.retain(|row| row.is_outdated || row.is_pinned || row.error.is_some());
        }
        ctx.ui.show(&Rows(rows))
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    reference: String,
    current: String,
    wanted: Option<String>,
    latest: Option<String>,
    /// Whether `umcp update` would take another version.
    #[serde(rename = "outdated")]
    is_outdated: bool,
    /// Its reference keeps it from the newest one.
    #[serde(rename = "pinned")]
    is_pinned: bool,
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Rows(Vec<Row>);

impl Output for Rows {
    const KIND: &'static str = "package.outdated/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("package"),
            Column::new("current"),
            Column::new("wanted"),
            Column::new("latest"),
            Column::new("reference").optional(1),
        ];
        let mut table = Table::new("every package is up to date", columns);
        for row in &self.0 {
            let wanted = row.wanted.clone().unwrap_or_else(|| "unknown".into());
            let state = if row.wanted.as_ref() == Some(&row.current) { State::Ok } else { State::Warn };
            table.row([
                Cell::from(&row.name),
                Cell::from(&row.current),
                Cell::state(state, &wanted),
                row.latest.clone().unwrap_or_else(|| "unknown".into()).into(),
                Cell::from(&row.reference),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|row| row.name.clone()).collect()
    }
}
