//! Reading everything a server offers: all pages of all lists, item by item, so that one malformed tool
//! costs that tool only. The result is stored by the caller; nothing here remembers.

use super::connection::{Agreement, Connection};
use super::era;
use super::link::Outgoing;
use super::mirror::mirrored;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::tools::model::Listed;
use crate::tools::{Catalogue, Era, Tool};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;

/// A server that never ends its pages is cut off here.
const MAX_PAGES: usize = 200;

/// Reads the whole catalogue over a connection that has agreed.
pub async fn fetch(
    connection: &Connection,
    agreement: &Agreement,
    now: Timestamp,
    entry_revision: u64,
    timeout: Duration,
) -> Result<Catalogue> {
    let mut warnings = Vec::new();
    let mirrors = agreement.era == Era::Modern && matches!(connection, Connection::Http(_));
    let lists = Lists { connection, era: agreement.era, timeout };
    let tools = if agreement.has("tools") { lists.all("tools/list", "tools").await? } else { Vec::new() };
    let (mut prompts, mut resources, mut templates) = (Vec::new(), Vec::new(), Vec::new());
    if agreement.has("prompts") {
        prompts = lists.or_none("prompts/list", "prompts", &mut warnings).await?;
    }
    if agreement.has("resources") {
        resources = lists.or_none("resources/list", "resources", &mut warnings).await?;
        templates = lists.or_none("resources/templates/list", "resourceTemplates", &mut warnings).await?;
    }
    Ok(Catalogue {
        era: agreement.era,
        revision: agreement.revision.clone(),
        transport: None,
        server_info: agreement.server_info.clone(),
        capabilities: agreement.capabilities.clone(),
        instructions: agreement.instructions.clone(),
        tools: take_tools(tools, mirrors, &mut warnings),
        prompts: take_listed(prompts, "name", "prompt", &mut warnings),
        resources: take_listed(resources, "uri", "resource", &mut warnings),
        templates: take_listed(templates, "uriTemplate", "resource template", &mut warnings),
        warnings,
        fetched: now,
        entry_revision,
    })
}

struct Lists<'a> {
    connection: &'a Connection,
    era: Era,
    timeout: Duration,
}

impl Lists<'_> {
    async fn or_none(
        &self,
        method: &str,
        key: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Box<RawValue>>> {
        match self.all(method, key).await {
            Err(error) if error.is(&codes::UPSTREAM_ERROR) => {
                warnings.push(format!("`{method}`: {error}"));
                Ok(Vec::new())
            }
            other => other,
        }
    }

    async fn all(&self, method: &str, key: &str) -> Result<Vec<Box<RawValue>>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(method, cursor.as_deref()).await?;
            if let Some(list) = page.get(key) {
                let list: Vec<Box<RawValue>> = serde_json::from_str(list.get()).map_err(|error| {
                    Error::new(&codes::UPSTREAM_PROTOCOL, format!("`{method}` gave no list of {key}"))
                        .because(error)
                })?;
                items.extend(list);
            }
            let next = page
                .get("nextCursor")
                .and_then(|next| serde_json::from_str::<Option<String>>(next.get()).ok());
            match next.flatten() {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => break,
            }
        }
        Ok(items)
    }

    async fn page(
        &self,
        method: &str,
        cursor: Option<&str>,
    ) -> Result<std::collections::HashMap<String, Box<RawValue>>> {
        let mut params = serde_json::Map::new();
        if let Some(cursor) = cursor {
            params.insert("cursor".into(), cursor.into());
        }
        let mut text = Value::Object(params).to_string();
        if self.era == Era::Modern {
            let meta = era::modern_meta("{}", &era::own_info().to_string());
            let joined = super::message::prepend(text.as_bytes(), &format!(r#""_meta":{{{meta}}}"#));
            text = String::from_utf8(joined).map_err(|_| Error::bug("parameters are not text"))?;
        }
        let id = self.connection.next_id();
        let outgoing = Outgoing {
            id,
            method,
            params: &text,
            listener: None,
            timeout: self.timeout,
            name: None,
            headers: &[],
        };
        let answer = self.connection.request(outgoing).await?;
        if !answer.ok {
            let message = format!("the server answered `{method}` with an error: {}", answer.message());
            return Err(Error::new(&codes::UPSTREAM_ERROR, message));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            Error::new(&codes::UPSTREAM_PROTOCOL, format!("`{method}` gave no object")).because(error)
        })
    }
}

/// The parts a tool must have to be listed at all.
#[derive(Deserialize)]
struct ToolHead {
    name: String,
    #[serde(rename = "inputSchema")]
    #[serde(deserialize_with = "object")]
    input_schema: Value,
}

fn object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Value, D::Error> {
    serde_json::Map::deserialize(deserializer).map(Value::Object)
}

/// `mirrors`: arguments travel in headers too, so a tool that asks for that against the rules is left out.
fn take_tools(items: Vec<Box<RawValue>>, mirrors: bool, warnings: &mut Vec<String>) -> Vec<Tool> {
    let mut tools: Vec<Tool> = Vec::with_capacity(items.len());
    for (i, item) in items.into_iter().enumerate() {
        let head: ToolHead = match serde_json::from_str(item.get()) {
            Ok(head) => head,
            Err(error) => {
                let name = serde_json::from_str::<Value>(item.get()).ok();
                let name =
                    name.as_ref().and_then(|value| value["name"].as_str()).map(|name| format!(" `{name}`"));
                warnings.push(format!("tool {}{} left out: {error}", i + 1, name.unwrap_or_default()));
                continue;
            }
        };
        if head.name.is_empty() || tools.iter().any(|tool| tool.name == head.name) {
            warnings.push(format!("tool {} `{}` left out: its name is empty or taken", i + 1, head.name));
            continue;
        }
        if mirrors
            && item.get().contains("x-mcp-header")
            && let Err(broken) = mirrored(&head.input_schema)
        {
            warnings.push(format!("tool {} `{}` left out: {broken}", i + 1, head.name));
            continue;
        }
        if head.input_schema.get("type").is_some_and(|kind| kind != "object") {
            warnings.push(format!("tool `{}`: the type of its input schema is not `object`", head.name));
        }
        tools.push(Tool { name: head.name, json: item.get().to_string() });
    }
    tools
}

fn take_listed(items: Vec<Box<RawValue>>, key: &str, what: &str, warnings: &mut Vec<String>) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::with_capacity(items.len());
    for (i, item) in items.into_iter().enumerate() {
        let value: Value = serde_json::from_str(item.get()).unwrap_or_default();
        match value[key].as_str() {
            Some(name) if !listed.iter().any(|other| other.key == name) => {
                listed.push(Listed { key: name.into(), json: item.get().to_string() });
            }
            Some(name) => warnings.push(format!("{what} {} `{name}` left out: listed twice", i + 1)),
            None => warnings.push(format!("{what} {} left out: it has no `{key}`", i + 1)),
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_tool_costs_that_tool_only() {
        let raw = |text: &str| RawValue::from_string(text.into()).unwrap();
        let mut warnings = Vec::new();
        let tools = take_tools(
            vec![
                raw(r#"{"name":"good","inputSchema":{"type":"object"},"vendor":1}"#),
                raw(r#"{"name":"bad"}"#),
                raw(r#"{"name":"good","inputSchema":{}}"#),
                raw("7"),
            ],
            false,
            &mut warnings,
        );
        assert_eq!(tools.len(), 1);
        assert!(tools[0].json.contains("vendor"));
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].starts_with("tool 2 `bad` left out"), "{}", warnings[0]);
    }
}
