//! `skill install` and `import`: a skill with everything it needs, checked before anything is in its place.

use super::fetch::{self, Fetched, Spec};
use super::{all, ask, files, find, publishers, registries, unexpected};
use crate::cli::context::Context;
use crate::cli::known::all_servers;
use crate::engine::{self, Reply as Answer};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::servers::model::Transport;
use crate::servers::{self, Server};
use crate::skills::bundle::{self, Signed};
use crate::skills::model::{Need, Publisher, Signer};
use crate::skills::resolve::{self, Candidate};
use crate::skills::whole::NO_VERSION;
use crate::skills::{New, Reply, Request, SERVER};
use crate::ui::{Output, Page, State};
use crate::workflows::{check, read, start};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Install a skill, with the skills it needs
///
/// SPEC is a folder, a bundle (a file or an address), the name of a skill that a registry offers, or REGISTRY/NAME.
/// A signature is checked where there is one: the first key of a publisher is remembered, and from then on only that
/// one counts. A skill that was signed once is not replaced by one that is not.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill install ./greet\n  umcp skill install community/sentiment-analysis --version 1.0.0\n  umcp skill install https://example.com/skills/greet-1.0.0.zip"
)]
pub struct Install {
    #[arg(value_name = "SPEC")]
    spec: String,
    /// Exactly this version of what a registry offers
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Install a skill from a folder or bundle
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp skill import greet-1.0.0.zip")]
pub struct Import {
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Clone, Default, Args)]
pub struct How {
    /// Over the same version with other content
    #[arg(long)]
    pub replace: bool,
    /// Although the version before was signed
    #[arg(long)]
    pub allow_unsigned: bool,
}

impl Install {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let spec = Spec::parse(&self.spec, self.version.as_deref(), &registries(ctx)?)?;
        let done = install(ctx, &spec, &self.how)?;
        ctx.ui.show(&done)
    }
}

impl Import {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let done = install(ctx, &Spec::Path(self.path), &self.how)?;
        ctx.ui.show(&done)
    }
}

/// What was installed.
#[derive(Serialize)]
pub struct Done {
    pub skills: Vec<One>,
    /// The server entry that was made to offer skills to clients.
    pub server: Option<String>,
}

#[derive(Serialize)]
pub struct One {
    pub name: String,
    pub version: String,
    pub from: Option<String>,
    pub executable: bool,
    pub signed_by: Option<Signer>,
    /// The publisher was not known before.
    pub new_publisher: bool,
    /// It came along because another one needs it.
    pub needed: bool,
}

/// Installs a skill and what it needs.
pub fn install(ctx: &Context, spec: &Spec, how: &How) -> Result<Done> {
    let (skills, registries) = (all(ctx)?, registries(ctx)?);
    let root = match spec {
        Spec::Path(path) => Some(fetch::from_path(path)?),
        Spec::Url(url) => Some(fetch::from_url(ctx, url)?),
        Spec::Named { .. } => None,
    };
    let mut candidates = resolve::candidates(&skills, &registries, false);
    let wanted = match (&root, spec) {
        (Some(root), _) => {
            let about = &root.whole.installed;
            let needs = about.needs.iter().filter_map(|need| Need::parse(need).ok()).collect();
            let version = about.version.clone();
            candidates.insert(root.whole.name.clone(), vec![Candidate { version, needs, offer: None }]);
            Need::parse(&root.whole.name)?
        }
        (None, Spec::Named { registry, need }) => {
            // The newest one, of that registry where one was named.
            let mut newest =
                resolve::candidates(&[], &registries, true).remove(&need.name).unwrap_or_default();
            newest.retain(|it| {
                registry.as_ref().is_none_or(|name| it.offer.as_ref().is_some_and(|(from, _)| from == name))
            });
            if newest.is_empty() && Path::new(&need.name).is_dir() {
                let error = crate::skills::not_found(&need.name, &skills);
                return Err(error.hint(format!("the folder here is `./{}`", need.name)));
            }
            candidates.insert(need.name.clone(), newest);
            need.clone()
        }
        (None, _) => return Err(Error::bug("a path that was not read")),
    };
    let chosen = resolve::resolve(&candidates, &[("you".into(), wanted.clone())])?;
    let mut fetched: Vec<Fetched> = root.into_iter().collect();
    for candidate in chosen.values() {
        if let Some((from, offer)) = &candidate.offer {
            let registry = registries.iter().find(|it| it.name == *from);
            let registry = registry.ok_or_else(|| Error::bug("an offer of no registry"))?;
            fetched.push(fetch::from_registry(ctx, registry, offer)?);
        }
    }
    let versions: BTreeMap<String, String> =
        chosen.into_iter().map(|(name, candidate)| (name, candidate.version)).collect();
    take(ctx, fetched, &wanted.name, &versions, how)
}

/// Checks everything, puts it in place, and takes it into use.
fn take(
    ctx: &Context,
    fetched: Vec<Fetched>,
    wanted: &str,
    versions: &BTreeMap<String, String>,
    how: &How,
) -> Result<Done> {
    let known = all(ctx)?;
    let mut trusted = publishers(ctx)?;
    let (mut done, mut new, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for fetched in &fetched {
        let name = &fetched.whole.name;
        let before = known.iter().find(|it| it.name == *name).map(|it| it.current()).transpose()?;
        let signed = check(ctx, fetched, &trusted, before.and_then(|it| it.signer.as_ref()), how)?;
        let publisher = signed.as_ref().filter(|it| trusted.iter().all(|known| known.name != it.publisher));
        let publisher = publisher.map(|it| Publisher {
            name: it.publisher.clone(),
            key: it.key.line(),
            id: it.key.id(),
            since: ctx.clock.now(),
            source: fetched.source.clone(),
        });
        trusted.extend(publisher.clone());
        let mut installed = fetched.whole.installed.clone();
        if installed.is_executable() {
            let workflow =
                read::read("steps", &installed.document).map_err(|mut errors| errors.swap_remove(0))?;
            installed.schema = start::schema(&workflow).to_string();
        }
        installed.source.clone_from(&fetched.source);
        installed.signer = signed.as_ref().map(Signed::signer);
        installed.installed = ctx.clock.now();
        let needs = installed.needs.iter().filter_map(|need| Need::parse(need).ok());
        installed.resolved = needs.filter_map(|it| versions.get_key_value(&it.name)).map(own).collect();
        done.push(One {
            name: name.clone(),
            version: installed.version.clone(),
            from: before.map(|it| it.version.clone()).filter(|version| *version != installed.version),
            executable: installed.is_executable(),
            signed_by: installed.signer.clone(),
            new_publisher: publisher.is_some(),
            needed: name != wanted,
        });
        added.extend(publisher);
        let replace = how.replace || installed.version == NO_VERSION;
        new.push(New { name: name.clone(), installed, wanted: name == wanted, replace });
    }
    refuse_other_content(ctx, &new)?;
    for (fetched, new) in fetched.iter().zip(&new) {
        files::place(&ctx.paths, &new.name, &new.installed.version, &fetched.files)?;
    }
    match ask(ctx, Request::Install { new: new.clone(), publishers: added })? {
        Reply::Skills(_) => {}
        other => return unexpected(other),
    }
    for new in &new {
        point(ctx, &new.name, Some(&new.installed.version));
    }
    let server = if known.is_empty() { offer_to_clients(ctx)? } else { None };
    Ok(Done { skills: done, server })
}

fn own((name, version): (&String, &String)) -> (String, String) {
    (name.clone(), version.clone())
}

/// The signature and the steps of a skill; what its tools lack is a warning.
fn check(
    ctx: &Context,
    fetched: &Fetched,
    trusted: &[Publisher],
    before: Option<&Signer>,
    how: &How,
) -> Result<Option<Signed>> {
    let (name, about) = (&fetched.whole.name, &fetched.whole.installed);
    let signed = bundle::verify(&fetched.files, name, &about.version)?;
    let known = signed.as_ref().and_then(|it| trusted.iter().find(|known| known.name == it.publisher));
    bundle::trusted(name, signed.as_ref(), known, before, how.allow_unsigned)?;
    if about.is_executable() {
        let file = "skill.yaml";
        let errors = match read::read(file, &about.document) {
            Ok(mut workflow) => check::check(file, &about.document, &mut workflow, None).errors,
            Err(errors) => errors,
        };
        if let Some(mut error) = errors.into_iter().next() {
            error.span = None;
            return Err(error.hint(format!("umcp skill validate {}", fetched.source)));
        }
    }
    let servers = all_servers(ctx)?;
    let there = |tool: &str| servers.iter().any(|it| it.name == tool.split('.').next().unwrap_or(tool));
    let missing: Vec<&str> = about.tools.iter().map(String::as_str).filter(|tool| !there(tool)).collect();
    if !missing.is_empty() {
        ctx.ui.warn(&format!("{name} needs servers that are not there: {}", missing.join(", ")));
    }
    Ok(signed)
}

/// Before a file is touched: the store would refuse it afterwards.
fn refuse_other_content(ctx: &Context, new: &[New]) -> Result<()> {
    for new in new.iter().filter(|it| !it.replace) {
        let skill = match find(ctx, &new.name) {
            Ok(skill) => skill,
            Err(error) if error.is(&codes::SKILL_NOT_FOUND) => continue,
            Err(error) => return Err(error),
        };
        let there = skill.version(&new.installed.version);
        if there.is_some_and(|it| it.digest != new.installed.digest) {
            let message =
                format!("{} {} is installed already, with other content", new.name, new.installed.version);
            return Err(Error::new(&codes::SKILL_EXISTS, message)
                .hint("give it a higher version, or --replace to put this one in its place"));
        }
    }
    Ok(())
}

/// Lets linked clients see the version in use; where links cannot be made, `sync` says so.
pub fn point(ctx: &Context, name: &str, version: Option<&str>) {
    if let Err(error) = files::point(&ctx.paths, name, version)
        && !cfg!(windows)
    {
        ctx.ui.warn(&error.to_string());
    }
}

/// With the first skill comes the server that offers skills to clients.
fn offer_to_clients(ctx: &Context) -> Result<Option<String>> {
    let servers = all_servers(ctx)?;
    let transport = Transport::Builtin { name: SERVER.into() };
    if servers.iter().any(|it| it.transport == transport) {
        return Ok(None);
    }
    let free = |name: &&str| servers.iter().all(|it| it.name != *name);
    let Some(name) = [SERVER, "agent-skills"].into_iter().find(free) else { return Ok(None) };
    let server = Server::new(ids::fresh("srv"), name, transport, ctx.clock.now());
    match ctx.call(servers::Request::Add { servers: vec![server], replace: false })? {
        Answer::Server(_) => Ok(Some(name.into())),
        other => engine::unexpected(&other),
    }
}

impl Output for Done {
    const KIND: &'static str = "skill.installed/1";

    fn human(&self, page: &mut Page) {
        for it in &self.skills {
            let from = it.from.as_ref().map_or(String::new(), |from| format!(", in use until now {from}"));
            let needed = if it.needed { ", which it needs" } else { "" };
            page.mark(State::Ok, format!("installed {} {}{needed}{from}", it.name, it.version));
            match &it.signed_by {
                Some(by) if it.new_publisher => page.mark(
                    State::Warn,
                    format!("signed by {}, seen for the first time, with the key {}", by.publisher, by.key),
                ),
                Some(by) => {
                    page.mark(State::Ok, format!("signed by {} with the key known of it", by.publisher))
                }
                None => page.mark(State::Off, "not signed"),
            };
        }
        if let Some(server) = &self.server {
            page.mark(State::Ok, format!("added the server {server}, which offers skills to every client"));
        }
        if let Some(it) = self.skills.iter().find(|it| it.executable && !it.needed) {
            page.text(format!("run it: umcp skill execute {}", it.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.skills.iter().map(|it| it.name.clone()).collect()
    }
}
