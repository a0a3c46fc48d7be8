//! The verbs that change an installed app: configure, enable, disable, uninstall.

use super::known;
use crate::apps::model::Setting;
use crate::cli::context::Context;
use crate::cli::server::change;
use crate::documents::near;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::servers::{self, Server};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// The variable of an entry that opens private addresses.
pub const ALLOW_PRIVATE: &str = "UMCP_ALLOW_PRIVATE";

/// Give an app's settings their values
///
/// Without a value it shows how the settings stand. Values may hold ${VAR} and secret://NAME, which are looked up when
/// they are needed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp app configure github GITHUB_TOKEN=secret://GITHUB_TOKEN")]
pub struct Configure {
    #[arg(value_name = "APP")]
    name: String,
    #[arg(value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Take a setting's value away
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Let it reach private addresses, or `=false` no longer
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<bool>,
}

impl Configure {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let installed = known::find(ctx, &self.name)?;
        let settings = installed.definition()?.settings;
        let mut server = installed.server;
        let before = server.clone();
        match installed.app.is_some() {
            true => assign(&mut server, &settings, &self.set)?,
            false => server.env.extend(crate::cli::server::pairs("NAME=VALUE", &self.set)?),
        }
        for name in &self.unset {
            if server.env.remove(name).is_none() {
                return Err(unknown(name, &settings));
            }
        }
        match self.allow_private {
            Some(true) => _ = server.env.insert(ALLOW_PRIVATE.into(), "1".into()),
            Some(false) => _ = server.env.remove(ALLOW_PRIVATE),
            None => {}
        }
        told_plain(ctx, &server, &settings, &self.set);
        if server != before {
            match ctx.call(servers::Request::Update { server: Box::new(server.clone()) })? {
                Reply::Server(_) => {}
                other => return engine::unexpected(&other),
            }
        }
        ctx.ui.show(&Configured { name: server.name.clone(), settings: stands(&server, &settings) })
    }
}

/// Puts `NAME=VALUE` words into an entry; only settings of the app are taken.
pub fn assign(server: &mut Server, settings: &[Setting], words: &[String]) -> Result<()> {
    for (name, value) in crate::cli::server::pairs("--set", words)? {
        if !settings.iter().any(|setting| setting.name == name) {
            return Err(unknown(&name, settings));
        }
        server.env.insert(name, value);
    }
    Ok(())
}

fn unknown(name: &str, settings: &[Setting]) -> Error {
    let error = Error::new(&codes::SETTING_UNKNOWN, format!("the app has no setting `{name}`"));
    let known: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
    match near(name, known.iter().copied()) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None if known.is_empty() => error.hint("it has no settings at all"),
        None => error.hint(format!("its settings are {}", known.join(", "))),
    }
}

/// Warns of keys that are stored as they stand.
pub fn told_plain(ctx: &Context, server: &Server, settings: &[Setting], words: &[String]) {
    let given = |setting: &&Setting| words.iter().any(|word| word.starts_with(&format!("{}=", setting.name)));
    for setting in settings.iter().filter(|setting| setting.secret).filter(given) {
        let value = server.env.get(&setting.name).map(String::as_str).unwrap_or_default();
        if !is_reference(value) {
            let name = &setting.name;
            ctx.ui.warn(&format!("{name} is stored as it stands; better {name}=secret://{name}"));
        }
    }
}

fn is_reference(value: &str) -> bool {
    value.starts_with("secret://") || value.contains("${")
}

/// Settings that have neither a value nor a default.
pub fn missing<'a>(server: &Server, settings: &'a [Setting]) -> Vec<&'a Setting> {
    settings
        .iter()
        .filter(|setting| setting.default.is_none() && !server.env.contains_key(&setting.name))
        .collect()
}

/// How one setting stands. Plain values of secrets are not shown.
#[derive(Serialize)]
pub struct Stand {
    pub name: String,
    pub value: Option<String>,
    /// `set`, `default` or `missing`.
    pub state: &'static str,
    pub secret: bool,
    pub description: Option<String>,
}

pub fn stands(server: &Server, settings: &[Setting]) -> Vec<Stand> {
    let stand = |setting: &Setting| {
        let own = server.env.get(&setting.name);
        let shown = |value: &String| match setting.secret && !is_reference(value) {
            true => servers::view::HIDDEN.to_string(),
            false => value.clone(),
        };
        Stand {
            name: setting.name.clone(),
            value: own.map(shown).or_else(|| setting.default.clone()),
            state: match (own, &setting.default) {
                (Some(_), _) => "set",
                (None, Some(_)) => "default",
                (None, None) => "missing",
            },
            secret: setting.secret,
            description: setting.description.clone(),
        }
    };
    settings.iter().map(stand).collect()
}

/// Puts settings on a page.
pub fn settings_on(page: &mut Page, settings: &[Stand]) {
    for setting in settings {
        let state = if setting.state == "missing" { State::Warn } else { State::Ok };
        let value = setting.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        let about = setting.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        page.mark(state, format!("{}{value}{about}", setting.name));
    }
}

#[derive(Serialize)]
struct Configured {
    name: String,
    settings: Vec<Stand>,
}

impl Output for Configured {
    const KIND: &'static str = "app.configured/1";

    fn human(&self, page: &mut Page) {
        match self.settings.is_empty() {
            true => page.text(format!("{} has no settings", self.name)),
            false => page.heading(&self.name),
        };
        settings_on(page, &self.settings);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Offer apps to clients again
#[derive(Debug, Args)]
pub struct Enable {
    #[arg(value_name = "APP", required = true)]
    names: Vec<String>,
}

impl Enable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        known_all(ctx, &self.names)?;
        change(ctx, "enabled", servers::Request::Enable { names: self.names, enabled: true })
    }
}

/// Keep apps installed but offer them to nobody
#[derive(Debug, Args)]
pub struct Disable {
    #[arg(value_name = "APP", required = true)]
    names: Vec<String>,
}

impl Disable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        known_all(ctx, &self.names)?;
        change(ctx, "disabled", servers::Request::Enable { names: self.names, enabled: false })
    }
}

/// Uninstall apps, with their settings
#[derive(Debug, Args)]
pub struct Uninstall {
    #[arg(value_name = "APP", required = true)]
    names: Vec<String>,
}

impl Uninstall {
    pub fn run(self, ctx: &Context) -> Result<()> {
        known_all(ctx, &self.names)?;
        let question = format!("Uninstall {} with its settings?", self.names.join(", "));
        if !ctx.ui.confirm(&question, false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was uninstalled"));
        }
        change(ctx, "uninstalled", servers::Request::Remove { names: self.names })
    }
}

/// Every name is an app and not just any server.
fn known_all(ctx: &Context, names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| known::find(ctx, name).map(|_| ()))
}
