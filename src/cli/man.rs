//! `umcp man`: manual pages, made from the same types as the command line itself.
//! One page for umcp and one per command; the verbs of a command stand on its page.

use super::context::Context;
use super::suggest;
use crate::error::{Error, Result, codes};
use crate::paths::{create_private_dir, io_error};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use clap_mangen::Man as Manual;
use serde::Serialize;
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = concat!("umcp ", env!("CARGO_PKG_VERSION"));

/// Show or write manual pages
///
/// There is a page for umcp and one for each command; the page of a command documents its verbs too, so that
/// `umcp man server add` opens the page of `umcp server`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp man server\n  umcp man --out ~/.local/share/man/man1")]
pub struct Man {
    /// A command, and perhaps its verb; without one it is the page of umcp
    #[arg(value_name = "COMMAND")]
    topic: Vec<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "topic")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    directory: String,
    pages: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    page: String,
}

impl Man {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let pages = pages()?;
        if let Some(directory) = self.out {
            create_private_dir(&directory)?;
            for (name, text) in &pages {
                let path = directory.join(name);
                // Pages are for everybody to read, unlike what umcp writes elsewhere.
                std::fs::write(&path, text).map_err(|error| io_error("write", &path, &error))?;
            }
            let pages = pages.into_iter().map(|(name, _)| name).collect();
            return ctx.ui.show(&Written { directory: directory.display().to_string(), pages });
        }
        let name = file_of(&self.topic)?;
        let Some((_, page)) = pages.into_iter().find(|(page, _)| *page == name) else {
            return Err(suggest::unknown_verb(&["umcp"], &self.topic.concat()));
        };
        if ctx.ui.look().width.is_some() && !ctx.ui.is_json() && read(&name, &page) {
            return Ok(());
        }
        ctx.ui.show(&Shown { page })
    }
}

/// The page on which these words are documented.
fn file_of(topic: &[String]) -> Result<String> {
    let Some((first, verbs)) = topic.split_first() else { return Ok("umcp.1".into()) };
    let root = super::command();
    let Some(command) = root.find_subcommand(first) else {
        return Err(suggest::unknown_verb(&["umcp"], first));
    };
    if let Some(verb) = verbs.first().filter(|verb| command.find_subcommand(verb).is_none()) {
        return Err(suggest::unknown_verb(&["umcp", command.get_name()], verb));
    }
    Ok(format!("umcp-{}.1", command.get_name()))
}

/// Opens a page in the system's reader; false where there is none.
fn read(name: &str, page: &str) -> bool {
    let path = std::env::temp_dir().join(format!("umcp-man-{}-{name}", std::process::id()));
    let opened = std::fs::write(&path, page).is_ok()
        && Command::new("man").arg(&path).status().is_ok_and(|status| status.success());
    let _ = std::fs::remove_file(&path);
    opened
}

/// All pages by the name of their file, in the order of the commands.
pub fn pages() -> Result<Vec<(String, String)>> {
    let mut root = super::command();
    root.build();
    let mut pages = vec![("umcp.1".to_string(), first_page(&root)?)];
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        let command = without_global(command);
        let mut text = page(&command)?;
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            text.push_str(&section(&without_global(verb))?);
        }
        text.push_str(".SH \"SEE ALSO\"\n.BR umcp (1)\n");
        pages.push((format!("umcp-{}.1", command.get_name()), text));
    }
    Ok(pages)
}

/// The flags that every command takes stand on the page of umcp alone.
fn without_global(command: &clap::Command) -> clap::Command {
    command.clone().mut_args(|arg| {
        let hidden = arg.is_global_set() || arg.get_id() == "help" || arg.is_hide_set();
        arg.hide(hidden)
    })
}

fn first_page(root: &clap::Command) -> Result<String> {
    let manual = Manual::new(root.clone()).title("umcp").source(SOURCE);
    written(|bytes| manual.render(bytes))
}

/// The page of one command, up to its verbs.
fn page(command: &clap::Command) -> Result<String> {
    let name = command.get_bin_name().unwrap_or("umcp").replace(' ', "-");
    let manual = Manual::new(command.clone()).title(name).source(SOURCE);
    written(|bytes| {
        manual.render_title(bytes)?;
        manual.render_name_section(bytes)?;
        parts(&manual, command, bytes)
    })
}

/// One verb as a part of its command's page.
fn section(verb: &clap::Command) -> Result<String> {
    let manual = Manual::new(verb.clone());
    let text = written(|bytes| parts(&manual, verb, bytes))?;
    // Each part brings its own preamble; the page has one already.
    let is_text = |line: &&str| !line.starts_with(".ie ") && !line.starts_with(".el ");
    let body: Vec<&str> = text.lines().filter(is_text).collect();
    let title = verb.get_bin_name().unwrap_or(verb.get_name()).to_uppercase();
    Ok(format!(".SH \"{title}\"\n{}\n", body.join("\n").replace(".SH ", ".SS ")))
}

fn parts(manual: &Manual, command: &clap::Command, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    manual.render_synopsis_section(bytes)?;
    manual.render_description_section(bytes)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        manual.render_options_section(bytes)?;
    }
    if command.get_after_help().is_some() {
        manual.render_extra_section(bytes)?;
    }
    Ok(())
}

fn written(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Result<String> {
    let mut bytes = Vec::new();
    render(&mut bytes).map_err(|error| unwritten(&error))?;
    // The crate names the section of examples by what it is to clap.
    Ok(String::from_utf8_lossy(&bytes).replace(".SH EXTRA", ".SH EXAMPLES"))
}

fn unwritten(error: &std::io::Error) -> Error {
    Error::new(&codes::BUG, "a manual page cannot be written").because(error)
}

impl Output for Written {
    const KIND: &'static str = "man.written/1";

    fn human(&self, page: &mut Page) {
        let count = text::plural(self.pages.len(), "page");
        page.mark(State::Ok, format!("wrote {count} to {}", self.directory));
    }

    fn ids(&self) -> Vec<String> {
        self.pages.clone()
    }
}

impl Output for Shown {
    const KIND: &'static str = "man.page/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.page);
    }
}
