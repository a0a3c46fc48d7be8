//! The secrets that were handed to servers, so that none of them gets into a log or an error by another way: a server
//! that prints its key, an address in a message. Only values long enough to be nothing else are looked for.

use crate::error::Error;
use crate::sealing::Secret;
use std::sync::{PoisonError, RwLock};

/// Shorter values are words.
const SHORTEST: usize = 8;
/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// Every secret resolved since the daemon started.
#[derive(Default)]
pub struct Known(RwLock<Vec<Secret>>);

impl Known {
    pub fn add(&self, secret: &Secret) {
        if secret.reveal().len() < SHORTEST {
            return;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(secret) {
            all.push(secret.clone());
            // The longest first, so that none is left in part by one that it holds.
            all.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
        }
    }

    /// `new` has come into the place of `old`, so that a token which changes often is kept once.
    pub fn replace(&self, old: &Secret, new: &Secret) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|known| known != old);
        self.add(new);
    }

    /// The text without secrets; `None` when there are none in it.
    pub fn hide(&self, text: &[u8]) -> Option<Vec<u8>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut hidden: Option<Vec<u8>> = None;
        for secret in all.iter().map(|secret| secret.reveal().as_bytes()) {
            let current = hidden.as_deref().unwrap_or(text);
            if memchr::memmem::find(current, secret).is_some() {
                hidden = Some(replace(current, secret));
            }
        }
        hidden
    }

    fn hide_text(&self, text: &mut String) {
        if let Some(hidden) = self.hide(text.as_bytes()) {
            *text = String::from_utf8_lossy(&hidden).into_owned();
        }
    }

    /// The error without secrets.
    #[must_use]
    pub fn hide_in(&self, mut error: Error) -> Error {
        self.hide_text(&mut error.message);
        error.hints.iter_mut().for_each(|hint| self.hide_text(hint));
        if let Some(source) = &mut error.source {
            self.hide_text(source);
        }
        error
    }
}

fn replace(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, secret) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(HIDDEN.as_bytes());
        rest = &rest[at + secret.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes;

    #[test]
    fn what_is_known_is_hidden_and_words_are_not() {
        let known = Known::default();
        for secret in ["short", "sk-123456", "sk-123456-longer"] {
            known.add(&Secret::new(secret));
        }
        let hidden = known.hide(b"short sk-123456 x sk-123456-longer\xff").unwrap();
        assert_eq!(hidden, b"short (hidden) x (hidden)\xff");
        assert_eq!(known.hide(b"nothing here"), None);
        let error =
            Error::new(&codes::FAILED, "at sk-123456").because("key sk-123456-longer").hint("sk-123456");
        let error = known.hide_in(error);
        assert_eq!(
            (error.to_string(), error.hints),
            ("at (hidden): key (hidden)".into(), vec!["(hidden)".into()])
        );
    }
}
