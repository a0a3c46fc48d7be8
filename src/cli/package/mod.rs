//! The verbs about packages: install, uninstall, outdated, update, rollback, sync, lock. They stand at the top of the
//! command line, since they are typed the most; each file holds one or two.

mod answers;
pub mod change;
pub mod install;
mod known;
pub mod lock;
pub mod outdated;
pub mod sync;
pub mod update;
