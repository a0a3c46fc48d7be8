//! `umcp command`: tools in three lines of YAML. What a file means is in `apps::file`, how a command is run in the
//! daemon; a dry run shows what would be run, built by the same code.

mod add;
mod list;
mod run;
mod show;
mod template;

use super::context::Context;
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp command template > tools.yaml\n  umcp command add -f tools.yaml\n  umcp command add greet -- echo Hello {{name}}\n  umcp command run greet name=Ada"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List commands
    #[command(alias = "ls")]
    List(list::List),
    #[command(alias = "create")]
    Add(add::Add),
    #[command(alias = "info")]
    Show(show::Show),
    #[command(aliases = ["execute", "exec"])]
    Run(run::Run),
    #[command(alias = "check")]
    Validate(show::Validate),
    #[command(aliases = ["rm", "delete"])]
    Remove(add::Remove),
    #[command(alias = "templates")]
    Template(template::Template),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Add(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Run(verb) => verb.run(ctx),
            Verb::Validate(verb) => verb.run(ctx),
            Verb::Remove(verb) => verb.run(ctx),
            Verb::Template(verb) => verb.run(ctx),
        }
    }
}
