//! `memory export` and `memory import`.

use super::super::context::Context;
use super::say::Imported;
use super::{Where, ask, unexpected};
use crate::error::{Error, Result, codes};
use crate::memory::change::MOST_AT_ONCE;
use crate::memory::model::Who;
use crate::memory::select::{Order, Select};
use crate::memory::{Ask, Reply, transfer};
use crate::paths::{io_error, write_atomic};
use crate::ui::{State, text};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Memories are fetched in pages of this size.
const PAGE: u32 = 500;
/// Longest file that is imported.
const MOST_BYTES: u64 = 256 << 20;

/// Write memories as lines of JSON, or as Markdown to read
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory export --output memories.jsonl\n  umcp memory export --namespace team --format markdown"
)]
pub struct Export {
    /// In which form
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Into this file; standard output if left out
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    like: Where,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A memory on each line; what import reads
    Jsonl,
    /// A document
    #[value(alias = "md")]
    Markdown,
}

/// Store the memories of an export; what is there already is left out
#[derive(Debug, Args)]
pub struct Import {
    /// Lines of JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Into this namespace, whatever the lines say
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only read and check the file
    #[arg(long)]
    dry_run: bool,
}

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let filter = self.like.filter(ctx.clock.now())?;
        let mut all = Vec::new();
        loop {
            let offset = all.len() as u32;
            let list = Select { filter: filter.clone(), order: Order::Oldest, limit: PAGE, offset };
            match ask(ctx, self.like.who(), Ask::List(list))? {
                Reply::Memories(page, _) if page.is_empty() => break,
                Reply::Memories(page, _) => all.extend(page),
                other => return unexpected(&other),
            }
        }
        let text = match self.format {
            Format::Jsonl => all.iter().map(|memory| format!("{}\n", transfer::document(memory))).collect(),
            Format::Markdown => transfer::markdown(&all),
        };
        let Some(path) = self.output else { return ctx.ui.raw(&text) };
        if path.exists() && !ctx.ui.confirm(&format!("write over {}?", path.display()), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was written"));
        }
        write_atomic(&path, text.as_bytes())?;
        let line = format!("wrote {} to {}", text::plural(all.len(), "memory"), path.display());
        let data = json!({"memories": all.len(), "file": path.display().to_string()});
        ctx.ui.show(&super::say::Changed { data, lines: vec![(State::Ok, line)], ids: Vec::new() })
    }
}

impl Import {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let name = self.file.display().to_string();
        let mut new = transfer::read(&name, &read(&self.file)?, ctx.clock.now())?;
        if let Some(namespace) = &self.namespace {
            new.iter_mut().for_each(|new| new.namespace.clone_from(namespace));
        }
        let (all, mut stored) = (new.len(), 0);
        if !self.dry_run {
            while !new.is_empty() {
                let rest = new.split_off(new.len().min(MOST_AT_ONCE));
                match ask(ctx, Who::default(), Ask::Import(new))? {
                    Reply::Stored(done) => stored += done.iter().filter(|stored| stored.new).count(),
                    other => return unexpected(&other),
                }
                new = rest;
            }
        }
        let line = match self.dry_run {
            true => format!("{name} holds {}", text::plural(all, "memory")),
            false => format!("stored {} of {}", stored, text::plural(all, "memory")),
        };
        let data = json!({"read": all, "stored": stored, "dry_run": self.dry_run});
        ctx.ui.show(&Imported { data, lines: vec![(State::Ok, line)], ids: Vec::new() })
    }
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(&codes::FILE_NOT_FOUND, format!("there is no file `{}`", path.display()))
        }
        _ => io_error("read", path, &error),
    })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::new(
            &codes::FILE_TOO_LARGE,
            format!("`{}` has more than 256 MiB", path.display()),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        Error::new(&codes::FILE_INVALID, format!("`{}` is no text", path.display())).because(error)
    })
}
