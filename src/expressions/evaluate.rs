//! A tree and a scope to a value. Pure and bounded; values are JSON's.
//! Numbers are whole (64 bits, checked) or floats; a float result that is not finite is an error.

use super::numbers::{arithmetic, compare, negate, number};
use super::parser::{Expression, Form, Node};
use super::{Fault, MAX_MADE, MAX_STEPS, functions};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

/// The names an expression sees at its top, such as `inputs` and `steps`, in layers: the innermost is asked first,
/// and the members of one name are gathered over all layers, so that `steps` of a loop's round and of the whole
/// workflow are one.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    layers: Vec<&'a Names>,
}

/// One layer of a [`Scope`].
pub type Names = Map<String, Value>;

impl<'a> Scope<'a> {
    pub fn new(names: &'a Names) -> Self {
        Self { layers: vec![names] }
    }

    /// The same with one more layer inside.
    #[must_use]
    pub fn with<'b>(&self, names: &'b Names) -> Scope<'b>
    where
        'a: 'b,
    {
        let mut layers: Vec<&'b Names> = self.layers.clone();
        layers.push(names);
        Scope { layers }
    }

    fn name(&self, name: &str) -> Option<&'a Value> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    fn member(&self, name: &str, key: &str) -> Option<&'a Value> {
        self.layers.iter().rev().find_map(|layer| layer.get(name)?.get(key))
    }

    fn names(&self) -> impl Iterator<Item = &'a String> {
        self.layers.iter().flat_map(|layer| layer.keys())
    }

    fn members(&self, name: &str) -> Vec<&'a String> {
        let maps = self.layers.iter().filter_map(|layer| layer.get(name)?.as_object());
        maps.flat_map(|map| map.keys()).collect()
    }
}

pub(super) struct Run<'a> {
    scope: &'a Scope<'a>,
    steps: usize,
    made: usize,
}

type Got<'a> = Result<Cow<'a, Value>, Fault>;

impl Expression {
    /// Its value in a scope.
    ///
    /// # Errors
    /// [`Fault`] for unknown names, wrong types, overflow, and work beyond the bounds.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        Run { scope, steps: 0, made: 0 }.value(&self.root).map(Cow::into_owned)
    }
}

impl<'a> Run<'a> {
    pub(super) fn value(&mut self, node: &'a Node) -> Got<'a> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Fault::new(format!("an expression may take {MAX_STEPS} steps"), node.at.clone()));
        }
        match &node.form {
            Form::Literal(value) => Ok(Cow::Borrowed(value)),
            Form::Name(name) => match self.scope.name(name) {
                Some(value) => Ok(Cow::Borrowed(value)),
                None => Err(unknown(name, self.scope.names(), "name", &node.at)),
            },
            Form::Field(parent, name) => {
                if let Form::Name(root) = &parent.form
                    && self.scope.name(root).is_some_and(Value::is_object)
                {
                    let found = self.scope.member(root, name).map(Cow::Borrowed);
                    let at = parent.at.end.min(node.at.end)..node.at.end;
                    return found
                        .ok_or_else(|| unknown(name, self.scope.members(root).into_iter(), "field", &at));
                }
                let value = self.value(parent)?;
                field(value, name, parent, &node.at)
            }
            Form::Index(parent, index) => {
                let value = self.value(parent)?;
                let key = self.value(index)?;
                element(value, &key, parent, index)
            }
            Form::Call(function, arguments) => self.call(function, arguments, &node.at),
            Form::List(nodes) => {
                let mut list = Vec::with_capacity(nodes.len());
                for node in nodes {
                    let value = self.value(node)?.into_owned();
                    self.pay(&value, &node.at)?;
                    list.push(value);
                }
                Ok(Cow::Owned(Value::Array(list)))
            }
            Form::Not(inner) => Ok(Cow::Owned((!self.truth(inner)?).into())),
            Form::Negate(inner) => {
                let value = self.value(inner)?;
                negate(&value, &inner.at).map(Cow::Owned)
            }
            Form::Choose(condition, yes, no) => match self.truth(condition)? {
                true => self.value(yes),
                false => self.value(no),
            },
            Form::Binary(sign, left, right) => self.binary(sign, left, right, &node.at),
        }
    }

    fn call(
        &mut self,
        function: &'static functions::Function,
        arguments: &'a [Node],
        at: &Range<usize>,
    ) -> Got<'a> {
        let mut values = Vec::with_capacity(arguments.len());
        for (place, node) in arguments.iter().enumerate() {
            match self.value(node) {
                // `default(a.b, c)` is there for what is missing.
                Err(fault) if fault.missing && function.forgives && place == 0 => {
                    values.push(Cow::Owned(Value::Null))
                }
                other => values.push(other?),
            }
        }
        let places: Vec<Range<usize>> = arguments.iter().map(|node| node.at.clone()).collect();
        let value = (function.run)(&values, &functions::Places { call: at.clone(), arguments: &places })?;
        self.pay(&value, at)?;
        Ok(Cow::Owned(value))
    }

    fn binary(&mut self, sign: &str, left: &'a Node, right: &'a Node, at: &Range<usize>) -> Got<'a> {
        match sign {
            "??" => {
                return match self.value(left) {
                    Ok(value) if !value.is_null() => Ok(value),
                    Err(fault) if !fault.missing => Err(fault),
                    _ => self.value(right),
                };
            }
            "&&" => return Ok(Cow::Owned((self.truth(left)? && self.truth(right)?).into())),
            "||" => return Ok(Cow::Owned((self.truth(left)? || self.truth(right)?).into())),
            _ => {}
        }
        let (a, b) = (self.value(left)?, self.value(right)?);
        let value = match sign {
            "==" => Value::Bool(equal(&a, &b, at)?),
            "!=" => Value::Bool(!equal(&a, &b, at)?),
            "<" | "<=" | ">" | ">=" => {
                let order = order(&a, &b, at)?;
                Value::Bool(match sign {
                    "<" => order == Ordering::Less,
                    "<=" => order != Ordering::Greater,
                    ">" => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                })
            }
            "+" => add(&a, &b, at)?,
            _ => arithmetic(sign, &a, &b, at)?,
        };
        self.pay(&value, at)?;
        Ok(Cow::Owned(value))
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Fault> {
        let value = self.value(node)?;
        value.as_bool().ok_or_else(|| {
            Fault::new(format!("a condition is true or false, and this is {}", kind(&value)), node.at.clone())
                .hint("compare it, such as `size(x) > 0` or `x != null`")
        })
    }

    /// Counts what was made against the bound.
    fn pay(&mut self, value: &Value, at: &Range<usize>) -> Result<(), Fault> {
        self.made = self.made.saturating_add(weight(value, MAX_MADE));
        if self.made > MAX_MADE {
            return Err(Fault::new(
                format!("an expression may make at most {} KiB of values", MAX_MADE >> 10),
                at.clone(),
            ));
        }
        Ok(())
    }
}

/// Rough bytes of a value; stops counting at `limit`.
fn weight(value: &Value, limit: usize) -> usize {
    match value {
        Value::String(text) => 8 + text.len(),
        Value::Array(list) => {
            list.iter().fold(8, |sum, item| if sum > limit { sum } else { sum + weight(item, limit) })
        }
        Value::Object(map) => {
            map.iter().fold(
                8,
                |sum, (key, item)| {
                    if sum > limit { sum } else { sum + key.len() + weight(item, limit) }
                },
            )
        }
        _ => 8,
    }
}

/// What a value is, for errors.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k String>, what: &str, at: &Range<usize>) -> Fault {
    let mut known: Vec<&String> = known.collect();
    let fault = Fault::new(format!("there is no {what} `{name}` here"), at.clone()).missing();
    if let Some((left, right)) = name.split_once('-')
        && known.iter().any(|known| *known == left)
    {
        return fault.hint(format!("a hyphen belongs to the name; to subtract, write `{left} - {right}`"));
    }
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(known, name), *known)).min();
    if let Some((distance, near)) = near
        && distance <= 1 + name.len() / 4
    {
        return fault.hint(format!("did you mean `{near}`?"));
    }
    known.truncate(8);
    match known.is_empty() {
        true => fault,
        false => {
            let names: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            fault.hint(format!("known are {}", names.join(", ")))
        }
    }
}

fn field<'a>(value: Cow<'a, Value>, name: &str, parent: &Node, at: &Range<usize>) -> Got<'a> {
    let Value::Object(map) = value.as_ref() else {
        let fault =
            Fault::new(format!("{} has no fields, so there is no `{name}`", kind(&value)), at.clone());
        return Err(if value.is_null() { fault.missing() } else { fault });
    };
    if !map.contains_key(name) {
        let start = parent.at.end;
        return Err(unknown(name, map.keys(), "field", &(start.min(at.end)..at.end)));
    }
    Ok(match value {
        Cow::Borrowed(Value::Object(map)) => Cow::Borrowed(&map[name]),
        Cow::Owned(Value::Object(mut map)) => Cow::Owned(map.remove(name).unwrap_or_default()),
        _ => Cow::Owned(Value::Null),
    })
}

fn element<'a>(value: Cow<'a, Value>, key: &Value, parent: &Node, index: &'a Node) -> Got<'a> {
    match (value.as_ref(), key) {
        (Value::Object(_), Value::String(name)) => {
            let name = name.clone();
            field(value, &name, parent, &index.at)
        }
        (Value::Array(list), Value::Number(number)) => {
            let place = number.as_i64().and_then(|place| usize::try_from(place).ok());
            let Some(place) = place.filter(|place| *place < list.len()) else {
                let message =
                    format!("the list has {} items, counted from 0; there is no {number}", list.len());
                return Err(Fault::new(message, index.at.clone()).missing());
            };
            Ok(match value {
                Cow::Borrowed(Value::Array(list)) => Cow::Borrowed(&list[place]),
                Cow::Owned(Value::Array(mut list)) => Cow::Owned(list.swap_remove(place)),
                _ => Cow::Owned(Value::Null),
            })
        }
        (Value::Array(_), key) => {
            Err(Fault::new(format!("a list is indexed by a number, not by {}", kind(key)), index.at.clone()))
        }
        (Value::Object(_), key) => {
            Err(Fault::new(format!("an object is indexed by a text, not by {}", kind(key)), index.at.clone()))
        }
        (value, _) => {
            let fault = Fault::new(format!("{} cannot be indexed", kind(value)), parent.at.clone());
            Err(if value.is_null() { fault.missing() } else { fault })
        }
    }
}

pub(super) fn equal(a: &Value, b: &Value, at: &Range<usize>) -> Result<bool, Fault> {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Ok(compare(a, b) == Some(Ordering::Equal));
    }
    let comparable = a.is_null() || b.is_null() || std::mem::discriminant(a) == std::mem::discriminant(b);
    if !comparable {
        return Err(Fault::new(format!("{} and {} cannot be equal", kind(a), kind(b)), at.clone())
            .hint("turn one into the other: `string(x)`, `number(x)`"));
    }
    Ok(same(a, b))
}

/// Deep equality in which 1 and 1.0 are the same number.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => match (number(a), number(b)) {
            (Some(a), Some(b)) => compare(a, b) == Some(Ordering::Equal),
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value, at: &Range<usize>) -> Result<Ordering, Fault> {
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => number(a).zip(number(b)).and_then(|(a, b)| compare(a, b)),
    };
    order.ok_or_else(|| {
        Fault::new(format!("{} and {} have no order", kind(a), kind(b)), at.clone())
            .hint("compare two numbers or two texts")
    })
}

fn add(a: &Value, b: &Value, at: &Range<usize>) -> Result<Value, Fault> {
    match (a, b) {
        (Value::String(a), Value::String(b)) if a.len() + b.len() <= MAX_MADE => Ok(format!("{a}{b}").into()),
        (Value::String(_), Value::String(_)) => Err(Fault::new(
            format!("an expression may make at most {} KiB of values", MAX_MADE >> 10),
            at.clone(),
        )),
        (Value::Array(a), Value::Array(b)) => Ok(a.iter().chain(b).cloned().collect()),
        _ => arithmetic("+", a, b, at),
    }
}
