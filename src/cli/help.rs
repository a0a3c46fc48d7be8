//! `umcp help`, and the one screen that `umcp -h` shows.

use super::context::Context;
use super::suggest;
use crate::error::{Kind, Result};
use crate::ui::{Output, Page};
use clap::Args;
use serde::Serialize;

/// The daily commands; at most 24 lines of 80 columns, and every example works when pasted.
pub const SCREEN: &str = "\
umcp: every MCP server you use, behind one endpoint

Usage: umcp COMMAND [ARGUMENT]...

  init                 find your clients and servers, and connect them
  client connect NAME  let one client use umcp
  server add SPEC      add a server: npm:NAME, pypi:NAME, builtin:NAME, URL
  server list          list servers and their state
  server test NAME     connect to a server and time each step
  tool list            list the tools of all servers
  find WORDS           search tools by what they do
  call TOOL K=V        call a tool; `umcp SERVER.TOOL K=V` does the same
  serve                the line that clients run (MCP on stdin and stdout)
  gateway start        run the endpoint over HTTP with --http
  profile create NAME  choose what a client sees
  status               what is there and what runs
  logs [SERVER]        what a server or the daemon wrote

Examples:
  umcp server add builtin:time
  umcp call time.get_current_time timezone=UTC

All commands: umcp help all    One command: umcp COMMAND --help    JSON: --json
";

/// Show help for a command, a topic, or `all`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp help all\n  umcp help server add\n  umcp help exit-codes")]
pub struct Help {
    /// A command, or `all`, or `exit-codes`
    #[arg(value_name = "WORD")]
    words: Vec<String>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

impl Help {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let text = match words.as_slice() {
            [] => SCREEN.into(),
            ["all"] => tree(&super::command()),
            ["exit-codes"] => exit_codes(),
            words => command(words)?,
        };
        ctx.ui.show(&Text { text })
    }
}

/// The long help of one command.
fn command(words: &[&str]) -> Result<String> {
    let mut root = super::command();
    root.build();
    let mut path = vec!["umcp"];
    let mut command = &mut root;
    for word in words {
        if command.find_subcommand(word).is_none() {
            return Err(suggest::unknown_verb(&path, word));
        }
        command = command.find_subcommand_mut(word).expect("it was just found");
        path.push(word);
    }
    Ok(command.render_long_help().to_string())
}

/// Every command that is not hidden, one line each.
pub fn tree(root: &clap::Command) -> String {
    let mut text = String::new();
    let mut lines = Vec::new();
    collect(root, "", &mut lines);
    let widest = lines.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    for (path, about) in lines {
        text.push_str(&format!("{path:widest$}  {about}\n"));
    }
    text
}

fn collect(command: &clap::Command, path: &str, lines: &mut Vec<(String, String)>) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let path = format!("{path} {}", verb.get_name()).trim_start().to_string();
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        lines.push((path.clone(), about));
        collect(verb, &path, lines);
    }
}

fn exit_codes() -> String {
    let kinds = [
        (Kind::Failed, "failed for a reason no other code names"),
        (Kind::Usage, "wrong command line"),
        (Kind::Invalid, "invalid file or configuration"),
        (Kind::NotFound, "not found"),
        (Kind::Conflict, "exists already, or conflicts with something that does"),
        (Kind::Credential, "sign-in or credential needed"),
        (Kind::Refused, "refused by policy, quota or a missing confirmation"),
        (Kind::Upstream, "a server or tool reported an error"),
        (Kind::Unavailable, "daemon or store unavailable"),
        (Kind::Network, "network"),
        (Kind::InputNeeded, "input needed but not allowed"),
        (Kind::Partial, "partly done"),
        (Kind::Differs, "a check found differences"),
        (Kind::Bug, "a bug of umcp"),
        (Kind::TimedOut, "timed out"),
        (Kind::Interrupted, "interrupted"),
        (Kind::Terminated, "terminated"),
    ];
    let lines = kinds.map(|(kind, words)| format!("{:>3}  {words}\n", kind.exit()));
    format!("  0  done, an empty list too\n{}", lines.concat())
}

impl Output for Text {
    const KIND: &'static str = "help/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_fits() {
        assert!(SCREEN.lines().count() <= 24, "{} lines", SCREEN.lines().count());
        assert_eq!(SCREEN.lines().find(|line| line.chars().count() > 80), None);
    }
}
