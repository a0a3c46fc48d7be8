//! `umcp policy list` and `umcp policy show`: the rules in a table, and the whole policy as a file.

use super::super::context::Context;
use super::ask;
use crate::documents;
use crate::error::{Error, Result};
use crate::policy::rules::{self, Document, Effect, Request, Rule};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// List rules
#[derive(Debug, Args)]
pub struct List {}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&Rules { policy: ask(ctx, Request::Show)? })
    }
}

/// Show one rule, or the whole policy as a file that `policy set -f` takes
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "RULE")]
    name: Option<String>,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let document = ask(ctx, Request::Show)?;
        let document = match self.name {
            None => document,
            Some(name) => {
                let rule = document.rules.iter().find(|rule| rule.name == name).cloned();
                let rule = rule.ok_or_else(|| rules::not_found(&document, &name))?;
                Document { rules: vec![rule], ..Document::default() }
            }
        };
        let yaml = documents::write_yaml(&document)
            .map_err(|error| Error::bug("a policy cannot be written as YAML").because(error))?;
        ctx.ui.show(&Shown { document, yaml })
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    document: Document,
    #[serde(skip)]
    yaml: String,
}

impl Output for Shown {
    const KIND: &'static str = "policy.show/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.yaml);
    }

    fn exact(&self) -> Option<String> {
        Some(self.yaml.clone())
    }

    fn ids(&self) -> Vec<String> {
        self.document.rules.iter().map(|rule| rule.name.clone()).collect()
    }
}

/// The rules as a table; also what a change shows.
#[derive(Serialize)]
struct Rules {
    #[serde(flatten)]
    policy: Document,
}

impl Output for Rules {
    const KIND: &'static str = "policy.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("rule"),
            Column::new("effect"),
            Column::new("who"),
            Column::new("what").wraps(),
            Column::new("when").optional(1),
        ];
        let mut table = Table::new("no rules: every client may call every tool it sees", columns);
        for rule in &self.policy.rules {
            let state = match rule.effect {
                Effect::Deny => State::Fail,
                Effect::Ask | Effect::Limit | Effect::Redact => State::Warn,
                Effect::Allow => State::Ok,
            };
            table.row([
                Cell::from(&rule.name),
                Cell::state(state, rule.effect.word()),
                who(rule).into(),
                what(rule).into(),
                when(rule).into(),
            ]);
        }
        page.table(table);
        if let Some(default) = self.policy.default.filter(|default| *default != Effect::Allow) {
            page.text(format!("what no rule decides: {}", default.word()));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.policy.rules.iter().map(|rule| rule.name.clone()).collect()
    }
}

fn joined(parts: &[(&str, &[String])]) -> Vec<String> {
    let given = parts.iter().filter(|(_, words)| !words.is_empty());
    given.map(|(name, words)| format!("{name}{}", words.join(", "))).collect()
}

fn or_all(parts: Vec<String>, all: &str) -> String {
    if parts.is_empty() { all.into() } else { parts.join("; ") }
}

fn who(rule: &Rule) -> String {
    or_all(joined(&[("", &rule.clients), ("role ", &rule.roles), ("profile ", &rule.profiles)]), "everybody")
}

/// The tools a rule is about, and what it looks at in their arguments.
pub fn what(rule: &Rule) -> String {
    let mut parts = joined(&[
        ("server ", &rule.servers),
        ("", &rule.tools),
        ("prompt ", &rule.prompts),
        ("resource ", &rule.resources),
        ("label ", &rule.labels),
    ]);
    let hints = [
        ("read-only", rule.hints.read_only),
        ("destructive", rule.hints.destructive),
        ("open-world", rule.hints.open_world),
    ];
    parts.extend(
        hints.into_iter().filter_map(|(word, wanted)| {
            Some(if wanted? { word.to_string() } else { format!("not {word}") })
        }),
    );
    parts.extend(rule.arguments.iter().map(|(path, pattern)| format!("{path} = {pattern}")));
    or_all(parts, "every tool")
}

fn when(rule: &Rule) -> String {
    let mut parts = joined(&[("", &rule.days), ("after ", &rule.after)]);
    parts.extend(rule.hours.clone());
    or_all(parts, "always")
}
