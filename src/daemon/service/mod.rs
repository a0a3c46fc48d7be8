//! `umcp gateway install`: the texts that make the daemon a service of the user, for systemd, launchd and the
//! Windows task scheduler. Pure: gives a file and commands, writes and runs nothing.
//! Rule: the service runs in the foreground under its manager; no root, and nothing outside the user's own folders.

mod launchd;
mod systemd;
mod task;

use std::path::PathBuf;

/// Name of the service everywhere.
pub const NAME: &str = "umcp";

/// The manager of services of this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Systemd,
    Launchd,
    TaskScheduler,
}

impl Manager {
    /// The one of the system this program was built for.
    pub const fn of_this_system() -> Self {
        if cfg!(target_os = "macos") {
            Self::Launchd
        } else if cfg!(windows) {
            Self::TaskScheduler
        } else {
            Self::Systemd
        }
    }
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Absolute path of this program.
    pub program: PathBuf,
    /// Arguments that run the daemon in the foreground, such as `gateway start`.
    pub arguments: Vec<String>,
    /// Variables the daemon needs, such as `UMCP_HOME`.
    pub environment: Vec<(String, String)>,
    /// The user's home.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME` where it is set; otherwise `~/.config` below `home`.
    pub config_home: Option<PathBuf>,
    /// Where stdout and stderr go, on systems that keep no journal.
    pub log: PathBuf,
    /// Numeric user id, for launchd; zero elsewhere.
    pub uid: u32,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The file to write before the commands (install) or to remove after them (uninstall).
    pub file: PathBuf,
    /// Its text; empty for uninstall.
    pub text: String,
    /// Command lines, word by word.
    pub commands: Vec<Vec<String>>,
}

/// How to make the daemon a service that starts with the session of the user.
pub fn install(manager: Manager, service: &Service) -> Plan {
    match manager {
        Manager::Systemd => systemd::install(service),
        Manager::Launchd => launchd::install(service),
        Manager::TaskScheduler => task::install(service),
    }
}

/// How to undo [`install`]. A failing command means that it was not installed; the file goes all the same.
pub fn uninstall(manager: Manager, service: &Service) -> Plan {
    match manager {
        Manager::Systemd => systemd::uninstall(service),
        Manager::Launchd => launchd::uninstall(service),
        Manager::TaskScheduler => task::uninstall(service),
    }
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(ToString::to_string).collect()
}

/// Text for an element of XML. What is not printable ASCII becomes a reference, so that no encoding matters.
fn xml(text: &str) -> String {
    use std::fmt::Write;
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            ' '..='~' => escaped.push(c),
            _ => {
                let _ = write!(escaped, "&#x{:X};", c as u32);
            }
        }
        escaped
    })
}

#[cfg(test)]
fn example() -> Service {
    Service {
        program: "/home/jo ann/50% \"bin\"/umcp".into(),
        arguments: vec!["gateway".into(), "start".into()],
        environment: vec![("UMCP_HOME".into(), "/home/jo ann/$x".into())],
        home: "/home/jo ann".into(),
        config_home: None,
        log: "/home/jo ann/daemon.log".into(),
        uid: 501,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_safe_inside_xml() {
        assert_eq!(xml("a & <b> \"c\" 'd' é"), "a &amp; &lt;b&gt; &quot;c&quot; &apos;d&apos; &#xE9;");
    }

    #[test]
    fn uninstall_names_the_file_that_install_wrote() {
        for manager in [Manager::Systemd, Manager::Launchd, Manager::TaskScheduler] {
            let (install, uninstall) = (install(manager, &example()), uninstall(manager, &example()));
            assert_eq!((&install.file, uninstall.text.as_str()), (&uninstall.file, ""));
        }
    }
}
