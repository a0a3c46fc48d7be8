//! What the audit trail records: who did what, what was decided, how it ended. Never a value.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One record, as it stands in the chain. It is stored as JSON text, so that a later version can add fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Call(Box<Call>),
    /// Something durable was changed.
    Change {
        /// Noun and verb, such as `server remove`.
        what: String,
        names: Vec<String>,
    },
    /// The user answered a call that waited.
    Approval {
        client: String,
        server: String,
        tool: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        allowed: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
        /// `client`, `approve` or `nobody`.
        by: String,
    },
    /// A request over HTTP was not let in. The same one from the same address is recorded once a minute.
    Refused {
        address: String,
        reason: String,
        /// Refusals since the record before this one that were not recorded.
        #[serde(default, skip_serializing_if = "is_zero")]
        unrecorded: u64,
    },
    /// Records that could not be kept: more came than the store could take. Their calls are in no other record.
    Lost {
        records: u64,
        /// When the first and the last of them came to be.
        from: Timestamp,
        until: Timestamp,
    },
    /// Older records were removed; the chain goes on from here.
    Purge {
        /// Number and hash of the last record that was removed.
        through: u64,
        hash: String,
        records: u64,
    },
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A call, let through or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    pub client: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `stdio`, `http` or `cli`.
    pub door: String,
    pub server: String,
    /// Name of the tool or prompt; of a resource its URI, or its template, or its scheme.
    pub tool: String,
    /// `prompt`, `resource` or `completion`; empty for a tool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// `allow`, `approved`, `approved by client`, `granted`, or `refused`.
    pub decision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How it ended, in the words of usage records.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Keys, types and sizes of the arguments.
    #[serde(deserialize_with = "raw")]
    pub arguments: Box<RawValue>,
    pub result_bytes: u64,
    pub duration_us: u64,
}

/// Reads a value as JSON text; a tagged enum hands no raw text on.
fn raw<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Box<RawValue>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    RawValue::from_string(value.to_string()).map_err(serde::de::Error::custom)
}

/// A record with its place in the chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub number: u64,
    /// Hex, as is `previous`.
    pub hash: String,
    pub previous: String,
    /// The record exactly as it was hashed.
    pub body: String,
}

impl Entry {
    /// The record; `None` when a later version wrote something this one does not know.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_str(&self.body).ok()
    }
}

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub client: Option<String>,
    /// Name of a server, or `server.tool`.
    pub tool: Option<String>,
    /// `call`, `change`, `approval`, `refused`, `purge` or `lost`.
    pub kind: Option<String>,
    /// Only calls and requests that were refused.
    pub refused: bool,
    pub since: Option<Timestamp>,
}

impl Filter {
    pub fn fits(&self, record: &Record) -> bool {
        let (kind, client, server, tool, refused) = match &record.event {
            Event::Call(it) => {
                ("call", it.client.as_str(), it.server.as_str(), it.tool.as_str(), it.decision == "refused")
            }
            Event::Change { .. } => ("change", "", "", "", false),
            Event::Approval { client, server, tool, allowed, .. } => {
                ("approval", client.as_str(), server.as_str(), tool.as_str(), !allowed)
            }
            Event::Refused { .. } => ("refused", "", "", "", true),
            Event::Purge { .. } => ("purge", "", "", "", false),
            Event::Lost { .. } => ("lost", "", "", "", false),
        };
        let named = |wanted: &String| match wanted.split_once('.') {
            Some(pair) => pair == (server, tool),
            None => *wanted == server,
        };
        self.client.as_ref().is_none_or(|wanted| wanted == client)
            && self.tool.as_ref().is_none_or(named)
            && self.kind.as_ref().is_none_or(|wanted| wanted == kind)
            && (!self.refused || refused)
            && self.since.is_none_or(|since| record.at >= since)
    }
}

/// What `audit verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub records: u64,
    pub first: Option<u64>,
    pub last: Option<u64>,
    /// Hash of the last record: whoever keeps it elsewhere sees when the end is cut off.
    pub head: Option<String>,
    /// Whether the hash that was expected stands in the chain.
    pub expected: Option<bool>,
    pub faults: Vec<Fault>,
    /// Records that could not be kept, as the chain itself tells: no fault of it, and a gap in what it knows.
    #[serde(default)]
    pub lost: u64,
}

/// A record that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub number: u64,
    pub problem: String,
}

/// Counts over a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub calls: u64,
    pub refused: u64,
    pub approved: u64,
    pub failed: u64,
    /// Requests over HTTP that were not let in.
    #[serde(default)]
    pub not_let_in: u64,
    /// Records that could not be kept.
    #[serde(default)]
    pub lost: u64,
    pub changes: u64,
    /// Calls and refusals.
    pub clients: BTreeMap<String, (u64, u64)>,
    pub tools: BTreeMap<String, (u64, u64)>,
    /// Decisions by rule.
    pub rules: BTreeMap<String, u64>,
    /// Changes by what was done.
    pub changed: BTreeMap<String, u64>,
}

impl Report {
    /// Counts one record.
    pub fn count(&mut self, record: &Record) {
        match &record.event {
            Event::Call(call) => {
                let refused = u64::from(call.decision == "refused");
                self.calls += 1;
                self.refused += refused;
                self.approved += u64::from(call.decision.starts_with("approved"));
                self.failed += u64::from(refused == 0 && call.outcome != "ok");
                let path = format!("{}.{}", call.server, call.tool);
                for (counts, name) in [(&mut self.clients, call.client.clone()), (&mut self.tools, path)] {
                    let count = counts.entry(name).or_default();
                    count.0 += 1;
                    count.1 += refused;
                }
                if let Some(rule) = &call.rule {
                    *self.rules.entry(rule.clone()).or_default() += 1;
                }
            }
            Event::Change { what, .. } => {
                self.changes += 1;
                *self.changed.entry(what.clone()).or_default() += 1;
            }
            Event::Refused { unrecorded, .. } => self.not_let_in += 1 + unrecorded,
            Event::Lost { records, .. } => self.lost += records,
            Event::Approval { .. } | Event::Purge { .. } => {}
        }
    }
}
