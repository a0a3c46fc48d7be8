//! The one integration binary: a list of modules.

mod search;
//! The only integration binary: a list of modules.

#[cfg(unix)]
mod install;
