//! A very small MCP server: one `echo` tool plus as many inert tools as asked
//! for, over stdio or streamable HTTP. It answers from raw text, so its own
//! cost is close to that of the transport.
//!
//!   mcp-fixture stdio [--tools N] [--era legacy|modern] [--counter] [--name NAME]
//!   mcp-fixture http --port P [the same]
//!
//! It speaks one era and refuses the other. `--counter` adds the tool `count`, which tells how often `echo` was
//! called. `--name` does nothing: it tells one process from another.

use mcp_gateway_bench::{Args, CallParams, Era, MODERN, Msg, PROTOCOLS, read_http};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Deserialize)]
struct EchoArgs<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
}

/// The tools/list result, made once. Each inert tool has a description and a
/// schema of about 600 bytes, the size of an ordinary tool.
fn tools_json(n: usize, counter: bool, era: Era) -> String {
    let mut tools = vec![serde_json::json!({
        "name": "echo",
        "description": "Returns the text it was given.",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    })];
    for i in 1..n.max(1) {
        tools.push(serde_json::json!({
            "name": format!("inert_{i:04}"),
            "description": format!("Inert tool number {i}. It stands for an ordinary tool: it searches a collection of records, keeps those that match every condition given, and returns them page by page."),
            "inputSchema": {"type": "object", "properties": {
                "query": {"type": "string", "description": "What to look for"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many to return"},
                "cursor": {"type": "string", "description": "Where the page before ended"},
                "order": {"type": "string", "enum": ["newest", "oldest", "best"]}
            }, "required": ["query"]}
        }));
    }
    if counter {
        tools.push(serde_json::json!({"name": "count", "description": "How often echo was called.", "inputSchema": {"type": "object"}}));
    }
    match era {
        Era::Legacy => serde_json::json!({ "tools": tools }),
        Era::Modern => serde_json::json!({"resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "public", "tools": tools}),
    }
    .to_string()
}

/// What one fixture answers with.
struct Fixture {
    era: Era,
    tools: String,
    echoes: AtomicU64,
}

fn version(params: Option<&RawValue>) -> String {
    let asked = params
        .and_then(|p| serde_json::from_str::<serde_json::Value>(p.get()).ok())
        .and_then(|v| v["protocolVersion"].as_str().map(str::to_string))
        .unwrap_or_default();
    if PROTOCOLS.contains(&asked.as_str()) { asked } else { PROTOCOLS[0].into() }
}

impl Fixture {
    /// The reply to one message, or nothing for a notification.
    fn answer(&self, line: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let Ok(m) = serde_json::from_slice::<Msg>(line) else { return };
        let (Some(id), Some(method)) = (m.id, m.method.as_deref()) else { return };
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.get().as_bytes());
        let modern = self.era == Era::Modern;
        let own_era = match method {
            "initialize" => !modern,
            "server/discover" => modern,
            _ => !modern || m.params.is_some_and(|p| has_version(p.get())),
        };
        if own_era {
            self.result(method, m.params, out);
        } else {
            out.extend_from_slice(br#","error":{"code":-32601,"message":"Method not found in this era"}"#);
        }
        out.push(b'}');
    }

    fn result(&self, method: &str, params: Option<&RawValue>, out: &mut Vec<u8>) {
        let kind = if self.era == Era::Modern { r#""resultType":"complete","# } else { "" };
        let mut ok = |body: &str| {
            out.extend_from_slice(b",\"result\":");
            out.extend_from_slice(body.as_bytes());
        };
        match method {
            "initialize" => ok(&format!(
                r#"{{"protocolVersion":"{}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"mcp-fixture","version":"1.0.0"}}}}"#,
                version(params)
            )),
            "server/discover" => ok(&format!(
                r#"{{"resultType":"complete","supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}},"ttlMs":3600000,"cacheScope":"public","_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"mcp-fixture","version":"1.0.0"}}}}}}"#
            )),
            "tools/list" => ok(&self.tools),
            "tools/call" => {
                let call = params.and_then(|p| serde_json::from_str::<CallParams>(p.get()).ok());
                if call.as_ref().is_some_and(|c| c.name == "count") {
                    let echoes = self.echoes.load(Ordering::Relaxed);
                    return ok(&format!(r#"{{{kind}"content":[{{"type":"text","text":"{echoes}"}}]}}"#));
                }
                self.echoes.fetch_add(1, Ordering::Relaxed);
                let text = call
                    .and_then(|c| c.arguments)
                    .and_then(|a| serde_json::from_str::<EchoArgs>(a.get()).ok())
                    .map_or("\"\"", |a| a.text.get());
                ok("{");
                out.extend_from_slice(kind.as_bytes());
                out.extend_from_slice(br#""content":[{"type":"text","text":"#);
                out.extend_from_slice(text.as_bytes());
                out.extend_from_slice(b"}]}");
            }
            "ping" | "logging/setLevel" => ok("{}"),
            "resources/list" => ok(&format!(r#"{{{kind}"resources":[]}}"#)),
            "resources/templates/list" => ok(&format!(r#"{{{kind}"resourceTemplates":[]}}"#)),
            "prompts/list" => ok(&format!(r#"{{{kind}"prompts":[]}}"#)),
            _ => out.extend_from_slice(br#","error":{"code":-32601,"message":"Method not found"}"#),
        }
    }
}

/// Whether the params name the modern revision. Looks at both ends only: `_meta` stands first or last.
fn has_version(params: &str) -> bool {
    let bytes = params.as_bytes();
    let key = b"io.modelcontextprotocol/protocolVersion";
    let near = |part: &[u8]| part.windows(key.len()).any(|w| w == key);
    near(&bytes[..bytes.len().min(400)]) || near(&bytes[bytes.len().saturating_sub(600)..])
}

fn stdio(fixture: &Fixture) {
    let mut r = BufReader::with_capacity(256 << 10, std::io::stdin().lock());
    let mut w = std::io::stdout().lock();
    let (mut line, mut out) = (Vec::new(), Vec::new());
    while matches!(r.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        fixture.answer(&line, &mut out);
        line.clear();
        if !out.is_empty() {
            out.push(b'\n');
            if w.write_all(&out).and_then(|_| w.flush()).is_err() {
                return;
            }
        }
    }
}

fn serve(s: TcpStream, fixture: &Fixture, sessions: &AtomicU64) -> std::io::Result<()> {
    s.set_nodelay(true)?;
    let mut w = s.try_clone()?;
    let mut r = BufReader::with_capacity(256 << 10, s);
    let (mut out, mut resp) = (Vec::new(), Vec::new());
    while let Some(m) = read_http(&mut r, false)? {
        resp.clear();
        if m.start.starts_with("POST") {
            fixture.answer(&m.body, &mut out);
            if out.is_empty() {
                resp.extend_from_slice(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            } else {
                write!(resp, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")?;
                if fixture.era == Era::Legacy && m.header("mcp-session-id").is_none() {
                    let n = sessions.fetch_add(1, Ordering::Relaxed);
                    write!(resp, "Mcp-Session-Id: fixture-{n}\r\n")?;
                }
                write!(resp, "Content-Length: {}\r\n\r\n", out.len())?;
                resp.extend_from_slice(&out);
            }
        } else if m.start.starts_with("DELETE") {
            resp.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        } else {
            resp.extend_from_slice(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
        }
        w.write_all(&resp)?;
    }
    Ok(())
}

fn main() {
    let a = Args::from_env();
    let era = Era::from_args(&a);
    let fixture = Fixture {
        era,
        tools: tools_json(a.num("--tools", 1) as usize, a.has("--counter"), era),
        echoes: AtomicU64::new(0),
    };
    if a.0.first().map(String::as_str) != Some("http") {
        return stdio(&fixture);
    }
    let l = TcpListener::bind(("127.0.0.1", a.num("--port", 0) as u16)).expect("bind");
    println!("{}", l.local_addr().unwrap().port());
    let shared = Arc::new((fixture, AtomicU64::new(0)));
    for s in l.incoming().flatten() {
        let shared = shared.clone();
        std::thread::spawn(move || {
            let _ = serve(s, &shared.0, &shared.1);
        });
    }
}
