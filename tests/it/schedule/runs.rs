//! Schedules in a real daemon: what is due runs, a kill costs no instant and doubles none, policy and records hold.

use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::peers::say;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use umcp::clock::{Clock, Timestamp};
use umcp::engine::Reply;
use umcp::engine::live::{Live, LiveReply};
use umcp::error::codes;
use umcp::schedules::model::{Agent, Firing, Missed, Overlap, Schedule, Status, Target, Trigger};
use umcp::schedules::{self, Filter, Item, Request};
use umcp::servers::model::EraChoice;
use umcp::workflows::{self, Definition};

fn now() -> Timestamp {
    Clock::System.now()
}

fn schedule(name: &str, target: Target, trigger: Trigger) -> Schedule {
    Schedule {
        id: format!("sch_{name}"),
        name: name.into(),
        description: String::new(),
        agent: None,
        target,
        trigger,
        zone: "UTC".into(),
        input: "{}".into(),
        missed: Missed::Once,
        overlap: Overlap::Skip,
        jitter_ms: 0,
        when: None,
        deadline_ms: None,
        retries: 0,
        retry_after_ms: 100,
        enabled: true,
        paused: false,
        created: now(),
        updated: now(),
        revision: 0,
    }
}

fn in_ms(ms: u64) -> Trigger {
    Trigger::At(now().plus_ms(ms))
}

fn tool(name: &str) -> Target {
    Target::Tool(format!("box.{name}"))
}

fn put(daemon: &Daemon, schedule: Schedule) {
    daemon.ask(Request::Put { schedule: Box::new(schedule), replace: false });
}

fn history(daemon: &Daemon, schedule: Option<&str>) -> Vec<Firing> {
    let filter = Filter { schedule: schedule.map(Into::into), limit: 100_000, ..Filter::default() };
    match daemon.ask(Request::History(filter)) {
        Reply::Schedule(schedules::Reply::Firings(rows)) => rows,
        other => panic!("no history: {other:?}"),
    }
}

fn item(daemon: &Daemon, name: &str) -> Item {
    match daemon.ask(Request::Show { name: name.into() }) {
        Reply::Schedule(schedules::Reply::Item(item)) => *item,
        other => panic!("no schedule: {other:?}"),
    }
}

/// Waits until rows of a schedule fit, and gives them.
fn until(daemon: &Daemon, name: &str, what: &str, fits: impl Fn(&[Firing]) -> bool) -> Vec<Firing> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let rows = history(daemon, Some(name));
        if fits(&rows) {
            return rows;
        }
        assert!(Instant::now() < deadline, "{name}: {what}: not within 30 s: {rows:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(rows: &[Firing]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.status.is_over())
}

fn daemon() -> Daemon {
    let daemon = Daemon::start_with(&[("UMCP_GATEWAY__IDLE_EXIT_MS", "1500")]);
    daemon.add(fixture_server("box", EraChoice::Auto, &[]));
    daemon
}

#[test]
fn tools_and_workflows_run_when_they_are_due() {
    let daemon = daemon();
    let text = "name: w\ninputs: {word: string}\nsteps: [{id: say, tool: box.echo, inputs: {text: \"${{ inputs.word }}\"}}]\noutputs: {said: \"${{ steps.say.result }}\"}\n";
    let definition = Definition { name: "w".into(), text: text.into(), ..Definition::default() };
    daemon.ask(workflows::Request::Put { definition: Box::new(definition), replace: false });
    let agent =
        Agent { name: "bot".into(), context: r#"{"word":"from the agent"}"#.into(), ..Default::default() };
    daemon.ask(Request::PutAgent { agent, replace: false });
    let mut echo = schedule("echo", tool("echo"), in_ms(600));
    echo.input = r#"{"text":"${{ schedule.name }} is due"}"#.into();
    put(&daemon, echo);
    let mut flow = schedule("flow", Target::Workflow("w".into()), in_ms(700));
    flow.agent = Some("bot".into());
    put(&daemon, flow);
    let mut fails = schedule("fails", tool("fail"), in_ms(500));
    fails.retries = 2;
    put(&daemon, fails);
    let mut slow = schedule("slow", tool("sleep"), in_ms(500));
    (slow.input, slow.deadline_ms) = (r#"{"ms":60000}"#.into(), Some(300));
    put(&daemon, slow);
    let row = until(&daemon, "echo", "it ran", ended).remove(0);
    assert_eq!((row.status, row.result.as_str()), (Status::Completed, "\"echo is due\""));
    let row = until(&daemon, "flow", "it ran", ended).remove(0);
    assert_eq!((row.status, row.result.as_str()), (Status::Completed, r#"{"said":"from the agent"}"#));
    let run = row.run.unwrap();
    match daemon.ask(workflows::Request::Run { id: run }) {
        Reply::Workflow(workflows::Reply::Run { run, .. }) => assert_eq!(run.by, "schedule:flow"),
        other => panic!("{other:?}"),
    }
    let row = until(&daemon, "fails", "it was tried three times", ended).remove(0);
    assert_eq!((row.status, row.attempts), (Status::Failed, 3));
    assert_eq!(row.failure.unwrap().code, codes::TOOL_FAILED.code);
    let row = until(&daemon, "slow", "its deadline came", ended).remove(0);
    assert_eq!(row.failure.unwrap().code, codes::TIMED_OUT.code);
    assert_eq!(item(&daemon, "slow").state.open, []);
    // Who called stands in the records.
    let calls = umcp::usage::Request::History {
        server: None,
        tool: Some("echo".into()),
        failed: false,
        since: None,
        limit: 10,
    };
    recorded(|| match daemon.ask(calls.clone()) {
        Reply::Usage(umcp::usage::Reply::History(entries)) => entries
            .iter()
            .any(|entry| entry.call.client == "schedule:echo" && entry.call.door.word() == "schedule"),
        other => panic!("{other:?}"),
    });
}

/// Records are written a moment after the call.
fn recorded(mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !there() {
        assert!(Instant::now() < deadline, "the record did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn policy_holds_for_schedules() {
    let daemon = daemon();
    let text = "rules:\n  - {name: no, effect: deny, tools: [box.echo], clients: ['schedule:*']}\n";
    let document = umcp::policy::rules::file::parse("policy.yaml", text).unwrap();
    daemon.ask(umcp::policy::rules::Request::Put { document: Box::new(document), replace: true });
    put(&daemon, schedule("echo", tool("echo"), in_ms(300)));
    let row = until(&daemon, "echo", "it was refused", ended).remove(0);
    assert_eq!(row.failure.unwrap().code, codes::POLICY_DENIED.code);
}

#[test]
fn a_thousand_due_at_once_begin_within_the_second() {
    let daemon = daemon();
    daemon.live(Live::Start { names: vec!["box".into()] });
    let names: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
    for name in &names {
        let trigger = Trigger::Cron("*/20 * * * * *".into());
        let input = r#"{"text":"x"}"#.into();
        put(&daemon, Schedule { input, enabled: false, ..schedule(name, tool("echo"), trigger) });
    }
    let enable = |enabled: bool| Request::Enable { names: names.clone(), enabled, at: now() };
    daemon.ask(enable(true));
    let deadline = Instant::now() + Duration::from_secs(90);
    let rows = loop {
        let mut rows = history(&daemon, None);
        let first = rows.iter().map(|row| row.due).min();
        rows.retain(|row| Some(row.due) == first);
        if rows.len() == 1000 && ended(&rows) {
            break rows;
        }
        assert!(Instant::now() < deadline, "{} rows", rows.len());
        std::thread::sleep(Duration::from_millis(200));
    };
    daemon.ask(enable(false));
    assert!(rows.iter().all(|row| row.status == Status::Completed));
    // A second is the promise on a quiet machine; this one may be busy with other tests.
    let slowest = rows.iter().map(|row| row.began.unwrap().since_ms(row.due)).max().unwrap();
    assert!(slowest < 5000, "{slowest} ms");
}

#[test]
fn a_daemon_that_is_killed_fires_nothing_twice_and_loses_nothing() {
    let daemon = daemon();
    let text = "name: w\nsteps: [{id: say, set: {a: 1}}]\n";
    let definition = Definition { name: "w".into(), text: text.into(), ..Definition::default() };
    daemon.ask(workflows::Request::Put { definition: Box::new(definition), replace: false });
    let every = || Trigger::Every { ms: 1000, from: now() };
    for number in 0..5 {
        let missed = if number % 2 == 0 { Missed::All } else { Missed::Once };
        put(
            &daemon,
            Schedule { missed, ..schedule(&format!("w{number}"), Target::Workflow("w".into()), every()) },
        );
        std::thread::sleep(Duration::from_millis(170));
    }
    put(
        &daemon,
        Schedule {
            input: r#"{"text":"x"}"#.into(),
            missed: Missed::All,
            ..schedule("t", tool("echo"), every())
        },
    );
    for round in 0..6_u64 {
        std::thread::sleep(Duration::from_millis(1100 + round * 137));
        let LiveReply::Status(status) = daemon.live(Live::Status) else { panic!() };
        assert!(Command::new("kill").args(["-9", &status.pid.to_string()]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(200));
        daemon.restart();
    }
    std::thread::sleep(Duration::from_millis(1500));
    let names: Vec<String> = (0..5).map(|number| format!("w{number}")).chain(["t".into()]).collect();
    daemon.ask(Request::Enable { names: names.clone(), enabled: false, at: now() });
    let end = now();
    let mut runs = BTreeSet::new();
    for name in names {
        let rows = until(&daemon, &name, "all is over", ended);
        let Trigger::Every { ms, from } = item(&daemon, &name).schedule.trigger else { panic!() };
        let dues: BTreeSet<Timestamp> = rows.iter().map(|row| row.due).collect();
        assert_eq!(dues.len(), rows.len(), "{name}");
        let watermark = item(&daemon, &name).state.watermark;
        for round in 1.. {
            let due = from.plus_ms(ms * round);
            if due > watermark.min(end) {
                break;
            }
            let told = rows.iter().any(|row| row.due <= due && due <= row.until);
            assert!(told, "{name} lost {}", due.rfc3339());
        }
        for row in rows.iter().filter(|row| row.run.is_some() && row.status.ran()) {
            assert_eq!(row.status, Status::Completed, "{name}: {row:?}");
            assert!(runs.insert(row.run.clone().unwrap()));
        }
    }
    let all = workflows::Request::Runs { workflow: Some("w".into()), status: None, limit: 10_000 };
    let Reply::Workflow(workflows::Reply::Runs(found)) = daemon.ask(all) else { panic!() };
    let found: BTreeSet<String> = found.into_iter().map(|run| run.id).collect();
    assert_eq!(found, runs);
}

#[test]
fn the_daemon_stays_while_something_is_to_come() {
    let daemon = daemon();
    put(&daemon, schedule("later", tool("echo"), in_ms(3_600_000)));
    let pid = |daemon: &Daemon| match daemon.live(Live::Status) {
        LiveReply::Status(status) => status.pid,
        other => panic!("{other:?}"),
    };
    let first = pid(&daemon);
    let gone = std::path::PathBuf::from(format!("/proc/{first}"));
    daemon.hang_up();
    std::thread::sleep(Duration::from_millis(3500));
    assert!(cfg!(not(target_os = "linux")) || gone.exists(), "it left although a schedule is on");
    daemon.restart();
    assert_eq!(pid(&daemon), first);
    daemon.ask(Request::Enable { names: vec!["later".into()], enabled: false, at: now() });
    daemon.hang_up();
    let deadline = Instant::now() + Duration::from_secs(15);
    while cfg!(target_os = "linux") && gone.exists() {
        assert!(Instant::now() < deadline, "it stayed although no schedule is on");
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.restart();
}

#[test]
fn runs_by_hand_are_waited_for_stopped_and_told() {
    let daemon = daemon();
    let mut nap = schedule("nap", tool("sleep"), in_ms(3_600_000));
    nap.input = r#"{"ms":60000}"#.into();
    put(&daemon, nap);
    let begun = |reply: LiveReply| match reply {
        LiveReply::Firings(rows) => rows,
        other => panic!("{other:?}"),
    };
    let rows = begun(daemon.live(Live::RunSchedule { name: "nap".into(), wait: false }));
    assert_eq!((rows.len(), rows[0].status), (1, Status::Running));
    let stopped = begun(daemon.live(Live::StopSchedule { name: "nap".into() }));
    assert_eq!((stopped[0].id.as_str(), stopped[0].status), (rows[0].id.as_str(), Status::Cancelled));
    assert!(
        daemon.try_ask(Live::StopSchedule { name: "map".into() }).unwrap_err().is(&codes::SCHEDULE_NOT_FOUND)
    );
    let ticked = begun(daemon.live(Live::TickSchedules { wait: true }));
    assert_eq!(ticked, []);
}

#[test]
fn a_workflow_that_is_stopped_while_it_begins_does_not_go_on() {
    let daemon = daemon();
    let text = "name: w\nsteps: [{id: nap, tool: box.sleep, inputs: {ms: 60000}}]\n";
    let definition = Definition { name: "w".into(), text: text.into(), ..Definition::default() };
    daemon.ask(workflows::Request::Put { definition: Box::new(definition), replace: false });
    put(&daemon, schedule("nap", Target::Workflow("w".into()), in_ms(3_600_000)));
    for _ in 0..20 {
        daemon.live(Live::RunSchedule { name: "nap".into(), wait: false });
        let LiveReply::Firings(stopped) = daemon.live(Live::StopSchedule { name: "nap".into() }) else {
            panic!("no runs");
        };
        assert_eq!(stopped.iter().map(|row| row.status).collect::<Vec<_>>(), [Status::Cancelled]);
        let Reply::Workflow(workflows::Reply::Runs(open)) = daemon.ask(workflows::Request::Unfinished) else {
            panic!("no list");
        };
        assert_eq!(open, [], "the schedule's run is over and its workflow goes on");
    }
}

/// The commands of the roadmap's page on schedules, as they stand there.
#[test]
fn the_roadmaps_commands_work_as_written() {
    let seed =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seeds/universal-mcp-roadmap.md");
    let Ok(text) = std::fs::read_to_string(&seed) else {
        say!("skipped: no roadmap at {}", seed.display());
        return;
    };
    let daemon = daemon();
    let definition = Definition {
        name: "backup-database".into(),
        text: "name: backup-database\nsteps: [{id: a, set: {b: 1}}]\n".into(),
        ..Definition::default()
    };
    daemon.ask(workflows::Request::Put { definition: Box::new(definition), replace: false });
    let umcp = |line: &str| {
        let words = shell_words(line);
        let output = Command::new(UMCP)
            .args(&words[1..])
            .args(["--yes"])
            .env("UMCP_HOME", daemon.folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let commands: Vec<String> = text
        .replace("\\\n", " ")
        .lines()
        .filter(|line| line.starts_with("universal-mcp schedule "))
        .map(Into::into)
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    // What deletes comes last, and a run must be there before its log is asked for.
    let (last, rest): (Vec<_>, Vec<_>) = commands.into_iter().partition(|line| line.contains(" delete "));
    let (create, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|line| line.contains(" create "));
    create.iter().for_each(|line| _ = umcp(line));
    umcp("umcp schedule run daily-backup");
    let run = history(&daemon, Some("daily-backup"))[0].id.clone();
    rest.iter().chain(&last).for_each(|line| _ = umcp(&line.replace("run_456", &run)));
    assert!(daemon.try_ask(Request::Show { name: "daily-backup".into() }).is_err());
}

/// Words of a shell line with double quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(Into::into)),
            _ => words.push(part.to_string()),
        }
    }
    words
}
