//! The noun `server`: the user's list of MCP servers, one row each.
//! It knows nothing of running processes; those are the business of `upstream`.

mod fingerprint;
pub mod formats;
pub mod model;
pub mod references;
pub mod spec;
pub mod view;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::glob;
use crate::sandbox::Sandbox;
use crate::store::{Reader, Row, Table, Writer, codec, tables};
pub use model::Server;
use model::check_name;
use serde::{Deserialize, Serialize};

const SERVERS: Table<Server> = Table::new(tables::SERVERS);

impl Row for Server {
    const KIND: u8 = 1;
    const VERSION: u16 = 2;

    fn upgrade(version: u16, payload: &[u8]) -> Result<Self> {
        match version {
            // Before sandboxes: the same fields without the last.
            1 => codec::lengthened(payload, &Sandbox::default()),
            _ => {
                Err(Error::new(&codes::STORE_DAMAGED, format!("a record has the unknown version {version}")))
            }
        }
    }
}

/// What can be asked about servers. Lists of names may hold `*` patterns.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List {
        tag: Option<String>,
    },
    Show {
        name: String,
    },
    /// Adds entries; with `replace` an entry of the same name is overwritten and keeps its id.
    Add {
        servers: Vec<Server>,
        replace: bool,
    },
    /// Writes an entry back, found by its id.
    Update {
        server: Box<Server>,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        names: Vec<String>,
    },
    Enable {
        names: Vec<String>,
        enabled: bool,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Servers(Vec<Server>),
    Server(Box<Server>),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List { .. } | Self::Show { .. })
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List { tag } => Ok(Reply::Servers(
            all(tx)?
                .into_iter()
                .filter(|server| tag.as_ref().is_none_or(|tag| server.tags.contains(tag)))
                .collect(),
        )),
        Request::Show { name } => Ok(Reply::Server(Box::new(find(tx, name)?))),
        _ => Err(Error::bug("a write was handed to `servers::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Add { servers, replace } => add(tx, servers, replace),
        Request::Update { mut server } => {
            server.check()?;
            let old = tx.get(&SERVERS, &server.id)?.ok_or_else(|| not_found(&server.name, &[]))?;
            if old.name != server.name {
                refuse_taken(tx, &server.name)?;
            }
            server.revision = old.revision + 1;
            tx.put(&SERVERS, &server.id.clone(), &server)?;
            Ok(Reply::Server(server))
        }
        Request::Rename { from, to } => {
            check_name(&to)?;
            let mut server = find(tx, &from)?;
            refuse_taken(tx, &to)?;
            server.name = to;
            server.revision += 1;
            tx.put(&SERVERS, &server.id.clone(), &server)?;
            Ok(Reply::Server(Box::new(server)))
        }
        Request::Remove { names } => {
            let servers = select(tx, &names)?;
            for server in &servers {
                tx.remove(&SERVERS, &server.id)?;
            }
            Ok(Reply::Servers(servers))
        }
        Request::Enable { names, enabled } => {
            let mut servers = select(tx, &names)?;
            for server in servers.iter_mut().filter(|server| server.enabled != enabled) {
                server.enabled = enabled;
                server.revision += 1;
                tx.put(&SERVERS, &server.id.clone(), server)?;
            }
            Ok(Reply::Servers(servers))
        }
        Request::List { .. } | Request::Show { .. } => read(tx, &request),
    }
}

fn add(tx: &mut Writer, servers: Vec<Server>, replace: bool) -> Result<Reply> {
    let mut added = Vec::with_capacity(servers.len());
    for mut server in servers {
        server.check()?;
        if let Some(old) = by_name(tx, &server.name)? {
            if !replace {
                return Err(Error::new(
                    &codes::SERVER_EXISTS,
                    format!("a server named `{}` exists already", server.name),
                )
                .hint(format!("umcp server edit {}", server.name))
                .hint("give another name with --name, or --replace"));
            }
            server.id = old.id;
            server.created = old.created;
            server.revision = old.revision + 1;
        }
        tx.put(&SERVERS, &server.id.clone(), &server)?;
        added.push(server);
    }
    Ok(Reply::Servers(added))
}

/// All servers, by name.
pub fn all(tx: &Reader) -> Result<Vec<Server>> {
    let mut servers: Vec<Server> = tx.all(&SERVERS)?.into_iter().map(|(_, server)| server).collect();
    servers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(servers)
}

fn by_name(tx: &Reader, name: &str) -> Result<Option<Server>> {
    tx.find(&SERVERS, |server| server.name == name || server.id == name)
}

/// One server by name or id, or an error that names the nearest ones.
pub fn find(tx: &Reader, name: &str) -> Result<Server> {
    match by_name(tx, name)? {
        Some(server) => Ok(server),
        None => Err(not_found(name, &all(tx)?)),
    }
}

fn select(tx: &Reader, names: &[String]) -> Result<Vec<Server>> {
    // One plain name is what is mostly asked for: the others need not be read for it.
    if let [name] = names
        && !name.contains('*')
    {
        return find(tx, name).map(|server| vec![server]);
    }
    let servers = all(tx)?;
    let mut chosen: Vec<Server> = Vec::new();
    for name in names {
        let before = chosen.len();
        let hit = |server: &&Server| {
            (server.name == *name
                || server.id == *name
                || (name.contains('*') && glob::fits(name, &server.name)))
                && !chosen.iter().any(|other| other.id == server.id)
        };
        let found: Vec<Server> = servers.iter().filter(hit).cloned().collect();
        chosen.extend(found);
        if chosen.len() == before && !chosen.iter().any(|server| server.name == *name) {
            return Err(not_found(name, &servers));
        }
    }
    Ok(chosen)
}

fn refuse_taken(tx: &Reader, name: &str) -> Result<()> {
    match by_name(tx, name)? {
        Some(_) => Err(Error::new(&codes::SERVER_EXISTS, format!("a server named `{name}` exists already"))),
        None => Ok(()),
    }
}

/// "No server named …", with the nearest name as hint.
pub fn not_found(name: &str, servers: &[Server]) -> Error {
    let nearest = servers
        .iter()
        .map(|server| (strsim::damerau_levenshtein(name, &server.name), &server.name))
        .filter(|(distance, candidate)| *distance <= 2 || candidate.starts_with(name))
        .min();
    let error = Error::new(&codes::SERVER_NOT_FOUND, format!("no server named `{name}`"));
    match nearest {
        Some((_, nearest)) => error.hint(format!("did you mean `{nearest}`?")),
        None => error.hint("umcp server list"),
    }
}

/// A fresh entry as `server add` makes it.
pub fn fresh(name: impl Into<String>, transport: model::Transport, now: Timestamp) -> Server {
    Server::new(crate::ids::fresh("srv"), name, transport, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use model::Transport;

    fn server(id: &str, name: &str) -> Server {
        let transport = Transport::Stdio { command: "true".into(), args: vec![] };
        Server::new(id.into(), name, transport, Timestamp::default())
    }

    #[test]
    fn a_server_is_added_renamed_disabled_and_removed() {
        let store = Store::memory();
        let run = |request| store.write(|tx| write(tx, request));
        run(Request::Add { servers: vec![server("a", "git"), server("b", "time")], replace: false }).unwrap();
        let taken = run(Request::Add { servers: vec![server("c", "git")], replace: false }).unwrap_err();
        assert_eq!(taken.code, &codes::SERVER_EXISTS);
        run(Request::Rename { from: "git".into(), to: "vcs".into() }).unwrap();
        run(Request::Enable { names: vec!["*".into()], enabled: false }).unwrap();
        run(Request::Remove { names: vec!["time".into()] }).unwrap();
        let Reply::Servers(left) = store.read(|tx| read(tx, &Request::List { tag: None })).unwrap() else {
            panic!()
        };
        assert_eq!(left.len(), 1);
        assert_eq!(
            (left[0].id.as_str(), left[0].name.as_str(), left[0].enabled, left[0].revision),
            ("a", "vcs", false, 3)
        );
        let missing = store.read(|tx| find(tx, "vsc")).unwrap_err();
        assert_eq!(missing.hints, ["did you mean `vcs`?"]);
    }

    #[test]
    fn a_row_from_before_sandboxes_is_read() {
        let mut server = server("a", "git");
        let payload = codec::payload(&server).unwrap();
        let tail = payload.len() - codec::payload_of(&Sandbox::default()).unwrap().len();
        assert_eq!(Server::upgrade(1, &payload[..tail]).unwrap(), server);
        assert!(Server::upgrade(3, &payload).is_err());
        server.sandbox.read.push("/a".into());
        assert!(codec::payload(&server).unwrap().len() > payload.len());
    }

    #[test]
    fn a_failed_batch_changes_nothing() {
        let store = Store::memory();
        let batch = Request::Add { servers: vec![server("a", "git"), server("b", "git")], replace: false };
        assert!(store.write(|tx| write(tx, batch)).is_err());
        assert!(store.read(all).unwrap().is_empty());
    }
}
