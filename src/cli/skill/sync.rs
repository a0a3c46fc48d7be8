//! `skill sync`: links to installed skills in the folders in which clients look.

use super::all;
use crate::cli::context::Context;
use crate::cli::machine::variable;
use crate::clients::{self, CLIENTS, Client, Scope, skills as places};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::setup::skills::{self as files, Linked};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Link installed skills into the skill folders of clients
///
/// Each link leads to the version in use, so that an update needs no second sync. What is there already and not
/// umcp's stays. `umcp undo` takes the links back.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill sync\n  umcp skill sync claude-code --project\n  umcp skill sync --dry-run"
)]
pub struct Sync {
    /// Those that are used here, if none is named
    #[arg(value_name = "CLIENT")]
    clients: Vec<String>,
    /// Into the folders of the project you are in
    #[arg(long)]
    project: bool,
    /// Only these skills
    #[arg(long = "skill", value_name = "SKILL", value_delimiter = ',')]
    skills: Vec<String>,
    /// Show what would be linked
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(Serialize)]
struct One {
    path: PathBuf,
    action: Linked,
}

#[derive(Serialize)]
struct Synced {
    dry_run: bool,
    clients: Vec<&'static str>,
    links: Vec<One>,
    /// The number `umcp undo` takes.
    undo: Option<u64>,
}

impl Sync {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let project = std::env::current_dir().map_err(|error| io_error("find", Path::new("."), &error))?;
        let scope = if self.project { Scope::Project } else { Scope::User };
        let chosen = self.chosen(ctx)?;
        let mut folders: Vec<PathBuf> = Vec::new();
        for client in &chosen {
            let folder = places::folder(client, scope, &ctx.paths.home, &variable, &project);
            let folder = folder.ok_or_else(|| {
                let message = format!("umcp knows no folder in which {} looks for skills", client.name);
                Error::new(&codes::CLIENT_NOT_FOUND, message).hint(format!(
                    "umcp client connect {}    # it finds them through the endpoint",
                    client.id
                ))
            })?;
            // Several programs share one folder.
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        let names = self.names(ctx)?;
        let plan: Vec<(PathBuf, Linked)> =
            folders.iter().flat_map(|folder| files::plan(&ctx.paths, folder, &names)).collect();
        let mut undo = None;
        if !self.dry_run {
            for skill in all(ctx)? {
                files::point(&ctx.paths, &skill.name, Some(&skill.current))?;
            }
            undo = files::carry_out(&ctx.paths, &plan, "umcp skill sync", ctx.clock.now())?;
        }
        let links = plan.into_iter().map(|(path, action)| One { path, action }).collect();
        let clients = chosen.iter().map(|client| client.id).collect();
        ctx.ui.show(&Synced { dry_run: self.dry_run, clients, links, undo })
    }

    fn chosen(&self, ctx: &Context) -> Result<Vec<&'static Client>> {
        if !self.clients.is_empty() {
            return self.clients.iter().map(|word| clients::find(word)).collect();
        }
        let used = |client: &&Client| places::signs(client, &ctx.paths.home).iter().any(|path| path.exists());
        let found: Vec<&'static Client> = CLIENTS.iter().filter(used).collect();
        match found.is_empty() && !self.project {
            false if found.is_empty() => clients::find("claude-code").map(|client| vec![client]),
            false => Ok(found),
            true => Err(Error::new(
                &codes::CLIENT_NOT_FOUND,
                "no client that reads skills from disk is used here",
            )
            .hint("umcp skill sync claude-code codex    # names them")
            .hint("umcp client connect CLIENT    # any client finds them through the endpoint")),
        }
    }

    fn names(&self, ctx: &Context) -> Result<Vec<String>> {
        let skills = all(ctx)?;
        if let Some(name) = self.skills.iter().find(|name| skills.iter().all(|it| it.name != **name)) {
            return Err(crate::skills::not_found(name, &skills));
        }
        let names = skills.into_iter().map(|it| it.name);
        Ok(names.filter(|name| self.skills.is_empty() || self.skills.contains(name)).collect())
    }
}

/// Takes away links to skills that are gone, wherever a client of this user may have them.
pub fn tidy(ctx: &Context) -> Result<()> {
    let names: Vec<String> = all(ctx)?.into_iter().map(|it| it.name).collect();
    let project = std::env::current_dir().unwrap_or_default();
    for client in CLIENTS {
        for scope in [Scope::User, Scope::Project] {
            let Some(folder) = places::folder(client, scope, &ctx.paths.home, &variable, &project) else {
                continue;
            };
            let plan = files::plan(&ctx.paths, &folder, &names).into_iter();
            let gone: Vec<(PathBuf, Linked)> = plan.filter(|(_, it)| *it == Linked::Removed).collect();
            files::carry_out(&ctx.paths, &gone, "umcp skill uninstall", ctx.clock.now())?;
        }
    }
    Ok(())
}

impl Output for Synced {
    const KIND: &'static str = "skill.sync/1";

    fn human(&self, page: &mut Page) {
        if self.links.is_empty() {
            page.text("nothing to link: no skills are installed");
        }
        for it in &self.links {
            let path = it.path.display();
            match (it.action, self.dry_run) {
                (Linked::Linked, true) => page.mark(State::Ok, format!("{path} would be linked")),
                (Linked::Linked, false) => page.mark(State::Ok, format!("linked {path}")),
                (Linked::Unchanged, _) => page.mark(State::Off, format!("{path} is linked already")),
                (Linked::Removed, true) => {
                    page.mark(State::Ok, format!("{path} would go: its skill is gone"))
                }
                (Linked::Removed, false) => {
                    page.mark(State::Ok, format!("took away {path}: its skill is gone"))
                }
                (Linked::Taken, _) => {
                    page.mark(State::Warn, format!("{path} is there already and not umcp's; it stays"))
                }
            };
        }
        if let Some(undo) = self.undo {
            page.text(format!("take it back: umcp undo {undo}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.links.iter().map(|it| it.path.display().to_string()).collect()
    }
}
