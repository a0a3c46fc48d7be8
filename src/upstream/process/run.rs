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

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a helper of tests is no test to the lint")]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use crate::sandbox::{Base, Sandbox};
    use crate::settings::Settings;
    use crate::upstream::process::Confinement;
    use std::collections::BTreeMap;

    fn run(job: Job) -> Finished {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let children = Children::start(&format!("t-run-{}", std::process::id())).unwrap();
            children.run(job).await.unwrap()
        })
    }

    fn shell(script: &str, confinement: Option<Confinement>) -> Job {
        let spec = Spec {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::new(),
            cwd: None,
            label: "job".into(),
            confinement,
        };
        Job { spec, input: b"in\n".to_vec(), deadline: Duration::from_secs(20), output: 1000 }
    }

    fn breach(resource: Resource, allowed: u64) -> Option<Breach> {
        Some(Breach { resource, used: 0, allowed })
    }

    #[test]
    fn a_run_gives_its_output_and_its_exit() {
        let finished = run(shell("read word; echo got $word; echo no >&2; exit 3", None));
        let exit = ExitInfo { code: Some(3), signal: None };
        let expected =
            Finished { exit, breach: None, stdout: b"got in\n".to_vec(), stderr: b"no\n".to_vec() };
        assert_eq!(finished, expected);
    }

    #[test]
    fn time_and_output_are_bounded_and_what_was_said_is_kept() {
        let late = Job { deadline: Duration::from_millis(200), ..shell("echo early; exec sleep 60", None) };
        let late = run(late);
        assert_eq!((late.breach, late.stdout.as_slice()), (breach(Resource::Time, 200), &b"early\n"[..]));
        let loud = run(shell("while :; do echo xxxxxxxxxxxxxxxxxxxx; done", None));
        assert_eq!((loud.breach, loud.stdout.len()), (breach(Resource::Output, 1000), 1000));
    }

    /// A confinement in a home of its own, with a hidden key, and the folder that keeps both.
    fn confined(base: Base, limit: impl Fn(&mut Confinement)) -> (tempfile::TempDir, Confinement) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        std::fs::create_dir(home.join(".ssh")).unwrap();
        std::fs::write(home.join(".ssh/key"), "secret").unwrap();
        let paths = Paths::in_folder(&home.join("umcp"), home);
        let sandbox = Sandbox { profile: Some(base), ..Sandbox::default() };
        let mut confinement = Confinement::new(&sandbox, &Settings::default(), &paths, "job");
        limit(&mut confinement);
        (dir, confinement)
    }

    #[test]
    fn a_confined_run_cannot_read_a_key_and_its_appetite_is_named() {
        let (dir, confinement) = confined(Base::Default, |_| {});
        let key = dir.path().canonicalize().unwrap().join(".ssh/key");
        let read = format!("cat {} && echo read", key.display());
        let finished = run(shell(&read, Some(confinement)));
        assert_eq!((finished.exit.code, finished.stdout.as_slice()), (Some(1), &b""[..]));
        assert_eq!(run(shell(&read, None)).stdout, b"secretread\n");
        let (_dir, hot) = confined(Base::Default, |confinement| {
            confinement.chosen.limits.cpu_ms = Some(300);
        });
        let hot = run(shell("while :; do :; done", Some(hot)));
        assert_eq!(hot.breach.map(|breach| breach.resource), Some(Resource::Cpu));
        let (_dir, full) = confined(Base::Strict, |confinement| {
            confinement.chosen.limits.disk = Some(100 << 10);
        });
        // One file above the bound: the kernel itself refuses it.
        let full = run(shell("exec head -c 1000000 /dev/zero > \"$TMPDIR/file\"", Some(full)));
        assert_eq!(full.breach, breach(Resource::Disk, 100 << 10));
    }

    #[test]
    fn a_daemon_that_a_confined_run_leaves_behind_is_ended_too() {
        let (dir, confinement) = confined(Base::Default, |_| {});
        let note = dir.path().join("pid");
        let script = format!(
            "(setsid sh -c 'echo $$ > {0}; exec sleep 60' &) ; while [ ! -s {0} ]; do :; done",
            note.display()
        );
        let finished = run(shell(&script, Some(confinement)));
        assert_eq!(finished.exit.code, Some(0));
        let pid: u32 = std::fs::read_to_string(&note).unwrap().trim().parse().unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
