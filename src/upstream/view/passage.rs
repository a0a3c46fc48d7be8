//! What the policy leaves of a list: tools that pass, with what is decided at each call, and tools that nobody of
//! the view is shown. It decides nothing itself.

use super::ViewTool;
use crate::error::{Error, codes};
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::decide::{Called, Passage, hints_of};
use crate::tools::Held;
use crate::upstream::views::Governed;
use crate::upstream::{Shared, Upstream};
use std::sync::Arc;

/// A tool that the policy shows to nobody of this view.
pub struct Denied {
    pub exposed: String,
    pub upstream: Arc<Upstream>,
    pub tool: String,
    pub why: Why,
}

/// What keeps a tool back.
pub enum Why {
    /// A rule of the policy; nothing when it is the default.
    Rule(Option<Arc<Compiled>>),
    /// It is not what was approved.
    Held(Held),
}

impl Denied {
    /// Tells a client why, and the user how to change it.
    pub fn error(&self, client: &str) -> Error {
        let path = || format!("{}.{}", self.upstream.name(), self.tool);
        match &self.why {
            Why::Rule(rule) => refusal(self.upstream.name(), &self.tool, client, rule.as_deref()),
            Why::Held(held) => holding(&path(), self.upstream.name(), *held),
        }
    }

    /// The name of what says so, for the records.
    pub fn rule(&self) -> Option<String> {
        match &self.why {
            Why::Rule(rule) => rule.as_ref().map(|it| it.rule.name.clone()),
            Why::Held(held) => Some(format!("pin: {}", held.word())),
        }
    }
}

/// The error of a call that the policy forbids.
pub fn refusal(server: &str, tool: &str, client: &str, rule: Option<&Compiled>) -> Error {
    let by = match rule {
        Some(it) => match &it.rule.reason {
            Some(reason) => format!("the rule `{}`: {reason}", it.rule.name),
            None => format!("the rule `{}`", it.rule.name),
        },
        None => "the policy's default".into(),
    };
    let client = if client.is_empty() { "unknown" } else { client };
    Error::new(&codes::POLICY_DENIED, format!("`{server}.{tool}` is denied to `{client}` by {by}")).hint(
        format!("the user can see why and change it: umcp policy explain {server}.{tool} --client {client}"),
    )
}

fn holding(path: &str, server: &str, held: Held) -> Error {
    let (message, hint) = match held {
        Held::Changed => (
            format!("the definition of `{path}` has changed since it was accepted"),
            format!("the user looks at it and accepts it: umcp tool diff {path}, umcp tool accept {path}"),
        ),
        Held::New => (
            format!("`{path}` was not there when the server was approved"),
            format!("the user looks at it and accepts it: umcp tool show {path}, umcp tool accept {path}"),
        ),
        Held::Moved => (
            format!("the command or address of `{server}` has changed since it was approved"),
            format!("the user looks at it and approves it anew: umcp server approve {server}"),
        ),
    };
    Error::new(&codes::TOOL_HELD, message).hint(hint)
}

/// Parts what passes from what the policy denies or a pin holds back. Names were given before, so that no decision
/// about one tool changes the name of another.
pub(super) fn let_through(
    tools: Vec<ViewTool>,
    governed: &Governed,
    shared: &Shared,
    warnings: &mut Vec<String>,
) -> (Vec<ViewTool>, Vec<Denied>) {
    let strict = shared.settings.policy.hold_changed_tools;
    let (mut through, mut denied) = (Vec::with_capacity(tools.len()), Vec::new());
    let mut deny = |tool: ViewTool, why: Why| {
        let ViewTool { exposed, upstream, tool, .. } = tool;
        denied.push(Denied { exposed, upstream, tool, why });
    };
    for mut tool in tools {
        if let Some(held) = tool.held {
            let approved = governed.pins.get(tool.upstream.id()).is_some_and(|pins| pins.approved.is_some());
            if strict || approved {
                deny(tool, Why::Held(held));
                continue;
            }
            let path = format!("{}.{}", tool.upstream.name(), tool.tool);
            warnings.push(format!("the definition of `{path}` has changed: umcp tool diff {path}"));
        }
        let Some(bound) = &governed.bound else {
            through.push(tool);
            continue;
        };
        let hints = hints_of(&tool.json);
        match bound.passage(&Called { server: tool.upstream.name(), tool: &tool.tool, hints }) {
            Passage::Open => through.push(tool),
            Passage::Gate(gate) => {
                tool.gate = Some(gate);
                through.push(tool);
            }
            Passage::Closed(rule) => deny(tool, Why::Rule(rule)),
        }
    }
    (through, denied)
}
