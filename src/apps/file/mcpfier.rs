//! Files of MCPFier: a list of commands, each a program with fixed arguments, one in a container, or a webhook.
//! They run as they do there: nothing is substituted, stderr belongs to the result, and a webhook is tried four times.
//! What concerns MCPFier's own server is named and left out.

use super::command::{LIMIT, TIMEOUT_MS};
use super::http::{METHODS, tool_name};
use super::{Loaded, units};
use crate::apps::model::{
    Action, Backoff, Body, Definition, Exec, Field, Hints, Http, Retry, Run, Scheme, Style, Tool,
};
use crate::apps::template::literal;
use crate::documents::{Node, Source, node::into_typed};
use crate::error::Result;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A webhook gets so long where its command says nothing.
const WEBHOOK_MS: u64 = 30_000;

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    script: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    container: String,
    #[serde(default)]
    timeout: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    webhook: Option<Webhook>,
}

#[derive(Debug, Deserialize)]
struct Webhook {
    url: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    body_format: String,
    auth: Option<Auth>,
    retry: Option<RetryEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    r#type: String,
    token: String,
    key: String,
    header: String,
    user: String,
    pass: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RetryEntry {
    max_retries: u32,
    backoff: String,
    delay: String,
    status_codes: Vec<u16>,
}

pub fn load(source: &Source<'_>, root: &Node) -> Result<Loaded> {
    let mut definition = Definition::default();
    let mut taken = BTreeSet::new();
    for node in root.get("commands").map(Node::items).unwrap_or_default() {
        let entry: Entry = into_typed(source, node)?;
        let tool = entry.tool(source, node, &mut definition)?;
        if !taken.insert(tool.name.clone()) {
            return Err(source.invalid(node.at, format!("there are two commands named `{}`", tool.name)));
        }
        definition.tools.push(tool);
    }
    if definition.tools.is_empty() {
        return Err(source.invalid(root.at, format!("`{}` holds no commands", source.file)));
    }
    let other = root.entries().iter().filter(|(key, _)| key.name != "commands");
    let notes = other
        .map(|(key, _)| format!("line {}: `{}` concerns MCPFier's own server", key.at.line, key.name))
        .collect();
    Ok(Loaded { definition, notes, ..Loaded::default() })
}

impl Entry {
    fn tool(self, source: &Source<'_>, node: &Node, definition: &mut Definition) -> Result<Tool> {
        let name = tool_name(&self.name);
        let timeout =
            (!self.timeout.is_empty()).then(|| units::millis(&self.timeout).filter(|time| *time > 0));
        if timeout == Some(None) {
            let at = node.get("timeout").unwrap_or(node).at;
            return Err(source.invalid(at, format!("`{}` is no time a command may run", self.timeout)));
        }
        let default = if self.webhook.is_some() { WEBHOOK_MS } else { TIMEOUT_MS };
        let action = match self.webhook {
            Some(webhook) => {
                let at = node.get("webhook").unwrap_or(node);
                Action::Http(webhook.request(source, at, &name, definition)?)
            }
            None if self.script.trim().is_empty() => {
                let error = source.invalid(node.at, format!("the command `{}` does nothing", self.name));
                return Err(error.hint("give it a `script` or a `webhook`"));
            }
            None => Action::Exec(Exec {
                run: Run::Verbatim([vec![self.script], self.args].concat()),
                container: Some(self.container).filter(|image| !image.is_empty()),
                env: self.env.into_iter().map(|(name, value)| (name, literal(&value))).collect(),
                cwd: None,
                stdin: None,
                ok: Vec::new(),
                stderr: true,
            }),
        };
        let description = match self.description.is_empty() {
            true => format!("Runs the command {}", self.name),
            false => self.description,
        };
        Ok(Tool {
            name,
            title: None,
            description,
            input: json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
            hints: Hints::default(),
            action,
            needs: Vec::new(),
            when: None,
            timeout_ms: timeout.flatten().unwrap_or(default),
            limit: LIMIT,
        })
    }
}

impl Webhook {
    fn request(
        self,
        source: &Source<'_>,
        node: &Node,
        name: &str,
        definition: &mut Definition,
    ) -> Result<Http> {
        let method = if self.method.is_empty() { "GET".into() } else { self.method.to_ascii_uppercase() };
        let at = |field: &str| node.get(field).unwrap_or(node).at;
        if !METHODS.contains(&method.as_str()) {
            return Err(source.invalid(at("method"), format!("`{method}` is no method umcp sends")));
        }
        super::http::check_url(source, node.get("url").unwrap_or(node), &literal(&self.url), false)?;
        let content_type = match self.body_format.to_ascii_lowercase().as_str() {
            "json" => "application/json",
            "xml" => "application/xml",
            "form" => "application/x-www-form-urlencoded",
            "text" | "" => "text/plain",
            other => {
                let error = source.invalid(at("body_format"), format!("`{other}` is no format of a body"));
                return Err(error.hint("formats are json, xml, form and text"));
            }
        };
        if content_type == "application/json"
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&self.body)
            && !self.body.is_empty()
        {
            return Err(source.invalid(at("body"), "the body is not valid JSON").because(error));
        }
        let auth = match self.auth {
            None => Vec::new(),
            Some(auth) => {
                let scheme = auth.scheme().map_err(|why| source.invalid(at("auth"), why))?;
                definition.schemes.insert(name.into(), scheme);
                vec![vec![name.to_string()]]
            }
        };
        let text = |(name, value): (String, String)| Field {
            name,
            value: literal(&value).into(),
            style: Style::Repeat,
        };
        let body = (!self.body.is_empty())
            .then(|| Body::Text { text: literal(&self.body), content_type: content_type.into() });
        Ok(Http {
            method,
            url: literal(&self.url),
            headers: self.headers.into_iter().map(text).collect(),
            body,
            auth,
            retry: Some(self.retry.unwrap_or_default().read()),
            ..Http::default()
        })
    }
}

impl Auth {
    fn scheme(self) -> std::result::Result<Scheme, String> {
        let needs = |what: &str| Err(format!("the authentication `{}` needs {what}", self.r#type));
        match self.r#type.to_ascii_lowercase().as_str() {
            "bearer" | "oauth" if self.token.is_empty() => needs("a `token`"),
            "bearer" | "oauth" => {
                Ok(Scheme::Header { name: "Authorization".into(), value: format!("Bearer {}", self.token) })
            }
            "api_key" if self.key.is_empty() => needs("a `key`"),
            "api_key" => {
                let name = if self.header.is_empty() { "X-API-Key".into() } else { self.header };
                Ok(Scheme::Header { name, value: self.key })
            }
            "basic" if self.user.is_empty() || self.pass.is_empty() => needs("`user` and `pass`"),
            "basic" => Ok(Scheme::Basic { user: self.user, password: self.pass }),
            other => {
                Err(format!("`{other}` is no way to authenticate; ways are bearer, api_key, basic and oauth"))
            }
        }
    }
}

impl RetryEntry {
    fn read(self) -> Retry {
        let max = if self.max_retries == 0 { 3 } else { self.max_retries.min(10) };
        let status = match self.status_codes.is_empty() {
            true => vec![429, 502, 503, 504],
            false => self.status_codes,
        };
        let backoff = match self.backoff.to_ascii_lowercase().as_str() {
            "linear" => Backoff::Linear,
            "fixed" => Backoff::Fixed,
            _ => Backoff::Exponential,
        };
        Retry { max, delay_ms: units::millis(&self.delay).unwrap_or(1000), backoff, status }
    }
}
