//! A trigger made ready: the next due instant after any other. Pure; the zone comes in as a value.

use super::cron::Cron;
use super::model::Trigger;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::sync::Arc;

const SECOND: u64 = 1_000_000;

/// When something is due, again and again.
#[derive(Debug, Clone)]
pub enum Timetable {
    Cron { cron: Arc<Cron>, zone: TimeZone },
    Every { step: u64, from: u64 },
    At(u64),
}

impl Timetable {
    /// # Errors
    /// `CRON_INVALID` points at the place; `ZONE_UNKNOWN`.
    pub fn read(trigger: &Trigger, zone: &str) -> Result<Self> {
        Self::with(trigger, || self::zone(zone))
    }

    /// The same in a zone that somebody else looks up.
    pub fn with(trigger: &Trigger, zone: impl FnOnce() -> Result<TimeZone>) -> Result<Self> {
        Ok(match trigger {
            Trigger::Cron(text) => Self::Cron { cron: Arc::new(cron(text)?), zone: zone()? },
            Trigger::Every { ms, from } => Self::Every { step: ms.max(&1) * 1000, from: from.0 },
            Trigger::At(at) => Self::At(at.0),
        })
    }

    /// The first due instant after `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let next = cron.next_after(i64::try_from(after.0 / SECOND).ok()?, zone)?;
                u64::try_from(next).ok().map(|next| Timestamp(next * SECOND))
            }
            Self::Every { step, from } => {
                let rounds = after.0.checked_sub(*from).map_or(1, |passed| passed / step + 1);
                Some(Timestamp(from + rounds * step))
            }
            Self::At(at) => (after.0 < *at).then_some(Timestamp(*at)),
        }
    }

    /// The same for a schedule that is due `offset` microseconds later than its trigger says.
    pub fn shifted(&self, after: Timestamp, offset: u64) -> Option<Timestamp> {
        let next = self.next_after(Timestamp(after.0.saturating_sub(offset)))?;
        Some(Timestamp(next.0 + offset))
    }
}

/// Reads a cron expression; the error shows the place in it.
pub fn cron(text: &str) -> Result<Cron> {
    Cron::parse(text).map_err(|fault| {
        let column = text[..fault.at.start.min(text.len())].chars().count();
        let error = Error::new(&codes::CRON_INVALID, fault.message).at(crate::error::Span {
            file: "cron expression".into(),
            line: 1,
            column: u32::try_from(column).unwrap_or(0) + 1,
            text: text.into(),
        });
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// A zone by its name in the zone database.
pub fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        let error = Error::new(&codes::ZONE_UNKNOWN, format!("no time zone named `{name}`"));
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        match crate::documents::near(name, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("write a name such as Europe/Berlin, America/New_York or UTC"),
        }
    })
}

/// An instant as RFC 3339, or a date and time on the clocks of a zone.
///
/// # Errors
/// `VALUE_INVALID`; also for a time that the clocks skip.
pub fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp> {
    if let Some(at) = Timestamp::parse(text) {
        return Ok(at);
    }
    let invalid = |why: &str| {
        Error::new(&codes::VALUE_INVALID, format!("`{text}` {why}"))
            .hint("write 2027-02-10T14:30:00Z, or 2027-02-10 14:30 in the zone of --timezone")
    };
    let civil: jiff::civil::DateTime =
        text.trim().replace(' ', "T").parse().map_err(|_| invalid("is no date with a time"))?;
    let at = zone.to_ambiguous_timestamp(civil);
    if matches!(at.offset(), jiff::tz::AmbiguousOffset::Gap { .. }) {
        return Err(invalid("does not exist: the clocks skip it that day"));
    }
    let at = at.compatible().map_err(|_| invalid("is beyond all calendars"))?;
    u64::try_from(at.as_microsecond()).map(Timestamp).map_err(|_| invalid("is before 1970"))
}

/// How an instant reads on the clocks of a zone, such as `Mon 2026-11-23 09:00:00 -05:00`.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    let instant = jiff::Timestamp::from_microsecond(i64::try_from(at.0).unwrap_or(i64::MAX));
    instant.map_or_else(
        |_| "invalid time".into(),
        |instant| instant.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string(),
    )
}

/// A change of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Change {
    #[serde(skip)]
    pub at: Timestamp,
    /// Seconds by which the clocks go forward; less than 0: back.
    pub by: i32,
}

/// The change of the clocks on the day of an instant, or in the night to it.
pub fn change_near(at: Timestamp, zone: &TimeZone) -> Option<Change> {
    let seconds = i64::try_from(at.0 / SECOND).ok()?;
    let instant = |seconds: i64| jiff::Timestamp::from_second(seconds).ok();
    let day = |seconds: i64| Some(zone.to_datetime(instant(seconds)?).date());
    let offset = |seconds: i64| Some(zone.to_offset(instant(seconds)?).seconds());
    let today = day(seconds)?;
    let near = zone.following(instant(seconds - 30 * 3600)?);
    let near = near.map(|change| change.timestamp().as_second()).take_while(|at| *at <= seconds + 30 * 3600);
    near.filter(|change| day(*change) == Some(today) || day(change - 1) == Some(today)).find_map(|change| {
        let by = offset(change)? - offset(change - 1)?;
        (by != 0).then_some(Change { at: Timestamp(u64::try_from(change).ok()? * SECOND), by })
    })
}

/// The zone of this machine by name; `UTC` where it has none that others would know.
pub fn own_zone() -> String {
    TimeZone::system().iana_name().unwrap_or("UTC").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_give_their_instants() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let every = Trigger::Every { ms: 900_000, from: at("2026-01-01T00:05:00Z") };
        let cron = Trigger::Cron("0 2 * * *".into());
        let once = Trigger::At(at("2026-03-01T10:00:00.5Z"));
        for (trigger, after, expected) in [
            (&every, "2025-12-31T23:00:00Z", Some("2026-01-01T00:20:00Z")),
            (&every, "2026-01-01T00:05:00Z", Some("2026-01-01T00:20:00Z")),
            (&every, "2026-01-01T00:20:00Z", Some("2026-01-01T00:35:00Z")),
            (&every, "2026-01-01T00:34:59.999999Z", Some("2026-01-01T00:35:00Z")),
            (&cron, "2026-07-01T06:00:00Z", Some("2026-07-02T06:00:00Z")),
            (&cron, "2026-07-01T05:59:59.999Z", Some("2026-07-01T06:00:00Z")),
            (&once, "2026-03-01T10:00:00Z", Some("2026-03-01T10:00:00.5Z")),
            (&once, "2026-03-01T10:00:00.5Z", None),
        ] {
            let timetable = Timetable::read(trigger, "America/New_York").unwrap();
            assert_eq!(timetable.next_after(at(after)), expected.map(at), "{trigger:?} after {after}");
        }
    }

    #[test]
    fn instants_are_read_on_the_clocks_of_a_zone() {
        let zone = zone("America/New_York").unwrap();
        for (text, expected) in [
            ("2027-02-10T14:30:00Z", Some("2027-02-10T14:30:00.000Z")),
            ("2027-02-10 14:30", Some("2027-02-10T19:30:00.000Z")),
            ("2027-02-10T14:30:05", Some("2027-02-10T19:30:05.000Z")),
            // Twice on the clocks: the first.
            ("2026-11-01 01:30", Some("2026-11-01T05:30:00.000Z")),
            // Never on them.
            ("2027-03-14 02:30", None),
            ("tomorrow", None),
        ] {
            assert_eq!(instant(text, &zone).ok().map(Timestamp::rfc3339).as_deref(), expected, "{text}");
        }
        let at = Timestamp::parse("2027-02-10T19:30:00Z").unwrap();
        assert_eq!(local(at, &zone), "Wed 2027-02-10 14:30:00 -05:00");
    }

    #[test]
    fn changes_of_the_clocks_are_seen_from_their_day() {
        let zone = zone("America/New_York").unwrap();
        for (at, by) in [
            ("2027-03-13T12:00:00Z", None),
            ("2027-03-14T05:30:00Z", Some(3600)),
            ("2027-03-14T22:00:00Z", Some(3600)),
            ("2026-11-01T12:00:00Z", Some(-3600)),
            ("2026-11-02T12:00:00Z", None),
        ] {
            let change = change_near(Timestamp::parse(at).unwrap(), &zone);
            assert_eq!(change.map(|change| change.by), by, "{at}");
        }
    }

    #[test]
    fn a_zone_that_does_not_exist_is_refused_with_its_neighbour() {
        let error = zone("Europe/Berln").unwrap_err();
        assert!(error.is(&codes::ZONE_UNKNOWN));
        assert_eq!(error.hints, ["did you mean `Europe/Berlin`?"]);
    }
}
