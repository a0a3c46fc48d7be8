//! A program, run to its end. No shell unless the document wrote a command line, and no value is ever part of one.

use super::{Shared, folder, named, plain, tail};
use crate::error::{Error, Result, codes};
use crate::sandbox::Resource;
use crate::upstream::process::{Finished, Job, Spec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A program gets so long that has no `timeout`.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of stdout, and of stderr.
const OUTPUT: usize = 512 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    words: Vec<Value>,
    script: Option<String>,
    cwd: Option<String>,
    stdin: Option<Value>,
    #[serde(default)]
    env: BTreeMap<String, Value>,
    #[serde(default)]
    fixed_env: BTreeMap<String, Value>,
}

pub(super) async fn run(shared: &Arc<Shared>, asked: Asked, limit: Option<Duration>) -> Result<Value> {
    let mut words = match asked.script {
        Some(script) if cfg!(windows) => vec!["powershell".into(), "-Command".into(), script],
        Some(script) => vec!["sh".into(), "-c".into(), script],
        None => asked.words.iter().map(plain).collect(),
    };
    if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
        return Err(Error::new(&codes::ARGUMENTS_INVALID, "the command has no program, or a word with NUL"));
    }
    let program = words.remove(0);
    let spec = Spec {
        label: program.clone(),
        program,
        args: words,
        env: named(shared, "env", asked.fixed_env, asked.env).await?,
        cwd: Some(folder(shared, asked.cwd)),
        // As a command app: it is the user's own program and needs what the user may.
        confinement: None,
    };
    let input = asked.stdin.as_ref().map(plain).unwrap_or_default();
    let (stdout, stderr) = finished(shared, spec, input, limit.unwrap_or(PATIENCE)).await?;
    let mut result = json!({"exit_code": 0, "stdout": stdout, "stderr": stderr});
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(&stdout) {
        result["json"] = value;
    }
    Ok(result)
}

/// Runs a program that must succeed; gives what it wrote, without the last line's end.
pub(super) async fn finished(
    shared: &Arc<Shared>,
    spec: Spec,
    input: String,
    deadline: Duration,
) -> Result<(String, String)> {
    let program = spec.program.clone();
    let job = Job { spec, input: input.into_bytes(), deadline, output: OUTPUT };
    let Finished { exit, breach, stdout, stderr } = shared.children.run(job).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_string();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    match breach.map(|breach| breach.resource) {
        Some(Resource::Time) => {
            let message = format!("`{program}` did not end within {} s", deadline.as_secs_f64());
            return Err(Error::new(&codes::TIMED_OUT, message));
        }
        Some(resource) => {
            let message = format!("`{program}` was stopped: it used more {resource:?} than it may");
            return Err(Error::new(&codes::UPSTREAM_ERROR, message));
        }
        None => {}
    }
    if exit.code != Some(0) {
        let said = tail(if stderr.is_empty() { &stdout } else { &stderr });
        let colon = if said.is_empty() { "" } else { ": " };
        let message = format!("`{program}` failed with {exit}{colon}{said}");
        return Err(Error::new(&codes::UPSTREAM_ERROR, message));
    }
    Ok((stdout, stderr))
}
