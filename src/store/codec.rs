//! The envelope around every stored value: kind, version and checksum, then a postcard payload.
//! It does not know tables or files. Rule: a record is checked before a byte of it is believed.
//!
//! Layout: kind u8 · version u16 LE · crc32 u32 LE · payload. The checksum covers kind, version, the key the
//! record stands under and the payload, so that a damaged key is found as well. redb itself does not verify
//! its pages when it reads them.

use crate::error::{Error, Result, codes};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes before the payload.
pub const HEAD: usize = 7;

/// A type that can be stored.
///
/// postcard is positional and does not describe itself: no `serde_json::Value`, no `untagged`, `flatten`,
/// internally tagged enum or `skip_serializing_if` in a row; JSON is stored as text. Any change of the
/// fields is a new `VERSION` with an arm in `upgrade`, never a silent reordering.
pub trait Row: Serialize + DeserializeOwned {
    /// Number of the type, unique in the program.
    const KIND: u8;
    /// Version of the layout, counted from 1.
    const VERSION: u16;

    /// Reads the payload of an older version.
    ///
    /// # Errors
    /// `STORE_DAMAGED` when the version is not known.
    fn upgrade(version: u16, payload: &[u8]) -> Result<Self> {
        let _ = payload;
        Err(Error::new(&codes::STORE_DAMAGED, format!("a record has the unknown version {version}")))
    }
}

/// An envelope that passed its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub kind: u8,
    pub version: u16,
    pub payload: &'a [u8],
}

/// The payload of `row`, without its envelope.
pub fn payload<R: Row>(row: &R) -> Result<Vec<u8>> {
    payload_of(row)
}

/// A value as it stands inside a payload.
pub fn payload_of<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    // Room for most records: one that grows as it is written is moved half a dozen times.
    postcard::to_extend(value, Vec::with_capacity(192))
        .map_err(|error| Error::bug("a value cannot be written as postcard").because(error))
}

/// Reads the payload of a version that ended before the present last field, which gets this value.
pub fn lengthened<R: Row, T: Serialize>(payload: &[u8], last: &T) -> Result<R> {
    let whole = [payload, &payload_of(last)?].concat();
    postcard::from_bytes(&whole)
        .map_err(|error| Error::new(&codes::STORE_DAMAGED, "an older record cannot be read").because(error))
}

/// Puts a payload into its envelope, bound to `key`.
pub fn seal(key: &[u8], envelope: Envelope<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + envelope.payload.len());
    bytes.push(envelope.kind);
    bytes.extend_from_slice(&envelope.version.to_le_bytes());
    bytes.extend_from_slice(&checksum(key, envelope).to_le_bytes());
    bytes.extend_from_slice(envelope.payload);
    bytes
}

/// The stored bytes of `row` under `key`.
pub fn encode<R: Row>(key: &[u8], row: &R) -> Result<Vec<u8>> {
    let payload = payload(row)?;
    Ok(seal(key, Envelope { kind: R::KIND, version: R::VERSION, payload: &payload }))
}

/// Opens an envelope; `None` when it is too short or its checksum is wrong.
pub fn verify<'a>(key: &[u8], bytes: &'a [u8]) -> Option<Envelope<'a>> {
    let (head, payload) = bytes.split_at_checked(HEAD)?;
    let envelope = Envelope { kind: head[0], version: u16::from_le_bytes([head[1], head[2]]), payload };
    let stored = u32::from_le_bytes([head[3], head[4], head[5], head[6]]);
    (stored == checksum(key, envelope)).then_some(envelope)
}

/// Reads a row of `table` back.
///
/// # Errors
/// `STORE_DAMAGED` with table and key when the envelope is not whole or not of this type; `STORE_NEWER` when
/// the row has a later version than this program knows.
pub fn decode<R: Row>(table: &str, key: &[u8], bytes: &[u8]) -> Result<R> {
    let envelope = verify(key, bytes).filter(|envelope| envelope.kind == R::KIND);
    let Some(Envelope { version, payload, .. }) = envelope else {
        return Err(damaged(table, key));
    };
    if version > R::VERSION {
        let message = format!("record `{}` of table `{table}` was written by a newer umcp", show(key));
        return Err(Error::new(&codes::STORE_NEWER, message));
    }
    let row = if version == R::VERSION {
        postcard::from_bytes(payload).map_err(|error| error.to_string())
    } else {
        R::upgrade(version, payload).map_err(|error| error.to_string())
    };
    row.map_err(|reason| damaged(table, key).because(reason))
}

/// The error of a record that cannot be believed.
pub fn damaged(table: &str, key: &[u8]) -> Error {
    Error::new(&codes::STORE_DAMAGED, format!("record `{}` of table `{table}` is damaged", show(key)))
        .hint("umcp doctor")
}

/// A key for people: text as it is, anything else in hex.
pub fn show(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => crate::ids::hex(key),
    }
}

fn checksum(key: &[u8], envelope: Envelope<'_>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[envelope.kind]);
    hasher.update(&envelope.version.to_le_bytes());
    hasher.update(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
    hasher.update(key);
    hasher.update(envelope.payload);
    hasher.finalize()
}
