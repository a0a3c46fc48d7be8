//! The YAML and the commands of the roadmap's pages on workflows, skills and schedules, run as they stand there against
//! local stubs of the services they name. Where the roadmap does not lie beside the repository (or in the folder that
//! `UMCP_SEEDS` names) this says so and passes.
#![cfg(unix)]

use super::until;
use crate::command::umcp;
use crate::support::daemon::Daemon;
use crate::support::peers::say;
use crate::support::stub::{Answer, Asked, Stub};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Services and their tools, each with its arguments.
const SERVICES: &[(&str, &str)] = &[
    ("database", "create_user(email: string, name: string) store_feedback(feedback: string)"),
    ("gmail", "send_email(to: string, subject: string, body: string) list_messages()"),
    ("google-calendar", "create_event(title: string, attendees: array) list_events()"),
    ("slack", "send_message(channel: string, text: string)"),
    ("http", "post(url: string, body: object)"),
    ("logger", "error(message: string)"),
    ("github", "get_repos()"),
];

const SKILLS: &[(&str, &str)] = &[
    (
        "email-validator",
        "parameters: {email: string}\nsteps: [{id: look, set: \"${{ contains(inputs.email, '@') }}\"}]\noutputs: {valid: \"${{ steps.look.result }}\"}\n",
    ),
    (
        "sentiment-analysis",
        "tags: [nlp]\nparameters: {text: string}\nsteps: [{id: look, set: \"${{ contains(inputs.text, 'awful') ? 0.1 : 0.9 }}\"}]\noutputs: {score: \"${{ steps.look.result }}\"}\n",
    ),
    (
        "data-aggregator",
        "parameters: {github: any, calendar: any, emails: any}\nsteps: [{id: all, set: [\"${{ inputs.github.tool }}\", \"${{ inputs.calendar.tool }}\", \"${{ inputs.emails.tool }}\"]}]\noutputs: {all: \"${{ steps.all.result }}\"}\n",
    ),
];

fn seed() -> Option<String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seeds");
    let folder = std::env::var_os("UMCP_SEEDS").map_or_else(beside, Into::into);
    let seed = folder.join("universal-mcp-roadmap.md");
    let text = std::fs::read_to_string(&seed).ok();
    if text.is_none() {
        say!("skipped: no roadmap at {}", seed.display());
    }
    text
}

/// Blocks of a language between two headings.
fn blocks<'a>(text: &'a str, from: &str, to: &str, language: &str) -> Vec<&'a str> {
    let page = text.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap_or_default();
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

fn service(asked: &Asked) -> Answer {
    match asked.path.as_str() {
        "/http/post" => Answer::status(503, "busy"),
        path => Answer::json(json!({"id": 7, "tool": path.trim_start_matches('/'), "got": asked.body})),
    }
}

fn file(daemon: &Daemon, name: &str, text: &str) {
    let path = daemon.folder().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn good(daemon: &Daemon, words: &[&str]) -> Value {
    let done = umcp(daemon, words);
    assert_eq!(done["ok"], true, "{words:?}: {done}");
    done["data"].clone()
}

/// A daemon in whose world the services and the skills are there.
fn world() -> (Daemon, Stub) {
    let (daemon, stub) = (Daemon::start(), Stub::start(service));
    for (name, tools) in SERVICES {
        let mut manifest = format!("name: {name}\nbase: {}/{name}\ntools:\n", stub.address);
        for tool in tools.split_inclusive(')') {
            let (tool, arguments) = tool.trim().trim_end_matches(')').split_once('(').unwrap();
            let names: Vec<&str> =
                arguments.split(", ").filter_map(|it| Some(it.split_once(':')?.0)).collect();
            let body: Vec<String> = names.iter().map(|name| format!("{name}: \"{{{{{name}}}}}\"")).collect();
            manifest.push_str(&format!(
                "  {tool}: {{arguments: {{{arguments}}}, http: {{method: POST, url: /{tool}, json: {{{}}}}}}}\n",
                body.join(", ")
            ));
        }
        file(&daemon, &format!("{name}.yaml"), &manifest);
        good(&daemon, &["app", "install", &format!("./{name}.yaml"), "--allow-private"]);
    }
    for (name, definition) in SKILLS {
        file(
            &daemon,
            &format!("community/{name}/SKILL.md"),
            &format!("---\nname: {name}\ndescription: A stub\n---\n\nStub.\n"),
        );
        file(
            &daemon,
            &format!("community/{name}/skill.yaml"),
            &format!("id: {name}\nversion: 1.0.0\n{definition}"),
        );
    }
    good(&daemon, &["skill", "registry", "add", "community", "./community"]);
    (daemon, stub)
}

/// A block as a document that stands alone: the page leaves out the head of some, and the template of one.
fn whole(block: &str) -> String {
    match block.lines().any(|line| line.starts_with("name:")) {
        true => format!("{block}\ntemplates:\n  welcome: \"Hello ${{{{ inputs.name }}}}\"\n"),
        false => format!(
            "name: block\ninputs: {{feedback: {{default: \"\"}}, payload: {{default: {{a: 1}}}}}}\n{block}\n"
        ),
    }
}

#[test]
fn every_block_of_the_roadmap_runs() {
    let Some(text) = seed() else { return };
    let found: Vec<&str> = blocks(&text, "### Phase C", "### Phase D", "yaml");
    assert_eq!(found.len(), 4, "{found:?}");
    let (daemon, stub) = world();
    for (name, _) in SKILLS {
        good(&daemon, &["skill", "install", &format!("community/{name}")]);
    }
    let run = |block: &str, inputs: &[&str]| -> Vec<(String, Value)> {
        file(&daemon, "block.yaml", &whole(block));
        let checked = umcp(&daemon, &["workflow", "validate", "block.yaml"]);
        assert_eq!(checked["ok"], true, "{block}\n{checked}");
        let started = good(&daemon, &[&["workflow", "execute", "./block.yaml", "--detach"], inputs].concat());
        let id = started["id"].as_str().unwrap_or_else(|| panic!("{started}")).to_string();
        let status = || umcp(&daemon, &["workflow", "status", &id])["data"].clone();
        until("the run ends", || status()["status"] != "running");
        assert_eq!(status()["status"], "completed", "{}", status());
        let parsed =
            |asked: &Asked| (asked.path.clone(), serde_json::from_str(&asked.body).unwrap_or_default());
        stub.take().iter().map(parsed).collect()
    };
    let person = ["--input", "email=ada@example.org", "--input", "name=Ada", "--input", "company=Analytical"];
    let mut asked = run(found[0], &person);
    asked.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("/database/create_user".into(), json!({"email": "ada@example.org", "name": "Ada"})),
        (
            "/gmail/send_email".into(),
            json!({"to": "ada@example.org", "subject": "Welcome!", "body": "Hello Ada"}),
        ),
        (
            "/google-calendar/create_event".into(),
            json!({"title": "Onboarding Call - Ada", "attendees": ["ada@example.org"]}),
        ),
    ];
    assert_eq!(asked, expected);
    let bad = json!({"channel": "#urgent", "text": "Negative feedback alert!"});
    assert_eq!(run(found[1], &["--input", "feedback=awful"]), [("/slack/send_message".into(), bad)]);
    let fine = json!({"feedback": "fine"});
    assert_eq!(run(found[1], &["--input", "feedback=fine"]), [("/database/store_feedback".into(), fine)]);
    let asked: Vec<String> = run(found[2], &[]).into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["/http/post", "/http/post", "/http/post", "/logger/error"]);
    let mut asked: Vec<String> = run(found[3], &[]).into_iter().map(|(path, _)| path).collect();
    asked.sort();
    assert_eq!(asked, ["/github/get_repos", "/gmail/list_messages", "/google-calendar/list_events"]);
}

/// Commands of a page, one a line; those that others need first, those that take away last.
fn commands(text: &str, from: &str, to: &str) -> Vec<String> {
    let whole = blocks(text, from, to, "bash").join("\n").replace("\\\n", " ");
    let lines = whole.lines().filter_map(|line| line.trim().strip_prefix("universal-mcp "));
    let mut lines: Vec<String> = lines.map(Into::into).collect();
    let rank = |line: &String| match line.split(' ').nth(1).unwrap_or_default() {
        "create" => 0,
        "install" => 1,
        "cancel" | "enable" | "disable" => 3,
        "delete" => 4,
        _ => 2,
    };
    lines.sort_by_key(rank);
    lines
}

fn shell(daemon: &Daemon, line: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("\"$UMCP\" {line}")]).current_dir(daemon.folder());
    command.env("UMCP", crate::support::daemon::UMCP).env("UMCP_HOME", daemon.folder());
    let ran = command.stdin(std::process::Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "umcp {line}\n{said}");
    said
}

#[test]
fn every_command_of_the_roadmap_works() {
    let Some(text) = seed() else { return };
    let (daemon, _stub) = world();
    good(&daemon, &["skill", "install", "community/email-validator"]);
    let block = blocks(&text, "### Phase C", "### Phase D", "yaml")[0];
    file(&daemon, "onboarding.yaml", &whole(block));
    // Ids of the page stand for ids of runs.
    let mut run = String::new();
    let workflows = commands(&text, "##### 2. Workflow Commands", "##### 3.");
    assert_eq!(workflows.len(), 9, "{workflows:?}");
    for line in workflows {
        let line = match line.as_str() {
            // A terminal is asked for the two inputs that the page does not give.
            line if line.starts_with("workflow execute") => {
                format!("{line} --input name=Ada --input company=A")
            }
            line if line.starts_with("workflow cancel") => {
                file(&daemon, "slow.yaml", "name: slow\nsteps: [{id: ask, approval: go on?}]\n");
                let begun = good(&daemon, &["workflow", "execute", "./slow.yaml", "--detach"]);
                line.replace("wf_123", begun["id"].as_str().unwrap())
            }
            line => line.replace("wf_123", &run),
        };
        let said = shell(&daemon, &line);
        if line.starts_with("workflow execute") {
            let id = said.split_whitespace().find(|word| word.starts_with("wf_"));
            run = id.unwrap_or_else(|| panic!("no run: {said}")).to_string();
        }
    }
    let skills = commands(&text, "##### 3. Skills Commands", "##### 4.");
    assert_eq!(skills.len(), 9, "{skills:?}");
    for line in skills {
        shell(&daemon, &line);
    }
    file(&daemon, "backup.yaml", "name: backup-database\nsteps: [{id: a, set: 1}]\n");
    good(&daemon, &["workflow", "create", "backup.yaml"]);
    let schedules = commands(&text, "##### 4. Scheduling Commands", "##### 5.");
    assert_eq!(schedules.len(), 8, "{schedules:?}");
    let mut run = String::new();
    for line in schedules {
        // Nobody is there to be asked.
        let yes = if line.starts_with("schedule delete") { " --yes" } else { "" };
        shell(&daemon, &format!("{}{yes}", line.replace("run_456", &run)));
        if line.starts_with("schedule create") {
            good(&daemon, &["schedule", "run", "daily-backup"]);
            let latest = || umcp(&daemon, &["schedule", "history", "daily-backup"])["data"][0].clone();
            until("it has run", || latest()["status"] == "completed");
            run = latest()["id"].as_str().unwrap_or_else(|| panic!("{}", latest())).to_string();
        }
    }
}
