//! The ways to reach a server, one file each.

pub mod client;
mod dial;
mod events;
pub mod http;
mod reader;
pub mod socket;
