//! The verbs of `umcp policy` that change it: rules, roles, labels, the default, presets. A change is checked as a
//! whole before it holds; clients see it at once. Long because each verb comes with its arguments and their words.

use super::super::context::Context;
use super::ask;
use crate::documents;
use crate::engine::Reply;
use crate::error::{Error, Result, codes};
use crate::policy;
use crate::policy::rules::model::{Hints, Limit};
use crate::policy::rules::{self, Document, Effect, Request, Rule, presets};
use crate::servers::formats::own::parse_time;
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Set a rule, or take over a policy file
///
/// A rule of the same name is replaced. Conditions that are given must all hold; of the words of one condition, one
/// is enough. Deny beats ask, ask beats allow.
///
/// A rule that names no tool, prompt or resource is about all of them; one that names some is about those alone. To deny
/// or redact all tools of a server (`SERVER.*`) goes for its prompts and resources, too.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp policy set no-push --effect deny --tool 'git.push*' --client cursor\n  umcp policy set etc --effect deny --server files --argument 'path=/etc/*'\n  umcp policy set no-etc --effect deny --resource 'file:///etc/*'\n  umcp policy set slow --effect limit --tool 'web.*' --calls 30 --per 1m\n  umcp policy set -f policy.yaml --replace"
)]
pub struct Set {
    #[arg(value_name = "RULE", required_unless_present = "file", conflicts_with = "file")]
    name: Option<String>,
    /// Take over this policy file: YAML, JSON or TOML
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Let the file stand for everything there was
    #[arg(long, requires = "file")]
    replace: bool,
    /// What becomes of calls that fit
    #[arg(long, value_enum, required_unless_present = "file", conflicts_with = "file")]
    effect: Option<EffectWord>,
    #[command(flatten)]
    conditions: Conditions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EffectWord {
    Allow,
    /// Ask you first
    Ask,
    Deny,
    /// Take matches of --redact out of results
    Redact,
    /// Bound calls and sizes
    Limit,
}

impl From<EffectWord> for Effect {
    fn from(word: EffectWord) -> Self {
        match word {
            EffectWord::Allow => Self::Allow,
            EffectWord::Ask => Self::Ask,
            EffectWord::Deny => Self::Deny,
            EffectWord::Redact => Self::Redact,
            EffectWord::Limit => Self::Limit,
        }
    }
}

#[derive(Debug, Args)]
#[group(conflicts_with = "file")]
struct Conditions {
    /// These clients; patterns may hold `*`
    #[arg(long, value_name = "CLIENT", value_delimiter = ',')]
    client: Vec<String>,
    /// Clients and keys of these roles
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    role: Vec<String>,
    /// Clients with these profiles
    #[arg(long, value_name = "PROFILE", value_delimiter = ',')]
    profile: Vec<String>,
    /// Tools of these servers
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    server: Vec<String>,
    /// These tools, as SERVER.TOOL or the tool's own name
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    tool: Vec<String>,
    /// These prompts, as SERVER.PROMPT or the prompt's own name
    #[arg(long, value_name = "PROMPT", value_delimiter = ',')]
    prompt: Vec<String>,
    /// These resources, by their URIs; patterns may hold `*`
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,
    /// Tools with one of these labels
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    label: Vec<String>,
    /// Calls with this argument, as PATH=PATTERN; `re:` begins a regular expression
    #[arg(long, value_name = "PATH=PATTERN", value_parser = pair)]
    argument: Vec<(String, String)>,
    /// Tools whose server says so: read-only, destructive, open-world, each with =true or =false
    #[arg(long, value_name = "HINT", value_parser = hint)]
    hint: Vec<(String, bool)>,
    /// Once the client has used tools of all these labels within the last hour
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    after: Vec<String>,
    /// Within these hours, such as 09:00-18:00
    #[arg(long, value_name = "HOURS")]
    hours: Option<String>,
    /// On these days, mon to sun
    #[arg(long, value_name = "DAYS", value_delimiter = ',')]
    days: Vec<String>,
    /// What to take out of results: a regular expression, `keys` or `emails`
    #[arg(long, value_name = "PATTERN")]
    redact: Vec<String>,
    /// At most so many calls within --per, of each tool by each client
    #[arg(long, value_name = "N", requires = "per")]
    calls: Option<u32>,
    /// The time that --calls counts in, such as 1m
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "calls")]
    per: Option<u64>,
    /// Largest arguments
    #[arg(long, value_name = "BYTES")]
    argument_bytes: Option<u64>,
    /// Largest result
    #[arg(long, value_name = "BYTES")]
    result_bytes: Option<u64>,
    /// Deepest arguments
    #[arg(long, value_name = "LEVELS")]
    depth: Option<u32>,
    /// Why; told to whoever is refused or asked
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (path, pattern) = text.split_once('=').ok_or("write PATH=PATTERN")?;
    Ok((path.into(), pattern.into()))
}

fn hint(text: &str) -> Result<(String, bool), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, "true"));
    let name = name.replace('_', "-");
    match (["read-only", "destructive", "open-world"].contains(&name.as_str()), value) {
        (true, "true") => Ok((name, true)),
        (true, "false") => Ok((name, false)),
        _ => Err("write read-only, destructive or open-world, with =true or =false".into()),
    }
}

impl Set {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let document = match (&self.file, self.name, self.effect) {
            (Some(file), _, _) => {
                let text = documents::read_file(file)?;
                rules::file::parse(&file.display().to_string(), &text)?
            }
            (None, Some(name), Some(effect)) => {
                let rule = self.conditions.rule(name, effect.into());
                let bare = Rule { name: rule.name.clone(), effect: rule.effect, ..Rule::default() };
                if rule == bare && matches!(rule.effect, Effect::Deny | Effect::Ask) {
                    let message = format!("this rule would {} everything to everybody", rule.effect.word());
                    return Err(Error::new(&codes::USAGE, message)
                        .hint("say for what: --tool, --server, --client, --role, --prompt or --resource")
                        .hint("or mean it: --tool '*'"));
                }
                Document { rules: vec![rule], ..Document::default() }
            }
            _ => return Err(Error::new(&codes::USAGE, "a rule has a name and an effect")),
        };
        let tokens = document.roles.values().flat_map(|role| role.tokens.clone()).collect::<Vec<_>>();
        if let Err(error) = check_tokens(ctx, &tokens) {
            // A file may come before the keys it speaks of.
            ctx.ui.warn(&error.to_string());
        }
        let names = document.rules.iter().map(|rule| rule.name.clone()).collect();
        put(ctx, document, self.replace, "set", names)
    }
}

impl Conditions {
    fn rule(self, name: String, effect: Effect) -> Rule {
        let said = |name: &str| self.hint.iter().find(|(word, _)| word == name).map(|(_, value)| *value);
        let limit = Limit {
            calls: self.calls,
            per_seconds: self.per.map(|time| u32::try_from(time.div_ceil(1000)).unwrap_or(u32::MAX)),
            argument_bytes: self.argument_bytes,
            result_bytes: self.result_bytes,
            depth: self.depth,
        };
        Rule {
            name,
            effect,
            hints: Hints {
                read_only: said("read-only"),
                destructive: said("destructive"),
                open_world: said("open-world"),
            },
            clients: self.client,
            roles: self.role,
            profiles: self.profile,
            servers: self.server,
            tools: self.tool,
            prompts: self.prompt,
            resources: self.resource,
            arguments: self.argument.into_iter().collect(),
            labels: self.label,
            after: self.after,
            hours: self.hours,
            days: self.days,
            redact: self.redact,
            limit: (limit != Limit::default()).then_some(limit),
            reason: self.reason,
        }
    }
}

/// Delete rules
#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "RULE", required = true)]
    names: Vec<String>,
}

impl Delete {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ask(ctx, Request::DeleteRules { names: self.names.clone() })?;
        ctx.ui.show(&Changed { done: "deleted", names: self.names })
    }
}

/// Set what becomes of calls that no rule decides
///
/// At first it is `allow`. With `deny` clients see only the tools, prompts and resources that some rule allows.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp policy default ask")]
pub struct Default {
    #[arg(value_enum, value_name = "EFFECT")]
    effect: DefaultWord,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DefaultWord {
    Allow,
    Ask,
    Deny,
}

impl Default {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let effect = match self.effect {
            DefaultWord::Allow => Effect::Allow,
            DefaultWord::Ask => Effect::Ask,
            DefaultWord::Deny => Effect::Deny,
        };
        let document = Document { default: Some(effect), ..Document::default() };
        put(ctx, document, false, "by default:", vec![effect.word().into()])
    }
}

/// Say who has a role, for rules with `--role`
///
/// A key of the HTTP endpoint cannot be pretended; the name of a client that comes without one can.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp policy role guest --client 'chat*' --token ci")]
pub struct Role {
    #[arg(value_name = "ROLE")]
    name: String,
    /// These clients; patterns may hold `*`
    #[arg(long, value_name = "CLIENT", value_delimiter = ',')]
    client: Vec<String>,
    /// These keys, by the names they were made with
    #[arg(long, value_name = "TOKEN", value_delimiter = ',')]
    token: Vec<String>,
    /// Delete the role
    #[arg(long, conflicts_with_all = ["client", "token"])]
    remove: bool,
}

impl Role {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let names = vec![self.name.clone()];
        if self.remove {
            ask(ctx, Request::DeleteRole { name: self.name })?;
            return ctx.ui.show(&Changed { done: "deleted role", names });
        }
        check_tokens(ctx, &self.token)?;
        let role = rules::model::Role { clients: self.client, tokens: self.token };
        let document = Document { roles: [(self.name, role)].into(), ..Document::default() };
        put(ctx, document, false, "set role", names)
    }
}

/// A role of a key that does not exist would be nobody's, or somebody's who is given that name later.
fn check_tokens(ctx: &Context, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let Reply::Token(policy::Reply::Tokens(tokens)) = ctx.call(policy::Request::List)? else {
        return Err(Error::bug("no list of keys in the reply"));
    };
    let known: Vec<&str> =
        tokens.iter().filter(|it| it.revoked.is_none()).map(|it| it.name.as_str()).collect();
    let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let error = Error::new(&codes::TOKEN_NOT_FOUND, format!("no token named `{name}`"));
    Err(match documents::near(name, known.iter().copied()) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!("umcp token create {name}")),
    })
}

/// Give tools a label, for rules with `--label` and `--after`
///
/// `untrusted`, `private` and `sends` are the labels of the preset `flow`. A tool that says of itself that it reaches
/// the world is `untrusted` without being told, and `sends` when it also says that it writes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp policy label private 'mail.*' files.read_file")]
pub struct Label {
    #[arg(value_name = "LABEL")]
    name: String,
    /// Tools as SERVER.TOOL, or patterns with `*`; they stand for those the label had
    #[arg(value_name = "TOOL", required_unless_present = "remove")]
    tools: Vec<String>,
    /// Delete the label
    #[arg(long, conflicts_with = "tools")]
    remove: bool,
}

impl Label {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let names = vec![self.name.clone()];
        if self.remove {
            ask(ctx, Request::DeleteLabel { name: self.name })?;
            return ctx.ui.show(&Changed { done: "deleted label", names });
        }
        let document = Document { labels: [(self.name, self.tools)].into(), ..Document::default() };
        put(ctx, document, false, "set label", names)
    }
}

/// List ready-made rules, or take some over
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp policy preset read-only --client 'chat*'")]
pub struct Preset {
    #[arg(value_name = "PRESET", value_parser = presets::all().iter().map(|it| it.name).collect::<Vec<_>>())]
    name: Option<String>,
    /// Only for these clients; patterns may hold `*`
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', requires = "name")]
    client: Vec<String>,
    /// Only for clients and keys of these roles
    #[arg(long, value_name = "ROLE", value_delimiter = ',', requires = "name")]
    role: Vec<String>,
}

impl Preset {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Some(name) = self.name else { return ctx.ui.show(&Presets) };
        let preset = presets::find(&name).ok_or_else(|| Error::bug("a listed preset is missing"))?;
        let mut rules = preset.rules;
        for rule in &mut rules {
            rule.clients.clone_from(&self.client);
            rule.roles.clone_from(&self.role);
        }
        let names = rules.iter().map(|rule| rule.name.clone()).collect();
        put(ctx, Document { rules, ..Document::default() }, false, "set", names)
    }
}

fn put(
    ctx: &Context,
    document: Document,
    replace: bool,
    done: &'static str,
    names: Vec<String>,
) -> Result<()> {
    ask(ctx, Request::Put { document: Box::new(document), replace })?;
    ctx.ui.show(&Changed { done, names })
}

#[derive(Serialize)]
struct Changed {
    #[serde(skip)]
    done: &'static str,
    names: Vec<String>,
}

impl Output for Changed {
    const KIND: &'static str = "policy.changed/1";

    fn human(&self, page: &mut Page) {
        for name in &self.names {
            page.mark(State::Ok, format!("{} {name}", self.done));
        }
        if self.names.is_empty() {
            page.mark(State::Ok, "the policy has no rules");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.names.clone()
    }
}

struct Presets;

impl Serialize for Presets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(presets::all().iter().map(
            |preset| serde_json::json!({"name": preset.name, "about": preset.about, "rules": preset.rules}),
        ))
    }
}

impl Output for Presets {
    const KIND: &'static str = "policy.presets/1";

    fn human(&self, page: &mut Page) {
        let mut table = Table::new("", [Column::new("preset"), Column::new("does").wraps()]);
        for preset in presets::all() {
            table.row([Cell::from(preset.name), preset.about.into()]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        presets::all().iter().map(|preset| preset.name.into()).collect()
    }
}
