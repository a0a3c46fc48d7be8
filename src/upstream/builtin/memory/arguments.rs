//! The arguments of the memory tools, as they come. What they mean is decided by the noun.

use super::reply;
use crate::error::Result;
use crate::memory::model::Kind;
use crate::memory::select::{Filter, Order};
use crate::memory::space::Permission;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a filter is called in arguments.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Where {
    pub namespace: Option<String>,
    pub kinds: Vec<Kind>,
    pub tags: Vec<String>,
    pub metadata: BTreeMap<String, Value>,
    pub agents: Vec<String>,
    pub exclude_agents: Vec<String>,
    pub session: Option<String>,
    pub since: Option<String>,
    pub until: Option<String>,
    pub about: Option<String>,
}

impl Where {
    pub fn read(self) -> Result<Filter> {
        let time = |text: Option<String>| {
            text.map(|text| {
                crate::clock::Timestamp::parse(&text).ok_or_else(|| {
                    reply::invalid(format!("`{text}` is no time")).hint("2026-01-31T12:00:00Z")
                })
            })
            .transpose()
        };
        Ok(Filter {
            namespace: self.namespace,
            kinds: self.kinds,
            tags: self.tags,
            metadata: self.metadata.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
            agents: self.agents,
            exclude_agents: self.exclude_agents,
            session: self.session,
            key: None,
            since: time(self.since)?,
            until: time(self.until)?,
            about: self.about,
            past: false,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    pub query: Option<String>,
    pub question: Option<String>,
    pub task: Option<String>,
    pub top_k: Option<u32>,
    pub min_similarity: Option<f32>,
    pub max_tokens: Option<u64>,
    #[serde(default)]
    pub filter: Where,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    #[serde(default)]
    pub filter: Where,
    #[serde(default)]
    pub order_by: Order,
    pub limit: Option<u32>,
    #[serde(default)]
    pub offset: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    pub id: String,
    pub namespace: Option<String>,
    pub session: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    pub ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub id: String,
    pub text: Option<String>,
    pub key: Option<String>,
    pub kind: Option<Kind>,
    pub tags: Option<Vec<String>>,
    pub metadata: Option<BTreeMap<String, Value>>,
    pub triples: Option<Value>,
    pub importance: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tend {
    #[serde(default)]
    pub filter: Where,
    pub similarity_threshold: Option<f32>,
    pub min_frequency: Option<u64>,
    #[serde(default)]
    pub keep: bool,
    pub max_age_days: Option<u32>,
    pub importance_threshold: Option<f32>,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub agent: String,
    pub namespace: String,
    pub permission: Option<Permission>,
}
