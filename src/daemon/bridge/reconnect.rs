//! Finding the next daemon when one has died: how often, how long, and when to give up.

use crate::error::{Error, Result, codes};
use std::time::{Duration, Instant};

/// A daemon that lived shorter than this counts as one more failed try.
pub const LIVED: Duration = Duration::from_secs(5);
/// How long a new daemon is sought.
const RECONNECT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Tries `find` until it succeeds. `leaves` waits for a while and tells whether the client has left meanwhile; then
/// the outcome is `None`. `short_lives`: how many daemons in a row have died early.
pub fn until_found<T>(
    short_lives: u32,
    leaves: impl Fn(Duration) -> bool,
    find: impl Fn() -> Result<T>,
) -> Result<Option<T>> {
    let deadline = Instant::now() + RECONNECT;
    let mut pause = FIRST_PAUSE * (1 << short_lives.min(6));
    if short_lives > 1 && leaves(pause) {
        return Ok(None);
    }
    loop {
        match find() {
            Ok(found) => return Ok(Some(found)),
            Err(error) if is_final(&error) || Instant::now() + pause >= deadline => return Err(error),
            Err(_) if leaves(pause) => return Ok(None),
            Err(_) => pause = (pause * 2).min(LAST_PAUSE),
        }
    }
}

/// Errors that another try cannot heal.
fn is_final(error: &Error) -> bool {
    let hopeless = [&codes::DAEMON_NEWER, &codes::NOT_PRIVATE, &codes::STORE_NEWER, &codes::STORE_DAMAGED];
    hopeless.iter().any(|code| error.is(code)) || !error.kind().retryable()
}
