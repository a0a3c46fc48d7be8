//! Where tokens and secrets lie: by name, as text. Nothing else of umcp writes them anywhere.

use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The tokens' place.
#[derive(Default)]
pub struct Keep(Mutex<HashMap<String, String>>);

impl Keep {
    pub fn get(&self, name: &str) -> Result<Option<String>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    /// Durable when it returns.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), value.into());
        Ok(())
    }

    pub fn remove(&self, name: &str) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}
