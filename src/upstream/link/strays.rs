//! The last lines of a connection that were no protocol, kept while the server has not agreed on anything: one that
//! cannot start may say why. What they mean is not looked at.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Kept at most, and of each so much.
const LINES: usize = 5;
const LINE_BYTES: usize = 1024;

/// Keeps nothing until it is asked to.
#[derive(Default)]
pub struct Strays(Mutex<Option<VecDeque<Bytes>>>);

impl Strays {
    fn lines(&self) -> MutexGuard<'_, Option<VecDeque<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps lines from now on.
    pub fn keep(&self) {
        *self.lines() = Some(VecDeque::with_capacity(LINES));
    }

    /// The last lines, oldest first; none are kept any more.
    pub fn take(&self) -> Vec<Bytes> {
        self.lines().take().unwrap_or_default().into()
    }

    pub(super) fn add(&self, line: &[u8]) {
        let mut lines = self.lines();
        let Some(lines) = lines.as_mut() else { return };
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(Bytes::copy_from_slice(&line[..line.len().min(LINE_BYTES)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_while_somebody_may_ask() {
        let strays = Strays::default();
        strays.add(b"early");
        strays.keep();
        for i in 0..7 {
            strays.add(format!("line {i}{}", "x".repeat(i * 400)).as_bytes());
        }
        let kept = strays.take();
        assert!(kept[0].starts_with(b"line 2x") && kept[4].len() == LINE_BYTES && kept.len() == LINES);
        strays.add(b"late");
        assert!(strays.take().is_empty());
    }
}
