//! The Skills extension: the skills of all servers that declare it, as one list. One skill, and a folder of one, are
//! asked of the server that has it, like a resource, which is what the policy takes them for.

use super::Gateway;
use super::handler::{Asker, Incoming};
use super::relay::context;
use crate::calls::{Params, Relayed};
use crate::tools::Era;
use crate::upstream::Upstream;
use crate::upstream::message::Answer;
use crate::upstream::view::{View, as_modern_list};
use serde_json::{Value, json};
use std::sync::Arc;

const EXTENSION: &str = "io.modelcontextprotocol/skills";
/// A server that never ends its pages is cut off here.
const MAX_PAGES: usize = 20;

impl Gateway {
    /// One page with the skills of all servers. A server that does not answer costs its own skills only.
    pub(super) async fn list_skills(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let view = self.view_of(&incoming.session);
        let servers = self.world().all().into_iter().filter(|upstream| has_skills(&view, upstream));
        let asked = servers.map(|upstream| self.skills_of(upstream, incoming, params, asker));
        let found = futures_util::future::join_all(asked).await;
        let shown = |skill: &Value| {
            let uri = skill["uri"].as_str();
            uri.is_some_and(|uri| matches!(view.reach(uri), Some(Ok(_))))
        };
        let skills: Vec<Value> = found.into_iter().flatten().filter(shown).collect();
        let body = json!({"skills": skills}).to_string().into_bytes();
        match asker.peer.era {
            Era::Modern => Answer::result(as_modern_list(&body)),
            Era::Legacy => Answer::result(body),
        }
    }

    async fn skills_of(
        &self,
        upstream: Arc<Upstream>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Vec<Value> {
        let (mut skills, mut cursor) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let replaced = [("cursor", cursor.as_str())];
            let request =
                Relayed { method: "skills/list", params, replaced: &replaced, name: None, headers: &[] };
            let asked = self.caller.relay(&upstream, request, &context(incoming, params, asker, None)).await;
            let Ok(reply) = asked else { break };
            if !reply.answer.ok {
                break;
            }
            let mut page = reply.answer.json();
            if let Value::Array(found) = page["skills"].take() {
                skills.extend(found);
            }
            match &page["nextCursor"] {
                Value::String(_) => cursor = page["nextCursor"].to_string(),
                _ => break,
            }
        }
        skills
    }
}

fn has_skills(view: &View, upstream: &Upstream) -> bool {
    let declares = |capabilities: &str| {
        let capabilities: Value = serde_json::from_str(capabilities).unwrap_or_default();
        capabilities["extensions"].get(EXTENSION).is_some()
    };
    upstream.is_shown(&view.profile)
        && view.closed.iter().all(|name| name != upstream.name())
        && upstream.catalogue().is_some_and(|catalogue| declares(&catalogue.capabilities))
}
