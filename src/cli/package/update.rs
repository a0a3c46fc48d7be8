//! `umcp update`: a newer version beside the one in use, started once, its tools compared, and taken into use on a yes.
//! On a no everything is as it was.

use super::known::{self, Entry};
use crate::cli::context::Context;
use crate::documents::diff::diff;
use crate::error::{Error, Result, codes};
use crate::packages::{Installed, Reference};
use crate::setup::packages::{Wanted, entry};
use crate::tools::pins;
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Update packages, after a look at what changes in their tools
///
/// The new version is installed beside the one in use and started once; every tool that is added, removed or described
/// anew is shown before you are asked. With `--check` nothing changes, and the exit code is 13 when an update is there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp update --check\n  umcp update everything\n  umcp update everything --to 2026.8.31"
)]
pub struct Update {
    /// Only these packages
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
    /// Those of the project one is in, and keep its `umcp.lock` with them
    #[arg(long)]
    project: bool,
    /// Show what would change and leave all as it is
    #[arg(long)]
    check: bool,
    /// Take this version, and stay with it; `latest` takes the newest from now on
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

/// One package that was looked at.
#[derive(Serialize)]
struct Outcome {
    name: String,
    from: String,
    to: String,
    /// Its reference names a version, which it stays with.
    pinned: bool,
    /// `current`, `available`, `updated`, `kept` or `failed`.
    state: &'static str,
    changes: Vec<Change>,
    findings: Vec<String>,
    error: Option<String>,
}

/// What becomes of one tool.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    tool: String,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// Unified.
    diff: String,
}

impl Update {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let project = self.project.then(|| known::project_lock(ctx, false)).transpose()?;
        let entries = match &project {
            Some(path) if self.names.is_empty() => match known::of_project(ctx, path)?.as_slice() {
                [] => Vec::new(),
                names => known::some(ctx, names)?,
            },
            _ => known::some(ctx, &self.names)?,
        };
        if self.to.is_some() && entries.len() != 1 {
            return Err(
                Error::new(&codes::USAGE, "`--to` is for one package").hint("umcp update NAME --to VERSION")
            );
        }
        let mut outcomes = Vec::new();
        for entry in entries {
            let (name, from) = (entry.server.name.clone(), entry.current()?.version.clone());
            match self.one(ctx, entry) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) if error.is(&codes::INTERRUPTED) || self.names.len() == 1 => return Err(error),
                // One that cannot be updated must not keep the others from it.
                Err(error) => {
                    ctx.ui.warn(&format!("{name} was left as it is: {error}"));
                    let error = Some(error.to_string());
                    let (changes, findings) = (Vec::new(), Vec::new());
                    outcomes.push(Outcome {
                        name,
                        to: from.clone(),
                        pinned: false,
                        from,
                        state: "failed",
                        changes,
                        findings,
                        error,
                    });
                }
            }
        }
        if let Some(path) = project.filter(|_| !self.check) {
            let names: Vec<String> = outcomes.iter().map(|it| it.name.clone()).collect();
            known::keep_in_project(ctx, &path, &names)?;
        }
        self.conclude(ctx, outcomes)
    }

    fn conclude(&self, ctx: &Context, outcomes: Vec<Outcome>) -> Result<()> {
        let names = |state: &str| {
            let names = outcomes.iter().filter(|it| it.state == state).map(|it| it.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let (available, failed) = (names("available"), names("failed"));
        let error = if self.check && !available.is_empty() {
            let message = format!("updates are there for {available}");
            Error::new(&codes::PACKAGE_DIFFERS, message).hint("umcp update")
        } else if !failed.is_empty() {
            Error::new(&codes::PARTIAL, format!("{failed} could not be updated"))
        } else {
            return ctx.ui.show(&Outcomes(outcomes));
        };
        ctx.ui.show_failed(&Outcomes(outcomes), &error)?;
        Err(error)
    }

    /// What is asked for: another version than before changes what later updates look for.
    fn reference(&self, entry: &Entry) -> Result<Reference> {
        let reference = entry.reference()?;
        match self.to.as_deref() {
            None => Ok(reference),
            Some("latest") => Ok(Reference { version: None, ..reference }),
            Some(version) => reference.at(version).to_string().parse(),
        }
    }

    fn one(&self, ctx: &Context, mut entry: Entry) -> Result<Outcome> {
        let reference = self.reference(&entry)?;
        let current = entry.current()?.clone();
        let name = entry.server.name.clone();
        let user = entry::user_args(&ctx.paths, &entry.server, &current)?;
        let scripts = entry.package.scripts;
        let label = format!("looking up {name}");
        let resolved = known::work(ctx, &label, |installer| installer.resolve(&reference, scripts))?;
        let mut outcome = Outcome {
            name: name.clone(),
            from: current.version.clone(),
            to: resolved.version.clone(),
            pinned: reference.version.is_some(),
            state: "current",
            changes: Vec::new(),
            findings: Vec::new(),
            error: None,
        };
        if resolved.pins == current.pins {
            if self.to.is_some() && !self.check && entry.package.reference != reference.to_string() {
                entry.package.reference = reference.to_string();
                known::deploy(ctx, entry.server, true, entry.package)?;
            }
            return Ok(outcome);
        }
        if self.check && reference.manager.is_built() {
            // Only a build could tell more, and a check runs no code of a stranger.
            outcome.state = "available";
            return Ok(outcome);
        }
        if reference.manager.is_built() {
            if !ctx.ui.is_json() {
                resolved.recipe.iter().for_each(|line| ctx.ui.note(&format!("to be built by: {line}")));
            }
            if !ctx.ui.confirm(&format!("Build {name} {}?", resolved.version), false, "--yes")? {
                outcome.state = "kept";
                return Ok(outcome);
            }
        }
        let wanted = Wanted::new(&reference, resolved, &entry.package);
        let label = format!("installing {name} {}", wanted.version);
        let (mut installed, is_new) =
            known::work(ctx, &label, |installer| installer.install(&wanted, ctx.clock.now()))?;
        let decided = (|| {
            entry::point(&ctx.paths, &mut entry.server, Some(&current), &installed, user);
            match known::ask(ctx, &entry.server) {
                Ok(catalogue) => installed.tools = Some(known::definitions(&catalogue)),
                // The one in use could not be asked either: it lacks something else.
                Err(error) if current.tools.is_none() => outcome.error = Some(error.to_string()),
                Err(error) => {
                    let message =
                        format!("{name} {} does not work, so nothing was changed", installed.version);
                    return Err(Error { message: format!("{message}: {}", error.message), ..error });
                }
            }
            look(&mut outcome, &current, &installed);
            self.decide(ctx, &outcome)
        })();
        match decided {
            Ok(true) => {
                entry.package.reference = reference.to_string();
                let gone = entry.package.switch(installed);
                known::deploy(ctx, entry.server, true, entry.package)?;
                known::clear(ctx, &gone)?;
                outcome.state = "updated";
            }
            refused => {
                if is_new {
                    known::clear(ctx, std::slice::from_ref(&installed))?;
                }
                refused?;
                outcome.state = if self.check { "available" } else { "kept" };
            }
        }
        Ok(outcome)
    }

    /// Whether the new version is to be taken.
    fn decide(&self, ctx: &Context, outcome: &Outcome) -> Result<bool> {
        if self.check {
            return Ok(false);
        }
        if !ctx.ui.is_json() {
            for line in lines(outcome) {
                ctx.ui.note(&line);
            }
        }
        outcome.findings.iter().for_each(|finding| ctx.ui.warn(finding));
        let (name, from, to) = (&outcome.name, &outcome.from, &outcome.to);
        let what = if from == to { "its dependencies".into() } else { format!("{from} to {to}") };
        ctx.ui.confirm(&format!("Update {name}: {what}?"), false, "--yes")
    }
}

/// Compares the tools of two versions.
fn look(outcome: &mut Outcome, before: &Installed, after: &Installed) {
    let (Some(old), Some(new)) = (&before.tools, &after.tools) else {
        outcome.findings = after.tools.as_ref().map(known::findings).unwrap_or_default();
        return;
    };
    outcome.changes = changes(old, new);
    let told = |name: &&String| outcome.changes.iter().any(|it| it.tool == **name);
    let touched: BTreeMap<String, String> =
        new.iter().filter(|(name, _)| told(name)).map(|(name, json)| (name.clone(), json.clone())).collect();
    outcome.findings = known::findings(&touched);
}

fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |tool: &String| {
        let text = |tools: &BTreeMap<String, String>| {
            tools.get(tool).map(|json| pins::readable(json)).unwrap_or_default()
        };
        let change = match (old.get(tool), new.get(tool)) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(a), Some(b)) if pins::is_same(a, b) => return None,
            _ => "changed",
        };
        Some(Change { tool: tool.clone(), change, diff: diff(tool, &text(old), &text(new)) })
    };
    names.into_iter().filter_map(change).collect()
}

/// What changes in the tools, for people.
fn lines(outcome: &Outcome) -> Vec<String> {
    if outcome.changes.is_empty() {
        return vec![format!("{}: no tool changes", outcome.name)];
    }
    let mut lines = Vec::new();
    for change in &outcome.changes {
        lines.push(format!("{}: {} is {}", outcome.name, change.tool, change.change));
        if change.change == "changed" {
            lines.extend(change.diff.lines().map(String::from));
        }
    }
    lines
}

#[derive(Serialize)]
#[serde(transparent)]
struct Outcomes(Vec<Outcome>);

impl Output for Outcomes {
    const KIND: &'static str = "package.updates/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("no packages are installed");
        }
        for it in &self.0 {
            let (name, from, to) = (&it.name, &it.from, &it.to);
            let way = if from == to {
                format!("{to}, with other dependencies")
            } else {
                format!("from {from} to {to}")
            };
            match it.state {
                "current" if it.pinned => {
                    let newest = format!("umcp update {name} --to latest");
                    page.mark(State::Ok, format!("{name} stays at {from}, as its reference says ({newest})"))
                }
                "current" => page.mark(State::Ok, format!("{name} {from} is up to date")),
                "updated" => page.mark(State::Ok, format!("updated {name} {way}")),
                "kept" => page.mark(State::Off, format!("{name} stays at {from}")),
                "available" => page.mark(State::Warn, format!("{name} can be updated {way}")),
                _ => page.mark(State::Fail, format!("{name} stays at {from}")),
            };
            if it.state == "available" {
                for line in lines(it) {
                    page.text(line);
                }
                for finding in &it.findings {
                    page.mark(State::Warn, finding);
                }
            }
            if it.state == "updated" && !it.changes.is_empty() {
                page.text(format!("{} changed", text::plural(it.changes.len(), "tool")));
            }
            if let (Some(error), "updated") = (&it.error, it.state) {
                page.mark(State::Warn, format!("it could not be asked for its tools: {error}"));
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|it| it.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_compared_by_what_a_model_sees() {
        let tools = |of: &[(&str, &str)]| {
            of.iter().map(|(name, json)| (name.to_string(), json.to_string())).collect::<BTreeMap<_, _>>()
        };
        let old = tools(&[("a", r#"{"name":"a","_meta":1}"#), ("b", r#"{"name":"b"}"#), ("c", "{}")]);
        let new = tools(&[("a", r#"{"name":"a"}"#), ("b", r#"{"name":"b","description":"d"}"#), ("d", "{}")]);
        let found: Vec<(String, &str)> =
            changes(&old, &new).into_iter().map(|it| (it.tool, it.change)).collect();
        assert_eq!(found, [("b".into(), "changed"), ("c".into(), "removed"), ("d".into(), "added")]);
    }
}
