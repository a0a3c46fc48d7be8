//! A process that is run to its end: given its input, heard to the last byte, bounded in time and output.
//! For commands that are called like functions; servers, which stay, are spawned and talked with.

use super::{Child, Children, ExitInfo, Spec};
use crate::error::Result;
use crate::sandbox::{Breach, Resource};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// Between asking a process to end and making it.
const GRACE: Duration = Duration::from_secs(2);
/// What is still in the pipes when the process has gone is waited for so long: others may hold their ends.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// One run.
pub struct Job {
    pub spec: Spec,
    pub input: Vec<u8>,
    pub deadline: Duration,
    /// Bytes of stdout and of stderr, each.
    pub output: usize,
}

/// How a run went. With a breach the process was ended for it, and the output is what it had said until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub exit: ExitInfo,
    pub breach: Option<Breach>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Children {
    /// Runs a process to its end. Dropping the future ends the process with everything it started.
    ///
    /// # Errors
    /// Those of [`Children::spawn`]. A process that fails or passes a bound is no error: see [`Finished`].
    pub async fn run(self: &Arc<Self>, job: Job) -> Result<Finished> {
        let mut child = self.spawn(job.spec).await?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut exit = child.exit();
        let outcome = {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // Whoever does not want to hear it need not.
                    let _ = stdin.write_all(&job.input).await;
                }
            };
            let hear = async {
                tokio::try_join!(read(stdout, &mut out, job.output), read(stderr, &mut err, job.output))
                    .map(drop)
            };
            let mut write = std::pin::pin!(write);
            let mut hear = std::pin::pin!(hear);
            let deadline = tokio::time::sleep(job.deadline);
            let mut deadline = std::pin::pin!(deadline);
            let (mut written, mut heard) = (false, false);
            loop {
                tokio::select! {
                    () = &mut write, if !written => written = true,
                    full = &mut hear, if !heard => match full {
                        Ok(()) => heard = true,
                        Err(full) => break Some(full),
                    },
                    _ = exit.wait() => {
                        if !heard && let Ok(Err(full)) = tokio::time::timeout(LAST_WORDS, &mut hear).await {
                            break Some(full);
                        }
                        break None;
                    }
                    () = &mut deadline => {
                        let allowed = u64::try_from(job.deadline.as_millis()).unwrap_or(u64::MAX);
                        break Some(Breach { resource: Resource::Time, used: 0, allowed });
                    }
                }
            }
        };
        Ok(finish(child, outcome, out, err).await)
    }
}

async fn finish(child: Child, outcome: Option<Breach>, stdout: Vec<u8>, stderr: Vec<u8>) -> Finished {
    let verdict = child.verdict();
    let late = outcome.is_some_and(|breach| breach.resource == Resource::Time);
    // Time is up for one that may be asked; one that floods is not listened to any more.
    let exit = child.stop(if late { GRACE } else { Duration::ZERO }).await.unwrap_or_default();
    Finished { exit, breach: outcome.or_else(|| verdict.breach()), stdout, stderr }
}

/// Reads to the end, or to the bound.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    bound: usize,
) -> std::result::Result<(), Breach> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut pipe = pipe.take(bound as u64 + 1);
    // A pipe that breaks has ended.
    let _ = pipe.read_to_end(into).await;
    if into.len() <= bound {
        return Ok(());
    }
    into.truncate(bound);
    Err(Breach { resource: Resource::Output, used: 0, allowed: bound as u64 })
}
