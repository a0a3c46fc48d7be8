//! The noun `client`: the editors, agents and assistants that can use umcp, and the files in which they keep
//! their servers. Files are read and written by the callers; here are only texts and places.

pub mod beside;
pub mod model;
mod places;
pub mod plan;
pub mod revert;
mod shape;
pub mod skills;
mod table;

pub use model::{Client, Entry, Location, Os, Scope};
pub use places::{files, files_on};
pub use table::{CLIENTS, find};
