//! Files of commands: what they become, and what is said about the wrong ones.

use super::load;
use crate::apps::model::{Action, Backoff, Body, Item, Run, Scheme, Style};
use serde_json::json;

const GOOD: &str = r#"
description: Things of mine
commands:
  log:
    description: Recent commits
    arguments:
      count: {type: integer, default: 10, maximum: 100}
      author: string?
      path: string
    exec: [git, log, "--max-count={{count}}", ["--author", "x{{author}}"], --, "{{path}}"]
    cwd: ~/src
    env: {GIT_PAGER: cat}
    timeout: 1m30s
    limit: 200k
    hints: {read_only: true}
  build:
    script: make
    needs: [clean]
    shell: bash
    exit-codes: [2]
  clean:
    exec: [make, clean]
    when: {os: [linux], exists: [Makefile]}
"#;

#[test]
fn a_file_becomes_tools() {
    let loaded = load("tools.yaml", GOOD).unwrap();
    let names: Vec<&str> = loaded.definition.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["log", "build", "clean"]);
    let log = &loaded.definition.tools[0];
    assert_eq!(
        log.input,
        json!({"type": "object", "properties": {
            "count": {"type": "integer", "default": 10, "maximum": 100},
            "author": {"type": "string"}, "path": {"type": "string"}},
            "required": ["path"], "additionalProperties": false})
    );
    assert_eq!((log.timeout_ms, log.limit, log.hints.read_only), (90_000, 200 << 10, Some(true)));
    let Action::Exec(exec) = &log.action else { panic!() };
    let Run::Argv(items) = &exec.run else { panic!() };
    assert_eq!(items[3], Item::Group(vec!["--author".into(), "x{{author}}".into()]));
    let Action::Exec(build) = &loaded.definition.tools[1].action else { panic!() };
    assert_eq!(build.run, Run::Script { text: "make".into(), shell: "bash".into() });
    assert_eq!(
        (build.ok.as_slice(), loaded.definition.tools[1].needs.as_slice()),
        (&[2][..], &["clean".into()][..])
    );
}

#[test]
fn requests_are_read_with_their_signing() {
    let text = r#"
base: https://api.test/v1
headers: {Accept: application/json}
auth: {bearer: "secret://KEY"}
tools:
  get: {http: {url: "/a/{{id}}", result: /data}, arguments: {id: integer}}
  put:
    arguments: {a: string, f: string}
    http:
      url: https://other.test/{{a}}
      headers: {accept: text/plain}
      multipart: {t: "{{a}}", f: {file: "{{f}}"}}
      auth: {header: {name: X-Key, value: "${K}"}}
      retry: {max: 2, delay: 10ms, backoff: fixed}
"#;
    let definition = load("app.yaml", text).unwrap().definition;
    let Action::Http(get) = &definition.tools[0].action else { panic!() };
    assert_eq!(
        (get.method.as_str(), get.result.as_deref(), &get.auth),
        ("GET", Some("/data"), &vec![vec!["default".to_string()]])
    );
    assert_eq!(definition.tools[0].hints.read_only, Some(true));
    assert_eq!(
        definition.schemes["default"],
        Scheme::Header { name: "Authorization".into(), value: "Bearer ${secret://KEY}".into() }
    );
    let Action::Http(put) = &definition.tools[1].action else { panic!() };
    assert_eq!(
        (put.method.as_str(), put.headers.len()),
        ("POST", 1),
        "the own header replaces the shared one"
    );
    let Some(Body::Multipart(parts)) = &put.body else { panic!() };
    assert_eq!(parts.iter().map(|part| part.style).collect::<Vec<_>>(), [Style::Repeat, Style::File]);
    let retry = put.retry.as_ref().unwrap();
    assert_eq!((retry.max, retry.delay_ms, retry.backoff), (2, 10, Backoff::Fixed));
}

#[test]
fn a_file_of_mcpfier_is_taken_as_it_is() {
    let text = r#"
commands:
  - name: list files
    script: ls
    args: ["-la", "{{x}}"]
    description: "Lists files"
    timeout: "30s"
  - name: python
    script: python
    args: ["-c", "print(1)"]
    container: "python:3-slim"
    env: {DEBUG: "1"}
  - name: hook
    webhook:
      url: "https://hooks.test/x"
      method: POST
      headers: {X-A: b}
      body: '{"text": "hi {{x}}"}'
      body_format: json
      auth: {type: api_key, key: "${KEY}", header: X-Token}
      retry: {max_retries: 2, backoff: linear, delay: 100ms, status_codes: [500]}
server:
  http: {port: 8080}
analytics: {enabled: true}
"#;
    let loaded = load("config.yaml", text).unwrap();
    assert_eq!(
        loaded.notes,
        [
            "line 22: `server` concerns MCPFier's own server",
            "line 24: `analytics` concerns MCPFier's own server"
        ]
    );
    let tools = &loaded.definition.tools;
    assert_eq!(
        tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(),
        ["list_files", "python", "hook"]
    );
    let Action::Exec(list) = &tools[0].action else { panic!() };
    assert_eq!(list.run, Run::Verbatim(vec!["ls".into(), "-la".into(), "{{x}}".into()]));
    assert!(list.stderr && tools[0].timeout_ms == 30_000);
    let Action::Exec(python) = &tools[1].action else { panic!() };
    assert_eq!(python.container.as_deref(), Some("python:3-slim"));
    let Action::Http(hook) = &tools[2].action else { panic!() };
    assert_eq!((hook.method.as_str(), hook.auth.len()), ("POST", 1));
    assert_eq!(
        loaded.definition.schemes["hook"],
        Scheme::Header { name: "X-Token".into(), value: "${KEY}".into() }
    );
    let none = serde_json::Map::new();
    let sent =
        crate::apps::request::build(&loaded.definition, hook, &none, &|text| Ok(text.into()), "B").unwrap();
    assert_eq!(sent.body.as_deref(), Some(&br#"{"text": "hi {{x}}"}"#[..]));
    let retry = hook.retry.as_ref().unwrap();
    assert_eq!((retry.max, retry.pause_ms(1), retry.status.as_slice()), (2, 200, &[500][..]));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    // Where `⟨` stands the mistake is told; it is taken out before the text is read.
    for (text, words) in [
        ("commands: ⟨3\n", "expected a map of commands"),
        ("⟨other: {}\n", "unknown field `other`"),
        ("commands: {}\nname: x\n⟨tool: {}\n", "unknown field `tool`"),
        ("commands:\n  ⟨a b: {exec: [x]}\n", "cannot be the name of a command"),
        ("commands:\n  ⟨a: {}\n", "does nothing"),
        ("commands:\n  ⟨a: {exec: [x], script: y}\n", "does several things"),
        ("commands:\n  a: {exec: ⟨[]}\n", "`exec` is empty"),
        ("commands:\n  a: {exec: [x, ⟨'{{b}}']}\n", "`{{b}}` is no argument"),
        ("commands:\n  a: {exec: [⟨'{{b}}'], arguments: {b: string}}\n", "may not choose the program"),
        ("commands:\n  a: {script: ⟨'echo {{b}}', arguments: {b: string}}\n", "would be read as shell text"),
        ("commands:\n  a: {script: x, shell: ⟨cmd}\n", "no shell that umcp knows"),
        ("commands:\n  a: {exec: [x], timeout: ⟨soon}\n", "`soon` is no time"),
        ("commands:\n  a: {exec: [x], limit: ⟨1T}\n", "`1T` is no amount"),
        ("commands:\n  a: {exec: [x], ⟨argument: {}}\n", "unknown field `argument`"),
        ("commands:\n  a: {exec: [x], arguments: {n: ⟨int}}\n", "`int` is no type"),
        ("commands:\n  a: {exec: [x], arguments: {n: {⟨minumum: 1}}}\n", "unknown field `minumum`"),
        ("commands:\n  a: {exec: [x], arguments: {⟨1: string}}\n", "name of an argument"),
        (
            "commands:\n  a: {exec: [x], env: {PATH: ⟨'{{b}}'}, arguments: {b: string}}\n",
            "decides what code runs",
        ),
        (
            "commands:\n  a: {exec: [x, {if: ⟨b, then: [y]}], arguments: {b: string}}\n",
            "no argument of the type `boolean`",
        ),
        ("commands:\n  a: {exec: [x], needs: [⟨b]}\n", "there is no command `b`"),
        ("commands:\n  ⟨a: {exec: [x], needs: [b]}\n  b: {exec: [x], needs: [a]}\n", "in a circle"),
        (
            "commands:\n  a: {exec: [x], needs: [⟨b]}\n  b: {exec: [x], arguments: {c: string}}\n",
            "wants arguments",
        ),
        ("commands:\n  a: {http: {url: ⟨x.test}}\n", "is no address"),
        ("commands:\n  a: {http: {url: ⟨/x}}\n", "is only a path"),
        ("commands:\n  a: {http: {url: ⟨'https://{{h}}/x'}, arguments: {h: string}}\n", "part of the host"),
        ("commands:\n  a: {http: {url: ⟨'https://x:{{h}}'}, arguments: {h: string}}\n", "part of the host"),
        ("commands:\n  a: {http: {url: ⟨'file:///etc/passwd'}}\n", "is no address"),
        ("commands:\n  a: {http: {url: 'https://x', method: ⟨BREW}}\n", "`BREW` is no method"),
        ("commands:\n  a: {http: {url: 'https://x', headers: {⟨Host: y}}}\n", "cannot be set"),
        ("commands:\n  a: {http: {url: 'https://x', json: {}, body: ⟨y}}\n", "one body"),
        ("commands:\n  a: {http: {url: 'https://x', result: ⟨a}}\n", "JSON pointer"),
        ("commands:\n  - ⟨{name: a}\n", "does nothing"),
        ("commands:\n  - {name: a, script: x}\n  - ⟨{name: a, script: y}\n", "two commands named `a`"),
        ("commands:\n  - {name: a, script: x, timeout: ⟨never}\n", "`never` is no time"),
        ("commands:\n  - {name: a, webhook: {url: 'https://x', auth: ⟨{type: basic}}}\n", "needs `user`"),
        ("commands:\n  a: {exec: [x]}\n  ⟨a: {exec: [y]}\n", "duplicate"),
    ] {
        let before = text.split('⟨').next().unwrap();
        let (line, column) =
            (before.lines().count().max(1), before.lines().last().unwrap_or_default().chars().count() + 1);
        let (line, column) = if before.ends_with('\n') { (line + 1, 1) } else { (line, column) };
        let error = load("tools.yaml", &text.replace('⟨', "")).unwrap_err();
        let span = error.span.clone().unwrap_or_else(|| panic!("{text}: no place: {error}"));
        assert!(error.message.contains(words), "{text}: {error}");
        assert_eq!((span.line as usize, span.column as usize), (line, column), "{text}: {error}");
    }
}

#[test]
fn braces_of_other_programs_are_left_alone() {
    let text = "commands:\n  ps: {exec: [docker, ps, --format, '{{.Names}}']}\n";
    let Action::Exec(exec) = &load("t.yaml", text).unwrap().definition.tools[0].action.clone() else {
        panic!()
    };
    let built = crate::apps::exec::build(exec, &serde_json::Map::new(), &|text| Ok(text.into()), "").unwrap();
    assert_eq!(built.args, ["ps", "--format", "{{.Names}}"]);
}
