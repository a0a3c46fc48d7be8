//! The built-in `time` server: the time in a zone, conversions between zones, the list of zones.
//! A wall-clock time that daylight saving skips or repeats is answered, and the answer says so.

use super::Options;
use super::reply::{self, Effect, Output, World, object, tool};
use crate::clock::Clock;
use crate::documents::near;
use crate::error::{Error, Result};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};
use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Value, json};

/// The server: where it reads the time, and the zone of whoever names none.
pub struct Time {
    clock: Clock,
    zone: TimeZone,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    timezone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Convert {
    source_timezone: String,
    time: String,
    target_timezone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefix {
    #[serde(default)]
    prefix: String,
}

impl Time {
    /// `TZ` in the entry's environment is the zone of calls that name none, else the system's.
    pub fn new(options: &Options) -> Result<Self> {
        let zone = match options.env.get("TZ") {
            Some(name) => zone(name)?,
            None => TimeZone::system(),
        };
        Ok(Self { clock: Clock::from_env(), zone })
    }

    pub fn tools() -> Vec<Tool> {
        let zone =
            |what: &str| json!({"type": "string", "description": format!("{what}, such as Europe/Berlin")});
        let moment = moment_schema();
        vec![
            tool(
                "get_current_time",
                "Current time",
                "Returns the current date and time in a time zone (by default the user's).",
                Effect::Reads,
                World::Closed,
                object(json!({"timezone": zone("IANA name of the zone")}), &[]),
                Some(moment.clone()),
            ),
            tool(
                "convert_time",
                "Convert a time",
                "Converts a time from one zone to another, with daylight saving of that day.",
                Effect::Reads,
                World::Closed,
                object(
                    json!({
                        "source_timezone": zone("IANA name of the zone the time is in"),
                        "time": {"type": "string",
                            "description": "HH:MM for today in the source zone, or a date and time such as 2026-03-29T02:30"},
                        "target_timezone": zone("IANA name of the zone wanted")
                    }),
                    &["source_timezone", "time", "target_timezone"],
                ),
                Some(object(
                    json!({"source": moment, "target": moment, "time_difference": {"type": "string"},
                        "note": {"type": "string"}}),
                    &["source", "target", "time_difference"],
                )),
            ),
            tool(
                "list_timezones",
                "List time zones",
                "Lists the IANA names of time zones, all or those that begin with a prefix.",
                Effect::Reads,
                World::Closed,
                object(json!({"prefix": {"type": "string", "description": "Such as Europe/"}}), &[]),
                Some(object(
                    json!({"timezones": {"type": "array", "items": {"type": "string"}}}),
                    &["timezones"],
                )),
            ),
        ]
    }

    pub fn call(&self, tool: &str, arguments: Value) -> Result<Output> {
        match tool {
            "get_current_time" => {
                let Now { timezone } = reply::arguments(arguments)?;
                let zone = timezone.map_or_else(|| Ok(self.zone.clone()), |name| zone(&name))?;
                let now = self.now()?.to_zoned(zone);
                Ok(Output::data(sentence(&now), moment(&now)))
            }
            "convert_time" => convert(reply::arguments(arguments)?, self.now()?),
            _ => {
                let Prefix { prefix } = reply::arguments(arguments)?;
                let names = names(&prefix);
                if names.is_empty() {
                    return Err(reply::refused(format!("no time zone begins with `{prefix}`"))
                        .hint("call `list_timezones` without a prefix"));
                }
                Ok(Output::data(names.join("\n"), json!({"timezones": names})))
            }
        }
    }

    fn now(&self) -> Result<Timestamp> {
        i64::try_from(self.clock.now().0)
            .ok()
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .ok_or_else(|| Error::bug("the clock is outside the range of dates"))
    }
}

fn moment_schema() -> Value {
    let text = json!({"type": "string"});
    object(
        json!({"timezone": text, "datetime": text, "day_of_week": text, "utc_offset": text,
            "is_dst": {"type": "boolean"}}),
        &["timezone", "datetime", "day_of_week", "utc_offset", "is_dst"],
    )
}

fn names(prefix: &str) -> Vec<String> {
    let prefix = prefix.to_lowercase();
    let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    names.retain(|name| name.to_lowercase().starts_with(&prefix));
    names.sort();
    names
}

fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        let error = reply::invalid(format!("there is no time zone `{name}`"));
        let names = names("");
        let city = |candidate: &&String| {
            candidate
                .rsplit('/')
                .next()
                .is_some_and(|city| city.eq_ignore_ascii_case(&name.replace(' ', "_")))
        };
        let nearest = names.iter().find(city).map(String::as_str);
        match nearest.or_else(|| near(name, names.iter().map(String::as_str))) {
            Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
            None => error.hint("use an IANA name such as `Europe/Berlin`; `list_timezones` shows all"),
        }
    })
}

/// A moment, and what must be said about how it was found.
fn source_moment(time: &str, zone: &TimeZone, now: Timestamp) -> Result<(Zoned, Option<&'static str>)> {
    let time = time.trim();
    if let Ok(instant) = time.parse::<Timestamp>() {
        let note = "the time names its own offset from UTC, so that decides and not the source zone";
        return Ok((instant.to_zoned(zone.clone()), Some(note)));
    }
    let padded = if time.as_bytes().get(1) == Some(&b':') { format!("0{time}") } else { time.to_string() };
    let clock = padded.parse::<civil::Time>().ok().filter(|_| padded.as_bytes().get(2) == Some(&b':'));
    let wall = match clock {
        Some(clock) => now.to_zoned(zone.clone()).date().to_datetime(clock),
        None => time.parse::<civil::DateTime>().map_err(|error| {
            reply::invalid(format!("`{time}` is not a time"))
                .because(error)
                .hint("write HH:MM for today, or a date and time such as 2026-03-29T02:30")
        })?,
    };
    let ambiguous = zone.to_ambiguous_zoned(wall);
    let note = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(
            "the clocks of the source zone skip this time on that day; it was moved on by the length of the gap",
        ),
        AmbiguousOffset::Fold { .. } => Some(
            "the clocks of the source zone show this time twice on that day; the first, before they go back, was taken",
        ),
    };
    let zoned =
        ambiguous.compatible().map_err(|error| reply::invalid("the time is out of range").because(error))?;
    Ok((zoned, note))
}

fn convert(asked: Convert, now: Timestamp) -> Result<Output> {
    let (from, to) = (zone(&asked.source_timezone)?, zone(&asked.target_timezone)?);
    let (source, note) = source_moment(&asked.time, &from, now)?;
    let target = source.with_time_zone(to);
    let seconds = target.offset().seconds() - source.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let difference = format!("{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let mut data =
        json!({"source": moment(&source), "target": moment(&target), "time_difference": difference});
    let mut text = format!("{} is {} ({difference})", sentence(&source), sentence(&target));
    if let Some(note) = note {
        data["note"] = note.into();
        text = format!("{text}\nnote: {note}");
    }
    Ok(Output::data(text, data))
}

fn zone_name(zoned: &Zoned) -> &str {
    zoned.time_zone().iana_name().unwrap_or("local time")
}

fn sentence(zoned: &Zoned) -> String {
    format!("{} {}", zoned.strftime("%A %Y-%m-%d %H:%M:%S %:z"), zone_name(zoned))
}

fn moment(zoned: &Zoned) -> Value {
    json!({
        "timezone": zone_name(zoned),
        "datetime": zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "day_of_week": zoned.strftime("%A").to_string(),
        "utc_offset": zoned.strftime("%:z").to_string(),
        "is_dst": zoned.time_zone().to_offset_info(zoned.timestamp()).dst().is_dst(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Time {
        let now = crate::clock::Timestamp::parse("2026-03-28T12:00:00Z").unwrap();
        Time { clock: Clock::Fixed(now), zone: TimeZone::get("Europe/Berlin").unwrap() }
    }

    fn convert(from: &str, time: &str, to: &str) -> Result<(String, String, String, Option<String>), Error> {
        let arguments = json!({"source_timezone": from, "time": time, "target_timezone": to});
        let data = server().call("convert_time", arguments)?.data.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let note = data.get("note").map(|note| text(note).split(';').next().unwrap().to_string());
        Ok((
            text(&data["source"]["datetime"]),
            text(&data["target"]["datetime"]),
            text(&data["time_difference"]),
            note,
        ))
    }

    #[test]
    fn the_current_time_is_that_of_the_zone() {
        let now = |arguments| server().call("get_current_time", arguments).unwrap();
        assert_eq!(now(json!({})).text, "Saturday 2026-03-28 13:00:00 +01:00 Europe/Berlin");
        assert_eq!(
            now(json!({"timezone": "America/New_York"})).data.unwrap(),
            json!({"timezone": "America/New_York", "datetime": "2026-03-28T08:00:00-04:00",
                "day_of_week": "Saturday", "utc_offset": "-04:00", "is_dst": true})
        );
    }

    #[test]
    fn conversions_are_right_around_daylight_saving() {
        let skips = "the clocks of the source zone skip this time on that day";
        let twice = "the clocks of the source zone show this time twice on that day";
        let own = "the time names its own offset from UTC, so that decides and not the source zone";
        let (berlin, new_york) = ("Europe/Berlin", "America/New_York");
        #[rustfmt::skip]
        let cases = [
            (berlin, "9:05", "Asia/Kolkata", "2026-03-28T09:05:00+01:00", "2026-03-28T13:35:00+05:30", "+04:30", None),
            // New York changes three weeks before Berlin.
            (berlin, "2026-03-10T12:00", new_york, "2026-03-10T12:00:00+01:00", "2026-03-10T07:00:00-04:00", "-05:00", None),
            (berlin, "2026-03-30 12:00", new_york, "2026-03-30T12:00:00+02:00", "2026-03-30T06:00:00-04:00", "-06:00", None),
            (berlin, "2026-03-29T02:30", "UTC", "2026-03-29T03:30:00+02:00", "2026-03-29T01:30:00+00:00", "-02:00", Some(skips)),
            (berlin, "2026-10-25T02:30", "UTC", "2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00+00:00", "-02:00", Some(twice)),
            (berlin, "2026-07-01T10:00:00Z", "UTC", "2026-07-01T12:00:00+02:00", "2026-07-01T10:00:00+00:00", "-02:00", Some(own)),
        ];
        for (from, time, to, source, target, difference, note) in cases {
            let found = convert(from, time, to).unwrap();
            let expected = (source.into(), target.into(), difference.into(), note.map(String::from));
            assert_eq!(found, expected, "{time}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_nearest() {
        for (from, time, message, hint) in [
            (
                "Europe/Berln",
                "10:00",
                "there is no time zone `Europe/Berln`",
                "did you mean `Europe/Berlin`?",
            ),
            ("new york", "10:00", "there is no time zone `new york`", "did you mean `America/New_York`?"),
            (
                "UTC",
                "25:00",
                "`25:00` is not a time",
                "write HH:MM for today, or a date and time such as 2026-03-29T02:30",
            ),
        ] {
            let error = convert(from, time, "UTC").unwrap_err();
            assert_eq!((error.message.as_str(), error.hints[0].as_str()), (message, hint));
        }
        assert!(server().call("list_timezones", json!({"prefix": "nowhere"})).is_err());
        let zones = server().call("list_timezones", json!({"prefix": "europe/b"})).unwrap();
        assert!(zones.text.starts_with("Europe/Belfast\nEurope/Belgrade\nEurope/Berlin\n"), "{}", zones.text);
    }
}
