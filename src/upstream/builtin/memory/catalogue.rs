//! What the memory tools are called and what they take. Long descriptions cost every agent tokens, so each says what
//! an agent has to know to choose it, and no more.

use super::super::reply::{Effect, World, object, tool};
use rmcp::model::Tool;
use serde_json::{Value, json};

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

fn texts(about: &str) -> Value {
    json!({"type": "array", "items": {"type": "string"}, "description": about})
}

fn kind() -> Value {
    json!({"enum": ["short-term", "long-term", "episodic", "semantic", "working"],
        "description": "short-term: this session; long-term: facts; episodic: what happened; semantic: relations; working: the task under way"})
}

fn filter() -> Value {
    json!({"type": "object", "additionalProperties": false, "description": "What the memories are like", "properties": {
        "namespace": text("Only this namespace"),
        "kinds": {"type": "array", "items": kind()},
        "tags": texts("All of these"),
        "metadata": {"type": "object", "description": "Fields with these values"},
        "agents": texts("Of these agents"),
        "exclude_agents": texts("Not of these agents"),
        "session": text("Of this session"),
        "since": text("RFC 3339"),
        "until": text("RFC 3339"),
        "about": text("Subject, relation or object of a triple"),
    }})
}

/// What a memory is made of.
fn parts() -> Value {
    json!({
        "text": text("What to remember, in whole sentences; at most 64 KiB"),
        "kind": kind(),
        "key": text("A name to get it by; a memory under the same key is replaced"),
        "triples": {"type": "array", "description": "Relations as [subject, relation, object]",
            "items": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}},
        "tags": texts("Words to sort by"),
        "metadata": {"type": "object", "description": "Fields to filter by"},
        "importance": {"type": "number", "minimum": 0, "maximum": 1},
        "namespace": text("Where it belongs; the usual one is shared by all agents"),
        "session": text("The session it belongs to, if not this one"),
        "ttl_seconds": {"type": "integer", "minimum": 1, "description": "Forget it after so long"},
    })
}

fn data() -> Option<Value> {
    Some(json!({"type": "object"}))
}

pub fn tools() -> Vec<Tool> {
    let mut all = using();
    all.extend(tending());
    all
}

fn using() -> Vec<Tool> {
    let question = json!({"query": text("What to look for, in words or a question"),
        "top_k": {"type": "integer", "minimum": 1, "maximum": 100},
        "min_similarity": {"type": "number", "minimum": 0, "maximum": 1}, "filter": filter()});
    let ask = json!({"question": text("A question in plain words"), "filter": filter()});
    let context = json!({"task": text("What you are about to do"), "filter": filter(),
        "max_tokens": {"type": "integer", "minimum": 1, "description": "1000 unless told"}});
    let list = json!({"filter": filter(), "limit": {"type": "integer", "minimum": 1, "maximum": 200},
        "offset": {"type": "integer", "minimum": 0},
        "order_by": {"enum": ["timestamp", "oldest", "importance", "updated"]}});
    let get = json!({"id": text("Its id, such as m12, or its key"), "namespace": text("Of a key"),
        "session": text("Of a key of a session")});
    let mut changed = parts();
    if let Some(fields) = changed.as_object_mut() {
        ["namespace", "session", "ttl_seconds"].iter().for_each(|name| drop(fields.remove(*name)));
        fields.insert("id".into(), text("Its id or key"));
    }
    let reads = |name, title: &str, about, input| {
        tool(name, title, about, Effect::Reads, World::Closed, input, data())
    };
    vec![
        tool(
            "store",
            "Remember",
            "Remembers something for later sessions and other agents. Look with `search` first.",
            Effect::Unknown,
            World::Closed,
            object(parts(), &[]),
            data(),
        ),
        reads(
            "search",
            "Search memories",
            "Finds memories by words and meaning, best first, with why each was found.",
            object(question, &["query"]),
        ),
        reads(
            "ask",
            "Ask memories",
            "Answers a question with the memories that tell, each with its id.",
            object(ask, &["question"]),
        ),
        reads(
            "context",
            "Context for a task",
            "Packs what is remembered for a task into a number of tokens.",
            object(context, &["task"]),
        ),
        reads("get", "Get a memory", "Returns one memory by its id or key.", object(get, &["id"])),
        reads("query", "List memories", "Lists memories by filters, in an order.", object(list, &[])),
        tool(
            "update",
            "Change a memory",
            "Changes parts of a memory; what is not named stays.",
            Effect::Replaces,
            World::Closed,
            object(changed, &["id"]),
            data(),
        ),
        tool(
            "forget",
            "Forget",
            "Deletes memories for good, with all earlier versions.",
            Effect::Replaces,
            World::Closed,
            object(json!({"ids": texts("Ids or keys")}), &["ids"]),
            data(),
        ),
        tool(
            "memory",
            "Memory directory",
            "Files below /memories that outlast this session: view, create, str_replace, insert, delete, rename.",
            Effect::Unknown,
            World::Closed,
            directory(),
            None,
        ),
    ]
}

fn directory() -> Value {
    let commands = ["view", "create", "str_replace", "insert", "delete", "rename"];
    object(
        json!({
            "command": {"enum": commands},
            "path": text("Below /memories; of all commands but rename"),
            "view_range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
                "description": "view: first and last line"},
            "file_text": text("create: the whole file"),
            "old_str": text("str_replace: what stands there once"),
            "new_str": text("str_replace: what takes its place"),
            "insert_line": {"type": "integer", "description": "insert: after this line, 0 for the top"},
            "insert_text": text("insert: the new lines"),
            "old_path": text("rename: from"),
            "new_path": text("rename: to"),
        }),
        &["command"],
    )
}

fn tending() -> Vec<Tool> {
    let dry = json!({"type": "boolean", "description": "Only tell what would happen"});
    let consolidate = json!({"filter": filter(), "dry_run": dry,
        "similarity_threshold": {"type": "number", "minimum": 0.3, "maximum": 1}});
    let patterns = json!({"filter": filter(), "dry_run": dry, "min_frequency": {"type": "integer", "minimum": 1},
        "keep": {"type": "boolean", "description": "Remember what is found"}});
    let prune = json!({"filter": filter(), "dry_run": dry, "max_age_days": {"type": "integer", "minimum": 0},
        "importance_threshold": {"type": "number", "minimum": 0, "maximum": 1}});
    let list = json!({"filter": filter(), "limit": {"type": "integer", "minimum": 1, "maximum": 200},
        "offset": {"type": "integer", "minimum": 0}});
    let grant = |permission: bool| {
        let mut fields = json!({"agent": text("Who"), "namespace": text("Where")});
        if permission {
            fields["permission"] = json!({"enum": ["none", "read", "write"]});
        }
        object(fields, &["agent", "namespace"])
    };
    let one = object(parts(), &[]);
    let many = json!({"memories": {"type": "array", "items": one, "maxItems": 1000}});
    let changes = |name, title: &str, about, input| {
        tool(name, title, about, Effect::Replaces, World::Closed, input, data())
    };
    let reads = |name, title: &str, about, input| {
        tool(name, title, about, Effect::Reads, World::Closed, input, data())
    };
    vec![
        changes(
            "consolidate",
            "Consolidate",
            "Joins memories that say the same; of two that contradict the newer holds. Nothing is deleted.",
            object(consolidate, &[]),
        ),
        changes(
            "patterns",
            "Patterns",
            "Tells what recurs in memories: fields, tags, relations, words.",
            object(patterns, &[]),
        ),
        changes(
            "prune",
            "Prune",
            "Removes what is old and unimportant; the user can take it back.",
            object(prune, &[]),
        ),
        reads(
            "namespaces",
            "Namespaces",
            "Lists the namespaces you may read, and what you may do there.",
            object(json!({}), &[]),
        ),
        changes("grant", "Grant", "Lets another agent into a namespace that is yours.", grant(true)),
        changes("revoke", "Revoke", "Takes such a grant back.", grant(false)),
        reads("stats", "Statistics", "Counts what is remembered.", object(json!({}), &[])),
        reads("export", "Export", "Memories as lines of JSON, which `import` takes.", object(list, &[])),
        tool(
            "import",
            "Import",
            "Stores many memories at once.",
            Effect::Unknown,
            World::Closed,
            object(many, &["memories"]),
            data(),
        ),
    ]
}
