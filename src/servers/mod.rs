//! The noun `server`: the user's list of MCP servers.

pub mod model;

pub use model::Server;
