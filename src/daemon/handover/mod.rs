//! A client's pipes in the daemon's own hands: what the bridge that gives them and the daemon that takes them agree
//! on. Linux only. Not here: when they are given (`bridge/guard.rs`) and how the daemon uses them (`pipes.rs`).
//!
//! With the pipes goes a piece of shared memory, the book. The daemon reads the client's bytes straight into it and
//! notes there who waits for an answer; so after its death, however sudden, the bridge knows what a living daemon
//! would. Rule: the bridge touches the book only while no daemon holds it; the daemon never believes a length in it.

pub mod book;
pub mod descriptors;
pub mod layout;
pub mod memory;
pub mod record;
