//! Whether an account still works, and its end: taken back at the provider, then forgotten here.
//! Rule: what umcp holds is wiped even when the provider cannot be reached; the answer says so.

use super::account::Held;
use super::authorize::shown;
use super::token::Desk;
use super::web::Net;
use super::{Account, Accounts, locked};
use crate::clock::Timestamp;
use crate::engine::accounts::{Checked, Revoked};
use crate::engine::{Reply, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::integrations::choose::Place;
use crate::integrations::model::{Connection, Kind, Target};
use crate::integrations::{self, Request};
use hyper::header::HeaderMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a revocation waits for a refresh that is under way.
const REFRESH: Duration = Duration::from_secs(15);

impl Desk {
    /// Asks the provider to take tokens back; the reason in words when it has not.
    pub(super) async fn take_back(&self, endpoint: &str, held: &Held, now: Timestamp) -> Result<(), String> {
        let mut outcome = Ok(());
        if let Some(refresh) = &held.refresh {
            outcome = self.revoke(endpoint, refresh, "refresh_token", now).await;
        }
        let access = self.revoke(endpoint, &held.access, "access_token", now).await;
        // Where there is a token to refresh with, it is the one that must go; the other ends soon by itself.
        if held.refresh.is_none() {
            outcome = access;
        }
        outcome.map_err(|error| error.to_string())
    }

    /// Tokens that came for an account that has ended; nobody is left to be told.
    pub(super) async fn give_back(&self, row: &Connection, held: &Held, now: Timestamp) {
        if let Some(endpoint) = &row.endpoints.revoke {
            let _ = self.take_back(endpoint, held, now).await;
        }
    }
}

impl Accounts {
    /// Reads beside the runtime what waits for the disk or the vault.
    pub(super) async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let accounts = self.clone();
        let done = tokio::task::spawn_blocking(move || read(&accounts)).await;
        done.map_err(|error| Error::bug("reading of accounts did not end").because(error))?
    }

    pub(super) async fn named_beside(self: &Arc<Self>, name: &str) -> Result<Arc<Account>> {
        let name = name.to_string();
        self.beside(move |accounts| accounts.named(&name, Place::default())).await
    }

    /// Takes back connections; none is left half done.
    pub async fn revoke(self: &Arc<Self>, names: &[String], local: bool) -> Result<Vec<Revoked>> {
        let rows = self.beside(Self::rows).await?;
        let chosen: Vec<Connection> = names
            .iter()
            .map(|name| {
                let found = rows.iter().find(|row| row.name == *name || row.id == *name);
                found.cloned().ok_or_else(|| integrations::not_found(name))
            })
            .collect::<Result<_>>()?;
        let mut revoked = Vec::new();
        for row in chosen {
            let account = locked(&self.open).get(&row.id).cloned();
            // A refresh that is under way makes a new token: that is the one to take back. Those who come later find none.
            let _turn = match &account {
                Some(it) => tokio::time::timeout(REFRESH, it.refreshing.clone().lock_owned()).await.ok(),
                None => None,
            };
            let outcome = if local { Err("not asked".into()) } else { self.take_back(&row).await };
            self.forget(&row).await?;
            let (at_provider, detail) = match outcome {
                Ok(()) => (true, None),
                Err(why) => (false, Some(why)),
            };
            self.ground.tell(&row.name, "revoked", detail.as_deref());
            revoked.push(Revoked { name: row.name.clone(), at_provider, detail });
            self.entered(&row.target);
        }
        Ok(revoked)
    }

    /// Asks the provider to take the tokens back; the reason in words when it has not.
    async fn take_back(&self, row: &Connection) -> Result<(), String> {
        let of = row.clone();
        let held = self.ground.beside(move |ground| Held::read(ground, &of)).await;
        let held = held.map_err(|_| "there is no token to take back".to_string())?;
        let Some(endpoint) = row.endpoints.revoke.clone() else {
            return Err("the provider names no place for that; end it in your account there".into());
        };
        let desk = self.ground.desk(row, &held).await.map_err(|error| error.to_string())?;
        desk.take_back(&endpoint, &held, self.ground.engine.now()).await
    }

    async fn forget(&self, row: &Connection) -> Result<()> {
        let account = locked(&self.open).get(&row.id).cloned();
        let _turn = match &account {
            Some(account) => {
                account.end();
                // What is being written down comes first; what comes later finds that it has ended.
                Some(account.storing.clone().lock_owned().await)
            }
            None => None,
        };
        locked(&self.open).remove(&row.id);
        let (ground, row) = (self.ground.clone(), row.clone());
        let forgotten = tokio::task::spawn_blocking(move || {
            ground.keep.remove(&row.secret_name())?;
            let request = Request::Forget { names: vec![row.id] };
            let forgotten = ground.engine.call(StoreRequest::Integration(request)).map(|_: Reply| ());
            ground.kept.forget();
            forgotten
        });
        forgotten.await.map_err(|error| Error::bug("forgetting a token did not end").because(error))?
    }

    /// Puts the secret of an integration into the vault or removes it, and notes in its row whether it is there.
    pub async fn set_secret(self: &Arc<Self>, name: &str, secret: Option<String>) -> Result<()> {
        let integrations = self.beside(Self::integrations).await?;
        let integration = integrations.into_iter().find(|one| one.name == name || one.id == name);
        let Some(mut integration) = integration else {
            return Err(Error::new(&codes::INTEGRATION_NOT_FOUND, format!("no integration named `{name}`")));
        };
        let ground = self.ground.clone();
        let set = tokio::task::spawn_blocking(move || {
            match &secret {
                Some(secret) => ground.keep.set(&integration.secret_name(), secret)?,
                None => ground.keep.remove(&integration.secret_name())?,
            }
            integration.has_secret = secret.is_some();
            let request = Request::Configure { integration: Box::new(integration) };
            let configured = ground.engine.call(StoreRequest::Integration(request)).map(drop);
            ground.kept.forget();
            configured
        });
        set.await.map_err(|error| Error::bug("storing a secret did not end").because(error))?
    }

    /// Asks whether an account still works. A server is asked by whoever knows servers: `None` then.
    pub async fn check(self: &Arc<Self>, name: &str) -> Result<Result<Checked, Arc<Account>>> {
        let account = self.named_beside(name).await?;
        let row = account.row();
        let (Target::Integration(_), Some(address)) = (&row.target, &row.endpoints.test) else {
            return Ok(Err(account));
        };
        let asked = format!("GET {address}");
        let url = url::Url::parse(address).map_err(|error| {
            Error::new(&codes::VALUE_INVALID, format!("`{address}` is no address")).because(error)
        })?;
        let mut headers = HeaderMap::new();
        let mut used = account.authorize("GET", &url, &mut headers).await?;
        let mut answer = Net::anywhere().get(address, headers).await?;
        if answer.status == 401 && row.kind == Kind::Oauth2 && account.rejected(&used).await? {
            let mut headers = HeaderMap::new();
            used = account.authorize("GET", &url, &mut headers).await?;
            answer = Net::anywhere().get(address, headers).await?;
        }
        drop(used);
        let ok = answer.is_success();
        let body = shown(String::from_utf8_lossy(&answer.body).trim());
        let detail = (!ok).then(|| format!("{} {body}", answer.status).trim().to_string());
        Ok(Ok(Checked { connection: Box::new(account.row()), ok, asked, detail }))
    }
}
