//! Runs the program of a command: started by the one thread that starts children, bounded in time and output,
//! gone with the call. What it may be told is decided in `apps::exec`.

use crate::apps::answer::{Outcome, block};
use crate::apps::model::{Exec, Tool};
use crate::error::{Error, Result, codes};
use crate::upstream::link::Link;
use crate::upstream::message::notification;
use crate::upstream::process::{Child, Children, ExitInfo, Input, Output, Spec};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The output may end so long after its program, which something it started can hold open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Grace of each stage of stopping a program whose time is up.
const GRACE: Duration = Duration::from_millis(200);
/// The same for one that has a container to stop.
const CONTAINER_GRACE: Duration = Duration::from_secs(3);
/// A program that writes so many times its limit is stopped.
const FLOOD: u64 = 64;
/// Progress is told no more often than this.
const PACE: Duration = Duration::from_millis(100);
/// Bytes of stderr that are shown with a failure.
const STDERR: u64 = 16 << 10;

pub struct Runner {
    pub children: Arc<Children>,
}

impl Runner {
    /// Runs a program with this input to its end, or to the end of its time.
    pub async fn run(
        &self,
        tool: &Tool,
        command: &Exec,
        (spec, input): (Spec, String),
        streaming: Option<&mut Streaming>,
    ) -> Result<Outcome> {
        let mut child = self.children.spawn(spec).await?;
        let stdin = child.stdin.take();
        let feeding = feed(stdin, input);
        let deadline = Instant::now() + Duration::from_millis(tool.timeout_ms);
        let mut run = Running::new(tool.limit, command.stderr, streaming);
        let ended = {
            let following = run.follow(&mut child, deadline);
            tokio::pin!(feeding, following);
            tokio::select! {
                ended = &mut following => ended,
                () = &mut feeding => following.await,
            }
        };
        let grace = match ended {
            End::Exit(_) => Duration::ZERO,
            _ if command.container.is_some() => CONTAINER_GRACE,
            _ => GRACE,
        };
        child.stop(grace).await;
        Ok(run.outcome(tool, command, ended))
    }
}

/// The program that runs containers here.
pub fn container_engine() -> Result<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let names = if cfg!(windows) { ["docker.exe", "podman.exe"] } else { ["docker", "podman"] };
    let found = names.iter().find(|name| folders.iter().any(|folder| folder.join(name).is_file()));
    found.map(|name| name.trim_end_matches(".exe").to_string()).ok_or_else(|| {
        Error::new(
            &codes::UPSTREAM_START,
            "the command runs in a container, and neither docker nor podman is on PATH",
        )
        .hint("install Docker: https://docs.docker.com/get-docker")
        .hint("or leave `container` out to run it on this machine")
    })
}

/// Writes the input and closes it. A program that does not read it is none the worse.
async fn feed(stdin: Option<Input>, text: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(text.as_bytes()).await;
    }
}

/// Why the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Exit(ExitInfo),
    TimedOut,
    Flooded,
}

struct Running<'a> {
    output: Kept,
    errors: Kept,
    joined: bool,
    streaming: Option<&'a mut Streaming>,
}

/// The beginning of a stream, and how long it was.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    total: u64,
}

impl Kept {
    fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX), total: 0 }
    }

    fn take(&mut self, chunk: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.total += chunk.len() as u64;
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

impl<'a> Running<'a> {
    fn new(limit: u64, joined: bool, streaming: Option<&'a mut Streaming>) -> Self {
        Self { output: Kept::new(limit), errors: Kept::new(STDERR.min(limit)), joined, streaming }
    }

    /// Reads until the program has ended and its output too.
    async fn follow(&mut self, child: &mut Child, deadline: Instant) -> End {
        let mut exit = child.exit();
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let (mut ended, mut until) = (None, deadline);
        let (mut chunk, mut side) = (Vec::with_capacity(16 << 10), Vec::with_capacity(4 << 10));
        loop {
            if let (Some(info), None, None) = (ended, &out, &err) {
                return End::Exit(info);
            }
            tokio::select! {
                more = read(&mut out, &mut chunk) => match more {
                    true => self.arrived(&mut chunk, false),
                    false => out = None,
                },
                more = read(&mut err, &mut side) => match more {
                    true => self.arrived(&mut side, true),
                    false => err = None,
                },
                info = exit.wait(), if ended.is_none() => {
                    ended = Some(info);
                    until = until.min(Instant::now() + LAST_WORDS);
                }
                () = tokio::time::sleep_until(until.into()) => {
                    return ended.map_or(End::TimedOut, End::Exit);
                }
            }
            if self.output.total > self.output.limit as u64 * FLOOD {
                return End::Flooded;
            }
        }
    }

    fn arrived(&mut self, chunk: &mut Vec<u8>, error: bool) {
        let kept = if error && !self.joined { &mut self.errors } else { &mut self.output };
        kept.take(chunk);
        if let Some(streaming) = &mut self.streaming {
            streaming.tell(chunk);
        }
        chunk.clear();
    }

    fn outcome(&self, tool: &Tool, command: &Exec, ended: End) -> Outcome {
        let cut = self.output.is_cut().then(|| {
            let (kept, total) = (self.output.bytes.len(), self.output.total);
            format!("[only the first {kept} of {total} bytes of output are shown]")
        });
        let text = self.output.text();
        let why = match ended {
            End::Exit(info) if info.code.is_some_and(|code| code == 0 || command.ok.contains(&code)) => {
                return Outcome::text(text).noted(cut);
            }
            End::Exit(info) => format!("`{}` failed: {info}", tool.name),
            End::TimedOut => {
                format!(
                    "`{}` was stopped: it did not end within {} s",
                    tool.name,
                    tool.timeout_ms as f64 / 1000.0
                )
            }
            End::Flooded => format!("`{}` was stopped: it wrote {} bytes", tool.name, self.output.total),
        };
        let mut outcome = Outcome::failed(why);
        let shown = [("", text), ("stderr:\n", self.errors.text())];
        let shown = shown.iter().filter(|(_, text)| !text.trim().is_empty());
        outcome.content.extend(shown.map(|(head, text)| block(format!("{head}{text}"))));
        outcome.noted(cut)
    }
}

/// Reads a chunk; false at the end. A stream that has ended is never ready again.
async fn read(stream: &mut Option<Output>, chunk: &mut Vec<u8>) -> bool {
    match stream {
        Some(stream) => matches!(stream.read_buf(chunk).await, Ok(read) if read > 0),
        None => std::future::pending().await,
    }
}

/// Tells the caller what a program writes while it runs, as progress: the newest line.
pub struct Streaming {
    link: Arc<Link>,
    token: Value,
    bytes: u64,
    told: Option<Instant>,
}

impl Streaming {
    pub fn new(link: &Arc<Link>, token: Value) -> Self {
        Self { link: link.clone(), token, bytes: 0, told: None }
    }

    fn tell(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        if self.told.is_some_and(|told| told.elapsed() < PACE) {
            return;
        }
        let text = String::from_utf8_lossy(chunk);
        let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else { return };
        let line: String = line.trim().chars().take(200).collect();
        let params = json!({"progressToken": self.token, "progress": self.bytes, "message": line});
        self.link.receive(&notification("notifications/progress", &params.to_string()).into());
        self.told = Some(Instant::now());
    }
}
