//! The address of a document that describes a client of OAuth, and is its name at providers that read such documents. Pure.
//! Rule: one document has one address, so that it cannot be taken for another client's.

use crate::error::{Error, Result, codes};

/// Refuses what no provider may take for the address of a client's document.
///
/// # Errors
/// [`codes::VALUE_INVALID`]: it is not `https://`, names no document, or could be written in another way.
pub fn check(address: &str) -> Result<()> {
    let rest = address.strip_prefix("https://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or_default();
    let dotted = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let is_bad = authority.is_empty()
        || path.is_empty()
        || path.split('/').any(dotted)
        || address.contains(['#', '@', '\\'])
        || address.chars().any(|c| c.is_whitespace() || c.is_control());
    match is_bad {
        false => Ok(()),
        true => {
            let message = format!("`{address}` cannot be the address of a document that describes a client");
            Err(Error::new(&codes::VALUE_INVALID, message)
                .hint("--client-metadata https://example.com/client.json"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_one_address() {
        for (address, good) in [
            ("https://example.com/client.json", true),
            ("https://example.com:8443/a/b?v=1", true),
            ("http://127.0.0.1/client.json", false),
            ("https://example.com", false),
            ("https://example.com/", false),
            ("https:///client.json", false),
            ("https://example.com/a/../b", false),
            ("https://example.com/a/%2E%2e/b", false),
            ("https://example.com/a#b", false),
            ("https://user@example.com/a", false),
            ("https://example.com/a b", false),
            ("client.json", false),
        ] {
            assert_eq!(check(address).is_ok(), good, "{address}");
        }
    }
}
