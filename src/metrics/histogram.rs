//! Durations counted in buckets whose bounds double: 100 µs to 105 s. One look-up by the position of the highest bit.

use super::Distribution;

/// Bounds: 100 µs times 2 to the power of 0 to 20.
const BUCKETS: usize = 21;
const FIRST_US: u64 = 100;

/// How many durations were how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// One for each bound, and one for what is longer.
    counts: [u64; BUCKETS + 1],
    sum_us: u64,
}

impl Histogram {
    pub fn add(&mut self, us: u64) {
        // The smallest power of two times the first bound that is not below it.
        let steps = us
            .div_ceil(FIRST_US)
            .max(1)
            .checked_next_power_of_two()
            .map_or(BUCKETS, |it| it.ilog2() as usize);
        self.counts[steps.min(BUCKETS)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// In seconds, each bucket with all that are below it.
    pub fn seconds(&self) -> Distribution {
        let mut below = 0;
        let bucket = |(step, count): (usize, &u64)| {
            below += count;
            (((FIRST_US << step) as f64) / 1e6, below)
        };
        let buckets: Vec<(f64, u64)> = self.counts[..BUCKETS].iter().enumerate().map(bucket).collect();
        let count = self.counts.iter().sum();
        Distribution { count, sum: self.sum_us as f64 / 1e6, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_the_first_bucket_that_holds_it() {
        for (us, bound) in [
            (0, Some(0.0001)),
            (100, Some(0.0001)),
            (101, Some(0.0002)),
            (200, Some(0.0002)),
            (201, Some(0.0004)),
            (1_000_000, Some(1.6384)),
            (104_857_600, Some(104.8576)),
            (104_857_601, None),
            (u64::MAX, None),
        ] {
            let mut histogram = Histogram::default();
            histogram.add(us);
            let seen = histogram.seconds();
            assert_eq!(
                seen.buckets.iter().find(|(_, count)| *count > 0).map(|(bound, _)| *bound),
                bound,
                "{us}"
            );
            assert_eq!((seen.count, seen.buckets.len()), (1, BUCKETS));
        }
    }

    #[test]
    fn buckets_count_all_below_them() {
        let mut histogram = Histogram::default();
        [50, 150, 150, 700, u64::MAX].into_iter().for_each(|us| histogram.add(us));
        let seen = histogram.seconds();
        assert_eq!(seen.buckets[..4], [(0.0001, 1), (0.0002, 3), (0.0004, 3), (0.0008, 4)]);
        assert_eq!(seen.count, 5);
    }
}
