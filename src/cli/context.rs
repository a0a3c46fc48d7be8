//! What every command works with, and the way of a request: to the daemon where one runs, else to the store.
//! Not here: any noun. Rule: a command cannot tell which way its request went, and only a `Live` request that
//! nobody else can answer starts the daemon.

use super::{Global, RunForeground, interrupt};
use crate::clock::Clock;
use crate::daemon::client::Client;
use crate::engine::live::{Event, Live, LiveReply};
use crate::engine::{self, Engine, Meaning, Reply, Request, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::paths::{Paths, io_error};
use crate::store::{ReadOnly, Store};
use crate::ui::Ui;
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How the command line names itself to the daemon and in the records of calls.
pub const CLIENT: &str = "cli";
/// How long a command waits for another one that has the store open.
const LOCK_WAIT: Duration = Duration::from_millis(250);

pub struct Context {
    pub ui: Ui,
    pub paths: Paths,
    pub clock: Clock,
    pub foreground: RunForeground,
    way: RefCell<Way>,
}

/// Where requests go, once that is known.
enum Way {
    Unknown,
    Daemon(Box<Client>),
    /// No daemon; the store is open for reading.
    Reading(Box<Engine>),
}

impl Way {
    /// Finds the daemon, if one runs and it is not found yet.
    fn look(&mut self, paths: &Paths) -> Result<()> {
        if matches!(self, Self::Unknown)
            && let Some(client) = Client::connect(paths, CLIENT)?
        {
            *self = Self::Daemon(Box::new(client));
        }
        Ok(())
    }
}

impl Context {
    pub fn new(ui: Ui, paths: Paths, foreground: RunForeground) -> Self {
        Self { ui, paths, clock: Clock::from_env(), foreground, way: RefCell::new(Way::Unknown) }
    }

    /// The folder that holds everything of umcp, where it is not the usual one.
    pub fn home(&self) -> Option<PathBuf> {
        let variable = std::env::var_os("UMCP_HOME").filter(|home| !home.is_empty())?;
        std::path::absolute(variable).ok()
    }

    /// Answers a request, whoever can.
    pub fn call(&self, request: impl Into<Request>) -> Result<Reply> {
        self.call_with_events(request, &mut |_| ())
    }

    /// The same, with what happens until the reply.
    pub fn call_with_events(
        &self,
        request: impl Into<Request>,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Reply> {
        match request.into() {
            Request::Store(request) => self.call_store(request),
            live @ Request::Live(_) => self.start()?.call(&live, on_event),
        }
    }

    /// A reply of the running world; starts the daemon where needed.
    pub fn live(&self, live: Live) -> Result<LiveReply> {
        live_reply(self.call(live)?)
    }

    /// A reply of the running world, or `None` when no daemon runs. Starts nothing.
    pub fn live_if_running(&self, live: Live) -> Result<Option<LiveReply>> {
        let mut way = self.way.borrow_mut();
        way.look(&self.paths)?;
        match &mut *way {
            Way::Daemon(client) => client.call(&live.into(), &mut |_| ()).and_then(live_reply).map(Some),
            Way::Unknown | Way::Reading(_) => Ok(None),
        }
    }

    /// A connection of its own to the daemon, started where needed. Ctrl-C ends a wait on it.
    pub fn start(&self) -> Result<Client> {
        // An open store would keep the new daemon from opening it.
        *self.way.borrow_mut() = Way::Unknown;
        let mut client = Client::start(&self.paths, CLIENT)?;
        client.set_interrupted(interrupt::watch());
        Ok(client)
    }

    /// After the daemon was stopped: the next request looks for one anew.
    pub fn forget_daemon(&self) {
        *self.way.borrow_mut() = Way::Unknown;
    }

    fn call_store(&self, request: StoreRequest) -> Result<Reply> {
        let mut way = self.way.borrow_mut();
        let deadline = Instant::now() + LOCK_WAIT;
        // Opening for writing waits by itself, so that a second attempt is all that is left.
        let give_up = deadline + LOCK_WAIT;
        loop {
            way.look(&self.paths)?;
            match &mut *way {
                Way::Daemon(client) => return client.call(&Request::Store(request), &mut |_| ()),
                Way::Reading(engine) if !request.writes() => return engine.call(request),
                Way::Reading(_) => *way = Way::Unknown,
                Way::Unknown => {}
            }
            if request.writes() {
                match self.write(request.clone()) {
                    // A daemon that was just starting holds the store; it will answer the second time.
                    Err(error) if error.is(&codes::STORE_LOCKED) && Instant::now() < give_up => continue,
                    outcome => return outcome,
                }
            }
            match Store::open_read_only(&self.paths.store())? {
                ReadOnly::Open(store) => {
                    let engine = Engine::new(store, self.clock).with_meaning(Meaning::built_in());
                    *way = Way::Reading(Box::new(engine));
                }
                ReadOnly::Missing => *way = Way::Reading(Box::new(Engine::new(Store::memory(), self.clock))),
                ReadOnly::Locked if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                // Opening it for writing repairs it, or tells who holds it.
                ReadOnly::NeedsRepair | ReadOnly::Locked => {
                    Store::open(&self.paths.store(), self.clock.now())?.close()?;
                }
            }
        }
    }

    fn write(&self, request: StoreRequest) -> Result<Reply> {
        self.paths.create()?;
        let store = Store::open(&self.paths.store(), self.clock.now())?;
        let engine = Engine::new(store, self.clock).with_names_index(self.paths.names_index());
        let reply = engine.call(request);
        let closed = engine.store().clone().close();
        closed.and(reply)
    }
}

fn live_reply(reply: Reply) -> Result<LiveReply> {
    match reply {
        Reply::Live(reply) => Ok(reply),
        other => engine::unexpected(&other),
    }
}

/// A live reply of another kind than the request's: a bug of ours, said once here.
pub fn unexpected<T>(reply: &LiveReply) -> Result<T> {
    Err(Error::bug(format!("an unexpected reply: {reply:?}").chars().take(200).collect::<String>()))
}

/// Resolves the directories, after `--home` and `--directory`.
pub fn places(global: &Global) -> Result<Paths> {
    if let Some(home) = &global.home {
        let home = std::path::absolute(home).map_err(|error| io_error("find", home, &error))?;
        // SAFETY: no other thread runs yet. Everything this command starts is to find the same place.
        unsafe { std::env::set_var("UMCP_HOME", home) };
    }
    if let Some(directory) = &global.directory {
        std::env::set_current_dir(directory).map_err(|error| io_error("enter", directory, &error))?;
    }
    Paths::from_env()
}
