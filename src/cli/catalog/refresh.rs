//! `umcp catalog refresh`: reads sources anew. A registry is read page by page, and each page is kept before the next
//! one is asked for, so that a reading that breaks off goes on where it stopped.

use super::{ask, reading, sources, unexpected};
use crate::catalogue::list::Read;
use crate::catalogue::pager::Pager;
use crate::catalogue::registry::{self, Refused};
use crate::catalogue::{Origin, Pending, Reply as Answer, Request, Source};
use crate::cli::context::Context;
use crate::cli::interrupt;
use crate::error::{Error, ErrorBody, Result, codes};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Entries handed over at once.
const PART: usize = 250;
/// Refused entries that are told one by one.
const TOLD: usize = 5;

/// Read the sources again
///
/// Without names it reads every enabled source. A registry is asked only for what changed since; a reading that broke off
/// goes on where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp catalog refresh official")]
pub struct Refresh {
    #[arg(value_name = "SOURCE")]
    names: Vec<String>,
    /// Read everything, not only what changed
    #[arg(long)]
    full: bool,
}

impl Refresh {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let all = sources(ctx)?;
        let chosen = choose(&all, &self.names)?;
        let mut outcomes = Vec::new();
        let mut last = None;
        for source in chosen {
            let outcome = match &source.origin {
                Origin::Bundled => continue,
                Origin::Registry { url } => registry(ctx, source, url, self.full),
                _ => reading::read(ctx, source).and_then(|read| keep(ctx, &source.name, read)),
            };
            outcomes.push(outcome.unwrap_or_else(|error| {
                let entries = source.entries;
                let told =
                    Outcome { entries, error: Some(ErrorBody::from(&error)), ..Outcome::new(&source.name) };
                last = Some(error);
                told
            }));
            if interrupt::happened() {
                break;
            }
        }
        finish(ctx, outcomes, last)
    }
}

fn choose<'a>(all: &'a [Source], names: &[String]) -> Result<Vec<&'a Source>> {
    if names.is_empty() {
        return Ok(all.iter().filter(|source| source.enabled).collect());
    }
    let named = |name: &String| {
        all.iter().find(|source| source.name == *name).ok_or_else(|| {
            Error::new(&codes::SOURCE_NOT_FOUND, format!("no source named `{name}`"))
                .hint("umcp catalog source list")
        })
    };
    names.iter().map(named).collect()
}

/// Shows what came of it; a failure of some is a failure in part.
fn finish(ctx: &Context, outcomes: Vec<Outcome>, last: Option<Error>) -> Result<()> {
    let shown = Outcomes(outcomes);
    let Some(last) = last else { return ctx.ui.show(&shown) };
    let failed = shown.0.iter().filter(|outcome| outcome.error.is_some()).count();
    let error = match shown.0.len() {
        1 => last,
        all if failed == all => last,
        _ => Error::new(&codes::PARTIAL, format!("{} could not be read", text::plural(failed, "source"))),
    };
    ctx.ui.show_failed(&shown, &error)?;
    Err(error)
}

/// Keeps what a document held, in place of what its source held before.
pub fn keep(ctx: &Context, name: &str, read: Read) -> Result<Outcome> {
    ask(ctx, Request::Begin { name: name.into(), full: true })?;
    let refused = read.refused;
    let items = read.entries.len() as u64;
    let mut rest = read.entries;
    while !rest.is_empty() {
        let left = rest.split_off(rest.len().min(PART));
        take(ctx, name, rest, Vec::new(), Pending::default())?;
        rest = left;
    }
    let source = end(ctx, name)?;
    Ok(Outcome { items, refused, entries: source.entries, ..Outcome::new(name) })
}

fn take(
    ctx: &Context,
    name: &str,
    entries: Vec<crate::catalogue::Entry>,
    removed: Vec<String>,
    pending: Pending,
) -> Result<()> {
    ask(ctx, Request::Take { name: name.into(), entries, removed, pending }).map(|_| ())
}

fn end(ctx: &Context, name: &str) -> Result<Source> {
    one(ctx, Request::Finish { name: name.into(), at: ctx.clock.now() })
}

fn one(ctx: &Context, request: Request) -> Result<Source> {
    match ask(ctx, request)? {
        Answer::Source(source) => Ok(*source),
        other => unexpected(&other),
    }
}

fn registry(ctx: &Context, source: &Source, url: &str, full: bool) -> Result<Outcome> {
    let name = source.name.as_str();
    let begun = one(ctx, Request::Begin { name: name.into(), full })?;
    let mut pager = Pager::new(url, begun.pending.unwrap_or_default(), ctx.clock.now())?;
    let mut outcome = Outcome { resumed: pager.pending.cursor.is_some(), ..Outcome::new(name) };
    let bar = ctx.ui.progress(&format!("reading {name}"));
    loop {
        if interrupt::happened() {
            return Err(Error::new(&codes::INTERRUPTED, "interrupted")
                .hint("umcp catalog refresh goes on where it stopped"));
        }
        let place = pager.url();
        let text = match reading::fetch(ctx, source, &place) {
            Ok(text) => text,
            Err(error) if says(&error, "404") && pager.older() => continue,
            // Cursors do not live for ever.
            Err(error) if says(&error, "400") && outcome.resumed && pager.pages == 0 => {
                outcome.resumed = false;
                pager.restart();
                continue;
            }
            Err(error) => {
                return Err(reading::unread(name, error).hint(format!("umcp catalog refresh {name}")));
            }
        };
        let now = ctx.clock.now();
        let page = registry::page(&place, &text, now)?;
        let more = pager.take(&page, text.len(), now);
        outcome.items += page.entries.len() as u64;
        outcome.removed += page.removed.len() as u64;
        outcome.refused.extend(page.refused.into_iter().take(1_000));
        take(ctx, name, page.entries, page.removed, pager.pending.clone())?;
        bar.message(&format!(
            "{} in {}",
            text::plural(count(pager.items), "entry"),
            text::plural(count(pager.pages), "page")
        ));
        if !more? {
            break;
        }
    }
    outcome.pages = pager.pages;
    outcome.entries = end(ctx, name)?.entries;
    Ok(outcome)
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether a registry answered with this status.
fn says(error: &Error, status: &str) -> bool {
    error.is(&codes::UPSTREAM_HTTP) && error.message.contains(&format!("answered {status}"))
}

/// What came of one source.
#[derive(Serialize)]
pub struct Outcome {
    name: String,
    /// Entries it has now.
    pub entries: u64,
    /// Entries that were read now.
    items: u64,
    removed: u64,
    pages: u64,
    /// It went on where an earlier reading stopped.
    resumed: bool,
    pub refused: Vec<Refused>,
    error: Option<ErrorBody>,
}

impl Outcome {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            entries: 0,
            items: 0,
            removed: 0,
            pages: 0,
            resumed: false,
            refused: Vec::new(),
            error: None,
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Outcomes(Vec<Outcome>);

impl Output for Outcomes {
    const KIND: &'static str = "catalog.refreshed/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("nothing to read: the bundled list comes with umcp");
        }
        for outcome in &self.0 {
            if let Some(error) = &outcome.error {
                page.mark(State::Fail, format!("{}: {}", outcome.name, error.message));
                continue;
            }
            let (items, all) = (text::plural(count(outcome.items), "entry"), text::number(outcome.entries));
            let gone =
                if outcome.removed > 0 { format!(", {} gone", outcome.removed) } else { String::new() };
            page.mark(State::Ok, format!("{}: read {items}{gone}; it has {all} now", outcome.name));
            for refused in outcome.refused.iter().take(TOLD) {
                page.mark(State::Warn, format!("left out {}: {}", refused.name, refused.why));
            }
            if outcome.refused.len() > TOLD {
                page.text(format!("and {} more; --json lists all", outcome.refused.len() - TOLD));
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|outcome| outcome.name.clone()).collect()
    }
}
