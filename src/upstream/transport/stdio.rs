//! Servers that are child processes and speak on stdin and stdout. Their stderr goes to the server's log.

use super::Opened;
use crate::error::{Error, Result, codes};
use crate::paths::create_private_dir;
use crate::sandbox::Resource;
use crate::servers::model::{EraChoice, Transport};
use crate::tools::Era;
use crate::upstream::connection::Connection;
use crate::upstream::era;
use crate::upstream::link::{Inbox, Link, read_to_end, write_lines};
use crate::upstream::oauth::Chosen;
use crate::upstream::process::{Child, Confinement, Output, Spec, Verdict};
use crate::upstream::supervisor::Upstream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Time for the last words on stderr after the process has gone.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Between the end of a pipe and the news of the end of its process, either way.
const PIPE_PATIENCE: Duration = Duration::from_millis(20);
/// Grace of each stage of stopping a process that could not agree.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Starts the process and agrees with it. A server that dies of the modern probe is started once more as legacy.
pub async fn connect(
    upstream: &Arc<Upstream>,
    inbox: Arc<dyn Inbox>,
    remembered: Option<Era>,
    chosen: &Chosen,
) -> Result<Opened> {
    let choice = upstream.entry.era;
    match attempt(upstream, inbox.clone(), choice, remembered, chosen).await {
        Err(error)
            if choice == EraChoice::Auto
                && remembered.is_none()
                && error.is(&codes::UPSTREAM_DIED)
                && upstream.may_try_again() =>
        {
            attempt(upstream, inbox, EraChoice::Legacy, None, chosen).await.map_err(as_start)
        }
        other => other.map_err(as_start),
    }
}

/// A death before the first exchange is a failed start.
fn as_start(mut error: Error) -> Error {
    if error.is(&codes::UPSTREAM_DIED) {
        error.code = &codes::UPSTREAM_START;
    }
    error
}

async fn attempt(
    upstream: &Arc<Upstream>,
    inbox: Arc<dyn Inbox>,
    choice: EraChoice,
    remembered: Option<Era>,
    chosen: &Chosen,
) -> Result<Opened> {
    let chosen = chosen.clone();
    let spec = upstream.resolving(move |upstream| spec(upstream, &chosen)).await?;
    let mut child = upstream.shared().children.spawn(spec).await?;
    let (link, queue) = Link::new(inbox);
    link.strays.keep();
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Error::bug("a fresh child without pipes"));
    };
    tokio::spawn(read_and_close(upstream.clone(), link.clone(), stdout, &child));
    tokio::spawn(write_until_closed(link.clone(), queue, stdin));
    tokio::spawn(log(upstream.clone(), stderr));
    tokio::spawn(close_on_exit(upstream.clone(), link.clone(), &child));
    let connection = Connection::Stream(link.clone());
    match era::handshake(&connection, choice, remembered, upstream.bounds.start).await {
        Ok(agreement) => {
            link.strays.take();
            Ok(Opened { connection, agreement, child: Some(child), word: None })
        }
        Err(error) => {
            connection.close(error.clone());
            Err(explain(upstream, child, &link, error).await)
        }
    }
}

/// Reads to the end of the child's output; then the link ends, for the reason the child did.
fn read_and_close(
    upstream: Arc<Upstream>,
    link: Arc<Link>,
    stdout: Output,
    child: &Child,
) -> impl Future<Output = ()> + use<> {
    let (mut exit, verdict) = (child.exit(), child.verdict());
    async move {
        read_to_end(&link, stdout).await;
        // The pipe ends a moment before the exit is told, and some only stop speaking.
        let _ = tokio::time::timeout(PIPE_PATIENCE, exit.wait()).await;
        link.close(ended(&upstream, &verdict, "the server ended the connection"));
    }
}

fn ended(upstream: &Upstream, verdict: &Verdict, otherwise: &str) -> Error {
    let Some(breach) = verdict.breach() else { return Error::new(&codes::UPSTREAM_DIED, otherwise) };
    let error = Error::new(&codes::UPSTREAM_LIMIT, format!("the server was ended: {breach}"));
    let error = match breach.resource {
        Resource::Disk => {
            let folder = upstream.shared().paths.work(upstream.id());
            error.hint(format!("make room in `{}`, or allow more", folder.display()))
        }
        _ => error,
    };
    error.hint(format!(
        "umcp server edit {} --set sandbox.{}=AMOUNT",
        upstream.name(),
        breach.resource.word()
    ))
}

fn close_on_exit(
    upstream: Arc<Upstream>,
    link: Arc<Link>,
    child: &Child,
) -> impl Future<Output = ()> + use<> {
    let mut exit = child.exit();
    let verdict = child.verdict();
    async move {
        tokio::select! {
            info = exit.wait() => {
                // What it said last may still be in the pipe.
                tokio::time::sleep(PIPE_PATIENCE).await;
                link.close(ended(&upstream, &verdict, &format!("the server ended ({info})")));
            }
            _ = link.closed() => {}
        }
    }
}

/// Ends the writing, and with it the child's input, when the link closes.
async fn write_until_closed(
    link: Arc<Link>,
    queue: tokio::sync::mpsc::UnboundedReceiver<bytes::Bytes>,
    stdin: impl tokio::io::AsyncWrite + Unpin,
) {
    tokio::select! {
        () = write_lines(link.clone(), queue, stdin) => {}
        _ = link.closed() => {}
    }
}

async fn log(upstream: Arc<Upstream>, mut stderr: Output) {
    let mut chunk = vec![0; 8 << 10];
    while let Ok(read) = stderr.read(&mut chunk).await {
        if read == 0 {
            return;
        }
        let shared = upstream.shared();
        shared.logs.write(upstream.id(), &chunk[..read], shared.engine.now());
    }
}

/// Adds how the process ended and its last lines of stderr, and of stdout, where usage and complaints go too.
async fn explain(upstream: &Upstream, child: Child, link: &Link, mut error: Error) -> Error {
    // Other failures have closed its input, so that its end would be our doing.
    if error.is(&codes::UPSTREAM_DIED) {
        let mut exit = child.exit();
        if let Ok(info) = tokio::time::timeout(LAST_WORDS, exit.wait()).await {
            error.message = format!("the server ended before it was ready ({info})");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shared = upstream.shared();
    let now = shared.engine.now();
    shared.logs.finish(upstream.id(), now);
    let mut tail = shared.logs.tail(upstream.id());
    let strays = link.strays.take();
    for line in &strays {
        shared.logs.write(upstream.id(), &[b"stdout: ", &line[..], b"\n"].concat(), now);
    }
    // Out of the log, so that both are treated alike.
    let logged = shared.logs.tail(upstream.id());
    for line in logged.lines().skip(logged.lines().count().saturating_sub(strays.len())) {
        tail = if tail.is_empty() { line.into() } else { format!("{tail}\n{line}") };
    }
    if !tail.is_empty() {
        error = error.because(tail);
    }
    child.stop(STOP_GRACE).await;
    error
}

fn spec(upstream: &Upstream, chosen: &Chosen) -> Result<Spec> {
    let Transport::Stdio { command, args } = &upstream.entry.transport else {
        return Err(Error::bug("a process was asked for a server that is none"));
    };
    let shared = upstream.shared();
    let env =
        upstream.entry.env.iter().map(|(name, value)| {
            Ok((name.clone(), shared.resolve_for(value, &format!("env {name}"), chosen)?))
        });
    let cwd = upstream.entry.cwd.as_ref().map(|cwd| shared.resolve(cwd, "cwd")).transpose()?;
    let mut sandbox = upstream.entry.sandbox.clone();
    for place in sandbox.read.iter_mut().chain(&mut sandbox.write) {
        *place = shared.resolve(place, "a place of the sandbox")?;
    }
    let confinement = Confinement::new(&sandbox, &shared.settings, &shared.paths, upstream.id());
    let cwd = cwd.map_or_else(|| confinement.folder().to_path_buf(), PathBuf::from);
    if cwd == confinement.work {
        create_private_dir(&cwd)?;
    }
    Ok(Spec {
        program: shared.resolve(command, "the command")?,
        args: args.iter().map(|arg| shared.resolve(arg, "an argument")).collect::<Result<_>>()?,
        env: env.collect::<Result<_>>()?,
        cwd: Some(cwd),
        label: upstream.name().into(),
        confinement: Some(confinement),
    })
}
