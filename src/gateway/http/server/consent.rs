//! The consent of the owner: a client's request is checked, the page is shown once, and the decision goes back to the client.

use super::desk::Wish;
use super::{Door, Fields, fields, form, page, redirect};
use crate::gateway::http::body::Body;
use crate::gateway::http::checks;
use crate::policy::grant::{Registered, Reply, Request as GrantRequest};
use crate::policy::scope::Scopes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use hyper::{HeaderMap, Request, Response, StatusCode};

const COOKIE_NAME: &str = "umcp_consent";
/// The longest state of a client.
const LONGEST_STATE: usize = 2048;

impl Door {
    /// Shows the page, or says why not: to the client where its address is known to be right, else to the person.
    pub(super) async fn ask_for_consent(&self, query: Option<&str>, issuer: &str) -> Response<Body> {
        let Some(asked) = fields(query.unwrap_or_default().as_bytes()) else {
            return page::refusal("A parameter comes twice.");
        };
        let (client, redirect) = match self.client_of(&asked).await {
            Ok(found) => found,
            Err(why) => return page::refusal(why),
        };
        let wish = match self.wish(&asked, client, &redirect, issuer) {
            Ok(wish) => wish,
            Err((error, why)) => {
                let mut answers = vec![("error", error), ("error_description", why), ("iss", issuer)];
                answers.extend(asked.get("state").map(|state| ("state", state.as_str())));
                return sent_back(&redirect, &answers);
            }
        };
        let now = self.gateway.world().shared.engine.now();
        let (id, cookie) = self.gateway.entrance.server.desk().ask(wish.clone(), now);
        let mut response = page::consent(&wish, &id, false);
        let secure = if issuer.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE_NAME}={cookie}; Path=/oauth/authorize; HttpOnly; SameSite=Strict; Max-Age=600{secure}"
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }

    async fn client_of(&self, asked: &Fields) -> Result<(Registered, String), &'static str> {
        let id = asked.get("client_id").ok_or("The client does not say who it is.")?;
        let client = match self.grants(GrantRequest::Client { id: id.clone() }).await {
            Ok(Reply::Client(Some(client))) => client,
            _ => return Err("The client is not known here; it may register again."),
        };
        let asked = asked.get("redirect_uri").ok_or("The client does not say where its answer goes.")?;
        // The registered part is fit; the port that may differ cannot make it unfit, but it costs nothing to look.
        if !redirect::is_fit(asked) || !client.redirects.iter().any(|known| redirect::is_same(known, asked)) {
            return Err("The client wants its answer at an address that it has not registered.");
        }
        Ok((client, asked.clone()))
    }

    fn wish(
        &self,
        asked: &Fields,
        client: Registered,
        redirect: &str,
        issuer: &str,
    ) -> Result<Wish, (&'static str, &'static str)> {
        let text = |name: &str| asked.get(name).map(String::as_str);
        if text("response_type") != Some("code") {
            return Err(("unsupported_response_type", "only code is given"));
        }
        let challenge = text("code_challenge").unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if text("code_challenge_method") != Some("S256")
            || challenge.len() != 43
            || !challenge.chars().all(fits)
        {
            return Err(("invalid_request", "a code_challenge with S256 is needed"));
        }
        if text("state").is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(("invalid_request", "the state is too long"));
        }
        let resource = text("resource").map_or(format!("{issuer}/mcp"), |it| it.trim_end_matches('/').into());
        if !self.is_resource(issuer, &resource) {
            return Err(("invalid_target", "the resource is not served here"));
        }
        let scopes = match text("scope").filter(|scope| !scope.trim().is_empty()) {
            None => Scopes::ALL,
            Some(scope) => Scopes::known_in(scope.split(' ')),
        };
        if scopes.is_empty() {
            return Err(("invalid_scope", "none of the scopes is known"));
        }
        Ok(Wish {
            client: client.id,
            name: client.name,
            redirect: redirect.into(),
            state: text("state").map(Into::into),
            challenge: challenge.into(),
            scopes,
            resource,
            issuer: issuer.into(),
            profile: None,
        })
    }

    /// The owner has decided.
    pub(super) async fn decide(&self, request: Request<Incoming>, issuer: &str) -> Response<Body> {
        let origin = checks::get(request.headers(), "origin").map(str::to_ascii_lowercase);
        if origin.is_some_and(|origin| origin != issuer) {
            return page::refusal("The decision came from another page.");
        }
        let cookie = cookie(request.headers()).unwrap_or_default();
        let said = form(request).await.unwrap_or_default();
        let text = |name: &str| said.get(name).map(String::as_str).unwrap_or_default();
        let now = self.gateway.world().shared.engine.now();
        let mut desk = self.gateway.entrance.server.desk();
        let Some(wish) = desk.wish(text("request"), &cookie, now).cloned() else {
            return page::refusal(
                "The request has ended, or was shown in another browser. Begin again at the client.",
            );
        };
        let state = wish.state.clone();
        let state = state.iter().map(|state| ("state", state.as_str()));
        if text("decision") != "allow" {
            desk.refuse(text("request"));
            let answers = [("error", "access_denied"), ("iss", issuer)];
            return sent_back(&wish.redirect, &answers.into_iter().chain(state).collect::<Vec<_>>());
        }
        let Some((wish, code)) = desk.allow(text("request"), text("word"), now) else {
            return page::consent(&wish, text("request"), true);
        };
        if wish.scopes.is_empty() {
            let answers = [("error", "access_denied"), ("iss", issuer)];
            return sent_back(&wish.redirect, &answers.into_iter().chain(state).collect::<Vec<_>>());
        }
        let answers = [("code", code.as_str()), ("iss", wish.issuer.as_str())];
        sent_back(&wish.redirect, &answers.into_iter().chain(state).collect::<Vec<_>>())
    }
}

/// What the browser keeps of the page; nothing where it says two things.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = all.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then(|| value.to_string())
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn sent_back(address: &str, answers: &[(&str, &str)]) -> Response<Body> {
    let mut response = Response::new(Body::full(""));
    *response.status_mut() = StatusCode::SEE_OTHER;
    match HeaderValue::from_str(&redirect::with(address, answers)) {
        Ok(place) => drop(response.headers_mut().insert(LOCATION, place)),
        Err(_) => return page::refusal("The client's address cannot be sent to."),
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
