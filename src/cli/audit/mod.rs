//! `umcp audit`: who did what, what was decided, and whether the record of it is still what was written.

mod show;

use super::context::Context;
use crate::audit::{self, Entry, Filter, Request};
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::servers::formats::own::parse_time;
use crate::ui::text;
use clap::{Args, Subcommand, ValueEnum};
use show::{Counted, Entries, Exported, Purged, Shown, Verified};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Records that an export reads at once.
const PAGE: u32 = 2_000;
const DAY_MS: u64 = 86_400_000;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp audit list --client cursor --refused\n  umcp audit verify\n  umcp audit export --since 720h > audit.jsonl"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List records, newest first
    #[command(alias = "ls")]
    List(List),
    /// Show one record whole, with its hashes
    #[command(alias = "info")]
    Show(Show),
    Verify(Verify),
    Export(Export),
    /// Count calls, refusals and changes
    Report(Report),
    Purge(Purge),
}

#[derive(Debug, Args)]
struct List {
    /// Only of this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only of this tool (SERVER.TOOL) or server
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// Only records of this type
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Type>,
    /// Only calls that were refused
    #[arg(long)]
    refused: bool,
    /// Only of the last so much time, such as 2h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<u64>,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    Call,
    Change,
    Approval,
    Refused,
    Purge,
    Lost,
}

#[derive(Debug, Args)]
struct Show {
    #[arg(value_name = "NUMBER")]
    number: u64,
}

/// Check that every record is what was written, and that none is missing
///
/// Each record holds the hash of the one before, so a change, an insertion or a removal shows. Whoever may write the
/// store may write a new chain, or cut off its end: keep the hash that this prints elsewhere, and check with --head
/// that it is still there.
#[derive(Debug, Args)]
struct Verify {
    /// A hash that must stand in the chain
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
}

/// Write all records as JSON lines, oldest first
///
/// `hash` is the SHA-256 of the number (8 bytes, big-endian), the previous hash (32 bytes) and `body` (UTF-8).
#[derive(Debug, Args)]
struct Export {
    /// Only of the last so much time, such as 720h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<u64>,
    /// Write to this file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Report {
    /// Of the last so much time, such as 24h
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "168h")]
    since: u64,
}

/// Remove old records
///
/// The removal is itself recorded, with the hash of the last record removed, so that the rest can still be verified.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["older", "keep"])))]
struct Purge {
    /// Remove what is older than this, such as 720h
    #[arg(long = "older-than", id = "older", value_name = "TIME", value_parser = parse_time)]
    older: Option<u64>,
    /// Keep only the newest so many
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        match self.verb {
            None => {
                List { client: None, tool: None, kind: None, refused: false, since: None, limit: 20 }.run(ctx)
            }
            Some(Verb::List(verb)) => verb.run(ctx),
            Some(Verb::Show(Show { number })) => {
                let entry = entries(ctx, Request::Show { number })?.pop();
                let entry = entry.ok_or_else(|| Error::bug("a record that was found is missing"))?;
                ctx.ui.show(&Shown::new(entry))
            }
            Some(Verb::Verify(verb)) => verb.run(ctx),
            Some(Verb::Export(verb)) => verb.run(ctx),
            Some(Verb::Report(Report { since })) => {
                let since = ago(now, since);
                match ask(ctx, Request::Report { since })? {
                    audit::Reply::Report(report) => {
                        ctx.ui.show(&Counted { since: since.rfc3339(), report: *report })
                    }
                    other => engine::unexpected(&Reply::Audit(other)),
                }
            }
            Some(Verb::Purge(verb)) => verb.run(ctx),
        }
    }
}

fn ago(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_sub(millis))
}

fn ask(ctx: &Context, request: Request) -> Result<audit::Reply> {
    match ctx.call(request)? {
        Reply::Audit(reply) => Ok(reply),
        other => engine::unexpected(&other),
    }
}

fn entries(ctx: &Context, request: Request) -> Result<Vec<Entry>> {
    match ask(ctx, request)? {
        audit::Reply::Entries(entries) => Ok(entries),
        other => engine::unexpected(&Reply::Audit(other)),
    }
}

impl List {
    fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        let kind = self.kind.map(|kind| match kind {
            Type::Call => "call",
            Type::Change => "change",
            Type::Approval => "approval",
            Type::Refused => "refused",
            Type::Purge => "purge",
            Type::Lost => "lost",
        });
        let filter = Filter {
            client: self.client,
            tool: self.tool,
            kind: kind.map(Into::into),
            refused: self.refused,
            since: self.since.map(|time| ago(now, time)),
        };
        let entries = entries(ctx, Request::List { filter, limit: self.limit })?;
        ctx.ui.show(&Entries { entries: entries.into_iter().map(Shown::new).collect(), now })
    }
}

impl Verify {
    fn run(self, ctx: &Context) -> Result<()> {
        let verdict = match ask(ctx, Request::Verify { expect: self.head.clone() })? {
            audit::Reply::Verdict(verdict) => verdict,
            other => return engine::unexpected(&Reply::Audit(other)),
        };
        let broken = match (verdict.faults.first(), verdict.expected) {
            (Some(fault), _) => Some(format!("record {}: {}", fault.number, fault.problem)),
            (None, Some(false)) => Some("the chain does not hold the hash that was expected".into()),
            (None, _) => None,
        };
        let verdict = Verified(verdict);
        match broken {
            None => ctx.ui.show(&verdict),
            Some(message) => {
                let error = Error::new(&codes::AUDIT_BROKEN, message);
                ctx.ui.show_failed(&verdict, &error)?;
                Err(error)
            }
        }
    }
}

impl Export {
    fn run(self, ctx: &Context) -> Result<()> {
        use std::io::Write;
        let since = self.since.map(|time| ago(ctx.clock.now(), time));
        let mut file = match &self.output {
            Some(path) => {
                let made = std::fs::File::create_new(path);
                Some((path, made.map_err(|error| io_error("create", path, &error))?))
            }
            None => None,
        };
        let (mut after, mut count) = (None, 0);
        loop {
            let page = entries(ctx, Request::Page { after, since, limit: PAGE })?;
            let Some(last) = page.last() else { break };
            after = Some(last.number);
            count += page.len();
            let mut lines = String::new();
            for entry in &page {
                let line = serde_json::to_string(entry)
                    .map_err(|error| Error::bug("a record cannot be written as JSON").because(error))?;
                let _ = writeln!(lines, "{line}");
            }
            match &mut file {
                Some((path, file)) => {
                    file.write_all(lines.as_bytes()).map_err(|error| io_error("write", path, &error))?;
                }
                None => ctx.ui.raw(&lines)?,
            }
        }
        match self.output {
            Some(path) => ctx.ui.show(&Exported { records: count, file: path.display().to_string() }),
            None => Ok(()),
        }
    }
}

impl Purge {
    fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        let what = match (self.older, self.keep) {
            (Some(older), None) => format!("records older than {} days", older / DAY_MS),
            (_, Some(keep)) => format!(
                "all but the newest {}",
                text::plural(usize::try_from(keep).unwrap_or(usize::MAX), "record")
            ),
            (None, None) => return Err(Error::bug("clap lets nothing else through")),
        };
        if !ctx.ui.confirm(&format!("Remove {what} from the audit trail for good?"), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was removed").hint("give --yes"));
        }
        let before = self.older.map(|time| ago(now, time));
        match ask(ctx, Request::Purge { before, keep: self.keep, at: now })? {
            audit::Reply::Purged(records) => ctx.ui.show(&Purged { records }),
            other => engine::unexpected(&Reply::Audit(other)),
        }
    }
}
