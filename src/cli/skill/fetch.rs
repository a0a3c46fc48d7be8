//! Where a skill comes from: a path, an address, or a registry, and what a registry holds. Nothing of a skill is run
//! to read it, and nothing is taken that its registry lists with another digest.

use super::{files, is_bundle, is_path};
use crate::cli::catalog::git::Clone;
use crate::cli::catalog::reading::web_address;
use crate::cli::context::{self, Context};
use crate::engine::live::{Live, LiveReply};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::policy::address::leads_here;
use crate::skills::bundle::{self, Content, Files};
use crate::skills::model::{Need, Offer, Place, Registry};
use crate::skills::whole::{self, Whole};
use crate::skills::{index, is_name};
use std::path::{Path, PathBuf};

/// Most files of a registry that is a tree of skills, and how deep it is looked through.
const MOST_FILES: usize = 50_000;
const DEEPEST: usize = 10;
/// Most skills of such a tree.
const MOST_SKILLS: usize = 2_000;

/// What the user named.
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    Path(String),
    Url(String),
    /// A skill of that registry, or of any.
    Named {
        registry: Option<String>,
        need: Need,
    },
}

impl Spec {
    /// `version` is the exact one that is wanted.
    pub fn parse(word: &str, version: Option<&str>, registries: &[Registry]) -> Result<Self> {
        let path_or_url = |spec: Self| match version {
            None => Ok(spec),
            Some(_) => Err(Error::new(&codes::USAGE, "--version chooses among versions of a registry")),
        };
        if word.starts_with("https://") || word.starts_with("http://") {
            return path_or_url(Self::Url(web_address(word)?));
        }
        let (registry, name) = match word.split_once('/') {
            Some((registry, name)) => (Some(registry), name),
            None => (None, word),
        };
        let known = registry.is_none_or(|name| registries.iter().any(|it| it.name == name));
        let plain = is_name(name.split('@').next().unwrap_or(name));
        if known && plain {
            let word = version.map_or_else(|| name.to_string(), |it| format!("{name}@={it}"));
            return Ok(Self::Named { registry: registry.map(Into::into), need: Need::parse(&word)? });
        }
        if Path::new(word).exists() || !plain || !registry.is_some_and(is_name) {
            return path_or_url(Self::Path(word.into()));
        }
        let message =
            format!("there is neither a folder `{word}` nor a registry `{}`", registry.unwrap_or_default());
        Err(Error::new(&codes::REGISTRY_NOT_FOUND, message).hint("umcp skill registry list"))
    }
}

/// The files of a skill, what they say, and where they came from.
#[derive(Debug)]
pub struct Fetched {
    pub files: Files,
    pub whole: Whole,
    pub source: String,
}

impl Fetched {
    fn new(files: Files, source: String) -> Result<Self> {
        let whole = whole::read(&files, &source)?;
        Ok(Self { files, whole, source })
    }
}

/// A skill from a path.
pub fn from_path(word: &str) -> Result<Fetched> {
    let path = std::path::absolute(word).map_err(|error| io_error("find", Path::new(word), &error))?;
    let files = match path.is_dir() {
        true => files::read_folder(&path)?,
        false if is_bundle(word) || path.is_file() => files::unpack(&files::read_bundle(&path)?)?,
        false if is_path(word) => {
            return Err(Error::new(&codes::FILE_NOT_FOUND, format!("there is nothing at `{word}`")));
        }
        false => return Err(crate::skills::not_found(word, &[])),
    };
    Fetched::new(files, path.display().to_string())
}

/// A bundle from an address.
pub fn from_url(ctx: &Context, url: &str) -> Result<Fetched> {
    Fetched::new(files::unpack(&download(ctx, url)?)?, url.into())
}

fn download(ctx: &Context, url: &str) -> Result<Vec<u8>> {
    let to = std::env::temp_dir().join(format!("umcp-skill-{}.zip", crate::ids::random_hex(8)));
    let request = Live::Download {
        url: url.into(),
        to: to.clone(),
        limit: files::MAX_BUNDLE,
        allow_loopback: leads_here(url),
    };
    let bytes = match ctx.live(request) {
        Ok(LiveReply::Done) => files::read_bundle(&to),
        Ok(other) => context::unexpected(&other),
        Err(error) => Err(error),
    };
    // The system clears its temporary folder some day.
    let _ = std::fs::remove_file(&to);
    bytes
}

/// A version that a registry offers, exactly that one.
pub fn from_registry(ctx: &Context, registry: &Registry, offer: &Offer) -> Result<Fetched> {
    let lies = |why: String| {
        let message = format!("the registry {} does not hold what it says: {why}", registry.name);
        Error::new(&codes::REGISTRY_INVALID, message)
            .hint(format!("umcp skill registry refresh {}", registry.name))
    };
    let files = match offer.sha256.as_str() {
        "" => tree(&registry.place)?.skill(&offer.path)?,
        digest => {
            let bytes = match &registry.place {
                Place::Http { url, .. } => download(ctx, &beside(url, &offer.path))?,
                place => tree(place)?
                    .file(&offer.path)?
                    .ok_or_else(|| lies(format!("there is no `{}`", offer.path)))?,
            };
            let found = crate::ids::digest(&bytes);
            if found != digest {
                return Err(lies(format!("`{}` has the SHA-256 {found}", offer.path)));
            }
            files::unpack(&bytes)?
        }
    };
    let source = format!("{}/{}@{}", registry.name, offer.name, offer.version);
    let fetched = Fetched::new(files, source)?;
    let said = (fetched.whole.name.as_str(), fetched.whole.installed.version.as_str());
    if said != (offer.name.as_str(), offer.version.as_str()) {
        return Err(lies(format!("`{}` is {} {}", offer.path, said.0, said.1)));
    }
    Ok(fetched)
}

/// What a registry offers now, and remarks on what it does not.
pub fn offers(ctx: &Context, place: &Place) -> Result<(Vec<Offer>, Vec<String>)> {
    if let Place::Http { url, private } = place {
        let request =
            Live::Fetch { url: beside(url, index::FILE), allow_private: *private || leads_here(url) };
        return match ctx.live(request)? {
            LiveReply::Fetched(text) => index::read(&text),
            other => context::unexpected(&other),
        };
    }
    let tree = tree(place)?;
    match tree.file(index::FILE)? {
        Some(bytes) => index::read(&String::from_utf8_lossy(&bytes)),
        None => listed(&tree),
    }
}

/// A file beside the list of a registry.
fn beside(url: &str, file: &str) -> String {
    let base = url.strip_suffix(index::FILE).unwrap_or(url);
    format!("{}/{file}", base.trim_end_matches('/'))
}

/// The skills of a tree without a list: every folder with a `SKILL.md`, such as those of plugins.
fn listed(tree: &Tree) -> Result<(Vec<Offer>, Vec<String>)> {
    let (mut offers, mut remarks) = (Vec::<Offer>::new(), Vec::new());
    if let Some(bytes) = tree.file(".claude-plugin/marketplace.json")? {
        remarks.extend(elsewhere(&bytes));
    }
    let texts = tree.files()?.into_iter().filter(|path| path.ends_with(&format!("/{}", whole::TEXT)));
    for path in texts.take(MOST_SKILLS) {
        let folder = path.trim_end_matches(whole::TEXT).trim_end_matches('/').to_string();
        let read = tree.skill(&folder).and_then(|files| whole::read(&files, &folder));
        let whole = match read {
            Ok(whole) => whole,
            Err(error) => {
                remarks.push(format!("{folder}: {error}"));
                continue;
            }
        };
        if offers.iter().any(|it| it.name == whole.name && it.version == whole.installed.version) {
            remarks.push(format!("{folder}: another folder holds the skill {} too", whole.name));
            continue;
        }
        let about = whole.installed;
        offers.push(Offer {
            name: whole.name,
            version: about.version,
            description: about.description,
            author: about.author,
            tags: about.tags,
            path: folder,
            sha256: String::new(),
            needs: about.needs,
        });
    }
    offers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((offers, remarks))
}

/// Plugins of a marketplace that lie in other repositories.
fn elsewhere(bytes: &[u8]) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let plugins = value["plugins"].as_array().into_iter().flatten();
    let far = plugins.filter(|plugin| plugin["source"].is_object());
    far.filter_map(|plugin| plugin["name"].as_str())
        .map(|name| format!("the plugin {name} lies in another repository, which can be added as a registry"))
        .collect()
}

/// A registry whose files can be listed.
enum Tree {
    Folder(PathBuf),
    Git(Box<Clone>),
}

fn tree(place: &Place) -> Result<Tree> {
    match place {
        Place::Folder { path } => Ok(Tree::Folder(path.into())),
        Place::Git { url, branch } => Ok(Tree::Git(Box::new(Clone::of(url, branch.as_deref(), &|_| true)?))),
        Place::Http { .. } => Err(Error::bug("an address has no files to list")),
    }
}

impl Tree {
    /// All files, with `/`.
    fn files(&self) -> Result<Vec<String>> {
        match self {
            Self::Git(clone) => Ok(clone.files().to_vec()),
            Self::Folder(root) => {
                let mut found = Vec::new();
                walk(root, root, 0, &mut found)?;
                found.sort();
                Ok(found)
            }
        }
    }

    fn file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Git(clone) => Ok(clone.bytes(path)?.map(|(bytes, _)| bytes)),
            Self::Folder(root) => {
                let path = root.join(path);
                // A link could lead anywhere.
                match std::fs::symlink_metadata(&path) {
                    Ok(meta) if meta.is_file() => files::read_bundle(&path).map(Some),
                    _ => Ok(None),
                }
            }
        }
    }

    /// The files of the skill in a folder.
    fn skill(&self, folder: &str) -> Result<Files> {
        match self {
            Self::Folder(root) => files::read_folder(&root.join(folder)),
            Self::Git(clone) => {
                let top = format!("{folder}/");
                let below: Vec<&String> = clone.files().iter().filter(|it| it.starts_with(&top)).collect();
                if below.len() > bundle::MAX_FILES {
                    return Err(Error::new(
                        &codes::SKILL_INVALID,
                        format!("`{folder}` has more than 1000 files"),
                    ));
                }
                let read = |path: &&String| {
                    let (bytes, executable) = clone.bytes(path)?.unwrap_or_default();
                    Ok((path[top.len()..].to_string(), Content { bytes, executable }))
                };
                below.iter().map(read).collect()
            }
        }
    }
}

fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| io_error("read", folder, &error))?.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEEPEST && name != ".git" && name != "node_modules" {
            walk(root, &path, depth + 1, found)?;
        }
        if let (true, Some(below)) = (kind.is_file(), path.strip_prefix(root).ok().and_then(Path::to_str)) {
            if found.len() >= MOST_FILES {
                let message = format!("`{}` has more than 50,000 files", root.display());
                return Err(Error::new(&codes::REGISTRY_INVALID, message));
            }
            found.push(below.replace('\\', "/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_path_an_address_or_a_name() {
        let place = Place::Folder { path: "/r".into() };
        let registry =
            Registry { name: "community".into(), place, read: None, offers: Vec::new(), remarks: Vec::new() };
        let parse =
            |word: &str, version: Option<&str>| Spec::parse(word, version, std::slice::from_ref(&registry));
        let named = |registry: Option<&str>, need: &str| Spec::Named {
            registry: registry.map(Into::into),
            need: Need::parse(need).unwrap(),
        };
        let community = Some("community");
        for (word, version, expected) in [
            ("community/sentiment-analysis", None, named(community, "sentiment-analysis")),
            ("community/sentiment-analysis", Some("1.0.0"), named(community, "sentiment-analysis@=1.0.0")),
            ("sentiment-analysis@^1", None, named(None, "sentiment-analysis@^1")),
            ("./greet", None, Spec::Path("./greet".into())),
            ("/no/such.zip", None, Spec::Path("/no/such.zip".into())),
            ("https://example.com/x.zip", None, Spec::Url("https://example.com/x.zip".into())),
        ] {
            assert_eq!(parse(word, version).unwrap(), expected, "{word}");
        }
        assert_eq!(parse("other/greet", None).unwrap_err().code.code, codes::REGISTRY_NOT_FOUND.code);
        assert!(parse("./greet", Some("1.0.0")).is_err());
        assert!(parse("http://example.com/x.zip", None).is_err());
    }

    #[test]
    fn bundles_lie_beside_the_list() {
        for url in ["https://a.example/r", "https://a.example/r/", "https://a.example/r/index.json"] {
            assert_eq!(beside(url, "x.zip"), "https://a.example/r/x.zip");
        }
    }
}
