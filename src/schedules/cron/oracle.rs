//! A second, independent search for the tests: minute by minute over real time, with the offset asked for each
//! minute. Slow and plain; it shares no code with the walk.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Plain fields of a five-field expression without extensions.
pub struct Plain {
    pub minutes: Vec<i8>,
    pub hours: Vec<i8>,
    pub days: Vec<i8>,
    pub months: Vec<i8>,
    /// Sunday is 0.
    pub weekdays: Vec<i8>,
    pub day_star: bool,
    pub weekday_star: bool,
    pub wildcard: bool,
}

impl Plain {
    fn matches(&self, at: &jiff::civil::DateTime) -> bool {
        let day = self.days.contains(&at.day());
        let weekday = self.weekdays.contains(&at.weekday().to_sunday_zero_offset());
        let date = if self.day_star || self.weekday_star { day && weekday } else { day || weekday };
        self.minutes.contains(&at.minute())
            && self.hours.contains(&at.hour())
            && self.months.contains(&at.month())
            && date
    }

    /// Every instant due in `from..to`, by looking at each minute; transitions lie on whole minutes in the zones used.
    pub fn all(&self, from: i64, to: i64, zone: &TimeZone) -> Vec<i64> {
        let wall = |at: i64| zone.to_datetime(Timestamp::from_second(at).unwrap());
        let mut due = Vec::new();
        // The latest wall time shown so far: what lies at or before it is shown again.
        let mut latest = wall(from - 7200 * 24);
        let mut previous = latest;
        let mut at = from - 7200 * 24;
        while at < to {
            let now = wall(at);
            if self.wildcard {
                if self.matches(&now) {
                    due.push(at);
                }
            } else {
                let skipped_to = now;
                let mut skipped = previous + 1.minute();
                let mut hit = now > latest && self.matches(&now);
                while skipped > latest && skipped < skipped_to {
                    hit |= self.matches(&skipped);
                    skipped += 1.minute();
                }
                if hit {
                    due.push(at);
                }
            }
            latest = latest.max(now);
            previous = now;
            at += 60;
        }
        due.retain(|at| *at >= from);
        due
    }
}
