//! The daemon seen from both ends of its local socket: what is said there, how it is started, found and
//! stopped, and the thin bridge that editors run. Not here: commands, text for people, the store itself.
//! Rule: everything that a client process links (`wire`, `socket::connect`, `client`, `lifecycle`, `bridge`)
//! is blocking std; only `socket::Listener` and `door`, the daemon's own side, know tokio.

pub mod bridge;
pub mod client;
pub mod diary;
pub mod door;
pub mod host;
mod jobs;
pub mod lifecycle;
pub mod lock;
pub mod memory;
pub mod report;
pub mod service;
#[cfg(unix)]
pub mod socket;
#[cfg(windows)]
#[path = "socket_windows.rs"]
pub mod socket;
mod spawn;
mod teller;
pub mod version;
pub mod wire;

#[cfg(test)]
mod tests;
