//! What an app is: tools that umcp itself runs by interpretation, each with one action (a program or an HTTP request).
//! Pure data. How files become apps is in `commands` and `openapi`; how an action is run is the business of `upstream`.
//! Long because every field of a definition stands here.

use super::pages::Pages;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Largest definition of one app, in bytes of JSON.
pub const MAX_DEFINITION: usize = 10 << 20;

/// One row: an app under its name. The server entry that offers it refers to it by that name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub name: String,
    pub kind: Kind,
    pub title: Option<String>,
    pub description: Option<String>,
    /// A [`Definition`] as JSON text.
    pub definition: String,
    /// The file or address it was made from.
    pub origin: Option<String>,
    /// The service whose account it needs, such as `github`.
    pub integration: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// What an app was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file of commands.
    Commands,
    /// An OpenAPI document.
    OpenApi,
    /// A manifest of HTTP tools.
    Http,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::OpenApi => "openapi",
            Self::Http => "http",
        }
    }
}

impl App {
    /// The tools and settings.
    pub fn definition(&self) -> Result<Definition> {
        serde_json::from_str(&self.definition).map_err(|error| {
            Error::new(
                &codes::STORE_DAMAGED,
                format!("the definition of the app `{}` cannot be read", self.name),
            )
            .because(error)
        })
    }

    /// Puts a definition in.
    pub fn define(&mut self, definition: &Definition) -> Result<()> {
        let text = serde_json::to_string(definition).map_err(|error| Error::bug(error.to_string()))?;
        if text.len() > MAX_DEFINITION {
            let message =
                format!("the app `{}` is too large: {} MB of definitions", self.name, text.len() >> 20);
            return Err(Error::new(&codes::VALUE_INVALID, message)
                .hint("take fewer operations with --filter, such as --filter tag=NAME"));
        }
        self.definition = text;
        Ok(())
    }
}

/// The tools of an app and what they have in common.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Definition {
    pub tools: Vec<Tool>,
    /// Put in front of every URL that is only a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Ways to sign requests, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemes: BTreeMap<String, Scheme>,
    /// Values the user gives, named in `${NAME}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// Rights its tools need of the account, asked for at the sign-in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// How a document was converted, to do it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<Conversion>,
}

/// What the user asked for when a document was converted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conversion {
    pub filters: Vec<String>,
    pub base: Option<String>,
}

impl Definition {
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

/// A value the user gives, by `umcp app configure`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Shown as a reference only, and better given as one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
}

/// How a request is signed. Texts hold `${NAME}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    Header { name: String, value: String },
    Query { name: String, value: String },
    Cookie { name: String, value: String },
    Basic { user: String, password: String },
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub description: String,
    /// JSON Schema of the arguments.
    pub input: Value,
    #[serde(default, skip_serializing_if = "Hints::is_empty")]
    pub hints: Hints,
    pub action: Action,
    /// Commands that run before it, in this order, without arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    pub timeout_ms: u64,
    /// Bytes of output that are kept.
    pub limit: u64,
}

impl Tool {
    /// The request it sends, if it sends one.
    pub fn http(&self) -> Option<&Http> {
        match &self.action {
            Action::Http(http) => Some(http),
            Action::Exec(_) => None,
        }
    }

    /// Gives arguments that are not there their defaults.
    pub fn fill_defaults(&self, given: &mut serde_json::Map<String, Value>) {
        for name in self.input["properties"].as_object().into_iter().flat_map(|known| known.keys()) {
            if let (false, Some(default)) = (given.contains_key(name), self.default(name)) {
                given.insert(name.clone(), default.clone());
            }
        }
    }

    /// The default of one argument.
    pub fn default(&self, argument: &str) -> Option<&Value> {
        self.input.get("properties")?.get(argument)?.get("default")
    }
}

/// What a client may tell its user about a tool; what is not said stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hints {
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "readOnly", alias = "read-only")]
    pub read_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "openWorld", alias = "open-world")]
    pub open_world: Option<bool>,
}

impl Hints {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What calling a tool does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Exec(Exec),
    Http(Http),
}

/// What must be so before a command runs. All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// One of these systems: `linux`, `macos`, `windows`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<String>,
    /// These files or folders exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exists: Vec<String>,
    /// These variables are set for the daemon.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    pub run: Run,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Exit codes that are no failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok: Vec<i32>,
    /// stderr belongs to the result.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stderr: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Run {
    /// The program and its arguments.
    Argv(Vec<Item>),
    /// As it stands, without placeholders: files of other tools.
    Verbatim(Vec<String>),
    /// Text for a shell. Arguments reach it as variables, never as text.
    Script { text: String, shell: String },
}

/// A part of a command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, a list of texts, or `if` with `then`")]
pub enum Item {
    /// One argument; left out when a placeholder has no value.
    One(String),
    /// All of them or, when a placeholder has no value, none.
    Group(Vec<String>),
    /// Only where a truth value among the arguments is true.
    Switch(Switch),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub r#if: String,
    pub then: Vec<String>,
}

/// An HTTP request. Texts may hold `{{argument}}` and `${NAME}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Http {
    pub method: String,
    /// An address, or a path behind the app's base.
    pub url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<Field>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Schemes that sign it: any of these sets; an empty set means that none is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The service speaks GraphQL, and says in its answer what went wrong.
    #[serde(default, skip_serializing_if = "is_false")]
    pub graphql: bool,
    /// JSON pointer to the part of the answer that is the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How a list that comes in pages is followed; `None` takes the first page alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pages>,
}

/// A named value of a request; left out when a placeholder has no value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub value: Value,
    #[serde(default, skip_serializing_if = "Style::is_default")]
    pub style: Style,
}

/// How lists and maps are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// `a=1&a=2`; a map as its own fields.
    #[default]
    Repeat,
    /// `a=1,2`.
    Comma,
    /// `a=1%202`.
    Space,
    /// `a=1|2`.
    Pipe,
    /// `a[x]=1`.
    Deep,
    /// As JSON text.
    Json,
    /// Base64 of a file, in a multipart body.
    File,
}

impl Style {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    Json(Value),
    Form(Vec<Field>),
    Multipart(Vec<Field>),
    Text {
        text: String,
        content_type: String,
    },
    /// An argument in Base64, sent as its bytes.
    Binary {
        argument: String,
        content_type: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first.
    pub max: u32,
    pub delay_ms: u64,
    pub backoff: Backoff,
    pub status: Vec<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    #[default]
    Exponential,
    Linear,
    Fixed,
}

impl Retry {
    /// The pause before the attempt after `attempt` (from 0).
    pub fn pause_ms(&self, attempt: u32) -> u64 {
        const LONGEST: u64 = 60_000;
        let factor = match self.backoff {
            Backoff::Exponential => 1_u64 << attempt.min(16),
            Backoff::Linear => u64::from(attempt) + 1,
            Backoff::Fixed => 1,
        };
        self.delay_ms.saturating_mul(factor).min(LONGEST)
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_attempts_grow_as_asked() {
        let pauses = |backoff| {
            let retry = Retry { max: 3, delay_ms: 100, backoff, status: vec![] };
            (0..3).map(|attempt| retry.pause_ms(attempt)).collect::<Vec<_>>()
        };
        assert_eq!(pauses(Backoff::Exponential), [100, 200, 400]);
        assert_eq!(pauses(Backoff::Linear), [100, 200, 300]);
        assert_eq!(pauses(Backoff::Fixed), [100, 100, 100]);
        let long = Retry { max: 99, delay_ms: 50_000, backoff: Backoff::Exponential, status: vec![] };
        assert_eq!(long.pause_ms(90), 60_000);
    }
}
