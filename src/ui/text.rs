//! Words and figures for people: plurals, times, sizes, numbers, small charts, safe text.
//! Pure functions; nothing here prints or reads the clock.
//! Rule: a unit is always written, and a figure is cut, never rounded up past its unit.

use crate::clock::Timestamp;

pub use super::sanitise::{one_line, sanitise};

/// A count with its noun, such as `1 server` or `2,000 entries`.
pub fn plural(n: usize, noun: &str) -> String {
    let count = number(n as u64);
    if n == 1 { format!("{count} {noun}") } else { format!("{count} {}", plural_of(noun)) }
}

fn plural_of(noun: &str) -> String {
    let es = ["s", "x", "z", "ch", "sh"];
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if es.iter().any(|end| noun.ends_with(end)) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// A number with a comma between thousands.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long ago `then` was, or how far ahead it is: `just now`, `5 min ago`, `in 2 h`.
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    let past = now.since_ms(then) / 1000;
    let future = then.since_ms(now) / 1000;
    match (past, future) {
        (0..5, 0) => "just now".into(),
        (past, 0) => format!("{} ago", coarse(past)),
        (_, future) => format!("in {}", coarse(future)),
    }
}

/// Seconds in the one largest unit that fits.
fn coarse(seconds: u64) -> String {
    let units = [(365 * 86_400, "year"), (30 * 86_400, "month"), (7 * 86_400, "week"), (86_400, "day")];
    for (size, name) in units {
        if seconds >= size {
            return plural(usize::try_from(seconds / size).unwrap_or(usize::MAX), name);
        }
    }
    match seconds {
        3600.. => format!("{} h", seconds / 3600),
        60.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// A duration in at most two units: `850 ms`, `1.2 s`, `2 min 5 s`, `3 h 10 min`, `2 d 4 h`.
pub fn duration_ms(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => two_units(seconds, 60, "min", 1, "s"),
        3600..86_400 => two_units(seconds, 3600, "h", 60, "min"),
        _ => two_units(seconds, 86_400, "d", 3600, "h"),
    }
}

fn two_units(seconds: u64, large: u64, large_name: &str, small: u64, small_name: &str) -> String {
    match seconds % large / small {
        0 => format!("{} {large_name}", seconds / large),
        rest => format!("{} {large_name} {rest} {small_name}", seconds / large),
    }
}

/// A size in binary units: `512 B`, `1.5 KiB`, `20 MiB`.
pub fn bytes(n: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, name) in units {
        if n >= 10 * size {
            return format!("{} {name}", number(n / size));
        }
        if n >= size {
            return format!("{}.{} {name}", n / size, n % size * 10 / size);
        }
    }
    format!("{n} B")
}

/// One character per value, higher for larger, scaled from zero to the largest value.
pub fn sparkline(values: &[u64], ascii: bool) -> String {
    let steps: &[char] = if ascii {
        &['_', '.', '-', '=', '+', '#']
    } else {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let largest = u128::from(values.iter().copied().max().unwrap_or(0).max(1));
    let step = |value: u64| {
        // Rounded up, so that any activity differs from none.
        let index = (u128::from(value) * (steps.len() as u128 - 1)).div_ceil(largest);
        steps[usize::try_from(index).unwrap_or(0)]
    };
    values.iter().copied().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_their_nouns() {
        let cases = [
            (0, "server", "0 servers"),
            (1, "server", "1 server"),
            (2, "entry", "2 entries"),
            (2, "key", "2 keys"),
            (3, "match", "3 matches"),
            (1200, "alias", "1,200 aliases"),
        ];
        for (n, noun, expected) in cases {
            assert_eq!(plural(n, noun), expected);
        }
    }

    #[test]
    fn figures_are_short_and_have_units() {
        let numbers = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        assert_eq!(numbers.map(|(n, _)| number(n)), numbers.map(|(_, text)| text.to_string()));

        let durations = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1250, "1.2 s"),
            (9999, "9.9 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (125_000, "2 min 5 s"),
            (11_400_000, "3 h 10 min"),
            (187_200_000, "2 d 4 h"),
        ];
        assert_eq!(durations.map(|(ms, _)| duration_ms(ms)), durations.map(|(_, text)| text.to_string()));

        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (10_240, "10 KiB"),
            (1_048_575, "1,023 KiB"),
            (21_000_000, "20 MiB"),
            (u64::MAX, "16,777,215 TiB"),
        ];
        assert_eq!(sizes.map(|(n, _)| bytes(n)), sizes.map(|(_, text)| text.to_string()));
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_millis(2_000_000_000_000);
        let cases: [(i64, &str); 10] = [
            (0, "just now"),
            (-4, "just now"),
            (-5, "5 s ago"),
            (-119, "1 min ago"),
            (-7200, "2 h ago"),
            (-86_400, "1 day ago"),
            (-15 * 86_400, "2 weeks ago"),
            (-800 * 86_400, "2 years ago"),
            (45, "in 45 s"),
            (40 * 86_400, "in 1 month"),
        ];
        for (seconds, expected) in cases {
            let then = Timestamp(now.0.saturating_add_signed(seconds * 1_000_000));
            assert_eq!(ago(now, then), expected);
        }
    }

    #[test]
    fn a_sparkline_has_one_step_per_value() {
        assert_eq!(sparkline(&[0, 1, 50, 100], false), "▁▂▅█");
        assert_eq!(sparkline(&[0, 1, 50, 100], true), "_.=#");
        assert_eq!(sparkline(&[0, 0], true), "__");
        assert_eq!(sparkline(&[], true), "");
        assert_eq!(sparkline(&[u64::MAX], true), "#");
    }
}
