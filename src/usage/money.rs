//! Amounts of money as whole pico-dollars, and the decimal numbers people write.
//! Rule: nothing here is a floating-point number; what cannot be said exactly is refused.

use crate::error::{Error, Result, codes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

/// Pico-dollars in a dollar.
pub const DOLLAR: i64 = 1_000_000_000_000;
/// Digits behind the point of a dollar.
const DIGITS: usize = 12;

/// Pico-dollars. In JSON a text of whole pico-dollars, since JSON numbers end before sums do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pico(pub i128);

impl Pico {
    /// The amount in dollars, for charts and JSON; exact up to fifteen digits.
    pub fn dollars(self) -> f64 {
        self.to_string().parse().unwrap_or_default()
    }

    /// Reads dollars, such as `0.0225`; at most twelve digits behind the point.
    ///
    /// # Errors
    /// `VALUE_INVALID`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(&codes::VALUE_INVALID, format!("`{text}` is no amount of dollars: {why}"))
                .hint("write 0.25 or 12")
        };
        let plain = text.trim().trim_start_matches('$');
        let (digits, negative) = plain.strip_prefix('-').map_or((plain, false), |rest| (rest, true));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all(whole) || !all(part) || whole.len() + part.len() == 0 {
            return Err(wrong("it is no number"));
        }
        let part = part.trim_end_matches('0');
        if part.len() > DIGITS || whole.trim_start_matches('0').len() > 15 {
            return Err(wrong("it has more digits than money has here"));
        }
        let number = format!("{whole}{part:0<DIGITS$}").parse::<i128>();
        let amount = number.map_err(|_| wrong("it is no number"))?;
        Ok(Self(if negative { -amount } else { amount }))
    }

    /// The amount as people read it: two digits, more where the amount is small.
    pub fn short(self) -> String {
        let size = self.0.unsigned_abs();
        let keep = match size {
            0 => 2,
            _ if size >= DOLLAR as u128 => 2,
            _ if size >= DOLLAR as u128 / 100 => 4,
            _ if size >= DOLLAR as u128 / 1_000_000 => 6,
            _ => DIGITS,
        };
        let unit = 10u128.pow((DIGITS - keep) as u32);
        let rounded = (size + unit / 2) / unit * unit;
        let text = Self(i128::try_from(rounded).unwrap_or(i128::MAX)).to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let sign = if self.0 < 0 { "-" } else { "" };
        format!("{sign}${whole}.{part:0<2}")
    }
}

impl fmt::Display for Pico {
    /// Dollars with all the digits that are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, unit) = (self.0.unsigned_abs(), DOLLAR as u128);
        let sign = if self.0 < 0 { "-" } else { "" };
        let part = format!("{:012}", size % unit);
        match part.trim_end_matches('0') {
            "" => write!(f, "{sign}{}", size / unit),
            part => write!(f, "{sign}{}.{part}", size / unit),
        }
    }
}

impl AddAssign for Pico {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl Sum for Pico {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl Serialize for Pico {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(&self.0),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pico {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i128::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_written_exactly() {
        for (text, pico, shown, short) in [
            ("0.0225", 22_500_000_000, "0.0225", "$0.0225"),
            ("12", 12 * i128::from(DOLLAR), "12", "$12.00"),
            ("$1.50", 1_500_000_000_000, "1.5", "$1.50"),
            ("-3.25", -3_250_000_000_000, "-3.25", "-$3.25"),
            (".000000000001", 1, "0.000000000001", "$0.000000000001"),
            ("0.0000625", 62_500_000, "0.0000625", "$0.000063"),
            ("0", 0, "0", "$0.00"),
        ] {
            let amount = Pico::parse(text).unwrap();
            assert_eq!(
                (amount.0, amount.to_string().as_str(), amount.short().as_str()),
                (pico, shown, short)
            );
            let json = serde_json::to_string(&amount).unwrap();
            assert_eq!((json.clone(), serde_json::from_str(&json).unwrap()), (format!("\"{pico}\""), amount));
            assert_eq!(postcard::from_bytes::<Pico>(&postcard::to_stdvec(&amount).unwrap()).unwrap(), amount);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "-", "1e3", "NaN", "1,5", "0.0000000000001", "9999999999999999", "--1", "٣"] {
            assert!(Pico::parse(text).unwrap_err().is(&codes::VALUE_INVALID), "{text}");
        }
    }
}
