//! Checks of a request's headers: whether the sender is on this machine, and whether modern headers say the same
//! as the body. Pure.

use crate::calls::Params;
use crate::upstream::message::{Answer, code};
use crate::upstream::view::ViewTool;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use serde_json::Value;

/// Whether Host, and Origin if it is sent, name this machine: no page of elsewhere may reach the endpoint.
pub fn is_local(headers: &HeaderMap) -> bool {
    let origin_is_local = match headers.get("origin") {
        None => true,
        Some(_) => get(headers, "origin")
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, authority)| names_this_machine(authority)),
    };
    origin_is_local && get(headers, "host").is_some_and(names_this_machine)
}

/// Whether Host, and Origin if it is sent, name the public address, such as `https://mcp.example.com`.
pub fn is_of(headers: &HeaderMap, public: &str) -> bool {
    let host = public.split_once("://").map(|(_, authority)| authority);
    let same =
        |name: &str, expected: &str| get(headers, name).is_some_and(|it| it.eq_ignore_ascii_case(expected));
    host.is_some_and(|host| same("host", host)) && (!headers.contains_key("origin") || same("origin", public))
}

pub fn names_this_machine(authority: &str) -> bool {
    let (host, rest) = match authority.find(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    // Nothing but a port may follow: in `localhost:80@elsewhere` the host is the other one.
    let port =
        |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|it| it.is_ascii_digit()));
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| host.eq_ignore_ascii_case(local))
        && (rest.is_empty() || port(rest))
}

pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Refuses a modern request whose headers differ from its body. `tool`: the one it calls.
pub fn mirror(
    headers: &HeaderMap,
    method: &str,
    params: &Params<'_>,
    tool: Option<&ViewTool>,
) -> Result<(), Answer> {
    let version = params.meta().text("io.modelcontextprotocol/protocolVersion").unwrap_or_default();
    same(headers, "mcp-protocol-version", &version)?;
    same(headers, "mcp-method", method)?;
    let named = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(()),
    };
    same(headers, "mcp-name", &params.text(named).unwrap_or_default())?;
    match tool {
        Some(tool) if !tool.mirrored.is_empty() => arguments(headers, params, tool),
        _ => Ok(()),
    }
}

fn arguments(headers: &HeaderMap, params: &Params<'_>, tool: &ViewTool) -> Result<(), Answer> {
    let sent: Value =
        params.raw("arguments").and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    for (header, path) in &tool.mirrored {
        let name = header.to_ascii_lowercase();
        let argument =
            path.iter().try_fold(&sent, |value, key| value.get(key)).filter(|value| !value.is_null());
        match argument {
            Some(argument) => {
                let text = argument.as_str().map_or_else(|| argument.to_string(), ToString::to_string);
                same(headers, &name, &text)?;
            }
            None if headers.contains_key(&name) => return Err(mismatch(&name, "has no argument to mirror")),
            None => {}
        }
    }
    Ok(())
}

fn same(headers: &HeaderMap, name: &str, expected: &str) -> Result<(), Answer> {
    let sent = get(headers, name).ok_or_else(|| mismatch(name, "is missing"))?;
    match decode(sent) {
        Some(sent) if sent == expected => Ok(()),
        Some(_) => Err(mismatch(name, "does not match the body")),
        None => Err(mismatch(name, "is not valid Base64")),
    }
}

fn mismatch(name: &str, why: &str) -> Answer {
    Answer::error(code::HEADER_MISMATCH, &format!("header {name} {why}"))
}

/// Reads `=?base64?…?=`; anything else stands for itself.
fn decode(value: &str) -> Option<std::borrow::Cow<'_, str>> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(coded) => String::from_utf8(STANDARD.decode(coded).ok()?).ok().map(Into::into),
        None => Some(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (hyper::header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_this_machine_is_local() {
        for (pairs, expected) in [
            (vec![("host", "127.0.0.1:80")], true),
            (vec![("host", "[::1]:80"), ("origin", "http://LOCALHOST:3000")], true),
            (vec![("host", "localhost")], true),
            (vec![("host", "localhost:80@evil.example")], false),
            (vec![("host", "[::1]evil.example")], false),
            (vec![("host", "[::1]")], true),
            (vec![("host", "localhost.evil.example")], false),
            (vec![("host", "127.0.0.1"), ("origin", "http://evil.example")], false),
            (vec![("host", "127.0.0.1"), ("origin", "null")], false),
            (vec![], false),
        ] {
            assert_eq!(is_local(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_public_address_is_the_only_other_one() {
        for (pairs, expected) in [
            (vec![("host", "MCP.example.com")], true),
            (vec![("host", "mcp.example.com"), ("origin", "https://mcp.example.com")], true),
            (vec![("host", "mcp.example.com"), ("origin", "http://mcp.example.com")], false),
            (vec![("host", "mcp.example.com"), ("origin", "null")], false),
            (vec![("host", "mcp.example.com:443")], false),
            (vec![("host", "mcp.example.com.evil.example")], false),
            (vec![("origin", "https://mcp.example.com")], false),
        ] {
            assert_eq!(is_of(&headers(&pairs), "https://mcp.example.com"), expected, "{pairs:?}");
        }
    }

    #[test]
    fn headers_say_what_the_body_says() {
        let text = r#"{"name":"ä","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        let params = Params::parse(text).unwrap();
        let good = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?w6Q=?="),
        ];
        assert!(mirror(&headers(&good), "tools/call", &params, None).is_ok());
        for left_out in 0..3 {
            let mut some = good.to_vec();
            some.remove(left_out);
            assert_eq!(
                mirror(&headers(&some), "tools/call", &params, None).unwrap_err().code(),
                code::HEADER_MISMATCH
            );
        }
    }
}
