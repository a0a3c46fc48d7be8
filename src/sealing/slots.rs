//! Slots: the data key wrapped once for each thing that may open the vault, like the header of an encrypted disk.
//! Changing a passphrase rewraps 32 bytes and touches no secret. Where slots are kept, and which is tried, is decided
//! elsewhere. Rule: a wrong passphrase or key file and a damaged slot are told apart.

use super::{DataKey, KEY, Secret, fill, open, seal};
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Cost of a passphrase in memory and passes: about 0.2 s of one core, and as much for whoever guesses.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// A slot that asks for more than this is not ours.
pub(super) const MOST_MEMORY_KIB: u32 = 4 << 20;

/// What opens a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// A file with a random key; `None`: the one beside the store, or the one `UMCP_KEY_FILE` names.
    KeyFile { path: Option<String> },
    /// A passphrase through argon2id.
    Passphrase { salt: Vec<u8>, memory_kib: u32, passes: u32 },
    /// A program that prints a key, such as the look-up of a keyring; run without a shell.
    Command { words: Vec<String> },
}

impl Guard {
    /// A passphrase with a fresh salt at today's cost.
    pub fn passphrase() -> Self {
        let mut salt = vec![0; 16];
        fill(&mut salt);
        Self::Passphrase { salt, memory_kib: MEMORY_KIB, passes: PASSES }
    }

    /// The word `secret backend list` shows.
    pub fn word(&self) -> &'static str {
        match self {
            Self::KeyFile { .. } => "key-file",
            Self::Passphrase { .. } => "passphrase",
            Self::Command { .. } => "command",
        }
    }
}

/// One wrapping of the data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub id: String,
    pub guard: Guard,
    /// Fingerprint of the data key inside.
    pub key: String,
    /// Fingerprint of the key that opens the slot.
    check: String,
    wrapped: Vec<u8>,
}

impl Slot {
    /// Wraps `key` for `guard`, whose own key is `wrapping`.
    pub fn new(id: String, guard: Guard, wrapping: &DataKey, key: &DataKey) -> Self {
        let wrapped = seal(wrapping, &aad(&id), key.expose());
        Self { key: key.fingerprint(), check: wrapping.fingerprint(), id, guard, wrapped }
    }

    /// Takes the data key out.
    ///
    /// # Errors
    /// `VAULT_KEY_WRONG` when `wrapping` belongs to another slot, `VAULT_DAMAGED` when the slot was changed.
    pub fn open(&self, wrapping: &DataKey) -> Result<DataKey> {
        if wrapping.fingerprint() != self.check {
            let message = match &self.guard {
                Guard::Passphrase { .. } => "the passphrase is wrong",
                Guard::KeyFile { .. } => "the key file is not the one the vault was closed with",
                Guard::Command { .. } => {
                    "the program gave another key than the one the vault was closed with"
                }
            };
            return Err(Error::new(&codes::VAULT_KEY_WRONG, message));
        }
        let bytes = open(wrapping, &aad(&self.id), &self.wrapped)
            .map_err(|error| Error::new(&codes::VAULT_DAMAGED, "a key slot is damaged").because(error))?;
        let bytes: Result<&[u8; KEY], _> = bytes.as_slice().try_into();
        let key = bytes.map(DataKey::from_bytes).ok().filter(|key| key.fingerprint() == self.key);
        key.ok_or_else(|| Error::new(&codes::VAULT_DAMAGED, "a key slot holds something else than its key"))
    }
}

fn aad(id: &str) -> Vec<u8> {
    [b"umcp slot 1\0", id.as_bytes()].concat()
}

/// The wrapping key of a passphrase.
///
/// # Errors
/// `VAULT_DAMAGED` when the slot asks for a cost outside all reason.
pub fn derive(passphrase: &Secret, salt: &[u8], memory_kib: u32, passes: u32) -> Result<DataKey> {
    let damaged = |reason: &str| Error::new(&codes::VAULT_DAMAGED, "a key slot is damaged").because(reason);
    if memory_kib > MOST_MEMORY_KIB || passes > 100 {
        return Err(damaged("its cost is out of range"));
    }
    let params = argon2::Params::new(memory_kib, passes, 1, Some(KEY));
    let params = params.map_err(|error| damaged(&error.to_string()))?;
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut bytes = Zeroizing::new([0; KEY]);
    hasher
        .hash_password_into(passphrase.reveal().as_bytes(), salt, bytes.as_mut_slice())
        .map_err(|error| damaged(&error.to_string()))?;
    Ok(DataKey::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Guard {
        Guard::Passphrase { salt: b"0123456789abcdef".to_vec(), memory_kib: 64, passes: 1 }
    }

    fn wrapping(passphrase: &str) -> DataKey {
        derive(&Secret::new(passphrase), b"0123456789abcdef", 64, 1).unwrap()
    }

    #[test]
    fn the_right_passphrase_opens_and_a_wrong_one_is_told_from_damage() {
        let key = DataKey::generate();
        let slot = Slot::new("slot_1".into(), cheap(), &wrapping("right"), &key);
        assert_eq!(slot.open(&wrapping("right")).unwrap().expose(), key.expose());
        let wrong = slot.open(&wrapping("Right")).unwrap_err();
        assert_eq!(
            (wrong.is(&codes::VAULT_KEY_WRONG), wrong.message.as_str()),
            (true, "the passphrase is wrong")
        );
        for at in 0..slot.wrapped.len() {
            let mut damaged = slot.clone();
            damaged.wrapped[at] ^= 0x80;
            assert!(damaged.open(&wrapping("right")).unwrap_err().is(&codes::VAULT_DAMAGED), "byte {at}");
            damaged.wrapped = slot.wrapped[..at].to_vec();
            assert!(damaged.open(&wrapping("right")).unwrap_err().is(&codes::VAULT_DAMAGED), "cut at {at}");
        }
        let renamed = Slot { id: "slot_2".into(), ..slot };
        assert!(renamed.open(&wrapping("right")).unwrap_err().is(&codes::VAULT_DAMAGED));
    }

    #[test]
    fn argon2id_gives_what_the_reference_implementation_gives() {
        // Made with the C implementation (through argon2-cffi): the second is what a new slot costs.
        for (memory, passes, expected) in [
            (256, 2, "c7102b770dc092ae55d8dd2b6560bc948f471efe1600fd4adf9b453d5ee608be"),
            (MEMORY_KIB, PASSES, "00bac562b407875296682e0b8043688e09be94fcea326e99aa62d0edb44404fc"),
        ] {
            let key =
                derive(&Secret::new("correct horse battery"), b"0123456789abcdef", memory, passes).unwrap();
            assert_eq!(crate::ids::hex(key.expose()), expected);
        }
    }

    #[test]
    fn a_passphrase_key_depends_on_every_input() {
        let of = |text: &str, salt: &[u8], memory, passes| {
            derive(&Secret::new(text), salt, memory, passes).unwrap().fingerprint()
        };
        let base = of("password", b"somesaltsomesalt", 64, 3);
        assert_eq!(base, of("password", b"somesaltsomesalt", 64, 3));
        for other in [
            of("Password", b"somesaltsomesalt", 64, 3),
            of("password", b"somesaltsomesalu", 64, 3),
            of("password", b"somesaltsomesalt", 128, 3),
            of("password", b"somesaltsomesalt", 64, 2),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_slot_with_a_mad_cost_is_refused_before_it_is_paid() {
        let error = derive(&Secret::new("x"), b"0123456789abcdef", u32::MAX, 1).unwrap_err();
        assert!(error.is(&codes::VAULT_DAMAGED));
    }
}
