//! Clients that registered themselves and what the owner granted them: the rows of umcp's own authorization server.
//! Rule: tokens are stored as digests; a refresh token that was used and comes again ends its grant, in the transaction that
//! sees it. Bounded: whoever registers and is never granted anything makes room for others.

use super::scope::Scopes;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};

const CLIENTS: Table<Registered> = Table::new(tables::OAUTH_CLIENTS);
const GRANTS: Table<Grant> = Table::new(tables::GRANTS);

/// Clients and grants at once.
const MOST_CLIENTS: usize = 200;
const MOST_GRANTS: usize = 500;
/// Used refresh tokens that a grant remembers.
const MOST_SPENT: usize = 20;
/// What has ended is shown for so long.
const SHOWN_MS: u64 = 30 * 86_400_000;

/// A client that registered itself (RFC 7591). What it says of itself is its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub id: String,
    pub name: String,
    pub redirects: Vec<String>,
    pub created: Timestamp,
}

/// What the owner granted to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: String,
    /// What the client calls itself, made unique.
    pub name: String,
    pub client: String,
    pub scopes: Scopes,
    /// The address the tokens are for.
    pub resource: String,
    /// The only profile it opens; `None` is that of the address.
    pub profile: Option<String>,
    pub created: Timestamp,
    /// SHA-256 of the authorization code it came of, in hex; so are the tokens.
    pub code: String,
    pub access: String,
    pub access_until: Timestamp,
    pub refresh: String,
    pub refresh_until: Timestamp,
    pub spent: Vec<String>,
    pub revoked: Option<Timestamp>,
}

impl Row for Registered {
    const KIND: u8 = 44;
    const VERSION: u16 = 1;
}

impl Row for Grant {
    const KIND: u8 = 45;
    const VERSION: u16 = 1;
}

/// New tokens, as digests, with their ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub access: String,
    pub access_until: Timestamp,
    pub refresh: String,
    pub refresh_until: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Client {
        id: String,
    },
    Register {
        client: Registered,
    },
    Issue {
        grant: Box<Grant>,
    },
    /// Exchanges a refresh token, given as its digest.
    Refresh {
        refresh: String,
        client: String,
        pair: Pair,
        at: Timestamp,
    },
    /// Ends the grant of an authorization code that came twice, given as a digest.
    End {
        code: String,
        at: Timestamp,
    },
    /// Ends the grant of a token, given as a digest, that its client says it needs no more.
    Revoke {
        token: String,
        /// Who says so, where it does.
        client: Option<String>,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Grants(Vec<Grant>),
    Grant(Box<Grant>),
    Client(Option<Registered>),
    /// What was found is another client's.
    Foreign,
    /// Nothing was found or taken.
    Nothing,
}

impl Request {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List | Self::Client { .. })
    }
}

impl Grant {
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.refresh_until
    }

    /// Whether a digest is that of its access token, which is still good.
    pub fn opens(&self, digest: &str, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.access_until && self.access == digest
    }

    /// Whether a digest is that of one of its tokens. Refresh tokens that were exchanged count: whoever shows one is either
    /// the client, which missed the answer with the newer one and means the whole grant, or a thief, and either way the
    /// grant is better ended, as their use ends it. A code is no token.
    fn knows(&self, digest: &str) -> bool {
        [&self.access, &self.refresh].into_iter().chain(&self.spent).any(|it| it == digest)
    }

    /// Exchanges a refresh token. One that was used before ends the grant: two have it, and one of them stole it.
    fn exchange(&mut self, refresh: &str, pair: Pair, at: Timestamp) -> bool {
        if self.spent.iter().any(|it| it == refresh) {
            self.revoked = self.revoked.or(Some(at));
            return false;
        }
        if self.refresh != refresh || !self.is_valid(at) {
            return false;
        }
        self.spent.push(std::mem::replace(&mut self.refresh, pair.refresh));
        if self.spent.len() > MOST_SPENT {
            self.spent.remove(0);
        }
        (self.access, self.access_until) = (pair.access, pair.access_until);
        self.refresh_until = pair.refresh_until;
        true
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Grants(all(tx)?)),
        Request::Client { id } => Ok(Reply::Client(tx.get(&CLIENTS, id)?)),
        _ => Err(Error::bug("a write was handed to `grant::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Register { client } => register(tx, client),
        Request::Issue { grant } => {
            let old = |it: &Grant| it.revoked.unwrap_or(it.refresh_until).plus_ms(SHOWN_MS) < grant.created;
            let grants = all(tx)?;
            for gone in grants.iter().filter(|it| old(it)) {
                tx.remove(&GRANTS, &gone.id)?;
            }
            if grants.iter().filter(|it| it.is_valid(grant.created)).count() >= MOST_GRANTS {
                return Err(
                    Error::new(&codes::TOKEN_EXISTS, "there are too many grants").hint("umcp token list")
                );
            }
            tx.put(&GRANTS, &grant.id.clone(), &*grant)?;
            Ok(Reply::Grant(grant))
        }
        Request::Refresh { refresh, client, pair, at } => {
            let found = all(tx)?.into_iter().find(|it| it.client == client && it.knows(&refresh));
            let Some(mut grant) = found else { return Ok(Reply::Nothing) };
            let exchanged = grant.exchange(&refresh, pair, at);
            tx.put(&GRANTS, &grant.id.clone(), &grant)?;
            Ok(if exchanged { Reply::Grant(Box::new(grant)) } else { Reply::Nothing })
        }
        Request::End { code, at } => match all(tx)?.into_iter().find(|it| it.code == code) {
            Some(grant) => end(tx, grant, at).map(|grant| Reply::Grant(Box::new(grant))),
            None => Ok(Reply::Nothing),
        },
        Request::Revoke { token, client, at } => match all(tx)?.into_iter().find(|it| it.knows(&token)) {
            Some(grant) if client.is_some_and(|client| client != grant.client) => Ok(Reply::Foreign),
            Some(grant) => end(tx, grant, at).map(|grant| Reply::Grant(Box::new(grant))),
            None => Ok(Reply::Nothing),
        },
        request => read(tx, &request),
    }
}

/// Ends the grant of that name or id; `None` when there is none.
pub fn revoke(tx: &mut Writer, name: &str, at: Timestamp) -> Result<Option<Grant>> {
    let name = name.strip_prefix("grant:").unwrap_or(name);
    let known = |it: &Grant| (it.name == name || it.id == name) && it.revoked.is_none();
    match all(tx)?.into_iter().find(known) {
        Some(grant) => end(tx, grant, at).map(Some),
        None => Ok(None),
    }
}

fn end(tx: &mut Writer, mut grant: Grant, at: Timestamp) -> Result<Grant> {
    grant.revoked = grant.revoked.or(Some(at));
    tx.put(&GRANTS, &grant.id.clone(), &grant)?;
    Ok(grant)
}

fn register(tx: &mut Writer, client: Registered) -> Result<Reply> {
    let clients = tx.all(&CLIENTS)?;
    if clients.len() >= MOST_CLIENTS {
        let grants = all(tx)?;
        let unused = |it: &Registered| !grants.iter().any(|grant| grant.client == it.id);
        let oldest = clients.iter().map(|(_, it)| it).filter(|it| unused(it)).min_by_key(|it| it.created);
        let Some(oldest) = oldest else {
            return Err(
                Error::new(&codes::TOKEN_EXISTS, "there are too many clients").hint("umcp token list")
            );
        };
        tx.remove(&CLIENTS, &oldest.id)?;
    }
    tx.put(&CLIENTS, &client.id.clone(), &client)?;
    Ok(Reply::Client(Some(client)))
}

fn all(tx: &Reader) -> Result<Vec<Grant>> {
    Ok(tx.all(&GRANTS)?.into_iter().map(|(_, grant)| grant).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> Pair {
        Pair {
            access: format!("a{name}"),
            access_until: Timestamp(100),
            refresh: format!("r{name}"),
            refresh_until: Timestamp(1000),
        }
    }

    fn grant() -> Grant {
        let Pair { access, access_until, refresh, refresh_until } = pair("1");
        Grant {
            id: "g".into(),
            name: "Claude-g".into(),
            client: "c".into(),
            scopes: Scopes::ALL,
            resource: "https://x/mcp".into(),
            profile: None,
            created: Timestamp(0),
            code: "code".into(),
            access,
            access_until,
            refresh,
            refresh_until,
            spent: Vec::new(),
            revoked: None,
        }
    }

    #[test]
    fn a_refresh_token_is_good_once_and_its_second_use_ends_everything() {
        let mut it = grant();
        assert!(it.opens("a1", Timestamp(99)) && !it.opens("a1", Timestamp(100)));
        assert!(it.exchange("r1", pair("2"), Timestamp(5)));
        assert!(it.opens("a2", Timestamp(6)) && !it.opens("a1", Timestamp(6)));
        assert!(
            !it.exchange("r9", pair("9"), Timestamp(6)) && it.is_valid(Timestamp(6)),
            "a stranger's guess ends nothing"
        );
        assert!(!it.exchange("r1", pair("3"), Timestamp(7)));
        assert_eq!(it.revoked, Some(Timestamp(7)));
        assert!(!it.opens("a2", Timestamp(8)) && !it.exchange("r2", pair("4"), Timestamp(8)));
        let mut late = grant();
        assert!(!late.exchange("r1", pair("2"), Timestamp(1000)));
        let mut long = grant();
        for number in 1..100 {
            assert!(long.exchange(&format!("r{number}"), pair(&(number + 1).to_string()), Timestamp(5)));
        }
        assert_eq!(long.spent.len(), MOST_SPENT);
    }
}
