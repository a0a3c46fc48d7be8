//! What all HTTP listeners share: the keys as last read, how often somebody came, and which refusals were recorded.
//! Rule: a refused request never costs more than a bounded entry, and no key is ever written down.

use super::issuers::Issuers;
use super::server::Server;
use crate::audit;
use crate::engine::{Engine, Reply, StoreRequest, unexpected};
use crate::error::Result;
use crate::policy::grant::{self, Grant};
use crate::policy::rate::{Buckets, Rate};
use crate::policy::{self, Token};
use crate::settings::Gateway as Settings;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses and keys that are counted at once.
const MOST: usize = 20_000;
/// Of an address the same refusal is recorded so often at most.
const RECORDED: Rate = Rate { count: 1, per: Duration::from_secs(60) };
/// All refusals together are recorded so often at most.
const RECORDED_IN_ALL: Rate = Rate { count: 120, per: Duration::from_secs(60) };

/// Refusals by address and reason.
type Reasons = Buckets<(IpAddr, &'static str)>;

/// A bound with its counters; nothing is kept where there is no bound.
struct Bound<K>(Option<(Rate, Mutex<Buckets<K>>)>);

impl<K: std::hash::Hash + Eq> Bound<K> {
    fn per_minute(count: u32) -> Self {
        Self(Rate::per_minute(count).map(|rate| (rate, Mutex::new(Buckets::new(MOST)))))
    }

    fn take(&self, key: impl FnOnce() -> K) -> Result<(), Duration> {
        let Some((rate, buckets)) = &self.0 else { return Ok(()) };
        locked(buckets).take(key(), *rate, Instant::now())
    }
}

/// See the head of the file.
pub struct Entrance {
    /// As last read from the store.
    tokens: Mutex<Option<Arc<Vec<Token>>>>,
    addresses: Bound<IpAddr>,
    clients: Bound<Arc<str>>,
    recorded: Mutex<(Reasons, Buckets<()>)>,
    unrecorded: AtomicU64,
    pub issuers: Issuers,
    pub server: Server,
    /// As last read from the store.
    grants: Mutex<Option<Arc<Vec<Grant>>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entrance {
    pub fn new(settings: &Settings) -> Self {
        Self {
            tokens: Mutex::default(),
            addresses: Bound::per_minute(settings.address_rate),
            clients: Bound::per_minute(settings.client_rate),
            recorded: Mutex::new((Buckets::new(2_000), Buckets::new(2))),
            unrecorded: AtomicU64::new(0),
            issuers: Issuers::default(),
            server: Server::default(),
            grants: Mutex::default(),
        }
    }

    /// The keys; read from the store after a change only.
    pub fn tokens(&self, engine: &Engine) -> Result<Arc<Vec<Token>>> {
        let mut known = locked(&self.tokens);
        if let Some(tokens) = known.as_ref() {
            return Ok(tokens.clone());
        }
        match engine.call(StoreRequest::Token(policy::Request::List))? {
            Reply::Token(policy::Reply::Tokens(tokens)) => Ok(known.insert(Arc::new(tokens)).clone()),
            other => unexpected(&other),
        }
    }

    /// What the owner granted to clients; read from the store after a change only.
    pub fn grants(&self, engine: &Engine) -> Result<Arc<Vec<Grant>>> {
        let mut known = locked(&self.grants);
        if let Some(grants) = known.as_ref() {
            return Ok(grants.clone());
        }
        match engine.call(StoreRequest::Token(policy::Request::Grant(grant::Request::List)))? {
            Reply::Token(policy::Reply::Grant(grant::Reply::Grants(grants))) => {
                Ok(known.insert(Arc::new(grants)).clone())
            }
            other => unexpected(&other),
        }
    }

    /// Keys, grants or issuers were changed.
    pub fn forget(&self) {
        *locked(&self.grants) = None;
        *locked(&self.tokens) = None;
        self.issuers.forget();
    }

    /// Whether who came with a pass of that name might come again.
    pub fn still_opens(&self, engine: &Engine, name: &str) -> Result<bool> {
        if let Some(name) = name.strip_prefix("grant:") {
            let now = engine.now();
            return Ok(self.grants(engine)?.iter().any(|it| it.name == name && it.is_valid(now)));
        }
        if let Some((issuer, _)) = name.split_once(':') {
            return Ok(self.issuers.trusted(engine)?.iter().any(|it| it.name == issuer));
        }
        let now = engine.now();
        Ok(self.tokens(engine)?.iter().any(|it| it.name == name && it.is_valid(now)))
    }

    /// Whether a pass is good beyond the end it had when its holder came: keys are rotated and grants renewed under the
    /// same name, a signed token never is.
    pub fn outlives(&self, engine: &Engine, name: &str) -> bool {
        let signed = name.contains(':') && !name.starts_with("grant:");
        !signed && matches!(self.still_opens(engine, name), Ok(true))
    }

    /// Counts a request of an address; the error is how long to wait.
    pub fn count_address(&self, from: Option<IpAddr>) -> Result<(), Duration> {
        from.map_or(Ok(()), |from| self.addresses.take(|| policy::network::counted(from)))
    }

    /// Counts a request of a key.
    pub fn count_client(&self, name: &Arc<str>) -> Result<(), Duration> {
        self.clients.take(|| name.clone())
    }

    /// Puts a refusal into the audit trail, unless the same one stands there already or there are too many.
    pub fn record(&self, engine: &Engine, from: Option<IpAddr>, reason: &'static str) {
        let Some(from) = from else { return };
        let now = Instant::now();
        let mut recorded = locked(&self.recorded);
        let (each, all) = &mut *recorded;
        let key = (policy::network::counted(from), reason);
        if each.take(key, RECORDED, now).and_then(|()| all.take((), RECORDED_IN_ALL, now)).is_err() {
            self.unrecorded.fetch_add(1, Relaxed);
            return;
        }
        let unrecorded = self.unrecorded.swap(0, Relaxed);
        drop(recorded);
        engine.audit(audit::Event::Refused { address: from.to_string(), reason: reason.into(), unrecorded });
    }
}
