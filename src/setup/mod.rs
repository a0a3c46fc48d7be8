//! Files of other programs: finding them, editing them so that every edit can be taken back, and the first run.
//! It prints nothing and asks nothing; `cli` hands it the answers and shows its reports.
//! Rule: no file outside the store is touched but through the journal.

pub mod clientfiles;
pub mod config;
pub mod connect;
pub mod doctor;
mod hidden;
pub mod http_probe;
pub mod import;
pub mod init;
pub mod journal;
mod links;
pub mod packages;
pub mod probe;
pub mod programs;
pub mod quickstart;
pub mod scan;
pub mod schema;
pub mod skills;
mod tour;
pub mod trial;
pub mod undo;

use crate::engine::{Reply, Request, unexpected};
use crate::error::Result;
use crate::paths::Paths;
use crate::servers::{self, Server};
use std::path::PathBuf;

/// How a request is answered: by the daemon or by the store, the caller cannot tell.
pub type Call<'a> = dyn FnMut(Request) -> Result<Reply> + 'a;

/// The user's machine as this room sees it.
pub struct Machine<'a> {
    pub paths: &'a Paths,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder whose project files count.
    pub project: Option<PathBuf>,
    /// The folder that holds everything of umcp, where it is not the usual one (`UMCP_HOME`, `--home`).
    pub home: Option<PathBuf>,
    /// The running program, as clients shall start it.
    pub program: PathBuf,
}

/// All servers of the store.
pub fn servers(call: &mut Call<'_>) -> Result<Vec<Server>> {
    match call(servers::Request::List { tag: None }.into())? {
        Reply::Server(servers::Reply::Servers(servers)) => Ok(servers),
        other => unexpected(&other),
    }
}
