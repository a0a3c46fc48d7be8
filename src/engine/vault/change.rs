//! What changes the vault as a whole: other slots, another data key.
//! Rule: the new slots are in the store before anything that opened the old ones is taken away.

use super::{Ask, Vault, odd};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::sealing::{DataKey, Guard, Slot, keyfile, open, seal};
use crate::secrets::{self, KeySlot, Request, Sealed};
use std::path::PathBuf;

/// What a change of slots left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Key files of ours that open nothing any more.
    pub idle: Vec<PathBuf>,
    /// Values sealed anew.
    pub values: usize,
}

impl<A: Ask> Vault<A> {
    /// Makes `guard` the only thing that opens the vault; `wrapping` is its key. Makes the vault where there is none,
    /// and anew where nothing opens it and nothing is in it.
    ///
    /// # Errors
    /// As `Vault::get`: whoever cannot open the vault cannot change what opens it.
    pub fn guard(&self, guard: Guard, wrapping: &DataKey) -> Result<Changed> {
        let seen = self.look()?;
        let key = match self.key() {
            Ok(key) => key,
            Err(error) if error.is(&codes::VAULT_LOCKED) || seen.secrets > 0 => return Err(error),
            Err(_) => None,
        };
        let at = self.ask.now();
        let request = match &key {
            Some(key) => {
                let slots = vec![Slot::new(ids::fresh("slot"), guard, wrapping, key)];
                Request::Slots { slots, at }
            }
            None => {
                let slot = Slot::new(ids::fresh("slot"), guard, wrapping, &DataKey::generate());
                Request::Begin { slot, anew: true, at }
            }
        };
        let now = self.ask.ask(request)?;
        if key.is_none() {
            self.forget();
        }
        match now {
            secrets::Reply::Vault(vault) => {
                Ok(Changed { idle: self.idle(&seen.slots, &vault.slots), values: 0 })
            }
            other => odd(&other),
        }
    }

    /// Gives the vault another data key, and every value with it; a key file of ours is replaced too.
    pub fn rekey(&self) -> Result<(DataKey, Changed)> {
        let seen = self.look()?;
        let key = DataKey::generate();
        let (mut slots, mut old, mut made) = (Vec::new(), None, Vec::new());
        for KeySlot { slot, .. } in &seen.slots {
            let wrapping = self.wrapping(&slot.guard)?;
            old = Some(slot.open(&wrapping)?);
            let (guard, wrapping) = match &slot.guard {
                Guard::KeyFile { path } if self.is_ours(path.as_deref()) => {
                    let name = format!("vault-{}.key", ids::random_hex(4));
                    let path = self.places.file(Some(&name));
                    made.push(path.clone());
                    (Guard::KeyFile { path: Some(name) }, keyfile::create(&path)?)
                }
                guard => (guard.clone(), wrapping),
            };
            slots.push(Slot::new(ids::fresh("slot"), guard, &wrapping, &key));
        }
        let Some(old) = old else {
            return Err(
                Error::new(&codes::SECRET_NOT_FOUND, "there is no vault yet").hint("umcp secret set NAME")
            );
        };
        let values = self.sealed_anew(&old, &key)?;
        let changed = values.len();
        let request = Request::Rekey { was: old.fingerprint(), slots, values, at: self.ask.now() };
        let outcome = self.ask.ask(request);
        if outcome.is_err() {
            for path in made {
                let _ = std::fs::remove_file(path);
            }
        }
        match outcome? {
            secrets::Reply::Vault(vault) => {
                self.forget();
                Ok((key, Changed { idle: self.idle(&seen.slots, &vault.slots), values: changed }))
            }
            other => odd(&other),
        }
    }

    fn sealed_anew(&self, old: &DataKey, key: &DataKey) -> Result<Vec<(String, Sealed)>> {
        let all = match self.ask.ask(Request::All)? {
            secrets::Reply::All(all) => all,
            other => return odd(&other),
        };
        let again = |secret: secrets::Stored| {
            let aad = secrets::aad(&secret.name);
            let plain = open(old, &aad, &secret.value.bytes).map_err(|error| {
                let message = format!("the secret `{}` cannot be opened", secret.name);
                Error::new(&codes::VAULT_DAMAGED, message)
                    .because(error)
                    .hint(format!("umcp secret delete {}", secret.name))
            })?;
            Ok((secret.name, Sealed { key: key.fingerprint(), bytes: seal(key, &aad, &plain) }))
        };
        all.into_iter().map(again).collect()
    }

    /// Whether a key file stands beside the store, where umcp makes and removes them.
    fn is_ours(&self, path: Option<&str>) -> bool {
        self.places.named.is_none() && self.places.file(path).parent() == self.places.own.parent()
    }

    fn idle(&self, before: &[KeySlot], after: &[KeySlot]) -> Vec<PathBuf> {
        let files = |slots: &[KeySlot]| -> Vec<PathBuf> {
            let path = |slot: &KeySlot| match &slot.slot.guard {
                Guard::KeyFile { path } if self.is_ours(path.as_deref()) => {
                    Some(self.places.file(path.as_deref()))
                }
                _ => None,
            };
            slots.iter().filter_map(path).collect()
        };
        let used = files(after);
        files(before).into_iter().filter(|file| !used.contains(file)).collect()
    }
}
