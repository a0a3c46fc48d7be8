//! HTTP calls of an app, signed: by the keys of its settings, or in the name of the account of its integration.
//! A value the user gave to a setting goes before an account, and an account before a secret that merely has the
//! setting's name. A key handed over stands where the app puts keys; a token of OAuth goes the way OAuth says.

use super::http;
use super::server::Server;
use crate::apps::answer::Outcome;
use crate::apps::model::{Definition, Http, Scheme, Tool};
use crate::apps::request::{self, Prepared};
use crate::error::{Error, Kind as ErrorKind, Result, codes};
use crate::ids;
use crate::integrations::model::{Kind, Standing};
use crate::upstream::oauth::{Account, needs_sign_in};
use hyper::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Whether only a sign-in helps against an error.
pub fn is_wanted(error: &Error) -> bool {
    [&codes::SIGN_IN_NEEDED, &codes::UPSTREAM_SIGN_IN, &codes::CONNECTION_NOT_FOUND]
        .iter()
        .any(|code| error.is(code))
}

/// A request that is ready, and who signed it with what.
pub(super) struct Signed {
    pub prepared: Prepared,
    pub by: Option<(Arc<Account>, String)>,
    /// The account puts its own header there, anew for each address.
    pub itself: bool,
}

impl Server {
    /// Sends a tool's request, once more with a new token after one that was refused.
    pub(super) async fn send(
        self: &Arc<Self>,
        tool: &Tool,
        http: &Http,
        arguments: &Map<String, Value>,
        record: bool,
    ) -> Result<Outcome> {
        let deadline = Duration::from_millis(tool.timeout_ms);
        let exchange = async {
            let (signed, response) = self.asked(tool, http, arguments, deadline).await?;
            let first = http::answer(response, tool, http, record).await?;
            self.follow(tool, http, &signed, first, deadline).await
        };
        match timeout(deadline, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let seconds = deadline.as_secs_f64();
                let message = format!("`{}` had no answer within {seconds} s", tool.name);
                Err(Error::new(&codes::TIMED_OUT, message))
            }
        }
    }

    async fn asked(
        self: &Arc<Self>,
        tool: &Tool,
        http: &Http,
        arguments: &Map<String, Value>,
        deadline: Duration,
    ) -> Result<(Signed, Response)> {
        let signed = self.signed(tool, http, arguments).await?;
        let response = http::exchange(&self.web, http, &signed.prepared, deadline).await?;
        let (true, Some((account, used))) = (response.status() == StatusCode::UNAUTHORIZED, &signed.by)
        else {
            return Ok((signed, response));
        };
        if !account.rejected(used).await? {
            return Err(refused(account));
        }
        let again = self.signed(tool, http, arguments).await?;
        let response = http::exchange(&self.web, http, &again.prepared, deadline).await?;
        match response.status() == StatusCode::UNAUTHORIZED {
            true => Err(refused(account)),
            false => Ok((again, response)),
        }
    }

    async fn signed(
        self: &Arc<Self>,
        tool: &Tool,
        http: &Http,
        arguments: &Map<String, Value>,
    ) -> Result<Signed> {
        let account = self.account(http).await?;
        let row = account.as_ref().map(|account| account.row());
        let token = match (&account, row.as_ref().map(|row| row.kind)) {
            (Some(account), Some(kind)) if kind != Kind::None => Some(account.token().await?),
            _ => None,
        };
        let by_account = row.is_some_and(|row| signs_itself(row.kind, &self.definition, http));
        let (name, given, filled) = (tool.name.clone(), arguments.clone(), token.clone());
        let built = self.beside(move |this| this.request(&name, &given, filled.as_deref(), by_account)).await;
        let mut prepared = built.map_err(|error| self.or_sign_in(error, account.is_some()))?;
        let (Some(account), Some(mut used)) = (account, token) else {
            return Ok(Signed { prepared, by: None, itself: false });
        };
        if by_account {
            used = put_account(&account, &mut prepared).await?;
        }
        Ok(Signed { prepared, by: Some((account, used)), itself: by_account })
    }

    /// The account that signs a tool's requests; `None` where the settings do, or nobody has signed in.
    async fn account(self: &Arc<Self>, http: &Http) -> Result<Option<Arc<Account>>> {
        let Some(integration) = self.app.integration.clone() else { return Ok(None) };
        let own = |name: &String| self.upstream.entry.env.contains_key(name);
        let by_hand = self.definition.settings.iter().any(|one| one.secret && own(&one.name));
        if http.auth.iter().all(Vec::is_empty) || by_hand {
            return Ok(None);
        }
        // Beside the runtime: the vault may have to be opened.
        self.beside(move |this| this.values.shared.accounts.of_app(&integration, &this.chosen)).await
    }

    /// A key that is missing is said to be a sign-in that is missing, where there is something to sign in to.
    fn or_sign_in(&self, error: Error, signed_in: bool) -> Error {
        let missing = error.kind() == ErrorKind::Credential && error.is(&codes::SECRET_MISSING);
        let (Some(integration), true, false) = (&self.app.integration, missing, signed_in) else {
            return error;
        };
        let message = format!("no account of `{integration}` has signed in");
        let needed =
            Error::new(&codes::SIGN_IN_NEEDED, message).hint(format!("umcp connection create {integration}"));
        error.hints.into_iter().fold(needed, Error::hint)
    }

    /// The request, with the headers of the server's entry over those of the tool. May block.
    fn request(
        &self,
        tool: &str,
        arguments: &Map<String, Value>,
        token: Option<&str>,
        by_account: bool,
    ) -> Result<Prepared> {
        let Some(http) = self.definition.tool(tool).and_then(Tool::http) else {
            return Err(Error::bug("a tool that is not there"));
        };
        let resolve = |text: &str| self.values.resolve(&self.definition, text, token);
        let boundary = format!("umcp-{}", ids::random_hex(12));
        let bare = by_account.then(|| Http { auth: Vec::new(), ..http.clone() });
        let http = bare.as_ref().unwrap_or(http);
        let mut prepared = request::build(&self.definition, http, arguments, &resolve, &boundary)?;
        for (name, value) in &self.upstream.entry.headers {
            let value = self.values.shared.resolve_for(value, &format!("header {name}"), &self.chosen)?;
            prepared.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            prepared.headers.push((name.clone(), value));
        }
        Ok(prepared)
    }
}

/// Puts an account's own header into a request; gives the token it used.
pub(super) async fn put_account(account: &Arc<Account>, prepared: &mut Prepared) -> Result<String> {
    let url = prepared.url.parse().map_err(|error| {
        Error::new(&codes::ARGUMENTS_INVALID, "the request has no valid address").because(error)
    })?;
    let mut headers = HeaderMap::new();
    let used = account.authorize(&prepared.method, &url, &mut headers).await?;
    for (name, value) in &headers {
        let value = value.to_str().unwrap_or_default().to_string();
        prepared.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_str()));
        prepared.headers.push((name.to_string(), value));
    }
    Ok(used)
}

/// Whether an account brings its own header instead of standing where the app puts its key.
fn signs_itself(kind: Kind, definition: &Definition, http: &Http) -> bool {
    let in_header = |name: &String| {
        matches!(definition.schemes.get(name), None | Some(Scheme::Header { .. } | Scheme::Basic { .. }))
    };
    match kind {
        Kind::None => true,
        Kind::Oauth2 => http.auth.iter().any(|set| !set.is_empty() && set.iter().all(in_header)),
        Kind::Oauth1 | Kind::Basic => true,
        Kind::ApiKey | Kind::Bearer => false,
    }
}

/// The service takes neither the token nor a new one.
fn refused(account: &Account) -> Error {
    let row = account.row();
    if row.standing != Standing::Ready {
        return needs_sign_in(&row);
    }
    let message = format!("the service no longer takes the key of the account `{}`", row.name);
    Error::new(&codes::SIGN_IN_NEEDED, message).hint(format!("umcp connection create {}", row.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_where_oauth_says_and_a_key_where_the_app_says() {
        let definition = Definition {
            schemes: [
                ("bot".into(), Scheme::Header { name: "Authorization".into(), value: "Bot ${T}".into() }),
                ("query".into(), Scheme::Query { name: "key".into(), value: "${T}".into() }),
            ]
            .into(),
            ..Definition::default()
        };
        for (kind, scheme, expected) in [
            (Kind::Oauth2, "bot", true),
            (Kind::Oauth2, "query", false),
            (Kind::Bearer, "bot", false),
            (Kind::ApiKey, "query", false),
            (Kind::Basic, "bot", true),
            (Kind::Oauth1, "query", true),
        ] {
            let http = Http { auth: vec![vec![scheme.into()]], ..Http::default() };
            assert_eq!(signs_itself(kind, &definition, &http), expected, "{kind:?} {scheme}");
        }
    }
}
