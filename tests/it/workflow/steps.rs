//! Steps that umcp does itself: programs, requests, agents' programs (a stub in their place).

use super::{begin, daemon, load, outputs};
use crate::support::daemon::Daemon;
use crate::support::stub::{Answer, Stub};
use serde_json::{Value, json};
use std::process::Command;
use umcp::engine::live::{Live, LiveReply, RunOrder, RunRequest, RunSource};
use umcp::error::codes;
use umcp::workflows::journal::Status;

fn ends(daemon: &Daemon, text: &str, inputs: Value) -> Value {
    let run = begin(daemon, text, inputs, true);
    assert_eq!((run.status, run.failure.clone()), (Status::Completed, None));
    outputs(&run)
}

#[cfg(unix)]
#[test]
fn a_command_gets_its_words_as_they_are_and_its_failure_is_one() {
    let daemon = daemon();
    let text = "name: w\ninputs: {what: string}\nsteps:\n  \
        - {id: words, command: [printf, '%s|', \"${{ inputs.what }}\", b]}\n  \
        - {id: line, command: 'cat; printf \"%s\" \"$WHAT\"', stdin: in, env: {WHAT: \"${{ inputs.what }}\"}}\n  \
        - {id: data, command: [echo, '{\"a\": [1]}']}\n  \
        - {id: here, command: [pwd], cwd: /}\n  \
        - {id: bad, command: 'echo no >&2; exit 3', continue_on_error: true}\n  \
        - {id: late, command: [sleep, '60'], timeout: 100ms, continue_on_error: true}\n\
        outputs: {words: \"${{ steps.words.result.stdout }}\", line: \"${{ steps.line.result.stdout }}\", \
        data: \"${{ steps.data.result.json.a }}\", here: \"${{ steps.here.result.stdout }}\", \
        bad: \"${{ steps.bad.error.message }}\", class: \"${{ steps.bad.error.class }}\", late: \"${{ steps.late.error.class }}\"}\n";
    let hostile = "$(touch /tmp/x); `id` \" ' ${HOME} secret://nothing";
    let expected = json!({
        "words": format!("{hostile}|b|"), "line": format!("in{hostile}"), "data": [1], "here": "/",
        "bad": "`sh` failed with exit code 3: no", "class": "tool_error", "late": "timeout",
    });
    assert_eq!(ends(&daemon, text, json!({"what": hostile})), expected);
}

#[test]
fn a_request_is_sent_and_a_status_is_tried_again() {
    let daemon = daemon();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let service = Stub::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer::status(503, "busy"),
        1 => Answer::json(json!({"id": 7})),
        _ => Answer::status(404, "nothing here"),
    });
    let url = format!("{}/things", service.address);
    let text = format!(
        "name: w\ninputs: {{name: string}}\nsteps:\n  - id: post\n    http: {url}\n    method: post\n    allow_private: true\n    \
         query: {{q: \"a b\"}}\n    headers: {{X-Name: \"${{{{ inputs.name }}}}\"}}\n    body: {{name: \"${{{{ inputs.name }}}}\"}}\n    \
         error_handling: {{strategy: retry, delay: 10ms, retry_on: [5xx]}}\n  \
         - {{id: gone, http: {{url: \"{url}\", allow_private: true}}, continue_on_error: true}}\n  \
         - {{id: shut, http: \"{url}\", continue_on_error: true}}\n\
         outputs: {{id: \"${{{{ steps.post.result.body.id }}}}\", tries: \"${{{{ steps.post.attempts }}}}\", \
         gone: \"${{{{ steps.gone.error.message }}}}\", shut: \"${{{{ steps.shut.error.class }}}}\"}}\n"
    );
    let given = ends(&daemon, &text, json!({"name": "secret://no"}));
    assert_eq!((&given["id"], &given["tries"]), (&json!(7), &json!(2)));
    assert_eq!(given["gone"], format!("`GET {url}` was answered with 404: nothing here"));
    assert_ne!(given["shut"], Value::Null, "a private address was reached unasked");
    let asked = service.take();
    assert_eq!(asked.len(), 3, "the last was not sent");
    assert_eq!(asked[1].header("x-name"), Some("secret://no"), "computed text refers to nothing");
    assert_eq!(asked[1].header("content-type"), Some("application/json"));
}

#[cfg(unix)]
#[test]
fn an_agents_program_gets_the_prompt_and_a_secret_by_its_environment() {
    use std::os::unix::fs::PermissionsExt;
    let tools = tempfile::tempdir().unwrap();
    let program = tools.path().join("claude");
    let script = "#!/bin/sh\nread prompt\nprintf '{\"type\":\"result\",\"is_error\":false,\"result\":\"{\\\\\"heard\\\\\":\\\\\"%s\\\\\",\\\\\"key\\\\\":\\\\\"%s\\\\\"}\",\"total_cost_usd\":0.5}' \"$prompt\" \"$KEY\"\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let daemon = Daemon::start_with(&[("PATH", &path), ("AGENT_KEY", "key-0123456789")]);
    let text = "name: w\ninputs: {who: string}\nsteps:\n  - {id: ask, agent: claude, prompt: \"greet ${{ inputs.who }}\", env: {KEY: \"secret://AGENT_KEY\"}}\n\
        outputs: {heard: \"${{ steps.ask.result.json.heard }}\", key: \"${{ steps.ask.result.json.key }}\", cost: \"${{ steps.ask.result.cost_usd }}\"}\n";
    let run = begin(&daemon, text, json!({"who": "Ada"}), true);
    assert_eq!(run.failure, None);
    // It was given the key and repeated it; what is kept does not.
    assert_eq!(outputs(&run), json!({"heard": "greet Ada", "key": "(hidden)", "cost": 0.5}));
    assert!(!format!("{:?}", load(&daemon, &run.id)).contains("key-0123456789"));
    let missing = "name: w\nsteps: [{id: ask, agent: codex, prompt: x}]\n";
    let run = begin(&daemon, missing, json!({}), true);
    let failure = run.failure.unwrap();
    assert!(failure.message.contains("codex"), "{failure:?}");
}

#[test]
fn what_cannot_be_right_is_refused_before_it_runs() {
    for (step, expected, hint) in [
        (
            "command: \"echo ${{ inputs.x }}\"",
            "a shell would read its value as code",
            "pass the value by `env`",
        ),
        ("command: []", "`command` is a command line or a list of words", ""),
        ("agent: cladue, prompt: x", "`cladue` is no agent that umcp can ask", "did you mean `claude`?"),
        ("agent: claude", "the step `a` needs a `prompt`, or a `skill` to follow", ""),
        ("http: {method: GET}", "the step `a` needs a `url`", ""),
        ("http: \"https://a.example\", method: FETCH", "`FETCH` is no method", "GET"),
        ("http: {url: \"https://a.example\"}, method: GET", "`method` belongs into the map of `http`", ""),
        ("http: \"https://a.example\", headers: x", "`headers` is a map of names", ""),
    ] {
        let text = format!("name: w\ninputs: {{x: {{default: 1}}}}\nsteps: [{{id: a, {step}}}]\n");
        let errors = umcp::workflows::read::read("w.yaml", &text).unwrap_err();
        assert!(errors[0].message.contains(expected), "{step}: {errors:?}");
        assert!(errors[0].hints.join(" ").contains(hint), "{step}: {errors:?}");
        assert!(errors[0].is(&codes::VALUE_INVALID) || errors[0].span.is_some(), "{step}");
    }
}

#[test]
fn a_cached_result_is_used_again_and_a_failure_is_not() {
    let daemon = daemon();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let service = Stub::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer::status(500, "no"),
        n => Answer::json(n),
    });
    let text = format!(
        "name: w\nsteps:\n  - {{id: a, http: {0}, allow_private: true, cache: 1h, continue_on_error: true}}\n  \
         - {{id: b, http: {0}, allow_private: true, cache: 1h}}\n  - {{id: c, http: {0}, allow_private: true, cache: 1h}}\n  \
         - {{id: d, http: {0}, allow_private: true}}\n\
         outputs: {{b: \"${{{{ steps.b.result.body }}}}\", c: \"${{{{ steps.c.result.body }}}}\", d: \"${{{{ steps.d.result.body }}}}\"}}\n",
        service.address
    );
    assert_eq!(ends(&daemon, &text, json!({})), json!({"b": 1, "c": 1, "d": 2}));
    // The next run has it too.
    assert_eq!(ends(&daemon, &text, json!({})), json!({"b": 1, "c": 1, "d": 3}));
}

#[cfg(unix)]
#[test]
fn a_secret_input_is_handed_on_survives_a_kill_and_is_written_nowhere() {
    let daemon = daemon();
    let service = Stub::start(|asked| Answer::json(json!({"echo": asked.header("authorization")})));
    let text = format!(
        "name: w\ninputs:\n  key: {{type: string, secret: true}}\nsteps:\n  - {{id: ask, approval: go on?}}\n  - id: use\n    http: {}\n    \
         allow_private: true\n    headers: {{Authorization: \"Bearer ${{{{ inputs.key }}}}\"}}\noutputs: {{said: \"${{{{ steps.use.result.body.echo }}}}\"}}\n",
        service.address
    );
    const KEY: &str = "sk-a-secret-of-mine";
    let begun = begin(&daemon, &text, json!({"key": KEY}), false);
    assert_eq!(begun.inputs, "{}");
    super::until("it waits", || load(&daemon, &begun.id).0.status == Status::Waiting);
    let LiveReply::Status(status) = daemon.live(Live::Status) else { panic!("no status") };
    assert!(Command::new("kill").args(["-9", &status.pid.to_string()]).status().unwrap().success());
    daemon.restart();
    let order = RunOrder::Approve { step: None, yes: true, note: String::new() };
    daemon.live(Live::OrderRun { run: begun.id.clone(), order });
    let ended = super::run(daemon.live(Live::FollowRun { run: begun.id.clone() }));
    assert_eq!((ended.status, outputs(&ended)), (Status::Completed, json!({"said": "Bearer (hidden)"})));
    assert_eq!(service.take()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert!(!format!("{:?}", load(&daemon, &begun.id)).contains(KEY));
    let short = RunSource::Document { text, inputs: json!({"key": "abc"}).to_string() };
    let request = RunRequest { source: short, by: "test".into(), wait: true };
    let error = daemon.try_ask(Live::RunWorkflow(request)).unwrap_err();
    assert!(error.message.contains("less than 8 characters") && !error.message.contains("abc"), "{error}");
}
