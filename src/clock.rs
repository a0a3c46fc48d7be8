//! The only place that reads the clock. Everything else takes a [`Timestamp`] as an argument.
//! `UMCP_CLOCK` (RFC 3339) fixes the time for tests of the command line.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    pub const fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds from `earlier` to `self`; zero when the clock went backwards.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    #[must_use]
    pub const fn plus_ms(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1000)))
    }

    /// RFC 3339 in UTC with milliseconds, as in `--json` output.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_microsecond(i64::try_from(self.0).unwrap_or(i64::MAX)).map_or_else(
            |_| "invalid time".into(),
            |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        )
    }

    /// Local day of the week (0 is Monday) and minute of the day.
    pub fn local(self) -> (u8, u16) {
        let time = jiff::Timestamp::from_microsecond(i64::try_from(self.0).unwrap_or(i64::MAX));
        time.map_or((0, 0), |time| {
            let local = time.to_zoned(jiff::tz::TimeZone::system());
            let day = local.weekday().to_monday_zero_offset();
            let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
            (day.unsigned_abs(), minute.unsigned_abs())
        })
    }

    /// Parses RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_microsecond()).ok().map(Self)
    }
}

/// A hundred years: nobody waits longer.
const LONGEST_MS: f64 = 3_153_600_000_000.0;

/// Milliseconds of `500ms`, `30s`, `5m`, `2h`, `1d` or a number of seconds.
pub fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "ms" => 1.0,
        "" | "s" | "sec" | "seconds" => 1000.0,
        "m" | "min" | "minutes" => 60_000.0,
        "h" | "hours" => 3_600_000.0,
        "d" | "days" => 86_400_000.0,
        _ => return None,
    };
    let ms = (number * unit).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within a hundred years of milliseconds"
    )]
    (0.0..=LONGEST_MS).contains(&ms).then_some(ms as u64)
}

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    System,
    Fixed(Timestamp),
}

impl Clock {
    /// The system's clock, or the one fixed by `UMCP_CLOCK`.
    pub fn from_env() -> Self {
        std::env::var("UMCP_CLOCK")
            .ok()
            .and_then(|text| Timestamp::parse(&text))
            .map_or(Self::System, Self::Fixed)
    }

    pub fn now(self) -> Timestamp {
        match self {
            Self::Fixed(time) => time,
            Self::System => Timestamp(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, expected) in [
            (" 30 s ", Some(30_000)),
            ("1.5h", Some(5_400_000)),
            ("2", Some(2000)),
            ("0.1ms", Some(0)),
            ("36500d", Some(3_153_600_000_000)),
            ("36501d", None),
            ("99999999999999999999h", None),
            (".", None),
            ("1..5s", None),
            ("-1s", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_and_read_back() {
        let time = Timestamp::from_millis(1_763_717_400_123);
        assert_eq!(time.rfc3339(), "2025-11-21T09:30:00.123Z");
        assert_eq!(Timestamp::parse(&time.rfc3339()), Some(time));
    }
}
