//! Every tool of every shipped manifest: the request it makes, seen by a stub, and what is made of an answer of the
//! shape the service's documentation gives. Long because it is a table of them all.

use crate::command::umcp;
use crate::support::daemon::Daemon;
use crate::support::stub::{Answer, Stub};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use umcp::apps::file::load;
use umcp::apps::shipped::SHIPPED;
use umcp::engine::live::{CallRequest, Live, LiveReply};

/// App and tool, arguments, the request line, its body, the answer, what a client gets of it.
struct Row(&'static str, Value, &'static str, &'static str, Value, Value);

fn rows() -> Vec<Row> {
    let ok = || json!({"ok": true});
    let quote = json!([{"q": "Be", "a": "A", "h": "<b/>"}]);
    let list = json!({"object": "list", "data": [], "has_more": false});
    vec![
        Row("zenquotes.random_quote", json!({}), "GET /random", "", quote.clone(), quote.clone()),
        Row("zenquotes.quote_of_the_day", json!({}), "GET /today", "", quote.clone(), quote.clone()),
        Row("zenquotes.quotes", json!({}), "GET /quotes", "", quote.clone(), quote),
        Row(
            "weather.find_place",
            json!({"name": "São Paulo"}),
            "GET /search?name=S%C3%A3o+Paulo&count=5",
            "",
            json!({"results": [{"name": "São Paulo", "latitude": -23.5}], "generationtime_ms": 1}),
            json!([{"name": "São Paulo", "latitude": -23.5}]),
        ),
        Row(
            "weather.forecast",
            json!({"latitude": 52.5, "longitude": 13.4, "days": 1}),
            "GET /forecast?latitude=52.5&longitude=13.4&forecast_days=1&current=temperature_2m%2Cprecipitation%2C\
             wind_speed_10m%2Cweather_code&daily=temperature_2m_max%2Ctemperature_2m_min%2Cprecipitation_sum%2C\
             weather_code&timezone=auto",
            "",
            json!({"current": {"temperature_2m": 3.1}}),
            json!({"current": {"temperature_2m": 3.1}}),
        ),
        Row(
            "arxiv.search_papers",
            json!({"query": "ti:attention AND au:vaswani"}),
            "GET /query?search_query=ti%3Aattention+AND+au%3Avaswani&start=0&max_results=10&sortBy=relevance",
            "",
            ok(),
            ok(),
        ),
        Row("arxiv.get_paper", json!({"id": "1706.03762"}), "GET /query?id_list=1706.03762", "", ok(), ok()),
        Row(
            "crossref.search_works",
            json!({"query": "graphs", "rows": 1}),
            "GET /works?query=graphs&rows=1&offset=0&select=DOI%2Ctitle%2Cauthor%2Cpublished%2Ccontainer-title%2C\
             type%2CURL%2Cis-referenced-by-count",
            "",
            json!({"status": "ok", "message": {"items": []}}),
            json!({"items": []}),
        ),
        Row(
            "crossref.get_work",
            json!({"doi": "10.1000/xyz"}),
            "GET /works/10.1000%2Fxyz",
            "",
            json!({"message": {"DOI": "10.1000/xyz"}}),
            json!({"DOI": "10.1000/xyz"}),
        ),
        Row(
            "paper-search.search_arxiv",
            json!({"query": "ti:attention"}),
            "GET /query?search_query=ti%3Aattention&start=0&max_results=10",
            "",
            ok(),
            ok(),
        ),
        Row(
            "paper-search.search_crossref",
            json!({"query": "graphs", "count": 1}),
            "GET /works?query=graphs&rows=1&offset=0&select=DOI%2Ctitle%2Cauthor%2Cpublished%2Ccontainer-title%2CURL",
            "",
            json!({"status": "ok", "message": {"items": []}}),
            json!({"items": []}),
        ),
        Row(
            "paper-search.get_arxiv_paper",
            json!({"id": "1706.03762"}),
            "GET /query?id_list=1706.03762",
            "",
            ok(),
            ok(),
        ),
        Row(
            "paper-search.get_publication",
            json!({"doi": "10.1000/xyz"}),
            "GET /works/10.1000%2Fxyz",
            "",
            json!({"message": {"DOI": "10.1000/xyz"}}),
            json!({"DOI": "10.1000/xyz"}),
        ),
        Row("github.get_user", json!({}), "GET /user", "", ok(), ok()),
        Row(
            "github.list_repositories",
            json!({}),
            "GET /user/repos?per_page=30&page=1&sort=updated",
            "",
            ok(),
            ok(),
        ),
        Row("github.get_repository", json!({"owner": "a", "repo": "b"}), "GET /repos/a/b", "", ok(), ok()),
        Row(
            "github.search_repositories",
            json!({"query": "mcp language:rust"}),
            "GET /search/repositories?q=mcp+language%3Arust&per_page=10",
            "",
            ok(),
            ok(),
        ),
        Row(
            "github.list_issues",
            json!({"owner": "a", "repo": "b", "labels": "bug"}),
            "GET /repos/a/b/issues?state=open&labels=bug&per_page=30&page=1",
            "",
            ok(),
            ok(),
        ),
        Row(
            "github.get_issue",
            json!({"owner": "a", "repo": "b", "number": 7}),
            "GET /repos/a/b/issues/7",
            "",
            ok(),
            ok(),
        ),
        Row(
            "github.create_issue",
            json!({"owner": "a", "repo": "b", "title": "T", "labels": ["x"]}),
            "POST /repos/a/b/issues",
            r#"{"title":"T","labels":["x"]}"#,
            ok(),
            ok(),
        ),
        Row(
            "github.comment_on_issue",
            json!({"owner": "a", "repo": "b", "number": 7, "body": "hi"}),
            "POST /repos/a/b/issues/7/comments",
            r#"{"body":"hi"}"#,
            ok(),
            ok(),
        ),
        Row(
            "github.list_pull_requests",
            json!({"owner": "a", "repo": "b"}),
            "GET /repos/a/b/pulls?state=open&per_page=30",
            "",
            ok(),
            ok(),
        ),
        Row(
            "slack.list_channels",
            json!({}),
            "GET /conversations.list?limit=100&exclude_archived=true",
            "",
            ok(),
            ok(),
        ),
        Row(
            "slack.read_channel",
            json!({"channel": "C1"}),
            "GET /conversations.history?channel=C1&limit=20",
            "",
            ok(),
            ok(),
        ),
        Row(
            "slack.post_message",
            json!({"channel": "C1", "text": "hi"}),
            "POST /chat.postMessage",
            r#"{"channel":"C1","text":"hi"}"#,
            ok(),
            ok(),
        ),
        Row("slack.list_users", json!({}), "GET /users.list?limit=100", "", ok(), ok()),
        Row(
            "notion.search",
            json!({"query": "x"}),
            "POST /search",
            r#"{"query":"x","page_size":20}"#,
            ok(),
            ok(),
        ),
        Row("notion.get_page", json!({"page_id": "p"}), "GET /pages/p", "", ok(), ok()),
        Row(
            "notion.get_blocks",
            json!({"block_id": "b"}),
            "GET /blocks/b/children?page_size=50",
            "",
            ok(),
            ok(),
        ),
        Row(
            "notion.query_database",
            json!({"database_id": "d", "filter": {"property": "Done"}}),
            "POST /databases/d/query",
            r#"{"filter":{"property":"Done"},"page_size":50}"#,
            ok(),
            ok(),
        ),
        Row(
            "notion.create_page",
            json!({"parent_id": "p", "title": "T", "text": "x"}),
            "POST /pages",
            r#"{"parent":{"page_id":"p"},"properties":{"title":{"title":[{"text":{"content":"T"}}]}},"children":[{"object":"block","type":"paragraph","paragraph":{"rich_text":[{"type":"text","text":{"content":"x"}}]}}]}"#,
            ok(),
            ok(),
        ),
        Row("stripe.get_balance", json!({}), "GET /balance", "", ok(), ok()),
        Row(
            "stripe.list_customers",
            json!({"email": "a@b.c"}),
            "GET /customers?limit=10&email=a%40b.c",
            "",
            list.clone(),
            list,
        ),
        Row("stripe.get_customer", json!({"id": "cus_1"}), "GET /customers/cus_1", "", ok(), ok()),
        Row(
            "stripe.create_customer",
            json!({"email": "a@b.c"}),
            "POST /customers",
            "email=a%40b.c",
            ok(),
            ok(),
        ),
        Row("stripe.list_charges", json!({}), "GET /charges?limit=10", "", ok(), ok()),
        Row(
            "stripe.list_invoices",
            json!({"customer": "cus_1"}),
            "GET /invoices?limit=10&customer=cus_1",
            "",
            ok(),
            ok(),
        ),
        Row(
            "supabase.select_rows",
            json!({"table": "todos", "order": "id.desc"}),
            "GET /rest/v1/todos?select=*&order=id.desc&limit=20&offset=0",
            "",
            json!([{"id": 1}]),
            json!([{"id": 1}]),
        ),
        Row(
            "supabase.insert_row",
            json!({"table": "todos", "row": {"task": "x"}}),
            "POST /rest/v1/todos",
            r#"{"task":"x"}"#,
            ok(),
            ok(),
        ),
        Row("discord.list_guilds", json!({}), "GET /users/@me/guilds", "", ok(), ok()),
        Row("discord.list_channels", json!({"guild_id": "1"}), "GET /guilds/1/channels", "", ok(), ok()),
        Row(
            "discord.read_messages",
            json!({"channel_id": "1"}),
            "GET /channels/1/messages?limit=20",
            "",
            ok(),
            ok(),
        ),
        Row(
            "discord.send_message",
            json!({"channel_id": "1", "content": "hi"}),
            "POST /channels/1/messages",
            r#"{"content":"hi"}"#,
            ok(),
            ok(),
        ),
        Row(
            "x.search_posts",
            json!({"query": "mcp"}),
            "GET /tweets/search/recent?query=mcp&max_results=10&tweet.fields=created_at%2Cauthor_id%2Cpublic_metrics",
            "",
            ok(),
            ok(),
        ),
        Row(
            "x.get_user",
            json!({"username": "ada"}),
            "GET /users/by/username/ada?user.fields=description%2Cpublic_metrics",
            "",
            ok(),
            ok(),
        ),
        Row("x.create_post", json!({"text": "hi"}), "POST /tweets", r#"{"text":"hi"}"#, ok(), ok()),
        Row(
            "reddit.list_posts",
            json!({"subreddit": "rust"}),
            "GET /r/rust/hot?limit=10&raw_json=1",
            "",
            json!({"kind": "Listing", "data": {"children": []}}),
            json!({"children": []}),
        ),
        Row(
            "reddit.search",
            json!({"query": "x"}),
            "GET /search?q=x&limit=10&raw_json=1",
            "",
            json!({"data": [1]}),
            json!([1]),
        ),
        Row(
            "reddit.get_comments",
            json!({"subreddit": "rust", "post_id": "abc"}),
            "GET /r/rust/comments/abc?limit=20&raw_json=1",
            "",
            ok(),
            ok(),
        ),
        Row(
            "reddit.submit_text",
            json!({"subreddit": "rust", "title": "T", "text": "x y"}),
            "POST /api/submit",
            "sr=rust&title=T&text=x+y&kind=self&api_type=json",
            ok(),
            ok(),
        ),
        Row(
            "tavily.search",
            json!({"query": "mcp"}),
            "POST /search",
            r#"{"query":"mcp","max_results":5,"topic":"general","include_answer":false}"#,
            ok(),
            ok(),
        ),
        Row(
            "tavily.extract",
            json!({"urls": ["https://a"]}),
            "POST /extract",
            r#"{"urls":["https://a"]}"#,
            ok(),
            ok(),
        ),
        Row(
            "gmail.list_messages",
            json!({"query": "is:unread"}),
            "GET /users/me/messages?q=is%3Aunread&maxResults=20",
            "",
            ok(),
            ok(),
        ),
        Row("gmail.get_message", json!({"id": "m"}), "GET /users/me/messages/m?format=full", "", ok(), ok()),
        Row("gmail.list_labels", json!({}), "GET /users/me/labels", "", ok(), ok()),
        Row(
            "gmail.send_message",
            json!({"raw": "abc"}),
            "POST /users/me/messages/send",
            r#"{"raw":"abc"}"#,
            ok(),
            ok(),
        ),
        Row(
            "google-calendar.list_calendars",
            json!({}),
            "GET /users/me/calendarList",
            "",
            json!({"kind": "calendar#calendarList", "items": [1]}),
            json!([1]),
        ),
        Row(
            "google-calendar.list_events",
            json!({"time_min": "2026-01-31T09:00:00Z"}),
            "GET /calendars/primary/events?timeMin=2026-01-31T09%3A00%3A00Z&maxResults=20&singleEvents=true&orderBy=startTime",
            "",
            ok(),
            ok(),
        ),
        Row(
            "google-calendar.create_event",
            json!({"summary": "S", "start": "a", "end": "b"}),
            "POST /calendars/primary/events",
            r#"{"summary":"S","start":{"dateTime":"a"},"end":{"dateTime":"b"}}"#,
            ok(),
            ok(),
        ),
        Row(
            "google-calendar.delete_event",
            json!({"event_id": "e"}),
            "DELETE /calendars/primary/events/e",
            "",
            ok(),
            ok(),
        ),
    ]
}

#[test]
fn every_shipped_tool_makes_its_request() {
    let rows = rows();
    let answers: Vec<(String, Value)> = rows.iter().map(|row| (row.2.to_string(), row.4.clone())).collect();
    let stub = Stub::start(move |asked| {
        let line = format!("{} {}", asked.method, asked.path);
        match answers.iter().find(|(known, _)| *known == line) {
            Some((_, answer)) => Answer::json(answer),
            None => Answer::status(404, &line),
        }
    });
    let daemon = Daemon::start();
    for (name, text) in SHIPPED {
        let loaded = load(name, text).unwrap();
        if loaded.server.is_some() || loaded.definition.tools.iter().any(|tool| tool.http().is_none()) {
            continue;
        }
        let mut words = vec!["app".to_string(), "install".into(), (*name).into(), "--allow-private".into()];
        for setting in &loaded.definition.settings {
            let value = if setting.secret { "k3y".to_string() } else { stub.address.clone() };
            words.extend(["--set".into(), format!("{}={value}", setting.name)]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let installed = umcp(&daemon, &words);
        assert_eq!(installed["data"]["tools"], loaded.definition.tools.len(), "{installed}");
    }
    let mut tried = BTreeSet::new();
    for Row(target, arguments, line, body, _, expected) in &rows {
        let (text, is_error) = call(&daemon, target, arguments);
        let asked = stub.take().pop().unwrap_or_default();
        assert_eq!(format!("{} {}", asked.method, asked.path), *line, "{target}: {text}");
        assert_eq!((asked.body.as_str(), is_error), (*body, false), "{target}: {text}");
        assert_eq!(text, expected.to_string(), "{target}");
        let name = target.split('.').next().unwrap();
        if load(name, umcp::apps::shipped::find(name).unwrap()).unwrap().integration.is_some() {
            let authorization = asked.header("authorization").unwrap_or_default();
            assert!(authorization.ends_with(" k3y"), "{target}: {authorization}");
        }
        tried.insert((*target).to_string());
    }
    let all = SHIPPED.iter().flat_map(|(name, text)| {
        let tools = load(name, text).unwrap().definition.tools;
        tools
            .into_iter()
            .filter(|tool| tool.http().is_some())
            .map(move |tool| format!("{name}.{}", tool.name))
            .collect::<Vec<_>>()
    });
    assert_eq!(tried, all.collect::<BTreeSet<_>>(), "every tool is tried");
}

/// Programs in a folder of their own, which the daemon finds before all others.
fn daemon_with(programs: &[(&str, &str)]) -> (Daemon, tempfile::TempDir) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in programs {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let home = folder.path().to_str().unwrap();
    (Daemon::start_with(&[("PATH", &path), ("HOME", home), ("WAYLAND_DISPLAY", "")]), folder)
}

#[test]
fn every_shipped_command_runs_its_program() {
    let (daemon, _folder) = daemon_with(&[("docker", r#"printf '%s|' "$@""#)]);
    umcp(&daemon, &["app", "install", "docker"]);
    let rows = [
        ("list_containers", json!({}), "ps|--no-trunc|--all|--format|json|"),
        ("inspect_container", json!({"container": "web"}), "inspect|--type|container|web|"),
        ("container_logs", json!({"container": "web", "lines": 5}), "logs|--tail|5|web|"),
        (
            "run_container",
            json!({"image": "redis:7", "port": "127.0.0.1:1:6379", "command": ["redis-server", "--save", ""]}),
            "run|--detach|--publish|127.0.0.1:1:6379|--|redis:7|redis-server|--save||",
        ),
        ("start_container", json!({"container": "web"}), "start|web|"),
        ("stop_container", json!({"container": "web"}), "stop|web|"),
        ("remove_container", json!({"container": "web"}), "rm|web|"),
        ("list_images", json!({}), "images|--format|json|"),
        ("pull_image", json!({"image": "redis:7"}), "pull|--quiet|redis:7|"),
    ];
    for (tool, arguments, expected) in &rows {
        assert_eq!(
            call(&daemon, &format!("docker.{tool}"), arguments),
            ((*expected).into(), false),
            "{tool}"
        );
    }
    let all = load("docker", umcp::apps::shipped::find("docker").unwrap()).unwrap().definition.tools;
    assert_eq!(all.len(), rows.len(), "every tool is tried");
    // What looks like an option reaches no program.
    let (told, is_error) = call(&daemon, "docker.stop_container", &json!({"container": "--all"}));
    assert!(is_error, "{told}");
}

#[test]
fn the_logger_writes_lines_and_snap_happy_files() {
    let shot = r#"for a; do case $a in --file=*) printf png >"${a#--file=}" ;; esac; done"#;
    let (daemon, folder) =
        daemon_with(&[("gnome-screenshot", shot), ("screencapture", r#"printf png >"$2""#)]);
    umcp(&daemon, &["app", "install", "logger"]);
    umcp(&daemon, &["app", "install", "snap-happy"]);
    for level in ["debug", "info", "warn", "error"] {
        let message = json!({"message": format!("a {level}; $(touch x)\nsecond")});
        assert!(!call(&daemon, &format!("logger.{level}"), &message).1);
    }
    let (told, _) = call(&daemon, "logger.read", &json!({"lines": 2}));
    let lines: Vec<&str> = told.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(lines, ["WARN a warn; $(touch x) second", "ERROR a error; $(touch x) second"]);
    let (path, is_error) = call(&daemon, "snap-happy.take_screenshot", &json!({}));
    assert!(!is_error && path.trim().starts_with(folder.path().to_str().unwrap()), "{path}");
    for tool in ["list_screenshots", "last_screenshot"] {
        assert_eq!(call(&daemon, &format!("snap-happy.{tool}"), &json!({})), (path.clone(), false), "{tool}");
    }
}

fn call(daemon: &Daemon, target: &str, arguments: &Value) -> (String, bool) {
    let request = CallRequest {
        target: target.into(),
        arguments: arguments.to_string(),
        timeout_ms: None,
        client: "test".into(),
        profile: None,
        account: None,
        record: false,
    };
    match daemon.live(Live::Call(request)) {
        LiveReply::Called(called) => {
            let result: Value = serde_json::from_str(&called.result).unwrap();
            (result["content"][0]["text"].as_str().unwrap_or_default().into(), result["isError"] == true)
        }
        other => panic!("{target}: {other:?}"),
    }
}
