//! What the daemon answers about accounts: a name becomes a server or an integration here, the rest is `oauth`'s.

use super::Jobs;
use crate::engine::accounts::{AccountReply, AccountRequest, Checked, SignIn, Step};
use crate::engine::{Reply, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::integrations::{self, Integration, Target};
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
        let world = self.gateway.world();
        let aim = match self.aim(&wish.target) {
            Err(unknown) => {
                // The name of a connection signs that account in again.
                let request = integrations::Request::Connection { name: wish.target.clone() };
                let Ok(Reply::Integration(integrations::Reply::Connection(row))) =
                    world.shared.engine.call(StoreRequest::Integration(request))
                else {
                    return Err(unknown);
                };
                wish.name = Some(row.name.clone());
                match &row.target {
                    Target::Server(id) => server_aim(&world.find(id)?)?,
                    Target::Integration(id) => Aim::Integration(Box::new(self.integration(id)?)),
                }
            }
            Ok(aim) => aim,
        };
        world.shared.accounts.begin(aim, wish).await
    }

    fn aim(&self, name: &str) -> Result<Aim> {
        let server = self.gateway.world().find(name);
        match (self.integration(name), server) {
            (Ok(integration), _) => Ok(Aim::Integration(Box::new(integration))),
            (Err(_), Ok(server)) => server_aim(&server),
            (Err(unknown), Err(_)) => {
                let error = Error::new(
                    &codes::INTEGRATION_NOT_FOUND,
                    format!("no server, integration or connection named `{name}`"),
                );
                Err(Error { hints: unknown.hints, ..error }.hint("umcp server list"))
            }
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
