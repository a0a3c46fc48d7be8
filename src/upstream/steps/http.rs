//! One HTTP request, sent as the built-in `http` server sends it: to public addresses, unless the step says otherwise.
//! A status of 400 and above is a failure, so that `retry_on: [5xx]` means something.

use super::{Shared, named, plain, tail};
use crate::error::{Error, Result, codes};
use crate::upstream::builtin;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    url: String,
    method: String,
    body: Option<Value>,
    query: Option<Map<String, Value>>,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    fixed_headers: BTreeMap<String, Value>,
    #[serde(default)]
    allow_private: bool,
}

/// The header by which a service tells that two requests are the same one.
const KEY: &str = "Idempotency-Key";

pub(super) async fn run(
    shared: &Arc<Shared>,
    asked: Asked,
    key: &str,
    limit: Option<Duration>,
) -> Result<Value> {
    let mut headers = named(shared, "header", asked.fixed_headers, asked.headers).await?;
    // What only reads may come twice; and a header that the document gives is the one that counts.
    let reads = ["GET", "HEAD", "OPTIONS"].contains(&asked.method.as_str());
    if !reads && !headers.keys().any(|name| name.eq_ignore_ascii_case(KEY)) {
        headers.insert(KEY.into(), key.into());
    }
    let mut url = reqwest::Url::parse(asked.url.trim()).map_err(|error| {
        Error::new(&codes::ARGUMENTS_INVALID, format!("`{}` is no address", asked.url)).because(error)
    })?;
    if let Some(query) = asked.query.filter(|query| !query.is_empty()) {
        url.query_pairs_mut().extend_pairs(query.iter().map(|(name, value)| (name, plain(value))));
    }
    let mut arguments = json!({"method": asked.method, "url": url.as_str()});
    match asked.body {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => arguments["body"] = text.into(),
        Some(body) => {
            if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                headers.insert("content-type".into(), "application/json".into());
            }
            arguments["body"] = body.to_string().into();
        }
    }
    arguments["headers"] = json!(headers);
    if let Some(limit) = limit {
        arguments["timeout_ms"] = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).into();
    }
    let mut answer = builtin::http_request(asked.allow_private, arguments).await?;
    let status = answer["status"].as_u64().unwrap_or_default();
    if status >= 400 {
        let said = answer["body"].as_str().map(tail).unwrap_or_default();
        let colon = if said.is_empty() { "" } else { ": " };
        // Without the query, which may hold a key.
        url.set_query(None);
        let message = format!("`{} {url}` was answered with {status}{colon}{said}", asked.method);
        return Err(Error::new(&codes::UPSTREAM_ERROR, message));
    }
    let kind = answer["headers"]["content-type"].as_str().unwrap_or_default().to_ascii_lowercase();
    if kind.contains("json")
        && let Some(Ok(body)) = answer["body"].as_str().map(serde_json::from_str::<Value>)
    {
        answer["body"] = body;
    }
    Ok(answer)
}
