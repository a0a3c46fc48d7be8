//! A workflow out of calls that were made: one step for each, in their order. The history keeps no arguments, so what
//! a tool needs becomes an input of the workflow. Pure; the document is text, to be read again as any other.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One call of the past.
pub struct Made {
    /// `server.tool`.
    pub target: String,
    /// The tool's schema, where it is known.
    pub schema: Value,
}

/// The document.
pub fn document(name: &str, calls: &[Made]) -> String {
    let (mut inputs, mut steps) = (String::new(), String::new());
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for call in calls {
        let tool = call.target.rsplit('.').next().unwrap_or(&call.target);
        let id = unused(&tame(tool), &mut ids);
        steps.push_str(&format!("  - id: {id}\n    tool: {}\n", quoted(&call.target)));
        let arguments = needed(&call.schema);
        if !arguments.is_empty() {
            steps.push_str("    inputs:\n");
        }
        for (argument, schema) in arguments {
            let input = tame(argument);
            let input = if names.contains(&input) { format!("{id}-{input}") } else { input };
            let input = unused(&input, &mut names);
            inputs.push_str(&format!("  {input}: {}\n", declared(&schema)));
            steps.push_str(&format!("      {}: ${{{{ inputs.{input} }}}}\n", quoted(argument)));
        }
    }
    let inputs = if inputs.is_empty() { inputs } else { format!("inputs:\n{inputs}") };
    format!("name: {name}\nversion: 1.0.0\ndescription: Recorded calls\n{inputs}steps:\n{steps}")
}

/// The arguments a tool cannot do without.
fn needed(schema: &Value) -> Vec<(&str, Value)> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    required.map(|name| (name, schema["properties"][name].clone())).collect()
}

fn declared(schema: &Value) -> String {
    let kinds = ["string", "integer", "number", "boolean", "array", "object"];
    let kind = schema["type"].as_str().filter(|kind| kinds.contains(kind)).unwrap_or("any");
    let mut input = Map::new();
    input.insert("type".into(), kind.into());
    if let Some(about) = schema["description"].as_str() {
        // What looks like an expression would be read as one.
        input.insert("description".into(), about.replace("${{", "$ {{").into());
    }
    if let Some(choices) = schema["enum"].as_array().filter(|_| kind == "string") {
        input.insert("enum".into(), choices.clone().into());
    }
    Value::Object(input).to_string()
}

/// JSON texts are YAML texts.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn tame(name: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    let tame: String = name.chars().map(good).take(40).collect();
    let tame = tame.trim_start_matches(['-', '_']).to_string();
    if tame.is_empty() { "step".into() } else { tame }
}

fn unused(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let mut free = std::iter::once(name.to_string()).chain(numbered).filter(|name| !taken.contains(name));
    let name = free.next().unwrap_or_default();
    taken.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::{check, read};
    use serde_json::json;

    #[test]
    fn calls_become_steps_and_what_they_need_inputs() {
        let echo = json!({"properties": {"text": {"type": "string", "description": "What: ${{ x }}"}, "n": {"type": "integer"}},
            "required": ["text"]});
        let odd =
            json!({"properties": {"text": {"type": ["string", "null"]}}, "required": ["text", "odd key"]});
        let made = |target: &str, schema: &Value| Made { target: target.into(), schema: schema.clone() };
        let calls = [
            made("box.echo", &echo),
            made("box.echo", &echo),
            made("a.b/c", &odd),
            made("t.now", &json!({})),
        ];
        let text = document("rec", &calls);
        assert_eq!(
            text,
            "name: rec\nversion: 1.0.0\ndescription: Recorded calls\ninputs:\n  \
             text: {\"type\":\"string\",\"description\":\"What: $ {{ x }}\"}\n  \
             echo-2-text: {\"type\":\"string\",\"description\":\"What: $ {{ x }}\"}\n  \
             b-c-text: {\"type\":\"any\"}\n  \
             odd-key: {\"type\":\"any\"}\n\
             steps:\n  \
             - id: echo\n    tool: \"box.echo\"\n    inputs:\n      \"text\": ${{ inputs.text }}\n  \
             - id: echo-2\n    tool: \"box.echo\"\n    inputs:\n      \"text\": ${{ inputs.echo-2-text }}\n  \
             - id: b-c\n    tool: \"a.b/c\"\n    inputs:\n      \"text\": ${{ inputs.b-c-text }}\n      \
             \"odd key\": ${{ inputs.odd-key }}\n  \
             - id: now\n    tool: \"t.now\"\n"
        );
        let mut workflow = read::read("rec", &text).unwrap();
        let findings = check::check("rec", &text, &mut workflow, None);
        assert!(findings.errors.is_empty() && findings.warnings.is_empty(), "{findings:?}");
    }
}
