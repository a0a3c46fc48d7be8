//! `umcp gateway` and `umcp serve`: the daemon behind the endpoint, from start to user service.
//! The gateway in the foreground belongs to another room; `main` hands it in as `Context::foreground`.

mod authorize;
mod listen;

use super::context::{self, Context};
use super::{logs, service};
use crate::daemon::lifecycle;
use crate::engine::live::{Listening, Live, LiveReply, Status, Tls};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, State, text};
use crate::{policy, schedules};
use clap::{Args, Subcommand};
use listen::Http;
use serde::Serialize;
use serde_json::json;

/// What the gateway in the foreground is told.
#[derive(Debug, Clone)]
pub struct Foreground {
    /// The HTTP listener; `None` serves the local socket alone.
    pub http: Option<Listening>,
}

/// What became of the start in the foreground.
#[derive(Debug, Clone)]
pub enum Serving {
    /// It serves; with the HTTP listener, if one was asked for.
    Ready(Option<Listening>),
    /// Another process serves already, and this one ends.
    Running(Option<u32>),
}

#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the gateway, in the foreground or with --detach
    Start(Start),
    /// Stop it; calls in flight are answered first
    Stop,
    /// Stop and start it; clients reconnect by themselves
    Restart,
    /// Make a one-time code that allows a remote client
    Authorize(authorize::Authorize),
    /// Read the certificates of its listeners again
    Reload,
    /// Show process, listeners and sessions
    Status,
    /// Show its log
    #[command(alias = "log")]
    Logs(logs::Tail),
    /// Run it at every login
    Install,
    /// Do not run it at login any more
    Uninstall,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp gateway start --detach\n  umcp gateway start --http 127.0.0.1:7332\n  umcp gateway start --detach --http 0.0.0.0:7332 --tls"
)]
struct Start {
    /// Return as soon as it is ready
    #[arg(long)]
    detach: bool,
    /// End a gateway that runs in the foreground elsewhere, and go on in its place
    #[arg(long, conflicts_with = "detach")]
    take_over: bool,
    #[command(flatten)]
    http: Http,
}

/// Run the endpoint: stdio by default, HTTP with --http
///
/// Without `--http` this is the line that clients run; they speak MCP on stdin and stdout.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp serve\n  umcp serve --http 127.0.0.1:7332")]
pub struct Serve {
    #[command(flatten)]
    http: Http,
    /// End a gateway that runs in the foreground elsewhere, and go on in its place
    #[arg(long, requires = "http")]
    take_over: bool,
    /// Serve this profile
    #[arg(long, value_name = "NAME", conflicts_with = "http")]
    profile: Option<String>,
    /// What the client is called until it names itself
    #[arg(long, value_name = "NAME", conflicts_with = "http")]
    client: Option<String>,
    /// Speak on stdin and stdout, as without it
    #[arg(long, conflicts_with = "http", hide = true)]
    stdio: bool,
}

impl Serve {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if let Some(listening) = self.http.listening()? {
            return foreground(ctx, &Foreground { http: Some(listening) }, self.take_over);
        }
        // Reached only with global flags before the word; the plain line never comes this far.
        let arguments = crate::daemon::bridge::Arguments {
            client: self.client.unwrap_or_default(),
            profile: self.profile,
        };
        crate::daemon::bridge::run(&ctx.paths, &arguments)
    }
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::Status) {
            Verb::Start(start) => start.run(ctx),
            Verb::Stop => stop(ctx),
            Verb::Restart => restart(ctx),
            Verb::Authorize(authorize) => authorize.run(ctx),
            Verb::Reload => reload(ctx),
            Verb::Status => ctx.ui.show(&Shown::new(ctx, status(ctx)?)),
            Verb::Logs(tail) => tail.run(ctx, &ctx.paths.daemon_log()),
            Verb::Install => ctx.ui.show(&service::install(ctx)?),
            Verb::Uninstall => ctx.ui.show(&service::uninstall(ctx)?),
        }
    }
}

impl Start {
    fn run(self, ctx: &Context) -> Result<()> {
        let http = self.http.listening()?;
        if !self.detach {
            return foreground(ctx, &Foreground { http }, self.take_over);
        }
        ctx.start()?;
        if let Some(listening) = http {
            if !listening.no_key {
                note_missing_key(ctx)?;
            }
            listen(ctx, listening)?;
        }
        ctx.ui.show(&Shown::new(ctx, status(ctx)?))
    }
}

/// Serves until a signal. A daemon that was started on demand makes way: its clients reconnect to this one.
/// One that somebody runs in the foreground is ended only when that was said.
fn foreground(ctx: &Context, options: &Foreground, take_over: bool) -> Result<()> {
    // One that cannot answer holds no address we know of.
    let running = status(ctx).ok().flatten();
    if let Some(running) = running.as_ref().filter(|running| running.foreground && !take_over) {
        return Err(in_foreground(running));
    }
    if let Some(listening) = &options.http {
        // A mistake must not cost the daemon that runs.
        let held = running.as_ref().map_or_else(Vec::new, |status| status.http.clone());
        let (private, no_key) = (listening.is_private(), listening.no_key);
        policy::address::check(&listening.address, private, no_key, &held)?;
        if !no_key {
            note_missing_key(ctx)?;
        }
    }
    // This process is about to open the store itself.
    ctx.forget_daemon();
    if lifecycle::stop(&ctx.paths)? {
        ctx.ui.note("the gateway that ran made way; clients over stdio reconnect by themselves");
        let ours = options.http.as_ref().map(|listening| &listening.address);
        let held = running.iter().flat_map(|status| &status.http);
        for address in held.filter(|held| Some(*held) != ours) {
            ctx.ui.warn(&format!(
                "it listened on {address}, and nobody does now: umcp gateway start --detach --http {address}"
            ));
        }
    }
    let mut taken = None;
    (ctx.foreground)(options, &mut |serving| match serving {
        Serving::Ready(http) => {
            let mut human = http.as_ref().map_or("serving the local socket".into(), |it| {
                format!("serving {}://{}/mcp and the local socket", it.scheme(), it.address)
            });
            let address = http.as_ref().map(|it| &it.address);
            let mut line = json!({"type": "ready", "http": address});
            if let Some(fingerprint) = http.as_ref().and_then(|it| it.fingerprint.as_ref()) {
                human.push_str(&format!("\ncertificate SHA-256 {fingerprint}"));
                if let Some(path) = own_certificate(ctx, http.as_ref()) {
                    human.push_str(&format!("\n{}", trusting(&path)));
                    line["certificate"] = path.into();
                }
                line["fingerprint"] = fingerprint.as_str().into();
            }
            ctx.ui.line(&line, &human);
        }
        Serving::Running(pid) => taken = Some(pid),
    })?;
    if let Some(pid) = taken {
        let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        return Err(Error::new(&codes::DAEMON_START, format!("the gateway is running already{pid}"))
            .hint("umcp gateway stop"));
    }
    ctx.ui.finish_stream(&json!({"ok": true}));
    Ok(())
}

/// The file of the certificate, where umcp made it itself and nobody trusts it yet.
fn own_certificate(ctx: &Context, listening: Option<&Listening>) -> Option<String> {
    let own = listening.is_some_and(|it| it.tls == Some(Tls::SelfSigned));
    own.then(|| ctx.paths.own_certificate().display().to_string())
}

/// How clients come to trust it.
fn trusting(path: &str) -> String {
    format!(
        "umcp made this certificate itself; clients trust it once they are told to:\n  NODE_EXTRA_CA_CERTS={path} (clients \
         on Node)\n  SSL_CERT_FILE={path} (clients on Python, in the place of the system's)\n  curl --cacert {path}"
    )
}

fn in_foreground(running: &Status) -> Error {
    let place =
        running.http.first().map_or(String::new(), |address| format!(" and serves http://{address}/mcp"));
    let message = format!("a gateway runs in the foreground already (pid {}){place}", running.pid);
    Error::new(&codes::GATEWAY_RUNNING, message)
        .hint("say --take-over to end it and go on in its place")
        .hint("umcp gateway start --detach --http ADDR makes it listen there too")
}

/// Says how to get in, where no key was ever made.
fn note_missing_key(ctx: &Context) -> Result<()> {
    let tokens = match ctx.call(policy::Request::List)? {
        Reply::Token(policy::Reply::Tokens(tokens)) => tokens,
        other => return engine::unexpected(&other),
    };
    if !tokens.iter().any(|token| token.revoked.is_none()) {
        ctx.ui.note("HTTP clients need a key, and there is none yet: umcp token create NAME");
    }
    Ok(())
}

fn listen(ctx: &Context, listening: Listening) -> Result<()> {
    match ctx.live(Live::Listen(listening))? {
        LiveReply::Listening(_) => Ok(()),
        other => context::unexpected(&other),
    }
}

fn reload(ctx: &Context) -> Result<()> {
    match ctx.live_if_running(Live::Reload)? {
        Some(LiveReply::Listeners(_)) => ctx.ui.show(&Shown::new(ctx, status(ctx)?)),
        Some(other) => context::unexpected(&other),
        None => ctx.ui.show(&Shown::new(ctx, None)),
    }
}

fn stop(ctx: &Context) -> Result<()> {
    let stopped = lifecycle::stop(&ctx.paths)?;
    ctx.ui.show(&Stopped { stopped })?;
    if stopped {
        waiting_schedules(ctx)?;
    }
    Ok(())
}

/// Whoever stops the gateway also stops the clock of his schedules.
fn waiting_schedules(ctx: &Context) -> Result<()> {
    let Reply::Schedule(schedules::Reply::Items(all)) = ctx.call(schedules::Request::List { agent: None })?
    else {
        return Err(Error::bug("no schedules in the reply"));
    };
    let waiting = all.iter().filter(|item| item.schedule.enabled).count();
    if waiting > 0 {
        let them = text::plural(waiting, "schedule");
        ctx.ui.warn(&format!("{them} will wait until the gateway runs again: umcp gateway start --detach"));
    }
    Ok(())
}

fn restart(ctx: &Context) -> Result<()> {
    // An old daemon that cannot answer is still stopped; only its listeners are then unknown.
    let before = status(ctx).ok().flatten();
    lifecycle::stop(&ctx.paths)?;
    ctx.forget_daemon();
    ctx.start()?;
    // As they were asked for: who left out the key once need not be asked again.
    for listening in before.into_iter().flat_map(|status| status.listeners) {
        listen(ctx, listening)?;
    }
    ctx.ui.show(&Shown::new(ctx, status(ctx)?))
}

/// What the daemon says of itself, or `None` when none runs.
pub fn status(ctx: &Context) -> Result<Option<Box<Status>>> {
    match ctx.live_if_running(Live::Status)? {
        Some(LiveReply::Status(status)) => Ok(Some(status)),
        Some(other) => context::unexpected(&other),
        None => Ok(None),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown {
    status: Option<Box<Status>>,
    /// Where our own certificate stands, if there is one.
    #[serde(skip)]
    certificate: String,
}

impl Shown {
    fn new(ctx: &Context, status: Option<Box<Status>>) -> Self {
        Self { status, certificate: ctx.paths.own_certificate().display().to_string() }
    }
}

impl Output for Shown {
    const KIND: &'static str = "gateway.status/1";

    fn human(&self, page: &mut Page) {
        let Some(status) = &self.status else {
            page.mark(State::Off, "not running; it starts when a client or a call needs it");
            return;
        };
        page.mark(State::Ok, format!("running: umcp {} (pid {})", status.version, status.pid));
        let http: Vec<String> = status.listeners.iter().map(listener).collect();
        let http = if http.is_empty() { "not listening".into() } else { http.join("\n") };
        let mut pairs = vec![
            ("since", status.started.rfc3339()),
            ("http", http),
            ("sessions", text::number(status.sessions)),
            ("calls", text::number(status.calls)),
        ];
        if let Some(memory) = status.memory {
            pairs.push(("memory", text::bytes(memory)));
        }
        page.pairs(pairs);
        if status.listeners.iter().any(|it| it.tls == Some(Tls::SelfSigned)) {
            trusting(&self.certificate).lines().for_each(|line| _ = page.text(line));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.status.iter().map(|status| status.pid.to_string()).collect()
    }
}

fn listener(listening: &Listening) -> String {
    let words =
        [(listening.insecure, "insecure"), (listening.no_key, "no key"), (listening.tls.is_some(), "TLS")];
    let words: Vec<&str> = words.iter().filter(|(said, _)| *said).map(|(_, word)| *word).collect();
    let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    let print = listening.fingerprint.as_ref();
    let print = print.map_or(String::new(), |print| format!("\ncertificate SHA-256 {print}"));
    format!("{}{words}{print}", listening.address)
}

#[derive(Serialize)]
struct Stopped {
    stopped: bool,
}

impl Output for Stopped {
    const KIND: &'static str = "gateway.stop/1";

    fn human(&self, page: &mut Page) {
        if self.stopped {
            page.mark(State::Ok, "stopped");
        } else {
            page.mark(State::Off, "it was not running");
        }
    }
}
