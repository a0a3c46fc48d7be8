//! The built-in `database` server: one SQLite file. `query` looks only, `execute` changes, `tables` tells what is there.
//! Rules: one statement a call, values only as parameters, no other file within reach, everything bounded in time and
//! size. A statement runs beside the runtime and is interrupted when its time is up or its caller has gone.

use super::Options;
use super::reply::{self, Effect, Output, World, object, tool};
use crate::error::{Error, Result, codes};
use base64::Engine as _;
use rmcp::model::Tool;
use rusqlite::limits::Limit;
use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const MAX_ROWS: usize = 1_000;
/// Bytes of one result.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of one statement or value.
const MAX_LENGTH: i32 = 8 << 20;
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a statement waits for another program that has the file locked.
const BUSY: Duration = Duration::from_secs(5);

/// The server. The file is opened at the first call.
pub struct Database {
    file: PathBuf,
    open: Mutex<Option<Connection>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
}

impl Database {
    /// The file is the entry's first root, else one of umcp's own.
    pub fn new(options: &Options) -> Self {
        let given = options.roots.first().map(super::root_path);
        let file = given.unwrap_or_else(|| options.folder.join("database.sqlite"));
        Self { file, open: Mutex::default() }
    }

    pub fn tools() -> Vec<Tool> {
        let statement = object(
            json!({
                "sql": {"type": "string", "description": "One statement; values stand as ?1, ?2, …"},
                "params": {"type": "array", "description": "The values, in their order",
                    "items": {"type": ["string", "number", "boolean", "null"]}}
            }),
            &["sql"],
        );
        let rows = object(
            json!({"rows": {"type": "array", "items": {"type": "object"}}, "truncated": {"type": "boolean"}}),
            &["rows", "truncated"],
        );
        let changed = object(
            json!({"changed": {"type": "integer"}, "last_id": {"type": "integer"}, "rows": {"type": "array"}}),
            &["changed", "last_id", "rows"],
        );
        let tables = object(json!({"tables": {"type": "array", "items": {"type": "object"}}}), &["tables"]);
        vec![
            tool(
                "query",
                "Query",
                "Runs one SQL statement that only reads, and returns its rows. At most 1,000 rows.",
                Effect::Reads,
                World::Closed,
                statement.clone(),
                Some(rows),
            ),
            tool(
                "execute",
                "Execute",
                "Runs one SQL statement that may change the database, such as CREATE, INSERT, UPDATE or DELETE.",
                Effect::Unknown,
                World::Closed,
                statement,
                Some(changed),
            ),
            tool(
                "tables",
                "Tables",
                "Lists the tables and views with the statements that made them.",
                Effect::Reads,
                World::Closed,
                object(json!({}), &[]),
                Some(tables),
            ),
        ]
    }

    pub async fn call(self: Arc<Self>, tool: String, arguments: Value) -> Result<Output> {
        let statement = match tool.as_str() {
            "tables" => Statement {
                sql: "SELECT name, type, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
                    .into(),
                params: Vec::new(),
            },
            _ => reply::arguments(arguments)?,
        };
        let (tell, interrupt) = tokio::sync::oneshot::channel();
        let work = tokio::task::spawn_blocking(move || self.run(&tool, &statement, tell));
        // Dropping the guard, by the deadline or by a caller who has gone, ends the statement.
        let mut guard = Interrupt(interrupt.await.ok());
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(done) => {
                // By now the connection may work for somebody else.
                guard.0 = None;
                done.map_err(|error| Error::bug("a statement did not end").because(error))?
            }
            Err(_) => Err(reply::refused(format!("the statement took more than {} s", DEADLINE.as_secs()))
                .hint("ask for less, or put an index on what it looks for")),
        }
    }

    fn run(
        &self,
        tool: &str,
        statement: &Statement,
        tell: tokio::sync::oneshot::Sender<InterruptHandle>,
    ) -> Result<Output> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            *open = Some(self.connect()?);
        }
        let Some(connection) = open.as_mut() else { return Err(Error::bug("a database that is not open")) };
        // Nobody listens any more when the caller has gone.
        let _ = tell.send(connection.get_interrupt_handle());
        let result = perform(connection, statement, tool != "execute");
        let (rows, truncated) = result?;
        Ok(match tool {
            "tables" => data(json!({"tables": rows})),
            "execute" => data(json!({
                "changed": connection.changes(), "last_id": connection.last_insert_rowid(), "rows": rows
            })),
            _ => data(json!({"rows": rows, "truncated": truncated})),
        })
    }

    fn connect(&self) -> Result<Connection> {
        let name = self.file.display();
        if let Some(folder) = self.file.parent() {
            crate::paths::create_private_dir(folder)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || {
            let connection = Connection::open_with_flags(&self.file, flags)?;
            connection.busy_timeout(BUSY)?;
            // No second file: neither ATTACH nor VACUUM INTO, which is one too.
            connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
            connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_LENGTH)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        open().map_err(|error: rusqlite::Error| {
            Error::new(&codes::FAILED, format!("the database `{name}` cannot be opened")).because(error)
        })
    }
}

/// Ends the statement that is running.
struct Interrupt(Option<InterruptHandle>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

/// Rows of a statement, and whether there were more.
fn perform(connection: &Connection, statement: &Statement, reads_only: bool) -> Result<(Vec<Value>, bool)> {
    let refused = |error: rusqlite::Error| reply::refused("the statement failed").because(error);
    let mut prepared = connection.prepare(&statement.sql).map_err(|error| match error {
        rusqlite::Error::MultipleStatement => {
            reply::invalid("only one statement at a time").hint("call the tool once for each")
        }
        other => refused(other),
    })?;
    if reads_only && !prepared.readonly() {
        return Err(
            reply::refused("`query` only reads").hint("use `execute` for statements that change something")
        );
    }
    let params: Vec<Cell> = statement.params.iter().map(cell).collect::<Result<_>>()?;
    let names: Vec<String> = prepared.column_names().map(String::from).collect();
    let mut rows = prepared.query(rusqlite::params_from_iter(params)).map_err(refused)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(refused)? {
        if found.len() >= MAX_ROWS || bytes > MAX_BYTES {
            // What is left of a statement that changes things has to run all the same.
            if !reads_only {
                continue;
            }
            return Ok((found, true));
        }
        let mut fields = Map::new();
        for (index, name) in names.iter().enumerate() {
            let value = json_of(row.get_ref(index).map_err(refused)?);
            bytes += name.len() + value.as_str().map_or(8, str::len);
            fields.insert(name.clone(), value);
        }
        found.push(Value::Object(fields));
    }
    Ok((found, false))
}

fn cell(value: &Value) -> Result<Cell> {
    Ok(match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Integer((*value).into()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cell::Integer(whole),
            None => Cell::Real(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cell::Text(text.clone()),
        _ => return Err(reply::invalid("a value is a text, a number, true, false or null")),
    })
}

/// A cell as JSON; a blob as Base64, cut like everything else.
fn json_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        ValueRef::Text(text) => {
            String::from_utf8_lossy(&text[..text.len().min(MAX_BYTES)]).into_owned().into()
        }
        ValueRef::Blob(blob) => {
            base64::engine::general_purpose::STANDARD.encode(&blob[..blob.len().min(MAX_BYTES)]).into()
        }
    }
}

fn data(value: Value) -> Output {
    Output::data(value.to_string(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(database: &Arc<Database>, tool: &str, arguments: Value) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(database.clone().call(tool.into(), arguments));
        outcome.map(|output| output.data.unwrap())
    }

    fn fresh() -> (tempfile::TempDir, Arc<Database>) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { folder: folder.path().join("kept"), ..Options::default() };
        (folder, Arc::new(Database::new(&options)))
    }

    #[test]
    fn a_list_of_things_to_do_is_kept() {
        let (_folder, database) = fresh();
        let execute = |sql: &str, params: Value| {
            run(&database, "execute", json!({"sql": sql, "params": params})).unwrap()
        };
        execute(
            "CREATE TABLE todo (id INTEGER PRIMARY KEY, task TEXT NOT NULL, done INTEGER DEFAULT 0)",
            json!([]),
        );
        let added =
            execute("INSERT INTO todo (task) VALUES (?1), (?2)", json!(["write", "'; DROP TABLE todo; --"]));
        assert_eq!(added, json!({"changed": 2, "last_id": 2, "rows": []}));
        let done = execute("UPDATE todo SET done = 1 WHERE id = ?1 RETURNING task", json!([1]));
        assert_eq!(done, json!({"changed": 1, "last_id": 2, "rows": [{"task": "write"}]}));
        let open = run(
            &database,
            "query",
            json!({"sql": "SELECT id, task, 1.5 AS x, NULL AS n, x'00ff' AS b FROM todo WHERE done = 0"}),
        );
        let row = json!({"id": 2, "task": "'; DROP TABLE todo; --", "x": 1.5, "n": null, "b": "AP8="});
        assert_eq!(open.unwrap(), json!({"rows": [row], "truncated": false}));
        assert_eq!(run(&database, "tables", json!({})).unwrap()["tables"][0]["name"], "todo");
    }

    #[test]
    fn what_is_not_allowed_is_refused_in_words() {
        let (folder, database) = fresh();
        let other = folder.path().join("other.sqlite").display().to_string();
        for (tool, sql, words) in [
            ("query", "CREATE TABLE t (a)".to_string(), "`query` only reads"),
            ("execute", "SELECT 1; SELECT 2".into(), "only one statement"),
            ("execute", format!("ATTACH '{other}' AS o"), "too many attached databases"),
            ("execute", format!("VACUUM INTO '{other}'"), "too many attached databases"),
            ("query", "SELECT * FROM none".into(), "no such table"),
            ("query", "SELECT load_extension('x')".into(), "not authorized"),
            ("query", "SELEC 1".into(), "syntax error"),
        ] {
            let error = run(&database, tool, json!({"sql": sql})).unwrap_err().to_string();
            assert!(error.contains(words), "{sql}: {error}");
        }
        assert!(!std::fs::exists(&other).unwrap());
        let wrong = run(&database, "query", json!({"sql": "SELECT ?1", "params": [[1]]})).unwrap_err();
        assert!(wrong.message.contains("a value is a text"), "{wrong}");
    }

    #[test]
    fn a_long_result_is_cut_and_a_caller_who_leaves_ends_the_statement() {
        let (_folder, database) = fresh();
        let count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        let cut = run(&database, "query", json!({"sql": count})).unwrap();
        assert_eq!((cut["rows"].as_array().unwrap().len(), &cut["truncated"]), (MAX_ROWS, &json!(true)));
        let endless = format!("{count} WHERE i < 0");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let call = database.clone().call("query".into(), json!({"sql": endless}));
            assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
        });
        // The next one gets the connection at once.
        assert_eq!(
            run(&database, "query", json!({"sql": "SELECT 1 AS a"})).unwrap()["rows"],
            json!([{"a": 1}])
        );
    }
}
