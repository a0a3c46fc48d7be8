//! `skill execute`: runs the steps of a skill as a workflow; the text of one without steps is given back.

use super::{files, find, version};
use crate::cli::context::Context;
use crate::cli::workflow;
use crate::engine::live::RunSource;
use crate::error::{Error, Result, codes};
use crate::skills::front;
use crate::skills::model::{Installed, Skill};
use crate::skills::whole;
use crate::ui::{Output, Page};
use crate::workflows::{read, start};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Run a skill and see it to its end
///
/// The steps of a skill run like those of a workflow: written down one by one, and taken up again after a crash. A
/// skill without steps is instructions: they are printed, for whoever is to follow them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill execute greet --input who=Ada\n  umcp skill execute greet --version 1.2.0 --dry-run"
)]
pub struct Execute {
    #[arg(value_name = "SKILL")]
    name: String,
    /// One input; may be given often
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// All inputs from a file, or - for stdin as JSON
    #[arg(long = "inputs", value_name = "FILE")]
    file: Option<PathBuf>,
    /// This version instead of the one in use
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Call nothing: show which steps would be done, with results of null
    #[arg(long)]
    dry_run: bool,
    /// Only begin the run and print its id
    #[arg(long, short)]
    detach: bool,
}

#[derive(Serialize)]
struct Instructions {
    skill: String,
    version: String,
    instructions: String,
}

impl Execute {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let skill = find(ctx, &self.name)?;
        let installed = version(&skill, self.version.as_deref())?;
        let files = files::intact(&ctx.paths, &skill.name, installed)?;
        if !installed.is_executable() {
            if !self.inputs.is_empty() {
                let message = format!("the skill `{}` is instructions alone and takes no inputs", skill.name);
                return Err(Error::new(&codes::USAGE, message));
            }
            let text = files.get(whole::TEXT).map(|it| String::from_utf8_lossy(&it.bytes).into_owned());
            let front = front::read(whole::TEXT, &text.unwrap_or_default())?;
            return ctx.ui.show(&Instructions {
                skill: skill.name.clone(),
                version: installed.version.clone(),
                instructions: front.body,
            });
        }
        let inputs = self.inputs(installed)?;
        if self.dry_run {
            return workflow::dry_run(ctx, &installed.document, inputs);
        }
        let source = RunSource::Document {
            text: installed.document.clone(),
            inputs: Value::Object(inputs).to_string(),
        };
        workflow::begin(ctx, source, &by(&skill), self.detach)
    }

    fn inputs(&self, installed: &Installed) -> Result<Map<String, Value>> {
        let read = read::read(whole::DEFINITION, &installed.document);
        let workflow = read.map_err(|mut errors| errors.swap_remove(0))?;
        let mut inputs = match &self.file {
            Some(path) => workflow::inputs_from(path)?,
            None => Map::new(),
        };
        for word in &self.inputs {
            let Some((name, value)) = word.split_once('=') else {
                let error = Error::new(&codes::USAGE, format!("`{word}` is no NAME=VALUE"));
                return Err(error.hint(format!("umcp skill execute {} --input who=Ada", self.name)));
            };
            inputs.insert(name.into(), start::typed(&workflow, name, value));
        }
        // Checked here, so that a mistake starts nothing.
        start::inputs(&workflow, inputs.clone()).map_err(|mut error| {
            error.hints = vec![format!("umcp skill info {}", self.name)];
            error
        })?;
        Ok(inputs)
    }
}

/// Who started a run of a skill, as its record says.
fn by(skill: &Skill) -> String {
    format!("skill:{}", skill.name)
}

impl Output for Instructions {
    const KIND: &'static str = "skill.instructions/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.instructions);
    }

    fn exact(&self) -> Option<String> {
        Some(self.instructions.clone())
    }
}
