//! The skill that a step names: found among those installed, its text read. Its steps are run by whoever asks.
//! Rule: what is given is what was installed; a text that was changed since is refused.

use super::Shared;
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::{Error, Result};
use crate::skills::model::Installed;
use crate::skills::{self, front, whole};
use crate::upstream::builtin;
use std::path::PathBuf;
use std::sync::Arc;

/// A skill in one version.
pub struct Found {
    pub name: String,
    pub version: String,
    /// The workflow that its steps are; `None` for one that is instructions alone.
    pub document: Option<String>,
    installed: Installed,
}

/// The skill that `name` or `name@range` means.
///
/// # Errors
/// `SKILL_NOT_FOUND`, with what was meant.
pub async fn find(shared: &Arc<Shared>, word: &str) -> Result<Found> {
    let (shared, word) = (shared.clone(), word.to_string());
    let look = move || {
        let all = match shared.engine.call(StoreRequest::Skill(skills::Request::List))? {
            Reply::Skill(skills::Reply::Skills(all)) => all,
            other => return unexpected(&other),
        };
        let (skill, installed) = skills::choose(&word, &all)?;
        Ok(Found {
            name: skill.name.clone(),
            version: installed.version.clone(),
            document: installed.is_executable().then(|| installed.document.clone()),
            installed: installed.clone(),
        })
    };
    let done = tokio::task::spawn_blocking(look).await;
    done.map_err(|error| Error::bug("a look at the skills did not end").because(error))?
}

/// What the skill tells, with the place of its other files where it has some.
///
/// # Errors
/// `SKILL_CHANGED` where the text is not what was installed.
pub async fn instructions(shared: &Shared, skill: &Found) -> Result<String> {
    let bytes = builtin::skill_file(shared, &skill.name, &skill.installed, whole::TEXT).await?;
    let body = front::read(whole::TEXT, &String::from_utf8_lossy(&bytes))?.body;
    let others: Vec<&str> = files(skill).collect();
    Ok(match others.is_empty() {
        true => body,
        false => {
            format!(
                "{body}\n\nFiles of this skill, in {}: {}",
                folder(shared, skill).display(),
                others.join(", ")
            )
        }
    })
}

/// Its files beside the text and the definition.
pub fn files(skill: &Found) -> impl Iterator<Item = &str> {
    let paths = skill.installed.files.iter().map(|file| file.path.as_str());
    paths.filter(|path| *path != whole::TEXT && *path != whole::DEFINITION)
}

fn folder(shared: &Shared, skill: &Found) -> PathBuf {
    shared.paths.data.join("skills").join(&skill.name).join(&skill.version)
}
