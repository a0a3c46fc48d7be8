//! umcp's entry tried the way its client would: the same command, the same variables, the PATH the client sees,
//! a real handshake and a list, each timed. Answers "works in my terminal, but not in the app".

use super::probe::{Probe, Start, text_of};
use super::{Machine, programs};
use crate::clients::{Client, Entry};
use crate::error::{Error, Result, codes};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// What every program of the desktop inherits, beside its PATH.
const DESKTOP: &[&str] =
    &["HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY"];

/// How the trial went.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    pub client: String,
    pub ok: bool,
    pub command: String,
    pub args: Vec<String>,
    /// The search path the client sees; `None` when it is the shell's.
    pub desktop_path: Option<String>,
    pub phases: Vec<Phase>,
    /// Name and version of what answered.
    pub server: Option<String>,
    pub revision: Option<String>,
    pub tools: usize,
    pub error: Option<Error>,
}

/// One step and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phase {
    pub name: &'static str,
    pub duration_us: u64,
    pub ok: bool,
}

/// Starts the entry and asks it for its tools.
pub fn run(client: &Client, entry: &Entry, machine: &Machine<'_>, deadline: Duration) -> Trial {
    let desktop = programs::is_desktop(client.id);
    let mut trial = Trial {
        client: client.id.into(),
        ok: false,
        command: entry.command.clone(),
        args: entry.args.clone(),
        desktop_path: desktop.then(|| programs::DESKTOP_PATH.to_string()),
        phases: Vec::new(),
        server: None,
        revision: None,
        tools: 0,
        error: None,
    };
    let done = start(entry, desktop, machine).and_then(|start| trial.walk(&start, client.id, deadline));
    trial.ok = done.is_ok();
    trial.error = done.err();
    trial
}

impl Trial {
    fn walk(&mut self, start: &Start, client: &str, deadline: Duration) -> Result<()> {
        let mut probe = self.phase("start", || Probe::start(start))?;
        let said = self.phase("initialize", || probe.initialize(client, deadline))?;
        let text = |value: &Value| value.as_str().map(String::from);
        let (name, version) = (&said["serverInfo"]["name"], &said["serverInfo"]["version"]);
        self.server = text(name).map(|name| format!("{name} {}", version.as_str().unwrap_or_default()));
        self.revision = text(&said["protocolVersion"]);
        self.tools = self.phase("tools/list", || probe.tools(deadline))?.len();
        self.phase("end", || {
            drop(probe);
            Ok(())
        })
    }

    fn phase<T>(&mut self, name: &'static str, action: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let result = action();
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.phases.push(Phase { name, duration_us, ok: result.is_ok() });
        result
    }
}

/// One real call through the endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct FirstCall {
    pub tools: usize,
    /// The tool that was called; `None` when none was safe to call unasked.
    pub tool: Option<String>,
    /// The beginning of its answer, on one line.
    pub answer: String,
    /// Of the call alone.
    pub duration_us: u64,
    pub error: Option<Error>,
}

/// Starts umcp's line, lists the tools and calls one that only reads and needs no argument.
pub fn first_call(machine: &Machine<'_>, deadline: Duration) -> FirstCall {
    let mut call = FirstCall { tools: 0, tool: None, answer: String::new(), duration_us: 0, error: None };
    call.error = call.make(machine, deadline).err();
    call
}

impl FirstCall {
    fn make(&mut self, machine: &Machine<'_>, deadline: Duration) -> Result<()> {
        let home = machine.home.iter().map(|home| ("UMCP_HOME".into(), home.into()));
        let args = ["serve", "--client", "umcp-init"].map(String::from).into();
        let start = Start { program: machine.program.clone(), args, env: home.collect(), bare: false };
        let mut probe = Probe::start(&start)?;
        probe.initialize("umcp-init", deadline)?;
        let tools = probe.tools(deadline)?;
        self.tools = tools.len();
        let Some(tool) = harmless(&tools) else { return Ok(()) };
        let began = Instant::now();
        let result = probe.call(tool, &json!({}), deadline)?;
        self.duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let text = text_of(&result);
        self.answer = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
        self.tool = Some(tool.into());
        Ok(())
    }
}

/// A tool of umcp's own that only reads and needs no argument. What a server says of its tools is its word alone, and
/// nobody has asked for a call of them: one that shows the environment says that it only reads, too.
fn harmless(tools: &[Value]) -> Option<&str> {
    let safe = |tool: &&Value| {
        let required = tool["inputSchema"]["required"].as_array().is_some_and(|names| !names.is_empty());
        let notes = &tool["annotations"];
        notes["readOnlyHint"] == json!(true) && notes["openWorldHint"] == json!(false) && !required
    };
    let mut names = tools.iter().filter(safe).filter_map(|tool| tool["name"].as_str());
    names.find(|name| name.starts_with("umcp__"))
}

/// The start of an entry with what its client would hand on.
fn start(entry: &Entry, desktop: bool, machine: &Machine<'_>) -> Result<Start> {
    let shell = (machine.env)("PATH").unwrap_or_default();
    let path = if desktop { programs::DESKTOP_PATH.to_string() } else { shell };
    let program = programs::find(&entry.command, &path).ok_or_else(|| {
        let message = format!("the client does not find `{}`", entry.command);
        Error::new(&codes::UPSTREAM_START, message).hint("umcp client sync")
    })?;
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    if desktop {
        let kept = DESKTOP.iter().filter_map(|name| Some((name, (machine.env)(name)?)));
        env.extend(kept.map(|(name, value)| (name.into(), value.into())));
        env.insert("PATH".into(), path.into());
    }
    env.extend(entry.env.iter().map(|(name, value)| (name.into(), value.into())));
    Ok(Start { program, args: entry.args.clone(), env, bare: desktop })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_tool_that_says_it_is_harmless_is_called_unasked() {
        let tool = |name: &str, reads: bool, open: bool, required: &[&str]| {
            json!({"name": name, "inputSchema": {"required": required},
                "annotations": {"readOnlyHint": reads, "openWorldHint": open}})
        };
        let own = tool("umcp__list", true, false, &[]);
        let bad = [
            tool("a", false, false, &[]),
            tool("b", true, true, &[]),
            tool("c", true, false, &["x"]),
            json!({"name": "d"}),
            json!({"name": "memory__read_graph", "annotations": {"openWorldHint": false}}),
        ];
        assert_eq!(harmless(&bad), None);
        assert_eq!(harmless(&[bad[0].clone(), own.clone()]), Some("umcp__list"));
        assert_eq!(harmless(&[own, tool("time", true, false, &[])]), Some("umcp__list"));
    }

    #[test]
    fn a_desktop_client_sees_another_path_and_failures_have_their_phase() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("umcp");
        // Answers with the PATH it sees as its name.
        let script = r#"#!/bin/sh
read a; echo '{"id":1,"result":{"serverInfo":{"name":"'$PATH'","version":"'$HIDDEN'"},"protocolVersion":"x"}}'
read b; read c; echo '{"id":2,"result":{"tools":[{"name":"t"}]}}'; read d
"#;
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().into());
        let env = |name: &str| (name == "PATH").then(|| "/usr/bin:/bin".to_string());
        let machine =
            Machine { paths: &paths, env: &env, project: None, home: None, program: program.clone() };
        let trial = |id: &str, program: &str| {
            let client = crate::clients::find(id).unwrap();
            run(client, &Entry::new(program, client), &machine, Duration::from_secs(20))
        };
        let cursor = trial("cursor", program.to_str().unwrap());
        assert!(cursor.ok, "{cursor:?}");
        assert_eq!(
            (cursor.server.as_deref(), cursor.tools),
            (Some(&*format!("{} ", programs::DESKTOP_PATH)), 1)
        );
        let names: Vec<_> = cursor.phases.iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["start", "initialize", "tools/list", "end"]);
        let gone = trial("cursor", "/no/such/umcp");
        assert!(!gone.ok && gone.error.unwrap().hints == ["umcp client sync"]);
        let silent = trial("cursor", "/bin/true");
        assert_eq!(silent.phases.last().map(|phase| (phase.name, phase.ok)), Some(("initialize", false)));
    }
}
