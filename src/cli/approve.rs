//! `umcp approve`: answers calls that wait for the user, wherever they came from.

use super::context::{self, Context};
use super::workflow::{Asking, asking};
use crate::clock::Timestamp;
use crate::engine::live::{Approval, Approvals, Grant, Live, LiveReply};
use crate::error::{Error, Result, codes};
use crate::servers::formats::own::{parse_time, write_time};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand};
use serde::Serialize;

/// What "for a while" is, where the question offers it.
const WHILE_MS: u64 = 600_000;

/// Answer calls that wait for your approval
///
/// A call waits when a rule of your policy asks. Where the client can put the question to you, it does; here you can
/// answer it in any case. What is not answered in time is refused.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  umcp approve\n  umcp approve 415276031\n  umcp approve 415276031 --for 10m\n  umcp approve 415276031 --deny"
)]
pub struct Approve {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Number of the call that waits
    #[arg(value_name = "ID")]
    id: Option<u64>,
    /// Let further calls of this tool by this client through for so long, such as 10m
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, conflicts_with = "deny")]
    time: Option<u64>,
    /// Refuse the call
    #[arg(long)]
    deny: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List calls and steps of workflows that wait, and what was granted for a while
    #[command(alias = "ls")]
    List,
    /// Take back what was granted, and forget which labelled tools clients have used
    Forget(Forget),
}

#[derive(Debug, Args)]
struct Forget {
    /// Only for this client
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
}

impl Approve {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match (self.verb, self.id) {
            (Some(Verb::Forget(Forget { client })), _) => {
                ctx.live_if_running(Live::Forget { client: client.clone() })?;
                ctx.ui.show(&Forgotten { client })
            }
            (None, Some(id)) => {
                let approval = waiting(ctx)?.waiting.into_iter().find(|it| it.id == id);
                let approval = approval.ok_or_else(|| not_found(id))?;
                answer(ctx, id, !self.deny, self.time)?;
                ctx.ui.show(&Answered { approval, allowed: !self.deny, for_ms: self.time })
            }
            (Some(Verb::List) | None, _) if self.deny || self.time.is_some() => {
                Err(Error::new(&codes::USAGE, "which call is meant?").hint("umcp approve list"))
            }
            (Some(Verb::List) | None, _) => {
                ctx.ui.show(&List { approvals: waiting(ctx)?, runs: asking(ctx)?, now: ctx.clock.now() })
            }
        }
    }
}

/// Asks on this terminal about a call that this command waits for; without one, says how to answer.
///
/// # Errors
/// `INPUT_NEEDED` with `--no-input`: the call is refused, for nobody is to wait for an answer.
pub fn ask(ctx: &Context, id: u64) -> Result<()> {
    if ctx.ui.no_input() {
        return Err(refuse(ctx, id));
    }
    if let Err(error) = ask_here(ctx, id) {
        // The call still waits: whoever can may answer it elsewhere.
        ctx.ui.note(&format!("the call waits for approval ({error}): umcp approve {id}"));
    }
    Ok(())
}

/// Refuses a call that waits, and says which one it was and why it waited.
fn refuse(ctx: &Context, id: u64) -> Error {
    let waiting = waiting(ctx).map(|all| all.waiting.into_iter().find(|it| it.id == id));
    // A question that cannot be answered any more is over all the same.
    let _ = answer(ctx, id, false, None);
    let error =
        |what: String| Error::new(&codes::INPUT_NEEDED, format!("{what}, and `--no-input` was given"));
    let Ok(Some(it)) = waiting else { return error("the call needs your approval".into()) };
    let path = format!("{}.{}", it.server, it.tool);
    let rule = it.rule.map_or_else(|| "the policy's default".into(), |rule| format!("the rule `{rule}`"));
    error(format!("`{path}` needs your approval by {rule}"))
        .hint("leave `--no-input` out, and answer here or with `umcp approve`")
        .hint(format!("umcp policy explain {path} --client {}", it.client))
}

fn ask_here(ctx: &Context, id: u64) -> Result<()> {
    let Some(approval) = waiting(ctx)?.waiting.into_iter().find(|it| it.id == id) else { return Ok(()) };
    let Approval { client, server, tool, .. } = &approval;
    ctx.ui.note(&format!("arguments: {}", approval.arguments));
    let question = format!("May `{client}` call {server}.{tool}?{}", because(&approval));
    let choices = ["yes, this once", "yes, for 10 minutes", "no"].map(String::from);
    let chosen = ctx.ui.select(&question, &choices, Some(0), &format!("umcp approve {id}"))?;
    answer(ctx, id, chosen < 2, (chosen == 1).then_some(WHILE_MS))
}

fn because(approval: &Approval) -> String {
    match (&approval.rule, &approval.reason) {
        (Some(rule), Some(reason)) => format!(" Rule `{rule}`: {reason}."),
        (Some(rule), None) => format!(" Rule `{rule}` asks."),
        (None, _) => String::new(),
    }
}

/// What waits; nothing does when no daemon runs.
fn waiting(ctx: &Context) -> Result<Approvals> {
    match ctx.live_if_running(Live::Approvals)? {
        Some(LiveReply::Approvals(approvals)) => Ok(approvals),
        Some(other) => context::unexpected(&other),
        None => Ok(Approvals { waiting: Vec::new(), granted: Vec::new() }),
    }
}

fn answer(ctx: &Context, id: u64, allow: bool, for_ms: Option<u64>) -> Result<()> {
    match ctx.live_if_running(Live::Approve { id, allow, for_ms })? {
        Some(LiveReply::Done) => Ok(()),
        Some(other) => context::unexpected(&other),
        None => Err(not_found(id)),
    }
}

fn not_found(id: u64) -> Error {
    Error::new(&codes::APPROVAL_NOT_FOUND, format!("nothing waits under {id}")).hint("umcp approve list")
}

#[derive(Serialize)]
struct List {
    #[serde(flatten)]
    approvals: Approvals,
    /// Steps of workflows that wait.
    runs: Vec<Asking>,
    #[serde(skip)]
    now: Timestamp,
}

impl Output for List {
    const KIND: &'static str = "approve.list/1";

    fn human(&self, page: &mut Page) {
        let Approvals { waiting, granted } = &self.approvals;
        let columns = [
            Column::new("id"),
            Column::new("client"),
            Column::new("tool"),
            Column::new("arguments").wraps().optional(1),
            Column::new("rule").optional(2),
            Column::new("ends").optional(3),
        ];
        let mut table = Table::new("no call waits", columns);
        for it in waiting {
            table.row([
                Cell::from(it.id.to_string()),
                (&it.client).into(),
                format!("{}.{}", it.server, it.tool).into(),
                (&it.arguments).into(),
                it.rule.clone().unwrap_or_else(|| "default".into()).into(),
                text::ago(self.now, it.until).into(),
            ]);
        }
        page.table(table);
        for Asking { run, workflow, step, message } in &self.runs {
            page.mark(State::Warn, format!("{workflow} waits at {step}: {message}"));
            page.text(format!("answer: umcp workflow approve {run} --step {step}"));
        }
        for Grant { client, server, tool, until } in granted {
            let ends = text::ago(self.now, *until);
            page.mark(
                State::Ok,
                format!("{client} may call {server}.{tool} without a question; ends {ends}"),
            );
        }
    }

    fn ids(&self) -> Vec<String> {
        self.approvals.waiting.iter().map(|it| it.id.to_string()).collect()
    }
}

#[derive(Serialize)]
struct Answered {
    #[serde(flatten)]
    approval: Approval,
    allowed: bool,
    for_ms: Option<u64>,
}

impl Output for Answered {
    const KIND: &'static str = "approve.answered/1";

    fn human(&self, page: &mut Page) {
        let Approval { client, server, tool, .. } = &self.approval;
        let (state, word) = if self.allowed { (State::Ok, "may") } else { (State::Off, "may not") };
        let time = self.for_ms.map_or(String::new(), |time| format!(" for {}", write_time(time)));
        page.mark(state, format!("{client} {word} call {server}.{tool}{time}"));
    }
}

#[derive(Serialize)]
struct Forgotten {
    client: Option<String>,
}

impl Output for Forgotten {
    const KIND: &'static str = "approve.forgotten/1";

    fn human(&self, page: &mut Page) {
        let whom = self.client.as_deref().unwrap_or("all clients");
        page.mark(State::Ok, format!("forgot what was granted to {whom} and what they have used"));
    }
}
