//! What one record of usage says: a call that umcp relayed, or something that an agent or a script reports.
//! Rule: old rows are read for ever; what a row did not know yet gets the value that says so.

use super::money::Pico;
use crate::error::{Error, Result, codes};
use crate::store::codec::lengthened;
use crate::store::{Row, Series, tables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every record, in the order of time.
pub const CALLS: Series<Call> = Series::new(tables::CALLS);

/// Bytes that are taken for one token where nobody tells the number.
const TOKEN_BYTES: u64 = 4;

impl Row for Call {
    const KIND: u8 = 4;
    const VERSION: u16 = 3;

    fn upgrade(version: u16, payload: &[u8]) -> Result<Self> {
        let detail = Detail::default();
        match version {
            // Nothing was recorded of calls answered from the cache.
            1 => lengthened(payload, &(false, detail)),
            2 => lengthened(payload, &detail),
            _ => {
                let message = format!("a call of the unknown version {version}");
                Err(Error::new(&codes::STORE_DAMAGED, message))
            }
        }
    }
}

/// One call of a tool, or one use of something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub client: String,
    pub door: Door,
    pub profile: Option<String>,
    /// Name of the server; empty for umcp's own tools, and for what belongs to no server.
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
    #[serde(default)]
    pub detail: Detail,
}

/// What is known beyond the call itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detail {
    pub entity: Entity,
    /// Number of the client's session; 0 for none.
    pub session: u64,
    /// Who it is accounted to.
    pub user: Option<String>,
    pub agent: Option<String>,
    pub workflow: Option<String>,
    /// Where it is not the profile.
    pub environment: Option<String>,
    pub model: Option<String>,
    /// As somebody counted them; nothing where they are estimated from the bytes.
    pub tokens: Option<Tokens>,
    /// Calls of a service; nothing means that one call is one. What was refused, and umcp's own tools, called none.
    pub api_calls: Option<u64>,
    /// Time of computing, where it is not the duration, in microseconds.
    pub compute_us: Option<u64>,
    pub storage_bytes: u64,
    pub cost: Option<Cost>,
    /// Whatever else is measured, in whole numbers.
    pub metrics: BTreeMap<String, i64>,
    /// An object, as JSON text.
    pub metadata: Option<String>,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    #[default]
    Tool,
    App,
    Skill,
    Workflow,
    Schedule,
    Server,
}

impl Entity {
    pub const ALL: [Self; 6] =
        [Self::Tool, Self::App, Self::Skill, Self::Workflow, Self::Schedule, Self::Server];

    pub fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::App => "app",
            Self::Skill => "skill",
            Self::Workflow => "workflow",
            Self::Schedule => "schedule",
            Self::Server => "server",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entity| entity.word() == word)
    }
}

/// Tokens as a model counts them: `input` is what it reads (a tool's result), `output` what it writes (the arguments).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
}

/// What a record cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub pico: Pico,
    /// Version of the price book it was reckoned with; nothing where the cost was reported.
    pub version: Option<u32>,
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
    /// Nothing umcp relayed: an agent or a script reported it.
    Report,
}

impl Door {
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Cli => "cli",
            Self::Workflow => "workflow",
            Self::Schedule => "schedule",
            Self::Report => "report",
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

    /// `server.tool`; the bare name for what has no server.
    pub fn path(&self) -> String {
        match (self.server.as_str(), self.tool.as_str()) {
            ("", tool) => tool.into(),
            (server, "") => server.into(),
            (server, tool) => format!("{server}.{tool}"),
        }
    }

    /// Tokens of arguments and result in a model's context.
    pub fn tokens(&self) -> u64 {
        match self.detail.tokens {
            Some(tokens) => tokens.input.saturating_add(tokens.output),
            None => self.request_bytes.saturating_add(self.result_bytes).div_ceil(TOKEN_BYTES),
        }
    }

    /// The same by direction, estimated at four bytes each where nobody counted.
    pub fn tokens_by_way(&self) -> Tokens {
        self.detail.tokens.unwrap_or_else(|| {
            let output = self.request_bytes.div_ceil(TOKEN_BYTES);
            Tokens { input: self.tokens().saturating_sub(output), output }
        })
    }

    pub fn compute_us(&self) -> u64 {
        self.detail.compute_us.unwrap_or(self.duration_us)
    }

    pub fn api_calls(&self) -> u64 {
        self.detail.api_calls.unwrap_or(1)
    }

    /// Says in the fields of their own what stands in the name of a client that umcp itself is; whether there was any.
    pub fn attribute(&mut self) -> bool {
        match self.client.split_once(':') {
            Some(("workflow", name)) if self.detail.workflow.is_none() => {
                self.detail.workflow = Some(name.into());
            }
            // A schedule calls in the name of its agent, or else in its own.
            None if self.door == Door::Schedule && self.detail.agent.is_none() => {
                self.detail.agent = Some(self.client.clone());
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A call of `s.t` by `c`.
    pub fn call(result_bytes: u64) -> Call {
        Call {
            client: "c".into(),
            door: Door::Http,
            profile: Some("p".into()),
            server: "s".into(),
            tool: "t".into(),
            duration_us: 300,
            request_bytes: 10,
            result_bytes,
            class: Class::Ok,
            error: None,
            cached: false,
            detail: Detail::default(),
        }
    }

    #[test]
    fn older_records_are_read() {
        let mut call = Call { class: Class::Error, error: Some("UM0503".into()), ..call(2) };
        let now = postcard::to_stdvec(&call).unwrap();
        let detail = postcard::to_stdvec(&Detail::default()).unwrap().len();
        assert_eq!(Call::upgrade(2, &now[..now.len() - detail]).unwrap(), call);
        assert_eq!(Call::upgrade(1, &now[..now.len() - detail - 1]).unwrap(), call);
        assert!(Call::upgrade(7, &now).unwrap_err().is(&codes::STORE_DAMAGED));
        assert_eq!(call.outcome(), "error UM0503");
        (call.class, call.error, call.cached) = (Class::Ok, None, true);
        assert_eq!(call.outcome(), "ok, cached");
    }

    #[test]
    fn tokens_are_those_that_were_told_or_a_fourth_of_the_bytes() {
        let mut call = call(390);
        assert_eq!((call.tokens(), call.tokens_by_way()), (100, Tokens { input: 97, output: 3 }));
        call.detail.tokens = Some(Tokens { input: 5, output: 6 });
        assert_eq!((call.tokens(), call.tokens_by_way()), (11, Tokens { input: 5, output: 6 }));
        call.detail.tokens = Some(Tokens { input: u64::MAX, output: 6 });
        assert_eq!(call.tokens(), u64::MAX);
    }

    #[test]
    fn who_is_behind_a_client_of_ours_is_told() {
        let mut call = Call { client: "workflow:nightly".into(), ..call(1) };
        call.attribute();
        assert_eq!((call.detail.workflow.as_deref(), call.detail.agent.as_deref()), (Some("nightly"), None));
        let mut call = Call { client: "scout".into(), door: Door::Schedule, ..super::tests::call(1) };
        call.attribute();
        assert_eq!((call.detail.workflow.as_deref(), call.detail.agent.as_deref()), (None, Some("scout")));
    }
}
