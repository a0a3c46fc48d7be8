//! The tokens' place in the vault, as text by name. What is in use is hidden wherever it might show by another way.
//! All of it blocks.

use crate::engine::Engine;
use crate::engine::vault::Vault;
use crate::error::Result;
use crate::sealing::Secret;
use crate::upstream::known::Known;
use std::sync::Arc;

pub struct Keep {
    vault: Arc<Vault<Engine>>,
    known: Arc<Known>,
}

impl Keep {
    pub fn new(vault: Arc<Vault<Engine>>, known: Arc<Known>) -> Self {
        Self { vault, known }
    }

    pub fn get(&self, name: &str) -> Result<Option<String>> {
        Ok(self.vault.get(name)?.map(|secret| secret.reveal().to_string()))
    }

    /// Durable when it returns.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.vault.set(name, &Secret::new(value))
    }

    pub fn remove(&self, name: &str) -> Result<()> {
        self.vault.delete(name).map(drop)
    }

    /// From now on `new` shows nowhere; `old` is out of use.
    pub fn hide(&self, old: &str, new: &str) {
        self.known.replace(&Secret::new(old), &Secret::new(new));
    }
}
