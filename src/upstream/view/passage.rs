//! What the policy leaves of a list: tools that pass, with what is decided at each call, and tools that nobody of
//! the view is shown. It decides nothing itself.

use super::ViewTool;
use crate::error::{Error, codes};
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::decide::{Bound, Called, Passage, hints_of};
use crate::upstream::Upstream;
use std::sync::Arc;

/// A tool that the policy shows to nobody of this view.
pub struct Denied {
    pub exposed: String,
    pub upstream: Arc<Upstream>,
    pub tool: String,
    /// The rule that says so; nothing when it is the default.
    pub rule: Option<Arc<Compiled>>,
}

impl Denied {
    /// Tells a client why, and the user how to change it.
    pub fn error(&self, client: &str) -> Error {
        refusal(self.upstream.name(), &self.tool, client, self.rule.as_deref())
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

/// Parts what the policy lets through from what it denies. Names were given before, so that no decision about one
/// tool changes the name of another.
pub(super) fn let_through(tools: Vec<ViewTool>, bound: Option<&Bound>) -> (Vec<ViewTool>, Vec<Denied>) {
    let Some(bound) = bound else { return (tools, Vec::new()) };
    let (mut through, mut denied) = (Vec::with_capacity(tools.len()), Vec::new());
    for mut tool in tools {
        let hints = hints_of(&tool.json);
        match bound.passage(&Called { server: tool.upstream.name(), tool: &tool.tool, hints }) {
            Passage::Open => through.push(tool),
            Passage::Gate(gate) => {
                tool.gate = Some(gate);
                through.push(tool);
            }
            Passage::Closed(rule) => {
                let ViewTool { exposed, upstream, tool, .. } = tool;
                denied.push(Denied { exposed, upstream, tool, rule });
            }
        }
    }
    (through, denied)
}
