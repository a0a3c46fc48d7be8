//! What integration tests stand on: a daemon of their own, raw MCP clients, real peers.

pub mod daemon;
pub mod http;
pub mod mcp;
#[cfg(unix)]
pub mod peers;
pub mod sandbox;
pub mod wire;
