//! `umcp generate`: files to start from, which pass `umcp test` and `validate` as they are. The texts stand in
//! `assets/generate`; `@name@` and `@NAME@` are all that is filled in.

use super::context::Context;
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::servers;
use crate::ui::{Output, Page, State};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../assets/generate/", $name))
    };
}

/// Write an app, a tool, a server or an integration to start from, with its tests
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp generate app shop\n  umcp generate tool greeter\n  umcp generate server hello --language typescript\n  umcp generate integration shop"
)]
pub struct Generate {
    #[arg(value_name = "KIND", value_enum)]
    kind: Kind,
    /// What it is to be called
    #[arg(value_name = "NEW")]
    name: String,
    /// Write into this folder instead of the one you are in
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The language of a server
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value = "python")]
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Requests to a service as tools
    App,
    /// How one signs in at a service
    Integration,
    /// Programs and scripts as tools
    Tool,
    /// An MCP server of its own
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Python,
    Typescript,
}

impl Generate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let name = &self.name;
        servers::model::check_name(name)?;
        let dir = self.dir.clone().unwrap_or_default();
        let (files, next) = self.files();
        let upper: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let mut written = Vec::new();
        let files: Vec<(PathBuf, &str)> =
            files.into_iter().map(|(file, text)| (dir.join(file.replace("{name}", name)), text)).collect();
        if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
            let message = format!("`{}` is there already", path.display());
            return Err(Error::new(&codes::FILE_EXISTS, message).hint("give another name, or another --dir"));
        }
        for (path, text) in files {
            write(&path, &text.replace("@NAME@", &upper).replace("@name@", name))?;
            written.push(path);
        }
        let at = |line: &&str| {
            let shown = dir.join(name).display().to_string();
            line.replace("{place}", &shown).replace("{name}", name)
        };
        let next = next.iter().map(at).collect();
        ctx.ui.show(&Generated { name: name.clone(), files: written, next })
    }

    /// Files with their texts, and the commands that come next.
    fn files(&self) -> (Vec<(&'static str, &'static str)>, &'static [&'static str]) {
        match (self.kind, self.language) {
            (Kind::App, _) => (
                vec![("{name}.yaml", text!("app.yaml")), ("{name}.test.yaml", text!("app.test.yaml"))],
                &["umcp test app {place}.yaml", "umcp app install {place}.yaml"],
            ),
            (Kind::Tool, _) => (
                vec![("{name}.yaml", text!("tool.yaml")), ("{name}.test.yaml", text!("tool.test.yaml"))],
                &["umcp test app {place}.yaml", "umcp command add -f {place}.yaml"],
            ),
            (Kind::Integration, _) => (
                vec![
                    ("{name}.yaml", text!("integration.yaml")),
                    ("{name}.test.yaml", text!("integration.test.yaml")),
                ],
                &[
                    "umcp connection provision -f {place}.yaml",
                    "umcp test integration {name} --tests {place}.test.yaml",
                ],
            ),
            (Kind::Server, Language::Python) => (
                vec![
                    ("{name}/server.py", text!("server.py")),
                    ("{name}/{name}.test.yaml", text!("server.test.yaml")),
                ],
                &[
                    "umcp server add {name} -- uv run --with mcp {place}/server.py",
                    "umcp test server {name} --tests {place}/{name}.test.yaml",
                ],
            ),
            (Kind::Server, Language::Typescript) => (
                vec![
                    ("{name}/server.ts", text!("server.ts")),
                    ("{name}/package.json", text!("package.json")),
                    ("{name}/{name}.test.yaml", text!("server.test.yaml")),
                ],
                &[
                    "npm install --prefix {place}",
                    "umcp server add {name} -- node {place}/server.ts",
                    "umcp test server {name} --tests {place}/{name}.test.yaml",
                ],
            ),
        }
    }
}

/// A new file; nothing is written over.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |error: &std::io::Error| io_error("write", path, error);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| failed(&error))
}

#[derive(Serialize)]
struct Generated {
    name: String,
    files: Vec<PathBuf>,
    /// Commands that come next.
    next: Vec<String>,
}

impl Output for Generated {
    const KIND: &'static str = "generated/1";

    fn human(&self, page: &mut Page) {
        for file in &self.files {
            page.mark(State::Ok, format!("wrote {}", file.display()));
        }
        self.next.iter().for_each(|line| _ = page.text(line));
    }

    fn ids(&self) -> Vec<String> {
        self.files.iter().map(|file| file.display().to_string()).collect()
    }
}
