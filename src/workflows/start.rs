//! From a definition and what the user gave to inputs that are complete and of the right types. Pure.

use super::model::{Input, InputKind, Workflow};
use crate::documents;
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value};

/// Fills in defaults and checks every value.
///
/// # Errors
/// `ARGUMENTS_INVALID` names the input: missing, unknown, of another type, none of its choices.
pub fn inputs(workflow: &Workflow, given: Map<String, Value>) -> Result<Map<String, Value>> {
    for name in given.keys() {
        if !workflow.inputs.iter().any(|input| input.name == *name) {
            let error = invalid(format!("the workflow `{}` has no input `{name}`", workflow.name));
            let known = workflow.inputs.iter().map(|input| input.name.as_str());
            return Err(match documents::near(name, known) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("umcp workflow show {}", workflow.name)),
            });
        }
    }
    let mut complete = Map::new();
    for input in &workflow.inputs {
        let value = given.get(&input.name).cloned().or_else(|| input.default.clone());
        match value {
            Some(value) => {
                check(input, &value)?;
                complete.insert(input.name.clone(), value);
            }
            None if input.required => {
                return Err(invalid(format!("the input `{}` is missing", input.name))
                    .hint(format!("umcp workflow execute {} --input {}=…", workflow.name, input.name)));
            }
            None => drop(complete.insert(input.name.clone(), Value::Null)),
        }
    }
    Ok(complete)
}

fn check(input: &Input, value: &Value) -> Result<()> {
    let left_out = value.is_null() && !input.required;
    if !left_out && !input.kind.takes(value) {
        let word = input.kind.schema().unwrap_or("any");
        if input.secret {
            return Err(invalid(format!("the secret input `{}` is of type {word}", input.name)));
        }
        return Err(invalid(format!("the input `{}` is of type {word}, not {value}", input.name)));
    }
    if !input.choices.is_empty() && !input.choices.contains(value) {
        let choices: Vec<String> = input.choices.iter().map(ToString::to_string).collect();
        return Err(invalid(format!("the input `{}` is one of {}", input.name, choices.join(", "))));
    }
    Ok(())
}

/// A word of the command line as a value of the input's type; texts stay texts.
pub fn typed(workflow: &Workflow, name: &str, word: &str) -> Value {
    let kind =
        workflow.inputs.iter().find(|input| input.name == name).map_or(InputKind::Text, |input| input.kind);
    match kind {
        InputKind::Text => word.into(),
        _ => serde_json::from_str(word).unwrap_or_else(|_| word.into()),
    }
}

/// The inputs as a JSON Schema, for the tool that a workflow is.
pub fn schema(workflow: &Workflow) -> Value {
    let mut properties = Map::new();
    for input in &workflow.inputs {
        let mut schema = Map::new();
        if let Some(word) = input.kind.schema() {
            schema.insert("type".into(), word.into());
        }
        if !input.description.is_empty() {
            schema.insert("description".into(), input.description.clone().into());
        }
        if input.secret {
            schema.insert("format".into(), "password".into());
            schema.insert("writeOnly".into(), true.into());
        }
        if let Some(default) = &input.default {
            schema.insert("default".into(), default.clone());
        }
        if !input.choices.is_empty() {
            schema.insert("enum".into(), input.choices.clone().into());
        }
        properties.insert(input.name.clone(), schema.into());
    }
    let needed = workflow.inputs.iter().filter(|input| input.required && input.default.is_none());
    let required: Vec<Value> = needed.map(|input| input.name.clone().into()).collect();
    serde_json::json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn invalid(message: String) -> Error {
    Error::new(&codes::ARGUMENTS_INVALID, message)
}
