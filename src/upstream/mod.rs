//! The running world: connections to MCP servers, their processes and their names.

pub mod breaker;
pub mod names;
pub mod process;
pub mod restart;
pub mod stderr_log;
