//! What follows a commit and what happens in the world: the running world takes it over, the names for completion are
//! written, the daemon's log gets its line. Nothing here decides; whoever made the change waits for the world alone.

use crate::daemon::diary::Diary;
use crate::daemon::jobs::metrics::RUNS;
use crate::engine::live::Event;
use crate::engine::{Engine, Reply, StoreRequest, Watcher};
use crate::gateway::Gateway;
use crate::policy::{self, grant};
use crate::servers::{self, model::Transport};
use crate::skills;
use crate::tools;
use crate::upstream::{Change, Upstream};
use crate::usage;
use crate::workflows;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc};

/// Names for completion are written so long after a change.
const NAMES_REST: Duration = Duration::from_millis(150);

/// Follows the engine's commits.
pub(super) struct Followers {
    /// There once the world is.
    pub gateway: Arc<OnceLock<Arc<Gateway>>>,
    pub diary: Arc<Diary>,
    /// Names that completion offers changed.
    pub renamed: Arc<Notify>,
    /// A memory has a new text.
    pub brought: Arc<Notify>,
    /// Alerts changed.
    pub realerted: Arc<Notify>,
    /// The keeper of the schedules is told which of them changed; `None` means all.
    pub keeper: mpsc::UnboundedSender<Option<Vec<String>>>,
}

impl Watcher for Followers {
    fn committed(&self, request: &StoreRequest, reply: &Reply) {
        if let StoreRequest::Schedule(request) = request
            && let Some(names) = request.replans()
        {
            // It is gone when the daemon ends.
            let _ = self.keeper.send(names);
        }
        if let Some(gateway) = self.gateway.get() {
            take_over(gateway, request, reply);
            tally(gateway, request);
        }
        // Before the answer: what whoever asked does next stands below it.
        if let Some(what) = noted(request) {
            self.diary.line(what);
        }
    }

    fn answered(&self, request: &StoreRequest) {
        if request.renames() {
            self.renamed.notify_one();
        }
        if matches!(request, StoreRequest::Memory(request) if request.brings_text()) {
            self.brought.notify_one();
        }
        if matches!(request, StoreRequest::Alert(request) if request.changes_rules()) {
            self.realerted.notify_one();
        }
    }
}

/// What of the running world a commit changed.
fn change(request: &StoreRequest, reply: &Reply) -> Option<Change> {
    match request {
        StoreRequest::Server(servers::Request::Enable { .. }) => match reply {
            Reply::Server(servers::Reply::Servers(edited)) => Some(Change::Edited(edited.clone())),
            _ => Some(Change::Servers),
        },
        StoreRequest::Server(_) | StoreRequest::Install(_) | StoreRequest::Package(_) => {
            Some(Change::Servers)
        }
        StoreRequest::Workflow(request) if request.changes_tools() => Some(Change::Servers),
        StoreRequest::Tool(tools::Request::PutCatalogues(_)) => None,
        StoreRequest::Tool(tools::Request::Forget { servers }) => Some(Change::Forgotten(servers.clone())),
        StoreRequest::Tool(_) => Some(Change::Preferences),
        StoreRequest::Profile(_) => Some(Change::Profiles),
        StoreRequest::Policy(_) => Some(Change::Policy),
        StoreRequest::Secret(request) => request.changes().map(Change::Secrets),
        StoreRequest::Token(_)
        | StoreRequest::Usage(_)
        | StoreRequest::Alert(_)
        | StoreRequest::Audit(_)
        | StoreRequest::Workflow(_)
        | StoreRequest::Schedule(_)
        | StoreRequest::Memory(_)
        | StoreRequest::Skill(_)
        | StoreRequest::App(_)
        | StoreRequest::Packages(_)
        | StoreRequest::Catalogue(_)
        | StoreRequest::Integration(_) => None,
    }
}

/// The running world takes over what changed, and clients are told. Whoever changed it waits for this, so it reads no
/// more than that.
fn take_over(gateway: &Arc<Gateway>, request: &StoreRequest, reply: &Reply) {
    if matches!(request, StoreRequest::Tool(tools::Request::PutCatalogues(_)) | StoreRequest::Package(_)) {
        // A store that cannot be read is told to the next one who asks it.
        let _ = gateway.world().read_pins();
    }
    if let StoreRequest::Usage(request) = request {
        count(gateway, request);
    }
    if matches!(request, StoreRequest::Skill(request) if request.changes_skills()) {
        offer_skills(gateway);
    }
    if matches!(request, StoreRequest::Integration(_) | StoreRequest::Server(_)) {
        gateway.world().shared.accounts.changed();
    }
    if matches!(request, StoreRequest::Token(_))
        && !matches!(request, StoreRequest::Token(policy::Request::Grant(grant::Request::Register { .. })))
    {
        gateway.forget_tokens();
    }
    let Some(change) = change(request, reply) else { return };
    // A store that cannot be read is told to the next one who asks it.
    let _ = gateway.world().sync(&change);
    if matches!(request, StoreRequest::Workflow(_)) {
        list_workflows(gateway);
    }
    if gateway.hub.count() > 0 && !matches!(request, StoreRequest::Secret(_)) {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.world().list_missing().await });
    }
}

/// Notes the runs of workflows that begin, and counts those that are over.
fn tally(gateway: &Gateway, request: &StoreRequest) {
    let StoreRequest::Workflow(request) = request else { return };
    let measures = &gateway.caller.measures;
    match request {
        workflows::Request::Begin { run, .. } => {
            measures.spans.begin(&run.id, &run.workflow, run.parent.as_deref(), run.started);
        }
        workflows::Request::Record { run, events, at, .. } => {
            for event in events {
                if let workflows::journal::Event::Ended { status, failure, .. } = event {
                    measures.meters.tally(RUNS, status.word());
                    let code = failure.as_ref().map(|failure| failure.code.clone());
                    measures.spans.end(run, status.word(), code, *at);
                }
            }
        }
        _ => {}
    }
}

/// Quotas are counted in memory: what changes them, and what is reported beside the calls, is told to them.
fn count(gateway: &Gateway, request: &usage::Request) {
    let (quotas, engine) = (&gateway.caller.quotas, &gateway.world().shared.engine);
    match request {
        // A store that cannot be read is told to the next one who asks it.
        usage::Request::Quota(_) | usage::Request::Price(_) | usage::Request::User(_) => {
            drop(quotas.reload(engine))
        }
        usage::Request::Record { reports, now } => quotas.report(reports, *now),
        _ => {}
    }
}

/// Servers that offer skills are asked again what they offer; whoever changed a skill does not wait for that.
fn offer_skills(gateway: &Arc<Gateway>) {
    // A store that cannot be read is told to the next one who asks it.
    let _ = gateway.world().read_pins();
    for upstream in gateway.world().all() {
        let offers =
            matches!(&upstream.entry.transport, Transport::Builtin { name } if name == skills::SERVER);
        if offers && upstream.entry.enabled {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                // A failure is noted with the server.
                let _ = upstream.list_anew().await;
                gateway.world().touch();
            });
        }
    }
}

/// Reads anew which workflows are tools; clients are told when that is another list.
fn list_workflows(gateway: &Arc<Gateway>) {
    let offering = |upstream: &Arc<Upstream>| upstream.entry.enabled && upstream.entry.offers_workflows();
    for upstream in gateway.world().all().into_iter().filter(offering) {
        // What goes wrong is noted with the server.
        tokio::spawn(async move { upstream.list_anew().await });
    }
}

/// Writes the names for completion a moment after they changed: whoever changed them waits for the disk already, and
/// many changes make one file.
pub(super) async fn keep_names(names: Engine, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        tokio::time::sleep(NAMES_REST).await;
        let names = names.clone();
        let _ = tokio::task::spawn_blocking(move || names.refresh_names()).await;
    }
}

/// Makes the vectors of memories beside the calls: those that are missing at the start, then those of new texts.
pub(super) async fn keep_meaning(engine: Engine, brought: Arc<Notify>) {
    loop {
        let mut after = Some(0);
        while let Some(number) = after {
            let engine = engine.clone();
            let made = tokio::task::spawn_blocking(move || engine.make_vectors(number)).await;
            // What cannot be made now is made with the next text; until then words find it.
            after = made.ok().and_then(Result::ok).flatten();
        }
        brought.notified().await;
    }
}

/// Writes down what happens, calls apart, until the gateway is gone.
pub(super) async fn keep_diary(diary: Arc<Diary>, mut news: broadcast::Receiver<Event>) {
    use broadcast::error::RecvError;
    loop {
        match news.recv().await {
            Ok(event) => diary.event(&event),
            Err(RecvError::Lagged(count)) => {
                diary.line(&format!("{count} events came too fast to be logged"))
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// What the user changed, without what it was: names and values belong to the store.
fn noted(request: &StoreRequest) -> Option<&'static str> {
    Some(match request {
        StoreRequest::Server(_) | StoreRequest::Install(_) | StoreRequest::Package(_) => {
            "servers were changed"
        }
        StoreRequest::Profile(_) => "profiles were changed",
        // Strangers may register, and tokens are refreshed every hour.
        StoreRequest::Token(policy::Request::Grant(
            grant::Request::Register { .. } | grant::Request::Refresh { .. },
        )) => return None,
        StoreRequest::Token(_) => "keys were changed",
        StoreRequest::Secret(_) => "secrets were changed",
        StoreRequest::Policy(_) => "the policy was changed",
        StoreRequest::Skill(_) => "skills were changed",
        // What becomes of accounts is told as an event.
        StoreRequest::Tool(_)
        | StoreRequest::Usage(_)
        | StoreRequest::Audit(_)
        | StoreRequest::Workflow(_)
        | StoreRequest::Memory(_)
        | StoreRequest::App(_)
        | StoreRequest::Packages(_)
        | StoreRequest::Catalogue(_)
        | StoreRequest::Integration(_) => return None,
        StoreRequest::Schedule(request) if request.replans().is_none() => return None,
        StoreRequest::Schedule(_) => "schedules were changed",
        // What alerts find is told as an event.
        StoreRequest::Alert(request) if !request.changes_rules() => return None,
        StoreRequest::Alert(_) => "alerts were changed",
    })
}
