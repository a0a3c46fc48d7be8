//! The ways to reach a server, one file each.

pub mod client;
mod dial;
mod events;
pub mod http;
mod reader;
#[cfg(all(test, unix))]
mod scripted;
pub mod socket;
