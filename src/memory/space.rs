//! Namespaces: what each holds and which agent may read or write in it; and the counter that numbers memories.
//! Rule: an agent has what it was granted, else what the namespace gives to everybody; the owner may do everything.

use super::model::{DEFAULT, Who, check_namespace, check_word};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const SPACES: Table<Space> = Table::new(tables::MEMORY_SPACES);
/// Where the head stands; no namespace has this name.
const HEAD: &str = "";

/// What an agent may do in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    None,
    Read,
    Write,
}

impl Permission {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub name: String,
    pub description: String,
    /// The agent that may always write there.
    pub owner: Option<String>,
    /// What agents may do that were granted nothing.
    pub everybody: Permission,
    pub grants: BTreeMap<String, Permission>,
    pub created: Timestamp,
    /// Memories that are found by searches, and the words in them.
    pub indexed: u32,
    pub words: u64,
}

/// What concerns all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last memory that was ever stored.
    pub last: u32,
    /// The number of the last change that can be taken back.
    pub last_change: u32,
    pub consolidated: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Space {
    Head(Head),
    Namespace(Namespace),
}

impl Row for Space {
    const KIND: u8 = 103;
    const VERSION: u16 = 1;
}

impl Namespace {
    fn new(name: &str, owner: Option<String>, now: Timestamp) -> Self {
        let everybody = if owner.is_some() { Permission::None } else { Permission::Write };
        let (name, description, grants) = (name.into(), String::new(), BTreeMap::new());
        Self { name, description, owner, everybody, grants, created: now, indexed: 0, words: 0 }
    }

    /// What `who` may do here.
    pub fn permission(&self, who: &Who) -> Permission {
        match &who.agent {
            None => Permission::Write,
            Some(agent) if self.owner.as_ref() == Some(agent) => Permission::Write,
            Some(agent) => self.grants.get(agent).copied().unwrap_or(self.everybody),
        }
    }
}

pub fn head(tx: &Reader) -> Result<Head> {
    Ok(match tx.get(&SPACES, HEAD)? {
        Some(Space::Head(head)) => head,
        _ => Head::default(),
    })
}

pub fn put_head(tx: &mut Writer, head: Head) -> Result<()> {
    tx.put(&SPACES, HEAD, &Space::Head(head))
}

/// All namespaces by name.
pub fn all(tx: &Reader) -> Result<Vec<Namespace>> {
    let spaces = tx.all(&SPACES)?.into_iter();
    Ok(spaces
        .filter_map(|(_, space)| match space {
            Space::Namespace(namespace) => Some(namespace),
            Space::Head(_) => None,
        })
        .collect())
}

pub fn get(tx: &Reader, name: &str) -> Result<Option<Namespace>> {
    Ok(match tx.get(&SPACES, name)? {
        Some(Space::Namespace(namespace)) => Some(namespace),
        _ => None,
    })
}

pub fn put(tx: &mut Writer, namespace: Namespace) -> Result<()> {
    let name = namespace.name.clone();
    tx.put(&SPACES, &name, &Space::Namespace(namespace))
}

pub fn remove(tx: &mut Writer, name: &str) -> Result<()> {
    tx.remove(&SPACES, name).map(drop)
}

/// A namespace that is there.
///
/// # Errors
/// `NAMESPACE_NOT_FOUND` with the nearest name.
pub fn find(tx: &Reader, name: &str) -> Result<Namespace> {
    if let Some(namespace) = get(tx, name)? {
        return Ok(namespace);
    }
    let names: Vec<String> = all(tx)?.into_iter().map(|namespace| namespace.name).collect();
    let error = Error::new(&codes::NAMESPACE_NOT_FOUND, format!("no namespace named `{name}`"));
    Err(match crate::documents::near(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("umcp memory namespace list"),
    })
}

/// The namespaces `who` may read, or the one that is named.
///
/// # Errors
/// `NAMESPACE_NOT_FOUND` and `MEMORY_DENIED` for one that is named.
pub fn readable(tx: &Reader, who: &Who, named: Option<&str>) -> Result<Vec<Namespace>> {
    match named {
        None => Ok(all(tx)?.into_iter().filter(|space| space.permission(who) >= Permission::Read).collect()),
        Some(name) => {
            let namespace = match get(tx, name)? {
                // Nothing was stored there yet, which is no mistake.
                None if name == DEFAULT || name == who.own_namespace() => return Ok(Vec::new()),
                None => find(tx, name)?,
                Some(namespace) => namespace,
            };
            demand(&namespace, who, Permission::Read)?;
            Ok(vec![namespace])
        }
    }
}

/// The namespace a memory is stored in; one that is not there yet comes to be.
///
/// # Errors
/// `MEMORY_DENIED`; `NAME_INVALID`.
pub fn writable(tx: &mut Writer, who: &Who, name: &str, now: Timestamp) -> Result<Namespace> {
    if let Some(namespace) = get(tx, name)? {
        demand(&namespace, who, Permission::Write)?;
        return Ok(namespace);
    }
    check_namespace(name)?;
    let owner = match name.strip_prefix("agent/") {
        // The owner of umcp may fill the namespace of an agent before that agent does.
        Some(agent) if who.agent.is_none() => Some(agent.to_string()),
        Some(_) if name == who.own_namespace() => who.agent.clone(),
        Some(_) => return Err(denied(name, who, Permission::Write)),
        None => None,
    };
    let namespace = Namespace::new(name, owner, now);
    put(tx, namespace.clone())?;
    Ok(namespace)
}

/// Refuses `who` without this permission.
pub fn demand(namespace: &Namespace, who: &Who, permission: Permission) -> Result<()> {
    match namespace.permission(who) >= permission {
        true => Ok(()),
        false => Err(denied(&namespace.name, who, permission)),
    }
}

fn denied(name: &str, who: &Who, permission: Permission) -> Error {
    let (agent, word) = (who.label(), permission.word());
    Error::new(&codes::MEMORY_DENIED, format!("the agent `{agent}` may not {word} in the namespace `{name}`"))
        .hint(format!("umcp memory grant '{agent}' --namespace {name} --permission {word}"))
}

/// Creates a namespace or changes one; what is `None` stays.
pub fn set(
    tx: &mut Writer,
    name: &str,
    description: Option<String>,
    everybody: Option<Permission>,
    create: bool,
    now: Timestamp,
) -> Result<Namespace> {
    check_namespace(name)?;
    let mut namespace = match (get(tx, name)?, create) {
        (Some(_), true) => {
            return Err(Error::new(
                &codes::NAMESPACE_EXISTS,
                format!("a namespace named `{name}` exists already"),
            )
            .hint(format!("umcp memory namespace update {name}")));
        }
        (Some(namespace), false) => namespace,
        (None, true) => Namespace::new(name, name.strip_prefix("agent/").map(Into::into), now),
        (None, false) => find(tx, name)?,
    };
    if let Some(description) = description {
        if description.len() > 1000 {
            return Err(Error::new(&codes::VALUE_INVALID, "a description has at most 1000 bytes"));
        }
        namespace.description = description;
    }
    namespace.everybody = everybody.unwrap_or(namespace.everybody);
    put(tx, namespace.clone())?;
    Ok(namespace)
}

/// Gives `agent` this permission, or with `None` what everybody has.
pub fn grant(
    tx: &mut Writer,
    name: &str,
    agent: &str,
    permission: Option<Permission>,
    now: Timestamp,
) -> Result<Namespace> {
    check_word("name of an agent", agent)?;
    let mut namespace = match (get(tx, name)?, permission) {
        (Some(namespace), _) => namespace,
        // A grant may come before the first memory.
        (None, Some(_)) => set(tx, name, None, None, true, now)?,
        (None, None) => find(tx, name)?,
    };
    match permission {
        Some(permission) => drop(namespace.grants.insert(agent.into(), permission)),
        None if namespace.grants.remove(agent).is_none() => {
            let message = format!("the agent `{agent}` was granted nothing in the namespace `{name}`");
            return Err(Error::new(&codes::NAMESPACE_NOT_FOUND, message).hint("umcp memory namespace list"));
        }
        None => {}
    }
    put(tx, namespace.clone())?;
    Ok(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_what_it_was_granted_else_what_everybody_has() {
        let who = |agent: Option<&str>| Who { agent: agent.map(Into::into), session: None };
        let mut namespace = Namespace::new("team", Some("a".into()), Timestamp(0));
        namespace.grants = [("b".to_string(), Permission::Read)].into();
        for (agent, everybody, expected) in [
            (None, Permission::None, Permission::Write),
            (Some("a"), Permission::None, Permission::Write),
            (Some("b"), Permission::Write, Permission::Read),
            (Some("c"), Permission::None, Permission::None),
            (Some("c"), Permission::Read, Permission::Read),
        ] {
            namespace.everybody = everybody;
            assert_eq!(namespace.permission(&who(agent)), expected, "{agent:?} {everybody:?}");
        }
    }
}
