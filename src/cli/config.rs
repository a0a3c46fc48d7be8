//! `umcp config`: the settings, with where each value comes from, and the files they stand in.

use super::context::Context;
use super::import::note_line;
use super::machine::machine;
use crate::clients;
use crate::error::{Error, Result, codes};
use crate::paths::{io_error, private_options, write_atomic};
use crate::settings::{self, Origin, Resolved};
use crate::setup::config::{self, Changed, Migrated, Shown, Valid};
use crate::setup::journal::Edit;
use crate::setup::{clientfiles, schema};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::workflows;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp config show\n  umcp config set servers.call_timeout_ms 2m\n  umcp config generate --client cursor"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show settings, their values and where each comes from
    #[command(alias = "list")]
    Show {
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Print one value
    Get {
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Change one setting in your file
    Set(Set),
    /// Take one setting out of your file
    Unset(Unset),
    /// Open your file in your editor; a mistake is not written
    Edit,
    /// Check a file of settings or of servers
    Validate {
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show where umcp keeps its files
    Path,
    /// Print the JSON Schema of a file
    Schema {
        #[arg(value_enum, default_value = "settings")]
        what: What,
    },
    /// Bring a file to another version, or from another tool's format into umcp's
    Migrate(Migrate),
    /// Print what to paste into a client's file
    Generate {
        #[arg(long, value_name = "CLIENT")]
        client: String,
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Set {
    #[arg(value_name = "KEY")]
    key: String,
    /// A number; times take 30s and 5m, sizes 64KiB and 16MiB
    #[arg(value_name = "VALUE")]
    value: String,
    /// Show the difference and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct Unset {
    #[arg(value_name = "KEY")]
    key: String,
    /// Show the difference and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp config migrate mcp.json --from auto --to 1 --output servers.yaml")]
struct Migrate {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The version of umcp's file, the name of a format, or `auto`
    #[arg(long, default_value = "auto")]
    from: String,
    /// The version of umcp's file
    #[arg(long, default_value = "1")]
    to: String,
    /// Write to this file instead of printing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Settings,
    Server,
    Workflow,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        match self.verb.unwrap_or(Verb::Show { key: None }) {
            Verb::Show { key } => ctx.ui.show(&All(config::show(&resolved(ctx)?, key.as_deref())?)),
            Verb::Get { key } => {
                settings::table::find(&key)?;
                let shown = config::show(&resolved(ctx)?, Some(&key))?.remove(0);
                ctx.ui.show(&One(shown))
            }
            Verb::Set(Set { key, value, dry_run }) => {
                let edit = config::set(&ctx.paths, &key, Some(&value))?;
                change(ctx, &edit, &format!("umcp config set {key}"), dry_run)
            }
            Verb::Unset(Unset { key, dry_run }) => {
                let edit = config::set(&ctx.paths, &key, None)?;
                change(ctx, &edit, &format!("umcp config unset {key}"), dry_run)
            }
            Verb::Edit => edit(ctx),
            Verb::Validate { file } => ctx.ui.show(&config::validate(&ctx.paths, file.as_deref(), now)?),
            Verb::Path => ctx.ui.show(&Places::of(ctx)),
            Verb::Schema { what: What::Settings } => ctx.ui.show(&Document(schema::settings())),
            Verb::Schema { what: What::Server } => ctx.ui.show(&Document(schema::server())),
            Verb::Schema { what: What::Workflow } => ctx.ui.show(&Document(workflows::schema::workflow())),
            Verb::Migrate(migrate) => migrate.run(ctx),
            Verb::Generate { client, profile } => {
                let client = clients::find(&client)?;
                let entry = clientfiles::entry(client, &machine(ctx)?, profile.as_deref());
                let snippet = clients::plan::snippet(client, &entry)?;
                ctx.ui.show(&Snippet { client: client.id, snippet })
            }
        }
    }
}

/// The settings in force; warnings are said.
fn resolved(ctx: &Context) -> Result<Resolved> {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let resolved = settings::load(&ctx.paths, env)?;
    resolved.warnings.iter().for_each(|warning| ctx.ui.warn(warning));
    Ok(resolved)
}

fn change(ctx: &Context, edit: &Edit, command: &str, dry_run: bool) -> Result<()> {
    ctx.ui.show(&config::apply(&ctx.paths, edit, command, dry_run, ctx.clock.now())?)
}

/// A copy is edited; only a text that loads replaces the file.
fn edit(ctx: &Context) -> Result<()> {
    let path = ctx.paths.settings_file();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    ctx.paths.create()?;
    let copy = ctx.paths.config.join(format!("edit-{}.yaml", std::process::id()));
    let written = private_options().write(true).create(true).truncate(true).open(&copy);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| io_error("write", &copy, &error))?;
    let edited = open_editor(&copy)
        .and_then(|()| std::fs::read_to_string(&copy).map_err(|error| io_error("read", &copy, &error)));
    let edit = edited.and_then(|text| config::replace(&ctx.paths, text));
    match edit {
        Ok(edit) => {
            let _ = std::fs::remove_file(&copy);
            change(ctx, &edit, "umcp config edit", false)
        }
        // The user's work is not thrown away with the mistake.
        Err(error) => Err(error.hint(format!("your text is kept in {}", copy.display()))),
    }
}

fn open_editor(file: &Path) -> Result<()> {
    let usual = if cfg!(windows) { "notepad" } else { "vi" };
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|word| !word.is_empty()));
    let editor = editor.unwrap_or_else(|| usual.into());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(usual);
    let status = std::process::Command::new(program).args(words).arg(file).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::new(&codes::FAILED, format!("the editor `{editor}` ended with {status}"))),
        Err(error) => Err(Error::new(&codes::FAILED, format!("the editor `{editor}` could not be started"))
            .because(error)
            .hint("set VISUAL or EDITOR")),
    }
}

impl Migrate {
    fn run(self, ctx: &Context) -> Result<()> {
        let migrated = config::migrate(&self.file, &self.from, &self.to, ctx.clock.now())?;
        let Some(output) = self.output else { return ctx.ui.show(&migrated) };
        write_atomic(&output, migrated.text.as_bytes())?;
        migrated.notes.iter().for_each(|note| ctx.ui.note(&note_line(note)));
        ctx.ui.note(&format!("wrote {}", output.display()));
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Shown>);

#[derive(Serialize)]
#[serde(transparent)]
struct One(Shown);

#[derive(Serialize)]
#[serde(transparent)]
struct Document(Value);

#[derive(Serialize)]
struct Snippet {
    client: &'static str,
    snippet: String,
}

#[derive(Serialize)]
struct Places {
    settings: PathBuf,
    secrets: PathBuf,
    store: PathBuf,
    undo: PathBuf,
    logs: PathBuf,
    socket: PathBuf,
}

impl Places {
    fn of(ctx: &Context) -> Self {
        let paths = &ctx.paths;
        Self {
            settings: paths.settings_file(),
            secrets: paths.secrets_file(),
            store: paths.store(),
            undo: paths.undo(),
            logs: paths.state.join("logs"),
            socket: paths.socket(),
        }
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Flag { name } => name.clone(),
        Origin::Env { name } => format!("variable {name}"),
        Origin::File { path, line } => format!("{}:{line}", path.display()),
        Origin::Default => "default".into(),
    }
}

impl Output for All {
    const KIND: &'static str = "config.show/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("setting"),
            Column::new("value").right(),
            Column::new("from"),
            Column::new("what it is").wraps().optional(1),
        ];
        let mut table = Table::new("there is no such setting", columns);
        for shown in &self.0 {
            let from = match shown.origin {
                Origin::Default => Cell::from("default"),
                _ => Cell::state(State::Ok, &origin(&shown.origin)),
            };
            table.row([shown.key.into(), shown.value.to_string().into(), from, shown.about.into()]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|shown| shown.key.into()).collect()
    }
}

impl Output for One {
    const KIND: &'static str = "config.get/1";

    fn human(&self, page: &mut Page) {
        page.text(self.0.value.to_string());
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.value.to_string()]
    }
}

impl Output for Changed {
    const KIND: &'static str = "config.changed/1";

    fn human(&self, page: &mut Page) {
        if self.diff.is_empty() {
            page.mark(State::Off, format!("{} was so already", self.path));
        } else if self.dry_run {
            page.text(&self.diff).text("nothing was changed (--dry-run)");
        } else {
            page.mark(State::Ok, format!("wrote {}", self.path));
            page.text("a running daemon takes it up when it is restarted: umcp gateway restart");
        }
        if let Some(id) = self.undo {
            page.text(format!("take it back: umcp undo {id}"));
        }
    }
}

impl Output for Valid {
    const KIND: &'static str = "config.validate/1";

    fn human(&self, page: &mut Page) {
        let what = match self.what.as_str() {
            "settings" => "settings".to_string(),
            format => format!("{} in the format {format}", text::plural(self.servers, "server")),
        };
        page.mark(State::Ok, format!("{} is valid: {what}", self.path));
        for note in &self.notes {
            page.mark(State::Warn, note_line(note));
        }
    }
}

impl Output for Migrated {
    const KIND: &'static str = "config.migrate/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.text);
    }
}

impl Output for Document {
    const KIND: &'static str = "config.schema/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("{:#}", self.0));
    }
}

impl Output for Snippet {
    const KIND: &'static str = "config.snippet/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.snippet);
    }
}

impl Output for Places {
    const KIND: &'static str = "config.path/1";

    fn human(&self, page: &mut Page) {
        let shown = [
            ("settings", &self.settings),
            ("secrets", &self.secrets),
            ("store", &self.store),
            ("undo", &self.undo),
            ("logs", &self.logs),
            ("socket", &self.socket),
        ];
        page.pairs(shown.map(|(name, path)| (name, path.display().to_string())));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.settings.display().to_string()]
    }
}
