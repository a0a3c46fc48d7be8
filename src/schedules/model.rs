//! What is kept of schedules: what is to run when and how (`Schedule`), how far each has come (`State`), one row for
//! every due instant that was dealt with (`Firing`), and the agents they belong to. Plain data and its words.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// What runs when, as the user said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: String,
    pub name: String,
    pub description: String,
    pub agent: Option<String>,
    pub target: Target,
    pub trigger: Trigger,
    /// Name in the zone database; cron expressions are read in it.
    pub zone: String,
    /// JSON object; texts in it may hold `${{ }}`.
    pub input: String,
    pub missed: Missed,
    pub overlap: Overlap,
    pub jitter_ms: u64,
    /// An expression that is asked at each due instant.
    pub when: Option<String>,
    /// Longest time a run may take, all attempts together.
    pub deadline_ms: Option<u64>,
    /// Attempts after the first.
    pub retries: u32,
    /// Pause before the second attempt; it doubles from then on.
    pub retry_after_ms: u64,
    pub enabled: bool,
    pub paused: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Counts changes.
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Workflow(String),
    /// `server.tool`.
    Tool(String),
    /// A command tool, `app.command`.
    Command(String),
}

impl Target {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Workflow(_) => "workflow",
            Self::Tool(_) => "tool",
            Self::Command(_) => "command",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Workflow(name) | Self::Tool(name) | Self::Command(name) => name,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Cron(String),
    /// Counted from `from`, so that nothing drifts.
    Every {
        ms: u64,
        from: Timestamp,
    },
    At(Timestamp),
}

/// What is done about due instants that passed while nobody could act on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    Skip,
    /// One run for all of them.
    #[default]
    Once,
    /// One run for each of the latest [`MAX_CAUGHT_UP`].
    All,
}

/// Most runs that are made up for at once.
pub const MAX_CAUGHT_UP: usize = 10;
/// Most runs that wait for the one before.
pub const MAX_QUEUED: usize = 100;

/// What is done when the run before is still under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    #[default]
    Skip,
    Queue,
    /// The run before is cancelled.
    Replace,
    Allow,
}

/// How far a schedule has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// Every due instant up to here has its row in the history; none of them fires again.
    pub watermark: Timestamp,
    /// Due instants whose runs are under way.
    pub open: Vec<Timestamp>,
    /// Due instants whose runs wait for those.
    pub queued: Vec<Timestamp>,
    pub last: Option<Last>,
    pub totals: Totals,
}

/// The run that ended last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    pub due: Timestamp,
    pub status: Status,
    pub ended: Timestamp,
}

/// Counts since the schedule was made; the history keeps less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    pub begun: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub skipped: u64,
    pub missed: u64,
}

/// What became of one due instant, or of several that nothing was run for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// Such as `run_5f2c…`: made of the schedule and the instant.
    pub id: String,
    pub schedule_id: String,
    pub schedule: String,
    pub agent: Option<String>,
    pub due: Timestamp,
    /// The last instant it stands for.
    pub until: Timestamp,
    /// Instants it stands for; more where `more`.
    pub count: u64,
    pub more: bool,
    pub cause: Cause,
    pub status: Status,
    pub target: Target,
    /// JSON object, without expressions.
    pub input: String,
    pub deadline_ms: Option<u64>,
    pub retries: u32,
    pub retry_after_ms: u64,
    /// Attempts that were begun.
    pub attempts: u32,
    pub began: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// The run of the workflow, where the target is one.
    pub run: Option<String>,
    /// JSON text.
    pub result: String,
    pub failure: Option<Failure>,
    pub lines: Vec<Line>,
}

/// Why it fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    OnTime,
    /// Within the minute after it was due.
    Late,
    CaughtUp,
    /// Somebody asked for it.
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
    /// The daemon ended while it ran, and it may have had effects.
    Interrupted,
    /// The run before was still under way.
    Overlapped,
    /// The schedule or its agent was paused.
    Paused,
    /// `--when` said no.
    Declined,
    Missed,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Overlapped => "overlapped",
            Self::Paused => "paused",
            Self::Declined => "declined",
            Self::Missed => "missed",
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Whether something was run.
    pub fn ran(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// umcp's code, such as `UM0503`.
    pub code: String,
    pub message: String,
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub at: Timestamp,
    pub text: String,
}

/// Who schedules belong to: a name, and what its runs are to know. [`EVERYONE`] holds the pause of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agent {
    pub name: String,
    pub description: String,
    /// JSON object.
    pub context: String,
    pub paused: bool,
    pub created: Timestamp,
}

/// The row whose pause holds every schedule.
pub const EVERYONE: &str = "*";

impl Schedule {
    /// How much later than its trigger it is due: the same at every instant, spread by the schedule's name.
    pub fn offset(&self) -> u64 {
        offset(&self.name, self.jitter_ms)
    }
}

/// Microseconds in `0..=jitter`, in whole milliseconds.
pub fn offset(name: &str, jitter_ms: u64) -> u64 {
    let hash = crate::ids::sha256(&[name.as_bytes()]);
    let number = u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]]);
    number % (jitter_ms + 1) * 1000
}

impl Firing {
    pub fn key(&self) -> String {
        key(&self.schedule_id, self.due)
    }

    /// The name that calls are made and recorded under.
    pub fn client(&self) -> String {
        match &self.agent {
            Some(agent) => agent.clone(),
            None => format!("schedule:{}", self.schedule),
        }
    }

    pub fn note(&mut self, at: Timestamp, text: impl Into<String>) {
        self.lines.push(Line { at, text: text.into() });
    }
}

/// Key of a row of the history: the instants of a schedule stand in order.
pub fn key(schedule_id: &str, due: Timestamp) -> String {
    format!("{schedule_id}/{:016x}", due.0)
}

/// The id of a run: the same for the same instant, whoever asks and how often.
pub fn run_id(schedule_id: &str, due: Timestamp) -> String {
    let digest = crate::ids::sha256(&[schedule_id.as_bytes(), &due.0.to_be_bytes()]);
    format!("run_{}", crate::ids::hex(&digest[..8]))
}
