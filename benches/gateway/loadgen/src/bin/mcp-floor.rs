//! The least a gateway can do: parse the envelope of each message, route by
//! tool prefix, rewrite the id, pass the payload on as raw text. It has no
//! policy, store, log or recovery, and is here only as the physical floor that
//! a real gateway's figures are held against.
//!
//!   mcp-floor --config mcp.json [--port P] [--era legacy|modern]     (no port: stdio front)
//!
//! The config is the usual {"mcpServers": {"name": {"command", "args"}}}.

use mcp_gateway_bench::{Args, CallParams, Era, META, MODERN, Msg, PROTOCOLS, read_http};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// What a list of the modern era says beside its tools.
const MODERN_LIST: &str = r#""resultType":"complete","ttlMs":3600000,"cacheScope":"public","#;

/// Where the answer to a forwarded call goes.
enum Reply {
    Chan(SyncSender<Vec<u8>>),
    Stdout(String),
}

struct Upstream {
    stdin: Mutex<ChildStdin>,
    pending: Mutex<HashMap<u64, Reply>>,
    next: AtomicU64,
}

impl Upstream {
    fn send(&self, method: &str, params: &str, to: Reply) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.pending.lock().unwrap().insert(id, to);
        let mut line = Vec::with_capacity(params.len() + 96);
        let _ = write!(line, r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        line.push(b'\n');
        let _ = self.stdin.lock().unwrap().write_all(&line);
    }
    fn ask(&self, method: &str, params: &str) -> Vec<u8> {
        let (tx, rx) = sync_channel(1);
        self.send(method, params, Reply::Chan(tx));
        rx.recv().unwrap_or_default()
    }
}

/// `,"result":…` or `,"error":…` of an upstream answer.
fn tail(m: &Msg) -> Vec<u8> {
    let (key, raw) = match (m.result, m.error) {
        (Some(r), _) => (&b",\"result\":"[..], r),
        (_, Some(e)) => (&b",\"error\":"[..], e),
        _ => return Vec::new(),
    };
    let mut v = Vec::with_capacity(raw.get().len() + 16);
    v.extend_from_slice(key);
    v.extend_from_slice(raw.get().as_bytes());
    v
}

fn write_stdout(id: &str, tail: &[u8]) {
    let mut v = Vec::with_capacity(tail.len() + 64);
    let _ = write!(v, "{{\"jsonrpc\":\"2.0\",\"id\":{id}");
    v.extend_from_slice(tail);
    v.extend_from_slice(b"}\n");
    let mut o = std::io::stdout().lock();
    let _ = o.write_all(&v).and_then(|_| o.flush());
}

fn spawn(spec: &Value) -> Arc<Upstream> {
    let args = spec["args"].as_array().cloned().unwrap_or_default();
    let mut child = Command::new(spec["command"].as_str().expect("command"))
        .args(args.iter().filter_map(|a| a.as_str()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn upstream");
    let up = Arc::new(Upstream {
        stdin: Mutex::new(child.stdin.take().unwrap()),
        pending: Mutex::default(),
        next: AtomicU64::new(1),
    });
    let (u, out) = (up.clone(), child.stdout.take().unwrap());
    std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(move || {
            let mut r = BufReader::new(out);
            let mut line = Vec::new();
            while matches!(r.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                if let Ok(m) = serde_json::from_slice::<Msg>(&line) {
                    let id = m.id.and_then(|i| i.get().parse::<u64>().ok());
                    if let Some(to) = id.and_then(|i| u.pending.lock().unwrap().remove(&i)) {
                        match to {
                            Reply::Chan(tx) => drop(tx.send(tail(&m))),
                            Reply::Stdout(id) => write_stdout(&id, &tail(&m)),
                        }
                    }
                }
                line.clear();
            }
        })
        .unwrap();
    up
}

struct Gate {
    ups: HashMap<String, Arc<Upstream>>,
    tools: Vec<u8>,
}

impl Gate {
    fn new(config: &str, era: Era) -> Self {
        let v: Value =
            serde_json::from_str(&std::fs::read_to_string(config).expect("config")).expect("config JSON");
        let servers = v["mcpServers"].as_object().expect("mcpServers");
        let ups: HashMap<_, _> = servers.iter().map(|(k, s)| (k.clone(), spawn(s))).collect();
        let init = format!(
            r#"{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"mcp-floor","version":"1"}}}}"#,
            PROTOCOLS[0]
        );
        let mut tools = Vec::new();
        // Ask all first, then collect: the upstreams start side by side.
        let mut waits = Vec::new();
        for (name, up) in &ups {
            let ((a, ra), (b, rb)) = (sync_channel(1), sync_channel(1));
            match era {
                Era::Legacy => {
                    up.send("initialize", &init, Reply::Chan(a));
                    let note = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
                    let _ = up.stdin.lock().unwrap().write_all(note.as_bytes());
                    up.send("tools/list", "{}", Reply::Chan(b));
                }
                Era::Modern => {
                    up.send("server/discover", &format!(r#"{{"_meta":{META}}}"#), Reply::Chan(a));
                    up.send("tools/list", &format!(r#"{{"_meta":{META}}}"#), Reply::Chan(b));
                }
            }
            waits.push((name, ra, rb));
        }
        for (name, init, list) in waits {
            let _ = init.recv();
            let raw = list.recv().unwrap_or_default();
            let Some(at) = raw.iter().position(|&b| b == b'{') else { continue };
            let mut list: Value = serde_json::from_slice(&raw[at..]).unwrap_or_default();
            for mut t in list["tools"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                t["name"] = format!("{name}__{}", t["name"].as_str().unwrap_or("")).into();
                tools.push(t);
            }
        }
        let mut body = b",\"result\":{".to_vec();
        body.extend_from_slice(if era == Era::Modern { MODERN_LIST.as_bytes() } else { b"" });
        body.extend_from_slice(b"\"tools\":");
        serde_json::to_writer(&mut body, &tools).unwrap();
        body.push(b'}');
        Gate { ups, tools: body }
    }

    /// Answers at once, or forwards and returns nothing when `to` takes over.
    fn handle(&self, m: &Msg, to: Option<String>) -> Option<Vec<u8>> {
        let err = |t: &str| Some(format!(r#","error":{{"code":-32602,"message":"{t}"}}"#).into_bytes());
        match m.method.as_deref()? {
            "initialize" => {
                let asked = m
                    .params
                    .and_then(|p| serde_json::from_str::<Value>(p.get()).ok())
                    .and_then(|v| v["protocolVersion"].as_str().map(str::to_string))
                    .filter(|v| PROTOCOLS.contains(&v.as_str()))
                    .unwrap_or_else(|| PROTOCOLS[0].into());
                Some(format!(r#","result":{{"protocolVersion":"{asked}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"mcp-floor","version":"1.0.0"}}}}"#).into_bytes())
            }
            "server/discover" => Some(format!(r#","result":{{{MODERN_LIST}"supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}}}}"#).into_bytes()),
            "tools/list" => Some(self.tools.clone()),
            "tools/call" => {
                let Some(c) = m.params.and_then(|p| serde_json::from_str::<CallParams>(p.get()).ok())
                else {
                    return err("params");
                };
                let Some((up, tool)) = c
                    .name
                    .split_once("__")
                    .and_then(|(s, t)| Some((self.ups.get(s)?, t)))
                else {
                    return err("no such tool");
                };
                let args = c.arguments.map_or("{}", |a| a.get());
                let params = match c.meta {
                    None => format!(r#"{{"name":"{tool}","arguments":{args}}}"#),
                    Some(meta) => format!(r#"{{"_meta":{meta},"name":"{tool}","arguments":{args}}}"#),
                };
                match to {
                    Some(id) => up.send("tools/call", &params, Reply::Stdout(id)),
                    None => return Some(up.ask("tools/call", &params)),
                }
                None
            }
            _ => Some(b",\"result\":{}".to_vec()),
        }
    }
}

fn serve(s: TcpStream, g: &Gate) -> std::io::Result<()> {
    s.set_nodelay(true)?;
    let mut w = s.try_clone()?;
    let mut r = BufReader::with_capacity(64 << 10, s);
    while let Some(h) = read_http(&mut r, false)? {
        let m = serde_json::from_slice::<Msg>(&h.body).ok();
        let mut resp = Vec::new();
        match m {
            Some(Msg { id: Some(id), .. }) => {
                let t = g.handle(m.as_ref().unwrap(), None).unwrap_or_default();
                let len = b"{\"jsonrpc\":\"2.0\",\"id\":}".len() + id.get().len() + t.len();
                write!(
                    resp,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: floor\r\nContent-Length: {len}\r\n\r\n{{\"jsonrpc\":\"2.0\",\"id\":{}",
                    id.get()
                )?;
                resp.extend_from_slice(&t);
                resp.push(b'}');
            }
            _ => resp.extend_from_slice(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
        }
        w.write_all(&resp)?;
    }
    Ok(())
}

fn main() {
    let a = Args::from_env();
    let g = Arc::new(Gate::new(a.get("--config").expect("--config"), Era::from_args(&a)));
    if let Some(port) = a.get("--port") {
        let l = TcpListener::bind(("127.0.0.1", port.parse().expect("port"))).expect("bind");
        for s in l.incoming().flatten() {
            let g = g.clone();
            let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(move || serve(s, &g));
        }
        return;
    }
    let mut r = BufReader::with_capacity(64 << 10, std::io::stdin().lock());
    let mut line = Vec::new();
    while matches!(r.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        if let Ok(m) = serde_json::from_slice::<Msg>(&line) {
            if let Some(id) = m.id {
                if let Some(t) = g.handle(&m, Some(id.get().to_string())) {
                    write_stdout(id.get(), &t);
                }
            }
        }
        line.clear();
    }
    // The children see end of input and leave by themselves.
    std::process::exit(0);
}
