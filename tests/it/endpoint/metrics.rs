//! `/metrics`: who may read it, what stands there after calls, and a real Prometheus that scrapes it with a key.

use super::{bearer, exchange, key};
use crate::support::daemon::{Daemon, fixture_server};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::peers::{self, Beside};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use umcp::engine::live::Listening;
use umcp::policy::scope::Scopes;
use umcp::servers::model::EraChoice;

fn scoped(daemon: &Daemon, name: &str, scope: &str) -> String {
    key(daemon, name, |token| token.scopes = Scopes::parse([scope]).unwrap())
}

/// Three good calls and one that fails, by a client whose name would end a line.
fn work(daemon: &Daemon) {
    daemon.add(fixture_server("fix", EraChoice::Legacy, &[]));
    let mut ann =
        Mcp::new(daemon, Door::Bridge, Era::Legacy, "a\"n\\n\nx", everything(), Box::new(agreeable));
    for _ in 0..3 {
        assert_eq!(ann.call("fix__echo", json!({"text": "x"})).text(), "x");
    }
    ann.call("fix__fail", json!({}));
}

#[test]
fn metrics_are_told_to_keys_that_open_them() {
    let daemon = Daemon::start();
    let address = daemon.listen_as(Listening::default()).address;
    let all = key(&daemon, "all", |_| {});
    let scraper = scoped(&daemon, "scraper", "metrics");
    let viewer = scoped(&daemon, "viewer", "tools:read");
    let narrow = key(&daemon, "narrow", |token| token.profile = Some("work".into()));
    let lacks = r#"Bearer realm="umcp", error="insufficient_scope", scope="metrics""#;
    for (method, headers, status, challenge) in [
        ("GET", vec![bearer(&all)], 200, None),
        ("GET", vec![bearer(&scraper)], 200, None),
        ("GET", vec![bearer(&viewer)], 403, Some(lacks)),
        ("GET", vec![bearer(&narrow)], 403, None),
        ("GET", vec![], 401, Some(r#"Bearer realm="umcp", scope="tools:read tools:call resources prompts""#)),
        ("POST", vec![bearer(&scraper)], 405, None),
        ("GET", vec![bearer(&scraper), ("Origin", "https://evil.example".into())], 404, None),
    ] {
        let (head, answer) = exchange(&address, method, "/metrics", &headers, "");
        assert_eq!(
            (head.status, head.get("www-authenticate")),
            (status, challenge),
            "{method} {headers:?}: {answer}"
        );
    }
    // What opens the metrics opens no tool.
    let (head, _) = super::ask(&address, "tools/list", json!({}), &[bearer(&scraper)]);
    assert_eq!(head.status, 403);
}

#[test]
fn calls_are_counted_once_their_records_are_made() {
    let daemon = Daemon::start();
    work(&daemon);
    let address = daemon.listen();
    let run = |arguments: &[&str]| {
        let output = Command::new(crate::support::daemon::UMCP)
            .args(arguments)
            .env("UMCP_HOME", daemon.folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: Value =
        serde_json::from_str(&run(&["metrics", "show", "--metric", "calls,response_time", "--json"]))
            .unwrap();
    let metrics = &shown["data"]["metrics"];
    assert_eq!((&metrics[0]["name"], &metrics[0]["total"]), (&json!("umcp_calls_total"), &json!(4.0)));
    assert_eq!(metrics[1]["total"]["count"], 4);
    assert!(metrics[1]["total"]["p95"].as_f64().unwrap() > 0.0, "{shown}");
    assert!(run(&["metrics"]).contains("umcp_server_up"));
    let text = run(&["metrics", "export"]);
    let (head, scraped) = exchange(&address, "GET", "/metrics", &[], "");
    assert_eq!(head.get("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let scraped = scraped.as_str().unwrap();
    let client = r#"client="a\"n\\n\nx""#;
    for line in [
        format!(r#"umcp_calls_total{{{client},result="ok",server="fix",tool="echo"}} 3"#),
        format!(r#"umcp_calls_total{{{client},result="tool error",server="fix",tool="fail"}} 1"#),
        r#"umcp_call_duration_seconds_count{server="fix"} 4"#.into(),
        r#"umcp_server_up{server="fix"} 1"#.into(),
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        assert!(scraped.lines().any(|it| it == line), "{line}\n{scraped}");
    }
    let exported: Value = serde_json::from_str(&run(&["metrics", "export", "--format", "json"])).unwrap();
    let names: Vec<&str> =
        exported["families"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"umcp_store_commits_total") && names.contains(&"umcp_schedules"), "{names:?}");
    let errors: Value = serde_json::from_str(&run(&["metrics", "errors", "--json"])).unwrap();
    assert_eq!(
        (&errors["data"][0]["server"], &errors["data"][0]["result"], &errors["data"][0]["calls"]),
        (&json!("fix"), &json!("tool error"), &json!(1)),
        "{errors}"
    );
}

#[test]
fn a_real_prometheus_scrapes_it_with_a_key() {
    let Some(prometheus) = peers::find("prometheus") else { return };
    let daemon = Daemon::start();
    work(&daemon);
    let address = daemon.listen_as(Listening::default()).address;
    let scraper = scoped(&daemon, "scraper", "metrics");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "scrape_configs:\n- job_name: umcp\n  scrape_interval: 1s\n  authorization: {{credentials: {scraper}}}\n  \
         static_configs: [{{targets: ['{address}']}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let port = peers::free_port();
    let _beside = Beside::start(
        Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    peers::wait_for(port, Duration::from_secs(60));
    let own = format!("127.0.0.1:{port}");
    let ask = |query: &str| {
        let path = format!("/api/v1/query?query={query}");
        exchange(&own, "GET", &path, &[], "").1["data"]["result"][0]["value"][1].as_str().map(String::from)
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while ask("up").as_deref() != Some("1") || ask("umcp_calls_total").is_none() {
        assert!(Instant::now() < deadline, "nothing was scraped");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ask("umcp_calls_total%7Btool%3D%22echo%22%7D").as_deref(), Some("3"));
    assert_eq!(ask("sum(umcp_calls_total)").as_deref(), Some("4"));
    let median = ask("histogram_quantile(0.5,umcp_call_duration_seconds_bucket)").unwrap();
    assert!(median.parse::<f64>().unwrap() > 0.0, "{median}");
    assert_eq!(ask("umcp_server_up%7Bserver%3D%22fix%22%7D").as_deref(), Some("1"));
}
