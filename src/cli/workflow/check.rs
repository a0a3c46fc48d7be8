//! `workflow validate`, and what `create` and `test` share with it: every mistake at once, each with its place.

use super::super::context::Context;
use super::super::known::Known;
use super::definitions;
use crate::documents;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::skills;
use crate::skills::model::Skill;
use crate::ui::{Output, Page, State, text};
use crate::workflows::check::{self, Findings, ToolFacts, World};
use crate::workflows::model::Workflow;
use crate::workflows::read;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// Check workflow files: language, names, order, and the tools' arguments
///
/// Finds every mistake of the language at once, then every mistake of meaning. Tools are checked against what their servers offered when they were last asked;
/// nothing is started and nothing runs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp workflow validate onboarding.yaml")]
pub struct Validate {
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What was found in one file.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    name: String,
    steps: usize,
    errors: Vec<Error>,
    warnings: Vec<Error>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    files: Vec<Checked>,
}

impl Validate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut files = Vec::new();
        for path in &self.files {
            let file = path.display().to_string();
            let text = documents::read_file(path)?;
            files.push(match look(ctx, &file, &text)? {
                Ok((workflow, findings)) => Checked {
                    ok: findings.errors.is_empty(),
                    name: workflow.name.clone(),
                    steps: count(&workflow),
                    errors: findings.errors,
                    warnings: findings.warnings,
                    file,
                },
                Err(errors) => {
                    Checked { ok: false, name: String::new(), steps: 0, errors, warnings: Vec::new(), file }
                }
            });
        }
        let wrong: usize = files.iter().map(|file| file.errors.len()).sum();
        let all = All { files };
        if wrong == 0 {
            return ctx.ui.show(&all);
        }
        let error = Error::new(&codes::WORKFLOW_INVALID, format!("{} found", text::plural(wrong, "mistake")));
        ctx.ui.show_failed(&all, &error)?;
        Err(error)
    }
}

/// Reads and checks a document against what is known here; the inner error holds what keeps it from being read.
pub fn look(ctx: &Context, file: &str, text: &str) -> Result<Result<(Workflow, Findings), Vec<Error>>> {
    let mut workflow = match read::read(file, text) {
        Ok(workflow) => workflow,
        Err(errors) => return Ok(Err(errors)),
    };
    let here = Here {
        known: Known::read(ctx)?,
        names: definitions(ctx)?.into_iter().map(|it| it.name).collect(),
        skills: skills(ctx)?,
    };
    let findings = check::check(file, text, &mut workflow, Some(&here));
    Ok(Ok((workflow, findings)))
}

/// A document that must be right: warnings are told, mistakes end the command.
pub fn demand(ctx: &Context, file: &str, text: &str) -> Result<Workflow> {
    let errors = match look(ctx, file, text)? {
        Ok((workflow, findings)) if findings.errors.is_empty() => {
            for warning in findings.warnings {
                ctx.ui.warn(&place(&warning));
            }
            return Ok(workflow);
        }
        Ok((_, findings)) => findings.errors,
        Err(errors) => errors,
    };
    let more = errors.len() - 1;
    let Some(first) = errors.into_iter().next() else { return Err(Error::bug("no mistake among mistakes")) };
    Err(match more {
        0 => first,
        more => first.hint(format!("umcp workflow validate {file}   (shows {more} more)")),
    })
}

fn place(error: &Error) -> String {
    match &error.span {
        Some(span) => format!("{}:{}:{}: {}", span.file, span.line, span.column, error.message),
        None => error.message.clone(),
    }
}

/// Steps of a workflow, nested ones included.
pub fn count(workflow: &Workflow) -> usize {
    fn within(steps: &[crate::workflows::model::Step]) -> usize {
        let inner = |step: &crate::workflows::model::Step| {
            let blocks: usize = step.action.blocks().into_iter().map(|(_, steps)| within(steps)).sum();
            1 + blocks + within(&step.fallback)
        };
        steps.iter().map(inner).sum()
    }
    within(&workflow.steps) + within(&workflow.finally)
}

/// What the store knows of tools, workflows and skills.
struct Here {
    known: Known,
    names: Vec<String>,
    skills: Vec<Skill>,
}

fn skills(ctx: &Context) -> Result<Vec<Skill>> {
    match ctx.call(skills::Request::List)? {
        Reply::Skill(skills::Reply::Skills(skills)) => Ok(skills),
        other => engine::unexpected(&other),
    }
}

/// What a JSON Schema says of the arguments.
fn facts(schema: &Value) -> ToolFacts {
    let names = |key: &str| -> Vec<String> {
        let value = &schema[key];
        let list = value
            .as_array()
            .map(|list| list.iter().filter_map(|name| name.as_str().map(Into::into)).collect());
        list.or_else(|| value.as_object().map(|map| map.keys().cloned().collect())).unwrap_or_default()
    };
    let closed = schema["additionalProperties"].as_bool() == Some(false);
    ToolFacts { properties: names("properties"), required: names("required"), closed }
}

impl World for Here {
    fn tool(&self, target: &str) -> Result<Option<ToolFacts>, Error> {
        let server = target.split('.').next().unwrap_or(target);
        let found = match self.known.tool(target) {
            Ok(found) => found,
            Err(_) if self.known.never_listed().contains(&server) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(facts(&found.tool.facts().input_schema)))
    }

    fn skill(&self, name: &str) -> Result<Option<ToolFacts>, Error> {
        let (_, installed) = skills::choose(name, &self.skills)?;
        let schema = serde_json::from_str(&installed.schema).unwrap_or_default();
        Ok(installed.is_executable().then(|| facts(&schema)))
    }

    fn workflow(&self, name: &str) -> Result<(), Error> {
        if self.names.iter().any(|known| known == name) {
            return Ok(());
        }
        let error = Error::new(&codes::WORKFLOW_NOT_FOUND, format!("no workflow named `{name}`"));
        Err(match documents::near(name, self.names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("umcp workflow list"),
        })
    }
}

impl Output for All {
    const KIND: &'static str = "workflow.validate/1";

    fn human(&self, page: &mut Page) {
        for file in &self.files {
            match file.ok {
                true => page.mark(
                    State::Ok,
                    format!("{}: {}, {}", file.file, file.name, text::plural(file.steps, "step")),
                ),
                false => page.mark(
                    State::Fail,
                    format!("{}: {}", file.file, text::plural(file.errors.len(), "mistake")),
                ),
            };
            for (word, error) in file
                .errors
                .iter()
                .map(|it| ("error", it))
                .chain(file.warnings.iter().map(|it| ("warning", it)))
            {
                page.text(format!("{word}: {}", error.message));
                if let Some(span) = &error.span {
                    page.text(format!("  --> {}:{}:{}", span.file, span.line, span.column));
                    page.text(format!("  | {}", span.text));
                    page.text(format!("  | {}^", " ".repeat(span.column.saturating_sub(1) as usize)));
                }
                for hint in &error.hints {
                    page.text(format!("  hint: {hint}"));
                }
            }
        }
    }
}
