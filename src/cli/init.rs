//! `umcp init`: finds clients and their servers, asks at most four questions, brings everything into umcp, and ends
//! with a real tool call through the endpoint.

use super::client::twice;
use super::completions;
use super::context::Context;
use super::import::{added, note_line, stricter};
use super::machine::machine;
use super::secret::tell_plain;
use super::server::run::statuses_if_running;
use crate::clients::{self, Client, Scope};
use crate::engine::live::ServerStatus;
use crate::error::Result;
use crate::setup::clientfiles::ClientState;
use crate::setup::import::Added;
use crate::setup::init::{self, Choice};
use crate::setup::journal::Edit;
use crate::setup::trial::{self, FirstCall};
use crate::setup::{Machine, servers};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// How long the closing call may take; servers that were never started are started for it.
const CHECK_DEADLINE: Duration = Duration::from_secs(60);

/// Bring the servers of your editors and agents into umcp, and connect them
///
/// Files of the user are edited, after a copy; a project's files are shared with others and only read. `umcp undo`
/// puts everything back: byte for byte where nobody changed the file since, else it takes out what umcp put in, puts
/// back what umcp took out, and keeps the rest.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp init\n  umcp init --dry-run\n  umcp init --from cursor,codex --keep --yes"
)]
pub struct Init {
    /// Take over the servers of these clients only
    #[arg(long, value_name = "CLIENT", value_delimiter = ',')]
    from: Option<Vec<String>>,
    /// Connect these clients only
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', conflicts_with = "no_connect")]
    connect: Option<Vec<String>>,
    /// Connect no client
    #[arg(long)]
    no_connect: bool,
    /// Take the servers out of the clients' own files
    #[arg(long, conflicts_with = "keep")]
    replace: bool,
    /// Leave the servers in the clients' own files too
    #[arg(long)]
    keep: bool,
    /// Install completions for your shell
    #[arg(long, conflicts_with = "no_completions")]
    completions: bool,
    /// Install no completions
    #[arg(long)]
    no_completions: bool,
    /// Ask nothing: take over and connect everything, leave the rest as it is
    #[arg(long)]
    minimal: bool,
    /// Show what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    report: init::Report,
    /// The closing call; `None` with `--dry-run`.
    check: Option<FirstCall>,
    /// Servers that could not be started for it.
    failing: Vec<String>,
}

impl Init {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let machine = machine(ctx)?;
        let now = ctx.clock.now();
        let found = init::survey(&machine, now);
        tell(ctx, &found);
        let choice = self.choose(ctx, &found)?;
        let known = servers(&mut |request| ctx.call(request))?;
        let plan = init::plan(&found, &choice, &known, &machine, now);
        if self.dry_run {
            return ctx.ui.show(&Shown { report: plan.report, check: None, failing: Vec::new() });
        }
        tell_plain(ctx, &plan.add);
        let report = init::carry_out(plan, &machine, now, &mut |request| ctx.call(request))?;
        let check = check(ctx, &machine);
        // What runs is told where the daemon can be asked; the call itself is the check.
        let statuses = statuses_if_running(ctx).ok().flatten().unwrap_or_default();
        let fails = |status: &ServerStatus| status.state.is_failing();
        let failing = statuses.into_iter().filter(fails).map(|status| status.name).collect();
        let failed = check.error.clone();
        let shown = Shown { report, check: Some(check), failing };
        let Some(error) = failed else { return ctx.ui.show(&shown) };
        ctx.ui.show_failed(&shown, &error)?;
        Err(error)
    }

    /// The answers: from flags, from the defaults, or from the user. A dry run asks nothing.
    fn choose(&self, ctx: &Context, found: &[ClientState]) -> Result<Choice> {
        let quiet = self.minimal || self.dry_run;
        let with_servers: Vec<&Client> =
            found.iter().filter(|state| has_servers(state)).map(|state| state.client).collect();
        let import = match &self.from {
            Some(words) => ids(words)?,
            None => pick(ctx, quiet, "Take over the servers of which clients?", &with_servers, "--from")?,
        };
        let editable: Vec<&Client> =
            found.iter().filter(|state| is_editable(state)).map(|state| state.client).collect();
        let connect = match &self.connect {
            Some(words) => ids(words)?,
            None if self.no_connect => Vec::new(),
            None => {
                pick(ctx, quiet, "Connect which clients to umcp?", &editable, "--connect or --no-connect")?
            }
        };
        let matters = found.iter().any(|state| {
            import.contains(&state.client.id) && connect.contains(&state.client.id) && has_servers(state)
        });
        let replace = match () {
            () if self.replace || self.keep || self.minimal || !matters => self.replace,
            () if self.dry_run => true,
            () => ctx.ui.confirm(
                "Take the servers out of the clients' own files, so that umcp is the only way to them?",
                true,
                "--replace or --keep",
            )?,
        };
        let extra = self.completions(ctx)?.into_iter().collect();
        Ok(Choice { import, connect, replace, extra })
    }

    fn completions(&self, ctx: &Context) -> Result<Option<Edit>> {
        if self.no_completions || self.minimal {
            return Ok(None);
        }
        // A file of that name that is not umcp's, or a shell umcp does not know: no reason to stop here.
        let Ok(Some(edit)) = completions::edit_for_shell(ctx) else { return Ok(None) };
        let wanted = self.completions
            || self.dry_run
            || !edit.changes()
            || ctx.ui.confirm("Install shell completions?", true, "--completions or --no-completions")?;
        Ok(wanted.then_some(edit))
    }
}

fn has_servers(state: &ClientState) -> bool {
    state.files.iter().any(|file| !file.servers.is_empty())
}

/// Whether the client has a file of the user's on this system.
fn is_editable(state: &ClientState) -> bool {
    state.files.iter().any(|file| file.scope == Scope::User && file.error.is_none())
}

fn ids(words: &[String]) -> Result<Vec<&'static str>> {
    words.iter().map(|word| clients::find(word).map(|client| client.id)).collect()
}

/// All of them, unless there is somebody to ask.
fn pick(
    ctx: &Context,
    quiet: bool,
    question: &str,
    clients: &[&'static Client],
    flag: &str,
) -> Result<Vec<&'static str>> {
    let all = || clients.iter().map(|client| client.id).collect();
    if quiet || clients.is_empty() {
        return Ok(all());
    }
    let items: Vec<(String, bool)> = clients.iter().map(|client| (client.name.to_string(), true)).collect();
    let chosen = ctx.ui.multi_select(question, &items, flag)?;
    Ok(chosen.into_iter().map(|index| clients[index].id).collect())
}

/// What was found, before the first question: every server with its whole command.
fn tell(ctx: &Context, found: &[ClientState]) {
    if found.is_empty() {
        ctx.ui.note("no client that umcp knows is on this machine");
    }
    for state in found {
        let servers = state.servers();
        ctx.ui.note(&format!("{}: {}", state.client.name, text::plural(servers.len(), "server")));
        for (server, scopes) in servers {
            let Added { name, transport, target, cautions, .. } = Added::of(server);
            ctx.ui.note(&format!("  {name} ({transport}: {target}), {}", places(&scopes)));
            for caution in &cautions {
                ctx.ui.note(&format!("    look twice: it {caution}"));
            }
        }
        for file in &state.files {
            if let Some(error) = &file.error {
                ctx.ui.warn(&format!("{}: {error}", file.path.display()));
            }
        }
    }
}

fn places(scopes: &[Scope]) -> String {
    let word = |scope: &Scope| match scope {
        Scope::User => "user",
        Scope::Project => "project",
    };
    scopes.iter().map(word).collect::<Vec<_>>().join(" and ")
}

/// A real call through the endpoint, as a client would make it.
fn check(ctx: &Context, machine: &Machine<'_>) -> FirstCall {
    // The endpoint's daemon is to open the store; this process may still have it open for reading.
    ctx.forget_daemon();
    let bar = ctx.ui.progress("trying the endpoint");
    let check = trial::first_call(machine, CHECK_DEADLINE);
    drop(bar);
    check
}

impl Output for Shown {
    const KIND: &'static str = "init/1";

    fn human(&self, page: &mut Page) {
        let report = &self.report;
        added(page, &report.added, report.dry_run);
        for known in &report.known {
            if known.name != known.known_as {
                page.mark(State::Off, format!("{} is the same as {}", known.name, known.known_as));
            }
            stricter(page, known);
        }
        for client in &report.clients {
            for note in &client.notes {
                page.mark(State::Warn, format!("{}: {}", note.file.display(), note_line(&note.note)));
            }
            if let Some(error) = &client.error {
                page.mark(State::Fail, format!("{}: {error}", client.name));
            }
            for path in &client.connected {
                let verb = if report.dry_run { "would use" } else { "uses" };
                page.mark(State::Ok, format!("{} {verb} umcp ({})", client.name, path.display()));
            }
            for path in &client.shared {
                let path = path.display();
                let how = format!("umcp client connect {} --scope project --replace", client.id);
                page.mark(
                    State::Off,
                    format!("{path} belongs to a project and was only read ({how} edits it)"),
                );
            }
            for path in &client.twice {
                page.mark(State::Warn, twice(&client.id, &path.display().to_string()));
            }
            if !client.beside.is_empty() {
                page.mark(
                    State::Warn,
                    format!("{} keeps beside umcp: {}", client.name, client.beside.join(", ")),
                );
            }
        }
        for path in &report.others {
            let verb = if report.dry_run { "would write" } else { "wrote" };
            page.mark(State::Ok, format!("{verb} shell completions ({})", path.display()));
        }
        if report.dry_run {
            for file in &report.files {
                page.text(&file.diff);
            }
            page.text("nothing was changed (--dry-run)");
            return;
        }
        if let Some(check) = &self.check {
            draw_check(check, page);
        }
        for name in &self.failing {
            page.mark(State::Warn, format!("{name} does not start: umcp server test {name}"));
        }
        next(report, page);
    }

    fn ids(&self) -> Vec<String> {
        self.report.added.iter().map(|server| server.name.clone()).collect()
    }
}

fn draw_check(check: &FirstCall, page: &mut Page) {
    let time = text::duration_ms(check.duration_us / 1000);
    match (&check.error, &check.tool) {
        (Some(error), _) => page.mark(State::Fail, format!("the endpoint was tried and failed: {error}")),
        (None, Some(tool)) => {
            let shown = text::plural(check.tools, "tool");
            page.mark(State::Ok, format!("the endpoint shows {shown}; called {tool} through it in {time}"))
        }
        (None, None) => page.mark(
            State::Warn,
            format!(
                "the endpoint shows {}, none of which is safe to call unasked",
                text::plural(check.tools, "tool")
            ),
        ),
    };
}

fn next(report: &init::Report, page: &mut Page) {
    page.blank().heading("Next");
    for client in report.clients.iter().filter(|client| !client.connected.is_empty()) {
        if let Some(after) = &client.after {
            page.text(format!("  in {}: {after}", client.name));
        }
    }
    page.text("  umcp find WORDS     search the tools of all servers");
    page.text("  umcp status         what runs");
    if let Some(id) = report.undo {
        page.text(format!("  umcp undo {id:<9} put every file back as it was"));
    }
}
