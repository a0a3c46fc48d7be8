//! `umcp token`: keys for the HTTP endpoint. A key is shown once, when it is made; only its hash is stored.

mod issuer;

use super::context::Context;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::policy::grant::{self, Grant};
use crate::policy::scope::Scopes;
use crate::policy::{self, Request, Token};
use crate::servers::formats::own::parse_time;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::{environments, ids};
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp token create laptop --expires 30d\n  umcp token create viewer --scope tools:read,prompts\n  umcp token rotate laptop --grace 1h"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List keys and grants; the keys themselves are not stored
    #[command(alias = "ls")]
    List,
    /// Make a key and show it once
    #[command(aliases = ["new", "add"])]
    Create(Create),
    /// End a key or a grant
    #[command(aliases = ["rm", "remove", "delete"])]
    Revoke(Name),
    /// Replace a key by a new one and show it once
    Rotate(Rotate),
    /// Trust tokens that others sign
    Issuer(issuer::Command),
}

#[derive(Debug, Args)]
struct Create {
    #[arg(value_name = "NAME")]
    name: String,
    /// The only profile the key opens
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// How long it is valid, such as 30d or 12h
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires: Option<u64>,
    /// What it opens: tools:read, tools:call, resources, prompts, metrics; all of it by default
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
}

#[derive(Debug, Args)]
struct Rotate {
    #[arg(value_name = "TOKEN")]
    name: String,
    /// The key before stays valid for this long, such as 1h
    #[arg(long, value_name = "TIME", value_parser = life)]
    grace: Option<u64>,
    /// How long the new key is valid; as long as the one before was given by default
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires: Option<u64>,
}

/// Milliseconds of a time such as `30d`.
fn life(text: &str) -> Result<u64> {
    match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days)) if (1..=36_500).contains(&days) => Ok(days * 86_400_000),
        Some(_) => Err(Error::new(&codes::VALUE_INVALID, format!("`{text}` is not a time"))
            .hint("write 30d, 12h or 30m")),
        None => parse_time(text),
    }
}

#[derive(Debug, Args)]
struct Name {
    #[arg(value_name = "TOKEN")]
    name: String,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let mut tokens: Vec<View> = keys(ctx)?.iter().map(|token| View::new(token, now)).collect();
                tokens.extend(grants(ctx)?.iter().map(|grant| View::of_grant(grant, now)));
                ctx.ui.show(&Tokens { now, tokens })
            }
            Verb::Create(create) => create.run(ctx, now),
            Verb::Issuer(command) => command.run(ctx),
            Verb::Revoke(Name { name }) => {
                let revoked = match ctx.call(Request::Revoke { name, at: now })? {
                    Reply::Token(policy::Reply::Token(token)) => View::new(&token, now),
                    Reply::Token(policy::Reply::Grant(grant::Reply::Grant(grant))) => {
                        View::of_grant(&grant, now)
                    }
                    other => return engine::unexpected(&other),
                };
                ctx.ui.show(&Revoked(revoked))
            }
            Verb::Rotate(Rotate { name, grace, expires }) => {
                let key = policy::fresh_key();
                let at = |time| now.plus_ms(time);
                let (grace, expires, hash) = (grace.map(at), expires.map(at), policy::hash(&key));
                let token = one(ctx, Request::Rotate { name, hash, at: now, grace, expires })?;
                show_key(ctx, Made { token: View::new(&token, now), key })
            }
        }
    }
}

impl Create {
    fn run(self, ctx: &Context, now: Timestamp) -> Result<()> {
        if let Some(profile) = &self.profile {
            ctx.call(environments::Request::Show { name: profile.clone() })?;
        }
        let scopes = match self.scope.is_empty() {
            true => Scopes::ALL,
            false => Scopes::parse(self.scope.iter().map(|word| word.trim()))?,
        };
        let key = policy::fresh_key();
        let token = Token {
            id: ids::fresh("tok"),
            name: self.name,
            hash: policy::hash(&key),
            profile: self.profile,
            created: now,
            expires: self.expires.map(|time| now.plus_ms(time)),
            revoked: None,
            scopes,
            previous: None,
        };
        let token = one(ctx, Request::Create { token })?;
        show_key(ctx, Made { token: View::new(&token, now), key })
    }
}

/// The key is all there is on stdout, for `KEY=$(umcp token create ...)`.
fn show_key(ctx: &Context, made: Made) -> Result<()> {
    ctx.ui.show(&made)?;
    ctx.ui.note("keep it now; it is not shown again");
    Ok(())
}

fn keys(ctx: &Context) -> Result<Vec<Token>> {
    match ctx.call(Request::List)? {
        Reply::Token(policy::Reply::Tokens(tokens)) => Ok(tokens),
        other => engine::unexpected(&other),
    }
}

fn grants(ctx: &Context) -> Result<Vec<Grant>> {
    match ctx.call(Request::Grant(grant::Request::List))? {
        Reply::Token(policy::Reply::Grant(grant::Reply::Grants(grants))) => Ok(grants),
        other => engine::unexpected(&other),
    }
}

fn one(ctx: &Context, request: Request) -> Result<Token> {
    match ctx.call(request)? {
        Reply::Token(policy::Reply::Token(token)) => Ok(*token),
        other => engine::unexpected(&other),
    }
}

/// A key or a grant, without its hashes.
#[derive(Serialize)]
struct View {
    id: String,
    name: String,
    /// `valid`, `expired` or `revoked`.
    state: &'static str,
    profile: Option<String>,
    scopes: Scopes,
    created: String,
    expires: Option<String>,
    revoked: Option<String>,
    /// Until then the key before the last rotation is good too.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_until: Option<String>,
    /// Of a grant: the address it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip)]
    made: Timestamp,
    #[serde(skip)]
    ends: Option<Timestamp>,
}

impl View {
    fn new(token: &Token, now: Timestamp) -> Self {
        let expired = token.expires.is_some_and(|expires| expires <= now);
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            state: if token.revoked.is_some() {
                "revoked"
            } else if expired {
                "expired"
            } else {
                "valid"
            },
            profile: token.profile.clone(),
            scopes: token.scopes,
            created: token.created.rfc3339(),
            expires: token.expires.map(Timestamp::rfc3339),
            revoked: token.revoked.map(Timestamp::rfc3339),
            previous_until: token.previous.as_ref().filter(|it| now < it.until).map(|it| it.until.rfc3339()),
            resource: None,
            made: token.created,
            ends: token.expires,
        }
    }

    fn of_grant(grant: &Grant, now: Timestamp) -> Self {
        let state = match grant.revoked {
            Some(_) => "revoked",
            None if grant.is_valid(now) => "valid",
            None => "expired",
        };
        Self {
            id: grant.id.clone(),
            name: format!("grant:{}", grant.name),
            state,
            profile: grant.profile.clone(),
            scopes: grant.scopes,
            created: grant.created.rfc3339(),
            expires: Some(grant.refresh_until.rfc3339()),
            revoked: grant.revoked.map(Timestamp::rfc3339),
            previous_until: None,
            resource: Some(grant.resource.clone()),
            made: grant.created,
            ends: Some(grant.refresh_until),
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Tokens {
    tokens: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

impl Output for Tokens {
    const KIND: &'static str = "token.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("state"),
            Column::new("profile").optional(2),
            Column::new("scopes").optional(2),
            Column::new("created").optional(3),
            Column::new("expires").optional(1),
        ];
        let mut table = Table::new("no keys yet; make one: umcp token create NAME", columns);
        for token in &self.tokens {
            let state = if token.state == "valid" { State::Ok } else { State::Off };
            table.row([
                Cell::from(&token.name),
                Cell::state(state, token.state),
                token.profile.clone().unwrap_or_else(|| "all".into()).into(),
                if token.scopes == Scopes::ALL { "all".into() } else { token.scopes.to_string() }.into(),
                text::ago(self.now, token.made).into(),
                token.ends.map_or("never".into(), |ends| text::ago(self.now, ends)).into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.tokens.iter().map(|token| token.name.clone()).collect()
    }
}

/// A new key: the only time it is shown.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    token: View,
    key: String,
}

impl Output for Made {
    const KIND: &'static str = "token.key/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.key);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Revoked(View);

impl Output for Revoked {
    const KIND: &'static str = "token.revoked/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("revoked {}", self.0.name));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}
