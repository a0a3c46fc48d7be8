//! Values taken out of the vault into one file under a passphrase, to be carried to another machine.
//!
//! The file is a JSON object: `format` is `umcp.secrets/1`; `salt` (Base64), `memory_kib` and `passes` are what argon2id
//! (version 1.3, one lane, 32 bytes) makes a key of the passphrase with; `sealed` is Base64 of `1 · nonce (24) · ciphertext
//! and tag` by XChaCha20-Poly1305 with the associated data `umcp export 1`. Inside is a JSON object of names and values.

use super::slots::{MOST_MEMORY_KIB, derive};
use super::{Guard, Secret, open, seal};
use crate::error::{Error, Result, codes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FORMAT: &str = "umcp.secrets/1";
const AAD: &[u8] = b"umcp export 1";
/// Memory a file may ask for: no more than a slot, and far below what would hurt.
const MOST_KIB: u32 = MOST_MEMORY_KIB / 4;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    format: String,
    salt: String,
    memory_kib: u32,
    passes: u32,
    sealed: String,
}

/// The text of a file that holds these values.
pub fn lock(pairs: &[(String, Secret)], passphrase: &Secret) -> Result<String> {
    let Guard::Passphrase { salt, memory_kib, passes } = Guard::passphrase() else {
        return Err(Error::bug("a passphrase's guard is of another kind"));
    };
    let key = derive(passphrase, &salt, memory_kib, passes)?;
    let plain: BTreeMap<&str, &str> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    let plain = serde_json::to_string(&plain).map(Zeroizing::new);
    let plain = plain.map_err(|error| Error::bug("secrets are not JSON").because(error))?;
    let bundle = Bundle {
        format: FORMAT.into(),
        salt: STANDARD.encode(salt),
        memory_kib,
        passes,
        sealed: STANDARD.encode(seal(&key, AAD, plain.as_bytes())),
    };
    serde_json::to_string_pretty(&bundle).map_err(|error| Error::bug("an export is not JSON").because(error))
}

/// Whether a text is such a file.
pub fn is_one(text: &str) -> bool {
    serde_json::from_str::<Bundle>(text).is_ok_and(|bundle| bundle.format.starts_with("umcp.secrets/"))
}

/// The values of a file, by name.
///
/// # Errors
/// `FILE_INVALID` for what is no export; `VAULT_KEY_WRONG` when the passphrase is wrong or the file was changed.
pub fn unlock(text: &str, passphrase: &Secret) -> Result<Vec<(String, Secret)>> {
    let invalid = |why: String| Error::new(&codes::FILE_INVALID, "this is no export of secrets").because(why);
    let bundle: Bundle = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if bundle.format != FORMAT {
        return Err(invalid(format!("its format is `{}`", bundle.format)));
    }
    if bundle.memory_kib > MOST_KIB || bundle.passes > 20 {
        return Err(invalid("it asks for more memory or time than any export does".into()));
    }
    let bytes = |text: &str| STANDARD.decode(text).map_err(|error| invalid(error.to_string()));
    let (salt, sealed) = (bytes(&bundle.salt)?, bytes(&bundle.sealed)?);
    let key = derive(passphrase, &salt, bundle.memory_kib, bundle.passes)?;
    let plain = open(&key, AAD, &sealed).map_err(|_| {
        Error::new(&codes::VAULT_KEY_WRONG, "the passphrase is wrong, or the file was changed")
    })?;
    let pairs: BTreeMap<String, Zeroizing<String>> =
        serde_json::from_slice(&plain).map_err(|_| invalid("what it holds is no list of values".into()))?;
    Ok(pairs.into_iter().map(|(name, value)| (name, Secret::new(value.as_str()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<(String, Secret)> {
        vec![("A".into(), Secret::new("canary")), ("b/c".into(), Secret::new("two\nlines"))]
    }

    #[test]
    fn what_was_locked_opens_with_its_passphrase_and_nothing_else() {
        let (right, wrong) = (Secret::new("right"), Secret::new("wrong"));
        let text = lock(&pairs(), &right).unwrap();
        assert!(is_one(&text) && !text.contains("canary"));
        assert_eq!(unlock(&text, &right).unwrap(), pairs());
        assert!(unlock(&text, &wrong).unwrap_err().is(&codes::VAULT_KEY_WRONG));
        assert_ne!(lock(&pairs(), &right).unwrap(), text, "each export has a salt of its own");
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let text = lock(&pairs(), &Secret::new("p")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (field, new, code) in [
            ("format", serde_json::json!("umcp.secrets/2"), &codes::FILE_INVALID),
            ("memory_kib", serde_json::json!(u32::MAX), &codes::FILE_INVALID),
            ("passes", serde_json::json!(1_000_000), &codes::FILE_INVALID),
            ("passes", serde_json::json!(1), &codes::VAULT_KEY_WRONG),
            ("sealed", serde_json::json!("AAAA"), &codes::VAULT_KEY_WRONG),
            ("salt", serde_json::json!("not base64"), &codes::FILE_INVALID),
        ] {
            let mut changed = value.clone();
            changed[field] = new;
            let error = unlock(&changed.to_string(), &Secret::new("p")).unwrap_err();
            assert!(error.is(code), "{field}: {error:?}");
        }
        for text in ["", "{}", "A=1", "[1]"] {
            assert!(!is_one(text) && unlock(text, &Secret::new("p")).unwrap_err().is(&codes::FILE_INVALID));
        }
    }
}
