//! An app and the accounts it acts with: whether one is there, and the user's word that a file of their own may use it.
//! A shipped manifest sends to the service it names; whatever else claims to need an account could send it anywhere.

use crate::apps::App;
use crate::apps::model::Definition;
use crate::cli::context::Context;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::integrations::model::{Standing, Target};
use crate::integrations::{self, Request};
use crate::servers::Server;

/// Whether somebody has signed in to a service.
pub fn exists(ctx: &Context, service: &str) -> Result<bool> {
    let all = match ctx.call(Request::Integrations)? {
        Reply::Integration(integrations::Reply::Integrations(all)) => all,
        other => return engine::unexpected(&other),
    };
    let Some(integration) = all.into_iter().find(|one| one.name == service) else { return Ok(false) };
    let target = Target::Integration(integration.id);
    match ctx.call(Request::Connections)? {
        Reply::Integration(integrations::Reply::Connections(all)) => {
            Ok(all.iter().any(|row| row.target == target && row.standing == Standing::Ready))
        }
        other => engine::unexpected(&other),
    }
}

/// Whether the user gave the app a key of its own.
pub fn by_hand(definition: &Definition, server: &Server) -> bool {
    definition.settings.iter().any(|setting| setting.secret && server.env.contains_key(&setting.name))
}

/// Asks whether an app that umcp does not ship may act with the user's account.
pub fn consent(ctx: &Context, app: &App, definition: &Definition, server: &Server) -> Result<()> {
    let shipped = app.origin.as_deref().is_some_and(|origin| origin.starts_with("app:"));
    let Some(service) = app.integration.as_deref().filter(|_| !shipped) else { return Ok(()) };
    if by_hand(definition, server) {
        return Ok(());
    }
    let place = match definition.base.as_deref().map(|base| filled(base, definition, server)) {
        Some(base) => format!("`{base}`"),
        None => "the addresses it names".into(),
    };
    let question = format!("Let `{}` use your account of `{service}` at {place}?", app.name);
    match ctx.ui.confirm(&question, false, "--yes")? {
        true => Ok(()),
        false => Err(Error::new(&codes::NOT_CONFIRMED, "nothing was installed")),
    }
}

/// An address with its settings filled in, as far as they are known here.
fn filled(base: &str, definition: &Definition, server: &Server) -> String {
    definition.settings.iter().filter(|setting| !setting.secret).fold(base.to_string(), |text, setting| {
        match server.env.get(&setting.name).or(setting.default.as_ref()) {
            Some(value) => text.replace(&format!("${{{}}}", setting.name), value),
            None => text,
        }
    })
}
