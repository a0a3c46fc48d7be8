//! The waist: a typed request in, one transaction, a typed reply out. No async, no text for people.
//! Whoever owns the store holds an [`Engine`]; everybody else sends the same request over the socket.

pub mod accounts;
mod changes;
pub mod live;
mod meaning;
pub mod names_index;
pub mod request;
pub mod vault;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::policy::rules;
use crate::store::{Fold, Store, Writer};
use crate::{
    alerts, apps, audit, catalogue, environments, integrations, memory, packages, policy, schedules, secrets,
    servers, skills, tools, usage, workflows,
};
pub use live::{Live, LiveReply};
pub use meaning::Meaning;
use names_index::NamesIndex;
pub use request::{Deploy, Install, Reply, Request, StoreRequest};
use std::path::PathBuf;
use std::sync::Arc;

/// Called after every commit, with what was asked and answered.
pub trait Watcher: Send + Sync {
    /// What whoever asked waits for: the running world is told.
    fn committed(&self, request: &StoreRequest, reply: &Reply);

    /// What nobody waits for.
    fn answered(&self, request: &StoreRequest);
}

/// The one way to the durable state.
#[derive(Clone)]
pub struct Engine {
    store: Store,
    clock: Clock,
    names_index: Option<Arc<NamesIndex>>,
    watcher: Option<Arc<dyn Watcher>>,
    meaning: Option<Meaning>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.store).finish()
    }
}

impl Engine {
    pub fn new(store: Store, clock: Clock) -> Self {
        store.fold(Fold::new(&usage::CALLS, usage::rollup::fold));
        store.tell_losses(|batch, lost| {
            let event = audit::Event::Lost { records: lost.records, from: lost.first, until: lost.last };
            batch.link(&audit::AUDIT, lost.last, audit::body(lost.last, event));
        });
        Self { store, clock, names_index: None, watcher: None, meaning: None }
    }

    /// Keeps the names for shell completion in this file after every change of them.
    #[must_use]
    pub fn with_names_index(mut self, path: PathBuf) -> Self {
        self.names_index = Some(Arc::new(NamesIndex::new(path)));
        self
    }

    #[must_use]
    pub fn with_watcher(mut self, watcher: Arc<dyn Watcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Answers a request in one transaction. A write is durable when this returns.
    pub fn call(&self, request: StoreRequest) -> Result<Reply> {
        let mut answered = None;
        self.answer(request, |reply| answered = Some(reply));
        answered.unwrap_or_else(|| Err(Error::bug("a store request was not answered")))
    }

    /// The same; what nobody waits for is done after the answer was taken.
    pub fn answer(&self, request: StoreRequest, take: impl FnOnce(Result<Reply>)) {
        let request = self.understood(request);
        if !request.writes() {
            return take(self.read(&request));
        }
        let asked = request.clone();
        let reply = self.write(request, &asked);
        let done = reply.is_ok();
        take(reply);
        if done {
            if asked.renames() {
                self.refresh_names();
            }
            if let Some(watcher) = &self.watcher {
                watcher.answered(&asked);
            }
        }
    }

    fn read(&self, request: &StoreRequest) -> Result<Reply> {
        if matches!(request, StoreRequest::Usage(_) | StoreRequest::Audit(_)) {
            // Whoever asks for records sees those of what he did before. When they cannot be written, those that
            // are there have to do.
            let _ = self.store.flush();
        }
        self.store.read(|tx| match request {
            StoreRequest::Server(request) => servers::read(tx, request).map(Reply::Server),
            StoreRequest::Tool(request) => tools::read(tx, request).map(Reply::Tool),
            StoreRequest::Profile(request) => environments::read(tx, request).map(Reply::Profile),
            StoreRequest::Token(request) => policy::read(tx, request).map(Reply::Token),
            StoreRequest::Policy(request) => rules::read(tx, request).map(Reply::Policy),
            StoreRequest::Audit(request) => audit::read(tx, request).map(Reply::Audit),
            StoreRequest::Usage(request) => usage::read(tx, request).map(Reply::Usage),
            StoreRequest::Alert(request) => alerts::read(tx, request).map(Reply::Alert),
            StoreRequest::Integration(request) => integrations::read(tx, request).map(Reply::Integration),
            StoreRequest::Workflow(request) => workflows::read(tx, request).map(Reply::Workflow),
            StoreRequest::Schedule(request) => schedules::read(tx, request).map(Reply::Schedule),
            StoreRequest::Memory(request) => memory::read(tx, request).map(Reply::Memory),
            StoreRequest::Skill(request) => skills::read(tx, request).map(Reply::Skill),
            StoreRequest::Secret(request) => secrets::read(tx, request).map(Reply::Secret),
            StoreRequest::App(request) => apps::read(tx, request).map(Reply::App),
            StoreRequest::Catalogue(request) => catalogue::read(tx, request).map(Reply::Catalogue),
            StoreRequest::Packages(request) => packages::read(tx, request).map(Reply::Packages),
            StoreRequest::Install(_) | StoreRequest::Package(_) => Err(Error::bug("an installation writes")),
        })
    }

    fn write(&self, request: StoreRequest, asked: &StoreRequest) -> Result<Reply> {
        let now = self.now();
        let reply = self.store.write(|tx| {
            let reply = write(tx, request)?;
            // In the same transaction: no change without its record.
            if let Some(change) = changes::change(asked) {
                tx.link(&audit::AUDIT, now, audit::body(now, change))?;
            }
            Ok(reply)
        })?;
        if let Some(watcher) = &self.watcher {
            watcher.committed(asked, &reply);
        }
        Ok(reply)
    }

    /// Hands the records of a call to the writer thread, which makes them, and returns at once.
    pub fn append_call(
        &self,
        at: Timestamp,
        audited: bool,
        make: impl FnOnce() -> (Option<usage::Call>, Option<audit::Event>) + Send + 'static,
    ) {
        // A full queue drops the record and counts it; no call fails for its own record.
        let _ = self.store.append_later(audited.then_some(at), move |batch| {
            let (call, event) = make();
            if let Some(call) = call {
                batch.push(&usage::CALLS, at, &call);
            }
            if let Some(event) = event {
                batch.link(&audit::AUDIT, at, audit::body(at, event));
            }
        });
    }

    /// Hands a record of the audit trail to the writer thread and returns at once.
    pub fn audit(&self, event: audit::Event) {
        let now = self.now();
        let _ = self.store.append_link(&audit::AUDIT, now, audit::body(now, event));
    }

    /// Makes the names index anew; a failure costs only completions, so it is not an error of the command.
    pub fn refresh_names(&self) {
        if let Some(index) = &self.names_index {
            index.refresh(self);
        }
    }

    /// All servers, by name.
    pub fn servers(&self) -> Result<Vec<servers::Server>> {
        self.store.read(servers::all)
    }

    /// One server by name or id.
    pub fn server(&self, name: &str) -> Result<servers::Server> {
        self.store.read(|tx| servers::find(tx, name))
    }
}

/// Writes, and what they entail in other nouns.
fn write(tx: &mut Writer, request: StoreRequest) -> Result<Reply> {
    match request {
        StoreRequest::Server(request) => {
            let removes = matches!(request, servers::Request::Remove { .. });
            let reply = servers::write(tx, request)?;
            if let (true, servers::Reply::Servers(gone)) = (removes, &reply) {
                for server in gone {
                    tools::forget_server(tx, &server.id)?;
                    let held = integrations::forget_server(tx, &server.id)?;
                    secrets::forget(tx, &held)?;
                    packages::forget(tx, &server.id)?;
                    forget_app(tx, server)?;
                }
            }
            Ok(Reply::Server(reply))
        }
        StoreRequest::Tool(request) => tools::write(tx, request).map(Reply::Tool),
        StoreRequest::Profile(request) => environments::write(tx, request).map(Reply::Profile),
        StoreRequest::Token(request) => policy::write(tx, request).map(Reply::Token),
        StoreRequest::Policy(request) => rules::write(tx, request).map(Reply::Policy),
        StoreRequest::Audit(request) => audit::write(tx, request).map(Reply::Audit),
        StoreRequest::Usage(request) => usage::write(tx, request).map(Reply::Usage),
        StoreRequest::Alert(request) => alerts::write(tx, request).map(Reply::Alert),
        StoreRequest::Integration(request) => integrations::write(tx, request).map(Reply::Integration),
        StoreRequest::Workflow(request) => write_workflow(tx, request).map(Reply::Workflow),
        StoreRequest::Schedule(request) => schedules::write(tx, *request).map(Reply::Schedule),
        StoreRequest::Memory(request) => memory::write(tx, *request).map(Reply::Memory),
        StoreRequest::Skill(request) => skill(tx, request),
        StoreRequest::Secret(request) => secrets::write(tx, request).map(Reply::Secret),
        StoreRequest::App(request) => apps::read(tx, &request).map(Reply::App),
        StoreRequest::Catalogue(request) => catalogue::write(tx, request).map(Reply::Catalogue),
        StoreRequest::Install(install) => {
            let request::Install { app, server, replace } = *install;
            let reply = servers::write(tx, servers::Request::Add { servers: vec![server], replace })?;
            apps::put(tx, &app, replace)?;
            Ok(Reply::Server(reply))
        }
        StoreRequest::Packages(request) => packages::read(tx, &request).map(Reply::Packages),
        StoreRequest::Package(deploy) => take_into_use(tx, *deploy),
    }
}

/// Workflows are tools of a server inside umcp. Its entry comes with the first workflow, or when one is published;
/// whoever takes it away is not given it again without asking.
fn write_workflow(tx: &mut Writer, request: workflows::Request) -> Result<workflows::Reply> {
    if !request.changes_tools() {
        return workflows::write(tx, request);
    }
    let asked_for = matches!(request, workflows::Request::Publish { tool: true, .. });
    let at = match &request {
        workflows::Request::Put { definition, .. } => Some(definition.updated),
        _ => None,
    };
    let reply = workflows::write(tx, request)?;
    let is_new = matches!(&reply, workflows::Reply::Definition(row) if row.revision == 0);
    let mut offering = servers::all(tx)?;
    offering.retain(servers::Server::offers_workflows);
    if offering.is_empty() && (asked_for || (is_new && workflows::is_alone(tx)?)) {
        let mut entry = servers::Server::of_workflows();
        entry.created = at.unwrap_or_default();
        if servers::all(tx)?.iter().all(|server| server.name != entry.name) {
            servers::write(tx, servers::Request::Add { servers: vec![entry], replace: false })?;
        }
    }
    // What it offered is another list now.
    let ids: Vec<String> = offering.into_iter().map(|server| server.id).collect();
    if !ids.is_empty() {
        tools::write(tx, tools::Request::Forget { servers: ids })?;
    }
    Ok(reply)
}

/// A version of a package: what its tools say was looked at when it was chosen, so that is what they are held to.
fn take_into_use(tx: &mut Writer, deploy: Deploy) -> Result<Reply> {
    let Deploy { server, replace, package, at } = deploy;
    let reply = servers::write(tx, servers::Request::Add { servers: vec![server], replace })?;
    if let servers::Reply::Servers(written) = &reply {
        for server in written {
            packages::put(tx, &server.id, &package)?;
            let tools = package.current().and_then(|installed| installed.tools.as_ref());
            tools::renew(tx, &server.id, tools, server.fingerprint(), at)?;
        }
    }
    Ok(Reply::Server(reply))
}

/// A change of skills, which the user made: the server that offers them is held to what it lists from now on.
fn skill(tx: &mut Writer, request: skills::Request) -> Result<Reply> {
    let offers_change = request.changes_skills();
    let reply = skills::write(tx, request)?;
    if offers_change {
        for server in servers::all(tx)? {
            if matches!(&server.transport, servers::model::Transport::Builtin { name } if name == skills::SERVER)
            {
                tools::renew(tx, &server.id, None, server.fingerprint(), server.created)?;
            }
        }
    }
    Ok(Reply::Skill(reply))
}

/// An app goes with the last server that offers it.
fn forget_app(tx: &mut Writer, gone: &servers::Server) -> Result<()> {
    let servers::model::Transport::App { name } = &gone.transport else { return Ok(()) };
    match servers::all(tx)?.iter().any(|server| server.transport == gone.transport) {
        true => Ok(()),
        false => apps::forget(tx, name),
    }
}

/// The reply of another kind than the request's: a bug of ours, said once here.
pub fn unexpected<T>(reply: &Reply) -> Result<T> {
    Err(Error::bug(format!("an unexpected reply: {reply:?}").chars().take(200).collect::<String>()))
}
