//! What is written down about a run: its head, and one event for everything that cannot be computed again.
//! Rule: an event is durable before anything that follows from it is visible; the state of a run is its events.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a step of a run stands: `fetch`, or `loop[3]/child` inside the fourth round of `loop`.
pub type Path = String;

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The step is about to be done, for the `attempt`-th time.
    Started {
        path: Path,
        attempt: u32,
    },
    /// The attempt failed; the next is made at `again`.
    Retry {
        path: Path,
        failure: Failure,
        again: Timestamp,
    },
    /// The step waits until then, or for a person.
    Waiting {
        path: Path,
        until: Option<Timestamp>,
        message: String,
    },
    /// The step is over.
    Finished {
        path: Path,
        outcome: Outcome,
    },
    /// The daemon ended while the step was being done.
    Interrupted {
        path: Path,
    },
    Paused,
    Resumed,
    CancelAsked,
    /// The run is over; `outputs` as JSON text.
    Ended {
        status: Status,
        outputs: String,
        failure: Option<Failure>,
    },
    /// A person lets an interrupted step be done again.
    Again {
        path: Path,
    },
    /// The run took longer than its `timeout`.
    TimedOut,
}

impl Event {
    /// The step it is about.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Started { path, .. }
            | Self::Retry { path, .. }
            | Self::Waiting { path, .. }
            | Self::Finished { path, .. }
            | Self::Interrupted { path }
            | Self::Again { path } => Some(path),
            Self::Paused | Self::Resumed | Self::CancelAsked | Self::Ended { .. } | Self::TimedOut => None,
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The result as JSON text.
    Done(Json),
    Failed(Failure),
    /// Its condition did not hold.
    Skipped,
    Cancelled,
}

/// A JSON value that is stored as text, as the store's format needs types known beforehand.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub Value);

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Value::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `timeout`, `network`, `tool_error`, `unavailable`, `refused`, `invalid`, `expression`, `cancelled`, `failed`.
    pub class: String,
    /// umcp's code, such as `UM0503`.
    pub code: String,
    pub message: String,
}

impl Failure {
    /// The words of `class`.
    pub const CLASSES: [&'static str; 9] = [
        "timeout",
        "network",
        "unavailable",
        "tool_error",
        "refused",
        "invalid",
        "expression",
        "cancelled",
        "failed",
    ];

    pub fn new(class: &str, code: &str, message: impl Into<String>) -> Self {
        Self { class: class.into(), code: code.into(), message: message.into() }
    }

    /// Whether a word of `retry_on` names this failure: its class, its code, `5xx` or a number for a status of HTTP,
    /// or any part of its message.
    pub fn matches(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        if self.class == word || self.code.eq_ignore_ascii_case(&word) {
            return true;
        }
        let message = self.message.to_ascii_lowercase();
        match word.as_bytes() {
            [first @ b'1'..=b'9', b'x', b'x'] => {
                statuses(&message).any(|status| status.as_bytes()[0] == *first)
            }
            [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'] => statuses(&message).any(|status| status == word),
            _ => message.contains(&word),
        }
    }

    /// Whether trying again may help where nothing was said about it.
    pub fn may_pass(&self) -> bool {
        !matches!(self.class.as_str(), "refused" | "invalid" | "expression" | "cancelled")
    }
}

/// Numbers of three digits that stand alone in a message.
fn statuses(message: &str) -> impl Iterator<Item = &str> {
    let numbers = message.split(|c: char| !c.is_ascii_alphanumeric());
    numbers.filter(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Running,
    /// Nothing new is started until it is resumed.
    Paused,
    /// A step with effects was interrupted; a person decides.
    Uncertain,
    Completed,
    Failed,
    Cancelled,
    /// Running, and all that is left now is the answer of a person. Last, since rows hold its number.
    Waiting,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Uncertain => "uncertain",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Waiting => "waiting",
        }
    }

    /// Whether the run is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}
