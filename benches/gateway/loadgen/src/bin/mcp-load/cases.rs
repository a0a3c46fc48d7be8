//! Loads: many calls over one connection or several at once, and many clients at once.

use super::Target;
use super::link::{Conn, Pipe, bad, mark, payload, verdict};
use mcp_gateway_bench::tree::Tree;
use serde_json::{Value, json};
use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Order statistics of nanoseconds, in microseconds; null when there are none.
pub fn micros(mut v: Vec<u64>) -> Value {
    if v.is_empty() {
        return Value::Null;
    }
    v.sort_unstable();
    let at = |q: f64| v[((v.len() - 1) as f64 * q).round() as usize] as f64 / 1000.0;
    json!({"n": v.len(), "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "max_us": at(1.0)})
}

/// One load: answers of `size` bytes, `conc` calls in flight, at most `calls` calls and `limit` of time.
pub struct Case {
    pub size: usize,
    pub conc: usize,
    pub calls: u64,
    pub limit: Duration,
}

/// Nanoseconds of each good call, how many failed, and why the first did.
pub type Outcome = (Vec<u64>, u64, Option<String>);

pub fn run_http(c: &Conn, target: &Target, k: &Case, make: &(dyn Fn(u64) -> String + Sync)) -> Outcome {
    let (next, errors) = (AtomicU64::new(10), AtomicU64::new(0));
    let why = std::sync::Mutex::new(None);
    let start = Instant::now();
    let session = c.session.clone();
    let all = std::thread::scope(|s| {
        let hs: Vec<_> = (0..k.conc)
            .map(|_| {
                s.spawn(|| {
                    let mut c = Conn::new(&target.url, &target.extra, target.era);
                    c.session = session.clone();
                    let mut v = Vec::new();
                    loop {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        if id >= 10 + k.calls || start.elapsed() > k.limit {
                            return v;
                        }
                        let body = make(id);
                        let t = Instant::now();
                        match c.call(id, &body, "tools/call", &target.tool, k.size) {
                            Ok(true) => v.push(t.elapsed().as_nanos() as u64),
                            r => {
                                errors.fetch_add(1, Ordering::Relaxed);
                                let text = r.err().map_or("not a good result".into(), |e| e.to_string());
                                why.lock().unwrap().get_or_insert(text);
                            }
                        }
                        if errors.load(Ordering::Relaxed) > 200 {
                            return v;
                        }
                    }
                })
            })
            .collect();
        hs.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    (all, errors.into_inner(), why.into_inner().unwrap())
}

pub fn run_stdio(p: &mut Pipe, k: &Case, make: &(dyn Fn(u64) -> String + Sync)) -> Result<Outcome> {
    let base = p.id + 1;
    p.id += k.calls;
    let (mut v, mut errors) = (Vec::new(), 0);
    let start = Instant::now();
    if k.conc == 1 {
        for id in base..base + k.calls {
            if start.elapsed() > k.limit {
                break;
            }
            let body = make(id);
            let t = Instant::now();
            p.put(&body)?;
            loop {
                p.read()?;
                match verdict(&p.line, id, k.size) {
                    Some(true) => v.push(t.elapsed().as_nanos() as u64),
                    Some(false) => errors += 1,
                    None => continue,
                }
                break;
            }
        }
        return Ok((v, errors, None));
    }
    // The reader finds the id itself; the writer keeps the window full.
    let (tx, rx) = std::sync::mpsc::channel::<(u64, bool, Instant)>();
    let done = AtomicU64::new(u64::MAX);
    let (w, r) = (&mut p.w, &mut p.r);
    std::thread::scope(|s| -> Result<()> {
        let done = &done;
        s.spawn(move || {
            let (mut line, mut seen) = (Vec::new(), 0);
            while seen < done.load(Ordering::Acquire) {
                if r.next(&mut line).is_err() {
                    return;
                }
                let now = Instant::now();
                let head = String::from_utf8_lossy(&line[..line.len().min(120)]).replace(' ', "");
                let tail = String::from_utf8_lossy(&line[line.len().saturating_sub(120)..]).replace(' ', "");
                let find = |s: &str| {
                    let at = s.rfind("\"id\":")? + 5;
                    let n = s[at..].bytes().take_while(u8::is_ascii_digit).count();
                    s[at..at + n].parse::<u64>().ok()
                };
                let Some(id) = find(&head).or_else(|| find(&tail)).filter(|&i| i >= base) else { continue };
                seen += 1;
                if tx.send((id, verdict(&line, id, k.size) == Some(true), now)).is_err() {
                    return;
                }
            }
        });
        let mut sent = std::collections::HashMap::new();
        let mut id = base;
        let mut over = false;
        loop {
            while !over && sent.len() < k.conc {
                // The reader must know the count before the last answer comes.
                if id + 1 >= base + k.calls || start.elapsed() > k.limit {
                    over = true;
                    done.store(id - base + 1, Ordering::Release);
                }
                let body = make(id);
                sent.insert(id, Instant::now());
                w.put(&body)?;
                id += 1;
            }
            if sent.is_empty() {
                return Ok(());
            }
            let (id, good, at) = rx.recv_timeout(Duration::from_secs(20)).map_err(|_| bad("no answer"))?;
            if let Some(t) = sent.remove(&id) {
                match good {
                    true => v.push((at - t).as_nanos() as u64),
                    false => errors += 1,
                }
            }
        }
    })?;
    Ok((v, errors, None))
}

/// What one of many clients does: it opens, lists and calls once.
fn visit(c: &mut Conn, target: &Target) -> Result<bool> {
    c.open()?;
    c.ask(2, "tools/list", "{}", "")?;
    let text = mark(3) + &payload(1024);
    c.call(3, &target.request(3, &text), "tools/call", &target.tool, 1024)
}

/// `n` clients at once; all stay until the last is served. `sample` measures the gateway then.
pub fn sessions(n: usize, target: &Target, before: Tree, sample: impl Fn() -> Tree) -> Value {
    let start = Instant::now();
    let gate = std::sync::Barrier::new(n + 1);
    let one = || {
        let mut c = Conn::new(&target.url, &target.extra, target.era);
        let t = Instant::now();
        let result = visit(&mut c, target);
        let took = t.elapsed().as_nanos() as u64;
        gate.wait();
        gate.wait();
        c.close();
        match result {
            Ok(true) => Ok(took),
            Ok(false) => Err("call failed".to_string()),
            Err(e) => Err(e.to_string()),
        }
    };
    let (secs, t, results) = std::thread::scope(|s| {
        let threads: Vec<_> = (0..n).map(|_| s.spawn(one)).collect();
        gate.wait();
        let secs = start.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_millis(300));
        let t = sample();
        gate.wait();
        let results: Vec<_> = threads.into_iter().map(|h| h.join().unwrap()).collect();
        (secs, t, results)
    });
    let good: Vec<u64> = results.iter().filter_map(|r| r.as_ref().ok().copied()).collect();
    json!({
        "asked": n, "good": good.len(), "secs": secs, "each": micros(good),
        "first_error": results.iter().find_map(|r| r.as_ref().err()),
        "rss_added_kib": t.rss_kib.saturating_sub(before.rss_kib), "procs": t.procs, "fixtures": t.fixtures,
    })
}
