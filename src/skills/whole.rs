//! A skill as a whole, from the bytes of its files: what `SKILL.md` and `skill.yaml` say together. Pure.
//! Rule: everything that is wrong is found at once; what other programs would accept is a warning.

use super::bundle::{self, Files};
use super::definition::{self, Definition, Test};
use super::front::{self, Front};
use super::model::{File, Installed};
use super::tidy;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use std::collections::BTreeMap;

/// The two files that say what a skill is.
pub const TEXT: &str = "SKILL.md";
pub const DEFINITION: &str = "skill.yaml";
/// The version of a skill that says none: whatever comes next takes its place.
pub const NO_VERSION: &str = "0.0.0";

/// A skill that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    pub name: String,
    pub front: Front,
    pub installed: Installed,
    pub tests: Vec<Test>,
    /// Its steps with the lines of the file, to say where a mistake stands.
    pub plain: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Looked {
    pub errors: Vec<Error>,
    pub warnings: Vec<String>,
    pub whole: Option<Whole>,
}

/// The skill, or the first mistake in it.
pub fn read(files: &Files, folder: &str) -> Result<Whole> {
    let Looked { errors, whole, .. } = look(files, folder);
    let more = errors.len().saturating_sub(1);
    match (errors.into_iter().next(), whole) {
        (None, Some(whole)) => Ok(whole),
        (Some(error), _) if more > 0 => {
            Err(error.hint(format!("umcp skill validate {folder}    # shows {more} more")))
        }
        (Some(error), _) => Err(error),
        (None, None) => Err(Error::bug("neither a skill nor a mistake")),
    }
}

/// Looks at a skill. `folder` is how its user names it, for errors.
pub fn look(files: &Files, folder: &str) -> Looked {
    let mut looked = Looked::default();
    if let Err(error) = bundle::check_bounds(files) {
        looked.errors.push(error);
        return looked;
    }
    let place = |name: &str| match folder {
        "" => name.to_string(),
        folder => format!("{}/{name}", folder.trim_end_matches('/')),
    };
    let front = match text(files, TEXT, &place(TEXT)).and_then(|text| front::read(&place(TEXT), &text)) {
        Ok(front) => Some(front),
        Err(error) => {
            looked.errors.push(error);
            None
        }
    };
    let mut definition = Definition::default();
    if files.contains_key(DEFINITION) {
        let read = text(files, DEFINITION, &place(DEFINITION)).map_err(|error| vec![error]);
        match read.and_then(|text| definition::read(&place(DEFINITION), &text)) {
            Ok(read) => definition = read,
            Err(errors) => looked.errors.extend(errors),
        }
    }
    let Some(front) = front else { return looked };
    if !definition.id.is_empty() && definition.id != front.name {
        let message =
            format!("the `id` in {DEFINITION} is `{}`, the `name` in {TEXT} `{}`", definition.id, front.name);
        looked.errors.push(Error::new(&codes::SKILL_INVALID, message).hint("they are the same word"));
    }
    looked.warnings.extend(front.warnings.iter().cloned());
    if !looked.errors.is_empty() {
        return looked;
    }
    let version = version(&front, &definition, &mut looked.warnings);
    looked.whole = Some(whole(front, definition, version, bundle::list(files)));
    looked
}

fn text(files: &Files, name: &str, place: &str) -> Result<String> {
    let content = files.get(name).ok_or_else(|| {
        Error::new(&codes::SKILL_INVALID, format!("there is no `{place}`"))
            .hint("umcp skill create NAME    # makes a folder with one")
    })?;
    crate::documents::limits::decode(place, content.bytes.clone())
}

fn version(front: &Front, definition: &Definition, warnings: &mut Vec<String>) -> String {
    if let Some(version) = &definition.version {
        return version.clone();
    }
    let Some(said) = front.text("version") else { return NO_VERSION.into() };
    // `1.2` and `v1.2.3` are often written.
    let plain = said.trim_start_matches(['v', 'V']);
    let parts = plain.split('.').count();
    let full = if parts < 3 { format!("{plain}{}", ".0".repeat(3 - parts)) } else { plain.to_string() };
    match semver::Version::parse(&full) {
        Ok(version) => version.to_string(),
        Err(_) => {
            warnings.push(format!("`{said}` is no semantic version; it counts as none"));
            NO_VERSION.into()
        }
    }
}

fn whole(front: Front, definition: Definition, version: String, files: Vec<File>) -> Whole {
    let or = |ours: String, theirs: &str| {
        if ours.is_empty() { front.text(theirs).unwrap_or_default() } else { ours }
    };
    let both = |ours: Vec<String>, theirs: &str| if ours.is_empty() { front.words(theirs) } else { ours };
    let installed = Installed {
        version,
        title: definition.title,
        description: tidy(&front.description),
        author: or(definition.author, "author"),
        license: or(definition.license, "license"),
        tags: both(definition.tags, "tags"),
        digest: bundle::digest(&files),
        files,
        source: String::new(),
        signer: None,
        document: definition.document.unwrap_or_default(),
        schema: String::new(),
        front: serde_json::Value::Object(front.fields.clone()).to_string(),
        tools: definition.tools,
        models: definition.models,
        needs: definition.skills.iter().map(ToString::to_string).collect(),
        resolved: BTreeMap::new(),
        installed: Timestamp(0),
    };
    Whole { name: front.name.clone(), front, installed, tests: definition.tests, plain: definition.plain }
}
