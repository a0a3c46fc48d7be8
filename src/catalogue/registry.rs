//! The registry's format: one `server.json`, and a page of them as its API answers. Reading takes all spellings met in
//! the wild (`isRequired`, `is_required`); writing follows the schema of 2025-12-11.
//! Rule: a page is refused as a whole only when it is no page; an entry that is wrong costs that entry.

use super::check;
use super::model::{Entry, Input, Package, Remote, Way};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value, json};

pub const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/// Largest page, in bytes.
pub const MOST_BYTES: usize = 4 << 20;
/// Entries of one page that are looked at; a page that holds more is refused.
const MOST_ENTRIES: usize = 1_000;
const MOST_WAYS: usize = 16;
const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";
/// A change from further ahead is a clock that is wrong.
const AHEAD_MS: u64 = 24 * 60 * 60 * 1_000;

/// A page of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Names that are gone.
    pub removed: Vec<String>,
    pub refused: Vec<Refused>,
    pub next: Option<String>,
    /// The newest change on the page, as the registry wrote it.
    pub newest: Option<String>,
    /// How many items the page held, of whatever kind.
    pub items: usize,
}

/// An entry that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    pub name: String,
    pub why: String,
}

impl Refused {
    pub fn new(name: &str, why: impl Into<String>) -> Self {
        Self { name: check::shown(name), why: why.into() }
    }
}

/// Reads a page. `place` is for errors.
pub fn page(place: &str, text: &str, now: Timestamp) -> Result<Page> {
    let wrong =
        |why: &str| Error::new(&codes::SOURCE_INVALID, format!("`{place}` is no page of a registry: {why}"));
    if text.len() > MOST_BYTES {
        return Err(wrong(&format!("it is larger than {} MiB", MOST_BYTES >> 20)));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| wrong("it is no JSON").because(error))?;
    page_of(&value, now).map_err(wrong)
}

/// The same for a document that is read already.
pub fn page_of(value: &Value, now: Timestamp) -> Result<Page, &'static str> {
    let items = value["servers"].as_array().ok_or("it has no list `servers`")?;
    if items.len() > MOST_ENTRIES {
        return Err("it holds more than 1,000 entries");
    }
    let metadata = &value["metadata"];
    let next = match metadata.get("nextCursor").or_else(|| metadata.get("next_cursor")) {
        None | Some(Value::Null) => None,
        Some(Value::String(next)) if next.is_empty() => None,
        Some(Value::String(next)) if next.len() <= 1_000 && !next.chars().any(char::is_control) => {
            Some(next.clone())
        }
        Some(_) => return Err("its cursor is none"),
    };
    let mut page = Page { next, items: items.len(), ..Page::default() };
    let mut newest = Timestamp::default();
    for item in items {
        let server = item.get("server").unwrap_or(item);
        let about = &item["_meta"][OFFICIAL];
        let name = server["name"].as_str().unwrap_or_default();
        let changed = about["updatedAt"].as_str().or_else(|| about["publishedAt"].as_str());
        let changed = changed.and_then(|text| Some((Timestamp::parse(text)?, text)));
        if let Some((at, text)) = changed.filter(|(at, _)| *at > newest && *at <= now.plus_ms(AHEAD_MS)) {
            newest = at;
            page.newest = Some(text.to_string());
        }
        let status = about["status"].as_str().or_else(|| server["status"].as_str()).unwrap_or("active");
        if about["isLatest"].as_bool() == Some(false) {
            continue;
        }
        if status == "deleted" {
            page.removed.extend(check::name(name));
            continue;
        }
        match entry(server) {
            Ok(mut entry) => {
                entry.deprecated = status == "deprecated";
                entry.updated = changed.map(|(_, text)| text.to_string());
                page.entries.push(entry);
            }
            Err(why) => page.refused.push(Refused::new(name, why)),
        }
    }
    Ok(page)
}

/// Reads one `server.json`.
pub fn entry(server: &Value) -> Result<Entry, &'static str> {
    let text = |key: &str| server[key].as_str();
    let name = text("name").ok_or("it has no name")?;
    let name = check::name(name).ok_or("its name holds what no name may")?;
    let list = |key: &str| match &server[key] {
        Value::Null => Ok([].as_slice()),
        Value::Array(items) if items.len() <= MOST_WAYS => Ok(items.as_slice()),
        Value::Array(_) => Err("it offers more than 16 packages or addresses"),
        _ => Err("its packages are no list"),
    };
    let packages = list("packages")?.iter().map(package);
    let remotes = list("remotes")?.iter().map(remote);
    Ok(Entry {
        title: text("title").and_then(check::title),
        description: text("description").and_then(check::description).unwrap_or_default(),
        version: text("version").and_then(check::word),
        ways: packages.chain(remotes).collect(),
        homepage: text("websiteUrl").or_else(|| text("website_url")).and_then(check::page),
        repository: server["repository"]["url"].as_str().and_then(check::page),
        name,
        ..Entry::default()
    })
}

fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    value.get(camel).or_else(|| value.get(snake)).unwrap_or(&Value::Null)
}

fn package(package: &Value) -> Way {
    let kind = either(package, "registryType", "registry_type").as_str().unwrap_or_default();
    let identifier = package["identifier"].as_str().unwrap_or_default();
    let what = || check::shown(&format!("{kind}:{identifier}"));
    match runnable(kind, identifier, package) {
        Ok(way) => way,
        Err(reason) => Way::Other { what: what(), reason },
    }
}

fn runnable(kind: &str, identifier: &str, package: &Value) -> Result<Way, String> {
    let name = match kind {
        "npm" => check::npm(identifier).ok_or("its package has no name npm knows")?,
        "pypi" => check::pypi(identifier).ok_or("its package has no name PyPI knows")?,
        _ => return Err("umcp does not run packages of this kind".into()),
    };
    let transport = package["transport"]["type"].as_str().unwrap_or("stdio");
    if transport != "stdio" {
        return Err("its package is a web server that you would have to start yourself".into());
    }
    let base = either(package, "registryBaseUrl", "registry_base_url").as_str();
    if base.is_some_and(|base| !is_usual(kind, base)) {
        return Err("its package comes from a package registry of its own".into());
    }
    let of_runtime = inputs(either(package, "runtimeArguments", "runtime_arguments"))?;
    if of_runtime
        .iter()
        .any(|one| !matches!(one["value"].as_str().or(one["name"].as_str()), Some("-y" | "--yes")))
    {
        return Err("it passes arguments to the package manager itself".into());
    }
    let version = match package["version"].as_str() {
        Some(version) => Some(check::version(version).ok_or("its version is none")?),
        None => None,
    };
    let (args, asks) = arguments(inputs(either(package, "packageArguments", "package_arguments"))?)?;
    let env = variables(either(package, "environmentVariables", "environment_variables"))?;
    let package = Package { name, version, args, asks, env };
    Ok(if kind == "npm" { Way::Npm(package) } else { Way::Pypi(package) })
}

/// Whether an address is the registry that its package manager asks anyway.
fn is_usual(kind: &str, base: &str) -> bool {
    let usual: &[&str] = if kind == "npm" { &["registry", "npmjs", "org"] } else { &["pypi", "org"] };
    let url = url::Url::parse(base).ok().filter(|url| url.scheme() == "https" && url.port().is_none());
    url.and_then(|url| url.host_str().map(|host| host.split('.').eq(usual.iter().copied()))).unwrap_or(false)
}

fn inputs(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::Null => Ok(&[]),
        Value::Array(items) if items.len() <= check::MOST_INPUTS => Ok(items),
        Value::Array(_) => Err("it takes more than 64 arguments or variables".into()),
        _ => Err("its arguments or variables are no list".into()),
    }
}

/// The arguments that stand, and those only the user can say.
fn arguments(items: &[Value]) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut args, mut asks) = (Vec::new(), Vec::new());
    for item in items {
        let required = is(item, "isRequired", "is_required");
        let fixed = item["value"].as_str().or_else(|| item["default"].as_str().filter(|_| required));
        let name = item["name"].as_str().filter(|_| item["type"] == "named");
        let words: Vec<&str> = name.into_iter().chain(fixed).collect();
        let whole = words.iter().all(|word| check::value(word).is_some() && !word.contains(['{', '}']));
        // A flag alone is whole; a positional without a value says nothing yet.
        if whole && (fixed.is_some() || (name.is_some() && required && item["valueHint"].is_null())) {
            // Behind an argument of the user's, a fixed one would stand in the wrong place.
            if !asks.is_empty() && name.is_none() {
                return Err("its arguments stand among some that only you can say".into());
            }
            args.extend(words.into_iter().map(String::from));
        } else if required {
            let hint = item["valueHint"].as_str().or(name).or_else(|| item["description"].as_str());
            let hint = hint.and_then(check::title).unwrap_or_else(|| "value".into());
            asks.push(name.and_then(check::value).map_or(hint.clone(), |name| format!("{name} {hint}")));
        }
    }
    Ok((args, asks))
}

fn is(value: &Value, camel: &str, snake: &str) -> bool {
    either(value, camel, snake).as_bool().unwrap_or(false)
}

fn variables(value: &Value) -> Result<Vec<Input>, String> {
    let mut variables = Vec::new();
    for item in inputs(value)? {
        let name = item["name"].as_str().unwrap_or_default();
        match check::variable(name) {
            Some(name) => variables.push(input(name, item)),
            None if is(item, "isRequired", "is_required") || item["value"].is_string() => {
                return Err(format!("it wants to set the variable `{}`", check::shown(name)));
            }
            // Not needed, so it is left alone.
            None => {}
        }
    }
    Ok(variables)
}

fn input(name: String, item: &Value) -> Input {
    let (required, secret) = (is(item, "isRequired", "is_required"), is(item, "isSecret", "is_secret"));
    let fixed = item["value"].as_str().filter(|value| !value.contains('{'));
    let needed = required || (item["value"].is_string() && fixed.is_none());
    check::input(name, item["description"].as_str(), needed, secret, fixed)
}

fn remote(remote: &Value) -> Way {
    let url = remote["url"].as_str().unwrap_or_default();
    let other = |reason: &str| Way::Other { what: check::shown(url), reason: reason.into() };
    let kind = remote["type"].as_str().or_else(|| remote["transport_type"].as_str()).unwrap_or_default();
    let sse = match kind {
        "streamable-http" | "http" => false,
        "sse" => true,
        _ => return other("umcp does not know its transport"),
    };
    let url = match check::endpoint(url) {
        Ok(url) => url,
        Err(why) => return other(why),
    };
    let headers = match inputs(&remote["headers"]) {
        Ok(items) => items,
        Err(why) => return other(&why),
    };
    let mut taken = Vec::new();
    for item in headers {
        let name = item["name"].as_str().unwrap_or_default();
        match check::header(name) {
            Some(name) => taken.push(input(name, item)),
            None if is(item, "isRequired", "is_required") => {
                return other(&format!("it wants to set the header `{}`", check::shown(name)));
            }
            None => {}
        }
    }
    Way::Remote(Remote { url, sse, headers: taken })
}

/// Writes an entry as `server.json`.
///
/// # Errors
/// `VALUE_INVALID` when the format cannot hold it.
pub fn write(entry: &Entry) -> Result<Value> {
    let refuse = |why: String| Err(Error::new(&codes::VALUE_INVALID, why));
    let parts: Vec<&str> = entry.name.split('/').collect();
    if parts.len() != 2 || !parts[0].contains('.') || entry.name.len() < 3 {
        return refuse(format!(
            "`{}` is no name for a registry; it is written like `com.example/notes`",
            entry.name
        ));
    }
    let description: String = entry.description.chars().take(100).collect();
    if description.is_empty() {
        return refuse("a registry wants a description".into());
    }
    let Some(version) = &entry.version else { return refuse("a registry wants a version".into()) };
    let mut server = Map::new();
    server.insert("$schema".into(), SCHEMA.into());
    server.insert("name".into(), entry.name.as_str().into());
    for (key, text) in [("title", &entry.title), ("websiteUrl", &entry.homepage)] {
        if let Some(text) = text {
            server.insert(key.into(), text.as_str().into());
        }
    }
    server.insert("description".into(), description.into());
    server.insert("version".into(), version.as_str().into());
    if let Some(url) = &entry.repository {
        let source = if url.contains("gitlab") { "gitlab" } else { "github" };
        server.insert("repository".into(), json!({"url": url, "source": source}));
    }
    for way in &entry.ways {
        match way {
            Way::Npm(package) => push(&mut server, "packages", package_json("npm", package)),
            Way::Pypi(package) => push(&mut server, "packages", package_json("pypi", package)),
            Way::Remote(remote) => {
                let kind = if remote.sse { "sse" } else { "streamable-http" };
                let mut item = json!({"type": kind, "url": remote.url});
                if !remote.headers.is_empty() {
                    item["headers"] = remote.headers.iter().map(input_json).collect();
                }
                push(&mut server, "remotes", item);
            }
            other => {
                return refuse(format!(
                    "`{}` is neither a package nor an address, so no registry can hold it",
                    other.spec()
                ));
            }
        }
    }
    Ok(server.into())
}

fn push(server: &mut Map<String, Value>, key: &str, item: Value) {
    if let Some(list) = server.entry(key).or_insert_with(|| json!([])).as_array_mut() {
        list.push(item);
    }
}

fn package_json(kind: &str, package: &Package) -> Value {
    let mut item = json!({"registryType": kind, "identifier": package.name});
    if let Some(version) = &package.version {
        item["version"] = version.as_str().into();
    }
    item["transport"] = json!({"type": "stdio"});
    let fixed = package.args.iter().map(|arg| json!({"type": "positional", "value": arg}));
    let asked =
        package.asks.iter().map(|hint| json!({"type": "positional", "valueHint": hint, "isRequired": true}));
    let arguments: Vec<Value> = fixed.chain(asked).collect();
    if !arguments.is_empty() {
        item["packageArguments"] = arguments.into();
    }
    if !package.env.is_empty() {
        item["environmentVariables"] = package.env.iter().map(input_json).collect();
    }
    item
}

fn input_json(input: &Input) -> Value {
    let mut item = json!({"name": input.name});
    if let Some(text) = &input.description {
        item["description"] = text.as_str().into();
    }
    if let Some(value) = &input.value {
        item["value"] = value.as_str().into();
    }
    for (key, set) in [("isRequired", input.required), ("isSecret", input.secret)] {
        if set {
            item[key] = true.into();
        }
    }
    item
}

#[cfg(test)]
mod tests;
