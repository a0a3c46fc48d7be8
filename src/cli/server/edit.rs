//! `umcp server edit`: the entry as YAML in the user's editor, or single fields with `--set`.
//! Either way the changed text is read by the same strict reader as any file of servers.

use super::super::context::Context;
use super::super::known::one_server;
use super::change;
use crate::error::{Error, Result, codes};
use crate::servers::formats::{self, own};
use crate::servers::{self, Server};
use crate::{documents, ids, paths};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Edit a server's entry, in your editor or with --set
///
/// FIELD is a name of the YAML form, such as `description`, `env.KEY` or `timeouts.call`. `FIELD=TEXT` sets text, a
/// list separated by commas, a number or true and false, as the field needs; `FIELD:=JSON` sets JSON.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp server edit git\n  umcp server edit git --set timeouts.call=2m --set tags=work,code --unset cwd"
)]
pub struct Edit {
    #[arg(value_name = "SERVER")]
    name: String,
    /// Set a field instead of opening the editor
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Take a field away
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
}

impl Edit {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let server = one_server(ctx, &self.name)?;
        let before = own::write(std::slice::from_ref(&server))?;
        let edited = if self.set.is_empty() && self.unset.is_empty() {
            in_editor(ctx, &server, &before)?
        } else {
            let text = with_fields(&server.name, &before, &self.set, &self.unset)?;
            read_back(ctx, &server, "edited.yaml", &text)?
        };
        if edited == server {
            ctx.ui.note("nothing was changed");
        }
        change::change(ctx, "changed", servers::Request::Update { server: Box::new(edited) })
    }
}

fn with_fields(name: &str, text: &str, set: &[String], unset: &[String]) -> Result<String> {
    let mut document = documents::parse_value("edited.yaml", text)?;
    let entry = &mut document["servers"][name];
    for word in set {
        let (field, value) = assignment(word)?;
        *slot(entry, field)? = value;
    }
    for field in unset {
        let (parent, last) =
            field.rsplit_once('.').map_or((None, field.as_str()), |(parent, last)| (Some(parent), last));
        let holder = match parent {
            Some(parent) => slot(entry, parent)?,
            None => &mut *entry,
        };
        if holder.as_object_mut().and_then(|fields| fields.shift_remove(last)).is_none() {
            return Err(Error::new(&codes::FIELD_UNKNOWN, format!("`{field}` is not set on `{name}`")));
        }
    }
    documents::write_yaml(&document)
}

/// The place of a dotted field; only `env`, `headers`, `timeouts`, `tools` and `sandbox` have an inside.
fn slot<'a>(entry: &'a mut Value, field: &str) -> Result<&'a mut Value> {
    let (outer, inner) = field.split_once('.').map_or((field, None), |(outer, inner)| (outer, Some(inner)));
    let fields = entry.as_object_mut().ok_or_else(|| Error::bug("an entry is not a map"))?;
    let place = fields.entry(outer).or_insert(Value::Null);
    let Some(inner) = inner else { return Ok(place) };
    if place.is_null() {
        *place = json!({});
    }
    match place.as_object_mut() {
        Some(fields) => Ok(fields.entry(inner).or_insert(Value::Null)),
        None => Err(Error::new(&codes::USAGE, format!("`{outer}` has no fields inside"))),
    }
}

fn assignment(word: &str) -> Result<(&str, Value)> {
    let wrong = || Error::new(&codes::USAGE, format!("`{word}` is not of the form FIELD=VALUE"));
    let (field, text) = word.split_once('=').ok_or_else(wrong)?;
    if let Some(field) = field.strip_suffix(':') {
        let value = serde_json::from_str(text).map_err(|error| wrong().because(error))?;
        return Ok((field, value));
    }
    let list = || text.split(',').filter(|item| !item.is_empty()).map(|item| json!(item.trim())).collect();
    let value = match field {
        "args" | "tags" | "roots" | "tools.include" | "tools.exclude" | "sandbox.read" | "sandbox.write"
        | "sandbox.net" | "sandbox.require" => Value::Array(list()),
        "enabled" | "verbatim" | "concurrency" | "queue" | "sandbox.processes" => {
            serde_json::from_str(text).unwrap_or(json!(text))
        }
        _ => json!(text),
    };
    Ok((field, value))
}

/// Reads the changed text; what the text does not hold (id, time, origin) stays.
fn read_back(ctx: &Context, server: &Server, path: &str, text: &str) -> Result<Server> {
    let imported = formats::read(path, text, &mut || ids::fresh("srv"), ctx.clock.now())?;
    if let Some(note) = imported.notes.first() {
        return Err(Error::new(&codes::SERVER_INVALID, note.message.clone()));
    }
    let mut servers = imported.servers.into_iter();
    let (Some(mut edited), None) = (servers.next(), servers.next()) else {
        return Err(Error::new(&codes::SERVER_INVALID, format!("`{path}` must hold exactly one server")));
    };
    edited.id.clone_from(&server.id);
    edited.created = server.created;
    edited.origin.clone_from(&server.origin);
    edited.revision = server.revision;
    Ok(edited)
}

fn in_editor(ctx: &Context, server: &Server, before: &str) -> Result<Server> {
    if !ctx.ui.can_ask() {
        return Err(Error::new(
            &codes::INPUT_NEEDED,
            format!("editing `{}` needs an editor, and there is no terminal", server.name),
        )
        .hint(format!("umcp server edit {} --set FIELD=VALUE", server.name)));
    }
    let draft = Draft::create(ctx, &server.name, before)?;
    loop {
        open_editor(&draft.0)?;
        let text = documents::read_file(&draft.0)?;
        match read_back(ctx, server, &draft.0.display().to_string(), &text) {
            Ok(edited) => return Ok(edited),
            Err(error) => {
                ctx.ui.warn(&format!("{error}"));
                if !ctx.ui.confirm("Open the editor again?", true, "--set")? {
                    return Err(error);
                }
            }
        }
    }
}

/// A file for the editor, readable by the owner only, removed afterwards.
struct Draft(PathBuf);

impl Draft {
    fn create(ctx: &Context, name: &str, text: &str) -> Result<Self> {
        let path = ctx.paths.state.join(format!("edit-{name}-{}.yaml", std::process::id()));
        paths::write_atomic(&path, text.as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs `$VISUAL` or `$EDITOR` on a file; the variable may hold arguments.
fn open_editor(path: &Path) -> Result<()> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL")
        .or_else(|| set("EDITOR"))
        .unwrap_or_else(|| if cfg!(windows) { "notepad" } else { "vi" }.into());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = std::process::Command::new(program).args(words).arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::new(&codes::FAILED, format!("the editor `{editor}` failed ({status})"))),
        Err(error) => Err(Error::new(&codes::FAILED, format!("the editor `{editor}` cannot be started"))
            .because(error)
            .hint("set EDITOR to a program that edits text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_set_and_taken_away() {
        let text = "umcp: 1\nservers:\n  git:\n    command: git-mcp\n    cwd: /a\n    env:\n      A: x\n";
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let set = words(&[
            "description=Code",
            "tags=a, b",
            "env.B=1",
            "timeouts.call=2m",
            "args:=[\"x\"]",
            "verbatim=true",
        ]);
        let changed = with_fields("git", text, &set, &words(&["cwd", "env.A"])).unwrap();
        let entry = documents::parse_value("x.yaml", &changed).unwrap()["servers"]["git"].clone();
        let expected = json!({"command": "git-mcp", "env": {"B": "1"}, "description": "Code", "tags": ["a", "b"],
            "timeouts": {"call": "2m"}, "args": ["x"], "verbatim": true});
        assert_eq!(entry, expected);
        assert!(with_fields("git", text, &words(&["nonsense"]), &[]).is_err());
        assert!(with_fields("git", text, &[], &words(&["tags"])).unwrap_err().is(&codes::FIELD_UNKNOWN));
        assert!(with_fields("git", text, &words(&["command.x=1"]), &[]).is_err());
    }
}
