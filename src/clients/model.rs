//! What a client is: its name, the form of its entries and where in its file they stand. Pure data.

use crate::documents::Format;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One program that can use umcp. The rows stand in `table.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The word on the command line.
    pub id: &'static str,
    /// The name as its makers write it.
    pub name: &'static str,
    /// Other words people use for it.
    pub aliases: &'static [&'static str],
    /// Language of its file; `None` for a client without one.
    pub format: Option<Format>,
    /// The key under which its servers stand.
    pub key: &'static str,
    pub(super) shape: Shape,
    /// What the user must do after a change, where it does not notice by itself.
    pub after: Option<&'static str>,
}

/// How a client writes one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `command`, `args`, `env`.
    Plain,
    /// The same with `type: stdio`.
    Typed,
    /// The same with `source: custom`.
    Sourced,
    /// `cmd`, `args`, `envs`, with name and kind.
    Goose,
    /// `command` as a list, `environment`.
    OpenCode,
    /// Plain, in a list, with its name inside.
    Listed,
    /// No file; the user is told what to do.
    Instructions,
}

/// umcp's own entry in a client's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Absolute path of umcp, or `umcp` where the client searches the PATH.
    pub command: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
}

impl Entry {
    /// The line a client runs: `umcp serve --client ID`.
    pub fn new(command: impl Into<String>, client: &Client) -> Self {
        let args = ["serve", "--client", client.id].map(String::from).into();
        Self { command: command.into(), args, env: BTreeMap::new() }
    }

    /// The profile it asks for, if it names one.
    fn profile(&self) -> Option<&str> {
        let at = self.args.iter().position(|arg| arg == "--profile")?;
        self.args.get(at + 1).map(String::as_str)
    }

    /// Whether both lead to the same servers, wherever the program lies.
    pub fn is_twin_of(&self, other: &Self) -> bool {
        let home = |entry: &Self| entry.env.get("UMCP_HOME").cloned();
        self.is_umcp() && other.is_umcp() && self.profile() == other.profile() && home(self) == home(other)
    }

    /// Whether the entry runs umcp's bridge, whatever it is called in the file.
    pub fn is_umcp(&self) -> bool {
        let program = self.command.rsplit(['/', '\\']).next().unwrap_or(&self.command);
        matches!(program, "umcp" | "umcp.exe") && self.args.first().is_some_and(|arg| arg == "serve")
    }
}

/// A file in which a client keeps servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub path: PathBuf,
    pub scope: Scope,
    /// May be created; other places count only when the file is there already.
    pub primary: bool,
}

/// For whom a file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    User,
    Project,
}

/// The systems on which places differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    Linux,
    Mac,
    Windows,
}

impl Os {
    /// The system this program was built for; other Unixes count as Linux.
    pub const fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Mac
        } else {
            Self::Linux
        }
    }
}
