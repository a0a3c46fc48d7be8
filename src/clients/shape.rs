//! umcp's entry in the form each client wants, and back.

use super::model::{Client, Entry, Shape};
use crate::documents::Node;
use serde_json::{Map, Value, json};

/// The entry as the client writes it, laid over what stands there already: unknown keys stay.
pub fn write(client: &Client, name: &str, entry: &Entry, old: Option<&Value>) -> Value {
    let mut map = old.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut put = |key: &str, value: Value| {
        map.insert(key.into(), value);
    };
    match client.shape {
        Shape::Plain | Shape::Instructions => {}
        Shape::Typed => put("type", "stdio".into()),
        Shape::Sourced => put("source", "custom".into()),
        Shape::Listed => put("name", name.into()),
        Shape::Goose => {
            put("enabled", true.into());
            put("type", "stdio".into());
            put("name", name.into());
        }
        Shape::OpenCode => {
            put("type", "local".into());
            put("enabled", true.into());
        }
    }
    match client.shape {
        Shape::OpenCode => {
            let words = std::iter::once(&entry.command).chain(&entry.args);
            put("command", words.map(String::as_str).collect());
        }
        Shape::Goose => {
            put("cmd", entry.command.clone().into());
            put("args", json!(entry.args));
            put("timeout", 300.into());
        }
        _ => {
            put("command", entry.command.clone().into());
            put("args", json!(entry.args));
        }
    }
    let env = env_key(client.shape);
    if entry.env.is_empty() {
        map.remove(env);
    } else {
        map.insert(env.into(), json!(entry.env));
    }
    Value::Object(map)
}

/// Reads an entry back; `None` when it runs no program.
pub fn read(client: &Client, node: &Node) -> Option<Entry> {
    let list = |node: &Node| node.items().iter().filter_map(Node::scalar).collect::<Vec<_>>();
    let command = node.get(if client.shape == Shape::Goose { "cmd" } else { "command" })?;
    let mut args = node.get("args").map(list).unwrap_or_default();
    let program = if command.is_list() {
        let mut words = list(command).into_iter();
        let program = words.next()?;
        args.splice(0..0, words);
        program
    } else {
        command.scalar()?
    };
    let env = node.get(env_key(client.shape)).map(Node::entries).unwrap_or_default();
    let env = env.iter().filter_map(|(key, value)| Some((key.name.clone(), value.scalar()?))).collect();
    Some(Entry { command: program, args, env })
}

/// What a client's file must hold beside servers when umcp creates it.
pub fn scaffold(client: &Client) -> &'static str {
    match client.shape {
        Shape::Listed => "name: Local Config\nversion: 0.0.1\nschema: v1\n",
        _ => "",
    }
}

/// The entry as it would stand in a file of its own.
pub fn whole(client: &Client, name: &str, entry: &Entry) -> Value {
    let value = write(client, name, entry, None);
    let inner = match client.shape {
        Shape::Listed => json!([value]),
        _ => Value::Object(Map::from_iter([(name.to_string(), value)])),
    };
    Value::Object(Map::from_iter([(client.key.to_string(), inner)]))
}

fn env_key(shape: Shape) -> &'static str {
    match shape {
        Shape::Goose => "envs",
        Shape::OpenCode => "environment",
        _ => "env",
    }
}
