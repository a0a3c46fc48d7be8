//! Steps that run a skill, agents that follow one, and the keys by which a second attempt is recognized.

use super::{begin, load, outputs, run, until};
use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::stub::{Answer, Stub};
use serde_json::{Value, json};
use umcp::engine::live::{Live, LiveReply};
use umcp::servers::model::EraChoice;
use umcp::workflows::journal::Status;

const SCORE: &str = "id: score\nversion: VERSION\nparameters:\n  text: string\n  from: {type: string, default: VERSION}\nsteps:\n  \
    - {id: say, tool: box.echo, inputs: {text: \"${{ inputs.text }} ${{ inputs.from }}\"}}\noutputs: {said: \"${{ steps.say.result }}\"}\n";

fn umcp(daemon: &Daemon, words: &[&str]) -> Value {
    let mut command = std::process::Command::new(UMCP);
    command.args(words).arg("--json").current_dir(daemon.folder()).env("UMCP_HOME", daemon.folder());
    let ran = command.output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&ran.stderr)))
}

fn file(daemon: &Daemon, name: &str, text: &str) {
    let path = daemon.folder().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A skill with steps, and one that is instructions.
fn with_skills(daemon: &Daemon) {
    daemon.add(fixture_server("box", EraChoice::Auto, &[]));
    for version in ["1.0.0", "2.0.0"] {
        file(daemon, "score/SKILL.md", "---\nname: score\ndescription: Says a score\n---\n\nScore.\n");
        file(daemon, "score/skill.yaml", &SCORE.replace("VERSION", version));
        assert_eq!(umcp(daemon, &["skill", "install", "./score"])["ok"], true);
    }
    file(daemon, "tone/SKILL.md", "---\nname: tone\ndescription: How to sound\n---\n\nBe kind.\n");
    file(daemon, "tone/words.md", "please\n");
    assert_eq!(umcp(daemon, &["skill", "install", "./tone"])["ok"], true);
}

#[test]
fn a_step_runs_a_skill_and_takes_it_up_after_a_kill() {
    let daemon = Daemon::start();
    with_skills(&daemon);
    let text = "name: w\nsteps:\n  - {id: new, skill: score, inputs: {text: a}}\n  - {id: old, skill: score@^1, inputs: {text: b}}\n  \
        - {id: read, skill: tone}\n  - {id: gone, skill: scoer, continue_on_error: true}\n  - {id: wrong, skill: tone, inputs: {a: 1}, continue_on_error: true}\n\
        outputs: {new: \"${{ steps.new.result.said }}\", old: \"${{ steps.old.result.said }}\", tone: \"${{ steps.read.result.files }}\", \
        gone: \"${{ steps.gone.error.code }}\", wrong: \"${{ steps.wrong.error.message }}\"}\n";
    let ended = begin(&daemon, text, json!({}), true);
    assert_eq!((ended.status, ended.failure.clone()), (Status::Completed, None));
    let expected = json!({
        "new": "a 2.0.0", "old": "b 1.0.0", "tone": ["words.md"], "gone": "UM1401",
        "wrong": "the skill `tone` is instructions alone and takes no inputs",
    });
    assert_eq!(outputs(&ended), expected);
    let stats = umcp(&daemon, &["skill", "stats", "score"]);
    assert_eq!(stats["data"][0]["completed"], 2, "{stats}");
    // Under way when the daemon is killed: the same run of the skill goes on.
    file(&daemon, "slow/SKILL.md", "---\nname: slow\ndescription: Waits\n---\n\nWait.\n");
    file(
        &daemon,
        "slow/skill.yaml",
        "id: slow\nversion: 1.0.0\nsteps: [{id: first, set: 1}, {id: ask, approval: well?}]\noutputs: {a: \"${{ steps.first.result }}\"}\n",
    );
    assert_eq!(umcp(&daemon, &["skill", "install", "./slow"])["ok"], true);
    let slow = "name: w\nsteps: [{id: sub, skill: slow}]\noutputs: {a: \"${{ steps.sub.result.a }}\"}\n";
    let begun = begin(&daemon, slow, json!({}), false);
    let child = format!("{}.sub", begun.id);
    until("it waits", || umcp(&daemon, &["workflow", "status", &child])["data"]["status"] == "waiting");
    let LiveReply::Status(status) = daemon.live(Live::Status) else { panic!("no status") };
    assert!(
        std::process::Command::new("kill").args(["-9", &status.pid.to_string()]).status().unwrap().success()
    );
    daemon.restart();
    assert_eq!(umcp(&daemon, &["workflow", "approve", &child])["ok"], true);
    let ended = run(daemon.live(Live::FollowRun { run: begun.id.clone() }));
    assert_eq!((ended.status, outputs(&ended)), (Status::Completed, json!({"a": 1})));
    assert_eq!(load(&daemon, &child).0.by, "skill:slow");
}

#[test]
fn skills_of_steps_are_checked_before_anything_runs() {
    let daemon = Daemon::start();
    with_skills(&daemon);
    for (step, message, hint) in [
        ("skill: scoer", "no skill named `scoer` is installed", "did you mean `score`?"),
        (
            "skill: score@^3",
            "no version of score that is installed fits `score@^3`",
            "umcp skill install 'score@^3'",
        ),
        ("skill: score", "`score` needs the input `text`", "umcp skill info score"),
        ("skill: score, inputs: {text: a, form: b}", "`score` takes no input `form`", "did you mean `from`?"),
        (
            "skill: tone, inputs: {a: 1}",
            "the skill `tone` is instructions alone and takes no inputs",
            "let somebody follow it: `agent: claude`, `skill: tone`",
        ),
        ("agent: claude, skill: tune", "no skill named `tune` is installed", "did you mean `tone`?"),
        (
            "wait: 1s, idempotency_key: x",
            "only a step that calls a tool or sends a request has an `idempotency_key`",
            "",
        ),
        (
            "tool: box.echo, idempotency_key: a b, inputs: {text: x}",
            "an idempotency key has 1 to 255 plain characters and no blanks",
            "",
        ),
    ] {
        file(&daemon, "w.yaml", &format!("name: w\nsteps: [{{id: a, {step}}}]\n"));
        let checked = umcp(&daemon, &["workflow", "validate", "w.yaml"]);
        let error = &checked["data"][0]["errors"][0];
        assert_eq!(error["message"], message, "{step}: {checked}");
        assert_eq!(error["hints"][0].as_str().unwrap_or_default(), hint, "{step}");
        assert!(error["span"]["line"].is_u64(), "{step}");
    }
}

#[cfg(unix)]
#[test]
fn an_agent_follows_a_skill() {
    use std::os::unix::fs::PermissionsExt;
    let tools = tempfile::tempdir().unwrap();
    let program = tools.path().join("codex");
    std::fs::write(&program, "#!/bin/sh\ncat\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let daemon = Daemon::start_with(&[("PATH", &path)]);
    with_skills(&daemon);
    let text = "name: w\nsteps: [{id: ask, agent: codex, skill: tone, prompt: Greet Ada}, {id: bare, agent: codex, skill: tone}]\n\
        outputs: {both: \"${{ steps.ask.result.text }}\", bare: \"${{ steps.bare.result.text }}\"}\n";
    let given = outputs(&begin(&daemon, text, json!({}), true));
    let both = given["both"].as_str().unwrap();
    assert!(
        both.starts_with("Be kind.") && both.ends_with("Greet Ada") && both.contains("words.md"),
        "{given}"
    );
    assert!(!given["bare"].as_str().unwrap().contains("Greet"), "{given}");
}

#[test]
fn every_attempt_of_a_step_has_the_same_key() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("box", EraChoice::Auto, &[]));
    let count = std::sync::atomic::AtomicUsize::new(0);
    let service = Stub::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer::status(503, "busy"),
        _ => Answer::json(json!({})),
    });
    let text = format!(
        "name: w\ninputs: {{order: integer}}\nsteps:\n  - id: post\n    http: {0}/\n    method: post\n    allow_private: true\n    \
         error_handling: {{strategy: retry, delay: 10ms, retry_on: [5xx]}}\n  \
         - {{id: own, http: {0}/, method: put, allow_private: true, idempotency_key: \"order-${{{{ inputs.order }}}}\"}}\n  \
         - {{id: header, http: {0}/, method: post, allow_private: true, headers: {{idempotency-key: mine}}}}\n  \
         - {{id: get, http: {0}/, allow_private: true}}\n  \
         - {{id: tool, tool: box.meta}}\n  - {{id: named, tool: box.meta, idempotency_key: t-1}}\n  \
         - {{id: bad, tool: box.meta, idempotency_key: \"${{{{ [inputs.order] }}}}\", continue_on_error: true}}\n\
         outputs: {{tool: \"${{{{ steps.tool.result }}}}\", named: \"${{{{ steps.named.result }}}}\", bad: \"${{{{ steps.bad.error.class }}}}\"}}\n",
        service.address
    );
    let ended = begin(&daemon, &text, json!({"order": 7}), true);
    assert_eq!(ended.failure, None);
    let keys: Vec<Option<String>> =
        service.take().iter().map(|asked| asked.header("idempotency-key").map(Into::into)).collect();
    let own = Some(format!("{}/post", ended.id));
    assert_eq!(keys, [own.clone(), own, Some("order-7".into()), Some("mine".into()), None]);
    let given = outputs(&ended);
    assert_eq!(given["tool"]["umcp/idempotency-key"], format!("{}/tool", ended.id), "{given}");
    assert_eq!(given["named"]["umcp/idempotency-key"], "t-1");
    assert_eq!(given["bad"], "invalid");
}
