//! Runs a package manager's program to its end: shut in like a server, without the keys of the environment, with a
//! deadline, and gone as a whole group when the user presses Ctrl-C. It knows no manager. Long because the ways to
//! end a group, and to hear its last words, stand beside the tests that try them.

use crate::error::{Error, Result, codes};
use crate::packages::{failure, program};
use crate::paths::{Paths, write_atomic};
use crate::sandbox::{self, Base, Chosen, Limits, Net, Prepared, Subject};
use crate::setup::programs;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The longest a single program may take: builds of large programs do.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Most that is read of what a program says, in bytes.
const MAX_OUTPUT: u64 = 64 << 20;
/// How long a program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(3);
/// Lines of stderr that are kept for an error and its log.
const LAST_LINES: usize = 2000;

/// Variables a manager's program gets, by name and by how the name begins.
const NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SHELL",
    "SystemRoot",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "ProgramData",
    "ComSpec",
    "PATHEXT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "CC",
    "CXX",
    "GEMRC",
];
const BEGINNINGS: &[&str] = &[
    "LC_",
    "XDG_",
    "npm_config_",
    "NPM_CONFIG_",
    "PIP_",
    "PYENV_",
    "UV_",
    "CARGO_",
    "RUSTUP_",
    "GO",
    "GEM_",
    "BUNDLE_",
    "COMPOSER_",
    "DOTNET_",
    "NUGET_",
    "DOCKER_",
    "CONTAINERS_",
    "GIT_",
    "NVM_",
    "VOLTA_",
    "ASDF_",
    "MISE_",
];

/// What is needed to run programs of managers.
pub struct Runner<'a> {
    pub paths: &'a Paths,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// All variables of this process.
    pub variables: Vec<(String, String)>,
    /// What the settings say of sandboxes; only `off` counts.
    pub base: Base,
    pub interrupted: &'a dyn Fn() -> bool,
    /// Hears the last line a program said.
    pub told: &'a dyn Fn(&str),
    /// Fetches a file from an address.
    pub download: &'a dyn Fn(&str, &Path) -> Result<()>,
}

/// One start of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub program: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Code of the package itself runs: it gets no keys from the environment.
    pub foreign: bool,
}

impl Step {
    pub fn new(program: &str, args: &[&str]) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        Self { program: program.into(), args, env: BTreeMap::new(), foreign: false }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// As one would type it.
    pub fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words
            .map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() })
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Runner<'_> {
    /// Whether a program is on this machine.
    pub fn has(&self, program: &str) -> bool {
        self.find(program).is_ok()
    }

    fn find(&self, program: &str) -> Result<PathBuf> {
        let path = (self.env)("PATH").unwrap_or_default();
        programs::find(program, &path).ok_or_else(|| {
            Error::new(&codes::PACKAGE_MANAGER, format!("`{program}` is not found on PATH"))
                .hint(program::advice(program))
        })
    }

    /// Runs a program in a folder and gives its stdout.
    pub fn run(&self, folder: &Path, step: &Step) -> Result<String> {
        let program = self.find(&step.program)?;
        let mut command = Command::new(&program);
        let kept = self.variables.iter().filter(|(name, _)| passes(name, step.foreign));
        command.env_clear().envs(kept.map(|(name, value)| (name, value))).envs(&step.env);
        command.args(&step.args).current_dir(folder);
        self.shut_in(folder, &program, step, &mut command)?;
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            Prepared::failure(&error).unwrap_or_else(|| {
                let message = format!("`{}` could not be started", program.display());
                Error::new(&codes::PACKAGE_MANAGER, message).because(error)
            })
        })?;
        self.attend(child, step)
    }

    fn shut_in(&self, folder: &Path, program: &Path, step: &Step, command: &mut Command) -> Result<()> {
        let chosen = Chosen {
            base: if self.base == Base::Off { Base::Off } else { Base::Default },
            read: Vec::new(),
            write: vec![folder.to_string_lossy().into_owned()],
            net: Net::Any,
            require: Vec::new(),
            limits: Limits::default(),
        };
        let runtime = (self.env)("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = self.paths.private();
        let path = (self.env)("PATH").unwrap_or_default();
        let work = [folder.to_path_buf()];
        let subject = Subject {
            program,
            // Arguments name packages, not places that a sandbox should open.
            args: &[],
            env: &step.env,
            path: &path,
            work: &work,
            home: &self.paths.home,
            runtime: runtime.as_deref(),
            own: &own,
        };
        sandbox::prepare(&sandbox::plan(&chosen, subject))?.attach(command);
        Ok(())
    }

    /// Waits for a child, tells what it says, and ends it when its time is over or the user wants so.
    fn attend(&self, mut child: Child, step: &Step) -> Result<String> {
        let (sender, lines) = channel();
        let output = child.stdout.take().map(|pipe| std::thread::spawn(move || read(pipe)));
        if let Some(pipe) = child.stderr.take() {
            std::thread::spawn(move || tell(pipe, &sender));
        }
        let until = Instant::now() + DEADLINE;
        let mut last = Vec::new();
        let ended = loop {
            self.hear(&lines, &mut last);
            match has_ended(&mut child) {
                Ok(true) => break Ok(()),
                Ok(false) if (self.interrupted)() => {
                    break Err(Error::new(&codes::INTERRUPTED, "interrupted"));
                }
                Ok(false) if Instant::now() > until => {
                    let message =
                        format!("`{}` took more than {} minutes", step.line(), DEADLINE.as_secs() / 60);
                    break Err(Error::new(&codes::TIMED_OUT, message));
                }
                Ok(false) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    break Err(
                        Error::new(&codes::IO, format!("cannot wait for `{}`", step.program)).because(error)
                    );
                }
            }
        };
        end(&mut child, ended.is_err());
        let status = child.wait();
        ended?;
        let status = status.map_err(|error| {
            Error::new(&codes::IO, format!("cannot wait for `{}`", step.program)).because(error)
        })?;
        let output = output.map(whole).unwrap_or_default();
        if status.success() {
            return Ok(output);
        }
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(100)) {
            last.push(line);
        }
        Err(self.failed(step, &last, status))
    }

    /// The error of a program that failed, with all that it said in a file.
    fn failed(&self, step: &Step, said: &[String], status: ExitStatus) -> Error {
        let told = failure::read(said);
        let why = if told.why.is_empty() { format!("it ended with {status}") } else { told.why };
        let error = Error::new(told.code, format!("`{}` {}", step.program, told.what)).because(why);
        let error = told.hint.into_iter().fold(error, Error::hint);
        let log = self.paths.packages_log();
        let text = format!("{}\n{}\nended with {status}\n", step.line(), said.join("\n"));
        match write_atomic(&log, text.as_bytes()) {
            Ok(()) => error.hint(format!("all it said stands in `{}`", log.display())),
            // The reason above is what matters.
            Err(_) => error,
        }
    }

    fn hear(&self, lines: &Receiver<String>, last: &mut Vec<String>) {
        for line in lines.try_iter() {
            (self.told)(&line);
            last.push(line);
            if last.len() > 2 * LAST_LINES {
                last.drain(..LAST_LINES);
            }
        }
    }
}

/// Whether a variable is handed on.
fn passes(name: &str, foreign: bool) -> bool {
    const KEYS: [&str; 6] = ["TOKEN", "SECRET", "PASSWORD", "AUTH", "KEY", "CREDENTIAL"];
    let upper = name.to_ascii_uppercase();
    let known = NAMES.contains(&name) || BEGINNINGS.iter().any(|start| name.starts_with(start));
    known && !(foreign && KEYS.iter().any(|key| upper.contains(key)))
}

/// Whether the program has ended. It is not waited for yet, so that its group cannot be somebody else's by now.
#[cfg(unix)]
fn has_ended(child: &mut Child) -> std::io::Result<bool> {
    let (id, flags) = (child.id() as libc::id_t, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT);
    // SAFETY: zeros are a valid structure, which the call fills and outlives.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        if libc::waitid(libc::P_PID, id, &raw mut info, flags) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(info.si_pid() != 0)
    }
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> std::io::Result<bool> {
    child.try_wait().map(|status| status.is_some())
}

/// What the program said. A process that left its group may hold the pipe open; it is not waited for.
fn whole(thread: std::thread::JoinHandle<String>) -> String {
    let until = Instant::now() + PATIENCE;
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    if thread.is_finished() { thread.join().unwrap_or_default() } else { String::new() }
}

fn read(pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let mut pipe = pipe;
    let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
    // A program that says more must not wait for a reader.
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tell(pipe: impl Read, sender: &Sender<String>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.by_ref().take(4096).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_string());
        line.clear();
    }
}

/// Ends what is left of a group; a program may leave children behind.
fn end(child: &mut Child, alive: bool) {
    #[cfg(unix)]
    {
        let group = -i32::try_from(child.id()).unwrap_or(i32::MAX);
        if alive {
            // SAFETY: sends a signal to the group of a child that was not waited for yet.
            unsafe { libc::kill(group, libc::SIGTERM) };
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until && matches!(has_ended(child), Ok(false)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // SAFETY: as above; whoever is left of the group did not listen.
        unsafe { libc::kill(group, libc::SIGKILL) };
    }
    if alive {
        let _ = child.kill();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    fn paths(dir: &Path) -> Paths {
        Paths::in_folder(&dir.join("umcp"), dir.to_path_buf())
    }

    #[test]
    fn a_program_is_heard_and_its_failure_quotes_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let said = RefCell::new(Vec::new());
        let runner = Runner {
            paths: &paths,
            env: &|name| (name == "PATH").then(|| "/usr/bin:/bin".into()),
            variables: vec![("PATH".into(), "/usr/bin:/bin".into()), ("MY_SECRET".into(), "x".into())],
            base: Base::Off,
            interrupted: &|| false,
            told: &|line| said.borrow_mut().push(line.to_string()),
            download: &|_, _| Ok(()),
        };
        let shell = |script: &str| Step::new("sh", &["-c", script]);
        let out = runner.run(dir.path(), &shell("echo working >&2; echo out$MY_SECRET; pwd")).unwrap();
        let real = dir.path().canonicalize().unwrap();
        assert_eq!(out, format!("out\n{}\n", real.display()));
        let error = runner.run(dir.path(), &shell("echo why >&2; exit 3")).unwrap_err();
        assert!(error.is(&codes::PACKAGE_FAILED) && format!("{error:?}").contains("why"), "{error:?}");
        let error = runner.run(dir.path(), &Step::new("no-such-manager", &[])).unwrap_err();
        assert!(error.is(&codes::PACKAGE_MANAGER));
    }

    #[test]
    fn ctrl_c_ends_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let asked = Cell::new(0);
        let marker = dir.path().join("started");
        let interrupted = || {
            asked.set(asked.get() + 1);
            marker.exists()
        };
        let runner = Runner {
            paths: &paths,
            env: &|name| (name == "PATH").then(|| "/usr/bin:/bin".into()),
            variables: vec![("PATH".into(), "/usr/bin:/bin".into())],
            base: Base::Off,
            interrupted: &interrupted,
            told: &|_| (),
            download: &|_, _| Ok(()),
        };
        let script = "sleep 60 & echo $! > child; touch started; wait";
        let error = runner.run(dir.path(), &Step::new("sh", &["-c", script])).unwrap_err();
        assert!(error.is(&codes::INTERRUPTED), "{error:?}");
        let child: i32 = std::fs::read_to_string(dir.path().join("child")).unwrap().trim().parse().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        // SAFETY: asks whether a process is there.
        while unsafe { libc::kill(child, 0) } == 0 && Instant::now() < until {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if stat.contains(") Z ") {
                break;
            }
            std::thread::yield_now();
        }
        assert!(Instant::now() < until, "the child of the child still runs");
    }

    #[test]
    fn code_of_a_package_gets_no_keys() {
        for (name, foreign, expected) in [
            ("PATH", true, true),
            ("npm_config_registry", true, true),
            ("CARGO_REGISTRY_TOKEN", false, true),
            ("CARGO_REGISTRY_TOKEN", true, false),
            ("OPENAI_API_KEY", false, false),
            ("LD_PRELOAD", false, false),
            ("NODE_OPTIONS", false, false),
        ] {
            assert_eq!(passes(name, foreign), expected, "{name}");
        }
    }
}
