//! `umcp tool show`: what a tool does and takes, with a call that can be pasted.

use super::super::context::Context;
use super::super::known::Known;
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, Table};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

/// Show a tool's arguments and description
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp tool show time.get_current_time")]
pub struct Show {
    #[arg(value_name = "TOOL")]
    name: String,
    /// Print the definition as the server sent it
    #[arg(long)]
    schema: bool,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    enabled: bool,
    alias: Option<String>,
    cache_ms: Option<u64>,
    tokens: u64,
    definition: Value,
    #[serde(skip)]
    schema_only: bool,
    #[serde(skip)]
    arguments: Vec<Argument>,
}

struct Argument {
    name: String,
    kind: String,
    required: bool,
    about: String,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let known = Known::read(ctx)?;
        let tool = known.tool(&self.name)?;
        let facts = tool.tool.facts();
        let required = facts.required();
        let argument = |(name, schema): (&String, &Value)| Argument {
            name: name.clone(),
            kind: kind(schema),
            required: required.contains(&name.as_str()),
            about: schema["description"].as_str().unwrap_or_default().into(),
        };
        let properties = facts.input_schema["properties"].as_object();
        ctx.ui.show(&Shown {
            name: tool.path(),
            enabled: tool.enabled(),
            alias: tool.preference.and_then(|preference| preference.alias.clone()),
            cache_ms: tool.preference.and_then(|preference| preference.cache_ms),
            tokens: tool.tool.tokens(),
            arguments: properties.into_iter().flatten().map(argument).collect(),
            definition: serde_json::from_str(&tool.tool.json).unwrap_or(Value::Null),
            schema_only: self.schema,
        })
    }
}

/// A type in a word or two: `integer`, `string[]`, `red|green`.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let words = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), String::from));
        return words.collect::<Vec<_>>().join("|");
    }
    if let Some(alternatives) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        return alternatives.iter().map(kind).collect::<Vec<_>>().join("|");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => match kind(&schema["items"]).as_str() {
            "any" => "array".into(),
            item => format!("{item}[]"),
        },
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
        _ => "any".into(),
    }
}

impl Output for Shown {
    const KIND: &'static str = "tool.show/1";

    fn human(&self, page: &mut Page) {
        if self.schema_only {
            page.text(serde_json::to_string_pretty(&self.definition).unwrap_or_default());
            return;
        }
        page.heading(&self.name);
        let about = self.definition["description"].as_str().unwrap_or_default();
        if !about.is_empty() {
            page.text(about.trim());
        }
        page.blank();
        let columns = [
            Column::new("argument"),
            Column::new("type").wraps(),
            Column::new("needed"),
            Column::new("meaning").wraps(),
        ];
        let mut table = Table::new("it takes no arguments", columns);
        for argument in &self.arguments {
            let needed = if argument.required { "yes" } else { "no" };
            table.row([
                Cell::from(&argument.name),
                (&argument.kind).into(),
                needed.into(),
                (&argument.about).into(),
            ]);
        }
        page.table(table).blank();
        if let Some(alias) = &self.alias {
            page.text(format!("clients see it as {alias}"));
        }
        if !self.enabled {
            page.text(format!("hidden from clients: umcp tool enable {}", self.name));
        }
        let given = self.arguments.iter().filter(|argument| argument.required);
        let words: Vec<String> =
            given.map(|argument| format!(" {}={}", argument.name, argument.kind.to_uppercase())).collect();
        page.text(format!("umcp call {}{}", self.name, words.concat()));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_told_in_a_word() {
        for (schema, expected) in [
            (json!({"type": "integer"}), "integer"),
            (json!({"type": "array", "items": {"type": "string"}}), "string[]"),
            (json!({"type": "array"}), "array"),
            (json!({"enum": ["a", 1]}), "a|1"),
            (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), "integer|null"),
            (json!({}), "any"),
        ] {
            assert_eq!(kind(&schema), expected);
        }
    }
}
