//! Checks of HTTP request headers: who may talk to a local server, and whether headers mirror the body (modern era).
//! Rule: pure functions; a value is compared exactly, after decoding and without the blanks around it.

use crate::call::META_VERSION;
use crate::rpc::{self, RpcError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use serde_json::Value;

/// Whether Host and Origin (if sent) name this machine.
pub fn is_local(headers: &HeaderMap) -> bool {
    let origin = get(headers, "origin");
    let origin_is_local = origin.is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, authority)| names_this_machine(authority))
    });
    origin_is_local && get(headers, "host").is_some_and(names_this_machine)
}

pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Compares the routing headers of a modern request with its body.
pub fn check(headers: &HeaderMap, message: &Value, tools: &[Value]) -> Result<(), RpcError> {
    let params = &message["params"];
    same(headers, "mcp-protocol-version", &params["_meta"][META_VERSION])?;
    same(headers, "mcp-method", &message["method"])?;
    match message["method"].as_str().unwrap_or_default() {
        "tools/call" => {
            same(headers, "mcp-name", &params["name"])?;
            check_arguments(headers, params, tools)
        }
        "prompts/get" => same(headers, "mcp-name", &params["name"]),
        "resources/read" => same(headers, "mcp-name", &params["uri"]),
        "tasks/get" | "tasks/update" | "tasks/cancel" => same(headers, "mcp-name", &params["taskId"]),
        _ => Ok(()),
    }
}

/// Compares `Mcp-Param-*` with the arguments that the tool's schema marks with `x-mcp-header`.
fn check_arguments(headers: &HeaderMap, params: &Value, tools: &[Value]) -> Result<(), RpcError> {
    let Some(tool) = tools.iter().find(|tool| tool["name"] == params["name"]) else { return Ok(()) };
    let properties = tool["inputSchema"]["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        let Some(suffix) = property["x-mcp-header"].as_str() else { continue };
        let header = format!("mcp-param-{}", suffix.to_ascii_lowercase());
        let argument = &params["arguments"][name];
        if !argument.is_null() || headers.contains_key(&header) {
            same(headers, &header, argument)?;
        }
    }
    Ok(())
}

fn same(headers: &HeaderMap, name: &str, expected: &Value) -> Result<(), RpcError> {
    let mismatch = |why: &str| RpcError::new(rpc::HEADER_MISMATCH, format!("header {name} {why}"));
    let sent = get(headers, name).ok_or_else(|| mismatch("is missing"))?;
    let sent = decode(sent).ok_or_else(|| mismatch("is not valid Base64"))?;
    let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
    if sent == expected { Ok(()) } else { Err(mismatch("does not match the body")) }
}

/// Reads `=?base64?...?=`; anything else stands for itself.
fn decode(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(coded) => String::from_utf8(STANDARD.decode(coded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

fn names_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    matches!(host.to_ascii_lowercase().as_str(), "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::{check, decode, is_local};
    use hyper::HeaderMap;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_this_machine_is_let_in() {
        let cases = [
            (vec![("host", "127.0.0.1:80")], true),
            (vec![("host", "[::1]:80"), ("origin", "http://localhost:3000")], true),
            (vec![("host", "localhost"), ("origin", "http://evil.example")], false),
            (vec![("host", "evil.example")], false),
            (vec![("host", "localhost.evil.example:80")], false),
            (vec![("host", "localhost"), ("origin", "null")], false),
            (vec![], false),
        ];
        for (pairs, expected) in cases {
            assert_eq!(is_local(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn base64_is_read_only_in_its_wrapper() {
        let cases = [
            ("plain", Some("plain")),
            ("=?base64?SGVsbG8=?=", Some("Hello")),
            ("=?base64?SGVsbG8=", Some("=?base64?SGVsbG8=")),
            ("=?base64?SGVsbG8?=", None),
            ("=?base64?SGVs!!!bG8=?=", None),
        ];
        for (value, expected) in cases {
            assert_eq!(decode(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn headers_must_mirror_the_body() {
        let tools = [json!({"name": "t", "inputSchema": {"properties": {"r": {"x-mcp-header": "Region"}}}})];
        let message = json!({"method": "tools/call", "params": {"name": "t", "arguments": {"r": "eu"},
            "_meta": {"io.modelcontextprotocol/protocolVersion": "v"}}});
        let good = [
            ("mcp-protocol-version", "v"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "t"),
            ("mcp-param-region", "eu"),
        ];
        assert_eq!(check(&headers(&good), &message, &tools), Ok(()));
        for position in 0..good.len() {
            let mut pairs = good.to_vec();
            pairs[position].1 = "wrong";
            assert_eq!(check(&headers(&pairs), &message, &tools).unwrap_err().code, -32020, "{pairs:?}");
            pairs.remove(position);
            assert_eq!(check(&headers(&pairs), &message, &tools).unwrap_err().code, -32020, "{pairs:?}");
        }
    }
}
