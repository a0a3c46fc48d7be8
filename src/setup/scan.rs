//! Plain keys in the servers of umcp and of the clients on this machine: found, and on request moved into the vault,
//! with a reference in their place. A client cannot read umcp's references, so a server of a client's file that holds
//! keys moves into umcp, and the client gets umcp's entry.
//! Rule: a value is in the vault before anything that held it is changed, and a report shows it masked.
//! Long because files of clients and entries of the store are two ways to one vault.

use super::clientfiles::{self, Connection};
use super::import::{self, Added};
use super::{Call, Machine, connect, servers};
use crate::clients::{CLIENTS, Client};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::sealing::Secret;
use crate::secrets::find::{masked, why};
use crate::servers::model::Transport;
use crate::servers::{Request, Server};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One plain key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The client's file; `None`: umcp's own entry.
    pub file: Option<PathBuf>,
    pub client: Option<String>,
    pub server: String,
    /// Such as `env GITHUB_TOKEN`, `header Authorization` or `argument --api-key`.
    pub place: String,
    /// Enough of it to know it again.
    pub value: String,
    pub why: String,
    /// The secret it becomes, or became.
    pub secret: String,
    pub moved: bool,
}

/// What was found, and done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Servers taken over from files of clients.
    pub added: Vec<Added>,
    /// Files that could not be read, with the reason.
    pub unread: Vec<String>,
    /// The number `umcp undo` takes.
    pub undo: Option<u64>,
}

/// The vault as this room needs it.
pub trait Keep {
    /// The value of a secret, where there is one of that name and it can be opened.
    fn value(&self, name: &str) -> Result<Option<Secret>>;
    /// Whether there is a secret of that name.
    fn has(&self, name: &str) -> bool;
    fn put(&self, name: &str, value: &Secret) -> Result<()>;
}

/// A plain key in an entry: where it stands, and how the text around it goes on.
struct Plain {
    place: String,
    /// Name for the secret, unless it is taken.
    name: String,
    value: String,
    why: &'static str,
}

/// Names given out in this run, with what they hold.
struct Names<'a> {
    keep: &'a dyn Keep,
    given: BTreeMap<String, String>,
}

/// Looks everywhere. With `change`, what is found is moved into the vault.
pub fn run(
    keep: &dyn Keep,
    machine: &Machine<'_>,
    now: Timestamp,
    change: bool,
    call: &mut Call<'_>,
) -> Result<Report> {
    let mut report = Report::default();
    let mut names = Names { keep, given: BTreeMap::new() };
    let known = servers(call)?;
    for server in &known {
        let mut copy = server.clone();
        let findings = rewrite(&mut copy, &mut names)?;
        if findings.is_empty() {
            continue;
        }
        if change {
            names.store()?;
            call(Request::Update { server: Box::new(copy) }.into())?;
        }
        report.findings.extend(findings.into_iter().map(|finding| Finding { moved: change, ..finding }));
    }
    let (mut edits, mut moved) = (Vec::new(), Vec::new());
    for client in CLIENTS {
        for (path, servers) in files(client, machine, now, &mut report) {
            let mut found: BTreeMap<String, Server> = BTreeMap::new();
            let mut findings = Vec::new();
            for server in servers {
                let mut copy = server.clone();
                let here = rewrite(&mut copy, &mut names)?;
                if !here.is_empty() {
                    found.insert(server.name, copy);
                }
                findings.extend(here);
            }
            let taken = match change && !found.is_empty() {
                true => take(client, machine, &path, &found, now, &mut edits, &mut moved)?,
                false => BTreeSet::new(),
            };
            report.findings.extend(findings.into_iter().map(|finding| Finding {
                file: Some(path.clone()),
                client: Some(client.id.into()),
                moved: taken.contains(&finding.server),
                ..finding
            }));
        }
    }
    if change && !moved.is_empty() {
        let stored = names.store()?;
        let add = import::merge(&servers(call)?, moved).add;
        report.added = add.iter().map(Added::of).collect();
        report.undo = connect::perform(machine, now, "umcp secret scan --move", &edits, add, call)?;
        if let Some(id) = report.undo {
            note_stored(machine, id, stored)?;
        }
    }
    Ok(report)
}

/// Has `undo` say what stays in the vault.
fn note_stored(machine: &Machine<'_>, id: u64, stored: Vec<String>) -> Result<()> {
    let entries = super::journal::entries(&machine.paths.undo())?;
    match entries.into_iter().find(|entry| entry.id == id) {
        Some(mut entry) => {
            entry.manifest.secrets = stored;
            entry.save()
        }
        None => Ok(()),
    }
}

/// Where plain keys stand in an entry, such as `env GITHUB_TOKEN`. Asks no vault and changes nothing.
pub fn plain_keys(server: &Server) -> Vec<String> {
    let mut names = Names { keep: &Nothing, given: BTreeMap::new() };
    let found = rewrite(&mut server.clone(), &mut names).unwrap_or_default();
    found.into_iter().map(|finding| finding.place).collect()
}

/// No vault at all.
struct Nothing;

impl Keep for Nothing {
    fn value(&self, _: &str) -> Result<Option<Secret>> {
        Ok(None)
    }

    fn has(&self, _: &str) -> bool {
        false
    }

    fn put(&self, _: &str, _: &Secret) -> Result<()> {
        Ok(())
    }
}

/// The files of a client that hold servers.
fn files(
    client: &'static Client,
    machine: &Machine<'_>,
    now: Timestamp,
    report: &mut Report,
) -> Vec<(PathBuf, Vec<Server>)> {
    let mut files = Vec::new();
    for file in clientfiles::look(client, machine, now).files {
        match file.error {
            Some(error) => report.unread.push(format!("{}: {error}", file.path.display())),
            None if !file.servers.is_empty() => files.push((file.path, file.servers)),
            None => {}
        }
    }
    files
}

/// Plans the file without the servers that hold keys, and gives the names of those that leave it.
fn take(
    client: &Client,
    machine: &Machine<'_>,
    path: &std::path::Path,
    found: &BTreeMap<String, Server>,
    now: Timestamp,
    edits: &mut Vec<super::journal::Edit>,
    moved: &mut Vec<Server>,
) -> Result<BTreeSet<String>> {
    let entry = clientfiles::entry(client, machine, None);
    let chosen = |server: &Server| found.contains_key(&server.name);
    let Connection { edit, moved: leaving, .. } =
        clientfiles::connect_some(client, path, &entry, &chosen, now)?;
    let taken: BTreeSet<String> = leaving.iter().map(|server| server.name.clone()).collect();
    if !taken.is_empty() {
        edits.push(edit);
        moved
            .extend(found.iter().filter(|(name, _)| taken.contains(*name)).map(|(_, server)| server.clone()));
    }
    Ok(taken)
}

/// Puts references in the place of the plain keys of an entry.
fn rewrite(server: &mut Server, names: &mut Names<'_>) -> Result<Vec<Finding>> {
    let owner = server.name.clone();
    let mut findings = Vec::new();
    let mut replace = |text: &mut String, plain: Option<Plain>| -> Result<()> {
        let Some(plain) = plain else { return Ok(()) };
        let name = names.name(&owner, &plain.name, &plain.value)?;
        let whole = text.ends_with(&plain.value);
        let reference = if whole { format!("secret://{name}") } else { format!("${{secret://{name}}}") };
        *text = text.replacen(&plain.value, &reference, 1);
        findings.push(Finding {
            file: None,
            client: None,
            server: owner.clone(),
            place: plain.place,
            value: masked(&plain.value),
            why: plain.why.into(),
            secret: name,
            moved: false,
        });
        Ok(())
    };
    for (key, value) in &mut server.env {
        let plain = in_value(key, value, format!("env {key}"), key.clone());
        replace(value, plain)?;
    }
    for (key, value) in &mut server.headers {
        let plain = in_value(key, value, format!("header {key}"), format!("{owner}_{key}"));
        replace(value, plain)?;
    }
    match &mut server.transport {
        Transport::Stdio { args, .. } => {
            for at in 0..args.len() {
                let flag = at.checked_sub(1).map(|before| args[before].clone()).unwrap_or_default();
                let plain = in_argument(&owner, &flag, &args[at]);
                replace(&mut args[at], plain)?;
            }
        }
        Transport::Http { url, .. } | Transport::Sse { url } | Transport::WebSocket { url } => {
            while let Some(plain) = in_query(&owner, url) {
                replace(url, Some(plain))?;
            }
        }
        Transport::Socket { .. } | Transport::Builtin { .. } | Transport::App { .. } => {}
    }
    Ok(findings)
}

/// A value of `env` or `headers`, without the scheme before it.
fn in_value(key: &str, text: &str, place: String, name: String) -> Option<Plain> {
    let schemes = ["Bearer ", "bearer ", "Basic ", "token ", "Token "];
    let value = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text).trim();
    why(key, value).map(|why| Plain { place, name, value: value.into(), why })
}

/// `--flag=VALUE`, `--flag VALUE`, `NAME=VALUE` after `-e`, `Header: VALUE` and a bare key.
fn in_argument(owner: &str, flag: &str, text: &str) -> Option<Plain> {
    let named = |name: &str, value: &str| {
        let bare = name.trim_start_matches('-');
        let place = format!("argument {name}");
        in_value(bare, value, place, format!("{owner}_{bare}"))
    };
    if let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.contains(['/', ' '])) {
        return named(name, value);
    }
    if let Some((name, value)) = text.split_once(": ").or_else(|| text.split_once(':')) {
        let header = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if header && !value.starts_with("//") {
            return named(name, value);
        }
    }
    let follows = flag.starts_with('-') && !flag.contains('=') && !text.starts_with('-');
    let name = if follows { flag } else { "" };
    match in_value(name.trim_start_matches('-'), text, String::new(), String::new())? {
        // A package or a file has as random a name as a key may have.
        plain if plain.why == "random text" => None,
        plain => {
            let bare = if name.is_empty() { "key" } else { name.trim_start_matches('-') };
            let place = if name.is_empty() { "an argument".to_string() } else { format!("argument {name}") };
            Some(Plain { place, name: format!("{owner}_{bare}"), ..plain })
        }
    }
}

/// The first plain key in the query of an address.
fn in_query(owner: &str, url: &str) -> Option<Plain> {
    let query = url.split_once('?')?.1;
    let query = query.split('#').next().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| in_value(name, value, format!("query {name}"), format!("{owner}_{name}")))
}

impl Names<'_> {
    /// A name that is free, or holds this value already.
    fn name(&mut self, owner: &str, wanted: &str, value: &str) -> Result<String> {
        let fits = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let clean = |text: &str| -> String { text.chars().map(fits).take(100).collect() };
        let (wanted, owned) = (clean(wanted), clean(&format!("{owner}_{wanted}")));
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        for name in [wanted.clone(), owned].into_iter().chain(numbered) {
            let holds = match self.given.get(&name) {
                Some(given) => given == value,
                None if !self.keep.has(&name) => true,
                None => self.keep.value(&name)?.is_some_and(|known| known.reveal() == value),
            };
            if holds {
                self.given.insert(name.clone(), value.into());
                return Ok(name);
            }
        }
        Ok(wanted)
    }

    /// Puts everything named so far into the vault.
    /// Gives the names that were not there before.
    fn store(&self) -> Result<Vec<String>> {
        let mut stored = Vec::new();
        for (name, value) in self.given.iter().filter(|(name, _)| !self.keep.has(name)) {
            self.keep.put(name, &Secret::new(value.as_str()))?;
            stored.push(name.clone());
        }
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Kept(RefCell<BTreeMap<String, Secret>>);

    impl Keep for Kept {
        fn value(&self, name: &str) -> Result<Option<Secret>> {
            Ok(self.0.borrow().get(name).cloned())
        }

        fn has(&self, name: &str) -> bool {
            self.0.borrow().contains_key(name)
        }

        fn put(&self, name: &str, value: &Secret) -> Result<()> {
            self.0.borrow_mut().insert(name.into(), value.clone());
            Ok(())
        }
    }

    fn rewritten(mut server: Server, keep: &Kept) -> (Server, Vec<(String, String)>) {
        let mut names = Names { keep, given: BTreeMap::new() };
        let findings = rewrite(&mut server, &mut names).unwrap();
        names.store().unwrap();
        (server, findings.into_iter().map(|finding| (finding.place, finding.secret)).collect())
    }

    fn server(transport: Transport) -> Server {
        Server::new("srv_1".into(), "gh", transport, Timestamp(0))
    }

    #[test]
    fn every_place_of_an_entry_is_searched() {
        let keep = Kept::default();
        let args = [
            "-y",
            "pkg@1.2.3",
            "--api-key",
            "sk-0123456789abcdef",
            "--token=abcdefgh1234",
            "-e",
            "MY_TOKEN=zyxwvu987654",
            "--header",
            "Authorization: Bearer qwertz123456",
            "--port",
            "8080",
            "https://example.com/a",
        ];
        let args = args.map(String::from).to_vec();
        let mut entry = server(Transport::Stdio { command: "npx".into(), args });
        entry.env = [("GH_TOKEN".into(), "ghp_0123456789abcdef".into()), ("DEBUG".into(), "1".into())].into();
        let (entry, found) = rewritten(entry, &keep);
        let Transport::Stdio { args, .. } = &entry.transport else { panic!() };
        assert_eq!(
            args[2..],
            [
                "--api-key",
                "secret://gh_api-key",
                "--token=secret://gh_token",
                "-e",
                "MY_TOKEN=secret://gh_MY_TOKEN",
                "--header",
                "Authorization: Bearer secret://gh_Authorization",
                "--port",
                "8080",
                "https://example.com/a",
            ]
        );
        assert_eq!(entry.env["GH_TOKEN"], "secret://GH_TOKEN");
        assert_eq!(entry.env["DEBUG"], "1");
        assert_eq!(found.len(), 5);
        assert_eq!(keep.value("gh_Authorization").unwrap().unwrap().reveal(), "qwertz123456");
        assert_eq!(plain_keys(&entry), Vec::<String>::new());
        assert_eq!(rewritten(entry.clone(), &keep), (entry, vec![]), "a second run finds nothing");
    }

    #[test]
    fn a_query_keeps_what_is_around_its_key() {
        let keep = Kept::default();
        let url = "https://x.example/mcp?api_key=abcd12345678&q=1&token=efgh12345678#f";
        let (entry, found) = rewritten(server(Transport::Http { url: url.into(), probe: true }), &keep);
        let expected =
            "https://x.example/mcp?api_key=${secret://gh_api_key}&q=1&token=${secret://gh_token}#f";
        assert_eq!(entry.transport, Transport::Http { url: expected.into(), probe: true });
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn equal_values_share_a_name_and_others_get_their_own() {
        let keep = Kept::default();
        keep.put("API_KEY", &Secret::new("first-value-1")).unwrap();
        let entry = |value: &str| {
            let mut entry = server(Transport::Builtin { name: "time".into() });
            entry.env = [("API_KEY".into(), value.into())].into();
            rewritten(entry, &keep).1[0].1.clone()
        };
        assert_eq!(entry("first-value-1"), "API_KEY");
        assert_eq!(entry("second-value-2"), "gh_API_KEY");
        assert_eq!(entry("third-value-3"), "API_KEY-2");
        assert_eq!(entry("second-value-2"), "gh_API_KEY");
    }
}
