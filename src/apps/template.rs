//! Placeholders: `{{name}}` stands for an argument of the call, and only for that. `{{.Names}}` and other braces are
//! plain text, and so is `{{name}}` behind a backslash, which is taken away.
//! Rule: what comes out of an argument is never read for placeholders or references again.

use crate::error::{Error, Result, codes};
use serde_json::{Map, Value};

/// Resolves the references (`${NAME}`, `secret://NAME`) in text that stood in a definition.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Result<String>;

/// A piece of a text with placeholders.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    Argument(&'a str),
}

/// The pieces of a text.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut from) = (text, 0);
    while let Some(at) = rest[from..].find("{{").map(|at| from + at) {
        if let Some(before) = rest[..at].strip_suffix('\\') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before));
            }
            (rest, from) = (&rest[at..], 2);
            continue;
        }
        let name = rest[at + 2..].find("}}").map(|end| (rest[at + 2..at + 2 + end].trim(), at + 4 + end));
        match name.filter(|(name, _)| is_name(name)) {
            Some((name, end)) => {
                if at > 0 {
                    pieces.push(Piece::Text(&rest[..at]));
                }
                pieces.push(Piece::Argument(name));
                (rest, from) = (&rest[end..], 0);
            }
            None => from = at + 1,
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The text so written that nothing in it is a placeholder.
pub fn literal(text: &str) -> String {
    text.replace("{{", r"\{{")
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(good)
}

/// Names of the arguments a text speaks of.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Argument(name) => Some(name),
        Piece::Text(_) => None,
    })
}

/// The same for every text in a value.
pub fn names_in<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.extend(names(text)),
        Value::Array(items) => items.iter().for_each(|item| names_in(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| names_in(value, found)),
        _ => {}
    }
}

/// The argument a text consists of, if it is one placeholder and nothing else.
pub fn whole(text: &str) -> Option<&str> {
    match pieces(text).as_slice() {
        [Piece::Argument(name)] => Some(name),
        _ => None,
    }
}

/// Fills a text; each value passes `encode`. `None`: an argument has no value.
pub fn fill(
    text: &str,
    arguments: &Map<String, Value>,
    resolve: Resolve<'_>,
    encode: &dyn Fn(&str) -> String,
) -> Result<Option<String>> {
    let mut filled = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(&resolve(text)?),
            Piece::Argument(name) => match arguments.get(name) {
                None | Some(Value::Null) => return Ok(None),
                Some(value) => filled.push_str(&encode(&plain(value))),
            },
        }
    }
    Ok(Some(filled))
}

/// Fills every text of a value. A text that is one placeholder becomes the argument itself, of whatever type;
/// what has no value is left out of its list or map.
pub fn fill_value(
    value: &Value,
    arguments: &Map<String, Value>,
    resolve: Resolve<'_>,
) -> Result<Option<Value>> {
    Ok(match value {
        Value::String(text) => match whole(text) {
            Some(name) => arguments.get(name).cloned(),
            None => fill(text, arguments, resolve, &str::to_string)?.map(Value::String),
        },
        Value::Array(items) => {
            let mut filled = Vec::new();
            for item in items {
                filled.extend(fill_value(item, arguments, resolve)?);
            }
            Some(Value::Array(filled))
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                if let Some(value) = fill_value(value, arguments, resolve)? {
                    filled.insert(name.clone(), value);
                }
            }
            Some(Value::Object(filled))
        }
        other => Some(other.clone()),
    })
}

/// A value as text: texts as they are, lists with commas between, maps as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Refuses what no argument of a program and no variable can hold.
pub fn no_nul(name: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::new(&codes::ARGUMENTS_INVALID, format!("`{name}` holds a null character")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_names_in_double_braces_are_placeholders() {
        use Piece::{Argument as A, Text as T};
        for (text, expected) in [
            ("", vec![]),
            ("a", vec![T("a")]),
            ("{{a}}", vec![A("a")]),
            ("x{{ a.b }}y{{c-d}}", vec![T("x"), A("a.b"), T("y"), A("c-d")]),
            ("{{.Names}}", vec![T("{{.Names}}")]),
            ("{{a", vec![T("{{a")]),
            ("{{{a}}}", vec![T("{"), A("a"), T("}")]),
            ("{{é}}{{b}}", vec![T("{{é}}"), A("b")]),
            (r"x\{{a}}{{b}}", vec![T("x"), T("{{a}}"), A("b")]),
            (&literal("{{a}}"), vec![T("{{a}}")]),
        ] {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_put_in_once_and_never_read_again() {
        let arguments = json!({"a": "{{b}} ${HOME}", "b": "x", "n": 3, "l": [1, "b"], "none": null});
        let arguments = arguments.as_object().unwrap();
        let resolve = |text: &str| Ok(text.replace("${KEY}", "k"));
        let fill = |text| super::fill(text, arguments, &resolve, &str::to_string).unwrap();
        assert_eq!(fill("${KEY}-{{a}}").unwrap(), "k-{{b}} ${HOME}");
        assert_eq!(fill("{{n}}/{{l}}").unwrap(), "3/1,b");
        assert_eq!((fill("x{{missing}}"), fill("{{none}}")), (None, None));
        let value =
            json!({"n": "{{n}}", "t": "{{n}}!", "l": ["{{missing}}", "{{l}}"], "gone": "{{missing}}"});
        assert_eq!(
            fill_value(&value, arguments, &resolve).unwrap().unwrap(),
            json!({"n": 3, "t": "3!", "l": [[1, "b"]]})
        );
    }
}
