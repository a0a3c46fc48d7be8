//! `umcp test app`: nothing is sent and nothing is run; `--record` makes one real call and writes down what came back.

use super::{Written, default_file, finish, read, write};
use crate::apps::answer::ANSWER;
use crate::apps::model::{Action, Definition, Tool};
use crate::apps::trial::{Expected, Recorded, Suite, Trial, described, filled};
use crate::apps::{exec, request};
use crate::cli::app::known::installed;
use crate::cli::app::manifest;
use crate::cli::context::Context;
use crate::cli::tool::call;
use crate::engine::live::CallRequest;
use crate::error::{Error, Result, codes};
use crate::secrets::find::is_telling;
use crate::tools::arguments;
use clap::Args;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Test an app: its requests and programs, and what becomes of recorded answers
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp test app github\n  umcp test app hello.yaml --tests hello.test.yaml\n  umcp test app github --record get_repository owner=rust-lang repo=rust"
)]
pub struct App {
    /// An installed or shipped app, or the file of one
    #[arg(value_name = "APP|FILE")]
    name: String,
    /// The file of expectations
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Call this tool for real, and add what came back to the file
    #[arg(long, value_name = "NAME")]
    record: Option<String>,
    /// Arguments of the recorded call
    #[arg(value_name = "NAME=VALUE", requires = "record")]
    arguments: Vec<String>,
}

impl App {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let is_file = Path::new(&self.name).is_file();
        let found = if is_file { None } else { installed(ctx, &self.name)? };
        let path = self.tests.clone().unwrap_or_else(|| match is_file {
            true => Path::new(&self.name).with_extension("test.yaml"),
            false => default_file(&self.name),
        });
        let (definition, env) = match &found {
            Some(found) => (found.definition()?, found.server.env.clone()),
            None => (manifest(&self.name)?.0.definition, BTreeMap::new()),
        };
        let Some(name) = &self.record else {
            let suite = read(&path)?;
            return finish(ctx, &self.name, suite.try_app(&definition)?);
        };
        let Some(found) = &found else {
            return Err(Error::new(&codes::APP_NOT_FOUND, format!("`{}` is not installed", self.name))
                .hint(format!("umcp app install {}", self.name)));
        };
        let missing = || Error::new(&codes::TOOL_NOT_FOUND, format!("`{}` has no tool `{name}`", self.name));
        let tool = definition.tool(name).ok_or_else(missing)?;
        let mut suite = if path.exists() { read(&path)? } else { Suite::default() };
        let plain = |(name, value): (&String, &String)| {
            let open = definition.setting(name).is_some_and(|setting| !setting.secret);
            (open && !value.contains("://secret") && !value.contains("${"))
                .then(|| (name.clone(), value.clone()))
        };
        suite.settings.extend(env.iter().filter_map(plain));
        let given = arguments::build(&self.arguments, &tool.input, &mut call::read)?;
        arguments::check(&given, &tool.input)?;
        let trial = record(ctx, &format!("{}.{name}", found.name()), &definition, tool, given, &suite)?;
        suite.calls.retain(|old| old.tool != trial.tool || old.arguments != trial.arguments);
        suite.calls.push(trial);
        write(&path, &suite)?;
        ctx.ui.show(&Written { file: path, tool: name.clone() })
    }
}

fn record(
    ctx: &Context,
    target: &str,
    definition: &Definition,
    tool: &Tool,
    given: Map<String, Value>,
    suite: &Suite,
) -> Result<Trial> {
    let called = call::call(ctx, target, request_of(target, &given))?;
    let result: Value = serde_json::from_str(&called.result).unwrap_or_default();
    let mut trial = Trial { tool: tool.name.clone(), arguments: given.clone(), ..Trial::default() };
    let mut given = given;
    tool.fill_defaults(&mut given);
    let resolve = |text: &str| Ok(filled(text, definition, &suite.settings));
    match &tool.action {
        Action::Exec(action) => {
            let built = exec::build(action, &given, &resolve, "docker")?;
            trial.program = Some(std::iter::once(built.program).chain(built.args).collect());
        }
        Action::Http(http) => {
            let prepared = request::build(definition, http, &given, &resolve, "BOUNDARY")?;
            trial.request = Some(described(&prepared));
            let recorded: Option<Recorded> =
                result["_meta"].get(ANSWER).and_then(|answer| serde_json::from_value(answer.clone()).ok());
            let Some(mut recorded) = recorded else {
                return Err(Error::new(&codes::TOOL_FAILED, "the call gave no answer of the service"));
            };
            without_keys(&mut recorded.body);
            trial.expected = Expected::of(&recorded.result(tool, http)?);
            trial.answer = Some(recorded);
        }
    }
    Ok(trial)
}

/// A call whose answer comes along as it was.
pub fn request_of(target: &str, given: &Map<String, Value>) -> CallRequest {
    CallRequest {
        target: target.into(),
        arguments: Value::Object(given.clone()).to_string(),
        timeout_ms: None,
        client: crate::cli::context::CLIENT.into(),
        profile: None,
        account: None,
        record: true,
    }
}

/// Takes out the values of fields whose name says that they are keys.
fn without_keys(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(text) if is_telling(name) && !text.is_empty() => *text = "REMOVED".into(),
            other => without_keys(other),
        }),
        Value::Array(items) => items.iter_mut().for_each(without_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_taken_out_of_what_is_kept() {
        let mut value =
            json!({"login": "ann", "access_token": "t0k", "more": [{"password": "p", "size": 1}]});
        without_keys(&mut value);
        let expected =
            json!({"login": "ann", "access_token": "REMOVED", "more": [{"password": "REMOVED", "size": 1}]});
        assert_eq!(value, expected);
    }
}
