//! The loader from outside: formats, limits, positions, hints.

use super::{Format, load, parse, parse_value};
use crate::error::{Error, codes};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    command: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: std::collections::BTreeMap<String, String>,
    mode: Option<Mode>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    PerClient,
    Shared,
}

fn place(error: &Error) -> (u32, u32, &str) {
    let span = error.span.as_deref().expect("an error of the loader has a place");
    (span.line, span.column, span.text.as_str())
}

#[test]
fn the_format_is_known_by_name_or_look() {
    for (path, text, expected) in [
        ("a.yml", "{}", Format::Yaml),
        ("/x/mcp.JSON", "", Format::Json),
        ("config.toml", "", Format::Toml),
        ("-", "{\"a\": 1}", Format::Json),
        ("-", "\u{feff}// note\n{}", Format::Json),
        ("-", "# note\n[a.b]\nx = 1", Format::Toml),
        ("-", "x = 1", Format::Toml),
        ("-", "[1, 2]", Format::Json),
        ("-", "a: 1", Format::Yaml),
        ("-", "url: http://x?a=b", Format::Yaml),
        ("", "", Format::Yaml),
    ] {
        assert_eq!(Format::of(path, text), expected, "{path} {text}");
    }
}

#[test]
fn the_same_entry_reads_from_every_format() {
    let expected = Entry {
        command: "npx".into(),
        args: vec!["-y".into()],
        env: [("PORT".to_string(), "0808".to_string())].into(),
        mode: Some(Mode::PerClient),
    };
    for (path, text) in [
        ("a.yaml", "command: npx\nargs: [-y]\nenv: {PORT: 0808}\nmode: per-client\n"),
        (
            "a.json",
            "\u{feff}{\"command\": \"npx\", /* c */ \"args\": [\"-y\",],\r\n\"env\": {\"PORT\": \"0808\"}, \"mode\": \"per-client\"} // end",
        ),
        ("a.toml", "command = 'npx'\nargs = ['-y']\nmode = 'per-client'\n[env]\nPORT = '0808'\n"),
    ] {
        assert_eq!(load::<Entry>(path, text).unwrap(), expected, "{path}");
    }
}

#[test]
fn an_unknown_field_shows_its_place_and_the_nearest_name() {
    for (path, text, line, column) in [
        ("a.yaml", "command: npx\ncomand: x\n", 2, 1),
        ("a.json", "{\n  \"command\": \"npx\",\n  \"comand\": 1\n}", 3, 3),
        ("a.toml", "command = 'npx'\n  comand = 1\n", 2, 3),
    ] {
        let error = load::<Entry>(path, text).unwrap_err();
        assert!(error.is(&codes::FIELD_UNKNOWN), "{error:?}");
        assert_eq!(place(&error).0, line, "{path}");
        assert_eq!(place(&error).1, column, "{path}");
        assert_eq!(error.hints, ["did you mean `command`?"]);
    }
}

#[test]
fn a_wrong_value_shows_its_place() {
    let error = load::<Entry>("a.yaml", "command: npx\nargs:\n  - a\n  - {b: 1}\n").unwrap_err();
    assert_eq!(place(&error), (4, 5, "  - {b: 1}"));
    let error = load::<Entry>("a.json", "{\n\"args\": []}").unwrap_err();
    assert_eq!((error.message.as_str(), place(&error).0), ("missing field `command`", 1));
    let error = load::<Entry>("a.toml", "command = 'x'\nmode = 'alone'").unwrap_err();
    assert_eq!(place(&error), (2, 8, "mode = 'alone'"));
}

#[test]
fn what_is_no_document_is_refused_where_it_goes_wrong() {
    for (path, text, line, part) in [
        ("a.yaml", "a: 1\na: 2\n", 2, "duplicate"),
        ("a.json", "{\"a\": 1,\n \"a\": 2}", 2, "twice"),
        ("a.toml", "a = 1\na = 2\n", 2, "duplicate"),
        ("a.yaml", "a: !!str 1\n", 1, "tags"),
        ("a.yaml", "a: 1\nb: !thing {}\n", 2, "tags"),
        ("a.yaml", "a: .nan\n", 1, "finite"),
        ("a.toml", "a = nan\n", 1, "finite"),
        ("a.json", "{\"a\": 1e999}", 1, "number"),
        ("a.json", "{\"a\": NaN}", 1, ""),
        ("a.json", "{a: 1}", 1, ""),
        ("a.json", "{\"a\": 1 \"b\": 2}", 1, ""),
        ("a.json", "{\"a\": 1}\n{}", 2, ""),
        ("a.yaml", "a: [1\nb: 2\n", 2, ""),
        ("a.yaml", "a: 1\n---\nb: 2\n", 2, ""),
        ("a.yaml", "a: \u{1b}[31m\n", 1, "control"),
        ("a.json", "{\"a\": \"\u{0}\"}", 1, "control"),
    ] {
        let error = parse(path, text).expect_err(text);
        assert!(error.is(&codes::FILE_INVALID), "{text}: {error:?}");
        assert!(error.message.to_lowercase().contains(part), "{text}: {}", error.message);
        assert_eq!(error.span.as_deref().map(|span| span.line), Some(line), "{text}: {error:?}");
    }
}

#[test]
fn bombs_and_large_files_are_refused() {
    let big = "a".repeat(super::limits::MAX_BYTES + 1);
    assert!(parse("a.yaml", &big).unwrap_err().is(&codes::FILE_TOO_LARGE));
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..9 {
        let before = format!("*a{},", level - 1).repeat(9);
        laughs.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    assert!(parse("a.yaml", &laughs).is_err());
    for (path, deep) in [
        ("a.yaml", format!("{}1{}", "[".repeat(200), "]".repeat(200))),
        ("a.json", format!("{{\"a\": {}1{}}}", "[".repeat(200), "]".repeat(200))),
        ("a.json", format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000))),
        ("a.toml", format!("a = {}1{}", "[".repeat(70), "]".repeat(70))),
    ] {
        assert!(parse(path, &deep).is_err(), "{path}");
    }
}

#[test]
fn one_very_long_line_is_read_in_linear_time() {
    let items = "\"ä\",".repeat(90_000);
    let node = parse("a.json", &format!("[{}1]", items)).unwrap();
    assert_eq!(node.items().last().map(|item| item.at.column), Some(90_000 * 4 + 2));
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let error = super::limits::decode("x", b"a\nbc\xff".to_vec()).unwrap_err();
    assert_eq!(place(&error), (2, 3, "bc"));
    assert_eq!(super::limits::decode("x", "ä".into()).unwrap(), "ä");
}

#[test]
fn empty_files_are_empty_maps_and_scalars_keep_their_meaning() {
    for path in ["a.yaml", "a.json", "a.toml"] {
        assert_eq!(parse_value(path, "").unwrap(), json!({}), "{path}");
    }
    assert_eq!(parse_value("a.yaml", "# only a comment\n").unwrap(), json!({}));
    assert_eq!(
        parse_value("a.yaml", "a: yes\nb: true\nc: 1.5\nd: ~\ne: '1'\nf: &x [1]\ng: *x\n").unwrap(),
        json!({"a": "yes", "b": true, "c": 1.5, "d": null, "e": "1", "f": [1], "g": [1]})
    );
    assert_eq!(
        parse_value("a.toml", "t = 2026-01-02\n[[list]]\na = { b = 1 }\n").unwrap(),
        json!({"t": "2026-01-02", "list": [{"a": {"b": 1}}]})
    );
}
