//! What stands out in sums: tools that fail, are slow, fill the context or cost most, servers that cost context and are
//! not used, and days unlike those before. Pure.
//! Rule: every remark names the figures it rests on, and none is made of too few calls.

use super::sums::Sums;
use serde::{Deserialize, Serialize};

/// Calls below which nothing is said of a tool.
const ENOUGH: u64 = 5;
const SLOW_US: u64 = 5_000_000;
const LARGE_TOKENS: u64 = 10_000;
/// Days before a day that is compared, at least.
const DAYS: usize = 5;

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    Failing,
    Slow,
    Large,
    Costly,
    Unused,
    Unpriced,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Insight {
    pub topic: Topic,
    pub entity: String,
    pub says: String,
    /// What could be done about it; a command where there is one.
    pub advice: String,
}

/// Remarks about what was used, in order of topic and weight.
pub fn of_sums(groups: &[(String, Sums)]) -> Vec<Insight> {
    let cost: i128 = groups.iter().map(|(_, sums)| sums.cost.0).sum();
    let mut found: Vec<(u64, Insight)> = Vec::new();
    let mut say = |weight: u64, topic, entity: &String, says: String, advice: String| {
        found.push((weight, Insight { topic, entity: entity.clone(), says, advice }));
    };
    for (name, sums) in groups.iter().filter(|(_, sums)| sums.records >= ENOUGH) {
        if sums.failed * 5 >= sums.records {
            let says = format!("{} of {} calls failed", sums.failed, sums.records);
            say(sums.failed, Topic::Failing, name, says, format!("umcp tool history {name} --failed"));
        }
        let p95 = sums.within_us(0.95);
        if p95 >= SLOW_US {
            let says = format!("one call in twenty takes longer than {:.1} s", p95 as f64 / 1e6);
            say(p95, Topic::Slow, name, says, "a cache may help: umcp tool cache --help".into());
        }
        let each = sums.input_tokens / sums.records;
        if each >= LARGE_TOKENS {
            let says = format!("a result has {each} tokens on average");
            say(
                each,
                Topic::Large,
                name,
                says,
                "ask for less of it, or bound it: umcp policy set --help".into(),
            );
        }
        let spent = sums.cost.0;
        if groups.len() > 1 && spent > 0 && spent * 2 >= cost {
            let part = spent.saturating_mul(100) / cost.max(1);
            let says =
                format!("{} of the time's {}, {part} %", sums.cost.short(), super::money::Pico(cost).short());
            say(sums.records, Topic::Costly, name, says, "umcp usage breakdown --group-by client".into());
        }
    }
    let (all, priced) =
        groups.iter().fold((0u64, 0u64), |sum, (_, it)| (sum.0 + it.records, sum.1 + it.priced));
    if all >= ENOUGH && priced * 2 < all {
        let says = format!("{} of {all} calls have no price", all - priced);
        say(0, Topic::Unpriced, &String::new(), says, "umcp pricing import --preset all".into());
    }
    found.sort_by(|left, right| (left.1.topic, right.0).cmp(&(right.1.topic, left.0)));
    found.into_iter().map(|(_, insight)| insight).collect()
}

/// A remark about a server whose definitions stand in every context, when nobody called it.
pub fn of_server(name: &str, tokens: u64, calls: u64) -> Option<Insight> {
    (calls == 0 && tokens > 0).then(|| Insight {
        topic: Topic::Unused,
        entity: name.into(),
        says: format!("its definitions cost {tokens} tokens of context, and it was not called"),
        advice: format!("umcp server disable {name}"),
    })
}

/// A value unlike those before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anomaly {
    /// Number of the value in its series.
    pub index: usize,
    pub value: u64,
    /// The median of the values before.
    pub usual: u64,
    /// How many usual deviations it is away.
    pub deviations: f64,
}

/// Values far from the median of all values before them: more than four times the usual deviation, and at least twice
/// or at most half of what is usual. Five values before are the least.
pub fn anomalies(values: &[u64]) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for index in DAYS..values.len() {
        let before = &values[..index];
        let usual = median(before.iter().copied());
        let spread = median(before.iter().map(|value| value.abs_diff(usual)));
        // A series that never moves has some deviation all the same, so that a single call more is none.
        let spread = (spread as f64 * 1.4826).max(usual as f64 * 0.05).max(1.0);
        let value = values[index];
        let deviations = (value as f64 - usual as f64) / spread;
        let far = value >= usual.saturating_mul(2) || value.saturating_mul(2) <= usual;
        if deviations.abs() > 4.0 && far {
            found.push(Anomaly { index, value, usual, deviations });
        }
    }
    found
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::money::Pico;

    #[test]
    fn a_day_unlike_the_others_is_found() {
        let at = |values: &[u64]| anomalies(values).iter().map(|it| (it.index, it.usual)).collect::<Vec<_>>();
        assert_eq!(at(&[10, 12, 11, 9, 10, 11, 90, 10]), [(6, 11)]);
        assert_eq!(at(&[10, 12, 11, 9, 10, 11, 0]), [(6, 11)]);
        assert_eq!(at(&[10, 12, 11, 9, 10, 15]), []);
        assert_eq!(at(&[0, 0, 0, 0, 0, 1]), [], "one call is no anomaly");
        assert_eq!(at(&[1, 100]), [], "too few days");
        assert_eq!(at(&[u64::MAX; 9]), []);
    }

    #[test]
    fn remarks_need_enough_calls() {
        let sums = |records, failed, cost| Sums {
            records,
            failed,
            priced: records,
            cost: Pico(cost),
            ..Sums::default()
        };
        let groups =
            [("a.x".into(), sums(10, 5, 9)), ("b.y".into(), sums(4, 4, 1)), ("c.z".into(), sums(9, 0, 1))];
        let topics: Vec<_> = of_sums(&groups).into_iter().map(|it| (it.topic, it.entity)).collect();
        assert_eq!(topics, [(Topic::Failing, "a.x".into()), (Topic::Costly, "a.x".to_string())]);
        assert_eq!(of_server("s", 100, 1), None);
        assert_eq!(of_server("s", 100, 0).unwrap().topic, Topic::Unused);
    }
}
