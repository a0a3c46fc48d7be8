//! Servers that are child processes and speak on stdin and stdout. Their stderr goes to the server's log.

use super::Opened;
use crate::error::{Error, Result, codes};
use crate::servers::model::{EraChoice, Transport};
use crate::tools::Era;
use crate::upstream::connection::Connection;
use crate::upstream::era;
use crate::upstream::link::{Inbox, Link, read_lines, write_lines};
use crate::upstream::process::{Child, Output, Spec};
use crate::upstream::supervisor::Upstream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Time for the last words on stderr after the process has gone.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Grace of each stage of stopping a process that could not agree.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Starts the process and agrees with it. A server that dies of the modern probe is started once more as legacy.
pub async fn connect(
    upstream: &Arc<Upstream>,
    inbox: Arc<dyn Inbox>,
    remembered: Option<Era>,
) -> Result<Opened> {
    let choice = upstream.entry.era;
    match attempt(upstream, inbox.clone(), choice, remembered).await {
        Err(error)
            if choice == EraChoice::Auto
                && remembered.is_none()
                && error.is(&codes::UPSTREAM_DIED)
                && upstream.may_try_again() =>
        {
            attempt(upstream, inbox, EraChoice::Legacy, None).await.map_err(as_start)
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
) -> Result<Opened> {
    let mut child = upstream.shared().children.spawn(upstream.resolving(spec).await?).await?;
    let (link, queue) = Link::new(inbox);
    link.strays.keep();
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Error::bug("a fresh child without pipes"));
    };
    tokio::spawn(read_lines(link.clone(), stdout));
    tokio::spawn(write_until_closed(link.clone(), queue, stdin));
    tokio::spawn(log(upstream.clone(), stderr));
    tokio::spawn(close_on_exit(link.clone(), &child));
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

fn close_on_exit(link: Arc<Link>, child: &Child) -> impl Future<Output = ()> + use<> {
    let mut exit = child.exit();
    async move {
        tokio::select! {
            info = exit.wait() => {
                // What it said last may still be in the pipe.
                tokio::time::sleep(Duration::from_millis(20)).await;
                link.close(Error::new(&codes::UPSTREAM_DIED, format!("the server ended ({info})")));
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

fn spec(upstream: &Upstream) -> Result<Spec> {
    let Transport::Stdio { command, args } = &upstream.entry.transport else {
        return Err(Error::bug("a process was asked for a server that is none"));
    };
    let shared = upstream.shared();
    let env = upstream
        .entry
        .env
        .iter()
        .map(|(name, value)| Ok((name.clone(), shared.resolve_value(value, &format!("env {name}"))?)));
    let cwd = upstream.entry.cwd.as_ref().map(|cwd| shared.resolve(cwd, "cwd")).transpose()?;
    Ok(Spec {
        program: shared.resolve(command, "the command")?,
        args: args.iter().map(|arg| shared.resolve(arg, "an argument")).collect::<Result<_>>()?,
        env: env.collect::<Result<_>>()?,
        cwd: cwd.map(PathBuf::from).or_else(|| Some(shared.paths.home.clone())),
        label: upstream.name().into(),
    })
}
