//! Reads a git repository through the user's own git: a bare and shallow clone that is looked at and thrown away.
//! Rule: nothing is checked out, so no hook, filter, link or submodule of the repository ever does anything; what git
//! may speak, how long it may take and how much it may write is bounded.

use crate::catalogue::list::is_catalogue_file;
use crate::error::{Error, Result, codes};
use crate::paths::{create_private_dir, io_error};
use crate::setup::programs;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);
/// Largest clone on the disk.
const MOST_DISK: u64 = 256 << 20;
/// Largest list of files, and largest file.
const MOST_LIST: u64 = 32 << 20;
const MOST_FILE: u64 = 8 << 20;

/// A clone in a folder of its own, which goes with it.
pub struct Clone {
    git: PathBuf,
    folder: PathBuf,
    files: Vec<String>,
    /// Object of each file that may be asked for, and whether it may be run.
    objects: HashMap<String, (String, bool)>,
}

impl Drop for Clone {
    fn drop(&mut self) {
        // Nothing reads it again, and the system clears its temporary folder some day.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Clone {
    /// The files that may be lists of a catalogue.
    pub fn make(url: &str, branch: Option<&str>) -> Result<Self> {
        Self::of(url, branch, &|path| is_catalogue_file(path) || path.ends_with(".json"))
    }

    /// The files whose paths are `wanted`.
    pub fn of(url: &str, branch: Option<&str>, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let path = std::env::var("PATH").unwrap_or_default();
        let git = programs::find("git", &path).ok_or_else(|| {
            Error::new(&codes::SOURCE_FAILED, "`git` is not found on PATH")
                .hint("install git, or add the catalogue as a file or address")
        })?;
        let folder = std::env::temp_dir().join(format!("umcp-catalog-{}", crate::ids::random_hex(8)));
        create_private_dir(&folder)?;
        let mut clone = Self { git, folder, files: Vec::new(), objects: HashMap::new() };
        let mut arguments =
            vec!["clone", "--quiet", "--bare", "--depth=1", "--single-branch", "--no-tags", "--template="];
        if let Some(branch) = branch {
            arguments.extend(["--branch", branch]);
        }
        let place =
            if is_local(url) && !url.starts_with("file://") { format!("file://{url}") } else { url.into() };
        arguments.extend(["--", &place, "repository"]);
        clone.run(&arguments, &clone.folder, 1 << 20)?;
        clone.list(wanted)?;
        Ok(clone)
    }

    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The text of a file; none for one that is not there or too large.
    pub fn text(&self, file: &str) -> Result<Option<String>> {
        Ok(self.bytes(file)?.and_then(|(bytes, _)| String::from_utf8(bytes).ok()))
    }

    /// The bytes of a file, and whether it may be run.
    pub fn bytes(&self, file: &str) -> Result<Option<(Vec<u8>, bool)>> {
        let Some((object, executable)) = self.objects.get(file) else { return Ok(None) };
        let bytes = self.run(&["cat-file", "blob", object], &self.folder.join("repository"), MOST_FILE)?;
        Ok(Some((bytes, *executable)))
    }

    fn list(&mut self, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        let arguments = ["ls-tree", "-r", "-z", "--long", "--full-tree", "HEAD"];
        let listed = self.run(&arguments, &self.folder.join("repository"), MOST_LIST)?;
        for line in String::from_utf8_lossy(&listed).split('\0') {
            let Some((about, path)) = line.split_once('\t') else { continue };
            let words: Vec<&str> = about.split_whitespace().collect();
            let [mode, "blob", object, size] = words.as_slice() else { continue };
            // A link is a blob too, of another mode.
            let plain = *mode == "100644" || *mode == "100755";
            let small = size.parse::<u64>().is_ok_and(|size| size <= MOST_FILE);
            if plain && small && wanted(path) && !path.chars().any(char::is_control) {
                self.objects.insert(path.into(), ((*object).into(), *mode == "100755"));
                self.files.push(path.into());
            }
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str], folder: &Path, most: u64) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.git);
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.symlinks=false",
            "protocol.allow=never",
            "protocol.https.allow=always",
            "protocol.http.allow=always",
            "protocol.ssh.allow=always",
            "protocol.file.allow=always",
            "transfer.fsckObjects=true",
            "credential.interactive=false",
            "gc.auto=0",
            "maintenance.auto=false",
        ] {
            command.args(["-c", setting]);
        }
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_CONFIG_PARAMETERS",
            "GIT_TEMPLATE_DIR",
            "GIT_EXTERNAL_DIFF",
        ] {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            // The repository somebody stands in has no say.
            .env("GIT_CEILING_DIRECTORIES", self.folder.parent().unwrap_or(&self.folder))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |reason: String| {
            Error::new(&codes::SOURCE_FAILED, "git could not read the repository").because(reason)
        };
        let mut child = command.spawn().map_err(|error| io_error("run", &self.git, &error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let heard = std::thread::spawn(move || take(stdout, most));
        let complaint = std::thread::spawn(move || take(stderr, 64 << 10));
        let ends = Instant::now() + DEADLINE;
        let mut looks = 0_u32;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| failed(error.to_string()))? {
                break status;
            }
            looks += 1;
            let why = if Instant::now() > ends {
                "it took longer than two minutes"
            } else if looks.is_multiple_of(10) && size_of(&self.folder) > MOST_DISK {
                "it is larger than 256 MiB"
            } else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(why.into()));
        };
        let (bytes, complaint) = (heard.join().unwrap_or_default(), complaint.join().unwrap_or_default());
        if !status.success() {
            let words = String::from_utf8_lossy(&complaint);
            let last =
                words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gave no reason");
            return Err(failed(last.chars().filter(|c| !c.is_control()).take(300).collect()));
        }
        match bytes.len() as u64 > most {
            true => Err(failed("it holds more than a catalogue may".into())),
            false => Ok(bytes),
        }
    }
}

/// Everything a stream says; of what is behind `most` only that it was there.
fn take(stream: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // A stream that breaks off ends with its process, which is asked how it went.
        let _ = stream.take(most + 1).read_to_end(&mut bytes);
    }
    bytes
}

fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn is_local(url: &str) -> bool {
    url.starts_with("file://") || Path::new(url).is_absolute()
}

/// An address git may be given: https, ssh, or a folder of this machine.
pub fn checked(text: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_graphic() && !"\\\"'`$;|&<>".contains(c);
    let safe = |host: &str| !host.is_empty() && !host.starts_with('-') && host.chars().all(plain);
    if let Some(rest) = text.strip_prefix("ssh://")
        && safe(rest.rsplit('@').next().unwrap_or(rest))
        && text.chars().all(plain)
    {
        return Ok(text.into());
    }
    if let Some((user, rest)) = text.split_once('@')
        && !text.contains("://")
        && let Some((host, path)) = rest.split_once(':')
        && safe(user)
        && safe(host)
        && safe(path)
    {
        return Ok(text.into());
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return super::reading::web_address(text);
    }
    let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
    match path.is_dir() {
        true => {
            let full = std::path::absolute(path).map_err(|error| io_error("find", path, &error))?;
            Ok(full.to_string_lossy().into_owned())
        }
        false => {
            Err(Error::new(&codes::VALUE_INVALID, format!("`{text}` is no address of a git repository"))
                .hint("https://HOST/PATH.git, git@HOST:PATH.git, or a folder"))
        }
    }
}
