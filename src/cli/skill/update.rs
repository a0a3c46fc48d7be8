//! `skill update`: higher versions of what is installed, from registries or from where it came.

use super::fetch::{self, Spec};
use super::install::{Done, How, install};
use super::{all, registries};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::skills::model::{Registry, Skill, order};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Take higher versions of skills
///
/// A skill from a folder, file or address is looked up there again; any other one in the registries as they were last
/// read. The version before stays installed: `umcp skill rollback` leads back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp skill update\n  umcp skill update greet --check")]
pub struct Update {
    #[arg(value_name = "SKILL")]
    names: Vec<String>,
    /// Change nothing; exit with 13 when there is something to update
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Serialize)]
struct Step {
    name: String,
    from: String,
    /// The higher version; `null` where there is none.
    to: Option<String>,
    done: bool,
    error: Option<Error>,
    #[serde(skip)]
    spec: Option<Spec>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Step>);

impl Update {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (skills, registries) = (all(ctx)?, registries(ctx)?);
        if let Some(name) = self.names.iter().find(|name| skills.iter().all(|it| it.name != **name)) {
            return Err(crate::skills::not_found(name, &skills));
        }
        let chosen = skills.iter().filter(|it| self.names.is_empty() || self.names.contains(&it.name));
        let mut steps = Vec::new();
        for skill in chosen {
            steps.push(look(ctx, skill, &registries)?);
        }
        if !self.check {
            for step in &mut steps {
                let Some(spec) = &step.spec else { continue };
                match install(ctx, spec, &self.how) {
                    Ok(Done { .. }) => step.done = true,
                    Err(error) => step.error = Some(error),
                }
            }
        }
        let open = steps.iter().filter(|it| it.to.is_some() && !it.done).count();
        let failed = steps.iter().find_map(|it| it.error.clone());
        let done = steps.iter().any(|it| it.done);
        let report = All(steps);
        let error = match failed {
            Some(_) if done => Error::new(&codes::PARTIAL, "not every skill could be updated"),
            Some(error) => error,
            None if self.check && open > 0 => {
                Error::new(&codes::DIFFERS, format!("{} can be updated", text::plural(open, "skill")))
                    .hint("umcp skill update")
            }
            None => return ctx.ui.show(&report),
        };
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

fn look(ctx: &Context, skill: &Skill, registries: &[Registry]) -> Result<Step> {
    let current = skill.current()?;
    let mut step = Step {
        name: skill.name.clone(),
        from: current.version.clone(),
        to: None,
        done: false,
        error: None,
        spec: None,
    };
    let source = match Spec::parse(&current.source, None, registries) {
        // It came from a registry that is gone: the others may have it.
        Err(_) => Spec::parse(&skill.name, None, registries)?,
        Ok(Spec::Named { .. }) => Spec::parse(&skill.name, None, registries)?,
        Ok(spec) => spec,
    };
    let found = match &source {
        Spec::Path(path) => fetch::from_path(path).map(Some),
        Spec::Url(url) => fetch::from_url(ctx, url).map(Some),
        Spec::Named { .. } => Ok(None),
    };
    match found {
        Err(error) => step.error = Some(error),
        Ok(Some(fetched)) => {
            let about = &fetched.whole.installed;
            let higher = order(&about.version) > order(&current.version);
            if higher || (about.version == current.version && about.digest != current.digest) {
                step.to = Some(about.version.clone());
                step.spec = Some(source);
            }
        }
        Ok(None) => {
            let offers = registries.iter().flat_map(|registry| &registry.offers);
            let best = offers.filter(|it| it.name == skill.name).max_by_key(|it| order(&it.version));
            if let Some(best) = best.filter(|it| order(&it.version) > order(&current.version)) {
                step.to = Some(best.version.clone());
                step.spec = Some(source);
            }
        }
    }
    Ok(step)
}

impl Output for All {
    const KIND: &'static str = "skill.update/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("no skills yet; make one: umcp skill create NAME");
        }
        for it in &self.0 {
            let (name, from) = (&it.name, &it.from);
            match (&it.to, &it.error) {
                (_, Some(error)) => page.mark(State::Fail, format!("{name} {from}: {error}")),
                (None, None) => page.mark(State::Off, format!("{name} {from} is the newest")),
                (Some(to), None) if it.done => {
                    page.mark(State::Ok, format!("updated {name} from {from} to {to}"))
                }
                (Some(to), None) => page.mark(State::Warn, format!("{name} {from} can become {to}")),
            };
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().filter(|it| it.to.is_some()).map(|it| it.name.clone()).collect()
    }
}
