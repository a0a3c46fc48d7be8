//! Signing in, and the accounts that did: what every request in somebody's name passes through.
//! Here stands what the flows share; each part has a file: discovery, client, authorize, loopback, token, account.
//! Rule: everything a provider says is checked before it is used; secrets are in the vault, in memory and in requests,
//! and nowhere else.

mod account;
mod assertion;
mod authorize;
pub mod challenge;
mod choice;
mod client;
mod device;
mod discovery;
mod end;
mod flow;
mod follow;
mod ground;
mod header;
mod keep;
mod loopback;
mod oauth1;
mod plan;
mod renewal;
mod token;
mod web;

use crate::engine::vault::Vault;
use crate::engine::{Engine, Reply, StoreRequest, unexpected};
use crate::error::{Error, Result, codes};
use crate::integrations::choose::{Place, choose};
use crate::integrations::life::{Health, health};
use crate::integrations::model::{Connection, Integration, Kind, Target};
use crate::integrations::{self, Request};
use crate::upstream::known::Known;
use account::Held;
pub use account::{Account, MAX_STEPS, needs_sign_in};
pub use challenge::Challenge;
pub use choice::{Chosen, Need, Whose};
use flow::Pending;
use ground::Ground;
use keep::Keep;
pub use plan::Aim;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
pub use web::Net;

/// Before the name of a connection or an integration, in a header or a variable of a server's entry.
pub const REFERENCE: &str = "connection://";

/// Between 0 and 1, for spreading refreshes.
fn random_share() -> f64 {
    let random = u16::from_str_radix(&crate::ids::random_hex(2), 16).unwrap_or_default();
    f64::from(random) / f64::from(u16::MAX)
}

/// Something about an account that whoever follows events should know.
pub struct Told<'a> {
    pub connection: &'a str,
    pub state: &'a str,
    pub detail: Option<&'a str>,
}

/// Told of what happens to accounts.
type Teller = Box<dyn Fn(Told<'_>) + Send + Sync>;
/// Told that an account of a server (by id) is there, or has gone.
type Entered = Box<dyn Fn(&str) + Send + Sync>;

/// All accounts of the user.
pub struct Accounts {
    ground: Arc<Ground>,
    open: Mutex<HashMap<String, Arc<Account>>>,
    pending: Mutex<HashMap<String, Arc<Pending>>>,
    entered: OnceLock<Entered>,
    /// What was told already, by connection and state.
    warned: Mutex<HashSet<(String, &'static str)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Accounts {
    pub fn new(engine: Engine, vault: Arc<Vault<Engine>>, known: Arc<Known>) -> Arc<Self> {
        let keep = Keep::new(vault, known);
        let ground = Ground { engine, keep, kept: choice::Kept::default(), teller: OnceLock::new() };
        Arc::new(Self {
            ground: Arc::new(ground),
            open: Mutex::default(),
            pending: Mutex::default(),
            entered: OnceLock::new(),
            warned: Mutex::default(),
        })
    }

    /// Sets who hears what happens to accounts, and who takes a server up again; once.
    pub fn listen(&self, teller: Teller, entered: Entered) {
        let _ = self.ground.teller.set(teller);
        let _ = self.entered.set(entered);
    }

    fn entered(&self, target: &Target) {
        if let (Target::Server(id), Some(entered)) = (target, self.entered.get()) {
            entered(id);
        }
    }

    fn rows(&self) -> Result<Vec<Connection>> {
        match self.ground.engine.call(StoreRequest::Integration(Request::Connections))? {
            Reply::Integration(integrations::Reply::Connections(rows)) => Ok(rows),
            other => unexpected(&other),
        }
    }

    fn integrations(&self) -> Result<Vec<Integration>> {
        match self.ground.engine.call(StoreRequest::Integration(Request::Integrations))? {
            Reply::Integration(integrations::Reply::Integrations(all)) => Ok(all),
            other => unexpected(&other),
        }
    }

    fn account(&self, row: Connection) -> Result<Arc<Account>> {
        if let Some(account) = locked(&self.open).get(&row.id) {
            return Ok(account.clone());
        }
        let account = Account::open(self.ground.clone(), row)?;
        Ok(locked(&self.open).entry(account.id.clone()).or_insert(account).clone())
    }

    /// The account a reference names: a connection, or an integration whose account the place decides.
    pub fn named(&self, name: &str, place: Place<'_>) -> Result<Arc<Account>> {
        let rows = self.rows()?;
        if let Some(row) = rows.iter().find(|row| row.name == name || row.id == name) {
            return self.account(row.clone());
        }
        let integration = self.integrations()?.into_iter().find(|one| one.name == name);
        let Some(integration) = integration else { return Err(integrations::not_found(name)) };
        let target = Target::Integration(integration.id);
        match choose(&rows, &target, place) {
            Some(row) => self.account(row.clone()),
            None if rows.iter().any(|row| row.target == target) => {
                let message = format!("several accounts of `{name}` fit, and none is the default");
                Err(Error::new(&codes::CONNECTION_NOT_FOUND, message).hint("umcp connection use NAME"))
            }
            None => {
                Err(Error::new(&codes::CONNECTION_NOT_FOUND, format!("no account of `{name}` has signed in"))
                    .hint(format!("umcp connection create {name}")))
            }
        }
    }

    /// The token of an account, for a child that is given it once, at its start. Blocks; not for the runtime's thread.
    pub fn token_for_good(&self, name: &str, chosen: &Chosen) -> Result<String> {
        let account = self.referred(name, chosen)?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| Error::bug("a token was asked for outside the runtime").because(error))?;
        runtime.block_on(account.token())
    }

    /// Rows were changed by command: choices, names. Tokens stay as they are.
    pub fn changed(&self) {
        self.ground.kept.forget();
        let Ok(rows) = self.rows() else { return };
        let open: Vec<_> = locked(&self.open).values().cloned().collect();
        for account in open {
            match rows.iter().find(|row| row.id == account.id) {
                Some(row) => account.choose(row),
                None => {
                    locked(&self.open).remove(&account.id);
                    account.end();
                }
            }
        }
    }

    /// Stores the tokens of a sign-in, and has the account used from now on.
    async fn admit(&self, row: Connection, held: Held) -> Result<Connection> {
        let account = locked(&self.open).get(&row.id).cloned();
        {
            let _turn = match &account {
                Some(account) => Some(account.storing.clone().lock_owned().await),
                None => None,
            };
            self.ground.store(row.clone(), Some(held.clone())).await?;
            if let Some(account) = &account {
                account.replace(row.clone(), Some(held));
            }
        }
        self.ground.tell(&row.name, "signed in", None);
        self.entered(&row.target);
        Ok(row)
    }

    /// Tells of accounts whose token ends soon or has ended, and that nothing can renew; each once.
    pub fn warn(&self) {
        let (Ok(rows), now) = (self.rows(), self.ground.engine.now()) else { return };
        for row in rows {
            let health = health(&row, now);
            let warns = matches!(health, Health::Expiring | Health::Expired);
            if warns && locked(&self.warned).insert((row.id, health.word())) {
                self.ground.tell(&row.name, health.word(), None);
            }
        }
    }

    /// Gets a new token now, needed or not.
    pub async fn refresh(self: &Arc<Self>, name: &str) -> Result<Connection> {
        let account = self.named_beside(name).await?;
        let row = account.row();
        if row.kind != Kind::Oauth2 || !row.refreshable {
            let message = format!("`{}` has nothing that could be renewed", row.name);
            return Err(Error::new(&codes::VALUE_INVALID, message)
                .hint(format!("umcp connection create {}", row.name)));
        }
        let used = account.token_as_it_is();
        account.renew(&used).await?;
        Ok(account.row())
    }
}
