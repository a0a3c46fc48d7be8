//! `umcp test`: apps, servers, integrations and workflows against a file of expectations, with an exit code for CI. What counts as
//! a difference is decided in `apps::trial`.

mod app;
mod server;

use super::context::Context;
use crate::apps::trial::{Suite, Tried};
use crate::documents;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::integrations::{self, Request};
use crate::paths::write_atomic;
use crate::ui::{Output, Page, State, text};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Test apps, servers, integrations and workflows
///
/// The file of expectations is NAME.test.yaml of the folder you are in, or what --tests names. The exit code is 13 when something
/// differs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp test app github\n  umcp test app hello.yaml\n  umcp test server time --record get_current_time timezone=UTC\n  umcp test integration github\n  umcp test workflow onboarding.yaml --mock results.yaml"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    App(app::App),
    Server(server::Server),
    Integration(Integration),
    Workflow(super::workflow::Test),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb {
            Verb::App(command) => command.run(ctx),
            Verb::Server(command) => command.run(ctx),
            Verb::Integration(command) => command.run(ctx),
            Verb::Workflow(command) => command.run(ctx),
        }
    }
}

/// Test what an integration says of itself
///
/// Nothing is asked of the provider: that it is complete, that its addresses are private, and, where a file is given,
/// that the fields named under `integration` are as they should be.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp test integration github --tests github.test.yaml")]
struct Integration {
    #[arg(value_name = "INTEGRATION")]
    name: String,
    /// The file of expectations
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
}

impl Integration {
    fn run(self, ctx: &Context) -> Result<()> {
        let row = match ctx.call(Request::Integration { name: self.name.clone() })? {
            Reply::Integration(integrations::Reply::Integration(row)) => *row,
            other => return engine::unexpected(&other),
        };
        let mut differences = Vec::new();
        differences.extend(row.check().err().map(|error| error.to_string()));
        differences.extend(row.missing().into_iter().map(|what| format!("it lacks {what}")));
        let path = self.tests.clone().unwrap_or_else(|| default_file(&self.name));
        let expected = match self.tests.is_some() || path.exists() {
            true => read(&path)?.integration,
            false => None,
        };
        let row = serde_json::to_value(&row).map_err(|error| Error::bug(error.to_string()))?;
        for (field, wanted) in expected.iter().filter_map(Value::as_object).flatten() {
            if row[field.as_str()] != *wanted {
                differences.push(format!("{field} is `{}`, expected `{wanted}`", row[field.as_str()]));
            }
        }
        finish(ctx, &self.name, vec![Tried { what: "integration".into(), differences }])
    }
}

/// The file of a name, in the folder of the user.
fn default_file(name: &str) -> PathBuf {
    PathBuf::from(format!("{name}.test.yaml"))
}

fn read(path: &Path) -> Result<Suite> {
    let text = documents::read_file(path).map_err(|error| match error.is(&codes::FILE_NOT_FOUND) {
        true => error.hint("name the file with --tests, or make one with --record"),
        false => error,
    })?;
    documents::load(&path.display().to_string(), &text)
}

fn write(path: &Path, suite: &Suite) -> Result<()> {
    write_atomic(path, documents::write_yaml(suite)?.as_bytes())
}

/// Shows how it went; a difference is an error for scripts.
fn finish(ctx: &Context, name: &str, tried: Vec<Tried>) -> Result<()> {
    let differences: usize = tried.iter().map(|one| one.differences.len()).sum();
    let report = Report { name: name.into(), tried };
    if differences == 0 {
        return ctx.ui.show(&report);
    }
    let message = format!("{} found", text::plural(differences, "difference"));
    let error = Error::new(&codes::DIFFERS, message);
    ctx.ui.show_failed(&report, &error)?;
    Err(error)
}

#[derive(Serialize)]
struct Report {
    name: String,
    tried: Vec<Tried>,
}

impl Output for Report {
    const KIND: &'static str = "test.report/1";

    fn human(&self, page: &mut Page) {
        for one in &self.tried {
            let state = if one.differences.is_empty() { State::Ok } else { State::Fail };
            page.mark(state, &one.what);
            one.differences.iter().for_each(|difference| _ = page.bullet(difference));
        }
        if self.tried.is_empty() {
            page.text("the file expects nothing");
        }
    }

    fn ids(&self) -> Vec<String> {
        let differs = |one: &&Tried| !one.differences.is_empty();
        self.tried.iter().filter(differs).map(|one| one.what.clone()).collect()
    }
}

/// What was recorded.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    tool: String,
}

impl Output for Written {
    const KIND: &'static str = "test.recorded/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("recorded {} in {}", self.tool, self.file.display()));
        page.text("read it before you keep it: what a service said may be private");
    }

    fn ids(&self) -> Vec<String> {
        vec![self.tool.clone()]
    }
}
