//! Cron expressions: what a line such as `0 9 * * mon-fri` means, and when it is due next in a time zone.
//! Five fields (minute, hour, day of month, month, day of week) or six with seconds in front, names, nicknames,
//! `L`, `LW`, `nW`, `n#k`, `nL`. Rule: an expression means what the standard (Vixie) cron on Linux makes of it, or it
//! is refused with the reason; nothing is guessed.

mod days;
mod field;
mod walk;
mod words;

pub use days::Days;
use days::{DayOfMonth, DayOfWeek};
use field::Limits;
use std::ops::Range;

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Cron {
    /// Bit n is set when the expression is due in second n.
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: Days,
    /// The minute or the hour field begins with `*`: such a line follows the clock through a change of offset.
    wildcard: bool,
    walker: walk::Walker,
}

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Lower-case fragment with the user's words in backticks.
    pub message: String,
    pub hint: Option<String>,
    /// Bytes of the expression it is about.
    pub at: Range<usize>,
}

impl Fault {
    fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), hint: None, at }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Two equal expressions are due at the same times, however they were written.
impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (self.seconds, self.minutes, self.hours, &self.days, self.wildcard)
            == (other.seconds, other.minutes, other.hours, &other.days, other.wildcard)
    }
}

impl Cron {
    /// Reads an expression of at most 256 bytes.
    ///
    /// # Errors
    /// [`Fault`] with the place: a field that cannot be read, and a date that never comes, such as `30 2`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > 256 {
            return Err(Fault::new("a cron expression has at most 256 characters", 0..text.len()));
        }
        if let Some(nickname) = text.trim().strip_prefix('@') {
            return Self::parse(nickname_of(nickname, text)?);
        }
        let words = words_of(text);
        let (seconds, rest) = match words.len() {
            5 => (1, &words[..]),
            6 => (field::parse(text, &words[0], &Limits::SECOND)?.bits, &words[1..]),
            count => return Err(wrong_count(count, text)),
        };
        let minutes = field::parse(text, &rest[0], &Limits::MINUTE)?;
        let hours = field::parse(text, &rest[1], &Limits::HOUR)?;
        let days = Days {
            of_month: DayOfMonth::parse(text, &rest[2])?,
            months: field::parse(text, &rest[3], &Limits::MONTH)?.bits,
            of_week: DayOfWeek::parse(text, &rest[4])?,
        };
        if !days.ever() {
            let date = &text[rest[2].start..rest[3].end];
            return Err(Fault::new(
                format!("day and month `{date}` never come together"),
                rest[2].start..rest[3].end,
            )
            .hint("February has 28 or 29 days, and April, June, September and November have 30"));
        }
        let wildcard = minutes.star || hours.star;
        let walker = walk::Walker::new(seconds, minutes.bits, hours.bits, &days);
        Ok(Self { seconds, minutes: minutes.bits, hours: hours.bits, days, wildcard, walker })
    }

    /// Whether the expression has a seconds field that does more than start the minute.
    pub fn has_seconds(&self) -> bool {
        self.seconds != 1
    }
}

fn nickname_of(nickname: &str, text: &str) -> Result<&'static str, Fault> {
    Ok(match nickname.to_ascii_lowercase().as_str() {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        "reboot" => {
            return Err(Fault::new("`@reboot` names no time", 0..text.len())
                .hint("a schedule that was missed while the machine was off runs once at the next start"));
        }
        _ => {
            return Err(Fault::new(format!("`@{nickname}` is no nickname"), 0..text.len())
                .hint("known are @yearly, @monthly, @weekly, @daily and @hourly"));
        }
    })
}

/// Byte ranges of the words between blanks.
fn words_of(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().enumerate() {
        let blank = byte == b' ' || byte == b'\t';
        match (blank, start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

fn wrong_count(count: usize, text: &str) -> Fault {
    let fault = Fault::new(
        format!("a cron expression has five fields, or six with seconds in front, not {count}"),
        0..text.len(),
    );
    match count {
        7 => fault.hint("a field for the year is not part of cron; use `--at` for a single date"),
        _ => fault.hint("minute hour day-of-month month day-of-week, such as `0 9 * * mon-fri`"),
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
