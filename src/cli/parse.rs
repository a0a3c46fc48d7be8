//! From the words of a command line to a running command, and from its outcome to an exit code.
//! clap's own messages become errors of ours here, so that every failure has a code, hints and a JSON form.
//! Rule: nothing is opened or asked before the words are understood.

use super::context::{self, Context};
use super::{Cli, Noun, RunForeground, help, suggest};
use crate::error::{Error, Result, codes};
use crate::ui::{JsonMode, Options, Ui};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;

pub fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

pub fn run(arguments: Vec<OsString>, foreground: RunForeground) -> u8 {
    let typed = suggest::typed(&arguments);
    match parse(arguments) {
        Ok(cli) => start(cli, foreground, &typed),
        Err(stop) => {
            let ui = Ui::new(stop.options);
            match stop.outcome {
                Ok(text) => finish(&ui, ui.raw(&text), &typed),
                Err(error) => finish(&ui, Err(error), &typed),
            }
        }
    }
}

fn start(cli: Cli, foreground: RunForeground, typed: &[String]) -> u8 {
    let ui = Ui::new(cli.global.options());
    let Some(noun) = cli.noun else { return finish(&ui, ui.raw(help::SCREEN), typed) };
    match context::places(&cli.global) {
        Ok(paths) => {
            let ctx = Context::new(ui, paths, foreground);
            let outcome = noun.run(&ctx);
            finish(&ctx.ui, outcome, typed)
        }
        Err(error) => finish(&ui, Err(error), typed),
    }
}

fn finish(ui: &Ui, outcome: Result<()>, typed: &[String]) -> u8 {
    outcome.map_or_else(|error| fail(ui, &suggest::without_circle(error, typed)), |()| 0)
}

/// Shows an error and gives its exit code.
pub fn fail(ui: &Ui, error: &Error) -> u8 {
    ui.error(error);
    error.kind().exit()
}

/// Why no command is run: a text that was asked for, or a mistake.
struct Stop {
    options: Options,
    outcome: Result<String>,
}

fn parse(mut arguments: Vec<OsString>) -> Result<Cli, Box<Stop>> {
    let cli = parse_once(&arguments)?;
    // `umcp SERVER.TOOL …` is `umcp call SERVER.TOOL …`, whatever global flags stand before it.
    let Some(Noun::Other(words)) = &cli.noun else { return Ok(cli) };
    let is_tool = words.first().and_then(|word| word.to_str()).is_some_and(|word| word.contains('.'));
    if !is_tool {
        // clap took the flags after the word for its arguments.
        let outcome = Err(suggest::unknown_command(words));
        let mut options = cli.global.options();
        if options.json == JsonMode::Off {
            options.json = json_mode(&arguments);
        }
        return Err(Box::new(Stop { options, outcome }));
    }
    let at = arguments.len() - words.len();
    arguments.insert(at, "call".into());
    parse_once(&arguments)
}

fn parse_once(arguments: &[OsString]) -> Result<Cli, Box<Stop>> {
    let matches = Cli::command().try_get_matches_from(arguments);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| stop(arguments, &error))
}

fn stop(arguments: &[OsString], error: &clap::Error) -> Box<Stop> {
    let words: Vec<&str> = arguments.iter().skip(1).map_while(|word| word.to_str()).collect();
    let outcome = match error.kind() {
        // All there is stands in `umcp help all`.
        ErrorKind::DisplayHelp if words.iter().all(|word| word.starts_with('-')) => {
            Ok(help::SCREEN.to_string())
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(error.render().to_string()),
        _ => Err(usage_error(&words, error)),
    };
    Box::new(Stop { options: Options { json: json_mode(arguments), ..Options::default() }, outcome })
}

/// What words that were not understood still say of how to answer.
fn json_mode(arguments: &[OsString]) -> JsonMode {
    let words = arguments.iter().skip(1).map_while(|word| word.to_str());
    let json = words.take_while(|word| *word != "--").any(|word| word.starts_with("--json"));
    if json { JsonMode::Whole } else { JsonMode::Off }
}

fn usage_error(words: &[&str], error: &clap::Error) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let path = suggest::path(words);
    let help = format!("{} --help", path.join(" "));
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            suggest::unknown_verb(&path, word)
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Error::new(&codes::USAGE, format!("`{}` needs a verb", path.join(" "))).hint(help)
        }
        ErrorKind::UnknownArgument => {
            suggest::unknown_flag(&path, text(ContextKind::InvalidArg).unwrap_or_default())
        }
        _ => Error::new(&codes::USAGE, plain_words(error)).hint(help),
    }
}

/// clap's message in the house's spelling: one line, the user's words in backticks.
fn plain_words(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let head = text.split("\n\n").next().unwrap_or_default();
    let line: Vec<&str> = head.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    line.join(" ").replace('\'', "`")
}
