//! Where the values of entries come from in the running world, and what happens when a secret changes.
//! How a text is read is decided by `values.rs`. Rule: whatever is handed out is known to the logs from then on.

use super::oauth::{Chosen, REFERENCE};
use super::{Shared, Upstream, World, put, read, values};
use crate::engine::live::VaultKey;
use crate::error::{Error, Result, codes};
use crate::sealing::{Secret, program};
use crate::secrets::dotenv;
use crate::servers::references;
use serde_json::{Map, Value};
use std::sync::Arc;

impl Shared {
    /// Resolves the references in an argument, a path or an address of a server's entry. May block.
    pub fn resolve(&self, text: &str, place: &str) -> Result<String> {
        values::resolve(text, place, false, self)
    }

    /// Resolves the value of a variable or a header, which may also be `env://`, `file://`, `cmd://` or
    /// `connection://` as a whole. May block.
    pub fn resolve_value(&self, text: &str, place: &str) -> Result<String> {
        self.resolve_for(text, place, &None)
    }

    /// The same over a connection that speaks for these accounts.
    pub fn resolve_for(&self, text: &str, place: &str, chosen: &Chosen) -> Result<String> {
        if let Some(name) = text.strip_prefix(REFERENCE) {
            return self.accounts.token_for_good(name, chosen);
        }
        values::resolve(text, place, true, self)
    }

    /// Runs beside the runtime what resolves the values of a server. Where that `waits` for a program or a file it has a thread
    /// of its own, so that one which hangs takes none from the others.
    pub(in crate::upstream) async fn beside<T: Send + 'static>(
        &self,
        server: &str,
        waits: bool,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if waits {
            return self.asking.aside(server, work).await?;
        }
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::bug("resolving a server's values did not end").because(error))?
    }

    /// Seals a few values under one of umcp's own names. Blocks, and is durable when it returns.
    pub fn keep_values(&self, name: &str, values: &Map<String, Value>) -> Result<()> {
        self.know_values(values);
        self.vault.set(name, &Secret::new(Value::Object(values.clone()).to_string()))
    }

    /// What was sealed so; `None` when there is nothing. Blocks.
    pub fn kept_values(&self, name: &str) -> Result<Option<Map<String, Value>>> {
        let Some(text) = self.vault.get(name)? else { return Ok(None) };
        let values = serde_json::from_str(text.reveal())
            .map_err(|error| Error::bug("sealed values are no JSON").because(error))?;
        self.know_values(&values);
        Ok(Some(values))
    }

    /// Deletes what was sealed so. Blocks.
    pub fn drop_values(&self, name: &str) -> Result<()> {
        self.vault.delete(name).map(drop)
    }

    fn know_values(&self, values: &Map<String, Value>) {
        values.values().filter_map(Value::as_str).for_each(|text| self.known.add(&Secret::new(text)));
    }

    fn remember(&self, secret: Secret) -> Secret {
        self.known.add(&secret);
        secret
    }
}

/// A secret comes from the vault, else from a variable of its name, else from the file of secrets.
impl values::Sources for Shared {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret(&self, name: &str) -> Result<Option<Secret>> {
        if let Some(secret) = self.vault.get(name)? {
            return Ok(Some(self.remember(secret)));
        }
        let file = self.paths.secrets_file();
        let from_file = || {
            let pairs = dotenv::read(&std::fs::read_to_string(&file).ok()?).pairs;
            pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
        };
        let found = std::env::var(name).ok().map(Secret::new).or_else(from_file);
        Ok(found.map(|value| self.remember(value)))
    }

    fn file(&self, path: &str) -> Result<Secret> {
        program::file(&values::place(path, &self.paths.home)).map(|secret| self.remember(secret))
    }

    fn command(&self, words: &[String]) -> Result<Secret> {
        program::run(words, program::DEADLINE).map(|secret| self.remember(secret))
    }
}

impl World {
    /// Takes over the vault's key, or drops it. What failed for want of it is tried again at the next use.
    pub fn hold_key(&self, key: Option<&VaultKey>) -> Result<()> {
        let Some(key) = key else {
            self.shared.vault.forget();
            return Ok(());
        };
        let key = key.open().ok_or_else(|| Error::new(&codes::VAULT_KEY_WRONG, "that is no key"))?;
        self.shared.vault.unlock(key)?;
        self.renew(&[])
    }

    /// Servers that use one of these secrets end, and start with its value of now at their next use. Nothing that
    /// clients list changes by it.
    pub(super) fn renew(&self, names: &[String]) -> Result<()> {
        let old = read(&self.upstreams);
        let uses = |upstream: &Upstream| {
            let used = references::secrets(&upstream.entry);
            !used.is_empty() && (names.is_empty() || used.iter().any(|name| names.contains(name)))
        };
        let mut new = (*old).clone();
        for (id, upstream) in old.iter().filter(|(_, upstream)| uses(upstream)) {
            new.insert(id.clone(), upstream.anew());
        }
        put(&self.upstreams, Arc::new(new));
        for (_, upstream) in old.iter().filter(|(_, upstream)| uses(upstream)) {
            upstream.retire();
        }
        self.touch();
        Ok(())
    }
}
