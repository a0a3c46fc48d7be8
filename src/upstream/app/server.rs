//! The protocol side of an app: lists and calls, raw. Each call is a task of its own; a cancelled one is dropped,
//! and with it the program it runs. It speaks the older era, which the gateway bridges.

use super::command::{Runner, Streaming, container_engine};
use super::sign;
use super::values::Values;
use crate::apps::answer::Outcome;
use crate::apps::model::{Action, Definition, Exec, Tool};
use crate::apps::{self, App};
use crate::error::{Error, Result, codes};
use crate::servers::references;
use crate::tools::arguments;
use crate::upstream::builtin::Options;
use crate::upstream::builtin::web::{Follow, Web};
use crate::upstream::era::LEGACY;
use crate::upstream::link::Link;
use crate::upstream::message::{Answer, Envelope, code};
use crate::upstream::oauth::Chosen;
use crate::upstream::process::Spec;
use crate::upstream::supervisor::Upstream;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

pub struct Server {
    pub(super) app: App,
    pub(super) definition: Definition,
    pub(super) values: Values,
    pub(super) web: Web,
    runner: Runner,
    /// The accounts it was opened for.
    pub(super) chosen: Chosen,
    /// A value of it may come from a program or a file.
    waits: bool,
    /// Where commands run that say nothing else.
    cwd: Option<PathBuf>,
    /// Answer of `tools/list`, made once.
    list: String,
    pub(super) upstream: Arc<Upstream>,
    link: Arc<Link>,
}

impl Server {
    pub fn new(
        app: App,
        definition: Definition,
        upstream: Arc<Upstream>,
        link: Arc<Link>,
        chosen: Chosen,
    ) -> Result<Self> {
        let shared = upstream.shared().clone();
        let entry = &upstream.entry;
        let resolve = |(name, value): (&String, &String)| {
            Ok((name.clone(), shared.resolve_value(value, &format!("env {name}"))?))
        };
        // Only what opens private addresses is needed now; a missing secret is told at the call that needs it.
        let reach = entry.env.iter().filter(|(name, _)| name.starts_with("UMCP_"));
        let options = Options { env: reach.map(resolve).collect::<Result<_>>()?, ..Options::default() };
        let values = Values { shared: shared.clone(), server: entry.name.clone(), env: entry.env.clone() };
        let cwd = entry.cwd.as_ref().map(|cwd| shared.resolve(cwd, "cwd")).transpose()?;
        let waits = references::may_wait(entry)
            || ["cmd://", "file://"].iter().any(|scheme| app.definition.contains(scheme));
        Ok(Self {
            waits,
            web: Web::new(&options, Follow::SameHost)?,
            runner: Runner { children: shared.children.clone() },
            cwd: cwd.map(|cwd| values.path(&cwd, None)),
            list: json!({"tools": definition.tools.iter().map(described).collect::<Vec<_>>()}).to_string(),
            values,
            chosen,
            app,
            definition,
            upstream,
            link,
        })
    }

    fn initialized(&self, params: &str) -> String {
        let asked = serde_json::from_str::<Value>(params).unwrap_or_default();
        let asked = asked["protocolVersion"].as_str().unwrap_or_default();
        let revision = LEGACY.iter().find(|known| **known == asked).unwrap_or(&LEGACY[0]);
        let mut result = json!({
            "protocolVersion": revision,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": format!("umcp-app-{}", self.app.name), "version": env!("CARGO_PKG_VERSION")},
        });
        if let Some(title) = &self.app.title {
            result["serverInfo"]["title"] = title.as_str().into();
        }
        let instructions = self.definition.instructions.as_ref().or(self.app.description.as_ref());
        if let Some(instructions) = instructions {
            result["instructions"] = instructions.as_str().into();
        }
        result.to_string()
    }

    /// Answers a call. An unknown tool is an error of the protocol, everything else a result, but for the want of a
    /// sign-in: that is the caller's own business and no word of the tool's.
    async fn call(self: &Arc<Self>, params: &str) -> Result<Answer> {
        let params: CallParams = match serde_json::from_str(params) {
            Ok(params) => params,
            Err(error) => return Ok(Answer::error(code::INVALID_PARAMS, &format!("no call: {error}"))),
        };
        let Some(tool) = self.definition.tool(&params.name) else {
            let message = format!("there is no tool `{}`", params.name);
            return Ok(Answer::error(code::INVALID_PARAMS, &message));
        };
        let record = params.meta.as_ref().is_some_and(|meta| meta.record);
        let streaming =
            params.meta.and_then(|meta| meta.token).map(|token| Streaming::new(&self.link, token));
        let outcome = self.run(tool, params.arguments.unwrap_or_default(), streaming, record).await;
        // An error may repeat the key that was sent, and as a result it passes by what hides keys in errors.
        match outcome.map_err(|error| self.values.shared.known.hide_in(error)) {
            Err(error) if sign::is_wanted(&error) => Err(error),
            outcome => {
                let mut outcome = outcome.unwrap_or_else(Outcome::from);
                outcome.recorded = outcome.recorded.map(|recorded| self.without_secrets(recorded));
                Ok(Answer::result(outcome.json()))
            }
        }
    }

    /// What was recorded, without the values of secrets in use.
    fn without_secrets(&self, recorded: Value) -> Value {
        let text = recorded.to_string();
        match self.values.shared.known.hide(text.as_bytes()) {
            Some(hidden) => serde_json::from_slice(&hidden).unwrap_or_default(),
            None => recorded,
        }
    }

    async fn run(
        self: &Arc<Self>,
        tool: &Tool,
        mut given: Map<String, Value>,
        mut streaming: Option<Streaming>,
        record: bool,
    ) -> Result<Outcome> {
        // A model may say `null` for what it does not want to say.
        given.retain(|_, value| !value.is_null());
        tool.fill_defaults(&mut given);
        arguments::check(&given, &tool.input)?;
        for name in self.before(&tool.name) {
            let Some(needed) = self.definition.tool(name) else { continue };
            let mut defaults = Map::new();
            for name in needed.input["properties"].as_object().into_iter().flat_map(|known| known.keys()) {
                defaults.extend(needed.default(name).map(|default| (name.clone(), default.clone())));
            }
            let outcome = self.act(needed, &defaults, streaming.as_mut(), false).await?;
            if outcome.is_error {
                let text = format!("`{name}`, which runs first, failed: {}", outcome.words());
                return Ok(Outcome::failed(text));
            }
        }
        self.act(tool, &given, streaming.as_mut(), record).await
    }

    /// Everything a tool needs, each once, in the order in which it runs. The loader refused circles.
    fn before(&self, name: &str) -> Vec<&str> {
        fn visit<'a>(definition: &'a Definition, name: &str, order: &mut Vec<&'a str>) {
            for need in definition.tool(name).map(|tool| tool.needs.as_slice()).unwrap_or_default() {
                if !order.contains(&need.as_str()) {
                    visit(definition, need, order);
                    order.push(need);
                }
            }
        }
        let mut order = Vec::new();
        visit(&self.definition, name, &mut order);
        order
    }

    async fn act(
        self: &Arc<Self>,
        tool: &Tool,
        arguments: &Map<String, Value>,
        streaming: Option<&mut Streaming>,
        record: bool,
    ) -> Result<Outcome> {
        self.allowed(tool)?;
        match &tool.action {
            Action::Exec(exec) => {
                let (name, given) = (tool.name.clone(), arguments.clone());
                let spec = self
                    .beside(move |this| match this.definition.tool(&name) {
                        Some(Tool { action: Action::Exec(exec), .. }) => this.spec(&name, exec, &given),
                        _ => Err(Error::bug("a command that is not there")),
                    })
                    .await?;
                self.runner.run(tool, exec, spec, streaming).await
            }
            Action::Http(http) => self.send(tool, http, arguments, record).await,
        }
    }

    /// Runs beside the runtime what may wait: a reference may be a command that has to be asked.
    pub(super) async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        self.values.shared.beside(self.upstream.id(), self.waits, move || make(&this)).await
    }

    fn spec(&self, tool: &str, exec: &Exec, arguments: &Map<String, Value>) -> Result<(Spec, String)> {
        let engine = match exec.container {
            Some(_) => container_engine()?,
            None => String::new(),
        };
        let resolve = |text: &str| self.values.resolve(&self.definition, text, None);
        let mut built = apps::exec::build(exec, arguments, &resolve, &engine)?;
        for (name, value) in &self.upstream.entry.env {
            let value = self.values.shared.resolve_value(value, &format!("env {name}"))?;
            built.env.entry(name.clone()).or_insert(value);
        }
        let cwd = match &built.cwd {
            Some(cwd) => self.values.path(cwd, self.cwd.as_ref()),
            None => self.cwd.clone().unwrap_or_else(|| self.values.shared.paths.home.clone()),
        };
        let label = format!("{}.{}", self.upstream.entry.name, tool);
        // A command is the user's own program and needs what the user may: `git push` reads the keys that a sandbox hides.
        let confinement = None;
        let (program, args, env) = (built.program, built.args, built.env);
        let spec = Spec { program, args, env, cwd: Some(cwd), label, confinement };
        Ok((spec, built.stdin.unwrap_or_default()))
    }

    /// Whether everything is so that the command's `when` asks for.
    fn allowed(&self, tool: &Tool) -> Result<()> {
        let Some(when) = &tool.when else { return Ok(()) };
        let refuse = |why: String| {
            Err(Error::new(&codes::FAILED, format!("`{}` does not run here: {why}", tool.name)))
        };
        if !when.os.is_empty() && !when.os.iter().any(|os| os == std::env::consts::OS) {
            return refuse(format!("it is for {}", when.os.join(", ")));
        }
        let missing = |path: &&String| !self.values.path(path, self.cwd.as_ref()).exists();
        if let Some(path) = when.exists.iter().find(missing) {
            return refuse(format!("`{path}` does not exist"));
        }
        let unset =
            |name: &&String| !self.upstream.entry.env.contains_key(*name) && std::env::var_os(name).is_none();
        match when.env.iter().find(unset) {
            Some(name) => refuse(format!("the variable `{name}` is not set")),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct CallParams {
    name: String,
    arguments: Option<Map<String, Value>>,
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "progressToken")]
    token: Option<Value>,
    #[serde(rename = "umcp/record", default)]
    record: bool,
}

/// A tool as clients see it.
fn described(tool: &Tool) -> Value {
    let mut described =
        json!({"name": tool.name, "description": tool.description, "inputSchema": tool.input});
    if let Some(title) = &tool.title {
        described["title"] = title.as_str().into();
    }
    let hints = [
        ("readOnlyHint", tool.hints.read_only),
        ("destructiveHint", tool.hints.destructive),
        ("idempotentHint", tool.hints.idempotent),
        ("openWorldHint", tool.hints.open_world),
    ];
    let known: Map<String, Value> =
        hints.into_iter().filter_map(|(name, hint)| Some((name.to_string(), hint?.into()))).collect();
    if !known.is_empty() {
        described["annotations"] = known.into();
    }
    described
}

/// Answers what comes over the link until it closes. Dropping the set of calls ends them.
pub async fn run(server: Arc<Server>, mut queue: mpsc::UnboundedReceiver<Bytes>) {
    let mut calls: JoinSet<u64> = JoinSet::new();
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    loop {
        let line = tokio::select! {
            line = queue.recv() => line,
            Some(ended) = calls.join_next() => {
                if let Ok(id) = ended {
                    running.remove(&id);
                }
                continue;
            }
            _ = server.link.closed() => break,
        };
        let Some(line) = line else { break };
        let Ok(envelope) = Envelope::parse(line.trim_ascii()) else { continue };
        let method = envelope.method.as_deref().unwrap_or_default();
        let Some(id) = envelope.own_id() else {
            if method == "notifications/cancelled"
                && let Some(call) = cancelled(envelope.params_text()).and_then(|id| running.remove(&id))
            {
                call.abort();
            }
            continue;
        };
        let answer = match method {
            "initialize" => Answer::result(server.initialized(envelope.params_text())),
            "ping" => Answer::result("{}"),
            "tools/list" => Answer::result(server.list.clone()),
            "tools/call" => {
                let (server, params) = (server.clone(), envelope.params_text().to_string());
                let call = calls.spawn(async move {
                    match server.call(&params).await {
                        Ok(answer) => reply(&server.link, id, &answer),
                        Err(error) => server.link.refuse(id, error),
                    }
                    id
                });
                running.insert(id, call);
                continue;
            }
            other => Answer::error(code::METHOD_NOT_FOUND, &format!("an app has no `{other}`")),
        };
        reply(&server.link, id, &answer);
    }
    server.link.close(Error::new(&codes::UPSTREAM_DIED, "the app ended"));
}

fn reply(link: &Arc<Link>, id: u64, answer: &Answer) {
    link.receive(&answer.line(&id.to_string()).into());
}

fn cancelled(params: &str) -> Option<u64> {
    serde_json::from_str::<Value>(params).ok()?["requestId"].as_u64()
}
