//! `umcp completions`: short scripts that ask `umcp __complete` at every Tab, one per shell.
//! The scripts are files under `completions/`, so that packagers find what the program prints.

use super::context::Context;
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::setup::journal::{self, Edit};
use crate::ui::{Output, Page, State};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Print or install shell completions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp completions zsh --install\n  source <(umcp completions bash)")]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
    /// Put the script where the shell looks for it
    #[arg(long)]
    install: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
    Elvish,
}

impl Shell {
    fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("../../completions/umcp.bash"),
            Self::Zsh => include_str!("../../completions/_umcp"),
            Self::Fish => include_str!("../../completions/umcp.fish"),
            Self::Powershell => include_str!("../../completions/_umcp.ps1"),
            Self::Elvish => include_str!("../../completions/umcp.elv"),
        }
    }

    /// Where the shell finds a script by itself, and else the line that its start file needs.
    fn place(self, home: &Path) -> (PathBuf, Option<String>) {
        let folder = |variable: &str, default: &str| {
            let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            set.unwrap_or_else(|| home.join(default))
        };
        let data = || folder("XDG_DATA_HOME", ".local/share");
        let config = || folder("XDG_CONFIG_HOME", ".config");
        match self {
            Self::Bash => (data().join("bash-completion/completions/umcp"), None),
            Self::Zsh => {
                let dir = data().join("zsh/site-functions");
                let line = format!("fpath=({} $fpath)  # in ~/.zshrc, before compinit", dir.display());
                (dir.join("_umcp"), Some(line))
            }
            Self::Fish => (config().join("fish/completions/umcp.fish"), None),
            Self::Powershell => {
                let file = data().join("umcp/_umcp.ps1");
                let line = format!(". \"{}\"  # in $PROFILE", file.display());
                (file, Some(line))
            }
            Self::Elvish => {
                (config().join("elvish/lib/umcp.elv"), Some("use umcp  # in ~/.config/elvish/rc.elv".into()))
            }
        }
    }
}

#[derive(Serialize)]
struct Script {
    shell: Shell,
    script: &'static str,
}

#[derive(Serialize)]
struct Installed {
    shell: Shell,
    file: String,
    /// The line that a start file of the shell needs.
    line: Option<String>,
}

impl Completions {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let script = self.shell.script();
        if !self.install {
            return ctx.ui.show(&Script { shell: self.shell, script });
        }
        let (file, line) = self.shell.place(&ctx.paths.home);
        let edit = edit(&file, script)?;
        journal::record(&ctx.paths.undo(), ctx.clock.now(), "umcp completions --install", &[edit])?;
        ctx.ui.show(&Installed { shell: self.shell, file: file.display().to_string(), line })
    }
}

/// The edit that installs completions for the shell the user logs in with, if it is one of ours.
pub fn edit_for_shell(ctx: &Context) -> Result<Option<Edit>> {
    let login = std::env::var("SHELL").unwrap_or_default();
    let shell = match login.rsplit('/').next() {
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => return Ok(None),
    };
    edit(&shell.place(&ctx.paths.home).0, shell.script()).map(Some)
}

fn edit(file: &Path, script: &str) -> Result<Edit> {
    refuse_foreign(file)?;
    Ok(Edit { path: file.into(), before: journal::read(file)?, after: Some(script.into()), client: None })
}

/// A file of that name that umcp did not write is left alone.
fn refuse_foreign(file: &Path) -> Result<()> {
    match std::fs::read_to_string(file) {
        Ok(text) if !text.contains("umcp __complete") => {
            Err(Error::new(&codes::FAILED, format!("`{}` is not a file of umcp", file.display()))
                .hint("move it away, then try again"))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("read", file, &error)),
        _ => Ok(()),
    }
}

impl Output for Script {
    const KIND: &'static str = "completions.script/1";

    fn human(&self, page: &mut Page) {
        page.text(self.script);
    }
}

impl Output for Installed {
    const KIND: &'static str = "completions.installed/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("wrote {}", self.file));
        if let Some(line) = &self.line {
            page.text(format!("add this line:\n  {line}"));
        }
        page.text("new shells complete umcp");
    }

    fn ids(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}
