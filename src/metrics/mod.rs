//! The noun `metrics`: what is counted in the daemon while it lives, how it is told apart, and the forms it is given out
//! in. What it counts is handed in; it asks nobody.
//! Rule: nothing in here grows with what clients send: names beyond a bound are counted together as `(other)`.

pub mod facts;
pub mod histogram;
pub mod meters;
pub mod names;
pub mod spans;
pub mod text;
pub mod trace;

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the daemon keeps of what happened since it started.
#[derive(Debug, Default)]
pub struct Measures {
    pub meters: meters::Meters,
    pub spans: spans::Spans,
}

/// What a value means over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only grows, from 0 at the daemon's start.
    Counter,
    /// How it is now.
    Gauge,
    /// How many were how long.
    Histogram,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Everything measured at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub at: Timestamp,
    pub families: Vec<Family>,
}

/// All series of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Family {
    pub name: String,
    pub kind: Kind,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// One series: what tells it apart, and its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    #[serde(flatten)]
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Distribution(Distribution),
    Number { value: f64 },
}

/// What a histogram holds. Seconds or whatever the family's name says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    pub count: u64,
    pub sum: f64,
    /// Upper bound and how many were at most that; what is above the last one is in `count` alone.
    pub buckets: Vec<(f64, u64)>,
}

impl Distribution {
    /// The value below which this share lies, spread evenly within its bucket; `None` when there is nothing.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let wanted = share.clamp(0.0, 1.0) * self.count as f64;
        let (mut low, mut below) = (0.0, 0_u64);
        for (bound, until) in &self.buckets {
            if *until as f64 >= wanted && *until > below {
                return Some(
                    low + (bound - low) * ((wanted - below as f64) / (until - below) as f64).max(0.0),
                );
            }
            (low, below) = (*bound, *until);
        }
        // Above the last bound nothing more is known than that.
        Some(low)
    }

    /// Adds another one with the same buckets.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for ((_, own), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += more;
        }
    }
}

impl Snapshot {
    /// Begins a family; its samples are put into what is returned.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> &mut Family {
        self.families.push(Family { name: name.into(), kind, help: help.into(), samples: Vec::new() });
        let last = self.families.len() - 1;
        &mut self.families[last]
    }

    /// A family of one number without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).put(&[], value);
    }

    pub fn find(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }
}

impl Family {
    pub fn put(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.push(labels, Value::Number { value })
    }

    pub fn push(&mut self, labels: &[(&str, &str)], value: Value) -> &mut Self {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        self.samples.push(Sample { labels, value });
        self
    }

    /// All its numbers together, and all its distributions.
    pub fn total(&self) -> Value {
        let mut whole = Distribution::default();
        let mut number = 0.0;
        for sample in &self.samples {
            match &sample.value {
                Value::Number { value } => number += value,
                Value::Distribution(one) => whole.add(one),
            }
        }
        match self.kind {
            Kind::Histogram => Value::Distribution(whole),
            _ => Value::Number { value: number },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(buckets: &[(f64, u64)], count: u64) -> Distribution {
        Distribution { count, sum: 0.0, buckets: buckets.to_vec() }
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let even = spread(&[(1.0, 0), (2.0, 50), (4.0, 100)], 100);
        let tail = spread(&[(1.0, 10)], 20);
        for (of, share, expected) in [
            (&even, 0.25, Some(1.5)),
            (&even, 0.5, Some(2.0)),
            (&even, 0.75, Some(3.0)),
            (&even, 1.0, Some(4.0)),
            (&even, 0.0, Some(1.0)),
            (&tail, 0.5, Some(1.0)),
            (&tail, 0.99, Some(1.0)),
            (&spread(&[(1.0, 0)], 0), 0.5, None),
        ] {
            assert_eq!(of.quantile(share), expected, "{share}");
        }
    }

    #[test]
    fn a_total_is_the_sum_of_its_series() {
        let mut all = Snapshot::default();
        all.family("a", Kind::Counter, "A.").put(&[("x", "1")], 2.0).put(&[("x", "2")], 3.0);
        assert_eq!(all.find("a").unwrap().total(), Value::Number { value: 5.0 });
        let one = || Value::Distribution(spread(&[(1.0, 2)], 3));
        all.family("h", Kind::Histogram, "H.").push(&[("x", "1")], one()).push(&[("x", "2")], one());
        assert_eq!(all.find("h").unwrap().total(), Value::Distribution(spread(&[(1.0, 4)], 6)));
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), all);
    }
}
