//! `skill validate`: every mistake of a skill at once, in its texts and in its steps.

use super::{content, is_path};
use crate::cli::context::Context;
use crate::cli::workflow;
use crate::error::{Error, Result, codes};
use crate::skills::bundle;
use crate::skills::whole::{self, Whole};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Check skills: texts, steps, names, signature
///
/// Steps are checked against what servers offered when they were last asked; nothing is started and nothing runs.
/// With --strict, what only the format's own rules forbid is a mistake too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp skill validate ./greet\n  umcp skill validate greet --strict")]
pub struct Validate {
    /// Folders, bundles, or installed skills
    #[arg(value_name = "SKILL|PATH", required = true)]
    words: Vec<String>,
    /// Take warnings for mistakes
    #[arg(long)]
    strict: bool,
}

#[derive(Serialize)]
struct Checked {
    skill: String,
    ok: bool,
    version: Option<String>,
    executable: bool,
    signed_by: Option<String>,
    errors: Vec<Error>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Checked>);

impl Validate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let checked = self.words.iter().map(|word| self.check(ctx, word)).collect::<Result<Vec<_>>>()?;
        let wrong: usize =
            checked.iter().map(|it| it.errors.len() + if self.strict { it.warnings.len() } else { 0 }).sum();
        let all = All(checked);
        if wrong == 0 {
            return ctx.ui.show(&all);
        }
        let error = Error::new(&codes::SKILL_INVALID, format!("{} found", text::plural(wrong, "mistake")));
        ctx.ui.show_failed(&all, &error)?;
        Err(error)
    }

    fn check(&self, ctx: &Context, word: &str) -> Result<Checked> {
        let files = content(ctx, word)?;
        let looked = whole::look(&files, if is_path(word) { word } else { "" });
        let mut checked = Checked {
            skill: word.into(),
            ok: false,
            version: None,
            executable: false,
            signed_by: None,
            errors: looked.errors,
            warnings: looked.warnings,
        };
        if let Some(whole) = looked.whole {
            let about = &whole.installed;
            match bundle::verify(&files, &whole.name, &about.version) {
                Ok(signed) => checked.signed_by = signed.map(|it| it.publisher),
                Err(error) => checked.errors.push(error),
            }
            let (errors, warnings) = steps(ctx, word, &whole)?;
            checked.errors.extend(errors);
            checked.warnings.extend(warnings);
            checked.version = Some(about.version.clone());
            checked.executable = about.is_executable();
        }
        checked.ok = checked.errors.is_empty() && (!self.strict || checked.warnings.is_empty());
        Ok(checked)
    }
}

/// Mistakes and remarks in the steps of a skill.
pub fn steps(ctx: &Context, word: &str, whole: &Whole) -> Result<(Vec<Error>, Vec<String>)> {
    if !whole.installed.is_executable() {
        return Ok((Vec::new(), Vec::new()));
    }
    let file = format!("{}/{}", word.trim_end_matches('/'), whole::DEFINITION);
    // As it was written first: there, places hold.
    let texts = [whole.plain.as_ref(), Some(&whole.installed.document)];
    let mut warnings = Vec::new();
    for (number, text) in texts.into_iter().enumerate() {
        let Some(text) = text else { continue };
        let placed = number == 0;
        let plain = |mut error: Error| {
            if !placed {
                error.span = None;
            }
            error
        };
        match workflow::look(ctx, &file, text)? {
            Err(errors) => return Ok((errors.into_iter().map(plain).collect(), warnings)),
            Ok((_, findings)) if !findings.errors.is_empty() => {
                return Ok((findings.errors.into_iter().map(plain).collect(), warnings));
            }
            Ok((_, findings)) => {
                warnings = findings.warnings.into_iter().map(|it| it.message).collect();
            }
        }
    }
    Ok((Vec::new(), warnings))
}

impl Output for All {
    const KIND: &'static str = "skill.validate/1";

    fn human(&self, page: &mut Page) {
        for it in &self.0 {
            let version = it.version.as_deref().unwrap_or_default();
            let kind = if it.executable { "with steps" } else { "instructions" };
            let signed = it.signed_by.as_ref().map_or("unsigned".into(), |by| format!("signed by {by}"));
            match it.ok {
                true => page.mark(State::Ok, format!("{} {version}: {kind}, {signed}", it.skill)),
                false => page.mark(State::Fail, format!("{}: not as it should be", it.skill)),
            };
            for error in &it.errors {
                page.text(format!("error: {error}"));
                if let Some(span) = &error.span {
                    page.text(format!("  --> {}:{}:{}", span.file, span.line, span.column));
                    page.text(format!("  | {}", span.text));
                    page.text(format!("  | {}^", " ".repeat(span.column.saturating_sub(1) as usize)));
                }
                for hint in &error.hints {
                    page.text(format!("  hint: {hint}"));
                }
            }
            for warning in &it.warnings {
                page.text(format!("warning: {warning}"));
            }
        }
    }
}
