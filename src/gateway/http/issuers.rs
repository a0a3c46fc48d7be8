//! Tokens of other issuers at the door: whose they are, the keys they are verified with, and what was found good of late.
//! Rule: an issuer is asked once at a time and seldom, whatever strangers send; keys that are known stay in use while it is
//! silent, for a bounded time.

use crate::clock::Timestamp;
use crate::engine::{Engine, Reply, StoreRequest, unexpected};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::policy;
use crate::policy::issuer::Issuer;
use crate::policy::jwt::{Claims, Expected, Fault, Jwt, Key};
use crate::upstream::oauth::Net;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys are looked at again after this long; kept this long where the issuer does not answer.
const FRESH: Duration = Duration::from_secs(600);
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Two looks at one issuer are at least this far apart, whoever asks for them.
const APART: Duration = Duration::from_secs(10);
/// The longest file of keys.
const MOST_BYTES: u64 = 256 << 10;
/// Tokens that are remembered as good, and for how long.
const MOST_GOOD: usize = 1000;
const GOOD_FOR: Duration = Duration::from_secs(60);
/// A token is looked at anew so often while issuers are being changed.
const MOST_CHANGES: usize = 5;

/// A token that was found good.
#[derive(Debug)]
pub struct Good {
    pub issuer: Arc<Issuer>,
    pub claims: Claims,
}

/// By digest of the token: when it was found good.
type Remembered = HashMap<[u8; 32], (Instant, Arc<Good>)>;

/// Why a token opens nothing: its own fault, or ours.
pub enum Refused {
    Fault(Fault),
    /// The issuer's keys cannot be had.
    Keys,
}

/// The keys of one issuer.
#[derive(Default)]
struct Keys {
    known: Mutex<Known>,
    /// Held by whoever asks the issuer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct Known {
    keys: Arc<Vec<Key>>,
    loaded: Option<Instant>,
    tried: Option<Instant>,
}

/// See the head of the file.
#[derive(Default)]
pub struct Issuers {
    rows: Mutex<Option<Arc<Vec<Arc<Issuer>>>>>,
    /// By name of the issuer.
    keys: Mutex<HashMap<String, Arc<Keys>>>,
    good: Mutex<Remembered>,
    /// Counts the changes; it changes before what is known is dropped.
    change: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Issuers {
    /// The issuers were changed.
    pub fn forget(&self) {
        self.change.fetch_add(1, SeqCst);
        *locked(&self.rows) = None;
        locked(&self.keys).clear();
        locked(&self.good).clear();
    }

    /// The issuers that are trusted; read from the store after a change only.
    pub fn trusted(&self, engine: &Engine) -> Result<Arc<Vec<Arc<Issuer>>>> {
        let mut rows = locked(&self.rows);
        if let Some(rows) = rows.as_ref() {
            return Ok(rows.clone());
        }
        match engine.call(StoreRequest::Token(policy::Request::Issuers))? {
            Reply::Token(policy::Reply::Issuers(issuers)) => {
                Ok(rows.insert(Arc::new(issuers.into_iter().map(Arc::new).collect())).clone())
            }
            other => unexpected(&other),
        }
    }

    /// Whom a token stands for.
    pub async fn admit(&self, engine: &Engine, token: &str) -> std::result::Result<Arc<Good>, Refused> {
        let digest = ids::sha256(&[token.as_bytes()]);
        let now = engine.now();
        if let Some((at, good)) = locked(&self.good).get(&digest)
            && at.elapsed() < GOOD_FOR
            && now < good.claims.expires
        {
            return Ok(good.clone());
        }
        let jwt = Jwt::parse(token).map_err(Refused::Fault)?;
        let (good, mut known) = 'verified: {
            for _ in 0..MOST_CHANGES {
                let change = self.change.load(SeqCst);
                let trusted = self.trusted(engine).map_err(|_| Refused::Keys)?;
                let issuer = trusted.iter().find(|it| jwt.issuer() == Some(&it.issuer));
                let issuer = issuer.ok_or(Refused::Fault(Fault::Issuer))?.clone();
                let claims = self.verify(&jwt, &issuer, now).await?;
                let known = locked(&self.good);
                // While the issuer was asked for its keys, somebody may have ended the trust in it.
                if self.change.load(SeqCst) == change {
                    break 'verified (Arc::new(Good { issuer, claims }), known);
                }
            }
            return Err(Refused::Keys);
        };
        if known.len() >= MOST_GOOD {
            known.retain(|_, (at, _)| at.elapsed() < GOOD_FOR);
        }
        if known.len() >= MOST_GOOD {
            known.clear();
        }
        known.insert(digest, (Instant::now(), good.clone()));
        Ok(good)
    }

    async fn verify(
        &self,
        jwt: &Jwt<'_>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> std::result::Result<Claims, Refused> {
        let keys = locked(&self.keys).entry(issuer.name.clone()).or_default().clone();
        let expected = Expected {
            issuer: &issuer.issuer,
            audience: &issuer.audience,
            roles: issuer.roles.as_deref(),
            now,
        };
        keys.look(&issuer.jwks, FRESH).await;
        let found = match jwt.verify(&keys.known().keys, expected) {
            // The issuer may have a new key.
            Err(Fault::UnknownKey) if keys.look(&issuer.jwks, APART).await => {
                jwt.verify(&keys.known().keys, expected)
            }
            found => found,
        };
        match found {
            Err(Fault::UnknownKey) if keys.known().loaded.is_none() => Err(Refused::Keys),
            found => found.map_err(Refused::Fault),
        }
    }
}

impl Known {
    /// Whether it is time to ask: what is there is older than `most`, and nobody asked a moment ago.
    fn is_due(&self, most: Duration) -> bool {
        let older = |at: Option<Instant>, than: Duration| at.is_none_or(|at| at.elapsed() >= than);
        older(self.loaded, most) && older(self.tried, APART)
    }
}

impl Keys {
    fn known(&self) -> Known {
        locked(&self.known).clone()
    }

    /// Takes the keys anew where that is due. Says whether it did. Nobody waits for another one's question, unless
    /// there are no keys yet.
    async fn look(&self, place: &str, most: Duration) -> bool {
        let known = self.known();
        let asking = match known.loaded {
            // Whoever came first asks; the others wait for what comes of it.
            None => Some(self.asking.lock().await),
            Some(_) if !known.is_due(most) => return false,
            Some(_) => self.asking.try_lock().ok(),
        };
        let Some(_asking) = asking else { return false };
        if !self.known().is_due(most) {
            return true;
        }
        locked(&self.known).tried = Some(Instant::now());
        let fetched = fetch(place).await;
        let mut known = locked(&self.known);
        match fetched {
            Ok(keys) => {
                known.keys = Arc::new(keys);
                known.loaded = Some(Instant::now());
                true
            }
            Err(_) => {
                if known.loaded.is_some_and(|at| at.elapsed() >= KEPT) {
                    *known = Known { tried: known.tried, ..Known::default() };
                }
                false
            }
        }
    }
}

/// The keys at an address or in a file.
pub async fn fetch(place: &str) -> Result<Vec<Key>> {
    let unusable =
        |why: &str| Error::new(&codes::VALUE_INVALID, format!("there are no keys at `{place}`")).because(why);
    let bytes = match place.contains("://") {
        true => {
            let answer = Net::anywhere().get(place, Default::default()).await?;
            if !answer.is_success() {
                return Err(unusable(&format!("it answered with status {}", answer.status)));
            }
            answer.body
        }
        false => {
            let path = place.to_string();
            let read = tokio::task::spawn_blocking(move || {
                let long = std::fs::metadata(&path)?.len() > MOST_BYTES;
                if long { Err(std::io::ErrorKind::FileTooLarge.into()) } else { std::fs::read(&path) }
            });
            let read = read.await.map_err(|error| Error::bug("a file was not read").because(error))?;
            read.map_err(|error| unusable(&error.to_string()))?
        }
    };
    let keys = Key::all(&bytes).ok_or_else(|| unusable("it is no JWKS"))?;
    if keys.is_empty() {
        return Err(unusable("none of them is an RSA, P-256 or Ed25519 key for signatures"));
    }
    Ok(keys)
}
