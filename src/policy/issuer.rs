//! Issuers whose signed tokens open the endpoint: where their keys lie, for whom a token must be, what it opens.
//! Rule: a token says who comes; what it opens beyond its own words stands here, written by the owner.

use super::scope::Scopes;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::Row;
use serde::{Deserialize, Serialize};

/// An issuer as it is stored, under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    pub name: String,
    /// `iss` of its tokens, exactly.
    pub issuer: String,
    /// What `aud` of its tokens must hold.
    pub audience: String,
    /// Address or absolute path of its keys.
    pub jwks: String,
    /// The only profile its tokens open; `None` opens all.
    pub profile: Option<String>,
    /// What a token opens that says nothing of our scopes.
    pub scopes: Scopes,
    /// Path of the claim with roles.
    pub roles: Option<String>,
    pub created: Timestamp,
}

impl Row for Issuer {
    const KIND: u8 = 43;
    const VERSION: u16 = 1;
}

impl Issuer {
    /// Refuses what could not work or could not be safe.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String, hint: &str| Err(Error::new(&codes::VALUE_INVALID, message).hint(hint));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if self.name == "grant"
            || self.name.is_empty()
            || self.name.len() > 40
            || !self.name.chars().all(plain)
        {
            return Err(Error::new(&codes::NAME_INVALID, format!("`{}` cannot name an issuer", self.name))
                .hint("use letters, digits, `-` and `_`, at most 40"));
        }
        if !is_safe(&self.issuer) {
            let hint = "write it exactly as the issuer does, such as https://id.example.com/realms/main";
            return refuse(format!("`{}` is no issuer", self.issuer), hint);
        }
        if self.audience.trim().is_empty() {
            return refuse(
                "the audience is empty".into(),
                "give what `aud` of the tokens says, often the endpoint's address",
            );
        }
        if !is_safe(&self.jwks) && !std::path::Path::new(&self.jwks).is_absolute() {
            let hint = "give https://… or a file; plain http only for this machine";
            return refuse(format!("`{}` is no place for keys", self.jwks), hint);
        }
        Ok(())
    }
}

/// `https`, or `http` to this machine.
fn is_safe(address: &str) -> bool {
    if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return false;
    }
    if let Some(rest) = address.strip_prefix("https://") {
        return !rest.is_empty() && !rest.starts_with('/');
    }
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    };
    !authority.contains('@') && ["localhost", "127.0.0.1", "::1"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_that_could_not_be_safe_is_refused() {
        let good = Issuer {
            name: "corp".into(),
            issuer: "https://id.example.com".into(),
            audience: "https://mcp.example.com/mcp".into(),
            jwks: "https://id.example.com/jwks".into(),
            profile: None,
            scopes: Scopes::NONE,
            roles: None,
            created: Timestamp(0),
        };
        assert!(good.check().is_ok());
        let with = |change: fn(&mut Issuer)| {
            let mut issuer = good.clone();
            change(&mut issuer);
            issuer.check().is_ok()
        };
        assert!(with(|it| it.jwks = "http://127.0.0.1:9/jwks".into()));
        assert!(with(|it| it.jwks = "http://[::1]:9/jwks".into()));
        #[cfg(unix)]
        assert!(with(|it| it.jwks = "/etc/umcp/jwks.json".into()));
        assert!(!with(|it| it.jwks = "jwks.json".into()));
        assert!(!with(|it| it.jwks = "http://id.example.com/jwks".into()));
        assert!(!with(|it| it.jwks = "http://localhost:1@evil.example/jwks".into()));
        assert!(!with(|it| it.issuer = "http://id.example.com".into()));
        assert!(!with(|it| it.issuer = "https://".into()));
        assert!(!with(|it| it.audience = " ".into()));
        assert!(!with(|it| it.name = "a:b".into()));
        assert!(!with(|it| it.name = "grant".into()), "so begin the names of grants");
    }
}
