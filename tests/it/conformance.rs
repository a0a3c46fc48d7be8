//! The official conformance suite, both sides, through the gateway: the fixture behind it and the suite's client in
//! front; then the suite's mock servers behind it and a raw client in front. No failure is expected of any scenario.
//! Not here: the skills extension, which the gateway does not declare, and of authorization what umcp does not offer:
//! proof of possession, workload identity and enterprise-managed sign-in, which are extensions.

use crate::support::daemon::{Daemon, fixture_server, server};
use crate::support::http;
use crate::support::mcp::{Era, Mcp, agreeable, everything, filled};
use crate::support::peers::{self, say};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use umcp::engine::Reply;
use umcp::engine::accounts::{AccountReply, AccountRequest, Hidden, SignIn, Step};
use umcp::engine::live::{CallRequest, Live, LiveReply};
use umcp::error::{Error, Kind};
use umcp::integrations::model::Grant;
use umcp::servers::Server;
use umcp::servers::model::{EraChoice, Transport};

const PATIENCE: Duration = Duration::from_secs(100);

#[test]
fn servers_of_2025_11_25() {
    suite("conformance", EraChoice::Legacy, &["--requirements", "2025-11-25"]);
}

#[test]
fn servers_of_2026_07_28() {
    suite("conformance", EraChoice::Modern, &["--requirements", "2026-07-28"]);
}

#[test]
fn servers_of_the_stable_suite() {
    suite("conformance-0.1", EraChoice::Legacy, &["--suite", "active"]);
    suite("conformance-0.1", EraChoice::Legacy, &["--suite", "pending"]);
}

/// Tools that answer at once are answered with plain JSON, of which the scenario scores nothing. Behind slow ones it
/// sees the stream and how to come back to it; that a client does so is in `gateway/streams.rs`.
#[test]
fn streams_of_slow_tools() {
    let which = ["--scenario", "server-sse-polling", "--spec-version", "2025-11-25"];
    if let Some(summary) = behind("conformance", EraChoice::Legacy, &["--delay-ms", "2500"], &which) {
        assert!(summary.contains("Passed: 2/2, 0 failed, 0 warnings"), "{summary}");
    }
}

fn suite(name: &str, era: EraChoice, which: &[&str]) {
    let Some(summary) = behind(name, era, &[], which) else { return };
    let total = summary.lines().find(|line| line.starts_with("Total: ")).unwrap_or_default();
    assert!(total.ends_with(" 0 failed") && !total.starts_with("Total: 0 "), "{summary}");
}

/// Runs server scenarios against the gateway's HTTP front, with the fixture in the matching era behind it. Gives the
/// summary; `None` where the suite is not installed.
fn behind(name: &str, era: EraChoice, fixture: &[&str], which: &[&str]) -> Option<String> {
    let program = peers::find(name)?;
    let daemon = Daemon::start();
    daemon.add(Server { verbatim: true, ..fixture_server("fixture", era, fixture) });
    let url = format!("http://{}/mcp", daemon.listen());
    let mut command = Command::new(program);
    command.args(["server", "--url", &url]).args(which).current_dir(daemon.folder());
    let output = peers::run(&mut command, PATIENCE);
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, summary) = text.split_once("=== SUMMARY ===").unwrap_or(("", &text));
    say!("{name} server {}:{summary}", which.join(" "));
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(summary.into())
}

/// Client scenarios without OAuth of each revision.
const OF_2025_11_25: [&str; 5] = [
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "json-schema-2020-12-preservation",
];
const OF_2026_07_28: [&str; 8] = [
    "tools_call",
    "request-metadata",
    "sep-2322-client-request-state",
    "http-standard-headers",
    "http-custom-headers",
    "http-invalid-tool-headers",
    "json-schema-ref-no-deref",
    "json-schema-2020-12-preservation",
];

/// Scenarios of signing in, of both revisions; then those that came with the second.
const SIGNING_IN: [&str; 14] = [
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/basic-cimd",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
    "auth/pre-registration",
];
const SIGNING_IN_2026_07_28: [&str; 11] = [
    "auth/resource-mismatch",
    "auth/offline-access-scope",
    "auth/offline-access-not-supported",
    "auth/authorization-server-migration",
    "auth/iss-supported",
    "auth/iss-not-advertised",
    "auth/iss-supported-missing",
    "auth/iss-wrong-issuer",
    "auth/iss-unexpected",
    "auth/iss-normalized",
    "auth/metadata-issuer-mismatch",
];
/// Not scored by the suite: the client signs in as itself.
const AS_ITSELF: [&str; 2] = ["auth/client-credentials-basic", "auth/client-credentials-jwt"];

#[test]
fn clients_that_sign_in_2025_11_25() {
    clients("conformance", &SIGNING_IN, &["--spec-version", "2025-11-25"]);
}

#[test]
fn clients_that_sign_in_2026_07_28() {
    clients("conformance", &SIGNING_IN, &["--spec-version", "2026-07-28"]);
    clients("conformance", &SIGNING_IN_2026_07_28, &["--spec-version", "2026-07-28"]);
}

#[test]
fn clients_that_sign_in_otherwise() {
    let older = ["auth/2025-03-26-oauth-metadata-backcompat", "auth/2025-03-26-oauth-endpoint-fallback"];
    clients("conformance", &older, &["--spec-version", "2025-03-26"]);
    clients("conformance", &AS_ITSELF, &[]);
}

#[test]
fn clients_of_2025_11_25() {
    clients("conformance", &OF_2025_11_25, &["--spec-version", "2025-11-25"]);
}

#[test]
fn clients_of_2026_07_28() {
    clients("conformance", &OF_2026_07_28, &["--spec-version", "2026-07-28"]);
}

#[test]
fn clients_of_the_stable_suite() {
    clients("conformance-0.1", &OF_2025_11_25[..4], &[]);
}

/// The suite starts a mock server and then this very test program as its client.
fn clients(name: &str, scenarios: &[&str], which: &[&str]) {
    let Some(program) = peers::find(name) else { return };
    let this = std::env::current_exe().unwrap();
    let client = format!("{} --exact conformance::reference_client --ignored --nocapture", this.display());
    let mut failed = Vec::new();
    for scenario in scenarios {
        let mut command = Command::new(&program);
        command.args(["client", "--scenario", scenario, "--command", &client]).args(which);
        let output = peers::run(&mut command, PATIENCE);
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let passed = text.lines().find(|line| line.starts_with("Passed: ")).unwrap_or("no summary");
        say!("{name} client {scenario} {}: {passed}", which.join(" "));
        if !(output.status.success() && passed.contains(", 0 failed, 0 warnings")) {
            say!("{text}");
            failed.push(*scenario);
        }
    }
    assert!(failed.is_empty(), "failed through the gateway: {failed:?}");
}

/// Started by the suite, which appends the URL of its mock server: a gateway of its own in front of the mock, a raw
/// client in front of the gateway, and everything called that is offered.
#[test]
#[ignore = "started by the conformance suite against its mock server"]
fn reference_client() {
    let (Some(url), Ok(scenario)) = (std::env::args().next_back(), std::env::var("MCP_CONFORMANCE_SCENARIO"))
    else {
        return;
    };
    let modern =
        std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").is_ok_and(|version| version == "2026-07-28");
    let era = if modern { Era::Modern } else { Era::Legacy };
    let daemon = Daemon::start();
    let mock = server("mock", Transport::Http { url, probe: true });
    daemon.add(Server { verbatim: true, ..mock });
    if scenario.starts_with("auth/") {
        return Visitor { daemon: &daemon, scenario: &scenario }.visit();
    }
    let mut mcp = Mcp::new(&daemon, Door::Bridge, era, "reference", everything(), Box::new(agreeable));
    let (tools, _) = mcp.list("tools/list", "tools");
    let tools: Vec<_> =
        tools.into_iter().filter(|tool| !tool["name"].as_str().unwrap().starts_with("umcp__")).collect();
    match scenario.as_str() {
        "http-custom-headers" => {
            let context: Value =
                serde_json::from_str(&std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap()).unwrap();
            for call in context["toolCalls"].as_array().unwrap() {
                mcp.call(call["name"].as_str().unwrap(), call["arguments"].clone());
            }
        }
        "json-schema-2020-12-preservation" => {
            let schema = &tools[0]["inputSchema"];
            mcp.call(tools[1]["name"].as_str().unwrap(), json!({"schema": schema}));
        }
        // Only listed: what its schema refers to must not be fetched.
        "json-schema-ref-no-deref" | "initialize" => {}
        _ => {
            for tool in &tools {
                mcp.call(tool["name"].as_str().unwrap(), filled(&tool["inputSchema"]));
            }
        }
    }
    let (prompts, _) = mcp.list("prompts/list", "prompts");
    for prompt in prompts {
        mcp.ask("prompts/get", json!({"name": prompt["name"], "arguments": {}}));
    }
    let (resources, _) = mcp.list("resources/list", "resources");
    for resource in resources {
        mcp.ask("resources/read", json!({"uri": resource["uri"]}));
    }
}

/// Calls what the mock offers, and signs in when it is asked to.
struct Visitor<'a> {
    daemon: &'a Daemon,
    scenario: &'a str,
}

impl Visitor<'_> {
    fn visit(&self) {
        // Bounded here as well: the suite counts how often somebody comes back who is always refused.
        for _ in 0..6 {
            match self.call_all() {
                Err(error) if error.kind() == Kind::Credential => {}
                other => return say!("{}: {other:?}", self.scenario),
            }
            if let Err(error) = self.sign_in() {
                return say!("{}: not signed in: {error}", self.scenario);
            }
        }
    }

    fn call_all(&self) -> Result<(), Error> {
        let listed = self.daemon.try_ask(Live::Refresh { names: vec!["mock".into()], bounded: false })?;
        if let Reply::Live(LiveReply::Refreshed(listed)) = listed
            && let Some(error) = listed.into_iter().find_map(|one| one.error)
        {
            return Err(error);
        }
        let view = Live::View { profile: None, client: "reference".into(), mode: None };
        let LiveReply::View(tools) = self.daemon.live(view) else { panic!("no view") };
        let tools: Vec<Value> = serde_json::from_str(&tools).unwrap();
        for tool in tools.iter().filter(|tool| !tool["name"].as_str().unwrap().starts_with("umcp__")) {
            self.daemon.try_ask(Live::Call(CallRequest {
                target: format!("mock.{}", tool["name"].as_str().unwrap()),
                arguments: filled(&tool["inputSchema"]).to_string(),
                timeout_ms: None,
                client: "reference".into(),
                profile: None,
                account: None,
                record: false,
            }))?;
        }
        Ok(())
    }

    fn sign_in(&self) -> Result<(), Error> {
        let context = std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
        let context: Value = serde_json::from_str(&context).unwrap_or_default();
        let given = |name: &str| context[name].as_str().map(ToString::to_string);
        let key = given("private_key_pem");
        let wish = SignIn {
            target: "mock".into(),
            grant: self.scenario.contains("client-credentials").then_some(Grant::ClientCredentials),
            client_id: given("client_id"),
            signs: key.is_some(),
            client_secret: key.or(given("client_secret")).map(Hidden),
            client_metadata: (self.scenario == "auth/basic-cimd")
                .then(|| "https://conformance-test.local/client-metadata.json".into()),
            ..SignIn::default()
        };
        let step = match self.account(AccountRequest::Begin(Box::new(wish)))? {
            AccountReply::Step(step) => step,
            other => panic!("{other:?}"),
        };
        let Step::Browse { id, url, redirect } = step else { return Ok(()) };
        let back = location(&url);
        assert!(back.starts_with(&redirect), "{back}");
        location(&back);
        self.account(AccountRequest::Wait { id }).map(drop)
    }

    fn account(&self, request: AccountRequest) -> Result<AccountReply, Error> {
        match self.daemon.try_ask(Live::Account(request))? {
            Reply::Live(LiveReply::Account(reply)) => Ok(reply),
            other => panic!("{other:?}"),
        }
    }
}

/// Goes to an address as a browser would, and gives where it was sent.
fn location(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let (mut exchange, _) = http::send(host, "GET", &format!("/{path}"), &[], "");
    exchange.head().and_then(|head| head.get("location").map(Into::into)).unwrap_or_default()
}
