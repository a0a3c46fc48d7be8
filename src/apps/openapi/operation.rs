//! One operation as one tool: its address, its arguments, its body, its signing.

use super::naming;
use super::refs::Document;
use super::schema::Schemas;
use super::security::Security;
use super::{Options, body, parameters, text};
use crate::apps::model::{Action, Field, Hints, Http, Style, Tool};
use crate::apps::pages::{By, Pages};
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value, json};

/// Why an operation of a document without an address is left out.
pub const NO_SERVER: &str = "the document names no server";
const TIMEOUT_MS: u64 = 30_000;
const LIMIT: u64 = 1 << 20;
const DESCRIPTION: usize = 500;
/// Pages of a list that are taken by themselves.
const PAGES: u32 = 5;
/// Arguments of one tool; more than that no model fills in rightly.
const MAX_ARGUMENTS: usize = 200;

/// What all operations share.
pub struct Shared<'a> {
    pub document: &'a Document<'a>,
    pub security: Security,
    pub base: Option<String>,
    forced: bool,
    origin: Option<&'a str>,
}

impl<'a> Shared<'a> {
    pub fn new(document: &'a Document<'a>, options: &'a Options) -> Result<Self> {
        let security = Security::new(document, &options.name);
        let origin = options.origin.as_deref();
        let forced = options.base.is_some();
        let base = match &options.base {
            Some(base) => Some(checked(base).ok_or_else(|| {
                Error::new(&codes::VALUE_INVALID, format!("`{base}` is no address"))
                    .hint("--base-url https://api.example.com/v1")
            })?),
            None => server(document.root, origin),
        };
        Ok(Self { document, security, base, forced, origin })
    }
}

/// The address of the first server, with the defaults of its variables.
fn server(node: &Value, origin: Option<&str>) -> Option<String> {
    let server = node["servers"].as_array().and_then(|servers| servers.first())?;
    let mut address = server["url"].as_str()?.to_string();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        let default =
            variable["default"].as_str().or_else(|| variable["enum"][0].as_str()).unwrap_or_default();
        address = address.replace(&format!("{{{name}}}"), default);
    }
    if let Some(url) = checked(&address) {
        return Some(url);
    }
    let origin = url::Url::parse(origin?).ok().filter(|origin| origin.scheme().starts_with("http"))?;
    checked(origin.join(&address).ok()?.as_str())
}

/// An http address without placeholders, query and the last slash.
fn checked(address: &str) -> Option<String> {
    let address = if address.starts_with("//") { format!("https:{address}") } else { address.to_string() };
    let url = url::Url::parse(&address).ok()?;
    let good = matches!(url.scheme(), "http" | "https") && url.has_host() && !address.contains(['{', '$']);
    good.then(|| address.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_string())
}

/// A tool in the making.
pub struct Draft<'a> {
    pub document: &'a Document<'a>,
    pub schemas: Schemas<'a>,
    pub http: Http,
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Draft<'_> {
    /// Declares an argument and gives the name it got.
    pub fn argument(&mut self, name: &str, place: &str, schema: Value, required: bool) -> String {
        let argument = naming::argument(name, &|taken| self.properties.contains_key(taken), place);
        if required {
            self.required.push(argument.clone());
        }
        self.properties.insert(argument.clone(), schema);
        argument
    }

    pub fn content_type(&mut self, kind: &str) {
        self.http.headers.push(Field {
            name: "Content-Type".into(),
            value: kind.into(),
            style: Style::Comma,
        });
    }
}

/// Converts one operation, or says why it cannot become a tool.
pub fn convert_one(
    shared: &Shared<'_>,
    path: &str,
    verb: &str,
    item: &Value,
    operation: &Value,
) -> std::result::Result<Tool, String> {
    let document = shared.document;
    let mut draft = Draft {
        document,
        schemas: Schemas::new(document),
        http: Http {
            method: verb.to_ascii_uppercase(),
            url: address(shared, path, item, operation)?,
            auth: shared.security.sets(operation)?,
            pages: pages(verb, operation),
            ..Http::default()
        },
        properties: Map::new(),
        required: Vec::new(),
    };
    if verb == "trace" {
        return Err("umcp does not send TRACE".into());
    }
    for parameter in parameters::all(document, item, operation)? {
        parameters::add(&mut draft, parameter)?;
    }
    undeclared(&mut draft);
    body::add(&mut draft, operation)?;
    if draft.properties.len() > MAX_ARGUMENTS {
        return Err(format!("it has {} arguments", draft.properties.len()));
    }
    let input = json!({
        "type": "object", "properties": draft.properties, "required": draft.required, "additionalProperties": false
    });
    Ok(Tool {
        name: naming::tool(operation["operationId"].as_str(), verb, path),
        title: text(&operation["summary"], 120),
        description: description(path, verb, operation),
        input,
        hints: hints(verb),
        action: Action::Http(draft.http),
        needs: Vec::new(),
        when: None,
        timeout_ms: TIMEOUT_MS,
        limit: LIMIT,
    })
}

/// The path, behind a server of its own where the operation or its path names one.
fn address(
    shared: &Shared<'_>,
    path: &str,
    item: &Value,
    operation: &Value,
) -> std::result::Result<String, String> {
    if !path.starts_with('/') {
        return Err("its path does not begin with `/`".into());
    }
    if path.contains("{{") || path.contains("${") {
        return Err("its path holds braces that mean something else here".into());
    }
    // A fragment is never sent; documents use it to tell operations on one path apart.
    let path = path.split('#').next().unwrap_or_default();
    let own =
        (!shared.forced).then(|| server(operation, shared.origin).or_else(|| server(item, shared.origin)));
    match (own.flatten(), &shared.base) {
        (Some(server), _) => Ok(format!("{server}{path}")),
        (None, Some(_)) => Ok(path.into()),
        (None, None) => Err(NO_SERVER.into()),
    }
}

/// Placeholders of the path that no parameter declares.
fn undeclared(draft: &mut Draft<'_>) {
    let url = draft.http.url.clone();
    let mut rest = url.as_str();
    while let Some(at) = rest.find('{') {
        let inner = &rest[at + 1..];
        if inner.starts_with('{') {
            rest = inner.find("}}").map_or("", |end| &inner[end + 2..]);
            continue;
        }
        let Some(end) = inner.find('}') else { break };
        let name = &inner[..end];
        let argument = draft.argument(name, "path", json!({"type": "string"}), true);
        draft.http.url = draft.http.url.replace(&format!("{{{name}}}"), &format!("{{{{{argument}}}}}"));
        rest = &inner[end + 1..];
    }
}

fn description(path: &str, verb: &str, operation: &Value) -> String {
    let summary = text(&operation["summary"], DESCRIPTION);
    let more = text(&operation["description"], DESCRIPTION).filter(|more| Some(more) != summary.as_ref());
    let mut words: Vec<String> = [summary, more].into_iter().flatten().collect();
    if words.is_empty() {
        words.push(format!("{} {path}", verb.to_ascii_uppercase()));
    }
    if operation["deprecated"] == true {
        words.insert(0, "Deprecated.".into());
    }
    words.join(" ")
}

/// Pages that a call takes of an operation whose answers are said to name the next one.
fn pages(verb: &str, operation: &Value) -> Option<Pages> {
    let good =
        operation["responses"].as_object().into_iter().flatten().filter(|(code, _)| code.starts_with('2'));
    let mut headers = good.filter_map(|(_, response)| response["headers"].as_object()).flat_map(Map::keys);
    let links = verb == "get" && headers.any(|name| name.eq_ignore_ascii_case("link"));
    links.then_some(Pages { max: PAGES, by: By::Link })
}

/// What a verb promises.
fn hints(verb: &str) -> Hints {
    let (read_only, destructive, idempotent) = match verb {
        "get" | "head" | "options" => (Some(true), None, Some(true)),
        "put" => (Some(false), Some(true), Some(true)),
        "delete" => (Some(false), Some(true), Some(true)),
        "patch" => (Some(false), Some(true), Some(false)),
        _ => (Some(false), Some(false), Some(false)),
    };
    Hints { read_only, destructive, idempotent, open_world: Some(true) }
}
