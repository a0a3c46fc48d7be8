//! Shared pieces: JSON-RPC envelopes that keep payloads as raw text, a small HTTP/1.1 reader, the two eras of the
//! protocol, and (`tree`) sampling of process trees from /proc.

pub mod tree;

use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, BufRead};

/// A JSON-RPC message with its large members left unparsed.
#[derive(Deserialize)]
pub struct Msg<'a> {
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    #[serde(default)]
    pub method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct CallParams<'a> {
    #[serde(borrow)]
    pub name: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta")]
    pub meta: Option<&'a RawValue>,
}

/// Which generation of the protocol is spoken: legacy says hello once, modern says everything with each request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Era {
    Legacy,
    Modern,
}

impl Era {
    /// Reads `--era legacy|modern`; legacy when it is not given.
    pub fn from_args(args: &Args) -> Self {
        match args.get("--era") {
            None | Some("legacy") => Era::Legacy,
            Some("modern") => Era::Modern,
            Some(other) => panic!("--era {other}: legacy or modern"),
        }
    }
}

/// The revision of the modern era.
pub const MODERN: &str = "2026-07-28";

/// What a modern request carries as `_meta`, as JSON text.
pub const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"mcp-load","version":"1"}}"#;

/// A request as one line of JSON; in the modern era `_meta` goes first into its params.
pub fn request(era: Era, id: u64, method: &str, params: &str) -> String {
    match era {
        Era::Legacy => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#),
        Era::Modern => {
            let rest = params.trim_start_matches('{');
            let comma = if rest == "}" { "" } else { "," };
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"_meta":{META}{comma}{rest}}}"#
            )
        }
    }
}

/// Legacy revisions, newest first.
pub const PROTOCOLS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// One HTTP message head plus body. `start` is the request or status line.
pub struct Http {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Http {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }
}

/// Reads one message; `Ok(None)` at a clean end of stream. `response` says
/// whether a body without a length runs to the end of the connection.
pub fn read_http<R: BufRead>(r: &mut R, response: bool) -> io::Result<Option<Http>> {
    let mut line = String::new();
    if r.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let start = line.trim_end().to_string();
    let mut headers = Vec::new();
    loop {
        line.clear();
        if r.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let l = line.trim_end();
        if l.is_empty() {
            break;
        }
        if let Some((k, v)) = l.split_once(':') {
            headers.push((k.trim().to_ascii_lowercase(), v.trim().to_string()));
        }
    }
    let mut m = Http { start, headers, body: Vec::new() };
    let chunked = m.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    if chunked {
        loop {
            line.clear();
            if r.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let hex = line.trim().split(';').next().unwrap_or("");
            let n = usize::from_str_radix(hex, 16)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "chunk size"))?;
            let at = m.body.len();
            m.body.resize(at + n, 0);
            r.read_exact(&mut m.body[at..])?;
            line.clear();
            r.read_line(&mut line)?;
            if n == 0 {
                break;
            }
        }
    } else if let Some(n) = m.header("content-length").and_then(|v| v.parse().ok()) {
        m.body.resize(n, 0);
        r.read_exact(&mut m.body)?;
    } else if response && m.status() != 202 && m.status() != 204 {
        r.read_to_end(&mut m.body)?;
    }
    Ok(Some(m))
}

/// `--name value` pairs after the positional words.
pub struct Args(pub Vec<String>);

impl Args {
    pub fn from_env() -> Self {
        Args(std::env::args().skip(1).collect())
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|a| a == name)?;
        self.0.get(at + 1).map(|s| s.as_str())
    }
    pub fn num(&self, name: &str, default: u64) -> u64 {
        self.get(name).and_then(|v| v.parse().ok()).unwrap_or(default)
    }
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|a| a == name)
    }
}
