//! `umcp secret scan`: plain keys in servers and client files, and their way into the vault.

use super::super::context::Context;
use super::super::machine::machine;
use super::CliVault;
use crate::error::{Error, Result, codes};
use crate::sealing::Secret;
use crate::secrets;
use crate::servers::Server;
use crate::setup::doctor::vault::protection;
use crate::setup::scan::{self, Keep, Report};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Find plain keys in your servers and in the files of clients
///
/// A finding is a guess: by the marks of known services, the name of a field, or how random a value is. With --move each
/// becomes a secret with a reference in its place; servers of client files that hold keys move into umcp, and the client
/// gets umcp's entry instead.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp secret scan\n  umcp secret scan --move")]
pub struct Scan {
    /// Move what is found into the vault; `umcp undo` takes edits of files back
    #[arg(long = "move")]
    change: bool,
}

impl Scan {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        let machine = machine(ctx)?;
        let now = ctx.clock.now();
        let call = &mut |request| ctx.call(request);
        let known = super::all(ctx, true)?.into_iter().map(|secret| secret.name).collect();
        let keep = Kept { vault, known: RefCell::new(known) };
        let found = scan::run(&keep, &machine, now, false, call)?;
        if !self.change || found.findings.is_empty() {
            return finish(ctx, &found);
        }
        let question = format!("Move {} into the vault?", text::plural(found.findings.len(), "plain key"));
        if !ctx.ui.confirm(&question, true, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was moved"));
        }
        let first = vault.look()?.slots.is_empty();
        let done = scan::run(&keep, &machine, now, true, call)?;
        if first && let Some(slot) = vault.look()?.slots.first() {
            ctx.ui.note(&protection(&slot.slot.guard, &vault.places));
        }
        finish(ctx, &done)
    }
}

/// Says on stderr which entries hold plain keys, with the command that moves them. Nothing is said of the others.
pub fn tell_plain<'a>(ctx: &Context, servers: impl IntoIterator<Item = &'a Server>) {
    let held = |server: &Server| {
        let keys = scan::plain_keys(server);
        (!keys.is_empty()).then(|| format!("{} ({})", server.name, keys.join(", ")))
    };
    let held: Vec<String> = servers.into_iter().filter_map(held).collect();
    if !held.is_empty() {
        let held = held.join(", ");
        ctx.ui.note(&format!("plain keys in {held}; into the vault with them: umcp secret scan --move"));
    }
}

/// Plain keys that stay are what a script wants to know.
fn finish(ctx: &Context, report: &Report) -> Result<()> {
    let plain = report.findings.iter().filter(|finding| !finding.moved).count();
    if plain == 0 {
        return ctx.ui.show(report);
    }
    let error = Error::new(&codes::DIFFERS, format!("{} found", text::plural(plain, "plain key")))
        .hint("umcp secret scan --move");
    ctx.ui.show_failed(report, &error)?;
    Err(error)
}

struct Kept<'a, 'b> {
    vault: &'a CliVault<'b>,
    known: RefCell<BTreeSet<String>>,
}

impl Keep for Kept<'_, '_> {
    fn value(&self, name: &str) -> Result<Option<Secret>> {
        self.vault.get(name)
    }

    fn has(&self, name: &str) -> bool {
        self.known.borrow().contains(name)
    }

    fn put(&self, name: &str, value: &Secret) -> Result<()> {
        secrets::check_name(name)?;
        self.vault.set(name, value)?;
        self.known.borrow_mut().insert(name.into());
        Ok(())
    }
}

impl Output for Report {
    const KIND: &'static str = "secret.scan/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("where").wraps(),
            Column::new("server"),
            Column::new("place").wraps(),
            Column::new("value"),
            Column::new("why").wraps().optional(1),
            Column::new("secret").wraps(),
        ];
        let mut table = Table::new("no plain keys found", columns);
        for finding in &self.findings {
            let file = finding.file.as_ref().map_or("umcp".to_string(), |file| file.display().to_string());
            table.row([
                Cell::from(file),
                finding.server.as_str().into(),
                finding.place.as_str().into(),
                finding.value.as_str().into(),
                finding.why.as_str().into(),
                finding.secret.as_str().into(),
            ]);
        }
        page.table(table);
        for reason in &self.unread {
            page.mark(State::Warn, format!("not read: {reason}"));
        }
        let moved = self.findings.iter().filter(|finding| finding.moved).count();
        if moved > 0 {
            page.mark(State::Ok, format!("{} moved into the vault", text::plural(moved, "key")));
        }
        for server in &self.added {
            page.mark(State::Ok, format!("added {} ({}: {})", server.name, server.transport, server.target));
        }
        if let Some(id) = self.undo {
            page.text(format!("take the edits of files back: umcp undo {id}"));
            page.text(format!(
                "the files as they were, keys and all, are kept for that, for your eyes only; once all works: umcp undo --forget {id}"
            ));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.findings.iter().map(|finding| finding.secret.clone()).collect()
    }
}
