//! The user's file of settings: shown with origins, changed with its comments kept, checked, brought to another
//! version. What a setting is stands in `settings::table`.
//! Rule: a text that does not load is never written.

use super::import;
use super::journal::{self, Edit};
use crate::clock::Timestamp;
use crate::documents::{self, Format, edit};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::paths::Paths;
use crate::servers::formats::{self, Note, own};
use crate::settings::{self, Origin, Resolved, SETTINGS, table};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Versions of umcp's own files this program knows.
const VERSIONS: &[&str] = &["1"];

/// One setting as `config show` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    pub key: &'static str,
    pub value: Value,
    pub default: Value,
    pub origin: Origin,
    pub variable: String,
    pub about: &'static str,
}

/// Settings with where each value comes from; `prefix` is a key, a section, or nothing for all.
pub fn show(resolved: &Resolved, prefix: Option<&str>) -> Result<Vec<Shown>> {
    let defaults = settings::Settings::default();
    let wanted =
        |key: &str| prefix.is_none_or(|prefix| key == prefix || key.split('.').next() == Some(prefix));
    let shown: Vec<Shown> = SETTINGS
        .iter()
        .filter(|setting| wanted(setting.key))
        .map(|setting| Shown {
            key: setting.key,
            value: setting.value(&resolved.settings),
            default: setting.value(&defaults),
            origin: resolved.origins.get(setting.key).cloned().unwrap_or(Origin::Default),
            variable: setting.variable(),
            about: setting.about,
        })
        .collect();
    match prefix {
        Some(key) if shown.is_empty() => table::find(key).map(|_| shown),
        _ => Ok(shown),
    }
}

/// What became of the file of settings.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    pub path: String,
    pub diff: String,
    pub undo: Option<u64>,
    pub dry_run: bool,
}

/// Plans one value into the file; `None` takes it out again.
pub fn set(paths: &Paths, key: &str, value: Option<&str>) -> Result<Edit> {
    let setting = table::find(key)?;
    let path = paths.settings_file();
    let file = path.display().to_string();
    let before = journal::read_text(&path)?;
    let text = before.clone().unwrap_or_default();
    let after = match value {
        Some(value) => {
            // The number itself is written: every reader of the file knows what it means.
            let value = setting.write(&mut settings::Settings::default(), value)?;
            edited(&file, &text, |text| edit::set(Format::Yaml, &file, text, &setting.path(), &value))?
        }
        None => edited(&file, &text, |text| edit::remove(Format::Yaml, &file, text, &setting.path()))?,
    };
    settings::parse_file(&path, &after)?;
    let unwritten = before.is_none() && after.is_empty();
    Ok(Edit {
        path,
        before: before.map(String::into_bytes),
        after: (!unwritten).then(|| after.into_bytes()),
        client: None,
    })
}

/// Makes an edit that wants block style. A file in flow style (`{…}`, or JSON) is written anew in block style where
/// that loses nothing; with comments in it, it is its owner's to rewrite.
fn edited(file: &str, text: &str, edit: impl Fn(&str) -> Result<String>) -> Result<String> {
    let error = match edit(text) {
        Ok(after) => return Ok(after),
        Err(error) => error.hint("umcp config edit"),
    };
    if text.contains('#') {
        return Err(error);
    }
    let plain = documents::write_yaml(&documents::parse_as(Format::Yaml, file, text)?.to_json())?;
    edit(&plain).map_err(|_| error)
}

/// Plans a whole new text into the file, after checking it.
pub fn replace(paths: &Paths, text: String) -> Result<Edit> {
    let path = paths.settings_file();
    settings::parse_file(&path, &text)?;
    Ok(Edit { before: journal::read(&path)?, after: Some(text.into_bytes()), path, client: None })
}

/// Makes an edit through the journal, or says what it would be.
pub fn apply(paths: &Paths, edit: &Edit, command: &str, dry_run: bool, now: Timestamp) -> Result<Changed> {
    let mut changed =
        Changed { path: edit.path.display().to_string(), diff: edit.diff(), undo: None, dry_run };
    if !dry_run {
        let entry = journal::record(&paths.undo(), now, command, std::slice::from_ref(edit))?;
        changed.undo = entry.map(|entry| entry.id);
    }
    Ok(changed)
}

/// What a check of a file found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Valid {
    pub path: String,
    /// What the file is: `settings`, or the format of its servers.
    pub what: String,
    pub servers: usize,
    pub notes: Vec<Note>,
}

/// Checks a file of settings or of servers.
pub fn validate(paths: &Paths, file: Option<&Path>, now: Timestamp) -> Result<Valid> {
    let own = paths.settings_file();
    let path = file.unwrap_or(&own);
    let mut valid =
        Valid { path: path.display().to_string(), what: "settings".into(), servers: 0, notes: Vec::new() };
    if path == own && !path.exists() {
        return Ok(valid);
    }
    let text = documents::read_file(path)?;
    let root = documents::parse(&valid.path, &text)?;
    let known = |key: &str| key == "version" || SETTINGS.iter().any(|setting| setting.path()[0] == key);
    // `servers:` stands in both kinds of file; servers are maps, settings numbers.
    let entries = root.get("servers").map(|node| node.entries()).unwrap_or_default();
    let holds_servers = entries.iter().any(|(_, node)| node.is_map());
    if path == own || !holds_servers && root.entries().iter().all(|(key, _)| known(&key.name)) {
        settings::parse_file(path, &text)?;
        return Ok(valid);
    }
    let read = formats::read(&valid.path, &text, &mut || ids::fresh("srv"), now)?;
    (valid.what, valid.servers, valid.notes) = (read.format.into(), read.servers.len(), read.notes);
    Ok(valid)
}

/// A file in another version or format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migrated {
    pub from: String,
    pub to: String,
    pub text: String,
    pub notes: Vec<Note>,
}

/// Brings a file of servers from another tool's format, or an older version of ours, to `to`.
pub fn migrate(file: &Path, from: &str, to: &str, now: Timestamp) -> Result<Migrated> {
    let unknown = |version: &str| {
        Error::new(&codes::VALUE_INVALID, format!("umcp knows no version `{version}` to migrate to"))
            .hint(format!("known: {}", VERSIONS.join(", ")))
    };
    if !VERSIONS.contains(&to) {
        return Err(unknown(to));
    }
    let name = file.display().to_string();
    let text = documents::read_file(file)?;
    if VERSIONS.contains(&from)
        && validate(&Paths::in_folder(Path::new("/"), "/".into()), Some(file), now)?.what == "settings"
    {
        return Ok(Migrated { from: from.into(), to: to.into(), text, notes: Vec::new() });
    }
    let read = formats::read(&name, &text, &mut || ids::fresh("srv"), now)?;
    let is = if read.format == own::FORMAT { VERSIONS[0] } else { read.format };
    if from != is && from != "auto" {
        let message = format!("`{name}` was read as `{is}`, not `{from}`");
        return Err(Error::new(&codes::VALUE_INVALID, message).hint(format!("--from {is}")));
    }
    if is == to {
        return Ok(Migrated { from: is.into(), to: to.into(), text, notes: read.notes });
    }
    let servers = import::merge(&[], read.servers).add;
    Ok(Migrated { from: is.into(), to: to.into(), text: own::write(&servers)?, notes: read.notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn home() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().into());
        paths.create().unwrap();
        (dir, paths)
    }

    fn change(paths: &Paths, key: &str, value: Option<&str>) -> String {
        let edit = set(paths, key, value).unwrap();
        apply(paths, &edit, "umcp config set", false, Timestamp::default()).unwrap();
        fs::read_to_string(paths.settings_file()).unwrap_or_else(|_| "none".into())
    }

    #[test]
    fn a_value_goes_in_and_out_and_comments_stay() {
        let (_dir, paths) = home();
        assert_eq!(change(&paths, "gateway.page_size", None), "none");
        assert_eq!(change(&paths, "gateway.body_limit", Some("1MiB")), "gateway:\n  body_limit: 1048576\n");
        fs::write(paths.settings_file(), "# mine\ngateway:\n  page_size: 5 # five\n").unwrap();
        let text = change(&paths, "servers.queue", Some("7"));
        assert_eq!(text, "# mine\ngateway:\n  page_size: 5 # five\nservers:\n  queue: 7\n");
        assert_eq!(change(&paths, "servers.queue", None), "# mine\ngateway:\n  page_size: 5 # five\n");
        for flow in [
            "{gateway: {page_size: 5}}",
            "gateway: {page_size: 5}\n",
            "{\n  \"gateway\": {\"page_size\": 5}\n}\n",
        ] {
            fs::write(paths.settings_file(), flow).unwrap();
            let text = change(&paths, "gateway.page_size", Some("6"));
            assert_eq!(text, "gateway:\n  page_size: 6\n", "{flow}");
            fs::write(paths.settings_file(), flow).unwrap();
            let text = change(&paths, "servers.queue", Some("7"));
            assert!(text.ends_with("servers:\n  queue: 7\n") && text.contains("page_size: 5"), "{text}");
        }
        fs::write(paths.settings_file(), "gateway: {page_size: 5} # five\n").unwrap();
        let refused = set(&paths, "gateway.page_size", Some("6")).unwrap_err();
        assert!(refused.hints.contains(&"umcp config edit".to_string()), "{refused:?}");
        assert!(set(&paths, "servers.queue", Some("many")).unwrap_err().is(&codes::VALUE_INVALID));
        assert!(set(&paths, "server.queue", Some("1")).unwrap_err().is(&codes::SETTING_UNKNOWN));
        assert!(replace(&paths, "gatway: {}\n".into()).is_err());
    }

    #[test]
    fn origins_are_told_and_unknown_keys_refused() {
        let (_dir, paths) = home();
        change(&paths, "servers.queue", Some("7"));
        let resolved = settings::load(&paths, []).unwrap();
        let queue = show(&resolved, Some("servers.queue")).unwrap().remove(0);
        assert_eq!((queue.value, queue.default), (Value::from(7), Value::from(1000)));
        assert_eq!(queue.variable, "UMCP_SERVERS__QUEUE");
        assert!(matches!(queue.origin, Origin::File { line: 2, .. }));
        assert_eq!(show(&resolved, Some("servers")).unwrap().len(), 5);
        assert_eq!(show(&resolved, None).unwrap().len(), SETTINGS.len());
        assert!(show(&resolved, Some("server")).is_err());
    }

    #[test]
    fn files_are_checked_and_migrated() {
        let (dir, paths) = home();
        let now = Timestamp::default();
        assert_eq!(validate(&paths, None, now).unwrap().what, "settings");
        let file = dir.path().join("mcp.json");
        fs::write(&file, r#"{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}"#)
            .unwrap();
        assert_eq!(validate(&paths, Some(&file), now).unwrap().servers, 1);
        let migrated = migrate(&file, "auto", "1", now).unwrap();
        assert!(
            migrated.text.contains("umcp: 1") && migrated.text.contains("mcp-server-time"),
            "{migrated:?}"
        );
        assert!(migrate(&file, "codex", "1", now).unwrap_err().message.contains("not `codex`"));
        assert!(migrate(&file, "auto", "2", now).is_err());
        let ours = dir.path().join("ours.yaml");
        fs::write(&ours, &migrated.text).unwrap();
        assert_eq!(migrate(&ours, "1", "1", now).unwrap().text, migrated.text);
        fs::write(&ours, "servers:\n  queue: 3\n").unwrap();
        assert_eq!(validate(&paths, Some(&ours), now).unwrap().what, "settings");
        assert_eq!(migrate(&ours, "1", "1", now).unwrap().text, "servers:\n  queue: 3\n");
    }
}
