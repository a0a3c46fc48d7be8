//! The one integration binary: a list of modules.
// Every function here serves a test; the exemption in clippy.toml reaches only those marked as one.
#![allow(clippy::unwrap_used)]

mod house;
#[cfg(unix)]
mod install;
mod search;
