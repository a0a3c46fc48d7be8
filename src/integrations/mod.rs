//! The nouns `integration` and `connection`: how one signs in somewhere, and the accounts that did.
//! They are stored together since a connection makes no sense without what it is for. No secret stands in a row:
//! those lie in the vault, under the names of `model.rs`.

pub mod choose;
pub mod document;
pub mod life;
pub mod model;
pub mod oauth1;
pub mod providers;

use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
pub use model::{Connection, Integration, Target};
use serde::{Deserialize, Serialize};

const INTEGRATIONS: Table<Integration> = Table::new(tables::INTEGRATIONS);
const CONNECTIONS: Table<Connection> = Table::new(tables::CONNECTIONS);

impl Row for Integration {
    const KIND: u8 = 50;
    const VERSION: u16 = 1;
}

impl Row for Connection {
    const KIND: u8 = 51;
    const VERSION: u16 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Integrations,
    Integration {
        name: String,
    },
    Create {
        integration: Box<Integration>,
    },
    /// Replaces an integration of the same id.
    Configure {
        integration: Box<Integration>,
    },
    /// Refused while a connection stands on it.
    Delete {
        name: String,
    },
    Connections,
    Connection {
        name: String,
    },
    /// Adds a connection, or replaces one of the same id.
    Put {
        connection: Box<Connection>,
    },
    /// Makes it the one that is used where nothing else is chosen, or for these profiles and directories.
    Use {
        name: String,
        profiles: Vec<String>,
        directories: Vec<String>,
    },
    /// Forgets connections; what the vault holds is the business of whoever asks.
    Forget {
        names: Vec<String>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Integrations(Vec<Integration>),
    Integration(Box<Integration>),
    Connections(Vec<Connection>),
    Connection(Box<Connection>),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Integrations | Self::Integration { .. } | Self::Connections | Self::Connection { .. }
        )
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Integrations => Ok(Reply::Integrations(integrations(tx)?)),
        Request::Integration { name } => Ok(Reply::Integration(Box::new(integration(tx, name)?))),
        Request::Connections => Ok(Reply::Connections(connections(tx)?)),
        Request::Connection { name } => Ok(Reply::Connection(Box::new(connection(tx, name)?))),
        _ => Err(Error::bug("a write was handed to `integrations::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Create { integration } => {
            integration.check()?;
            if integrations(tx)?.iter().any(|other| other.name == integration.name) {
                return Err(taken("integration", &integration.name)
                    .hint(format!("umcp integration configure {}", integration.name)));
            }
            put_integration(tx, integration)
        }
        Request::Configure { integration } => {
            integration.check()?;
            self::integration(tx, &integration.id)?;
            put_integration(tx, integration)
        }
        Request::Delete { name } => delete(tx, &name),
        Request::Put { connection } => put(tx, connection),
        Request::Use { name, profiles, directories } => choose_account(tx, &name, &profiles, &directories),
        Request::Forget { names } => {
            let gone = names.iter().map(|name| connection(tx, name)).collect::<Result<Vec<_>>>()?;
            for connection in &gone {
                tx.remove(&CONNECTIONS, &connection.id)?;
            }
            Ok(Reply::Connections(gone))
        }
        other => read(tx, &other),
    }
}

fn put_integration(tx: &mut Writer, integration: Box<Integration>) -> Result<Reply> {
    tx.put(&INTEGRATIONS, &integration.id.clone(), &integration)?;
    Ok(Reply::Integration(integration))
}

fn delete(tx: &mut Writer, name: &str) -> Result<Reply> {
    let integration = integration(tx, name)?;
    let target = Target::Integration(integration.id.clone());
    let used: Vec<String> = connections(tx)?
        .into_iter()
        .filter(|connection| connection.target == target)
        .map(|connection| connection.name)
        .collect();
    if !used.is_empty() {
        let message = format!("integration `{name}` is used by {}", used.join(", "));
        return Err(Error::new(&codes::INTEGRATION_IN_USE, message)
            .hint(format!("umcp connection revoke {}", used.join(" "))));
    }
    tx.remove(&INTEGRATIONS, &integration.id)?;
    Ok(Reply::Integration(Box::new(integration)))
}

fn put(tx: &mut Writer, connection: Box<Connection>) -> Result<Reply> {
    model::check_name(&connection.name)?;
    let others = connections(tx)?;
    if others.iter().any(|other| other.name == connection.name && other.id != connection.id) {
        return Err(taken("connection", &connection.name));
    }
    tx.put(&CONNECTIONS, &connection.id.clone(), &connection)?;
    Ok(Reply::Connection(connection))
}

/// A profile or directory belongs to one account of a target; the default as well.
fn choose_account(tx: &mut Writer, name: &str, profiles: &[String], directories: &[String]) -> Result<Reply> {
    let mut mine = connection(tx, name)?;
    let as_default = profiles.is_empty() && directories.is_empty();
    for mut other in connections(tx)? {
        if other.target != mine.target || other.id == mine.id {
            continue;
        }
        let before = other.clone();
        other.chosen &= !as_default;
        other.profiles.retain(|profile| !profiles.contains(profile));
        other.directories.retain(|directory| !directories.contains(directory));
        if other != before {
            tx.put(&CONNECTIONS, &other.id.clone(), &other)?;
        }
    }
    mine.chosen |= as_default;
    let add = |list: &mut Vec<String>, new: &[String]| {
        new.iter().for_each(|one| {
            if !list.contains(one) {
                list.push(one.clone())
            }
        });
    };
    add(&mut mine.profiles, profiles);
    add(&mut mine.directories, directories);
    tx.put(&CONNECTIONS, &mine.id.clone(), &mine)?;
    Ok(Reply::Connection(Box::new(mine)))
}

/// Forgets the accounts of a server that is removed; gives the names of what the vault holds of them.
pub fn forget_server(tx: &mut Writer, server: &str) -> Result<Vec<String>> {
    let target = Target::Server(server.into());
    let mut held = Vec::new();
    for connection in connections(tx)?.into_iter().filter(|connection| connection.target == target) {
        tx.remove(&CONNECTIONS, &connection.id)?;
        held.push(connection.secret_name());
    }
    Ok(held)
}

/// All integrations, by name.
pub fn integrations(tx: &Reader) -> Result<Vec<Integration>> {
    let mut all: Vec<Integration> = tx.all(&INTEGRATIONS)?.into_iter().map(|(_, row)| row).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// All connections, by name.
pub fn connections(tx: &Reader) -> Result<Vec<Connection>> {
    let mut all: Vec<Connection> = tx.all(&CONNECTIONS)?.into_iter().map(|(_, row)| row).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn integration(tx: &Reader, name: &str) -> Result<Integration> {
    let found = integrations(tx)?.into_iter().find(|one| one.name == name || one.id == name);
    found.ok_or_else(|| {
        let error = Error::new(&codes::INTEGRATION_NOT_FOUND, format!("no integration named `{name}`"));
        match providers::find(name) {
            Some(_) => error.hint(format!("umcp integration create {name} --client-id ID")),
            None => error.hint("umcp integration list").hint("umcp integration providers"),
        }
    })
}

fn connection(tx: &Reader, name: &str) -> Result<Connection> {
    let found = connections(tx)?.into_iter().find(|one| one.name == name || one.id == name);
    found.ok_or_else(|| not_found(name))
}

/// "No connection named …".
pub fn not_found(name: &str) -> Error {
    Error::new(&codes::CONNECTION_NOT_FOUND, format!("no connection named `{name}`"))
        .hint("umcp connection list")
}

fn taken(what: &str, name: &str) -> Error {
    let message =
        format!("{} {what} named `{name}` exists already", if what == "integration" { "an" } else { "a" });
    Error::new(&codes::CONNECTION_EXISTS, message)
}

#[cfg(test)]
mod tests {
    use super::life::tests::connection as fresh;
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::Store;
    use model::Kind;

    #[test]
    fn accounts_are_kept_chosen_and_forgotten() {
        let store = Store::memory();
        let run = |request| store.write(|tx| write(tx, request));
        let integration = Integration::new("int_1".into(), "github", Kind::Oauth2, Timestamp(0));
        run(Request::Create { integration: Box::new(integration.clone()) }).unwrap();
        let again = Integration { id: "int_2".into(), ..integration };
        assert!(
            run(Request::Create { integration: Box::new(again) }).unwrap_err().is(&codes::CONNECTION_EXISTS)
        );
        for name in ["work", "home"] {
            run(Request::Put { connection: Box::new(fresh(name)) }).unwrap();
        }
        let twin = Connection { id: "con_x".into(), ..fresh("home") };
        assert!(run(Request::Put { connection: Box::new(twin) }).unwrap_err().is(&codes::CONNECTION_EXISTS));
        let choose = |name: &str, profiles: &[&str]| {
            let profiles = profiles.iter().map(ToString::to_string).collect();
            run(Request::Use { name: name.into(), profiles, directories: vec![] }).unwrap()
        };
        choose("work", &[]);
        choose("home", &[]);
        choose("work", &["office"]);
        choose("home", &["office"]);
        let all = store.read(connections).unwrap();
        let seen: Vec<_> =
            all.iter().map(|one| (one.name.as_str(), one.chosen, one.profiles.len())).collect();
        assert_eq!(seen, [("home", true, 1), ("work", false, 0)]);
        let refused = run(Request::Delete { name: "github".into() }).unwrap_err();
        assert_eq!(refused.hints, ["umcp connection revoke home work"]);
        run(Request::Forget { names: vec!["home".into(), "con_work".into()] }).unwrap();
        run(Request::Delete { name: "github".into() }).unwrap();
        assert!(store.read(integrations).unwrap().is_empty());
        let unknown = store.read(|tx| super::integration(tx, "google")).unwrap_err();
        assert_eq!(unknown.hints, ["umcp integration create google --client-id ID"]);
    }
}
