//! The daemon itself: owns the runtime, the lock, the store, the socket, the signals and the clock tick.
//! It wires the rooms together and decides when to leave; what is answered stands in `jobs.rs` and the gateway.

mod after;
mod signals;

use super::diary::Diary;
use super::door::{self, Guest, Visitor};
use super::jobs::Jobs;
use super::lock::Guard;
use super::memory;
use super::report::Report;
use super::socket::{Listener, Peer};
use super::wire::{Frame, Hello, Mode};
use crate::calls::Caller;
use crate::clock::Clock;
use crate::engine::live::{Event, Listening};
use crate::engine::{Engine, Meaning, Request};
use crate::error::{Error, Result, codes};
use crate::gateway::Gateway;
use crate::gateway::session::Arrival;
use crate::paths::Paths;
use crate::sealing::no_core_dumps;
use crate::settings::Settings;
use crate::store::Store;
use crate::upstream::World;
use crate::upstream::process::{Children, MARKER, sweep};
use crate::usage::Door;
use signals::Signals;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// Time for calls in flight to be answered after the first signal, and then for servers to end.
const CALL_GRACE: Duration = Duration::from_millis(800);
const LEAVE_GRACE: Duration = Duration::from_millis(4700);
/// Time for the last answers to be written.
const LAST_ANSWERS: Duration = Duration::from_millis(20);
/// How often the daemon looks whether somebody still needs it.
const TICK: Duration = Duration::from_secs(1);
/// Records of calls are trimmed this often.
const TRIM: Duration = Duration::from_secs(600);

/// How the daemon was asked to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to listen for HTTP clients.
    pub http: Option<Listening>,
    /// Runs in the foreground: `announce` is called with the address, and nothing makes it leave but a signal.
    pub foreground: bool,
}

/// Runs as the hidden `__daemon`: reports to its starter, then serves until nobody needs it. Gives the exit code.
pub fn run() -> u8 {
    let outcome = serve(&Options::default(), &mut |ready| match ready {
        Ready::Serving(_) => Report::ready().send(),
        Ready::Running(pid) => Report::Running { pid }.send(),
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            let code = error.kind().exit();
            Report::Failed(error).send();
            code
        }
    }
}

/// What became of the start.
pub enum Ready {
    /// Serving; with the HTTP listener, if one was asked for.
    Serving(Option<Listening>),
    /// Another daemon holds the lock.
    Running(Option<u32>),
}

/// Serves until told to leave. `announce` is called once, when the start has succeeded or was not needed.
pub fn serve(options: &Options, announce: &mut dyn FnMut(Ready)) -> Result<()> {
    // SAFETY: nothing else runs yet; a marker inherited from another daemon's server would end us with it.
    unsafe { std::env::remove_var(MARKER) };
    no_core_dumps();
    let paths = Paths::from_env()?;
    paths.create()?;
    let Some(guard) = Guard::take(&paths)? else {
        announce(Ready::Running(super::lock::holder(&paths)));
        return Ok(());
    };
    // One thread: a relayed call is two wake-ups and no hand-over. Slow store work runs beside it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Names are looked up there too: a few that find no name server must not hold up the store.
        .max_blocking_threads(64)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|error| Error::new(&codes::DAEMON_START, "the runtime cannot be started").because(error))?;
    let diary = Arc::new(Diary::open(&paths, Clock::from_env(), options.foreground));
    let outcome = runtime.block_on(host(options, &paths, &guard, &diary, announce));
    match &outcome {
        Ok(()) => diary.line("ended"),
        Err(error) => diary.line(&format!("failed: {error}")),
    }
    runtime.shutdown_timeout(Duration::from_millis(200));
    drop(guard);
    outcome
}

async fn host(
    options: &Options,
    paths: &Paths,
    guard: &Guard,
    diary: &Arc<Diary>,
    announce: &mut dyn FnMut(Ready),
) -> Result<()> {
    // From the first moment on, so that one sent on the heels of the report ends the daemon in order.
    let mut signals = Signals::new()?;
    let clock = Clock::from_env();
    let nonce = nonce(paths);
    let (told, former) = (diary.clone(), nonce.clone());
    // It looks at all processes, for which nobody but the first server waits.
    let children = Children::start_after(&nonce, move || match sweep(&former) {
        0 => {}
        swept => told.line(&format!("ended {swept} processes that a former daemon left behind")),
    })?;
    let store = Store::open(&paths.store(), clock.now())?;
    let world_cell: Arc<OnceLock<Arc<Gateway>>> = Arc::default();
    let names = Engine::new(store.clone(), clock).with_names_index(paths.names_index());
    let renamed = Arc::new(Notify::new());
    let brought = Arc::new(Notify::new());
    let realerted = Arc::new(Notify::new());
    let (keeper, retimed) = mpsc::unbounded_channel();
    let followers = after::Followers {
        gateway: world_cell.clone(),
        diary: diary.clone(),
        renamed: renamed.clone(),
        brought: brought.clone(),
        realerted: realerted.clone(),
        keeper,
    };
    let engine =
        Engine::new(store, clock).with_meaning(Meaning::built_in()).with_watcher(Arc::new(followers));
    let settings = Settings::load(paths)?;
    let world = World::load(engine.clone(), settings, paths.clone(), children)?;
    let gateway = Gateway::new(Caller::new(world));
    let _ = world_cell.set(gateway.clone());
    let mut listener = Listener::bind(paths, guard)?;
    let (leave, mut left) = mpsc::channel(1);
    let jobs = Jobs::new(gateway.clone(), leave, diary.clone(), options.foreground);
    jobs.answer_own_servers();
    jobs.offer_runs();
    jobs.offer_metrics();
    tokio::spawn(super::jobs::metrics::keep_tallies(gateway.clone(), gateway.news.subscribe()));
    tokio::spawn(after::keep_diary(diary.clone(), gateway.news.subscribe()));
    let http = match &options.http {
        Some(listening) => Some(jobs.listen(listening.clone()).await?),
        None => None,
    };
    renamed.notify_one();
    tokio::spawn(after::keep_names(names.clone(), renamed));
    tokio::spawn(after::keep_meaning(engine.clone(), brought));
    announce(Ready::Serving(http));
    let (version, pid) = (super::wire::VERSION, std::process::id());
    let place = if options.foreground { "in the foreground" } else { "in the background" };
    diary.line(&format!("started {place}: umcp {version}, process {pid}, {}", paths.store().display()));
    jobs.take_up_runs().await;
    jobs.take_up_schedules().await;
    tokio::spawn(jobs.clone().keep_schedules(retimed));
    tokio::spawn(jobs.clone().keep_alerts(realerted));
    let mut tick = tokio::time::interval(TICK);
    let mut idle = Idle::new(Duration::from_millis(gateway.world().shared.settings.gateway.idle_exit_ms));
    let mut trimmed = Instant::now();
    let mut rest = Rest::default();
    let reason = loop {
        tokio::select! {
            peer = listener.accept() => match peer {
                Ok(peer) => drop(tokio::spawn(visit(peer, jobs.clone()))),
                // Out of descriptors: refuse new work for a moment, keep what is there.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            () = signals.next() => break "a signal",
            _ = left.recv() => break "a command asked for it",
            _ = tick.tick() => {
                rest.tick(gateway.caller.calls.load(Relaxed) + gateway.hub.count() as u64);
                if !options.foreground && idle.is_over(&jobs) {
                    break "nobody needed it";
                }
                jobs.watch_certificates();
                if trimmed.elapsed() > TRIM {
                    trimmed = Instant::now();
                    jobs.trim();
                }
            }
        }
    };
    diary.line(&format!("ending: {reason}"));
    drop(listener);
    tokio::select! {
        () = close(&jobs, names) => {}
        // The second signal: at once.
        () = signals.next() => {}
    }
    Ok(())
}

/// Answers or cancels what runs, ends the servers, and makes every record durable.
async fn close(jobs: &Arc<Jobs>, names: Engine) {
    let gateway = jobs.gateway();
    let world = gateway.world();
    let deadline = Instant::now() + CALL_GRACE;
    while world.is_busy() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Before the servers: a run goes on at the next start where it was, and what it was doing did not fail.
    jobs.halt_schedules();
    jobs.runner.halt();
    // Calls that still run are answered with an error, through whichever door they came.
    let _ = tokio::time::timeout(LEAVE_GRACE, world.end()).await;
    gateway.say_goodbye();
    tokio::time::sleep(LAST_ANSWERS).await;
    for session in gateway.hub.all() {
        session.close();
    }
    let store = gateway.world().shared.engine.store().clone();
    let last = move || {
        names.refresh_names();
        store.flush()
    };
    let _ = tokio::task::spawn_blocking(last).await;
}

/// A name for this installation that servers carry in their environment.
fn nonce(paths: &Paths) -> String {
    format!("{:08x}", crc32fast::hash(paths.store().as_os_str().as_encoded_bytes()))
}

/// Serves one connection of the local socket.
async fn visit(peer: Peer, jobs: Arc<Jobs>) {
    let mut visitor = match Visitor::receive(peer).await {
        Ok(Guest::Visitor(visitor)) => visitor,
        Ok(Guest::Http(read, write)) => {
            let _present = jobs.present();
            return jobs.gateway().serve_local_http(tokio::io::join(read, write)).await;
        }
        Err(_) => return,
    };
    let mode = visitor.hello.mode;
    // A client of a profile that is gone is told why, instead of a stream that ends without a word.
    let refused = match mode {
        Mode::Mcp => {
            let Hello { profile, client, cwd, .. } = &visitor.hello;
            jobs.gateway().world().profile(profile.as_deref(), client, cwd.as_deref()).err()
        }
        _ => None,
    };
    if !visitor.welcome(refused).await.unwrap_or(false) {
        return;
    }
    // The client has gone, or never was: nobody is left to be told.
    let _ = match mode {
        Mode::Mcp => bridge(visitor, &jobs).await,
        Mode::Call => calls(visitor, &jobs).await,
        Mode::Stop => {
            jobs.leave();
            Ok(())
        }
        Mode::Other => Ok(()),
    };
}

async fn bridge(mut visitor: Visitor, jobs: &Arc<Jobs>) -> Result<()> {
    let hello = std::mem::take(&mut visitor.hello);
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    let hands_over = hello.hands_over();
    let Hello { client, profile, cwd, .. } = hello;
    let arrival = Arrival { door: Door::Stdio, client, token: None, until: None, profile, cwd };
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    if hands_over && let Some(pipes) = super::pipes::Pipes::take(&mut visitor).await? {
        return pipes.serve(visitor, jobs.gateway(), arrival).await;
    }
    let first = visitor.read.buffer().to_vec();
    jobs.gateway().serve_stream(visitor.read.into_inner(), visitor.write, &first, arrival).await
}

/// Requests one after another, each answered by events and one frame.
async fn calls(mut visitor: Visitor, jobs: &Arc<Jobs>) -> Result<()> {
    let _present = jobs.present();
    while let Some(request) = door::receive::<Request>(&mut visitor.read).await? {
        let (events, mut queue) = mpsc::unbounded_channel::<Event>();
        let answer = jobs.answer(request, events, &visitor.hello);
        tokio::pin!(answer);
        let outcome = loop {
            tokio::select! {
                biased;
                Some(event) = queue.recv() => door::send(&mut visitor.write, &Frame::Event(event)).await?,
                outcome = &mut answer => break outcome,
                // The asker hung up: what it asked for is cancelled.
                () = gone(&mut visitor.read) => return Ok(()),
            }
        };
        while let Ok(event) = queue.try_recv() {
            door::send(&mut visitor.write, &Frame::Event(event)).await?;
        }
        let frame = match outcome {
            Ok(reply) => Frame::Reply(reply),
            Err(error) => Frame::Error(error),
        };
        door::send(&mut visitor.write, &frame).await?;
    }
    Ok(())
}

/// Waits until the client closes. Bytes of a next request are left where they are.
async fn gone(read: &mut tokio::io::BufReader<super::socket::ReadHalf>) {
    use tokio::io::AsyncBufReadExt;
    match read.fill_buf().await {
        Ok(bytes) if !bytes.is_empty() => std::future::pending().await,
        _ => {}
    }
}

/// Gives memory back once after every burst of work, and once after the start.
#[derive(Default)]
struct Rest {
    /// What was done as of the last tick, in no unit: it only has to change with work.
    done: u64,
    rested: bool,
}

impl Rest {
    fn tick(&mut self, done: u64) {
        if self.done != done {
            self.done = done;
            self.rested = false;
        } else if !self.rested {
            self.rested = true;
            memory::give_back();
        }
    }
}

/// How long nobody has needed the daemon.
struct Idle {
    limit: Duration,
    since: Instant,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now() }
    }

    fn is_over(&mut self, jobs: &Jobs) -> bool {
        if self.limit.is_zero() || jobs.is_needed() {
            self.since = Instant::now();
        }
        self.since.elapsed() >= self.limit && !self.limit.is_zero()
    }
}
