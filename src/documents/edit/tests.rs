//! What `set` puts in, `remove` takes back, byte for byte, whatever the file looks like.

use super::{Format, remove, set, yaml};
use serde_json::{Value, json};

fn entry() -> Value {
    json!({"command": "umcp", "args": ["serve"]})
}

fn round_trip(format: Format, text: &str, path: &[&str]) -> String {
    let with = set(format, "f", text, path, &entry()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(remove(format, "f", &with, path).unwrap(), text, "through:\n{with}");
    let twice = set(format, "f", &with, path, &entry()).unwrap();
    assert_eq!(twice, with, "a second time changes nothing");
    with
}

#[test]
fn json_of_every_style_comes_back() {
    for text in [
        "{\n  // mine\n  \"a\": 1 // last\n}\n",
        "{\n  \"a\": 1, // last\n}\n",
        "{\n\t\"servers\": {\n\t\t\"x\": {}\n\t}\n}",
        "{\n\t\"servers\": {\n\t\t\"x\": {}, /* c, d */\n\t},\n}",
        "\u{feff}{\r\n    \"servers\": {\r\n        \"x\": {\"u\": \"a,b//c\"}\r\n    },\r\n    \"z\": 1\r\n}\r\n",
        "{\"a\": 1}",
        "{ \"servers\": { \"x\": 1 }, \"b\": [1,2] }\n",
        "{\"servers\":{\"x\":{\"command\":\"y\"}}}",
        "{\n  \"a\": [1,\n2] /* , */ , // c\n\n  // trailing note\n}\n",
        "// head\n{\n  \"a\": \"ä{\"\n}\n// tail\n",
        "{}\n",
        "{\"a\": [1,\n2]}",
        "{\n  \"servers\": {\n    // none yet\n  }\n}\n",
    ] {
        round_trip(Format::Json, text, &["servers", "umcp"]);
    }
}

#[test]
fn json_is_written_in_the_style_of_the_file() {
    let with = round_trip(Format::Json, "{\n    \"a\": 1 // x\n}\n", &["servers", "umcp"]);
    assert_eq!(
        with,
        "{\n    \"a\": 1, // x\n    \"servers\": {\n        \"umcp\": {\n            \"command\": \"umcp\",\n            \
         \"args\": [\n                \"serve\"\n            ]\n        }\n    }\n}\n"
    );
    let with = set(Format::Json, "f", "", &["servers", "umcp"], &json!(1)).unwrap();
    assert_eq!(with, "{\n  \"servers\": {\n    \"umcp\": 1\n  }\n}\n");
    assert_eq!(remove(Format::Json, "f", &with, &["servers", "umcp"]).unwrap(), "{}\n");
    let one_line = set(Format::Json, "f", "{\"a\": 1}", &["b"], &json!(2)).unwrap();
    assert_eq!(one_line, "{\"a\": 1, \"b\": 2}");
}

#[test]
fn json_in_the_middle_is_replaced_and_removed_in_place() {
    let text = "{\n  \"s\": {\n    \"umcp\": {\"old\": 1}, // ours\n    // theirs\n    \"b\": 2\n  }\n}";
    assert_eq!(
        set(Format::Json, "f", text, &["s", "umcp"], &json!({"new": 1})).unwrap(),
        "{\n  \"s\": {\n    \"umcp\": {\n      \"new\": 1\n    }, // ours\n    // theirs\n    \"b\": 2\n  }\n}"
    );
    assert_eq!(
        remove(Format::Json, "f", text, &["s", "umcp"]).unwrap(),
        "{\n  \"s\": {\n    // ours\n    // theirs\n    \"b\": 2\n  }\n}"
    );
    assert!(set(Format::Json, "f", "{\"s\": 1}", &["s", "umcp"], &json!(1)).is_err());
    assert!(set(Format::Json, "f", "[1]", &["s"], &json!(1)).is_err());
}

#[test]
fn toml_comes_back() {
    for text in [
        "# head\nmodel = \"x\" # why\n\n[mcp_servers.a]\ncommand = \"c\"\n\n[mcp_servers.a.env]\nK = 'v'\n",
        "model = \"x\"\r\n\r\n[other]\r\nlist = [\r\n  1, # one\r\n]\r\n",
        "text = \"\"\"\n[mcp_servers.umcp]\n\"\"\"\n",
        "[mcp_servers]\n# none\n",
        "\u{feff}a = 1\n\n\n",
        "",
    ] {
        let with = round_trip(Format::Toml, text, &["mcp_servers", "umcp"]);
        assert!(with.contains("[mcp_servers.umcp]"), "{with}");
    }
    let with = set(Format::Toml, "f", "a = 1", &["mcp_servers", "umcp"], &entry()).unwrap();
    assert_eq!(with, "a = 1\n\n[mcp_servers.umcp]\ncommand = \"umcp\"\nargs = [\"serve\"]\n");
}

#[test]
fn toml_in_the_middle_and_inline_is_handled() {
    let text = "a = 1\n\n[s.umcp]\nx = 1\n\n[s.umcp.env]\nK = 'v' # k\n\n# about b\n[s.b]\ny = 2\n";
    assert_eq!(
        remove(Format::Toml, "f", text, &["s", "umcp"]).unwrap(),
        "a = 1\n\n# about b\n[s.b]\ny = 2\n"
    );
    for text in ["s = { b = 1 } # c\n", "s.b.x = 1\n", "[s]\numcp = { command = 'old' }\nb = 1\n"] {
        let with = set(Format::Toml, "f", text, &["s", "umcp"], &entry()).unwrap();
        let without = remove(Format::Toml, "f", &with, &["s", "umcp"]).unwrap();
        assert!(!without.contains("umcp"), "{without}");
        assert!(without.contains('b'), "{without}");
    }
}

#[test]
fn yaml_comes_back() {
    for text in [
        "# head\nmodel: x # why\nextensions:\n  a:\n    enabled: true # yes\n\n  # about b\n  b:\n    cmd: |\n      # not a comment\n      x\n\nlast: 1\n",
        "extensions:\r\n    a:\r\n        enabled: true\r\nlast: [1,\r\n 2]\r\n",
        "a: 1\n",
        "---\na: 1\n...\n",
        "extensions:\n  a: {x: 1}\n# tail\n",
        "\u{feff}a: 1\nextensions:\n  a: 1\nb: 2\n",
        "",
        "# only a note\n",
    ] {
        round_trip(Format::Yaml, text, &["extensions", "umcp"]);
    }
}

#[test]
fn yaml_goes_to_the_end_of_its_block() {
    let text = "extensions:\n  a:\n    x: 1\n\n# about z\nz: 1\n";
    assert_eq!(
        set(Format::Yaml, "f", text, &["extensions", "umcp"], &entry()).unwrap(),
        "extensions:\n  a:\n    x: 1\n  umcp:\n    command: umcp\n    args:\n    - serve\n\n# about z\nz: 1\n"
    );
    for text in ["extensions: {}  # none\nz: 1\n", "extensions:\nz: 1\n"] {
        let with = set(Format::Yaml, "f", text, &["extensions", "umcp"], &json!({"a": 1})).unwrap();
        assert!(with.starts_with("extensions:"), "{with}");
        assert!(with.ends_with("  umcp:\n    a: 1\nz: 1\n"), "{with}");
    }
    assert!(set(Format::Yaml, "f", "extensions: {a: 1}\n", &["extensions", "umcp"], &entry()).is_err());
    let middle = "e:\n  umcp:\n    a: 1\n  # b\n  b: 2\n";
    assert_eq!(remove(Format::Yaml, "f", middle, &["e", "umcp"]).unwrap(), "e:\n  # b\n  b: 2\n");
}

#[test]
fn yaml_lists_take_items_by_name() {
    let item = json!({"name": "umcp", "command": "umcp"});
    for text in [
        "models: []\nmcpServers:\n  - name: a # first\n    command: x\n  # about b\n  - name: b\n    command: y\nz: 1\n",
        "mcpServers:\n- name: a\n  command: x\n\n# tail\nz: 1\n",
        "z: 1\n",
    ] {
        let with = yaml::set_item("f", text, "mcpServers", &item).unwrap();
        assert!(with.contains("- name: umcp\n"), "{with}");
        assert_eq!(yaml::set_item("f", &with, "mcpServers", &item).unwrap(), with);
        assert_eq!(yaml::remove_item("f", &with, "mcpServers", "umcp").unwrap(), text, "{with}");
    }
}

mod random {
    //! Files nobody thought of: whatever parses comes back byte for byte, and nothing panics.

    use super::{Format, entry, remove, set};
    use crate::documents::parse_as;
    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

    fn gap() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            6 => Just(""), 3 => Just(" "), 3 => Just("\n"), 1 => Just("\t"), 1 => Just("\r\n  "),
            1 => Just("/* c, } */"), 1 => Just("// \" , {\n"),
        ];
        prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
    }

    fn json(depth: u32) -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("1".to_string()),
            Just("\"ä,}//\"".into()),
            Just("null".into()),
            Just("{}".into()),
            Just("[]".into()),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            let member = (gap(), gap(), gap(), inner.clone(), gap());
            prop_oneof![
                (prop::collection::vec(member, 1..4), any::<bool>())
                    .prop_map(|(members, comma): (Vec<Member>, bool)| { object(&members, comma, "k") }),
                (prop::collection::vec((gap(), inner, gap()), 1..3), any::<bool>()).prop_map(
                    |(items, comma)| {
                        let items: Vec<_> = items.iter().map(|(a, v, b)| format!("{a}{v}{b}")).collect();
                        format!("[{}{}]", items.join(","), if comma { "," } else { "" })
                    }
                ),
            ]
        })
    }

    type Member = (String, String, String, String, String);

    fn object(members: &[Member], comma: bool, key: &str) -> String {
        let members: Vec<_> = members
            .iter()
            .enumerate()
            .map(|(n, (a, b, c, value, d))| format!("{a}\"{key}{n}\"{b}:{c}{value}{d}"))
            .collect();
        format!("{{{}{}}}", members.join(","), if comma { "," } else { "" })
    }

    fn file() -> impl Strategy<Value = String> {
        let member = (gap(), gap(), gap(), json(3), gap());
        let members = prop::collection::vec(member, 1..4);
        (gap(), members, any::<bool>(), any::<bool>(), gap()).prop_map(
            |(head, members, comma, ours, tail)| {
                // Sometimes the first key is the parent itself.
                let text = object(&members, comma, "k");
                let text = if ours { text.replacen("\"k0\"", "\"servers\"", 1) } else { text };
                format!("{head}{text}{tail}")
            },
        )
    }

    /// Lines that, strung together, are often YAML or TOML.
    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("a: 1"),
            Just("servers:"),
            Just("  x: 1"),
            Just("  y:"),
            Just("    z: [1, 2]"),
            Just("# c"),
            Just(""),
            Just("  # c"),
            Just("b: |"),
            Just("  text"),
            Just("- 1"),
            Just("servers: {}"),
            Just("---"),
            Just("..."),
            Just("[servers]"),
            Just("[servers.x]"),
            Just("c = 1"),
            Just("d = \"\"\""),
            Just("\"\"\""),
            Just("[[e]]"),
            Just("servers.q = 1"),
            Just("f = [ # c"),
            Just("]"),
            Just("servers = {}"),
            Just("    deep: \"ä\""),
        ];
        let end = prop_oneof![Just("\n"), Just("\r\n")];
        (prop::collection::vec(line, 0..12), end, any::<bool>())
            .prop_map(|(lines, end, last)| lines.join(end) + if last { end } else { "" })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn json_comes_back(text in file()) {
            let path = ["servers", "umcp"];
            let Ok(before) = parse_as(Format::Json, "f", &text) else { return Ok(()) };
            let with = match set(Format::Json, "f", &text, &path, &entry()) {
                Ok(with) => with,
                Err(error) => {
                    assert!(!error.message.contains("safely"), "{text}\n{error:?}");
                    return Ok(());
                }
            };
            let without = remove(Format::Json, "f", &with, &path).unwrap();
            let hollow = before.get("servers").is_some_and(|node| node.entries().is_empty());
            if !hollow {
                assert_eq!(without, text, "through:\n{with}");
            }
        }

        #[test]
        fn lines_come_back_as_the_same_document(text in lines()) {
            let path = ["servers", "umcp"];
            for format in [Format::Yaml, Format::Toml] {
                let Ok(before) = parse_as(format, "f", &text) else { continue };
                let with = match set(format, "f", &text, &path, &entry()) {
                    Ok(with) => with,
                    Err(error) => {
                        assert!(!error.message.contains("safely"), "{format:?}\n{text}\n{error:?}");
                        continue;
                    }
                };
                // Where taking out would change its neighbours, it is refused.
                let Ok(without) = remove(format, "f", &with, &path) else { continue };
                let after = parse_as(format, "f", &without).unwrap().to_json();
                assert_eq!(super::super::rest(before.to_json(), &path), super::super::rest(after, &path));
            }
        }
    }
}
