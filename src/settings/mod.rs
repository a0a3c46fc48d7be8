//! The settings of umcp: the model and its defaults. `table.rs` explains each one, `load.rs` reads them from
//! `config.yaml` and from `UMCP_…` variables.
//! Rule: a new setting is a field here and a row in the table; a test compares the two.

mod load;
pub mod table;

pub use load::{Origin, Resolved, load, parse_file};
pub use table::{SETTINGS, Setting};

use crate::error::Result;
use crate::paths::Paths;
use crate::sandbox::{Base, Defaults};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// Every setting with its default. Durations are milliseconds, sizes bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub servers: Servers,
    pub gateway: Gateway,
    pub policy: Policy,
    pub audit: Audit,
    pub sandbox: Sandbox,
    pub schedules: Schedules,
}

/// How servers are shut in whose entry says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// `off`, `default` or `strict`.
    pub profile: Base,
    /// Bytes in memory of one server with all it starts; 0 is half of the machine's.
    pub memory: u64,
    /// Processes of one server; 0 is no bound.
    pub processes: u32,
    /// Bytes in the folder of a strict server; 0 is no bound.
    pub disk: u64,
}

impl Sandbox {
    pub fn defaults(&self) -> Defaults {
        let Self { profile, memory, processes, disk } = *self;
        Defaults { base: profile, memory, processes, disk }
    }
}

/// Defaults for servers that say nothing of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Servers {
    /// A server must have finished its first exchange within this time.
    pub start_timeout_ms: u64,
    /// A call must be answered within this time.
    pub call_timeout_ms: u64,
    /// A server without a call for this long is stopped; 0 never.
    pub idle_stop_ms: u64,
    /// Calls in flight at one server.
    pub concurrency: u32,
    /// Calls waiting beyond those; more are refused as busy.
    pub queue: u32,
}

/// What opens the HTTP endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authorization {
    /// Keys alone.
    Tokens,
    /// Signed tokens of issuers that the owner trusts, too.
    Jwt,
    /// Tokens that umcp itself gives to clients the owner allows, too.
    Server,
}

impl Authorization {
    pub const WORDS: &[&str] = &["tokens", "jwt", "server"];
}

/// The endpoint and the daemon behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// The daemon leaves after this long without a client or other reason to stay.
    pub idle_exit_ms: u64,
    /// Tools on one page of a list.
    pub page_size: u32,
    /// Results above this are stored and replaced by a head and a handle; 0 never.
    pub result_limit: u64,
    /// Bytes of instructions of all servers together.
    pub instructions_limit: u32,
    /// A list waits this long for servers that were never listed before.
    pub first_list_ms: u64,
    /// Largest body of an HTTP request.
    pub body_limit: u64,
    /// Whether umcp's own read-only verbs are listed as tools (`umcp__server_list`, …).
    pub own_tools: bool,
    /// Records of calls that are kept.
    pub keep_calls: u64,
    /// Records of calls before so many days go.
    pub keep_call_days: u32,
    /// HTTP requests of one address within a minute; 0 is no bound.
    pub address_rate: u32,
    /// HTTP requests with one key within a minute; 0 is no bound.
    pub client_rate: u32,
    /// What opens the HTTP endpoint beside keys.
    pub authorization: Authorization,
}

/// How the policy of the user is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A call that waits for the user is refused after this long.
    pub ask_timeout_ms: u64,
    /// Whether the user is asked through the client too, or by `umcp approve` alone.
    pub ask_clients: bool,
    /// Whether a changed definition holds back tools of servers that were never approved too.
    pub hold_changed_tools: bool,
}

/// The audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Whether calls are recorded; changes and approvals always are.
    pub calls: bool,
    /// Records that are kept.
    pub keep_records: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { calls: true, keep_records: 200_000 }
    }
}

/// Runs by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedules {
    /// Whether the daemon stays while a schedule has something to come.
    pub keep_daemon: bool,
    /// Rows of the history of each schedule that are kept.
    pub keep_runs: u32,
    /// Rows that ended before so many days go.
    pub keep_days: u32,
}

impl Default for Schedules {
    fn default() -> Self {
        Self { keep_daemon: true, keep_runs: 100, keep_days: 90 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { ask_timeout_ms: 120_000, ask_clients: true, hold_changed_tools: false }
    }
}

impl Default for Servers {
    fn default() -> Self {
        Self {
            start_timeout_ms: 60_000,
            call_timeout_ms: 300_000,
            idle_stop_ms: 600_000,
            concurrency: 128,
            queue: 1000,
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { profile: Base::Default, memory: 0, processes: 512, disk: 1 << 30 }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            idle_exit_ms: 600_000,
            page_size: 2000,
            result_limit: 0,
            instructions_limit: 8192,
            first_list_ms: 10_000,
            body_limit: 32 << 20,
            own_tools: true,
            keep_calls: 1_000_000,
            keep_call_days: 400,
            address_rate: 0,
            client_rate: 0,
            authorization: Authorization::Tokens,
        }
    }
}

impl Settings {
    /// The settings in force: the defaults, the user's file, this process's variables.
    pub fn load(paths: &Paths) -> Result<Self> {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        load(paths, std::env::vars_os().filter_map(text)).map(|resolved| resolved.settings)
    }
}
