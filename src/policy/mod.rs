//! The noun `token`: keys for the HTTP endpoint. Only their hashes are stored.

pub mod address;
pub mod rules;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};

/// Keyed by id.
const TOKENS: Table<Token> = Table::new(tables::TOKENS);

impl Row for Token {
    const KIND: u8 = 6;
    const VERSION: u16 = 1;
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
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    /// The caller makes the key, keeps it for the user and hands over its hash.
    Create {
        token: Token,
    },
    Revoke {
        name: String,
        at: Timestamp,
    },
    /// Replaces the hash of a token.
    Rotate {
        name: String,
        hash: String,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Tokens(Vec<Token>),
    Token(Box<Token>),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List)
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Tokens(all(tx)?)),
        _ => Err(Error::bug("a write was handed to `policy::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Tokens(all(tx)?)),
        Request::Create { token } => {
            if all(tx)?.iter().any(|other| other.name == token.name && other.revoked.is_none()) {
                let message = format!("a token named `{}` exists already", token.name);
                return Err(Error::new(&codes::TOKEN_EXISTS, message)
                    .hint(format!("umcp token rotate {}", token.name)));
            }
            tx.put(&TOKENS, &token.id.clone(), &token)?;
            Ok(Reply::Token(Box::new(token)))
        }
        Request::Revoke { name, at } => {
            let mut token = find(tx, &name)?;
            token.revoked = Some(at);
            tx.put(&TOKENS, &token.id.clone(), &token)?;
            Ok(Reply::Token(Box::new(token)))
        }
        Request::Rotate { name, hash, at } => {
            let mut token = find(tx, &name)?;
            token.hash = hash;
            token.created = at;
            tx.put(&TOKENS, &token.id.clone(), &token)?;
            Ok(Reply::Token(Box::new(token)))
        }
    }
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
    tokens.iter().find(|token| {
        token.hash == hash && token.revoked.is_none() && token.expires.is_none_or(|expires| now < expires)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_admitted_until_it_expires_or_is_revoked() {
        let key = fresh_key();
        let mut token = Token {
            id: "tok_1".into(),
            name: "ci".into(),
            hash: hash(&key),
            profile: None,
            created: Timestamp(0),
            expires: Some(Timestamp(10)),
            revoked: None,
        };
        assert!(admit(std::slice::from_ref(&token), &key, Timestamp(9)).is_some());
        assert!(admit(std::slice::from_ref(&token), "umcp_other", Timestamp(9)).is_none());
        assert!(admit(std::slice::from_ref(&token), &key, Timestamp(10)).is_none());
        token.revoked = Some(Timestamp(1));
        assert!(admit(&[token], &key, Timestamp(9)).is_none());
    }
}
