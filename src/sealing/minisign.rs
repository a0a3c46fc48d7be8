//! Signatures in minisign's format (Ed25519 over BLAKE2b): keys, signing, verifying. What is signed is the caller's.
//! Keys behind a password are not opened here: they need scrypt, and `minisign` itself takes a password off.
//! Rule: a signature counts only as a whole, with its trusted comment.

use super::Secret;
use crate::error::{Error, Result, codes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b256, Blake2b512, Digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

const COMMENT: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
const NO_PASSWORD: [u8; 2] = [0, 0];
/// Most characters of a trusted comment.
const MAX_COMMENT: usize = 1024;

/// A public key and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: [u8; 8],
    key: [u8; 32],
}

impl PublicKey {
    /// Reads the line that stands for a key, or a whole file of one.
    pub fn read(text: &str) -> Result<Self> {
        let line = last_line(text);
        let bytes = STANDARD.decode(line).ok().filter(|bytes| bytes.len() == 42 && bytes[..2] == *b"Ed");
        let bytes = bytes.ok_or_else(|| invalid("it is no public key of minisign"))?;
        Ok(Self { id: array(&bytes[2..10])?, key: array(&bytes[10..])? })
    }

    /// The line that stands for it.
    pub fn line(&self) -> String {
        STANDARD.encode([b"Ed".as_slice(), &self.id, &self.key].concat())
    }

    /// The id as minisign shows it.
    pub fn id(&self) -> String {
        shown(&self.id)
    }

    /// The file that others verify with.
    pub fn file(&self) -> String {
        format!("{COMMENT}minisign public key {}\n{}\n", self.id(), self.line())
    }

    /// The trusted comment of a signature over exactly these bytes by exactly this key.
    pub fn verify(&self, signed: &[u8], signature: &str) -> Result<String> {
        let lines: Vec<&str> = signature.lines().collect();
        let [first, body, comment, whole] = lines.as_slice() else {
            return Err(invalid("a signature has four lines"));
        };
        let comment = comment.strip_prefix(TRUSTED).filter(|text| text.len() <= MAX_COMMENT);
        let (Some(comment), true) = (comment, first.starts_with(COMMENT)) else {
            return Err(invalid("it is no signature of minisign"));
        };
        let body = STANDARD.decode(body).ok().filter(|body| body.len() == 74 && body[..2] == *b"ED");
        let body = body.ok_or_else(|| invalid("it is no signature of minisign's present format"))?;
        if body[2..10] != self.id {
            let message = format!("it was made with the key {}, not with {}", shown(&body[2..10]), self.id());
            return Err(invalid(message));
        }
        let whole = STANDARD.decode(whole).map_err(|_| invalid("it is cut off"))?;
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        let over = [&body[10..], comment.as_bytes()].concat();
        let good = key.verify(&Blake2b512::digest(signed), &body[10..]).and(key.verify(&over, &whole));
        match good {
            Ok(()) => Ok(comment.into()),
            Err(_) => Err(invalid("it does not fit what it stands beside")),
        }
    }
}

/// A key that signs.
pub struct SigningKey {
    id: [u8; 8],
    pair: Ed25519KeyPair,
    /// The file it is kept in.
    file: Secret,
}

impl SigningKey {
    /// A fresh key without a password: whoever keeps it keeps its file private.
    pub fn generate() -> Result<Self> {
        let mut random = [0; 40];
        let failed = |_| Error::bug("the operating system has no random numbers");
        SystemRandom::new().fill(&mut random).map_err(failed)?;
        let (id, seed) = random.split_at(8);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::bug("a seed of 32 bytes"))?;
        let secret = [id, seed, pair.public_key().as_ref()].concat();
        let sum = Blake2b256::digest([b"Ed".as_slice(), &secret].concat());
        let whole = [b"Ed".as_slice(), &NO_PASSWORD, b"B2", &[0; 48], &secret, sum.as_slice()].concat();
        let text = format!("{COMMENT}minisign secret key {}\n{}\n", shown(id), STANDARD.encode(whole));
        Self::read(&text)
    }

    /// Reads the file of a key that has no password.
    pub fn read(text: &str) -> Result<Self> {
        let bytes = STANDARD.decode(last_line(text)).ok().filter(|bytes| bytes.len() == 158);
        let bytes = bytes.filter(|bytes| bytes[..2] == *b"Ed" && bytes[4..6] == *b"B2");
        let bytes = bytes.ok_or_else(|| invalid("it is no secret key of minisign"))?;
        if bytes[2..4] != NO_PASSWORD {
            return Err(invalid("the key has a password").hint("minisign -C -W -s KEY    # takes it off"));
        }
        let secret = &bytes[54..126];
        if bytes[126..] != *Blake2b256::digest([b"Ed".as_slice(), secret].concat()) {
            return Err(invalid("the secret key is damaged"));
        }
        let pair = Ed25519KeyPair::from_seed_and_public_key(&secret[8..40], &secret[40..])
            .map_err(|_| invalid("the secret key is damaged"))?;
        Ok(Self { id: array(&secret[..8])?, pair, file: Secret::new(text) })
    }

    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { id: self.id, key }
    }

    /// The text of its file.
    pub fn file(&self) -> &Secret {
        &self.file
    }

    /// A signature over these bytes; `comment` is signed too.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<String> {
        if comment.len() > MAX_COMMENT || comment.contains(char::is_control) {
            return Err(invalid("a trusted comment is one line of at most 1,024 bytes"));
        }
        let signature = self.pair.sign(&Blake2b512::digest(bytes));
        let whole = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let body = STANDARD.encode([b"ED".as_slice(), &self.id, signature.as_ref()].concat());
        let whole = STANDARD.encode(whole.as_ref());
        let id = shown(&self.id);
        Ok(format!("{COMMENT}signature from minisign secret key {id}\n{body}\n{TRUSTED}{comment}\n{whole}\n"))
    }
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

/// An id as minisign writes it: the bytes from the last to the first.
fn shown(id: &[u8]) -> String {
    let reversed: Vec<u8> = id.iter().rev().copied().collect();
    crate::ids::hex(&reversed).to_uppercase()
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Error::bug("a part of a key of another length"))
}

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::new(&codes::SIGNATURE_INVALID, format!("the key or signature is not taken: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_reads_what_is_signed_here() {
        let key = SigningKey::generate().unwrap();
        let signature = key.sign(b"text", "umcp skill greet 1.0.0").unwrap();
        let public = minisign_verify::PublicKey::decode(&key.public().file()).unwrap();
        let read = minisign_verify::Signature::decode(&signature).unwrap();
        public.verify(b"text", &read, false).unwrap();
        assert_eq!(read.trusted_comment(), "umcp skill greet 1.0.0");
        let again = SigningKey::read(key.file().reveal()).unwrap();
        assert_eq!(again.public(), PublicKey::read(&key.public().line()).unwrap());
        assert_eq!(key.public().verify(b"text", &signature).unwrap(), "umcp skill greet 1.0.0");
    }

    #[test]
    fn nothing_changed_passes() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let public = key.public();
        let signature = key.sign(b"text", "a 1").unwrap();
        assert!(public.verify(b"texs", &signature).is_err());
        assert!(other.public().verify(b"text", &signature).is_err());
        assert!(public.verify(b"text", &signature.replace("a 1", "a 2")).is_err());
        for at in 0..signature.len() {
            let mut bytes = signature.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let first_line = signature.find('\n').unwrap();
            // The untrusted comment is what its name says.
            if at > first_line {
                assert!(public.verify(b"text", &changed).is_err(), "{at}");
            }
        }
        for cut in 0..signature.len() - 1 {
            assert!(public.verify(b"text", &signature[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn keys_that_cannot_be_used_say_why() {
        assert!(SigningKey::read("x").is_err_and(|error| error.message.contains("no secret key")));
        assert!(PublicKey::read("x").is_err_and(|error| error.message.contains("no public key")));
        let text = SigningKey::generate().unwrap().file().reveal().to_string();
        let line = last_line(&text);
        let mut bytes = STANDARD.decode(line).unwrap();
        bytes[2..4].copy_from_slice(b"Sc");
        let locked = SigningKey::read(&STANDARD.encode(&bytes));
        assert!(locked.is_err_and(|error| error.hints[0].starts_with("minisign -C -W")));
        bytes[2..4].copy_from_slice(&NO_PASSWORD);
        bytes[60] ^= 1;
        assert!(SigningKey::read(&STANDARD.encode(&bytes)).is_err_and(|it| it.message.contains("damaged")));
    }
}
