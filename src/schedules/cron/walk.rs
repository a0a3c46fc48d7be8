//! From an expression to the next instant it is due, in a time zone. The calendar walk over wall-clock time is the
//! `cron` crate's, fed with explicit lists; the rule for days with `L`, `W` and `#`, and the rule for changes of
//! offset are ours. Not here: what was missed and what runs.
//!
//! Changes of offset follow the standard cron: a time that the clock skips is due once, at the first instant after
//! the gap; a time that comes twice is due the first time. Lines whose minute or hour begins with `*` follow the
//! clock instead: nothing in a gap, both copies of an hour that comes twice.

use super::Cron;
use super::days::{Day, Days};
use chrono::{DateTime, Utc};
use cron::Schedule;
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};

const DAY: i64 = 86_400;
/// Changes of offset reach this far: the largest known skips a whole day.
const REACH: i64 = 26 * 3600;
/// The `cron` crate's calendar ends here (2100-12-31T23:59:59).
const END: i64 = 4_133_980_799;
/// Rare days such as a fifth Friday in February come at least once in this many months.
const RARE: i64 = 12 * 41;

/// Seconds since 1970-01-01T00:00:00 on a wall clock.
type Wall = i64;

/// The crate's schedules that together walk one expression.
#[derive(Debug, Clone)]
pub struct Walker(Vec<Schedule>);

impl Walker {
    /// One schedule; two when a day need match one of its fields only.
    pub fn new(seconds: u64, minutes: u64, hours: u64, days: &Days) -> Self {
        let time = format!("{} {} {}", list(seconds, 0, 59), list(minutes, 0, 59), list(hours, 0, 23));
        let month = list(days.months, 1, 12);
        let of_month = list(days.of_month.set.bits, 1, 31);
        // The crate counts Sunday as 1.
        let of_week = list(days.of_week.set.bits << 1, 1, 7);
        let lines = match (days.plain(), days.either()) {
            (false, _) => vec![format!("{time} * * *")],
            (true, false) => vec![format!("{time} {of_month} {month} {of_week}")],
            (true, true) => {
                vec![format!("{time} {of_month} {month} *"), format!("{time} * {month} {of_week}")]
            }
        };
        Self(lines.iter().map(|line| line.parse().expect("explicit lists within their fields")).collect())
    }

    /// The first wall time after `after`, whatever the day.
    fn next(&self, after: Wall) -> Option<Wall> {
        let after = DateTime::<Utc>::from_timestamp(after, 0)?;
        let next = |schedule: &Schedule| schedule.after(&after).next().map(|next| next.timestamp());
        self.0.iter().filter_map(next).min()
    }
}

/// Bits as a list the crate reads; all of them as `*`, which it walks without a set.
fn list(bits: u64, from: u32, to: u32) -> String {
    let values: Vec<String> =
        (from..=to).filter(|value| bits & (1 << value) != 0).map(|value| value.to_string()).collect();
    if values.len() as u32 == to - from + 1 { "*".into() } else { values.join(",") }
}

impl Cron {
    /// The first instant after `after` (both in seconds since the epoch) at which the expression is due in `zone`;
    /// `None` when there is none before the year 2101.
    pub fn next_after(&self, after: i64, zone: &TimeZone) -> Option<i64> {
        let offset = offset_at(zone, after)?;
        let wall = self.next_wall(after + offset)?;
        let due = wall - offset;
        // The common case: one offset from here to there, and none that changes where a wall time could repeat.
        let calm = offset_at(zone, due) == Some(offset)
            && offset_at(zone, after + REACH) == Some(offset)
            && is_plain(zone, wall);
        if calm { Some(due) } else { self.through_changes(after, zone) }
    }

    /// Walks one stretch of constant offset after the other.
    fn through_changes(&self, after: i64, zone: &TimeZone) -> Option<i64> {
        let mut stretch = Stretch::around(zone, after)?;
        let mut after = after;
        loop {
            if let Some(due) = self.within(&stretch, after) {
                return Some(due);
            }
            after = stretch.end? - 1;
            stretch = Stretch::around(zone, after + 1)?;
            if after > END {
                return None;
            }
        }
    }

    /// The first instant after `after` within a stretch.
    fn within(&self, stretch: &Stretch, after: i64) -> Option<i64> {
        let mut from = after + stretch.offset;
        if let (Some(start), false) = (stretch.start, self.wildcard) {
            let (old, new) = (start + stretch.before, start + stretch.offset);
            if old < new && after < start && self.next_wall(old - 1).is_some_and(|wall| wall < new) {
                // The clock skipped a due time: it is made up for at once.
                return Some(start);
            }
            // The clock went back: what is shown a second time was due the first time.
            from = from.max(old - 1);
        }
        let due = self.next_wall(from)? - stretch.offset;
        stretch.end.is_none_or(|end| due < end).then_some(due)
    }

    /// The first wall time after `after`.
    fn next_wall(&self, after: Wall) -> Option<Wall> {
        if self.days.plain() {
            return self.walker.next(after);
        }
        let Day { mut year, mut month, day } = Day::from_epoch(after.div_euclid(DAY));
        let mut from = day;
        for _ in 0..RARE {
            let mut days = self.days.of(year, month) & (u64::MAX << from);
            while days != 0 {
                let epoch = Day { year, month, day: days.trailing_zeros() }.epoch();
                days &= days - 1;
                match self.walker.next(after.max(epoch * DAY - 1))? {
                    wall if wall < (epoch + 1) * DAY => return Some(wall),
                    _ => {}
                }
            }
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            from = 1;
        }
        None
    }
}

/// Seconds east of Greenwich.
fn offset_at(zone: &TimeZone, instant: i64) -> Option<i64> {
    Some(i64::from(zone.to_offset(Timestamp::from_second(instant).ok()?).seconds()))
}

/// Whether a wall time comes exactly once.
fn is_plain(zone: &TimeZone, wall: Wall) -> bool {
    let civil = Timestamp::from_second(wall).map(|time| jiff::tz::Offset::UTC.to_datetime(time));
    civil.is_ok_and(|civil| {
        matches!(zone.to_ambiguous_timestamp(civil).offset(), AmbiguousOffset::Unambiguous { .. })
    })
}

/// A time during which a zone keeps one offset.
#[derive(Debug)]
struct Stretch {
    /// `None`: since ever.
    start: Option<i64>,
    /// First instant of the next stretch; `None`: for ever.
    end: Option<i64>,
    offset: i64,
    /// The offset before `start`.
    before: i64,
}

impl Stretch {
    fn around(zone: &TimeZone, instant: i64) -> Option<Self> {
        let offset = offset_at(zone, instant)?;
        // One later, as the search is for what lies strictly before.
        let probe = Timestamp::from_second(instant + 1).ok()?;
        let start = zone
            .preceding(probe)
            .map(|change| change.timestamp().as_second())
            .find(|at| *at <= instant && offset_at(zone, at - 1) != Some(offset));
        let end = zone
            .following(Timestamp::from_second(instant).ok()?)
            .map(|change| change.timestamp().as_second())
            .find(|at| offset_at(zone, *at) != Some(offset));
        let before = start.and_then(|start| offset_at(zone, start - 1)).unwrap_or(offset);
        Some(Self { start, end, offset, before })
    }
}
