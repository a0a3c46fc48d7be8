//! The language and the run machine: tables, and a world of virtual time that crashes and reorders.
//! Long because the world, the law its journals keep and the scenarios that run in it read as one.

use super::check::check;
use super::journal::{Event, Failure, Json, Outcome, Status};
use super::machine::{Command, Machine};
use super::model::Workflow;
use super::read::read;
use crate::clock::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn workflow(text: &str) -> Arc<Workflow> {
    let mut workflow = read("w.yaml", text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let findings = check("w.yaml", text, &mut workflow, None);
    assert!(findings.errors.is_empty(), "{:?}", findings.errors);
    Arc::new(workflow)
}

/// What a call of a path with arguments comes to at its n-th attempt.
type Answer<'a> = Box<dyn FnMut(&str, &Value, u32) -> Outcome + 'a>;

/// A world that answers every call by a function, in virtual time, and may crash after any event.
struct World<'a> {
    workflow: Arc<Workflow>,
    inputs: Map<String, Value>,
    answer: Answer<'a>,
    journal: Vec<Event>,
    now: Timestamp,
    calls: Vec<String>,
    /// Outcomes to come: path to attempt.
    pending: Vec<(String, Outcome)>,
    most: usize,
}

impl<'a> World<'a> {
    fn new(text: &str, inputs: Value, answer: impl FnMut(&str, &Value, u32) -> Outcome + 'a) -> Self {
        let Value::Object(inputs) = inputs else { panic!("inputs are an object") };
        Self {
            workflow: workflow(text),
            inputs,
            answer: Box::new(answer),
            journal: Vec::new(),
            now: T0,
            calls: Vec::new(),
            pending: Vec::new(),
            most: 0,
        }
    }

    fn machine(&self) -> Machine {
        Machine::new(self.workflow.clone(), "run_1", self.inputs.clone(), T0).replay(self.journal.clone())
    }

    /// Runs until over; `crash` says after which number of journal entries to lose everything but the journal, and
    /// `pick` which of the pending answers comes next.
    fn run(&mut self, mut crash: impl FnMut(usize) -> bool, mut pick: impl FnMut(usize) -> usize) -> Machine {
        let mut machine = self.machine();
        for _ in 0..100_000 {
            let next = machine.next(self.now);
            self.journal.extend(next.events);
            for command in next.commands {
                match command {
                    Command::Call { path, target, arguments, .. } => {
                        self.calls.push(format!("{path} {target} {arguments}"));
                        let attempt =
                            self.calls.iter().filter(|call| call.starts_with(&format!("{path} "))).count();
                        let outcome = (self.answer)(&path, &arguments, u32::try_from(attempt).unwrap());
                        self.pending.push((path, outcome));
                    }
                    Command::Run { path, .. } | Command::Own { path, .. } => {
                        self.pending.push((path, Outcome::Done(Json(Value::Null))))
                    }
                    Command::Cancel { path } => self.pending.retain(|(pending, _)| *pending != path),
                }
            }
            self.most = self.most.max(self.pending.len());
            if machine.ended().is_some() {
                return machine;
            }
            if crash(self.journal.len()) {
                self.pending.clear();
                machine = self.machine();
                for path in machine.unfinished() {
                    let event = Event::Interrupted { path };
                    machine.apply(&event);
                    self.journal.push(event);
                }
                if machine.status() == Status::Uncertain {
                    return machine;
                }
                continue;
            }
            if self.pending.is_empty() {
                let Some(wake) = next.wake else { return machine };
                self.now = self.now.max(wake);
                continue;
            }
            let (path, outcome) = self.pending.remove(pick(self.pending.len()));
            if let Some(event) = machine.attempted(&path, outcome, self.now) {
                machine.apply(&event);
                self.journal.push(event);
            }
        }
        panic!("the run does not end");
    }

    fn finish(&mut self) -> (Status, Value, Option<String>) {
        let machine = self.run(|_| false, |_| 0);
        let (status, outputs, failure) = machine.ended().expect("the run ended").clone();
        (status, outputs, failure.map(|failure| failure.message))
    }
}

fn done(value: Value) -> Outcome {
    Outcome::Done(Json(value))
}

fn failed(class: &str) -> Outcome {
    Outcome::Failed(Failure::new(class, "UM0513", format!("it said {class}")))
}

const ONBOARDING: &str = r#"
name: customer-onboarding
version: 1.0.0
inputs:
  email: string
  name: string
templates:
  welcome: "Hello ${{ inputs.name }}"
steps:
  - id: validate-email
    tool: mail.check
    inputs:
      email: ${{ inputs.email }}
  - id: create-account
    tool: database.create_user
    inputs: {email: "${{ inputs.email }}", name: "${{ inputs.name }}"}
    depends_on: [validate-email]
  - id: send-welcome
    app: gmail.send_email
    parallel: true
    inputs:
      to: ${{ inputs.email }}
      body: ${{ templates.welcome }}
  - id: create-event
    app: google-calendar.create_event
    parallel: true
    inputs:
      attendees: [${{ inputs.email }}]
outputs:
  user_id: ${{ steps.create-account.result.id }}
  status: success
"#;

#[test]
fn a_workflow_runs_in_its_order() {
    let mut world = World::new(ONBOARDING, json!({"email": "a@b", "name": "Ada"}), |path, _, _| match path {
        "create-account" => done(json!({"id": 7})),
        _ => done(json!("ok")),
    });
    assert_eq!(world.finish(), (Status::Completed, json!({"user_id": 7, "status": "success"}), None));
    assert_eq!(
        world.calls,
        [
            r#"validate-email mail.check {"email":"a@b"}"#,
            r#"create-account database.create_user {"email":"a@b","name":"Ada"}"#,
            r#"send-welcome gmail.send_email {"to":"a@b","body":"Hello Ada"}"#,
            r#"create-event google-calendar.create_event {"attendees":["a@b"]}"#,
        ]
    );
    assert_eq!(world.most, 2, "the two parallel steps were under way together");
}

#[test]
fn branches_follow_results() {
    let text = r#"
name: route
inputs: {feedback: string}
steps:
  - {id: analyze, tool: ai.sentiment, inputs: {text: "${{ inputs.feedback }}"}}
  - id: route
    type: conditional
    condition: ${{ steps.analyze.result.score < 0.3 }}
    then:
      - {id: escalate, app: slack.send, inputs: {text: bad}}
    else:
      - {id: archive, tool: db.store}
  - id: kind
    type: switch
    on: steps.analyze.result.kind
    cases:
      bug: [{id: file, tool: tracker.bug}]
      idea: [{id: note, tool: tracker.idea}]
    default: [{id: drop, set: nothing}]
outputs: {how: "${{ steps.route.result }}", kind: "${{ steps.kind.result }}"}
"#;
    for (score, kind, expected) in [
        (0.1, "bug", json!({"how": "escalate", "kind": "file"})),
        (0.9, "idea", json!({"how": "archive", "kind": "note"})),
        (0.9, "praise", json!({"how": "archive", "kind": "nothing"})),
    ] {
        let mut world = World::new(text, json!({"feedback": "x"}), |path, _, _| match path {
            "analyze" => done(json!({"score": score, "kind": kind})),
            path => done(path.into()),
        });
        assert_eq!(world.finish(), (Status::Completed, expected, None));
    }
}

#[test]
fn failures_are_tried_again_caught_or_replaced() {
    let text = r#"
name: errors
steps:
  - id: call
    tool: http.post
    error_handling:
      strategy: retry
      max_attempts: 3
      backoff: exponential
      delay: 2s
      retry_on: [timeout, 5xx]
      fallback:
        - {id: log, tool: logger.error, inputs: {message: "${{ error.message }}"}}
  - id: guarded
    type: try
    steps: [{id: risky, tool: a.b}]
    catch: [{id: caught, set: "${{ error.class }}"}]
    finally: [{id: tidy, tool: a.tidy}]
  - {id: optional, tool: a.c, continue_on_error: true}
outputs:
  call: ${{ steps.call.result }}
  guarded: ${{ steps.guarded.result }}
  optional: ${{ steps.optional.error.class }}
"#;
    let mut world = World::new(text, json!({}), |path, arguments, _| match path {
        "call" => failed("timeout"),
        "log" => done(arguments["message"].clone()),
        "risky" | "optional" => failed("tool_error"),
        _ => done(json!(1)),
    });
    let outputs = json!({"call": "it said timeout", "guarded": "tool_error", "optional": "tool_error"});
    assert_eq!(world.finish(), (Status::Completed, outputs, None));
    assert_eq!(world.calls.iter().filter(|call| call.starts_with("call ")).count(), 3);
    // Two pauses: 2 s and 4 s.
    assert_eq!(world.now, T0.plus_ms(6000));
    let mut other = World::new(text, json!({}), |path, _, _| match path {
        "call" => failed("refused"),
        _ => failed("tool_error"),
    });
    assert_eq!(other.finish().2.as_deref(), Some("it said tool_error"));
    assert_eq!(
        other.calls.iter().filter(|call| call.starts_with("call ")).count(),
        1,
        "a refusal is not tried again"
    );
}

#[test]
fn loops_keep_order_and_bounds() {
    let text = r#"
name: loops
inputs: {names: array}
steps:
  - id: each
    type: foreach
    items: ${{ inputs.names }}
    as: who
    max_concurrency: 3
    steps:
      - {id: greet, tool: a.greet, inputs: {who: "${{ who }}", place: "${{ index }}"}}
      - {id: shout, set: "${{ upper(steps.greet.result) }}"}
  - id: poll
    type: repeat
    max: 5
    pause: 10s
    steps: [{id: ask, tool: a.ask, inputs: {round: "${{ round }}"}}]
    until: ${{ steps.ask.result >= 2 }}
outputs: {all: "${{ steps.each.results }}", last: "${{ steps.poll.result }}"}
"#;
    let mut world = World::new(text, json!({"names": ["a", "b", "c", "d", "e"]}), |_, arguments, _| {
        done(arguments.get("who").or(arguments.get("round")).cloned().unwrap_or_default())
    });
    let machine = world.run(|_| false, |pending| pending - 1);
    assert_eq!(machine.ended().unwrap().1, json!({"all": ["A", "B", "C", "D", "E"], "last": 2}));
    assert_eq!(world.most, 3);
    assert_eq!(world.now, T0.plus_ms(20_000));
}

#[test]
fn parallel_steps_join_as_declared() {
    let text = |join: &str| {
        format!(
            "name: p\nsteps:\n  - id: all\n    type: parallel\n    max_concurrency: 2\n    join: {join}\n    steps:\n      \
             - {{id: a, tool: s.a}}\n      - {{id: b, tool: s.b}}\n      - {{id: c, tool: s.c}}\n\
             outputs: {{r: \"${{{{ steps.all.results }}}}\"}}\n"
        )
    };
    let run = |join: &str, bad: &'static [&'static str]| {
        let mut world = World::new(&text(join), json!({}), move |path, _, _| {
            if bad.contains(&path) { failed("tool_error") } else { done(path.into()) }
        });
        let ended = world.finish();
        (ended.0, ended.1, world.most)
    };
    assert_eq!(run("all", &[]), (Status::Completed, json!({"r": {"a": "a", "b": "b", "c": "c"}}), 2));
    assert_eq!(run("all", &["b"]).0, Status::Failed);
    assert_eq!(run("any", &["a"]), (Status::Completed, json!({"r": {"a": null, "b": "b", "c": null}}), 2));
    assert_eq!(run("2", &["a"]), (Status::Completed, json!({"r": {"a": null, "b": "b", "c": "c"}}), 2));
    assert_eq!(run("2", &["a", "b"]).0, Status::Failed);
}

/// Everything the language can do, in one.
const SCENARIO: &str = r#"
name: scenario
inputs: {names: array}
steps:
  - {id: first, tool: s.first}
  - id: fan
    type: foreach
    items: ${{ inputs.names }}
    max_concurrency: 2
    steps:
      - {id: work, tool: s.work, inputs: {item: "${{ item }}"}, error_handling: {max_attempts: 2, delay: 1s}}
      - {id: note, set: {got: "${{ steps.work.result }}"}}
  - id: group
    type: parallel
    join: 2
    steps: [{id: x, tool: s.x}, {id: y, tool: s.y}, {id: z, tool: s.z}]
  - id: rest
    wait: 5s
  - id: guarded
    type: try
    steps: [{id: risky, tool: s.risky}]
    catch: [{id: caught, tool: s.caught, inputs: {why: "${{ error.class }}"}}]
  - id: again
    type: repeat
    max: 3
    steps: [{id: turn, tool: s.turn}]
    until: ${{ round == 2 }}
  - {id: last, tool: s.last, inputs: {all: "${{ steps.fan.results }}"}, if: "${{ steps.first.result == 'first' }}"}
finally:
  - {id: tidy, tool: s.tidy}
outputs: {all: "${{ steps.last.result }}", caught: "${{ steps.guarded.result }}"}
"#;

fn scenario() -> World<'static> {
    World::new(SCENARIO, json!({"names": [1, 2, 3]}), |path, arguments, attempt| match path {
        "fan[1]/work" if attempt == 1 => failed("timeout"),
        "risky" => failed("tool_error"),
        "last" => done(arguments["all"].clone()),
        path => done(arguments.get("item").or(arguments.get("why")).cloned().unwrap_or_else(|| path.into())),
    })
}

fn expected() -> Value {
    json!({"all": [{"got": 1}, {"got": 2}, {"got": 3}], "caught": "tool_error"})
}

/// No finished step is begun again, none is lost, and every start is either finished, retried or interrupted.
fn is_lawful(journal: &[Event]) {
    let mut finished = BTreeSet::new();
    let mut open: BTreeMap<&str, u32> = BTreeMap::new();
    for event in journal {
        match event {
            Event::Started { path, attempt } => {
                assert!(!finished.contains(path.as_str()), "{path} was finished and begun again");
                assert!(open.insert(path, *attempt).is_none(), "{path} was begun while it was under way");
            }
            Event::Finished { path, .. } => {
                assert!(finished.insert(path.as_str()), "{path} finished twice");
                open.remove(path.as_str());
            }
            Event::Retry { path, .. } | Event::Interrupted { path } => {
                assert!(open.remove(path.as_str()).is_some(), "{path} was not under way");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?} never ended");
}

#[test]
fn a_crash_after_any_entry_changes_nothing_that_was_done() {
    let mut whole = scenario();
    assert_eq!(whole.run(|_| false, |_| 0).ended().unwrap().1, expected());
    is_lawful(&whole.journal);
    for at in 1..=whole.journal.len() {
        let mut world = scenario();
        let mut crashed = false;
        let machine = world.run(|length| length >= at && !std::mem::replace(&mut crashed, true), |_| 0);
        assert_eq!(machine.ended().map(|ended| &ended.1), Some(&expected()), "crash after entry {at}");
        is_lawful(&world.journal);
    }
}

#[test]
fn random_orders_and_crashes_come_to_the_same() {
    // UMCP_LONG runs them whole.
    let rounds = if std::env::var_os("UMCP_LONG").is_some() { 100_000 } else { 300 };
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..rounds {
        let mut world = scenario();
        let mut crashes = Vec::new();
        for _ in 0..round % 4 {
            crashes.push(random(60));
        }
        let mut picks: Vec<usize> = (0..200).map(|_| random(1000)).collect();
        let machine = world.run(
            |length| {
                let before = crashes.len();
                crashes.retain(|at| *at > length);
                crashes.len() < before
            },
            |pending| picks.pop().unwrap_or(0) % pending,
        );
        let outputs = machine.ended().map(|ended| ended.1.clone());
        assert_eq!(outputs, Some(expected()), "round {round}: {:?}", world.journal);
        is_lawful(&world.journal);
    }
}

#[test]
fn a_step_with_effects_is_not_repeated_by_itself() {
    let text =
        "name: pay\nsteps:\n  - {id: pay, tool: bank.pay, idempotent: false}\n  - {id: tell, tool: a.tell}\n";
    let mut world = World::new(text, json!({}), |path, _, _| done(path.into()));
    let mut crashed = false;
    let machine = world.run(|_| !std::mem::replace(&mut crashed, true), |_| 0);
    assert_eq!(machine.status(), Status::Uncertain);
    assert_eq!(world.calls.len(), 1);
    // A person says that it was done.
    world.journal.push(Event::Finished { path: "pay".into(), outcome: done(json!("by hand")) });
    world.journal.push(Event::Resumed);
    assert_eq!(world.finish().0, Status::Completed);
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn a_run_is_paused_cancelled_and_bounded_in_time() {
    let text = "name: t\ntimeout: 1m\nsteps:\n  - {id: a, tool: s.a}\n  - {id: b, approval: go?}\n  - {id: c, tool: s.c}\n";
    let mut world = World::new(text, json!({}), |path, _, _| done(path.into()));
    assert_eq!(
        world.finish(),
        (Status::Failed, json!({}), Some("the run took longer than its `timeout`".into()))
    );
    let mut world = World::new(text, json!({}), |path, _, _| done(path.into()));
    world.journal.push(Event::Paused);
    assert!(world.run(|_| false, |_| 0).ended().is_none() && world.calls.is_empty());
    world.journal.extend([Event::Resumed, Event::CancelAsked]);
    assert_eq!(world.finish().0, Status::Cancelled);
}

#[test]
fn a_thousand_steps_take_no_time() {
    let mut text = String::from("name: long\nsteps:\n");
    for at in 0..1000 {
        text.push_str(&format!("  - {{id: s{at}, tool: a.b}}\n"));
    }
    let mut world = World::new(&text, json!({}), |_, _, _| done(json!(1)));
    assert_eq!(world.finish().0, Status::Completed);
    assert_eq!(world.calls.len(), 1000);
}

#[test]
fn steps_wait_for_the_fallback_of_a_failed_one() {
    let text = "name: w\nsteps:\n  - id: a\n    tool: s.a\n    error_handling: {fallback: [{id: f, tool: s.f}]}\n  \
        - {id: b, tool: s.b, inputs: {from: \"${{ steps.a.result }}\"}}\noutputs: {b: \"${{ steps.b.result }}\"}\n";
    let mut world = World::new(text, json!({}), |path, arguments, _| match path {
        "a" => failed("tool_error"),
        "f" => done(json!("instead")),
        _ => done(arguments["from"].clone()),
    });
    assert_eq!(world.finish(), (Status::Completed, json!({"b": "instead"}), None));
}

#[test]
fn a_run_that_took_too_long_tidies_up_and_fails() {
    let text = "name: w\ntimeout: 1m\nsteps:\n  - {id: a, approval: go?}\n  - {id: b, tool: s.b}\n\
        finally:\n  - {id: x, tool: s.x}\n  - {id: y, tool: s.y}\n";
    let mut world = World::new(text, json!({}), |path, _, _| done(path.into()));
    assert_eq!(world.finish().0, Status::Failed);
    assert_eq!(world.calls, ["x s.x {}", "y s.y {}"]);
    for at in 1..=world.journal.len() {
        let mut crashed = World::new(text, json!({}), |path, _, _| done(path.into()));
        let mut once = false;
        let machine = crashed.run(|length| length >= at && !std::mem::replace(&mut once, true), |_| 0);
        assert_eq!(machine.ended().unwrap().0, Status::Failed, "crash after entry {at}");
    }
}

#[test]
fn a_composite_that_took_too_long_is_caught_also_after_a_crash() {
    let text = "name: w\nsteps:\n  - id: guarded\n    type: try\n    steps:\n      - id: slow\n        type: parallel\n        \
        timeout: 1m\n        steps: [{id: a, approval: go?}]\n    catch: [{id: c, tool: s.c}]\n\
        outputs: {how: \"${{ steps.guarded.result }}\"}\n";
    let mut whole = World::new(text, json!({}), |path, _, _| done(path.into()));
    assert_eq!(whole.finish(), (Status::Completed, json!({"how": "c"}), None));
    for at in 1..=whole.journal.len() {
        let mut world = World::new(text, json!({}), |path, _, _| done(path.into()));
        let mut once = false;
        let machine = world.run(|length| length >= at && !std::mem::replace(&mut once, true), |_| 0);
        assert_eq!(machine.ended().unwrap().1, json!({"how": "c"}), "crash after entry {at}");
    }
}

#[test]
fn a_long_loop_is_walked_in_pieces() {
    let text = |most: usize, one: &str| {
        format!(
            "name: w\ninputs: {{all: {{type: array}}}}\nsteps:\n  - {{id: all, type: foreach, items: \"${{{{ inputs.all }}}}\", max_concurrency: {most}, steps: [{{id: one, {one}tool: a.b}}]}}\n"
        )
    };
    let items = |count: usize| Map::from_iter([("all".to_string(), json!(vec![1; count]))]);
    let skipped = text(1, "if: \"${{ item < 0 }}\", ");
    let mut machine = Machine::new(workflow(&skipped), "run_1", items(5000), T0);
    let (mut walks, mut most) = (0, 0);
    while machine.ended().is_none() {
        let next = machine.next(T0);
        most = most.max(next.events.len());
        walks += 1;
        assert!(machine.ended().is_some() || next.wake == Some(T0), "a walk that rests is due at once");
    }
    assert_eq!(machine.ended().unwrap().0, Status::Completed);
    assert!(walks >= 5000 / 200 && most <= 210, "{walks} walks, {most} events in one");
    // Many rounds that stay open keep no other from coming to its end.
    let inputs = Value::Object(items(1000));
    let mut world = World::new(&text(256, ""), inputs, |_, _, _| done(Value::Null));
    assert_eq!((world.finish().0, world.calls.len()), (Status::Completed, 1000));
}

#[test]
fn each_interrupted_step_with_effects_is_decided_by_itself() {
    let text = "name: w\nsteps:\n  - id: both\n    type: parallel\n    steps:\n      \
        - {id: a, tool: s.a, idempotent: false}\n      - {id: b, tool: s.b, idempotent: false}\n";
    let mut world = World::new(text, json!({}), |path, _, _| done(path.into()));
    let mut once = false;
    let machine = world.run(|_| !std::mem::replace(&mut once, true), |_| 0);
    assert_eq!(
        (machine.status(), machine.uncertain()),
        (Status::Uncertain, vec!["a".to_string(), "b".into()])
    );
    world.journal.push(Event::Finished { path: "a".into(), outcome: done(json!(1)) });
    assert_eq!(world.machine().status(), Status::Uncertain);
    world.journal.push(Event::Again { path: "b".into() });
    assert_eq!(world.finish().0, Status::Completed);
    assert_eq!(world.calls.iter().filter(|call| call.starts_with("a ")).count(), 1);
    let mut other = World::new(text, json!({}), |path, _, _| done(path.into()));
    let mut once = false;
    other.run(|_| !std::mem::replace(&mut once, true), |_| 0);
    other.journal.push(Event::CancelAsked);
    assert_eq!(other.finish().0, Status::Cancelled);
}
