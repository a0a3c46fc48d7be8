//! `skill list`, `info` and `search`.

use super::{all, find, publishers, registries, version};
use crate::cli::context::Context;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::skills::model::{Installed, Offer, Rating, Skill, order};
use crate::skills::{Reply, Request};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// List installed skills
#[derive(Debug, Args, Default)]
pub struct List {
    /// Only skills with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only skills of which a registry has a higher version
    #[arg(long)]
    outdated: bool,
}

#[derive(Serialize)]
struct View {
    name: String,
    version: String,
    versions: Vec<String>,
    description: String,
    tags: Vec<String>,
    executable: bool,
    signed_by: Option<String>,
    /// The highest version that a registry has, where it is higher.
    newer: Option<String>,
    installed: String,
    #[serde(skip)]
    at: Timestamp,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    skills: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let offers: Vec<Offer> = registries(ctx)?.into_iter().flat_map(|it| it.offers).collect();
        let mut skills = all(ctx)?.iter().map(|skill| view(skill, &offers)).collect::<Result<Vec<_>>>()?;
        skills.retain(|it| self.tag.as_ref().is_none_or(|tag| it.tags.contains(tag)));
        skills.retain(|it| !self.outdated || it.newer.is_some());
        ctx.ui.show(&All { skills, now: ctx.clock.now() })
    }
}

fn view(skill: &Skill, offers: &[Offer]) -> Result<View> {
    let current = skill.current()?;
    let newest = offers.iter().filter(|it| it.name == skill.name).map(|it| it.version.clone());
    let newest = newest.max_by_key(|version| order(version));
    Ok(View {
        name: skill.name.clone(),
        version: current.version.clone(),
        versions: skill.versions.iter().map(|it| it.version.clone()).collect(),
        description: current.description.clone(),
        tags: current.tags.clone(),
        executable: current.is_executable(),
        signed_by: current.signer.as_ref().map(|it| it.publisher.clone()),
        newer: newest.filter(|version| order(version) > order(&current.version)),
        installed: current.installed.rfc3339(),
        at: current.installed,
    })
}

impl Output for All {
    const KIND: &'static str = "skill.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("version"),
            Column::new("kind").optional(3),
            Column::new("signed by").optional(2),
            Column::new("installed").optional(1),
            Column::new("description").optional(4).wraps(),
        ];
        let mut table = Table::new("no skills yet; make one: umcp skill create NAME", columns);
        for it in &self.skills {
            let newer = it.newer.as_ref().map_or(String::new(), |newer| format!(" (newer: {newer})"));
            table.row([
                Cell::from(&it.name),
                format!("{}{newer}", it.version).into(),
                (if it.executable { "steps" } else { "instructions" }).into(),
                it.signed_by.clone().unwrap_or_default().into(),
                text::ago(self.now, it.at).into(),
                Cell::from(&it.description),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.skills.iter().map(|it| it.name.clone()).collect()
    }
}

/// Show a skill: what it takes, what it needs, its files and versions
#[derive(Debug, Args)]
pub struct Info {
    #[arg(value_name = "SKILL")]
    name: String,
    /// This version instead of the one in use
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    current: String,
    versions: Vec<String>,
    /// The inputs as a JSON Schema; `null` for instructions.
    inputs: Value,
    key: Option<String>,
    rating: Option<Stars>,
    #[serde(flatten)]
    about: Installed,
}

#[derive(Serialize)]
struct Stars {
    stars: u8,
    comment: String,
}

impl Info {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let skill = find(ctx, &self.name)?;
        let about = version(&skill, self.version.as_deref())?.clone();
        let inputs = serde_json::from_str(&about.schema).unwrap_or_default();
        let known = publishers(ctx)?;
        let key = about.signer.as_ref().and_then(|it| known.iter().find(|known| known.name == it.publisher));
        let rating = ratings(ctx)?.remove(&skill.name);
        ctx.ui.show(&Shown {
            current: skill.current.clone(),
            versions: skill.versions.iter().map(|it| it.version.clone()).collect(),
            inputs,
            key: key.map(|it| it.key.clone()),
            rating: rating.map(|it| Stars { stars: it.stars, comment: it.comment }),
            name: skill.name,
            about,
        })
    }
}

pub fn ratings(ctx: &Context) -> Result<BTreeMap<String, Rating>> {
    match super::ask(ctx, Request::Ratings)? {
        Reply::Ratings(ratings) => Ok(ratings),
        other => super::unexpected(other),
    }
}

impl Output for Shown {
    const KIND: &'static str = "skill/1";

    fn human(&self, page: &mut Page) {
        let about = &self.about;
        page.heading(format!("{} {}", self.name, about.version));
        page.text(&about.description);
        let kind = if about.is_executable() { "steps that umcp runs" } else { "instructions for agents" };
        let signed = about
            .signer
            .as_ref()
            .map_or("nobody".to_string(), |it| format!("{} with the key {}", it.publisher, it.key));
        let mut pairs =
            vec![("kind", kind.to_string()), ("signed by", signed), ("from", about.source.clone())];
        let needs = about.needs.join(", ");
        let resolved: Vec<String> = about.resolved.iter().map(|(name, it)| format!("{name} {it}")).collect();
        let optional = [
            ("author", about.author.clone()),
            ("license", about.license.clone()),
            ("tags", about.tags.join(", ")),
            ("tools", about.tools.join(", ")),
            ("models", about.models.join(", ")),
            ("needs", if needs.is_empty() { needs } else { format!("{needs} ({})", resolved.join(", ")) }),
            ("versions", self.versions.join(", ")),
            (
                "rating",
                self.rating.as_ref().map(|it| format!("{}/5 {}", it.stars, it.comment)).unwrap_or_default(),
            ),
            ("digest", about.digest.clone()),
        ];
        pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        page.pairs(pairs);
        for (name, schema) in self.inputs["properties"].as_object().into_iter().flatten() {
            let required =
                self.inputs["required"].as_array().is_some_and(|it| it.iter().any(|it| it == name));
            let mark = if required { "" } else { ", optional" };
            page.bullet(format!("input {name}: {}{mark}", schema["type"].as_str().unwrap_or("any")));
        }
        for file in &about.files {
            page.text(format!("  {:>9}  {}", text::bytes(file.size), file.path));
        }
        if self.current != about.version {
            page.mark(State::Off, format!("in use is {}", self.current));
        }
    }
}

/// Find skills: installed ones, and what registries offer
///
/// Every word has to stand in the name, the description, the author or the tags. Registries are searched as they were
/// last read: `umcp skill registry refresh` reads them again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill search sentiment\n  umcp skill search --tag nlp --author community"
)]
pub struct Search {
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Only skills with this tag
    #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,
    /// Only skills of this author
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
}

#[derive(Serialize)]
struct Found {
    name: String,
    version: String,
    description: String,
    author: String,
    tags: Vec<String>,
    /// The registry that offers it; `null` for one that is installed alone.
    registry: Option<String>,
    installed: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Hits(Vec<Found>);

impl Search {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let installed = all(ctx)?;
        let mut found: Vec<Found> = Vec::new();
        for registry in registries(ctx)? {
            let mut newest: BTreeMap<&str, &Offer> = BTreeMap::new();
            for offer in &registry.offers {
                let best = newest.entry(&offer.name).or_insert(offer);
                if order(&offer.version) > order(&best.version) {
                    *best = offer;
                }
            }
            found.extend(newest.into_values().map(|offer| Found {
                name: offer.name.clone(),
                version: offer.version.clone(),
                description: offer.description.clone(),
                author: offer.author.clone(),
                tags: offer.tags.clone(),
                registry: Some(registry.name.clone()),
                installed: None,
            }));
        }
        for skill in &installed {
            let current = skill.current()?;
            found.iter_mut().filter(|it| it.name == skill.name).for_each(|it| {
                it.installed = Some(current.version.clone());
            });
            if found.iter().all(|it| it.name != skill.name) {
                found.push(Found {
                    name: skill.name.clone(),
                    version: current.version.clone(),
                    description: current.description.clone(),
                    author: current.author.clone(),
                    tags: current.tags.clone(),
                    registry: None,
                    installed: Some(current.version.clone()),
                });
            }
        }
        found.retain(|it| self.fits(it));
        // A word in the name counts more than one elsewhere.
        found.sort_by_key(|it| {
            let named = self.words.iter().filter(|word| it.name.contains(&word.to_lowercase())).count();
            (std::cmp::Reverse(named), it.name.clone(), it.registry.clone())
        });
        ctx.ui.show(&Hits(found))
    }

    fn fits(&self, it: &Found) -> bool {
        let texts =
            [it.name.as_str(), &it.description, &it.author, &it.tags.join(" ")].join("\n").to_lowercase();
        self.words
            .iter()
            .flat_map(|word| word.split_whitespace())
            .all(|word| texts.contains(&word.to_lowercase()))
            && self.tags.iter().all(|tag| it.tags.iter().any(|it| it.eq_ignore_ascii_case(tag)))
            && self.author.as_ref().is_none_or(|author| it.author.eq_ignore_ascii_case(author))
    }
}

impl Output for Hits {
    const KIND: &'static str = "skill.search/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("version"),
            Column::new("from"),
            Column::new("installed").optional(2),
            Column::new("description").optional(3).wraps(),
        ];
        let mut table =
            Table::new("nothing found; registries are added with: umcp skill registry add", columns);
        for it in &self.0 {
            table.row([
                Cell::from(&it.name),
                (&it.version).into(),
                it.registry.clone().unwrap_or_else(|| "here".into()).into(),
                it.installed.clone().unwrap_or_default().into(),
                Cell::from(&it.description),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        let id = |it: &Found| match &it.registry {
            Some(registry) => format!("{registry}/{}", it.name),
            None => it.name.clone(),
        };
        self.0.iter().map(id).collect()
    }
}
