//! `skill sign`, `verify` and `trust`: who vouches for a skill, and whose key counts.

use super::{ask, content, find, is_path, publishers};
use crate::cli::context::Context;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::paths::{create_private_dir, io_error, private_options, write_atomic};
use crate::sealing::minisign::SigningKey;
use crate::setup::skills as files;
use crate::skills::bundle::{self, MANIFEST, SIGNATURE};
use crate::skills::model::Publisher;
use crate::skills::{Request, whole};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sign the folder of a skill
///
/// Writes `umcp-bundle.json`, a list of all files with their digests, and its signature in minisign's format beside
/// it. After any change it has to be signed again. A key without a password is made by --create-key.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill sign ./greet --publisher acme --create-key\n  umcp skill sign ./greet --publisher acme --key ~/.minisign/minisign.key"
)]
pub struct Sign {
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// The secret key; skills.key beside umcp's settings, if left out
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// In whose name; others remember the key by it
    #[arg(long, value_name = "PUBLISHER")]
    publisher: String,
    /// Make the key, where there is none
    #[arg(long)]
    create_key: bool,
}

#[derive(Serialize)]
struct Signed {
    name: String,
    version: String,
    publisher: String,
    key: String,
    public_key: String,
    files: usize,
    /// The file of a key that was made.
    created: Option<String>,
}

impl Sign {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let path = self.key.clone().unwrap_or_else(|| ctx.paths.config.join("skills.key"));
        let mut all = files::read_folder(&self.path)?;
        all.remove(MANIFEST);
        all.remove(SIGNATURE);
        let whole = whole::read(&all, &self.path.display().to_string())?;
        let (key, created) = self.key(&path)?;
        let (name, version) = (whole.name, whole.installed.version);
        let (manifest, signature) = bundle::sign(&all, &name, &version, &self.publisher, &key)?;
        write_atomic(&self.path.join(MANIFEST), manifest.as_bytes())?;
        write_atomic(&self.path.join(SIGNATURE), signature.as_bytes())?;
        ctx.ui.show(&Signed {
            name,
            version,
            publisher: self.publisher,
            key: key.public().id(),
            public_key: key.public().line(),
            files: all.len(),
            created: created.then(|| path.display().to_string()),
        })
    }

    /// The key, and whether it was made.
    fn key(&self, path: &Path) -> Result<(SigningKey, bool)> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok((SigningKey::read(&text)?, false)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.create_key => {
                let key = SigningKey::generate()?;
                if let Some(folder) = path.parent() {
                    create_private_dir(folder)?;
                }
                let written =
                    private_options().write(true).create_new(true).open(path).and_then(|mut file| {
                        file.write_all(key.file().reveal().as_bytes()).and_then(|()| file.sync_all())
                    });
                written.map_err(|error| io_error("write", path, &error))?;
                Ok((key, true))
            }
            Err(error) => Err(io_error("read", path, &error).hint(format!(
                "umcp skill sign {} --publisher {} --create-key    # makes one",
                self.path.display(),
                self.publisher
            ))),
        }
    }
}

impl Output for Signed {
    const KIND: &'static str = "skill.signed/1";

    fn human(&self, page: &mut Page) {
        if let Some(path) = &self.created {
            page.mark(State::Warn, format!("made a key in {path}: keep it, and keep it to yourself"));
        }
        let files = text::plural(self.files, "file");
        page.mark(
            State::Ok,
            format!("signed {} {} ({files}) as {}", self.name, self.version, self.publisher),
        );
        page.text(format!("public key: {}", self.public_key));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

/// Check that skills are what was signed and installed
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp skill verify greet\n  umcp skill verify ./greet")]
pub struct Verify {
    /// Installed skills, folders or bundles; all installed skills, if none is named
    #[arg(value_name = "SKILL|PATH")]
    words: Vec<String>,
}

#[derive(Serialize)]
struct Verified {
    skill: String,
    version: String,
    ok: bool,
    publisher: Option<String>,
    key: Option<String>,
    /// Whether the key is the one known of the publisher; `null` for a publisher that nobody knows yet.
    known: Option<bool>,
    error: Option<Error>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Verified>);

impl Verify {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let words = match self.words.is_empty() {
            true => super::all(ctx)?.into_iter().map(|it| it.name).collect(),
            false => self.words,
        };
        let known = publishers(ctx)?;
        let checked = words.iter().map(|word| verify(ctx, word, &known)).collect::<Result<Vec<_>>>()?;
        let first = checked.iter().find_map(|it| it.error.clone());
        let all = All(checked);
        match first {
            None => ctx.ui.show(&all),
            Some(error) => {
                ctx.ui.show_failed(&all, &error)?;
                Err(error)
            }
        }
    }
}

fn verify(ctx: &Context, word: &str, known: &[Publisher]) -> Result<Verified> {
    let mut verified = Verified {
        skill: word.into(),
        version: String::new(),
        ok: false,
        publisher: None,
        key: None,
        known: None,
        error: None,
    };
    if !is_path(word) {
        verified.version = find(ctx, word)?.current;
    }
    let looked = content(ctx, word).and_then(|all| {
        let whole = whole::read(&all, word)?;
        verified.version.clone_from(&whole.installed.version);
        let signed = bundle::verify(&all, &whole.name, &whole.installed.version)?;
        let publisher = signed.as_ref().and_then(|it| known.iter().find(|known| known.name == it.publisher));
        verified.known = publisher.zip(signed.as_ref()).map(|(known, signed)| known.key == signed.key.line());
        verified.publisher = signed.as_ref().map(|it| it.publisher.clone());
        verified.key = signed.as_ref().map(|it| it.key.id());
        bundle::trusted(&whole.name, signed.as_ref(), publisher, None, false)
    });
    match looked {
        Ok(()) => verified.ok = true,
        Err(error) => verified.error = Some(error),
    }
    Ok(verified)
}

impl Output for All {
    const KIND: &'static str = "skill.verified/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("no skills yet; make one: umcp skill create NAME");
        }
        for it in &self.0 {
            let (skill, version) = (&it.skill, &it.version);
            let by = match (&it.publisher, it.known) {
                (Some(by), Some(_)) => format!("signed by {by} with the key known of it"),
                (Some(by), None) => format!("signed by {by}, whose key is not known yet"),
                (None, _) => "as it was installed; not signed".into(),
            };
            match &it.error {
                None => page.mark(State::Ok, format!("{skill} {version}: {by}")),
                Some(error) => page.mark(State::Fail, format!("{skill} {version}: {error}")),
            };
        }
    }
}

/// Show whose keys are known, and forget them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp skill trust list\n  umcp skill trust forget acme")]
pub struct Trust {
    #[command(subcommand)]
    verb: Option<TrustVerb>,
}

#[derive(Debug, Subcommand)]
enum TrustVerb {
    /// List publishers with their keys
    #[command(alias = "ls")]
    List,
    /// Forget the key of a publisher: the next one that comes counts
    Forget {
        #[arg(value_name = "PUBLISHER")]
        name: String,
    },
}

#[derive(Serialize)]
#[serde(transparent)]
struct Publishers {
    publishers: Vec<Publisher>,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Serialize)]
struct Forgotten {
    publisher: String,
}

impl Trust {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(TrustVerb::List) {
            TrustVerb::List => {
                ctx.ui.show(&Publishers { publishers: publishers(ctx)?, now: ctx.clock.now() })
            }
            TrustVerb::Forget { name } => {
                let question = format!("Forget the key of {name}? The next one that comes counts.");
                if !ctx.ui.confirm(&question, false, "--yes")? {
                    return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was forgotten"));
                }
                ask(ctx, Request::Distrust { name: name.clone() })?;
                ctx.ui.show(&Forgotten { publisher: name })
            }
        }
    }
}

impl Output for Publishers {
    const KIND: &'static str = "skill.trust/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("publisher"),
            Column::new("key"),
            Column::new("since").optional(1),
            Column::new("from").optional(2).wraps(),
        ];
        let mut table = Table::new("no publisher is known yet", columns);
        for it in &self.publishers {
            table.row([
                Cell::from(&it.name),
                (&it.id).into(),
                text::ago(self.now, it.since).into(),
                Cell::from(&it.source),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.publishers.iter().map(|it| it.name.clone()).collect()
    }
}

impl Output for Forgotten {
    const KIND: &'static str = "skill.forgotten/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("forgot the key of {}", self.publisher));
    }
}
