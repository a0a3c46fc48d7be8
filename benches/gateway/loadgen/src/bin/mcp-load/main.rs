//! Starts a gateway, drives it as a raw MCP client and prints one JSON object.
//!
//!   mcp-load --front http --url http://127.0.0.1:P/mcp [options] -- COMMAND…
//!   mcp-load --front sse --url http://127.0.0.1:P/sse [options] -- COMMAND…
//!   mcp-load --front stdio [options] -- COMMAND…
//!
//! Options: --era legacy|modern; --expect N tools before the list counts as complete (1);
//! --cases size:concurrency:calls,… (none); --list N timed tools/list calls; --sessions N;
//! --equal N equal calls, then `count` of the fixture; --kill NAME: the fixture started with `--name NAME` is
//! killed, then the first tool (its own) and the last (another's) are called;
//! --limit-ms of one case (1500); --ready-ms (60000); --header 'Name: value'; --call JSON of tools/call params
//! with @TEXT@ in it; --log FILE for the gateway's stderr; --daemon FILE that starts with the pid of a daemon the
//! gateway leaves behind: it is measured with it, and stopped with it.

mod cases;
mod faults;
mod link;

use cases::{Case, micros, run_http, run_stdio, sessions};
use link::{Conn, Link, Pipe, bad, mark, payload, verdict};
use mcp_gateway_bench::tree::{Tree, tree};
use mcp_gateway_bench::{Args, Era, request};
use serde_json::{Value, json};
use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is called, and where.
struct Target {
    url: String,
    extra: Vec<String>,
    era: Era,
    /// Name of the tool, for the headers of the modern era.
    tool: String,
    /// `tools/call` params around the payload.
    before: String,
    after: String,
}

impl Target {
    /// The call that sends `text`.
    fn request(&self, id: u64, text: &str) -> String {
        request(self.era, id, "tools/call", &format!("{}{text}{}", self.before, self.after))
    }
}

/// The processes of the gateway: what was started, and the daemon it may have left behind.
struct Gateway {
    pid: u32,
    pid_file: Option<String>,
}

impl Gateway {
    fn daemon(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.pid_file.as_deref()?).ok()?;
        let pid = text.split_whitespace().next()?.parse().ok()?;
        (pid != self.pid).then_some(pid)
    }
    fn sample(&self) -> Tree {
        let (front, daemon) = self.parts();
        front + daemon
    }
    /// What was started, and the daemon; the second may be a child of the first.
    fn parts(&self) -> (Tree, Tree) {
        let daemon = self.daemon();
        (tree(self.pid, daemon), daemon.map_or_else(Tree::default, |pid| tree(pid, None)))
    }
    /// Memory of all processes; of front and daemon apart when there are two.
    fn memory(&self) -> Value {
        let mut all = mem(self.sample());
        if self.daemon().is_some() {
            let (front, daemon) = self.parts();
            all["front"] = mem(front);
            all["daemon"] = mem(daemon);
        }
        all
    }
}

fn mem(t: Tree) -> Value {
    json!({"rss_kib": t.rss_kib, "pss_kib": t.pss_kib, "procs": t.procs, "threads": t.threads, "fixtures": t.fixtures})
}

/// Connects; over HTTP again and again until `until`, since the gateway may not listen yet.
fn connect(a: &Args, target: &Target, child: &mut Child, until: Instant) -> Result<Link> {
    let front = a.get("--front").unwrap_or("stdio");
    if front == "stdio" {
        let mut p = Pipe::stdio(child, target.era);
        p.open()?;
        return Ok(Link::Stdio(p));
    }
    loop {
        let opened = match front {
            "sse" => Pipe::sse(&target.url, &target.extra).map(Link::Stdio),
            _ => {
                let mut c = Conn::new(&target.url, &target.extra, target.era);
                c.open().map(|()| Link::Http(c))
            }
        };
        match opened {
            Ok(link) => return Ok(link),
            Err(e) if Instant::now() > until => return Err(e),
            Err(_) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(bad(format!("gateway left: {status}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Ready {
    link: Link,
    tools: Vec<String>,
    /// When any tool was there.
    first_ms: f64,
}

/// Lists again and again until at least `--expect` tools are there.
fn ready(a: &Args, target: &Target, child: &mut Child, begun: Instant) -> Result<Ready> {
    let until = begun + Duration::from_millis(a.num("--ready-ms", 60_000));
    let expect = a.num("--expect", 1) as usize;
    let http = a.get("--front") != Some("stdio");
    // A gateway may have tools of its own; with `--call` it has nothing else.
    let counts = |name: &str| {
        a.has("--call") || name.contains("inert_") || name.ends_with("echo") || name.ends_with("count")
    };
    let mut first_ms = None;
    let mut link = connect(a, target, child, until)?;
    loop {
        let last = match link.ask("tools/list", "{}", "") {
            Ok(v) => {
                let name = |t: &Value| t["name"].as_str().unwrap_or_default().to_string();
                let tools: Vec<String> =
                    v["result"]["tools"].as_array().into_iter().flatten().map(name).collect();
                if !tools.is_empty() {
                    first_ms.get_or_insert(begun.elapsed().as_secs_f64() * 1e3);
                }
                if tools.iter().filter(|name| counts(name)).count() >= expect {
                    return Ok(Ready { link, tools, first_ms: first_ms.unwrap_or_default() });
                }
                format!("{} tools of {expect}", tools.len())
            }
            Err(e) if http => {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(bad(format!("gateway left: {status}")));
                }
                link = connect(a, target, child, until)?;
                e.to_string()
            }
            Err(e) => return Err(e),
        };
        if Instant::now() > until {
            return Err(bad(last));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn lists(link: &mut Link, gateway: &Gateway, era: Era, count: u64) -> Result<Value> {
    let before = gateway.sample().cpu_us;
    let mut times = Vec::new();
    let start = Instant::now();
    for _ in 0..count {
        let t = Instant::now();
        match link {
            Link::Http(c) => drop(c.call(2, &request(era, 2, "tools/list", "{}"), "tools/list", "", 100)?),
            Link::Stdio(p) => {
                p.id += 1;
                let id = p.id;
                p.put(&request(era, id, "tools/list", "{}"))?;
                loop {
                    p.read()?;
                    if verdict(&p.line, id, 100).is_some() {
                        break;
                    }
                }
            }
        }
        times.push(t.elapsed().as_nanos() as u64);
        if start.elapsed() > Duration::from_secs(4) {
            break;
        }
    }
    let n = times.len() as u64;
    let mut out = micros(times);
    out["cpu_us"] = json!((gateway.sample().cpu_us - before) as f64 / n as f64);
    Ok(out)
}

/// Runs one case after a warm-up of a tenth of it.
fn case(a: &Args, link: &mut Link, target: &Target, gateway: &Gateway, spec: &str) -> Result<Value> {
    let f: Vec<u64> = spec.split(':').filter_map(|x| x.parse().ok()).collect();
    let text = payload(f[0] as usize);
    let make = |id: u64| target.request(id, &format!("{}{text}", mark(id)));
    let mut k = Case {
        size: f[0] as usize,
        conc: f[1] as usize,
        calls: (f[2] / 10).max(f[1]),
        limit: Duration::from_millis(500),
    };
    let mut go = |k: &Case| match link {
        Link::Http(c) => Ok(run_http(c, target, k, &make)),
        Link::Stdio(p) => run_stdio(p, k, &make),
    };
    let mut r = json!({"size": f[0], "conc": f[1], "n": 0, "errors": 1, "per_s": 0});
    if let Err(e) = go(&k) {
        // The warm-up failed: say so and go on with the next case.
        r["first_error"] = e.to_string().into();
        return Ok(r);
    }
    k.calls = f[2];
    k.limit = Duration::from_millis(a.num("--limit-ms", 1500));
    let (before, t) = (gateway.sample().cpu_us, Instant::now());
    let (times, errors, why) = go(&k)?;
    let secs = t.elapsed().as_secs_f64();
    let n = times.len();
    r["n"] = n.into();
    r["errors"] = errors.into();
    r["per_s"] = json!(n as f64 / secs);
    r["cpu_us"] = json!((gateway.sample().cpu_us - before) as f64 / n.max(1) as f64);
    if let Some(why) = why {
        r["first_error"] = why.into();
    }
    if let Value::Object(stats) = micros(times) {
        r.as_object_mut().unwrap().extend(stats);
    }
    Ok(r)
}

fn measure(a: &Args, child: &mut Child, begun: Instant) -> Result<Value> {
    let extra = a.0.windows(2).filter(|w| w[0] == "--header").map(|w| w[1].clone()).collect();
    let mut target = Target {
        url: a.get("--url").unwrap_or("").into(),
        extra,
        era: Era::from_args(a),
        tool: String::new(),
        before: String::new(),
        after: String::new(),
    };
    let gateway = Gateway { pid: child.id(), pid_file: a.get("--daemon").map(Into::into) };
    let Ready { mut link, tools, first_ms } = ready(a, &target, child, begun)?;
    let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
    let ready_cpu_ms = gateway.sample().cpu_us as f64 / 1e3;
    let echo = tools.iter().find(|n| n.ends_with("echo")).map_or("echo", |n| n.as_str());
    let call = match a.get("--call") {
        Some(call) => call.to_string(),
        None => faults::echo_params(echo, "@TEXT@"),
    };
    let (before, after) = call.split_once("@TEXT@").expect("@TEXT@ in --call");
    target.tool = serde_json::from_str::<Value>(&call)
        .ok()
        .and_then(|v| Some(v["name"].as_str()?.into()))
        .unwrap_or_default();
    (target.before, target.after) = (before.into(), after.into());
    let mut out = json!({"ready_ms": ready_ms, "ready_cpu_ms": ready_cpu_ms, "first_list_ms": first_ms, "tools": tools.len()});

    std::thread::sleep(Duration::from_millis(a.num("--settle-ms", 500)));
    out["idle"] = gateway.memory();
    let count = a.num("--list", 0);
    if count > 0 {
        out["list"] = lists(&mut link, &gateway, target.era, count)?;
    }
    let specs = a.get("--cases").unwrap_or("").split(',').filter(|s| !s.is_empty());
    let cases: Result<Vec<Value>> = specs.map(|spec| case(a, &mut link, &target, &gateway, spec)).collect();
    out["cases"] = cases?.into();
    out["after"] = gateway.memory();
    let n = a.num("--sessions", 0) as usize;
    if n > 0 && a.get("--front") == Some("http") {
        out["sessions"] = sessions(n, &target, gateway.sample(), || gateway.sample());
    }
    if a.has("--equal") {
        out["equal"] = faults::equal(&mut link, &tools, a.num("--equal", 10))?;
    }
    if let Some(name) = a.get("--kill") {
        out["kill"] = faults::kill(&mut link, &gateway, &tools, name)?;
    }
    if let Link::Http(c) = &mut link {
        c.close();
    }
    Ok(out)
}

fn start(a: &Args, cmd: &[String]) -> Child {
    let pipe = |on: bool| if on { Stdio::piped() } else { Stdio::null() };
    let stdio = a.get("--front") == Some("stdio");
    let log = a.get("--log").map(|f| std::fs::File::create(f).expect("log"));
    let mut c = Command::new(&cmd[0]);
    c.args(&cmd[1..]).stdin(pipe(stdio)).process_group(0);
    match &log {
        Some(f) if !stdio => c.stdout(f.try_clone().unwrap()),
        _ => c.stdout(pipe(stdio)),
    };
    c.stderr(log.map_or_else(Stdio::null, Stdio::from));
    // A gateway that hangs does not outlive a load client that is killed.
    let dies_with_us = || match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    };
    unsafe { c.pre_exec(dies_with_us) };
    c.spawn().expect("start gateway")
}

fn stop(mut child: Child, daemon: Option<u32>) {
    let lives = |pid: u32| unsafe { libc::kill(pid as i32, 0) } == 0;
    let group = -(child.id() as i32);
    unsafe { libc::kill(group, libc::SIGTERM) };
    if let Some(daemon) = daemon {
        unsafe { libc::kill(daemon as i32, libc::SIGTERM) };
    }
    for _ in 0..150 {
        if matches!(child.try_wait(), Ok(Some(_))) && !daemon.is_some_and(lives) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    unsafe { libc::kill(group, libc::SIGKILL) };
    if let Some(daemon) = daemon.filter(|&pid| lives(pid)) {
        unsafe { libc::kill(daemon as i32, libc::SIGKILL) };
    }
    let _ = child.wait();
}

fn main() {
    let mut all = Args::from_env().0;
    let at = all.iter().position(|a| a == "--").expect("-- COMMAND");
    let cmd = all.split_off(at + 1);
    let a = Args(all);
    let begun = Instant::now();
    let mut child = start(&a, &cmd);
    let out = measure(&a, &mut child, begun).unwrap_or_else(|e| json!({"failed": e.to_string()}));
    let gateway = Gateway { pid: child.id(), pid_file: a.get("--daemon").map(Into::into) };
    stop(child, gateway.daemon());
    println!("{out}");
}
