//! What a file of commands may not say: names no client takes, placeholders nobody fills, needs that go in a circle.

use crate::apps::model::Definition;
use crate::apps::template::{names, names_in};
use crate::documents::{Key, Node, Source, near};
use crate::error::Result;
use serde_json::{Map, Value};

/// Variables that decide which code a program runs; no argument may reach them.
const HIJACKING: [&str; 14] = [
    "PATH",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "DYLD_LIBRARY_PATH",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "RUBYOPT",
    "BASH_ENV",
    "ENV",
    "IFS",
];

/// Names of tools as every client takes them.
pub fn name(source: &Source<'_>, key: &Key) -> Result<()> {
    if is_tool_name(&key.name) {
        return Ok(());
    }
    let message = format!("`{}` cannot be the name of a command", key.name);
    Err(source.invalid(key.at, message).hint("use 1 to 64 letters, digits, `_` and `-`"))
}

/// Whether clients take a name for a tool.
pub fn is_tool_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

pub fn argument_name(source: &Source<'_>, key: &Key) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let starts = key.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && key.name.len() <= 64 && key.name.chars().all(good) {
        return Ok(());
    }
    let message = format!("`{}` cannot be the name of an argument", key.name);
    Err(source.invalid(key.at, message).hint("use letters, digits, `_` and `-`, and begin with a letter"))
}

/// Every placeholder below `node` names a declared argument.
pub fn placeholders(source: &Source<'_>, node: &Node, schema: &Value) -> Result<()> {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    for name in node.as_str().map(names).into_iter().flatten() {
        if known.contains_key(name) {
            continue;
        }
        let error = source.invalid(node.at, format!("`{{{{{name}}}}}` is no argument of this command"));
        return Err(match near(name, known.keys().map(String::as_str)) {
            Some(meant) => error.hint(format!("did you mean `{{{{{meant}}}}}`?")),
            None => error.hint(format!("declare it below `arguments`, as `{name}: string`")),
        });
    }
    node.items().iter().try_for_each(|item| placeholders(source, item, schema))?;
    node.entries().iter().try_for_each(|(_, value)| placeholders(source, value, schema))
}

/// No placeholder at all below `node`, for the reason `why`.
pub fn none(source: &Source<'_>, node: &Node, why: &str, hint: &str) -> Result<()> {
    let value = node.to_json();
    let mut found = Vec::new();
    names_in(&value, &mut found);
    match found.first() {
        None => Ok(()),
        Some(name) => Err(source.invalid(node.at, format!("`{{{{{name}}}}}` {why}")).hint(hint)),
    }
}

/// No argument decides which code a program loads.
pub fn variables(source: &Source<'_>, env: &Node) -> Result<()> {
    for (key, value) in env.entries() {
        let name = key.name.as_str();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(source.invalid(key.at, format!("`{name}` cannot be the name of a variable")));
        }
        if HIJACKING.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let why = format!("may not reach the variable `{name}`, which decides what code runs");
            none(source, value, &why, "use a variable of another name")?;
        }
    }
    Ok(())
}

/// `needs` names commands that are there, and never in a circle.
pub fn needs(source: &Source<'_>, commands: &Node, definition: &Definition) -> Result<()> {
    for (key, node) in commands.entries() {
        for need in node.get("needs").map(Node::items).unwrap_or_default() {
            let name = need.as_str().unwrap_or_default();
            let Some(tool) = definition.tool(name) else {
                let error = source.invalid(need.at, format!("there is no command `{name}` to run first"));
                let known = definition.tools.iter().map(|tool| tool.name.as_str());
                return Err(match near(name, known) {
                    Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                    None => error,
                });
            };
            if tool.input["required"].as_array().is_some_and(|required| !required.is_empty()) {
                let message = format!("`{name}` wants arguments, so nothing can run it first");
                return Err(source.invalid(need.at, message).hint("give its arguments defaults"));
            }
        }
        if reaches(definition, &key.name, &key.name, definition.tools.len()) {
            return Err(source.invalid(key.at, format!("`{}` needs itself, in a circle", key.name)));
        }
    }
    Ok(())
}

fn reaches(definition: &Definition, from: &str, to: &str, fuel: usize) -> bool {
    let needs = definition.tool(from).map(|tool| tool.needs.as_slice()).unwrap_or_default();
    needs.iter().any(|need| need == to || (fuel > 0 && reaches(definition, need, to, fuel - 1)))
}
