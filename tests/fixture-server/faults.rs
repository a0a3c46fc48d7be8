//! The faults: their names, what was asked for on the command line, and which of them a message meets.
//! What a fault does stands where it bites (startup.rs, route.rs, wire.rs, http.rs).
//! Rule: a fault that is not in `TABLE` does not exist.

use crate::args::{FaultScope, Options};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Name, and one line for `--help`; `=X` in the text names the argument and its default.
pub const TABLE: &[(&str, &str)] = &[
    ("exit-at-start", "writes three lines to stderr and exits 1"),
    ("slow-start", "=MS (2000) waits before it reads or listens"),
    ("crash-loop", "answers the first request, then exits 1 after 50 ms"),
    ("never-initialize", "reads everything, answers nothing"),
    ("ignore-eof-and-term", "survives end of input and SIGTERM, for at most 60 s"),
    ("double-fork", "=PATH leaves a daemonised process asleep for 60 s; its pid is written to PATH"),
    ("banner", "plain text lines on stdout, first and before each answer"),
    ("stderr-flood", "=MIB (64) writes that much to stderr"),
    ("burn-cpu", "=SECONDS (5) keeps one core busy"),
    ("memory-leak", "=MIB (128) takes that much memory, step by step; at most 512"),
    ("fork-bomb", "=N (40) starts that many sleeping processes; at most 100"),
    ("fill-disk", "=MIB (32) fills its working folder with that much; at most 512"),
    ("malformed-tool", "tools/list has one tool without inputSchema among the good ones"),
    ("empty-discover", "server/discover is answered with an empty result"),
    ("no-result-type", "modern results lack resultType"),
    ("exit-mid-call", "exits 1 instead of answering"),
    ("never-answer", "does not answer; a cancel ends the wait"),
    ("ignore-cancel", "=MS (1000) answers late, cancelled or not"),
    ("out-of-order", "=MS (50) answers after a random wait up to that time"),
    ("half-line", "half of the answer, then nothing more on this connection"),
    ("huge-line", "=MIB (17) an answer in one line of that size"),
    ("invalid-utf8", "an answer with bytes that are not UTF-8"),
    ("invalid-json", "an answer that is not JSON"),
    ("duplicate-ids", "an answer to an id nobody used, then the answer twice"),
    ("unknown-content", "a content block of a type nobody knows before the real content"),
    ("http-429", "=SECONDS (2) status 429 with Retry-After"),
    ("http-500", "=PERCENT (50) status 500 for that share of requests, evenly spread"),
    ("http-silence", "takes the request and sends nothing"),
    ("http-reset", "starts an event stream and resets the connection in the middle of an event"),
    ("http-drip", "=MS (1000) the answer comes one byte per that time"),
    ("http-lost-session", "legacy: answers 404 as if the session had never existed"),
];

/// One fault, perhaps with an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub name: &'static str,
    pub argument: Option<String>,
}

impl Fault {
    /// Reads `name` or `name=argument`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument.to_owned())),
            None => (text, None),
        };
        match TABLE.iter().find(|(known, _)| *known == name) {
            Some((known, _)) => Ok(Self { name: known, argument }),
            None => Err(format!("no fault named `{name}`")),
        }
    }

    /// The argument as a number, or the default when there is none that reads as one.
    pub fn number(&self, default: u64) -> u64 {
        self.argument.as_deref().and_then(|text| text.parse().ok()).unwrap_or(default)
    }
}

/// What the command line asked for.
#[derive(Debug)]
pub struct Faults {
    list: Vec<Fault>,
    scope: FaultScope,
    once_file: Option<PathBuf>,
}

impl Faults {
    pub fn new(options: &Options) -> Self {
        Self {
            list: options.faults.clone(),
            scope: options.fault_scope,
            once_file: options.fault_once_file.clone(),
        }
    }

    /// The fault of that name, if it was asked for and has not been healed.
    pub fn get(&self, name: &str) -> Option<&Fault> {
        let fault = self.list.iter().find(|fault| fault.name == name)?;
        self.in_force().then_some(fault)
    }

    /// The faults this request meets: its own if it calls the tool `fault`, else the standing ones in scope.
    pub fn of_request(&self, message: &Value) -> Vec<Fault> {
        if let Some(fault) = called_by_name(message) {
            return vec![fault];
        }
        let is_call = message["method"] == "tools/call";
        if !self.in_force() || !(is_call || self.scope == FaultScope::All) {
            return Vec::new();
        }
        self.list.clone()
    }

    fn in_force(&self) -> bool {
        self.once_file.as_ref().is_none_or(|path| path.exists())
    }
}

/// Picks the fault of that name out of those a request meets.
pub fn find<'a>(faults: &'a [Fault], name: &str) -> Option<&'a Fault> {
    faults.iter().find(|fault| fault.name == name)
}

/// The text below `--help`.
pub fn help() -> String {
    let mut text = String::from("Faults (the tool `fault {name, arg}` triggers one for a single call):\n");
    for (name, meaning) in TABLE {
        writeln!(text, "  {name:<20} {meaning}").expect("writing to a string cannot fail");
    }
    text
}

fn called_by_name(message: &Value) -> Option<Fault> {
    let params = &message["params"];
    if message["method"] != "tools/call" || params["name"] != "fault" {
        return None;
    }
    let mut fault = Fault::parse(params["arguments"]["name"].as_str()?).ok()?;
    if let Some(argument) = params["arguments"].get("arg") {
        fault.argument = Some(argument.as_str().map_or_else(|| argument.to_string(), str::to_owned));
    }
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults};
    use crate::args::FaultScope;
    use serde_json::json;

    fn faults(scope: FaultScope, once_file: Option<&str>) -> Faults {
        let list = vec![Fault { name: "never-answer", argument: None }];
        Faults { list, scope, once_file: once_file.map(Into::into) }
    }

    #[test]
    fn a_fault_reads_its_argument() {
        let cases = [
            ("banner", Ok(Fault { name: "banner", argument: None })),
            ("huge-line=2", Ok(Fault { name: "huge-line", argument: Some("2".into()) })),
            ("nonsense", Err("no fault named `nonsense`".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(Fault::parse(text), expected, "{text}");
        }
        assert_eq!(Fault::parse("huge-line").unwrap().number(17), 17);
        assert_eq!(Fault::parse("huge-line=2").unwrap().number(17), 2);
    }

    #[test]
    fn scope_file_and_the_fault_tool_decide_what_a_request_meets() {
        let call = json!({"method": "tools/call", "params": {"name": "echo"}});
        let list = json!({"method": "tools/list"});
        let by_name = json!({"method": "tools/call", "params":
            {"name": "fault", "arguments": {"name": "huge-line", "arg": 1}}});
        let standing = vec![Fault { name: "never-answer", argument: None }];
        assert_eq!(faults(FaultScope::Calls, None).of_request(&call), standing);
        assert_eq!(faults(FaultScope::Calls, None).of_request(&list), vec![]);
        assert_eq!(faults(FaultScope::All, None).of_request(&list), standing);
        assert_eq!(faults(FaultScope::All, Some("/no/such/file")).of_request(&call), vec![]);
        let named = vec![Fault { name: "huge-line", argument: Some("1".into()) }];
        assert_eq!(faults(FaultScope::Calls, Some("/no/such/file")).of_request(&by_name), named);
    }
}
