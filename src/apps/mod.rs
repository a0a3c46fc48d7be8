//! The noun `app`: tools that are no MCP server themselves, one row for each set. A server entry offers them; it and
//! its app come and go together, which is the engine's care.

pub mod answer;
pub mod exec;
pub mod file;
pub mod model;
pub mod openapi;
pub mod pages;
pub mod request;
pub mod shipped;
pub mod template;
pub mod trial;

use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
pub use model::App;
use serde::{Deserialize, Serialize};

/// Keyed by name.
const APPS: Table<App> = Table::new(tables::APPS);

impl Row for App {
    const KIND: u8 = 60;
    const VERSION: u16 = 1;
}

/// What can be asked about apps. They are written together with their servers: `StoreRequest::Install`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Show { name: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Apps(Vec<App>),
    App(Box<App>),
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Apps(all(tx)?)),
        Request::Show { name } => Ok(Reply::App(Box::new(find(tx, name)?))),
    }
}

fn all(tx: &Reader) -> Result<Vec<App>> {
    Ok(tx.all(&APPS)?.into_iter().map(|(_, app)| app).collect())
}

/// One app by name, or an error that names the nearest one.
pub fn find(tx: &Reader, name: &str) -> Result<App> {
    if let Some(app) = tx.get(&APPS, name)? {
        return Ok(app);
    }
    let all = all(tx)?;
    Err(not_found(name, all.iter().map(|app| app.name.as_str())))
}

/// "No app named …", with the nearest name as hint.
pub fn not_found<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let error = Error::new(&codes::APP_NOT_FOUND, format!("no app named `{name}`"));
    match near(name, known) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp app list"),
    }
}

/// Writes an app; over one of the same name only with `replace`, for a renamed server may still offer that one.
pub fn put(tx: &mut Writer, app: &App, replace: bool) -> Result<()> {
    app.definition()?;
    if !replace && tx.get(&APPS, &app.name)?.is_some() {
        let message = format!("there is an app `{}` already, under another name", app.name);
        return Err(Error::new(&codes::APP_EXISTS, message)
            .hint("umcp app list")
            .hint("give another name with --name"));
    }
    tx.put(&APPS, &app.name, app)
}

/// Forgets an app; one that is not there is no error.
pub fn forget(tx: &mut Writer, name: &str) -> Result<()> {
    tx.remove(&APPS, name).map(|_| ())
}
