//! Two questions beside speed: does every call reach the upstream, and what does a client see when one was killed?

use super::Gateway;
use super::link::{Link, bad};
use mcp_gateway_bench::tree::fixtures_named;
use serde_json::{Value, json};
use std::io::Result;
use std::time::{Duration, Instant};

/// Tries after a kill; between two of them is a short pause.
const TRIES: u32 = 200;

/// `tools/call` params of an echo tool.
pub fn echo_params(tool: &str, text: &str) -> String {
    format!(r#"{{"name":"{tool}","arguments":{{"text":"{text}"}}}}"#)
}

fn text(answer: &Value) -> Option<&str> {
    if answer["result"]["isError"] == true {
        return None;
    }
    answer["result"]["content"][0]["text"].as_str()
}

/// Sends `n` equal calls and asks the fixture how many it saw.
pub fn equal(link: &mut Link, tools: &[String], n: u64) -> Result<Value> {
    let find = |end: &str| {
        tools.iter().find(|name| name.ends_with(end)).ok_or_else(|| bad(format!("no tool {end}")))
    };
    let (echo, count) = (find("echo")?, find("count")?);
    let params = echo_params(echo, "the same");
    for _ in 0..n {
        link.ask("tools/call", &params, echo)?;
    }
    let answer = link.ask("tools/call", &format!(r#"{{"name":"{count}","arguments":{{}}}}"#), count)?;
    let reached: Option<u64> = text(&answer).and_then(|t| t.parse().ok());
    Ok(json!({"sent": n, "reached": reached}))
}

/// Kills the upstream `name` and calls it: tries and time until the first good answer. Another upstream is called
/// between all of it and must not notice.
pub fn kill(link: &mut Link, gateway: &Gateway, tools: &[String], name: &str) -> Result<Value> {
    let echoes: Vec<&String> = tools.iter().filter(|tool| tool.ends_with("echo")).collect();
    let of = |own: bool| echoes.iter().find(|tool| tool.starts_with(name) == own);
    let (Some(own), Some(other)) = (of(true), of(false)) else { return Err(bad("two upstreams are needed")) };
    let mut call = |tool: &str| -> Result<(bool, f64)> {
        let t = Instant::now();
        let answer = link.ask("tools/call", &echo_params(tool, "alive"), tool)?;
        Ok((text(&answer) == Some("alive"), t.elapsed().as_secs_f64() * 1e3))
    };
    if !call(own)?.0 || !call(other)?.0 {
        return Err(bad("a call before the kill failed"));
    }
    let roots = [Some(gateway.pid), gateway.daemon()];
    let mut victims: Vec<u32> =
        roots.into_iter().flatten().flat_map(|root| fixtures_named(root, name)).collect();
    victims.sort_unstable();
    victims.dedup();
    for &pid in &victims {
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
    if victims.is_empty() {
        return Err(bad(format!("no fixture named {name}")));
    }
    // A call written in the very instant of the death may have run: no gateway may send it twice. This asks for the
    // calls after it.
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    let (mut tries, mut others_failed, mut other_ms) = (0, 0, 0.0_f64);
    let recovered = loop {
        tries += 1;
        let (good, _) = call(own)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let (other_good, ms) = call(other)?;
        others_failed += u32::from(!other_good);
        other_ms = other_ms.max(ms);
        if good {
            break Some(took);
        }
        if tries == TRIES {
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let fixtures = gateway.sample().fixtures;
    Ok(json!({
        "tries": tries, "recovered_ms": recovered, "others_failed": others_failed, "other_ms": other_ms, "fixtures": fixtures,
    }))
}
