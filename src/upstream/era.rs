//! The first exchange with a server: which era it speaks, and what it declares.
//! A server of unknown era is asked `server/discover`; whatever is not a modern answer means `initialize`,
//! on the same connection. The verdict is remembered with the catalogue by the caller.

use super::connection::{Agreement, Connection};
use super::link::Outgoing;
use super::message::{Answer, code};
use crate::error::{Error, Result, codes};
use crate::servers::model::EraChoice;
use crate::tools::Era;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

pub const MODERN: &str = "2026-07-28";
/// Newest first; the first is what umcp asks for.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// A server that has not answered the probe by then is asked `initialize` as well; the first good answer decides.
const PROBE_PATIENCE: Duration = Duration::from_millis(1500);

/// What umcp declares to legacy servers, for all clients together; a client that cannot do one of these is
/// protected at run time, when the server asks.
fn client_capabilities() -> Value {
    json!({"roots": {"listChanged": true}, "sampling": {"tools": {}, "context": {}}, "elicitation": {"form": {}, "url": {}}})
}

/// Name and version of umcp as a peer sees them.
pub fn own_info() -> Value {
    json!({"name": "umcp", "title": "umcp", "version": env!("CARGO_PKG_VERSION")})
}

/// Per-request metadata of the modern era, without braces: version, capabilities, client.
pub fn modern_meta(capabilities: &str, client: &str) -> String {
    let mut text = String::new();
    push_modern_meta(&mut text, capabilities, client);
    text
}

/// Appends the same to the metadata of a call.
pub fn push_modern_meta(text: &mut String, capabilities: &str, client: &str) {
    let _ = write!(
        text,
        r#""io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{capabilities},"io.modelcontextprotocol/clientInfo":{client}"#
    );
}

/// Agrees with the server. `remembered` is the verdict of an earlier connection.
pub async fn handshake(
    connection: &Connection,
    choice: EraChoice,
    remembered: Option<Era>,
    timeout: Duration,
) -> Result<Agreement> {
    let known = match choice {
        EraChoice::Legacy => Some(Era::Legacy),
        EraChoice::Modern => Some(Era::Modern),
        EraChoice::Auto => remembered,
    };
    let agreement = match known {
        Some(Era::Legacy) => match initialize(connection, timeout).await? {
            Verdict::Agreed(agreement) => agreement,
            Verdict::Other(_) if choice == EraChoice::Auto => modern_or_fail(connection, timeout).await?,
            Verdict::Other(reason) => return Err(reason),
        },
        Some(Era::Modern) => match discover(connection, timeout).await? {
            Verdict::Agreed(agreement) => agreement,
            Verdict::Other(_) if choice == EraChoice::Auto => legacy_or_fail(connection, timeout).await?,
            Verdict::Other(reason) => return Err(reason),
        },
        None => probe(connection, timeout).await?,
    };
    connection.agreed(agreement.era, &agreement.revision);
    if agreement.era == Era::Legacy {
        connection.notify("notifications/initialized", "{}");
    }
    Ok(agreement)
}

/// Asks `server/discover` first. A server that stays silent is asked `initialize` too, since some never answer
/// what they do not know, and a slow start looks the same.
async fn probe(connection: &Connection, timeout: Duration) -> Result<Agreement> {
    let discover = discover(connection, timeout);
    tokio::pin!(discover);
    tokio::select! {
        verdict = &mut discover => match verdict? {
            Verdict::Agreed(agreement) => return Ok(agreement),
            Verdict::Other(_) => return legacy_or_fail(connection, timeout).await,
        },
        () = tokio::time::sleep(PROBE_PATIENCE) => {}
    }
    let initialize = initialize(connection, timeout);
    tokio::pin!(initialize);
    tokio::select! {
        verdict = &mut discover => match verdict? {
            Verdict::Agreed(agreement) => Ok(agreement),
            Verdict::Other(reason) => initialize.await?.or(reason),
        },
        verdict = &mut initialize => match verdict? {
            Verdict::Agreed(agreement) => Ok(agreement),
            Verdict::Other(reason) => discover.await?.or(reason),
        },
    }
}

enum Verdict {
    Agreed(Agreement),
    /// The server answered, but not in this era.
    Other(Error),
}

impl Verdict {
    fn or(self, reason: Error) -> Result<Agreement> {
        match self {
            Self::Agreed(agreement) => Ok(agreement),
            Self::Other(_) => Err(reason),
        }
    }
}

async fn legacy_or_fail(connection: &Connection, timeout: Duration) -> Result<Agreement> {
    match initialize(connection, timeout).await? {
        Verdict::Agreed(agreement) => Ok(agreement),
        Verdict::Other(reason) => Err(reason),
    }
}

async fn modern_or_fail(connection: &Connection, timeout: Duration) -> Result<Agreement> {
    match discover(connection, timeout).await? {
        Verdict::Agreed(agreement) => Ok(agreement),
        Verdict::Other(reason) => Err(reason),
    }
}

async fn ask(connection: &Connection, method: &str, params: &str, timeout: Duration) -> Result<Answer> {
    let id = connection.next_id();
    connection
        .request(Outgoing { id, method, params, listener: None, timeout, name: None, headers: &[] })
        .await
}

async fn initialize(connection: &Connection, timeout: Duration) -> Result<Verdict> {
    let params = json!({"protocolVersion": LEGACY[0], "capabilities": client_capabilities(), "clientInfo": own_info()});
    connection.agreed(Era::Legacy, "");
    let answer = match ask(connection, "initialize", &params.to_string(), timeout).await {
        Ok(answer) => answer,
        Err(error) if error.is(&codes::UPSTREAM_HTTP) => return Ok(Verdict::Other(error)),
        Err(error) => return Err(error),
    };
    if !answer.ok {
        return Ok(Verdict::Other(refused("initialize", &answer)));
    }
    let result = answer.json();
    let revision = result["protocolVersion"].as_str().unwrap_or_default();
    if !LEGACY.contains(&revision) {
        let message = format!("the server speaks protocol `{revision}`, which umcp does not know");
        return Ok(Verdict::Other(Error::new(&codes::UPSTREAM_PROTOCOL, message)));
    }
    Ok(Verdict::Agreed(Agreement {
        era: Era::Legacy,
        revision: revision.into(),
        server_info: result["serverInfo"].to_string(),
        capabilities: result["capabilities"].to_string(),
        instructions: result["instructions"].as_str().map(Into::into),
    }))
}

async fn discover(connection: &Connection, timeout: Duration) -> Result<Verdict> {
    let meta = modern_meta(&client_capabilities().to_string(), &own_info().to_string());
    connection.agreed(Era::Modern, MODERN);
    let params = format!(r#"{{"_meta":{{{meta}}}}}"#);
    let mut outcome = ask(connection, "server/discover", &params, timeout).await;
    if outcome.as_ref().is_ok_and(speaks_modern_after_all) {
        outcome = ask(connection, "server/discover", &params, timeout).await;
    }
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) if error.is(&codes::UPSTREAM_HTTP) || error.is(&codes::UPSTREAM_PROTOCOL) => {
            return Ok(Verdict::Other(error));
        }
        Err(error) => return Err(error),
    };
    if !answer.ok {
        return Ok(Verdict::Other(refused("server/discover", &answer)));
    }
    let result = answer.json();
    let speaks =
        result["supportedVersions"].as_array().is_some_and(|all| all.iter().any(|one| one == MODERN));
    if !speaks {
        // Seen in the wild: legacy servers that answer anything with an empty success.
        return Ok(Verdict::Other(Error::new(
            &codes::UPSTREAM_PROTOCOL,
            "the server's discovery names no revision umcp knows",
        )));
    }
    let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    let info = if info.is_null() { &result["serverInfo"] } else { info };
    Ok(Verdict::Agreed(Agreement {
        era: Era::Modern,
        revision: MODERN.into(),
        server_info: info.to_string(),
        capabilities: result["capabilities"].to_string(),
        instructions: result["instructions"].as_str().map(Into::into),
    }))
}

/// Whether a server refused our revision and named the very same one: such a server is asked once more.
fn speaks_modern_after_all(answer: &Answer) -> bool {
    let supported =
        |data: &Value| data["supported"].as_array().is_some_and(|all| all.iter().any(|it| it == MODERN));
    !answer.ok && answer.code() == code::UNSUPPORTED_VERSION && supported(&answer.json()["data"])
}

fn refused(method: &str, answer: &Answer) -> Error {
    let known = [code::METHOD_NOT_FOUND, code::UNSUPPORTED_VERSION, code::INVALID_PARAMS];
    let message = format!("the server refused `{method}`: {}", answer.message());
    let error = Error::new(&codes::UPSTREAM_PROTOCOL, message);
    if known.contains(&answer.code()) { error } else { error.because(answer.text()) }
}
