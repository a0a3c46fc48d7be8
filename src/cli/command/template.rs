//! `umcp command template`: a file to start from. Each is loaded by a test.

use crate::cli::context::Context;
use crate::error::Result;
use crate::ui::{Output, Page};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Print a file of commands to start from
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp command template script > tools.yaml")]
pub struct Template {
    #[arg(value_name = "KIND", value_enum, default_value = "exec")]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// A program and its arguments
    Exec,
    /// A few lines of shell
    Script,
    /// An HTTP request
    Http,
    /// A program in a container
    Container,
}

const EXEC: &str = r#"commands:
  git-log:
    description: The newest commits of a repository
    arguments:
      count: {type: integer, default: 10, minimum: 1, maximum: 100}
      author: string?                # may be left out
      path: {type: string, description: Folder of the repository}
    # Each {{argument}} stays one word, whatever it holds. A list of words is left out as a whole when one of its
    # arguments is missing.
    exec: [git, -C, "./{{path}}", log, "--max-count={{count}}", ["--author={{author}}"]]
    timeout: 10s
    limit: 200k
    hints: {read_only: true}
"#;

const SCRIPT: &str = r#"commands:
  largest:
    description: The largest files below a folder
    arguments:
      folder: string
      count: {type: integer, default: 5}
    # Arguments reach a script as variables, never as text: keep the quotes around them.
    script: |
      find "$ARG_FOLDER" -type f -exec du -k {} + | sort -rn | head -n "$ARG_COUNT"
    timeout: 1m
    hints: {read_only: true}
"#;

const HTTP: &str = r#"base: https://api.example.com/v1
settings:
  - {name: EXAMPLE_TOKEN, secret: true, description: A key for the API}
auth: {bearer: "${EXAMPLE_TOKEN}"}
commands:
  search:
    description: Finds items by words
    arguments:
      words: string
      limit: {type: integer, default: 20, maximum: 100}
    http:
      url: /items
      query: {q: "{{words}}", limit: "{{limit}}"}
      result: /items
  create:
    description: Creates an item
    arguments:
      title: string
      labels: {type: array, items: {type: string}, required: false}
    http:
      method: POST
      url: /items
      json: {title: "{{title}}", labels: "{{labels}}"}
"#;

const CONTAINER: &str = r#"commands:
  python:
    description: Runs a piece of Python where it can reach nothing of this machine
    arguments: {code: string}
    container: python:3-slim
    exec: [python, "-"]
    stdin: "{{code}}"
    timeout: 1m
"#;

impl Kind {
    pub fn text(self) -> &'static str {
        match self {
            Self::Exec => EXEC,
            Self::Script => SCRIPT,
            Self::Http => HTTP,
            Self::Container => CONTAINER,
        }
    }
}

impl Template {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&Text { template: self.kind.text() })
    }
}

#[derive(Serialize)]
struct Text {
    template: &'static str,
}

impl Output for Text {
    const KIND: &'static str = "command.template/1";

    fn human(&self, page: &mut Page) {
        page.text(self.template.trim_end());
    }

    fn exact(&self) -> Option<String> {
        Some(self.template.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid() {
        for kind in Kind::value_variants() {
            crate::apps::file::load("template.yaml", kind.text()).unwrap();
        }
    }
}
