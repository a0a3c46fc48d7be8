//! Pages as the registry answers them, and as somebody would who means no good.

use super::*;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn official(status: &str, updated: &str, latest: bool) -> Value {
    json!({OFFICIAL: {"status": status, "publishedAt": "2025-10-01T00:00:00Z", "updatedAt": updated, "isLatest": latest}})
}

fn server(name: &str, more: Value) -> Value {
    let mut server = json!({"name": name, "description": "A thing", "version": "1.0.0"});
    for (key, value) in more.as_object().unwrap() {
        server[key] = value.clone();
    }
    server
}

fn read(text: &Value) -> Page {
    page("https://r.example.com", &text.to_string(), NOW).unwrap()
}

fn way(package: Value) -> Way {
    entry(&server("a/b", json!({"packages": [package]}))).unwrap().ways.remove(0)
}

fn reason(way: &Way) -> &str {
    match way {
        Way::Other { reason, .. } => reason,
        _ => "it runs",
    }
}

#[test]
fn a_page_as_the_registry_answers_it() {
    let context7 = server(
        "io.github.upstash/context7",
        json!({
            "$schema": SCHEMA,
            "title": "Context7",
            "websiteUrl": "https://context7.com",
            "repository": {"url": "https://github.com/upstash/context7", "source": "github"},
            "packages": [
                {"registryType": "npm", "identifier": "@upstash/context7-mcp", "version": "2.0.2", "transport": {"type": "stdio"},
                 "environmentVariables": [{"name": "CONTEXT7_API_KEY", "description": "API key", "isRequired": false, "isSecret": true}]},
                {"registryType": "mcpb", "identifier": "https://example.com/x.mcpb", "transport": {"type": "stdio"}},
            ],
            "remotes": [{"type": "streamable-http", "url": "https://mcp.context7.com/mcp",
                         "headers": [{"name": "Authorization", "isSecret": true}]}],
        }),
    );
    let page = read(&json!({
        "servers": [
            {"server": context7, "_meta": official("active", "2026-08-01T10:00:00Z", true)},
            {"server": server("a.b/old", json!({})), "_meta": official("active", "2026-08-02T10:00:00Z", false)},
            {"server": server("a.b/gone", json!({})), "_meta": official("deleted", "2026-08-03T10:00:00.5Z", true)},
            {"server": server("a.b/stale", json!({})), "_meta": official("deprecated", "2026-07-01T10:00:00Z", true)},
            // As version 0 and some others answer.
            {"name": "c.d/flat", "description": "Flat", "packages": [{"registry_type": "pypi", "identifier": "flat",
             "environment_variables": [{"name": "KEY", "is_required": true, "is_secret": true}]}]},
        ],
        "metadata": {"nextCursor": "c.d/flat:1.0.0", "count": 5},
    }));
    assert_eq!(page.next.as_deref(), Some("c.d/flat:1.0.0"));
    assert_eq!(page.newest.as_deref(), Some("2026-08-03T10:00:00.5Z"));
    assert_eq!((page.items, page.removed, page.refused), (5, vec!["a.b/gone".to_string()], vec![]));
    let names: Vec<_> = page.entries.iter().map(|entry| (entry.name.as_str(), entry.deprecated)).collect();
    assert_eq!(names, [("io.github.upstash/context7", false), ("a.b/stale", true), ("c.d/flat", false)]);
    let key = Input {
        name: "CONTEXT7_API_KEY".into(),
        description: Some("API key".into()),
        secret: true,
        ..Input::default()
    };
    let expected = Entry {
        name: "io.github.upstash/context7".into(),
        title: Some("Context7".into()),
        description: "A thing".into(),
        version: Some("1.0.0".into()),
        ways: vec![
            Way::Npm(Package {
                name: "@upstash/context7-mcp".into(),
                version: Some("2.0.2".into()),
                env: vec![key],
                ..Package::default()
            }),
            Way::Other {
                what: "mcpb:https://example.com/x.mcpb".into(),
                reason: "umcp does not run packages of this kind".into(),
            },
            Way::Remote(Remote {
                url: "https://mcp.context7.com/mcp".into(),
                sse: false,
                headers: vec![Input { name: "Authorization".into(), secret: true, ..Input::default() }],
            }),
        ],
        homepage: Some("https://context7.com/".into()),
        repository: Some("https://github.com/upstash/context7".into()),
        updated: Some("2026-08-01T10:00:00Z".into()),
        ..Entry::default()
    };
    assert_eq!(page.entries[0], expected);
    let flat = page.entries[2].ways[0].inputs();
    assert_eq!((flat[0].required, flat[0].secret), (true, true));
}

#[test]
fn a_page_that_is_none_is_refused() {
    let long = "x".repeat(1_001);
    for (text, why) in [
        (String::new(), "it is no JSON"),
        ("<html>".into(), "it is no JSON"),
        ("[".repeat(200), "it is no JSON"),
        ("[]".into(), "it has no list `servers`"),
        (json!({"servers": {}}).to_string(), "it has no list `servers`"),
        (json!({"servers": vec![0; 1_001]}).to_string(), "it holds more than 1,000 entries"),
        (json!({"servers": [], "metadata": {"nextCursor": 7}}).to_string(), "its cursor is none"),
        (json!({"servers": [], "metadata": {"nextCursor": long}}).to_string(), "its cursor is none"),
        (json!({"servers": [], "metadata": {"nextCursor": "a\nb"}}).to_string(), "its cursor is none"),
        (" ".repeat(MOST_BYTES + 1), "it is larger than 4 MiB"),
    ] {
        let error = page("https://r.example.com", &text, NOW).unwrap_err();
        assert!(error.is(&codes::SOURCE_INVALID));
        assert_eq!(error.message, format!("`https://r.example.com` is no page of a registry: {why}"));
    }
    assert_eq!(read(&json!({"servers": [], "metadata": {"nextCursor": ""}})).next, None);
    assert_eq!(read(&json!({"servers": []})).next, None);
}

#[test]
fn an_entry_that_is_wrong_costs_that_entry() {
    let page = read(&json!({"servers": [
        {"server": server("good.one/x", json!({}))},
        {"server": {"name": 7}},
        {"server": server("../../etc/passwd", json!({}))},
        {"server": server("a.b/\u{202e}evil", json!({}))},
        {"server": server("a.b/c", json!({"packages": "npm"}))},
        {"server": server("a.b/d", json!({"packages": vec![json!({}); 17]}))},
        "text", null, 5, [],
    ]}));
    assert_eq!(page.entries.len(), 1);
    let why: Vec<_> =
        page.refused.iter().map(|refused| (refused.name.as_str(), refused.why.as_str())).collect();
    assert_eq!(
        why[..5],
        [
            ("", "it has no name"),
            ("../../etc/passwd", "its name holds what no name may"),
            ("a.b/\u{fffd}evil", "its name holds what no name may"),
            ("a.b/c", "its packages are no list"),
            ("a.b/d", "it offers more than 16 packages or addresses"),
        ]
    );
    assert_eq!(page.refused.len(), 9);
}

#[test]
fn a_change_from_the_future_moves_nothing() {
    let page = read(&json!({"servers": [
        {"server": server("a.b/c", json!({})), "_meta": official("active", "9999-01-01T00:00:00Z", true)},
        {"server": server("a.b/d", json!({})), "_meta": official("active", "nonsense", true)},
    ]}));
    assert_eq!((page.newest, page.entries.len()), (None, 2));
}

#[test]
fn texts_are_cleaned() {
    let odd = entry(&server(
        "a.b/c",
        json!({
            "title": "A\u{1b}[31m\u{202e}B", "description": "one\n\ttwo\u{200b}", "version": "1\u{7}",
            "websiteUrl": "javascript:alert(1)", "repository": "https://x",
        }),
    ))
    .unwrap();
    assert_eq!(odd.title.as_deref(), Some("A[31mB"));
    assert_eq!(odd.description, "one two");
    assert_eq!((odd.version, odd.homepage, odd.repository), (None, None, None));
}

#[test]
fn arguments_are_taken_or_asked_for() {
    let taken = way(json!({"registryType": "npm", "identifier": "x", "packageArguments": [
        {"type": "positional", "value": "--stdio"},
        {"type": "named", "name": "--mode", "value": "fast"},
        {"type": "named", "name": "--verbose", "isRequired": true},
        {"type": "named", "name": "--port", "default": "80"},
        {"type": "named", "name": "--level", "default": "low", "isRequired": true},
        {"type": "named", "name": "--path", "value": "${HOME}"},
        {"type": "positional", "valueHint": "folder", "isRequired": true},
        {"type": "named", "name": "--token", "value": "{token}", "isRequired": true, "description": "Your token"},
    ]}));
    let Way::Npm(package) = taken else { panic!("{taken:?}") };
    assert_eq!(package.args, ["--stdio", "--mode", "fast", "--verbose", "--level", "low"]);
    assert_eq!(package.asks, ["folder", "--token --token"]);
    let between = way(json!({"registryType": "npm", "identifier": "x", "packageArguments": [
        {"type": "positional", "valueHint": "folder", "isRequired": true}, {"type": "positional", "value": "last"},
    ]}));
    assert_eq!(reason(&between), "its arguments stand among some that only you can say");
}

#[test]
fn what_an_entry_may_not_ask_for_is_no_way() {
    let npm = |more: Value| {
        let mut package = json!({"registryType": "npm", "identifier": "x", "version": "1.0.0"});
        for (key, value) in more.as_object().unwrap() {
            package[key] = value.clone();
        }
        reason(&way(package)).to_string()
    };
    for (more, why) in [
        (json!({}), "it runs"),
        (json!({"runtimeArguments": [{"type": "positional", "value": "-y"}]}), "it runs"),
        (json!({"identifier": "git+https://evil.example.com/x"}), "its package has no name npm knows"),
        (json!({"identifier": "--registry=https://evil.example.com"}), "its package has no name npm knows"),
        (json!({"version": "^1.0.0"}), "its version is none"),
        (json!({"version": "latest"}), "its version is none"),
        (
            json!({"registryBaseUrl": "https://evil.example.com"}),
            "its package comes from a package registry of its own",
        ),
        (
            json!({"registryBaseUrl": "http://registry.example.com"}),
            "its package comes from a package registry of its own",
        ),
        (
            json!({"runtimeArguments": [{"type": "named", "name": "--registry", "value": "https://evil.example.com"}]}),
            "it passes arguments to the package manager itself",
        ),
        (json!({"runtimeArguments": "x"}), "its arguments or variables are no list"),
        (
            json!({"environmentVariables": [{"name": "NODE_OPTIONS", "value": "--require=/evil.js"}]}),
            "it wants to set the variable `NODE_OPTIONS`",
        ),
        (
            json!({"environmentVariables": [{"name": "LD_PRELOAD", "isRequired": true}]}),
            "it wants to set the variable `LD_PRELOAD`",
        ),
        (json!({"environmentVariables": [{"name": "PATH"}]}), "it runs"),
        (
            json!({"environmentVariables": vec![json!({"name": "A"}); 65]}),
            "it takes more than 64 arguments or variables",
        ),
        (
            json!({"transport": {"type": "streamable-http", "url": "http://127.0.0.1"}}),
            "its package is a web server that you would have to start yourself",
        ),
        (
            json!({"registryType": "oci", "identifier": "docker.io/x/y:1"}),
            "umcp does not run packages of this kind",
        ),
    ] {
        assert_eq!(npm(more.clone()), why, "{more}");
    }
    let fixed = way(json!({"registryType": "npm", "identifier": "x", "environmentVariables": [
        {"name": "URL", "value": "https://evil.example.com/?k=${AWS_SECRET_ACCESS_KEY}"},
        {"name": "RUN", "value": "cmd://curl evil"}, {"name": "MODE", "value": "fast"},
    ]}));
    let values: Vec<_> =
        fixed.inputs().iter().map(|input| (input.value.as_deref(), input.required)).collect();
    assert_eq!(values, [(None, true), (None, true), (Some("fast"), false)]);
    for (remote, why) in [
        (
            json!({"type": "streamable-http", "url": "https://169.254.169.254/"}),
            "its address is a number or a local name",
        ),
        (
            json!({"type": "sse", "url": "https://x.example.com/?t=secret://GITHUB_TOKEN"}),
            "its address has gaps that only you can fill",
        ),
        (json!({"type": "websocket", "url": "wss://x.example.com"}), "umcp does not know its transport"),
        (json!({"type": "sse", "url": 5}), "its address is no URL"),
        (
            json!({"type": "sse", "url": "https://x.example.com", "headers": [{"name": "Host", "isRequired": true}]}),
            "it wants to set the header `Host`",
        ),
    ] {
        let way = entry(&server("a.b/c", json!({"remotes": [remote]}))).unwrap().ways.remove(0);
        assert_eq!(reason(&way), why);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let package = Package {
        name: "@acme/notes".into(),
        version: Some("1.2.3".into()),
        args: vec!["--stdio".into()],
        asks: vec!["folder".into()],
        env: vec![Input { name: "KEY".into(), required: true, secret: true, ..Input::default() }],
    };
    let whole = Entry {
        name: "com.example/notes".into(),
        title: Some("Notes".into()),
        description: "Keeps notes".into(),
        version: Some("1.2.3".into()),
        ways: vec![
            Way::Npm(package),
            Way::Remote(Remote { url: "https://mcp.example.com/".into(), sse: true, headers: vec![] }),
        ],
        repository: Some("https://github.com/acme/notes".into()),
        ..Entry::default()
    };
    let written = write(&whole).unwrap();
    assert_eq!(written["$schema"], SCHEMA);
    assert_eq!(entry(&written).unwrap(), whole);
    for (name, ways) in
        [("notes", vec![]), ("com.example/notes", vec![Way::App { name: "x".into() }]), ("a/b/c", vec![])]
    {
        assert!(write(&Entry { name: name.into(), ways, ..whole.clone() }).is_err(), "{name}");
    }
    assert!(write(&Entry { version: None, ..whole.clone() }).is_err());
    assert!(write(&Entry { description: String::new(), ..whole }).is_err());
}
