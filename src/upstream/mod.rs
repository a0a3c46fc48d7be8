//! The running world: every server of the user, their connections, what they offer and what they are called.
//! It starts nothing by itself: servers start when somebody calls them, lists come from the store. Long because all that
//! servers share is put together here.

pub mod app;
mod asking;
pub mod breaker;
pub mod builtin;
pub mod catalogue;
pub mod connection;
pub mod era;
mod happening;
pub mod inbox;
pub mod known;
pub mod link;
pub mod logs;
pub mod message;
pub mod mirror;
pub mod names;
pub mod oauth;
pub mod process;
pub mod restart;
pub mod scan;
mod secrets;
mod shelf;
pub mod stderr_log;
pub mod steps;
pub mod subscriptions;
pub mod supervisor;
pub mod transport;
pub mod values;
pub mod view;
mod views;

use crate::engine::vault::{Places, Vault};
use crate::engine::{Engine, Live, LiveReply, Reply, StoreRequest, unexpected};
use crate::environments::{self, Profile};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use crate::servers::Server;
use crate::settings::Settings;
use crate::tools::{self, Preference};
use futures_util::future::BoxFuture;
pub use happening::Happening;
use process::Children;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
pub use supervisor::Upstream;
pub use view::View;

/// By server id, then tool.
pub type Preferences = BTreeMap<String, BTreeMap<String, Preference>>;

type Handler = Box<dyn Fn(Happening) + Send + Sync>;

/// How the daemon is asked from within: the servers inside umcp run workflows and have no way of their own.
pub type Asked = BoxFuture<'static, Result<LiveReply>>;
type Daemon = Box<dyn Fn(Live) -> Asked + Send + Sync>;

/// What all servers share.
pub struct Shared {
    pub engine: Engine,
    /// Secrets by name; its calls block.
    pub vault: Arc<Vault<Engine>>,
    pub settings: Settings,
    pub paths: Paths,
    pub children: Arc<Children>,
    pub logs: logs::Logs,
    pub accounts: Arc<oauth::Accounts>,
    /// Secrets handed out so far; they are hidden in logs and errors.
    pub known: Arc<known::Known>,
    asking: asking::Asking,
    handler: OnceLock<Handler>,
    daemon: OnceLock<Daemon>,
    /// Definitions listed after the tools of servers: umcp's verbs, and the reader of stored results.
    also: OnceLock<(Vec<String>, String)>,
    /// How a workflow is run; the daemon says so once it can.
    runs: OnceLock<builtin::workflows::Runs>,
    /// Most verbose log level any client asked for.
    level: Mutex<Option<String>>,
    /// Nothing is started any more.
    ending: AtomicBool,
    seed: AtomicU64,
    shelf: shelf::Shelf,
}

impl Shared {
    /// Tells the listener; before there is one, nothing has anybody to tell.
    pub fn happened(&self, happening: Happening) {
        if let Some(handler) = self.handler.get() {
            handler(happening);
        }
    }

    /// Sets who answers what the servers inside umcp ask; once.
    pub fn answer(&self, daemon: impl Fn(Live) -> Asked + Send + Sync + 'static) {
        let _ = self.daemon.set(Box::new(daemon));
    }

    /// Asks the daemon.
    pub async fn ask(&self, live: Live) -> Result<LiveReply> {
        match self.daemon.get() {
            Some(daemon) => daemon(live).await,
            None => Err(Error::bug("the daemon is not there yet")),
        }
    }

    /// Listed after the tools of servers in full mode: `verbs` always, `reading` where results are stored. Once.
    pub fn list_also(&self, verbs: Vec<String>, reading: String) {
        let _ = self.also.set((verbs, reading));
    }

    pub(in crate::upstream) fn also(&self, stores_results: bool) -> impl Iterator<Item = &str> {
        let also = self.also.get();
        let reading = also.filter(|_| stores_results).map(|(_, reading)| reading.as_str());
        also.into_iter().flat_map(|(verbs, _)| verbs.iter().map(String::as_str)).chain(reading)
    }

    /// Sets how workflows are run; once.
    pub fn run_workflows_by(&self, runs: builtin::workflows::Runs) {
        let _ = self.runs.set(runs);
    }

    pub(in crate::upstream) fn runs(&self) -> Option<&builtin::workflows::Runs> {
        self.runs.get()
    }

    /// A share between 0 and 1 for spreading retries; not for anything secret.
    pub fn jitter(&self) -> f64 {
        let mut seed = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed);
        seed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        seed = (seed ^ (seed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((seed ^ (seed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(in crate::upstream) fn is_ending(&self) -> bool {
        self.ending.load(Relaxed)
    }

    pub fn level(&self) -> Option<String> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What of the store changed.
pub enum Change {
    Servers,
    /// These have other settings; none came and none went.
    Edited(Vec<Server>),
    /// Secrets of these names have other values, or none; no names means any.
    Secrets(Vec<String>),
    Preferences,
    Profiles,
    Policy,
    /// Catalogues of these servers (by id; none means all) were forgotten.
    Forgotten(Vec<String>),
}

/// All servers, and the views of them.
pub struct World {
    pub shared: Arc<Shared>,
    upstreams: RwLock<Arc<BTreeMap<String, Arc<Upstream>>>>,
    preferences: RwLock<Arc<Preferences>>,
    profiles: RwLock<Arc<Vec<Arc<Profile>>>>,
    /// What clients get that chose none, unless the user stored one of that name.
    default_profile: Arc<Profile>,
    governance: views::Governance,
    /// Counts everything that may change a view.
    generation: AtomicU64,
    /// By profile, and the rules that concern who looks.
    views: Mutex<HashMap<String, views::ByRules>>,
    /// Changes are taken over one after another: an older state must not replace a newer one.
    syncing: Mutex<()>,
}

fn read<T: Clone>(lock: &RwLock<T>) -> T {
    lock.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn put<T>(lock: &RwLock<T>, value: T) {
    *lock.write().unwrap_or_else(PoisonError::into_inner) = value;
}

impl World {
    /// Loads servers, catalogues, preferences and profiles. Starts nothing.
    pub fn load(
        engine: Engine,
        settings: Settings,
        paths: Paths,
        children: Arc<Children>,
    ) -> Result<Arc<Self>> {
        let known = Arc::<known::Known>::default();
        let logs = logs::Logs::new(paths.clone(), known.clone());
        let vault = Arc::new(Vault::new(engine.clone(), Places::from_env(&paths)));
        let accounts = oauth::Accounts::new(engine.clone(), vault.clone(), known.clone());
        let shared = Arc::new(Shared {
            accounts,
            engine,
            vault,
            settings,
            paths,
            children,
            logs,
            known,
            asking: asking::Asking::default(),
            handler: OnceLock::new(),
            daemon: OnceLock::new(),
            also: OnceLock::new(),
            runs: OnceLock::new(),
            level: Mutex::default(),
            ending: AtomicBool::new(false),
            seed: AtomicU64::new(u64::from(std::process::id())),
            shelf: shelf::Shelf::default(),
        });
        let world = Arc::new(Self {
            shared,
            upstreams: RwLock::default(),
            preferences: RwLock::default(),
            profiles: RwLock::default(),
            default_profile: Arc::new(Profile { name: environments::DEFAULT.into(), ..Profile::default() }),
            governance: views::Governance::default(),
            generation: AtomicU64::new(1),
            views: Mutex::default(),
            syncing: Mutex::default(),
        });
        world.read_preferences()?;
        world.read_profiles()?;
        world.read_policy()?;
        let engine = &world.shared.engine;
        match engine.call(StoreRequest::Tool(tools::Request::Catalogues))? {
            Reply::Tool(tools::Reply::Catalogues(stored)) => world.take(engine.servers()?, &stored),
            other => return unexpected(&other),
        }
        world.follow_accounts();
        Ok(world)
    }

    /// Sets who is told what happens; once.
    pub fn listen(&self, handler: impl Fn(Happening) + Send + Sync + 'static) {
        let _ = self.shared.handler.set(Box::new(handler));
    }

    /// Takes over what changed in the store: new, changed and removed servers, preferences, profiles.
    /// Reads no more than that, since whoever changed it waits.
    pub fn sync(&self, change: &Change) -> Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = &self.shared.engine;
        match change {
            Change::Servers => self.take(engine.servers()?, &BTreeMap::new()),
            Change::Edited(servers) => self.replace(servers),
            Change::Secrets(names) => return self.renew(names),
            Change::Preferences => self.read_preferences()?,
            Change::Profiles => self.read_profiles()?,
            Change::Policy => self.read_policy()?,
            Change::Forgotten(ids) => {
                let upstreams = read(&self.upstreams);
                let forgotten = |one: &&Arc<Upstream>| ids.is_empty() || ids.contains(&one.entry.id);
                upstreams.values().filter(forgotten).for_each(|upstream| upstream.forget_catalogue());
            }
        }
        self.changed();
        Ok(())
    }

    fn read_preferences(&self) -> Result<()> {
        self.read_pins()?;
        match self.shared.engine.call(StoreRequest::Tool(tools::Request::Preferences))? {
            Reply::Tool(tools::Reply::Preferences(preferences)) => {
                put(&self.preferences, Arc::new(preferences))
            }
            other => return unexpected(&other),
        }
        Ok(())
    }

    fn read_profiles(&self) -> Result<()> {
        match self.shared.engine.call(StoreRequest::Profile(environments::Request::List))? {
            Reply::Profile(environments::Reply::Profiles(profiles)) => {
                put(&self.profiles, Arc::new(profiles.into_iter().map(Arc::new).collect()));
            }
            other => return unexpected(&other),
        }
        Ok(())
    }

    /// `stored`: catalogues of servers that are not in the world yet. One that was changed keeps what is known of it
    /// until it is listed again.
    fn take(&self, servers: Vec<Server>, stored: &BTreeMap<String, tools::Catalogue>) {
        let old = read(&self.upstreams);
        let mut new = BTreeMap::new();
        for server in servers {
            let before = old.get(&server.id);
            let upstream = match before.filter(|upstream| upstream.entry.revision == server.revision) {
                Some(kept) => kept.clone(),
                None => self.successor(server, before, stored),
            };
            new.insert(upstream.id().to_string(), upstream);
        }
        for (id, upstream) in old.iter() {
            if new.get(id).is_none_or(|kept| !Arc::ptr_eq(kept, upstream)) {
                upstream.retire();
            }
        }
        put(&self.upstreams, Arc::new(new));
    }

    /// Rows that are older than what is there were changed again since; that change brings its own.
    fn replace(&self, servers: &[Server]) {
        let mut all = (*read(&self.upstreams)).clone();
        for server in servers {
            let before = all.get(&server.id).filter(|upstream| upstream.entry.revision < server.revision);
            if let Some(before) = before.cloned() {
                let upstream = self.successor(server.clone(), Some(&before), &BTreeMap::new());
                all.insert(server.id.clone(), upstream);
                before.retire();
            }
        }
        put(&self.upstreams, Arc::new(all));
    }

    fn successor(
        &self,
        server: Server,
        before: Option<&Arc<Upstream>>,
        stored: &BTreeMap<String, tools::Catalogue>,
    ) -> Arc<Upstream> {
        let known = before.and_then(|upstream| upstream.catalogue());
        let known = known.or_else(|| stored.get(&server.id).cloned().map(Arc::new));
        let upstream = Upstream::new(server, known, self.shared.clone());
        before.inspect(|before| upstream.succeed(before));
        upstream
    }

    /// Views are made anew at their next use, and clients are told.
    fn changed(&self) {
        self.touch();
        self.shared.happened(Happening::ListChanged);
    }

    /// Views are made anew at their next use.
    pub fn touch(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// All servers by name.
    pub fn all(&self) -> Vec<Arc<Upstream>> {
        let mut all: Vec<_> = read(&self.upstreams).values().cloned().collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// One server by id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Upstream>> {
        read(&self.upstreams).get(id).cloned()
    }

    /// One server by name or id.
    pub fn find(&self, name: &str) -> Result<Arc<Upstream>> {
        let all = self.all();
        let found = all.iter().find(|upstream| upstream.name() == name || upstream.id() == name);
        found.cloned().ok_or_else(|| {
            let entries: Vec<Server> = all.iter().map(|upstream| (*upstream.entry).clone()).collect();
            crate::servers::not_found(name, &entries)
        })
    }

    /// Several servers by name; none means all enabled ones.
    pub fn select(&self, names: &[String]) -> Result<Vec<Arc<Upstream>>> {
        if names.is_empty() {
            return Ok(self.all().into_iter().filter(|upstream| upstream.entry.enabled).collect());
        }
        names.iter().map(|name| self.find(name)).collect()
    }

    /// The profile of a client; an unknown name is an error.
    pub fn profile(&self, asked: Option<&str>, client: &str, cwd: Option<&str>) -> Result<Arc<Profile>> {
        let profiles = read(&self.profiles);
        match (environments::choose(&profiles, asked, client, cwd), asked) {
            (Some(profile), _) => Ok(profile.clone()),
            (None, Some(asked)) if asked != environments::DEFAULT => {
                Err(Error::new(&codes::PROFILE_NOT_FOUND, format!("no profile named `{asked}`"))
                    .hint("umcp profile list"))
            }
            _ => Ok(self.default_profile.clone()),
        }
    }

    /// Lists every enabled server that was never listed, side by side, each within a deadline. A server that
    /// fails or dawdles is waited for once; it hides and delays no other, and clients are told when it arrives.
    pub async fn list_missing(&self) {
        let all = read(&self.upstreams);
        let missing: Vec<_> = all.values().filter(|upstream| upstream.wants_listing()).cloned().collect();
        if missing.is_empty() {
            return;
        }
        let deadline = std::time::Duration::from_millis(self.shared.settings.gateway.first_list_ms);
        let list = |upstream: Arc<Upstream>| async move {
            let listing = tokio::spawn({
                let upstream = upstream.clone();
                async move { upstream.listed().await.map(|_| ()) }
            });
            let _ = tokio::time::timeout(deadline, listing).await;
            upstream.waited_for();
        };
        futures_util::future::join_all(missing.into_iter().map(list)).await;
        self.touch();
    }

    /// A client has gone: what belonged to it alone ends.
    pub fn leave(&self, session: u64) {
        for upstream in read(&self.upstreams).values() {
            upstream.leave(session);
        }
    }

    /// Sets the most verbose log level any client asked for, and tells the servers that run.
    pub fn set_level(&self, level: &str) {
        *self.shared.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level.into());
        for upstream in self.all() {
            for running in upstream.connections() {
                tokio::spawn(subscriptions::set_level(running, level.to_string()));
            }
        }
    }

    /// Whether any server works on a call.
    pub fn is_busy(&self) -> bool {
        read(&self.upstreams).values().any(|upstream| upstream.in_flight() > 0)
    }

    /// Ends every server for good. Returns when the processes are gone; calls in flight are failed before that.
    pub async fn end(&self) {
        self.shared.ending.store(true, Relaxed);
        let all = self.all();
        futures_util::future::join_all(all.iter().map(|upstream| upstream.stop())).await;
    }
}
