//! `umcp connection provision -f FILE`: integrations and accounts of a whole set-up from one file, for machines that
//! nobody sits at. What needs a person is listed with its command. Running it again changes nothing that is there.

use super::super::context::Context;
use super::{all, ask, odd, secret};
use crate::documents;
use crate::engine::accounts::{AccountReply, AccountRequest, Hidden, SignIn, Step};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::integrations::model::{ClientAuth, Grant, KeyPlace, Kind, Standing};
use crate::integrations::{self, Connection, Integration, Request, providers};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Set up integrations and accounts from one file
///
/// Secrets are named, never written: `env://VARIABLE` or `file://PATH`. Accounts that need a person are listed with
/// the command that signs them in, and the exit code is 12.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp connection provision -f accounts.yaml")]
pub struct Provision {
    /// YAML, JSON or TOML with `integrations` and `connections`
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    integrations: Vec<Wanted>,
    #[serde(default)]
    connections: Vec<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    provider: Option<String>,
    domain: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    issuer: Option<String>,
    authorize_url: Option<String>,
    token_url: Option<String>,
    device_url: Option<String>,
    revoke_url: Option<String>,
    test_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    client_auth: Option<ClientAuth>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    key_header: Option<String>,
    key_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    /// A server or an integration.
    target: String,
    name: Option<String>,
    user: Option<String>,
    flow: Option<Grant>,
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    username: Option<String>,
    key: Option<String>,
    #[serde(default)]
    profiles: Vec<String>,
    #[serde(default)]
    default: bool,
}

impl Provision {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let text = documents::read_file(&self.file)?;
        let file: File = documents::load(&self.file.to_string_lossy(), &text)?;
        let mut done = Vec::new();
        for wanted in file.integrations {
            done.push(wanted.provision(ctx)?);
        }
        for account in file.connections {
            done.push(account.provision(ctx)?);
        }
        let waiting = done.iter().filter(|one| one.next.is_some()).count();
        let report = Provisioned(done);
        if waiting == 0 {
            return ctx.ui.show(&report);
        }
        let message = format!("{} still to be signed in to", text::plural(waiting, "account"));
        let error = Error::new(&codes::PARTIAL, message);
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

/// A secret that the file names. One that stands there is refused: files like this are shared.
fn named(reference: &str, place: &str) -> Result<Hidden> {
    if let Some(variable) = reference.strip_prefix("env://") {
        return secret::from_variable(variable);
    }
    if let Some(path) = reference.strip_prefix("file://") {
        return secret::from_file(Path::new(path));
    }
    Err(Error::new(&codes::VALUE_INVALID, format!("the {place} stands in the file in plain"))
        .hint("name it instead: env://VARIABLE or file://PATH"))
}

impl Wanted {
    fn provision(self, ctx: &Context) -> Result<One> {
        let secret =
            self.client_secret.as_deref().map(|text| named(text, "secret of a client")).transpose()?;
        let existing = match ctx.call(Request::Integrations)? {
            Reply::Integration(integrations::Reply::Integrations(all)) => {
                all.into_iter().find(|one| one.name == self.name)
            }
            other => return engine::unexpected(&other),
        };
        let is_new = existing.is_none();
        let before = existing.clone();
        let name = self.name.clone();
        let integration = Box::new(self.apply(existing, ctx)?);
        let changed = before.as_ref() != Some(&*integration);
        let request = match is_new {
            true => Request::Create { integration },
            false => Request::Configure { integration },
        };
        ctx.call(request)?;
        if let Some(secret) = secret {
            ask(ctx, AccountRequest::SetSecret { integration: name.clone(), secret })?;
        }
        let outcome = if is_new {
            "created"
        } else if changed {
            "changed"
        } else {
            "kept"
        };
        Ok(One { what: "integration", name, outcome, next: None })
    }

    fn apply(self, existing: Option<Integration>, ctx: &Context) -> Result<Integration> {
        let (id, now) = (ids::fresh("int"), ctx.clock.now());
        let preset = self.provider.as_deref().or(self.kind.is_none().then_some(self.name.as_str()));
        let mut integration = match (existing, preset.map(|name| (name, providers::find(name)))) {
            (Some(existing), _) => existing,
            (None, Some((_, Some(provider)))) => {
                provider.integration(id, &self.name, self.domain.as_deref().unwrap_or_default(), now)
            }
            (None, Some((name, None))) => {
                return Err(Error::new(&codes::VALUE_INVALID, format!("there is no preset for `{name}`"))
                    .hint("umcp integration providers"));
            }
            (None, None) => Integration::new(id, &self.name, Kind::None, now),
        };
        let endpoints = &mut integration.endpoints;
        for (place, value) in [
            (&mut endpoints.issuer, self.issuer),
            (&mut endpoints.authorize, self.authorize_url),
            (&mut endpoints.token, self.token_url),
            (&mut endpoints.device, self.device_url),
            (&mut endpoints.revoke, self.revoke_url),
            (&mut endpoints.test, self.test_url),
            (&mut integration.client_id, self.client_id),
        ] {
            *place = value.or(place.take());
        }
        integration.kind = self.kind.unwrap_or(integration.kind);
        integration.client_auth = self.client_auth.or(integration.client_auth);
        if !self.scopes.is_empty() {
            integration.scopes = self.scopes;
        }
        integration.extra.extend(self.params);
        if let Some(header) = self.key_header {
            integration.key_place = KeyPlace { header, prefix: self.key_prefix.unwrap_or_default() };
        }
        Ok(integration)
    }
}

impl Account {
    fn provision(self, ctx: &Context) -> Result<One> {
        let name = self.name.clone().unwrap_or_else(|| self.target.clone());
        let existing = all(ctx)?.into_iter().find(|row| row.name == name);
        if existing.is_some_and(|row| row.standing == Standing::Ready) {
            self.choose(ctx, &name)?;
            return Ok(One { what: "connection", name, outcome: "kept", next: None });
        }
        if matches!(self.flow, None | Some(Grant::Code | Grant::Device)) && self.key.is_none() {
            let next = Some(format!("umcp connection create {} --name {name}", self.target));
            return Ok(One { what: "connection", name, outcome: "waiting", next });
        }
        let secret =
            |text: &Option<String>, place| text.as_deref().map(|text| named(text, place)).transpose();
        let wish = SignIn {
            target: self.target.clone(),
            name: Some(name.clone()),
            user: self.user.clone(),
            grant: self.flow.filter(|flow| *flow != Grant::Static),
            client_id: self.client_id.clone(),
            client_secret: secret(&self.client_secret, "secret of a client")?,
            scopes: self.scopes.clone(),
            username: self.username.clone(),
            key: secret(&self.key, "key of an account")?,
            ..SignIn::default()
        };
        let row: Connection = match ask(ctx, AccountRequest::Begin(Box::new(wish)))? {
            AccountReply::Step(Step::Done(row)) => *row,
            AccountReply::Step(_) => {
                return Err(Error::new(
                    &codes::VALUE_INVALID,
                    format!("`{}` needs a person to sign in", self.target),
                )
                .hint("leave out `key` and `flow`, and sign in by hand"));
            }
            other => return odd(&other),
        };
        self.choose(ctx, &row.name)?;
        Ok(One { what: "connection", name: row.name, outcome: "created", next: None })
    }

    fn choose(&self, ctx: &Context, name: &str) -> Result<()> {
        let choose = |profiles: Vec<String>| {
            ctx.call(Request::Use { name: name.into(), profiles, directories: Vec::new() }).map(drop)
        };
        if self.default {
            choose(Vec::new())?;
        }
        if self.profiles.is_empty() { Ok(()) } else { choose(self.profiles.clone()) }
    }
}

/// What became of one entry of the file.
#[derive(Serialize)]
struct One {
    what: &'static str,
    name: String,
    /// `created`, `changed`, `kept` or `waiting`.
    outcome: &'static str,
    /// The command a person has to run.
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Provisioned(Vec<One>);

impl Output for Provisioned {
    const KIND: &'static str = "connection.provisioned/1";

    fn human(&self, page: &mut Page) {
        for one in &self.0 {
            match &one.next {
                None => page.mark(State::Ok, format!("{} {} {}", one.outcome, one.what, one.name)),
                Some(next) => page.mark(State::Warn, format!("{} waits for a sign-in: {next}", one.name)),
            };
        }
        if self.0.is_empty() {
            page.text("the file asks for nothing");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|one| one.name.clone()).collect()
    }
}
