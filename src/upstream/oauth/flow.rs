//! The steps of a sign-in: begun, answered by a browser, a pasted address or another device, done.
//! A begun sign-in goes on without whoever asked for it, five minutes at most. Not here: what it needs (`plan.rs`).

use super::account::Held;
use super::authorize::{Callback, Expected, Question};
use super::loopback::Loopback;
use super::plan::{Aim, Plan};
use super::token::{Desk, Tokens};
use super::{Accounts, device, locked};
use crate::engine::accounts::{SignIn, Step};
use crate::error::{Error, Result, codes};
use crate::integrations::model::{Connection, Grant, Kind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use url::Url;

/// A sign-in that is not finished by then is given up.
pub const LIFE: Duration = Duration::from_secs(300);
/// So many may be begun at once.
const MAX_PENDING: usize = 32;

type Outcome = Option<Result<Box<Connection>>>;
/// A pasted address, and where to tell whether it was taken.
pub type Pasted = (Url, oneshot::Sender<Result<()>>);

/// A sign-in that waits for somebody.
pub struct Pending {
    pasted: mpsc::Sender<Pasted>,
    done: watch::Receiver<Outcome>,
}

impl Accounts {
    /// Begins a sign-in, or does all of it where nobody is needed.
    pub async fn begin(self: &Arc<Self>, aim: Aim, wish: SignIn) -> Result<Step> {
        if let Aim::Integration(integration) = &aim {
            match integration.kind {
                // A key the user made at the provider, instead of a sign-in there.
                Kind::Oauth2 | Kind::Oauth1 if wish.key.is_some() => return self.hand_over(&aim, wish).await,
                Kind::Oauth2 => {}
                Kind::Oauth1 => return self.begin_oauth1(aim, wish).await,
                Kind::ApiKey | Kind::Basic | Kind::Bearer | Kind::None => {
                    return self.hand_over(&aim, wish).await;
                }
            }
        }
        let mut plan = self.plan(&aim, &wish).await?;
        match (plan.row.grant, plan.loopback.take()) {
            (Grant::Code, Some(loopback)) => self.browse(plan, loopback),
            (Grant::Device, _) => device::begin(self, plan).await,
            (Grant::ClientCredentials, _) => {
                let now = self.ground.engine.now();
                let tokens = plan.desk().client_credentials(&plan.row.scopes, now).await?;
                Ok(Step::Done(Box::new(self.finish(plan, tokens).await?)))
            }
            _ => Err(Error::bug("a sign-in without a way")),
        }
    }

    /// A key or password that the user has: nothing to ask anybody.
    async fn hand_over(&self, aim: &Aim, wish: SignIn) -> Result<Step> {
        let Aim::Integration(integration) = aim else { return Err(Error::bug("a server takes no key")) };
        let kind = match integration.kind {
            Kind::Oauth2 | Kind::Oauth1 => Kind::Bearer,
            other => other,
        };
        let mut row = self.draft(aim, &wish, kind)?;
        let access = match (wish.key, integration.kind) {
            (Some(key), _) => key.0.trim().to_string(),
            (None, Kind::None) => String::new(),
            (None, _) => {
                return Err(Error::new(&codes::INPUT_NEEDED, format!("`{}` needs a key", integration.name))
                    .hint("give it with --key-stdin, or --key-env VARIABLE"));
            }
        };
        if access.chars().any(char::is_control) {
            return Err(Error::new(&codes::VALUE_INVALID, "the key holds characters no header can carry"));
        }
        row.key_place = integration.key_place.clone();
        row.endpoints = integration.endpoints.clone();
        row.obtained = self.ground.engine.now();
        row.grant = Grant::Static;
        row.refreshable = false;
        row.failures = 0;
        row.expires = None;
        row.last_error = None;
        let held = Held { access, username: wish.username, ..Held::default() };
        Ok(Step::Done(Box::new(self.admit(row, held).await?)))
    }

    fn browse(self: &Arc<Self>, plan: Plan, loopback: Loopback) -> Result<Step> {
        let (state, verifier) = (crate::ids::random_hex(32), crate::ids::random_hex(32));
        let redirect = loopback.redirect();
        let url = Question {
            endpoint: plan.issuer.authorization_endpoint.as_deref().unwrap_or_default(),
            client_id: &plan.client.id,
            redirect: &redirect,
            scopes: &plan.row.scopes,
            state: &state,
            verifier: &verifier,
            resource: plan.row.resource.as_deref(),
            extra: &plan.extra,
        }
        .url()?;
        let expected = Expected {
            state,
            issuer: plan.row.endpoints.issuer.clone(),
            issuer_promised: plan.issuer.authorization_response_iss_parameter_supported,
        };
        let accounts = self.clone();
        let back = redirect.clone();
        let id = self.pend(|pasted| async move {
            let code = wait(&loopback, &expected, pasted).await?;
            drop(loopback);
            let now = accounts.ground.engine.now();
            let tokens = plan.desk().code(&code, &back, &verifier, now).await?;
            accounts.finish(plan, tokens).await
        })?;
        Ok(Step::Browse { id, url, redirect })
    }

    /// Lets a sign-in go on by itself, and gives the name to wait for it by.
    pub(super) fn pend<F>(self: &Arc<Self>, run: impl FnOnce(mpsc::Receiver<Pasted>) -> F) -> Result<String>
    where
        F: Future<Output = Result<Connection>> + Send + 'static,
    {
        let mut pending = locked(&self.pending);
        pending.retain(|_, one| one.done.has_changed().is_ok());
        if pending.len() >= MAX_PENDING {
            return Err(Error::new(&codes::UPSTREAM_BUSY, "too many sign-ins wait to be finished")
                .hint("finish one, or try again in five minutes"));
        }
        let (pasted, queue) = mpsc::channel(4);
        let (told, done) = watch::channel(None);
        let running = tokio::time::timeout(LIFE, run(queue));
        tokio::spawn(async move {
            let outcome = running.await.unwrap_or_else(|_| {
                let message = format!("nobody finished the sign-in within {} minutes", LIFE.as_secs() / 60);
                Err(Error::new(&codes::TIMED_OUT, message))
            });
            told.send_replace(Some(outcome.map(Box::new)));
            // Whoever begun it may still come to ask.
            tokio::time::sleep(LIFE).await;
        });
        let id = crate::ids::fresh("sig");
        pending.insert(id.clone(), Arc::new(Pending { pasted, done }));
        Ok(id)
    }

    fn pending(&self, id: &str) -> Result<Arc<Pending>> {
        let found = locked(&self.pending).get(id).cloned();
        found.ok_or_else(|| Error::new(&codes::SIGN_IN_UNKNOWN, format!("no sign-in `{id}` is under way")))
    }

    /// Waits until a begun sign-in is done.
    pub async fn wait(&self, id: &str) -> Result<Box<Connection>> {
        let mut done = self.pending(id)?.done.clone();
        let gone = || Error::new(&codes::SIGN_IN_UNKNOWN, format!("no sign-in `{id}` is under way"));
        let outcome = done.wait_for(Option::is_some).await.map_err(|_| gone())?.clone();
        outcome.ok_or_else(gone)?
    }

    /// Takes the address a browser was sent back to, from somebody who could not open it there.
    pub async fn answer(&self, id: &str, address: &str) -> Result<()> {
        let pending = self.pending(id)?;
        let url = Url::parse(address.trim()).map_err(|error| {
            Error::new(&codes::VALUE_INVALID, "that is not the address the browser was sent to")
                .because(error)
        })?;
        let (told, heard) = oneshot::channel();
        let over = || Error::new(&codes::SIGN_IN_UNKNOWN, "the sign-in is over");
        pending.pasted.send((url, told)).await.map_err(|_| over())?;
        heard.await.map_err(|_| over())?
    }

    /// Stores what a sign-in brought.
    pub(super) async fn finish(&self, plan: Plan, tokens: Tokens) -> Result<Connection> {
        let now = self.ground.engine.now();
        let mut held = plan.held();
        let mut row = plan.row;
        if let Some(granted) = tokens.scope {
            row.scopes =
                granted.split([' ', ',']).filter(|scope| !scope.is_empty()).map(Into::into).collect();
        }
        held.access = tokens.access_token;
        held.refresh = tokens.refresh_token;
        row.obtained = now;
        row.expires = tokens.expires_in.map(|seconds| now.plus_ms(seconds.saturating_mul(1000)));
        row.refreshable = held.refresh.is_some() || row.grant == Grant::ClientCredentials;
        row.failures = 0;
        row.last_error = None;
        self.admit(row, held).await
    }
}

impl Plan {
    pub fn desk(&self) -> Desk {
        Desk {
            net: self.net.clone(),
            endpoint: self.issuer.token_endpoint.clone(),
            issuer: self.row.endpoints.issuer.clone(),
            client: self.client.clone(),
            resource: self.row.resource.clone(),
        }
    }
}

/// Waits for the answer to this question, from the browser or pasted. Strangers' answers are passed over.
async fn wait(
    loopback: &Loopback,
    expected: &Expected,
    mut pasted: mpsc::Receiver<Pasted>,
) -> Result<String> {
    let end = Instant::now() + LIFE;
    loop {
        let (url, told) = tokio::select! {
            url = loopback.next() => (url, None),
            Some((url, told)) = pasted.recv() => (url, Some(told)),
            () = tokio::time::sleep_until(end) => {
                return Err(Error::new(&codes::TIMED_OUT, "nobody came back from the browser"));
            }
        };
        let outcome = match expected.read(&url) {
            Callback::Stray => {
                if let Some(told) = told {
                    let error =
                        Error::new(&codes::VALUE_INVALID, "that address does not belong to this sign-in")
                            .hint("paste all of it, as the browser shows it after the sign-in");
                    let _ = told.send(Err(error));
                }
                continue;
            }
            Callback::Code(code) => Ok(code),
            Callback::Denied(why) => {
                Err(Error::new(&codes::SIGN_IN_FAILED, "the sign-in was refused").because(why))
            }
            Callback::Forged(why) => {
                Err(Error::new(&codes::SIGN_IN_UNSAFE, "the browser came back from somebody else")
                    .because(why))
            }
        };
        if let Some(told) = told {
            let _ = told.send(Ok(()));
        }
        return outcome;
    }
}
