//! The noun `skill`: folders with a `SKILL.md` that tell an agent how to do something, kept in versions, signed by
//! their publishers, and run where they have steps. Here stand the format, the decisions and the rows; files are read
//! and written by `setup::skills`, steps are run as workflows.

pub mod bundle;
pub mod definition;
mod document;
pub mod front;
pub mod index;
pub mod model;
pub mod resolve;
pub mod whole;

#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use model::{Installed, Need, Offer, Publisher, Rating, Registry, Skill, order};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const SKILLS: Table<Skill> = Table::new(tables::SKILLS);
const PUBLISHERS: Table<Publisher> = Table::new(tables::SKILL_PUBLISHERS);
const REGISTRIES: Table<Registry> = Table::new(tables::SKILL_REGISTRIES);
const RATINGS: Table<Rating> = Table::new(tables::SKILL_RATINGS);

/// The built-in server that offers skills to clients.
pub const SERVER: &str = "skills";
/// Versions of one skill that stay installed at most.
const MOST_VERSIONS: usize = 20;

impl Row for Skill {
    const KIND: u8 = 90;
    const VERSION: u16 = 1;
}

impl Row for Publisher {
    const KIND: u8 = 91;
    const VERSION: u16 = 1;
}

impl Row for Registry {
    const KIND: u8 = 92;
    const VERSION: u16 = 1;
}

impl Row for Rating {
    const KIND: u8 = 93;
    const VERSION: u16 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Show {
        name: String,
    },
    /// Takes versions into use whose files are in place, all or none, and remembers new publishers.
    Install {
        new: Vec<New>,
        publishers: Vec<Publisher>,
    },
    /// Takes a version into use that is installed.
    Use {
        name: String,
        version: String,
    },
    /// Forgets a version, or the skill with all its versions.
    Uninstall {
        name: String,
        version: Option<String>,
    },
    Publishers,
    /// Forgets the key of a publisher: the next one that comes counts.
    Distrust {
        name: String,
    },
    Registries,
    AddRegistry {
        registry: Box<Registry>,
    },
    RemoveRegistry {
        name: String,
    },
    /// What a registry offers now.
    Offers {
        name: String,
        offers: Vec<Offer>,
        remarks: Vec<String>,
        at: Timestamp,
    },
    Ratings,
    /// `None` takes the rating back.
    Rate {
        name: String,
        rating: Option<Rating>,
    },
}

/// One version to take into use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct New {
    pub name: String,
    pub installed: Installed,
    /// Asked for by name.
    pub wanted: bool,
    /// Over the same version with other content.
    pub replace: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Skills(Vec<Skill>),
    Skill(Box<Skill>),
    Publishers(Vec<Publisher>),
    Registries(Vec<Registry>),
    /// By skill.
    Ratings(BTreeMap<String, Rating>),
    Done,
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List | Self::Show { .. } | Self::Publishers | Self::Registries | Self::Ratings)
    }

    /// Whether it may change what is offered to clients.
    pub fn changes_skills(&self) -> bool {
        matches!(self, Self::Install { .. } | Self::Use { .. } | Self::Uninstall { .. })
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Skills(all(tx)?)),
        Request::Show { name } => find(tx, name).map(|skill| Reply::Skill(Box::new(skill))),
        Request::Publishers => {
            Ok(Reply::Publishers(tx.all(&PUBLISHERS)?.into_iter().map(|(_, it)| it).collect()))
        }
        Request::Registries => {
            Ok(Reply::Registries(tx.all(&REGISTRIES)?.into_iter().map(|(_, it)| it).collect()))
        }
        Request::Ratings => Ok(Reply::Ratings(tx.all(&RATINGS)?.into_iter().collect())),
        _ => Err(Error::bug("a write was handed to `skills::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Install { new, publishers } => {
            for publisher in publishers {
                if tx.get(&PUBLISHERS, &publisher.name)?.is_some_and(|known| known.key != publisher.key) {
                    let message = format!("{} is known by another key", publisher.name);
                    return Err(Error::new(&codes::PUBLISHER_CHANGED, message));
                }
                tx.put(&PUBLISHERS, &publisher.name, &publisher)?;
            }
            let skills = new.into_iter().map(|new| install(tx, new)).collect::<Result<_>>()?;
            refuse_broken(tx)?;
            Ok(Reply::Skills(skills))
        }
        Request::Use { name, version } => {
            let mut skill = find(tx, &name)?;
            known(&skill, &version)?;
            if skill.current != version {
                skill.previous = Some(std::mem::replace(&mut skill.current, version));
            }
            tx.put(&SKILLS, &name, &skill)?;
            refuse_broken(tx)?;
            Ok(Reply::Skill(Box::new(skill)))
        }
        Request::Uninstall { name, version } => uninstall(tx, &name, version.as_deref()),
        Request::Distrust { name } => match tx.remove(&PUBLISHERS, &name)? {
            true => Ok(Reply::Done),
            false => Err(Error::new(&codes::SKILL_NOT_FOUND, format!("no publisher `{name}` is known"))
                .hint("umcp skill trust list")),
        },
        Request::AddRegistry { registry } => {
            if tx.get(&REGISTRIES, &registry.name)?.is_some() {
                let message = format!("a registry named `{}` exists already", registry.name);
                return Err(Error::new(&codes::REGISTRY_EXISTS, message)
                    .hint(format!("umcp skill registry remove {}", registry.name)));
            }
            tx.put(&REGISTRIES, &registry.name, &registry)?;
            Ok(Reply::Registries(vec![*registry]))
        }
        Request::RemoveRegistry { name } => {
            let gone = registry(tx, &name)?;
            tx.remove(&REGISTRIES, &name)?;
            Ok(Reply::Registries(vec![gone]))
        }
        Request::Offers { name, offers, remarks, at } => {
            let row = Registry { offers, remarks, read: Some(at), ..registry(tx, &name)? };
            tx.put(&REGISTRIES, &name, &row)?;
            Ok(Reply::Registries(vec![row]))
        }
        Request::Rate { name, rating } => {
            find(tx, &name)?;
            match rating {
                Some(rating) => tx.put(&RATINGS, &name, &rating)?,
                None => _ = tx.remove(&RATINGS, &name)?,
            }
            Ok(Reply::Done)
        }
        _ => Err(Error::bug("a read was handed to `skills::write`")),
    }
}

fn install(tx: &mut Writer, new: New) -> Result<Skill> {
    let New { name, installed, wanted, replace } = new;
    let mut skill = tx.get(&SKILLS, &name)?.unwrap_or_default();
    if let Some(there) = skill.version(&installed.version)
        && there.digest != installed.digest
        && !replace
    {
        let message = format!("{name} {} is installed already, with other content", installed.version);
        return Err(
            Error::new(&codes::SKILL_EXISTS, message).hint("give --replace to put this one in its place")
        );
    }
    skill.name.clone_from(&name);
    skill.wanted |= wanted;
    skill.versions.retain(|known| known.version != installed.version);
    if !skill.current.is_empty() && skill.current != installed.version {
        skill.previous = Some(skill.current.clone());
    }
    skill.current.clone_from(&installed.version);
    skill.versions.push(installed);
    skill.versions.sort_by_key(|it| order(&it.version));
    if skill.versions.len() > MOST_VERSIONS {
        let message = format!("{name} has {MOST_VERSIONS} versions installed, which is the most");
        return Err(Error::new(&codes::SKILL_IN_USE, message)
            .hint(format!("umcp skill uninstall {name} --version {}", skill.versions[0].version)));
    }
    tx.put(&SKILLS, &name, &skill)?;
    Ok(skill)
}

fn uninstall(tx: &mut Writer, name: &str, version: Option<&str>) -> Result<Reply> {
    let mut skill = find(tx, name)?;
    let gone = skill.clone();
    match version {
        Some(version) => {
            known(&skill, version)?;
            skill.versions.retain(|it| it.version != version);
            if skill.previous.as_deref() == Some(version) {
                skill.previous = None;
            }
            if skill.current == version {
                let previous = skill.previous.take();
                let highest = skill.versions.last().map(|it| it.version.clone());
                skill.current = previous.or(highest).unwrap_or_default();
            }
        }
        None => skill.versions.clear(),
    }
    match skill.versions.is_empty() {
        true => {
            tx.remove(&SKILLS, name)?;
            tx.remove(&RATINGS, name)?;
        }
        false => tx.put(&SKILLS, name, &skill)?,
    }
    refuse_broken(tx)?;
    Ok(Reply::Skill(Box::new(gone)))
}

/// Refuses a change after which a skill in use lacks what it needs.
fn refuse_broken(tx: &Reader) -> Result<()> {
    let skills = all(tx)?;
    for skill in &skills {
        for need in skill.current()?.needs.iter().filter_map(|need| Need::parse(need).ok()) {
            let there = skills.iter().find(|it| it.name == need.name);
            let fits = there.is_some_and(|it| need.takes(&it.current));
            if !fits {
                let without =
                    there.map_or("it would be gone".into(), |it| format!("in use would be {}", it.current));
                let message = format!("{} {} needs {need}, and {without}", skill.name, skill.current);
                return Err(Error::new(&codes::SKILL_IN_USE, message)
                    .hint(format!("umcp skill uninstall {}", skill.name)));
            }
        }
    }
    Ok(())
}

fn all(tx: &Reader) -> Result<Vec<Skill>> {
    Ok(tx.all(&SKILLS)?.into_iter().map(|(_, skill)| skill).collect())
}

fn find(tx: &Reader, name: &str) -> Result<Skill> {
    match tx.get(&SKILLS, name)? {
        Some(skill) => Ok(skill),
        None => Err(not_found(name, &all(tx)?)),
    }
}

fn registry(tx: &Reader, name: &str) -> Result<Registry> {
    tx.get(&REGISTRIES, name)?.ok_or_else(|| {
        Error::new(&codes::REGISTRY_NOT_FOUND, format!("no registry named `{name}`"))
            .hint("umcp skill registry list")
    })
}

/// "No skill named …", with the nearest name as hint.
pub fn not_found(name: &str, known: &[Skill]) -> Error {
    let error = Error::new(&codes::SKILL_NOT_FOUND, format!("no skill named `{name}` is installed"));
    match near(name, known.iter().map(|skill| skill.name.as_str())) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!("umcp skill search {name}")).hint("umcp skill list"),
    }
}

/// The version that a word such as `tone` or `tone@^1.2` means: the one in use where it fits, else the highest that does.
pub fn choose<'a>(word: &str, known: &'a [Skill]) -> Result<(&'a Skill, &'a Installed)> {
    let need = Need::parse(word)?;
    let skill = known.iter().find(|skill| skill.name == need.name);
    let skill = skill.ok_or_else(|| not_found(&need.name, known))?;
    let current = skill.current()?;
    let fitting = skill.versions.iter().rev().find(|it| need.takes(&it.version));
    match if need.takes(&current.version) { Some(current) } else { fitting } {
        Some(installed) => Ok((skill, installed)),
        None => {
            let there: Vec<&str> = skill.versions.iter().map(|it| it.version.as_str()).collect();
            let message = format!("no version of {} that is installed fits `{word}`", skill.name);
            Err(Error::new(&codes::SKILL_NOT_FOUND, message)
                .hint(format!("umcp skill install '{word}'"))
                .hint(format!("installed are {}", there.join(", "))))
        }
    }
}

/// A version that has to be installed.
pub fn known<'a>(skill: &'a Skill, version: &str) -> Result<&'a Installed> {
    skill.version(version).ok_or_else(|| {
        let there: Vec<&str> = skill.versions.iter().map(|it| it.version.as_str()).collect();
        Error::new(&codes::SKILL_NOT_FOUND, format!("{} {version} is not installed", skill.name))
            .hint(format!("installed are {}", there.join(", ")))
    })
}

/// Names of skills and publishers: lower-case letters, digits, and single hyphens between them.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// A text without control characters, for one line.
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).collect()
}
