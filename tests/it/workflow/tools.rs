//! Workflows as tools of the endpoint: listed with their inputs, run with progress, cancelled with the call.

use super::{begin, daemon, outputs, until};
use crate::support::daemon::{Daemon, UMCP};
use crate::support::mcp::{Era, Mcp};
use crate::support::wire::Door;
use serde_json::{Value, json};
use umcp::engine::Reply;
use umcp::error::codes;
use umcp::workflows::journal::Status;
use umcp::workflows::{Definition, Request, Run};

const GREET: &str = "name: greet\ninputs: {who: string}\nsteps:\n  \
    - {id: say, tool: box.echo, inputs: {text: \"hello ${{ inputs.who }}\"}}\n  \
    - {id: loud, set: \"${{ upper(steps.say.result) }}\"}\noutputs: {said: \"${{ steps.loud.result }}\"}\n";

fn store(daemon: &Daemon, name: &str, text: &str) {
    let definition = Definition { name: name.into(), text: text.into(), ..Default::default() };
    daemon.ask(Request::Put { definition: Box::new(definition), replace: true });
}

fn runs(daemon: &Daemon) -> Vec<Run> {
    match daemon.ask(Request::Runs { workflow: None, status: None, limit: 9 }) {
        Reply::Workflow(umcp::workflows::Reply::Runs(runs)) => runs,
        other => panic!("no runs: {other:?}"),
    }
}

#[test]
fn a_client_sees_workflows_come_and_go_and_runs_them_with_progress() {
    for era in Era::BOTH {
        let daemon = daemon();
        let mut client = Mcp::connect(&daemon, Door::Socket, era);
        let ours = |client: &mut Mcp| {
            let mut tools = client.tools();
            tools.retain(|tool| tool.starts_with("workflows__"));
            tools
        };
        assert_eq!(ours(&mut client), [""; 0]);
        store(&daemon, "greet", GREET);
        if era == Era::Legacy {
            client.hear("notifications/tools/list_changed");
        }
        until("the first workflow is a tool", || ours(&mut client) == ["workflows__greet"]);
        store(&daemon, "other", "name: other\nsteps: [{id: a, set: 1}]\n");
        until("the next is one", || ours(&mut client).len() == 2);
        let call =
            json!({"name": "workflows__greet", "arguments": {"who": "Ada"}, "_meta": {"progressToken": "p"}});
        let answer = client.ask("tools/call", call);
        assert_eq!(answer.result()["structuredContent"], json!({"said": "HELLO ADA"}), "{answer:?}");
        assert_eq!(answer.text(), r#"{"said":"HELLO ADA"}"#);
        let told: Vec<(&Value, &Value)> = answer
            .heard("notifications/progress")
            .iter()
            .map(|it| (&it["params"]["progressToken"], &it["params"]["message"]))
            .collect();
        assert_eq!(told, [(&json!("p"), &json!("say: done")), (&json!("p"), &json!("loud: done"))]);
        assert_eq!(runs(&daemon)[0].by, "tool");
        // What is wrong is a result that a model can read.
        let wrong = client.call("workflows__greet", json!({"whom": "Ada"}));
        assert_eq!(wrong.result()["isError"], true);
        assert!(wrong.text().contains("has no input `whom`"), "{}", wrong.text());
        assert!(wrong.text().contains("did you mean `who`?"), "{}", wrong.text());
        daemon.ask(Request::Publish { names: vec!["greet".into()], tool: false });
        until("it is withdrawn", || ours(&mut client) == ["workflows__other"]);
    }
}

#[test]
fn a_call_that_is_given_up_cancels_its_run_and_a_failure_says_where_to_look() {
    let daemon = daemon();
    store(&daemon, "nap", "name: nap\nsteps: [{id: nap, tool: box.sleep, inputs: {ms: 60000}}]\n");
    store(&daemon, "bad", "name: bad\nsteps: [{id: no, tool: box.nothing}]\n");
    let mut client = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    until("both are tools", || client.tools().iter().any(|tool| tool == "workflows__nap"));
    let id = client.start("tools/call", json!({"name": "workflows__nap", "arguments": {}}));
    until("the run begins", || runs(&daemon).iter().any(|run| run.status == Status::Running));
    client.cancel(&id);
    until("the run is cancelled", || runs(&daemon)[0].status == Status::Cancelled);
    let failed = client.call("workflows__bad", json!({}));
    assert_eq!(failed.result()["isError"], true);
    let run = &runs(&daemon)[0];
    assert_eq!((run.workflow.as_str(), run.status), ("bad", Status::Failed));
    assert!(failed.text().contains(&format!("hint: umcp workflow logs {}", run.id)), "{}", failed.text());
}

#[test]
fn a_step_does_not_take_a_workflow_for_a_tool() {
    let daemon = daemon();
    store(&daemon, "greet", GREET);
    let text = "name: w\nsteps:\n  - {id: a, tool: workflows.greet, inputs: {who: x}, continue_on_error: true}\n\
        outputs: {why: \"${{ steps.a.error.message }}\", code: \"${{ steps.a.error.code }}\"}\n";
    let run = begin(&daemon, text, json!({}), true);
    let expected = json!({"why": "`workflows.greet` is a workflow", "code": codes::ARGUMENTS_INVALID.code});
    assert_eq!((run.status, outputs(&run)), (Status::Completed, expected));
}

#[test]
fn a_workflow_is_withdrawn_and_published_on_the_command_line() {
    let daemon = daemon();
    store(&daemon, "greet", GREET);
    let umcp = |words: &[&str]| {
        let ran =
            std::process::Command::new(UMCP).args(words).env("UMCP_HOME", daemon.folder()).output().unwrap();
        String::from_utf8(if ran.stdout.is_empty() { ran.stderr } else { ran.stdout }).unwrap()
    };
    assert!(umcp(&["workflow", "publish-tool", "greet", "--off"]).contains("greet is no tool"));
    let tool = || {
        let listed: Value = serde_json::from_str(&umcp(&["workflow", "list", "--json"])).unwrap();
        listed["data"][0]["tool"].clone()
    };
    assert_eq!(tool(), false);
    // A change of the document leaves it as it is.
    store(&daemon, "greet", GREET);
    assert_eq!(tool(), false);
    // Whoever took the entry away is given it again when he asks.
    daemon.ask(umcp::servers::Request::Remove { names: vec!["workflows".into()] });
    store(&daemon, "other", "name: other\nsteps: [{id: a, set: 1}]\n");
    assert!(!umcp(&["server", "list"]).contains("builtin:workflows"));
    assert!(umcp(&["workflow", "publish-tool", "greet"]).contains("greet is a tool"));
    assert!(umcp(&["server", "list", "--json"]).contains("builtin:workflows"));
    assert!(umcp(&["workflow", "publish-tool", "gret"]).contains("did you mean `greet`?"));
}
