//! The noun `secret`: named values, sealed before they come here, and the slots that wrap their key.
//! Nothing in this room can open a value. Rules: a sealed value is taken only when it was sealed with the key the
//! slots hold; the first slot is made only where there is neither slot nor secret; what a request or a reply shows
//! with `Debug` is never a value, sealed or not.

pub mod dotenv;
pub mod find;
mod model;
mod names;

use crate::clock::Timestamp;
use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::sealing::Slot;
use crate::store::{Reader, Row, Table, Writer, tables};
pub use model::{Info, KeySlot, Reply, Request, Sealed, Stored, Vault};
pub use names::{INTERNAL, aad, check_name, is_internal};

const SECRETS: Table<Stored> = Table::new(tables::SECRETS);
const SLOTS: Table<KeySlot> = Table::new(tables::KEY_SLOTS);

/// Sealed values above this are refused; a certificate chain fits.
const MOST: usize = 65 * 1024;

impl Row for Stored {
    const KIND: u8 = 20;
    const VERSION: u16 = 1;
}

impl Row for KeySlot {
    const KIND: u8 = 21;
    const VERSION: u16 = 1;
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Vault => vault(tx).map(Reply::Vault),
        Request::List => Ok(Reply::List(all(tx)?.iter().map(Stored::info).collect())),
        Request::All => Ok(Reply::All(all(tx)?)),
        Request::Get { name } => Ok(Reply::Secret(tx.get(&SECRETS, name)?.map(Box::new))),
        _ => Err(Error::bug("a write was handed to `secrets::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Begin { slot, anew, at } => begin(tx, slot, anew, at),
        Request::Set { name, value, replace, at } => set(tx, &name, value, replace, at),
        Request::Delete { names } => delete(tx, &names),
        Request::Rename { from, to, value, at } => rename(tx, &from, &to, value, at),
        Request::Slots { slots, at } => {
            let key = key(tx)?;
            if slots.is_empty() || slots.iter().any(|slot| Some(&slot.key) != key.as_ref()) {
                return Err(other_key());
            }
            put_slots(tx, slots, at)
        }
        Request::Rekey { was, slots, values, at } => rekey(tx, &was, slots, values, at),
        Request::Vault | Request::List | Request::All | Request::Get { .. } => read(tx, &request),
    }
}

fn begin(tx: &mut Writer, slot: Slot, anew: bool, at: Timestamp) -> Result<Reply> {
    let vault = vault(tx)?;
    if vault.secrets > 0 {
        let message = format!("the vault holds {} secrets, and a new key would lose them", vault.secrets);
        return Err(Error::new(&codes::VAULT_CONFLICT, message));
    }
    if !vault.slots.is_empty() && !anew {
        return Err(Error::new(&codes::VAULT_CONFLICT, "the vault has a key already"));
    }
    put_slots(tx, vec![slot], at)
}

fn set(tx: &mut Writer, name: &str, value: Sealed, replace: bool, at: Timestamp) -> Result<Reply> {
    check_name(name)?;
    check_value(tx, &value)?;
    let old = tx.get(&SECRETS, name)?;
    if let (Some(_), false) = (&old, replace) {
        let error = Error::new(&codes::SECRET_EXISTS, format!("a secret named `{name}` exists already"));
        return Err(error.hint(format!("umcp secret rotate {name}")));
    }
    let created = old.map_or(at, |old| old.created);
    put(tx, Stored { name: name.into(), value, created, changed: at })
}

/// Deletes those of these secrets that are there: what they belonged to has gone.
pub fn forget(tx: &mut Writer, names: &[String]) -> Result<()> {
    for name in names {
        if tx.get(&SECRETS, name)?.is_some() {
            tx.remove(&SECRETS, name)?;
        }
    }
    Ok(())
}

fn delete(tx: &mut Writer, names: &[String]) -> Result<Reply> {
    let mut gone = Vec::new();
    for name in names {
        gone.push(find(tx, name)?.info());
        tx.remove(&SECRETS, name)?;
    }
    Ok(Reply::Deleted(gone))
}

fn rename(tx: &mut Writer, from: &str, to: &str, value: Sealed, at: Timestamp) -> Result<Reply> {
    check_name(to)?;
    check_value(tx, &value)?;
    let old = find(tx, from)?;
    if tx.get(&SECRETS, to)?.is_some() {
        return Err(Error::new(&codes::SECRET_EXISTS, format!("a secret named `{to}` exists already")));
    }
    tx.remove(&SECRETS, from)?;
    put(tx, Stored { name: to.into(), value, created: old.created, changed: at })
}

fn rekey(
    tx: &mut Writer,
    was: &str,
    slots: Vec<Slot>,
    values: Vec<(String, Sealed)>,
    at: Timestamp,
) -> Result<Reply> {
    let old = all(tx)?;
    let same = old.iter().map(|secret| &secret.name).eq(values.iter().map(|(name, _)| name));
    if key(tx)?.as_deref() != Some(was) || !same || slots.is_empty() {
        return Err(other_key());
    }
    put_slots(tx, slots, at)?;
    for (old, (_, value)) in old.into_iter().zip(values) {
        check_value(tx, &value)?;
        put(tx, Stored { value, ..old })?;
    }
    vault(tx).map(Reply::Vault)
}

fn put(tx: &mut Writer, secret: Stored) -> Result<Reply> {
    tx.put(&SECRETS, &secret.name, &secret)?;
    Ok(Reply::Info(secret.info()))
}

fn put_slots(tx: &mut Writer, slots: Vec<Slot>, at: Timestamp) -> Result<Reply> {
    for (id, _) in tx.all(&SLOTS)? {
        tx.remove(&SLOTS, &id)?;
    }
    for slot in slots {
        tx.put(&SLOTS, &slot.id.clone(), &KeySlot { slot, created: at })?;
    }
    vault(tx).map(Reply::Vault)
}

/// A value sealed with a key that nothing can open any more would be lost at once.
fn check_value(tx: &Reader, value: &Sealed) -> Result<()> {
    if value.bytes.len() > MOST {
        return Err(Error::new(&codes::VALUE_INVALID, "a secret may have at most 64 KiB"));
    }
    match key(tx)? {
        Some(key) if key == value.key => Ok(()),
        _ => Err(other_key()),
    }
}

fn other_key() -> Error {
    Error::new(&codes::VAULT_CONFLICT, "the vault has another key than the value was sealed with")
        .hint("try again")
}

/// Fingerprint of the data key, once there is one.
fn key(tx: &Reader) -> Result<Option<String>> {
    Ok(tx.all(&SLOTS)?.into_iter().next().map(|(_, slot)| slot.slot.key))
}

fn vault(tx: &Reader) -> Result<Vault> {
    let slots = tx.all(&SLOTS)?.into_iter().map(|(_, slot)| slot).collect();
    Ok(Vault { slots, secrets: tx.all(&SECRETS)?.len() as u64 })
}

fn all(tx: &Reader) -> Result<Vec<Stored>> {
    Ok(tx.all(&SECRETS)?.into_iter().map(|(_, secret)| secret).collect())
}

fn find(tx: &Reader, name: &str) -> Result<Stored> {
    match tx.get(&SECRETS, name)? {
        Some(secret) => Ok(secret),
        None => Err(not_found(name, all(tx)?.iter().map(|secret| secret.name.as_str()))),
    }
}

/// "No secret named …", with the nearest one of those there are.
pub fn not_found<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::new(&codes::SECRET_NOT_FOUND, format!("no secret named `{name}`"));
    match near(name, known.filter(|known| !is_internal(known))) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("umcp secret list"),
    }
}

#[cfg(test)]
mod tests;
