//! Cron expressions against tables, against a second search of ours, and against another library.

use super::oracle::Plain;
use super::{Cron, Fault};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert_eq, proptest};

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn next(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression).unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let mut after = at(from);
    let mut due = Vec::new();
    for _ in 0..count {
        let Some(next) = cron.next_after(after, &zone) else {
            break;
        };
        assert!(next > after);
        after = next;
        due.push(zone.to_datetime(Timestamp::from_second(next).unwrap()).to_string());
    }
    due
}

#[test]
fn ordinary_lines_mean_what_the_standard_says() {
    let cases: &[(&str, &[&str])] = &[
        ("0 9 * * 1-5", &["2026-11-23T09:00:00", "2026-11-24T09:00:00"]),
        ("0 9 * * mon-fri", &["2026-11-23T09:00:00", "2026-11-24T09:00:00"]),
        ("0 2 * * 0", &["2026-11-22T02:00:00", "2026-11-29T02:00:00"]),
        ("0 2 * * 7", &["2026-11-22T02:00:00", "2026-11-29T02:00:00"]),
        ("*/15 * * * *", &["2026-11-21T00:15:00", "2026-11-21T00:30:00"]),
        // Both day fields restricted: either is enough.
        (
            "0 0 13 * 5",
            &["2026-11-27T00:00:00", "2026-12-04T00:00:00", "2026-12-11T00:00:00", "2026-12-13T00:00:00"],
        ),
        // One begins with a star: both must hold.
        ("0 0 */2 * 5", &["2026-11-27T00:00:00", "2026-12-11T00:00:00"]),
        ("0 0 29 2 *", &["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("@monthly", &["2026-12-01T00:00:00", "2027-01-01T00:00:00"]),
        ("30 0 9 * * *", &["2026-11-21T09:00:30", "2026-11-22T09:00:30"]),
        (
            "0 0 L * *",
            &["2026-11-30T00:00:00", "2026-12-31T00:00:00", "2027-01-31T00:00:00", "2027-02-28T00:00:00"],
        ),
        ("0 0 L-2 * *", &["2026-11-28T00:00:00", "2026-12-29T00:00:00"]),
        ("0 0 LW * *", &["2026-11-30T00:00:00", "2026-12-31T00:00:00", "2027-01-29T00:00:00"]),
        (
            "0 0 1W * *",
            &[
                "2026-12-01T00:00:00",
                "2027-01-01T00:00:00",
                "2027-02-01T00:00:00",
                "2027-03-01T00:00:00",
                "2027-04-01T00:00:00",
                "2027-05-03T00:00:00",
            ],
        ),
        ("0 0 * * 5#2", &["2026-12-11T00:00:00", "2027-01-08T00:00:00"]),
        ("0 0 * * friL", &["2026-11-27T00:00:00", "2026-12-25T00:00:00"]),
        ("0 0 * 2 6#5", &["2048-02-29T00:00:00"]),
        (
            "0 10/4 * * ?",
            &[
                "2026-11-21T10:00:00",
                "2026-11-21T14:00:00",
                "2026-11-21T18:00:00",
                "2026-11-21T22:00:00",
                "2026-11-22T10:00:00",
            ],
        ),
    ];
    for (expression, expected) in cases {
        assert_eq!(
            &next(expression, "UTC", "2026-11-21T00:00:00Z", expected.len()),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn changes_of_offset_follow_the_standard_cron() {
    // New York, 2026: the clock skips 02:00 to 03:00 on March 8 and shows 01:00 to 02:00 twice on November 1.
    let cases: &[(&str, &str, &[&str])] = &[
        ("30 2 * * *", "2026-03-07T12:00:00Z", &["2026-03-08T03:00:00", "2026-03-09T02:30:00"]),
        ("0,20,40 2 * * *", "2026-03-07T12:00:00Z", &["2026-03-08T03:00:00", "2026-03-09T02:00:00"]),
        ("*/30 2 * * *", "2026-03-07T12:00:00Z", &["2026-03-09T02:00:00", "2026-03-09T02:30:00"]),
        ("30 * * * *", "2026-03-08T06:00:00Z", &["2026-03-08T01:30:00", "2026-03-08T03:30:00"]),
        ("30 1 * * *", "2026-10-31T12:00:00Z", &["2026-11-01T01:30:00", "2026-11-02T01:30:00"]),
        (
            "*/30 1 * * *",
            "2026-11-01T04:30:00Z",
            &[
                "2026-11-01T01:00:00",
                "2026-11-01T01:30:00",
                "2026-11-01T01:00:00",
                "2026-11-01T01:30:00",
                "2026-11-02T01:00:00",
            ],
        ),
        (
            "0 1-3 * * 0",
            "2026-11-01T04:30:00Z",
            &["2026-11-01T01:00:00", "2026-11-01T02:00:00", "2026-11-01T03:00:00", "2026-11-08T01:00:00"],
        ),
        (
            "*/30 1 1 11 *",
            "2026-11-01T05:45:00Z",
            &["2026-11-01T01:00:00", "2026-11-01T01:30:00", "2027-11-01T01:00:00"],
        ),
    ];
    for (expression, from, expected) in cases {
        assert_eq!(&next(expression, "America/New_York", from, expected.len()), expected, "{expression}");
    }
    // Apia went from December 29 to December 31, 2011.
    assert_eq!(
        next("0 9 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", 3),
        ["2011-12-31T00:00:00", "2011-12-31T09:00:00", "2012-01-01T09:00:00"]
    );
}

#[test]
fn the_second_copy_of_an_hour_comes_an_hour_later() {
    let cron = Cron::parse("*/30 1 * * *").unwrap();
    let zone = TimeZone::get("America/New_York").unwrap();
    let mut after = at("2026-11-01T04:30:00Z");
    let mut due = Vec::new();
    for _ in 0..4 {
        after = cron.next_after(after, &zone).unwrap();
        due.push(after);
    }
    let expected =
        ["2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z"];
    assert_eq!(due, expected.map(at));
}

#[test]
fn nonsense_is_refused_with_its_place() {
    let cases = [
        ("", "a cron expression has five fields, or six with seconds in front, not 0"),
        ("* * * *", "a cron expression has five fields, or six with seconds in front, not 4"),
        ("* * * * * * *", "a cron expression has five fields, or six with seconds in front, not 7"),
        ("61 * * * *", "`61` is outside the minute field, which takes 0 to 59"),
        ("* 24 * * *", "`24` is outside the hour field, which takes 0 to 23"),
        ("* * 0 * *", "`0` is outside the day of month field, which takes 1 to 31"),
        ("* * * 13 *", "`13` is outside the month field, which takes 1 to 12"),
        ("* * * * 8", "`8` is outside the day of week field, which takes 0 to 7"),
        ("1,,2 * * * *", "an item of the minute field is empty"),
        (",1 * * * *", "an item of the minute field is empty"),
        ("5* * * * *", "`5*` is no value of the minute field"),
        ("*5 * * * *", "`*5` is no value of the minute field"),
        ("** * * * *", "`**` is no value of the minute field"),
        ("mon * * * *", "`mon` is no value of the minute field"),
        ("* * * mon *", "`mon` is no value of the month field"),
        ("* * * * jan", "`jan` is no value of the day of week field"),
        ("* * * january *", "`january` is no value of the month field"),
        ("*/0 * * * *", "a step of 0 in the minute field never moves on"),
        ("*/60 * * * *", "a step of 60 is longer than the minute field"),
        ("*/x * * * *", "the step `x` of the minute field is no number"),
        ("50-10 * * * *", "the range `50-10` of the minute field runs backwards"),
        ("* * * * fri-sun", "the range `fri-sun` runs backwards: Sunday counts as 0 here"),
        ("* * * * 5-1", "the range `5-1` of the day of week field runs backwards"),
        ("0 0 30 2 *", "day and month `30 2` never come together"),
        ("0 0 31 4,6,9,11 *", "day and month `31 4,6,9,11` never come together"),
        ("@reboot", "`@reboot` names no time"),
        ("@fortnightly", "`@fortnightly` is no nickname"),
        ("* * * * L", "`L` alone names no day of the week"),
        ("* * * * 5#6", "`5#6` counts the weeks of a month, which are 1 to 5"),
        ("* * 32W * *", "`32` is outside the day of month field, which takes 1 to 31"),
        ("-1 * * * *", "`` is no value of the minute field"),
        ("+1 * * * *", "`+1` is no value of the minute field"),
        ("1.5 * * * *", "`1.5` is no value of the minute field"),
        ("٣ * * * *", "`٣` is no value of the minute field"),
    ];
    for (expression, message) in cases {
        let Fault { message: said, at, .. } = Cron::parse(expression).unwrap_err();
        assert_eq!(said, message, "{expression}");
        assert!(expression.get(at).is_some(), "{expression}");
    }
}

#[test]
fn an_expression_is_said_in_words() {
    let cases = [
        ("0 9 * * mon-fri", "at 09:00, on Monday to Friday"),
        ("*/5 * * * *", "every 5 minutes"),
        ("* * * * *", "every minute"),
        ("0 */2 * * *", "at minute 0, in every second hour"),
        ("30 8,20 * * *", "at 08:30 and 20:30"),
        ("0 0 13 * 5", "at 00:00, on day 13 of the month, or on Friday"),
        (
            "0 0 */2 * 5",
            "at 00:00, on day 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and 31 of the month, but only on Friday",
        ),
        ("0 0 L 3,6 *", "at 00:00, on the last day of the month, in March and June"),
        ("0 9 * * 1#2", "at 09:00, on the second Monday of the month"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("30 0 9 * * *", "at 09:00:30"),
        ("15 9-17 * * *", "at minute 15, in the hours 09 to 17"),
    ];
    for (expression, words) in cases {
        assert_eq!(Cron::parse(expression).unwrap().words(), words, "{expression}");
    }
}

/// A set of values of a field and how it is written.
fn field(from: i8, to: i8) -> impl Strategy<Value = (String, Vec<i8>)> {
    let star = proptest::strategy::Just(("*".to_string(), (from..=to).collect::<Vec<_>>()));
    let step = (2..=(to - from).max(2))
        .prop_map(move |step| (format!("*/{step}"), (from..=to).step_by(step as usize).collect()));
    let list = prop::collection::btree_set(from..=to, 1..5).prop_map(|set| {
        let words: Vec<String> = set.iter().map(ToString::to_string).collect();
        (words.join(","), set.into_iter().collect())
    });
    let range = (from..=to, from..=to).prop_map(|(a, b)| {
        let (low, high) = (a.min(b), a.max(b));
        (format!("{low}-{high}"), (low..=high).collect())
    });
    proptest::prop_oneof![3 => star, 1 => step, 3 => list, 2 => range]
}

const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn the_walk_agrees_with_the_plain_search(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        weekday in field(0, 6), zone in 0..ZONES.len(), month_of_change in 0..4usize, hours in 0..200i64,
    ) {
        let line = format!("{} {} {} {} {}", minute.0, hour.0, day.0, month.0, weekday.0);
        let star = |field: &(String, Vec<i8>)| field.0.starts_with('*');
        let plain = Plain {
            day_star: star(&day), weekday_star: star(&weekday), wildcard: star(&minute) || star(&hour),
            minutes: minute.1, hours: hour.1, days: day.1, months: month.1, weekdays: weekday.1,
        };
        let Ok(cron) = Cron::parse(&line) else { return Ok(()) };
        let zone = TimeZone::get(ZONES[zone]).unwrap();
        // A fortnight around each of the year's changes somewhere.
        let start = ["2026-03-04T00:00:00Z", "2026-03-27T00:00:00Z", "2026-10-01T00:00:00Z", "2026-10-24T00:00:00Z"];
        let from = at(start[month_of_change]) + hours * 60;
        let to = from + 14 * 86_400;
        let mut walked = Vec::new();
        let mut after = from - 1;
        while let Some(next) = cron.next_after(after, &zone).filter(|next| *next < to) {
            walked.push(next);
            after = next;
        }
        prop_assert_eq!(walked, plain.all(from, to, &zone), "{} in {:?}", line, zone.iana_name());
    }
}

/// `croner` differs where it reads `*/2` in one day field as if it did not begin with a star; such lines are left out.
#[test]
fn another_implementation_agrees_where_the_rules_are_the_same() {
    use chrono::{DateTime, Utc};
    let minutes = ["0", "*/5", "7,37", "10-20", "*"];
    let hours = ["0", "9-17", "*/6", "*"];
    let days = ["*", "1", "15,31", "L", "29", "1-7", "LW", "15W"];
    let months = ["*", "2", "jan-mar", "4,6,9,11"];
    let weekdays = ["*", "0", "7", "mon-fri", "5L", "2#2"];
    let parser = croner::parser::CronParser::builder().build();
    let utc = TimeZone::UTC;
    let from = at("2026-11-21T10:11:12Z");
    let mut compared = 0;
    for (minute, hour, day, month, weekday) in combinations(&minutes, &hours, &days, &months, &weekdays) {
        let line = format!("{minute} {hour} {day} {month} {weekday}");
        let Ok(ours) = Cron::parse(&line) else { continue };
        // It reads neither `LW` nor all of `L`.
        let Ok(theirs) = parser.parse(&line) else { continue };
        let (mut one, mut other) = (from, DateTime::<Utc>::from_timestamp(from, 0).unwrap());
        for _ in 0..4 {
            one = ours.next_after(one, &utc).unwrap();
            other = theirs.find_next_occurrence(&other, false).unwrap();
            assert_eq!(one, other.timestamp(), "{line}: {other}");
        }
        compared += 1;
    }
    assert!(compared > 2000, "{compared}");
}

/// Every combination of one word of each list.
fn combinations<'a>(
    minutes: &'a [&'a str],
    hours: &'a [&'a str],
    days: &'a [&'a str],
    months: &'a [&'a str],
    weekdays: &'a [&'a str],
) -> impl Iterator<Item = (&'a str, &'a str, &'a str, &'a str, &'a str)> {
    minutes.iter().flat_map(move |minute| {
        hours.iter().flat_map(move |hour| {
            days.iter().flat_map(move |day| {
                months.iter().flat_map(move |month| {
                    weekdays.iter().map(move |weekday| (*minute, *hour, *day, *month, *weekday))
                })
            })
        })
    })
}
