//! What goes wrong around a gateway, on purpose: servers, HTTP, clients, the daemon, the store.
//! Each test injects one fault, asks a healthy neighbour within a second, heals, and checks the recovery.
//! Rule: nothing is left behind; a fault shows as a typed error or a counter, never as a hang.
//!
//! `UMCP_LONG=1` runs the whole counts; `UMCP_FAULT_REPORT=FILE` collects the recovery times, one `ROW MS` a line.

mod client;
mod daemon;
mod entries;
#[cfg(target_os = "linux")]
mod handover;
mod house;
mod http;
mod load;
mod process;
mod server;
mod session;
mod store;
mod workflow;
