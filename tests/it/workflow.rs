//! `umcp workflow`: documents on the command line, and runs in a real daemon against the fixture server.

mod as_written;
mod skills;
mod steps;
mod tools;
mod travel;

use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use umcp::engine::Reply;
use umcp::engine::live::{Live, LiveReply, RunOrder, RunRequest, RunSource};
use umcp::error::codes;
use umcp::servers::model::EraChoice;
use umcp::workflows::journal::{Event, Outcome, Status};
use umcp::workflows::{Request, Run};

const BROKEN: &str = "\
name: onboarding
inputs:
  email: string
steps:
  - id: check
    tool: mail.check
    inputs: {to: \"${{ inputs.emial }}\"}
  - id: tell
    tool: mail.send
    timeuot: 3s
";

#[test]
fn mistakes_are_shown_with_their_places() {
    let sandbox = Sandbox::new();
    sandbox.file("w.yaml", BROKEN);
    assert_snapshot!(sandbox.run(&["workflow", "validate", "w.yaml"]).to_string(), @r#"
    exit: 3
    --- stdout ---
    FAIL w.yaml: 1 mistake
    error: the tool step `tell` has no key `timeuot`
      --> w.yaml:10:5
      |     timeuot: 3s
      |     ^
      hint: did you mean `timeout`?
    --- stderr ---
    error: 1 mistake found [UM1007]
    "#);
    sandbox.file("w.yaml", &BROKEN.replace("timeuot", "timeout"));
    assert_snapshot!(sandbox.run(&["workflow", "create", "w.yaml"]).to_string(), @r#"
    exit: 4
    --- stderr ---
    error: no server named `mail` [UM0401]
     --> w.yaml:6:11
      |
    6 |     tool: mail.check
      |           ^
    hint: umcp server list
    hint: umcp workflow validate w.yaml   (shows 2 more)
    "#);
}

#[test]
fn a_document_is_kept_shown_tried_and_deleted() {
    let sandbox = Sandbox::new();
    sandbox.file("w.yaml", "name: w\ninputs: {who: string}\nsteps:\n  - {id: a, set: {hello: \"${{ inputs.who }}\"}}\n  - {id: b, wait: 1h}\noutputs: {said: \"${{ steps.a.result.hello }}\"}\n");
    assert_snapshot!(sandbox.run(&["workflow", "create", "w.yaml"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    ok   stored w 1.0.0 (2 steps)
    run it: umcp workflow execute w
    "#);
    assert_snapshot!(sandbox.run(&["workflow", "create", "w.yaml"]).to_string(), @r#"
    exit: 5
    --- stderr ---
    error: a workflow named `w` exists already [UM1002]
    hint: umcp workflow create --replace w.yaml
    "#);
    assert_snapshot!(sandbox.run(&["workflow", "list"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    NAME  VERSION  STEPS  UPDATED   DESCRIPTION
    w     1.0.0        2  just now
    "#);
    assert_snapshot!(sandbox.run(&["workflow", "show", "w"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    w 1.0.0
    - input who: string
      a  set
      b  wait
    ok   outputs said
    "#);
    assert_snapshot!(sandbox.run(&["workflow", "test", "w", "--input", "who=Ada"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    ✓ a  {"hello":"Ada"}
    … b waits for 1 h
    ✓ b
    completed
    "#);
    let sampled = sandbox.run(&["workflow", "test", "w"]).to_string();
    assert!(
        sampled.contains("the input `who` is made up: \"who\"") && sampled.contains("completed"),
        "{sampled}"
    );
    assert_snapshot!(sandbox.run(&["workflow", "graph", "w", "--format", "mermaid"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    flowchart TD
      a["a<br/>set"]
      b["b<br/>wait"]
      a --> b
    "#);
    assert_snapshot!(sandbox.run(&["workflow", "delete", "w", "--yes"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    ok   deleted w
    "#);
    assert_snapshot!(sandbox.run(&["workflow", "show", "w"]).to_string(), @r#"
    exit: 4
    --- stderr ---
    error: no workflow named `w` [UM1001]
    hint: umcp workflow list
    "#);
    assert_eq!(sandbox.json(&["workflow", "runs"])["data"], json!([]));
}

fn daemon() -> Daemon {
    let daemon = Daemon::start();
    daemon.add(fixture_server("box", EraChoice::Auto, &[]));
    daemon
}

fn begin(daemon: &Daemon, text: &str, inputs: Value, wait: bool) -> Run {
    let source = RunSource::Document { text: text.into(), inputs: inputs.to_string() };
    run(daemon.live(Live::RunWorkflow(RunRequest { source, by: "test".into(), wait })))
}

fn run(reply: LiveReply) -> Run {
    match reply {
        LiveReply::Run(run) => *run,
        other => panic!("not a run: {other:?}"),
    }
}

fn load(daemon: &Daemon, id: &str) -> (Run, Vec<Event>) {
    match daemon.ask(Request::Run { id: id.into() }) {
        Reply::Workflow(umcp::workflows::Reply::Run { run, journal }) => {
            (*run, journal.into_iter().flat_map(|entry| entry.events).collect())
        }
        other => panic!("not a run: {other:?}"),
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn outputs(run: &Run) -> Value {
    serde_json::from_str(&run.outputs).unwrap_or_default()
}

#[test]
fn steps_call_real_tools() {
    let daemon = daemon();
    let text = "name: w\ninputs: {words: array}\nsteps:\n  - id: each\n    type: foreach\n    items: ${{ inputs.words }}\n    \
        max_concurrency: 4\n    steps: [{id: say, tool: box.echo, inputs: {text: \"${{ item }}\"}}]\n  - id: gone\n    \
        tool: box.nothing\n    continue_on_error: true\noutputs: {all: \"${{ steps.each.results }}\", code: \"${{ steps.gone.error.code }}\"}\n";
    let run = begin(&daemon, text, json!({"words": ["a", "b", "c"]}), true);
    assert_eq!((run.status, run.failure.clone()), (Status::Completed, None));
    assert_eq!(outputs(&run), json!({"all": ["a", "b", "c"], "code": codes::TOOL_NOT_FOUND.code}));
}

#[test]
fn a_person_answers_and_a_run_is_cancelled() {
    let daemon = daemon();
    let text = "name: w\nsteps:\n  - {id: ask, approval: go on?}\n  - {id: nap, tool: box.sleep, inputs: {ms: 60000}}\n";
    let begun = begin(&daemon, text, json!({}), false);
    let order = |order: RunOrder| daemon.try_ask(Live::OrderRun { run: begun.id.clone(), order });
    let waits = || load(&daemon, &begun.id).1.iter().any(|event| matches!(event, Event::Waiting { .. }));
    until("the step waits", waits);
    // Whoever looks sees what the run waits for.
    assert_eq!(load(&daemon, &begun.id).0.status, Status::Waiting);
    let umcp = |words: &[&str]| {
        let ran =
            std::process::Command::new(UMCP).args(words).env("UMCP_HOME", daemon.folder()).output().unwrap();
        String::from_utf8(if ran.stdout.is_empty() { ran.stderr } else { ran.stdout }).unwrap()
    };
    let listed = umcp(&["approve"]);
    assert!(listed.contains("w waits at ask: go on?"), "{listed}");
    assert!(listed.contains(&format!("umcp workflow approve {} --step ask", begun.id)), "{listed}");
    let listed = umcp(&["workflow", "runs", "--status", "waiting"]);
    assert!(listed.contains("waiting"), "{listed}");
    assert!(umcp(&["workflow", "status", &begun.id]).contains("is waiting"));
    assert!(order(RunOrder::Resume).unwrap_err().is(&codes::RUN_STATE));
    order(RunOrder::Approve { step: None, yes: true, note: "fine".into() }).unwrap();
    let naps = || {
        load(&daemon, &begun.id)
            .1
            .iter()
            .any(|event| matches!(event, Event::Started { path, .. } if path == "nap"))
    };
    until("the next step begins", naps);
    assert_eq!(load(&daemon, &begun.id).0.status, Status::Running);
    assert!(umcp(&["approve"]).contains("no call waits"));
    assert!(order(RunOrder::Approve { step: None, yes: true, note: String::new() }).is_err());
    order(RunOrder::Cancel).unwrap();
    let ended = run(daemon.live(Live::FollowRun { run: begun.id.clone() }));
    assert_eq!(ended.status, Status::Cancelled);
    until("the call is cancelled", || match daemon.live(Live::Status) {
        LiveReply::Status(status) => status.servers.iter().all(|server| server.in_flight == 0),
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_failed_run_is_tried_again_from_where_it_failed() {
    let daemon = daemon();
    let text = "name: w\ninputs: {tool: {type: string, default: x}}\nsteps:\n  - {id: one, tool: box.echo, inputs: {text: first}}\n  \
        - {id: two, tool: late.echo, inputs: {text: second}}\noutputs: {both: \"${{ steps.one.result + steps.two.result }}\"}\n";
    let failed = begin(&daemon, text, json!({}), true);
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(failed.failure.unwrap().class, "invalid");
    daemon.add(fixture_server("late", EraChoice::Auto, &[]));
    let source = RunSource::Earlier { run: failed.id, keep: true };
    let again = run(daemon.live(Live::RunWorkflow(RunRequest { source, by: "test".into(), wait: true })));
    assert_eq!((again.status, outputs(&again)), (Status::Completed, json!({"both": "firstsecond"})));
    let source = RunSource::Earlier { run: again.id.clone(), keep: true };
    let request = RunRequest { source, by: "test".into(), wait: true };
    let nothing = daemon.try_ask(Live::RunWorkflow(request)).unwrap_err();
    assert!(nothing.is(&codes::RUN_STATE), "{nothing}");
    assert_eq!(
        nothing.message,
        format!("the run `{}` is completed; there is nothing to try again", again.id)
    );
    assert_eq!(nothing.hints, [format!("umcp workflow replay {}", again.id)]);
    let begun = load(&daemon, &again.id).1;
    assert!(!begun.iter().any(|event| matches!(event, Event::Started { path, .. } if path == "one")));
}

#[test]
fn a_workflow_runs_another() {
    let daemon = daemon();
    let child = "name: child\ninputs: {word: string}\nsteps: [{id: say, tool: box.echo, inputs: {text: \"${{ inputs.word }}\"}}]\noutputs: {said: \"${{ steps.say.result }}\"}\n";
    let definition =
        umcp::workflows::Definition { name: "child".into(), text: child.into(), ..Default::default() };
    daemon.ask(Request::Put { definition: Box::new(definition), replace: false });
    let text = "name: parent\nsteps: [{id: sub, workflow: child, inputs: {word: hi}}]\noutputs: {said: \"${{ steps.sub.result.said }}\"}\n";
    let ended = begin(&daemon, text, json!({}), true);
    assert_eq!((ended.status, outputs(&ended)), (Status::Completed, json!({"said": "hi"})));
    let endless =
        "name: child\ninputs: {word: string}\nsteps: [{id: again, workflow: child, inputs: {word: x}}]\n";
    let definition =
        umcp::workflows::Definition { name: "child".into(), text: endless.into(), ..Default::default() };
    daemon.ask(Request::Put { definition: Box::new(definition), replace: true });
    let ended = begin(&daemon, text, json!({}), true);
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.failure.unwrap().message.contains("deep"));
}

#[test]
fn results_are_durable_as_they_come() {
    let daemon = daemon();
    let mut text = String::from("name: many\nsteps:\n");
    for at in 0..40 {
        text.push_str(&format!("  - {{id: s{at}, tool: box.echo, inputs: {{text: x}}}}\n"));
    }
    let ended = begin(&daemon, &text, json!({}), true);
    let (_, events) = load(&daemon, &ended.id);
    let done =
        events.iter().filter(|event| matches!(event, Event::Finished { outcome: Outcome::Done(_), .. }));
    assert_eq!((ended.status, done.count()), (Status::Completed, 40));
}
