//! What is stored, asked and answered about secrets. Values appear sealed only, and `Debug` shows their length.

use crate::clock::Timestamp;
use crate::sealing::Slot;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A sealed value, and the key it was sealed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Fingerprint of the data key.
    pub key: String,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed({} bytes)", self.bytes.len())
    }
}

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub name: String,
    pub value: Sealed,
    pub created: Timestamp,
    /// When it last got another value.
    pub changed: Timestamp,
}

impl Stored {
    pub fn info(&self) -> Info {
        Info { name: self.name.clone(), created: self.created, changed: self.changed }
    }
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    pub name: String,
    pub created: Timestamp,
    pub changed: Timestamp,
}

/// A slot of the vault as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlot {
    pub slot: Slot,
    pub created: Timestamp,
}

/// The vault without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    pub slots: Vec<KeySlot>,
    /// All secrets, umcp's own too.
    pub secrets: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The slots, and how many secrets there are.
    Vault,
    List,
    /// Every secret with its sealed value.
    All,
    Get {
        name: String,
    },
    /// The first slot. Refused where a secret exists; with slots only, `anew` starts over.
    Begin {
        slot: Slot,
        anew: bool,
        at: Timestamp,
    },
    Set {
        name: String,
        value: Sealed,
        /// Without it an existing name is an error.
        replace: bool,
        at: Timestamp,
    },
    Delete {
        names: Vec<String>,
    },
    /// The value is sealed anew, since it opens under its own name only.
    Rename {
        from: String,
        to: String,
        value: Sealed,
        at: Timestamp,
    },
    /// Replaces all slots by others of the same data key.
    Slots {
        slots: Vec<Slot>,
        at: Timestamp,
    },
    /// Replaces the data key: every slot and every value at once. `was`: fingerprint of the former key.
    Rekey {
        was: String,
        slots: Vec<Slot>,
        values: Vec<(String, Sealed)>,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Vault(Vault),
    List(Vec<Info>),
    All(Vec<Stored>),
    Secret(Option<Box<Stored>>),
    Info(Info),
    Deleted(Vec<Info>),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Vault | Self::List | Self::All | Self::Get { .. })
    }
    /// Names of the secrets that servers get other values for; `None`: none.
    pub fn changes(&self) -> Option<Vec<String>> {
        let mut names = match self {
            Self::Set { name, .. } => vec![name.clone()],
            Self::Delete { names } => names.clone(),
            Self::Rename { from, to, .. } => vec![from.clone(), to.clone()],
            // The same values under another key; servers go on with what they have.
            _ => Vec::new(),
        };
        // A token that is refreshed while calls run must not end them.
        names.retain(|name| !super::is_internal(name));
        (!names.is_empty()).then_some(names)
    }
}
