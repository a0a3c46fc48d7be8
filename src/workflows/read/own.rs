//! Steps that umcp does itself: `command`, `http`, `agent`. What each takes becomes one map of values.
//! Rule: only text that stands in the document may refer to secrets and variables (`fixed`); what an expression gives
//! is data, whatever it says.

use super::Reader;
use crate::documents::{self, Node};
use crate::workflows::model::{Action, Own, Shape};
use serde_json::Value;

/// Programs that an `agent` step knows how to ask.
pub const AGENTS: [&str; 3] = ["claude", "codex", "gemini"];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const HTTP: [&str; 6] = ["url", "method", "headers", "query", "body", "allow_private"];

type Fields = Vec<(String, Shape)>;

impl Reader<'_> {
    pub(super) fn own(&mut self, kind: &str, node: &Node, id: &str) -> Option<Action> {
        let (what, fields) = match kind {
            "command" => (Own::Command, self.command(node)),
            "http" => (Own::Http, self.http(node, id)),
            _ => (Own::Agent, self.agent(node, id)),
        };
        Some(Action::Own { what, inputs: Shape::Map(fields?) })
    }

    fn command(&mut self, node: &Node) -> Option<Fields> {
        let command = node.get("command")?;
        let shape = self.shape(command);
        let mut fields = match shape {
            Shape::List(words) if !words.is_empty() => vec![("words".into(), Shape::List(words))],
            Shape::Constant(Value::Array(words)) if !words.is_empty() => {
                let words = words.into_iter().map(|word| match word {
                    Value::String(_) => Shape::Constant(word),
                    other => Shape::Constant(other.to_string().into()),
                });
                vec![("words".into(), Shape::List(words.collect()))]
            }
            Shape::Constant(Value::String(script)) if !script.trim().is_empty() => {
                vec![("script".into(), Shape::Constant(script.into()))]
            }
            Shape::Text(_) => {
                self.wrong(
                    command.at,
                    "a command line holds no `${{ }}`: a shell would read its value as code",
                )
                .hint_last("write the command as a list of words, or pass the value by `env`");
                return None;
            }
            _ => {
                self.wrong(command.at, "`command` is a command line or a list of words");
                return None;
            }
        };
        self.own_field(node, "cwd", &mut fields);
        self.own_field(node, "stdin", &mut fields);
        self.named(node, "env", &mut fields);
        Some(fields)
    }

    fn http(&mut self, node: &Node, id: &str) -> Option<Fields> {
        let http = node.get("http")?;
        let place = if http.is_map() { http } else { node };
        if http.is_map() {
            self.only(http, &HTTP, &format!("the http step `{id}`"));
            for (key, _) in node.entries().iter().filter(|(key, _)| HTTP.contains(&key.name.as_str())) {
                self.wrong(key.at, format!("`{}` belongs into the map of `http`", key.name));
            }
        }
        let url = if http.is_map() { http.get("url") } else { Some(http) };
        let Some(url) = url.filter(|url| !url.is_null()) else {
            self.wrong(http.at, format!("the step `{id}` needs a `url`"));
            return None;
        };
        let mut fields = vec![("url".to_string(), self.shape(url))];
        let body = place.get("body").is_some();
        let method = self.word(place, "method").unwrap_or_else(|| if body { "POST" } else { "GET" }.into());
        let method = method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let at = place.get("method").map_or(place.at, |method| method.at);
            self.wrong(at, format!("`{method}` is no method")).hint_last(METHODS.join(", "));
        }
        fields.push(("method".into(), Shape::Constant(method.into())));
        self.own_field(place, "body", &mut fields);
        self.own_field(place, "query", &mut fields);
        self.named(place, "headers", &mut fields);
        if self.flag(place, "allow_private") == Some(true) {
            fields.push(("allow_private".into(), Shape::Constant(true.into())));
        }
        Some(fields)
    }

    fn agent(&mut self, node: &Node, id: &str) -> Option<Fields> {
        let at = node.get("agent").map_or(node.at, |agent| agent.at);
        let agent = self.word(node, "agent")?;
        if !AGENTS.contains(&agent.as_str()) {
            self.wrong(at, format!("`{agent}` is no agent that umcp can ask"));
            match documents::near(&agent, AGENTS) {
                Some(near) => self.hint_last(format!("did you mean `{near}`?")),
                None => self.hint_last(format!("agents are {}", AGENTS.join(", "))),
            }
        }
        let skill = self.word(node, "skill");
        if skill.is_none() && node.get("prompt").is_none() {
            self.wrong(node.at, format!("the step `{id}` needs a `prompt`, or a `skill` to follow"));
            return None;
        }
        let mut fields = vec![("agent".to_string(), Shape::Constant(agent.into()))];
        fields.extend(skill.map(|skill| ("skill".to_string(), Shape::Constant(skill.into()))));
        self.own_field(node, "prompt", &mut fields);
        self.own_field(node, "model", &mut fields);
        self.own_field(node, "cwd", &mut fields);
        self.named(node, "env", &mut fields);
        Some(fields)
    }

    fn own_field(&mut self, node: &Node, key: &str, fields: &mut Fields) {
        if let Some(value) = node.get(key) {
            fields.push((key.into(), self.shape(value)));
        }
    }

    /// A map of names; texts without expressions apart, since they may refer to secrets.
    fn named(&mut self, node: &Node, key: &str, fields: &mut Fields) {
        let Some(map) = node.get(key) else { return };
        if !map.is_map() {
            self.wrong(map.at, format!("`{key}` is a map of names, not {}", map.word()));
            return;
        }
        let (mut fixed, mut computed) = (Vec::new(), Vec::new());
        for (name, value) in map.entries() {
            let shape = self.shape(value);
            let into = if matches!(shape, Shape::Constant(_)) { &mut fixed } else { &mut computed };
            into.push((self.masked.unmask(&name.name), shape));
        }
        for (key, entries) in [(key.to_string(), computed), (format!("fixed_{key}"), fixed)] {
            if !entries.is_empty() {
                fields.push((key, Shape::Map(entries)));
            }
        }
    }
}
