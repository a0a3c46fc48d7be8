//! The closed list of functions. Each is pure, checks its arguments and makes no more than it was given, but for
//! `join`, `replace` and `format`, whose results are counted before they are made.

use super::evaluate::{kind, same};
use super::{Fault, MAX_MADE};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::ops::{Range, RangeInclusive};

/// A function of the language.
pub struct Function {
    pub name: &'static str,
    /// How it is called, for errors and documentation.
    pub usage: &'static str,
    arguments: RangeInclusive<usize>,
    /// A missing first argument counts as null.
    pub forgives: bool,
    pub run: Body,
}

type Body = for<'a> fn(&[Cow<'a, Value>], &Places<'_>) -> Result<Value, Fault>;

/// Where a call and its arguments stand.
pub struct Places<'a> {
    pub call: Range<usize>,
    pub arguments: &'a [Range<usize>],
}

impl fmt::Debug for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.usage)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn function(
    name: &'static str,
    usage: &'static str,
    arguments: RangeInclusive<usize>,
    run: Body,
) -> Function {
    Function { name, usage, arguments, forgives: false, run }
}

/// Every function there is.
pub static FUNCTIONS: [Function; 19] = [
    function("contains", "contains(text or list, item)", 2..=2, contains),
    Function { forgives: true, ..function("default", "default(value, instead)", 2..=2, default) },
    function("endsWith", "endsWith(text, end)", 2..=2, |values, at| {
        Ok(text(values, 0, at)?.ends_with(text(values, 1, at)?).into())
    }),
    function("format", "format('{0} and {1}', a, b)", 1..=16, format_text),
    function("fromjson", "fromjson(text)", 1..=1, fromjson),
    function("int", "int(number or text)", 1..=1, int),
    function("join", "join(list, separator)", 1..=2, join),
    function("json", "json(value)", 1..=1, |values, _| Ok(values[0].to_string().into())),
    function("keys", "keys(object)", 1..=1, keys),
    function("lower", "lower(text)", 1..=1, |values, at| Ok(text(values, 0, at)?.to_lowercase().into())),
    function("number", "number(text)", 1..=1, to_number),
    function("replace", "replace(text, from, to)", 3..=3, replace),
    function("round", "round(number)", 1..=1, round),
    function("size", "size(text, list or object)", 1..=1, size),
    function("split", "split(text, separator)", 2..=2, split),
    function("startsWith", "startsWith(text, start)", 2..=2, |values, at| {
        Ok(text(values, 0, at)?.starts_with(text(values, 1, at)?).into())
    }),
    function("string", "string(value)", 1..=1, |values, _| Ok(plain(&values[0]).into())),
    function("trim", "trim(text)", 1..=1, |values, at| Ok(text(values, 0, at)?.trim().into())),
    function("upper", "upper(text)", 1..=1, |values, at| Ok(text(values, 0, at)?.to_uppercase().into())),
];

/// Finds a function by its name.
pub fn find(name: &str, at: &Range<usize>) -> Result<&'static Function, Fault> {
    if let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) {
        return Ok(function);
    }
    let near = FUNCTIONS.iter().min_by_key(|function| {
        strsim::damerau_levenshtein(&function.name.to_lowercase(), &name.to_lowercase())
    });
    let near =
        near.filter(|near| strsim::damerau_levenshtein(&near.name.to_lowercase(), &name.to_lowercase()) <= 2);
    let fault = Fault::new(format!("there is no function `{name}`"), at.clone());
    Err(match near {
        Some(near) => fault.hint(format!("did you mean `{}`?", near.usage)),
        None => {
            let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
            fault.hint(format!("known are {}", names.join(", ")))
        }
    })
}

impl Function {
    /// Checks how many arguments a call has.
    pub fn check(&self, count: usize, at: &Range<usize>) -> Result<(), Fault> {
        if self.arguments.contains(&count) {
            return Ok(());
        }
        Err(Fault::new(format!("`{}` was given {count} arguments", self.name), at.clone())
            .hint(format!("it is called as `{}`", self.usage)))
    }
}

/// A value as it reads inside a text: texts as they are, null as nothing, the rest as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn wrong(values: &[Cow<'_, Value>], place: usize, wanted: &str, at: &Places<'_>) -> Fault {
    let place_of = at.arguments.get(place).unwrap_or(&at.call).clone();
    Fault::new(format!("{wanted} is needed here, and this is {}", kind(&values[place])), place_of)
}

fn text<'v>(values: &'v [Cow<'_, Value>], place: usize, at: &Places<'_>) -> Result<&'v str, Fault> {
    values[place].as_str().ok_or_else(|| wrong(values, place, "a text", at))
}

fn contains(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    match values[0].as_ref() {
        Value::String(whole) => Ok(whole.contains(text(values, 1, at)?).into()),
        Value::Array(list) => Ok(list.iter().any(|item| same(item, &values[1])).into()),
        Value::Object(map) => Ok(map.contains_key(text(values, 1, at)?).into()),
        _ => Err(wrong(values, 0, "a text, a list or an object", at)),
    }
}

fn default(values: &[Cow<'_, Value>], _: &Places<'_>) -> Result<Value, Fault> {
    let value = if values[0].is_null() { &values[1] } else { &values[0] };
    Ok(value.as_ref().clone())
}

fn format_text(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    let mut made = String::new();
    let mut rest = text(values, 0, at)?;
    while let Some(open) = rest.find(['{', '}']) {
        made.push_str(&rest[..open]);
        let sign = &rest[open..=open];
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix(sign) {
            made.push_str(sign);
            rest = after;
            continue;
        }
        let slot = (sign == "{").then(|| rest.split_once('}')).flatten();
        let place = slot.and_then(|(number, after)| Some((number.parse::<usize>().ok()?, after)));
        let Some((place, after)) = place.filter(|(place, _)| *place < values.len().saturating_sub(1)) else {
            return Err(Fault::new(
                "a brace of the format is no slot of an argument",
                at.arguments[0].clone(),
            )
            .hint("slots are `{0}`, `{1}`; a brace itself is written twice: `{{`"));
        };
        made.push_str(&plain(&values[place + 1]));
        bounded(made.len(), at)?;
        rest = after;
    }
    made.push_str(rest);
    Ok(made.into())
}

fn bounded(bytes: usize, at: &Places<'_>) -> Result<(), Fault> {
    if bytes > MAX_MADE {
        return Err(Fault::new(
            format!("an expression may make at most {} KiB of values", MAX_MADE >> 10),
            at.call.clone(),
        ));
    }
    Ok(())
}

fn fromjson(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    serde_json::from_str(text(values, 0, at)?)
        .map_err(|error| Fault::new(format!("the text is not JSON: {error}"), at.arguments[0].clone()))
}

fn join(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    let Value::Array(list) = values[0].as_ref() else {
        return Err(wrong(values, 0, "a list", at));
    };
    let separator = if values.len() > 1 { text(values, 1, at)? } else { ", " };
    let mut made = String::new();
    for (place, item) in list.iter().enumerate() {
        if place > 0 {
            made.push_str(separator);
        }
        made.push_str(&plain(item));
        bounded(made.len(), at)?;
    }
    Ok(made.into())
}

fn keys(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    let Value::Object(map) = values[0].as_ref() else {
        return Err(wrong(values, 0, "an object", at));
    };
    Ok(map.keys().cloned().map(Value::String).collect())
}

fn int(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    let number = match values[0].as_ref() {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?.trunc())),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(Into::into).ok_or_else(|| wrong(values, 0, "a whole number", at))
}

fn to_number(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    match values[0].as_ref() {
        Value::Number(_) => Ok(values[0].as_ref().clone()),
        Value::String(text) => {
            let word = text.trim();
            let whole = word.parse::<i64>().map(Value::from);
            let float = || word.parse::<f64>().ok().filter(|float| float.is_finite()).map(Value::from);
            whole.ok().or_else(float).ok_or_else(|| wrong(values, 0, "a number", at))
        }
        _ => Err(wrong(values, 0, "a number", at)),
    }
}

fn round(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    if values[0].is_i64() {
        return Ok(values[0].as_ref().clone());
    }
    let rounded = values[0].as_f64().and_then(|number| whole(number.round()));
    rounded.map(Into::into).ok_or_else(|| wrong(values, 0, "a number", at))
}

/// A float as the whole number it is, where there is one.
fn whole(float: f64) -> Option<i64> {
    (-9.2e18..9.2e18).contains(&float).then_some(float as i64)
}

fn replace(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    let (whole, from, to) = (text(values, 0, at)?, text(values, 1, at)?, text(values, 2, at)?);
    if from.is_empty() {
        return Err(Fault::new("nothing to look for", at.arguments[1].clone()));
    }
    let grown = whole.matches(from).count().saturating_mul(to.len()).saturating_add(whole.len());
    bounded(grown, at)?;
    Ok(whole.replace(from, to).into())
}

fn size(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    match values[0].as_ref() {
        Value::String(text) => Ok(text.chars().count().into()),
        Value::Array(list) => Ok(list.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        _ => Err(wrong(values, 0, "a text, a list or an object", at)),
    }
}

fn split(values: &[Cow<'_, Value>], at: &Places<'_>) -> Result<Value, Fault> {
    let (whole, separator) = (text(values, 0, at)?, text(values, 1, at)?);
    if separator.is_empty() {
        return Err(Fault::new("a separator has at least one character", at.arguments[1].clone()));
    }
    bounded(whole.matches(separator).count().saturating_mul(8).saturating_add(whole.len()), at)?;
    Ok(whole.split(separator).map(Value::from).collect())
}
