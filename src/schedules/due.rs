//! What is to be done about the due instants that have come: which fire, which are missed, and whether a run may begin
//! beside the one before. Pure: start, resume from sleep and a jump of the clock are all the same question here.

use super::model::{Cause, MAX_CAUGHT_UP, MAX_QUEUED, Missed, Overlap};
use super::timetable::Timetable;
use crate::clock::Timestamp;

/// An instant counts as on time for a second, and as merely late for a minute; then it was missed.
const ON_TIME: u64 = 1_000_000;
pub const GRACE: u64 = 60_000_000;
/// Missed instants are counted up to this many.
const COUNTED: u64 = 100;
/// Stretches of time before now that are searched for the latest instants, one after the other.
const STRETCHES: [u64; 5] =
    [60_000_000, 3_600_000_000, 86_400_000_000, 32 * 86_400_000_000, 366 * 86_400_000_000];

/// What became due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Considered {
    pub fire: Vec<(Timestamp, Cause)>,
    pub passed: Option<Passed>,
}

/// Instants that nothing is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
    /// There were more than could be counted.
    pub more: bool,
}

/// When a schedule is due: its timetable, and how much later it acts.
#[derive(Debug, Clone, Copy)]
pub struct Dues<'a> {
    pub timetable: &'a Timetable,
    pub offset: u64,
}

impl Dues<'_> {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.timetable.shifted(after, self.offset)
    }

    /// The latest `most` instants in `(after, now]`, in order.
    fn latest(&self, after: Timestamp, now: Timestamp, most: usize) -> Vec<Timestamp> {
        let stretches = STRETCHES.iter().map(|stretch| Timestamp(now.0.saturating_sub(*stretch)));
        let mut found = Vec::new();
        for from in stretches.filter(|from| *from > after).chain([after]) {
            found.clear();
            let mut at = from;
            while let Some(next) = self.next(at).filter(|next| *next <= now) {
                found.push(next);
                at = next;
            }
            if found.len() >= most {
                break;
            }
        }
        found.split_off(found.len().saturating_sub(most))
    }

    /// The instants in `(after, until)`; `last` is the latest of them, where it is known.
    fn passed(&self, after: Timestamp, until: Timestamp, last: Option<Timestamp>) -> Option<Passed> {
        let first = self.next(after).filter(|first| *first < until)?;
        let mut passed = Passed { first, last: first, count: 1, more: false };
        while let Some(next) = self.next(passed.last).filter(|next| *next < until) {
            if passed.count == COUNTED {
                passed.more = true;
                passed.last = last.unwrap_or(until);
                break;
            }
            passed.count += 1;
            passed.last = next;
        }
        Some(passed)
    }

    /// What `(watermark, now]` asks for.
    pub fn consider(&self, missed: Missed, watermark: Timestamp, now: Timestamp) -> Considered {
        let most = if missed == Missed::All { MAX_CAUGHT_UP } else { 1 };
        let mut latest = self.latest(watermark, now, most);
        let cause = |due: Timestamp| match now.0 - due.0 {
            late if late <= ON_TIME => Cause::OnTime,
            late if late <= GRACE => Cause::Late,
            _ => Cause::CaughtUp,
        };
        let gone = latest.last().copied();
        if missed == Missed::Skip {
            latest.retain(|due| cause(*due) != Cause::CaughtUp);
        }
        let until = latest.first().copied().unwrap_or(Timestamp(now.0 + 1));
        let before = match latest.first() {
            Some(_) => None,
            None => gone,
        };
        let passed = gone.and_then(|_| self.passed(watermark, until, before));
        Considered { fire: latest.into_iter().map(|due| (due, cause(due))).collect(), passed }
    }

    /// What a pause that ends now has let pass.
    pub fn skipped(&self, watermark: Timestamp, now: Timestamp) -> Option<Passed> {
        self.passed(watermark, Timestamp(now.0 + 1), None)
    }
}

/// What happens to a run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    Begin,
    /// Those under way are cancelled first.
    Replace,
    Queue,
    Skip,
}

/// Whether a run may begin beside `open` others, with `queued` waiting.
pub fn admit(overlap: Overlap, open: usize, queued: usize) -> Admitted {
    match overlap {
        _ if open == 0 && queued == 0 => Admitted::Begin,
        Overlap::Allow => Admitted::Begin,
        Overlap::Replace => Admitted::Replace,
        Overlap::Queue if queued < MAX_QUEUED => Admitted::Queue,
        Overlap::Queue | Overlap::Skip => Admitted::Skip,
    }
}

/// Pause before attempt `attempt` (2 is the first repetition), doubling up to an hour.
pub fn pause(retry_after_ms: u64, attempt: u32) -> u64 {
    let doubled = 1_u64.checked_shl(attempt.saturating_sub(2)).unwrap_or(u64::MAX);
    retry_after_ms.saturating_mul(doubled).min(3_600_000)
}

#[cfg(test)]
mod tests {
    use super::super::model::Trigger;
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-01-{text}Z")).unwrap()
    }

    #[test]
    fn what_was_missed_is_decided_by_the_policy() {
        let hourly = Timetable::read(&Trigger::Cron("0 * * * *".into()), "UTC").unwrap();
        let dues = Dues { timetable: &hourly, offset: 0 };
        let passed = |first: &str, last: &str, count| {
            Some(Passed { first: at(first), last: at(last), count, more: false })
        };
        type Case<'a> = (Missed, &'a str, &'a str, &'a [(&'a str, Cause)], Option<Passed>);
        let cases: &[Case<'_>] = &[
            // Nothing has come.
            (Missed::Once, "01T00:00:00", "01T00:59:59", &[], None),
            // A clock that was set back.
            (Missed::All, "01T05:00:00", "01T02:30:00", &[], None),
            (Missed::Once, "01T00:00:00", "01T01:00:00.004", &[("01T01:00:00", Cause::OnTime)], None),
            (Missed::Skip, "01T00:00:00", "01T01:00:40", &[("01T01:00:00", Cause::Late)], None),
            (Missed::Skip, "01T00:00:00", "01T01:02:00", &[], passed("01T01:00:00", "01T01:00:00", 1)),
            (Missed::Once, "01T00:00:00", "01T01:02:00", &[("01T01:00:00", Cause::CaughtUp)], None),
            (
                Missed::Skip,
                "01T00:00:00",
                "01T03:00:01",
                &[("01T03:00:00", Cause::OnTime)],
                passed("01T01:00:00", "01T02:00:00", 2),
            ),
            (
                Missed::Once,
                "01T00:00:00",
                "01T03:30:00",
                &[("01T03:00:00", Cause::CaughtUp)],
                passed("01T01:00:00", "01T02:00:00", 2),
            ),
            (
                Missed::All,
                "01T00:00:00",
                "01T03:00:30",
                &[
                    ("01T01:00:00", Cause::CaughtUp),
                    ("01T02:00:00", Cause::CaughtUp),
                    ("01T03:00:00", Cause::Late),
                ],
                None,
            ),
        ];
        for (missed, watermark, now, fire, expected) in cases {
            let fire = fire.iter().map(|(due, cause)| (at(due), *cause)).collect();
            let expected = Considered { fire, passed: *expected };
            assert_eq!(
                dues.consider(*missed, at(watermark), at(now)),
                expected,
                "{missed:?} {watermark} {now}"
            );
        }
    }

    #[test]
    fn a_long_absence_is_bounded() {
        let seconds = Timetable::read(&Trigger::Cron("* * * * * *".into()), "UTC").unwrap();
        let dues = Dues { timetable: &seconds, offset: 0 };
        let all = dues.consider(Missed::All, at("01T00:00:00"), at("04T00:00:00"));
        assert_eq!(all.fire.len(), MAX_CAUGHT_UP);
        assert_eq!(all.fire.last().unwrap().0, at("04T00:00:00"));
        let passed = all.passed.unwrap();
        assert_eq!((passed.first, passed.count, passed.more), (at("01T00:00:01"), COUNTED, true));
        let yearly = Timetable::read(&Trigger::Cron("0 0 29 2 *".into()), "UTC").unwrap();
        let dues = Dues { timetable: &yearly, offset: 0 };
        let since = |text: &str| Timestamp::parse(text).unwrap();
        let once = dues.consider(Missed::Once, since("2021-01-01T00:00:00Z"), since("2026-01-01T00:00:00Z"));
        assert_eq!(once.fire, [(since("2024-02-29T00:00:00Z"), Cause::CaughtUp)]);
        assert_eq!(once.passed, None);
    }

    #[test]
    fn a_jitter_moves_every_instant_alike() {
        let hourly = Timetable::read(&Trigger::Cron("0 * * * *".into()), "UTC").unwrap();
        let dues = Dues { timetable: &hourly, offset: 90_000_000 };
        let considered = dues.consider(Missed::Once, at("01T01:01:29"), at("01T01:01:30"));
        assert_eq!(considered.fire, [(at("01T01:01:30"), Cause::OnTime)]);
        assert_eq!(dues.consider(Missed::Once, at("01T01:01:30"), at("01T02:01:29")).fire, []);
    }

    #[test]
    fn overlap_is_decided_by_the_policy() {
        use Admitted::{Begin, Queue, Replace, Skip};
        for (overlap, open, queued, expected) in [
            (Overlap::Skip, 0, 0, Begin),
            (Overlap::Skip, 1, 0, Skip),
            (Overlap::Queue, 1, 0, Queue),
            (Overlap::Queue, 0, 1, Queue),
            (Overlap::Queue, 1, MAX_QUEUED, Skip),
            (Overlap::Replace, 2, 0, Replace),
            (Overlap::Allow, 7, 0, Begin),
        ] {
            assert_eq!(admit(overlap, open, queued), expected, "{overlap:?} {open} {queued}");
        }
        assert_eq!([2, 3, 4, 60].map(|attempt| pause(1000, attempt)), [1000, 2000, 4000, 3_600_000]);
    }
}
