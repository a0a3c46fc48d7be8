//! The JSON Schema of a workflow's document, for editors. Nothing is checked with it; the reader does that and says it
//! better. Rule: the keys of steps come from the reader's own lists, so that the two cannot part.

use super::journal::Failure;
use super::model::InputKind;
use super::read::own::AGENTS;
use super::read::steps::{COMMON, ERROR_HANDLING, KINDS};
use super::read::{TOP, inputs};
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What is said of a key, and the shape of its value.
type Row = (&'static str, &'static str, fn() -> Value);

const ROWS: &[Row] = &[
    ("name", "What it is called: letters, digits, - and _.", text),
    ("version", "A version, such as 1.0.0.", text),
    ("description", "What it is for.", text),
    ("inputs", "Values it takes, by name.", || json!({"type": ["object", "string"]})),
    ("steps", "Steps, one after another unless they say otherwise.", steps),
    ("outputs", "Values it gives, by name.", object),
    ("templates", "Values that steps use as templates.NAME.", object),
    ("finally", "Steps that are done after the others, whatever became of them.", steps),
    ("timeout", "The time it may take, such as 30s, 5m or 2h.", time),
    ("max_concurrency", "Steps at the same time.", count),
    ("tags", "Words to find it by.", texts),
    ("$schema", "Where this schema lies.", text),
    ("id", "The name of the step, by which others read steps.ID.result.", text),
    (
        "type",
        "What kind of step holds other steps.",
        || json!({"enum": ["conditional", "switch", "parallel", "foreach", "for_each", "repeat", "try"]}),
    ),
    ("if", "The step is skipped unless this holds.", formula),
    ("depends_on", "Steps it waits for, instead of all before it.", || json!({"type": ["string", "array"]})),
    ("parallel", "Runs side by side with its neighbours.", flag),
    ("error_handling", "What is done about a failure.", error_handling),
    ("continue_on_error", "A failure is noted and the run goes on.", flag),
    ("idempotent", "false: never begun again by itself after an interruption.", flag),
    ("cache", "A result is good for this long, such as 10m.", time),
    ("tool", "Calls a tool: SERVER.TOOL.", text),
    ("app", "Calls a tool of an app: SERVER.TOOL.", text),
    ("with", "The same as inputs.", object),
    ("skill", "Runs a skill: NAME or NAME@VERSIONS; in an agent step, what the agent follows.", text),
    ("idempotency_key", "What tells the other side that two attempts are the same call.", text),
    ("workflow", "Runs another workflow.", text),
    ("command", "Runs a program: a list of words, or a command line for the shell.", any),
    ("cwd", "The folder it runs in.", text),
    ("stdin", "What it reads from its standard input.", any),
    ("env", "Variables; values may be secret://NAME.", object),
    ("http", "Sends a request: an address, or a map with url, method, headers, query, body.", any),
    ("url", "The address.", text),
    ("method", "GET, POST and so on.", text),
    ("headers", "Headers; values may be secret://NAME.", object),
    ("query", "What is added to the address.", object),
    ("body", "A text, or a value that is sent as JSON.", any),
    ("allow_private", "Also addresses of this machine and its network.", flag),
    ("agent", "Asks an agent's program.", || json!({"enum": AGENTS})),
    ("prompt", "What it is asked.", text),
    ("model", "The model it is to use.", text),
    ("wait", "A time, an instant, or an expression.", any),
    ("approval", "A question to a person.", any),
    ("message", "The question.", text),
    ("set", "Values to compute.", any),
    ("condition", "Which branch is taken.", formula),
    ("then", "Steps when it holds.", steps),
    ("else", "Steps when it does not.", steps),
    ("on", "The value to compare.", formula),
    ("cases", "Steps by value, or a list of {value, steps}.", || json!({"type": ["object", "array"]})),
    ("default", "Steps when no case fits.", steps),
    ("join", "all, any, or how many successes are enough.", || json!({"type": ["string", "integer"]})),
    ("items", "The list to walk.", formula),
    ("as", "The name of the item.", text),
    ("until", "It ends when this holds.", formula),
    ("max", "Most rounds.", count),
    ("pause", "Time between rounds.", time),
    ("catch", "Steps after a failure; they see error.", steps),
    (
        "strategy",
        "retry, fail, continue or fallback.",
        || json!({"enum": ["retry", "fail", "continue", "fallback"]}),
    ),
    ("max_attempts", "Attempts in all.", count),
    ("backoff", "How the pause grows.", || json!({"enum": ["fixed", "constant", "linear", "exponential"]})),
    ("delay", "The first pause.", time),
    ("max_delay", "The longest pause.", time),
    (
        "retry_on",
        "Classes, codes, statuses or words of the message.",
        || json!({"type": ["string", "array"], "examples": Failure::CLASSES}),
    ),
    ("fallback", "Steps instead, when it has failed for good.", steps),
];

/// The schema of a workflow.
pub fn workflow() -> Value {
    let step = json!({
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": properties(COMMON.iter().chain(KINDS.iter().flat_map(|(_, keys)| *keys)).copied()),
    });
    let mut root = json!({
        "$schema": DRAFT, "title": "umcp workflow", "type": "object", "additionalProperties": false,
        "required": ["name", "steps"], "properties": properties(TOP.into_iter()), "$defs": {"step": step},
    });
    root["properties"]["inputs"] = json!({
        "description": "Values it takes, by name: a type, or a map.", "type": "object",
        "additionalProperties": {"anyOf": [{"enum": words()}, {"type": "null"}, {
            "type": "object", "additionalProperties": false,
            "properties": inputs::KEYS.iter().map(|key| (key.to_string(), input(key))).collect::<Map<_, _>>(),
        }]},
    });
    root
}

fn words() -> Vec<&'static str> {
    InputKind::WORDS.iter().map(|(word, _)| *word).collect()
}

fn input(key: &str) -> Value {
    match key {
        "type" => json!({"enum": words()}),
        "required" | "secret" => flag(),
        "enum" | "choices" => json!({"type": "array"}),
        "description" => text(),
        _ => any(),
    }
}

fn properties<'a>(keys: impl Iterator<Item = &'a str>) -> Value {
    let property = |key: &'a str| {
        let row = ROWS.iter().find(|(known, ..)| *known == key);
        let schema = row.map_or_else(any, |(_, about, shape)| {
            let mut schema = shape();
            schema["description"] = (*about).into();
            schema
        });
        (key.to_string(), schema)
    };
    Value::Object(keys.map(property).collect())
}

fn any() -> Value {
    json!({})
}

fn text() -> Value {
    json!({"type": ["string", "number"]})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn object() -> Value {
    json!({"type": ["object", "string"]})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 1})
}

fn time() -> Value {
    json!({"type": ["string", "number"]})
}

/// An expression; a constant is one too.
fn formula() -> Value {
    json!({"type": ["string", "boolean", "number", "array"]})
}

fn steps() -> Value {
    json!({"type": "array", "items": {"$ref": "#/$defs/step"}})
}

fn error_handling() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties(ERROR_HANDLING.into_iter())})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_language_is_described() {
        let keys =
            COMMON.iter().chain(KINDS.iter().flat_map(|(_, keys)| *keys)).chain(&TOP).chain(&ERROR_HANDLING);
        let missing: Vec<_> = keys.filter(|key| !ROWS.iter().any(|(known, ..)| known == *key)).collect();
        assert_eq!(missing, Vec::<&&str>::new());
    }

    #[test]
    fn what_the_reader_takes_fits_and_what_it_refuses_does_not() {
        let validator = jsonschema::validator_for(&workflow()).unwrap();
        let step = |step: Value| json!({"name": "w", "steps": [step]});
        let fits = [
            json!({"name": "w", "version": 1.0, "inputs": {"a": "string", "b": {"type": "int", "default": 2}, "c": null}, "steps": []}),
            step(
                json!({"id": "a", "tool": "x.y", "inputs": {"q": "${{ 1 }}"}, "timeout": "5s", "depends_on": ["b"]}),
            ),
            step(
                json!({"id": "a", "type": "try", "steps": [{"id": "b", "wait": 1}], "catch": [{"id": "c", "set": []}]}),
            ),
            step(
                json!({"id": "a", "http": {"url": "https://a.example"}, "error_handling": {"strategy": "retry", "retry_on": ["5xx"]}}),
            ),
        ];
        for document in fits {
            let errors: Vec<String> =
                validator.iter_errors(&document).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0], "{document}");
        }
        for document in [
            json!({"steps": []}),
            json!({"name": "w", "stpes": []}),
            step(json!({"tool": "x.y"})),
            step(json!({"id": "a", "tool": "x.y", "timeuot": "5s"})),
            step(json!({"id": "a", "agent": "cladue", "prompt": "x"})),
            json!({"name": "w", "inputs": {"a": "strnig"}, "steps": []}),
        ] {
            assert!(!validator.is_valid(&document), "{document}");
        }
    }
}
