//! What the user asked of the output and what the terminal can show, resolved once.
//! It does not print; `Ui` keeps the result.
//! Rule: flags beat `NO_COLOR`, which beats `CLICOLOR_FORCE`, which beats what the terminal is.

use std::io::IsTerminal;

use dialoguer::console::Term;

/// Form of the one document on stdout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JsonMode {
    #[default]
    Off,
    Whole,
    /// Only these fields of `data`, or of each of its items; `a.b` reaches inside.
    Fields(Vec<String>),
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The flags that shape output and questions, as given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub json: JsonMode,
    /// Only ids on stdout, no notes and no progress on stderr.
    pub quiet: bool,
    pub color: Color,
    /// Never ask.
    pub no_input: bool,
    /// Answer every question with yes or its default.
    pub yes: bool,
    /// Show all columns of tables, however narrow the terminal.
    pub wide: bool,
}

/// How text for people is drawn on one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` where there is none, and nothing is wrapped or left out.
    pub width: Option<usize>,
    pub color: bool,
    /// Words instead of symbols.
    pub ascii: bool,
    pub wide: bool,
}

impl Look {
    /// As in a pipe: unlimited width, no colour, words.
    pub const PLAIN: Self = Self { width: None, color: false, ascii: true, wide: false };

    /// Colours `text` if this look has colours. The text must be sanitised.
    pub(super) fn paint(self, text: &str, paint: Paint) -> String {
        if !self.color || text.is_empty() {
            return text.to_string();
        }
        let styled = dialoguer::console::style(text).force_styling(true);
        match paint {
            Paint::Bold => styled.bold(),
            Paint::Dim => styled.dim(),
            Paint::Green => styled.green(),
            Paint::Yellow => styled.yellow(),
            Paint::Cyan => styled.cyan(),
            Paint::Red => styled.red().bold(),
        }
        .to_string()
    }
}

/// The few ways in which text is set off. Colour only repeats what words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Bold,
    Dim,
    Green,
    Yellow,
    Cyan,
    Red,
}

/// What surrounds the process: streams and environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    pub stdin_terminal: bool,
    pub stdout_terminal: bool,
    pub stderr_terminal: bool,
    pub width: Option<usize>,
    pub no_color: bool,
    pub force_color: bool,
    pub dumb: bool,
    pub ascii: bool,
}

impl Surroundings {
    pub fn read() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let on = |name| set(name) && std::env::var_os(name).is_some_and(|value| value != "0");
        Self {
            stdin_terminal: std::io::stdin().is_terminal(),
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            width: Term::stdout().size_checked().map(|(_, columns)| usize::from(columns)),
            no_color: set("NO_COLOR"),
            force_color: on("CLICOLOR_FORCE"),
            dumb: std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
            ascii: on("UMCP_ASCII"),
        }
    }
}

/// The resolved facts that `Ui` acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terminal {
    pub stdout_terminal: bool,
    /// Look of stdout.
    pub out: Look,
    /// Look of stderr.
    pub err: Look,
    /// Whether questions can be asked.
    pub asks: bool,
    /// Whether moving progress can be drawn.
    pub animates: bool,
}

impl Terminal {
    pub fn resolve(options: &Options, around: &Surroundings) -> Self {
        let look = |terminal: bool| Look {
            // A terminal that does not tell its size gets the classic one.
            width: terminal.then(|| around.width.filter(|width| *width > 0).unwrap_or(80)),
            color: match options.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto if around.no_color => false,
                Color::Auto => around.force_color || terminal && !around.dumb,
            },
            ascii: around.ascii || around.dumb || !terminal,
            wide: options.wide,
        };
        Self {
            stdout_terminal: around.stdout_terminal,
            out: look(around.stdout_terminal),
            err: look(around.stderr_terminal),
            asks: around.stdin_terminal && around.stderr_terminal && !options.no_input,
            animates: around.stderr_terminal && !around.dumb && !options.quiet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Surroundings {
        Surroundings {
            stdin_terminal: true,
            stdout_terminal: true,
            stderr_terminal: true,
            width: Some(100),
            ..Surroundings::default()
        }
    }

    #[test]
    fn colour_follows_flag_then_environment_then_terminal() {
        let piped = Surroundings::default();
        let cases = [
            (Color::Auto, terminal(), true),
            (Color::Auto, piped.clone(), false),
            (Color::Auto, Surroundings { no_color: true, force_color: true, ..terminal() }, false),
            (Color::Auto, Surroundings { force_color: true, ..piped.clone() }, true),
            (Color::Auto, Surroundings { dumb: true, ..terminal() }, false),
            (Color::Always, Surroundings { no_color: true, ..piped }, true),
            (Color::Never, Surroundings { force_color: true, ..terminal() }, false),
        ];
        for (color, around, expected) in cases {
            let options = Options { color, ..Options::default() };
            assert_eq!(Terminal::resolve(&options, &around).out.color, expected, "{color:?} {around:?}");
        }
    }

    #[test]
    fn a_pipe_has_no_width_and_no_questions() {
        let around = Surroundings { stdin_terminal: false, stdout_terminal: false, ..terminal() };
        let facts = Terminal::resolve(&Options::default(), &around);
        assert_eq!((facts.out, facts.asks, facts.animates), (Look::PLAIN, false, true));

        let facts = Terminal::resolve(&Options::default(), &terminal());
        let look = Look { width: Some(100), color: true, ascii: false, wide: false };
        assert_eq!((facts.out, facts.asks), (look, true));

        let silent = Options { no_input: true, quiet: true, ..Options::default() };
        let facts = Terminal::resolve(&silent, &terminal());
        assert_eq!((facts.asks, facts.animates), (false, false));
    }
}
