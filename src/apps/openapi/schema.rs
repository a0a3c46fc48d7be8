//! Schemas of OpenAPI as JSON Schema of arguments: references put in, what a model cannot use left out.
//! Rule: depth, breadth and size are bounded, so that a small document cannot make a large tool; where a bound is
//! met, the schema says less, and so allows more.

use super::refs::Document;
use super::text;
use serde_json::{Map, Value, json};

/// Levels of a schema that are described.
const MAX_DEPTH: usize = 6;
/// Schemas within one tool.
const MAX_NODES: usize = 300;
/// Values of an `enum` that are listed.
const MAX_VALUES: usize = 100;
const MAX_BRANCHES: usize = 8;
/// Parts an object may be put together of by `allOf`.
const MAX_PARTS: usize = 100;
const DESCRIPTION: usize = 240;

/// Keywords that are taken over as they stand.
const KEPT: [&str; 16] = [
    "type",
    "format",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "multipleOf",
    "const",
    "contentEncoding",
    "minProperties",
    "maxProperties",
    "title",
];

/// Converts the schemas of one tool.
pub struct Schemas<'a> {
    document: &'a Document<'a>,
    /// References being followed.
    path: Vec<&'a str>,
    left: usize,
}

impl<'a> Schemas<'a> {
    pub fn new(document: &'a Document<'a>) -> Self {
        Self { document, path: Vec::new(), left: MAX_NODES }
    }

    /// A schema as JSON Schema.
    pub fn convert(&mut self, schema: &'a Value) -> Value {
        self.at(schema, 0)
    }

    /// Properties and required names of an object, those of `allOf` included; `None` when it is something else.
    pub fn object(&self, schema: &'a Value) -> Option<Object<'a>> {
        let mut object = Object::default();
        self.gather(schema, &mut object, 0, &mut { MAX_PARTS })?;
        (!object.properties.is_empty()).then_some(object)
    }

    fn gather(
        &self,
        schema: &'a Value,
        object: &mut Object<'a>,
        depth: usize,
        parts: &mut usize,
    ) -> Option<()> {
        let schema = self.document.resolve(schema)?;
        *parts = parts.checked_sub(1)?;
        if depth > MAX_DEPTH || schema.get("oneOf").is_some() || schema.get("anyOf").is_some() {
            return None;
        }
        let is_object = match &schema["type"] {
            Value::String(word) => word == "object",
            Value::Array(words) => words.iter().any(|word| word == "object"),
            _ => schema.get("properties").is_some() || schema.get("allOf").is_some(),
        };
        if !is_object {
            return None;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(part, object, depth + 1, parts)?;
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            // What only the service writes is nothing to give.
            let read_only = self.document.resolve(property).is_some_and(|known| known["readOnly"] == true);
            if !read_only {
                object.properties.retain(|(known, _)| *known != name);
                object.properties.push((name, property));
            }
        }
        object.required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
        Some(())
    }

    fn at(&mut self, schema: &'a Value, depth: usize) -> Value {
        if self.left == 0 {
            return json!({});
        }
        self.left -= 1;
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            if self.path.contains(&reference) {
                return json!({"description": "the same again"});
            }
            let Some(target) = self.document.target(reference) else { return json!({}) };
            self.path.push(reference);
            let converted = self.at(target, depth);
            self.path.pop();
            return converted;
        }
        let Value::Object(fields) = schema else { return json!({}) };
        let mut made = Map::new();
        for keyword in KEPT {
            if let Some(value) = fields.get(keyword) {
                made.insert(keyword.into(), value.clone());
            }
        }
        if let Some(words) = text(&schema["description"], DESCRIPTION) {
            made.insert("description".into(), words.into());
        }
        if let Some(values) = fields.get("enum").and_then(Value::as_array) {
            // A shortened list would refuse good values.
            if values.len() <= MAX_VALUES {
                made.insert("enum".into(), values.clone().into());
            }
        }
        exclusive(fields, &mut made);
        if depth < MAX_DEPTH {
            self.below(schema, fields, &mut made, depth);
        }
        if fields.get("nullable") == Some(&Value::Bool(true)) {
            nullable(&mut made);
        }
        tidy(&mut made);
        Value::Object(made)
    }

    fn below(
        &mut self,
        schema: &'a Value,
        fields: &'a Map<String, Value>,
        made: &mut Map<String, Value>,
        depth: usize,
    ) {
        if let Some(items) = fields.get("items").filter(|items| items.is_object()) {
            let items = self.at(items, depth + 1);
            made.insert("items".into(), items);
        }
        if let Some(object) = self.object(schema) {
            let mut properties = Map::new();
            for (name, property) in &object.properties {
                let property = self.at(property, depth + 1);
                properties.insert((*name).clone(), property);
            }
            let required: Vec<&str> =
                object.required.iter().copied().filter(|name| properties.contains_key(*name)).collect();
            if !required.is_empty() {
                made.insert("required".into(), required.into());
            }
            made.insert("type".into(), "object".into());
            made.insert("properties".into(), properties.into());
            return;
        }
        for keyword in ["oneOf", "anyOf", "allOf"] {
            let Some(branches) = fields.get(keyword).and_then(Value::as_array) else { continue };
            if branches.len() > MAX_BRANCHES {
                continue;
            }
            let branches: Vec<Value> = branches.iter().map(|branch| self.at(branch, depth + 1)).collect();
            // Branches of one-of often overlap once they are shortened; any-of says the same to a model.
            let keyword = if keyword == "oneOf" { "anyOf" } else { keyword };
            made.insert(keyword.into(), branches.into());
        }
        match fields.get("additionalProperties") {
            Some(Value::Bool(false)) | None => {}
            Some(Value::Object(inner)) if !inner.is_empty() => {
                let inner = self.at(&fields["additionalProperties"], depth + 1);
                made.insert("additionalProperties".into(), inner);
            }
            Some(_) => {}
        }
    }
}

/// The fields of an object.
#[derive(Debug, Default)]
pub struct Object<'a> {
    pub properties: Vec<(&'a String, &'a Value)>,
    pub required: Vec<&'a str>,
}

/// `exclusiveMinimum: true` of 3.0 as the number of JSON Schema.
fn exclusive(fields: &Map<String, Value>, made: &mut Map<String, Value>) {
    for (keyword, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match fields.get(keyword) {
            Some(Value::Bool(true)) => {
                if let Some(value) = made.remove(bound) {
                    made.insert(keyword.into(), value);
                }
            }
            Some(value @ Value::Number(_)) => _ = made.insert(keyword.into(), value.clone()),
            _ => {}
        }
    }
}

fn nullable(made: &mut Map<String, Value>) {
    if let Some(Value::String(word)) = made.get("type") {
        let both = json!([word, "null"]);
        made.insert("type".into(), both);
    }
    if let Some(Value::Array(values)) = made.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// Takes out what would make the schema itself invalid: documents in the wild have all of it.
fn tidy(made: &mut Map<String, Value>) {
    const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];
    let known = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
    let good = match made.get("type") {
        Some(Value::Array(words)) => words.iter().all(known),
        Some(word) => known(word),
        None => true,
    };
    if !good {
        made.remove("type");
    }
    let counts = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
    made.retain(|keyword, value| match keyword.as_str() {
        word if counts.contains(&word) => value.as_u64().is_some(),
        "minimum" | "maximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
        "uniqueItems" => value.is_boolean(),
        "format" | "title" | "contentEncoding" => value.is_string(),
        _ => true,
    });
}
