//! What a sign-in needs, found out before anybody is asked anything: provider, client, scopes, resource.
//! Not here: the steps of the person. Rule: what the user wrote goes before what was found, and that before a guess.

use super::account::Held;
use super::client::{self, Client, choose_auth};
use super::discovery::{self, Found, Issuer};
use super::loopback::Loopback;
use super::web::Net;
use super::{Accounts, Challenge, MAX_STEPS};
use crate::engine::accounts::SignIn;
use crate::error::{Error, Result, codes};
use crate::integrations::document;
use crate::integrations::model::{
    ClientAuth, Connection, Endpoints, Grant, Integration, KeyPlace, Kind, Standing, Target,
};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use url::Url;

/// Whom a sign-in is for.
pub enum Aim {
    Server { id: String, name: String, url: String },
    Integration(Box<Integration>),
}

impl Aim {
    pub fn name(&self) -> &str {
        match self {
            Self::Server { name, .. } => name,
            Self::Integration(integration) => &integration.name,
        }
    }

    fn target(&self) -> Target {
        match self {
            Self::Server { id, .. } => Target::Server(id.clone()),
            Self::Integration(integration) => Target::Integration(integration.id.clone()),
        }
    }
}

/// Everything that is known before the first step.
pub struct Plan {
    pub net: Net,
    pub issuer: Issuer,
    pub extra: BTreeMap<String, String>,
    pub client: Client,
    /// The user gave the client.
    pub own_client: bool,
    pub loopback: Option<Loopback>,
    /// The connection as it will be, without tokens.
    pub row: Connection,
}

impl Plan {
    /// What the vault will hold besides the tokens.
    pub fn held(&self) -> Held {
        let own = matches!(self.row.target, Target::Server(_)) || self.own_client;
        Held {
            client_secret: self.client.secret.clone().filter(|_| own),
            own_client: self.own_client,
            ..Held::default()
        }
    }
}

impl Accounts {
    /// The connection a sign-in makes or renews.
    pub(super) fn draft(&self, aim: &Aim, wish: &SignIn, kind: Kind) -> Result<Connection> {
        let rows = self.rows()?;
        let target = aim.target();
        let mine: Vec<&Connection> = rows.iter().filter(|row| row.target == target).collect();
        let name = wish.name.as_deref();
        let known = match (name, mine.as_slice()) {
            (Some(name), _) => mine.iter().find(|row| row.name == name).copied(),
            (None, []) => None,
            (None, mine) => mine.iter().find(|row| row.chosen).or(mine.first()).copied(),
        };
        if let Some(known) = known {
            let user = wish.user.clone().or_else(|| known.user.clone());
            return Ok(Connection { kind, user, standing: Standing::Ready, ..known.clone() });
        }
        let taken = |name: &str| rows.iter().any(|row| row.name == name);
        let name = match name {
            Some(name) if taken(name) => {
                let message = format!("a connection named `{name}` exists already, for something else");
                return Err(
                    Error::new(&codes::CONNECTION_EXISTS, message).hint("give another name with --name")
                );
            }
            Some(name) => name.into(),
            None if taken(aim.name()) => format!("{}-account", aim.name()),
            None => aim.name().into(),
        };
        crate::integrations::model::check_name(&name)?;
        let now = self.ground.engine.now();
        Ok(Connection {
            id: crate::ids::fresh("con"),
            name,
            target,
            user: wish.user.clone(),
            chosen: mine.is_empty(),
            profiles: Vec::new(),
            directories: Vec::new(),
            kind,
            grant: Grant::Static,
            standing: Standing::Ready,
            endpoints: Endpoints::default(),
            client_id: None,
            client_auth: ClientAuth::None,
            resource: None,
            key_place: KeyPlace::default(),
            scopes: Vec::new(),
            wanted: Vec::new(),
            stepped_up: 0,
            obtained: now,
            expires: None,
            refreshable: false,
            last_used: None,
            refreshes: 0,
            failures: 0,
            last_error: None,
            created: now,
        })
    }

    /// Finds out all that a sign-in with OAuth 2 needs.
    pub(super) async fn plan(&self, aim: &Aim, wish: &SignIn) -> Result<Plan> {
        let mut row = self.draft(aim, wish, Kind::Oauth2)?;
        let before = Held::read(&self.ground, &row).ok();
        let (net, found, challenge, described) = match aim {
            Aim::Server { url, .. } => {
                let net = Net::for_server(url).await;
                let (found, challenge) = describe(&net, url).await?;
                (net, found, challenge, true)
            }
            Aim::Integration(integration) => {
                let net = Net::anywhere();
                let (found, described) = preset(&net, integration).await?;
                (net, found, Challenge::default(), described)
            }
        };
        row.grant = grant(wish, &found.issuer)?;
        row.scopes = scopes(&mut row, wish, aim, &challenge, &found)?;
        row.resource = matches!(aim, Aim::Server { .. }).then(|| found.resource.clone());
        if described && row.grant == Grant::Code {
            check_pkce(&found.issuer)?;
        }
        let mut plan = Plan {
            net,
            issuer: found.issuer,
            extra: BTreeMap::new(),
            client: Client { id: String::new(), auth: ClientAuth::None, secret: None },
            own_client: false,
            loopback: None,
            row,
        };
        if let Aim::Integration(integration) = aim {
            plan.extra.clone_from(&integration.extra);
            plan.row.key_place = integration.key_place.clone();
        }
        self.identify(&mut plan, aim, wish, before).await?;
        plan.row.endpoints = endpoints(&plan.issuer, aim);
        plan.row.client_id = Some(plan.client.id.clone());
        plan.row.client_auth = plan.client.auth;
        Ok(plan)
    }

    /// As whom umcp signs in: the client the user gave now or before, one described by a document, one registered now.
    async fn identify(&self, plan: &mut Plan, aim: &Aim, wish: &SignIn, before: Option<Held>) -> Result<()> {
        let offered = plan.issuer.token_endpoint_auth_methods_supported.clone();
        let auth = |has_secret: bool, own: Option<ClientAuth>| match own {
            _ if wish.signs => ClientAuth::PrivateKeyJwt,
            Some(own) if has_secret || own == ClientAuth::None => own,
            _ => choose_auth(offered.as_deref(), has_secret),
        };
        let same_issuer = plan.row.endpoints.issuer.as_deref().unwrap_or_default() == plan.issuer.issuer;
        let (own_id, own_secret, own_auth, own_port, own_document) = match aim {
            Aim::Integration(integration) => (
                integration.client_id.clone(),
                self.ground.keep.get(&integration.secret_name())?,
                integration.client_auth,
                integration.redirect_port,
                integration.client_metadata.clone(),
            ),
            Aim::Server { .. } => (None, None, None, None, None),
        };
        let document = wish.client_metadata.clone().or(own_document);
        document.as_deref().map_or(Ok(()), document::check)?;
        let port = wish.redirect_port.or(own_port);
        let browses = plan.row.grant == Grant::Code;
        let open = async |known: bool| match browses {
            true => Loopback::open(port, known).await.map(Some),
            false => Ok(None),
        };
        let given = wish.client_secret.as_ref().map(|secret| secret.0.clone());
        if let Some(id) = wish.client_id.clone().or(own_id) {
            let by_hand = wish.client_id.is_some();
            let secret = if by_hand { given } else { given.or(own_secret) };
            plan.client = Client { auth: auth(secret.is_some(), own_auth), id, secret };
            plan.own_client = by_hand;
            plan.loopback = open(true).await?;
        } else if let (Some(held), Some(id), true) =
            (before.filter(|held| held.own_client), plan.row.client_id.clone(), same_issuer)
        {
            plan.client = Client { id, auth: plan.row.client_auth, secret: held.client_secret };
            plan.own_client = true;
            plan.loopback = open(true).await?;
        } else if let (Some(document), true) = (document, plan.issuer.client_id_metadata_document_supported) {
            plan.client = Client { id: document, auth: ClientAuth::None, secret: None };
            plan.loopback = open(true).await?;
        } else {
            plan.loopback = open(false).await?;
            let redirect = match &plan.loopback {
                Some(loopback) => loopback.redirect(),
                None => "http://127.0.0.1/callback".into(),
            };
            let grants: &[&str] = match plan.row.grant {
                Grant::Device => &["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
                Grant::ClientCredentials => &["client_credentials"],
                Grant::Code | Grant::Static => &["authorization_code", "refresh_token"],
            };
            plan.client =
                client::register(&plan.net, &plan.issuer, &redirect, &plan.row.scopes, grants).await?;
        }
        if plan.client.auth == ClientAuth::PrivateKeyJwt {
            super::assertion::check(plan.client.secret.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Asks a server without a token, and follows what it says.
async fn describe(net: &Net, address: &str) -> Result<(Found, Challenge)> {
    let url = Url::parse(address).map_err(|error| {
        Error::new(&codes::SERVER_INVALID, format!("`{address}` is no address")).because(error)
    })?;
    let challenge = knock(net, address).await;
    let found = discovery::discover(net, &url, &challenge).await?;
    Ok((found, challenge))
}

/// What the server answers to somebody it does not know. Some let everybody greet them, and ask only then.
async fn knock(net: &Net, address: &str) -> Challenge {
    for body in [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"umcp","version":"0"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        match net.post(address, headers, "application/json", body.into()).await {
            Ok(answer) if answer.status == 401 => return Challenge::of(&answer.headers).unwrap_or_default(),
            // Silence: its description is looked for all the same.
            Err(_) => break,
            Ok(_) => {}
        }
    }
    Challenge::default()
}

/// The provider of an integration: as it describes itself, or as the integration names it.
async fn preset(net: &Net, integration: &Integration) -> Result<(Found, bool)> {
    let missing = integration.missing();
    if !missing.is_empty() {
        let message = format!("integration `{}` lacks {}", integration.name, missing.join(" and "));
        return Err(Error::new(&codes::INTEGRATION_INCOMPLETE, message)
            .hint(format!("umcp integration configure {} {} …", integration.name, missing[0])));
    }
    let own = &integration.endpoints;
    let mut described = false;
    let mut issuer = Issuer::default();
    if let (Some(address), None) = (&own.issuer, &own.token) {
        issuer = discovery::issuer_metadata(net, address).await?.ok_or_else(|| {
            Error::new(&codes::SIGN_IN_FAILED, format!("the provider `{address}` describes itself nowhere"))
        })?;
        described = true;
    } else {
        issuer.issuer = own.issuer.clone().unwrap_or_default();
    }
    let or = |own: &Option<String>, found: Option<String>| own.clone().or(found);
    issuer.authorization_endpoint = or(&own.authorize, issuer.authorization_endpoint);
    issuer.device_authorization_endpoint = or(&own.device, issuer.device_authorization_endpoint);
    issuer.revocation_endpoint = or(&own.revoke, issuer.revocation_endpoint);
    issuer.token_endpoint = own.token.clone().unwrap_or(issuer.token_endpoint);
    Ok((Found { issuer, resource: String::new(), scopes: None }, described))
}

fn endpoints(issuer: &Issuer, aim: &Aim) -> Endpoints {
    Endpoints {
        issuer: Some(issuer.issuer.clone()).filter(|issuer| !issuer.is_empty()),
        authorize: issuer.authorization_endpoint.clone(),
        token: Some(issuer.token_endpoint.clone()),
        device: issuer.device_authorization_endpoint.clone(),
        revoke: issuer.revocation_endpoint.clone(),
        test: match aim {
            Aim::Integration(integration) => integration.endpoints.test.clone(),
            Aim::Server { .. } => None,
        },
        temporary: None,
    }
}

fn grant(wish: &SignIn, issuer: &Issuer) -> Result<Grant> {
    let lacks = |what: &str| {
        Err(Error::new(&codes::SIGN_IN_FAILED, format!("the provider offers no {what}"))
            .hint("umcp connection create NAME --flow code|device|client-credentials"))
    };
    match (wish.grant, &issuer.authorization_endpoint, &issuer.device_authorization_endpoint) {
        (Some(Grant::Code), None, _) => lacks("sign-in in a browser"),
        (Some(Grant::Device), _, None) => lacks("sign-in with a code from another device"),
        (Some(chosen), ..) => Ok(chosen),
        (None, Some(_), _) => Ok(Grant::Code),
        (None, None, Some(_)) => Ok(Grant::Device),
        (None, None, None) => Ok(Grant::ClientCredentials),
    }
}

/// The scopes to ask for. Rights a server asked for since the last sign-in are added to those granted then.
fn scopes(
    row: &mut Connection,
    wish: &SignIn,
    aim: &Aim,
    challenge: &Challenge,
    found: &Found,
) -> Result<Vec<String>> {
    let mut scopes = if !wish.scopes.is_empty() {
        wish.scopes.clone()
    } else if !row.wanted.is_empty() {
        if row.stepped_up >= MAX_STEPS {
            let message = format!("`{}` was asked for more rights {MAX_STEPS} times already", row.name);
            return Err(Error::new(&codes::SIGN_IN_FAILED, message).hint(format!(
                "umcp connection create {} --scope {}",
                row.name,
                row.wanted.join(",")
            )));
        }
        row.stepped_up += 1;
        row.scopes.clone()
    } else {
        let own = match aim {
            Aim::Integration(integration) => integration.scopes.clone(),
            Aim::Server { .. } => Vec::new(),
        };
        match (challenge.scopes(), &found.scopes) {
            (asked, _) if !asked.is_empty() => asked,
            (_, Some(offered)) if own.is_empty() => offered.clone(),
            _ => own,
        }
    };
    if !wish.scopes.is_empty() {
        row.stepped_up = 0;
    }
    for wanted in std::mem::take(&mut row.wanted) {
        if !scopes.contains(&wanted) {
            scopes.push(wanted);
        }
    }
    let offline = "offline_access".to_string();
    let offers = found.issuer.scopes_supported.as_ref().is_some_and(|all| all.contains(&offline));
    if offers
        && matches!(row.grant, Grant::Code | Grant::Device)
        && !scopes.is_empty()
        && !scopes.contains(&offline)
    {
        scopes.push(offline);
    }
    Ok(scopes)
}

/// Without PKCE a stolen code could be used; a server that describes itself must offer it.
fn check_pkce(issuer: &Issuer) -> Result<()> {
    let offered = issuer.code_challenge_methods_supported.as_deref().unwrap_or_default();
    match offered.iter().any(|method| method == "S256") {
        true => Ok(()),
        false => {
            let message = format!("`{}` does not say that it protects codes (PKCE with S256)", issuer.issuer);
            Err(Error::new(&codes::SIGN_IN_UNSAFE, message))
        }
    }
}
