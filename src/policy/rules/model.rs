//! What a policy is: rules, the roles and labels they speak of, and what holds where no rule fits.
//! Plain data, as it stands in a policy file and in the store. What a rule means is `compile` and `decide`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a rule does with the calls it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    #[default]
    Allow,
    /// Asks the user first.
    Ask,
    Deny,
    /// Takes matches of patterns out of the result.
    Redact,
    /// Bounds the number of calls and the size of what they carry.
    Limit,
}

impl Effect {
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
            Self::Redact => "redact",
            Self::Limit => "limit",
        }
    }
}

/// What is called: most rules speak of tools, and all can speak of the other two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Tool,
    Prompt,
    /// Also one that only a template of its server describes.
    Resource,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }

    pub fn is_tool(&self) -> bool {
        *self == Self::Tool
    }
}

/// Everything the user decided, as one document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Document {
    /// What holds for a call that no rule allows, asks for or denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Effect>,
    /// Label -> tools that have it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Role>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Expectations for `umcp policy test -f`; they are never stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
}

/// Who has a role: clients by the name they go by, keys of the HTTP endpoint by theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
}

/// One rule. Conditions that are given must all hold; of the words of one condition, one is enough.
///
/// A rule that names neither tools, prompts nor resources is about all three. One that names some is about those alone,
/// but for one case: what denies or redacts all tools of a server (`server.*` or `*`) is also about its prompts and resources.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    pub effect: Effect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// `server.tool` or the tool's own name; patterns may hold `*` and `?`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// `server.prompt` or the prompt's own name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// The URI, or `server.` and the URI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Path inside the arguments, such as `repo.name` or `files.*.path` -> pattern of the value;
    /// `re:` begins a regular expression.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Hints::is_empty")]
    pub hints: Hints,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Holds once the client has called tools of all these labels within the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Local time, such as `09:00-18:00`; an end before the start goes over midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// `mon` to `sun`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<String>,
    /// Regular expressions, or the words `keys` and `emails`; only with the effect `redact`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// Only with the effect `limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Told to whoever is refused or asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a server says of its tool. It is the server's word: a rule that trusts it trusts the server.
/// A hint that is not given counts as the protocol has it: not read-only, destructive, open to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world: Option<bool>,
}

impl Hints {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Bounds for each client and tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// So many calls within `per_seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_seconds: Option<u32>,
    /// Bytes of the arguments and of the result, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// Lists and objects inside each other in the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

/// One expectation: what becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `server.tool`, or `server.` and the name of a prompt or the URI of a resource.
    pub tool: String,
    #[serde(default, skip_serializing_if = "Kind::is_tool")]
    pub kind: Kind,
    #[serde(default)]
    pub client: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Values by path, all as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Hints::is_empty")]
    pub hints: Hints,
    pub expect: Effect,
}

impl Document {
    /// Takes over what `other` says: rules, roles and labels of the same name are replaced.
    pub fn merge(&mut self, other: Self) {
        self.default = other.default.or(self.default);
        self.labels.extend(other.labels);
        self.roles.extend(other.roles);
        for rule in other.rules {
            match self.rules.iter_mut().find(|known| known.name == rule.name) {
                Some(known) => *known = rule,
                None => self.rules.push(rule),
            }
        }
    }
}
