//! Signing in with a code that is typed in on another device (RFC 8628).
//! Rule: the provider sets the pace of asking, within bounds of ours.

use super::Accounts;
use super::authorize::shown;
use super::plan::Plan;
use super::token::Refusal;
use crate::engine::accounts::Step;
use crate::error::{Error, Result, codes};
use crate::integrations::model::check_address;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The pace where the provider names none, the slowest it may name, and what `slow_down` adds.
const PACE: u64 = 5;
const SLOWEST: u64 = 60;
const SLOWER: u64 = 5;

#[derive(Deserialize)]
struct Code {
    device_code: String,
    user_code: String,
    /// Google spells it with `url`.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    interval: Option<u64>,
}

pub async fn begin(accounts: &Arc<Accounts>, plan: Plan) -> Result<Step> {
    let endpoint = plan.issuer.device_authorization_endpoint.clone().unwrap_or_default();
    let scope = plan.row.scopes.join(" ");
    let fields: &[(&str, &str)] = if scope.is_empty() { &[] } else { &[("scope", &scope)] };
    let desk = plan.desk();
    let answer = desk.send(&endpoint, fields, accounts.ground.engine.now()).await?;
    let failed = |why: String| {
        Error::new(&codes::SIGN_IN_FAILED, "the provider gave no code for another device").because(why)
    };
    if !answer.is_success() {
        return Err(failed(shown(&String::from_utf8_lossy(&answer.body))));
    }
    let code: Code = answer.json().map_err(|error| failed(error.to_string()))?;
    check_address(&code.verification_uri).map_err(|error| {
        Error::new(&codes::SIGN_IN_UNSAFE, "the provider names an unsafe page").because(error)
    })?;
    let complete = code.verification_uri_complete.filter(|address| check_address(address).is_ok());
    let (device_code, mut pace) = (code.device_code, code.interval.unwrap_or(PACE).clamp(1, SLOWEST));
    let working = accounts.clone();
    let id = accounts.pend(|_| async move {
        loop {
            tokio::time::sleep(Duration::from_secs(pace)).await;
            match desk.device(&device_code, working.ground.engine.now()).await {
                Ok(tokens) => return working.finish(plan, tokens).await,
                Err(Refusal::Said { error, .. }) if error == "authorization_pending" => {}
                Err(Refusal::Said { error, .. }) if error == "slow_down" => {
                    pace = (pace + SLOWER).min(SLOWEST)
                }
                // A provider that cannot be reached for a moment is asked again.
                Err(Refusal::Broken(error)) if error.kind().retryable() => pace = (pace * 2).min(SLOWEST),
                Err(refusal) => return Err(refusal.into()),
            }
        }
    })?;
    Ok(Step::Enter { id, url: shown(&code.verification_uri), code: shown(&code.user_code), complete })
}
