//! `umcp schedule` and `umcp agent` on the command line; real runs stand in `schedule/runs.rs`.

mod runs;

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use serde_json::{Value, json};
use umcp::schedules::model::Status;

#[test]
fn nonsense_is_shown_with_its_place() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["schedule", "preview", "0 25 * * *"]).to_string(), @"
    exit: 3
    --- stderr ---
    error: `25` is outside the hour field, which takes 0 to 23 [UM1103]
     --> cron expression:1:3
      |
    1 | 0 25 * * *
      |   ^
    ");
    assert_snapshot!(sandbox.run(&["schedule", "preview", "0 0 30 2 *"]).to_string(), @"
    exit: 3
    --- stderr ---
    error: day and month `30 2` never come together [UM1103]
     --> cron expression:1:5
      |
    1 | 0 0 30 2 *
      |     ^
    hint: February has 28 or 29 days, and April, June, September and November have 30
    ");
    assert_snapshot!(sandbox.run(&["schedule", "preview", "* * * *"]).to_string(), @"
    exit: 3
    --- stderr ---
    error: a cron expression has five fields, or six with seconds in front, not 4 [UM1103]
     --> cron expression:1:1
      |
    1 | * * * *
      | ^
    hint: minute hour day-of-month month day-of-week, such as `0 9 * * mon-fri`
    ");
    assert_snapshot!(sandbox.run(&["schedule", "preview", "0 9 * * 5-1", "--timezone", "Europe/Berln"]).to_string(), @"
    exit: 3
    --- stderr ---
    error: no time zone named `Europe/Berln` [UM1104]
    hint: did you mean `Europe/Berlin`?
    ");
}

#[test]
fn a_preview_says_what_an_expression_means_and_marks_changes_of_the_clocks() {
    let sandbox = Sandbox::new();
    let preview = ["schedule", "preview", "30 2 * * *", "--timezone", "America/New_York"];
    let arguments = [&preview[..], &["--from", "2026-03-06T12:00:00Z", "--count", "3"]].concat();
    assert_snapshot!(sandbox.run(&arguments).to_string(), @"
    exit: 0
    --- stdout ---
    at 02:30, America/New_York
    LOCAL TIME                      UTC                   WHEN         NOTE
    Sat 2026-03-07 02:30:00 -05:00  2026-03-07T07:30:00Z  in 64 d 4 h
    Sun 2026-03-08 03:00:00 -04:00  2026-03-08T07:00:00Z  in 65 d 3 h  clocks go forward 1 h after 01:59:59 (2026-03-08T07:00:00Z)
    Mon 2026-03-09 02:30:00 -04:00  2026-03-09T06:30:00Z  in 66 d 3 h
    ");
    let document = sandbox.json(&arguments);
    assert_eq!(document["kind"], "schedule.preview/1");
    let next = json!(["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
    assert_eq!(document["data"]["next"], next);
    assert_eq!(document["data"]["words"], "at 02:30");
}

const BACKUP: &str = "name: backup-database\ninputs: {keep: {type: integer, default: 7}, where: string}\nsteps: [{id: a, set: {kept: \"${{ inputs.keep }}\"}}]\n";

#[test]
fn a_schedule_is_made_shown_changed_held_and_deleted() {
    let sandbox = Sandbox::new();
    sandbox.file("b.yaml", BACKUP);
    assert_eq!(sandbox.run(&["workflow", "create", "b.yaml"]).code, 0);
    let create = |more: &[&str]| {
        let fixed = ["schedule", "create", "daily-backup", "--workflow", "backup-database", "--no-start"];
        sandbox.run(&[&fixed[..], more].concat()).to_string()
    };
    let at = ["--cron", "0 2 * * *", "--timezone", "America/New_York"];
    assert_snapshot!(create(&at), @"
    exit: 2
    --- stderr ---
    error: the input `where` is missing [UM0408]
    hint: umcp schedule create daily-backup … --input NAME=VALUE
    ");
    assert_snapshot!(create(&[&at[..], &["--input", "wher=x"]].concat()), @"
    exit: 2
    --- stderr ---
    error: the workflow `backup-database` has no input `wher` [UM0408]
    hint: did you mean `where`?
    ");
    assert_snapshot!(create(&[&at[..], &["--input", "where=x", "--when", "host.load_avg >"]].concat()), @"
    exit: 3
    --- stderr ---
    error: the expression ends where a value is expected [UM0104]
     --> --when:1:16
      |
    1 | host.load_avg >
      |                ^
    ");
    assert_snapshot!(create(&["--at", "2025-01-01 10:00", "--timezone", "UTC", "--input", "where=x"]), @"
    exit: 3
    --- stderr ---
    error: the schedule is never due again: its time has passed [UM0104]
    ");
    assert_snapshot!(create(&[&at[..], &["--input", "where=s3://x", "--input", "keep=3", "--retries", "2", "--overlap", "queue"]].concat()), @r#"
    exit: 0
    --- stdout ---
    daily-backup is on
    when     at 02:00, America/New_York
    runs     workflow backup-database
    cron     0 2 * * *
    next     Fri 2026-01-02 02:00:00 -05:00, in 3 h 55 min
    missed   once
    overlap  queue
    retries  2, the first after 10s
    input    {"where":"s3://x","keep":3}
    it has not run yet
    "#);
    assert_snapshot!(sandbox.run(&["schedule", "create", "x", "--skill", "s", "--every", "5m"]).to_string(), @"
    exit: 4
    --- stderr ---
    error: no skill named `s` is installed [UM1401]
    hint: umcp skill search s
    hint: umcp skill list
    ");
    assert_snapshot!(sandbox.run(&["schedule", "create", "x", "--workflow", "backup-databse", "--every", "5m"]).to_string(), @"
    exit: 4
    --- stderr ---
    error: no workflow named `backup-databse` [UM1001]
    hint: did you mean `backup-database`?
    ");
    assert_snapshot!(sandbox.run(&["schedule", "next-run", "daily-backup"]).to_string(), @"
    exit: 0
    --- stdout ---
    at 02:00, America/New_York
    LOCAL TIME                      UTC                   WHEN           NOTE
    Fri 2026-01-02 02:00:00 -05:00  2026-01-02T07:00:00Z  in 3 h 55 min
    ");
    assert_snapshot!(sandbox.run(&["schedule", "update", "daily-backup", "--cron", "@weekly", "--deadline", "10m"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    daily-backup is on
    when      at 00:00, on Sunday, America/New_York
    runs      workflow backup-database
    cron      @weekly
    next      Sun 2026-01-04 00:00:00 -05:00, in 2 d 1 h
    missed    once
    overlap   queue
    deadline  10m
    retries   2, the first after 10s
    input     {"where":"s3://x","keep":3}
    it has not run yet
    "#);
    assert_snapshot!(sandbox.run(&["schedule", "calendar", "--days", "10"]).to_string(), @"
    exit: 0
    --- stdout ---
    LOCAL TIME                      WHEN        SCHEDULE      RUNS                      AGENT
    Sun 2026-01-04 05:00:00 +00:00  in 2 d 1 h  daily-backup  workflow backup-database
    Sun 2026-01-11 05:00:00 +00:00  in 9 d 1 h  daily-backup  workflow backup-database
    ");
    assert_snapshot!(sandbox.run(&["schedule", "pause", "--all"]).to_string(), @"
    exit: 0
    --- stdout ---
    ok   paused all: 1 schedule
    ");
    assert_snapshot!(sandbox.run(&["schedule", "list"]).to_string(), @"
    exit: 0
    --- stdout ---
    NAME          STATE   NEXT  WHEN                                  RUNS                      LAST  AGENT
    daily-backup  paused        at 00:00, on Sunday America/New_York  workflow backup-database
    ");
    assert_eq!(sandbox.json(&["schedule", "show", "daily-backup"])["data"]["paused_by"], "all");
    assert_snapshot!(sandbox.run(&["schedule", "resume", "--all", "--no-start"]).to_string(), @"
    exit: 0
    --- stdout ---
    ok   resumed all: 1 schedule
    ");
    assert_snapshot!(sandbox.run(&["schedule", "disable", "daily-backup"]).to_string(), @"
    exit: 0
    --- stdout ---
    ok   disabled daily-backup
    ");
    assert_snapshot!(sandbox.run(&["schedule", "next-run", "daily-backup"]).to_string(), @"
    exit: 0
    --- stdout ---
    daily-backup is off: no run is to come
    ");
    assert_snapshot!(sandbox.run(&["schedule", "history"]).to_string(), @"
    exit: 0
    --- stdout ---
    nothing was due yet
    ");
    assert_snapshot!(sandbox.run(&["schedule", "logs", "daily-backup", "--run", "run_456"]).to_string(), @"
    exit: 4
    --- stderr ---
    error: no run `run_456` of a schedule [UM1004]
    hint: umcp schedule history daily-backup
    ");
    assert_snapshot!(sandbox.run(&["schedule", "delete", "daily-backup"]).to_string(), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `delete daily-backup with their history?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["schedule", "delete", "daily-backup", "--yes"]).to_string(), @"
    exit: 0
    --- stdout ---
    ok   deleted daily-backup
    ");
    assert_snapshot!(sandbox.run(&["schedule", "show", "daily-backup"]).to_string(), @"
    exit: 4
    --- stderr ---
    error: no schedule named `daily-backup` [UM1101]
    hint: umcp schedule list
    ");
}

#[test]
fn schedules_without_a_daemon_are_told_with_what_starts_one() {
    let sandbox = Sandbox::new();
    sandbox.file("b.yaml", "name: b\nsteps: [{id: a, set: {x: 1}}]\n");
    assert_eq!(sandbox.run(&["workflow", "create", "b.yaml"]).code, 0);
    let create =
        ["schedule", "create", "late", "--workflow", "b", "--timezone", "UTC", "--no-start", "--every"];
    assert_eq!(sandbox.run(&[&create[..], &["1s"]].concat()).code, 0);
    let list = sandbox.run(&["schedule", "list"]);
    assert!(list.stderr.ends_with(": umcp gateway start --detach\n"), "{list}");
    let said = "no daemon keeps the time of 1 schedule";
    assert!(sandbox.run(&["status"]).stdout.contains(said), "{}", sandbox.run(&["status"]));
    assert!(sandbox.json(&["status"])["data"]["schedules"].as_str().unwrap().starts_with(said));
    let doctor = sandbox.run(&["doctor", "--only", "daemon"]);
    assert!(doctor.stdout.contains("umcp gateway start --detach"), "{doctor}");
    assert_eq!(sandbox.run(&["schedule", "pause", "--all"]).code, 0);
    assert!(!sandbox.run(&["schedule", "list"]).stderr.contains("no daemon"));
}

#[test]
fn an_agent_owns_schedules_and_stays_while_it_does() {
    let sandbox = Sandbox::new();
    sandbox.file("b.yaml", BACKUP);
    assert_eq!(sandbox.run(&["workflow", "create", "b.yaml"]).code, 0);
    assert_snapshot!(sandbox.run(&["agent", "create", "mailbot", "--context", "where=here", "--context", "n:=3"]).to_string(), @r#"
    exit: 0
    --- stdout ---
    mailbot
    context  {"where":"here","n":3}
    "#);
    let create = ["schedule", "create", "inbox", "--workflow", "backup-database", "--agent", "mailbot"];
    assert_eq!(
        sandbox
            .run(&[&create[..], &["--cron", "*/15 * * * *", "--timezone", "UTC", "--no-start"]].concat())
            .code,
        0
    );
    for (name, meant) in [("mailbto", "mailbot"), ("curser", "cursor")] {
        let update = sandbox.run(&["schedule", "update", "inbox", "--agent", name]);
        assert_eq!(update.code, 4, "{update}");
        assert!(update.stderr.contains(&format!("hint: did you mean `{meant}`?")), "{update}");
    }
    let other = sandbox.run(&["schedule", "update", "inbox", "--agent", "night-shift"]);
    assert!(other.code == 0 && other.stderr.contains("it is made now"), "{other}");
    assert_eq!(sandbox.run(&["schedule", "update", "inbox", "--agent", "mailbot"]).stderr, "");
    assert_eq!(sandbox.run(&["agent", "delete", "night-shift", "--yes"]).code, 0);
    assert_snapshot!(sandbox.run(&["agent", "delete", "mailbot", "--yes"]).to_string(), @"
    exit: 5
    --- stderr ---
    error: the schedule `inbox` belongs to the agent `mailbot` [UM1107]
    hint: umcp schedule list --agent mailbot
    ");
    assert_snapshot!(sandbox.run(&["schedule", "pause", "--agent", "mailbot"]).to_string(), @"
    exit: 0
    --- stdout ---
    ok   paused agent mailbot: 1 schedule
    ");
    assert_snapshot!(sandbox.run(&["agent", "list"]).to_string(), @"
    exit: 0
    --- stdout ---
    NAME     STATE   SCHEDULES  DESCRIPTION
    mailbot  paused          1
    ");
    assert_eq!(sandbox.json(&["agent", "show", "mailbot"])["data"]["schedules"], json!(["inbox"]));
    assert_eq!(sandbox.run(&["schedule", "delete", "inbox", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["agent", "delete", "mailbot", "--yes"]).code, 0);
    assert_snapshot!(sandbox.run(&["agent", "show", "mailbot"]).to_string(), @"
    exit: 4
    --- stderr ---
    error: no agent named `mailbot` [UM1105]
    hint: umcp agent list
    ");
}

#[test]
fn the_words_of_a_row_are_the_words_of_the_filter() {
    for status in
        ["completed", "failed", "interrupted", "overlapped", "declined", "missed", "paused", "queued"]
    {
        let read: Status = serde_json::from_value(Value::from(status)).unwrap();
        assert_eq!(read.word(), status);
    }
}
