//! Arguments of a tool from the words of a shell: `k=v`, `k:=json`, `k=@file`, `k=-`, `{…}`.
//! Values take the type the tool's schema asks for, and the whole is checked against the schema before any call.
//! Pure: files and stdin are read by the caller's `read`.

use crate::documents::near;
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value};

/// Where the text of a value is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    File(&'a str),
    Stdin,
}

/// Builds the arguments. `schema` is the tool's `inputSchema`; `Null` when it is not known.
pub fn build(
    words: &[String],
    schema: &Value,
    read: &mut dyn FnMut(Origin<'_>) -> Result<String>,
) -> Result<Map<String, Value>> {
    let mut arguments = Map::new();
    let mut named: Vec<Vec<String>> = Vec::new();
    for word in words {
        if word == "-" {
            object_into(&mut arguments, &read(Origin::Stdin)?, "stdin")?;
        } else if word.trim_start().starts_with('{') {
            object_into(&mut arguments, word, "the argument")?;
        } else if let Some(path) = word.strip_prefix('@') {
            object_into(&mut arguments, &read(Origin::File(path))?, &format!("`{path}`"))?;
        } else {
            let (path, value) = pair(word, schema, read)?;
            // A file or object may be put right by a word; two words that disagree are a slip.
            if named.contains(&path) {
                return Err(twice(&path, schema));
            }
            named.push(path.clone());
            set(&mut arguments, &path, value, word)?;
        }
    }
    Ok(arguments)
}

fn twice(path: &[String], schema: &Value) -> Error {
    let name = path.join(".");
    let error = Error::new(&codes::ARGUMENTS_INVALID, format!("`{name}` is given twice"));
    match types(field_schema(schema, path)).iter().any(|known| known == "array") {
        true => error.hint(format!("a list is one word: {name}=ONE,TWO or {name}:='[\"ONE\", \"TWO\"]'")),
        false => error,
    }
}

/// What the tool does not ask for but its schema lets pass: a line for each, with the name that was meant.
pub fn strangers(arguments: &Map<String, Value>, schema: &Value) -> Vec<String> {
    // A schema that names nothing, or says itself what else may come, knows of no strangers.
    let open = ["additionalProperties", "patternProperties", "anyOf", "oneOf", "allOf", "$ref"];
    if open.iter().any(|key| schema.get(key).is_some()) {
        return Vec::new();
    }
    let Some(known) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let unknown = arguments.keys().filter(|name| !known.contains_key(*name));
    unknown
        .map(|name| match near(name, known.keys().map(String::as_str)) {
            Some(nearest) => format!("the tool knows no `{name}`; did you mean `{nearest}`?"),
            None => format!("the tool knows no `{name}`"),
        })
        .collect()
}

/// Refuses arguments that do not fit the schema; the message names the path inside them.
pub fn check(arguments: &Map<String, Value>, schema: &Value) -> Result<()> {
    if !schema.is_object() {
        return Ok(());
    }
    // A schema that is itself broken is the server's fault; the server then judges the call.
    let Ok(validator) = jsonschema::validator_for(schema) else { return Ok(()) };
    let instance = Value::Object(arguments.clone());
    let mut errors = validator.iter_errors(&instance);
    let Some(first) = errors.next() else { return Ok(()) };
    let path = readable_path(&first.instance_path().to_string());
    let message = match path.as_str() {
        "" => format!("the arguments do not fit: {}", plain(&first.to_string())),
        path => format!("`{path}` does not fit: {}", plain(&first.to_string())),
    };
    let error = Error::new(&codes::ARGUMENTS_INVALID, message);
    let error = errors.take(4).fold(error, |error, other| {
        let path = readable_path(&other.instance_path().to_string());
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        error.hint(format!("also {place}{}", plain(&other.to_string())))
    });
    Err(unknown_names(arguments, schema).into_iter().fold(error, Error::hint))
}

/// jsonschema's words with our quotes, cut where a large value was printed.
fn plain(text: &str) -> String {
    let text = text.replace(['"', '\''], "`");
    if text.chars().count() <= 200 { text } else { text.chars().take(200).collect::<String>() + " ..." }
}

fn unknown_names(arguments: &Map<String, Value>, schema: &Value) -> Vec<String> {
    let Some(known) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let unknown: Vec<&String> = arguments.keys().filter(|name| !known.contains_key(*name)).collect();
    let hint = |name: &&String| {
        let nearest = near(name, known.keys().map(String::as_str))?;
        Some(format!("did you mean `{nearest}` instead of `{name}`?"))
    };
    let hints: Vec<String> = unknown.iter().filter_map(hint).collect();
    if !hints.is_empty() || unknown.is_empty() || known.is_empty() {
        return hints;
    }
    let names: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
    vec![format!("it takes {}", names.join(", "))]
}

/// `/items/0/name` as `items[0].name`.
fn readable_path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.chars().all(|c| c.is_ascii_digit()) && !part.is_empty() {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part);
        }
    }
    path
}

fn object_into(arguments: &mut Map<String, Value>, text: &str, place: &str) -> Result<()> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => {
            arguments.extend(fields);
            Ok(())
        }
        Ok(_) => Err(Error::new(&codes::ARGUMENTS_INVALID, format!("{place} is JSON, but not an object"))),
        Err(error) => {
            Err(Error::new(&codes::ARGUMENTS_INVALID, format!("{place} is not a JSON object")).because(error))
        }
    }
}

/// One `name=value` word: the dotted name and the typed value.
fn pair(
    word: &str,
    schema: &Value,
    read: &mut dyn FnMut(Origin<'_>) -> Result<String>,
) -> Result<(Vec<String>, Value)> {
    let Some((name, text)) = word.split_once('=').filter(|(name, _)| !name.trim_matches(':').is_empty())
    else {
        return Err(Error::new(&codes::ARGUMENTS_INVALID, format!("`{word}` is not of the form NAME=VALUE"))
            .hint("give NAME=TEXT, NAME:=JSON, NAME=@FILE, NAME=- for stdin, or one JSON object"));
    };
    let (name, is_json) = name.strip_suffix(':').map_or((name, false), |name| (name, true));
    let content = match text {
        "-" => Some(read(Origin::Stdin)?),
        _ => text.strip_prefix('@').map(|path| read(Origin::File(path))).transpose()?,
    };
    let text = content.as_deref().unwrap_or(text);
    let path = split_name(name, schema);
    if is_json {
        let value = serde_json::from_str(text).map_err(|error| {
            Error::new(&codes::ARGUMENTS_INVALID, format!("the value of `{name}` is not JSON")).because(error)
        })?;
        return Ok((path, value));
    }
    let value = typed(text, field_schema(schema, &path));
    Ok((path, value))
}

/// A name that the schema knows is taken as it is; else dots reach inside objects.
fn split_name(name: &str, schema: &Value) -> Vec<String> {
    let known = schema.pointer("/properties").is_some_and(|properties| properties.get(name).is_some());
    let outer = name.split('.').next().unwrap_or(name);
    let reaches_in = schema.pointer("/properties").is_some_and(|properties| properties.get(outer).is_some());
    if known || !reaches_in { vec![name.into()] } else { name.split('.').map(String::from).collect() }
}

fn field_schema<'a>(schema: &'a Value, path: &[String]) -> &'a Value {
    let inside = |schema: &'a Value, part: &String| {
        let schema = resolved(schema, schema);
        schema.get("properties").and_then(|properties| properties.get(part)).unwrap_or(&Value::Null)
    };
    let found = path.iter().fold(schema, inside);
    resolved(schema, found)
}

/// Follows one local `$ref`, as generators write for enums and nested objects.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// The text as the type the schema asks for; text that does not fit stays text, and the check says so.
fn typed(text: &str, schema: &Value) -> Value {
    let types = types(schema);
    let wants = |name: &str| types.iter().any(|known| known == name);
    if wants("string") && !(wants("null") && text == "null") {
        return Value::String(text.into());
    }
    let parsed = serde_json::from_str::<Value>(text).ok();
    let fits = |value: &Value| match value {
        Value::Null => wants("null"),
        Value::Bool(_) => wants("boolean"),
        Value::Number(number) => wants("number") || wants("integer") && (number.is_i64() || number.is_u64()),
        Value::Array(_) => wants("array"),
        Value::Object(_) => wants("object"),
        Value::String(_) => false,
    };
    if let Some(value) = parsed.filter(|value| types.is_empty() && !value.is_string() || fits(value)) {
        return value;
    }
    match text {
        "yes" | "on" if wants("boolean") => Value::Bool(true),
        "no" | "off" if wants("boolean") => Value::Bool(false),
        _ if wants("array") => {
            let item = schema.get("items").unwrap_or(&Value::Null);
            Value::Array(text.split(',').map(|part| typed(part.trim(), item)).collect())
        }
        _ => Value::String(text.into()),
    }
}

/// Types a schema names, itself or through its alternatives.
fn types(schema: &Value) -> Vec<String> {
    let mut types = Vec::new();
    match schema.get("type") {
        Some(Value::String(name)) => types.push(name.clone()),
        Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str).map(String::from)),
        _ => {}
    }
    let alternatives =
        ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(key).and_then(Value::as_array)).flatten();
    types.extend(alternatives.flat_map(self::types));
    if types.is_empty()
        && schema.get("enum").and_then(Value::as_array).is_some_and(|all| all.iter().all(Value::is_string))
    {
        types.push("string".into());
    }
    types
}

fn set(arguments: &mut Map<String, Value>, path: &[String], value: Value, word: &str) -> Result<()> {
    let Some((last, parents)) = path.split_last() else { return Ok(()) };
    let mut holder = arguments;
    for part in parents {
        let inner = holder.entry(part.clone()).or_insert_with(|| Value::Object(Map::new()));
        holder = inner.as_object_mut().ok_or_else(|| {
            Error::new(
                &codes::ARGUMENTS_INVALID,
                format!("`{word}` reaches into `{part}`, which is no object"),
            )
        })?;
    }
    holder.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "required": ["path"], "additionalProperties": false, "properties": {
            "path": {"type": "string"}, "count": {"type": "integer"}, "ratio": {"type": "number"},
            "deep": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string"}},
            "sizes": {"type": "array", "items": {"type": "integer"}},
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "color": {"enum": ["red", "1"]},
            "where": {"type": "object", "properties": {"line": {"type": "integer"}}},
            "any": {}}})
    }

    fn from(words: &[&str]) -> Result<Value> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut read = |origin: Origin<'_>| match origin {
            Origin::Stdin => Ok("from stdin".to_string()),
            Origin::File("args.json") => Ok(r#"{"path": "p", "count": 2}"#.to_string()),
            Origin::File(path) => Ok(format!("text of {path}")),
        };
        build(&words, &schema(), &mut read).map(Value::Object)
    }

    #[test]
    fn values_take_the_type_of_the_schema() {
        for (words, expected) in [
            (vec!["path=5", "count=5"], json!({"path": "5", "count": 5})),
            (vec!["path=true", "deep=true"], json!({"path": "true", "deep": true})),
            (vec!["deep=no"], json!({"deep": false})),
            (vec!["ratio=1"], json!({"ratio": 1})),
            (vec!["tags=a, b", "sizes=1,2"], json!({"tags": ["a", "b"], "sizes": [1, 2]})),
            (vec![r#"tags=["a,b"]"#], json!({"tags": ["a,b"]})),
            (vec!["limit=null"], json!({"limit": null})),
            (vec!["limit=3"], json!({"limit": 3})),
            (vec!["color=1"], json!({"color": "1"})),
            (vec!["where.line=3"], json!({"where": {"line": 3}})),
            (vec!["any=3", "other=x=y"], json!({"any": 3, "other": "x=y"})),
            (vec!["a.b=1"], json!({"a.b": 1})),
            (vec!["path:=[1]"], json!({"path": [1]})),
            (vec!["path=@notes.txt"], json!({"path": "text of notes.txt"})),
            (vec!["path=-"], json!({"path": "from stdin"})),
            (vec!["@args.json", "count=3"], json!({"path": "p", "count": 3})),
            (vec![r#"{"path": "x"}"#], json!({"path": "x"})),
            (vec!["count=many"], json!({"count": "many"})),
        ] {
            assert_eq!(from(&words).unwrap(), expected, "{words:?}");
        }
        for words in
            [vec!["path"], vec!["=x"], vec!["path:={"], vec!["{1}"], vec!["-"], vec!["path=x", "path.a=1"]]
        {
            let error = from(&words);
            assert!(error.is_err() || words == ["path=x", "path.a=1"] && error.is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_word_said_twice_is_refused() {
        let error = from(&["path=a", "path=b"]).unwrap_err();
        assert_eq!((error.message.as_str(), error.hints.len()), ("`path` is given twice", 0));
        let error = from(&["tags=a", "tags=b"]).unwrap_err();
        assert_eq!(error.hints, ["a list is one word: tags=ONE,TWO or tags:='[\"ONE\", \"TWO\"]'"]);
        assert!(from(&["where.line=1", "where.line=2"]).is_err());
        assert_eq!(from(&[r#"{"count": 1}"#, "count=2"]).unwrap(), json!({"count": 2}));
    }

    #[test]
    fn what_the_schema_lets_pass_unasked_is_told() {
        let Value::Object(arguments) = json!({"paht": "x", "zz": 1, "count": 1}) else { panic!() };
        let mut schema = schema();
        assert_eq!(strangers(&arguments, &schema), Vec::<String>::new(), "the check refuses them");
        schema.as_object_mut().unwrap().remove("additionalProperties");
        let expected = ["the tool knows no `paht`; did you mean `path`?", "the tool knows no `zz`"];
        assert_eq!(strangers(&arguments, &schema), expected);
        schema["additionalProperties"] = json!(true);
        assert_eq!(strangers(&arguments, &schema), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_path() {
        let message = |arguments: Value| {
            let Value::Object(arguments) = arguments else { panic!() };
            check(&arguments, &schema()).map_err(|error| (error.message, error.hints))
        };
        assert_eq!(message(json!({"path": "x"})), Ok(()));
        let (text, _) = message(json!({"path": "x", "sizes": [1, "b"]})).unwrap_err();
        assert_eq!(text, "`sizes[1]` does not fit: `b` is not of type `integer`");
        let (text, _) = message(json!({"path": "x", "where": {"line": "b"}})).unwrap_err();
        assert_eq!(text, "`where.line` does not fit: `b` is not of type `integer`");
        let (text, _) = message(json!({})).unwrap_err();
        assert_eq!(text, "the arguments do not fit: `path` is a required property");
        let (_, hints) = message(json!({"paht": "x"})).unwrap_err();
        assert!(hints.contains(&"did you mean `path` instead of `paht`?".to_string()), "{hints:?}");
        let (_, hints) = message(json!({"path": "x", "zz": 1})).unwrap_err();
        assert!(hints[0].starts_with("it takes `path`, `count`"), "{hints:?}");
        assert!(check(&Map::new(), &json!({"type": "nonsense"})).is_ok());
        assert!(check(&Map::new(), &Value::Null).is_ok());
    }
}
