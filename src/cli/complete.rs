//! `umcp __complete`: what could stand at the cursor. The scripts in `completions/` run it at every Tab.
//! It reads the names index and nothing else: neither the daemon nor the store's lock is waited for.

use super::context::Context;
use crate::engine::names_index::{self, NameKind};
use crate::error::Result;
use crate::paths::Paths;
use clap::{Arg, ArgAction, Args, Command};

/// What could stand at the cursor
#[derive(Debug, Args)]
pub struct Complete {
    /// The words of the line after the program's name; the last one is being typed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A word that could stand there, and what it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    pub word: String,
    pub about: String,
}

impl Complete {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut root = super::command();
        root.build();
        let typed = self.words.last().map_or("", String::as_str);
        let candidates = candidates(&root, &self.words, &|kind| names(&ctx.paths, kind, typed));
        let line = |candidate: &Candidate| match candidate.about.as_str() {
            "" => format!("{}\n", candidate.word),
            about => format!("{}\t{about}\n", candidate.word),
        };
        ctx.ui.raw(&candidates.iter().map(line).collect::<String>())
    }
}

/// What the values of an argument name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    Index(NameKind),
    /// Servers and files.
    ServersOrFiles,
    /// What one can sign in at: servers, integrations, and connections that want it again.
    Targets,
    Codes,
    Clients,
    /// Entries of catalogues; there are tens of thousands, so only those that begin like the word are read.
    Entries,
}

/// So many entries are offered at most; a longer list helps nobody.
const MOST_ENTRIES: usize = 200;

fn names(paths: &Paths, names: Names, typed: &str) -> Vec<(String, String)> {
    match names {
        Names::Index(kind) => names_index::read(&paths.names_index(), kind),
        Names::ServersOrFiles => names_index::read(&paths.names_index(), NameKind::Server),
        Names::Targets => [NameKind::Server, NameKind::Integration, NameKind::Connection]
            .into_iter()
            .flat_map(|kind| names_index::read(&paths.names_index(), kind))
            .collect(),
        Names::Entries => {
            let found = names_index::read_entries(&paths.names_index(), typed, MOST_ENTRIES);
            found.into_iter().map(|name| (name, String::new())).collect()
        }
        Names::Clients => {
            crate::clients::CLIENTS.iter().map(|client| (client.id.into(), client.name.into())).collect()
        }
        Names::Codes => {
            crate::error::codes::ALL.iter().map(|code| (code.code.into(), code.name.into())).collect()
        }
    }
}

/// The words that begin like the last one, at the place where it stands.
pub fn candidates(
    root: &Command,
    words: &[String],
    names: &dyn Fn(Names) -> Vec<(String, String)>,
) -> Vec<Candidate> {
    let (current, before) =
        words.split_last().map_or(("", &words[..0]), |(last, before)| (last.as_str(), before));
    let place = place(root, before);
    let found = match &place.wants {
        Wants::Value(arg) => values(arg, &place.path, names),
        Wants::Nothing => Vec::new(),
        Wants::Word if current.starts_with('-') => return matching(flags(place.command), current, false),
        Wants::Word => {
            if let Some(tool) = place.called(before) {
                return matching(arguments(tool, before, names), current, true);
            }
            let mut found = verbs(place.command);
            if let Some(arg) = place.positional() {
                found.extend(values(arg, &place.path, names));
            }
            // `umcp SERVER.TOOL` needs no `call`; offered once a dot says that a tool is meant.
            if place.path.is_empty() && current.contains('.') {
                found.extend(as_candidates(names(Names::Index(NameKind::Tool))));
            }
            found
        }
    };
    matching(found, current, true)
}

/// Candidates with this beginning. Names are sorted and offered once; verbs keep the order of the help.
fn matching(found: Vec<Candidate>, current: &str, keep_order: bool) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> =
        found.into_iter().filter(|candidate| candidate.word.starts_with(current)).collect();
    if !keep_order {
        kept.sort();
    }
    kept
}

struct Place<'a> {
    command: &'a Command,
    /// Names of the commands above, the program's own left out.
    path: Vec<&'a str>,
    /// Positional words that were typed already.
    positionals: usize,
    wants: Wants<'a>,
}

enum Wants<'a> {
    Word,
    Value(&'a Arg),
    /// After `--` stands a command line of somebody else.
    Nothing,
}

impl<'a> Place<'a> {
    /// The tool of a call whose arguments begin here.
    fn called(&self, before: &'a [String]) -> Option<&'a str> {
        let is_call = self.path.last() == Some(&"call");
        let named = |word: &&String| word.contains('.') && !word.starts_with('-') && !word.contains('=');
        // `umcp SERVER.TOOL` needs no `call`.
        let wanted = is_call || self.path.is_empty();
        before.iter().find(named).filter(|_| wanted && self.positionals > 0).map(String::as_str)
    }

    fn positional(&self) -> Option<&'a Arg> {
        let mut args = self.command.get_positionals().filter(|arg| !arg.is_hide_set() && !arg.is_last_set());
        let all: Vec<&Arg> = args.by_ref().collect();
        let is_list = |arg: &&&Arg| matches!(arg.get_action(), ArgAction::Append);
        all.get(self.positionals).or_else(|| all.last().filter(is_list)).copied()
    }
}

/// What else a call of the tool could say: the arguments that were not given yet, each up to its `=`.
fn arguments(
    tool: &str,
    before: &[String],
    names: &dyn Fn(Names) -> Vec<(String, String)>,
) -> Vec<Candidate> {
    let tools = names(Names::Index(NameKind::Tool));
    let known = tools.iter().find(|(name, _)| name == tool).map_or("", |(_, arguments)| arguments.as_str());
    let given = |name: &&str| {
        before.iter().any(|word| {
            word.split_once('=').is_some_and(|(given, _)| given.strip_suffix(':').unwrap_or(given) == *name)
        })
    };
    let left = known.split(' ').filter(|name| !name.is_empty() && !given(name));
    left.map(|name| Candidate { word: format!("{name}="), about: String::new() }).collect()
}

fn place<'a>(root: &'a Command, before: &[String]) -> Place<'a> {
    let mut place = Place { command: root, path: Vec::new(), positionals: 0, wants: Wants::Word };
    for word in before {
        match place.wants {
            Wants::Value(_) => place.wants = Wants::Word,
            Wants::Nothing => break,
            Wants::Word if word == "--" => place.wants = Wants::Nothing,
            Wants::Word if word.starts_with('-') => {
                let takes = flag(place.command, word).filter(|arg| takes_word(arg) && !word.contains('='));
                place.wants = takes.map_or(Wants::Word, Wants::Value);
            }
            Wants::Word => match place.command.find_subcommand(word).filter(|_| place.positionals == 0) {
                Some(verb) => {
                    place.command = verb;
                    place.path.push(verb.get_name());
                }
                None => place.positionals += 1,
            },
        }
    }
    place
}

fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.split('=').next().unwrap_or(word);
    command.get_arguments().find(|arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => name.chars().nth(1).is_some_and(|short| arg.get_short() == Some(short)),
    })
}

/// Whether a flag takes the next word as its value.
fn takes_word(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_require_equals_set()
}

fn verbs(command: &Command) -> Vec<Candidate> {
    let about = |verb: &Command| verb.get_about().map(ToString::to_string).unwrap_or_default();
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    shown.map(|verb| Candidate { word: verb.get_name().into(), about: about(verb) }).collect()
}

fn flags(command: &Command) -> Vec<Candidate> {
    let about = |arg: &Arg| arg.get_help().map(ToString::to_string).unwrap_or_default();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown
        .filter_map(|arg| Some(Candidate { word: format!("--{}", arg.get_long()?), about: about(arg) }))
        .collect()
}

fn values(arg: &Arg, path: &[&str], names: &dyn Fn(Names) -> Vec<(String, String)>) -> Vec<Candidate> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() && !matches!(arg.get_action(), ArgAction::SetTrue) {
        let about = |value: &clap::builder::PossibleValue| {
            value.get_help().map(ToString::to_string).unwrap_or_default()
        };
        return possible
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| Candidate { word: value.get_name().into(), about: about(value) })
            .collect();
    }
    let kind = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    kind.and_then(|kind| named(kind, path)).map(|kind| as_candidates(names(kind))).unwrap_or_default()
}

/// What a value name such as `SERVER` stands for. Only the place of a new name is left without names.
fn named(value_name: &str, path: &[&str]) -> Option<Names> {
    match value_name {
        "SERVER" => Some(Names::Index(NameKind::Server)),
        "SERVER|FILE" => Some(Names::ServersOrFiles),
        "TOOL" => Some(Names::Index(NameKind::Tool)),
        "PROFILE" if path != ["profile", "create"] => Some(Names::Index(NameKind::Profile)),
        "RULE" if path != ["policy", "set"] => Some(Names::Index(NameKind::Rule)),
        "CONNECTION" => Some(Names::Index(NameKind::Connection)),
        "INTEGRATION" => Some(Names::Index(NameKind::Integration)),
        "TARGET" => Some(Names::Targets),
        "SECRET" => Some(Names::Index(NameKind::Secret)),
        "APP" => Some(Names::Index(NameKind::App)),
        "COMMAND" => Some(Names::Index(NameKind::Tool)),
        "SCHEDULE" => Some(Names::Index(NameKind::Schedule)),
        "SKILL" | "SKILL|PATH" => Some(Names::Index(NameKind::Skill)),
        "WORKFLOW" | "WORKFLOW|FILE" => Some(Names::Index(NameKind::Workflow)),
        "REGISTRY" => Some(Names::Index(NameKind::Registry)),
        "PUBLISHER" => Some(Names::Index(NameKind::Publisher)),
        "AGENT" if path != ["agent", "create"] => Some(Names::Index(NameKind::Agent)),
        "TOKEN" => Some(Names::Index(NameKind::Token)),
        "ALERT" | "ALERT|EXPRESSION" => Some(Names::Index(NameKind::Alert)),
        "PRICE" => Some(Names::Index(NameKind::Price)),
        "QUOTA" => Some(Names::Index(NameKind::Quota)),
        "USER" => Some(Names::Index(NameKind::User)),
        "ENTRY" => Some(Names::Entries),
        "SOURCE" => Some(Names::Index(NameKind::Source)),
        "NAMESPACE" if path != ["memory", "namespace", "create"] => Some(Names::Index(NameKind::Namespace)),
        "CODE" => Some(Names::Codes),
        "CLIENT" => Some(Names::Clients),
        _ => None,
    }
}

fn as_candidates(names: Vec<(String, String)>) -> Vec<Candidate> {
    names.into_iter().map(|(word, about)| Candidate { word, about }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &[&str]) -> Vec<String> {
        let mut root = super::super::command();
        root.build();
        let words: Vec<String> = line.iter().map(ToString::to_string).collect();
        let names = |names: Names| match names {
            Names::Index(NameKind::Server) => {
                vec![("git".into(), "enabled".into()), ("time".into(), String::new())]
            }
            Names::Index(NameKind::Tool) => vec![("time.now".into(), "zone format".into())],
            Names::Index(NameKind::Profile) => vec![("work".into(), String::new())],
            Names::Index(NameKind::Rule) => vec![("no-push".into(), "deny".into())],
            Names::Index(NameKind::Secret) => vec![("GITHUB_TOKEN".into(), String::new())],
            Names::Index(NameKind::Schedule) => vec![("nightly".into(), "enabled".into())],
            Names::Index(NameKind::Agent) => vec![("bot".into(), String::new())],
            Names::Index(NameKind::Token) => vec![("laptop".into(), String::new())],
            Names::Index(NameKind::Alert) => vec![("failing".into(), "warning".into())],
            Names::Index(NameKind::Price) => vec![("sonnet".into(), String::new())],
            Names::Index(NameKind::Quota) => vec![("spend".into(), "block".into())],
            Names::Index(NameKind::User) => vec![("ann".into(), String::new())],
            Names::Index(NameKind::App) => vec![("petstore".into(), "enabled".into())],
            Names::ServersOrFiles => vec![("git".into(), String::new())],
            Names::Index(NameKind::Connection) => vec![("me".into(), String::new())],
            Names::Index(NameKind::Integration) => vec![("github".into(), String::new())],
            Names::Targets => vec![("git".into(), String::new()), ("github".into(), String::new())],
            Names::Codes => vec![("UM0401".into(), String::new())],
            Names::Index(NameKind::Namespace) => vec![("team".into(), String::new())],
            Names::Index(NameKind::Skill) => vec![("greet".into(), "1.0.0".into())],
            Names::Index(NameKind::Workflow) => vec![("nightly".into(), "1.0.0".into())],
            Names::Index(NameKind::Registry) => vec![("team".into(), "folder".into())],
            Names::Index(NameKind::Publisher) => vec![("acme".into(), String::new())],
            Names::Index(NameKind::Source) => vec![("official".into(), "registry".into())],
            Names::Entries => vec![("playwright".into(), String::new())],
            Names::Clients => vec![("cursor".into(), "Cursor".into())],
        };
        candidates(&root, &words, &names).into_iter().map(|candidate| candidate.word).collect()
    }

    #[test]
    fn a_place_tells_what_fits() {
        for (line, expected) in [
            (&["serv"][..], &["server", "serve"][..]),
            (&["server", "re"], &["rename", "remove", "restart"]),
            (&["server", "show", ""], &["git", "time"]),
            (&["server", "remove", "git", "t"], &["time"]),
            (&["--json", "server", "show", "g"], &["git"]),
            (&["server", "rename", "git", ""], &[]),
            (&["server", "add", "--transport", "s"], &["stdio", "sse", "socket"]),
            (&["server", "add", "x", "--", "py"], &[]),
            (&["call", "time."], &["time.now"]),
            (&["time.n"], &["time.now"]),
            (&["call", "time.now", ""], &["zone=", "format="]),
            (&["call", "time.now", "zone=UTC", ""], &["format="]),
            (&["tool", "call", "time.now", "zone:=1", "--timeout", "3s", "f"], &["format="]),
            (&["--json", "time.now", "z"], &["zone="]),
            (&["call", "time.now", "--timeout", ""], &[]),
            (&["call", "no.such", ""], &[]),
            (&["profile", "create", ""], &[]),
            (&["token", "rotate", ""], &["laptop"]),
            (&["token", "create", ""], &[]),
            (&["profile", "use", ""], &["work"]),
            (&["server", "list", "--st"], &["--status"]),
            (&["explain", "UM"], &["UM0401"]),
            (&["client", "connect", "c"], &["cursor"]),
            (&["profile", "use", "work", "--client", ""], &["cursor"]),
            (&["policy", "delete", ""], &["no-push"]),
            (&["completions", "z"], &["zsh"]),
            (&["server", "start", ""], &["git"]),
            (&["connection", "create", ""], &["git", "github"]),
            (&["connection", "revoke", "m"], &["me"]),
            (&["integration", "show", ""], &["github"]),
            (&["secret", "delete", ""], &["GITHUB_TOKEN"]),
            (&["secret", "set", ""], &[]),
            (&["catalog", "install", "p"], &["playwright"]),
            (&["catalog", "refresh", ""], &["official"]),
            (&["catalog", "search", "x", "--source", "o"], &["official"]),
            (&["catalog", "search", "--category", "br"], &["browser"]),
            (&["command", "list", ""], &["petstore"]),
            (&["schedule", "pause", "n"], &["nightly"]),
            (&["schedule", "create", ""], &[]),
            (&["schedule", "list", "--agent", ""], &["bot"]),
            (&["command", "run", "t"], &["time.now"]),
            (&["memory", "search", "x", "--namespace", "t"], &["team"]),
            (&["memory", "namespace", "create", ""], &[]),
            (&["alert", "silence", "f"], &["failing"]),
            (&["alert", "create", ""], &[]),
            (&["skill", "info", ""], &["greet"]),
            (&["workflow", "execute", "n"], &["nightly"]),
            (&["schedule", "create", "x", "--workflow", ""], &["nightly"]),
            (&["skill", "create", ""], &[]),
            (&["skill", "registry", "refresh", "t"], &["team"]),
            (&["skill", "trust", "forget", ""], &["acme"]),
        ] {
            assert_eq!(complete(line), expected, "{line:?}");
        }
    }
}
