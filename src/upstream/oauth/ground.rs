//! What all accounts stand on: store, vault, whoever is told; and what is read from them for one request.

use super::account::Held;
use super::choice::Kept;
use super::client::Client;
use super::keep::Keep;
use super::token::Desk;
use super::web::Net;
use super::{Teller, Told};
use crate::engine::{Engine, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::integrations::Request;
use crate::integrations::model::{Connection, Target};
use std::sync::{Arc, OnceLock};

/// What all accounts stand on.
pub struct Ground {
    pub(super) engine: Engine,
    pub(super) keep: Keep,
    pub(super) kept: Kept,
    pub(super) teller: OnceLock<Teller>,
}

impl Ground {
    pub(super) fn tell(&self, connection: &str, state: &str, detail: Option<&str>) {
        if let Some(teller) = self.teller.get() {
            teller(Told { connection, state, detail });
        }
    }

    /// Makes tokens durable, then the row that speaks of them. Beside the runtime, since both wait for the disk.
    pub(super) async fn store(self: &Arc<Self>, row: Connection, held: Option<Held>) -> Result<()> {
        let ground = self.clone();
        let stored = tokio::task::spawn_blocking(move || {
            if let Some(held) = held {
                ground.keep.set(&row.secret_name(), &held.text()?)?;
            }
            let put = Request::Put { connection: Box::new(row) };
            let stored = ground.engine.call(StoreRequest::Integration(put)).map(drop);
            ground.kept.forget();
            stored
        });
        stored.await.map_err(|error| Error::bug("storing a token did not end").because(error))?
    }

    /// Reads beside the runtime what waits for the disk or the vault.
    pub(super) async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ground = self.clone();
        let done = tokio::task::spawn_blocking(move || read(&ground)).await;
        done.map_err(|error| Error::bug("reading of an account did not end").because(error))?
    }

    /// The secret of the client a connection uses: its own, or the integration's.
    pub(super) async fn client_secret(
        self: &Arc<Self>,
        row: &Connection,
        held: &Held,
    ) -> Result<Option<String>> {
        match (&held.client_secret, &row.target) {
            (Some(own), _) => Ok(Some(own.clone())),
            (None, Target::Integration(id)) => {
                let name = format!("integration/{id}");
                self.beside(move |ground| ground.keep.get(&name)).await
            }
            (None, Target::Server(_)) => Ok(None),
        }
    }

    /// The token endpoint of a connection.
    pub(super) async fn desk(self: &Arc<Self>, row: &Connection, held: &Held) -> Result<Desk> {
        let endpoint = row.endpoints.token.clone().ok_or_else(|| {
            Error::new(&codes::SIGN_IN_FAILED, format!("the connection `{}` has no token endpoint", row.name))
        })?;
        let client = Client {
            id: row.client_id.clone().unwrap_or_default(),
            auth: row.client_auth,
            secret: self.client_secret(row, held).await?,
        };
        let net = match &row.target {
            Target::Integration(_) => Net::anywhere(),
            Target::Server(_) => Net::for_server(row.resource.as_deref().unwrap_or(&endpoint)).await,
        };
        Ok(Desk {
            net,
            endpoint,
            issuer: row.endpoints.issuer.clone(),
            client,
            resource: row.resource.clone(),
        })
    }
}
