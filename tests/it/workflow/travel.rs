//! Calls that become a workflow, and workflows that leave and come back.

use super::{daemon, until};
use crate::support::daemon::{Daemon, UMCP};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};

fn umcp(daemon: &Daemon, words: &[&str]) -> (bool, String) {
    let ran = std::process::Command::new(UMCP)
        .args(words)
        .current_dir(daemon.folder())
        .env("UMCP_HOME", daemon.folder())
        .output()
        .unwrap();
    let text = if ran.stdout.is_empty() { ran.stderr } else { ran.stdout };
    (ran.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn calls_become_a_workflow_that_runs() {
    let daemon = daemon();
    let (ok, said) = umcp(&daemon, &["workflow", "record", "mine"]);
    assert!(!ok && said.contains("no call to make a step of"), "{said}");
    for text in ["a", "b"] {
        assert!(umcp(&daemon, &["call", "box.echo", &format!("text={text}")]).0);
    }
    until("both calls are written down", || {
        let (_, said) = umcp(&daemon, &["tool", "history", "--json"]);
        serde_json::from_str::<Value>(&said).unwrap()["data"].as_array().unwrap().len() == 2
    });
    let (ok, said) = umcp(&daemon, &["workflow", "record", "--last", "20m", "mine"]);
    assert!(ok && said.contains("stored mine 1.0.0 (2 steps)"), "{said}");
    let inputs = ["--input", "text=one", "--input", "echo-2-text=two"];
    let (ok, said) = umcp(&daemon, &[&["workflow", "execute", "mine"][..], &inputs].concat());
    assert!(ok, "{said}");
    let (ok, said) = umcp(&daemon, &["workflow", "record", "other", "--output", "other.yaml"]);
    assert!(ok, "{said}");
    // Steps of workflows are no calls of the user: still two.
    assert!(umcp(&daemon, &["workflow", "validate", "other.yaml"]).1.contains("other, 2 steps"));
}

#[test]
fn workflows_leave_with_those_they_run_and_come_back() {
    let here = Sandbox::new();
    here.file("child.yaml", "name: child\nsteps: [{id: a, set: 1}]\n");
    here.file(
        "parent.yaml",
        "name: parent\nsteps:\n  - {id: sub, workflow: child}\n  - {id: again, workflow: child}\n",
    );
    for file in ["child.yaml", "parent.yaml"] {
        assert_eq!(here.json(&["workflow", "create", file])["ok"], true);
    }
    let exported = here.json(&["workflow", "export", "parent", "--format", "zip"]);
    assert_eq!(exported["data"], json!({"file": "parent.zip", "workflows": ["child", "parent"]}));
    assert_eq!(here.json(&["workflow", "export", "parent", "--format", "zip"])["error"]["code"], "UM0108");
    assert_eq!(here.json(&["workflow", "delete", "parent", "child", "--yes"])["ok"], true);
    let imported = here.json(&["workflow", "import", "parent.zip"]);
    let names: Vec<&str> =
        imported["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["child", "parent"], "{imported}");
    assert_eq!(here.json(&["workflow", "import", "parent.zip"])["error"]["code"], "UM1002");
    assert_eq!(here.json(&["workflow", "import", "parent.zip", "--replace"])["ok"], true);
    here.file("no.zip", "no archive");
    assert_eq!(here.json(&["workflow", "import", "no.zip"])["ok"], false);
    let text = here.run(&["workflow", "export", "child"]).stdout;
    assert_eq!(text, "name: child\nsteps: [{id: a, set: 1}]\n");
    let cluster = ["workflow", "export", "parent", "--format", "argo"];
    assert_eq!(here.json(&cluster)["error"]["code"], "UM0003");
    let six = here.json(&[&cluster[..], &["--cron", "0 0 2 * * *"]].concat());
    assert_eq!(six["error"]["code"], "UM0104", "{six}");
    let said =
        here.run(&[&cluster[..], &["--cron", "0 2 * * *", "--timezone", "Europe/Berlin"]].concat()).stdout;
    assert!(said.contains("kind: CronWorkflow") && said.contains("  child.yaml: |2\n"), "{said}");
    here.json(&[
        "schedule",
        "create",
        "nightly",
        "--workflow",
        "parent",
        "--cron",
        "30 3 * * *",
        "--timezone",
        "UTC",
        "--overlap",
        "replace",
        "--no-start",
    ]);
    let said = here.run(&cluster).stdout;
    assert!(said.contains("    - \"30 3 * * *\"\n") && said.contains("concurrencyPolicy: Replace"), "{said}");
    here.json(&["schedule", "delete", "nightly", "--yes"]);
    let template = here.run(&["workflow", "template", "basic"]).stdout;
    here.file("basic.yaml", &template);
    assert_eq!(here.json(&["workflow", "template"])["data"].as_array().unwrap().len(), 4);
    assert_eq!(here.json(&["workflow", "template", "basix"])["error"]["hints"][0], "did you mean `basic`?");
    assert_eq!(here.run(&["test", "workflow", "basic.yaml", "--mock", "mock.yaml"]).code, 4);
    here.file("mock.yaml", "now: {datetime: noon}\n");
    let tried = here.run(&["test", "workflow", "child.yaml", "--mock", "mock.yaml"]);
    assert!(tried.stdout.contains("completed"), "{tried}");
    let schema = here.json(&["config", "schema", "workflow"]);
    assert_eq!(schema["data"]["title"], "umcp workflow", "{schema}");
}
