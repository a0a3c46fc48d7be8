//! `umcp token issuer`: whose signed tokens open the HTTP endpoint. Tokens themselves are never stored.

use super::super::context::Context;
use crate::engine::{self, Reply};
use crate::environments;
use crate::error::Result;
use crate::policy::issuer::Issuer;
use crate::policy::scope::Scopes;
use crate::policy::{self, Request};
use crate::settings::{Authorization, Settings};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Trust tokens that others sign
///
/// Tokens count once the setting `gateway.authorization` is `jwt`. They are JWTs signed with RS256, ES256 or EdDSA.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  umcp token issuer add corp --issuer https://id.example.com --audience https://mcp.example.com/mcp --jwks https://id.example.com/jwks"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List issuers that are trusted
    #[command(alias = "ls")]
    List,
    /// Trust an issuer, or change what is expected of its tokens
    Add(Add),
    /// Trust it no more; whoever came with its tokens is let go
    #[command(aliases = ["rm", "delete", "revoke"])]
    Remove {
        #[arg(value_name = "ISSUER")]
        name: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// How policies call it: its users are NAME:SUBJECT
    #[arg(value_name = "NAME")]
    name: String,
    /// What `iss` of its tokens says, exactly
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// What `aud` of its tokens must hold
    #[arg(long, value_name = "AUDIENCE")]
    audience: String,
    /// Its public keys: an address or a file
    #[arg(long, value_name = "URL|FILE")]
    jwks: String,
    /// The only profile its tokens open
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// What a token opens that names no scope of umcp; nothing by default
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
    /// The claim with roles for your policy, such as realm_access.roles
    #[arg(long, value_name = "CLAIM")]
    roles: Option<String>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => ctx.ui.show(&Issuers(ask(ctx, Request::Issuers)?)),
            Verb::Add(add) => add.run(ctx),
            Verb::Remove { name } => {
                let issuers = ask(ctx, Request::RemoveIssuer { name })?;
                ctx.ui.show(&Changed { done: "removed", issuers })
            }
        }
    }
}

impl Add {
    fn run(self, ctx: &Context) -> Result<()> {
        if let Some(profile) = &self.profile {
            ctx.call(environments::Request::Show { name: profile.clone() })?;
        }
        let scopes = Scopes::parse(self.scope.iter().map(|word| word.trim()))?;
        let jwks = match self.jwks.contains("://") {
            true => self.jwks,
            false => std::path::absolute(&self.jwks).map_or(self.jwks, |path| path.display().to_string()),
        };
        let Self { name, issuer, audience, profile, roles, .. } = self;
        let created = ctx.clock.now();
        let issuer = Box::new(Issuer { name, issuer, audience, jwks, profile, scopes, roles, created });
        let issuers = ask(ctx, Request::AddIssuer { issuer })?;
        if Settings::load(&ctx.paths)?.gateway.authorization != Authorization::Jwt {
            ctx.ui.note("tokens count from the next start on once this is set: umcp config set gateway.authorization jwt");
        }
        ctx.ui.show(&Changed { done: "trusted", issuers })
    }
}

fn ask(ctx: &Context, request: Request) -> Result<Vec<Issuer>> {
    match ctx.call(request)? {
        Reply::Token(policy::Reply::Issuers(issuers)) => Ok(issuers),
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Issuers(Vec<Issuer>);

impl Output for Issuers {
    const KIND: &'static str = "token.issuers/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("issuer"),
            Column::new("audience").optional(1),
            Column::new("profile").optional(2),
            Column::new("keys").optional(3),
        ];
        let mut table = Table::new("no issuer is trusted; add one: umcp token issuer add NAME", columns);
        for it in &self.0 {
            let profile = it.profile.clone().unwrap_or_else(|| "all".into());
            let [name, issuer, audience, jwks] =
                [&it.name, &it.issuer, &it.audience, &it.jwks].map(Cell::from);
            table.row([name, issuer, audience, profile.into(), jwks]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|issuer| issuer.name.clone()).collect()
    }
}

#[derive(Serialize)]
struct Changed {
    #[serde(skip)]
    done: &'static str,
    issuers: Vec<Issuer>,
}

impl Output for Changed {
    const KIND: &'static str = "token.issuer/1";

    fn human(&self, page: &mut Page) {
        for issuer in &self.issuers {
            page.mark(State::Ok, format!("{} {}", self.done, issuer.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.issuers.iter().map(|issuer| issuer.name.clone()).collect()
    }
}
