//! A small file of names beside the store, so that a Tab press never waits for the daemon or the lock.
//! One line each: kind, name and a word about it, with tabs between: the state of a server, the arguments of a tool.
//! It may be stale; it is never wrong for long.

use super::{Engine, Reply, StoreRequest};
use crate::error::Result;
use crate::policy::{self, rules};
use crate::{
    alerts, catalogue, environments, integrations, memory, paths, schedules, secrets, servers, skills, tools,
    usage, workflows,
};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    Server,
    Tool,
    Profile,
    Rule,
    Secret,
    Connection,
    Integration,
    App,
    Schedule,
    Agent,
    Token,
    Source,
    Namespace,
    Skill,
    Registry,
    Publisher,
    Alert,
    Workflow,
    Price,
    Quota,
    User,
}

impl NameKind {
    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Profile => "profile",
            Self::Rule => "rule",
            Self::Secret => "secret",
            Self::Connection => "connection",
            Self::Integration => "integration",
            Self::App => "app",
            Self::Schedule => "schedule",
            Self::Agent => "agent",
            Self::Token => "token",
            Self::Source => "source",
            Self::Namespace => "namespace",
            Self::Skill => "skill",
            Self::Registry => "registry",
            Self::Publisher => "publisher",
            Self::Alert => "alert",
            Self::Workflow => "workflow",
            Self::Price => "price",
            Self::Quota => "quota",
            Self::User => "user",
        }
    }
}

/// The file, and who is writing it. Many changes at once make few files: a change that meets a writer leaves the
/// next file to it.
#[derive(Debug)]
pub(super) struct NamesIndex {
    path: PathBuf,
    stale: AtomicBool,
    writing: Mutex<()>,
}

impl NamesIndex {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, stale: AtomicBool::new(false), writing: Mutex::new(()) }
    }

    /// Has the file written after this moment, here or by whoever is writing it now.
    pub(super) fn refresh(&self, engine: &Engine) {
        self.stale.store(true, SeqCst);
        while self.stale.load(SeqCst) {
            // Whoever holds the lock looks at `stale` again after letting it go.
            let Ok(_writing) = self.writing.try_lock() else { return };
            self.stale.store(false, SeqCst);
            let _ = write(engine, &self.path);
        }
    }
}

/// Writes all names, replacing the file as a whole.
fn write(engine: &Engine, path: &Path) -> Result<()> {
    let mut text = String::new();
    let servers = engine.servers()?;
    let catalogues = match engine.call(StoreRequest::Tool(tools::Request::Catalogues))? {
        Reply::Tool(tools::Reply::Catalogues(catalogues)) => catalogues,
        other => return super::unexpected(&other),
    };
    for server in &servers {
        let state = if server.enabled { "enabled" } else { "disabled" };
        let _ = writeln!(text, "server\t{}\t{state}", server.name);
        if is_app(server) {
            let _ = writeln!(text, "app\t{}\t{state}", server.name);
        }
        for tool in catalogues.get(&server.id).iter().flat_map(|catalogue| &catalogue.tools) {
            let arguments = tool.argument_names().join(" ");
            let _ = writeln!(text, "tool\t{}.{}\t{arguments}", server.name, tool.name);
        }
    }
    if let Reply::Profile(environments::Reply::Profiles(profiles)) =
        engine.call(StoreRequest::Profile(environments::Request::List))?
    {
        for profile in profiles {
            let _ = writeln!(text, "profile\t{}\t", profile.name);
        }
    }
    if let Reply::Policy(rules::Reply::Policy(document)) =
        engine.call(StoreRequest::Policy(rules::Request::Show))?
    {
        for rule in document.rules {
            let _ = writeln!(text, "rule\t{}\t{}", rule.name, rule.effect.word());
        }
    }
    if let Reply::Secret(secrets::Reply::List(all)) =
        engine.call(StoreRequest::Secret(secrets::Request::List))?
    {
        for secret in all.iter().filter(|secret| !secrets::is_internal(&secret.name)) {
            let _ = writeln!(text, "secret\t{}\t", secret.name);
        }
    }
    if let Reply::Integration(integrations::Reply::Connections(all)) =
        engine.call(StoreRequest::Integration(integrations::Request::Connections))?
    {
        for connection in all {
            let _ =
                writeln!(text, "connection\t{}\t{}", connection.name, connection.user.unwrap_or_default());
        }
    }
    if let Reply::Integration(integrations::Reply::Integrations(all)) =
        engine.call(StoreRequest::Integration(integrations::Request::Integrations))?
    {
        for integration in all {
            let _ = writeln!(text, "integration\t{}\t{}", integration.name, integration.kind.word());
        }
    }
    if let Reply::Alert(alerts::Reply::Alerts(all)) =
        engine.call(StoreRequest::Alert(alerts::Request::List))?
    {
        for alert in all {
            let _ = writeln!(text, "alert\t{}\t{}", alert.name, alert.severity.word());
        }
    }
    write_schedules(engine, &mut text)?;
    if let Reply::Token(policy::Reply::Tokens(all)) =
        engine.call(StoreRequest::Token(policy::Request::List))?
    {
        for token in all.iter().filter(|token| token.revoked.is_none()) {
            let _ = writeln!(text, "token\t{}\t{}", token.name, token.scopes);
        }
    }
    if let Reply::Catalogue(catalogue::Reply::Sources(all)) =
        engine.call(StoreRequest::Catalogue(catalogue::Request::Sources))?
    {
        for source in all {
            let _ = writeln!(text, "source\t{}\t{}", source.name, source.origin.word());
        }
    }
    for name in engine.store().read(memory::names)? {
        let _ = writeln!(text, "namespace\t{name}\t");
    }
    write_skills(engine, &mut text)?;
    write_workflows(engine, &mut text)?;
    write_usage(engine, &mut text)?;
    paths::write_cache(path, text.as_bytes())?;
    write_entries(engine, &entries_file(path))
}

/// The names of the catalogues' entries stand in a file of their own, which is read when one of them is completed.
fn write_entries(engine: &Engine, path: &Path) -> Result<()> {
    match engine.store().read(catalogue::names)? {
        Some(names) if std::fs::read(path).is_ok_and(|old| old == names.as_bytes()) => Ok(()),
        Some(names) => paths::write_cache(path, names.as_bytes()),
        None => Ok(()),
    }
}

fn entries_file(path: &Path) -> PathBuf {
    path.with_extension("entries")
}

/// Names of catalogue entries that begin with `start`, at most `most`; before the first refresh the bundled ones.
pub fn read_entries(path: &Path, start: &str, most: usize) -> Vec<String> {
    let names = |text: &str| -> Vec<String> {
        let name = |key: &str| key.split_once('/').map(|(_, name)| name.to_string());
        let mut all: Vec<String> =
            text.lines().filter_map(name).filter(|name| name.starts_with(start)).take(most).collect();
        all.sort();
        all.dedup();
        all
    };
    match std::fs::read_to_string(entries_file(path)) {
        Ok(text) => names(&text),
        Err(_) => {
            let bundled = catalogue::bundled::entries().iter();
            names(&bundled.map(|entry| catalogue::key("bundled", &entry.name) + "\n").collect::<String>())
        }
    }
}

fn write_skills(engine: &Engine, text: &mut String) -> Result<()> {
    let ask = |request| engine.call(StoreRequest::Skill(request));
    if let Reply::Skill(skills::Reply::Skills(all)) = ask(skills::Request::List)? {
        for skill in all {
            let _ = writeln!(text, "skill\t{}\t{}", skill.name, skill.current);
        }
    }
    if let Reply::Skill(skills::Reply::Registries(all)) = ask(skills::Request::Registries)? {
        for registry in all {
            let _ = writeln!(text, "registry\t{}\t{}", registry.name, registry.place.word());
        }
    }
    if let Reply::Skill(skills::Reply::Publishers(all)) = ask(skills::Request::Publishers)? {
        for publisher in all {
            let _ = writeln!(text, "publisher\t{}\t{}", publisher.name, publisher.id);
        }
    }
    Ok(())
}

fn write_workflows(engine: &Engine, text: &mut String) -> Result<()> {
    if let Reply::Workflow(workflows::Reply::Definitions(all)) =
        engine.call(StoreRequest::Workflow(workflows::Request::List))?
    {
        for workflow in all {
            let _ = writeln!(text, "workflow\t{}\t{}", workflow.name, workflow.version);
        }
    }
    Ok(())
}

fn write_usage(engine: &Engine, text: &mut String) -> Result<()> {
    engine.store().read(|tx| {
        for user in usage::user::read(tx, &usage::user::Request::List)? {
            let _ = writeln!(text, "user\t{}\t", user.name);
        }
        for quota in usage::quota::all(tx)? {
            let _ = writeln!(text, "quota\t{}\t{}", quota.name, quota.action.word());
        }
        if let usage::price::Reply::Book { book, .. } = usage::price::read(tx, &usage::price::Request::Show)?
        {
            for price in book.prices {
                let _ = writeln!(text, "price\t{}\t", price.name);
            }
        }
        Ok(())
    })
}

fn write_schedules(engine: &Engine, text: &mut String) -> Result<()> {
    let ask = |request| engine.call(StoreRequest::Schedule(Box::new(request)));
    if let Reply::Schedule(schedules::Reply::Items(all)) = ask(schedules::Request::List { agent: None })? {
        for schedule in all.iter().map(|item| &item.schedule) {
            let state = if schedule.enabled { "enabled" } else { "disabled" };
            let _ = writeln!(text, "schedule\t{}\t{state}", schedule.name);
        }
    }
    if let Reply::Schedule(schedules::Reply::Agents(all)) = ask(schedules::Request::Agents)? {
        for agent in all.iter().filter(|agent| agent.name != schedules::model::EVERYONE) {
            let _ = writeln!(text, "agent\t{}\t", agent.name);
        }
    }
    Ok(())
}

/// Whether a server is an app: tools of our own, or a server that a manifest named.
pub fn is_app(server: &servers::Server) -> bool {
    matches!(server.transport, servers::model::Transport::App { .. })
        || server.origin.as_deref().is_some_and(|origin| origin.starts_with("app:"))
}

/// Names of one kind with what is said of each. A missing or odd file gives none.
pub fn read(path: &Path, kind: NameKind) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let fields = |line: &str| {
        let mut fields = line.split('\t');
        (fields.next()? == kind.word()).then_some(())?;
        Some((fields.next()?.to_string(), fields.next().unwrap_or_default().to_string()))
    };
    text.lines().filter_map(fields).collect()
}
