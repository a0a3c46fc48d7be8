//! An OpenAPI document (3.0, 3.1) as tools: one for each operation, run by interpretation, no code made.
//! Pure. Rules: only references within the document are followed, each at most once on its way; everything is bounded;
//! an operation that cannot be expressed is left out with its reason and never half right.

mod body;
mod naming;
mod operation;
mod parameters;
mod refs;
mod schema;
mod security;

use super::model::Definition;
use crate::error::{Error, Result, codes};
use naming::Names;
use operation::{Shared, convert_one};
use refs::Document;
use serde_json::Value;

/// Operations of one document; more are refused, since no client takes so many tools.
pub const MAX_OPERATIONS: usize = 20_000;

const VERBS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the app, for the names of its settings.
    pub name: String,
    pub filters: Vec<Filter>,
    /// Instead of the document's own server.
    pub base: Option<String>,
    /// Where the document was read, for servers given by a path alone.
    pub origin: Option<String>,
}

/// Which operations are taken: of each kind that is given, one has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The path, with `*` for any run of characters.
    Path(String),
    Tag(String),
    Verb(String),
    /// The operation's id, with `*`.
    Operation(String),
}

impl Filter {
    /// Reads `tag=NAME`, `verb=get`, `path=/pets*` or `operation=list*`.
    pub fn read(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(&codes::VALUE_INVALID, format!("`{text}` is no filter"))
                .hint("write tag=NAME, verb=get, path=/pets* or operation=list*")
        };
        let (kind, value) = text.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(wrong)?;
        let verb = value.to_ascii_lowercase();
        match kind {
            "path" => Ok(Self::Path(value.into())),
            "tag" => Ok(Self::Tag(value.into())),
            "operation" => Ok(Self::Operation(value.into())),
            "verb" if VERBS.contains(&verb.as_str()) => Ok(Self::Verb(verb)),
            _ => Err(wrong()),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Path(_) => 0,
            Self::Tag(_) => 1,
            Self::Verb(_) => 2,
            Self::Operation(_) => 3,
        }
    }

    fn fits(&self, path: &str, verb: &str, operation: &Value) -> bool {
        match self {
            Self::Path(pattern) => matches(pattern, path),
            Self::Verb(wanted) => wanted == verb,
            Self::Operation(pattern) => {
                operation["operationId"].as_str().is_some_and(|id| matches(pattern, id))
            }
            Self::Tag(tag) => operation["tags"].as_array().is_some_and(|tags| {
                tags.iter().any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(tag)))
            }),
        }
    }
}

/// `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    pub title: Option<String>,
    pub description: Option<String>,
    pub definition: Definition,
    /// Operations in the document, and how many of them the filters took.
    pub operations: usize,
    pub chosen: usize,
    /// Chosen operations that became no tool, with the reason.
    pub skipped: Vec<(String, String)>,
}

/// Converts a document.
///
/// Errors: `OPENAPI_INVALID` when it is none, of another version, or nothing of it is left.
pub fn convert(document: &Value, options: &Options) -> Result<Converted> {
    check_version(document)?;
    let document = Document::new(document);
    let shared = Shared::new(&document, options)?;
    let mut converted = Converted {
        title: text(&document.root["info"]["title"], 120),
        description: text(&document.root["info"]["description"], 600),
        ..Converted::default()
    };
    let mut names = Names::default();
    let none = serde_json::Map::new();
    for (path, item) in document.root["paths"].as_object().unwrap_or(&none) {
        let Some(item) = document.resolve(item) else {
            converted.skipped.push((path.clone(), "its reference leads nowhere".into()));
            continue;
        };
        for verb in VERBS {
            let Some(operation) = item.get(verb).filter(|operation| operation.is_object()) else { continue };
            converted.operations += 1;
            if converted.operations > MAX_OPERATIONS {
                let message = format!("the document has more than {MAX_OPERATIONS} operations");
                return Err(Error::new(&codes::OPENAPI_INVALID, message));
            }
            if !chosen(&options.filters, path, verb, operation) {
                continue;
            }
            converted.chosen += 1;
            match convert_one(&shared, path, verb, item, operation) {
                Ok(mut tool) => {
                    tool.name = names.unique(&tool.name);
                    converted.definition.tools.push(tool);
                }
                Err(why) => converted.skipped.push((format!("{verb} {path}"), why)),
            }
        }
    }
    (converted.definition.schemes, converted.definition.settings) =
        shared.security.used(&converted.definition.tools);
    converted.definition.base = shared.base.clone();
    if converted.definition.tools.is_empty() {
        return Err(nothing(&converted));
    }
    Ok(converted)
}

fn check_version(document: &Value) -> Result<()> {
    let version = document["openapi"].as_str().unwrap_or_default();
    if version.starts_with("3.") {
        return Ok(());
    }
    let invalid = |message: String| Error::new(&codes::OPENAPI_INVALID, message);
    if let Some(version) = document["swagger"].as_str() {
        return Err(invalid(format!("the document is Swagger {version}"))
            .hint("convert it to OpenAPI 3 first, for example with https://converter.swagger.io"));
    }
    Err(match version {
        "" => invalid("the document is no OpenAPI document: it has no field `openapi`".into()),
        version => invalid(format!("the document is of OpenAPI {version}; umcp reads 3.0 and 3.1")),
    })
}

fn chosen(filters: &[Filter], path: &str, verb: &str, operation: &Value) -> bool {
    filters.iter().all(|filter| {
        let same_kind = filters.iter().filter(|other| other.kind() == filter.kind());
        same_kind.into_iter().any(|filter| filter.fits(path, verb, operation))
    })
}

fn nothing(converted: &Converted) -> Error {
    let message = match (converted.operations, converted.chosen) {
        (0, _) => "the document has no operations".to_string(),
        (all, 0) => format!("none of the {all} operations fits the filters"),
        (_, chosen) => format!("none of the {chosen} operations can become a tool"),
    };
    let error = Error::new(&codes::OPENAPI_INVALID, message);
    match converted.skipped.first() {
        Some((_, why)) if why == operation::NO_SERVER => {
            error.because(why).hint("--base-url https://api.example.com/v1")
        }
        Some((operation, why)) => error.because(format!("{operation}: {why}")),
        None => error,
    }
}

/// A text as one paragraph of at most so many characters.
fn text(value: &Value, most: usize) -> Option<String> {
    let words = value.as_str()?.split_whitespace();
    let mut text = String::new();
    for word in words {
        if text.len() + word.len() > most {
            text.push('…');
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
