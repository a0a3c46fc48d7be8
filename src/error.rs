//! The one error of the program: what happened, why, and what to do next.
//! It does not print and does not exit; `ui` shows it, `main` turns its kind into an exit code.
//! Rule: every error carries a [`Code`] from `error/codes.rs`, so that `umcp explain` knows it.

pub mod codes;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use codes::Code;

/// Result of everything in umcp that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Class of an error; it alone decides the exit code (table in ARCHITECTURE.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Failed for a reason no other kind names.
    Failed,
    /// Wrong command line.
    Usage,
    /// Invalid file or configuration.
    Invalid,
    NotFound,
    /// Exists already, or conflicts with something that does.
    Conflict,
    /// Sign-in or credential needed.
    Credential,
    /// Refused by policy, quota or a missing confirmation.
    Refused,
    /// An upstream server or tool reported an error.
    Upstream,
    /// Daemon or store unavailable.
    Unavailable,
    Network,
    /// Input needed but not allowed (no terminal, `--no-input`).
    InputNeeded,
    /// Partly done.
    Partial,
    /// A check found differences.
    Differs,
    /// A bug of ours.
    Bug,
    TimedOut,
    Interrupted,
    Terminated,
}

impl Kind {
    /// Process exit code of this kind.
    pub fn exit(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Credential => 6,
            Self::Refused => 7,
            Self::Upstream => 8,
            Self::Unavailable => 9,
            Self::Network => 10,
            Self::InputNeeded => 11,
            Self::Partial => 12,
            Self::Differs => 13,
            Self::Bug => 70,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Whether the same request may succeed when tried again unchanged.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Network | Self::TimedOut)
    }
}

/// A place in a file the user wrote. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// The line itself, shown with a caret under the column.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// What went wrong. Build with [`Error::new`], refine with `hint`, `at`, `because`.
#[derive(Debug, Clone)]
pub struct Error {
    pub code: &'static Code,
    /// Lower-case fragment, the user's own words in backticks, no full stop.
    pub message: String,
    /// Next steps; a hint that is a command can be pasted.
    pub hints: Vec<String>,
    pub span: Option<Box<Span>>,
    /// Text of the underlying cause.
    pub source: Option<String>,
}

impl Error {
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new(), span: None, source: None }
    }

    /// An invariant of ours was broken.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(&codes::BUG, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(Box::new(span));
        self
    }

    #[must_use]
    pub fn because(mut self, source: impl fmt::Display) -> Self {
        self.source = Some(source.to_string());
        self
    }

    pub fn kind(&self) -> Kind {
        self.code.kind
    }

    /// True when the error is exactly this code.
    pub fn is(&self, code: &Code) -> bool {
        self.code.code == code.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The error as it stands in `--json` output and on the socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    pub code: String,
    pub name: String,
    pub message: String,
    #[serde(default)]
    pub hints: Vec<String>,
    pub retryable: bool,
    pub exit: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.code.into(),
            name: error.code.name.into(),
            message: error.to_string(),
            hints: error.hints.clone(),
            retryable: error.kind().retryable(),
            exit: error.kind().exit(),
            span: error.span.as_deref().cloned(),
        }
    }
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        Self {
            code: codes::find(&body.code).unwrap_or(&codes::FAILED),
            message: body.message,
            hints: body.hints,
            span: body.span.map(Box::new),
            source: None,
        }
    }
}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ErrorBody::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ErrorBody::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let error = Error::new(&codes::SERVER_NOT_FOUND, "no server named `gti`").hint("umcp server list");
        let text = serde_json::to_string(&error).unwrap();
        let back: Error = serde_json::from_str(&text).unwrap();
        assert_eq!(back.code, &codes::SERVER_NOT_FOUND);
        assert_eq!(back.hints, ["umcp server list"]);
        assert_eq!(back.kind().exit(), 4);
    }
}
