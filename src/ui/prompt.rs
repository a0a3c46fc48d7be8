//! Questions to the user, and what answers them when nobody can be asked.
//! The home of dialoguer. Questions are drawn on stderr, so that stdout stays data.
//! Rule: every question names the flag that answers it, and no question waits without a terminal.

use std::io::ErrorKind;

use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, MultiSelect, Password, Select};

use super::Ui;
use super::text::one_line;
use crate::error::{Error, Result, codes};

impl Ui {
    /// Asks for yes or no. `--yes` answers yes; without a terminal the error names `flag`.
    pub fn confirm(&self, question: &str, default: bool, flag: &str) -> Result<bool> {
        if self.options.yes {
            return Ok(true);
        }
        self.ask(question, flag, |question, theme| {
            Confirm::with_theme(theme).with_prompt(question).default(default).interact()
        })
    }

    /// Asks for one of `items` and returns its index. `--yes` takes the default if there is one.
    pub fn select(
        &self,
        question: &str,
        items: &[String],
        default: Option<usize>,
        flag: &str,
    ) -> Result<usize> {
        if let (true, Some(index)) = (self.options.yes, default) {
            return Ok(index);
        }
        let lines = items.iter().map(|item| one_line(item));
        self.ask(question, flag, |question, theme| {
            Select::with_theme(theme)
                .with_prompt(question)
                .items(lines)
                .default(default.unwrap_or(0))
                .interact()
        })
    }

    /// Asks for any of `items`, each with whether it is chosen at first, and returns the indices.
    /// `--yes` takes what is chosen at first.
    pub fn multi_select(&self, question: &str, items: &[(String, bool)], flag: &str) -> Result<Vec<usize>> {
        if self.options.yes {
            return Ok((0..items.len()).filter(|&index| items[index].1).collect());
        }
        let lines = items.iter().map(|(item, chosen)| (one_line(item), *chosen));
        self.ask(question, flag, |question, theme| {
            MultiSelect::with_theme(theme).with_prompt(question).items_checked(lines).interact()
        })
    }

    /// Asks for a line of text. `--yes` takes the default if there is one.
    pub fn input(&self, question: &str, default: Option<&str>, flag: &str) -> Result<String> {
        if let (true, Some(text)) = (self.options.yes, default) {
            return Ok(text.into());
        }
        self.ask(question, flag, |question, theme| {
            let input = Input::<String>::with_theme(theme).with_prompt(question);
            match default {
                Some(text) => input.default(text.into()).interact_text(),
                None => input.interact_text(),
            }
        })
    }

    /// Asks for a secret; nothing of it is shown, and `--yes` does not answer.
    pub fn password(&self, question: &str, flag: &str) -> Result<String> {
        self.check_can_ask(question, flag)?;
        let theme = self.theme();
        let answer =
            Password::with_theme(theme.as_ref()).with_prompt(one_line(question)).report(false).interact();
        answer.map_err(unanswered)
    }

    /// Whether a question would be asked, rather than answered with an error.
    pub fn can_ask(&self) -> bool {
        self.terminal.asks
    }

    /// Whether the user said that nothing is to be asked.
    pub fn no_input(&self) -> bool {
        self.options.no_input
    }

    fn ask<T>(
        &self,
        question: &str,
        flag: &str,
        prompt: impl FnOnce(&str, &dyn Theme) -> dialoguer::Result<T>,
    ) -> Result<T> {
        self.check_can_ask(question, flag)?;
        let theme = self.theme();
        let guard = InterruptGuard::new();
        let answer = self.bars.suspend(|| prompt(&one_line(question), theme.as_ref()));
        drop(guard);
        if answer.is_err() {
            // Interrupted in the middle, a prompt leaves the cursor hidden.
            let _ = Term::stderr().show_cursor();
        }
        answer.map_err(unanswered)
    }

    fn check_can_ask(&self, question: &str, flag: &str) -> Result<()> {
        if self.terminal.asks {
            return Ok(());
        }
        let reason = if self.options.no_input { "`--no-input` was given" } else { "there is no terminal" };
        // A question with words in backticks of its own stands in backticks as a whole.
        let plain = |text: &str| one_line(text).replace('`', "");
        let message = format!("nobody can be asked `{}`: {reason}", plain(question));
        Err(Error::new(&codes::INPUT_NEEDED, message).hint(format!("answer with `{}`", plain(flag))))
    }

    fn theme(&self) -> Box<dyn Theme> {
        if self.terminal.err.color && !self.terminal.err.ascii {
            Box::new(ColorfulTheme::default())
        } else {
            Box::new(SimpleTheme)
        }
    }
}

fn unanswered(error: dialoguer::Error) -> Error {
    let dialoguer::Error::IO(error) = error;
    match error.kind() {
        ErrorKind::Interrupted => Error::new(&codes::INTERRUPTED, "interrupted"),
        ErrorKind::UnexpectedEof | ErrorKind::NotConnected => {
            Error::new(&codes::INPUT_NEEDED, "the terminal went away before the answer")
        }
        _ => Error::new(&codes::IO, "cannot read from the terminal").because(error),
    }
}

/// While it lives, Ctrl-C is only a key: the prompt reads it itself and then raises the signal, which
/// would end the process before the cursor is shown again.
struct InterruptGuard {
    #[cfg(unix)]
    previous: libc::sighandler_t,
}

impl InterruptGuard {
    fn new() -> Self {
        Self {
            // SAFETY: replacing the disposition of a signal by "ignore" runs no code of ours.
            #[cfg(unix)]
            previous: unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) },
        }
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.previous != libc::SIG_ERR {
            // SAFETY: the handler is the one that was installed before.
            unsafe { libc::signal(libc::SIGINT, self.previous) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Ui};
    use super::*;

    fn ui(yes: bool) -> Ui {
        Ui::new(Options { no_input: true, yes, ..Options::default() })
    }

    #[test]
    fn yes_answers_what_has_an_answer() {
        let ui = ui(true);
        let items = [("a".to_string(), true), ("b".to_string(), false), ("c".to_string(), true)];
        assert!(ui.confirm("delete?", false, "--yes").unwrap());
        assert_eq!(ui.select("which?", &["a".into(), "b".into()], Some(1), "--which").unwrap(), 1);
        assert_eq!(ui.multi_select("which?", &items, "--which").unwrap(), [0, 2]);
        assert_eq!(ui.input("name?", Some("x"), "--name").unwrap(), "x");
    }

    #[test]
    fn without_an_answer_the_error_names_the_flag() {
        let yes = ui(true);
        let no = ui(false);
        let errors = [
            no.confirm("delete?", true, "--yes").unwrap_err(),
            no.multi_select("delete?", &[], "--yes").unwrap_err(),
            yes.select("delete?", &["a".into()], None, "--yes").unwrap_err(),
            yes.input("delete?", None, "--yes").unwrap_err(),
            yes.password("delete?", "--yes").unwrap_err(),
        ];
        for error in errors {
            assert!(error.is(&codes::INPUT_NEEDED));
            assert_eq!(error.message, "nobody can be asked `delete?`: `--no-input` was given");
            assert_eq!(error.hints, ["answer with `--yes`"]);
        }
    }
}
