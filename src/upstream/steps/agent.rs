//! A question to an agent's own program, without a terminal: the prompt goes in on stdin, the last answer comes out.
//! What the program may do is set up in the program itself; umcp adds nothing to it.

use super::command::finished;
use super::{Shared, folder, named, plain, skill};
use crate::error::{Error, Result, codes};
use crate::upstream::process::Spec;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An agent gets so long that has no `timeout`.
const PATIENCE: Duration = Duration::from_secs(1800);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    agent: String,
    prompt: Option<Value>,
    skill: Option<String>,
    model: Option<String>,
    cwd: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Value>,
    #[serde(default)]
    fixed_env: BTreeMap<String, Value>,
}

pub(super) async fn run(shared: &Arc<Shared>, asked: Asked, limit: Option<Duration>) -> Result<Value> {
    let spec = Spec {
        program: asked.agent.clone(),
        args: words(&asked.agent, asked.model.as_deref())?,
        env: named(shared, "env", asked.fixed_env, asked.env).await?,
        cwd: Some(folder(shared, asked.cwd)),
        label: asked.agent.clone(),
        // It signs in with what lies in the user's home, and has guards of its own.
        confinement: None,
    };
    let mut prompt = asked.prompt.as_ref().map(plain).unwrap_or_default();
    if let Some(name) = &asked.skill {
        let skill = skill::find(shared, name).await?;
        prompt = format!("{}\n\n{prompt}", skill::instructions(shared, &skill).await?).trim_end().into();
    }
    let (stdout, _) = finished(shared, spec, prompt, limit.unwrap_or(PATIENCE)).await?;
    answer(&asked.agent, &stdout)
}

/// The command line that reads a prompt from stdin.
fn words(agent: &str, model: Option<&str>) -> Result<Vec<String>> {
    let (mut words, last): (Vec<&str>, Option<&str>) = match agent {
        "claude" => (vec!["-p", "--output-format", "json"], None),
        "codex" => (vec!["exec", "--skip-git-repo-check"], Some("-")),
        "gemini" => (vec!["--output-format", "json"], None),
        _ => return Err(Error::new(&codes::ARGUMENTS_INVALID, format!("`{agent}` is no agent umcp knows"))),
    };
    if let Some(model) = model {
        words.extend(["--model", model]);
    }
    words.extend(last);
    Ok(words.into_iter().map(Into::into).collect())
}

/// What the program said: the text of its last answer, that as `json` where it is an object or a list, and its cost.
fn answer(agent: &str, stdout: &str) -> Result<Value> {
    let said = serde_json::from_str::<Value>(stdout).unwrap_or_default();
    let text = match agent {
        "claude" => said["result"].as_str(),
        "gemini" => said["response"].as_str(),
        _ => None,
    };
    let wrong = said["error"]["message"]
        .as_str()
        .or(text)
        .filter(|_| said["is_error"] == true || (agent == "gemini" && said["error"].is_object()));
    if let Some(wrong) = wrong {
        return Err(Error::new(&codes::UPSTREAM_ERROR, format!("`{agent}` failed: {wrong}")));
    }
    let text = text.unwrap_or(stdout);
    let mut result = json!({"text": text});
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(unfenced(text)) {
        result["json"] = value;
    }
    if let Some(cost) = said["total_cost_usd"].as_f64() {
        result["cost_usd"] = cost.into();
    }
    Ok(result)
}

/// A text without the fence that models like to put around JSON.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|inner| inner.strip_suffix("```")).map_or(text, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_asked_in_its_own_way() {
        let line = |agent: &str, model: Option<&str>| words(agent, model).map(|words| words.join(" "));
        assert_eq!(line("claude", Some("sonnet")).unwrap(), "-p --output-format json --model sonnet");
        assert_eq!(line("codex", Some("m")).unwrap(), "exec --skip-git-repo-check --model m -");
        assert_eq!(line("gemini", None).unwrap(), "--output-format json");
        assert!(line("bash", None).is_err());
    }

    #[test]
    fn answers_are_read_and_failures_told() {
        let cases = [
            (
                "claude",
                r#"{"type":"result","is_error":false,"result":"hi","total_cost_usd":0.25}"#,
                json!({"text": "hi", "cost_usd": 0.25}),
            ),
            (
                "gemini",
                r#"{"response":"```json\n{\"a\":1}\n```","stats":{}}"#,
                json!({"text": "```json\n{\"a\":1}\n```", "json": {"a": 1}}),
            ),
            ("codex", "done [1]", json!({"text": "done [1]"})),
            ("codex", "[1]", json!({"text": "[1]", "json": [1]})),
            ("claude", "plain", json!({"text": "plain"})),
        ];
        for (agent, said, expected) in cases {
            assert_eq!(answer(agent, said).unwrap(), expected, "{agent}: {said}");
        }
        for (agent, said, expected) in [
            ("claude", r#"{"is_error":true,"result":"no credit"}"#, "`claude` failed: no credit"),
            ("gemini", r#"{"error":{"message":"quota"}}"#, "`gemini` failed: quota"),
        ] {
            assert_eq!(answer(agent, said).unwrap_err().message, expected);
        }
    }
}
