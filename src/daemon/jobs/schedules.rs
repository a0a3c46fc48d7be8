//! Keeps the time for schedules: sleeps until the next is due, has the store decide and write down what follows, and
//! begins what was written down. Start, wake-up after sleep and a jump of the clock all take the same way.
//! Rule: nothing is run that was not committed as begun; what has ended is committed before the next begins.
//! Long because everything here moves between the plan, the store and the runs under way.

mod perform;

use super::Jobs;
use crate::clock::Timestamp;
use crate::engine::live::Event;
use crate::engine::{Reply, StoreRequest};
use crate::error::{Error, Result};
use crate::schedules::model::Firing;
use crate::schedules::plan::Plan;
use crate::schedules::{self, End, Filter, Fired, Request};
use futures_util::future::AbortHandle;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Longest sleep: a clock that jumped, as after a suspend, is noticed after this.
const NAP: Duration = Duration::from_secs(20);
/// Pause after the store could not be written.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Zone data is looked at anew this often, as it changes some times a year.
const ZONES: Duration = Duration::from_secs(3600);
/// A clock that was set back by more was wrong before.
const WRONG_MS: u64 = 3 * 3_600_000;
/// Schedules that are dealt with in one commit.
const BATCH: usize = 2000;

/// What the daemon holds of schedules in memory.
#[derive(Default)]
pub struct Keeper {
    plan: Mutex<Plan>,
    /// Runs under way by the key of their row.
    running: Mutex<HashMap<String, Running>>,
    ends: Mutex<Option<mpsc::UnboundedSender<End>>>,
    /// A run has ended.
    news: Notify,
    /// Held from a commit until what it says is carried out, so that it happens in the order of the commits: a run
    /// that the next commit cancels has been begun by then, or will not be.
    turn: tokio::sync::Mutex<()>,
    /// Runs wait in the queue of a schedule that is off or held.
    held_back: AtomicBool,
}

struct Running {
    firing: Firing,
    task: AbortHandle,
}

impl Keeper {
    /// Schedules with something to come, and runs under way.
    pub fn counts(&self) -> (usize, usize) {
        (self.plan().waiting(), self.running().len())
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the daemon is ending.
    fn is_halted(&self) -> bool {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// Whether the daemon is needed by a schedule.
    pub(super) fn schedules_wait(&self) -> bool {
        let keeps = self.gateway.world().shared.settings.schedules.keep_daemon;
        !self.keeper.running().is_empty() || (keeps && self.keeper.plan().peek().is_some())
    }

    /// Stops all runs as if the daemon had been killed.
    pub fn halt_schedules(&self) {
        *self.keeper.ends.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.keeper.running().values().for_each(|running| running.task.abort());
    }

    /// Keeps the time until the daemon ends. `changes` names schedules that were changed; `None` means all.
    pub async fn keep_schedules(self: Arc<Self>, mut changes: mpsc::UnboundedReceiver<Option<Vec<String>>>) {
        let mut seen = self.now();
        let mut zones = tokio::time::Instant::now();
        loop {
            let now = self.now();
            if seen.since_ms(now) > WRONG_MS {
                // What fails here is tried at the next nap.
                let _ = self.rewind(now).await;
            }
            seen = now;
            if zones.elapsed() > ZONES {
                zones = tokio::time::Instant::now();
                self.look_at_zones();
            }
            if let Err(error) = self.fire(now).await {
                self.diary.line(&format!("schedules could not be dealt with: {error}"));
                tokio::time::sleep(STORE_PAUSE).await;
                let _ = self.load(None).await;
                continue;
            }
            let next = self.keeper.plan().peek();
            if next.is_some_and(|next| next <= now) {
                // The store does not find due what the plan does: zone data changed under it.
                self.look_at_zones();
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
            let nap = next.map_or(NAP, |next| until(self.now(), next).min(NAP));
            tokio::select! {
                changed = changes.recv() => match changed {
                    Some(names) => self.changed(names, &mut changes).await,
                    None => return,
                },
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    fn look_at_zones(&self) {
        jiff::tz::db().reset();
        self.keeper.plan().replan(schedules::timetable::zone);
    }

    /// Goes on with what a former daemon left. Before anybody is listened to, so that no run counts as left that was
    /// just begun.
    pub async fn take_up_schedules(self: &Arc<Self>) {
        let (ends, ended) = mpsc::unbounded_channel();
        *self.keeper.ends.lock().unwrap_or_else(PoisonError::into_inner) = Some(ends);
        tokio::spawn(self.clone().write_ends(ended));
        if let Err(error) = self.recover().await {
            self.diary.line(&format!("schedules could not be taken up: {error}"));
        }
    }

    async fn recover(self: &Arc<Self>) -> Result<()> {
        let now = self.now();
        self.schedule(Request::Rewind { now }).await?;
        let fired = self.carry_out(Request::Recover { now }).await?;
        if !fired.is_empty() {
            self.diary.line(&format!("took up {} runs of schedules", fired.len()));
        }
        self.load(None).await
    }

    async fn rewind(&self, now: Timestamp) -> Result<()> {
        self.schedule(Request::Rewind { now }).await?;
        self.load(None).await
    }

    /// Takes over what changed, however much of it has gathered.
    async fn changed(
        self: &Arc<Self>,
        first: Option<Vec<String>>,
        changes: &mut mpsc::UnboundedReceiver<Option<Vec<String>>>,
    ) {
        let mut names = first;
        while let Ok(more) = changes.try_recv() {
            names = names.zip(more).map(|(mut names, more)| {
                names.extend(more);
                names
            });
        }
        if let Err(error) = self.load(names).await {
            self.diary.line(&format!("schedules could not be read: {error}"));
        }
        if self.keeper.held_back.swap(false, Relaxed)
            && let Err(error) = self.carry_out(Request::Release { now: self.now() }).await
        {
            self.keeper.held_back.store(true, Relaxed);
            self.diary.line(&format!("queues of schedules could not be looked at: {error}"));
        }
    }

    /// Brings the plan up to what the store says.
    async fn load(&self, names: Option<Vec<String>>) -> Result<()> {
        let all = names.is_none();
        let schedules::Reply::Slips(slips) = self.schedule(Request::Slips { names }).await? else {
            return Err(Error::bug("no slips in the reply"));
        };
        let mut plan = self.keeper.plan();
        if all {
            *plan = Plan::default();
        }
        for (name, slip) in slips {
            match slip.map(|slip| plan.put(slip)) {
                None => plan.remove(&name),
                Some(Ok(())) => {}
                Some(Err(error)) => self.diary.line(&format!("schedule {name} cannot be kept: {error}")),
            }
        }
        Ok(())
    }

    /// Has everything dealt with that is due.
    async fn fire(self: &Arc<Self>, now: Timestamp) -> Result<()> {
        let names = self.keeper.plan().due(now);
        for names in names.chunks(BATCH) {
            let host = host();
            let request = Request::Fire { names: names.to_vec(), now, host };
            self.carry_out(request).await?;
        }
        Ok(())
    }

    /// Commits what is decided and carries it out; gives the runs that have begun.
    async fn carry_out(self: &Arc<Self>, request: Request) -> Result<Vec<Firing>> {
        let _turn = self.keeper.turn.lock().await;
        let fired = match self.schedule(request).await? {
            schedules::Reply::Fired(fired) => fired,
            _ => return Err(Error::bug("nothing fired in the reply")),
        };
        let begun = fired.begun.clone();
        self.obey(fired);
        Ok(begun)
    }

    fn obey(self: &Arc<Self>, fired: Fired) {
        {
            let mut plan = self.keeper.plan();
            for (name, watermark) in &fired.watermarks {
                match watermark {
                    Some(watermark) => plan.passed(name, *watermark),
                    None => plan.remove(name),
                }
            }
        }
        if fired.held_back {
            self.keeper.held_back.store(true, Relaxed);
        }
        for firing in fired.cancelled {
            self.cancel_firing(firing);
        }
        for firing in fired.begun {
            self.tell(&firing);
            self.begin_firing(firing);
        }
    }

    /// Writes down what has ended, as much of it in one commit as has gathered, and begins what waited for it.
    async fn write_ends(self: Arc<Self>, mut ended: mpsc::UnboundedReceiver<End>) {
        while let Some(end) = ended.recv().await {
            let mut ends = vec![end];
            while let Ok(end) = ended.try_recv() {
                ends.push(end);
            }
            loop {
                let request = Request::End { ends: ends.clone(), now: self.now() };
                match self.carry_out(request).await {
                    Ok(_) => break,
                    Err(error) => {
                        self.diary.line(&format!("ends of runs could not be written: {error}"));
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
            for end in ends {
                let running = self.keeper.running().remove(&end.key);
                if let Some(mut running) = running {
                    running.firing.status = end.status;
                    self.tell(&running.firing);
                }
            }
            self.keeper.news.notify_waiters();
        }
    }

    fn tell(&self, firing: &Firing) {
        let (schedule, run) = (firing.schedule.clone(), firing.id.clone());
        let event = Event::Schedule { at: self.now(), schedule, run, status: firing.status };
        // Nobody listens: nothing to tell.
        let _ = self.gateway.events.send(event);
    }

    /// Begins a run now.
    pub(super) async fn run_schedule(self: &Arc<Self>, name: &str, wait: bool) -> Result<Vec<Firing>> {
        let request = Request::Begin { name: name.into(), now: self.now(), host: host() };
        let jobs = self.clone();
        // In a task of its own: what is committed is carried out, although whoever asked for it may be gone.
        let run = tokio::spawn(async move { jobs.carry_out(request).await });
        let mut begun = run.await.map_err(|_| Error::bug("beginning a run panicked"))??;
        let ids: Vec<String> = begun.iter().map(|firing| firing.id.clone()).collect();
        if wait {
            begun.clear();
            for id in ids {
                begun.push(self.ended(name, &id).await?);
            }
        }
        Ok(begun)
    }

    async fn ended(&self, name: &str, id: &str) -> Result<Firing> {
        loop {
            let news = self.keeper.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let request = Request::Run { schedule: Some(name.into()), id: id.into() };
            match self.schedule(request).await? {
                schedules::Reply::Firing(firing) if firing.status.is_over() => return Ok(*firing),
                schedules::Reply::Firing(_) => news.await,
                _ => return Err(Error::bug("no run in the reply")),
            }
        }
    }

    /// Looks now; gives the runs that are under way, or with `wait` how those ended.
    pub(super) async fn tick_schedules(self: &Arc<Self>, wait: bool) -> Result<Vec<Firing>> {
        let since = self.now();
        let jobs = self.clone();
        // As above; and what was taken out of the plan and not dealt with comes back into it.
        let look = tokio::spawn(async move {
            let outcome = jobs.fire(since).await;
            if outcome.is_err() {
                let _ = jobs.load(None).await;
            }
            outcome
        });
        look.await.map_err(|_| Error::bug("looking for what is due panicked"))??;
        if wait {
            self.rested().await;
        }
        let filter = Filter {
            since: Some(Timestamp(since.0.saturating_sub(60_000_000))),
            limit: 1000,
            ..Filter::default()
        };
        match self.schedule(Request::History(filter)).await? {
            schedules::Reply::Firings(mut rows) => {
                rows.retain(|row| !row.status.is_over() || row.ended.is_some_and(|ended| ended >= since));
                Ok(rows)
            }
            _ => Err(Error::bug("no history in the reply")),
        }
    }

    /// Waits until no run is under way.
    async fn rested(&self) {
        loop {
            let news = self.keeper.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.keeper.running().is_empty() {
                return;
            }
            news.await;
        }
    }

    /// Cancels the runs of a schedule that are under way.
    pub(super) async fn stop_schedule(self: &Arc<Self>, name: &str) -> Result<Vec<Firing>> {
        // Its name is checked first.
        self.schedule(Request::Show { name: name.into() }).await?;
        // What was just committed as begun is under way after this.
        drop(self.keeper.turn.lock().await);
        let of_it = |running: &&Running| running.firing.schedule == name;
        let stopped: Vec<Firing> =
            self.keeper.running().values().filter(of_it).map(|running| running.firing.clone()).collect();
        let mut ended = Vec::new();
        for firing in stopped {
            let id = firing.id.clone();
            self.cancel_firing(firing);
            ended.push(self.ended(name, &id).await?);
        }
        Ok(ended)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.gateway.world().shared.engine.now()
    }

    async fn schedule(&self, request: Request) -> Result<schedules::Reply> {
        match self.store(StoreRequest::Schedule(Box::new(request))).await? {
            Reply::Schedule(reply) => Ok(reply),
            other => crate::engine::unexpected(&other),
        }
    }

    fn report(&self, end: End) {
        if let Some(ends) = &*self.keeper.ends.lock().unwrap_or_else(PoisonError::into_inner) {
            // The other end lives as long as the daemon.
            let _ = ends.send(end);
        }
    }
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::from_micros(then.0.saturating_sub(now.0))
}

/// What is known of the machine, for conditions: `host.load_avg`, `host.cpus`, as JSON.
fn host() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[cfg(unix)]
    let load = {
        let mut load = [0.0_f64];
        // SAFETY: there is room for the one value asked for.
        let found = unsafe { libc::getloadavg(load.as_mut_ptr(), 1) };
        (found == 1).then_some(load[0])
    };
    #[cfg(not(unix))]
    let load: Option<f64> = None;
    serde_json::json!({"load_avg": load, "cpus": cpus}).to_string()
}
