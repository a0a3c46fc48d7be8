//! One account at work: the header it adds to requests, and the life of its token.
//! Not here: how it signed in. Rules: one refresh at a time, whatever the number of calls that need it; a new token
//! lies in the vault before it is used; a refresh goes on when its caller has left, since the old token may be gone.

use super::Ground;
use super::challenge::Challenge;
use super::token::{Refusal, Tokens};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::integrations::life::{self, refresh_at};
use crate::integrations::model::{Connection, Grant, Kind, Standing};
use crate::integrations::oauth1;
use base64::Engine as _;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The use of an account is noted this often at most.
const NOTE_USE_MS: u64 = 3_600_000;
/// So often may a server ask for more rights before that is no longer carried on.
pub const MAX_STEPS: u32 = 2;

/// What the vault holds of a connection, as JSON.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Held {
    /// Token, key or password.
    pub access: String,
    #[serde(default)]
    pub refresh: Option<String>,
    /// Of a client that belongs to this connection alone.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// The client was given by the user and not registered by umcp.
    #[serde(default)]
    pub own_client: bool,
    /// For basic sign-in.
    #[serde(default)]
    pub username: Option<String>,
    /// Of an OAuth1 token.
    #[serde(default)]
    pub token_secret: Option<String>,
}

impl Held {
    pub fn read(ground: &Ground, connection: &Connection) -> Result<Self> {
        let text = ground.keep.get(&connection.secret_name())?;
        text.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| needs_sign_in(connection))
    }

    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::bug("tokens are not JSON").because(error))
    }
}

struct Now {
    row: Connection,
    held: Held,
    refresh_at: Option<Timestamp>,
    /// When a refresh ahead of need was last begun.
    tried: Timestamp,
    failed: Option<(Instant, Error)>,
}

/// One connection in use. Shared by everything that sends in its name.
pub struct Account {
    pub id: String,
    ground: Arc<Ground>,
    now: Mutex<Now>,
    refreshing: Arc<tokio::sync::Mutex<()>>,
}

impl Account {
    pub(super) fn open(ground: Arc<Ground>, row: Connection) -> Result<Arc<Self>> {
        let held = match row.standing {
            Standing::Ready => Held::read(&ground, &row)?,
            _ => Held::default(),
        };
        let now = Now { refresh_at: None, row, held, tried: Timestamp(0), failed: None };
        ground.keep.hide("", &now.held.access);
        let account =
            Self { id: now.row.id.clone(), ground, now: Mutex::new(now), refreshing: Arc::default() };
        account.plan();
        Ok(Arc::new(account))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn row(&self) -> Connection {
        self.now().row.clone()
    }

    pub(super) fn token_as_it_is(&self) -> String {
        self.now().held.access.clone()
    }

    /// Takes over who uses it; its tokens are its own business.
    pub(super) fn choose(&self, row: &Connection) {
        let mut now = self.now();
        now.row.chosen = row.chosen;
        now.row.profiles.clone_from(&row.profiles);
        now.row.directories.clone_from(&row.directories);
    }

    /// It was revoked: whoever still holds it gets no token any more.
    pub(super) fn end(&self) {
        let mut now = self.now();
        now.row.standing = Standing::Revoked;
        now.held = Held::default();
    }

    /// Takes over a new sign-in, or what was changed about the connection.
    pub(super) fn replace(&self, row: Connection, held: Option<Held>) {
        {
            let mut now = self.now();
            now.row = row;
            now.failed = None;
            if let Some(held) = held {
                self.ground.keep.hide(&now.held.access, &held.access);
                now.held = held;
            }
        }
        self.plan();
    }

    fn plan(&self) {
        let share = super::random_share();
        let mut now = self.now();
        now.refresh_at = match now.row.refreshable {
            true => refresh_at(now.row.obtained, now.row.expires, share),
            false => None,
        };
    }

    /// Adds what proves the account, and gives the token that was used. Renews it first where it has ended.
    pub async fn authorize(
        self: &Arc<Self>,
        method: &str,
        url: &url::Url,
        headers: &mut HeaderMap,
    ) -> Result<String> {
        let mut used = self.usable().await?;
        let (name, value) = {
            let now = self.now();
            used.clone_from(&now.held.access);
            header(&now, &self.ground, method, url)?
        };
        if let Some(value) = value {
            let mut value = HeaderValue::try_from(value).map_err(|_| {
                Error::new(&codes::VALUE_INVALID, "the account's key cannot stand in a header")
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        self.note_use();
        Ok(used)
    }

    /// The token itself, for what can only be given it whole.
    pub async fn token(self: &Arc<Self>) -> Result<String> {
        let token = self.usable().await?;
        self.note_use();
        Ok(token)
    }

    async fn usable(self: &Arc<Self>) -> Result<String> {
        let time = self.ground.engine.now();
        let (used, over, due) = {
            let mut now = self.now();
            if now.row.standing != Standing::Ready {
                return Err(needs_sign_in(&now.row));
            }
            let over = life::is_over(now.row.expires, time);
            let due = !over
                && now.refresh_at.is_some_and(|at| at <= time)
                && time.since_ms(now.tried) >= life::RETRY_MS;
            if due {
                now.tried = time;
            }
            (now.held.access.clone(), over, due)
        };
        if over {
            self.renew(&used).await?;
            return Ok(self.now().held.access.clone());
        }
        if due {
            let (account, used) = (self.clone(), used.clone());
            tokio::spawn(async move { account.renew(&used).await });
        }
        Ok(used)
    }

    /// Gets a new token instead of `used`, unless somebody has done that already.
    pub async fn renew(self: &Arc<Self>, used: &str) -> Result<()> {
        let asked = Instant::now();
        let turn = self.refreshing.clone().lock_owned().await;
        {
            let now = self.now();
            if now.row.standing != Standing::Ready {
                return Err(needs_sign_in(&now.row));
            }
            if now.held.access != used {
                return Ok(());
            }
            // Those who waited for a refresh that failed do not each try again.
            if let Some((_, error)) = now.failed.as_ref().filter(|(at, _)| *at >= asked) {
                return Err(error.clone());
            }
        }
        let account = self.clone();
        let renewed = tokio::spawn(async move {
            let _turn = turn;
            account.exchange().await
        });
        renewed.await.map_err(|error| Error::bug("a refresh did not end").because(error))?
    }

    /// A server no longer takes `used`. True: there is another token now, so the request is worth repeating.
    pub async fn rejected(self: &Arc<Self>, used: &str) -> Result<bool> {
        let (row, another) = {
            let now = self.now();
            (now.row.clone(), now.held.access != used)
        };
        match (another || row.refreshable, row.kind) {
            (true, _) => self.renew(used).await.map(|()| true),
            (false, Kind::Oauth2) => {
                self.fail(&row, "the server no longer takes the token, and it cannot be renewed", true).await;
                Ok(false)
            }
            (false, _) => Ok(false),
        }
    }

    /// Notes the rights a server asks for beyond those granted: the next sign-in asks for them.
    pub async fn wants_more(&self, challenge: &Challenge) {
        let row = {
            let mut now = self.now();
            let new: Vec<String> =
                challenge.scopes().into_iter().filter(|scope| !now.row.wanted.contains(scope)).collect();
            if new.is_empty() || now.row.kind != Kind::Oauth2 {
                return;
            }
            now.row.wanted.extend(new);
            now.row.wanted.truncate(64);
            now.row.clone()
        };
        let _ = self.ground.store(row, None).await;
    }

    async fn exchange(self: &Arc<Self>) -> Result<()> {
        let (row, held) = {
            let now = self.now();
            (now.row.clone(), now.held.clone())
        };
        let time = self.ground.engine.now();
        let desk = self.ground.desk(&row, &held).await?;
        let outcome = match (&held.refresh, row.grant) {
            (Some(token), _) => desk.refresh(token, time).await,
            (None, Grant::ClientCredentials) => desk.client_credentials(&row.scopes, time).await,
            (None, _) => {
                return Err(self
                    .fail(&row, "the token has ended and the provider gave none to renew it", true)
                    .await);
            }
        };
        match outcome {
            Ok(tokens) => self.renewed(row, held, tokens).await,
            Err(Refusal::Said { error, words }) if is_final(&error) => {
                let said = if words.is_empty() { error } else { format!("{error}: {words}") };
                Err(self.fail(&row, &format!("the provider refused to renew the token ({said})"), true).await)
            }
            Err(refusal) => {
                let error = Error::from(refusal);
                Err(self.fail(&row, &error.to_string(), false).await)
            }
        }
    }

    async fn renewed(&self, mut row: Connection, held: Held, tokens: Tokens) -> Result<()> {
        let time = self.ground.engine.now();
        let held =
            Held { access: tokens.access_token, refresh: tokens.refresh_token.or(held.refresh), ..held };
        row.obtained = time;
        row.expires = tokens.expires_in.map(|seconds| time.plus_ms(seconds.saturating_mul(1000)));
        row.refreshes += 1;
        row.failures = 0;
        row.last_error = None;
        row.last_used = Some(time);
        let stored = self.ground.store(row.clone(), Some(held.clone())).await;
        // The old token may be gone at the provider: the new one is used even where it could not be kept.
        if let Err(error) = &stored {
            row.last_error = Some(format!("the renewed token could not be stored: {error}"));
        }
        self.replace(row, Some(held));
        stored
    }

    /// Notes a failed refresh. `for_good`: only a new sign-in helps, which is told once.
    async fn fail(&self, row: &Connection, why: &str, for_good: bool) -> Error {
        let mut row = row.clone();
        row.failures += 1;
        row.last_error = Some(why.into());
        let error = if for_good {
            row.standing = Standing::NeedsSignIn;
            needs_sign_in(&row)
        } else {
            let message = format!("the token of `{}` could not be renewed", row.name);
            Error::new(&codes::UPSTREAM_SIGN_IN, message)
                .because(why)
                .hint(format!("umcp connection refresh {}", row.name))
        };
        let told = {
            let mut now = self.now();
            let told = for_good && now.row.standing == Standing::Ready;
            now.row = row.clone();
            now.failed = Some((Instant::now(), error.clone()));
            told
        };
        let name = row.name.clone();
        let _ = self.ground.store(row, None).await;
        if told {
            self.ground.tell(&name, "needs sign-in", Some(why));
        }
        error
    }

    fn note_use(&self) {
        let time = self.ground.engine.now();
        let row = {
            let mut now = self.now();
            if now.row.last_used.is_some_and(|last| time.since_ms(last) < NOTE_USE_MS) {
                return;
            }
            now.row.last_used = Some(time);
            now.row.clone()
        };
        let ground = self.ground.clone();
        tokio::spawn(async move { ground.store(row, None).await });
    }
}

/// Words of a provider after which trying again is of no use.
fn is_final(error: &str) -> bool {
    ["invalid_grant", "bad_refresh_token", "invalid_client", "unauthorized_client", "token_revoked"]
        .contains(&error)
}

/// What the account adds to a request.
fn header(now: &Now, ground: &Ground, method: &str, url: &url::Url) -> Result<(HeaderName, Option<String>)> {
    let (row, held) = (&now.row, &now.held);
    let name = HeaderName::try_from(&row.key_place.header)
        .map_err(|_| Error::new(&codes::VALUE_INVALID, "the account's header has no valid name"))?;
    let value = match row.kind {
        Kind::None => None,
        Kind::Basic => {
            let login = format!("{}:{}", held.username.as_deref().unwrap_or_default(), held.access);
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)))
        }
        Kind::Oauth1 => {
            let secret = ground.client_secret(row, held)?.unwrap_or_default();
            let signer = oauth1::Signer {
                consumer: row.client_id.as_deref().unwrap_or_default(),
                consumer_secret: &secret,
                token: Some((&held.access, held.token_secret.as_deref().unwrap_or_default())),
            };
            let nonce = crate::ids::random_hex(16);
            let stamp = oauth1::Stamp { seconds: ground.engine.now().millis() / 1000, nonce: &nonce };
            Some(oauth1::header(signer, oauth1::Method::HmacSha1, method, url, &[], &[], stamp))
        }
        Kind::ApiKey | Kind::Bearer | Kind::Oauth2 => {
            Some(format!("{}{}", row.key_place.prefix, held.access))
        }
    };
    Ok((name, value))
}

/// The error of an account whose tokens are no longer taken.
pub fn needs_sign_in(row: &Connection) -> Error {
    let message = match row.standing {
        Standing::Revoked => format!("the connection `{}` was revoked", row.name),
        _ => format!("the account `{}` needs a sign-in", row.name),
    };
    let error =
        Error::new(&codes::SIGN_IN_NEEDED, message).hint(format!("umcp connection create {}", row.name));
    match &row.last_error {
        Some(why) => error.because(why),
        None => error,
    }
}
