//! Calls of an app tried without a network: the request that would be sent, or the program that would be run, beside
//! what a file expects, and what a client would get of an answer that was recorded. Pure; nothing is called here.
//! The results of MCP servers are compared by the same rules (`Expected`).

use super::answer::{self, Outcome, Received};
use super::model::{Action, Definition, Http, Tool};
use super::{exec, request};
use crate::error::{Error, Result, codes};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A file of trials.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suite {
    /// Values of settings; a secret one is its own name in brackets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Tools that have to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Trial>,
    /// What an integration says of itself, as far as it is named here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<Value>,
}

/// One call and what is expected of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trial {
    pub tool: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
    /// Of an app over HTTP: `method`, `url` and `body`, as far as they are named here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// Of an app of commands: the program and its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Vec<String>>,
    /// What the service answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Recorded>,
    #[serde(flatten)]
    pub expected: Expected,
}

/// What a client should get.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Expected {
    /// The text, or the value that the text or the structured result is as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Pieces of the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// The tool reports a failure.
    #[serde(skip_serializing_if = "is_false")]
    pub error: bool,
}

/// An answer of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    #[serde(default = "fine")]
    pub status: u16,
    #[serde(default = "as_json", rename = "type")]
    pub content_type: String,
    /// JSON, or a text.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// A file, in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

fn fine() -> u16 {
    200
}

fn as_json() -> String {
    "application/json".into()
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Recorded {
    pub fn of(status: u16, content_type: &str, body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).ok();
        let value = text.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
        let base64 = value.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(body));
        Self { status, content_type: content_type.into(), body: value.unwrap_or_default(), base64 }
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        match (&self.base64, &self.body) {
            (Some(text), _) => base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| {
                Error::new(&codes::FILE_INVALID, "a recorded answer is not Base64").because(error)
            }),
            (None, Value::Null) => Ok(Vec::new()),
            (None, Value::String(text)) => Ok(text.clone().into_bytes()),
            (None, value) => Ok(value.to_string().into_bytes()),
        }
    }
}

impl Suite {
    /// What differs when the trials are made, in words; empty when nothing does.
    pub fn try_app(&self, definition: &Definition) -> Result<Vec<Tried>> {
        let mut tried = vec![names(&self.tools, |name| definition.tool(name).is_some())];
        for trial in &self.calls {
            let differences = match definition.tool(&trial.tool) {
                None => vec!["there is no such tool".to_string()],
                Some(tool) => trial.differences(definition, tool, &self.settings)?,
            };
            tried.push(Tried { what: trial.tool.clone(), differences });
        }
        tried.retain(|one| one.what != TOOLS || !self.tools.is_empty());
        Ok(tried)
    }
}

const TOOLS: &str = "tools";

/// Whether names are there.
pub fn names(wanted: &[String], is_there: impl Fn(&str) -> bool) -> Tried {
    let missing = wanted.iter().filter(|name| !is_there(name));
    Tried {
        what: TOOLS.into(),
        differences: missing.map(|name| format!("there is no tool `{name}`")).collect(),
    }
}

/// How one trial went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    pub what: String,
    pub differences: Vec<String>,
}

impl Trial {
    fn differences(
        &self,
        definition: &Definition,
        tool: &Tool,
        settings: &BTreeMap<String, String>,
    ) -> Result<Vec<String>> {
        let mut given = self.arguments.clone();
        tool.fill_defaults(&mut given);
        let resolve = |text: &str| Ok(filled(text, definition, settings));
        let mut found = Vec::new();
        match &tool.action {
            Action::Exec(action) => {
                if let Some(wanted) = &self.program {
                    let built = exec::build(action, &given, &resolve, "docker")?;
                    let words: Vec<String> = std::iter::once(built.program).chain(built.args).collect();
                    differ("the program", &json!(wanted), &json!(words), &mut found);
                }
            }
            Action::Http(http) => {
                let made = request::build(definition, http, &given, &resolve, "BOUNDARY");
                let request = match made {
                    Ok(prepared) => described(&prepared),
                    Err(error) => return Ok(vec![format!("no request can be made: {error}")]),
                };
                for (field, wanted) in self.request.iter().filter_map(Value::as_object).flatten() {
                    differ(&format!("the request's {field}"), wanted, &request[field.as_str()], &mut found);
                }
                if let Some(recorded) = &self.answer {
                    found.extend(self.expected.differences(&recorded.result(tool, http)?));
                }
            }
        }
        Ok(found)
    }
}

impl Recorded {
    /// What a client gets of it, as `CallToolResult`.
    pub fn result(&self, tool: &Tool, http: &Http) -> Result<Value> {
        let outcome = self.outcome(tool, http)?;
        serde_json::from_str(&outcome.json()).map_err(|error| Error::bug(error.to_string()))
    }

    fn outcome(&self, tool: &Tool, http: &Http) -> Result<Outcome> {
        let body = self.bytes()?;
        let received = Received {
            status: self.status,
            phrase: &self.status.to_string(),
            content_type: &self.content_type,
            url: "recorded",
            text: String::from_utf8_lossy(&body).into_owned(),
            body: &body,
            cut: false,
            next: None,
        };
        Ok(answer::of(received, tool, http))
    }
}

impl Expected {
    /// The expectation that a result meets.
    pub fn of(result: &Value) -> Self {
        let text = text_of(result);
        let value = result.get("structuredContent").cloned();
        let value = value.unwrap_or_else(|| serde_json::from_str(&text).unwrap_or_else(|_| text.into()));
        Self { result: Some(value), contains: Vec::new(), error: result["isError"] == true }
    }

    /// What differs between a `CallToolResult` and this.
    pub fn differences(&self, result: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let text = text_of(result);
        let failed = result["isError"] == true;
        if failed != self.error {
            let word = if failed { "the tool reports a failure" } else { "the tool reports no failure" };
            found.push(format!("{word}: {}", short(&text)));
        }
        if let Some(wanted) = &self.result {
            let structured = result.get("structuredContent");
            let parsed = || serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()));
            let got = match (wanted, structured) {
                (Value::String(_), _) => text.as_str().into(),
                (_, Some(structured)) => structured.clone(),
                (_, None) => parsed(),
            };
            differ("the result", wanted, &got, &mut found);
        }
        for piece in self.contains.iter().filter(|piece| !text.contains(piece.as_str())) {
            found.push(format!("the result does not contain `{piece}`: {}", short(&text)));
        }
        found
    }
}

fn text_of(result: &Value) -> String {
    let blocks = result["content"].as_array().into_iter().flatten();
    blocks.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

fn differ(what: &str, wanted: &Value, got: &Value, found: &mut Vec<String>) {
    if wanted != got {
        let shown = |value: &Value| short(&value.as_str().map_or_else(|| value.to_string(), String::from));
        found.push(format!("{what} is `{}`, expected `{}`", shown(got), shown(wanted)));
    }
}

fn short(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

/// A request as files have it: JSON bodies as values.
pub fn described(prepared: &request::Prepared) -> Value {
    let mut described = json!({"method": prepared.method, "url": prepared.url});
    if let Some(body) = &prepared.body {
        let text = String::from_utf8_lossy(body).into_owned();
        described["body"] = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
    }
    described
}

/// A text of a definition with the values of a suite, then defaults; what is left is its own name in brackets.
pub fn filled(text: &str, definition: &Definition, settings: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        filled.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else { break };
        let inner = &rest[at + 2..at + end];
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, text)| (name, Some(text)));
        let own = definition.setting(name).and_then(|setting| setting.default.as_deref());
        let value = settings.get(name).map(String::as_str).or(own).or(default);
        filled.push_str(&value.map_or_else(|| format!("[{name}]"), String::from));
        rest = &rest[at + end + 1..];
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::file::load;

    const FILE: &str = r#"
name: pets
base: ${PETS_API}
settings: [{name: PETS_API, default: "https://pets.test"}, {name: PETS_KEY, secret: true}]
auth: {query: {name: key, value: "${PETS_KEY}"}}
tools:
  pet: {description: One, arguments: {id: integer, full: {type: boolean, default: false}}, http: {url: "/pets/{{id}}", query: {full: "{{full}}"}, result: /pet}}
  say: {description: Says it, arguments: {word: string}, exec: [echo, "{{word}}"]}
"#;

    fn tried(suite: &str) -> Vec<String> {
        let definition = load("pets.yaml", FILE).unwrap().definition;
        let suite: Suite = crate::documents::load("t.yaml", suite).unwrap();
        suite.try_app(&definition).unwrap().into_iter().flat_map(|one| one.differences).collect()
    }

    #[test]
    fn what_is_as_expected_and_what_is_not() {
        let good = r#"
tools: [pet, say]
calls:
  - tool: pet
    arguments: {id: 7}
    request: {method: GET, url: "https://pets.test/pets/7?full=false&key=%5BPETS_KEY%5D"}
    answer: {body: {pet: {name: Rex}}}
    result: {name: Rex}
  - {tool: pet, arguments: {id: 8}, answer: {status: 404, body: none}, error: true, contains: [404]}
  - {tool: say, arguments: {word: hi}, program: [echo, hi]}
"#;
        assert_eq!(tried(&good.replace("contains: [404]", "contains: ['404']")), Vec::<String>::new());
        for (suite, expected) in [
            ("tools: [cat]", "there is no tool `cat`"),
            ("calls: [{tool: cat}]", "there is no such tool"),
            (
                "calls: [{tool: pet, arguments: {id: 1}, request: {method: POST}}]",
                "the request's method is `GET`, expected `POST`",
            ),
            (
                "calls: [{tool: pet, arguments: {id: 1}, answer: {body: {pet: 1}}, result: 2}]",
                "the result is `1`, expected `2`",
            ),
            (
                "calls: [{tool: pet, arguments: {id: 1}, answer: {status: 500, body: oops}}]",
                "the tool reports a failure: `pet` failed: the service answered 500\noops",
            ),
            (
                "calls: [{tool: say, arguments: {word: hi}, program: [echo, ho]}]",
                r#"the program is `["echo","hi"]`, expected `["echo","ho"]`"#,
            ),
        ] {
            assert_eq!(tried(suite), [expected], "{suite}");
        }
    }

    #[test]
    fn an_answer_is_recorded_as_what_it_is() {
        for (body, expected) in [
            (&b"{\"a\":1}"[..], json!({"status": 200, "type": "t", "body": {"a": 1}})),
            (b"text", json!({"status": 200, "type": "t", "body": "text"})),
            (&[0xFF, 0], json!({"status": 200, "type": "t", "base64": "/wA="})),
        ] {
            let recorded = Recorded::of(200, "t", body);
            assert_eq!(serde_json::to_value(&recorded).unwrap(), expected);
            assert_eq!(recorded.bytes().unwrap(), body);
        }
    }
}
