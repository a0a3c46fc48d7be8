//! The protocol side of the built-in servers: one handler for all of them, in both protocol eras.
//! It knows lists, calls and subscriptions; what a tool does is in the file of its server.

use super::NAMES;
use super::database::Database;
use super::fetch::Fetch;
use super::files::Files;
use super::http::Http;
use super::kv::{self, Change, Kv};
use super::memory::{CALLER, Memory};
use super::reply::{self, Output};
use super::skills::Skills;
use super::time::Time;
use super::workflows::{self, Workflows};
use crate::error::{Error, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorCode, GetPromptRequestParams, GetPromptResponse,
    GetSkillRequestParams, GetSkillResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListSkillsResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceUpdatedNotificationParam,
    ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// Changes a listener may fall behind before it is told only that something changed.
const BACKLOG: usize = 64;

/// One of the servers. An enum, so that the protocol machinery is compiled once and not five times.
pub enum Kit {
    Time(Time),
    Files(Arc<Files>),
    Kv(Kv),
    Fetch(Fetch),
    Http(Http),
    Database(Arc<Database>),
    Memory(Arc<Memory>),
    Skills(Skills),
    Workflows(Workflows),
}

impl Kit {
    fn name(&self) -> &'static str {
        match self {
            Self::Time(_) => "time",
            Self::Files(_) => "files",
            Self::Kv(_) => "kv",
            Self::Fetch(_) => "fetch",
            Self::Http(_) => "http",
            Self::Database(_) => "database",
            Self::Memory(_) => "memory",
            Self::Skills(_) => "skills",
            Self::Workflows(_) => workflows::NAME,
        }
    }

    fn tools(&self) -> Vec<Tool> {
        match self {
            Self::Time(_) => Time::tools(),
            Self::Files(_) => Files::tools(),
            Self::Kv(_) => Kv::tools(),
            Self::Fetch(_) => Fetch::tools(),
            Self::Http(_) => Http::tools(),
            Self::Database(_) => Database::tools(),
            Self::Memory(_) => Memory::tools(),
            // They come and go; they are listed anew each time.
            Self::Skills(_) => Vec::new(),
            Self::Workflows(_) => Vec::new(),
        }
    }

    fn instructions(&self) -> String {
        match self {
            Self::Files(files) => files.instructions(),
            _ => {
                let about = NAMES.iter().find(|(name, _)| *name == self.name());
                about.map(|(_, about)| format!("{about}.")).unwrap_or_default()
            }
        }
    }
}

/// The handler of one running built-in server.
pub struct Host {
    kit: Kit,
    tools: Vec<Tool>,
    config: ServerConfig,
    /// Resources a legacy client subscribed to; modern ones hold a listen request open instead.
    subscribed: Mutex<BTreeSet<String>>,
    changes: broadcast::Sender<Change>,
}

impl Host {
    pub fn new(kit: Kit) -> Self {
        let mut capabilities = ServerCapabilities::builder().enable_tools().build();
        if matches!(kit, Kit::Kv(_)) {
            capabilities = ServerCapabilities::builder()
                .enable_tools()
                .enable_resources()
                .enable_resources_list_changed()
                .enable_resources_subscribe()
                .build();
        }
        if matches!(kit, Kit::Skills(_)) {
            capabilities = ServerCapabilities::builder()
                .enable_tools()
                .enable_prompts()
                .enable_resources()
                .enable_skills_with_directory_read()
                .build();
        }
        let info = Implementation::new(format!("umcp-{}", kit.name()), env!("CARGO_PKG_VERSION"));
        let config =
            ServerConfig::new(capabilities).with_server_info(info).with_instructions(kit.instructions());
        let tools = kit.tools();
        Self { kit, tools, config, subscribed: Mutex::default(), changes: broadcast::Sender::new(BACKLOG) }
    }

    async fn run(
        &self,
        tool: &str,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<Output> {
        match &self.kit {
            Kit::Time(time) => time.call(tool, arguments),
            Kit::Files(files) => files.clone().call(tool.to_string(), arguments).await,
            Kit::Fetch(fetch) => fetch.call(arguments).await,
            Kit::Http(http) => http.call(arguments).await,
            Kit::Database(database) => database.clone().call(tool.to_string(), arguments).await,
            Kit::Memory(memory) => {
                let caller = context.meta.get(CALLER).cloned();
                memory.clone().call(tool.to_string(), arguments, caller).await
            }
            Kit::Skills(skills) => skills.call(tool, arguments).await,
            Kit::Workflows(workflows) => {
                let Value::Object(inputs) = arguments else {
                    return Err(reply::invalid("the inputs of a workflow are an object"));
                };
                let trace = context.meta.get("traceparent").and_then(Value::as_str).map(Into::into);
                workflows.call(tool, inputs, (&context.peer, context.meta.get_progress_token()), trace).await
            }
            Kit::Kv(kv) => {
                let (output, change) = kv.call(tool, arguments)?;
                if let Some(change) = change {
                    self.changed(change, context).await;
                }
                Ok(output)
            }
        }
    }

    /// Tells who listens. A listener that has gone needs no telling, so failures are none.
    async fn changed(&self, change: Change, context: &RequestContext<RoleServer>) {
        let modern =
            context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        if !modern {
            if change.list {
                let _ = context.peer.notify_resource_list_changed().await;
            }
            let subscribed =
                self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).contains(&change.uri);
            if subscribed {
                let params = ResourceUpdatedNotificationParam::new(change.uri.clone());
                let _ = context.peer.notify_resource_updated(params).await;
            }
        }
        let _ = self.changes.send(change);
    }

    async fn tools_now(&self) -> Result<Vec<Tool>, ErrorData> {
        match &self.kit {
            Kit::Skills(skills) => skills.tools().await.map_err(failed),
            Kit::Workflows(workflows) => workflows.tools().await.map_err(failed),
            _ => Ok(self.tools.clone()),
        }
    }

    fn skills(&self) -> Result<&Skills, ErrorData> {
        match &self.kit {
            Kit::Skills(skills) => Ok(skills),
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "this server has no such method", None)),
        }
    }

    fn kv(&self) -> Result<&Kv, ErrorData> {
        match &self.kit {
            Kit::Kv(kv) => Ok(kv),
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "this server has no resources", None)),
        }
    }
}

/// An error of umcp in the words of the protocol.
fn failed(error: Error) -> ErrorData {
    let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
    ErrorData::invalid_params(format!("{error}{}", hints.collect::<String>()), None)
}

fn missing(uri: &str) -> ErrorData {
    ErrorData::resource_not_found(format!("there is no resource `{uri}`"), None)
}

impl ServerHandler for Host {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools_now().await?))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !self.tools_now().await?.iter().any(|tool| tool.name == request.name) {
            return Err(ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None));
        }
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let outcome = tokio::select! {
            outcome = self.run(&request.name, arguments, &context) => outcome,
            () = context.ct.cancelled() => Err(reply::refused("the call was cancelled")),
        };
        Ok(CallToolResponse::Complete(reply::result(outcome)))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        if let Kit::Skills(skills) = &self.kit {
            return Ok(ListResourcesResult::with_all_items(skills.resources().await.map_err(failed)?));
        }
        let resource = |(key, bytes): (String, usize)| {
            Resource::new(kv::uri(&key), key).with_mime_type("text/plain").with_size(bytes as u64)
        };
        Ok(ListResourcesResult::with_all_items(self.kv()?.list("").into_iter().map(resource).collect()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if let Kit::Skills(skills) = &self.kit {
            let contents = skills.read(&request.uri).await.map_err(failed)?;
            let contents = contents.ok_or_else(|| missing(&request.uri))?;
            return Ok(ReadResourceResponse::Complete(ReadResourceResult::new(vec![contents])));
        }
        let value = kv::key_of(&request.uri).and_then(|key| self.kv().ok()?.get(&key));
        let value = value.ok_or_else(|| missing(&request.uri))?;
        let contents = ResourceContents::text(value, &request.uri).with_mime_type("text/plain");
        Ok(ReadResourceResponse::Complete(ReadResourceResult::new(vec![contents])))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = if matches!(self.kit, Kit::Skills(_)) { Skills::templates() } else { Vec::new() };
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(self.skills()?.prompts().await.map_err(failed)?))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt = self.skills()?.prompt(&request.name).await.map_err(failed)?;
        Ok(GetPromptResponse::Complete(prompt))
    }

    async fn list_skills(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        Ok(ListSkillsResult::with_all_items(self.skills()?.listed().await.map_err(failed)?))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        let found = self.skills()?.one(&request.uri).await.map_err(failed)?;
        Ok(GetSkillResult::new(found.ok_or_else(|| missing(&request.uri))?))
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceDirectoryResult, ErrorData> {
        let found = self.skills()?.directory(&request.uri).await.map_err(failed)?;
        Ok(ReadResourceDirectoryResult::with_all_items(found.ok_or_else(|| missing(&request.uri))?))
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.kv()?;
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.kv().ok().map(|_| requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        let sink = context.sink();
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = context.cancelled() => return Ok(()),
            };
            // What was not asked for the sink refuses, and that is all right.
            match change {
                Ok(change) => {
                    if change.list {
                        let _ = sink.notify_resource_list_changed().await;
                    }
                    let _ = sink.notify_resource_updated(change.uri).await;
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let _ = sink.notify_resource_list_changed().await;
                    for uri in context.accepted().resource_subscriptions.iter().flatten() {
                        let _ = sink.notify_resource_updated(uri.clone()).await;
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            }
        }
    }
}
