//! What a period will have used when it ends, if it goes on as the last days did. Pure.
//! Rule: a forecast rests on whole days that were really seen, says how many, and gives a range beside the figure.

use serde::{Deserialize, Serialize};

/// Whole days that a forecast looks back at most.
pub const DAYS: usize = 14;

/// One figure of a period that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    pub so_far: u128,
    /// At the end, by the mean of the days.
    pub expected: u128,
    /// By the quietest and the busiest of the days.
    pub least: u128,
    pub most: u128,
}

/// What will be used: `days` are whole days before now, the latest last; those before the first one with any use are
/// not looked at, since nothing was there to be used. `left_ms` is what is left of the period.
pub fn forecast(so_far: u128, days: &[u128], left_ms: u64) -> Forecast {
    let first = days.iter().position(|day| *day > 0).unwrap_or(days.len());
    let seen = &days[first..];
    let left = |per_day: u128| per_day.saturating_mul(u128::from(left_ms)) / 86_400_000;
    let mean = seen.iter().sum::<u128>() / (seen.len().max(1) as u128);
    let ends = |day: Option<&u128>| so_far.saturating_add(left(day.copied().unwrap_or(0)));
    Forecast {
        so_far,
        expected: so_far.saturating_add(left(mean)),
        least: ends(seen.iter().min()),
        most: ends(seen.iter().max()),
    }
}

/// In how many milliseconds `limit` is reached at the pace of the days; nothing when it never is.
pub fn reached_ms(used: u128, limit: u128, days: &[u128]) -> Option<u64> {
    if used >= limit {
        return Some(0);
    }
    let first = days.iter().position(|day| *day > 0)?;
    let seen = &days[first..];
    let sum: u128 = seen.iter().sum();
    let ms = (limit - used).checked_mul(86_400_000)?.checked_mul(seen.len() as u128)? / sum.max(1);
    u64::try_from(ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_period_ends_as_its_days_went() {
        for (so_far, days, left, expected) in [
            (10, &[0, 0, 4, 6, 2][..], 2 * DAY, (18, 14, 22)),
            (10, &[4, 0, 2], DAY / 2, (11, 10, 12)),
            (10, &[], 5 * DAY, (10, 10, 10)),
            (0, &[0, 0], 5 * DAY, (0, 0, 0)),
            (u128::MAX, &[u128::MAX / 2], DAY, (u128::MAX, u128::MAX, u128::MAX)),
        ] {
            let found = forecast(so_far, days, left);
            assert_eq!((found.expected, found.least, found.most), expected, "{so_far} {days:?}");
        }
    }

    #[test]
    fn a_limit_is_reached_at_the_pace_of_the_days() {
        for (used, limit, days, expected) in [
            (0, 10, &[0, 5, 5][..], Some(2 * DAY)),
            (7, 10, &[0, 2, 4], Some(DAY)),
            (10, 10, &[], Some(0)),
            (0, 10, &[0, 0], None),
            (0, u128::MAX, &[1], None),
        ] {
            assert_eq!(reached_ms(used, limit, days), expected, "{used} {limit} {days:?}");
        }
    }
}
