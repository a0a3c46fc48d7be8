//! The main job in a throw-away home: a daemon, built-in servers, one endpoint over stdio and HTTP, real calls.
//! Every step runs this very program the way a user would and shows what it said; nothing is staged.
//! Rule: whatever happens, the daemon is stopped and the home is gone at the end.

use super::http_probe::HttpProbe;
use super::probe::{self, Probe, Start, text_of};
use super::{programs, tour};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::paths::create_private_dir;
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one command or answer may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long the step with a package from the network may take, all in all.
const PACKAGE_DEADLINE: Duration = Duration::from_secs(20);
const CHANGED: &str = "notifications/tools/list_changed";
const EVERYTHING: &str = "npm:@modelcontextprotocol/server-everything";
/// What it is called in the tour.
const PACKAGE: &str = "everything";

/// What the tour is run with.
pub struct Options<'a> {
    /// This program.
    pub program: PathBuf,
    /// The user's PATH.
    pub path: String,
    /// Nothing is fetched from the network.
    pub offline: bool,
    /// Called with what is being done, as each step begins.
    pub on_begin: &'a mut dyn FnMut(&str),
    /// Called with each step as it ends.
    pub on_step: &'a mut dyn FnMut(&Step),
}

/// One step, in the order of the tour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub title: String,
    pub parts: Vec<Part>,
    pub outcome: Outcome,
    pub duration_ms: u64,
}

/// One command and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What a user would type, or what a client would send; `None` for a remark.
    pub command: Option<String>,
    pub lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    Skipped,
    Failed,
}

/// The whole tour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub ok: bool,
    pub steps: Vec<Step>,
    /// What to do next, as commands with a remark.
    pub next: Vec<String>,
}

/// Runs the tour. A step that fails is told and the tour goes on where that makes sense.
pub fn run(options: Options<'_>) -> Result<Report> {
    let home = Home::create()?;
    let mut tour = Tour { options, home: &home, steps: Vec::new() };
    if tour.begin() {
        tour.walk();
    }
    let steps = tour.steps;
    let ok = steps.iter().all(|step| step.outcome != Outcome::Failed);
    Ok(Report { ok, steps, next: next() })
}

fn next() -> Vec<String> {
    [
        "umcp init                      # bring in the servers of your editors and agents, and connect them",
        "umcp server add npm:PACKAGE    # add one more; running clients see it at once",
        "umcp find WORDS                # search the tools of all servers",
        "umcp help                      # the daily commands",
    ]
    .map(String::from)
    .into()
}

/// A home of its own that goes when the tour ends.
struct Home(PathBuf);

impl Home {
    fn create() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("umcp-quickstart-{}", ids::random_hex(4)));
        create_private_dir(&folder.join("files"))?;
        Ok(Self(folder))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Tour<'a, 'b> {
    options: Options<'b>,
    home: &'a Home,
    steps: Vec<Step>,
}

/// What a step shows: the commands it ran and what they said.
#[derive(Default)]
struct Shown(Vec<Part>);

impl Shown {
    fn command(&mut self, command: impl Into<String>) {
        self.0.push(Part { command: Some(command.into()), lines: Vec::new() });
    }

    /// Lines below the last command.
    fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        if self.0.is_empty() {
            self.0.push(Part { command: None, lines: Vec::new() });
        }
        if let Some(part) = self.0.last_mut() {
            part.lines.extend(lines);
        }
    }

    fn line(&mut self, line: impl Into<String>) {
        self.lines([line.into()]);
    }
}

impl Tour<'_, '_> {
    /// Servers in, or there is nothing to show.
    fn begin(&mut self) -> bool {
        self.step("Servers come from a file, from a package, or are built in", |tour, shown| {
            let file = tour.home.0.join("servers.yaml");
            let text = tour::servers(&tour.home.0.join("files"))?;
            std::fs::write(&file, text).map_err(|error| crate::paths::io_error("write", &file, &error))?;
            tour.umcp(shown, &["import", "servers.yaml"])?;
            tour.umcp(shown, &["server", "list"])
        })
        .is_some()
    }

    fn walk(&mut self) {
        let endpoint = self.step("One endpoint for all of them, over HTTP", |tour, shown| {
            shown.command("umcp serve --http 127.0.0.1:0 --no-key");
            let endpoint = tour::Endpoint::start(
                &tour.start(&["serve", "--http", "127.0.0.1:0", "--no-key"]),
                DEADLINE,
            )?;
            shown.line(format!("listens on {}", endpoint.url));
            Ok(endpoint)
        });
        let client =
            self.step("The same endpoint over stdio: this is the line an editor runs", |tour, shown| {
                shown.command("umcp serve --client quickstart");
                let mut client = Probe::start(&tour.start(&["serve", "--client", "quickstart"]))?;
                let said = client.initialize("quickstart", DEADLINE)?;
                let name = |key: &str| said["serverInfo"][key].as_str().unwrap_or("?").to_string();
                let revision = said["protocolVersion"].as_str().unwrap_or("?");
                shown.line(format!("{} {}, protocol {revision}", name("name"), name("version")));
                let tools = client.tools(DEADLINE)?;
                shown.line(format!("{} tools, as the client sees them:", tools.len()));
                shown.lines(tools.iter().map(tour::tool_line));
                if tools.is_empty() {
                    return Err(Error::new(&codes::FAILED, "the endpoint shows no tools"));
                }
                Ok(client)
            });
        if let Some(mut client) = client {
            self.calls(&mut client, endpoint.as_ref());
            self.grow(&mut client);
        }
        self.step("Search by what a tool does", |tour, shown| {
            tour.umcp(shown, &["find", "what time is it in Tokyo", "--limit", "3"])
        });
        self.everything();
        self.step("Everything of this tour goes away again", |tour, shown| {
            tour.umcp(shown, &["gateway", "stop"])
        });
        drop(endpoint);
    }

    fn calls(&mut self, client: &mut Probe, endpoint: Option<&tour::Endpoint>) {
        let note = json!({"key": "greeting", "value": "written over stdio"});
        self.step("A call over stdio", |_, shown| {
            shown.command(format!("tools/call kv__kv_set {note}"));
            let result = client.call("kv__kv_set", &note, DEADLINE)?;
            shown.lines(tour::short(&text_of(&result)));
            Ok(())
        });
        if let Some(endpoint) = endpoint {
            self.step("A call over HTTP, to the same running server: it knows the key", |_, shown| {
                let mut client = HttpProbe::new(&endpoint.url, DEADLINE)?;
                client.request("initialize", probe::initialize_params("quickstart-http"))?;
                client.notify("notifications/initialized")?;
                let arguments = json!({"key": "greeting"});
                shown.command(format!("POST {}  tools/call kv__kv_get {arguments}", endpoint.url));
                let call = json!({"name": "kv__kv_get", "arguments": arguments});
                let result = client.request("tools/call", call)?;
                let text = text_of(&result);
                shown.lines(tour::short(&text));
                if text.contains("written over stdio") {
                    return Ok(());
                }
                Err(Error::new(&codes::FAILED, "the value set over stdio did not come back over HTTP"))
            });
        }
        self.step("A call from the shell", |tour, shown| {
            tour.umcp(shown, &["call", "time.get_current_time", "timezone=Europe/Paris"])
        });
    }

    /// A server is added while a client is connected.
    fn grow(&mut self, client: &mut Probe) {
        self.step("A server added while the client is connected", |tour, shown| {
            let before = client.tools(DEADLINE)?.len();
            tour.umcp(shown, &["server", "add", "builtin:http"])?;
            let began = Instant::now();
            if !client.hears(CHANGED, DEADLINE)? {
                return Err(Error::new(&codes::TIMED_OUT, "the client was not told of the new server"));
            }
            let told = began.elapsed().as_millis();
            let after = client.tools(DEADLINE)?.len();
            shown.line(format!("the client was told within {told} ms: {before} tools before, {after} now"));
            Ok(())
        });
    }

    /// A real server of somebody else's, where the machine can run it.
    fn everything(&mut self) {
        let title = "A server from npm, the reference server of the protocol";
        let why = match programs::find("npx", &self.options.path) {
            _ if self.options.offline => "skipped: --offline",
            None => "skipped: there is no npx on this machine; Node 18 or newer brings it",
            Some(_) => "",
        };
        if !why.is_empty() {
            let part = Part { command: None, lines: vec![why.into()] };
            self.end(title, Shown(vec![part]), Outcome::Skipped, Instant::now());
            return;
        }
        let began = Instant::now();
        (self.options.on_begin)(&format!(
            "{title}: npx fetches the package, {} s at most",
            PACKAGE_DEADLINE.as_secs()
        ));
        let mut shown = Shown::default();
        let outcome = self.package(&mut shown, began + PACKAGE_DEADLINE);
        // No network is no fault of umcp's: the tour is whole without it.
        let outcome = match outcome {
            Ok(()) => Outcome::Done,
            Err(error) => {
                match self.said_of_the_network() {
                    Some(line) => {
                        shown.line("skipped: no network, or none that leads to the package");
                        shown.line(format!("npx said: {line}"));
                    }
                    None => shown.line(format!("skipped: {error}")),
                }
                shown.line("the package comes from the network; everything else works without it");
                Outcome::Skipped
            }
        };
        self.end(title, shown, outcome, began);
    }

    fn package(&self, shown: &mut Shown, until: Instant) -> Result<()> {
        let left = || until.saturating_duration_since(Instant::now());
        // One try: npm waits for minutes before it says that there is no network.
        let once = "npm_config_fetch_retries=0";
        self.umcp(shown, &["server", "add", EVERYTHING, "--name", PACKAGE, "--env", once])?;
        self.umcp_within(shown, &["tool", "refresh", PACKAGE], left())?;
        self.umcp_within(shown, &["call", "everything.echo", "message=hello"], left())
    }

    /// What the package manager said of a network that is not there.
    fn said_of_the_network(&self) -> Option<String> {
        let start = self.start(&["server", "logs", PACKAGE, "-n", "12"]);
        let lines = tour::output(&start, &self.home.0, DEADLINE).ok()?;
        lines.into_iter().find(|line| is_of_the_network(line))
    }

    fn step<T>(&mut self, title: &str, action: impl FnOnce(&mut Self, &mut Shown) -> Result<T>) -> Option<T> {
        let began = Instant::now();
        (self.options.on_begin)(title);
        let mut shown = Shown::default();
        let result = action(self, &mut shown);
        let (value, outcome) = match result {
            Ok(value) => (Some(value), Outcome::Done),
            Err(error) => {
                shown.line(error.to_string());
                (None, Outcome::Failed)
            }
        };
        self.end(title, shown, outcome, began);
        value
    }

    fn end(&mut self, title: &str, shown: Shown, outcome: Outcome, began: Instant) {
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = Step { title: title.into(), parts: shown.0, outcome, duration_ms };
        (self.options.on_step)(&step);
        self.steps.push(step);
    }

    /// Runs this program and shows what it said on stdout.
    fn umcp(&self, shown: &mut Shown, args: &[&str]) -> Result<()> {
        self.umcp_within(shown, args, DEADLINE)
    }

    fn umcp_within(&self, shown: &mut Shown, args: &[&str], deadline: Duration) -> Result<()> {
        shown.command(format!(
            "umcp {}",
            args.iter().map(|arg| tour::word(arg)).collect::<Vec<_>>().join(" ")
        ));
        let lines = tour::output(&self.start(args), &self.home.0, deadline)?;
        shown.lines(lines);
        Ok(())
    }

    fn start(&self, args: &[&str]) -> Start {
        let home = ("UMCP_HOME".into(), self.home.0.join("umcp").into());
        let args = args.iter().map(ToString::to_string).collect();
        Start { program: self.options.program.clone(), args, env: [home].into(), bare: false }
    }
}

/// Whether a line of npm's is about a network that does not lead anywhere.
fn is_of_the_network(line: &str) -> bool {
    let codes =
        ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT", "ENOTCACHED"];
    codes.iter().any(|code| line.contains(code))
}

/// Whether the tour can be run at all: it starts this program by its path.
pub fn check(program: &Path) -> Result<()> {
    if programs::is_program(program) {
        return Ok(());
    }
    let message = format!("this program is not at `{}` any more", program.display());
    Err(Error::new(&codes::FILE_NOT_FOUND, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_network_is_known_by_what_npm_says() {
        for (line, expected) in [
            ("npm error code EAI_AGAIN", true),
            ("npm error network request to https://example.org/x failed, reason: connect ECONNREFUSED", true),
            ("npm error code E404", false),
            ("Starting default (STDIO) server...", false),
        ] {
            assert_eq!(is_of_the_network(line), expected, "{line}");
        }
    }
}
