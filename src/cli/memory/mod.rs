//! `umcp memory`: what agents remember. One file per group of verbs.

mod change;
mod find;
mod list;
mod say;
mod space;
mod store;
mod tend;
mod transfer;

pub use space::health;

use super::context::Context;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::memory::model::{Kind, Triple, Who};
use crate::memory::select::Filter;
use crate::memory::{self, Ask, Request};
use clap::{Args, Subcommand, ValueEnum};

/// Remember things across sessions and agents, and find them again
///
/// Agents use the same memories through the tools of `builtin:memory`. At the command line you are the owner and see
/// everything; --as AGENT looks with the eyes of an agent.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory store \"The user prefers Python for backend work\" --tag preference\n  umcp memory search \"python backend\"\n  umcp memory ask \"Which language does the user prefer?\"\n  umcp memory grant reviewer --namespace team --permission read"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(aliases = ["add", "create"])]
    Store(Box<store::Store>),
    #[command(aliases = ["show", "info", "retrieve"])]
    Get(list::Get),
    #[command(alias = "ls")]
    List(list::List),
    Search(find::Search),
    Query(list::Query),
    Ask(find::Ask),
    Context(find::Context),
    #[command(alias = "edit")]
    Update(Box<change::Update>),
    #[command(aliases = ["delete", "remove", "rm"])]
    Forget(change::Forget),
    Consolidate(tend::Consolidate),
    Patterns(tend::Patterns),
    Prune(tend::Prune),
    Undo(change::Undo),
    /// List, make and delete namespaces
    #[command(aliases = ["namespaces", "ns"])]
    Namespace(space::Namespaces),
    Grant(space::Grant),
    Revoke(space::Revoke),
    Stats(space::Show),
    Export(transfer::Export),
    Import(transfer::Import),
    Reindex(space::Reindex),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::Store(verb) => verb.run(ctx),
            Verb::Get(verb) => verb.run(ctx),
            Verb::List(verb) => verb.run(ctx),
            Verb::Search(verb) => verb.run(ctx),
            Verb::Query(verb) => verb.run(ctx),
            Verb::Ask(verb) => verb.run(ctx),
            Verb::Context(verb) => verb.run(ctx),
            Verb::Update(verb) => verb.run(ctx),
            Verb::Forget(verb) => verb.run(ctx),
            Verb::Consolidate(verb) => verb.run(ctx),
            Verb::Patterns(verb) => verb.run(ctx),
            Verb::Prune(verb) => verb.run(ctx),
            Verb::Undo(verb) => verb.run(ctx),
            Verb::Namespace(verb) => verb.run(ctx),
            Verb::Grant(verb) => verb.run(ctx),
            Verb::Revoke(verb) => verb.run(ctx),
            Verb::Stats(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
            Verb::Import(verb) => verb.run(ctx),
            Verb::Reindex(verb) => verb.run(ctx),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindWord {
    /// For one session; a day unless --ttl says otherwise
    ShortTerm,
    /// Facts that stay
    #[value(alias = "fact")]
    LongTerm,
    /// What happened or was said
    #[value(alias = "episode")]
    Episodic,
    /// Concepts and how they are related
    Semantic,
    /// What a task under way needs; a week unless --ttl says otherwise
    Working,
}

impl KindWord {
    fn kind(self) -> Kind {
        match self {
            Self::ShortTerm => Kind::ShortTerm,
            Self::LongTerm => Kind::LongTerm,
            Self::Episodic => Kind::Episodic,
            Self::Semantic => Kind::Semantic,
            Self::Working => Kind::Working,
        }
    }
}

/// What the memories are like.
#[derive(Debug, Default, Args)]
struct Where {
    /// Only this namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only this kind; may be given more than once
    #[arg(long, value_enum, value_name = "KIND", alias = "memory-type")]
    kind: Vec<KindWord>,
    /// With this tag; all of them if given more than once
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// With this value in a field of its metadata
    #[arg(long = "filter", alias = "meta", value_name = "FIELD=VALUE")]
    filters: Vec<String>,
    /// Of this agent; any of them if given more than once
    #[arg(long, value_name = "AGENT", alias = "agent-id")]
    agent: Vec<String>,
    /// Not of this agent
    #[arg(long = "exclude-agent", alias = "exclude-agents", value_name = "AGENT", value_delimiter = ',')]
    exclude: Vec<String>,
    /// Of this session
    #[arg(long, value_name = "SESSION", alias = "session-id")]
    session: Option<String>,
    /// Not older: RFC 3339, a date, or a time back such as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Older: RFC 3339, a date, or a time back
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// With this subject, relation or object in a triple
    #[arg(long, value_name = "WORD")]
    about: Option<String>,
    /// Superseded and expired ones too
    #[arg(long)]
    past: bool,
    /// Look with the eyes of this agent
    #[arg(long = "as", value_name = "AGENT")]
    as_agent: Option<String>,
}

impl Where {
    fn who(&self) -> Who {
        Who { agent: self.as_agent.clone(), session: self.session.clone() }
    }

    fn filter(&self, now: Timestamp) -> Result<Filter> {
        let pairs = self.filters.iter().map(|pair| pair_of(pair));
        Ok(Filter {
            namespace: self.namespace.clone(),
            kinds: self.kind.iter().map(|word| word.kind()).collect(),
            tags: self.tag.clone(),
            metadata: pairs.collect::<Result<_>>()?,
            agents: self.agent.clone(),
            exclude_agents: self.exclude.clone(),
            session: self.session.clone(),
            key: None,
            since: self.since.as_deref().map(|text| time(text, now)).transpose()?,
            until: self.until.as_deref().map(|text| time(text, now)).transpose()?,
            about: self.about.clone(),
            past: self.past,
        })
    }
}

/// `FIELD=VALUE`; a value that is no JSON is a text.
fn pair_of(pair: &str) -> Result<(String, String)> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        Error::new(&codes::USAGE, format!("`{pair}` is no field with a value")).hint("--meta type=preference")
    })?;
    let is_json = serde_json::from_str::<serde_json::Value>(value).is_ok();
    let value = if is_json { value.to_string() } else { serde_json::Value::from(value).to_string() };
    Ok((name.into(), value))
}

/// `SUBJECT|RELATION|OBJECT`.
fn triple_of(text: &str) -> Result<Triple> {
    let parts: Vec<&str> = text.split('|').map(str::trim).collect();
    let [subject, relation, object] = parts[..] else {
        return Err(Error::new(&codes::USAGE, format!("`{text}` is no triple"))
            .hint("--triple 'Ada | works at | Acme'"));
    };
    Ok(Triple { subject: subject.into(), relation: relation.into(), object: object.into() })
}

/// RFC 3339, a date in UTC, or a time back from now.
fn time(text: &str, now: Timestamp) -> Result<Timestamp> {
    let back = crate::workflows::read::duration(text)
        .map(|ms| Timestamp(now.0.saturating_sub(ms.saturating_mul(1000))));
    back.or_else(|| Timestamp::parse(text))
        .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{text}` is no time"))
                .hint("write 2026-01-31, 2026-01-31T12:00:00Z or 7d")
        })
}

/// A time to live, such as 30m or 90d.
fn ttl(text: &str) -> std::result::Result<u64, String> {
    crate::workflows::read::duration(text).ok_or_else(|| "write 30s, 15m, 2h or 90d".into())
}

fn ask(ctx: &Context, who: Who, ask: Ask) -> Result<memory::Reply> {
    match ctx.call(Request::new(who, ctx.clock.now(), ask))? {
        Reply::Memory(reply) => Ok(reply),
        other => engine::unexpected(&other),
    }
}

fn unexpected<T>(reply: &memory::Reply) -> Result<T> {
    Err(Error::bug(format!("an unexpected reply: {reply:?}").chars().take(200).collect::<String>()))
}
