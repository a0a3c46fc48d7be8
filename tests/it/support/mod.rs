//! What integration tests stand on: a sandbox for the command line, a daemon of their own, raw MCP clients, real peers.

pub mod daemon;
pub mod http;
pub mod mcp;
#[cfg(unix)]
pub mod peers;
pub mod sandbox;
pub mod stub;
pub mod wire;
