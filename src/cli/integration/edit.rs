//! `umcp integration create`, `configure` and `delete`.

use super::super::connection::{ask, secret};
use super::super::context::Context;
use super::list::Shown;
use super::one;
use crate::engine::accounts::{AccountRequest, Hidden};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::integrations::model::{ClientAuth, Integration, KeyPlace, Kind};
use crate::integrations::{Request, providers};
use crate::ui::{Output, Page, State};
use clap::{Args, ValueEnum};
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    Oauth2,
    Oauth1,
    ApiKey,
    Basic,
    Bearer,
    None,
}

impl From<Type> for Kind {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Oauth2 => Self::Oauth2,
            Type::Oauth1 => Self::Oauth1,
            Type::ApiKey => Self::ApiKey,
            Type::Basic => Self::Basic,
            Type::Bearer => Self::Bearer,
            Type::None => Self::None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Proof {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

/// Describe how to sign in somewhere
///
/// A provider of `umcp integration providers` brings its addresses; anything else is described by flags, or finds
/// its addresses through `--issuer`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp integration create github --client-id ID --client-secret-env GITHUB_SECRET\n  umcp integration create sso --type oauth2 --issuer https://sso.example.com --client-id ID\n  umcp integration create weather --type api-key --key-header X-Api-Key"
)]
pub struct Create {
    /// Name; that of a provider takes its preset
    #[arg(value_name = "NAME")]
    name: String,
    /// How accounts prove themselves
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Type>,
    /// The preset to take, where the name is another
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Your organisation's host at the provider, such as acme.okta.com
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

/// Change an integration; accounts that signed in keep what they have
#[derive(Debug, Args)]
pub struct Configure {
    #[arg(value_name = "INTEGRATION")]
    name: String,
    #[command(flatten)]
    fields: Fields,
}

#[derive(Debug, Args)]
struct Fields {
    /// Id of the client you registered there
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Read the client's secret (or its private key) from standard input
    #[arg(long)]
    client_secret_stdin: bool,
    /// Read the client's secret (or its private key) from this variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "client_secret_stdin")]
    client_secret_env: Option<String>,
    /// Address of a document that describes the client
    #[arg(long, value_name = "URL")]
    client_metadata: Option<String>,
    /// How the client proves itself
    #[arg(long, value_enum, value_name = "HOW")]
    client_auth: Option<Proof>,
    /// Where the provider describes itself
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Where people sign in
    #[arg(long, value_name = "URL")]
    authorize_url: Option<String>,
    /// Where tokens are given
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// Where codes for other devices are given
    #[arg(long, value_name = "URL")]
    device_url: Option<String>,
    /// Where tokens are taken back
    #[arg(long, value_name = "URL")]
    revoke_url: Option<String>,
    /// Where OAuth 1 gives temporary tokens
    #[arg(long, value_name = "URL")]
    temporary_url: Option<String>,
    /// An address that answers 200 to a valid account
    #[arg(long, value_name = "URL")]
    test_url: Option<String>,
    /// Scopes to ask for
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
    /// Add a parameter to the address people sign in at
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    param: Vec<(String, String)>,
    /// The header a key goes into
    #[arg(long, value_name = "HEADER")]
    key_header: Option<String>,
    /// What stands before the key in its header
    #[arg(long, value_name = "TEXT")]
    key_prefix: Option<String>,
    /// Wait for the browser on this port, for providers that insist on one
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.into(), value.into()))
}

impl Fields {
    fn apply(self, integration: &mut Integration) {
        let set = |place: &mut Option<String>, value: Option<String>| {
            if value.is_some() {
                *place = value.filter(|value| !value.is_empty());
            }
        };
        set(&mut integration.client_id, self.client_id);
        set(&mut integration.client_metadata, self.client_metadata);
        let endpoints = &mut integration.endpoints;
        set(&mut endpoints.issuer, self.issuer);
        set(&mut endpoints.authorize, self.authorize_url);
        set(&mut endpoints.token, self.token_url);
        set(&mut endpoints.device, self.device_url);
        set(&mut endpoints.revoke, self.revoke_url);
        set(&mut endpoints.temporary, self.temporary_url);
        set(&mut endpoints.test, self.test_url);
        if let Some(proof) = self.client_auth {
            integration.client_auth = Some(match proof {
                Proof::None => ClientAuth::None,
                Proof::ClientSecretBasic => ClientAuth::ClientSecretBasic,
                Proof::ClientSecretPost => ClientAuth::ClientSecretPost,
                Proof::PrivateKeyJwt => ClientAuth::PrivateKeyJwt,
            });
        }
        if !self.scope.is_empty() {
            integration.scopes = self.scope;
        }
        integration.extra.extend(self.param);
        if let Some(header) = self.key_header {
            // A key in a header of its own stands there alone.
            integration.key_place = KeyPlace { header, prefix: String::new() };
        }
        if let Some(prefix) = self.key_prefix {
            integration.key_place.prefix = prefix;
        }
        integration.redirect_port = self.redirect_port.or(integration.redirect_port);
    }

    fn secret(&self) -> Result<Option<Hidden>> {
        match &self.client_secret_env {
            _ if self.client_secret_stdin => secret::from_stdin().map(Some),
            Some(variable) => secret::from_variable(variable).map(Some),
            None => Ok(None),
        }
    }
}

impl Create {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (id, now) = (ids::fresh("int"), ctx.clock.now());
        let preset = self.provider.as_deref().or(self.kind.is_none().then_some(self.name.as_str()));
        let mut integration = match preset.map(|name| (name, providers::find(name))) {
            Some((_, Some(provider))) => {
                let domain = match (&self.domain, provider.needs) {
                    (None, ["domain"]) => {
                        let message = format!("`{}` needs to know your organisation's host", provider.name);
                        return Err(Error::new(&codes::USAGE, message)
                            .hint(format!("umcp integration create {} --domain HOST", self.name)));
                    }
                    (domain, _) => domain.clone().unwrap_or_default(),
                };
                provider.integration(id, &self.name, &domain, now)
            }
            Some((name, None)) => {
                return Err(Error::new(&codes::USAGE, format!("there is no preset for `{name}`"))
                    .hint("umcp integration providers")
                    .hint(format!(
                        "umcp integration create {} --type oauth2 --issuer URL --client-id ID",
                        self.name
                    )));
            }
            None => Integration::new(id, &self.name, Kind::None, now),
        };
        if let Some(kind) = self.kind {
            integration.kind = kind.into();
        }
        save(ctx, self.fields, integration, true)
    }
}

impl Configure {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let integration = one(ctx, Request::Integration { name: self.name })?;
        save(ctx, self.fields, integration, false)
    }
}

fn save(ctx: &Context, fields: Fields, mut integration: Integration, new: bool) -> Result<()> {
    let secret = fields.secret()?;
    fields.apply(&mut integration);
    let name = integration.name.clone();
    let request = |integration| match new {
        true => Request::Create { integration },
        false => Request::Configure { integration },
    };
    let mut saved = one(ctx, request(Box::new(integration)))?;
    if let Some(secret) = secret {
        ask(ctx, AccountRequest::SetSecret { integration: name.clone(), secret })?;
        saved = one(ctx, Request::Integration { name })?;
    }
    ctx.ui.show(&Shown(saved))
}

/// Delete an integration that no account stands on
#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "INTEGRATION")]
    name: String,
}

impl Delete {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let integration = one(ctx, Request::Integration { name: self.name })?;
        if !ctx.ui.confirm(&format!("Delete integration {}?", integration.name), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
        }
        if integration.has_secret {
            ask(ctx, AccountRequest::ForgetSecret { integration: integration.name.clone() })?;
        }
        let gone = one(ctx, Request::Delete { name: integration.name })?;
        ctx.ui.show(&Deleted { name: gone.name })
    }
}

#[derive(Serialize)]
struct Deleted {
    name: String,
}

impl Output for Deleted {
    const KIND: &'static str = "integration.deleted/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("deleted {}", self.name));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
