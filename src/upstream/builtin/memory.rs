//! The built-in `memory` server: what agents remember, kept in umcp's own store. Its tools are the verbs of
//! `umcp memory`, and `memory` is Claude's memory tool over the same memories as a directory.
//! Rule: who asks is what umcp itself says of the caller, never an argument.

mod arguments;
mod catalogue;

use super::Options;
use super::reply::{self, Output};
use crate::engine::{Engine, Reply, Request, unexpected};
use crate::error::{Error, Result};
use crate::ids;
use crate::memory::consolidate::Prune;
use crate::memory::model::{self, New, Who};
use crate::memory::recall::{Found, Search};
use crate::memory::select::{Filter, Select};
use crate::memory::space::Permission;
use crate::memory::{self, Ask, answer, change, files, transfer};
use arguments::{Change, Find, Forget, Grant, Named, Query, Tend};
use rmcp::model::Tool;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What umcp says of the caller, in `_meta` of a call of this server.
pub const CALLER: &str = "umcp/caller";
/// Memories of one list or export through a tool.
const MOST_LISTED: u32 = 200;

/// The server.
pub struct Memory {
    engine: Option<Engine>,
    namespace: String,
    /// Tells sessions of this run of the server from those of another.
    run: String,
}

impl Memory {
    /// `UMCP_NAMESPACE` of the entry is where memories go that name none.
    pub fn new(options: &Options) -> Self {
        let namespace = options.env.get("UMCP_NAMESPACE").cloned().unwrap_or_else(|| model::DEFAULT.into());
        Self { engine: options.engine.clone(), namespace, run: ids::random_hex(3) }
    }

    pub fn tools() -> Vec<Tool> {
        catalogue::tools()
    }

    /// Calls a tool in the name of the caller that `_meta` tells of.
    pub async fn call(
        self: Arc<Self>,
        tool: String,
        arguments: Value,
        caller: Option<Value>,
    ) -> Result<Output> {
        let who = self.who(caller.as_ref());
        let work = tokio::task::spawn_blocking(move || self.answer(&tool, arguments, who));
        work.await.map_err(|error| Error::bug("a memory call did not end").because(error))?
    }

    fn who(&self, caller: Option<&Value>) -> Who {
        let text = |name: &str| caller?.get(name)?.as_str().map(String::from);
        let session = caller.and_then(|caller| caller.get("session")).and_then(Value::as_u64);
        let session = session.map(|number| format!("{}-{number}", self.run));
        let owner = caller.is_some_and(|caller| caller.get("owner") == Some(&Value::Bool(true)));
        // Whoever is not told is a stranger, not the owner. A name is on one line, whatever the client says.
        let mut agent: String = text("agent").unwrap_or_default();
        agent.retain(|c| !c.is_control());
        agent.truncate(agent.floor_char_boundary(100));
        if agent.trim().is_empty() {
            agent = "unknown".into();
        }
        Who { agent: (!owner).then_some(agent), session }
    }

    fn ask(&self, who: &Who, ask: Ask) -> Result<memory::Reply> {
        let engine =
            self.engine.as_ref().ok_or_else(|| reply::refused("this server has no store to remember in"))?;
        let request = memory::Request::new(who.clone(), engine.now(), ask);
        let Request::Store(request) = Request::from(request) else {
            return Err(Error::bug("a request of the memory that is none of the store"));
        };
        match engine.call(request)? {
            Reply::Memory(reply) => Ok(reply),
            other => unexpected(&other),
        }
    }

    fn answer(&self, tool: &str, arguments: Value, who: Who) -> Result<Output> {
        match tool {
            "memory" => {
                let command: files::Command = reply::arguments(arguments)?;
                let namespace = self.namespace.clone();
                match self.ask(&who, Ask::File { namespace, command })? {
                    memory::Reply::Text(text) => Ok(Output::text(text)),
                    other => stray(&other),
                }
            }
            "store" | "import" => self.store(tool, arguments, &who),
            "search" | "ask" | "context" => self.find(tool, arguments, &who),
            "consolidate" | "patterns" | "prune" => self.tend(tool, arguments, &who),
            "namespaces" | "grant" | "revoke" | "stats" => self.spaces(tool, arguments, &who),
            _ => self.handle(tool, arguments, &who),
        }
    }

    fn store(&self, tool: &str, arguments: Value, who: &Who) -> Result<Output> {
        let now = self.engine.as_ref().map(Engine::now).unwrap_or_default();
        let list = match (tool, arguments) {
            ("import", Value::Object(mut fields)) => match fields.remove("memories") {
                Some(Value::Array(list)) => list,
                _ => return Err(reply::invalid("`memories` is a list")),
            },
            (_, one) => vec![one],
        };
        let mut new: Vec<New> = Vec::new();
        for mut value in list {
            let fields = value.as_object_mut().ok_or_else(|| reply::invalid("a memory is an object"))?;
            // Where a memory comes from is no argument.
            fields.remove("agent");
            let own = fields.get("namespace").is_none_or(Value::is_null);
            let ttl_ms = match fields.remove("ttl_seconds") {
                None | Some(Value::Null) => None,
                Some(ttl) => {
                    Some(ttl.as_u64().ok_or_else(|| reply::invalid("`ttl_seconds` is a whole number"))?)
                }
            };
            let Some(mut memory) = transfer::memory(&value, now).map_err(reply::invalid)? else { continue };
            memory.ttl_ms = ttl_ms.map(|seconds| seconds.saturating_mul(1000)).or(memory.ttl_ms);
            if own {
                memory.namespace = self.namespace.clone();
            }
            new.push(memory);
        }
        let ask = if tool == "import" { Ask::Import(new) } else { Ask::Store(new) };
        let memory::Reply::Stored(stored) = self.ask(who, ask)? else {
            return Err(Error::bug("a memory was stored and not told"));
        };
        let line = |stored: &change::Stored| {
            let (id, namespace) = (stored.memory.id(), &stored.memory.namespace);
            let replaced: Vec<String> = stored.replaced.iter().map(|number| model::id(*number)).collect();
            match (stored.new, replaced.is_empty()) {
                (false, _) => format!("{id} said the same already"),
                (true, true) => format!("stored {id} in {namespace}"),
                (true, false) => {
                    format!("stored {id} in {namespace}, in the place of {}", replaced.join(", "))
                }
            }
        };
        let text = stored.iter().map(line).collect::<Vec<_>>().join("\n");
        let ids: Vec<Value> =
            stored.iter().map(|stored| json!({"id": stored.memory.id(), "new": stored.new})).collect();
        Ok(Output::data(text, json!({"stored": ids})))
    }

    fn find(&self, tool: &str, arguments: Value, who: &Who) -> Result<Output> {
        let Find { query, question, task, top_k, min_similarity, max_tokens, filter } =
            reply::arguments(arguments)?;
        let question = query.or(question).or(task).unwrap_or_default();
        if question.trim().is_empty() {
            return Err(reply::invalid("there is nothing to look for: the question is empty"));
        }
        let top_k = top_k.unwrap_or(10);
        let min_similarity = min_similarity.unwrap_or(0.0);
        let search = Search { question, filter: filter.read()?, top_k, min_similarity, vector: None };
        let ask = match tool {
            "search" => Ask::Search(search),
            "ask" => Ask::Answer(search),
            _ => Ask::Context { search, max_tokens: max_tokens.unwrap_or(1000) },
        };
        match self.ask(who, ask)? {
            memory::Reply::Found(found) => Ok(hits(&found)),
            memory::Reply::Answer(answer) if answer.text.is_empty() => {
                Ok(Output::data("nothing is known about that", json!({"answer": "", "sources": []})))
            }
            memory::Reply::Answer(answer) => {
                let sources: Vec<Value> = answer.sources.iter().map(hit).collect();
                Ok(Output::data(answer.text.clone(), json!({"answer": answer.text, "sources": sources})))
            }
            memory::Reply::Packed(packed) => {
                let ids: Vec<String> = packed.memories.iter().map(|number| model::id(*number)).collect();
                let data = json!({"context": packed.text, "tokens": packed.tokens, "memories": ids, "left_out": packed.left_out});
                Ok(Output::data(packed.text, data))
            }
            other => stray(&other),
        }
    }

    fn handle(&self, tool: &str, arguments: Value, who: &Who) -> Result<Output> {
        match tool {
            "get" => {
                let Named { id, namespace, session } = reply::arguments(arguments)?;
                let filter = Filter { namespace, session, ..Filter::default() };
                match self.ask(who, Ask::Get { word: id, filter })? {
                    memory::Reply::Memory(memory) => {
                        Ok(Output::data(memory.searched(), transfer::document(&memory)))
                    }
                    other => stray(&other),
                }
            }
            "update" => self.update(arguments, who),
            "forget" => {
                let Forget { ids } = reply::arguments(arguments)?;
                if ids.is_empty() {
                    return Err(reply::invalid("`ids` names what is to be forgotten"));
                }
                let ask = Ask::Forget { words: ids, filter: Filter::default(), dry_run: false };
                match self.ask(who, ask)? {
                    memory::Reply::Gone(gone) => {
                        let ids: Vec<String> = gone.into_iter().map(model::id).collect();
                        Ok(Output::data(format!("forgot {}", ids.join(", ")), json!({"forgotten": ids})))
                    }
                    other => stray(&other),
                }
            }
            // `list`, `query` and `export`.
            _ => {
                let Query { filter, order_by, limit, offset } = reply::arguments(arguments)?;
                let limit = limit.unwrap_or(20).min(MOST_LISTED);
                let list = Select { filter: filter.read()?, order: order_by, limit, offset };
                match self.ask(who, Ask::List(list))? {
                    memory::Reply::Memories(found, all) => {
                        let documents: Vec<Value> = found.iter().map(transfer::document).collect();
                        let line = |memory: &model::Memory| {
                            format!("{} {}", memory.id(), answer::piece(&memory.searched(), 200))
                        };
                        let text = match tool {
                            "export" => documents.iter().map(|it| format!("{it}\n")).collect::<String>(),
                            _ if found.is_empty() => "no memories".into(),
                            _ => found.iter().map(line).collect::<Vec<_>>().join("\n"),
                        };
                        Ok(Output::data(text, json!({"memories": documents, "all": all})))
                    }
                    other => stray(&other),
                }
            }
        }
    }

    fn update(&self, arguments: Value, who: &Who) -> Result<Output> {
        let Change { id, text, key, kind, tags, metadata, triples, importance } =
            reply::arguments(arguments)?;
        let metadata = metadata
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, (!value.is_null()).then(|| value.to_string())))
            .collect();
        let triples =
            triples.map(|value| transfer::triples(Some(&value))).transpose().map_err(reply::invalid)?;
        let update = change::Update { text, key, kind, tags, metadata, triples, importance, ttl_ms: None };
        match self.ask(who, Ask::Update { word: id, filter: Filter::default(), update: Box::new(update) })? {
            memory::Reply::Memory(memory) => {
                Ok(Output::data(format!("changed {}", memory.id()), transfer::document(&memory)))
            }
            other => stray(&other),
        }
    }

    fn tend(&self, tool: &str, arguments: Value, who: &Who) -> Result<Output> {
        let Tend {
            filter,
            similarity_threshold,
            min_frequency,
            keep,
            max_age_days,
            importance_threshold,
            dry_run,
        } = reply::arguments(arguments)?;
        let filter = filter.read()?;
        let ask = match tool {
            "consolidate" => Ask::Consolidate {
                filter,
                threshold: similarity_threshold.unwrap_or(0.9),
                model: None,
                dry_run,
            },
            "patterns" => Ask::Patterns {
                filter,
                least: min_frequency.unwrap_or(5),
                keep: keep.then(|| self.namespace.clone()),
                dry_run,
            },
            _ => Ask::Prune {
                filter,
                prune: Prune {
                    max_age_days: max_age_days.unwrap_or(90),
                    importance_threshold: importance_threshold.unwrap_or(0.7),
                    superseded: true,
                },
                dry_run,
            },
        };
        let change = |id: Option<u32>| id.map_or(Value::Null, Value::from);
        match self.ask(who, ask)? {
            memory::Reply::Steps(steps, id) => {
                let line = |step: &memory::consolidate::Step| {
                    let (keeps, gone) = (model::id(step.keeps), model::id(step.supersedes));
                    json!({"keeps": keeps, "supersedes": gone, "why": step.why, "similarity": step.similarity})
                };
                let list: Vec<Value> = steps.iter().map(line).collect();
                Ok(tended(json!({"steps": list, "change": change(id), "dry_run": dry_run})))
            }
            memory::Reply::Patterns(found, id) => {
                Ok(tended(json!({"patterns": found, "change": change(id), "dry_run": dry_run})))
            }
            memory::Reply::Pruned(gone, id) => {
                let ids: Vec<String> = gone.iter().map(model::Memory::id).collect();
                Ok(tended(json!({"pruned": ids, "change": change(id), "dry_run": dry_run})))
            }
            other => stray(&other),
        }
    }

    fn spaces(&self, tool: &str, arguments: Value, who: &Who) -> Result<Output> {
        let ask = match tool {
            "namespaces" => Ask::Namespaces,
            "stats" => Ask::Stats { check: false },
            _ => {
                let Grant { agent, namespace, permission } = reply::arguments(arguments)?;
                let permission = (tool == "grant").then(|| permission.unwrap_or(Permission::Read));
                Ask::Grant { namespace, agent, permission }
            }
        };
        match self.ask(who, ask)? {
            memory::Reply::Namespaces(all) => {
                let line = |space: &memory::space::Namespace| {
                    json!({"name": space.name, "description": space.description, "memories": space.indexed,
                        "permission": space.permission(who)})
                };
                Ok(tended(json!({"namespaces": all.iter().map(line).collect::<Vec<_>>()})))
            }
            memory::Reply::Namespace(space) => {
                Ok(tended(json!({"name": space.name, "grants": space.grants})))
            }
            memory::Reply::Stats(stats) => {
                let kinds: BTreeMap<String, u64> = stats.kinds.into_iter().collect();
                let (current, superseded) = (stats.current, stats.superseded);
                Ok(tended(json!({"memories": current, "kinds": kinds, "superseded": superseded,
                    "namespaces": stats.namespaces, "agents": stats.agents, "bytes": stats.bytes})))
            }
            other => stray(&other),
        }
    }
}

fn stray<T>(reply: &memory::Reply) -> Result<T> {
    Err(Error::bug(format!("an unexpected reply: {reply:?}").chars().take(200).collect::<String>()))
}

fn tended(data: Value) -> Output {
    Output::data(data.to_string(), data)
}

fn hit(hit: &memory::recall::Hit) -> Value {
    let mut document = transfer::document(&hit.memory);
    let round = |value: f32| (f64::from(value) * 1000.0).round() / 1000.0;
    document["score"] = round(hit.score).into();
    document["similarity"] = round(hit.similarity).into();
    document["recency"] = round(hit.recency).into();
    document["found_by"] = json!(hit.by);
    document["words"] = json!(hit.words);
    document
}

fn hits(found: &Found) -> Output {
    let line = |hit: &memory::recall::Hit| {
        let (id, agent) = (hit.memory.id(), &hit.memory.agent);
        format!("{id} ({:.2}, {agent}) {}", hit.similarity, answer::piece(&hit.memory.searched(), 500))
    };
    let text = match found.hits.is_empty() {
        true => "nothing was found".to_string(),
        false => found.hits.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    Output::data(text, json!({"memories": found.hits.iter().map(hit).collect::<Vec<_>>()}))
}

#[cfg(test)]
mod tests;
