//! One field of a cron expression: lists of numbers, names, ranges and steps, as a set of bits.
//! Strict: what is not plainly a list of the field's values is refused, with the place.

use super::Fault;
use std::ops::Range;

/// What a field takes.
#[derive(Debug)]
pub struct Limits {
    pub name: &'static str,
    pub from: u32,
    pub to: u32,
    /// Three-letter names; the first stands for `from`.
    pub names: &'static [&'static str],
}

impl Limits {
    pub const SECOND: Self = Self { name: "second", from: 0, to: 59, names: &[] };
    pub const MINUTE: Self = Self { name: "minute", from: 0, to: 59, names: &[] };
    pub const HOUR: Self = Self { name: "hour", from: 0, to: 23, names: &[] };
    pub const DAY_OF_MONTH: Self = Self { name: "day of month", from: 1, to: 31, names: &[] };
    pub const MONTH: Self = Self {
        name: "month",
        from: 1,
        to: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    };
    /// 7 is Sunday too.
    pub const DAY_OF_WEEK: Self = Self {
        name: "day of week",
        from: 0,
        to: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    };
}

/// The values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    pub bits: u64,
    /// The field begins with `*`, which is what the standard cron looks at.
    pub star: bool,
}

/// Reads a whole field.
pub fn parse(text: &str, at: &Range<usize>, limits: &Limits) -> Result<Set, Fault> {
    let mut bits = 0;
    for item in items(text, at) {
        bits |= parse_item(text, &item, limits)?;
    }
    Ok(Set { bits, star: text[at.clone()].starts_with('*') })
}

/// Byte ranges of the items between commas; an empty item is handed on to be refused.
pub fn items(text: &str, at: &Range<usize>) -> Vec<Range<usize>> {
    let mut start = at.start;
    let mut items = Vec::new();
    for (offset, byte) in text[at.clone()].bytes().enumerate() {
        if byte == b',' {
            items.push(start..at.start + offset);
            start = at.start + offset + 1;
        }
    }
    items.push(start..at.end);
    items
}

fn parse_item(text: &str, at: &Range<usize>, limits: &Limits) -> Result<u64, Fault> {
    let item = &text[at.clone()];
    if item.is_empty() {
        return Err(Fault::new(
            format!("an item of the {} field is empty", limits.name),
            at.start..at.end.max(at.start + 1).min(text.len()),
        ));
    }
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let step = step.map(|step| parse_step(step, at, limits)).transpose()?;
    let (low, high) = match range.split_once('-') {
        _ if range == "*" => (limits.from, limits.to.min(if limits.to == 7 { 6 } else { limits.to })),
        Some((low, high)) => between(value(low, at, limits)?, value(high, at, limits)?, at, text, limits)?,
        // `a/b` counts on from a; other programs agree, the standard cron refuses it.
        None if step.is_some() => (value(range, at, limits)?, if limits.to == 7 { 6 } else { limits.to }),
        None => {
            let value = value(range, at, limits)?;
            (value, value)
        }
    };
    let bits =
        (low..=high).step_by(step.unwrap_or(1) as usize).fold(0, |bits, value| bits | bit(value, limits));
    Ok(bits)
}

/// The bit of a value; Sunday may be written 7.
fn bit(value: u32, limits: &Limits) -> u64 {
    1 << if limits.to == 7 { value % 7 } else { value }
}

fn between(low: u32, high: u32, at: &Range<usize>, text: &str, limits: &Limits) -> Result<(u32, u32), Fault> {
    if low <= high {
        return Ok((low, high));
    }
    let item = &text[at.clone()];
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let last = last.split('/').next().unwrap_or(last);
    if limits.to == 7 && high == 0 {
        return Err(Fault::new(
            format!("the range `{item}` runs backwards: Sunday counts as 0 here"),
            at.clone(),
        )
        .hint(format!("write `{first}-7`")));
    }
    let (from, to) = (limits.from, if limits.to == 7 { 6 } else { limits.to });
    Err(Fault::new(format!("the range `{item}` of the {} field runs backwards", limits.name), at.clone())
        .hint(format!("write it as two: `{first}-{to},{from}-{last}`")))
}

fn parse_step(step: &str, at: &Range<usize>, limits: &Limits) -> Result<u32, Fault> {
    let span = limits.to - limits.from + 1;
    let number = number(step).ok_or_else(|| {
        Fault::new(format!("the step `{step}` of the {} field is no number", limits.name), at.clone())
    })?;
    match number {
        0 => Err(Fault::new(format!("a step of 0 in the {} field never moves on", limits.name), at.clone())),
        number if number >= span => Err(Fault::new(
            format!("a step of {number} is longer than the {} field", limits.name),
            at.clone(),
        )
        .hint(format!("it would be due at {} only; for longer pauses use `--every`", limits.from))),
        number => Ok(number),
    }
}

/// One value: a number or a name.
pub fn value(word: &str, at: &Range<usize>, limits: &Limits) -> Result<u32, Fault> {
    if let Some(number) = number(word) {
        if (limits.from..=limits.to).contains(&number) {
            return Ok(number);
        }
        let fault = Fault::new(
            format!(
                "`{word}` is outside the {} field, which takes {} to {}",
                limits.name, limits.from, limits.to
            ),
            at.clone(),
        );
        return Err(if number == 24 && limits.to == 23 { fault.hint("midnight is hour 0") } else { fault });
    }
    let lower = word.to_ascii_lowercase();
    if let Some(place) = limits.names.iter().position(|name| *name == lower) {
        return Ok(limits.from + place as u32);
    }
    let fault = Fault::new(format!("`{word}` is no value of the {} field", limits.name), at.clone());
    Err(match limits.names.iter().find(|name| lower.starts_with(**name)) {
        Some(name) => fault.hint(format!("names have three letters: `{name}`")),
        None => fault.hint(takes(limits)),
    })
}

fn takes(limits: &Limits) -> String {
    match limits.names {
        [first, .., last] => format!("it takes {} to {} or {first} to {last}", limits.from, limits.to),
        _ => format!("it takes {} to {}", limits.from, limits.to),
    }
}

/// Digits only, at most four.
pub fn number(word: &str) -> Option<u32> {
    let digits = !word.is_empty() && word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}
