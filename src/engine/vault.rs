//! The vault as programs use it: names in, plain values out, and back. The engine below keeps sealed values only;
//! here the key is found, kept and used. Not here: any question to the user (`Ask::passphrase`).
//! Rules: the key is looked for at the first use and stays in locked memory; a missing slot is an error, never a
//! reason for a new key; an error names the secret, never its value.

mod change;

use super::{Engine, Reply, StoreRequest, unexpected};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::paths::Paths;
use crate::sealing::{DataKey, Guard, Secret, Slot, keyfile, open_text, program, seal, slots};
use crate::secrets::{self, Request, Sealed};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Names a key file; a value that says where, never the key itself.
pub const KEY_FILE_VARIABLE: &str = "UMCP_KEY_FILE";

/// Who answers requests about sealed values: the engine, or whoever passes them on to it.
pub trait Ask {
    fn ask(&self, request: Request) -> Result<secrets::Reply>;

    fn now(&self) -> Timestamp;

    /// Asks for the passphrase where somebody can be asked.
    fn passphrase(&self) -> Option<Result<Secret>> {
        None
    }
}

impl Ask for Engine {
    fn ask(&self, request: Request) -> Result<secrets::Reply> {
        match self.call(StoreRequest::Secret(request))? {
            Reply::Secret(reply) => Ok(reply),
            other => unexpected(&other),
        }
    }

    fn now(&self) -> Timestamp {
        Engine::now(self)
    }
}

/// Where key files are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Beside the store.
    pub own: PathBuf,
    /// What [`KEY_FILE_VARIABLE`] names.
    pub named: Option<PathBuf>,
}

impl Places {
    pub fn new(paths: &Paths, named: Option<PathBuf>) -> Self {
        Self { own: paths.vault_key(), named }
    }

    /// With the key file that the environment names.
    pub fn from_env(paths: &Paths) -> Self {
        let named = std::env::var_os(KEY_FILE_VARIABLE).filter(|path| !path.is_empty());
        Self::new(paths, named.map(PathBuf::from))
    }

    /// The file that opens a slot; a bare name stands beside the store.
    pub fn file(&self, slot: Option<&str>) -> PathBuf {
        if let Some(named) = &self.named {
            return named.clone();
        }
        slot.map_or_else(|| self.own.clone(), |slot| self.own.with_file_name("").join(slot))
    }
}

/// Secrets by name. All of it blocks: a call reads or writes the store.
pub struct Vault<A> {
    pub ask: A,
    pub places: Places,
    key: Mutex<Option<Arc<DataKey>>>,
}

impl<A: Ask> Vault<A> {
    pub fn new(ask: A, places: Places) -> Self {
        Self { ask, places, key: Mutex::new(None) }
    }

    /// The value of a secret. `None`: there is none of that name.
    ///
    /// # Errors
    /// `VAULT_LOCKED`, `VAULT_KEY_MISSING`, `VAULT_KEY_WRONG`, `VAULT_DAMAGED`.
    pub fn get(&self, name: &str) -> Result<Option<Secret>> {
        let stored = match self.ask.ask(Request::Get { name: name.into() })? {
            secrets::Reply::Secret(stored) => stored,
            other => return odd(&other),
        };
        let Some(stored) = stored else { return Ok(None) };
        let mut key = self.key()?;
        if key.as_ref().is_none_or(|key| key.fingerprint() != stored.value.key) {
            // The vault got another key since; the slots know it.
            self.forget();
            key = self.key()?;
        }
        let Some(key) = key else {
            let message =
                format!("the vault has secrets and no slot that opens them; `{name}` is lost without one");
            return Err(Error::new(&codes::VAULT_KEY_MISSING, message).hint("restore a backup of the store"));
        };
        let opened = open_text(&key, &secrets::aad(name), &stored.value.bytes);
        opened.map(Some).map_err(|error| {
            Error::new(&codes::VAULT_DAMAGED, format!("the secret `{name}` cannot be opened"))
                .because(error)
                .hint(format!("umcp secret rotate {name}"))
        })
    }

    /// Seals a value and makes it durable under `name`, over an older one. The first makes the vault.
    ///
    /// # Errors
    /// As [`Vault::get`]; `NAME_INVALID`.
    pub fn set(&self, name: &str, value: &Secret) -> Result<()> {
        self.put(name, value, true).map(drop)
    }

    /// As [`Vault::set`]; an existing name is an error unless `replace`.
    pub fn put(&self, name: &str, value: &Secret, replace: bool) -> Result<secrets::Info> {
        secrets::check_name(name)?;
        let value = self.seal(name, value)?;
        match self.ask.ask(Request::Set { name: name.into(), value, replace, at: self.ask.now() })? {
            secrets::Reply::Info(info) => Ok(info),
            other => odd(&other),
        }
    }

    /// Deletes a secret; whether there was one.
    pub fn delete(&self, name: &str) -> Result<bool> {
        match self.ask.ask(Request::Delete { names: vec![name.into()] }) {
            Ok(_) => Ok(true),
            Err(error) if error.is(&codes::SECRET_NOT_FOUND) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A value sealed for `name`; makes the vault where there is none yet.
    pub fn seal(&self, name: &str, value: &Secret) -> Result<Sealed> {
        let key = match self.key()? {
            Some(key) => key,
            None => self.begin(false)?,
        };
        let bytes = seal(&key, &secrets::aad(name), value.reveal().as_bytes());
        Ok(Sealed { key: key.fingerprint(), bytes })
    }

    /// The slots and the number of secrets.
    pub fn look(&self) -> Result<secrets::Vault> {
        match self.ask.ask(Request::Vault)? {
            secrets::Reply::Vault(vault) => Ok(vault),
            other => odd(&other),
        }
    }

    /// The data key, found through the slots at the first use. `None`: there is no vault yet.
    pub fn key(&self) -> Result<Option<Arc<DataKey>>> {
        if let Some(key) = &*self.held() {
            return Ok(Some(key.clone()));
        }
        let slots = self.look()?.slots;
        if slots.is_empty() {
            return Ok(None);
        }
        let mut failures = Vec::new();
        // Files and programs first: a question is asked only when nothing else opens the vault.
        let asks = |slot: &secrets::KeySlot| matches!(slot.slot.guard, Guard::Passphrase { .. });
        let (last, first): (Vec<_>, Vec<_>) = slots.into_iter().partition(asks);
        for slot in first.into_iter().chain(last) {
            match self.open(&slot.slot) {
                Ok(key) => return Ok(Some(self.keep(key))),
                Err(error) => failures.push(error),
            }
        }
        Err(failures.pop().unwrap_or_else(|| Error::bug("a vault with slots tried none")))
    }

    fn open(&self, slot: &Slot) -> Result<DataKey> {
        slot.open(&self.wrapping(&slot.guard)?)
    }

    /// The key that opens slots of this guard.
    pub fn wrapping(&self, guard: &Guard) -> Result<DataKey> {
        match guard {
            Guard::KeyFile { path } => {
                let path = self.places.file(path.as_deref());
                keyfile::read(&path)?.ok_or_else(|| missing(&path, self.places.named.is_some()))
            }
            Guard::Passphrase { salt, memory_kib, passes } => {
                let passphrase = self.ask.passphrase().ok_or_else(|| {
                    Error::new(&codes::VAULT_LOCKED, "the vault is locked by its passphrase")
                        .hint("umcp secret unlock")
                })??;
                slots::derive(&passphrase, salt, *memory_kib, *passes)
            }
            Guard::Command { words } => from_program(words),
        }
    }

    /// Makes the vault with a key file; with `anew` over slots that nothing opens and that hold no secret.
    pub fn begin(&self, anew: bool) -> Result<Arc<DataKey>> {
        let seen = self.look()?;
        if seen.secrets > 0 || !seen.slots.is_empty() && !anew {
            let lost =
                || Error::new(&codes::VAULT_KEY_MISSING, "the vault has secrets and no slot that opens them");
            return self.key()?.ok_or_else(|| lost().hint("restore a backup of the store"));
        }
        let wrapping = match &self.places.named {
            // A path somebody else chose is never written to.
            Some(path) => keyfile::read(path)?.ok_or_else(|| missing(path, true))?,
            None => keyfile::create(&self.places.own)?,
        };
        let key = DataKey::generate();
        let slot = Slot::new(ids::fresh("slot"), Guard::KeyFile { path: None }, &wrapping, &key);
        match self.ask.ask(Request::Begin { slot, anew, at: self.ask.now() }) {
            Ok(_) => Ok(self.keep(key)),
            // Somebody else was first; theirs is the vault.
            Err(error) if error.is(&codes::VAULT_CONFLICT) => self.key()?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Takes over a key that the starter brought, if it is the vault's.
    ///
    /// # Errors
    /// `VAULT_KEY_WRONG`.
    pub fn unlock(&self, key: DataKey) -> Result<()> {
        let print = key.fingerprint();
        if !self.look()?.slots.iter().any(|slot| slot.slot.key == print) {
            return Err(Error::new(&codes::VAULT_KEY_WRONG, "the key is not the one of this vault"));
        }
        self.keep(key);
        Ok(())
    }

    /// Drops the key; the next use looks for it anew.
    pub fn forget(&self) {
        *self.held() = None;
    }

    /// Whether the key is at hand.
    pub fn is_open(&self) -> bool {
        self.held().is_some()
    }

    fn keep(&self, key: DataKey) -> Arc<DataKey> {
        let key = Arc::new(key);
        *self.held() = Some(key.clone());
        key
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Arc<DataKey>>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(path: &Path, named: bool) -> Error {
    let error =
        Error::new(&codes::VAULT_KEY_MISSING, format!("the key file `{}` is missing", path.display()));
    match named {
        true => error.hint(format!("`{KEY_FILE_VARIABLE}` names it; umcp makes no key there by itself")),
        false => error
            .hint("put it back from a backup, or name another place in `UMCP_KEY_FILE`")
            .hint("if it is lost for good: `umcp secret delete` the secrets, then `umcp secret backend set key-file`"),
    }
}

/// The key that a program prints.
fn from_program(words: &[String]) -> Result<DataKey> {
    let text = program::run(words, program::DEADLINE)
        .map_err(|error| Error { code: &codes::VAULT_KEY_MISSING, ..error })?;
    keyfile::parse(text.reveal()).ok_or_else(|| {
        let program = words.first().map_or("", String::as_str);
        Error::new(&codes::VAULT_KEY_MISSING, format!("what `{program}` printed is no key"))
    })
}

fn odd<T>(reply: &secrets::Reply) -> Result<T> {
    Err(Error::bug(format!("an unexpected reply: {reply:?}").chars().take(200).collect::<String>()))
}

#[cfg(test)]
mod tests;
