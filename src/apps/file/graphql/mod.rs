//! GraphQL by named documents: each operation of a manifest's `graphql` is a tool, its variables are the arguments.
//! The documents are read by `document`.

mod document;

use super::http::Shared;
use super::units;
use crate::apps::model::{Action, Body, Definition, Hints, Http, Tool};
use crate::documents::{Node, Source};
use crate::error::Result;
use document::{Operation, operations};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The `graphql` of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphQl {
    url: String,
    #[serde(rename = "documents")]
    _documents: Value,
    #[serde(default)]
    timeout: Option<String>,
}

impl GraphQl {
    /// Puts a tool for each operation into the definition.
    pub fn tools(
        self,
        source: &Source<'_>,
        node: &Node,
        shared: &Shared<'_>,
        definition: &mut Definition,
    ) -> Result<()> {
        super::http::check_url(
            source,
            node.get("url").unwrap_or(node),
            &self.url,
            definition.base.is_some(),
        )?;
        let timeout_ms = match &self.timeout {
            None => super::command::TIMEOUT_MS,
            Some(text) => {
                units::millis(text).ok_or_else(|| source.invalid(node.at, format!("`{text}` is no time")))?
            }
        };
        let Some(documents) = node.get("documents").filter(|documents| documents.is_list()) else {
            let error = source.invalid(node.at, "`documents` is a list of GraphQL documents");
            return Err(error.hint("documents: [\"query Me { viewer { login } }\"]"));
        };
        for document in documents.items() {
            let Some(text) = document.as_str() else {
                return Err(source.invalid(document.at, "a GraphQL document is text"));
            };
            let invalid = |why: String| source.invalid(document.at, why);
            if text.contains("{{") || text.contains("${") {
                let error = invalid("a GraphQL document takes values by variables alone".into());
                return Err(error.hint("query Name($id: ID!) { thing(id: $id) { name } }"));
            }
            for operation in operations(text).map_err(invalid)? {
                let made = tool(operation, text, &self.url, shared, timeout_ms);
                if !super::check::is_tool_name(&made.name) || definition.tool(&made.name).is_some() {
                    let message = format!("`{}` cannot be a tool here, or is one already", made.name);
                    return Err(source.invalid(document.at, message));
                }
                definition.tools.push(made);
            }
        }
        Ok(())
    }
}

/// The tool of an operation.
fn tool(operation: Operation, document: &str, url: &str, shared: &Shared<'_>, timeout_ms: u64) -> Tool {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut values = Map::new();
    for variable in &operation.variables {
        let mut schema = variable.kind.schema();
        if let Some(default) = &variable.default {
            schema["default"] = default.clone();
        } else if variable.kind.needed() {
            required.push(Value::from(variable.name.as_str()));
        }
        properties.insert(variable.name.clone(), schema);
        values.insert(variable.name.clone(), format!("{{{{{}}}}}", variable.name).into());
    }
    let mut input = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        input["required"] = required.into();
    }
    let body = json!({"query": document, "operationName": operation.name, "variables": values});
    let what = if operation.reads { "query" } else { "mutation" };
    let http = Http {
        method: "POST".into(),
        url: url.into(),
        headers: super::http::fields(shared.headers.clone()),
        body: Some(Body::Json(body)),
        auth: shared.signed.then(|| vec![super::http::SHARED.to_string()]).into_iter().collect(),
        graphql: true,
        ..Http::default()
    };
    Tool {
        description: operation
            .description
            .unwrap_or_else(|| format!("The GraphQL {what} {}", operation.name)),
        title: None,
        input,
        hints: Hints { read_only: operation.reads.then_some(true), ..Hints::default() },
        action: Action::Http(http),
        needs: Vec::new(),
        when: None,
        timeout_ms,
        limit: super::command::LIMIT,
        name: operation.name,
    }
}
