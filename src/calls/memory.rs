//! What is remembered of calls: labels of tools that were used, and how many calls a limit has counted. It decides
//! nothing. Both memories are bounded, and what still counts is never forgotten to make room: first everything goes
//! that means nothing any more (labels older than an hour, counters that are full again); who then finds no room
//! shares one trail, or one counter for each rule and tool, with all others who find none.

use crate::clock::Timestamp;
use crate::policy::rules::Kind;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Use of a label counts for rules with `after` for this long.
const MEMORY_MS: u64 = 3_600_000;
/// Trails, and counters, kept at once, besides the shared ones.
const MOST: usize = 10_000;
/// A full memory is swept no more often than this: whoever fills it shall not make each call pay for a sweep.
const SWEEP: Duration = Duration::from_secs(1);

/// Who is remembered: a key of the HTTP endpoint by its id (true), or a client by the name it goes by. A key's holder can
/// change its name with every request, and gains nothing by it.
pub type Who = (bool, Arc<str>);

/// What a limit counts; nobody in particular is whoever found no room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counted {
    pub rule: String,
    /// Id of the server.
    pub server: String,
    pub kind: Kind,
    pub name: String,
    pub who: Option<Who>,
}

/// A bucket that fills evenly and begins full.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Calls left.
    left: f64,
    at: Instant,
    most: f64,
    /// Calls a second.
    rate: f64,
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * self.rate).min(self.most)
    }
}

/// Label -> when a tool with it was last called, and the name the client goes by.
#[derive(Default)]
struct Trail {
    client: Arc<str>,
    labels: BTreeMap<String, Timestamp>,
}

impl Trail {
    fn is_live(&self, now: Timestamp) -> bool {
        self.labels.values().any(|at| now.since_ms(*at) < MEMORY_MS)
    }
}

#[derive(Default)]
struct Trails {
    known: HashMap<Who, Trail>,
    /// Of those who found no room.
    shared: Trail,
    swept: Option<Timestamp>,
}

#[derive(Default)]
struct Counters {
    known: HashMap<Counted, Bucket>,
    shared: HashMap<Counted, Bucket>,
    swept: Option<Instant>,
}

#[derive(Default)]
pub struct Memory {
    trails: Mutex<Trails>,
    counters: Mutex<Counters>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Labels of the tools somebody has called of late.
    pub fn used(&self, who: &Who, now: Timestamp) -> BTreeSet<String> {
        let trails = locked(&self.trails);
        if trails.known.is_empty() {
            return BTreeSet::new();
        }
        let recent = |(_, at): &(&String, &Timestamp)| now.since_ms(**at) < MEMORY_MS;
        let trail = trails.known.get(who).unwrap_or(&trails.shared);
        trail.labels.iter().filter(recent).map(|(label, _)| label.clone()).collect()
    }

    pub fn note(&self, who: &Who, client: &Arc<str>, labels: &[String], now: Timestamp) {
        if labels.is_empty() {
            return;
        }
        let mut guard = locked(&self.trails);
        let trails = &mut *guard;
        if trails.known.len() >= MOST && !trails.known.contains_key(who) {
            let rested = |at: Timestamp| now.since_ms(at) >= SWEEP.as_millis() as u64;
            if trails.swept.is_none_or(rested) {
                trails.swept = Some(now);
                trails.known.retain(|_, trail| trail.is_live(now));
            }
        }
        let trail = match trails.known.len() < MOST || trails.known.contains_key(who) {
            true => trails.known.entry(who.clone()).or_default(),
            false => &mut trails.shared,
        };
        trail.client = client.clone();
        trail.labels.extend(labels.iter().map(|label| (label.clone(), now)));
    }

    /// Counts a call; the error is how long to wait.
    pub fn count(&self, what: &Counted, calls: u32, seconds: u32, now: Instant) -> Result<(), Duration> {
        let mut guard = locked(&self.counters);
        let counters = &mut *guard;
        if counters.known.len() >= MOST && !counters.known.contains_key(what) {
            let rested = |at: Instant| now.saturating_duration_since(at) >= SWEEP;
            if counters.swept.is_none_or(rested) {
                counters.swept = Some(now);
                counters.known.retain(|_, bucket| bucket.filled(now) < bucket.most);
            }
        }
        let (most, rate) = (f64::from(calls), f64::from(calls) / f64::from(seconds));
        let fresh = Bucket { left: most, at: now, most, rate };
        let bucket = match counters.known.len() < MOST || counters.known.contains_key(what) {
            true => counters.known.entry(what.clone()).or_insert(fresh),
            false => counters.shared.entry(Counted { who: None, ..what.clone() }).or_insert(fresh),
        };
        let left = Bucket { most, rate, ..*bucket }.filled(now);
        *bucket = Bucket { left, at: now, most, rate };
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / rate));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    /// Forgets which labels a client has used; nobody means everybody. What limits have counted stays.
    pub fn forget(&self, client: Option<&str>) {
        let mut trails = locked(&self.trails);
        trails.known.retain(|_, trail| client.is_some_and(|client| *trail.client != *client));
        if client.is_none() {
            trails.shared = Trail::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(who: usize) -> Counted {
        Counted {
            rule: "r".into(),
            server: "srv_1".into(),
            kind: Kind::Tool,
            name: "t".into(),
            who: Some((false, who.to_string().into())),
        }
    }

    #[test]
    fn a_limit_outlives_any_number_of_other_clients() {
        let memory = Memory::default();
        let start = Instant::now();
        let count = |who, after| memory.count(&counted(who), 1, 86_400, start + after).is_ok();
        assert!(count(0, Duration::ZERO) && !count(0, Duration::ZERO));
        for who in 1..2 * MOST {
            count(who, Duration::ZERO);
        }
        let bounded = |memory: &Memory| {
            let counters = locked(&memory.counters);
            (counters.known.len() <= MOST, counters.shared.len())
        };
        assert_eq!(bounded(&memory), (true, 1));
        // Two hours later the limit of a day still holds, for the first one and for whoever found no room.
        let later = Duration::from_secs(7200);
        assert!(!count(0, later) && !count(2 * MOST + 1, later));
        // After a day the counters are full again: they mean nothing, and go.
        let next = Duration::from_secs(86_401);
        assert!(count(2 * MOST + 2, next) && count(0, next) && !count(0, next));
        assert!(locked(&memory.counters).known.len() < 10);
    }

    #[test]
    fn a_label_counts_whoever_else_has_used_some() {
        let memory = Memory::default();
        let label = |label: &str| vec![label.to_string()];
        let who = |who: usize| (false, Arc::from(who.to_string()));
        memory.note(&who(0), &"c".into(), &label("private"), Timestamp(0));
        for other in 1..=MOST {
            memory.note(&who(other), &"d".into(), &label("untrusted"), Timestamp(0));
        }
        let used = |of: usize, at| memory.used(&who(of), at).into_iter().collect::<Vec<_>>();
        assert_eq!(used(0, Timestamp(1)), ["private"]);
        assert_eq!(locked(&memory.trails).known.len(), MOST);
        assert_eq!(used(MOST, Timestamp(1)), ["untrusted"], "the one without room shares a trail");
        assert_eq!(used(0, Timestamp(0).plus_ms(MEMORY_MS)), Vec::<String>::new());
        memory.note(&who(MOST + 1), &"d".into(), &label("x"), Timestamp(0).plus_ms(MEMORY_MS));
        assert_eq!(locked(&memory.trails).known.len(), 1, "what has run out makes room");
        memory.forget(None);
        assert_eq!(used(MOST, Timestamp(1)), Vec::<String>::new());
    }
}
