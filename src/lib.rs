//! `umcp`: every MCP server, skill and workflow of one developer behind one endpoint.
//! ARCHITECTURE.md draws the house; `tests/it/house.rs` holds the code to it.

pub mod apps;
pub mod archive;
pub mod audit;
pub mod calls;
pub mod catalogue;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod daemon;
pub mod documents;
pub mod engine;
pub mod environments;
pub mod error;
pub mod expressions;
pub mod gateway;
pub mod ids;
pub mod integrations;
pub mod packages;
pub mod paths;
pub mod policy;
pub mod sandbox;
pub mod schedules;
pub mod sealing;
pub mod search;
pub mod secrets;
pub mod servers;
pub mod settings;
pub mod setup;
pub mod skills;
pub mod store;
pub mod tools;
pub mod ui;
pub mod upstream;
pub mod usage;
pub mod workflows;
