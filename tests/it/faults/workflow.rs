//! A daemon that dies in the middle of a run of a workflow: the next one goes on where it was.

use super::entries::fixture;
use super::house::{House, ms, within};
use umcp::engine::Reply;
use umcp::engine::live::{Live, LiveReply, RunRequest, RunSource};
use umcp::workflows::journal::{Event, Outcome, Status};
use umcp::workflows::{Request, Run};

const TEXT: &str = "\
name: crash
steps:
  - {id: first, tool: box.echo, inputs: {text: one}}
  - id: wide
    type: parallel
    steps:
      - {id: a, tool: box.sleep, inputs: {ms: 30}}
      - {id: b, tool: box.sleep, inputs: {ms: 60}}
      - {id: c, tool: box.sleep, inputs: {ms: 90}}
  - {id: last, tool: box.echo, inputs: {text: end}}
outputs: {said: \"${{ steps.last.result }}\"}
";

fn begin(house: &House, text: &str) -> Run {
    let source = RunSource::Document { text: text.into(), inputs: "{}".into() };
    match house.live(Live::RunWorkflow(RunRequest { source, by: "faults".into(), wait: false })).unwrap() {
        LiveReply::Run(run) => *run,
        other => panic!("not a run: {other:?}"),
    }
}

fn load(house: &House, id: &str) -> (Run, Vec<Event>) {
    match house.ask(Request::Run { id: id.into() }).unwrap() {
        Reply::Workflow(umcp::workflows::Reply::Run { run, journal }) => {
            (*run, journal.into_iter().flat_map(|entry| entry.events).collect())
        }
        other => panic!("not a run: {other:?}"),
    }
}

fn count(events: &[Event], wanted: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| wanted(event)).count()
}

#[test]
fn a_run_outlives_the_daemon_and_repeats_nothing_that_was_done() {
    let rounds = if std::env::var_os("UMCP_LONG").is_some() { 100 } else { 6 };
    let mut house = House::new();
    house.add(fixture("box", &[]));
    house.call("box.echo", r#"{"text":"x"}"#).unwrap();
    for round in 0..rounds {
        let run = begin(&house, TEXT);
        std::thread::sleep(ms(round * 150 / rounds));
        house.kill_daemon();
        house.start().unwrap();
        within(ms(5000), "the run ends", || load(&house, &run.id).0.status.is_over());
        let (ended, events) = load(&house, &run.id);
        assert_eq!((ended.status, ended.outputs.as_str()), (Status::Completed, r#"{"said":"end"}"#));
        for step in ["first", "a", "b", "c", "last"] {
            let done = count(
                &events,
                |event| matches!(event, Event::Finished { path, outcome: Outcome::Done(_) } if path == step),
            );
            let begun = count(&events, |event| matches!(event, Event::Started { path, .. } if path == step));
            assert_eq!(done, 1, "{step} in round {round}: {events:?}");
            assert!(begun <= 2, "{step} was begun {begun} times after one kill");
        }
    }
    house.good_answers();
}

#[test]
fn a_step_with_effects_waits_for_a_person_after_a_crash() {
    let mut house = House::new();
    house.add(fixture("box", &[]));
    let text = "name: pay\nsteps:\n  - {id: pay, tool: box.sleep, idempotent: false, inputs: {ms: 60000}}\n  \
        - {id: tell, tool: box.echo, inputs: {text: paid}}\n";
    let run = begin(&house, text);
    within(ms(5000), "the step begins", || {
        !load(&house, &run.id).1.is_empty() && house.server("box").in_flight == 1
    });
    house.kill_daemon();
    house.start().unwrap();
    within(ms(5000), "the run stands still", || {
        load(&house, &run.id).1.iter().any(|event| matches!(event, Event::Interrupted { .. }))
    });
    assert_eq!(load(&house, &run.id).0.status, Status::Uncertain);
    let order = umcp::engine::live::RunOrder::Settle { step: None, done: Some("null".into()) };
    house.live(Live::OrderRun { run: run.id.clone(), order }).unwrap();
    within(ms(5000), "the run ends", || load(&house, &run.id).0.status.is_over());
    assert_eq!(load(&house, &run.id).0.status, Status::Completed);
}

#[test]
fn an_orderly_end_of_the_daemon_fails_no_step() {
    let mut house = House::new();
    house.add(fixture("box", &[]));
    let run = begin(
        &house,
        "name: nap\nsteps:\n  - {id: nap, tool: box.sleep, inputs: {ms: 3000}}\noutputs: {done: true}\n",
    );
    within(ms(5000), "the step begins", || house.server("box").in_flight == 1);
    house.signal(libc::SIGTERM);
    house.wait(ms(8000));
    house.start().unwrap();
    within(ms(10_000), "the run ends", || load(&house, &run.id).0.status.is_over());
    assert_eq!(load(&house, &run.id).0.status, Status::Completed);
}
