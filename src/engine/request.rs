//! Everything that can be asked of umcp, in one type: the command line, the socket, the HTTP API and
//! umcp's own MCP tools all build these values. `Store` is answered by whoever owns the store,
//! `Live` only by the daemon.

use super::live::{Live, LiveReply};
use crate::clock::Timestamp;
use crate::policy::rules;
use crate::{
    alerts, apps, audit, catalogue, environments, integrations, memory, packages, policy, schedules, secrets,
    servers, skills, tools, usage, workflows,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Store(StoreRequest),
    Live(Live),
}

/// One variant for each noun.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreRequest {
    Server(servers::Request),
    Tool(tools::Request),
    Profile(environments::Request),
    Token(policy::Request),
    Policy(rules::Request),
    Audit(audit::Request),
    Usage(usage::Request),
    Alert(alerts::Request),
    Integration(integrations::Request),
    Workflow(workflows::Request),
    Schedule(Box<schedules::Request>),
    Memory(Box<memory::Request>),
    Skill(skills::Request),
    Secret(secrets::Request),
    App(apps::Request),
    Catalogue(catalogue::Request),
    /// An app and the server entry that offers it, in one go.
    Install(Box<Install>),
    /// What is known of packages.
    Packages(packages::Request),
    /// A version of a package taken into use: its entry, its row and the definitions of its tools, in one go.
    Package(Box<Deploy>),
}

/// With `replace` the entry may be there already and keeps its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deploy {
    pub server: servers::Server,
    pub replace: bool,
    pub package: packages::Package,
    pub at: Timestamp,
}

/// With `replace` both may be there already: the app is written over, the entry keeps its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Install {
    pub app: apps::App,
    pub server: servers::Server,
    pub replace: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Server(servers::Reply),
    Tool(tools::Reply),
    Profile(environments::Reply),
    Token(policy::Reply),
    Policy(rules::Reply),
    Audit(audit::Reply),
    Usage(usage::Reply),
    Alert(alerts::Reply),
    Integration(integrations::Reply),
    Workflow(workflows::Reply),
    Schedule(schedules::Reply),
    Memory(memory::Reply),
    Skill(skills::Reply),
    Secret(secrets::Reply),
    App(apps::Reply),
    Packages(packages::Reply),
    Catalogue(catalogue::Reply),
    Live(LiveReply),
}

impl StoreRequest {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        match self {
            Self::Server(request) => request.writes(),
            Self::Tool(request) => request.writes(),
            Self::Profile(request) => request.writes(),
            Self::Token(request) => request.writes(),
            Self::Policy(request) => request.writes(),
            Self::Audit(request) => request.writes(),
            Self::Usage(request) => request.writes(),
            Self::Alert(request) => request.writes(),
            Self::Integration(request) => request.writes(),
            Self::Workflow(request) => request.writes(),
            Self::Schedule(request) => request.writes(),
            Self::Memory(request) => request.writes(),
            Self::Skill(request) => request.writes(),
            Self::Secret(request) => request.writes(),
            Self::App(_) | Self::Packages(_) => false,
            Self::Install(_) | Self::Package(_) => true,
            Self::Catalogue(request) => request.writes(),
        }
    }
}

macro_rules! from {
    ($($noun:ident $module:ident;)*) => {
        $(impl From<$module::Request> for Request {
            fn from(request: $module::Request) -> Self {
                Self::Store(StoreRequest::$noun(request))
            }
        })*
    };
}

from! {
    Server servers;
    Tool tools;
    Profile environments;
    Token policy;
    Policy rules;
    Audit audit;
    Usage usage;
    Alert alerts;
    Integration integrations;
    Workflow workflows;
    Skill skills;
    Secret secrets;
    App apps;
    Packages packages;
    Catalogue catalogue;
}

impl From<schedules::Request> for Request {
    fn from(request: schedules::Request) -> Self {
        Self::Store(StoreRequest::Schedule(Box::new(request)))
    }
}

impl From<memory::Request> for Request {
    fn from(request: memory::Request) -> Self {
        Self::Store(StoreRequest::Memory(Box::new(request)))
    }
}

impl From<Install> for Request {
    fn from(install: Install) -> Self {
        Self::Store(StoreRequest::Install(Box::new(install)))
    }
}

impl From<Deploy> for Request {
    fn from(deploy: Deploy) -> Self {
        Self::Store(StoreRequest::Package(Box::new(deploy)))
    }
}

impl From<Live> for Request {
    fn from(live: Live) -> Self {
        Self::Live(live)
    }
}
