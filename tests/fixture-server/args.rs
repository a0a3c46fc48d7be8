//! The command line of the fixture server. No behaviour lives here.
//! Rule: every option is global, so it may stand before or after the transport.

use crate::faults::{self, Fault};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// An MCP test server that can misbehave on demand.
#[derive(Debug, Parser)]
#[command(name = "fixture-server", after_help = faults::help())]
pub struct Cli {
    #[command(subcommand)]
    pub transport: Transport,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Subcommand)]
pub enum Transport {
    /// Speak over standard input and output, one JSON message per line
    Stdio,
    /// Serve streamable HTTP at /mcp; the port is the first line of standard output
    Http {
        /// Port on 127.0.0.1; 0 picks a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Serve the old transport: GET /sse, POST /messages?session=...
    Sse {
        /// Port on 127.0.0.1; 0 picks a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Serve MCP in WebSocket text frames, subprotocol `mcp`
    Ws {
        /// Port on 127.0.0.1; 0 picks a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Serve streamable HTTP at /mcp over a Unix socket; prints `ready` when it listens
    #[cfg(unix)]
    Unix {
        /// Path of the socket; a stale file is replaced
        #[arg(long)]
        path: PathBuf,
    },
    /// Stay alive for a while; what the double-fork fault leaves behind
    #[command(hide = true)]
    Linger {
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        #[arg(long)]
        note: Option<PathBuf>,
    },
    /// Try one act that a sandbox may forbid; 0 is success
    #[cfg(unix)]
    #[command(hide = true)]
    Probe { act: String, arguments: Vec<String> },
}

/// Which revisions the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Eras {
    /// 2025-11-25 and earlier: `initialize`, sessions
    Legacy,
    /// 2026-07-28: stateless
    Modern,
    /// Each request by its own shape
    Both,
}

/// What a fault of single messages applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FaultScope {
    /// Only `tools/call`
    Calls,
    /// Every request
    All,
}

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Revisions to speak
    #[arg(long, global = true, value_enum, default_value = "both")]
    pub era: Eras,
    /// Name in serverInfo
    #[arg(long, global = true, default_value = "fixture-server")]
    pub name: String,
    /// Add N inert tools, tool_0 to tool_N-1
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub tools: usize,
    /// Entries per page of a list; 0 gives everything on one page
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub page_size: usize,
    /// Wait before each tool call is answered
    #[arg(long, global = true, value_name = "MS", default_value_t = 0)]
    pub delay_ms: u64,
    /// Add the tool `late_tool` after this time and say that the list changed
    #[arg(long, global = true, value_name = "MS")]
    pub list_changed_after_ms: Option<u64>,
    /// `ttlMs` of cacheable results in the modern era
    #[arg(long, global = true, value_name = "MS", default_value_t = 60_000)]
    pub ttl_ms: u64,
    /// Misbehave, see below; may be given several times
    #[arg(long = "fault", global = true, value_name = "NAME[=ARG]", value_parser = Fault::parse)]
    pub faults: Vec<Fault>,
    /// What faults of single messages apply to
    #[arg(long, global = true, value_enum, default_value = "calls")]
    pub fault_scope: FaultScope,
    /// Faults apply only while this file exists
    #[arg(long, global = true, value_name = "PATH")]
    pub fault_once_file: Option<PathBuf>,
}
