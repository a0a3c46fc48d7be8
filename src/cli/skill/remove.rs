//! `skill uninstall` and `rollback`: versions that go, and the one before that comes back.

use super::install::point;
use super::{all, ask, files, find, unexpected};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::skills::{self, Reply, Request};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Uninstall skills, with all their versions or one of them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill uninstall greet\n  umcp skill uninstall greet --version 1.0.0"
)]
pub struct Uninstall {
    #[arg(value_name = "SKILL", required = true)]
    names: Vec<String>,
    /// Only this version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

#[derive(Serialize)]
struct Changed {
    name: String,
    /// The version in use now; `null` when the skill is gone.
    version: Option<String>,
    from: String,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    #[serde(skip)]
    verb: &'static str,
    skills: Vec<Changed>,
}

impl Uninstall {
    pub fn run(self, ctx: &Context) -> Result<()> {
        for name in &self.names {
            let skill = find(ctx, name)?;
            if let Some(version) = &self.version {
                skills::known(&skill, version)?;
            }
        }
        let what = self.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
        if !ctx.ui.confirm(&format!("Uninstall {}{what}?", self.names.join(", ")), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was uninstalled"));
        }
        let mut gone = Vec::new();
        for name in &self.names {
            let request = Request::Uninstall { name: name.clone(), version: self.version.clone() };
            let before = match ask(ctx, request)? {
                Reply::Skill(skill) => *skill,
                other => return unexpected(other),
            };
            // The row is gone, so nobody reads the files any more.
            let left = all(ctx)?.into_iter().find(|it| it.name == *name);
            match &left {
                Some(skill) => point(ctx, name, Some(&skill.current)),
                None => point(ctx, name, None),
            }
            match (&self.version, &left) {
                (Some(version), Some(_)) => files::remove(&files::folder(&ctx.paths, name, version))?,
                _ => files::remove(&files::root(&ctx.paths).join(name))?,
            }
            gone.push(Changed {
                name: name.clone(),
                version: left.map(|it| it.current),
                from: before.current,
            });
        }
        super::sync::tidy(ctx)?;
        ctx.ui.show(&All { verb: "uninstalled", skills: gone })
    }
}

/// Take the version into use that was before
///
/// Versions lie side by side, so nothing is fetched. A second rollback leads back again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp skill rollback greet\n  umcp skill rollback greet --to 1.0.0")]
pub struct Rollback {
    #[arg(value_name = "SKILL")]
    name: String,
    /// This one of the versions that are installed
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

impl Rollback {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let skill = find(ctx, &self.name)?;
        let version = self.to.or_else(|| skill.previous.clone()).ok_or_else(|| {
            let message = format!("{} has no version before {}", skill.name, skill.current);
            Error::new(&codes::SKILL_NOT_FOUND, message).hint(format!("umcp skill info {}", skill.name))
        })?;
        files::intact(&ctx.paths, &skill.name, skills::known(&skill, &version)?)?;
        ask(ctx, Request::Use { name: self.name.clone(), version: version.clone() })?;
        point(ctx, &self.name, Some(&version));
        let changed = Changed { name: self.name, version: Some(version), from: skill.current };
        ctx.ui.show(&All { verb: "rolled back", skills: vec![changed] })
    }
}

impl Output for All {
    const KIND: &'static str = "skill.changed/1";

    fn human(&self, page: &mut Page) {
        for it in &self.skills {
            let now = it.version.as_ref().map_or(String::new(), |version| format!("; in use is {version}"));
            page.mark(State::Ok, format!("{} {} {}{now}", self.verb, it.name, it.from));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.skills.iter().map(|it| it.name.clone()).collect()
    }
}
