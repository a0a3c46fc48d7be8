//! The running world: connections to MCP servers, their processes and their names.

pub mod process;
