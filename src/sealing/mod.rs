//! Sealing bytes: one random data key, XChaCha20-Poly1305, and slots that wrap that key (`slots.rs`).
//! It knows no table, no noun and no daemon. Rules: a key lives in locked memory and is wiped when dropped; what a
//! value belongs to is sealed in with it, so that values cannot trade places; `Debug` of a secret prints `***`.

pub mod bundle;
pub mod keyfile;
mod memory;
pub mod minisign;
pub mod program;
pub mod slots;

use crate::error::{Error, Result, codes};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use memory::Locked;
pub use memory::no_core_dumps;
use ring::rand::{SecureRandom, SystemRandom};
pub use slots::{Guard, Slot};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// First byte of everything sealed: the layout `1 · nonce (24) · ciphertext and tag`.
const LAYOUT: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Bytes of a key.
pub const KEY: usize = 32;

/// A text nobody may see by accident: no `Display`, no `Serialize`, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// 32 secret bytes in locked memory: the vault's data key, or a key that wraps it.
pub struct DataKey(Locked);

impl DataKey {
    /// A random key.
    ///
    /// # Panics
    /// When the operating system has no random generator.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY]);
        fill(bytes.as_mut_slice());
        Self::from_bytes(&bytes)
    }

    pub fn from_bytes(bytes: &[u8; KEY]) -> Self {
        Self(Locked::new(bytes))
    }

    /// The bytes, for wrapping them or handing them to the daemon.
    pub fn expose(&self) -> &[u8; KEY] {
        self.0.bytes()
    }

    /// Tells keys apart without saying anything of them: 16 hex digits.
    pub fn fingerprint(&self) -> String {
        self.digest(b"umcp key fingerprint\0")[..16].to_string()
    }

    fn digest(&self, label: &[u8]) -> String {
        let mut text = Zeroizing::new(label.to_vec());
        text.extend_from_slice(self.expose());
        crate::ids::digest(&text)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.expose().into())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.fingerprint())
    }
}

/// Seals `plain` with what it belongs to (`aad`), under a nonce of its own.
///
/// # Panics
/// Never in practice: a message would have to be 256 GiB long.
pub fn seal(key: &DataKey, aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    fill(&mut nonce);
    let cipher = key.cipher();
    let text = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad });
    let text = text.expect("a value is shorter than the cipher's limit");
    let mut sealed = Vec::with_capacity(1 + NONCE + text.len());
    sealed.push(LAYOUT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&text);
    sealed
}

/// Opens what [`seal`] made with the same key and `aad`.
///
/// # Errors
/// `VAULT_DAMAGED` when it was cut short, changed, moved to another name or sealed with another key.
pub fn open(key: &DataKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    if sealed.len() < 1 + NONCE + TAG {
        return Err(Error::new(&codes::VAULT_DAMAGED, "a sealed value is cut short"));
    }
    if sealed[0] != LAYOUT {
        let message = format!("a sealed value has the unknown layout {}", sealed[0]);
        return Err(Error::new(&codes::VAULT_DAMAGED, message));
    }
    let (nonce, text) = sealed[1..].split_at(NONCE);
    let nonce: [u8; NONCE] = nonce.try_into().expect("the length was just cut");
    let plain = key.cipher().decrypt(&XNonce::from(nonce), Payload { msg: text, aad });
    plain.map(Zeroizing::new).map_err(|_| {
        Error::new(&codes::VAULT_DAMAGED, "a sealed value was changed, or belongs to another name or key")
    })
}

/// Opens a sealed text.
///
/// # Errors
/// As [`open`].
pub fn open_text(key: &DataKey, aad: &[u8], sealed: &[u8]) -> Result<Secret> {
    let mut plain = open(key, aad, sealed)?;
    match String::from_utf8(std::mem::take(&mut *plain)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(Error::new(&codes::VAULT_DAMAGED, "a sealed value is not text"))
        }
    }
}

/// Fills `bytes` from the operating system's generator.
fn fill(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the operating system has a random generator");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_name_only() {
        let (key, other) = (DataKey::generate(), DataKey::generate());
        let sealed = seal(&key, b"a", b"value");
        assert_eq!(open(&key, b"a", &sealed).unwrap().as_slice(), b"value");
        assert_eq!(open_text(&key, b"a", &sealed).unwrap(), Secret::new("value"));
        assert_ne!(seal(&key, b"a", b"value"), sealed, "every sealing has a nonce of its own");
        assert!(!sealed.windows(5).any(|window| window == b"value"));
        for (key, aad) in [(&other, b"a"), (&key, b"b")] {
            assert!(open(key, aad, &sealed).unwrap_err().is(&codes::VAULT_DAMAGED));
        }
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let key = DataKey::generate();
        let sealed = seal(&key, b"name", b"some value");
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(open(&key, b"name", &flipped).unwrap_err().is(&codes::VAULT_DAMAGED), "byte {at}");
            assert!(open(&key, b"name", &sealed[..at]).unwrap_err().is(&codes::VAULT_DAMAGED), "cut at {at}");
        }
    }

    #[test]
    fn a_published_vector_opens() {
        // draft-irtf-cfrg-xchacha-03, A.3.1.
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let key: [u8; KEY] = std::array::from_fn(|at| 0x80 + u8::try_from(at).unwrap());
        let mut sealed = vec![LAYOUT];
        sealed.extend((0x40..0x58).collect::<Vec<u8>>());
        sealed.extend(hex(concat!(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb",
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452",
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9",
            "21f9664c97637da9768812f615c68b13b52e",
            "c0875924c1c7987947deafd8780acf49",
        )));
        let aad = hex("50515253c0c1c2c3c4c5c6c7");
        let plain = open(&DataKey::from_bytes(&key), &aad, &sealed).unwrap();
        assert!(plain.starts_with(b"Ladies and Gentlemen of the class of '99"));
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("canary"))), "Some(***)");
        let key = DataKey::from_bytes(&[7; KEY]);
        assert_eq!(format!("{key:?}"), format!("key {}", key.fingerprint()));
        assert!(!format!("{key:?}").contains("0707"));
    }
}
