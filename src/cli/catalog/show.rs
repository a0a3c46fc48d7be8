//! `umcp catalog show`: everything an entry says, and what of it umcp can run.

use super::one;
use super::search::stars;
use crate::catalogue::model::Input;
use crate::catalogue::{Listed, Way};
use crate::cli::context::Context;
use crate::error::Result;
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Show an entry and the ways to run it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp catalog show context7")]
pub struct Show {
    #[arg(value_name = "ENTRY")]
    name: String,
    /// Only look in this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let listed = one(ctx, &self.name, self.source)?;
        ctx.ui.show(&Whole::new(listed))
    }
}

#[derive(Serialize)]
struct Whole {
    key: String,
    #[serde(flatten)]
    listed: Listed,
    ways: Vec<Told>,
}

/// A way, in words.
#[derive(Serialize)]
struct Told {
    spec: String,
    transport: &'static str,
    runs: bool,
    reason: Option<String>,
    asks: Vec<String>,
    inputs: Vec<Input>,
}

impl Whole {
    fn new(listed: Listed) -> Self {
        let told = |way: &Way| Told {
            spec: way.spec(),
            transport: way.transport(),
            runs: way.runs(),
            reason: match way {
                Way::Other { reason, .. } => Some(reason.clone()),
                _ => None,
            },
            asks: way.asks().to_vec(),
            inputs: way.inputs().to_vec(),
        };
        Self { key: listed.key(), ways: listed.entry.ways.iter().map(told).collect(), listed }
    }
}

impl Output for Whole {
    const KIND: &'static str = "catalog.show/1";

    fn human(&self, page: &mut Page) {
        let entry = &self.listed.entry;
        page.heading(entry.title.as_deref().unwrap_or(&entry.name));
        page.text(&entry.description);
        if entry.deprecated {
            page.mark(State::Warn, "its source advises against it");
        }
        let mut pairs = vec![("name", self.key.clone())];
        let mut say = |what, text: Option<String>| {
            pairs.extend(text.filter(|text| !text.is_empty()).map(|text| (what, text)))
        };
        say("version", entry.version.clone());
        say("categories", Some(entry.categories.join(", ")));
        say("license", entry.license.clone());
        say("homepage", entry.homepage.clone());
        say("repository", entry.repository.clone());
        say("updated", entry.updated.clone());
        say("your stars", Some(stars(self.listed.stars)));
        page.pairs(pairs);
        page.blank();
        for way in &self.ways {
            match &way.reason {
                None => page.mark(State::Ok, format!("{} ({})", way.spec, way.transport)),
                Some(reason) => page.mark(State::Off, format!("{}: {reason}", way.spec)),
            };
            for hint in &way.asks {
                page.text(format!("  wants the argument {hint}"));
            }
            for input in &way.inputs {
                page.text(format!("  {}", input_line(input)));
            }
        }
        if self.ways.iter().any(|way| way.runs) {
            page.text(format!("install it: umcp catalog install {}", self.key));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

/// A variable or header in one line.
pub fn input_line(input: &Input) -> String {
    let kind = match (input.required, input.secret) {
        _ if input.value.is_some() => "set by the entry",
        (true, true) => "needed, secret",
        (true, false) => "needed",
        (false, true) => "optional, secret",
        (false, false) => "optional",
    };
    let about = input.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{} ({kind}){about}", input.name)
}
