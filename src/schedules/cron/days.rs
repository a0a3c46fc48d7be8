//! Which days a cron expression is due on. Pure calendar, no clock and no zone.
//! Rule of the standard cron: when both day fields are restricted a day need match one of them only; when either
//! begins with `*` it must match both.

use super::Fault;
use super::field::{self, Limits, Set, number, value};
use std::ops::Range;

/// The three fields of the date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days {
    pub of_month: DayOfMonth,
    /// Bit n for month n, 1 to 12.
    pub months: u64,
    pub of_week: DayOfWeek,
}

/// The day-of-month field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayOfMonth {
    pub set: Set,
    /// `L` and `L-n`: n days before the last.
    pub before_last: Vec<u32>,
    /// `nW`: the weekday nearest to day n, within the month.
    pub nearest: Vec<u32>,
    /// `LW`
    pub last_weekday: bool,
}

/// The day-of-week field; Sunday is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayOfWeek {
    pub set: Set,
    /// `d#k`: the k-th day d of the month.
    pub nth: Vec<(u32, u32)>,
    /// `dL`: the last day d of the month.
    pub last: Vec<u32>,
}

/// A day with what the rules ask about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// From 1.
    pub day: u32,
}

impl DayOfMonth {
    pub fn parse(text: &str, at: &Range<usize>) -> Result<Self, Fault> {
        let mut days = Self {
            set: Set { bits: 0, star: false },
            before_last: Vec::new(),
            nearest: Vec::new(),
            last_weekday: false,
        };
        if &text[at.clone()] == "?" {
            days.set = Set { bits: ALL_DAYS, star: true };
            return Ok(days);
        }
        for item in field::items(text, at) {
            let word = text[item.clone()].to_ascii_uppercase();
            if word == "L" {
                days.before_last.push(0);
            } else if word == "LW" {
                days.last_weekday = true;
            } else if let Some(count) = word.strip_prefix("L-") {
                let count = number(count).filter(|count| *count <= 30);
                days.before_last.push(count.ok_or_else(|| {
                    Fault::new(format!("`{word}` counts back from the last day by 0 to 30"), item.clone())
                })?);
            } else if let Some(day) = word.strip_suffix('W') {
                days.nearest.push(value(day, &item, &Limits::DAY_OF_MONTH)?);
            } else {
                days.set.bits |= field::parse(text, &item, &Limits::DAY_OF_MONTH)?.bits;
            }
        }
        days.set.star = text[at.clone()].starts_with('*');
        Ok(days)
    }

    fn plain(&self) -> bool {
        self.before_last.is_empty() && self.nearest.is_empty() && !self.last_weekday
    }

    /// The days of a month as bits.
    fn of(&self, first: Day, last: u32) -> u64 {
        let mut days = self.set.bits;
        for before in self.before_last.iter().filter(|before| **before < last) {
            days |= 1 << (last - before);
        }
        for wanted in self.nearest.iter().filter(|wanted| **wanted <= last) {
            days |= 1 << first.nearest_weekday(*wanted);
        }
        if self.last_weekday {
            days |= 1 << first.nearest_weekday(last);
        }
        days
    }

    /// Whether it can be due in a month of at most `last` days.
    fn reaches(&self, last: u32) -> bool {
        self.set.bits & ((1 << (last + 1)) - 1) != 0
            || self.last_weekday
            || self.before_last.iter().any(|before| *before < last)
            || self.nearest.iter().any(|wanted| *wanted <= last)
    }
}

const ALL_DAYS: u64 = 0xffff_fffe;

impl DayOfWeek {
    pub fn parse(text: &str, at: &Range<usize>) -> Result<Self, Fault> {
        let mut days = Self { set: Set { bits: 0, star: false }, nth: Vec::new(), last: Vec::new() };
        if &text[at.clone()] == "?" {
            days.set = Set { bits: 0x7f, star: true };
            return Ok(days);
        }
        for item in field::items(text, at) {
            let word = &text[item.clone()];
            if word.eq_ignore_ascii_case("l") {
                return Err(Fault::new("`L` alone names no day of the week", item).hint(
                    "write `6L` for the last Saturday, or `L` in the day-of-month field for the last day",
                ));
            }
            if let Some((day, count)) = word.split_once('#') {
                let day = value(day, &item, &Limits::DAY_OF_WEEK)? % 7;
                let count = number(count).filter(|count| (1..=5).contains(count));
                let count = count.ok_or_else(|| {
                    Fault::new(
                        format!("`{word}` counts the weeks of a month, which are 1 to 5"),
                        item.clone(),
                    )
                })?;
                days.nth.push((day, count));
            } else if let Some(day) =
                word.strip_suffix(['L', 'l']).filter(|day| number(day).is_some() || day.len() == 3)
            {
                days.last.push(value(day, &item, &Limits::DAY_OF_WEEK)? % 7);
            } else {
                days.set.bits |= field::parse(text, &item, &Limits::DAY_OF_WEEK)?.bits;
            }
        }
        days.set.star = text[at.clone()].starts_with('*');
        Ok(days)
    }

    fn plain(&self) -> bool {
        self.nth.is_empty() && self.last.is_empty()
    }

    /// The days of a month as bits.
    fn of(&self, first: Day, last: u32) -> u64 {
        let begins = first.weekday();
        // The first of the month that is such a day of the week.
        let first_of = |weekday: u32| 1 + (7 + weekday - begins) % 7;
        let mut days = 0;
        for weekday in (0..7).filter(|weekday| self.set.bits & (1 << weekday) != 0) {
            days |= WEEKS << first_of(weekday);
        }
        for (weekday, count) in &self.nth {
            days |= 1 << (first_of(*weekday) + 7 * (count - 1));
        }
        for weekday in &self.last {
            let first = first_of(*weekday);
            days |= 1 << (first + (last - first) / 7 * 7);
        }
        days
    }
}

/// Every seventh bit.
const WEEKS: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;

impl Days {
    /// Whether a day need match one day field only.
    pub fn either(&self) -> bool {
        !self.of_month.set.star && !self.of_week.set.star
    }

    /// Whether the fields are plain sets, without `L`, `W` and `#`.
    pub fn plain(&self) -> bool {
        self.of_month.plain() && self.of_week.plain()
    }

    /// The days of a month on which the expression is due, as bits 1 to 31.
    pub fn of(&self, year: i32, month: u32) -> u64 {
        if self.months & (1 << month) == 0 {
            return 0;
        }
        let first = Day { year, month, day: 1 };
        let last = first.days_in_month();
        let (of_month, of_week) = (self.of_month.of(first, last), self.of_week.of(first, last));
        let days = if self.either() { of_month | of_week } else { of_month & of_week };
        days & ((1 << (last + 1)) - 2)
    }

    /// Whether there is such a day at all.
    pub fn ever(&self) -> bool {
        self.either()
            || (1..=12)
                .any(|month| self.months & (1 << month) != 0 && self.of_month.reaches(LONGEST[month - 1]))
    }
}

/// Days of the months of a leap year.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Day {
    /// The day `days` after 1970-01-01.
    ///
    /// The algorithm is Howard Hinnant's `civil_from_days` (days of 400-year eras that begin in March).
    pub fn from_epoch(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year: year as i32, month: month as u32, day: day as u32 }
    }

    /// Days since 1970-01-01 (`days_from_civil` of the same source).
    pub fn epoch(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let month = i64::from(if self.month > 2 { self.month - 3 } else { self.month + 9 });
        let of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// Sunday is 0.
    pub fn weekday(self) -> u32 {
        (self.epoch() + 4).rem_euclid(7) as u32
    }

    pub fn days_in_month(self) -> u32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 if !leap => 28,
            month => LONGEST[month as usize - 1],
        }
    }

    /// The Monday-to-Friday day nearest to `wanted` within this month.
    fn nearest_weekday(self, wanted: u32) -> u32 {
        let last = self.days_in_month();
        match (Self { day: wanted, ..self }.weekday(), wanted) {
            (6, 1) => 3,
            (6, wanted) => wanted - 1,
            (0, wanted) if wanted == last => wanted - 2,
            (0, wanted) => wanted + 1,
            (_, wanted) => wanted,
        }
    }
}
