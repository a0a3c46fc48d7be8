//! Everything the daemon measures, gathered when somebody asks: what is counted as it happens, and how things stand.
//! It looks and changes nothing, and walks no process table: a scrape costs less than a call.

use super::Jobs;
use super::status::own_memory;
use crate::engine::live::{Breaker, Event, ServerStatus, State};
use crate::gateway::Gateway;
use crate::metrics::{Kind, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::broadcast;

pub const RUNS: &str = "runs";
const SCHEDULE_RUNS: &str = "schedule runs";
const SESSIONS: &str = "sessions";

impl Jobs {
    /// Lets the endpoint tell what is measured.
    pub fn offer_metrics(self: &Arc<Self>) {
        let jobs = Arc::downgrade(self);
        self.gateway.measure_by(move || jobs.upgrade().map(|jobs| jobs.measure()));
    }

    /// The same with everything that came before.
    pub(super) async fn measure_all(&self) -> Snapshot {
        self.settle().await;
        self.measure()
    }

    /// Waits for the records of calls that are over: a call is counted when its record is made.
    pub(super) async fn settle(&self) {
        let store = self.gateway.world().shared.engine.store().clone();
        // A full disk is told elsewhere.
        let _ = tokio::task::spawn_blocking(move || store.flush()).await;
    }

    pub(super) fn measure(&self) -> Snapshot {
        let mut all = Snapshot { at: self.gateway.world().shared.engine.now(), families: Vec::new() };
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        all.family("umcp_build_info", Kind::Gauge, "The program's version.").put(&version, 1.0);
        self.gateway.caller.measures.meters.calls(&mut all);
        let handed = self.gateway.caller.calls.load(Relaxed) as f64;
        all.single(
            "umcp_calls_ended",
            Kind::Counter,
            "Calls that are over, those whose record is not made yet too.",
            handed,
        );
        self.servers(&mut all);
        self.sessions_and_runs(&mut all);
        self.store_works(&mut all);
        self.process(&mut all);
        all
    }

    fn servers(&self, all: &mut Snapshot) {
        let statuses = self.stand(&self.gateway.world().all());
        type Part = fn(&ServerStatus) -> f64;
        let parts: [(&str, Kind, &str, Part); 9] = [
            ("umcp_server_up", Kind::Gauge, "Whether the server is connected.", |it| {
                f64::from(u8::from(it.state == State::Ready))
            }),
            ("umcp_server_failing", Kind::Gauge, "Whether the server could not be started.", |it| {
                f64::from(u8::from(it.state.is_failing()))
            }),
            (
                "umcp_server_breaker_open",
                Kind::Gauge,
                "Whether the server is left alone for a while.",
                |it| f64::from(u8::from(it.breaker != Breaker::Closed)),
            ),
            ("umcp_server_calls_in_flight", Kind::Gauge, "Requests the server is working on.", |it| {
                it.in_flight as f64
            }),
            ("umcp_server_calls_waiting", Kind::Gauge, "Requests that wait for room at the server.", |it| {
                it.waiting as f64
            }),
            ("umcp_server_tools", Kind::Gauge, "Tools the server offers.", |it| it.tools.unwrap_or(0) as f64),
            ("umcp_server_requests_total", Kind::Counter, "Requests sent to the server.", |it| {
                it.calls as f64
            }),
            ("umcp_server_failures_total", Kind::Counter, "Requests the server did not answer well.", |it| {
                it.failures as f64
            }),
            ("umcp_server_restarts_total", Kind::Counter, "Starts after the first.", |it| it.restarts as f64),
        ];
        for (name, kind, help, of) in parts {
            let family = all.family(name, kind, help);
            for status in &statuses {
                family.put(&[("server", &status.name)], of(status));
            }
        }
    }

    fn sessions_and_runs(&self, all: &mut Snapshot) {
        let meters = &self.gateway.caller.measures.meters;
        let mut doors: BTreeMap<&str, u64> = BTreeMap::new();
        for session in self.gateway.hub.all() {
            *doors.entry(session.arrival.door.word()).or_default() += 1;
        }
        let family = all.family("umcp_sessions", Kind::Gauge, "Clients that are connected.");
        for (door, count) in doors {
            family.put(&[("door", door)], count as f64);
        }
        let opened = meters.tallies(SESSIONS).iter().map(|(_, count)| count).sum::<u64>();
        all.single("umcp_sessions_opened_total", Kind::Counter, "Clients that connected.", opened as f64);
        let waiting = self.gateway.caller.guard.desk.list(all.at).waiting.len();
        all.single("umcp_approvals_waiting", Kind::Gauge, "Calls that wait for the user.", waiting as f64);
        all.single(
            "umcp_runs_active",
            Kind::Gauge,
            "Runs of workflows under way.",
            self.runner.count() as f64,
        );
        let (planned, running) = self.keeper.counts();
        all.single("umcp_schedules", Kind::Gauge, "Schedules with something to come.", planned as f64);
        all.single("umcp_schedule_runs_active", Kind::Gauge, "Runs of schedules under way.", running as f64);
        for (name, what, help) in [
            ("umcp_runs_total", RUNS, "Runs of workflows that are over."),
            ("umcp_schedule_runs_total", SCHEDULE_RUNS, "What became of due instants of schedules."),
        ] {
            let family = all.family(name, Kind::Counter, help);
            for (word, count) in meters.tallies(what) {
                family.put(&[("status", &word)], count as f64);
            }
        }
    }

    fn store_works(&self, all: &mut Snapshot) {
        let store = self.gateway.world().shared.engine.store();
        let (commits, us) = store.commits();
        all.single("umcp_store_commits_total", Kind::Counter, "Commits to the disk.", commits as f64);
        let help = "Time that writes to the store took, what they did before the commit too.";
        all.single("umcp_store_commit_seconds_total", Kind::Counter, help, us as f64 / 1e6);
        all.single(
            "umcp_store_queue",
            Kind::Gauge,
            "Records that wait to be written.",
            store.waiting() as f64,
        );
        all.single(
            "umcp_store_dropped_total",
            Kind::Counter,
            "Records that were lost.",
            store.dropped() as f64,
        );
    }

    /// Under the names that are usual for any process.
    fn process(&self, all: &mut Snapshot) {
        let started = self.started.0 as f64 / 1e6;
        all.single(
            "process_start_time_seconds",
            Kind::Gauge,
            "When the daemon started, since 1970.",
            started,
        );
        if let Some(bytes) = own_memory() {
            all.single("process_resident_memory_bytes", Kind::Gauge, "Memory of the daemon.", bytes as f64);
        }
        if let Some(seconds) = own_cpu() {
            all.single("process_cpu_seconds_total", Kind::Counter, "Processor time of the daemon.", seconds);
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            all.single("process_open_fds", Kind::Gauge, "Files the daemon has open.", open.count() as f64);
        }
    }
}

/// Counts what happens beside calls, until the gateway is gone.
pub async fn keep_tallies(gateway: Arc<Gateway>, mut news: broadcast::Receiver<Event>) {
    let measures = gateway.caller.measures.clone();
    let meters = &measures.meters;
    drop(gateway);
    loop {
        match news.recv().await {
            Ok(Event::Session { opened: true, .. }) => meters.tally(SESSIONS, "opened"),
            Ok(Event::Schedule { status, .. }) if status.is_over() => {
                meters.tally(SCHEDULE_RUNS, status.word())
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Processor time of this process in seconds, where the system tells.
#[cfg(unix)]
fn own_cpu() -> Option<f64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the place is as large as the system wants it, and read only when it was filled.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Some(seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

#[cfg(not(unix))]
fn own_cpu() -> Option<f64> {
    None
}
