//! The noun `usage`: one record for every call, from whatever door it came.
//! Records are appended off the call's path by the store's writer thread; this file defines and reads them.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Series, Writer, tables};
use serde::{Deserialize, Serialize};

/// Every call, in the order of time.
pub const CALLS: Series<Call> = Series::new(tables::CALLS);

impl Row for Call {
    const KIND: u8 = 4;
    const VERSION: u16 = 2;

    fn upgrade(version: u16, payload: &[u8]) -> Result<Self> {
        if version != 1 {
            return Err(Error::new(
                &codes::STORE_DAMAGED,
                format!("a call of the unknown version {version}"),
            ));
        }
        // The last field was not there yet: nothing was recorded of calls answered from the cache.
        let whole = [payload, &[u8::from(false)]].concat();
        let damaged =
            |reason| Error::new(&codes::STORE_DAMAGED, "a call that cannot be read").because(reason);
        postcard::from_bytes(&whole).map_err(damaged)
    }
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub client: String,
    pub door: Door,
    pub profile: Option<String>,
    /// Name of the server; empty for umcp's own tools.
    pub server: String,
    /// The tool's own name at that server.
    pub tool: String,
    pub duration_us: u64,
    /// Bytes of the arguments and of the result, as JSON text.
    pub request_bytes: u64,
    pub result_bytes: u64,
    pub class: Class,
    /// Code of the error, such as `UM0503`, when `class` is `Error`.
    pub error: Option<String>,
    /// Answered from the cache, without the server.
    #[serde(default)]
    pub cached: bool,
}

/// Where a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    Stdio,
    Http,
    Cli,
    /// A step of a workflow.
    Workflow,
    /// A run of a schedule.
    Schedule,
}

impl Door {
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Cli => "cli",
            Self::Workflow => "workflow",
            Self::Schedule => "schedule",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Ok,
    /// The tool said `isError`.
    ToolError,
    /// The server or umcp answered with an error.
    Error,
    Cancelled,
    TimedOut,
}

impl Class {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool error",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed out",
        }
    }
}

impl Call {
    /// How it went, in a word or two.
    pub fn outcome(&self) -> String {
        match (&self.error, self.cached) {
            (Some(code), _) => format!("{} {code}", self.class.word()),
            (None, true) => format!("{}, cached", self.class.word()),
            (None, false) => self.class.word().into(),
        }
    }

    /// `server.tool`; the bare name for umcp's own tools.
    pub fn path(&self) -> String {
        match self.server.as_str() {
            "" => self.tool.clone(),
            server => format!("{server}.{}", self.tool),
        }
    }

    /// Tokens of arguments and result in a model's context, estimated at four bytes each.
    pub fn tokens(&self) -> u64 {
        (self.request_bytes + self.result_bytes).div_ceil(4)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Newest first.
    History {
        server: Option<String>,
        tool: Option<String>,
        failed: bool,
        since: Option<Timestamp>,
        limit: u32,
    },
    /// Calls and failures of every tool since a time, for search's prior and for `tool budget`.
    Counts { since: Timestamp },
    /// Keeps the newest `keep` records.
    Trim { keep: u64 },
}

/// A record with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    #[serde(flatten)]
    pub call: Call,
}

/// How often a tool was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub server: String,
    pub tool: String,
    pub calls: u64,
    pub failed: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    History(Vec<Entry>),
    Counts(Vec<Count>),
    Trimmed(u64),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Trim { .. })
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::History { server, tool, failed, since, limit } => {
            let fits = |call: &Call| {
                server.as_ref().is_none_or(|server| call.server == *server)
                    && tool.as_ref().is_none_or(|tool| call.tool == *tool)
                    && (!failed || call.class != Class::Ok)
            };
            let mut entries = Vec::new();
            newest(tx, *since, |at, call| {
                if fits(&call) {
                    entries.push(Entry { at, call });
                }
                entries.len() < *limit as usize
            })?;
            Ok(Reply::History(entries))
        }
        Request::Counts { since } => counts(tx, *since),
        Request::Trim { .. } => Err(crate::error::Error::bug("a write was handed to `usage::read`")),
    }
}

fn counts(tx: &Reader, since: Timestamp) -> Result<Reply> {
    let mut counts = std::collections::BTreeMap::<(String, String), (u64, u64)>::new();
    newest(tx, Some(since), |_, call| {
        let count = counts.entry((call.server, call.tool)).or_default();
        count.0 += 1;
        count.1 += u64::from(call.class != Class::Ok);
        true
    })?;
    let count = |((server, tool), (calls, failed))| Count { server, tool, calls, failed };
    Ok(Reply::Counts(counts.into_iter().map(count).collect()))
}

/// Shows `visit` the records, newest first, until it says `false`. Reads in pages, so that a long history
/// is never in memory as a whole.
fn newest(
    tx: &Reader,
    since: Option<Timestamp>,
    mut visit: impl FnMut(Timestamp, Call) -> bool,
) -> Result<()> {
    let mut before = None;
    loop {
        let page = tx.last(&CALLS, 512, since, before)?;
        let Some((oldest, _)) = page.last() else { return Ok(()) };
        before = Some(*oldest);
        for (position, call) in page {
            if !visit(position.at, call) {
                return Ok(());
            }
        }
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Trim { keep } => Ok(Reply::Trimmed(tx.trim_to(&CALLS, keep)?)),
        Request::History { .. } | Request::Counts { .. } => read(tx, &request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_before_the_cache_is_read() {
        let mut call = Call {
            client: "c".into(),
            door: Door::Http,
            profile: Some("p".into()),
            server: "s".into(),
            tool: "t".into(),
            duration_us: 300,
            request_bytes: 1,
            result_bytes: 2,
            class: Class::Error,
            error: Some("UM0503".into()),
            cached: false,
        };
        let now = postcard::to_stdvec(&call).unwrap();
        assert_eq!(Call::upgrade(1, &now[..now.len() - 1]).unwrap(), call);
        assert!(Call::upgrade(7, &now).unwrap_err().is(&codes::STORE_DAMAGED));
        assert_eq!(call.outcome(), "error UM0503");
        (call.class, call.error, call.cached) = (Class::Ok, None, true);
        assert_eq!(call.outcome(), "ok, cached");
    }
}
