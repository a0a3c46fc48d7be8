//! What an agent or a script reports of its own use: the fields of a record, most of which may be missing.
//! Rule: a report that says something impossible is refused as a whole; nothing of it is guessed.

use super::money::Pico;
use super::record::{Call, Class, Cost, Detail, Door, Entity, Tokens};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far in the future a report may lie: clocks differ.
const AHEAD_MS: u64 = 300_000;
/// How far in the past: sums of days are kept that long.
const BACK_MS: u64 = 3660 * 86_400_000;
/// Bytes of a name, and of the metadata.
const LONGEST_NAME: usize = 256;
const LONGEST_METADATA: usize = 16 << 10;
const MOST_METRICS: usize = 64;

/// One report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// Nothing means now.
    pub at: Option<Timestamp>,
    pub entity_type: Entity,
    /// `SERVER.TOOL` for a tool, else a name.
    pub entity: String,
    pub client: Option<String>,
    pub agent: Option<String>,
    pub user: Option<String>,
    pub environment: Option<String>,
    pub model: Option<String>,
    pub workflow: Option<String>,
    pub session: u64,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub api_calls: Option<u64>,
    pub duration_us: u64,
    pub compute_us: Option<u64>,
    pub request_bytes: u64,
    pub result_bytes: u64,
    pub storage_bytes: u64,
    pub failed: bool,
    /// Where it is known; else it is reckoned by the price book.
    pub cost: Option<Pico>,
    pub metrics: BTreeMap<String, i64>,
    /// An object, as JSON text.
    pub metadata: Option<String>,
}

impl Report {
    /// The record, and when it stands.
    ///
    /// # Errors
    /// `VALUE_INVALID`.
    pub fn into_call(self, now: Timestamp) -> Result<(Timestamp, Call)> {
        self.check(now)?;
        let (server, tool) = match (self.entity_type, self.entity.split_once('.')) {
            (Entity::Tool, Some((server, tool))) => (server.to_string(), tool.to_string()),
            (Entity::Server | Entity::App, _) => (self.entity, String::new()),
            _ => (String::new(), self.entity),
        };
        let counted = self.input_tokens.is_some() || self.output_tokens.is_some();
        // Who tells no bytes either has no tokens that could be estimated.
        let told = counted || (self.request_bytes == 0 && self.result_bytes == 0);
        let tokens = Tokens {
            input: self.input_tokens.unwrap_or_default(),
            output: self.output_tokens.unwrap_or_default(),
        };
        let detail = Detail {
            entity: self.entity_type,
            session: self.session,
            user: self.user,
            agent: self.agent,
            workflow: self.workflow,
            environment: self.environment,
            model: self.model,
            tokens: told.then_some(tokens),
            api_calls: self.api_calls,
            compute_us: self.compute_us,
            storage_bytes: self.storage_bytes,
            cost: self.cost.map(|pico| Cost { pico, version: None }),
            metrics: self.metrics,
            metadata: self.metadata,
        };
        let call = Call {
            client: self.client.unwrap_or_else(|| "report".into()),
            door: Door::Report,
            profile: None,
            server,
            tool,
            duration_us: self.duration_us,
            request_bytes: self.request_bytes,
            result_bytes: self.result_bytes,
            class: if self.failed { Class::Error } else { Class::Ok },
            error: None,
            cached: false,
            detail,
        };
        Ok((self.at.unwrap_or(now), call))
    }

    fn check(&self, now: Timestamp) -> Result<()> {
        let wrong = |message: String| Err(Error::new(&codes::VALUE_INVALID, message));
        if self.entity.is_empty() {
            return wrong("a report needs the name of what was used".into());
        }
        let named = [&self.client, &self.agent, &self.user, &self.environment, &self.model, &self.workflow];
        let names =
            named.into_iter().flatten().chain(std::iter::once(&self.entity)).chain(self.metrics.keys());
        for name in names {
            if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
                let start: String = name.chars().take(40).collect();
                return wrong(format!("the name `{start}` is empty, too long or has control characters"));
            }
        }
        if let Some(at) = self.at {
            if at > now.plus_ms(AHEAD_MS) {
                return wrong(format!("the time `{}` lies in the future", at.rfc3339()));
            }
            if now.since_ms(at) > BACK_MS {
                return wrong(format!("the time `{}` lies more than ten years back", at.rfc3339()));
            }
        }
        if self.cost.is_some_and(|cost| cost.0 < 0 || cost.0 > super::price::HIGHEST) {
            return wrong("a cost is from 0 to a billion dollars".into());
        }
        if self.metrics.len() > MOST_METRICS {
            return wrong(format!("a report has at most {MOST_METRICS} metrics"));
        }
        match &self.metadata {
            Some(text) if text.len() > LONGEST_METADATA => wrong("the metadata is longer than 16 KiB".into()),
            Some(text) if serde_json::from_str::<serde_json::Map<_, _>>(text).is_err() => {
                wrong("the metadata is no JSON object".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_impossible_is_refused() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let good = || Report { entity: "x".into(), ..Report::default() };
        assert!(good().into_call(now).is_ok());
        for report in [
            Report::default(),
            Report { at: Some(now.plus_ms(600_000)), ..good() },
            Report { at: Some(Timestamp(5)), ..good() },
            Report { cost: Some(Pico(-1)), ..good() },
            Report { cost: Some(Pico(i128::MAX)), ..good() },
            Report { user: Some("a".repeat(300)), ..good() },
            Report { user: Some(String::new()), ..good() },
            Report { entity: "a\u{7}".into(), ..good() },
            Report { metadata: Some("[]".into()), ..good() },
            Report { metadata: Some(format!("{{\"a\":\"{}\"}}", "x".repeat(17_000))), ..good() },
            Report { metrics: (0..65).map(|it| (it.to_string(), 1)).collect(), ..good() },
        ] {
            assert!(report.clone().into_call(now).unwrap_err().is(&codes::VALUE_INVALID), "{report:?}");
        }
    }

    #[test]
    fn tokens_are_told_or_estimated_but_never_made_up() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let tokens = |report: Report| {
            let (_, call) = report.into_call(now).unwrap();
            (call.path(), call.tokens_by_way(), call.detail.tokens.is_some())
        };
        let tool = Report { entity: "git.log".into(), input_tokens: Some(7), ..Report::default() };
        assert_eq!(tokens(tool), ("git.log".into(), Tokens { input: 7, output: 0 }, true));
        let bytes = Report { entity: "x".into(), result_bytes: 40, ..Report::default() };
        assert_eq!(tokens(bytes), ("x".into(), Tokens { input: 10, output: 0 }, false));
        let none = Report { entity: "x".into(), ..Report::default() };
        assert_eq!(tokens(none), ("x".into(), Tokens::default(), true));
    }
}
