//! An expression in plain English, for `schedule preview` and `schedule show`.
//! Pure; says what the parser understood, so that a misread line is seen before it runs.

use super::Cron;
use super::days::{DayOfMonth, DayOfWeek};
use super::field::Limits;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Cron {
    /// Such as `at 09:00, on Monday to Friday`.
    pub fn words(&self) -> String {
        let mut words = self.time();
        if let Some(days) = self.day_words() {
            words.push_str(", ");
            words.push_str(&days);
        }
        if self.days.months != 0x1ffe {
            let months = ranges(self.days.months, 1, 12, |month| MONTHS[month as usize - 1].into());
            words.push_str(&format!(", in {months}"));
        }
        words
    }

    fn time(&self) -> String {
        let (minutes, hours) = (ones(self.minutes, &Limits::MINUTE), ones(self.hours, &Limits::HOUR));
        let second = if self.has_seconds() { Some(ones(self.seconds, &Limits::SECOND)) } else { None };
        if let (Some([second]), [minute], true) =
            (second.as_deref().or(Some(&[0])), &minutes[..], hours.len() <= 4)
        {
            let seconds = if *second == 0 { String::new() } else { format!(":{second:02}") };
            let times: Vec<String> =
                hours.iter().map(|hour| format!("{hour:02}:{minute:02}{seconds}")).collect();
            return format!("at {}", and(&times));
        }
        let minute =
            if minutes.len() == 60 && second.is_some() { None } else { Some(every(&minutes, 60, "minute")) };
        let parts = [
            second.map(|seconds| every(&seconds, 60, "second")),
            minute,
            (hours.len() < 24).then(|| match step(&hours, 24) {
                Some(step) => format!("in every {} hour", ordinal(step)),
                None => format!("in the hours {}", ranges(self.hours, 0, 23, |hour| format!("{hour:02}"))),
            }),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn day_words(&self) -> Option<String> {
        let month = of_month(&self.days.of_month);
        let week = of_week(&self.days.of_week);
        match (month, week) {
            (Some(month), Some(week)) if self.days.either() => Some(format!("{month}, or {week}")),
            (Some(month), Some(week)) => Some(format!("{month}, but only {week}")),
            (month, week) => month.or(week),
        }
    }
}

fn of_month(days: &DayOfMonth) -> Option<String> {
    let mut parts = Vec::new();
    if days.set.bits == 0xffff_fffe {
        return None;
    }
    if days.set.bits != 0 {
        let list = ranges(days.set.bits, 1, 31, |day| day.to_string());
        parts.push(format!("on day {list} of the month"));
    }
    parts.extend(days.before_last.iter().map(|before| match before {
        0 => "on the last day of the month".into(),
        1 => "on the day before the last of the month".into(),
        before => format!("{before} days before the last of the month"),
    }));
    parts.extend(days.nearest.iter().map(|day| format!("on the weekday nearest to day {day}")));
    parts.extend(days.last_weekday.then(|| "on the last weekday of the month".into()));
    Some(and(&parts))
}

fn of_week(days: &DayOfWeek) -> Option<String> {
    let mut parts = Vec::new();
    if days.set.bits == 0x7f {
        return None;
    }
    if days.set.bits != 0 {
        parts.push(format!("on {}", ranges(days.set.bits, 0, 6, |day| WEEKDAYS[day as usize].into())));
    }
    let name = |day: &u32| WEEKDAYS[*day as usize];
    parts.extend(
        days.nth.iter().map(|(day, count)| format!("on the {} {} of the month", ordinal(*count), name(day))),
    );
    parts.extend(days.last.iter().map(|day| format!("on the last {} of the month", name(day))));
    Some(and(&parts))
}

fn ones(bits: u64, limits: &Limits) -> Vec<u32> {
    (limits.from..=limits.to).filter(|value| bits & (1 << value) != 0).collect()
}

/// `every minute`, `every 5 minutes`, `at minute 0 and 30`.
fn every(values: &[u32], span: u32, unit: &str) -> String {
    match step(values, span) {
        Some(1) => format!("every {unit}"),
        Some(step) => format!("every {step} {unit}s"),
        None => {
            let bits = values.iter().fold(0, |bits, value| bits | 1 << value);
            format!("at {unit} {}", ranges(bits, 0, span - 1, |value| value.to_string()))
        }
    }
}

/// The step of values that divide the whole span evenly from 0.
fn step(values: &[u32], span: u32) -> Option<u32> {
    let step = match values {
        [0, second, ..] => *second,
        _ => return None,
    };
    let even = span.is_multiple_of(step) && values.iter().copied().eq((0..span).step_by(step as usize));
    even.then_some(step)
}

/// `1 to 5, 8 and 10`.
fn ranges(bits: u64, from: u32, to: u32, name: impl Fn(u32) -> String) -> String {
    let mut parts = Vec::new();
    let mut value = from;
    while value <= to {
        if bits & (1 << value) == 0 {
            value += 1;
            continue;
        }
        let start = value;
        while value < to && bits & (1 << (value + 1)) != 0 {
            value += 1;
        }
        match value - start {
            0 => parts.push(name(start)),
            1 => parts.extend([name(start), name(value)]),
            _ => parts.push(format!("{} to {}", name(start), name(value))),
        }
        value += 1;
    }
    and(&parts)
}

fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn ordinal(number: u32) -> String {
    match number {
        1 => "first".into(),
        2 => "second".into(),
        3 => "third".into(),
        4 => "fourth".into(),
        5 => "fifth".into(),
        number => format!("{number}th"),
    }
}
