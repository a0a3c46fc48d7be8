//! What the authorization server remembers between two requests: who asks for consent, the owner's one-time code, the codes it
//! gave out. Pure: time comes in, and everything is bounded and ends by itself.

use crate::clock::Timestamp;
use crate::ids;
use crate::policy::hash;
use crate::policy::scope::Scopes;
use std::collections::HashMap;

/// Requests for consent, and codes, at once.
const MOST: usize = 100;
const CONSENT_MS: u64 = 600_000;
const CODE_MS: u64 = 60_000;
/// A code that was used is remembered this long here; after that its grant still knows it.
const USED_MS: u64 = 3_600_000;
const OWNER_MS: u64 = 600_000;
/// Wrong one-time codes on one page before the right one is worth nothing there.
const TRIES: u8 = 5;
/// The same on all pages together: a stranger's guesses must not soon end the owner's code. It has 40 bits.
const TRIES_IN_ALL: u16 = 500;
/// Letters and digits that are not taken for each other.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub client: String,
    /// What it calls itself.
    pub name: String,
    pub redirect: String,
    pub state: Option<String>,
    pub challenge: String,
    pub scopes: Scopes,
    pub resource: String,
    /// The address of this server as the client knows it.
    pub issuer: String,
    /// The profile the owner gave.
    pub profile: Option<String>,
}

struct Pending {
    wish: Wish,
    /// Digest of what only the browser has that was shown the page.
    cookie: String,
    until: Timestamp,
    tries: u8,
}

struct Owner {
    hash: String,
    until: Timestamp,
    tries: u16,
    profile: Option<String>,
    scopes: Scopes,
}

/// See the head of the file.
#[derive(Default)]
pub struct Desk {
    pending: HashMap<String, Pending>,
    owner: Option<Owner>,
    codes: HashMap<String, (Wish, Timestamp)>,
    used: HashMap<String, Timestamp>,
}

/// What an authorization code was good for.
#[derive(Debug, PartialEq, Eq)]
pub enum Redeemed {
    Wish(Box<Wish>),
    /// It was used before.
    Again,
    Unknown,
}

impl Desk {
    /// A one-time code for the owner; the one before is worth nothing any more.
    pub fn invite(&mut self, profile: Option<String>, scopes: Scopes, now: Timestamp) -> (String, Timestamp) {
        let random = ids::sha256(&[ids::random_hex(16).as_bytes()]);
        let letters: String =
            random[..8].iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        let until = now.plus_ms(OWNER_MS);
        self.owner = Some(Owner { hash: hash(&letters), until, tries: 0, profile, scopes });
        (format!("{}-{}", &letters[..4], &letters[4..]), until)
    }

    /// Keeps a wish until the owner has decided. Gives its number and what the browser is to keep.
    pub fn ask(&mut self, wish: Wish, now: Timestamp) -> (String, String) {
        self.pending.retain(|_, it| now < it.until);
        if self.pending.len() >= MOST {
            let oldest = self.pending.iter().min_by_key(|(_, it)| it.until).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.pending.remove(&id));
        }
        let (id, cookie) = (ids::random_hex(16), ids::random_hex(16));
        let pending = Pending { wish, cookie: hash(&cookie), until: now.plus_ms(CONSENT_MS), tries: 0 };
        self.pending.insert(id.clone(), pending);
        (id, cookie)
    }

    /// The wish of a page, for the browser it was shown to.
    pub fn wish(&self, id: &str, cookie: &str, now: Timestamp) -> Option<&Wish> {
        let pending = self.pending.get(id).filter(|it| now < it.until && it.cookie == hash(cookie))?;
        Some(&pending.wish)
    }

    /// The owner said no.
    pub fn refuse(&mut self, id: &str) {
        self.pending.remove(id);
    }

    /// Makes an authorization code of a wish, if the one-time code is right.
    pub fn allow(&mut self, id: &str, word: &str, now: Timestamp) -> Option<(Wish, String)> {
        let word: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        let owner = self.owner.as_mut().filter(|it| now < it.until && it.tries < TRIES_IN_ALL)?;
        let pending = self.pending.get_mut(id).filter(|it| it.tries < TRIES)?;
        if owner.hash != hash(&word.to_ascii_uppercase()) {
            (owner.tries, pending.tries) = (owner.tries + 1, pending.tries + 1);
            return None;
        }
        let pending = self.pending.remove(id)?;
        let owner = self.owner.take()?;
        let wish =
            Wish { profile: owner.profile, scopes: pending.wish.scopes.and(owner.scopes), ..pending.wish };
        let code = ids::random_hex(32);
        self.codes.retain(|_, (_, until)| now < *until);
        if self.codes.len() < MOST {
            self.codes.insert(hash(&code), (wish.clone(), now.plus_ms(CODE_MS)));
        }
        Some((wish, code))
    }

    /// Takes a code back, once.
    pub fn redeem(&mut self, code: &str, now: Timestamp) -> Redeemed {
        let digest = hash(code);
        self.used.retain(|_, until| now < *until);
        match self.codes.remove(&digest) {
            Some((wish, until)) if now < until => {
                if self.used.len() < 10 * MOST {
                    self.used.insert(digest, now.plus_ms(USED_MS));
                }
                Redeemed::Wish(Box::new(wish))
            }
            Some(_) => Redeemed::Unknown,
            None if self.used.contains_key(&digest) => Redeemed::Again,
            None => Redeemed::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            client: "c".into(),
            name: "Claude".into(),
            redirect: "https://claude.example/cb".into(),
            state: None,
            challenge: "x".into(),
            scopes: Scopes::ALL,
            resource: "https://m/mcp".into(),
            issuer: "https://m".into(),
            profile: None,
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn only_the_owner_s_word_makes_a_code_and_each_is_good_once() {
        let mut desk = Desk::default();
        let (id, cookie) = desk.ask(wish(), NOW);
        assert!(desk.wish(&id, &cookie, NOW).is_some() && desk.wish(&id, "other", NOW).is_none());
        assert!(desk.allow(&id, "", NOW).is_none(), "no word was given yet");
        let read = Scopes::parse(["tools:read"]).unwrap();
        let (word, _) = desk.invite(Some("work".into()), read, NOW);
        assert!(desk.allow(&id, "WRONG", NOW).is_none());
        let (granted, code) = desk.allow(&id, &word.to_lowercase().replace('-', " "), NOW).unwrap();
        assert_eq!((granted.profile.as_deref(), granted.scopes), (Some("work"), read));
        let (other, _) = desk.ask(wish(), NOW);
        assert!(desk.allow(&other, &word, NOW).is_none(), "a word is good once");
        assert_eq!(desk.redeem(&code, NOW), Redeemed::Wish(Box::new(granted)));
        assert_eq!(desk.redeem(&code, NOW), Redeemed::Again);
        assert_eq!(desk.redeem("x", NOW), Redeemed::Unknown);
    }

    #[test]
    fn guesses_end_the_word_and_everything_ends_by_itself() {
        let mut desk = Desk::default();
        let (id, cookie) = desk.ask(wish(), NOW);
        let (word, until) = desk.invite(None, Scopes::ALL, NOW);
        for _ in 0..TRIES {
            assert!(desk.allow(&id, "AAAA-AAAA-A", NOW).is_none());
        }
        assert!(desk.allow(&id, &word, NOW).is_none(), "too many guesses");
        let (other, _) = desk.ask(wish(), NOW);
        assert!(desk.allow(&other, &word, NOW).is_some(), "they were another's");
        let (id, _) = desk.ask(wish(), NOW);
        let (word, _) = desk.invite(None, Scopes::ALL, NOW);
        assert!(desk.allow(&id, &word, until).is_none(), "too late");
        assert!(desk.wish(&id, &cookie, until).is_none());
        let (id, _) = desk.ask(wish(), NOW);
        let (word, _) = desk.invite(None, Scopes::ALL, NOW);
        let (_, code) = desk.allow(&id, &word, NOW).unwrap();
        assert_eq!(desk.redeem(&code, NOW.plus_ms(CODE_MS)), Redeemed::Unknown);
        let (word, _) = desk.invite(None, Scopes::ALL, NOW);
        for _ in 0..=TRIES_IN_ALL {
            let (id, _) = desk.ask(wish(), NOW);
            assert!(desk.allow(&id, "AAAA-AAAA-A", NOW).is_none());
        }
        let (id, _) = desk.ask(wish(), NOW);
        assert!(desk.allow(&id, &word, NOW).is_none(), "too many guesses in all");
        for _ in 0..3 * MOST {
            desk.ask(wish(), NOW);
        }
        assert_eq!(desk.pending.len(), MOST);
    }
}
