//! Lists that people write: umcp's own format in YAML, which the bundled list has too, and the dispatch over all
//! formats a file may have. The registry's stands in `registry`, that of plugins in `marketplace`.

use super::check;
use super::marketplace;
use super::model::{Entry, Input, Package, Remote, Way};
use super::registry::{self, Refused};
use crate::clock::Timestamp;
use crate::documents;
use crate::documents::large::parse_large;
use crate::error::{Error, Result, codes};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a document held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub entries: Vec<Entry>,
    pub refused: Vec<Refused>,
}

/// Most entries a document may hold.
const MOST_ENTRIES: usize = 50_000;

/// Reads a document of any known format. `own` is a file of the user's machine, whose servers may be local ones.
pub fn read(place: &str, text: &str, now: Timestamp, own: bool) -> Result<Read> {
    let value = parse_large(place, text)?;
    let invalid = |why: &str| Error::new(&codes::SOURCE_INVALID, format!("`{place}` is no catalogue: {why}"));
    if value.get("plugins").is_some() {
        return marketplace::read(&value, &|_| None).map_err(invalid);
    }
    if value["mcpServers"].is_object() {
        let mut read = Read::default();
        marketplace::servers(&value, "", &Entry::default(), &mut read);
        return Ok(read);
    }
    if value.get("packages").is_some() || value.get("remotes").is_some() {
        return match registry::entry(&value) {
            Ok(entry) => Ok(Read { entries: vec![entry], refused: Vec::new() }),
            Err(why) => Err(invalid(why)),
        };
    }
    let Some(items) = value["servers"].as_array() else {
        return Err(invalid("it has neither `servers` nor `plugins`"));
    };
    if items.len() > MOST_ENTRIES {
        return Err(invalid("it holds more than 50,000 entries"));
    }
    if items.iter().any(|item| item.get("server").is_some() || item.get("packages").is_some()) {
        let mut read = Read::default();
        for part in items.chunks(1_000) {
            let page = registry::page_of(&serde_json::json!({"servers": part}), now).map_err(invalid)?;
            read.entries.extend(page.entries);
            read.refused.extend(page.refused);
        }
        return Ok(read);
    }
    own_list(place, text, own)
}

/// umcp's own format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    servers: Vec<Item>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Item {
    name: String,
    title: Option<String>,
    description: String,
    version: Option<String>,
    categories: Vec<String>,
    /// `npm:PACKAGE`, `pypi:PACKAGE`, `app:NAME` or an address.
    run: String,
    args: Vec<String>,
    /// What the user has to say behind the arguments.
    asks: Vec<String>,
    /// `sse`; streamable HTTP else.
    transport: Option<String>,
    env: BTreeMap<String, Need>,
    headers: BTreeMap<String, Need>,
    homepage: Option<String>,
    repository: Option<String>,
    license: Option<String>,
    popularity: Option<u8>,
    deprecated: bool,
}

/// How a variable or header is needed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Need {
    /// A secret it does not work without.
    Key,
    OptionalKey,
    Required,
    Optional,
}

/// Reads umcp's own format. An entry that is wrong is an error here: somebody can mend the file.
pub fn own_list(place: &str, text: &str, own: bool) -> Result<Read> {
    let list: List = documents::load(place, text)?;
    let entry = |item: Item| {
        let name = check::shown(&item.name);
        taken(item, own).map_err(|why| {
            Error::new(
                &codes::SOURCE_INVALID,
                format!("`{place}`: the entry `{name}` cannot be taken: {why}"),
            )
        })
    };
    Ok(Read { entries: list.servers.into_iter().map(entry).collect::<Result<_>>()?, refused: Vec::new() })
}

fn taken(item: Item, own: bool) -> Result<Entry, String> {
    let name = check::name(&item.name).ok_or("its name holds what no name may")?;
    let known = |word: &String| {
        check::category(word).ok_or_else(|| format!("`{}` is no category", check::shown(word)))
    };
    let way = way(&item, own)?;
    Ok(Entry {
        name,
        title: item.title.as_deref().and_then(check::title),
        description: check::description(&item.description).ok_or("it says nothing about itself")?,
        version: item.version.as_deref().and_then(check::word),
        categories: item.categories.iter().map(known).collect::<Result<_, _>>()?,
        ways: vec![way],
        homepage: item.homepage.as_deref().and_then(check::page),
        repository: item.repository.as_deref().and_then(check::page),
        license: item.license.as_deref().and_then(check::word),
        updated: None,
        deprecated: item.deprecated,
        popularity: item.popularity.map(|popularity| popularity.min(100)),
    })
}

fn way(item: &Item, own: bool) -> Result<Way, String> {
    let text = |text: &String| {
        check::value(text).ok_or_else(|| format!("`{}` refers to something of yours", check::shown(text)))
    };
    let args = || item.args.iter().map(text).collect::<Result<Vec<_>, _>>();
    let asks = || item.asks.iter().filter_map(|hint| check::title(hint)).collect();
    let env = || needs(&item.env, &check::variable);
    let package = |text: &str, mark: &str, name: fn(&str) -> Option<String>| {
        let (bare, version) = pinned(text, mark);
        Ok::<_, String>(Package {
            name: name(bare).ok_or("it names no package")?,
            version: version.map(|text| check::version(text).ok_or("its version is none")).transpose()?,
            args: args()?,
            asks: asks(),
            env: env()?,
        })
    };
    if let Some(spec) = item.run.strip_prefix("npm:") {
        return package(spec, "@", check::npm).map(Way::Npm);
    }
    if let Some(spec) = item.run.strip_prefix("pypi:") {
        return package(spec, "==", check::pypi).map(Way::Pypi);
    }
    if let Some(name) = item.run.strip_prefix("app:") {
        return Ok(Way::App { name: check::name(name).ok_or("it names no app")? });
    }
    let url = match own && is_local(&item.run) {
        true => item.run.clone(),
        false => check::endpoint(&item.run)?,
    };
    Ok(Way::Remote(Remote {
        url,
        sse: item.transport.as_deref() == Some("sse"),
        headers: needs(&item.headers, &check::header)?,
    }))
}

/// An address of one's own network, which a file of one's own may name.
fn is_local(text: &str) -> bool {
    let web = text.starts_with("http://") || text.starts_with("https://");
    web && check::value(text).is_some() && check::page(text).is_some()
}

/// A package and the version behind it; the `@` of a scope is none.
fn pinned<'a>(text: &'a str, mark: &str) -> (&'a str, Option<&'a str>) {
    match text.rfind(mark).filter(|at| *at > 0) {
        Some(at) => (&text[..at], Some(&text[at + mark.len()..])),
        None => (text, None),
    }
}

fn needs(map: &BTreeMap<String, Need>, name: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Input>, String> {
    if map.len() > check::MOST_INPUTS {
        return Err("it takes more than 64 variables".into());
    }
    let input = |(word, need): (&String, &Need)| {
        let name = name(word).ok_or_else(|| format!("it wants to set `{}`", check::shown(word)))?;
        let required = matches!(need, Need::Key | Need::Required);
        let secret = matches!(need, Need::Key | Need::OptionalKey);
        Ok(Input { name, description: None, required, secret, value: None })
    };
    map.iter().map(input).collect()
}

/// Whether a folder's file looks like one of a catalogue.
pub fn is_catalogue_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "server.json"
            | "catalogue.yaml"
            | "catalogue.yml"
            | "catalogue.json"
            | "catalog.yaml"
            | "catalog.yml"
            | "catalog.json"
    ) || name.ends_with(".server.json")
}

/// Reads what a folder or repository holds: a marketplace with its plugins, or every file that is a catalogue.
/// `files` are the paths below it, `text` reads one.
pub fn read_folder(
    place: &str,
    files: &[String],
    text: &dyn Fn(&str) -> Result<Option<String>>,
    now: Timestamp,
    own: bool,
) -> Result<Read> {
    const MARKETPLACE: &str = ".claude-plugin/marketplace.json";
    let known = |path: &str| files.iter().any(|file| file == path);
    if known(MARKETPLACE) {
        let value = parse_large(MARKETPLACE, &text(MARKETPLACE)?.unwrap_or_default())?;
        let plugin = |path: &str| -> Option<Value> {
            let text = known(path).then(|| text(path).ok().flatten()).flatten()?;
            parse_large(path, &text).ok()
        };
        return marketplace::read(&value, &plugin).map_err(|why| {
            Error::new(&codes::SOURCE_INVALID, format!("`{place}` is no marketplace: {why}"))
        });
    }
    let mut all = Read::default();
    let mut found = false;
    for path in files.iter().filter(|path| is_catalogue_file(path)).take(1_000) {
        found = true;
        let Some(text) = text(path)? else { continue };
        match read(path, &text, now, own) {
            Ok(part) => {
                all.entries.extend(part.entries);
                all.refused.extend(part.refused);
            }
            Err(error) => all.refused.push(Refused::new(path, error.message)),
        }
    }
    match found {
        true => Ok(all),
        false => Err(Error::new(&codes::SOURCE_INVALID, format!("`{place}` holds no catalogue"))
            .hint("a catalogue is catalogue.yaml, server.json or .claude-plugin/marketplace.json")),
    }
}
