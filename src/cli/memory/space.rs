//! `memory namespace`, `grant`, `revoke`, `stats`, `reindex`, and `health memory`.

use super::super::context::Context;
use super::say::{Reindexed, Spaces};
use super::{ask, unexpected};
use crate::error::{Error, Result, codes};
use crate::memory::model::Who;
use crate::memory::space::{Namespace, Permission};
use crate::memory::{self, Ask, Reply};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Args)]
pub struct Namespaces {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List namespaces with what is granted in them
    #[command(alias = "ls")]
    List,
    /// Make a namespace
    #[command(aliases = ["add", "new"])]
    Create(Change),
    /// Change a namespace; what is not named stays
    #[command(alias = "edit")]
    Update(Change),
    /// Delete a namespace and forget all memories in it
    #[command(aliases = ["remove", "rm"])]
    Delete(Name),
}

#[derive(Debug, Args)]
struct Name {
    #[arg(value_name = "NAMESPACE")]
    name: String,
}

#[derive(Debug, Args)]
struct Change {
    #[arg(value_name = "NAMESPACE")]
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What agents may do that were granted nothing: write by default
    #[arg(long, value_enum, value_name = "PERMISSION")]
    everybody: Option<PermissionWord>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PermissionWord {
    /// Nothing, not even to see that it is there
    None,
    /// Find and read
    Read,
    /// Read, store, change and forget
    Write,
}

impl PermissionWord {
    fn permission(self) -> Permission {
        match self {
            Self::None => Permission::None,
            Self::Read => Permission::Read,
            Self::Write => Permission::Write,
        }
    }
}

/// Say what an agent may do in a namespace
///
/// An agent goes by the name of its key, else by what the client calls itself; umcp status lists those connected.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp memory grant agent_c --namespace team_knowledge --permission read")]
pub struct Grant {
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Where
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: String,
    /// What
    #[arg(long, value_enum, default_value = "read")]
    permission: PermissionWord,
}

/// Take a grant back; the agent has what everybody has
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp memory revoke agent_c --namespace team_knowledge")]
pub struct Revoke {
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Where
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: String,
}

/// Count what is remembered, and look through index and vectors
#[derive(Debug, Args)]
pub struct Show {}

/// Make the index anew from the memories
#[derive(Debug, Args)]
pub struct Reindex {
    /// Make all vectors anew too
    #[arg(long)]
    vectors: bool,
}

impl Namespaces {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => match ask(ctx, Who::default(), Ask::Namespaces)? {
                Reply::Namespaces(all) => {
                    ctx.ui.show(&All { namespaces: all.iter().map(View::new).collect() })
                }
                other => unexpected(&other),
            },
            Verb::Create(change) => change.run(ctx, true),
            Verb::Update(change) => change.run(ctx, false),
            Verb::Delete(Name { name }) => delete(ctx, name),
        }
    }
}

impl Change {
    fn run(self, ctx: &Context, create: bool) -> Result<()> {
        let Self { name, description, everybody } = self;
        let everybody = everybody.map(PermissionWord::permission);
        let done = if create { "created" } else { "changed" };
        changed(ctx, Ask::SetNamespace { name, description, everybody, create }, |space| {
            format!("{done} {}: everybody may {}", space.name, may(space.everybody))
        })
    }
}

fn may(permission: Permission) -> &'static str {
    match permission {
        Permission::None => "do nothing",
        Permission::Read => "read",
        Permission::Write => "write",
    }
}

fn changed(ctx: &Context, request: Ask, line: impl Fn(&Namespace) -> String) -> Result<()> {
    match ask(ctx, Who::default(), request)? {
        Reply::Namespace(space) => ctx.ui.show(&Spaces {
            data: json!(View::new(&space)),
            lines: vec![(State::Ok, line(&space))],
            ids: vec![space.name.clone()],
        }),
        other => unexpected(&other),
    }
}

fn delete(ctx: &Context, name: String) -> Result<()> {
    let spaces = match ask(ctx, Who::default(), Ask::Namespaces)? {
        Reply::Namespaces(all) => all,
        other => return unexpected(&other),
    };
    let held = spaces.iter().find(|space| space.name == name).map_or(0, |space| space.indexed as usize);
    let question = format!("delete {name} and forget {} in it for good?", text::plural(held, "memory"));
    if !ctx.ui.confirm(&question, false, "--yes")? {
        return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
    }
    match ask(ctx, Who::default(), Ask::DeleteNamespace { name: name.clone() })? {
        Reply::Gone(gone) => {
            let line = format!("deleted {name} with {}", text::plural(gone.len(), "memory"));
            let ids: Vec<String> = gone.into_iter().map(memory::model::id).collect();
            let data = json!({"name": name, "forgotten": ids});
            ctx.ui.show(&Spaces { data, lines: vec![(State::Ok, line)], ids: vec![name] })
        }
        other => unexpected(&other),
    }
}

impl Grant {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { agent, namespace, permission } = self;
        let permission = permission.permission();
        let request = Ask::Grant { namespace, agent: agent.clone(), permission: Some(permission) };
        changed(ctx, request, |space| format!("{agent} may {} in {}", may(permission), space.name))
    }
}

impl Revoke {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { agent, namespace } = self;
        let request = Ask::Grant { namespace, agent: agent.clone(), permission: None };
        changed(ctx, request, |space| {
            format!("{agent} may {} in {}, as everybody", may(space.everybody), space.name)
        })
    }
}

#[derive(Serialize)]
struct View {
    name: String,
    description: String,
    memories: u32,
    owner: Option<String>,
    everybody: &'static str,
    grants: std::collections::BTreeMap<String, &'static str>,
}

impl View {
    fn new(space: &Namespace) -> Self {
        Self {
            name: space.name.clone(),
            description: space.description.clone(),
            memories: space.indexed,
            owner: space.owner.clone(),
            everybody: space.everybody.word(),
            grants: space
                .grants
                .iter()
                .map(|(agent, permission)| (agent.clone(), permission.word()))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct All {
    namespaces: Vec<View>,
}

impl Output for All {
    const KIND: &'static str = "memory.namespaces/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("namespace"),
            Column::new("memories").right(),
            Column::new("everybody"),
            Column::new("granted").wraps(),
            Column::new("for").optional(1).wraps(),
        ];
        let mut table = Table::new("no namespaces yet; the first memory makes `default`", columns);
        for view in &self.namespaces {
            let owner = view.owner.iter().map(|owner| format!("{owner}: its own"));
            let grants = view.grants.iter().map(|(agent, word)| format!("{agent}: {word}"));
            table.row([
                Cell::from(&view.name),
                view.memories.to_string().into(),
                view.everybody.into(),
                owner.chain(grants).collect::<Vec<_>>().join(", ").into(),
                Cell::from(&view.description),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.namespaces.iter().map(|view| view.name.clone()).collect()
    }
}

#[derive(Serialize)]
struct Counted {
    #[serde(flatten)]
    stats: memory::Stats,
    troubles: Vec<String>,
    consolidated_at: Option<String>,
}

fn counted(ctx: &Context) -> Result<Counted> {
    match ask(ctx, Who::default(), Ask::Stats { check: true })? {
        Reply::Stats(stats) => Ok(Counted {
            troubles: stats.troubles(),
            consolidated_at: stats.consolidated.map(|at| at.rfc3339()),
            stats: *stats,
        }),
        other => unexpected(&other),
    }
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&counted(ctx)?)
    }
}

/// What `health memory` shows; it fails when something is not as it should be.
pub fn health(ctx: &Context) -> Result<()> {
    let counted = counted(ctx)?;
    if counted.troubles.is_empty() {
        return ctx.ui.show(&counted);
    }
    let error = Error::new(&codes::DIFFERS, counted.troubles.join(", ")).hint("umcp memory reindex");
    ctx.ui.show_failed(&counted, &error)?;
    Err(error)
}

impl Output for Counted {
    const KIND: &'static str = "memory.stats/1";

    fn human(&self, page: &mut Page) {
        let stats = &self.stats;
        let kinds: Vec<String> = stats.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let mut pairs = vec![
            ("memories", text::number(stats.current)),
            ("kinds", kinds.join(", ")),
            ("superseded", text::number(stats.superseded)),
            ("expired", text::number(stats.expired)),
            ("namespaces", text::number(stats.namespaces)),
            ("agents", text::number(stats.agents)),
            ("text", text::bytes(stats.bytes)),
            (
                "index",
                format!(
                    "{} memories in {} rows",
                    text::number(stats.indexed),
                    text::number(stats.index_rows)
                ),
            ),
            ("vectors", text::number(stats.vectors)),
            ("changes", format!("{} that undo knows", text::number(stats.changes))),
        ];
        pairs.extend(self.consolidated_at.clone().map(|at| ("consolidated", at)));
        pairs.retain(|(_, value)| !value.is_empty());
        page.pairs(pairs);
        for trouble in &self.troubles {
            page.mark(State::Fail, trouble);
        }
        if self.troubles.is_empty() {
            page.mark(State::Ok, "every memory, row of the index and vector is whole");
        }
    }
}

impl Reindex {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match ask(ctx, Who::default(), Ask::Reindex { vectors: self.vectors })? {
            Reply::Count(count) => ctx.ui.show(&Reindexed {
                data: json!({"indexed": count}),
                lines: vec![(
                    State::Ok,
                    format!("the index holds {} again", text::plural(count as usize, "memory")),
                )],
                ids: Vec::new(),
            }),
            other => unexpected(&other),
        }
    }
}
