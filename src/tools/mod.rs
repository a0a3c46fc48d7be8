//! The noun `tool`: what every server offers (its catalogue), and what the user decided about single tools.
//! Catalogues are stored, so that lists never start a server.

pub mod arguments;
pub mod export;
pub mod lint;
pub mod model;
pub mod pins;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
pub use model::{Catalogue, Era, Preference, Tool};
pub use pins::{Held, Pins};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keyed by server id.
const CATALOGUES: Table<Catalogue> = Table::new(tables::CATALOGUES);
/// Keyed by `server id/tool`.
const PREFERENCES: Table<Preference> = Table::new(tables::TOOL_PREFERENCES);

impl Row for Catalogue {
    const KIND: u8 = 2;
    const VERSION: u16 = 1;
}

impl Row for Preference {
    const KIND: u8 = 3;
    const VERSION: u16 = 1;
}

/// What can be asked about tools. `server` is always the id of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Catalogues,
    Catalogue {
        server: String,
    },
    /// Keeps what servers offer, each with its id.
    PutCatalogues(Vec<(String, Box<Catalogue>)>),
    /// Forgets catalogues, so that the next list asks the servers again. Empty means all.
    Forget {
        servers: Vec<String>,
    },
    Preferences,
    /// Definitions as they were first seen or accepted.
    Pins,
    /// Accepts the definition a tool has now.
    Accept {
        server: String,
        tool: String,
    },
    /// Approves a server as it is now; `None` takes its approval back.
    Approve {
        server: String,
        fingerprint: Option<String>,
        at: Timestamp,
    },
    Enable {
        server: String,
        tool: String,
        enabled: bool,
    },
    /// `None` takes the alias away.
    Alias {
        server: String,
        tool: String,
        alias: Option<String>,
    },
    /// Equal calls within `ttl_ms` are answered from a cache; `None` switches that off again.
    Cache {
        server: String,
        tool: String,
        ttl_ms: Option<u64>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// By server id.
    Catalogues(BTreeMap<String, Catalogue>),
    Catalogue(Option<Box<Catalogue>>),
    /// By server id, then tool.
    Preferences(BTreeMap<String, BTreeMap<String, Preference>>),
    /// By server id.
    Pins(BTreeMap<String, Pins>),
    Done,
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Catalogues | Self::Catalogue { .. } | Self::Preferences | Self::Pins)
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Catalogues => Ok(Reply::Catalogues(tx.all(&CATALOGUES)?.into_iter().collect())),
        Request::Catalogue { server } => Ok(Reply::Catalogue(tx.get(&CATALOGUES, server)?.map(Box::new))),
        Request::Pins => Ok(Reply::Pins(pins::all(tx)?)),
        Request::Preferences => {
            let mut preferences: BTreeMap<String, BTreeMap<String, Preference>> = BTreeMap::new();
            for (key, preference) in tx.all(&PREFERENCES)? {
                if let Some((server, tool)) = key.split_once('/') {
                    preferences.entry(server.into()).or_default().insert(tool.into(), preference);
                }
            }
            Ok(Reply::Preferences(preferences))
        }
        _ => Err(Error::bug("a write was handed to `tools::read`")),
    }
}

/// Keeps what a server offers. One that was removed while it was asked is left out; so is a listing that was under way
/// when the entry changed, which must not replace that of the new one.
fn put_catalogue(tx: &mut Writer, server: &str, catalogue: &Catalogue) -> Result<()> {
    if !tx.contains(&tables::SERVERS, server)? {
        return Ok(());
    }
    let known = tx.get(&CATALOGUES, server)?;
    if known.as_ref().is_none_or(|known| known.entry_revision <= catalogue.entry_revision) {
        // What was stored before there were pins was seen first.
        if let Some(known) = &known {
            pins::notice(tx, server, known)?;
        }
        pins::notice(tx, server, catalogue)?;
        tx.put(&CATALOGUES, server, catalogue)?;
    }
    Ok(())
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::PutCatalogues(catalogues) => {
            for (server, catalogue) in &catalogues {
                put_catalogue(tx, server, catalogue)?;
            }
        }
        Request::Accept { server, tool } => {
            let catalogue = tx.get(&CATALOGUES, &server)?;
            pins::accept(tx, &server, &tool, catalogue.as_ref())?;
        }
        Request::Approve { server, fingerprint: Some(fingerprint), at } => {
            let catalogue = tx.get(&CATALOGUES, &server)?;
            pins::approve(tx, &server, catalogue.as_ref(), fingerprint, at)?;
        }
        Request::Approve { server, fingerprint: None, .. } => pins::disapprove(tx, &server)?,
        Request::Forget { servers } => {
            let keys = tx.all(&CATALOGUES)?.into_iter().map(|(key, _)| key);
            for key in keys.filter(|key| servers.is_empty() || servers.contains(key)).collect::<Vec<_>>() {
                tx.remove(&CATALOGUES, &key)?;
            }
        }
        Request::Enable { server, tool, enabled } => change(tx, &server, &tool, |it| it.disabled = !enabled)?,
        Request::Alias { server, tool, alias } => {
            if let Some(alias) = &alias {
                check_alias(alias)?;
                refuse_taken(tx, alias, &format!("{server}/{tool}"))?;
            }
            change(tx, &server, &tool, |it| it.alias = alias)?;
        }
        Request::Cache { server, tool, ttl_ms } => change(tx, &server, &tool, |it| it.cache_ms = ttl_ms)?,
        Request::Catalogues | Request::Catalogue { .. } | Request::Preferences | Request::Pins => {
            return read(tx, &request);
        }
    }
    Ok(Reply::Done)
}

/// A server became another version: what it offered is forgotten, and `tools` are its definitions from now on. An
/// approval moves on to them and to the entry of that fingerprint.
pub fn renew(
    tx: &mut Writer,
    server: &str,
    tools: Option<&BTreeMap<String, String>>,
    fingerprint: String,
    at: Timestamp,
) -> Result<()> {
    tx.remove(&CATALOGUES, server)?;
    pins::renew(tx, server, tools, fingerprint, at)
}

/// Removes everything about one server; called when the server itself goes.
pub fn forget_server(tx: &mut Writer, server: &str) -> Result<()> {
    tx.remove(&CATALOGUES, server)?;
    pins::forget(tx, server)?;
    for (key, _) in tx.prefix(&PREFERENCES, &format!("{server}/"))? {
        tx.remove(&PREFERENCES, &key)?;
    }
    Ok(())
}

/// What is said of a server that is gone would stay for ever: nothing removes it any more.
fn refuse_unknown(tx: &Reader, server: &str) -> Result<()> {
    match tx.contains(&tables::SERVERS, server)? {
        true => Ok(()),
        false => {
            Err(Error::new(&codes::SERVER_NOT_FOUND, format!("the server with the id `{server}` is gone")))
        }
    }
}

fn change(tx: &mut Writer, server: &str, tool: &str, edit: impl FnOnce(&mut Preference)) -> Result<()> {
    refuse_unknown(tx, server)?;
    let key = format!("{server}/{tool}");
    let mut preference = tx.get(&PREFERENCES, &key)?.unwrap_or_default();
    edit(&mut preference);
    if preference == Preference::default() {
        tx.remove(&PREFERENCES, &key)?;
        return Ok(());
    }
    tx.put(&PREFERENCES, &key, &preference)
}

fn refuse_taken(tx: &Reader, alias: &str, key: &str) -> Result<()> {
    let taken = |(other, preference): &(String, Preference)| {
        other != key && preference.alias.as_deref() == Some(alias)
    };
    match tx.all(&PREFERENCES)?.iter().find(|entry| taken(entry)) {
        Some((other, _)) => {
            let tool = other.split_once('/').map_or(other.as_str(), |(_, tool)| tool);
            Err(Error::new(
                &codes::ALIAS_TAKEN,
                format!("another tool, `{tool}`, is called `{alias}` already"),
            )
            .hint("take its alias away first: umcp tool alias TOOL --remove"))
        }
        None => Ok(()),
    }
}

fn check_alias(alias: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if alias.is_empty() || alias.len() > 50 || !alias.chars().all(good) || alias.starts_with("umcp__") {
        return Err(Error::new(&codes::VALUE_INVALID, format!("`{alias}` cannot be the name of a tool"))
            .hint("use 1 to 50 letters, digits, `-` and `_`, not starting with `umcp__`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    /// A store with the server `s`; of its row only the key is looked at here.
    fn with_server() -> Store {
        let servers: Table<Preference> = Table::new(tables::SERVERS);
        let store = Store::memory();
        store.write(|tx| tx.put(&servers, "s", &Preference::default())).unwrap();
        store
    }

    fn empty() -> Catalogue {
        Catalogue {
            era: Era::Legacy,
            revision: String::new(),
            transport: None,
            server_info: "{}".into(),
            capabilities: "{}".into(),
            instructions: None,
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            warnings: Vec::new(),
            fetched: crate::clock::Timestamp(0),
            entry_revision: 0,
        }
    }

    #[test]
    fn a_catalogue_is_kept_for_a_known_server_and_never_replaced_by_an_older_one() {
        let store = with_server();
        let put = |server: &str, entry_revision: u64| {
            let catalogue = Box::new(Catalogue { entry_revision, ..empty() });
            store.write(|tx| write(tx, Request::PutCatalogues(vec![(server.into(), catalogue)])))
        };
        put("gone", 1).unwrap();
        assert!(store.read(|tx| tx.all(&CATALOGUES)).unwrap().is_empty());
        let request = Request::Enable { server: "gone".into(), tool: "t".into(), enabled: false };
        assert!(store.write(|tx| write(tx, request)).unwrap_err().is(&codes::SERVER_NOT_FOUND));
        for (revision, kept) in [(2, 2), (1, 2), (2, 2), (3, 3)] {
            put("s", revision).unwrap();
            let all = store.read(|tx| tx.all(&CATALOGUES)).unwrap();
            let kept_now: Vec<_> = all.iter().map(|(key, it)| (key.as_str(), it.entry_revision)).collect();
            assert_eq!(kept_now, [("s", kept)]);
        }
    }

    #[test]
    fn preferences_come_and_go() {
        let store = with_server();
        let run = |request| store.write(|tx| write(tx, request)).unwrap();
        let (server, tool) = (String::from("s"), String::from("t"));
        run(Request::Enable { server: server.clone(), tool: tool.clone(), enabled: false });
        run(Request::Alias { server: server.clone(), tool: tool.clone(), alias: Some("x".into()) });
        let Reply::Preferences(all) = store.read(|tx| read(tx, &Request::Preferences)).unwrap() else {
            panic!()
        };
        assert_eq!(
            all["s"]["t"],
            Preference { disabled: true, alias: Some("x".into()), ..Preference::default() }
        );
        run(Request::Enable { server: server.clone(), tool: tool.clone(), enabled: true });
        run(Request::Alias { server, tool, alias: None });
        let Reply::Preferences(all) = store.read(|tx| read(tx, &Request::Preferences)).unwrap() else {
            panic!()
        };
        assert!(all.is_empty());
    }
}
