//! Values for a run in the imagination: of inputs that were not given, and of steps that nobody mocked. Pure.
//! A result has the fields that the document reads of it, so that a dry run gets as far as it can.

use super::model::{Action, Input, InputKind, Step, Workflow};
use crate::expressions::{Expression, Step as Part};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Inputs that are needed and were not given.
pub fn inputs(workflow: &Workflow, given: &Map<String, Value>) -> Map<String, Value> {
    let sample = |input: &Input| match (input.choices.first(), input.kind) {
        (Some(choice), _) => choice.clone(),
        (None, InputKind::Text | InputKind::Any) => input.name.as_str().into(),
        (None, InputKind::Integer | InputKind::Number) => 1.into(),
        (None, InputKind::Boolean) => true.into(),
        (None, InputKind::List) => Vec::<Value>::new().into(),
        (None, InputKind::Object) => Map::new().into(),
    };
    let missing = workflow.inputs.iter().filter(|input| is_missing(input, given));
    missing.map(|input| (input.name.clone(), sample(input))).collect()
}

/// Whether a run cannot begin without somebody saying this.
pub fn is_missing(input: &Input, given: &Map<String, Value>) -> bool {
    input.required && input.default.is_none() && !given.contains_key(&input.name)
}

/// For each step whose fields are read, a result that has them; a text says which field it stands for.
pub fn results(workflow: &Workflow) -> Map<String, Value> {
    let mut found = Map::new();
    let mut note = |expression: &Expression| {
        for (path, _) in expression.paths() {
            if let [Part::Key(root), Part::Key(id), Part::Key(result), rest @ ..] = path.as_slice()
                && root == "steps"
                && result == "result"
            {
                grow(found.entry(id.clone()).or_insert(Value::Null), rest, id.clone());
            }
        }
    };
    workflow.outputs.iter().for_each(|(_, shape)| shape.visit(&mut |expression, _| note(expression)));
    workflow.steps.iter().chain(&workflow.finally).for_each(|step| read(step, &mut note));
    let calls = calls(workflow);
    found.retain(|id, _| calls.contains(id));
    found
}

/// Steps whose results come from elsewhere.
pub fn calls(workflow: &Workflow) -> BTreeSet<String> {
    fn within(step: &Step, ids: &mut BTreeSet<String>) {
        if matches!(step.action, Action::Call { .. } | Action::Run { .. } | Action::Own { .. }) {
            ids.insert(step.id.clone());
        }
        let inner =
            step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
        inner.flatten().for_each(|step| within(step, ids));
    }
    let mut ids = BTreeSet::new();
    workflow.steps.iter().chain(&workflow.finally).for_each(|step| within(step, &mut ids));
    ids
}

/// Shows `note` every expression of a step and of those inside.
fn read(step: &Step, note: &mut dyn FnMut(&Expression)) {
    if let Some(condition) = &step.condition {
        note(&condition.expression);
    }
    if let Action::Repeat { until: Some(until), .. } = &step.action {
        note(&until.expression);
    }
    step.action.visit(&mut |expression, _| note(expression));
    if let Some(key) = &step.idempotency_key {
        key.visit(&mut |expression, _| note(expression));
    }
    let inner = step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
    inner.flatten().for_each(|step| read(step, note));
}

/// Longest list that is made up.
const MOST_ITEMS: usize = 16;

fn grow(value: &mut Value, rest: &[Part], name: String) {
    match rest {
        [] if value.is_null() => *value = name.into(),
        [Part::Key(key), rest @ ..] => {
            if !value.is_object() {
                *value = Map::new().into();
            }
            let inner = value.as_object_mut().map(|map| map.entry(key.clone()).or_insert(Value::Null));
            if let Some(inner) = inner {
                grow(inner, rest, format!("{name}.{key}"));
            }
        }
        [Part::Index(at), rest @ ..] => {
            let at = usize::try_from(*at).unwrap_or(MOST_ITEMS);
            if at < MOST_ITEMS && (value.is_null() || value.is_array()) {
                let mut items = value.as_array().cloned().unwrap_or_default();
                items.resize(items.len().max(at + 1), Value::Null);
                grow(&mut items[at], rest, format!("{name}[{at}]"));
                *value = items.into();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::read::read;
    use serde_json::json;

    #[test]
    fn what_is_read_is_there() {
        let text = "name: w\ninputs: {who: string, n: {type: int, enum: [3, 4]}, left: {default: 1}}\nsteps:\n  \
            - {id: a, tool: s.t}\n  - {id: b, set: \"${{ steps.a.result.user.id }} ${{ steps.a.result.tags[1] }}\"}\n  \
            - {id: c, tool: s.t, if: \"${{ steps.a.result.user.name == 'x' }}\"}\n\
            outputs: {id: \"${{ steps.a.result.user.id }}\", c: \"${{ steps.c.result }}\", b: \"${{ steps.b.result }}\"}\n";
        let workflow = read("w.yaml", text).unwrap();
        let expected = json!({"a": {"user": {"id": "a.user.id", "name": "a.user.name"}, "tags": [null, "a.tags[1]"]}, "c": "c"});
        assert_eq!(Value::Object(results(&workflow)), expected);
        let given = Map::from_iter([("n".to_string(), json!(4))]);
        assert_eq!(Value::Object(inputs(&workflow, &given)), json!({"who": "who"}));
        assert_eq!(Value::Object(inputs(&workflow, &Map::new())), json!({"who": "who", "n": 3}));
    }
}
