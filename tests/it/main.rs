//! The one integration binary: a list of modules.
// Every function here serves a test; the exemption in clippy.toml reaches only those marked as one.
#![allow(clippy::unwrap_used)]

mod alert;
#[cfg(unix)]
mod app;
mod audit;
#[cfg(target_os = "linux")]
mod canary;
#[cfg(unix)]
mod catalogue;
#[cfg(unix)]
mod command;
#[cfg(unix)]
mod conformance;
#[cfg(unix)]
mod connection;
mod daemon;
mod endpoint;
mod examples;
#[cfg(target_os = "linux")]
mod faults;
mod gateway;
mod generated;
mod house;
#[cfg(unix)]
mod init;
#[cfg(unix)]
mod install;
mod integration;
mod interface;
#[cfg(unix)]
mod memory;
mod oauth1;
#[cfg(unix)]
mod packages;
#[cfg(unix)]
mod peers;
mod policy;
mod profile;
#[cfg(target_os = "linux")]
mod sandbox;
#[cfg(target_os = "linux")]
mod sandboxed_peers;
mod schedule;
mod search;
mod secret;
mod server;
mod skill;
mod support;
mod token;
mod tool;
mod trace;
mod trial;
mod usage;
mod workflow;
