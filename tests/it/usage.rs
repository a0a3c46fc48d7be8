//! `umcp usage`, `pricing` and `quota`: what is reported and called is summed, priced and bounded.

use crate::support::daemon::{Daemon, fixture_server};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::peers::say;
use crate::support::sandbox::{NOW, Sandbox};
use crate::support::wire::Door;
use serde_json::{Value, json};
use umcp::engine::Reply;
use umcp::error::codes;
use umcp::servers::model::EraChoice;
use umcp::usage::quota::{self, Action, Limit, Per, Quota};
use umcp::usage::sums::Dimension;
use umcp::usage::{self, rollup};

const BOOK: &str = "prices:
  - name: sentiment
    entities: ['skill:sentiment*']
    tokens: {input: 0.01, output: 0.03}
  - {name: each, entities: ['git.*'], api_calls: 0.25}
";

/// A home with a price book and three reports.
fn reported() -> Sandbox {
    let sandbox = Sandbox::new();
    let book = sandbox.file("prices.yaml", BOOK);
    assert_eq!(sandbox.run(&["pricing", "import", book.to_str().unwrap()]).code, 0);
    let skill = ["usage", "record", "skill:sentiment-analysis", "--tokens-in", "1125", "--tokens-out", "375"];
    let more = ["--calls", "3", "--duration", "450", "--user", "user_123", "--metadata", "{\"k\":1}"];
    assert_eq!(
        sandbox.run(&[&skill[..], &more].concat()).stdout,
        "recorded sentiment-analysis: 1,500 tokens, $0.0225\n"
    );
    sandbox.run(&["usage", "record", "git.log", "--client", "=1+1", "--failed"]);
    sandbox.run(&["usage", "record", "workflow:nightly", "--cost", "1.5", "--user", "user_123"]);
    sandbox
}

#[test]
fn the_commands_of_the_plan_run_as_written() {
    let sandbox = reported();
    let summary = sandbox.json(&["usage", "summary", "--period", "month"]);
    let data = &summary["data"];
    assert_eq!((&data["records"], &data["failed"], &data["priced"]), (&json!(3), &json!(1), &json!(3)));
    assert_eq!((&data["cost_usd"], &data["cost_pico_usd"]), (&json!(1.7725), &json!("1772500000000")));
    let costs = sandbox.json(&["usage", "costs", "--user", "user_123"]);
    assert_eq!(costs["data"]["total"]["cost_usd"], 1.5225);
    let entities: Vec<&str> =
        costs["data"]["groups"].as_array().unwrap().iter().map(|it| it["entity"].as_str().unwrap()).collect();
    assert_eq!(entities, ["nightly", "sentiment-analysis"]);
    let apps = sandbox.json(&["usage", "breakdown", "--group-by", "app"]);
    assert_eq!(apps["data"]["groups"][1]["server"], "git");
    let types = sandbox.json(&["usage", "breakdown", "--group-by", "entity_type,user"]);
    assert_eq!(types["data"]["groups"].as_array().unwrap().len(), 3);
    assert_eq!(sandbox.run(&["usage", "export", "--format", "csv", "--output", "usage.csv"]).code, 0);
    let csv = std::fs::read_to_string(sandbox.home().join("usage.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 4, "{csv}");
    assert!(lines[1].contains(",skill,sentiment-analysis,") && lines[1].contains(",0.0225,1,"), "{csv}");
    assert!(lines[2].contains(",'=1+1,"), "{csv}");
    let again = sandbox.run(&["usage", "export", "--output", "usage.csv"]);
    assert!(again.stderr.contains("is there already"), "{again}");
    for format in ["json", "jsonl"] {
        let out = sandbox.run(&["usage", "export", "--format", format, "--user", "user_123"]).stdout;
        let rows: Vec<Value> = match format {
            "json" => serde_json::from_str(&out).unwrap(),
            _ => out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        assert_eq!(rows.len(), 2, "{out}");
        assert_eq!(rows[0]["metadata"], "{\"k\":1}");
    }
}

/// The lines of the roadmap that say `usage`, with the program's own name.
#[test]
fn every_usage_line_of_the_roadmap_runs() {
    let seed =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seeds/universal-mcp-roadmap.md");
    let Ok(text) = std::fs::read_to_string(&seed) else {
        say!("skipped: no roadmap at {}", seed.display());
        return;
    };
    let sandbox = reported();
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("universal-mcp usage ")).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        let arguments: Vec<&str> = ["usage"].into_iter().chain(line.split_whitespace()).collect();
        let output = sandbox.run(&arguments);
        assert!(output.code == 0 && !output.stdout.is_empty(), "{line}: {output}");
    }
    assert!(sandbox.home().join("usage.csv").exists());
}

#[test]
fn invoices_and_reports_are_exact_on_every_paper() {
    let sandbox = reported();
    let user = ["user", "create", "user_123", "--about", "Ann (Müller), room 7"];
    assert_eq!(sandbox.run(&user).code, 0);
    let invoice = ["usage", "invoice", "--user", "user_123", "--number", "2026-7"];
    let data = &sandbox.json(&invoice)["data"];
    assert_eq!(
        (&data["total_usd"], &data["due_usd"], &data["to"]),
        (&json!("1.5225"), &json!("1.52"), &json!("user_123, Ann (Müller), room 7"))
    );
    assert_eq!(data["lines"][1]["cost_usd"], "0.0225");
    let paper = sandbox.run(&invoice).stdout;
    assert!(paper.contains("# Invoice 2026-7") && paper.contains("| $1.5225 |"), "{paper}");
    for (verb, parts) in [
        (&invoice[..], ["(Invoice 2026-7)", "($1.5225)", "(To: user_123, Ann \\(M\\374ller\\), room 7)"]),
        (&["usage", "report"][..], ["(sentiment-analysis)", "($0.0225)", " re f"]),
    ] {
        let pdf = sandbox.run(&[verb, &["--format", "pdf"]].concat()).stdout;
        assert!(pdf.starts_with("%PDF-1.4") && pdf.ends_with("%%EOF\n"), "{pdf}");
        parts.iter().for_each(|part| assert!(pdf.contains(part), "{part}: {pdf}"));
    }
    let output = sandbox.run(&["usage", "export", "--format", "xlsx", "--output", "usage.xlsx"]);
    assert_eq!(output.code, 0, "{output}");
    let book = std::fs::read(sandbox.home().join("usage.xlsx")).unwrap();
    let entries = umcp::archive::entries(&book).unwrap();
    let sheet = String::from_utf8(entries.last().unwrap().read(&book).unwrap()).unwrap();
    assert!(sheet.matches("<row>").count() == 4 && sheet.contains(">=1+1</t>"), "{sheet}");
    let output = sandbox.run(&["usage", "export", "--format", "xlsx"]);
    assert!(output.code == 3 && output.stderr.contains("--output usage.xlsx"), "{output}");
    let output = sandbox.run(&["usage", "export", "--format", "parquet", "--output", "x"]);
    assert!(output.code == 3 && output.stderr.contains("csv, json, jsonl and xlsx"), "{output}");
    assert!(!sandbox.home().join("x").exists());
}

#[test]
fn calls_are_accounted_to_users() {
    let sandbox = reported();
    assert_eq!(sandbox.run(&["user", "create", "ann", "--client", "cursor", "--key", "lap*"]).code, 0);
    for more in
        [&["--client", "cursor"][..], &["--client", "codex"], &["--client", "codex", "--user", "laptop"]]
    {
        assert_eq!(sandbox.run(&[&["usage", "record", "git.push"], more].concat()).code, 0);
    }
    assert_eq!(sandbox.json(&["usage", "summary", "--user", "ann"])["data"]["records"], 2);
    let output = sandbox.run(&["user"]);
    assert!(output.stdout.contains("lap*") && output.stdout.contains("cursor"), "{output}");
    assert_eq!(sandbox.run(&["__complete", "user", "delete", "a"]).stdout, "ann\n");
    assert_eq!(sandbox.run(&["user", "create", "ann"]).code, 5);
    assert_eq!(sandbox.run(&["user", "delete", "anna"]).code, 4);
    assert_eq!(sandbox.run(&["user", "delete", "ann"]).code, 0);
    assert_eq!(sandbox.json(&["user", "list"])["data"]["users"], json!([]));
    sandbox.run(&["quota", "set", "spend", "--calls", "5"]);
    assert_eq!(sandbox.run(&["__complete", "quota", "delete", "s"]).stdout, "spend\tblock\n");
    assert_eq!(sandbox.run(&["__complete", "pricing", "delete", "s"]).stdout, "sentiment\n");
}

#[test]
fn sealing_that_is_killed_loses_nothing() {
    let sandbox = reported();
    let open = || {
        let now = umcp::clock::Timestamp::parse(NOW).unwrap();
        let root = sandbox.home().parent().unwrap().join("umcp");
        let places = umcp::paths::Paths::in_folder(&root, sandbox.home());
        umcp::store::Store::open(&places.store(), now).unwrap()
    };
    const CALLS: u64 = 12_000;
    let old = umcp::clock::Timestamp::parse("2025-12-30T10:00:00Z").unwrap();
    let store = open();
    store
        .write(|tx| {
            let found = tx.last(&usage::CALLS, 1, None, None)?;
            for number in 0..CALLS {
                let at = umcp::clock::Timestamp(old.0 + number * 10_000_000);
                tx.push(&usage::CALLS, at, &found[0].1)?;
            }
            rollup::rebuild(tx)
        })
        .unwrap();
    store.close().unwrap();
    for wait in [2, 10, 25, 60, 120, 200] {
        let mut child = sandbox.start(&["usage", "seal"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let _ = child.kill();
        child.wait().unwrap();
        let checked = sandbox.json(&["usage", "check"]);
        assert_eq!(checked["data"]["records"], CALLS + 3, "{checked}");
        assert_eq!(checked["data"]["differences"], json!([]));
    }
    assert_eq!(sandbox.run(&["usage", "seal"]).code, 0);
    let checked = sandbox.json(&["usage", "check"]);
    let data = &checked["data"];
    assert_eq!((&data["records"], &data["sealed"]["records"]), (&json!(CALLS + 3), &json!(CALLS)), "{data}");
    let answer = sandbox.json(&["usage", "breakdown", "--group-by", "tool", "--period", "2025-12-30"]);
    assert_eq!(answer["data"]["total"]["records"], 5040, "{answer}");
    let last = sandbox.run(&["tool", "history", "--limit", "5"]);
    assert_eq!(last.code, 0, "{last}");
}

#[test]
fn people_can_read_it_too() {
    let sandbox = reported();
    for (arguments, part) in [
        (&["usage"][..], "cost"),
        (&["usage", "trends", "--metric", "cost,calls"], "2026-01-02"),
        (&["usage", "top", "--by", "tokens"], "sentiment-analysis"),
        (&["usage", "report", "--format", "html"], "<svg"),
        (&["usage", "report"], "| sentiment-analysis |"),
        (&["usage", "report", "--format", "json"], "\"parts\""),
        (&["usage", "insights"], "stands out"),
        (&["usage", "anomalies"], "no day"),
        (&["usage", "check"], "agree"),
        (&["usage", "seal"], "sealed 0 records"),
        (&["usage", "invoice"], "Amount due"),
        (&["user", "list"], "no users"),
        (&["usage", "live", "--interval", "100ms", "--count", "1"], "in all"),
        (&["pricing", "list"], "sentiment"),
        (&["pricing", "show"], "0.01"),
        (
            &["pricing", "test", "skill:sentiment-x", "--tokens-in", "1125", "--tokens-out", "375"],
            "in all $0.0225",
        ),
        (&["pricing", "import", "--preset", "all"], "gpt-5"),
        (&["quota", "set", "few", "--calls", "5", "--per", "month"], "5 of 5 calls"),
    ] {
        let output = sandbox.run(arguments);
        assert!(output.code == 0 && output.stdout.contains(part), "{arguments:?}: {output}");
    }
    assert_eq!(sandbox.run(&["quota", "check"]).code, 13);
    assert_eq!(sandbox.run(&["quota", "delete", "few"]).code, 0);
    assert_eq!(sandbox.run(&["quota", "check"]).code, 0);
    // Prices that change later change nothing until they are asked to.
    sandbox.run(&["pricing", "set", "each", "--entity", "git.*", "--call", "0.75"]);
    assert_eq!(sandbox.json(&["usage", "recalculate"])["data"]["changed"], 2);
    assert_eq!(sandbox.json(&["usage"])["data"]["cost_usd"], 2.2725);
    assert_eq!(sandbox.run(&["usage", "check"]).code, 0);
}

#[test]
fn mistakes_are_told() {
    let sandbox = Sandbox::new();
    for (arguments, code, part) in [
        (&["usage", "summary", "--period", "soon"][..], 3, "is no period"),
        (&["usage", "breakdown", "--group-by", "colour"], 2, "entity_type"),
        (&["usage", "record", "dog:rex"], 3, "no type"),
        (&["usage", "record", "a.b", "--cost=-1"], 3, "0 to a billion"),
        (&["usage", "record", "a.b", "--at", "2099-01-01T00:00:00Z"], 3, "in the future"),
        (&["pricing", "set", "x"], 3, "has no price"),
        (&["pricing", "delete", "x"], 4, "no price named"),
        (&["quota", "set", "x"], 3, "has no limit"),
        (&["quota", "delete", "x"], 4, "no quota named"),
    ] {
        let output = sandbox.run(arguments);
        assert!(output.code == code && output.stderr.contains(part), "{arguments:?}: {output}");
    }
}

fn client(daemon: &Daemon, door: Door, name: &str) -> Mcp {
    Mcp::new(daemon, door, Era::Legacy, name, everything(), Box::new(agreeable))
}

fn put(daemon: &Daemon, name: &str, client: &str, limit: Limit, action: Action) {
    let of = [(Dimension::Client, client.to_string())].into();
    let reason = Some("ask Ann for more".to_string());
    let quota = Quota { name: name.into(), of, per: Per::Total, limit, action, reason };
    let now = umcp::clock::Clock::System.now();
    daemon.ask(usage::Request::Quota(quota::Request::Put { quota, now }));
}

#[test]
fn two_agents_with_different_budgets_and_one_is_stopped() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, "ann-few", "ann", Limit { calls: Some(3), ..Limit::default() }, Action::Block);
    put(&daemon, "bob-warn", "bob", Limit { calls: Some(3), ..Limit::default() }, Action::Warn);
    let mut ann = client(&daemon, Door::Bridge, "ann");
    let mut bob = client(&daemon, Door::Http, "bob");
    for _ in 0..3 {
        assert_eq!(ann.call("fx__echo", json!({"text": "x"})).text(), "x");
        assert_eq!(bob.call("fx__echo", json!({"text": "x"})).text(), "x");
    }
    let refused = ann.call("fx__echo", json!({"text": "x"}));
    assert_eq!(refused.result()["isError"], true);
    assert_eq!(refused.text(), "the quota `ann-few` is used up: calls 3 of 3: ask Ann for more");
    let warned = bob.call("fx__echo", json!({"text": "x"}));
    assert_eq!(
        (warned.text(), &warned.result()["content"][1]["text"]),
        ("x", &json!("umcp: the quota `bob-warn` is used up: calls 3 of 3: ask Ann for more"))
    );
    let check = daemon.ask(usage::Request::Check);
    let Reply::Usage(usage::Reply::Checked(rollup::Checked { records, differences, .. })) = check else {
        panic!("{check:?}")
    };
    assert_eq!((records, differences), (8, vec![]));
    // A restart forgets nothing.
    drop((ann, bob));
    let stopped = umcp::daemon::lifecycle::stop(&daemon.paths);
    assert!(stopped.is_ok());
    daemon.restart();
    let mut ann = client(&daemon, Door::Bridge, "ann");
    assert!(ann.call("fx__echo", json!({"text": "x"})).text().contains("`ann-few` is used up"));
    daemon.ask(usage::Request::Quota(quota::Request::Delete {
        names: vec!["ann-few".into()],
        now: umcp::clock::Clock::System.now(),
    }));
    assert_eq!(ann.call("fx__echo", json!({"text": "y"})).text(), "y");
    assert_eq!(codes::QUOTA_EXCEEDED.code, "UM1205");
}

#[test]
fn a_quota_is_exact_under_64_parallel_clients() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, "hundred", "swarm", Limit { calls: Some(100), ..Limit::default() }, Action::Block);
    let mut clients: Vec<Mcp> = (0..64).map(|_| client(&daemon, Door::Http, "swarm")).collect();
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|mcp| {
                scope.spawn(|| {
                    let call = |mcp: &mut Mcp| mcp.call("fx__echo", json!({"text": "x"})).text() == "x";
                    (0..3).filter(|_| call(mcp)).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 100);
}
