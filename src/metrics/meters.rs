//! What calls and other events are counted in. A call is counted by the thread that writes its record, not on its path.
//! Rule: a bounded number of series; what comes beyond it is counted, but not told apart.

use super::histogram::Histogram;
use super::{Kind, Snapshot, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is counted together beyond the bounds.
pub const OTHER: &str = "(other)";
/// The server that umcp's own tools belong to.
pub const OWN: &str = "umcp";

/// Names told apart at most.
const SERVERS: usize = 300;
const CLIENTS: usize = 100;
/// Tool and client of all servers together; each has a series for each result it has seen.
const PAIRS: usize = 2_000;
const TALLIES: usize = 200;
/// Bytes of a name that are kept.
const LONGEST: usize = 128;

/// How a call may end, as a label.
pub const RESULTS: [&str; 6] = ["ok", "tool error", "error", "cancelled", "timed out", "refused"];

/// A call that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Empty for umcp's own tools.
    pub server: &'a str,
    pub tool: &'a str,
    pub client: &'a str,
    /// One of [`RESULTS`].
    pub result: &'a str,
    pub duration_us: u64,
    pub request_bytes: u64,
    pub result_bytes: u64,
    pub cached: bool,
}

/// Everything counted since the daemon started.
#[derive(Debug, Default)]
pub struct Meters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    servers: HashMap<String, Server>,
    clients: HashSet<String>,
    pairs: usize,
    tallies: BTreeMap<(&'static str, String), u64>,
}

#[derive(Debug, Default)]
struct Server {
    tools: HashMap<String, HashMap<String, [u64; RESULTS.len()]>>,
    durations: Histogram,
    request_bytes: u64,
    result_bytes: u64,
    cached: u64,
}

impl Meters {
    fn state(&self) -> MutexGuard<'_, State> {
        // Counters only: whatever a panic leaves is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of a tool.
    pub fn called(&self, ended: &Ended<'_>) {
        let mut state = self.state();
        let State { servers, clients, pairs, .. } = &mut *state;
        let name = if ended.server.is_empty() { OWN } else { cut(ended.server) };
        let (said, asked) = (cut(ended.client), cut(ended.tool));
        let server = match servers.contains_key(name) || servers.len() < SERVERS {
            true => name,
            false => OTHER,
        };
        let client = match clients.contains(said) {
            true => said,
            false if clients.len() < CLIENTS => {
                clients.insert(said.into());
                said
            }
            false => OTHER,
        };
        let server = entry(servers, server);
        let known = server.tools.get(asked).is_some_and(|tool| tool.contains_key(client));
        let fits = known || *pairs < PAIRS;
        *pairs += usize::from(!known && fits);
        let (tool, client) = if fits { (asked, client) } else { (OTHER, OTHER) };
        let counts = entry(entry(&mut server.tools, tool), client);
        let result = RESULTS.iter().position(|result| *result == ended.result).unwrap_or(2);
        counts[result] += 1;
        if ended.result == "refused" {
            return;
        }
        server.durations.add(ended.duration_us);
        server.request_bytes += ended.request_bytes;
        server.result_bytes += ended.result_bytes;
        server.cached += u64::from(ended.cached);
    }

    /// Counts anything else, told apart by one word.
    pub fn tally(&self, what: &'static str, word: &str) {
        let mut state = self.state();
        let known = state.tallies.contains_key(&(what, word.to_string()));
        let word = if known || state.tallies.len() < TALLIES { word } else { OTHER };
        *state.tallies.entry((what, word.into())).or_default() += 1;
    }

    /// How often that was counted, by word.
    pub fn tallies(&self, what: &'static str) -> Vec<(String, u64)> {
        let state = self.state();
        let of = state.tallies.iter().filter(|((of, _), _)| *of == what);
        of.map(|((_, word), count)| (word.clone(), *count)).collect()
    }

    /// Adds the families of calls, sorted.
    pub fn calls(&self, to: &mut Snapshot) {
        let state = self.state();
        let servers: BTreeMap<&String, &Server> = state.servers.iter().collect();
        let family =
            to.family("umcp_calls_total", Kind::Counter, "Calls of tools that are over, by how they ended.");
        for (name, server) in &servers {
            let tools: BTreeMap<_, BTreeMap<_, _>> =
                server.tools.iter().map(|(tool, clients)| (tool, clients.iter().collect())).collect();
            for (tool, clients) in tools {
                for (client, counts) in clients {
                    for (result, count) in RESULTS.iter().zip(counts).filter(|(_, count)| **count > 0) {
                        let labels = [
                            ("server", name.as_str()),
                            ("tool", tool),
                            ("client", client),
                            ("result", result),
                        ];
                        family.put(&labels, *count as f64);
                    }
                }
            }
        }
        let family = to.family(
            "umcp_call_duration_seconds",
            Kind::Histogram,
            "How long calls took from umcp to the server and back.",
        );
        for (name, server) in &servers {
            family.push(&[("server", name)], Value::Distribution(server.durations.seconds()));
        }
        type Part = fn(&Server) -> u64;
        let parts: [(&str, &str, Part); 3] = [
            ("umcp_call_request_bytes_total", "Bytes of the arguments of calls.", |it| it.request_bytes),
            ("umcp_call_result_bytes_total", "Bytes of the results of calls.", |it| it.result_bytes),
            ("umcp_cache_hits_total", "Calls answered from the cache.", |it| it.cached),
        ];
        for (family, help, of) in parts {
            let family = to.family(family, Kind::Counter, help);
            for (name, server) in &servers {
                family.put(&[("server", name)], of(server) as f64);
            }
        }
    }
}

/// A name as far as it is kept.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST)]
}

/// The entry of a name; allocates only when it is new.
fn entry<'a, T: Default>(map: &'a mut HashMap<String, T>, name: &str) -> &'a mut T {
    if !map.contains_key(name) {
        map.insert(name.into(), T::default());
    }
    map.get_mut(name).expect("it was put in when it was missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended<'a>(server: &'a str, tool: &'a str, client: &'a str, result: &'a str) -> Ended<'a> {
        Ended {
            server,
            tool,
            client,
            result,
            duration_us: 150,
            request_bytes: 2,
            result_bytes: 10,
            cached: false,
        }
    }

    fn calls(meters: &Meters) -> Snapshot {
        let mut snapshot = Snapshot::default();
        meters.calls(&mut snapshot);
        snapshot
    }

    #[test]
    fn calls_are_told_apart_by_server_tool_client_and_result() {
        let meters = Meters::default();
        for result in ["ok", "ok", "timed out", "refused"] {
            meters.called(&ended("git", "log", "cursor", result));
        }
        meters.called(&Ended { cached: true, ..ended("", "find", "cli", "ok") });
        let seen = calls(&meters);
        let text: Vec<String> = seen.families[0]
            .samples
            .iter()
            .map(|sample| format!("{:?} {:?}", sample.labels.values().collect::<Vec<_>>(), sample.value))
            .collect();
        assert_eq!(
            text,
            [
                r#"["cursor", "ok", "git", "log"] Number { value: 2.0 }"#,
                r#"["cursor", "timed out", "git", "log"] Number { value: 1.0 }"#,
                r#"["cursor", "refused", "git", "log"] Number { value: 1.0 }"#,
                r#"["cli", "ok", "umcp", "find"] Number { value: 1.0 }"#,
            ]
        );
        // Nothing was called for what was refused.
        assert!(
            matches!(seen.find("umcp_call_duration_seconds").unwrap().total(), Value::Distribution(all) if all.count == 4)
        );
        assert_eq!(seen.find("umcp_call_result_bytes_total").unwrap().total(), Value::Number { value: 40.0 });
        assert_eq!(seen.find("umcp_cache_hits_total").unwrap().total(), Value::Number { value: 1.0 });
    }

    #[test]
    fn a_million_names_are_counted_and_not_kept() {
        let meters = Meters::default();
        for number in 0..20_000 {
            let (client, tool) = (format!("client-{number}"), format!("tool-{}", number % 5_000));
            meters.called(&ended(&format!("server-{}", number % 1_000), &tool, &client, "ok"));
            meters.tally("x", &client);
        }
        let seen = calls(&meters);
        assert_eq!(seen.find("umcp_calls_total").unwrap().total(), Value::Number { value: 20_000.0 });
        let series = seen.find("umcp_calls_total").unwrap().samples.len();
        assert!(series <= PAIRS + SERVERS + 1, "{series}");
        assert_eq!(seen.find("umcp_call_duration_seconds").unwrap().samples.len(), SERVERS + 1);
        let tallies = meters.tallies("x");
        assert_eq!(tallies.len(), TALLIES + 1);
        assert_eq!(tallies.iter().map(|(_, count)| count).sum::<u64>(), 20_000);
    }

    #[test]
    fn a_long_name_is_cut_within_no_letter() {
        let meters = Meters::default();
        let long = "é".repeat(1 << 20);
        meters.called(&ended("git", "log", &format!("x{long}"), "ok"));
        let client = &calls(&meters).families[0].samples[0].labels["client"];
        assert_eq!(*client, format!("x{}", "é".repeat(63)));
    }

    #[test]
    fn what_is_known_stays_told_apart_beyond_the_bound() {
        let meters = Meters::default();
        meters.called(&ended("git", "log", "cursor", "ok"));
        (0..PAIRS * 2).for_each(|number| meters.called(&ended("git", &format!("t{number}"), "cursor", "ok")));
        meters.called(&ended("git", "log", "cursor", "ok"));
        let seen = calls(&meters);
        let of = |tool: &str| {
            let samples = &seen.find("umcp_calls_total").unwrap().samples;
            samples.iter().find(|sample| sample.labels["tool"] == tool).map(|sample| sample.value.clone())
        };
        assert_eq!(of("log"), Some(Value::Number { value: 2.0 }));
        assert!(of(OTHER).is_some());
    }
}
