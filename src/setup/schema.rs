//! JSON Schemas of the files people write, for editors: settings from their table, servers from the one below.
//! Nothing is checked with them; the loader does that and says it better.
//! Rule: the tests read a file with every field, so that the schema cannot promise what the loader refuses.

use crate::sandbox::Base;
use crate::settings::table::Unit;
use crate::settings::{SETTINGS, Settings};
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of `config.yaml`.
pub fn settings() -> Value {
    let defaults = Settings::default();
    let mut sections = Map::new();
    sections.insert("version".into(), json!({"const": 1}));
    for setting in SETTINGS {
        let [section, name] = setting.path();
        let section = sections
            .entry(section)
            .or_insert_with(|| json!({"type": "object", "additionalProperties": false, "properties": {}}));
        // The loader also takes `30s` and `16MiB`.
        let mut schema = json!({"description": setting.about, "default": setting.value(&defaults)});
        match setting.unit {
            Unit::Flag => schema["type"] = json!("boolean"),
            Unit::Word(words) => schema["enum"] = json!(words),
            Unit::Millis | Unit::Bytes | Unit::Count => {
                schema["type"] = json!(["integer", "string"]);
                schema["minimum"] = json!(setting.least);
                schema["maximum"] = json!(setting.most);
            }
        }
        section["properties"][name] = schema;
    }
    json!({"$schema": DRAFT, "title": "umcp settings", "type": "object",
        "additionalProperties": false, "properties": sections})
}

/// What a field of a server holds.
enum Holds {
    Text,
    Texts,
    TextOrTexts,
    Pairs,
    Flag,
    Number,
    OneOf(&'static [&'static str]),
    Fields(&'static [Row]),
}

type Row = (&'static str, Holds, &'static str);

const SERVER: &[Row] = &[
    ("description", Holds::Text, "What the server is for."),
    ("command", Holds::TextOrTexts, "The program to start, or the whole command line as a list."),
    ("args", Holds::Texts, "Arguments of the program."),
    ("url", Holds::Text, "http(s)://, ws(s)://, unix:///path#/uri, pipe:///name#/uri or builtin:NAME."),
    (
        "transport",
        Holds::OneOf(&["stdio", "http", "streamable-http", "sse", "websocket", "ws", "socket", "builtin"]),
        "How it is reached, where the entry does not tell.",
    ),
    ("env", Holds::Pairs, "Variables for the program; values may hold ${VAR} and secret://NAME."),
    ("headers", Holds::Pairs, "HTTP headers; values may hold ${VAR} and secret://NAME."),
    ("cwd", Holds::Text, "The folder it runs in."),
    ("tags", Holds::Texts, "Words to select servers by."),
    ("sharing", Holds::OneOf(&["shared", "per-client"]), "Who shares a running server."),
    ("enabled", Holds::Flag, "Whether it takes part."),
    ("verbatim", Holds::Flag, "Tools keep their own names, without a prefix."),
    ("protocol", Holds::OneOf(&["auto", "legacy", "modern"]), "Which protocol era to speak."),
    (
        "timeouts",
        Holds::Fields(&[
            ("start", Holds::Text, "Until the first exchange, such as 30s."),
            ("call", Holds::Text, "Until a call is answered, such as 5m."),
            ("idle-stop", Holds::Text, "Stopped after this long without a call; 0 never."),
        ]),
        "Deadlines, such as 500ms, 30s, 2m, 1h.",
    ),
    ("concurrency", Holds::Number, "Calls in flight at once."),
    ("queue", Holds::Number, "Calls waiting beyond those."),
    (
        "tools",
        Holds::Fields(&[
            ("include", Holds::Texts, "Shown tools; names or patterns with *. Empty means all."),
            ("exclude", Holds::Texts, "Tools that are not shown."),
        ]),
        "Which of its tools are shown.",
    ),
    ("roots", Holds::Texts, "Folders told to a server that asks for roots."),
    (
        "sandbox",
        Holds::Fields(&[
            (
                "profile",
                Holds::OneOf(Base::WORDS),
                "How it is shut in; the setting sandbox.profile if left out.",
            ),
            ("read", Holds::Texts, "Files and folders it may read, also where the profile hides them."),
            ("write", Holds::Texts, "Files and folders it may write and read."),
            ("net", Holds::TextOrTexts, "any, none, or ports such as 443."),
            (
                "require",
                Holds::Texts,
                "It does not start unless these are guarded: files, network, syscalls, processes.",
            ),
            ("memory", Holds::Text, "Memory of all its processes, such as 512MiB; 0 is no bound."),
            ("processes", Holds::Number, "Processes it may consist of; 0 is no bound."),
            ("disk", Holds::Text, "What its working folder may hold, such as 1GiB; 0 is no bound."),
        ]),
        "What its process may read, write, reach and use up.",
    ),
];

/// The schema of umcp's own files of servers.
pub fn server() -> Value {
    let server = fields(SERVER);
    json!({"$schema": DRAFT, "title": "umcp servers", "type": "object", "required": ["servers"],
        "properties": {"umcp": {"const": 1}, "servers": {"type": "object", "additionalProperties": server}}})
}

fn fields(rows: &[Row]) -> Value {
    let property = |(name, holds, about): &Row| {
        let mut schema = holds.schema();
        schema["description"] = json!(about);
        (name.to_string(), schema)
    };
    let properties: Map<String, Value> = rows.iter().map(property).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

impl Holds {
    fn schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": ["string", "integer"]}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::TextOrTexts => json!({"type": ["string", "array"], "items": {"type": "string"}}),
            Self::Pairs => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Number => json!({"type": "integer", "minimum": 0}),
            Self::OneOf(words) => json!({"enum": words}),
            Self::Fields(rows) => fields(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::servers::formats;

    /// A file with every field; `command` and `url` in servers of their own.
    const EVERY: &str = "umcp: 1
servers:
  a:
    description: x
    command: [npx, -y]
    args: [x]
    transport: stdio
    env: {A: b}
    cwd: /tmp
    tags: [t]
    sharing: per-client
    enabled: false
    verbatim: true
    protocol: legacy
    timeouts: {start: 30s, call: 5m, idle-stop: 0}
    concurrency: 3
    queue: 4
    tools: {include: [a], exclude: [b]}
    roots: [/tmp]
    sandbox:
      {profile: strict, read: [/a], write: [/b], net: none, require: [files], memory: 1GiB, processes: 9, disk: 1GiB}
  b:
    url: https://example.com/mcp
    headers: {A: b}
";

    #[test]
    fn what_the_loader_reads_the_schema_allows_and_names() {
        let read = formats::read("x.yaml", EVERY, &mut || "id".into(), Timestamp::default()).unwrap();
        assert_eq!((read.servers.len(), read.notes), (2, vec![]));
        let value = crate::documents::parse_value("x.yaml", EVERY).unwrap();
        let schema = server();
        assert_eq!(jsonschema::validate(&schema, &value).map_err(|error| error.to_string()), Ok(()));
        let mut used: Vec<&String> =
            ["a", "b"].iter().flat_map(|name| value["servers"][name].as_object().unwrap().keys()).collect();
        used.sort();
        let properties = &schema["properties"]["servers"]["additionalProperties"]["properties"];
        let mut known: Vec<&String> = properties.as_object().unwrap().keys().collect();
        known.sort();
        assert_eq!(used, known);
        // Our own export fits too.
        let export = formats::own::write(&read.servers).unwrap();
        let export = crate::documents::parse_value("x.yaml", &export).unwrap();
        assert!(jsonschema::is_valid(&schema, &export), "{export}");
    }

    #[test]
    fn settings_are_all_in_their_schema() {
        let schema = settings();
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        assert!(jsonschema::is_valid(&schema, &defaults));
        let one = json!({"gateway": {"page_size": 0}});
        assert!(!jsonschema::is_valid(&schema, &one));
        assert!(!jsonschema::is_valid(&schema, &json!({"gatway": {}})));
    }
}
