//! Numbers of expressions: whole ones of 64 bits, checked, and finite floats. Pure.

use super::Fault;
use super::evaluate::kind;
use serde_json::Value;
use std::cmp::Ordering;
use std::ops::Range;

/// Either kind of number.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Whole(i64),
    Float(f64),
}

pub(super) fn number(value: &Value) -> Option<Number> {
    let number = value.as_number()?;
    number.as_i64().map(Number::Whole).or_else(|| number.as_f64().map(Number::Float))
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

/// Compares exactly, also a whole number beyond 2^53 with a float.
pub(super) fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Whole(a), Number::Float(b)) => compare_mixed(a, b),
        (Number::Float(a), Number::Whole(b)) => compare_mixed(b, a).map(Ordering::reverse),
    }
}

fn compare_mixed(whole: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // 2^63: every float from here on is larger than any whole number.
    if float >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if float < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let floor = float.floor();
    Some(whole.cmp(&(floor as i64)).then(if float > floor { Ordering::Less } else { Ordering::Equal }))
}

pub(super) fn negate(value: &Value, at: &Range<usize>) -> Result<Value, Fault> {
    match number(value) {
        Some(Number::Whole(whole)) => whole
            .checked_neg()
            .map(Into::into)
            .ok_or_else(|| Fault::new("the number is too large", at.clone())),
        Some(Number::Float(float)) => Ok((-float).into()),
        None => Err(Fault::new(format!("{} has no opposite", kind(value)), at.clone())
            .hint("`!` is the opposite of a condition")),
    }
}

pub(super) fn arithmetic(sign: &str, a: &Value, b: &Value, at: &Range<usize>) -> Result<Value, Fault> {
    let (Some(left), Some(right)) = (number(a), number(b)) else {
        let fault = Fault::new(format!("`{sign}` cannot join {} and {}", kind(a), kind(b)), at.clone());
        let text = a.is_string() || b.is_string();
        return Err(if text {
            fault.hint("make it a text first: `string(x)`, or a number: `number(x)`")
        } else {
            fault
        });
    };
    if let (Number::Whole(a), Number::Whole(b)) = (left, right) {
        if b == 0 && (sign == "/" || sign == "%") {
            return Err(Fault::new("a division by zero", at.clone()));
        }
        let value = match sign {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "/" => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        return value.map(Into::into).ok_or_else(|| {
            Fault::new("the result is too large for a whole number", at.clone()).hint("use floats: `a * 1.0`")
        });
    }
    let (a, b) = (left.float(), right.float());
    let value = match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        _ => a % b,
    };
    if value.is_finite() {
        Ok(value.into())
    } else {
        Err(Fault::new("the result is not a finite number", at.clone()))
    }
}
