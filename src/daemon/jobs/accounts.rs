//! What the daemon answers about accounts: a name becomes a server or an integration here, the rest is `oauth`'s.

use super::Jobs;
use crate::apps::{self, App};
use crate::engine::accounts::{AccountReply, AccountRequest, Checked, SignIn, Step};
use crate::engine::{Reply, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::integrations::model::Kind;
use crate::integrations::{self, Integration, Target, providers};
use crate::servers::model::Transport;
use crate::upstream::Upstream;
use crate::upstream::oauth::Aim;
use std::sync::Arc;

impl Jobs {
    pub(super) async fn account(&self, request: AccountRequest) -> Result<AccountReply> {
        let accounts = &self.gateway.world().shared.accounts;
        match request {
            AccountRequest::Begin(wish) => self.begin(*wish).await.map(AccountReply::Step),
            AccountRequest::Wait { id } => accounts.wait(&id).await.map(AccountReply::Connection),
            AccountRequest::Answer { id, url } => {
                accounts.answer(&id, &url.0).await?;
                Ok(AccountReply::Done)
            }
            AccountRequest::Refresh { name } => {
                accounts.refresh(&name).await.map(|row| AccountReply::Connection(Box::new(row)))
            }
            AccountRequest::Validate { name } => self.validate(&name).await.map(AccountReply::Checked),
            AccountRequest::Revoke { names, local } => {
                accounts.revoke(&names, local).await.map(AccountReply::Revoked)
            }
            AccountRequest::SetSecret { integration, secret } => {
                accounts.set_secret(&integration, Some(secret.0)).await?;
                Ok(AccountReply::Done)
            }
            AccountRequest::ForgetSecret { integration } => {
                accounts.set_secret(&integration, None).await?;
                Ok(AccountReply::Done)
            }
        }
    }

    async fn begin(&self, mut wish: SignIn) -> Result<Step> {
        let aim = self.aim(&mut wish).await?;
        self.gateway.world().shared.accounts.begin(aim, wish).await
    }

    /// Whom a name means: an integration, a server, what an app needs, an account to sign in again, a preset.
    async fn aim(&self, wish: &mut SignIn) -> Result<Aim> {
        let (world, name) = (self.gateway.world(), wish.target.clone());
        let unknown = match self.integration(&name) {
            Ok(integration) => return Ok(Aim::Integration(Box::new(self.with_scopes(integration)?))),
            Err(unknown) => unknown,
        };
        if let Ok(server) = world.find(&name) {
            let Transport::App { name: app } = &server.entry.transport else { return server_aim(&server) };
            let Some(service) = self.app(app)?.integration else {
                let message = format!("the app `{name}` names no service to sign in to");
                let error = Error::new(&codes::SERVER_INVALID, message);
                return Err(error.hint(format!("umcp app configure {name}")));
            };
            return self.service(&service, wish).await;
        }
        let request = integrations::Request::Connection { name: name.clone() };
        if let Ok(Reply::Integration(integrations::Reply::Connection(row))) =
            world.shared.engine.call(StoreRequest::Integration(request))
        {
            wish.name = Some(row.name.clone());
            return match &row.target {
                Target::Server(id) => server_aim(&world.find(id)?),
                Target::Integration(id) => {
                    Ok(Aim::Integration(Box::new(self.with_scopes(self.integration(id)?)?)))
                }
            };
        }
        if providers::find(&name).is_some() {
            return self.service(&name, wish).await;
        }
        let message = format!("no server, app, integration or connection named `{name}`");
        let error = Error::new(&codes::INTEGRATION_NOT_FOUND, message);
        Err(Error { hints: unknown.hints, ..error }.hint("umcp server list"))
    }

    /// The integration of a service; one that nobody made yet is made of its preset, or takes a key.
    async fn service(&self, name: &str, wish: &mut SignIn) -> Result<Aim> {
        if let Ok(integration) = self.integration(name) {
            return Ok(Aim::Integration(Box::new(self.with_scopes(integration)?)));
        }
        let accounts = &self.gateway.world().shared.accounts;
        let (id, now) = (crate::ids::fresh("int"), self.gateway.world().shared.engine.now());
        let preset = providers::find(name);
        if preset.is_some_and(|preset| !preset.needs.is_empty()) {
            let message = format!("`{name}` needs to know your organisation's host");
            return Err(Error::new(&codes::INTEGRATION_INCOMPLETE, message)
                .hint(format!("umcp integration create {name} --domain HOST --client-id ID")));
        }
        let mut integration = match preset {
            Some(preset) => preset.integration(id, name, "", now),
            None => Integration::new(id, name, Kind::Bearer, now),
        };
        let flows = matches!(integration.kind, Kind::Oauth2 | Kind::Oauth1);
        let has_client = flows && (wish.client_id.is_some() || wish.client_metadata.is_some());
        if wish.key.is_none() && !has_client {
            return Err(nothing_to_sign_in_with(name, flows, preset.map(|preset| preset.register)));
        }
        let mut secret = None;
        if flows && !wish.signs {
            integration.client_id = wish.client_id.take();
            integration.client_metadata = wish.client_metadata.take();
            secret = wish.client_secret.take();
        }
        let create = integrations::Request::Create { integration: Box::new(integration) };
        self.gateway.world().shared.engine.call(StoreRequest::Integration(create))?;
        accounts.changed();
        if let Some(secret) = secret {
            accounts.set_secret(name, Some(secret.0)).await?;
        }
        Ok(Aim::Integration(Box::new(self.with_scopes(self.integration(name)?)?)))
    }

    /// Asks for what the installed apps of the service need, too.
    fn with_scopes(&self, mut integration: Integration) -> Result<Integration> {
        let request = StoreRequest::App(apps::Request::List);
        let Reply::App(apps::Reply::Apps(all)) = self.gateway.world().shared.engine.call(request)? else {
            return Ok(integration);
        };
        for app in all.iter().filter(|app| app.integration.as_deref() == Some(integration.name.as_str())) {
            for scope in app.definition()?.scopes {
                if !integration.scopes.contains(&scope) {
                    integration.scopes.push(scope);
                }
            }
        }
        Ok(integration)
    }

    fn app(&self, name: &str) -> Result<App> {
        let request = StoreRequest::App(apps::Request::Show { name: name.into() });
        match self.gateway.world().shared.engine.call(request)? {
            Reply::App(apps::Reply::App(app)) => Ok(*app),
            other => crate::engine::unexpected(&other),
        }
    }

    fn integration(&self, name: &str) -> Result<Integration> {
        let request = integrations::Request::Integration { name: name.into() };
        match self.gateway.world().shared.engine.call(StoreRequest::Integration(request))? {
            Reply::Integration(integrations::Reply::Integration(integration)) => Ok(*integration),
            other => crate::engine::unexpected(&other),
        }
    }

    async fn validate(&self, name: &str) -> Result<Checked> {
        let world = self.gateway.world();
        let account = match world.shared.accounts.check(name).await? {
            Ok(checked) => return Ok(checked),
            Err(account) => account,
        };
        let row = account.row();
        let Target::Server(id) = &row.target else {
            // Nothing names an address to ask; that the token could be had is all there is to say.
            account.token().await?;
            let detail = Some("the integration names no address to test an account at".to_string());
            return Ok(Checked {
                connection: Box::new(account.row()),
                ok: true,
                asked: "the vault".into(),
                detail,
            });
        };
        let report = self.test(id).await?;
        let failed = report.phases.into_iter().find_map(|phase| phase.error);
        Ok(Checked {
            connection: Box::new(account.row()),
            ok: report.ok,
            asked: format!("server {}", report.server),
            detail: failed.map(|error| error.to_string()),
        })
    }
}

/// Neither a key nor a client: what the user can bring.
fn nothing_to_sign_in_with(name: &str, flows: bool, register: Option<&str>) -> Error {
    let what = if flows { "a key, or a client you registered there" } else { "a key" };
    let mut error = Error::new(&codes::INPUT_NEEDED, format!("`{name}` needs {what}"))
        .hint("give a key with --key-stdin, or --key-env VARIABLE");
    if flows {
        error = error.hint(format!("umcp connection create {name} --client-id ID"));
    }
    match register {
        Some(address) => error.hint(format!("get one at {address}")),
        None => error,
    }
}

fn server_aim(server: &Arc<Upstream>) -> Result<Aim> {
    let url = match &server.entry.transport {
        Transport::Http { url, .. } | Transport::Sse { url } => server.address(url)?,
        Transport::WebSocket { url } => server.address(url)?.replacen("ws", "http", 1),
        _ => {
            let message =
                format!("server `{}` is not reached over HTTP, so nobody signs in there", server.name());
            return Err(Error::new(&codes::SERVER_INVALID, message)
                .hint(format!("umcp server show {}", server.name())));
        }
    };
    Ok(Aim::Server { id: server.id().into(), name: server.name().into(), url })
}
