//! The noun `token`: keys for the HTTP endpoint. Only their hashes are stored.

pub mod address;
pub mod grant;
pub mod issuer;
pub mod jwt;
pub mod network;
pub mod pass;
pub mod rate;
pub mod rules;
pub mod scope;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, codec, tables};
use issuer::Issuer;
use scope::Scopes;
use serde::{Deserialize, Serialize};

/// Keyed by id.
const TOKENS: Table<Token> = Table::new(tables::TOKENS);

/// Keyed by name.
const ISSUERS: Table<Issuer> = Table::new(tables::ISSUERS);

impl Row for Token {
    const KIND: u8 = 6;
    /// 2 added scopes and the key before.
    const VERSION: u16 = 2;

    fn upgrade(_version: u16, payload: &[u8]) -> Result<Self> {
        codec::lengthened(payload, &(Scopes::ALL, None::<Previous>))
    }
}

fn everything() -> Scopes {
    Scopes::ALL
}

/// A key as it is stored: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    /// SHA-256 of the key, in hex.
    pub hash: String,
    /// The only profile the key opens; `None` opens all.
    pub profile: Option<String>,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    /// What of the protocol it opens.
    #[serde(default = "everything")]
    pub scopes: Scopes,
    /// The key before the last rotation, while it is still good.
    #[serde(default)]
    pub previous: Option<Previous>,
}

/// A key that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    pub hash: String,
    pub until: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Issuers,
    /// Clients and grants of our own authorization server.
    Grant(grant::Request),
    /// Trusts the tokens of an issuer from now on.
    AddIssuer {
        issuer: Box<Issuer>,
    },
    RemoveIssuer {
        name: String,
    },
    /// The caller makes the key, keeps it for the user and hands over its hash.
    Create {
        token: Token,
    },
    Revoke {
        name: String,
        at: Timestamp,
    },
    /// Replaces the hash of a token. The new key lives as long as the one before was given, or until `expires`.
    Rotate {
        name: String,
        hash: String,
        at: Timestamp,
        /// The key before is good until then.
        #[serde(default)]
        grace: Option<Timestamp>,
        #[serde(default)]
        expires: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Tokens(Vec<Token>),
    Token(Box<Token>),
    Issuers(Vec<Issuer>),
    Grant(grant::Reply),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        match self {
            Self::List | Self::Issuers => false,
            Self::Grant(request) => request.writes(),
            _ => true,
        }
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Tokens(all(tx)?)),
        Request::Issuers => Ok(Reply::Issuers(issuers(tx)?)),
        Request::Grant(request) => grant::read(tx, request).map(Reply::Grant),
        _ => Err(Error::bug("a write was handed to `policy::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::List | Request::Issuers => read(tx, &request),
        Request::Grant(request) => grant::write(tx, request).map(Reply::Grant),
        Request::AddIssuer { issuer } => {
            issuer.check()?;
            let other = |it: &Issuer| it.name != issuer.name && it.issuer == issuer.issuer;
            if let Some(other) = issuers(tx)?.into_iter().find(other) {
                let message = format!("`{}` is trusted already, as `{}`", issuer.issuer, other.name);
                return Err(Error::new(&codes::TOKEN_EXISTS, message)
                    .hint(format!("umcp token issuer remove {}", other.name)));
            }
            tx.put(&ISSUERS, &issuer.name.clone(), &*issuer)?;
            Ok(Reply::Issuers(vec![*issuer]))
        }
        Request::RemoveIssuer { name } => match tx.get(&ISSUERS, &name)? {
            Some(issuer) => {
                tx.remove(&ISSUERS, &name)?;
                Ok(Reply::Issuers(vec![issuer]))
            }
            None => Err(Error::new(&codes::TOKEN_NOT_FOUND, format!("no issuer named `{name}`"))
                .hint("umcp token issuer list")),
        },
        Request::Create { token } => {
            check_name(&token.name)?;
            if all(tx)?.iter().any(|other| other.name == token.name && other.revoked.is_none()) {
                let message = format!("a token named `{}` exists already", token.name);
                return Err(Error::new(&codes::TOKEN_EXISTS, message)
                    .hint(format!("umcp token rotate {}", token.name)));
            }
            tx.put(&TOKENS, &token.id.clone(), &token)?;
            Ok(Reply::Token(Box::new(token)))
        }
        Request::Revoke { name, at } => match find(tx, &name) {
            Ok(mut token) => {
                token.revoked = Some(at);
                tx.put(&TOKENS, &token.id.clone(), &token)?;
                Ok(Reply::Token(Box::new(token)))
            }
            Err(unknown) => match grant::revoke(tx, &name, at)? {
                Some(grant) => Ok(Reply::Grant(grant::Reply::Grant(Box::new(grant)))),
                None => Err(unknown),
            },
        },
        Request::Rotate { name, hash, at, grace, expires } => {
            let mut token = find(tx, &name)?;
            token.rotate(hash, at, grace, expires);
            tx.put(&TOKENS, &token.id.clone(), &token)?;
            Ok(Reply::Token(Box::new(token)))
        }
    }
}

/// Behind a colon stand names that others gave.
fn check_name(name: &str) -> Result<()> {
    let fits = !name.trim().is_empty() && name.chars().count() <= 64;
    if fits && !name.chars().any(|c| c == ':' || c.is_control()) {
        return Ok(());
    }
    Err(Error::new(&codes::NAME_INVALID, format!("`{name}` cannot name a key"))
        .hint("use at most 64 characters, none of them a colon or a control character"))
}

impl Token {
    fn rotate(&mut self, hash: String, at: Timestamp, grace: Option<Timestamp>, expires: Option<Timestamp>) {
        let before = std::mem::replace(&mut self.hash, hash);
        // A key does not outlive its own end by being replaced.
        let until = grace.map(|until| self.expires.map_or(until, |ends| ends.min(until)));
        self.previous = until.filter(|until| at < *until).map(|until| Previous { hash: before, until });
        let life = |ends: Timestamp| at.plus_ms(ends.since_ms(self.created));
        self.expires = expires.or(self.expires.map(life));
        self.created = at;
    }

    /// Some key of it is good.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        let current = self.expires.is_none_or(|expires| now < expires);
        self.revoked.is_none() && (current || self.previous.as_ref().is_some_and(|it| now < it.until))
    }

    fn opens(&self, hash: &str, now: Timestamp) -> bool {
        let current = || self.hash == hash && self.expires.is_none_or(|expires| now < expires);
        let before = || self.previous.as_ref().is_some_and(|it| it.hash == hash && now < it.until);
        self.revoked.is_none() && (current() || before())
    }
}

fn issuers(tx: &Reader) -> Result<Vec<Issuer>> {
    Ok(tx.all(&ISSUERS)?.into_iter().map(|(_, issuer)| issuer).collect())
}

fn all(tx: &Reader) -> Result<Vec<Token>> {
    Ok(tx.all(&TOKENS)?.into_iter().map(|(_, token)| token).collect())
}

fn find(tx: &Reader, name: &str) -> Result<Token> {
    let known = |token: &Token| (token.name == name || token.id == name) && token.revoked.is_none();
    all(tx)?.into_iter().find(known).ok_or_else(|| {
        Error::new(&codes::TOKEN_NOT_FOUND, format!("no token named `{name}`")).hint("umcp token list")
    })
}

/// A fresh key: `umcp_` and 32 random bytes in hex.
pub fn fresh_key() -> String {
    format!("umcp_{}", crate::ids::random_hex(32))
}

/// SHA-256 of a key, in hex.
pub fn hash(key: &str) -> String {
    crate::ids::hex(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref())
}

/// The token a key opens, if it is known, not revoked and not expired. Compares hashes, never keys.
pub fn admit<'a>(tokens: &'a [Token], key: &str, now: Timestamp) -> Option<&'a Token> {
    let hash = hash(key);
    tokens.iter().find(|token| token.opens(&hash, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(key: &str) -> Token {
        Token {
            id: "tok_1".into(),
            name: "ci".into(),
            hash: hash(key),
            profile: None,
            created: Timestamp(0),
            expires: Some(Timestamp(10_000_000)),
            revoked: None,
            scopes: Scopes::ALL,
            previous: None,
        }
    }

    fn opens(token: &Token, key: &str, now: u64) -> bool {
        admit(std::slice::from_ref(token), key, Timestamp(now)).is_some()
    }

    #[test]
    fn a_key_is_admitted_until_it_expires_or_is_revoked() {
        let key = fresh_key();
        let mut token = token(&key);
        assert!(opens(&token, &key, 9_999_999) && !opens(&token, "umcp_other", 9));
        assert!(!opens(&token, &key, 10_000_000));
        token.revoked = Some(Timestamp(1));
        assert!(!opens(&token, &key, 9));
    }

    #[test]
    fn the_key_before_is_good_for_its_grace_and_never_longer_than_it_was() {
        for (grace, expires, old_until, new_until) in [
            (None, None, 0, 14_000_000),
            (Some(5_000_000), None, 5_000_000, 14_000_000),
            (Some(50_000_000), None, 10_000_000, 14_000_000),
            (Some(5_000_000), Some(6_000_000), 5_000_000, 6_000_000),
        ] {
            let mut token = token("old");
            token.rotate(hash("new"), Timestamp(4_000_000), grace.map(Timestamp), expires.map(Timestamp));
            for (key, until) in [("old", old_until), ("new", new_until)] {
                assert_eq!(opens(&token, key, 4_500_000), until > 0, "{grace:?} {key}");
                assert!(until == 0 || opens(&token, key, until - 1), "{grace:?} {key}");
                assert!(!opens(&token, key, until), "{grace:?} {key}");
            }
        }
        let mut token = token("old");
        token.rotate(hash("new"), Timestamp(11_000_000), Some(Timestamp(12_000_000)), None);
        assert!(!opens(&token, "old", 11_500_000), "it had ended before");
    }

    #[test]
    fn a_row_of_the_first_version_opens_everything() {
        let whole = token("k");
        let first = (
            &whole.id,
            &whole.name,
            &whole.hash,
            &whole.profile,
            whole.created,
            whole.expires,
            whole.revoked,
        );
        assert_eq!(Token::upgrade(1, &postcard::to_stdvec(&first).unwrap()).unwrap(), whole);
    }
}
