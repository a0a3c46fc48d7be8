//! `umcp app update`: reads again what an app was made from, and says what changed. Settings stay.

use super::change::ALLOW_PRIVATE;
use super::known::{self, Installed};
use super::{document, install};
use crate::apps::App;
use crate::apps::model::{Definition, Kind};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Read again what apps were made from
///
/// Without a name it is every app that was made from a file, an address or a shipped manifest. With `--check` nothing
/// is changed, and the exit code is 13 when something would be.
#[derive(Debug, Args)]
pub struct Update {
    #[arg(value_name = "APP")]
    names: Vec<String>,
    /// Only say what would change
    #[arg(long)]
    check: bool,
}

impl Update {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let installed = match self.names.is_empty() {
            true => known::all(ctx)?,
            false => self.names.iter().map(|name| known::find(ctx, name)).collect::<Result<_>>()?,
        };
        let mut changes = Vec::new();
        for Installed { mut server, app } in installed {
            let Some(old) = app.filter(|app| app.origin.is_some()) else { continue };
            let reach = server.env.contains_key(ALLOW_PRIVATE);
            let new = match again(ctx, &old, reach) {
                Ok(new) => new,
                Err(error) if self.names.is_empty() => {
                    ctx.ui.warn(&format!("{}: {error}", server.name));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (before, after) = (old.definition()?, new.definition()?);
            let change = Change::between(&server.name, &before, &after);
            let moved = before.base != after.base || old.integration != new.integration;
            if before != after && !self.check {
                if moved {
                    super::account::consent(ctx, &new, &after, &server)?;
                }
                known::allow_time(&mut server, &after);
                known::install(ctx, new, server, true)?;
            }
            changes.push(change);
        }
        let differs = changes.iter().any(Change::is_one);
        let changes = Changes { checked: self.check, changes };
        if self.check && differs {
            let error = Error::new(&codes::DIFFERS, "some apps would change").hint("umcp app update");
            ctx.ui.show_failed(&changes, &error)?;
            return Err(error);
        }
        ctx.ui.show(&changes)
    }
}

/// The app as its origin has it now.
fn again(ctx: &Context, old: &App, allow_private: bool) -> Result<App> {
    let origin = old.origin.clone().unwrap_or_default();
    let mut new = match old.kind {
        Kind::OpenApi => {
            let conversion = old.definition()?.conversion.unwrap_or_default();
            let read = document::read(ctx, &origin, allow_private)?;
            let mut converted = document::transform(&read, &old.name, &origin, &conversion)?;
            converted.definition.conversion = Some(conversion);
            let mut new = App { title: converted.title, description: converted.description, ..old.clone() };
            new.define(&converted.definition)?;
            new
        }
        Kind::Commands | Kind::Http => {
            let (loaded, _) = install::manifest(origin.strip_prefix("app:").unwrap_or(&origin))?;
            let mut new = install::app(ctx, &old.name, loaded, origin)?;
            new.kind = old.kind;
            new
        }
    };
    (new.created, new.updated) = (old.created, ctx.clock.now());
    Ok(new)
}

/// Tools that came, went or are different.
#[derive(Serialize)]
struct Change {
    name: String,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    /// Something beside the tools: settings, the address, the sign-in.
    other: bool,
}

impl Change {
    fn between(name: &str, before: &Definition, after: &Definition) -> Self {
        let names = |from: &Definition, keep: &dyn Fn(&str) -> bool| {
            let names = from.tools.iter().map(|tool| tool.name.clone());
            names.filter(|name| keep(name)).collect::<Vec<_>>()
        };
        let without = |definition: &Definition| Definition { tools: Vec::new(), ..definition.clone() };
        Self {
            name: name.into(),
            added: names(after, &|name| before.tool(name).is_none()),
            removed: names(before, &|name| after.tool(name).is_none()),
            changed: names(after, &|name| before.tool(name).is_some_and(|old| after.tool(name) != Some(old))),
            other: without(before) != without(after),
        }
    }

    fn is_one(&self) -> bool {
        self.other || !(self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty())
    }
}

#[derive(Serialize)]
struct Changes {
    checked: bool,
    changes: Vec<Change>,
}

impl Output for Changes {
    const KIND: &'static str = "app.update/1";

    fn human(&self, page: &mut Page) {
        if self.changes.is_empty() {
            page.text("no app was made from a file, an address or a manifest");
        }
        for change in &self.changes {
            let name = &change.name;
            match (change.is_one(), self.checked) {
                (false, _) => _ = page.mark(State::Ok, format!("{name} is as it was")),
                (true, false) => _ = page.mark(State::Ok, format!("updated {name}")),
                (true, true) => _ = page.mark(State::Warn, format!("{name} would change")),
            }
            let lists = [("new", &change.added), ("gone", &change.removed), ("different", &change.changed)];
            for (word, tools) in lists.into_iter().filter(|(_, tools)| !tools.is_empty()) {
                page.text(format!("     {word}: {}", tools.join(", ")));
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        self.changes.iter().filter(|change| change.is_one()).map(|change| change.name.clone()).collect()
    }
}
