//! Tool definitions in the shapes other programs take. Pure: MCP definitions in, JSON out.
//! Each shape is what the named interface documents; what it has no place for is left out.

use super::model::Facts;
use serde_json::{Map, Value, json};

/// The shapes `umcp tool export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Mcp,
    OpenAi,
    Anthropic,
    Gemini,
    LangChain,
}

/// Writes definitions, given as the MCP objects a client sees.
pub fn write(format: Format, tools: &[Value]) -> Value {
    let facts = |tool: &Value| serde_json::from_value::<Facts>(tool.clone()).unwrap_or_default();
    match format {
        Format::Mcp => json!({ "tools": tools }),
        Format::OpenAi => tools.iter().map(|tool| openai(&facts(tool))).collect(),
        Format::Anthropic => tools.iter().map(|tool| anthropic(&facts(tool))).collect(),
        Format::Gemini => {
            let declarations: Vec<Value> = tools.iter().map(|tool| gemini(&facts(tool))).collect();
            json!([{ "functionDeclarations": declarations }])
        }
        Format::LangChain => tools.iter().map(|tool| langchain(&facts(tool))).collect(),
    }
}

fn description(facts: &Facts) -> &str {
    facts.description.as_deref().or(facts.title.as_deref()).unwrap_or_default()
}

/// The schema, or the empty object schema where a server sent none.
fn schema(facts: &Facts) -> Value {
    match &facts.input_schema {
        Value::Object(schema) if schema.contains_key("type") => Value::Object(schema.clone()),
        Value::Object(schema) => {
            let mut whole = Map::from_iter([("type".to_string(), json!("object"))]);
            whole.extend(schema.clone());
            Value::Object(whole)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

fn openai(facts: &Facts) -> Value {
    json!({"type": "function", "function": {
        "name": facts.name, "description": description(facts), "parameters": schema(facts)}})
}

fn anthropic(facts: &Facts) -> Value {
    json!({"name": facts.name, "description": description(facts), "input_schema": schema(facts)})
}

fn gemini(facts: &Facts) -> Value {
    json!({"name": facts.name, "description": description(facts), "parametersJsonSchema": schema(facts)})
}

/// The fields of a structured tool; its `args_schema` may be a JSON schema.
fn langchain(facts: &Facts) -> Value {
    let mut schema = schema(facts);
    if let Some(fields) = schema.as_object_mut() {
        fields.entry("title").or_insert_with(|| json!(facts.name));
        fields.entry("description").or_insert_with(|| json!(description(facts)));
    }
    json!({"name": facts.name, "description": description(facts), "args_schema": schema})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tool_in_every_shape() {
        let schema = json!({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]});
        let tool =
            json!({"name": "web__find", "description": "Finds", "inputSchema": schema, "annotations": {}});
        let cases = [
            (Format::Mcp, json!({"tools": [tool]})),
            (
                Format::OpenAi,
                json!([{"type": "function", "function":
                {"name": "web__find", "description": "Finds", "parameters": schema}}]),
            ),
            (
                Format::Anthropic,
                json!([{"name": "web__find", "description": "Finds", "input_schema": schema}]),
            ),
            (
                Format::Gemini,
                json!([{"functionDeclarations":
                [{"name": "web__find", "description": "Finds", "parametersJsonSchema": schema}]}]),
            ),
            (
                Format::LangChain,
                json!([{"name": "web__find", "description": "Finds", "args_schema":
                {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"],
                 "title": "web__find", "description": "Finds"}}]),
            ),
        ];
        for (format, expected) in cases {
            assert_eq!(write(format, std::slice::from_ref(&tool)), expected, "{format:?}");
        }
    }

    #[test]
    fn a_tool_without_a_schema_takes_nothing() {
        let written = write(Format::Anthropic, &[json!({"name": "now", "title": "Time"})]);
        assert_eq!(
            written,
            json!([{"name": "now", "description": "Time",
            "input_schema": {"type": "object", "properties": {}}}])
        );
    }
}
