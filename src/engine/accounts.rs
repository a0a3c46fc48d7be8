//! What can be asked about signing in: only the daemon answers, since it holds the tokens and speaks with providers.
//! Plain data. Rule: what is secret travels as [`Hidden`], which no log and no error shows.

use crate::integrations::Connection;
use crate::integrations::model::Grant;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret on its way to the daemon. Only the local socket sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountRequest {
    /// Begins a sign-in, or does all of it where no person is needed.
    Begin(Box<SignIn>),
    /// Waits until a begun sign-in is done.
    Wait { id: String },
    /// The address the browser was sent back to, for a machine without a browser.
    Answer { id: String, url: Hidden },
    /// Gets a new token now.
    Refresh { name: String },
    /// Asks the provider or the server whether the account still works.
    Validate { name: String },
    /// Takes the tokens back at the provider where it offers that, and forgets the connections.
    Revoke { names: Vec<String>, local: bool },
    /// Puts the secret of an integration into the vault.
    SetSecret { integration: String, secret: Hidden },
    /// Removes it from there.
    ForgetSecret { integration: String },
}

/// What is wanted of a sign-in; what is left open is found out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SignIn {
    /// A server or an integration, by name.
    pub target: String,
    /// Name of the connection; the target's own where none is given.
    pub name: Option<String>,
    pub user: Option<String>,
    pub grant: Option<Grant>,
    pub client_id: Option<String>,
    /// A secret, or the PEM of a private key.
    pub client_secret: Option<Hidden>,
    /// The secret is a key that signs assertions.
    pub signs: bool,
    pub client_metadata: Option<String>,
    pub scopes: Vec<String>,
    pub redirect_port: Option<u16>,
    /// For basic sign-in.
    pub username: Option<String>,
    /// The key, token or password that is handed over.
    pub key: Option<Hidden>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountReply {
    Step(Step),
    Connection(Box<Connection>),
    Checked(Checked),
    Revoked(Vec<Revoked>),
    Done,
}

/// What the person has to do next.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Open `url` in a browser; it comes back to `redirect`.
    Browse {
        id: String,
        url: String,
        redirect: String,
    },
    /// Open `url` anywhere and type in `code`.
    Enter {
        id: String,
        url: String,
        code: String,
        complete: Option<String>,
    },
    Done(Box<Connection>),
}

/// How a check of an account went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    pub connection: Box<Connection>,
    pub ok: bool,
    /// What was asked, such as `GET https://api.github.com/user`.
    pub asked: String,
    pub detail: Option<String>,
}

/// What became of a connection that was taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revoked {
    pub name: String,
    /// The provider has taken back its tokens.
    pub at_provider: bool,
    /// Why not, in words.
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let sign_in = SignIn { client_secret: Some(Hidden("s3cr3t".into())), ..SignIn::default() };
        assert!(!format!("{sign_in:?}").contains("s3cr3t"));
    }
}
