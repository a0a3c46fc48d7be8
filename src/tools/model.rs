//! What a server offers, as it said so itself. Definitions stay the JSON text the server sent:
//! nothing a client may need is lost, and lists are joined without being parsed.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Which of the two protocol eras a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// Revisions up to 2025-11-25.
    Legacy,
    /// 2026-07-28 and later.
    Modern,
}

/// Everything one server offers, as of `fetched`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    pub era: Era,
    /// Revision agreed with the server, such as `2025-11-25`.
    pub revision: String,
    /// The transport that answered, when it differs from the entry (`sse` behind an `http` URL).
    pub transport: Option<String>,
    /// `serverInfo` as JSON text.
    pub server_info: String,
    /// `capabilities` as JSON text.
    pub capabilities: String,
    pub instructions: Option<String>,
    pub tools: Vec<Tool>,
    pub prompts: Vec<Listed>,
    pub resources: Vec<Listed>,
    pub templates: Vec<Listed>,
    /// What could not be taken: one line for each malformed item.
    pub warnings: Vec<String>,
    pub fetched: Timestamp,
    /// The server's revision (of its entry) the catalogue was fetched with.
    pub entry_revision: u64,
}

/// One tool, with its definition as the JSON text the server sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub json: String,
}

/// A prompt (by name), resource (by URI) or resource template (by URI template).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub key: String,
    pub json: String,
}

/// What the user decided about one tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preference {
    pub disabled: bool,
    pub alias: Option<String>,
    /// Answer equal calls from a cache for this long. Off unless the user says so.
    pub cache_ms: Option<u64>,
}

/// The parts of a tool's definition that people and search read.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Facts {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default, rename = "inputSchema")]
    pub input_schema: serde_json::Value,
    #[serde(default, rename = "outputSchema", skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<serde_json::Value>,
}

impl Tool {
    /// Parses the definition; a definition that does not parse gives only the name.
    pub fn facts(&self) -> Facts {
        serde_json::from_str(&self.json)
            .unwrap_or_else(|_| Facts { name: self.name.clone(), ..Facts::default() })
    }

    /// Names of its arguments for the command line, those it cannot do without first; in the order of the schema.
    pub fn argument_names(&self) -> Vec<String> {
        let facts = self.facts();
        let required = facts.required();
        let mut names = facts.arguments();
        names.retain(|name| !name.is_empty() && !name.contains(char::is_whitespace));
        names.sort_by_key(|name| !required.contains(name));
        names.into_iter().map(String::from).collect()
    }

    /// Tokens the definition costs in a model's context, estimated at four bytes each.
    pub fn tokens(&self) -> u64 {
        (self.json.len() as u64).div_ceil(4)
    }
}

impl Facts {
    /// Names of the arguments, in the order of the schema.
    pub fn arguments(&self) -> Vec<&str> {
        let properties = self.input_schema.get("properties").and_then(serde_json::Value::as_object);
        properties.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Names of the arguments that must be given.
    pub fn required(&self) -> Vec<&str> {
        let required = self.input_schema.get("required").and_then(serde_json::Value::as_array);
        required.map(|list| list.iter().filter_map(serde_json::Value::as_str).collect()).unwrap_or_default()
    }
}
