//! Which metric a word means: its name, its name without what all begin with, or a word people know it by.

use super::{Family, Snapshot};
use crate::documents::near;
use crate::error::{Error, Result, codes};

/// Words people use, and the families they mean.
const ALIASES: &[(&str, &[&str])] = &[
    ("response_time", &["umcp_call_duration_seconds"]),
    ("latency", &["umcp_call_duration_seconds"]),
    ("duration", &["umcp_call_duration_seconds"]),
    ("calls", &["umcp_calls_total"]),
    ("requests", &["umcp_calls_total"]),
    ("throughput", &["umcp_calls_total", "umcp_call_result_bytes_total"]),
    ("bytes", &["umcp_call_request_bytes_total", "umcp_call_result_bytes_total"]),
    ("cache", &["umcp_cache_hits_total"]),
    ("memory", &["process_resident_memory_bytes"]),
    ("cpu", &["process_cpu_seconds_total"]),
    ("restarts", &["umcp_server_restarts_total"]),
    ("servers", &["umcp_server_up", "umcp_server_restarts_total", "umcp_server_failures_total"]),
    ("queue", &["umcp_server_calls_waiting", "umcp_store_queue"]),
    ("sessions", &["umcp_sessions", "umcp_sessions_opened_total"]),
    ("runs", &["umcp_runs_active", "umcp_runs_total"]),
    ("schedules", &["umcp_schedules", "umcp_schedule_runs_total"]),
    ("store", &["umcp_store_commits_total", "umcp_store_commit_seconds_total", "umcp_store_queue"]),
];

/// The families a word means, in the order of the snapshot.
///
/// # Errors
/// `METRIC_NOT_FOUND`, with the word that was meant.
pub fn select<'a>(snapshot: &'a Snapshot, word: &str) -> Result<Vec<&'a Family>> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let known = ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, names)| *names);
    let means = |family: &&Family| match known {
        Some(names) => names.contains(&family.name.as_str()),
        None => family.name == word || family.name.strip_prefix("umcp_") == Some(&word),
    };
    let found: Vec<&Family> = snapshot.families.iter().filter(means).collect();
    if known.is_some() || !found.is_empty() {
        return Ok(found);
    }
    let names = snapshot.families.iter().map(|family| family.name.as_str());
    let words = names.chain(ALIASES.iter().map(|(alias, _)| *alias));
    let error = Error::new(&codes::METRIC_NOT_FOUND, format!("there is no metric `{word}`"));
    Err(match near(&word, words) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp metrics show"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    #[test]
    fn words_find_their_metrics() {
        let mut all = Snapshot::default();
        for name in ["umcp_calls_total", "umcp_call_duration_seconds", "umcp_store_queue"] {
            all.family(name, Kind::Gauge, "");
        }
        let found = |word: &str| {
            select(&all, word).map(|found| found.iter().map(|it| it.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(found("response_time").unwrap(), ["umcp_call_duration_seconds"]);
        assert_eq!(found("Response-Time").unwrap(), ["umcp_call_duration_seconds"]);
        assert_eq!(found("calls_total").unwrap(), ["umcp_calls_total"]);
        assert_eq!(found("umcp_store_queue").unwrap(), ["umcp_store_queue"]);
        assert_eq!(found("cpu").unwrap(), Vec::<String>::new());
        let error = found("latencies").unwrap_err();
        assert_eq!((error.code.code, error.hints[0].as_str()), ("UM1501", "did you mean `latency`?"));
    }
}
