//! GraphQL documents as tools, against the reference server.

use crate::command::{told, umcp};
use crate::support::daemon::Daemon;
use crate::support::peers::{self, Beside};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const SERVER: &str = r#"
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
const require = createRequire(process.argv[2] + '/x.js');
const { buildSchema } = require('graphql');
const { createHandler } = require('graphql-http/lib/use/http');
const schema = buildSchema(`
  input Draft { title: String!, tags: [String!] }
  type Note { id: ID!, title: String!, tags: [String!]!, broken: String }
  type Query { notes(limit: Int = 2): [Note!]!, note(id: ID!): Note, who: String }
  type Mutation { add(draft: Draft!): Note! }
`);
const notes = [1, 2, 3].map((id) => ({ id, title: `note ${id}`, tags: [], broken: () => { throw new Error('it is broken'); } }));
const rootValue = {
  notes: ({ limit }) => notes.slice(0, limit),
  note: ({ id }) => notes.find((note) => String(note.id) === id),
  who: (_, context) => context.who,
  add: ({ draft }) => { const note = { id: notes.length + 1, tags: [], ...draft }; notes.push(note); return note; },
};
const handler = createHandler({ schema, rootValue, context: (request) => ({ who: request.headers.authorization ?? null }) });
const server = createServer((request, response) => handler(request, response));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"#;

const MANIFEST: &str = r#"
name: notes
base: BASE
settings: [{name: NOTES_TOKEN, secret: true}]
auth: {bearer: "${NOTES_TOKEN}"}
graphql:
  url: /graphql
  documents:
    - |
      # Notes, the oldest first
      query ListNotes($limit: Int) { notes(limit: $limit) { id title } }
    - |
      query GetNote($id: ID!) { note(id: $id) { ...F broken } }
      fragment F on Note { id title }
      mutation AddNote($draft: Draft!) { add(draft: $draft) { id title tags } }
    - query Who { who }
    - query Wrong { nothing }
"#;

#[test]
fn documents_are_tools() {
    let (Some(node), Some(room)) = (peers::find("node"), peers::room("graphql")) else { return };
    let daemon = Daemon::start();
    let script = daemon.folder().join("server.mjs");
    std::fs::write(&script, SERVER).unwrap();
    let mut command = Command::new(node);
    let mut child =
        command.arg(&script).arg(room).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let _server = Beside::new(child);
    let file = daemon.folder().join("notes.yaml");
    std::fs::write(&file, MANIFEST.replace("BASE", &format!("http://127.0.0.1:{}", port.trim()))).unwrap();
    let file = file.to_str().unwrap();
    let installed = umcp(&daemon, &["app", "install", file, "--allow-private", "--set", "NOTES_TOKEN=t0ken"]);
    assert_eq!(installed["data"]["tools"], 5, "{installed}");

    let call = |arguments: &[&str]| {
        let (text, is_error) = told(&umcp(&daemon, &[&["call"], arguments].concat()));
        (serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)), is_error)
    };
    let notes = |count: u8| {
        let note = |id: u8| json!({"id": id.to_string(), "title": format!("note {id}")});
        json!({"notes": (1..=count).map(note).collect::<Vec<_>>()})
    };
    // A variable that is not given is not sent, so that the server's own default counts.
    assert_eq!(call(&["notes.ListNotes"]), (notes(2), false));
    assert_eq!(call(&["notes.ListNotes", "limit=3"]), (notes(3), false));
    assert_eq!(call(&["notes.Who"]), (json!({"who": "Bearer t0ken"}), false));
    let draft = r#"draft:={"title":"new","tags":["a"]}"#;
    let added = json!({"add": {"id": "4", "title": "new", "tags": ["a"]}});
    assert_eq!(call(&["notes.AddNote", draft]), (added, false));
    // Half an answer is one, with what is missing; none is a failure in the server's words.
    let (half, is_error) = call(&["notes.GetNote", "id=1"]);
    let half = half.as_str().unwrap().to_string();
    assert!(!is_error && half.contains("note 1") && half.contains("it is broken (at note.broken)"), "{half}");
    let (wrong, is_error) = call(&["notes.Wrong"]);
    assert!(is_error && wrong.as_str().unwrap().contains("Cannot query field"), "{wrong}");
    let shown = umcp(&daemon, &["tool", "show", "notes.ListNotes"]);
    assert!(shown.to_string().contains("Notes, the oldest first"), "{shown}");
}
