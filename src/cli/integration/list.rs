//! `umcp integration list`, `show`, `test` and `providers`.

use super::super::connection::all as connections;
use super::super::context::Context;
use super::one;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::integrations::{self, Integration, Request, Target, providers};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use serde::Serialize;

/// List integrations
#[derive(Debug, Default, Args)]
pub struct List {}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let all = match ctx.call(Request::Integrations)? {
            Reply::Integration(integrations::Reply::Integrations(all)) => all,
            other => return engine::unexpected(&other),
        };
        let accounts = connections(ctx)?;
        let count = |integration: &Integration| {
            let target = Target::Integration(integration.id.clone());
            accounts.iter().filter(|row| row.target == target).count()
        };
        let listed = all.into_iter().map(|integration| Listed { accounts: count(&integration), integration });
        ctx.ui.show(&Integrations(listed.collect()))
    }
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    integration: Integration,
    accounts: usize,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Integrations(Vec<Listed>);

impl Output for Integrations {
    const KIND: &'static str = "integration.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("type"),
            Column::new("state"),
            Column::new("accounts").right(),
            Column::new("scopes").wraps().optional(1),
        ];
        let mut table =
            Table::new("no integrations yet; see what there is: umcp integration providers", columns);
        for Listed { integration, accounts } in &self.0 {
            let missing = integration.missing();
            let state = match missing.is_empty() {
                true => Cell::state(State::Ok, "ready"),
                false => Cell::state(State::Warn, &format!("lacks {}", missing.join(", "))),
            };
            table.row([
                Cell::from(&integration.name),
                integration.kind.word().into(),
                state,
                text::number(*accounts as u64).into(),
                integration.scopes.join(" ").into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|listed| listed.integration.name.clone()).collect()
    }
}

/// Show one integration; its secret is never shown
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "INTEGRATION")]
    name: String,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&Shown(one(ctx, Request::Integration { name: self.name })?))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct Shown(pub Integration);

impl Output for Shown {
    const KIND: &'static str = "integration.show/1";

    fn human(&self, page: &mut Page) {
        let integration = &self.0;
        let endpoints = &integration.endpoints;
        page.heading(&integration.name);
        let place = &integration.key_place;
        let extra: Vec<String> =
            integration.extra.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let optional = [
            ("type", Some(integration.kind.word().to_string())),
            ("provider", integration.provider.clone()),
            ("client", integration.client_id.clone()),
            ("secret", integration.has_secret.then(|| "in the vault".into())),
            ("issuer", endpoints.issuer.clone()),
            ("sign in at", endpoints.authorize.clone()),
            ("tokens from", endpoints.token.clone()),
            ("codes from", endpoints.device.clone()),
            ("revoked at", endpoints.revoke.clone()),
            ("temporary from", endpoints.temporary.clone()),
            ("tested at", endpoints.test.clone()),
            ("scopes", Some(integration.scopes.join(" "))),
            ("parameters", Some(extra.join(" "))),
            ("key goes to", Some(format!("{}: {}…", place.header, place.prefix))),
        ];
        page.pairs(
            optional.into_iter().filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?))),
        );
        let missing = integration.missing();
        if missing.is_empty() {
            page.text(format!("sign in: umcp connection create {}", integration.name));
        } else {
            let flags = missing.join(" … ");
            page.mark(
                State::Warn,
                format!("incomplete: umcp integration configure {} {flags} …", integration.name),
            );
            let provider = integration.provider.as_deref().and_then(providers::find);
            if let Some(provider) = provider {
                page.text(format!("register a client at {}", provider.register));
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}

/// Check that nothing is missing for a sign-in
#[derive(Debug, Args)]
pub struct Test {
    #[arg(value_name = "INTEGRATION")]
    name: String,
}

impl Test {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let integration = one(ctx, Request::Integration { name: self.name })?;
        integration.check()?;
        let missing = integration.missing();
        if missing.is_empty() {
            return ctx.ui.show(&Shown(integration));
        }
        let message = format!("`{}` lacks {}", integration.name, missing.join(" and "));
        Err(Error::new(&codes::INTEGRATION_INCOMPLETE, message).hint(format!(
            "umcp integration configure {} {} …",
            integration.name,
            missing.join(" … ")
        )))
    }
}

/// List the presets an integration can be made of
#[derive(Debug, Args)]
pub struct Providers {}

impl Providers {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&Presets(providers::ALL))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Presets(&'static [providers::Provider]);

impl Output for Presets {
    const KIND: &'static str = "integration.providers/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("title"),
            Column::new("type"),
            Column::new("flows").optional(2),
            Column::new("register at").wraps().optional(1),
        ];
        let mut table = Table::new("no presets", columns);
        for provider in self.0 {
            let flows: &[&str] = match (provider.authorize, provider.device) {
                (Some(_), Some(_)) => &["browser", "device"],
                (Some(_), None) => &["browser"],
                _ => &["key"],
            };
            table.row([
                Cell::from(provider.name),
                provider.title.into(),
                provider.kind.word().into(),
                flows.join(", ").into(),
                provider.register.into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|provider| provider.name.into()).collect()
    }
}
