//! How often somebody may come: counters that fill evenly and begin full, one for each key, in bounded memory.
//! Pure: the time comes in. Rule: so many keys at once and no more; those not seen for longest are forgotten first.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

impl Rate {
    /// So many within a minute; nothing where 0 stands for no bound.
    pub fn per_minute(count: u32) -> Option<Self> {
        (count > 0).then_some(Self { count, per: Duration::from_secs(60) })
    }
}

/// Counters by key. A key costs one entry that says when its counter is full again.
#[derive(Debug)]
pub struct Buckets<K> {
    most: usize,
    recent: HashMap<K, Instant>,
    /// Keys that were not seen since `recent` was begun; forgotten when it is full.
    before: HashMap<K, Instant>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Counters for at most `most` keys.
    pub fn new(most: usize) -> Self {
        Self { most: most / 2, recent: HashMap::new(), before: HashMap::new() }
    }

    /// Counts one; the error is how long to wait for the next.
    pub fn take(&mut self, key: K, rate: Rate, now: Instant) -> Result<(), Duration> {
        let step = rate.per / rate.count.max(1);
        let known = self.recent.get(&key).or_else(|| self.before.get(&key)).copied();
        let full_at = known.map_or(now, |at| at.max(now)) + step;
        let ahead = full_at - now;
        let room = step * rate.count;
        if ahead > room {
            return Err(ahead - room);
        }
        if self.recent.len() >= self.most && !self.recent.contains_key(&key) {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key, full_at);
        Ok(())
    }

    /// Keys that are remembered.
    pub fn len(&self) -> usize {
        self.recent.len() + self.before.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_at_once_and_then_one_by_one() {
        for count in [1, 3, 7, 60, 99_991] {
            let rate = Rate { count, per: Duration::from_secs(60) };
            let (mut buckets, start) = (Buckets::new(100), Instant::now());
            let passed = (0..count + 5).filter(|_| buckets.take("a", rate, start).is_ok()).count();
            assert_eq!(passed, count as usize);
            assert!(buckets.take("b", rate, start).is_ok(), "another one has a counter of its own");
            let wait = buckets.take("a", rate, start).unwrap_err();
            assert!(wait <= rate.per / count, "{wait:?}");
            assert!(buckets.take("a", rate, start + wait - Duration::from_nanos(1)).is_err());
            assert!(buckets.take("a", rate, start + wait).is_ok());
            assert!(buckets.take("a", rate, start + wait).is_err());
            let later = start + 2 * rate.per;
            let passed = (0..count + 5).filter(|_| buckets.take("a", rate, later).is_ok()).count();
            assert_eq!(passed, count as usize, "no more than full");
        }
    }

    #[test]
    fn memory_is_bounded_and_who_keeps_coming_is_remembered() {
        let rate = Rate { count: 2, per: Duration::from_secs(60) };
        let (mut buckets, now) = (Buckets::new(10), Instant::now());
        for other in 0..1000 {
            if other % 2 == 0 {
                let passed = buckets.take(1_000_000, rate, now + Duration::from_secs(30 * other / 2));
                assert!(passed.is_ok());
            }
            let _ = buckets.take(other, rate, now);
            assert!(buckets.len() <= 10);
        }
    }

    #[test]
    fn no_bound_is_no_rate() {
        assert_eq!(Rate::per_minute(0), None);
        assert_eq!(Rate::per_minute(5).unwrap().count, 5);
    }
}
