//! Stretches of time as people name them: `month`, `7d`, `2026-01`. In the time zone of whoever asks.
//! Rule: the clock is an argument; a stretch that ends now takes in the minute that runs.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned, civil};
use serde::Serialize;

/// Stretches a trend has at most.
const MOST: usize = 2_000;

/// From a moment to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// The stretches of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Step {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            _ => return None,
        })
    }

    /// What suits a stretch of so many days.
    pub fn fitting(window: Window) -> Self {
        match window.until.since_ms(window.from) / 3_600_000 {
            0..=2 => Self::Minute,
            3..=49 => Self::Hour,
            50..=1500 => Self::Day,
            _ => Self::Month,
        }
    }

    fn floor(self, at: &Zoned) -> Zoned {
        let hour = || at.time().with().minute(0).second(0).subsec_nanosecond(0).build();
        let minute = || at.time().with().second(0).subsec_nanosecond(0).build();
        let day = || at.start_of_day();
        let back = |days: i8| day().and_then(|start| start.checked_sub(i64::from(days).days()));
        let floor = match self {
            Self::Minute => minute().and_then(|time| at.with().time(time).build()),
            Self::Hour => hour().and_then(|time| at.with().time(time).build()),
            Self::Day => day(),
            Self::Week => back(at.weekday().to_monday_zero_offset()),
            Self::Month => at.first_of_month().and_then(|first| first.start_of_day()),
        };
        floor.unwrap_or_else(|_| at.clone())
    }

    fn next(self, at: &Zoned) -> Option<Zoned> {
        let span = match self {
            Self::Minute => 1.minute(),
            Self::Hour => 1.hour(),
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
        };
        at.checked_add(span).ok()
    }

    /// The stretch around a moment: its start, and that of the next.
    pub fn around(self, now: Timestamp, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let start = self.floor(&zoned(now, zone));
        let next = self.next(&start).map_or(Timestamp(u64::MAX), |next| timestamp(&next));
        (timestamp(&start), next)
    }

    /// The edges of the stretches of a window.
    ///
    /// # Errors
    /// `VALUE_INVALID` where there would be too many.
    pub fn edges(self, window: Window, zone: &TimeZone) -> Result<Vec<Timestamp>> {
        let mut edges = vec![window.from];
        let mut at = self.floor(&zoned(window.from, zone));
        while let Some(next) = self.next(&at) {
            let edge = timestamp(&next);
            if edge >= window.until || next <= at {
                break;
            }
            if edges.len() >= MOST {
                return Err(Error::new(
                    &codes::VALUE_INVALID,
                    format!("more than {MOST} steps in that time"),
                )
                .hint("take longer steps: --by day"));
            }
            edges.push(edge);
            at = next;
        }
        edges.push(window.until);
        Ok(edges)
    }
}

impl Window {
    /// Reads `today`, `yesterday`, `hour`, `day`, `week`, `month`, `quarter`, `year`, `all`, `7d`, `2026`, `2026-01`
    /// or `2026-01-31`.
    ///
    /// # Errors
    /// `VALUE_INVALID`.
    pub fn parse(word: &str, now: Timestamp, zone: &TimeZone) -> Result<Self> {
        let here = zoned(now, zone);
        let until = Self::now(now);
        let since = |from: Option<Zoned>| from.map(|from| Self { from: timestamp(&from), until });
        let window = match word {
            "hour" => since(here.checked_sub(1.hour()).ok()),
            "today" | "day" => since(Some(Step::Day.floor(&here))),
            "yesterday" => {
                let today = Step::Day.floor(&here);
                let before = today.checked_sub(1.day()).ok();
                before.map(|before| Self { from: timestamp(&before), until: timestamp(&today) })
            }
            "week" => since(Some(Step::Week.floor(&here))),
            "month" => since(Some(Step::Month.floor(&here))),
            "quarter" => {
                let first = Step::Month.floor(&here);
                let months = i64::from((first.month() - 1) % 3);
                since(first.checked_sub(months.months()).ok())
            }
            "year" => since(here.first_of_year().and_then(|first| first.start_of_day()).ok()),
            "all" => Some(Self { from: Timestamp(0), until }),
            _ => {
                length(word).and_then(|millis| since_ms(now, millis, until)).or_else(|| calendar(word, zone))
            }
        };
        window.ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{}` is no period", cut(word)))
                .hint("write today, yesterday, week, month, year, all, 7d, 12h, 2026-01 or 2026-01-31")
        })
    }

    /// A moment: a day, RFC 3339, or how long ago.
    ///
    /// # Errors
    /// `VALUE_INVALID`.
    pub fn moment(word: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp> {
        let ago = || length(word).map(|millis| Timestamp(now.0.saturating_sub(millis.saturating_mul(1000))));
        let at = Timestamp::parse(word).or_else(ago).or_else(|| Some(calendar(word, zone)?.from));
        at.ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{}` is no moment", cut(word)))
                .hint("write 2h, 2026-01-31 or 2026-01-31T12:00:00Z")
        })
    }

    /// The end of the minute that runs.
    pub fn now(now: Timestamp) -> Timestamp {
        Timestamp((now.0 / 60_000_000 + 1) * 60_000_000)
    }

    /// The stretch of the same length before.
    #[must_use]
    pub fn before(self) -> Self {
        let length = self.until.0.saturating_sub(self.from.0);
        Self { from: Timestamp(self.from.0.saturating_sub(length)), until: self.from }
    }
}

fn cut(word: &str) -> String {
    word.chars().take(40).collect()
}

fn since_ms(now: Timestamp, millis: u64, until: Timestamp) -> Option<Window> {
    let from = Timestamp(now.0.checked_sub(millis.checked_mul(1000)?)?);
    Some(Window { from: Timestamp(from.0 - from.0 % 60_000_000), until })
}

/// A number of minutes, hours, days or weeks.
fn length(word: &str) -> Option<u64> {
    let digits = word.find(|c: char| !c.is_ascii_digit())?;
    let unit = match &word[digits..] {
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    };
    word[..digits].parse::<u64>().ok()?.checked_mul(unit).filter(|millis| *millis > 0)
}

/// A year, a month or a day of the calendar.
fn calendar(word: &str, zone: &TimeZone) -> Option<Window> {
    let numbers: Vec<i16> = word.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let small = |number: i16| i8::try_from(number).ok();
    let (first, span) = match *numbers.as_slice() {
        [year] if word.len() == 4 => (civil::Date::new(year, 1, 1).ok()?, 1.year()),
        [year, month] => (civil::Date::new(year, small(month)?, 1).ok()?, 1.month()),
        [year, month, day] => (civil::Date::new(year, small(month)?, small(day)?).ok()?, 1.day()),
        _ => return None,
    };
    let start = |date: civil::Date| Some(timestamp(&date.to_zoned(zone.clone()).ok()?));
    (first.year() >= 1970).then_some(())?;
    Some(Window { from: start(first)?, until: start(first.checked_add(span).ok()?)? })
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Zoned {
    let instant = jiff::Timestamp::from_microsecond(i64::try_from(at.0).unwrap_or(i64::MAX));
    instant.unwrap_or(jiff::Timestamp::MAX).to_zoned(zone.clone())
}

fn timestamp(at: &Zoned) -> Timestamp {
    Timestamp(u64::try_from(at.timestamp().as_microsecond()).unwrap_or_default())
}

/// A moment as people read it, no finer than the step.
pub fn show(at: Timestamp, step: Step, zone: &TimeZone) -> String {
    let format = match step {
        Step::Minute | Step::Hour => "%Y-%m-%d %H:%M",
        Step::Day | Step::Week => "%Y-%m-%d",
        Step::Month => "%Y-%m",
    };
    zoned(at, zone).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_in_the_zone_of_who_asks() {
        // A Wednesday, one hour and a half after midnight there.
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = Timestamp::parse("2026-03-03T23:30:00Z").unwrap();
        let cases = [
            ("today", "2026-03-03T22:00:00.000Z", "2026-03-03T23:31:00.000Z"),
            ("yesterday", "2026-03-02T22:00:00.000Z", "2026-03-03T22:00:00.000Z"),
            ("week", "2026-03-01T22:00:00.000Z", "2026-03-03T23:31:00.000Z"),
            ("month", "2026-02-28T22:00:00.000Z", "2026-03-03T23:31:00.000Z"),
            ("quarter", "2025-12-31T22:00:00.000Z", "2026-03-03T23:31:00.000Z"),
            ("7d", "2026-02-24T23:30:00.000Z", "2026-03-03T23:31:00.000Z"),
            ("2025-02", "2025-01-31T22:00:00.000Z", "2025-02-28T22:00:00.000Z"),
            ("2025", "2024-12-31T22:00:00.000Z", "2025-12-31T22:00:00.000Z"),
            ("2024-02-29", "2024-02-28T22:00:00.000Z", "2024-02-29T22:00:00.000Z"),
        ];
        for (word, from, until) in cases {
            let window = Window::parse(word, now, &zone).unwrap();
            assert_eq!(
                (window.from.rfc3339().as_str(), window.until.rfc3339().as_str()),
                (from, until),
                "{word}"
            );
        }
        for word in
            ["", "soon", "0d", "-3d", "99999999999999999999d", "2026-13", "2026-02-30", "99999d", "0001"]
        {
            assert!(Window::parse(word, now, &zone).unwrap_err().is(&codes::VALUE_INVALID), "{word}");
        }
    }

    #[test]
    fn a_day_of_23_hours_is_one_step() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let window = Window { from: at("2026-03-28T12:00:00Z"), until: at("2026-03-31T00:00:00Z") };
        let edges: Vec<_> =
            Step::Day.edges(window, &zone).unwrap().into_iter().map(Timestamp::rfc3339).collect();
        let expected = [
            "2026-03-28T12:00:00.000Z",
            "2026-03-28T23:00:00.000Z",
            "2026-03-29T22:00:00.000Z",
            "2026-03-30T22:00:00.000Z",
            "2026-03-31T00:00:00.000Z",
        ];
        assert_eq!(edges, expected);
        let long = Window { from: Timestamp(0), until: at("2026-03-31T00:00:00Z") };
        assert!(Step::Minute.edges(long, &zone).unwrap_err().is(&codes::VALUE_INVALID));
    }
}
