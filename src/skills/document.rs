//! From the steps of a skill to a workflow document: the strategy becomes flags and conditions of the steps, `retry`
//! becomes that of each step, and the rest is handed on as it was written. Pure; what the document means is decided
//! by whoever runs it.

use super::definition::Strategy;
use crate::documents::Node;
use crate::expressions::Masked;
use serde_json::{Map, Value, json};

/// Keys that mean the same in both, and what a workflow calls them.
const SHARED: [(&str, &str); 8] = [
    ("version", "version"),
    ("description", "description"),
    ("parameters", "inputs"),
    ("inputs", "inputs"),
    ("templates", "templates"),
    ("outputs", "outputs"),
    ("finally", "finally"),
    ("timeout", "timeout"),
];
/// Lists of steps inside a step.
const BLOCKS: [&str; 6] = ["steps", "then", "else", "default", "catch", "finally"];
/// Steps that call something, where trying again makes sense.
const CALLS: [&str; 7] = ["tool", "app", "skill", "command", "http", "workflow", "agent"];

/// The document, as JSON. `node` is the masked `skill.yaml`.
pub fn translate(node: &Node, id: &str, strategy: Strategy, masked: &Masked) -> String {
    let mut document = Map::new();
    document.insert("name".into(), id.into());
    for (ours, theirs) in SHARED {
        if let Some(value) = node.get(ours) {
            document.insert(theirs.into(), value.to_json());
        }
    }
    if let Some(most) = node.get("max_concurrency") {
        document.insert("max_concurrency".into(), most.to_json());
    }
    let mut steps = node.get("steps").map(Node::to_json).unwrap_or_else(|| json!([]));
    if let Some(retry) = node.get("retry").map(Node::to_json) {
        retried(&mut steps, &retry);
    }
    match strategy {
        Strategy::Sequential => {}
        Strategy::Parallel => each(&mut steps, |step| drop(step.insert("parallel".into(), true.into()))),
        Strategy::Conditional => first_that_holds(&mut steps, masked),
    }
    document.insert("steps".into(), steps);
    // Expressions come back unescaped: the document is masked again by whoever reads it.
    masked.unmask(&Value::Object(document).to_string())
}

fn each(steps: &mut Value, mut change: impl FnMut(&mut Map<String, Value>)) {
    steps.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut).for_each(&mut change);
}

/// Gives every step that calls something the skill's way of trying again, unless it has one of its own.
fn retried(steps: &mut Value, retry: &Value) {
    each(steps, |step| {
        for block in BLOCKS {
            if let Some(inner) = step.get_mut(block) {
                retried(inner, retry);
            }
        }
        let calls = CALLS.iter().any(|kind| step.contains_key(*kind));
        if let (true, Value::Object(retry)) = (calls && !step.contains_key("error_handling"), retry) {
            let mut handling = retry.clone();
            handling.entry("strategy").or_insert_with(|| "retry".into());
            step.insert("error_handling".into(), handling.into());
        }
    });
}

/// Each step is done when its own `if` holds and none before it did.
fn first_that_holds(steps: &mut Value, masked: &Masked) {
    let mut before: Vec<String> = Vec::new();
    each(steps, |step| {
        let own = step.get("if").map(|condition| match condition {
            Value::String(text) => bare(&masked.unmask(text)),
            other => other.to_string(),
        });
        let mut all: Vec<String> = before.iter().map(|condition| format!("!({condition})")).collect();
        all.extend(own.iter().map(|condition| format!("({condition})")));
        if !all.is_empty() {
            step.insert("if".into(), all.join(" && ").into());
        }
        before.push(own.unwrap_or_else(|| "true".into()));
    });
}

/// A condition without the `${{ }}` around it.
fn bare(condition: &str) -> String {
    let trimmed = condition.trim();
    let inner = trimmed.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
    inner.unwrap_or(trimmed).trim().into()
}

/// The file itself as a workflow, line for line, so that mistakes in its steps are shown where they stand: keys of
/// skills are blanked. `None` where keys do not stand at the beginning of lines.
pub fn plain(node: &Node, id: &str, text: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(Into::into).collect();
    let entries = node.entries();
    let starts: Vec<usize> = entries.iter().map(|(key, _)| key.at.line as usize).collect();
    let apart = starts.windows(2).all(|pair| pair[0] < pair[1]);
    if !apart || entries.iter().any(|(key, _)| key.at.column != 1) {
        return None;
    }
    for (number, (key, _)) in entries.iter().enumerate() {
        let from = starts[number] - 1;
        let until = starts.get(number + 1).map_or(lines.len(), |next| next - 1);
        let kept = key.name == "steps"
            || key.name == "max_concurrency"
            || SHARED.iter().any(|(ours, _)| *ours == key.name);
        match key.name.as_str() {
            "id" => lines[from] = format!("name: {id}"),
            "parameters" => lines[from] = lines[from].replacen("parameters", "inputs", 1),
            _ if kept => {}
            _ => lines[from..until].fill(String::new()),
        }
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expressions::mask;

    fn translated(text: &str, strategy: Strategy) -> Value {
        let masked = mask(text);
        let node = crate::documents::parse("skill.yaml", &masked.text).unwrap();
        serde_json::from_str(&translate(&node, "x", strategy, &masked)).unwrap()
    }

    #[test]
    fn strategies_become_flags_and_conditions() {
        let text = "id: x\nsteps:\n  - {id: a, tool: s.t, if: ${{ inputs.n > 1 }}}\n  - {id: b, tool: s.t, if: \"inputs.n > 0\"}\n  - {id: c, set: 1}\n";
        let conditions: Vec<Value> = translated(text, Strategy::Conditional)["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["if"].clone())
            .collect();
        assert_eq!(
            conditions,
            [
                json!("(inputs.n > 1)"),
                json!("!(inputs.n > 1) && (inputs.n > 0)"),
                json!("!(inputs.n > 1) && !(inputs.n > 0)")
            ]
        );
        let parallel = translated(text, Strategy::Parallel);
        assert!(parallel["steps"].as_array().unwrap().iter().all(|step| step["parallel"] == true));
        assert_eq!(translated(text, Strategy::Sequential)["steps"][2], json!({"id": "c", "set": 1}));
    }

    #[test]
    fn retry_reaches_the_steps_that_call() {
        let text = "id: x\nretry: {max_attempts: 3}\nsteps:\n  - {id: a, tool: s.t}\n  - {id: b, tool: s.t, error_handling: {strategy: fail}}\n  - id: c\n    type: foreach\n    items: [1]\n    steps: [{id: d, app: s.t}, {id: e, set: 1}]\n";
        let steps = translated(text, Strategy::Sequential)["steps"].clone();
        let handling = json!({"max_attempts": 3, "strategy": "retry"});
        assert_eq!(steps[0]["error_handling"], handling);
        assert_eq!(steps[1]["error_handling"], json!({"strategy": "fail"}));
        assert_eq!(steps[2].get("error_handling"), None);
        assert_eq!(steps[2]["steps"][0]["error_handling"], handling);
        assert_eq!(steps[2]["steps"][1].get("error_handling"), None);
    }

    #[test]
    fn expressions_pass_through_untouched() {
        let text = "id: x\nparameters: {a: string}\nsteps:\n  - {id: a, set: {b: \"is ${{ inputs.a == \"q\" }}\", c: [${{ inputs.a }}]}}\n";
        let masked = mask(text);
        let node = crate::documents::parse("skill.yaml", &masked.text).unwrap();
        let document = translate(&node, "x", Strategy::Sequential, &masked);
        assert!(document.contains(r#""b":"is ${{ inputs.a == "q" }}""#), "{document}");
        assert!(document.contains(r#""inputs":{"a":"string"}"#), "{document}");
    }

    #[test]
    fn the_plain_form_keeps_every_line() {
        let text = "id: greet\nname: Greeter\nauthor: me\nparameters:\n  who: string\nsteps:\n  - id: a\n    set: 1\ntests:\n  - name: t\n    expect: {}\n";
        let node = crate::documents::parse("skill.yaml", text).unwrap();
        let plain = plain(&node, "greet", text).unwrap();
        assert_eq!(plain, "name: greet\n\n\ninputs:\n  who: string\nsteps:\n  - id: a\n    set: 1\n\n\n");
        let flow = "{id: greet, steps: []}";
        let node = crate::documents::parse("skill.yaml", flow).unwrap();
        assert_eq!(super::plain(&node, "greet", flow), None);
    }
}
