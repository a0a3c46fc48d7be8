//! `umcp policy`, `umcp approve`: rules hold for lists and calls of real clients alike, and the user is asked in
//! every way there is.

mod asking;
mod calls;
mod cli;
mod items;
mod pins;
mod veil;

use crate::support::daemon::Daemon;
use crate::support::mcp::{Era, Mcp, agreeable};
use crate::support::wire::Door;
use serde_json::Value;
use umcp::policy::rules::model::Rule;
use umcp::policy::rules::{Document, Effect, Request};

fn rule(name: &str, effect: Effect, tools: &[&str]) -> Rule {
    Rule {
        name: name.into(),
        effect,
        tools: tools.iter().map(ToString::to_string).collect(),
        ..Rule::default()
    }
}

fn put(daemon: &Daemon, rules: Vec<Rule>) {
    let document = Box::new(Document { rules, ..Document::default() });
    daemon.ask(Request::Put { document, replace: true });
}

fn client(daemon: &Daemon, door: Door, era: Era, name: &str, capabilities: Value) -> Mcp {
    Mcp::new(daemon, door, era, name, capabilities, Box::new(agreeable))
}
