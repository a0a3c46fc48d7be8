//! Lists in pages, against a service on loopback that counts its pages in four ways.

use crate::command::{told, umcp};
use crate::support::daemon::Daemon;
use crate::support::stub::{Answer, Stub};
use serde_json::json;

/// The value of a query parameter.
fn of<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    path.split_once('?')?.1.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn answer(path: &str, address: &str) -> Answer {
    let place = path.split('?').next().unwrap_or_default();
    let page: u32 = of(path, "page").and_then(|page| page.parse().ok()).unwrap_or(1);
    let link = |page: u32| format!("{place}?page={page}");
    match place {
        "/number" => Answer::json(json!({"items": if page < 5 { vec![page] } else { vec![] }})),
        "/cursor" => {
            let at: u32 = of(path, "after").and_then(|at| at.strip_prefix('c')?.parse().ok()).unwrap_or(1);
            let next = (at < 4).then(|| format!("c{}", at + 1));
            Answer::json(json!({"items": [at], "next": next}))
        }
        "/address" => {
            let next = (page < 4).then(|| format!("{address}{}", link(page + 1)));
            Answer::json(json!({"items": [page], "next": next}))
        }
        "/broken" if page == 3 => Answer::status(500, "{}"),
        "/large" => {
            let mut answer = Answer::json(json!({"items": ["x".repeat(400)]}));
            answer.headers.push(("Link", format!("<{}>; rel=\"next\"", link(page + 1))));
            answer
        }
        _ => {
            let mut answer = Answer::json(json!({"items": [page], "of": 4}));
            let next = match page {
                3 if place == "/away" => "http://127.0.0.1:9/stolen".to_string(),
                4 if place == "/circle" => link(1),
                4 => return answer,
                page => link(page + 1),
            };
            answer.headers.push(("Link", format!("<{next}>; rel=\"next\"")));
            answer
        }
    }
}

#[test]
fn a_list_in_pages_is_followed_as_far_as_its_bounds_go() {
    let address = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let known = address.clone();
    let stub = Stub::start(move |asked| answer(&asked.path, known.get().map_or("", String::as_str)));
    address.set(stub.address.clone()).unwrap();
    let daemon = Daemon::start();
    let command = |name: &str, url: &str, pages: &str, more: &str| {
        format!(
            "  {name}:\n    description: Lists\n    http: {{url: {url}, result: /items, pages: {pages}}}\n{more}"
        )
    };
    let commands = [
        command("whole", "/whole", "{max: 9}", ""),
        command("some", "/some", "{max: 2}", ""),
        command("one", "/one", "{max: 1}", ""),
        command("away", "/away", "{max: 9}", ""),
        command("circle", "/circle", "{max: 9}", ""),
        command("broken", "/broken", "{max: 9}", ""),
        command("large", "/large", "{max: 9}", "    limit: 1k\n"),
        command("cursor", "/cursor", "{max: 9, cursor: /next, query: after}", ""),
        command("address", "/address", "{max: 9, next: /next}", ""),
        command("number", "/number", "{max: 9, page: page}", ""),
        command("later", "'/number?page=3'", "{max: 9, page: page}", ""),
    ];
    let head =
        format!("name: lists\nbase: {}\nauth: {{query: {{name: k, value: k1}}}}\ncommands:\n", stub.address);
    let file = daemon.folder().join("lists.yaml");
    std::fs::write(&file, format!("{head}{}", commands.concat())).unwrap();
    let made = umcp(&daemon, &["app", "install", file.to_str().unwrap(), "--allow-private"]);
    assert_eq!(made["ok"], true, "{made}");
    stub.take();
    let more = |place: &str| format!("[there is more: the next page is at {}{place}]", stub.address);
    for (tool, expected) in [
        ("whole", "[1,2,3,4]\n[4 pages]".to_string()),
        ("some", format!("[1,2]\n[2 pages]\n{}", more("/some?page=3"))),
        ("one", format!("[1]\n{}", more("/one?page=2"))),
        // No key goes anywhere else.
        ("away", "[1,2,3]\n[3 pages]".into()),
        ("circle", "[1,2,3,4,1]\n[5 pages]".into()),
        ("cursor", "[1,2,3,4]\n[4 pages]".into()),
        ("address", "[1,2,3,4]\n[4 pages]".into()),
        // The page behind the last one is empty, which says so.
        ("number", "[1,2,3,4]\n[5 pages]".into()),
        ("later", "[3,4]\n[3 pages]".into()),
    ] {
        let (listed, is_error) = told(&umcp(&daemon, &["call", &format!("lists.{tool}")]));
        assert_eq!((listed.trim(), is_error), (expected.as_str(), false), "{tool}");
    }
    let (listed, _) = told(&umcp(&daemon, &["call", "lists.broken"]));
    assert!(
        listed.starts_with("[1,2]\n[2 pages]\n[page 3 could not be had: ") && listed.contains("500"),
        "{listed}"
    );
    let (listed, _) = told(&umcp(&daemon, &["call", "lists.large"]));
    assert!(listed.contains("[2 pages]") && listed.contains("next page is at"), "{listed}");
    let asked = stub.take();
    assert!(asked.iter().all(|asked| of(&asked.path, "k") == Some("k1")), "{asked:?}");
}

#[test]
fn pages_say_what_they_need() {
    let daemon = Daemon::start();
    for (http, said) in [
        ("{url: 'https://a.test', pages: {max: 0}}", "`max` of 1 to 50"),
        ("{url: 'https://a.test', pages: {max: 51}}", "`max` of 1 to 50"),
        ("{url: 'https://a.test', method: POST, pages: {max: 5}}", "a GET request"),
        ("{url: 'https://a.test', pages: {max: 5, cursor: /next}}", "either `next`, or `cursor` and `query`"),
        (
            "{url: 'https://a.test', pages: {max: 5, next: /a, page: b}}",
            "either `next`, or `cursor` and `query`",
        ),
        ("{url: 'https://a.test', pages: {max: 5, next: a}}", "no JSON pointer"),
    ] {
        let text = format!("name: lists\ncommands:\n  a:\n    description: Lists\n    http: {http}\n");
        let file = daemon.folder().join("bad.yaml");
        std::fs::write(&file, text).unwrap();
        let refused = umcp(&daemon, &["app", "install", file.to_str().unwrap()]);
        assert!(refused["ok"] == false && refused["error"].to_string().contains(said), "{http}: {refused}");
    }
}
