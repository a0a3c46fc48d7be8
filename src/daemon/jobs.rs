//! What the daemon answers on its local socket: store requests through the engine, live requests from the running
//! world. Plain data in, plain data out; text for people is made elsewhere.
//! Long because every live request has its arm here.

mod accounts;
mod alerts;
mod approvals;
mod calls;
mod listeners;
pub mod metrics;
mod missing;
mod present;
mod runs;
mod schedules;
mod status;
mod trial;
mod trim;

use super::diary::Diary;
use super::wire::Hello;
use crate::calls::runner::Runner;
use crate::clock::Timestamp;
use crate::engine::live::{Event, Found, Live, LiveReply, Mode, Refreshed};
use crate::engine::{Reply, Request, StoreRequest};
use crate::error::{Error, Result};
use crate::gateway::http::Opened;
use crate::gateway::{Gateway, guard};
use crate::tools::model::Facts;
use crate::upstream::supervisor::Upstream;
use crate::upstream::view::{View, ViewTool};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A call of a tool nobody has seen yet waits this long for servers to be listed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything the daemon can be asked.
pub struct Jobs {
    gateway: Arc<Gateway>,
    pub runner: Arc<Runner>,
    keeper: schedules::Keeper,
    watch: alerts::Watch,
    leave: mpsc::Sender<()>,
    started: Timestamp,
    /// Requests being answered on the socket.
    present: AtomicUsize,
    listening: Mutex<Vec<Opened>>,
    diary: Arc<Diary>,
    foreground: bool,
}

impl Jobs {
    pub fn new(
        gateway: Arc<Gateway>,
        leave: mpsc::Sender<()>,
        diary: Arc<Diary>,
        foreground: bool,
    ) -> Arc<Self> {
        let started = gateway.world().shared.engine.now();
        let runner = Runner::new(gateway.caller.clone(), gateway.events.clone());
        let (present, listening) = (AtomicUsize::new(0), Mutex::default());
        let (keeper, watch) = (schedules::Keeper::default(), alerts::Watch::default());
        Arc::new(Self {
            gateway,
            runner,
            keeper,
            watch,
            leave,
            started,
            present,
            listening,
            diary,
            foreground,
        })
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Asks the daemon to end.
    pub fn leave(&self) {
        let _ = self.leave.try_send(());
    }

    /// Whether somebody needs the daemon now.
    pub fn is_needed(&self) -> bool {
        self.present.load(Relaxed) > 0
            || self.gateway.hub.count() > 0
            || self.runner.count() > 0
            || self.schedules_wait()
            || !self.listening().is_empty()
            || self.gateway.caller.guard.desk.is_waiting()
    }

    /// Answers one request. Dropping the future cancels what it started.
    pub async fn answer(
        self: &Arc<Self>,
        request: Request,
        events: mpsc::UnboundedSender<Event>,
        hello: &Hello,
    ) -> Result<Reply> {
        let answered = async {
            match request {
                Request::Store(request) => self.store(request).await,
                Request::Live(live) => self.live(live, events, hello).await.map(Reply::Live),
            }
        };
        guard::caught("a request of the command line", answered).await?
    }

    async fn store(&self, request: StoreRequest) -> Result<Reply> {
        // Beside the runtime, reads too: a look at all records or catalogues takes longer than a call may wait.
        let engine = self.gateway.world().shared.engine.clone();
        let (take, answered) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            engine.answer(request, |reply| {
                // Whoever asked may be gone.
                let _ = take.send(reply);
                // On a processor of their own or not, they go on before what nobody waits for.
                std::thread::yield_now();
            });
        });
        answered.await.map_err(|_| Error::bug("a store request panicked"))?
    }

    async fn live(
        self: &Arc<Self>,
        live: Live,
        events: mpsc::UnboundedSender<Event>,
        hello: &Hello,
    ) -> Result<LiveReply> {
        let world = self.gateway.world();
        match live {
            Live::Status => Ok(LiveReply::Status(Box::new(self.status()))),
            Live::Alerts => self.alerts().await.map(LiveReply::Alerts),
            Live::TestAlert { expression, window_ms } => {
                self.test_alert(&expression, window_ms).await.map(LiveReply::AlertTested)
            }
            Live::Traces(ask) => {
                self.settle().await;
                Ok(LiveReply::Traces(self.gateway.caller.measures.spans.told(&ask)))
            }
            Live::Metrics => Ok(LiveReply::Metrics(Box::new(self.measure_all().await))),
            Live::Stop => {
                self.leave();
                Ok(LiveReply::Done)
            }
            Live::Listen(listening) => self.listen(listening).await.map(LiveReply::Listening),
            Live::Invite { profile, scopes } => self.invite(profile, scopes),
            Live::Reload => self.reload().map(LiveReply::Listeners),
            Live::Call(call) => self.call(call, events, hello).await.map(LiveReply::Called),
            Live::Start { names } => {
                let chosen = world.select(&names)?;
                let started = chosen.iter().map(|upstream| upstream.connect(0));
                let outcomes = futures_util::future::join_all(started).await;
                for outcome in outcomes {
                    outcome?;
                }
                Ok(LiveReply::Servers(self.statuses(&chosen)))
            }
            Live::StopServers { names } => {
                let chosen = if names.is_empty() { world.all() } else { world.select(&names)? };
                futures_util::future::join_all(chosen.iter().map(|upstream| upstream.stop())).await;
                Ok(LiveReply::Servers(self.statuses(&chosen)))
            }
            Live::Restart { names } => {
                let chosen = world.select(&names)?;
                let restart = |upstream: Arc<Upstream>| async move {
                    upstream.stop().await;
                    upstream.reset();
                    upstream.connect(0).await
                };
                for outcome in futures_util::future::join_all(chosen.iter().cloned().map(restart)).await {
                    outcome?;
                }
                Ok(LiveReply::Servers(self.statuses(&chosen)))
            }
            Live::Fetch { url, allow_private } => {
                crate::upstream::app::document::fetch(&url, allow_private).await.map(LiveReply::Fetched)
            }
            Live::Download { url, to, limit, allow_loopback } => {
                crate::upstream::app::document::download(&url, &to, limit, allow_loopback).await?;
                Ok(LiveReply::Done)
            }
            Live::Test { name } => Ok(LiveReply::Test(Box::new(self.test(&name).await?))),
            Live::Offer { server } => self.offer(*server).await.map(|it| LiveReply::Offered(Box::new(it))),
            Live::Refresh { names, bounded } => self.refresh(&names, bounded).await.map(LiveReply::Refreshed),
            Live::ResetBreakers { names } => {
                let chosen = if names.is_empty() { world.all() } else { world.select(&names)? };
                chosen.iter().for_each(|upstream| upstream.reset());
                Ok(LiveReply::Servers(self.statuses(&chosen)))
            }
            Live::View { profile, client, mode } => {
                let view = self.view(profile.as_deref(), &client, mode, hello).await?;
                Ok(LiveReply::View(self.gateway.listed(&view).await))
            }
            Live::Search { query, limit, profile } => {
                let view = self.view(profile.as_deref(), "", None, hello).await?;
                let gateway = self.gateway.clone();
                let found = tokio::task::spawn_blocking(move || {
                    let found = gateway.search(&view, &query, limit as usize);
                    found.into_iter().map(|(doc, score)| found_tool(&view.tools[doc], score)).collect()
                });
                let found = found.await;
                found
                    .map(LiveReply::Search)
                    .map_err(|error| Error::bug("a search did not end").because(error))
            }
            Live::Raw { server, method, params } => {
                self.raw(&server, &method, &params, hello).await.map(LiveReply::Raw)
            }
            Live::Sessions => Ok(LiveReply::Sessions(self.sessions())),
            Live::Approvals => Ok(self.approvals()),
            Live::Approve { id, allow, for_ms } => self.approve(id, allow, for_ms),
            Live::Forget { client } => {
                self.gateway.caller.guard.forget(client.as_deref());
                Ok(LiveReply::Done)
            }
            Live::Account(request) => self.account(request).await.map(LiveReply::Account),
            Live::RunWorkflow(request) => self.run_workflow(request, &events).await.map(run_reply),
            Live::OrderRun { run, order } => self.runner.order(&run, order).await.map(run_reply),
            Live::RunSchedule { name, wait } => self.run_schedule(&name, wait).await.map(LiveReply::Firings),
            Live::TickSchedules { wait } => self.tick_schedules(wait).await.map(LiveReply::Firings),
            Live::StopSchedule { name } => self.stop_schedule(&name).await.map(LiveReply::Firings),
            Live::FollowRun { run } => {
                let (run, _) = self.runner.load(&run).await?;
                self.follow_run(&run.id, &events).await.map(run_reply)
            }
            Live::Unlock { key } => world.hold_key(Some(&key)).map(|()| LiveReply::Done),
            Live::Lock => world.hold_key(None).map(|()| LiveReply::Done),
            Live::Follow => self.follow(events).await,
        }
    }

    async fn view(
        &self,
        profile: Option<&str>,
        client: &str,
        mode: Option<Mode>,
        hello: &Hello,
    ) -> Result<Arc<View>> {
        let mut profile = self.gateway.world().profile(profile, client, hello.cwd.as_deref())?;
        if let Some(mode) = mode {
            Arc::make_mut(&mut profile).mode = mode;
        }
        let _ = tokio::time::timeout(PATIENCE, self.gateway.world().list_missing()).await;
        Ok(self.gateway.world().view(&profile, &client.into(), None))
    }

    /// Lists anew; when `bounded`, one that dawdles costs the others no more than the wait of a first list.
    async fn refresh(&self, names: &[String], bounded: bool) -> Result<Vec<Refreshed>> {
        let world = self.gateway.world();
        let chosen = world.select(names)?;
        let patience = Duration::from_millis(world.shared.settings.gateway.first_list_ms);
        let lists = chosen.iter().map(|upstream| async move {
            let fetched = match bounded {
                true => upstream.list_within(patience).await,
                false => upstream.list_anew().await,
            };
            let tools = fetched.as_ref().map_or(0, |catalogue| catalogue.tools.len() as u64);
            Refreshed { server: upstream.name().into(), tools, error: fetched.err() }
        });
        Ok(futures_util::future::join_all(lists).await)
    }

    async fn follow(&self, events: mpsc::UnboundedSender<Event>) -> Result<LiveReply> {
        let mut happening = self.gateway.events.subscribe();
        loop {
            match happening.recv().await {
                Ok(event) => {
                    if events.send(event).is_err() {
                        return Ok(LiveReply::Done);
                    }
                }
                // A slow follower misses events rather than holding them up.
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(LiveReply::Done),
            }
        }
    }
}

fn run_reply(run: crate::workflows::Run) -> LiveReply {
    LiveReply::Run(Box::new(run))
}

fn found_tool(tool: &ViewTool, score: f32) -> Found {
    let facts: Facts = serde_json::from_str(&tool.json).unwrap_or_default();
    Found {
        name: tool.exposed.clone(),
        server: tool.upstream.name().into(),
        tool: tool.tool.clone(),
        description: facts.description.unwrap_or_default(),
        score,
    }
}
