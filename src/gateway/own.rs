//! umcp's own tools: the three of search mode, reading on in a large result, and read-only verbs of umcp itself.
//! Their names are reserved, so no server can take them.

use super::Gateway;
use super::handler::{Asker, Incoming};
use super::relay::{for_era, whose};
use super::session::Session;
use crate::calls::{self, Context, Params, results};
use crate::engine::{Reply, StoreRequest};
use crate::environments::Mode;
use crate::error::{Error, Result, codes};
use crate::tools::model::Facts;
use crate::upstream::View;
use crate::upstream::message::{Answer, code, quote};
use crate::upstream::view::List;
use crate::usage;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tools listed by `hybrid` mode: the ones used most.
const HYBRID: usize = 20;
/// Use within this time counts for ranking.
const RECENT_MS: u64 = 30 * 24 * 3600 * 1000;
/// Counts of use are read again after this time.
const FRESH: Duration = Duration::from_secs(60);

/// How often each tool was called, by server and tool.
pub type Use = HashMap<(String, String), u64>;

/// Counts of use, as last read.
#[derive(Default)]
pub struct Recent(Mutex<Option<(Instant, Arc<Use>)>>);

/// Definitions of umcp's own verbs, listed after the tools of servers.
pub fn verbs() -> Vec<String> {
    let no_input = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let query = json!({"type": "object", "properties": {
        "query": {"type": "string", "description": "What the tool should do, in a few words"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10}
    }, "required": ["query"]});
    let history = json!({"type": "object", "properties": {
        "server": {"type": "string"}, "tool": {"type": "string"},
        "failed": {"type": "boolean", "default": false},
        "limit": {"type": "integer", "minimum": 1, "maximum": 200, "default": 20}
    }});
    [
        ("umcp__server_list", "List the MCP servers behind umcp with their state", no_input),
        ("umcp__tool_search", "Search the tools of all servers by what they do", query),
        ("umcp__tool_history", "Show recent tool calls with duration and outcome, newest first", history),
    ]
    .map(|(name, description, schema)| {
        json!({
            "name": name, "description": description, "inputSchema": schema,
            "annotations": {"readOnlyHint": true, "openWorldHint": false}
        })
        .to_string()
    })
    .into()
}

/// Definition of the tool that reads on in a stored result; listed where results are stored.
pub fn reading() -> String {
    json!({"name": "read_result", "description": "Read a page of a large result that was stored instead of shown",
        "annotations": {"readOnlyHint": true, "openWorldHint": false}, "inputSchema": {
        "type": "object", "properties": {
            "handle": {"type": "string"}, "page": {"type": "integer", "minimum": 1, "default": 1}
        }, "required": ["handle"]}})
    .to_string()
}

/// The tools of search mode. The description names what is installed, since agents ignore a general one.
fn meta_tools(view: &View) -> Vec<String> {
    let mut servers: Vec<(&str, usize)> = Vec::new();
    for tool in &view.tools {
        match servers.iter_mut().find(|(name, _)| *name == tool.upstream.name()) {
            Some((_, count)) => *count += 1,
            None => servers.push((tool.upstream.name(), 1)),
        }
    }
    let some: Vec<String> =
        servers.iter().take(40).map(|(name, count)| format!("{name} ({count})")).collect();
    let more =
        if servers.len() > 40 { format!(" and {} more servers", servers.len() - 40) } else { String::new() };
    let find = format!(
        "Find tools for a task among the {} tools of these servers: {}{more}. Call this first whenever a task may need \
         one of them; then call the tool with `call_tool`.",
        view.tools.len(),
        some.join(", ")
    );
    let read_only = json!({"readOnlyHint": true, "openWorldHint": false});
    [
        json!({"name": "find_tools", "description": find, "annotations": read_only, "inputSchema": {
            "type": "object", "properties": {
                "query": {"type": "string", "description": "What to do, in a few words, such as `create issue`"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 8}
            }, "required": ["query"]}}),
        json!({"name": "describe_tool", "description": "Show the whole definition of a tool found with `find_tools`",
            "annotations": read_only, "inputSchema": {
            "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}),
        json!({"name": "call_tool", "description": "Call a tool found with `find_tools`, by its name", "inputSchema": {
            "type": "object", "properties": {
                "name": {"type": "string"},
                "arguments": {"type": "object", "description": "Arguments as the tool's schema asks"}
            }, "required": ["name"]}}),
    ]
    .map(|tool| tool.to_string())
    .into_iter()
    .chain([reading()])
    .collect()
}

/// Definitions of the tools used most.
fn favourites(view: &View, used: &Use) -> Vec<String> {
    let count = |tool: &crate::upstream::view::ViewTool| {
        used.get(&(tool.upstream.name().to_string(), tool.tool.clone())).copied().unwrap_or(0)
    };
    let mut favourites: Vec<_> = view.tools.iter().filter(|tool| count(tool) > 0).collect();
    favourites.sort_by_key(|tool| std::cmp::Reverse(count(tool)));
    favourites.truncate(HYBRID);
    // The order of a list must not change with every call.
    favourites.sort_by(|a, b| a.exposed.cmp(&b.exposed));
    favourites.iter().map(|tool| tool.json.clone()).collect()
}

impl Gateway {
    /// The tool list of a profile in search or hybrid mode.
    pub(super) async fn short_list(self: &Arc<Self>, view: &Arc<View>) -> List {
        let mut listed: Vec<String> = Vec::new();
        if view.profile.mode == Mode::Hybrid {
            let (gateway, view) = (self.clone(), view.clone());
            // Counting may read many records.
            let counted = tokio::task::spawn_blocking(move || favourites(&view, &gateway.used()));
            listed.extend(counted.await.unwrap_or_default());
        }
        listed.extend(meta_tools(view));
        List::build("tools", listed.iter().map(String::as_str), usize::MAX, 0)
    }

    /// Counts of use, read again when they are old.
    fn used(&self) -> Arc<Use> {
        let recent = || self.recent.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, used)) = recent().as_ref().filter(|(read, _)| read.elapsed() < FRESH) {
            return used.clone();
        }
        let engine = &self.world().shared.engine;
        let since = crate::clock::Timestamp::from_millis(engine.now().millis().saturating_sub(RECENT_MS));
        let counts = match engine.call(StoreRequest::Usage(usage::Request::Counts { since })) {
            Ok(Reply::Usage(usage::Reply::Counts(counts))) => counts,
            _ => Vec::new(),
        };
        let used: Arc<Use> =
            Arc::new(counts.into_iter().map(|it| ((it.server, it.tool), it.calls)).collect());
        *recent() = Some((Instant::now(), used.clone()));
        used
    }

    /// Ranked search over a view, with use as the prior.
    pub fn search(&self, view: &View, query: &str, limit: usize) -> Vec<(usize, f32)> {
        let used = self.used();
        let prior = |doc: usize| {
            let tool = &view.tools[doc];
            let calls =
                used.get(&(tool.upstream.name().to_string(), tool.tool.clone())).copied().unwrap_or(0);
            ((calls as f32).ln_1p() / 8.0).min(1.0)
        };
        view.index().search(query, limit, &prior).into_iter().map(|hit| (hit.doc, hit.score)).collect()
    }

    /// Calls one of umcp's own tools; `None` when the name is none of them.
    pub(super) async fn call_own(
        self: &Arc<Self>,
        view: &Arc<View>,
        name: &str,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Option<Answer> {
        let started = Instant::now();
        let arguments: Value =
            params.raw("arguments").and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or(json!({}));
        let outcome = match name {
            "call_tool" if view.is_searched() => {
                let target = arguments["name"].as_str().unwrap_or_default();
                let inner = arguments.get("arguments").map_or_else(|| "{}".to_string(), Value::to_string);
                let Some(tool) = view.target(target) else {
                    if let Some(denied) = view.denied(target) {
                        return Some(self.refuse(denied, incoming, params, asker));
                    }
                    let error = Error::new(&codes::TOOL_NOT_FOUND, format!("no tool named `{target}`"))
                        .hint("find the right name with `find_tools`");
                    return Some(own_answer(Err(error), asker));
                };
                let exposed = tool.exposed.clone();
                let meta = params.raw("_meta").unwrap_or_default();
                let text = params.forward(&[("name", &quote(&exposed)), ("arguments", &inner)], meta);
                let Ok(params) = Params::parse(&text) else {
                    return Some(Answer::error(code::INVALID_PARAMS, "the arguments are no object"));
                };
                let incoming = Incoming {
                    session: incoming.session.clone(),
                    params: &text,
                    sink: incoming.sink.clone(),
                    ..*incoming
                };
                // Boxed: a call inside a call.
                return Some(
                    Box::pin(self.call_shown(view.clone(), &exposed, &incoming, &params, asker)).await,
                );
            }
            "find_tools" if view.is_searched() => {
                let view = view.clone();
                self.beside(move |gateway| gateway.find(&view, &arguments, 8)).await
            }
            "describe_tool" if view.is_searched() => describe(view, &arguments),
            "read_result" => {
                let (view, session) = (view.clone(), incoming.session.clone());
                let context = super::relay::context(incoming, params, asker, None);
                self.beside(move |gateway| gateway.read_stored(&view, &session, &context, &arguments)).await
            }
            name if name.starts_with("umcp__") && !self.world().shared.settings.gateway.own_tools => {
                return None;
            }
            "umcp__tool_search" => {
                let view = view.clone();
                self.beside(move |gateway| gateway.find(&view, &arguments, 10)).await
            }
            "umcp__server_list" => Ok(self.server_list(view)),
            "umcp__tool_history" => {
                let view = view.clone();
                self.beside(move |gateway| gateway.history(&view, &arguments)).await
            }
            _ => return None,
        };
        let answer = own_answer(outcome, asker);
        let context = super::relay::context(incoming, params, asker, None);
        let length = params.raw("arguments").map_or(0, str::len);
        self.caller.record_own(name, length, &answer.body, started, &context);
        Some(answer)
    }

    /// Does work that reads files, many records or all tools beside the runtime, where no call waits for it.
    async fn beside(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<String> + Send + 'static,
    ) -> Result<String> {
        let gateway = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&gateway)).await;
        done.map_err(|error| Error::bug("one of umcp's own tools did not end").because(error))?
    }

    fn find(&self, view: &View, arguments: &Value, default: u64) -> Result<String> {
        let query = arguments["query"].as_str().unwrap_or_default();
        if query.trim().is_empty() {
            return Err(Error::new(&codes::ARGUMENTS_INVALID, "`query` is missing"));
        }
        let limit = arguments["limit"].as_u64().unwrap_or(default).clamp(1, 50) as usize;
        let found = self.search(view, query, limit);
        if found.is_empty() {
            return Ok(format!(
                "No tool fits `{query}`. Try other words: a verb and an object, such as `create issue`."
            ));
        }
        let line = |(doc, _): &(usize, f32)| {
            let tool = &view.tools[*doc];
            let facts: Facts = serde_json::from_str(&tool.json).unwrap_or_default();
            format!("- {}: {}\n  arguments: {}", tool.exposed, brief(&facts), signature(&facts))
        };
        Ok(found.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    /// A page of a stored result, by the policy as it is now: whoever may not call the tool does not read what an
    /// earlier call of it left, and what is redacted now stays out.
    fn read_stored(
        &self,
        view: &View,
        session: &Session,
        context: &Context,
        arguments: &Value,
    ) -> Result<String> {
        let number = arguments["page"].as_u64().unwrap_or(1) as usize;
        let handle = arguments["handle"].as_str().unwrap_or_default();
        let (origin, text) = results::read(&self.world().shared.paths, handle)?;
        if origin.whose != whose(session) {
            return Err(results::missing(handle));
        }
        let Some(tool) = view.own(&origin.server, &origin.tool) else {
            let denied = view.denied_own(&origin.server, &origin.tool);
            return Err(denied.map_or_else(|| results::missing(handle), |it| it.error(&context.client)));
        };
        let text = self.caller.release_stored(tool, &origin.arguments, text, context)?;
        let (page, pages) = results::page(&text, handle, number)?;
        Ok(format!("{page}\n\n[page {number} of {pages}]"))
    }

    /// The servers of the client's profile.
    fn server_list(&self, view: &View) -> String {
        let line = |upstream: &Arc<crate::upstream::Upstream>| {
            let tools = upstream
                .catalogue()
                .map_or_else(|| "?".into(), |catalogue| catalogue.tools.len().to_string());
            format!(
                "- {} ({}): {}, {tools} tools",
                upstream.name(),
                upstream.entry.transport.word(),
                upstream.note().state.word()
            )
        };
        let all = self.world().all();
        let open = |upstream: &&Arc<crate::upstream::Upstream>| {
            upstream.is_of(&view.profile) && !view.closed.iter().any(|name| name == upstream.name())
        };
        let shown: Vec<_> = all.iter().filter(open).collect();
        match shown.is_empty() {
            true => "No servers yet. Add one with `umcp server add`.".into(),
            false => shown.into_iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    }

    fn history(&self, view: &View, arguments: &Value) -> Result<String> {
        let text = |key: &str| arguments[key].as_str().map(ToString::to_string);
        let request = usage::Request::History {
            server: text("server"),
            tool: text("tool"),
            failed: arguments["failed"] == true,
            since: None,
            limit: arguments["limit"].as_u64().unwrap_or(20).clamp(1, 200) as u32,
        };
        match self.world().shared.engine.call(StoreRequest::Usage(request))? {
            Reply::Usage(usage::Reply::History(entries)) => {
                let line = |entry: &usage::Entry| {
                    let call = &entry.call;
                    let millis = call.duration_us as f64 / 1000.0;
                    format!(
                        "- {} {}.{} {} in {millis:.1} ms",
                        entry.at.rfc3339(),
                        call.server,
                        call.tool,
                        call.outcome()
                    )
                };
                let all = self.world().all();
                let profile = &view.profile;
                // Neither of servers of other profiles, nor of what the policy keeps from this client.
                let hidden = |entry: &&usage::Entry| {
                    let (server, tool) = (&entry.call.server, &entry.call.tool);
                    view.keeps_back(server, tool)
                        || all.iter().any(|upstream| upstream.name() == server && !upstream.is_of(profile))
                };
                let shown = entries.iter().filter(|entry| !hidden(entry));
                Ok(shown.map(line).collect::<Vec<_>>().join("\n"))
            }
            other => crate::engine::unexpected(&other),
        }
    }
}

fn describe(view: &View, arguments: &Value) -> Result<String> {
    let name = arguments["name"].as_str().unwrap_or_default();
    let tool = view.target(name).ok_or_else(|| {
        Error::new(&codes::TOOL_NOT_FOUND, format!("no tool named `{name}`"))
            .hint("find the right name with `find_tools`")
    })?;
    Ok(tool.json.clone())
}

/// First sentence of the description, at most 200 characters.
fn brief(facts: &Facts) -> String {
    let text = facts.description.as_deref().or(facts.title.as_deref()).unwrap_or_default();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    line.chars().take(200).collect()
}

/// `owner: string, page?: integer`.
fn signature(facts: &Facts) -> String {
    let required = facts.required();
    let argument = |name: &&str| {
        let mark = if required.contains(name) { "" } else { "?" };
        let kind = &facts.input_schema["properties"][*name]["type"];
        format!("{name}{mark}: {}", kind.as_str().unwrap_or("any"))
    };
    let arguments = facts.arguments();
    match arguments.is_empty() {
        true => "none".into(),
        false => arguments.iter().map(argument).collect::<Vec<_>>().join(", "),
    }
}

fn own_answer(outcome: Result<String>, asker: &Asker) -> Answer {
    let result = match outcome {
        Ok(text) => format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, quote(&text)),
        Err(error) => calls::as_tool_result(&error),
    };
    Answer::result(for_era(result.into_bytes(), asker.peer.era))
}
