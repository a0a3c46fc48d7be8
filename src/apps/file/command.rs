//! One command of a file: its fields, and the tool it becomes.

use super::http::{HttpFile, Shared};
use super::{check, schema, units};
use crate::apps::exec::SHELLS;
use crate::apps::model::{Action, Definition, Exec, Hints, Item, Run, Tool, When};
use crate::documents::{Key, Node, Source};
use crate::error::Result;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A command may run for so long unless its file says otherwise.
pub const TIMEOUT_MS: u64 = 60_000;
/// No command may be given longer than a day.
const MAX_TIMEOUT_MS: u64 = 86_400_000;
/// Bytes of output that are kept unless the file says otherwise.
pub const LIMIT: u64 = 1 << 20;
/// No more may be kept.
const MAX_LIMIT: u64 = 8 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    title: Option<String>,
    description: Option<String>,
    #[serde(rename = "arguments", alias = "args")]
    _arguments: Option<Value>,
    exec: Option<Vec<Item>>,
    script: Option<String>,
    shell: Option<String>,
    http: Option<HttpFile>,
    container: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    stdin: Option<String>,
    timeout: Option<String>,
    limit: Option<String>,
    #[serde(default)]
    hints: Hints,
    #[serde(default)]
    needs: Vec<String>,
    when: Option<When>,
    /// Exit codes that are no failure.
    #[serde(default, rename = "exit-codes", alias = "exit_codes")]
    ok: Vec<i32>,
    /// stderr belongs to the result.
    #[serde(default)]
    stderr: bool,
}

impl Command {
    /// The tool. Schemes of its requests go into `definition`.
    pub fn tool(
        mut self,
        source: &Source<'_>,
        key: &Key,
        node: &Node,
        shared: &Shared<'_>,
        definition: &mut Definition,
    ) -> Result<Tool> {
        let input = schema::of(source, node.get("arguments").or_else(|| node.get("args")))?;
        self.check(source, key, node, &input)?;
        let timeout_ms = self.timeout(source, node)?;
        let limit = self.limit(source, node)?;
        let http = match self.http.take() {
            Some(http) => Some(http.request(source, node, &key.name, shared, definition)?),
            None => None,
        };
        let (action, reads) = match http {
            Some(http) => {
                let reads = http.method == "GET" || http.method == "HEAD";
                (Action::Http(http), reads)
            }
            None => (Action::Exec(self.exec()), false),
        };
        let mut hints = self.hints;
        if reads {
            hints.read_only = hints.read_only.or(Some(true));
        }
        Ok(Tool {
            name: key.name.clone(),
            title: self.title,
            description: self.description.unwrap_or_else(|| format!("Runs the command {}", key.name)),
            input,
            hints,
            action,
            needs: self.needs,
            when: self.when,
            timeout_ms,
            limit,
        })
    }

    fn exec(&mut self) -> Exec {
        let run = match self.script.take() {
            Some(text) => Run::Script { text, shell: self.shell.take().unwrap_or_else(|| "sh".into()) },
            None => Run::Argv(self.exec.take().unwrap_or_default()),
        };
        Exec {
            run,
            container: self.container.take(),
            env: std::mem::take(&mut self.env),
            cwd: self.cwd.take(),
            stdin: self.stdin.take(),
            ok: std::mem::take(&mut self.ok),
            stderr: self.stderr,
        }
    }

    fn check(&self, source: &Source<'_>, key: &Key, node: &Node, input: &Value) -> Result<()> {
        let kinds = ["exec", "script", "http"].iter().filter(|kind| node.get(kind).is_some()).count();
        if kinds != 1 {
            let what = if kinds == 0 { "does nothing" } else { "does several things" };
            let error = source.invalid(key.at, format!("the command `{}` {what}", key.name));
            return Err(error.hint("give it one of `exec`, `script` and `http`"));
        }
        for field in ["exec", "http", "env", "cwd", "stdin"] {
            if let Some(node) = node.get(field) {
                check::placeholders(source, node, input)?;
            }
        }
        if let Some(env) = node.get("env") {
            check::variables(source, env)?;
        }
        if let Some(exec) = node.get("exec") {
            let Some(program) = exec.items().first() else {
                return Err(source.invalid(exec.at, "`exec` is empty").hint("exec: [PROGRAM, ARGUMENT]"));
            };
            if program.as_str().is_none_or(|program| program.trim().is_empty()) {
                return Err(source.invalid(program.at, "the first word of `exec` is the program"));
            }
            check::none(source, program, "may not choose the program", "write the program out")?;
            self.check_switches(source, exec, input)?;
        }
        if let Some(script) = node.get("script") {
            let variables = input["properties"].as_object().into_iter().flat_map(|known| known.keys());
            let variables: Vec<String> =
                variables.map(|name| format!("\"${}\"", crate::apps::exec::variable(name))).collect();
            let hint = format!("use {} instead, with its quotes", variables.join(", "));
            check::none(source, script, "in a script would be read as shell text", &hint)?;
        }
        match (&self.shell, node.get("shell")) {
            (Some(shell), Some(at)) if !SHELLS.iter().any(|(name, _)| name == shell) => {
                let known: Vec<&str> = SHELLS.iter().map(|(name, _)| *name).collect();
                let error = source.invalid(at.at, format!("`{shell}` is no shell that umcp knows"));
                Err(error.hint(format!("known are {}", known.join(", "))))
            }
            _ => Ok(()),
        }
    }

    fn check_switches(&self, source: &Source<'_>, exec: &Node, input: &Value) -> Result<()> {
        for condition in exec.items().iter().filter_map(|item| item.get("if")) {
            let name = condition.as_str().unwrap_or_default();
            if input["properties"][name]["type"] != "boolean" {
                let message = format!("`{name}` is no argument of the type `boolean`");
                return Err(source.invalid(condition.at, message));
            }
        }
        Ok(())
    }

    fn timeout(&self, source: &Source<'_>, node: &Node) -> Result<u64> {
        let Some((text, at)) = self.timeout.as_ref().zip(node.get("timeout")) else { return Ok(TIMEOUT_MS) };
        match units::millis(text).filter(|millis| (1..=MAX_TIMEOUT_MS).contains(millis)) {
            Some(millis) => Ok(millis),
            None => Err(source
                .invalid(at.at, format!("`{text}` is no time a command may run"))
                .hint("write it as 500ms, 10s, 2m or 1h; at most 24h")),
        }
    }

    fn limit(&self, source: &Source<'_>, node: &Node) -> Result<u64> {
        let Some((text, at)) = self.limit.as_ref().zip(node.get("limit")) else { return Ok(LIMIT) };
        match units::bytes(text).filter(|bytes| (1..=MAX_LIMIT).contains(bytes)) {
            Some(bytes) => Ok(bytes),
            None => Err(source
                .invalid(at.at, format!("`{text}` is no amount of output"))
                .hint("write it as 4096, 200k or 1M; at most 8M")),
        }
    }
}
