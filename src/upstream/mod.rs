//! The running world: connections to MCP servers, their processes and their names.

pub mod link;
pub mod message;
pub mod process;
pub mod transport;
pub mod values;
