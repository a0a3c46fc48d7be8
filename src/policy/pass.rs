//! What a caller over HTTP came with, as policies see it: the name of its key, and roles that its issuer gave it.

use std::fmt;
use std::sync::Arc;

/// The pass of a caller. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pass {
    name: Arc<str>,
    roles: Arc<[String]>,
}

impl Pass {
    /// The pass of a key, with roles beyond those the policy gives to its name.
    pub fn new(name: impl Into<Arc<str>>, roles: Vec<String>) -> Self {
        Self { name: name.into(), roles: roles.into() }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|known| known == role)
    }
}

impl From<&str> for Pass {
    fn from(name: &str) -> Self {
        Self::new(name, Vec::new())
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
