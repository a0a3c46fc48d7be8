//! `umcp policy explain` and `umcp policy test`: what becomes of a call, and why, without making it. Both ask the
//! functions that decide about real calls; neither starts a server or the daemon.

use super::super::context::Context;
use super::super::known::Known;
use super::ask;
use crate::documents;
use crate::error::{Error, Result, codes};
use crate::policy::rules::decide::{Called, Caller, Circumstances, hints_of};
use crate::policy::rules::explain::{Explanation, explain};
use crate::policy::rules::model::{Case, Hints};
use crate::policy::rules::{self, Effect, Kind, Policy, Request};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Show what becomes of a call, and which rules say so
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp policy explain files.write_file --client cursor path=/etc/hosts\n  umcp policy explain --prompt notes.summary\n  umcp policy explain --resource files.file:///etc/hosts"
)]
pub struct Explain {
    #[command(flatten)]
    call: Call,
}

/// Check what becomes of calls
///
/// A file may hold a policy and `cases`; with rules of its own it is checked by those, without any by the rules in
/// force.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp policy test git.push --client cursor --expect deny\n  umcp policy test -f policy.yaml"
)]
pub struct Test {
    /// Check the cases of this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "tool")]
    file: Option<PathBuf>,
    #[command(flatten)]
    call: Call,
    /// What is expected; anything else fails
    #[arg(long, value_enum, conflicts_with = "file")]
    expect: Option<Expect>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Expect {
    Allow,
    Ask,
    Deny,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum KindWord {
    Tool,
    Prompt,
    Resource,
}

impl From<KindWord> for Kind {
    fn from(word: KindWord) -> Self {
        match word {
            KindWord::Tool => Self::Tool,
            KindWord::Prompt => Self::Prompt,
            KindWord::Resource => Self::Resource,
        }
    }
}

#[derive(Debug, Args)]
struct Call {
    /// The tool, as SERVER.TOOL
    #[arg(value_name = "TOOL")]
    tool: Option<String>,
    /// A prompt instead of a tool, as SERVER.PROMPT
    #[arg(long, value_name = "PROMPT", conflicts_with_all = ["resource", "kind"])]
    prompt: Option<String>,
    /// A resource instead of a tool, as SERVER.URI
    #[arg(long, value_name = "RESOURCE", conflicts_with = "kind")]
    resource: Option<String>,
    /// What TOOL names: another way to say --prompt or --resource
    #[arg(long, value_enum, default_value_t = KindWord::Tool, hide = true)]
    kind: KindWord,
    /// Arguments of the call, as PATH=TEXT
    #[arg(value_name = "PATH=TEXT")]
    arguments: Vec<String>,
    /// The client that calls
    #[arg(long, value_name = "CLIENT", default_value = super::super::context::CLIENT)]
    client: String,
    /// The key the client comes with, by its name
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The client's profile
    #[arg(long, value_name = "PROFILE", default_value = crate::environments::DEFAULT)]
    profile: String,
    /// Labels of tools the client has used within the last hour
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    used: Vec<String>,
}

impl Call {
    fn case(&self) -> Result<Case> {
        // With a flag that says what is called, every word is an argument.
        let (called, kind, first) = match (&self.prompt, &self.resource) {
            (Some(prompt), _) => (Some(prompt), Kind::Prompt, self.tool.as_ref()),
            (_, Some(resource)) => (Some(resource), Kind::Resource, self.tool.as_ref()),
            _ => (self.tool.as_ref(), self.kind.into(), None),
        };
        let Some(tool) = called.cloned() else {
            return Err(Error::new(&codes::USAGE, "which tool is meant?").hint("umcp tool list"));
        };
        let mut arguments = std::collections::BTreeMap::new();
        for word in first.into_iter().chain(&self.arguments) {
            let (path, value) = word.split_once('=').ok_or_else(|| {
                Error::new(&codes::USAGE, format!("`{word}` is no argument")).hint("write PATH=TEXT")
            })?;
            arguments.insert(path.to_string(), value.to_string());
        }
        Ok(Case {
            tool,
            kind,
            client: self.client.clone(),
            token: self.token.clone(),
            profile: Some(self.profile.clone()),
            arguments,
            hints: Hints::default(),
            expect: Effect::Allow,
        })
    }

    fn explain(&self, ctx: &Context) -> Result<Report> {
        let policy = Arc::new(Policy::compile(&ask(ctx, Request::Show)?)?);
        let known = Known::read(ctx)?;
        let mut case = self.case()?;
        let (mut found, mut meant) = (false, None);
        match (case.kind, known.tool(&case.tool)) {
            (Kind::Tool, Ok(tool)) => {
                case.tool = tool.path();
                case.hints = hints_of(&tool.tool.json);
                found = true;
            }
            (Kind::Tool, Err(error)) if !case.tool.contains('.') => return Err(error),
            // What no server offers is still decided about, by its name.
            (Kind::Tool, Err(error)) => {
                meant = error.hints.into_iter().find(|hint| hint.starts_with("did you mean"));
            }
            (kind, _) => {
                let paths = listed(&known, kind);
                found = paths.contains(&case.tool);
                let near = documents::near(&case.tool, paths.iter().map(String::as_str));
                meant = near.filter(|_| !found).map(|near| format!("did you mean `{near}`?"));
            }
        }
        let used = self.used.iter().cloned().collect();
        let explanation = decide(&policy, &case, ctx.clock.now().local(), &used)?;
        Ok(Report { tool: case.tool, kind: case.kind, client: case.client, known: found, meant, explanation })
    }
}

/// Prompts or resources of all servers, as they are typed.
fn listed(known: &Known, kind: Kind) -> Vec<String> {
    let of = |server: &crate::servers::Server| {
        let catalogue = known.catalogue(server)?;
        let items = if kind == Kind::Prompt { &catalogue.prompts } else { &catalogue.resources };
        Some(items.iter().map(|item| format!("{}.{}", server.name, item.key)).collect::<Vec<_>>())
    };
    known.servers.iter().filter_map(of).flatten().collect()
}

fn decide(
    policy: &Arc<Policy>,
    case: &Case,
    time: (u8, u16),
    used: &BTreeSet<String>,
) -> Result<Explanation> {
    let (server, tool) = case.tool.split_once('.').ok_or_else(|| {
        Error::new(&codes::USAGE, format!("`{}` is no tool", case.tool)).hint("write SERVER.TOOL")
    })?;
    let caller = Caller {
        client: case.client.as_str().into(),
        token: case.token.as_deref().map(Into::into),
        profile: case.profile.as_deref().unwrap_or(crate::environments::DEFAULT).into(),
    };
    let mut arguments = Map::new();
    for (path, value) in &case.arguments {
        place(&mut arguments, path, value);
    }
    let arguments = Value::Object(arguments).to_string();
    let circumstances = Circumstances { arguments: &arguments, time, used };
    Ok(explain(policy, &caller, &Called { server, kind: case.kind, tool, hints: case.hints }, &circumstances))
}

/// Puts a value at a path of keys.
fn place(map: &mut Map<String, Value>, path: &str, value: &str) {
    match path.split_once('.') {
        None => drop(map.insert(path.into(), value.into())),
        Some((key, rest)) => {
            let inner = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Some(inner) = inner.as_object_mut() {
                place(inner, rest, value);
            }
        }
    }
}

impl Explain {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&self.call.explain(ctx)?)
    }
}

impl Test {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if let Some(file) = &self.file {
            return self.cases(ctx, file);
        }
        let report = self.call.explain(ctx)?;
        let effect = report.explanation.effect;
        let expected = self.expect.map(|expect| match expect {
            Expect::Allow => Effect::Allow,
            Expect::Ask => Effect::Ask,
            Expect::Deny => Effect::Deny,
        });
        match expected {
            Some(expected) if expected != effect => {
                let message = format!("`{}`: {}, not {}", report.tool, effect.word(), expected.word());
                let error = Error::new(&codes::DIFFERS, message);
                ctx.ui.show_failed(&report, &error)?;
                Err(error)
            }
            _ => ctx.ui.show(&report),
        }
    }

    fn cases(&self, ctx: &Context, file: &std::path::Path) -> Result<()> {
        let path = file.display().to_string();
        let document = rules::file::parse(&path, &documents::read_file(file)?)?;
        if document.cases.is_empty() {
            return Err(Error::new(&codes::FILE_INVALID, format!("`{path}` has no `cases`"))
                .hint("a case is {tool: SERVER.TOOL, client: NAME, expect: deny}"));
        }
        let in_force = document.rules.is_empty() && document.default.is_none();
        let policy = if in_force { ask(ctx, Request::Show)? } else { document.clone() };
        let policy = Arc::new(Policy::compile(&policy)?);
        let time = ctx.clock.now().local();
        let outcome = |case: Case| {
            let explanation = decide(&policy, &case, time, &BTreeSet::new())?;
            Ok(Outcome {
                ok: explanation.effect == case.expect,
                got: explanation.effect,
                rule: explanation.rule,
                case,
            })
        };
        let outcomes = document.cases.into_iter().map(outcome).collect::<Result<Vec<_>>>()?;
        let failed = outcomes.iter().filter(|outcome| !outcome.ok).count();
        let outcomes = Outcomes { cases: outcomes };
        if failed == 0 {
            return ctx.ui.show(&outcomes);
        }
        let error =
            Error::new(&codes::DIFFERS, format!("{} decided otherwise", text::plural(failed, "case")));
        ctx.ui.show_failed(&outcomes, &error)?;
        Err(error)
    }
}

#[derive(Serialize)]
struct Report {
    tool: String,
    #[serde(skip_serializing_if = "Kind::is_tool")]
    kind: Kind,
    client: String,
    /// Whether some server is known to offer it.
    known: bool,
    /// What may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    meant: Option<String>,
    #[serde(flatten)]
    explanation: Explanation,
}

fn state(effect: Effect) -> State {
    match effect {
        Effect::Deny => State::Fail,
        Effect::Ask => State::Warn,
        _ => State::Ok,
    }
}

impl Output for Report {
    const KIND: &'static str = "policy.explain/1";

    fn human(&self, page: &mut Page) {
        let it = &self.explanation;
        let by = it.rule.as_ref().map_or("no rule decides".into(), |rule| format!("rule {rule}"));
        let why = it.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
        page.mark(
            state(it.effect),
            format!("{} {} for {}: {by}{why}", it.effect.word(), self.tool, self.client),
        );
        if !self.known {
            page.text(match self.kind {
                Kind::Tool => "no server is known to offer this tool; its hints count as not given".into(),
                kind => format!("no server is known to list this {}", kind.word()),
            });
        }
        if let Some(meant) = &self.meant {
            page.text(meant);
        }
        if !it.listed {
            page.text("the client does not see it in lists");
        }
        if !it.labels.is_empty() {
            page.text(format!("labels: {}", it.labels.join(", ")));
        }
        for rule in &it.rules {
            match rule.misses {
                None => page.mark(state(rule.effect), format!("{} ({}) fits", rule.name, rule.effect.word())),
                Some(condition) => page.mark(
                    State::Off,
                    format!("{} ({}) does not fit: {condition}", rule.name, rule.effect.word()),
                ),
            };
        }
        match &it.rule {
            Some(rule) if it.effect != Effect::Allow => {
                page.text(format!("change it: umcp policy show {rule}, umcp policy delete {rule}"));
            }
            _ => {}
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.explanation.effect.word().into()]
    }
}

#[derive(Serialize)]
struct Outcome {
    ok: bool,
    got: Effect,
    rule: Option<String>,
    #[serde(flatten)]
    case: Case,
}

#[derive(Serialize)]
struct Outcomes {
    cases: Vec<Outcome>,
}

impl Output for Outcomes {
    const KIND: &'static str = "policy.test/1";

    fn human(&self, page: &mut Page) {
        for Outcome { ok, got, rule, case } in &self.cases {
            let client = if case.client.is_empty() { "anybody" } else { &case.client };
            let by = rule.as_ref().map_or(String::new(), |rule| format!(" by {rule}"));
            let wanted = if *ok { String::new() } else { format!(", not {}", case.expect.word()) };
            let state = if *ok { State::Ok } else { State::Fail };
            page.mark(state, format!("{} for {client}: {}{by}{wanted}", case.tool, got.word()));
        }
    }
}
