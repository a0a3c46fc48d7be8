//! Requests that need the running world, and their replies. Only the daemon answers them.
//! Plain data: the daemon fills it, `ui` shows it.
//! Long because every live request, its reply and every event has its shape here.

use super::accounts::{AccountReply, AccountRequest};
use crate::clock::Timestamp;
pub use crate::environments::Mode;
use crate::policy::scope::Scopes;
use crate::sealing::DataKey;
use crate::tools::Era;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Live {
    /// What runs: the daemon, its listeners, its sessions, every server.
    Status,
    /// Everything that is measured.
    Metrics,
    /// Looks at the alerts now.
    Alerts,
    /// What the expression of an alert finds now.
    TestAlert {
        expression: String,
        window_ms: u64,
    },
    /// The last spans of traces.
    Traces(crate::metrics::spans::Ask),
    /// Ends the daemon after answering.
    Stop,
    /// Listens for HTTP clients too.
    Listen(Listening),
    /// Reads the certificates of all listeners again.
    Reload,
    /// A one-time code for the page on which the owner allows a client.
    Invite {
        profile: Option<String>,
        scopes: Scopes,
    },
    /// Calls a tool: `server.tool`, or a name as a client sees it. Progress arrives as events before the reply.
    Call(CallRequest),
    /// Starts servers now instead of at their first use. Empty means every enabled one.
    Start {
        names: Vec<String>,
    },
    /// Stops servers; they start again at their next use. Empty means all.
    StopServers {
        names: Vec<String>,
    },
    Restart {
        names: Vec<String>,
    },
    /// Connects anew, timing each phase, and lists everything. The running connection stays.
    Test {
        name: String,
    },
    /// Connects to a server that is no entry, or another than it is, and lists what it offers. Nothing is kept.
    Offer {
        server: Box<crate::servers::Server>,
    },
    /// Asks servers for their lists again. Empty means all enabled ones.
    Refresh {
        names: Vec<String>,
        /// Answers after the wait of a first list; servers that take longer are listed behind it.
        #[serde(default)]
        bounded: bool,
    },
    /// Closes circuit breakers and forgets crash loops. Empty means all.
    ResetBreakers {
        names: Vec<String>,
    },
    /// Tools as a client of the profile sees them, exactly as sent.
    /// `mode` shows them in another mode than the profile's own.
    View {
        profile: Option<String>,
        client: String,
        mode: Option<Mode>,
    },
    /// Ranked search over the tools of a profile.
    Search {
        query: String,
        limit: u32,
        profile: Option<String>,
    },
    /// Any request of the protocol, straight to one server: `prompts/get`, `resources/read`, …
    Raw {
        server: String,
        method: String,
        params: String,
    },
    Sessions,
    /// Calls that wait for the user, and what was granted for a while.
    Approvals,
    /// Answers a call that waits.
    Approve {
        id: u64,
        allow: bool,
        /// Lets further calls of that tool by that client through for so long.
        for_ms: Option<u64>,
    },
    /// Takes back what was granted, and forgets which labels a client has used. `None` means all clients.
    Forget {
        client: Option<String>,
    },
    /// Signing in, and the accounts that did.
    Account(AccountRequest),
    /// Starts a run of a workflow.
    RunWorkflow(RunRequest),
    /// Gives an order to a run.
    OrderRun {
        run: String,
        order: RunOrder,
    },
    /// Begins a run of a schedule now; with `wait`, answers when it is over.
    RunSchedule {
        name: String,
        wait: bool,
    },
    /// Begins what is due now; with `wait`, answers when no run of a schedule is under way.
    TickSchedules {
        wait: bool,
    },
    /// Cancels the runs of a schedule that are under way.
    StopSchedule {
        name: String,
    },
    /// What happens in a run, as events, until it is over or stands still.
    FollowRun {
        run: String,
    },
    /// Brings the key of a vault that only its user can open.
    Unlock {
        key: VaultKey,
    },
    /// Drops the vault's key; servers that run keep what they have.
    Lock,
    /// The text of an API's document.
    Fetch {
        url: String,
        allow_private: bool,
    },
    /// Fetches a file to a place of umcp's own, of at most so many bytes.
    Download {
        url: String,
        to: std::path::PathBuf,
        limit: u64,
        allow_loopback: bool,
    },
    /// Everything that happens from now on, as events, until the asker hangs up.
    Follow,
}

/// The vault's key on its way over the local socket: hex, wiped when dropped, and not shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VaultKey(Zeroizing<String>);

impl VaultKey {
    pub fn new(key: &DataKey) -> Self {
        Self(Zeroizing::new(crate::ids::hex(key.expose())))
    }

    pub fn open(&self) -> Option<DataKey> {
        crate::sealing::keyfile::parse(&self.0)
    }
}

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallRequest {
    pub target: String,
    /// A JSON object as text.
    pub arguments: String,
    pub timeout_ms: Option<u64>,
    pub client: String,
    pub profile: Option<String>,
    /// The account to call with, by name.
    #[serde(default)]
    pub account: Option<String>,
    /// The answer of an app's service comes along as it was, in the result's `_meta`.
    #[serde(default)]
    pub record: bool,
}

/// How a workflow is to be run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRequest {
    pub source: RunSource,
    pub by: String,
    /// Answers when the run is over, with events before; otherwise when it has begun.
    pub wait: bool,
}

/// What a run begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunSource {
    /// A stored workflow; `inputs` is a JSON object as text.
    Named { name: String, inputs: String },
    /// A document that is not stored.
    Document { text: String, inputs: String },
    /// The document and inputs of an earlier run; `keep`: what it finished is not done again.
    Earlier { run: String, keep: bool },
}

/// What a person asks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOrder {
    Cancel,
    Pause,
    Resume,
    /// Answers a step that waits for a person.
    Approve {
        step: Option<String>,
        yes: bool,
        note: String,
    },
    /// Says of an interrupted step that it was done, with its result as JSON text, or lets it be done again.
    Settle {
        step: Option<String>,
        done: Option<String>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveReply {
    Done,
    Status(Box<Status>),
    Metrics(Box<crate::metrics::Snapshot>),
    Traces(crate::metrics::spans::Told),
    Alerts(Vec<crate::alerts::Standing>),
    AlertTested(crate::alerts::rule::Verdict),
    /// The address that is listened on.
    Listening(Listening),
    Listeners(Vec<Listening>),
    Invited {
        code: String,
        until: Timestamp,
    },
    Called(Called),
    Servers(Vec<ServerStatus>),
    Test(Box<TestReport>),
    Refreshed(Vec<Refreshed>),
    /// The `tools` array as JSON text.
    View(String),
    Search(Vec<Found>),
    /// The result as JSON text.
    Raw(String),
    Sessions(Vec<Session>),
    Approvals(Approvals),
    Account(AccountReply),
    Run(Box<crate::workflows::Run>),
    Fetched(String),
    Firings(Vec<crate::schedules::model::Firing>),
    Offered(Box<crate::tools::Catalogue>),
}

/// Something that happened, for `events --follow`, progress bars and logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Event {
    Progress {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    Log {
        level: String,
        message: String,
    },
    Server {
        at: Timestamp,
        server: String,
        state: State,
        detail: Option<String>,
    },
    Call {
        at: Timestamp,
        client: String,
        server: String,
        tool: String,
        class: String,
        duration_us: u64,
    },
    Session {
        at: Timestamp,
        client: String,
        opened: bool,
    },
    ListChanged {
        at: Timestamp,
        tools: u64,
    },
    /// A call waits for the user; `umcp approve` answers.
    Approval {
        at: Timestamp,
        id: u64,
        client: String,
        server: String,
        tool: String,
    },
    /// What became of a signed-in account.
    Account {
        at: Timestamp,
        connection: String,
        state: String,
        detail: Option<String>,
    },
    /// An alert began to fire, or ceased.
    Alert(crate::alerts::Turn),
    /// A run of a schedule began or ended.
    Schedule {
        at: Timestamp,
        schedule: String,
        run: String,
        status: crate::schedules::model::Status,
    },
    Run {
        at: Timestamp,
        run: String,
        event: crate::workflows::journal::Event,
    },
}

/// Result of a tool call: `CallToolResult` as JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Called {
    pub server: String,
    pub tool: String,
    pub result: String,
    pub duration_us: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub started: Timestamp,
    /// Addresses of HTTP listeners.
    pub http: Vec<String>,
    /// The same with the words each was asked for with.
    #[serde(default)]
    pub listeners: Vec<Listening>,
    /// Somebody runs it in a terminal or as a service; it does not leave by itself.
    #[serde(default)]
    pub foreground: bool,
    pub sessions: u64,
    pub calls: u64,
    /// Resident memory of the daemon, in bytes, where the system tells.
    pub memory: Option<u64>,
    pub servers: Vec<ServerStatus>,
}

/// A listener for HTTP clients.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listening {
    pub address: String,
    /// Spelled out by the user: no TLS, reachable by other machines.
    pub insecure: bool,
    /// Spelled out by the user: clients on this machine need no key.
    pub no_key: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Where clients find it, if not at the address: `https://mcp.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Networks of proxies whose word on the client's address counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<String>,
    /// SHA-256 of the certificate; said by the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Listening {
    /// Nobody between here and the client reads along, or the user said that it need not be so.
    pub fn is_private(&self) -> bool {
        self.insecure || self.tls.is_some()
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// The certificate of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// One of our own, made at its first use.
    SelfSigned,
    /// Absolute paths of PEM files.
    Files { cert: PathBuf, key: PathBuf },
}

/// State of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Disabled,
    /// Not running; starts at its first use.
    Idle,
    Starting,
    Ready,
    /// Failed; tried again after a pause.
    Waiting,
    /// Ended too often; not tried again until asked to.
    CrashLoop,
    /// It wants to know who asks; `umcp server login` tells it.
    NeedsSignIn,
    /// A value it refers to is not there; its last error names the command that sets it.
    NeedsSecret,
}

impl State {
    /// Whether it could not be started, for whatever reason.
    pub fn is_failing(self) -> bool {
        matches!(self, Self::Waiting | Self::CrashLoop | Self::NeedsSignIn | Self::NeedsSecret)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::CrashLoop => "crash loop",
            Self::NeedsSignIn => "needs sign-in",
            Self::NeedsSecret => "needs a secret",
        }
    }
}

/// State of a server's circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    Closed,
    /// The server failed repeatedly and is left alone for a while.
    Open,
    /// One call is finding out whether it is well again.
    HalfOpen,
}

impl Breaker {
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerStatus {
    pub id: String,
    pub name: String,
    pub transport: String,
    pub state: State,
    pub breaker: Breaker,
    pub retry_at: Option<Timestamp>,
    pub era: Option<Era>,
    pub revision: Option<String>,
    pub pid: Option<u32>,
    pub since: Option<Timestamp>,
    pub tools: Option<u64>,
    pub in_flight: u64,
    pub waiting: u64,
    pub calls: u64,
    pub failures: u64,
    pub restarts: u64,
    /// Lines on stdout that were not protocol, answers nobody waited for.
    pub noise: u64,
    pub late: u64,
    pub last_error: Option<String>,
    /// Of the whole process tree.
    pub cpu_ms: Option<u64>,
    pub memory: Option<u64>,
    pub processes: Option<u64>,
}

/// What `server test` found, with the time of each phase in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestReport {
    pub server: String,
    pub ok: bool,
    pub phases: Vec<Phase>,
    pub era: Option<Era>,
    pub revision: Option<String>,
    pub server_info: Option<String>,
    pub tools: u64,
    pub prompts: u64,
    pub resources: u64,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    pub duration_us: u64,
    pub error: Option<crate::error::Error>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refreshed {
    pub server: String,
    pub tools: u64,
    pub error: Option<crate::error::Error>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// As a client sees it.
    pub name: String,
    pub server: String,
    pub tool: String,
    pub description: String,
    pub score: f32,
}

/// What waits for the user, and what the user granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    pub waiting: Vec<Approval>,
    pub granted: Vec<Grant>,
}

/// A call that waits for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub id: u64,
    pub client: String,
    pub server: String,
    pub tool: String,
    /// JSON text, cut when it is long.
    pub arguments: String,
    /// The rule that asks; nothing when it is the default.
    pub rule: Option<String>,
    pub reason: Option<String>,
    pub since: Timestamp,
    /// The call is refused then.
    pub until: Timestamp,
}

/// Calls of one tool by one client that need no more asking for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub client: String,
    pub server: String,
    pub tool: String,
    pub until: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    pub id: u64,
    pub client: String,
    pub version: Option<String>,
    pub door: crate::usage::Door,
    pub era: Option<Era>,
    pub profile: String,
    pub since: Timestamp,
    pub calls: u64,
    pub in_flight: u64,
}
