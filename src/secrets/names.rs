//! What a secret may be called, and which names umcp keeps for itself.

use crate::error::{Error, Result, codes};

/// Names below these belong to umcp: `secret list` hides them, and the user cannot set them by hand.
pub const INTERNAL: &[&str] = &["connection/", "integration/", "umcp/"];

const MOST: usize = 120;

/// Whether umcp keeps the secret for itself, such as the token of a connection.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.iter().any(|prefix| name.starts_with(prefix))
}

/// What is sealed in with a value: it opens under this name only.
pub fn aad(name: &str) -> Vec<u8> {
    [b"umcp secret 1\0", name.as_bytes()].concat()
}

/// Letters, digits, `-`, `_`, `.`, in parts divided by `/`.
///
/// # Errors
/// `NAME_INVALID`.
pub fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let part = |part: &str| !part.is_empty() && part.chars().all(good) && part != "." && part != "..";
    if name.len() <= MOST && name.split('/').all(part) {
        return Ok(());
    }
    let error = Error::new(&codes::NAME_INVALID, format!("`{name}` cannot be the name of a secret"));
    Err(error.hint("use 1 to 120 letters, digits, `-`, `_` and `.`, in parts divided by `/`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["A", "GITHUB_TOKEN", "work/github.token", "a-b/c/d", &"x".repeat(120)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "a b", "a=b", "é", "..", "a/../b", "a\n", &"x".repeat(121)] {
            assert!(check_name(bad).unwrap_err().is(&codes::NAME_INVALID), "{bad}");
        }
        assert!(is_internal("connection/github/token") && !is_internal("connection"));
    }
}
