//! The daemon seen from both ends of its local socket: what is said there, how it is started, found and
//! stopped, and the thin bridge that editors run. Not here: commands, text for people, the store itself.
//! Rule: everything that a client process links (`wire`, `socket::connect`, `client`, `lifecycle`, `bridge`)
//! is blocking std; only `socket::Listener`, `door` and `pipes`, the daemon's own side, know tokio.

pub mod bridge;
pub mod client;
pub mod diary;
pub mod door;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub mod handover;
pub mod host;
mod jobs;
pub mod lifecycle;
pub mod lock;
pub mod memory;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod pipes;
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
