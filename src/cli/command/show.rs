//! `umcp command show` and `umcp command validate`.

use super::list::{Row, kind};
use crate::apps::file::{self, Loaded};
use crate::apps::model::{Action, Tool};
use crate::cli::app::known;
use crate::cli::context::Context;
use crate::documents::read_file;
use crate::error::{Result, codes};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Show one command: its arguments, and what it runs
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "COMMAND")]
    name: String,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let found = known::command(ctx, &self.name)?;
        let folder = folder(&found.tool, found.installed.server.cwd.as_deref());
        ctx.ui.show(&Shown { row: Row::new(found.installed.name(), &found.tool), folder, tool: found.tool })
    }
}

/// Where a program runs: in the folder of the file it came from, unless the command says another.
fn folder(tool: &Tool, file: Option<&str>) -> Option<String> {
    let Action::Exec(exec) = &tool.action else { return None };
    let home = Path::new(file.unwrap_or("~"));
    Some(exec.cwd.as_ref().map_or(home.into(), |cwd| home.join(cwd)).display().to_string())
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: Row,
    /// Where its program runs; `None` for a request.
    folder: Option<String>,
    #[serde(rename = "definition")]
    tool: Tool,
}

impl Output for Shown {
    const KIND: &'static str = "command.show/1";

    fn human(&self, page: &mut Page) {
        let tool = &self.tool;
        let mut pairs = vec![("kind", kind(tool).to_string())];
        let action = serde_json::to_value(&tool.action).unwrap_or_default();
        let action = crate::documents::write_yaml(&action).unwrap_or_default();
        if let Some(folder) = &self.folder {
            pairs.push(("runs in", folder.clone()));
        }
        pairs.push(("timeout", text::duration_ms(tool.timeout_ms)));
        pairs.push(("output", format!("at most {}", text::bytes(tool.limit))));
        if !tool.needs.is_empty() {
            pairs.push(("after", tool.needs.join(", ")));
        }
        page.heading(&self.row.name).text(&tool.description).pairs(pairs);
        if let Some(properties) = tool.input["properties"].as_object().filter(|all| !all.is_empty()) {
            page.blank().heading("arguments");
            for (name, schema) in properties {
                let optional = if self.row.arguments.contains(name) { "" } else { ", may be left out" };
                let kind = schema["type"].as_str().unwrap_or("any value");
                let about =
                    schema["description"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
                page.bullet(format!("{name} ({kind}{optional}){about}"));
            }
        }
        page.blank().heading("runs").text(action.trim_end());
    }

    fn ids(&self) -> Vec<String> {
        vec![self.row.name.clone()]
    }
}

/// Check a file of commands without adding it
///
/// Mistakes are told with file, line and column; the exit code is 3.
#[derive(Debug, Args)]
pub struct Validate {
    /// The file; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Validate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let loaded = load(&self.file)?;
        loaded.notes.iter().for_each(|note| ctx.ui.warn(note));
        let rows = loaded.definition.tools.iter().map(|tool| Row::new("", tool));
        let commands = rows.map(|mut row| {
            row.name.remove(0);
            row
        });
        ctx.ui.show(&Valid { file: self.file.display().to_string(), commands: commands.collect() })
    }
}

/// Reads a file of commands.
pub fn load(path: &Path) -> Result<Loaded> {
    let text = match path.as_os_str() == "-" {
        true => stdin()?,
        false => read_file(path)?,
    };
    file::load(&path.display().to_string(), &text)
}

fn stdin() -> Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(crate::documents::limits::MAX_BYTES as u64 + 1);
    input
        .read_to_string(&mut text)
        .map_err(|error| crate::error::Error::new(&codes::IO, "cannot read stdin").because(error))?;
    Ok(text)
}

#[derive(Serialize)]
struct Valid {
    file: String,
    commands: Vec<Row>,
}

impl Output for Valid {
    const KIND: &'static str = "command.valid/1";

    fn human(&self, page: &mut Page) {
        let count = text::plural(self.commands.len(), "command");
        page.mark(State::Ok, format!("{} is valid: {count}", self.file));
        for row in &self.commands {
            page.bullet(format!("{} ({})", row.name, row.kind));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.commands.iter().map(|row| row.name.clone()).collect()
    }
}
