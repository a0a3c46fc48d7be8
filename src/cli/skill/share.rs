//! `skill export` and `publish`: a skill as one file, and into a registry.

use super::{files, look, registries};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::paths::{io_error, write_atomic};
use crate::skills::bundle::{self, Files};
use crate::skills::index;
use crate::skills::model::{Offer, Place};
use crate::skills::whole::{NO_VERSION, Whole};
use crate::ui::{Output, Page, State, text};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Pack a skill into one file, or copy it as a folder
///
/// The same files always give the same bytes. A signature goes along.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill export greet\n  umcp skill export ./greet --output /tmp/greet.zip\n  umcp skill export greet --format folder --output ./copy"
)]
pub struct Export {
    /// A folder, a bundle, or an installed skill
    #[arg(value_name = "SKILL|PATH")]
    name: String,
    /// Where to; NAME-VERSION.zip here, if left out
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "zip")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// One file, which `umcp skill install` takes
    Zip,
    /// A folder, which other programs take
    Folder,
}

#[derive(Serialize)]
struct Exported {
    name: String,
    version: String,
    path: String,
    sha256: Option<String>,
    bytes: u64,
    signed_by: Option<String>,
}

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (all, whole) = look(ctx, &self.name)?;
        let signed = bundle::verify(&all, &whole.name, &whole.installed.version)?;
        let version = whole.installed.version.clone();
        let usual = match self.format {
            Format::Zip => format!("{}-{version}.zip", whole.name),
            Format::Folder => whole.name.clone(),
        };
        let path = self.output.unwrap_or_else(|| usual.into());
        if path.exists() {
            return Err(Error::new(&codes::FILE_EXISTS, format!("`{}` is there already", path.display()))
                .hint("give another name with --output"));
        }
        let (bytes, sha256) = match self.format {
            Format::Zip => {
                let packed = files::pack(&all)?;
                write_atomic(&path, &packed)?;
                (packed.len() as u64, Some(crate::ids::digest(&packed)))
            }
            Format::Folder => {
                files::write_all(&path, &all)?;
                (all.values().map(|it| it.bytes.len() as u64).sum(), None)
            }
        };
        ctx.ui.show(&Exported {
            name: whole.name,
            version,
            path: path.display().to_string(),
            sha256,
            bytes,
            signed_by: signed.map(|it| it.publisher),
        })
    }
}

impl Output for Exported {
    const KIND: &'static str = "skill.exported/1";

    fn human(&self, page: &mut Page) {
        let signed = self.signed_by.as_ref().map_or("not signed".into(), |by| format!("signed by {by}"));
        let size = text::bytes(self.bytes);
        page.mark(
            State::Ok,
            format!("{} {} is in {} ({size}, {signed})", self.name, self.version, self.path),
        );
    }

    fn ids(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

/// Put a skill into a registry that is a folder
///
/// The bundle and the registry's index.json are written; what a web server or git makes of the folder is for
/// others. A version that is published stays as it is.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp skill publish ./greet --registry team")]
pub struct Publish {
    /// A folder, a bundle, or an installed skill
    #[arg(value_name = "SKILL|PATH")]
    name: String,
    /// The registry, where there are several
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// Who may see it: everybody who reads the registry, or nobody but its owner
    #[arg(long, value_name = "VISIBILITY", value_enum, default_value = "public")]
    visibility: Visibility,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Visibility {
    /// Whoever can read the registry
    Public,
    /// You alone: the files of the registry can be read by their owner only
    Private,
}

#[derive(Serialize)]
struct Published {
    name: String,
    version: String,
    registry: String,
    path: String,
    sha256: String,
    signed_by: Option<String>,
}

impl Publish {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (all, whole) = look(ctx, &self.name)?;
        let version = whole.installed.version.clone();
        if version == NO_VERSION {
            let message =
                format!("the skill `{}` has no version, so nobody could tell the next one", whole.name);
            return Err(Error::new(&codes::SKILL_INVALID, message)
                .hint("add `version: 1.0.0` to its skill.yaml, or under `metadata` in SKILL.md"));
        }
        let signed = bundle::verify(&all, &whole.name, &version)?;
        let (registry, folder) = self.folder(ctx)?;
        let offer = write(&folder, &all, &whole, self.visibility)?;
        if signed.is_none() {
            ctx.ui.warn(&format!("it is not signed: umcp skill sign {}", self.name));
        }
        ctx.ui.show(&Published {
            name: offer.name,
            version,
            registry,
            path: folder.join(&offer.path).display().to_string(),
            sha256: offer.sha256,
            signed_by: signed.map(|it| it.publisher),
        })
    }

    /// The registry's name and folder.
    fn folder(&self, ctx: &Context) -> Result<(String, PathBuf)> {
        let known = registries(ctx)?;
        let folders: Vec<(String, PathBuf)> = known
            .iter()
            .filter_map(|it| match &it.place {
                Place::Folder { path } => Some((it.name.clone(), path.into())),
                _ => None,
            })
            .collect();
        match &self.registry {
            Some(name) => match (
                folders.into_iter().find(|(it, _)| it == name),
                known.iter().find(|it| it.name == *name),
            ) {
                (Some(found), _) => Ok(found),
                (None, Some(other)) => {
                    let message = format!("the registry `{name}` is no folder but {}", other.place.word());
                    Err(Error::new(&codes::REGISTRY_INVALID, message)
                        .hint("publish into the folder that its web server or repository is made of"))
                }
                (None, None) => {
                    Err(Error::new(&codes::REGISTRY_NOT_FOUND, format!("no registry named `{name}`"))
                        .hint("umcp skill registry list"))
                }
            },
            None => match <[_; 1]>::try_from(folders) {
                Ok([only]) => Ok(only),
                Err(several) => {
                    let message = match several.is_empty() {
                        true => "there is no registry that is a folder",
                        false => "there are several registries",
                    };
                    Err(Error::new(&codes::REGISTRY_NOT_FOUND, message)
                        .hint("umcp skill registry add team ./folder")
                        .hint("--registry NAME"))
                }
            },
        }
    }
}

fn write(folder: &Path, all: &Files, whole: &Whole, visibility: Visibility) -> Result<Offer> {
    let packed = files::pack(all)?;
    let about = &whole.installed;
    let offer = Offer {
        name: whole.name.clone(),
        version: about.version.clone(),
        description: about.description.clone(),
        author: about.author.clone(),
        tags: about.tags.clone(),
        path: format!("{}/{}-{}.zip", whole.name, whole.name, about.version),
        sha256: crate::ids::digest(&packed),
        needs: about.needs.clone(),
    };
    let list = folder.join(index::FILE);
    let before = match list.exists() {
        true => Some(std::fs::read_to_string(&list).map_err(|error| io_error("read", &list, &error))?),
        false => None,
    };
    let text = index::with(before.as_deref(), offer.clone())?;
    // The list is written last: what it names is there.
    let place = folder.join(&offer.path);
    std::fs::create_dir_all(folder.join(&whole.name)).map_err(|error| io_error("create", folder, &error))?;
    write_atomic(&place, &packed)?;
    write_atomic(&list, text.as_bytes())?;
    if visibility == Visibility::Public {
        for path in [&place, &list] {
            crate::setup::journal::set_mode(path, Some(0o644))?;
        }
    }
    Ok(offer)
}

impl Output for Published {
    const KIND: &'static str = "skill.published/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("published {} {} in {}", self.name, self.version, self.registry));
        page.text(format!("install it: umcp skill install {}/{}", self.registry, self.name));
    }

    fn ids(&self) -> Vec<String> {
        vec![format!("{}/{}", self.registry, self.name)]
    }
}
