//! Which accounts a connection to a server speaks for, decided for each caller from rows kept in memory until one of
//! them changes. The order of choice is the noun's (`integrations::choose`); nothing is asked of anybody here.
//! Rule: one connection speaks for one choice of accounts, so the choice is part of a connection's key.

use super::{Account, Accounts};
use crate::error::{Error, Result, codes};
use crate::integrations::choose::{Place, choose};
use crate::integrations::model::{Connection, Integration, Target};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock};

/// What is known of a caller for whom an account is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    /// The account the caller asks for, by name.
    pub account: Option<Arc<str>>,
    pub profile: Option<Arc<str>>,
    pub directory: Option<Arc<str>>,
}

/// What a server needs an account for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Itself, by id, if somebody signed in there.
    Server(String),
    /// What a reference names: a connection, or an integration.
    Named(String),
}

/// Ids of the accounts a connection speaks for, with commas between; `None` for one that has none.
pub type Chosen = Option<Arc<str>>;

/// All accounts and what they are of, as they were last read.
pub struct Rows {
    pub connections: Vec<Connection>,
    pub integrations: Vec<Integration>,
}

/// The rows, until something changes.
#[derive(Default)]
pub struct Kept {
    changes: AtomicU64,
    rows: RwLock<Option<Arc<Rows>>>,
}

impl Kept {
    /// The next one who asks reads anew.
    pub fn forget(&self) {
        self.changes.fetch_add(1, SeqCst);
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self, read: impl FnOnce() -> Result<Rows>) -> Result<Arc<Rows>> {
        if let Some(rows) = &*self.rows.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(rows.clone());
        }
        let before = self.changes.load(SeqCst);
        let rows = Arc::new(read()?);
        let mut kept = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        // What was read while it changed may be of before.
        if self.changes.load(SeqCst) == before {
            *kept = Some(rows.clone());
        }
        Ok(rows)
    }
}

impl Rows {
    /// The target a need comes to; `None` for a name nobody bears.
    fn target(&self, need: &Need) -> Option<Target> {
        match need {
            Need::Server(id) => Some(Target::Server(id.clone())),
            Need::Named(name) => {
                let integration = self.integrations.iter().find(|one| one.name == *name);
                integration.map(|one| Target::Integration(one.id.clone()))
            }
        }
    }

    /// The account for one need. A reference to a connection leaves no choice.
    fn one(&self, need: &Need, place: Place<'_>) -> Option<&Connection> {
        if let Need::Named(name) = need
            && let Some(row) = self.connections.iter().find(|row| row.name == *name)
            && self.target(need).is_none()
        {
            return Some(row);
        }
        choose(&self.connections, &self.target(need)?, place)
    }
}

/// Whether a list of ids holds one.
fn holds(chosen: &Chosen, id: &str) -> bool {
    chosen.as_deref().is_some_and(|ids| ids.split(',').any(|one| one == id))
}

impl Accounts {
    fn kept(&self) -> Result<Arc<Rows>> {
        self.ground.kept.get(|| Ok(Rows { connections: self.rows()?, integrations: self.integrations()? }))
    }

    /// The accounts a caller's connection to a server speaks for.
    ///
    /// Errors: `CONNECTION_NOT_FOUND` for an account asked for by name that is none of the server's.
    pub fn choose(&self, needs: &[Need], whose: &Whose, server: &str) -> Result<Chosen> {
        if needs.is_empty() && whose.account.is_none() {
            return Ok(None);
        }
        let rows = self.kept()?;
        if rows.connections.is_empty() && whose.account.is_none() {
            return Ok(None);
        }
        let place =
            Place { named: None, profile: whose.profile.as_deref(), directory: whose.directory.as_deref() };
        let asked = whose.account.as_deref();
        let by_name = |need: &Need| {
            let row = rows.one(need, Place { named: asked, ..Place::default() });
            row.filter(|row| asked.is_some_and(|name| row.name == name || row.id == name))
        };
        let mut ids: Vec<&str> = Vec::new();
        let mut found = asked.is_none();
        for need in needs {
            let named = by_name(need);
            found |= named.is_some();
            ids.extend(named.or_else(|| rows.one(need, place)).map(|row| row.id.as_str()));
        }
        if let (Some(name), false) = (asked, found) {
            let message = format!("server `{server}` has no account named `{name}`");
            return Err(Error::new(&codes::CONNECTION_NOT_FOUND, message).hint("umcp connection list"));
        }
        Ok((!ids.is_empty()).then(|| ids.join(",").into()))
    }

    /// The account that signs the requests to a server over a connection, if it speaks for one.
    pub fn of_server(&self, id: &str, chosen: &Chosen) -> Result<Option<Arc<Account>>> {
        let target = Target::Server(id.into());
        let rows = self.rows()?;
        let row = rows.into_iter().find(|row| row.target == target && holds(chosen, &row.id));
        row.map(|row| self.account(row)).transpose()
    }

    /// The account a reference names, among those a connection speaks for.
    pub fn referred(&self, name: &str, chosen: &Chosen) -> Result<Arc<Account>> {
        match self.among(name, chosen)? {
            Some(account) => Ok(account),
            // It is said what is missing, or the account has come meanwhile.
            None => self.named(name, Place::default()),
        }
    }

    /// The account of an integration among those a connection speaks for; `None` where nobody has signed in.
    ///
    /// Errors: `CONNECTION_NOT_FOUND` where several accounts fit.
    pub fn of_app(&self, integration: &str, chosen: &Chosen) -> Result<Option<Arc<Account>>> {
        if let Some(account) = self.among(integration, chosen)? {
            return Ok(Some(account));
        }
        let rows = self.kept()?;
        let target = rows.target(&Need::Named(integration.into()));
        match rows.connections.iter().any(|row| Some(&row.target) == target.as_ref()) {
            true => self.named(integration, Place::default()).map(Some),
            false => Ok(None),
        }
    }

    fn among(&self, name: &str, chosen: &Chosen) -> Result<Option<Arc<Account>>> {
        let rows = self.kept()?;
        let target = rows.target(&Need::Named(name.into()));
        let mut mine = rows.connections.iter().filter(|row| holds(chosen, &row.id));
        let row = mine.find(|row| row.name == name || target.as_ref() == Some(&row.target));
        row.map(|row| self.account(row.clone())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::integrations::life::tests::connection;
    use crate::integrations::model::Kind;

    #[test]
    fn a_reference_to_a_connection_leaves_no_choice_and_one_to_an_integration_does() {
        let mut home = connection("home");
        home.chosen = true;
        let mut work = connection("work");
        work.profiles = vec!["office".into()];
        let rows = Rows {
            connections: vec![home, work],
            integrations: vec![Integration::new("int_1".into(), "github", Kind::Oauth2, Timestamp(0))],
        };
        let office = Place { profile: Some("office"), ..Place::default() };
        for (need, place, expected) in [
            (Need::Named("github".into()), Place::default(), Some("home")),
            (Need::Named("github".into()), office, Some("work")),
            (Need::Named("home".into()), office, Some("home")),
            (Need::Named("gitlab".into()), office, None),
            (Need::Server("srv_1".into()), office, None),
        ] {
            assert_eq!(rows.one(&need, place).map(|row| row.name.as_str()), expected, "{need:?} {place:?}");
        }
    }

    #[test]
    fn rows_that_changed_while_they_were_read_are_read_again() {
        let kept = Kept::default();
        let rows = || Rows { connections: vec![], integrations: vec![] };
        kept.get(|| {
            kept.forget();
            Ok(rows())
        })
        .unwrap();
        let mut read = 0;
        for _ in 0..2 {
            kept.get(|| {
                read += 1;
                Ok(rows())
            })
            .unwrap();
        }
        assert_eq!(read, 1);
    }
}
