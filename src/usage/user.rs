//! Users: whom calls are accounted to, by the key or the client they come with. Rows and one pure decision.
//! Rule: what a record says of its user stands; a user only says who is behind a key, or a client without one.

use super::record::Call;
use crate::error::{Error, Result, codes};
use crate::glob;
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};

const USERS: Table<Stored> = Table::new(tables::USERS);
const MOST: u64 = 10_000;
const LONGEST: usize = 64;

/// A user as JSON text, so that a later version can add fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    json: String,
}

impl Row for Stored {
    const KIND: u8 = 86;
    const VERSION: u16 = 1;
}

/// Whom calls are accounted to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// For people: a whole name, an address, a cost centre.
    pub about: Option<String>,
    /// Names of keys of the HTTP endpoint; patterns take `*`.
    pub keys: Vec<String>,
    /// Names of clients that come without a key.
    pub clients: Vec<String>,
}

impl User {
    fn check(&self) -> Result<()> {
        let plain = |text: &str| {
            !text.is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
        };
        let wrong = |message: String| Err(Error::new(&codes::USER_INVALID, message));
        if !plain(&self.name) || self.name.contains('*') {
            return wrong(format!("a user needs a name of at most {LONGEST} characters, without `*`"));
        }
        if self.about.as_ref().is_some_and(|about| about.len() > 500) {
            return wrong(format!("what is said about `{}` is longer than 500 bytes", self.name));
        }
        if self.keys.len() + self.clients.len() > 100 {
            return wrong(format!("`{}` has more than 100 keys and clients", self.name));
        }
        match self.keys.iter().chain(&self.clients).find(|word| !plain(word)) {
            Some(word) => wrong(format!("`{}` is no name of a key or client", word.escape_debug())),
            None => Ok(()),
        }
    }
}

/// All users, by name, for accounting.
#[derive(Debug, Default)]
pub struct People(Vec<User>);

impl People {
    pub fn read(tx: &Reader) -> Result<Self> {
        all(tx).map(Self)
    }

    /// Puts the user behind a call into it; whether that changed it.
    pub fn account(&self, call: &mut Call) -> bool {
        let fits = |patterns: &[String], name: &str| patterns.iter().any(|pattern| glob::fits(pattern, name));
        let user = self.0.iter().find(|user| match &call.detail.user {
            Some(key) => user.name != *key && fits(&user.keys, key),
            None => fits(&user.clients, &call.client),
        });
        // A name that is a user's own is no key.
        let own = |name: &String| self.0.iter().any(|user| user.name == *name);
        match user {
            Some(user) if !call.detail.user.as_ref().is_some_and(own) => {
                call.detail.user = Some(user.name.clone());
                true
            }
            _ => false,
        }
    }
}

fn all(tx: &Reader) -> Result<Vec<User>> {
    let read = |(_, stored): (String, Stored)| {
        serde_json::from_str(&stored.json).map_err(|error| {
            Error::new(&codes::STORE_NEWER, "a user was written by a newer umcp").because(error)
        })
    };
    tx.all(&USERS)?.into_iter().map(read).collect()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    /// With `replace` the user may be there already.
    Put {
        user: User,
        replace: bool,
    },
    Delete {
        names: Vec<String>,
    },
}

impl Request {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List)
    }
}

pub fn read(tx: &Reader, request: &Request) -> Result<Vec<User>> {
    match request {
        Request::List => all(tx),
        Request::Put { .. } | Request::Delete { .. } => Err(Error::bug("a write was handed to `user::read`")),
    }
}

/// Changes users, and gives all of them.
pub fn write(tx: &mut Writer, request: Request) -> Result<Vec<User>> {
    match request {
        Request::List => {}
        Request::Put { user, replace } => {
            user.check()?;
            let known = tx.contains(&USERS, &user.name)?;
            if known && !replace {
                let message = format!("there is a user named `{}` already", user.name);
                return Err(Error::new(&codes::USER_EXISTS, message)
                    .hint(format!("umcp user create {} --replace", user.name)));
            }
            if !known && tx.count(&USERS)? >= MOST {
                return Err(Error::new(&codes::USER_INVALID, format!("there are {MOST} users already")));
            }
            let json = serde_json::to_string(&user)
                .map_err(|error| Error::bug("a user cannot be written as JSON").because(error))?;
            tx.put(&USERS, &user.name, &Stored { json })?;
        }
        Request::Delete { names } => {
            for name in names {
                if !tx.remove(&USERS, &name)? {
                    return Err(not_found(&all(tx)?, &name));
                }
            }
        }
    }
    all(tx)
}

fn not_found(users: &[User], name: &str) -> Error {
    let error = Error::new(&codes::USER_NOT_FOUND, format!("no user named `{name}`"));
    match crate::documents::near(name, users.iter().map(|user| user.name.as_str())) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp user list"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::usage::record::tests::call;

    fn user(name: &str, keys: &[&str], clients: &[&str]) -> User {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        User { name: name.into(), about: None, keys: owned(keys), clients: owned(clients) }
    }

    #[test]
    fn calls_are_accounted_by_key_or_client() {
        let people = People(vec![
            user("ann", &["ann-*"], &["cursor"]),
            user("bob", &["ann-2", "ann"], &["codex", "cursor"]),
        ]);
        for (client, key, expected) in [
            ("cursor", None, Some("ann")),
            ("codex", None, Some("bob")),
            ("other", None, None),
            ("codex", Some("ann-laptop"), Some("ann")),
            ("codex", Some("ann-2"), Some("ann")),
            ("cursor", Some("ci"), Some("ci")),
            ("cursor", Some("ann"), Some("ann")),
            ("codex", Some("bob"), Some("bob")),
        ] {
            let mut call = Call { client: client.into(), ..call(1) };
            call.detail.user = key.map(String::from);
            people.account(&mut call);
            assert_eq!(call.detail.user.as_deref(), expected, "{client} {key:?}");
        }
    }

    #[test]
    fn users_come_and_go() {
        let store = Store::memory();
        let run = |request| store.write(|tx| write(tx, request));
        let put = |user, replace| run(Request::Put { user, replace });
        assert_eq!(put(user("ann", &[], &[]), false).unwrap().len(), 1);
        assert!(put(user("ann", &[], &[]), false).unwrap_err().is(&codes::USER_EXISTS));
        assert_eq!(put(user("ann", &["k"], &[]), true).unwrap(), [user("ann", &["k"], &[])]);
        for wrong in [user("", &[], &[]), user("a*", &[], &[]), user("a\n", &[], &[]), user("a", &[""], &[])]
        {
            assert!(put(wrong, false).unwrap_err().is(&codes::USER_INVALID));
        }
        let error = run(Request::Delete { names: vec!["anna".into()] }).unwrap_err();
        assert!(error.is(&codes::USER_NOT_FOUND) && error.hints == ["did you mean `ann`?"]);
        assert_eq!(run(Request::Delete { names: vec!["ann".into()] }).unwrap(), []);
    }
}
