//! Turns what redb and the disk say into errors of the program, and catches panics at the boundary.
//! redb may panic on damaged pages; no such panic leaves this room.

use crate::error::{Error, Result, codes};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread right now will come back as an error of the store.
/// A panic hook asks this, so that damage is told once and in the program's own words.
pub fn panic_is_contained() -> bool {
    CONTAINED.get()
}

/// Runs one call of redb. `place` is the store's path for messages.
pub fn call<T, E: Into<redb::Error>>(place: &str, action: impl FnOnce() -> Result<T, E>) -> Result<T> {
    let outer = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(action));
    CONTAINED.set(outer);
    match outcome {
        Ok(outcome) => outcome.map_err(|error| from_redb(place, error.into())),
        Err(panic) => Err(damaged(place, &panic_text(panic.as_ref()))),
    }
}

/// The store as a file cannot be trusted.
pub fn damaged(place: &str, reason: &str) -> Error {
    Error::new(&codes::STORE_DAMAGED, format!("the store `{place}` is damaged"))
        .because(reason)
        .hint("umcp doctor")
        .hint("or put a backup copy in its place")
}

/// An error of the file system under the store.
pub fn from_io(place: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::new(&codes::STORE_FULL, format!("the disk of `{place}` is full")).because(error)
        }
        // What redb says of a foreign or shortened file.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(place, &error.to_string()),
        _ => Error::new(&codes::STORE_IO, format!("cannot use the store `{place}`")).because(error),
    }
}

fn from_redb(place: &str, error: redb::Error) -> Error {
    use redb::Error as Redb;
    match error {
        Redb::Io(error) => from_io(place, &error),
        Redb::PreviousIo => Error::new(&codes::STORE_IO, format!("cannot use the store `{place}`"))
            .because("an earlier write failed, and the file has to be opened anew"),
        Redb::DatabaseAlreadyOpen => {
            Error::new(&codes::STORE_LOCKED, format!("another process has the store `{place}` open"))
        }
        Redb::DatabaseClosed => Error::new(&codes::STORE_IO, format!("the store `{place}` is closed")),
        Redb::UpgradeRequired(_) | Redb::Corrupted(_) | Redb::LockPoisoned(_) => {
            damaged(place, &error.to_string())
        }
        Redb::TableTypeMismatch { .. } | Redb::TableIsMultimap(_) | Redb::TypeDefinitionChanged { .. } => {
            damaged(place, &error.to_string())
        }
        other => Error::bug(format!("the store `{place}` was used wrongly")).because(other),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("redb stopped: {}", text.unwrap_or("no reason given"))
}
