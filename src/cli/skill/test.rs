//! `skill test`: the tests of a skill's own `skill.yaml`, in the imagination: nothing is called.

use super::look;
use crate::cli::context::Context;
use crate::cli::workflow;
use crate::error::{Error, Result, codes};
use crate::skills::definition::Test as Case;
use crate::ui::{Output, Page, State, text};
use crate::workflows::journal::Status;
use crate::workflows::machine::Machine;
use crate::workflows::{read, start};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Run the tests that a skill brings along
///
/// Steps are not carried out: what they call answers what the test says under `mock`, by the id of the step. Waits are
/// over at once, and approvals are given.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp skill test ./greet")]
pub struct Test {
    /// Folders, bundles, or installed skills
    #[arg(value_name = "SKILL|PATH", required = true)]
    words: Vec<String>,
}

#[derive(Serialize)]
struct Tried {
    skill: String,
    test: String,
    ok: bool,
    /// What came out, and what should have.
    why: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Tried>);

impl Test {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut tried = Vec::new();
        for word in &self.words {
            let (_, whole) = look(ctx, word)?;
            if whole.tests.is_empty() {
                let message = format!("the skill `{}` has no tests", whole.name);
                return Err(Error::new(&codes::SKILL_INVALID, message)
                    .hint("add `tests` to its skill.yaml, as `umcp skill create x --template steps` shows"));
            }
            for case in &whole.tests {
                let why = self::case(ctx, &whole.installed.document, case)?;
                let (skill, test) = (whole.name.clone(), case.name.clone());
                tried.push(Tried { skill, test, ok: why.is_none(), why });
            }
        }
        let failed = tried.iter().filter(|it| !it.ok).count();
        let all = All(tried);
        if failed == 0 {
            return ctx.ui.show(&all);
        }
        let message = format!("{} failed", text::plural(failed, "test"));
        let error = Error::new(&codes::SKILL_TEST_FAILED, message);
        ctx.ui.show_failed(&all, &error)?;
        Err(error)
    }
}

/// Why a test did not come out as it says.
fn case(ctx: &Context, document: &str, case: &Case) -> Result<Option<String>> {
    let mut workflow = read::read("steps", document).map_err(|mut errors| errors.swap_remove(0))?;
    let found = crate::workflows::check::check("steps", document, &mut workflow, None);
    if let Some(error) = found.errors.into_iter().next() {
        return Err(error);
    }
    let inputs = match &case.inputs {
        Value::Object(inputs) => inputs.clone(),
        _ => Map::new(),
    };
    let inputs = match start::inputs(&workflow, inputs) {
        Ok(inputs) => inputs,
        Err(error) => return Ok(judge_failure(case, &error.message)),
    };
    let now = ctx.clock.now();
    let machine = Machine::new(Arc::new(workflow), "test", inputs, now);
    let (status, outputs, failure) = workflow::imagine(machine, now, &case.mock, &mut |_, _| ())?;
    match failure {
        Some(failure) => Ok(judge_failure(case, &failure.message)),
        None if status != Status::Completed => Ok(judge_failure(case, status.word())),
        None => Ok(judge(case, &outputs)),
    }
}

fn judge_failure(case: &Case, message: &str) -> Option<String> {
    match &case.error {
        Some(words) if message.contains(words.as_str()) => None,
        Some(words) => Some(format!("it failed with `{message}`, not with `{words}`")),
        None => Some(format!("it failed: {message}")),
    }
}

fn judge(case: &Case, outputs: &Value) -> Option<String> {
    if let Some(words) = &case.error {
        return Some(format!("it did not fail with `{words}`: {outputs}"));
    }
    let expected = case.expect.as_object()?;
    let other = expected.iter().find(|(name, value)| outputs.get(name.as_str()) != Some(*value));
    other.map(|(name, value)| {
        let found = outputs.get(name.as_str()).map_or("nothing".into(), Value::to_string);
        format!("`{name}` is {found}, not {value}")
    })
}

impl Output for All {
    const KIND: &'static str = "skill.test/1";

    fn human(&self, page: &mut Page) {
        for it in &self.0 {
            match &it.why {
                None => page.mark(State::Ok, format!("{}: {}", it.skill, it.test)),
                Some(why) => page.mark(State::Fail, format!("{}: {}: {why}", it.skill, it.test)),
            };
        }
    }
}
