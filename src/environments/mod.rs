//! The noun `profile`: named sets of servers and tools, and how they are shown to a client.
//! A client without a profile of its own gets `default`, which needs no row and shows everything in full.

mod unmatched;

use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
pub use unmatched::{There, unmatched};

const PROFILES: Table<Profile> = Table::new(tables::PROFILES);

/// The profile of clients that chose none.
pub const DEFAULT: &str = "default";

impl Row for Profile {
    const KIND: u8 = 5;
    const VERSION: u16 = 1;
}

/// How tools are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every tool with its whole definition.
    #[default]
    Full,
    /// Only `find_tools`, `describe_tool` and `call_tool`.
    Search,
    /// The tools used most, and the three of `Search` for the rest.
    Hybrid,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Search => "search",
            Self::Hybrid => "hybrid",
        }
    }
}

/// A named set of servers and tools. Patterns may hold `*`; empty lists mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    pub servers: Vec<String>,
    pub tags: Vec<String>,
    /// `server.tool` patterns.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub mode: Mode,
    /// Clients that get this profile unless they ask for another.
    pub clients: Vec<String>,
    /// Directories below which a client gets this profile.
    pub directories: Vec<String>,
    /// Results above this many bytes are stored and replaced by a head and a handle; 0 never does.
    pub result_limit: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Show { name: String },
    Create { profile: Profile },
    Update { profile: Profile },
    Delete { names: Vec<String> },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Profiles(Vec<Profile>),
    Profile(Box<Profile>),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List | Self::Show { .. })
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => {
            Ok(Reply::Profiles(tx.all(&PROFILES)?.into_iter().map(|(_, profile)| profile).collect()))
        }
        Request::Show { name } => Ok(Reply::Profile(Box::new(find(tx, name)?))),
        _ => Err(Error::bug("a write was handed to `environments::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Create { profile } => {
            crate::environments::check_name(&profile.name)?;
            if tx.get(&PROFILES, &profile.name)?.is_some() {
                let message = format!("a profile named `{}` exists already", profile.name);
                return Err(Error::new(&codes::PROFILE_EXISTS, message)
                    .hint(format!("umcp profile update {}", profile.name)));
            }
            tx.put(&PROFILES, &profile.name, &profile)?;
            Ok(Reply::Profile(Box::new(profile)))
        }
        Request::Update { profile } => {
            if profile.name != DEFAULT {
                find(tx, &profile.name)?;
            }
            tx.put(&PROFILES, &profile.name, &profile)?;
            Ok(Reply::Profile(Box::new(profile)))
        }
        Request::Delete { names } => {
            let mut gone = Vec::new();
            for name in names {
                gone.push(find(tx, &name)?);
                tx.remove(&PROFILES, &name)?;
            }
            Ok(Reply::Profiles(gone))
        }
        Request::List | Request::Show { .. } => read(tx, &request),
    }
}

/// A profile by name. `default` always exists.
pub fn find(tx: &Reader, name: &str) -> Result<Profile> {
    match tx.get(&PROFILES, name)? {
        Some(profile) => Ok(profile),
        None if name == DEFAULT => Ok(Profile { name: DEFAULT.into(), ..Profile::default() }),
        None => Err(Error::new(&codes::PROFILE_NOT_FOUND, format!("no profile named `{name}`"))
            .hint("umcp profile list")),
    }
}

fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(good) {
        return Err(Error::new(&codes::NAME_INVALID, format!("`{name}` cannot be the name of a profile"))
            .hint("use 1 to 40 letters, digits, `-` and `_`"));
    }
    Ok(())
}

/// Chooses the profile of a client: the one it asked for, else one bound to it, else the one with the
/// longest directory above `cwd`, else `default`.
pub fn choose<'a>(
    profiles: &'a [Arc<Profile>],
    asked: Option<&str>,
    client: &str,
    cwd: Option<&str>,
) -> Option<&'a Arc<Profile>> {
    if let Some(asked) = asked {
        return profiles.iter().find(|profile| profile.name == asked);
    }
    let by_client = profiles.iter().find(|profile| profile.clients.iter().any(|bound| bound == client));
    let below = |profile: &&Arc<Profile>| {
        let cwd = std::path::Path::new(cwd?);
        profile.directories.iter().filter(|dir| cwd.starts_with(dir)).map(String::len).max()
    };
    let by_directory = || {
        let found = profiles.iter().filter_map(|profile| below(&profile).map(|length| (length, profile)));
        found.max_by_key(|(length, _)| *length).map(|(_, profile)| profile)
    };
    by_client.or_else(by_directory).or_else(|| profiles.iter().find(|profile| profile.name == DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_chosen_by_name_client_directory_then_default() {
        let profile = |name: &str, clients: &[&str], directories: &[&str]| {
            Arc::new(Profile {
                name: name.into(),
                clients: clients.iter().map(ToString::to_string).collect(),
                directories: directories.iter().map(ToString::to_string).collect(),
                ..Profile::default()
            })
        };
        let profiles = [
            profile("web", &["cursor"], &[]),
            profile("work", &[], &["/a"]),
            profile("deep", &[], &["/a/b"]),
        ];
        let name =
            |asked, client, cwd| choose(&profiles, asked, client, cwd).map(|profile| profile.name.as_str());
        assert_eq!(name(Some("work"), "cursor", None), Some("work"));
        assert_eq!(name(None, "cursor", Some("/a/b")), Some("web"));
        assert_eq!(name(None, "codex", Some("/a/b/c")), Some("deep"));
        assert_eq!(name(None, "codex", Some("/ab")), None);
    }
}
