//! `umcp test server`: real calls of a real server, compared with what a file expects.

use super::app::request_of;
use super::{Written, default_file, finish, read, write};
use crate::apps::trial::{Expected, Suite, Trial, Tried, names};
use crate::cli::context::Context;
use crate::cli::known::Known;
use crate::cli::tool::call;
use crate::error::{Error, Result, codes};
use crate::tools::arguments;
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

/// Test a server: its tools are there, and calls give what they should
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp test server hello --tests hello/hello.test.yaml\n  umcp test server time --record convert_time source_timezone=UTC time=12:00 target_timezone=Asia/Tokyo"
)]
pub struct Server {
    #[arg(value_name = "SERVER")]
    name: String,
    /// The file of expectations
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Call this tool, and add what came back to the file
    #[arg(long, value_name = "NAME")]
    record: Option<String>,
    /// Arguments of the recorded call
    #[arg(value_name = "NAME=VALUE", requires = "record")]
    arguments: Vec<String>,
}

impl Server {
    pub fn run(self, ctx: &Context) -> Result<()> {
        call::refresh(ctx, &self.name)?;
        let known = Known::read(ctx)?;
        let path = self.tests.clone().unwrap_or_else(|| default_file(&self.name));
        let target = |tool: &str| format!("{}.{tool}", self.name);
        let Some(tool) = &self.record else {
            let suite = read(&path)?;
            let mut tried = Vec::new();
            if !suite.tools.is_empty() {
                tried.push(names(&suite.tools, |tool| known.tool(&target(tool)).is_ok()));
            }
            for trial in &suite.calls {
                let differences = match known.tool(&target(&trial.tool)) {
                    Err(_) => vec!["there is no such tool".to_string()],
                    Ok(_) => differences(ctx, &target(&trial.tool), trial)?,
                };
                tried.push(Tried { what: trial.tool.clone(), differences });
            }
            return finish(ctx, &self.name, tried);
        };
        let schema = known.tool(&target(tool))?.tool.facts().input_schema;
        let given = arguments::build(&self.arguments, &schema, &mut call::read)?;
        arguments::check(&given, &schema)?;
        let called = call::call(ctx, &target(tool), request_of(&target(tool), &given))?;
        let result: Value = serde_json::from_str(&called.result).unwrap_or_default();
        let mut suite = if path.exists() { read(&path)? } else { Suite::default() };
        suite.calls.retain(|old| old.tool != *tool || old.arguments != given);
        let expected = Expected::of(&result);
        suite.calls.push(Trial { tool: tool.clone(), arguments: given, expected, ..Trial::default() });
        write(&path, &suite)?;
        ctx.ui.show(&Written { file: path, tool: tool.clone() })
    }
}

/// A refused call is a difference; that the daemon cannot be asked is not.
fn differences(ctx: &Context, target: &str, trial: &Trial) -> Result<Vec<String>> {
    match call::call(ctx, target, request_of(target, &trial.arguments)) {
        Ok(called) => {
            let result: Value = serde_json::from_str(&called.result).unwrap_or_default();
            Ok(trial.expected.differences(&result))
        }
        Err(error) if error.is(&codes::DAEMON_UNAVAILABLE) => Err(error),
        Err(error) => Ok(vec![refused(&error)]),
    }
}

fn refused(error: &Error) -> String {
    format!("the call failed: {error}")
}
