//! One account at work: the header it adds to requests, and the life of its token.
//! Not here: how it signed in, and what a refresh comes to (`renewal.rs`). Rules: one refresh at a time, whatever the number of calls that need it; a new token
//! lies in the vault before it is used; a refresh goes on when its caller has left, since the old token may be gone.

use super::Ground;
use super::challenge::Challenge;
use super::header::header;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::integrations::life::{self, refresh_at};
use crate::integrations::model::{Connection, Kind, Standing};
use hyper::header::{HeaderMap, HeaderValue};
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

pub(super) struct Now {
    pub row: Connection,
    pub held: Held,
    refresh_at: Option<Timestamp>,
    /// When a refresh ahead of need was last begun.
    tried: Timestamp,
    pub failed: Option<(Instant, Error)>,
    /// It was revoked or removed: nothing that is still under way brings it back.
    pub ended: bool,
}

/// One connection in use. Shared by everything that sends in its name.
pub struct Account {
    pub id: String,
    pub(super) ground: Arc<Ground>,
    now: Mutex<Now>,
    pub(super) refreshing: Arc<tokio::sync::Mutex<()>>,
    /// Held while the account is written down or forgotten: rows reach the store in the order in which they came to
    /// be, and none after the end.
    pub(super) storing: Arc<tokio::sync::Mutex<()>>,
}

impl Account {
    pub(super) fn open(ground: Arc<Ground>, row: Connection) -> Result<Arc<Self>> {
        let held = match row.standing {
            Standing::Ready => Held::read(&ground, &row)?,
            _ => Held::default(),
        };
        let now = Now { refresh_at: None, row, held, tried: Timestamp(0), failed: None, ended: false };
        ground.keep.hide("", &now.held.access);
        let (id, now) = (now.row.id.clone(), Mutex::new(now));
        let account = Self { id, ground, now, refreshing: Arc::default(), storing: Arc::default() };
        account.plan();
        Ok(Arc::new(account))
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Now> {
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
        now.ended = true;
    }

    /// Writes the row down as it is when its turn comes. In a task of its own: who asked for it may leave, and a write
    /// that is under way must not outlive its turn.
    pub(super) fn write_down(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let account = self.clone();
        tokio::spawn(async move {
            let _turn = account.storing.lock().await;
            let row = {
                let now = account.now();
                if now.ended {
                    return;
                }
                now.row.clone()
            };
            let _ = account.ground.store(row, None).await;
        })
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

    pub(super) fn plan(&self) {
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
        let consumer = self.consumer_secret().await?;
        let (name, value) = {
            let now = self.now();
            used.clone_from(&now.held.access);
            header(&now, &consumer, (method, url), self.ground.engine.now())?
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

    /// What OAuth 1 signs with besides the token; nothing for all others.
    async fn consumer_secret(&self) -> Result<String> {
        let (row, held) = {
            let now = self.now();
            if now.row.kind != Kind::Oauth1 {
                return Ok(String::new());
            }
            (now.row.clone(), now.held.clone())
        };
        Ok(self.ground.client_secret(&row, &held).await?.unwrap_or_default())
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
                let why = "the server no longer takes the token, and it cannot be renewed";
                self.fail(used, why, true).await;
                Ok(false)
            }
            (false, _) => Ok(false),
        }
    }

    /// Notes the rights a server asks for beyond those granted: the next sign-in asks for them.
    pub async fn wants_more(self: &Arc<Self>, challenge: &Challenge) {
        {
            let mut now = self.now();
            let new: Vec<String> =
                challenge.scopes().into_iter().filter(|scope| !now.row.wanted.contains(scope)).collect();
            if new.is_empty() || now.row.kind != Kind::Oauth2 {
                return;
            }
            now.row.wanted.extend(new);
            now.row.wanted.truncate(64);
        }
        let _ = self.write_down().await;
    }

    fn note_use(self: &Arc<Self>) {
        let time = self.ground.engine.now();
        {
            let mut now = self.now();
            if now.row.last_used.is_some_and(|last| time.since_ms(last) < NOTE_USE_MS) {
                return;
            }
            now.row.last_used = Some(time);
        }
        self.write_down();
    }
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
