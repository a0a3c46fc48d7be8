//! What the policy leaves of a list: what passes, with what is decided at each call, and what nobody of the view is
//! shown. It decides nothing itself.

use super::{ViewItem, ViewTool};
use crate::error::{Error, codes};
use crate::policy::rules::Kind;
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::decide::{Bound, Called, Passage, hints_of};
use crate::policy::rules::model::Hints;
use crate::tools::Held;
use crate::upstream::views::Governed;
use crate::upstream::{Shared, Upstream};
use std::sync::Arc;

/// A tool, prompt or resource that the policy shows to nobody of this view.
#[derive(Clone)]
pub struct Denied {
    pub kind: Kind,
    /// The name clients would see; for a resource what stands for it in records.
    pub exposed: String,
    pub upstream: Arc<Upstream>,
    /// Its own name, or the resource's URI.
    pub tool: String,
    pub why: Why,
}

/// What keeps it back.
#[derive(Clone)]
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
            Why::Rule(rule) => {
                refusal(self.kind, (self.upstream.name(), &self.tool), client, rule.as_deref())
            }
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
pub fn refusal(kind: Kind, (server, tool): (&str, &str), client: &str, rule: Option<&Compiled>) -> Error {
    let by = match rule {
        Some(it) => match &it.rule.reason {
            Some(reason) => format!("the rule `{}`: {reason}", it.rule.name),
            None => format!("the rule `{}`", it.rule.name),
        },
        None => "the policy's default".into(),
    };
    let client = if client.is_empty() { "unknown" } else { client };
    let (what, flag) = match kind {
        Kind::Tool => (String::new(), String::new()),
        kind => (format!("the {} ", kind.word()), format!(" --kind {}", kind.word())),
    };
    let message = format!("{what}`{server}.{tool}` is denied to `{client}` by {by}");
    Error::new(&codes::POLICY_DENIED, message).hint(format!(
        "the user can see why and change it: umcp policy explain {server}.{tool}{flag} --client {client}"
    ))
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
        denied.push(Denied { kind: Kind::Tool, exposed, upstream, tool, why });
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
        match bound.passage(&Called {
            server: tool.upstream.name(),
            kind: Kind::Tool,
            tool: &tool.tool,
            hints,
        }) {
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

/// The same for prompts, resources and templates; the text of a template stands for it.
pub(super) fn let_items_through(
    items: Vec<ViewItem>,
    kind: Kind,
    bound: Option<&Bound>,
) -> (Vec<ViewItem>, Vec<Denied>) {
    let Some(bound) = bound else { return (items, Vec::new()) };
    let (mut through, mut denied) = (Vec::with_capacity(items.len()), Vec::new());
    for mut item in items {
        let called = Called { server: item.upstream.name(), kind, tool: &item.key, hints: Hints::default() };
        match bound.passage(&called) {
            Passage::Open => through.push(item),
            Passage::Gate(gate) => {
                item.gate = Some(gate);
                through.push(item);
            }
            Passage::Closed(rule) => {
                let ViewItem { exposed, upstream, key: tool, .. } = item;
                denied.push(Denied { kind, exposed, upstream, tool, why: Why::Rule(rule) });
            }
        }
    }
    (through, denied)
}
