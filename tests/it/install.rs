//! The real `install.sh`, run in a home of its own against an archive built here.
//! Not the release archives: those are put together by the release workflow, in the layout `Mirror` repeats.
//! No network: every download is a `file:` URL or a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
const STUB: &str = "#!/bin/sh\necho umcp 9.9.9\n";

fn archive_name() -> String {
    let system = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-musl" };
    format!("umcp-{}-{system}.tar.gz", std::env::consts::ARCH)
}

/// A folder laid out like a release: one archive for this platform and its `SHA256SUMS`.
struct Mirror {
    dir: PathBuf,
}

impl Mirror {
    fn new(dir: &Path, program: &[u8], extras: &[&str]) -> Self {
        let archive = archive_name();
        let top = archive.trim_end_matches(".tar.gz");
        let content = dir.join("content").join(top);
        write(&content.join("umcp"), program);
        fs::set_permissions(content.join("umcp"), fs::Permissions::from_mode(0o755)).unwrap();
        for extra in extras {
            let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join(extra);
            let text = fs::read(checked_in).unwrap_or_else(|_| format!("made up {extra}\n").into_bytes());
            write(&content.join(extra), &text);
        }
        let packed = Command::new("tar")
            .arg("-czf")
            .arg(dir.join(&archive))
            .arg("-C")
            .arg(dir.join("content"))
            .arg(top)
            .status()
            .unwrap();
        assert!(packed.success());
        let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(dir.join(&archive)).unwrap());
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        write(
            &dir.join("SHA256SUMS"),
            format!("{}  umcp-other.tar.gz\n{hex}  {archive}\n", "0".repeat(64)).as_bytes(),
        );
        Self { dir: dir.to_path_buf() }
    }

    fn url(&self) -> String {
        format!("file://{}", self.dir.display())
    }
}

/// An empty home, a folder for temporary files, and room for mirrors.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["home", "tmp"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    fn mirror(&self, name: &str, program: &[u8], extras: &[&str]) -> Mirror {
        Mirror::new(&self.root.path().join(name), program, extras)
    }

    fn shell(&self, shell: &str) -> Command {
        let mut command = Command::new(shell);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("SHELL", "/bin/bash")
            .env("TMPDIR", self.root.path().join("tmp"))
            .current_dir(self.root.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, url: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        self.shell("sh")
            .arg(SCRIPT)
            .args(arguments)
            .env("UMCP_DOWNLOAD_URL", url)
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    fn install(&self, mirror: &Mirror) {
        let output = self.run(&mirror.url(), &[], &[]);
        assert!(output.status.success(), "{}", text(&output));
    }

    fn uninstall(&self) -> String {
        let output = self.run("", &["--uninstall"], &[]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.home().join(path)).unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Every path below `dir` with its mode and, for a file, its bytes.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let content = metadata.is_file().then(|| fs::read(entry.path()).unwrap());
        if metadata.is_dir() {
            found.extend(snapshot(&entry.path()));
        }
        found.insert(entry.path(), (metadata.permissions().mode(), content));
    }
    found
}

const EXTRAS: [&str; 4] =
    ["completions/umcp.bash", "completions/_umcp", "completions/umcp.fish", "man/umcp.1"];

#[test]
fn installs_twice_runs_and_leaves_the_home_as_it_was() {
    let machine = Machine::new();
    let home = machine.home();
    write(&home.join(".profile"), b"# mine\nexport EDITOR=vi\n");
    write(&home.join(".bashrc"), b"alias ll='ls -l'\n# no newline at the end");
    write(&home.join(".zshrc"), b"autoload -U compinit\n");
    fs::create_dir_all(home.join(".config/fish")).unwrap();
    let before = snapshot(&home);

    let program = fs::read(env!("CARGO_BIN_EXE_umcp")).unwrap();
    let mirror = machine.mirror("mirror", &program, &EXTRAS);
    machine.install(&mirror);
    let once = snapshot(&home);
    // The second time from a shell in which the first one's block is at work.
    let path = format!("{}:/usr/bin:/bin", home.join(".local/bin").display());
    let output = machine.run(&mirror.url(), &[], &[("PATH", &path)]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(snapshot(&home), once, "a second install changes nothing");

    for profile in [".profile", ".bashrc", ".zshenv"] {
        assert_eq!(machine.read(profile).matches("# >>> umcp >>>").count(), 1, "{profile}");
    }
    let receipt = ".local/state/umcp/install-receipt";
    let listed: BTreeSet<PathBuf> = machine
        .read(receipt)
        .lines()
        .filter_map(|line| line.strip_prefix("file ").or(line.strip_prefix("made ")))
        .map(PathBuf::from)
        .collect();
    let written: BTreeSet<PathBuf> = once
        .iter()
        .filter(|(path, (_, content))| content.is_some() && !before.contains_key(*path))
        .map(|(path, _)| path.clone())
        .filter(|path| *path != home.join(receipt))
        .collect();
    assert_eq!(listed, written, "the receipt names exactly the files written");
    assert_eq!(
        written,
        [
            ".config/fish/completions/umcp.fish",
            ".config/fish/conf.d/umcp.fish",
            ".local/bin/umcp",
            ".local/share/bash-completion/completions/umcp",
            ".local/share/man/man1/umcp.1",
            ".local/share/zsh/site-functions/_umcp",
            ".zshenv",
        ]
        .iter()
        .map(|path| home.join(path))
        .collect()
    );

    // As a user meets it: a login shell finds the program and it says what the built one says.
    let found = machine.shell("sh").args(["-l", "-c", "command -v umcp && umcp --version"]).output().unwrap();
    let built = Command::new(env!("CARGO_BIN_EXE_umcp")).arg("--version").output().unwrap();
    let wanted =
        format!("{}\n{}", home.join(".local/bin/umcp").display(), String::from_utf8_lossy(&built.stdout));
    assert_eq!(String::from_utf8_lossy(&found.stdout), wanted);

    machine.uninstall();
    assert_eq!(snapshot(&home), before);
    assert!(snapshot(&machine.root.path().join("tmp")).is_empty());
}

#[test]
fn an_empty_home_gets_a_profile_and_is_empty_again() {
    let machine = Machine::new();
    let mirror = machine.mirror("mirror", STUB.as_bytes(), &EXTRAS);
    machine.install(&mirror);
    assert!(machine.read(".profile").contains(".local/bin"));
    machine.uninstall();
    assert!(snapshot(&machine.home()).is_empty());
    let again = machine.run("", &["--uninstall"], &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("no receipt at"), "{}", text(&again));
}

#[test]
fn refuses_what_it_cannot_verify_and_writes_nothing() {
    let machine = Machine::new();
    let good = machine.mirror("good", STUB.as_bytes(), &[]);
    let wrong = machine.mirror("wrong", STUB.as_bytes(), &[]);
    let line = format!("{}  {}\n", "a".repeat(64), archive_name());
    write(&wrong.dir.join("SHA256SUMS"), line.as_bytes());
    let missing = machine.mirror("missing", STUB.as_bytes(), &[]);
    fs::remove_file(missing.dir.join("SHA256SUMS")).unwrap();
    let unnamed = machine.mirror("unnamed", STUB.as_bytes(), &[]);
    write(&unnamed.dir.join("SHA256SUMS"), b"");
    let cut = machine.mirror("cut", STUB.as_bytes(), &[]);
    let bytes = fs::read(cut.dir.join(archive_name())).unwrap();
    write(&cut.dir.join(archive_name()), &bytes[..bytes.len() - 1]);
    let absent = machine.mirror("absent", STUB.as_bytes(), &[]);
    fs::remove_file(absent.dir.join(archive_name())).unwrap();

    let cases = [
        (&wrong, "is wrong"),
        (&missing, "no SHA256SUMS at"),
        (&unnamed, "does not name"),
        (&cut, "is wrong"),
        (&absent, "could not get"),
    ];
    // Into an empty home, then beside a good install, which must survive.
    for round in ["empty", "installed"] {
        if round == "installed" {
            machine.install(&good);
        }
        let before = snapshot(&machine.home());
        for (mirror, reason) in cases {
            let output = machine.run(&mirror.url(), &[], &[]);
            assert_eq!(output.status.code(), Some(1), "{reason}: {}", text(&output));
            assert!(text(&output).contains(reason), "{reason}: {}", text(&output));
            assert!(text(&output).contains("nothing was installed"), "{}", text(&output));
            assert_eq!(snapshot(&machine.home()), before, "{round}: {reason}");
        }
        assert!(snapshot(&machine.root.path().join("tmp")).is_empty());
    }
}

#[test]
fn keeps_what_is_not_its_own() {
    let machine = Machine::new();
    let home = machine.home();
    let mirror = machine.mirror("mirror", STUB.as_bytes(), &EXTRAS);
    write(&home.join(".local/share/zsh/site-functions/_umcp"), b"# by hand\n");
    write(&home.join(".local/bin/umcp"), b"another program");
    let before = snapshot(&home);

    let refused = machine.run(&mirror.url(), &[], &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("is not in the receipt"), "{}", text(&refused));
    assert_eq!(snapshot(&home), before);

    fs::remove_file(home.join(".local/bin/umcp")).unwrap();
    machine.install(&mirror);
    // What the user adds later, below our block and beside our files, stays too.
    let profile = machine.read(".profile");
    write(&home.join(".profile"), format!("{profile}export LATER=1").as_bytes());
    write(&home.join(".local/share/umcp/store.redb"), b"data");
    let said = machine.uninstall();
    assert!(said.contains(".local/share/umcp") || cfg!(target_os = "macos"), "{said}");
    assert_eq!(machine.read(".local/share/umcp/store.redb"), "data");
    assert_eq!(machine.read(".local/share/zsh/site-functions/_umcp"), "# by hand\n");
    assert_eq!(machine.read(".profile").trim_end(), "export LATER=1");
    assert!(!home.join(".local/bin/umcp").exists());
    assert!(!home.join(".local/state").exists());
}

#[test]
fn an_upgrade_takes_away_what_the_new_version_does_not_bring() {
    let machine = Machine::new();
    machine.install(&machine.mirror("v1.0.0", STUB.as_bytes(), &["man/umcp.1", "man/umcp-old.1"]));
    assert!(machine.home().join(".local/share/man/man1/umcp-old.1").exists());
    machine.mirror("v1.1.0", STUB.replace("9.9.9", "1.1.0").as_bytes(), &["man/umcp.1"]);
    // A plain folder serves as well as a URL; a version picks the folder in it.
    let folder = machine.root.path().display().to_string();
    let output = machine.run(&folder, &[], &[("UMCP_VERSION", "v1.1.0")]);
    assert!(text(&output).contains("installed umcp 1.1.0 as"), "{}", text(&output));
    assert!(machine.home().join(".local/share/man/man1/umcp.1").exists());
    assert!(!machine.home().join(".local/share/man/man1/umcp-old.1").exists());
}

#[test]
fn leaves_profiles_alone_when_asked_and_honours_folders() {
    let machine = Machine::new();
    let mirror = machine.mirror("my mirror", STUB.as_bytes(), &EXTRAS);
    let home = machine.home();
    write(&home.join(".bashrc"), b"# mine\n");
    let before = snapshot(&home);
    let dir = home.join("my programs").display().to_string();
    let state = home.join("state").display().to_string();
    let data = home.join("data").display().to_string();
    let folders = [("UMCP_INSTALL_DIR", &*dir), ("XDG_STATE_HOME", &*state), ("XDG_DATA_HOME", &*data)];
    let url = mirror.url().replace(' ', "%20");
    let plain = "/usr/bin:/bin";
    let reached = format!("{plain}:{dir}");
    // Asked by flag, asked by variable, not asked but found on PATH without us.
    for (arguments, switch, path) in
        [(&["--no-modify-path"][..], "0", plain), (&[][..], "1", plain), (&[][..], "0", &reached)]
    {
        let environment = [&folders[..], &[("UMCP_NO_MODIFY_PATH", switch), ("PATH", path)]].concat();
        let output = machine.run(&url, arguments, &environment);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(machine.read(".bashrc"), "# mine\n");
        assert!(home.join("my programs/umcp").exists());
        assert!(home.join("state/umcp/install-receipt").exists());
        assert!(home.join("data/man/man1/umcp.1").exists());
        assert!(!home.join(".local").exists());
        assert!(!home.join(".profile").exists());
    }
    let output = machine.run("", &["--uninstall"], &folders);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(snapshot(&home), before);
}

#[test]
fn half_a_download_of_the_script_does_nothing() {
    let machine = Machine::new();
    let mirror = machine.mirror("mirror", STUB.as_bytes(), &[]);
    let script = fs::read_to_string(SCRIPT).unwrap();
    let lines: Vec<&str> = script.split_inclusive('\n').collect();
    assert!(lines.len() < 200, "install.sh is meant to be read before it is run");
    assert_eq!(lines.last(), Some(&"main \"$@\"\n"));
    for count in 0..lines.len() {
        let mut shell = machine
            .shell("sh")
            .env("UMCP_DOWNLOAD_URL", mirror.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A shell that met a syntax error may be gone before it has read everything.
        let _ = shell.stdin.take().unwrap().write_all(lines[..count].concat().as_bytes());
        shell.wait().unwrap();
        assert!(snapshot(&machine.home()).is_empty(), "{count} lines");
    }
}
