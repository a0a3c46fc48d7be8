//! The whole scheduler in virtual time: the real rows and decisions over a store in memory, and a world of its own in
//! the daemon's place, which can be killed after every commit, put to sleep, and given another clock or zone.
//! Long because the world and what it is put through belong together.

use super::due::Dues;
use super::model::{Cause, Missed, Overlap, Schedule, State, Status, Target, Trigger};
use super::plan::{Plan, Slip};
use super::timetable::Timetable;
use super::*;
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: u64 = 60_000_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn schedule(name: &str, cron: &str, now: Timestamp) -> Schedule {
    Schedule {
        id: format!("sch_{name}"),
        name: name.into(),
        description: String::new(),
        agent: None,
        target: Target::Workflow("w".into()),
        trigger: Trigger::Cron(cron.into()),
        zone: "UTC".into(),
        input: "{}".into(),
        missed: Missed::Once,
        overlap: Overlap::Skip,
        jitter_ms: 0,
        when: None,
        deadline_ms: None,
        retries: 0,
        retry_after_ms: 1000,
        enabled: true,
        paused: false,
        created: now,
        updated: now,
        revision: 0,
    }
}

/// What stands in the daemon's place.
struct World {
    store: Store,
    now: Timestamp,
    plan: Plan,
    /// Runs under way, with their ends.
    running: BTreeMap<String, (Timestamp, Firing)>,
    /// How long runs take.
    takes: u64,
    /// What was really done: runs of workflows by their id, other calls by their run and attempt.
    effects: BTreeMap<String, u64>,
    commits: u64,
    /// Killed after this commit, before anything follows from it.
    dies_at: Option<u64>,
}

impl World {
    fn new(now: Timestamp, schedules: &[Schedule]) -> Self {
        let store = Store::memory();
        let mut world = Self {
            store,
            now,
            plan: Plan::default(),
            running: BTreeMap::new(),
            takes: MINUTE,
            effects: BTreeMap::new(),
            commits: 0,
            dies_at: None,
        };
        for schedule in schedules {
            world.write(Request::Put { schedule: Box::new(schedule.clone()), replace: false });
        }
        world.load();
        world
    }

    fn write(&self, request: Request) -> Reply {
        self.store.write(|tx| write(tx, request)).unwrap()
    }

    fn read(&self, request: Request) -> Reply {
        self.store.read(|tx| read(tx, &request)).unwrap()
    }

    fn load(&mut self) {
        self.plan = Plan::default();
        let Reply::Slips(slips) = self.read(Request::Slips { names: None }) else { panic!() };
        for slip in slips.into_iter().filter_map(|(_, slip)| slip) {
            self.plan.put(slip).unwrap();
        }
    }

    /// A commit, and what follows from it unless it is the last of this life.
    fn commit(&mut self, request: Request) {
        let Reply::Fired(fired) = self.write(request) else { panic!() };
        self.commits += 1;
        if self.dies_at == Some(self.commits) {
            return self.restart();
        }
        self.obey(fired);
    }

    /// The daemon is gone with all it held in memory, and another one begins a while later.
    fn restart(&mut self) {
        self.running.clear();
        self.now = Timestamp(self.now.0 + 5_000_000);
        self.write(Request::Rewind { now: self.now });
        let Reply::Fired(fired) = self.write(Request::Recover { now: self.now }) else { panic!() };
        self.commits += 1;
        self.obey(fired);
        self.load();
    }

    fn obey(&mut self, fired: Fired) {
        for (name, watermark) in fired.watermarks {
            match watermark {
                Some(watermark) => self.plan.passed(&name, watermark),
                None => self.plan.remove(&name),
            }
        }
        for firing in fired.cancelled {
            self.running.remove(&firing.key());
            let end = End {
                key: firing.key(),
                at: self.now,
                status: Status::Cancelled,
                result: String::new(),
                failure: None,
                lines: Vec::new(),
            };
            self.commit(Request::End { ends: vec![end], now: self.now });
        }
        for firing in fired.begun {
            match &firing.run {
                // The runner refuses a second run of the same id.
                Some(run) => _ = self.effects.insert(run.clone(), 1),
                None => *self.effects.entry(format!("{}#{}", firing.id, firing.attempts)).or_default() += 1,
            }
            self.running.insert(firing.key(), (Timestamp(self.now.0 + self.takes), firing));
        }
    }

    /// Goes on until then, from one thing that happens to the next.
    fn run_until(&mut self, end: Timestamp) {
        loop {
            let due = self.plan.peek();
            let ends = self.running.values().map(|(ends, _)| *ends).min();
            let Some(next) = due.into_iter().chain(ends).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let over: Vec<String> = self
                .running
                .iter()
                .filter(|(_, (ends, _))| *ends <= self.now)
                .map(|(key, _)| key.clone())
                .collect();
            if !over.is_empty() {
                let ended = |key: String| End {
                    key,
                    at: self.now,
                    status: Status::Completed,
                    result: "{}".into(),
                    failure: None,
                    lines: Vec::new(),
                };
                let ends = over.iter().cloned().map(ended).collect();
                over.iter().for_each(|key| _ = self.running.remove(key));
                self.commit(Request::End { ends, now: self.now });
            }
            let names = self.plan.due(self.now);
            if !names.is_empty() {
                self.commit(Request::Fire { names, now: self.now, host: "{}".into() });
            }
        }
        self.now = self.now.max(end);
    }

    fn history(&self) -> Vec<Firing> {
        let filter = Filter { limit: u32::MAX, ..Filter::default() };
        let Reply::Firings(mut rows) = self.read(Request::History(filter)) else { panic!() };
        rows.reverse();
        rows
    }

    fn statuses(&self) -> Vec<(String, Status)> {
        let short = |at: Timestamp| at.rfc3339()[5..16].to_string();
        self.history().iter().map(|row| (short(row.due), row.status)).collect()
    }
}

/// Every due instant of a schedule in a stretch of time.
fn instants(schedule: &Schedule, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let timetable = Timetable::read(&schedule.trigger, &schedule.zone).unwrap();
    let next = |after: &Timestamp| timetable.shifted(*after, schedule.offset());
    std::iter::successors(next(&from), next).take_while(|due| *due <= to).collect()
}

/// No instant fired twice, none without a row, and what ran was done once.
fn verify(world: &World, schedules: &[Schedule], from: Timestamp, to: Timestamp, what: &str) {
    let history = world.history();
    for schedule in schedules {
        let rows: Vec<&Firing> = history.iter().filter(|row| row.schedule == schedule.name).collect();
        let dues: BTreeSet<Timestamp> = rows.iter().map(|row| row.due).collect();
        assert_eq!(dues.len(), rows.len(), "{what}: an instant of {} has two rows", schedule.name);
        for due in instants(schedule, from, to) {
            let told = rows.iter().any(|row| row.due == due || (row.due <= due && due <= row.until));
            assert!(told, "{what}: {} lost {}", schedule.name, due.rfc3339());
        }
        for row in rows.iter().filter(|row| row.status.ran()) {
            if let Some(run) = &row.run {
                assert_eq!(
                    world.effects.get(run),
                    Some(&1),
                    "{what}: {} {}",
                    row.schedule,
                    row.due.rfc3339()
                );
            }
        }
    }
    assert!(world.effects.values().all(|count| *count == 1), "{what}: {:?}", world.effects);
    for row in history.iter().filter(|row| row.status == Status::Running) {
        assert!(world.running.contains_key(&row.key()), "{what}: {} {}", row.schedule, row.due.rfc3339());
    }
}

fn mixed(now: Timestamp) -> Vec<Schedule> {
    let mut all = vec![
        schedule("often", "*/5 * * * *", now),
        schedule("hourly", "0 * * * *", now),
        schedule("queued", "0,1,2 * * * *", now),
        schedule("replaced", "30-33 * * * *", now),
        schedule("tool", "15 * * * *", now),
        schedule("retried", "45 * * * *", now),
        schedule("spread", "0 * * * *", now),
    ];
    all[2].overlap = Overlap::Queue;
    all[3].overlap = Overlap::Replace;
    all[4].target = Target::Tool("s.t".into());
    (all[5].target, all[5].retries) = (Target::Tool("s.t".into()), 3);
    (all[6].jitter_ms, all[6].missed) = (120_000, Missed::All);
    all
}

#[test]
fn a_crash_after_any_commit_fires_nothing_twice_and_loses_nothing() {
    let (from, to) = (at("2026-06-01T00:00:30Z"), at("2026-06-01T03:30:00Z"));
    let schedules = mixed(from);
    let whole = |dies_at: Option<u64>| {
        let mut world = World::new(from, &schedules);
        world.takes = 90_000_000;
        world.dies_at = dies_at;
        world.run_until(to);
        // Whatever is under way comes to its end; a restart in the middle of that begins some more.
        for _ in 0..3 {
            world.plan = Plan::default();
            world.run_until(Timestamp(world.now.0 + HOUR));
        }
        world
    };
    let calm = whole(None);
    verify(&calm, &schedules, from, to, "calm");
    let commits = calm.commits;
    assert!(commits > 100, "{commits}");
    for dies_at in 1..=commits {
        let world = whole(Some(dies_at));
        verify(&world, &schedules, from, to, &format!("killed after commit {dies_at}"));
        let interrupted = world.history().iter().filter(|row| row.status == Status::Interrupted).count();
        assert!(interrupted <= 1, "killed after commit {dies_at}: {interrupted}");
        assert!(world.history().iter().all(|row| row.status.is_over()), "killed after commit {dies_at}");
    }
}

#[test]
fn sleep_is_made_up_for_as_the_policy_says() {
    let from = at("2026-06-01T00:30:00Z");
    for (missed, expected) in [
        (
            Missed::Skip,
            vec![
                ("06-01T01:00", Status::Completed),
                ("06-01T02:00", Status::Missed),
                ("06-04T03:00", Status::Completed),
            ],
        ),
        (
            Missed::Once,
            vec![
                ("06-01T01:00", Status::Completed),
                ("06-01T02:00", Status::Missed),
                ("06-04T02:00", Status::Completed),
                ("06-04T03:00", Status::Completed),
            ],
        ),
    ] {
        let mut one = schedule("hourly", "0 * * * *", from);
        one.missed = missed;
        let mut world = World::new(from, std::slice::from_ref(&one));
        world.run_until(at("2026-06-01T01:30:00Z"));
        // Three days of suspend: nothing runs, nothing is dealt with, and then it is half past two.
        world.now = at("2026-06-04T02:30:00Z");
        world.run_until(at("2026-06-04T03:30:00Z"));
        let expected: Vec<(String, Status)> =
            expected.into_iter().map(|(due, status)| (due.to_string(), status)).collect();
        assert_eq!(world.statuses(), expected, "{missed:?}");
        let gone = world.history().into_iter().find(|row| row.status == Status::Missed).unwrap();
        assert_eq!((gone.count, gone.more), if missed == Missed::Skip { (73, false) } else { (72, false) });
        verify(&world, &[one], from, at("2026-06-04T03:30:00Z"), "asleep");
    }
}

#[test]
fn a_clock_that_jumps_fires_nothing_twice() {
    let from = at("2026-06-01T00:30:00Z");
    let one = schedule("hourly", "0 * * * *", from);
    let mut world = World::new(from, std::slice::from_ref(&one));
    world.run_until(at("2026-06-01T04:30:00Z"));
    // Two hours back: what fired has fired.
    world.now = at("2026-06-01T02:30:00Z");
    world.run_until(at("2026-06-01T05:30:00Z"));
    // Two hours forward: one run for what was skipped.
    world.now = at("2026-06-01T07:30:00Z");
    world.run_until(at("2026-06-01T08:30:00Z"));
    let fired: Vec<String> = world
        .history()
        .iter()
        .filter(|row| row.status.ran())
        .map(|row| row.due.rfc3339()[11..16].to_string())
        .collect();
    assert_eq!(fired, ["01:00", "02:00", "03:00", "04:00", "05:00", "07:00", "08:00"]);
    assert_eq!(world.effects.len(), 7);
    // A year ahead by mistake, and back: it goes on, and the rows bar what they stand for.
    world.now = at("2027-06-01T00:00:10Z");
    world.run_until(at("2027-06-01T00:10:00Z"));
    world.now = at("2026-06-01T08:40:00Z");
    world.write(Request::Rewind { now: world.now });
    world.load();
    world.run_until(at("2026-06-01T10:30:00Z"));
    let fired: Vec<String> =
        world.history().iter().filter(|row| row.status.ran()).map(|row| row.due.rfc3339()).collect();
    assert_eq!(fired.len(), 10, "{fired:?}");
    assert_eq!(world.effects.len(), 10);
}

#[test]
fn overlapping_runs_follow_the_policy() {
    let from = at("2026-06-01T00:00:30Z");
    let cases = [
        (
            Overlap::Skip,
            vec![Status::Completed, Status::Overlapped, Status::Overlapped, Status::Completed],
            2,
        ),
        (Overlap::Queue, vec![Status::Completed; 4], 4),
        (Overlap::Allow, vec![Status::Completed; 4], 4),
        (
            Overlap::Replace,
            vec![Status::Cancelled, Status::Cancelled, Status::Cancelled, Status::Completed],
            4,
        ),
    ];
    for (overlap, expected, effects) in cases {
        let mut one = schedule("minutely", "1-4 0 * * *", from);
        one.overlap = overlap;
        let mut world = World::new(from, &[one]);
        world.takes = 150_000_000;
        world.run_until(at("2026-06-01T00:30:00Z"));
        let statuses: Vec<Status> = world.history().iter().map(|row| row.status).collect();
        assert_eq!(statuses, expected, "{overlap:?}");
        assert_eq!(world.effects.len(), effects, "{overlap:?}");
        let Reply::Item(item) = world.read(Request::Show { name: "minutely".into() }) else { panic!() };
        assert_eq!((item.state.open, item.state.queued), (vec![], vec![]), "{overlap:?}");
    }
}

#[test]
fn a_queue_stands_still_while_its_schedule_is_held_or_off() {
    let from = at("2026-06-01T00:00:30Z");
    for whom in [Some(Whom::Schedules(vec!["minutely".into()])), Some(Whom::All), None] {
        let one = Schedule { overlap: Overlap::Queue, ..schedule("minutely", "1-3 0 * * *", from) };
        let mut world = World::new(from, &[one]);
        world.takes = 10 * MINUTE;
        let hold = |world: &mut World, paused: bool| {
            world.write(match &whom {
                Some(whom) => Request::Pause { whom: whom.clone(), paused, at: world.now },
                None => Request::Enable { names: vec!["minutely".into()], enabled: !paused, at: world.now },
            });
            world.load();
        };
        let counts = |world: &World| {
            let Reply::Item(item) = world.read(Request::Show { name: "minutely".into() }) else { panic!() };
            (item.state.open.len(), item.state.queued.len(), world.effects.len())
        };
        world.run_until(at("2026-06-01T00:05:00Z"));
        hold(&mut world, true);
        world.run_until(at("2026-06-01T01:00:00Z"));
        world.restart();
        assert_eq!(counts(&world), (0, 2, 1), "{whom:?}: begun although held");
        hold(&mut world, false);
        world.commit(Request::Release { now: world.now });
        world.run_until(at("2026-06-01T02:00:00Z"));
        assert_eq!(counts(&world), (0, 0, 3), "{whom:?}");
    }
}

#[test]
fn pauses_of_a_schedule_its_agent_and_all_are_told_once() {
    let from = at("2026-06-01T00:30:00Z");
    let (mut one, other) = (schedule("one", "0 * * * *", from), schedule("other", "0 * * * *", from));
    one.agent = Some("bot".into());
    let mut world = World::new(from, &[one, other]);
    let pause = |world: &mut World, whom: Whom, paused: bool| {
        world.write(Request::Pause { whom, paused, at: world.now });
        world.load();
    };
    world.run_until(at("2026-06-01T01:30:00Z"));
    pause(&mut world, Whom::Agent("bot".into()), true);
    world.run_until(at("2026-06-01T02:30:00Z"));
    pause(&mut world, Whom::All, true);
    world.run_until(at("2026-06-01T03:30:00Z"));
    // Its agent goes on, but all are still held.
    pause(&mut world, Whom::Agent("bot".into()), false);
    world.run_until(at("2026-06-01T04:30:00Z"));
    pause(&mut world, Whom::All, false);
    world.run_until(at("2026-06-01T05:30:00Z"));
    pause(&mut world, Whom::Schedules(vec!["one".into()]), true);
    world.run_until(at("2026-06-01T06:30:00Z"));
    pause(&mut world, Whom::Schedules(vec!["one".into()]), false);
    let of = |name: &str| -> Vec<(String, Status, u64)> {
        let rows = world.history().into_iter().filter(|row| row.schedule == name);
        rows.map(|row| (row.due.rfc3339()[11..16].into(), row.status, row.count)).collect()
    };
    let row = |due: &str, status: Status, count: u64| (due.to_string(), status, count);
    assert_eq!(
        of("one"),
        [
            row("01:00", Status::Completed, 1),
            row("02:00", Status::Paused, 3),
            row("05:00", Status::Completed, 1),
            row("06:00", Status::Paused, 1),
        ]
    );
    assert_eq!(
        of("other"),
        [
            row("01:00", Status::Completed, 1),
            row("02:00", Status::Completed, 1),
            row("03:00", Status::Paused, 2),
            row("05:00", Status::Completed, 1),
            row("06:00", Status::Completed, 1),
        ]
    );
}

#[test]
fn conditions_inputs_and_agents_are_asked_at_the_due_instant() {
    let from = at("2026-06-01T00:30:00Z");
    let mut one = schedule("one", "0 * * * *", from);
    one.agent = Some("bot".into());
    one.input = r#"{"to":"${{ agent.email }}","due":"${{ schedule.due }}"}"#.into();
    one.when = Some("host.load_avg < 0.8 && last.status != 'failed'".into());
    let world = World::new(from, &[]);
    let context = r#"{"email":"a@example.org"}"#;
    let agent = model::Agent { name: "bot".into(), context: context.into(), ..model::Agent::default() };
    world.write(Request::PutAgent { agent, replace: false });
    world.write(Request::Put { schedule: Box::new(one), replace: false });
    let fire = |now: &str, host: &str| {
        let request = Request::Fire { names: vec!["one".into()], now: at(now), host: host.into() };
        let Reply::Fired(fired) = world.write(request) else { panic!() };
        fired.begun.into_iter().map(|firing| firing.input).collect::<Vec<_>>()
    };
    assert_eq!(fire("2026-06-01T01:00:00Z", r#"{"load_avg":0.9}"#), Vec::<String>::new());
    let begun = fire("2026-06-01T02:00:00Z", r#"{"load_avg":0.1}"#);
    assert_eq!(begun, [r#"{"to":"a@example.org","due":"2026-06-01T02:00:00.000Z"}"#]);
    // What cannot be asked is a failure, and is told.
    assert_eq!(fire("2026-06-01T03:00:00Z", "{}"), Vec::<String>::new());
    let statuses: Vec<Status> = world.history().iter().map(|row| row.status).collect();
    assert_eq!(statuses, [Status::Declined, Status::Running, Status::Failed]);
    let failure = world.history()[2].failure.clone().unwrap();
    assert!(failure.message.contains("load_avg"), "{}", failure.message);
    let Reply::Firings(found) = world.read(Request::History(Filter {
        words: vec!["EXAMPLE.org".into(), "running".into()],
        limit: 5,
        ..Filter::default()
    })) else {
        panic!()
    };
    assert_eq!(found.len(), 1);
}

#[test]
fn the_history_is_kept_by_count_and_age() {
    let from = at("2026-06-01T00:30:00Z");
    let mut world = World::new(from, &[schedule("a", "0 * * * *", from), schedule("b", "0 0 * * *", from)]);
    world.run_until(at("2026-06-05T00:30:00Z"));
    assert_eq!(world.history().len(), 100);
    world.write(Request::Trim { keep: 30, before: at("2026-06-03T12:00:00Z") });
    let rows = world.history();
    let of = |name: &str| rows.iter().filter(|row| row.schedule == name).count();
    assert_eq!((of("a"), of("b")), (30, 2));
    world.write(Request::Delete { names: vec!["a".into()] });
    assert_eq!(world.history().len(), 2);
}

#[test]
fn a_schedule_is_changed_and_goes_on_from_there() {
    let from = at("2026-06-01T00:30:00Z");
    let mut world = World::new(from, &[schedule("a", "0 * * * *", from)]);
    world.run_until(at("2026-06-01T05:10:00Z"));
    let mut moved = schedule("a", "5 * * * *", world.now);
    moved.id = "sch_other".into();
    let taken =
        world.store.write(|tx| write(tx, Request::Put { schedule: Box::new(moved.clone()), replace: false }));
    assert!(taken.unwrap_err().is(&codes::SCHEDULE_EXISTS));
    world.write(Request::Put { schedule: Box::new(moved), replace: true });
    world.load();
    world.run_until(at("2026-06-01T06:30:00Z"));
    let dues: Vec<String> = world.history().iter().map(|row| row.due.rfc3339()[11..16].into()).collect();
    assert_eq!(dues, ["01:00", "02:00", "03:00", "04:00", "05:00", "06:05"]);
    let past = Schedule { trigger: Trigger::At(from), ..schedule("past", "", world.now) };
    let refused =
        world.store.write(|tx| write(tx, Request::Put { schedule: Box::new(past), replace: false }));
    assert!(refused.unwrap_err().is(&codes::VALUE_INVALID));
}

#[test]
fn a_year_of_ten_thousand_schedules_passes_in_seconds() {
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let zones = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"];
    let mut plan = Plan::default();
    let mut expected = 0;
    for number in 0..10_000_u64 {
        let (minute, hour, zone) = (number % 60, number / 60 % 24, zones[(number % 4) as usize]);
        // One in a hundred is daily, the others monthly; both at times that no change of clocks touches.
        let hour = 4 + hour % 18;
        let cron = match number % 100 {
            0 => format!("{minute} {hour} * * *"),
            _ => format!("{minute} {hour} {} * *", 1 + number % 28),
        };
        expected += if number % 100 == 0 { 365 } else { 12 };
        let (trigger, zone) = (Trigger::Cron(cron), zone.to_string());
        plan.put(Slip { name: format!("s{number}"), trigger, zone, offset: 0, watermark: from }).unwrap();
    }
    let mut fired = 0;
    let mut last = from;
    while let Some(now) = plan.peek().filter(|now| *now <= to) {
        assert!(now > last);
        last = now;
        for name in plan.due(now) {
            fired += 1;
            plan.passed(&name, now);
        }
    }
    // Zones east of Greenwich have begun the year, those west of it have not ended it: a firing at most each.
    assert!((expected - 100..=expected + 100).contains(&fired), "{fired} of {expected}");
}

#[test]
fn the_years_nights_of_clock_changes_fire_once() {
    let from = at("2026-01-01T00:00:00Z");
    let nightly = Timetable::read(&Trigger::Cron("30 2 * * *".into()), "Europe/Berlin").unwrap();
    let dues = Dues { timetable: &nightly, offset: 0 };
    let (mut watermark, mut fired) = (from, Vec::new());
    for day in 0..365 {
        let now = Timestamp(from.0 + (day + 1) * DAY);
        let considered = dues.consider(Missed::All, watermark, now);
        assert_eq!(considered.passed, None);
        fired.extend(considered.fire.iter().map(|(due, _)| *due));
        watermark = considered.fire.last().map_or(watermark, |(due, _)| *due);
    }
    assert_eq!(fired.len(), 365);
    assert!(fired.is_sorted());
    let near = |day: &str| {
        fired
            .iter()
            .filter(|due| due.rfc3339().starts_with(day))
            .map(|due| due.rfc3339()[11..16].to_string())
            .collect::<Vec<_>>()
    };
    // In spring the clocks skip it: the first instant after. In autumn it comes twice: the first time.
    assert_eq!((near("2026-03-29"), near("2026-10-25")), (vec!["01:00".into()], vec!["00:30".into()]));
}

#[test]
fn rows_survive_the_store() {
    let from = at("2026-06-01T00:30:00Z");
    let mut world = World::new(from, &[schedule("a", "0 * * * *", from)]);
    world.run_until(at("2026-06-01T01:30:00Z"));
    let row = world.history().remove(0);
    assert_eq!((row.cause, row.attempts, row.lines.len()), (Cause::OnTime, 1, 1));
    assert_eq!(row.id, model::run_id("sch_a", at("2026-06-01T01:00:00Z")));
    assert!(row.run.unwrap().starts_with("wf_"));
    let Reply::Item(item) = world.read(Request::Show { name: "a".into() }) else { panic!() };
    let State { watermark, totals, .. } = item.state;
    assert_eq!((watermark, totals.begun, totals.completed), (at("2026-06-01T01:00:00Z"), 1, 1));
}
