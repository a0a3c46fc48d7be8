//! The human form of a result, collected first and drawn when the terminal is known.
//! It does not print; a command fills a page, `Ui` shows it.
//! Rule: everything put on a page is sanitised here, so callers may pass foreign text as it is.

use dialoguer::console::measure_text_width;

use super::table::Table;
use super::terminal::{Look, Paint};
use super::text::{one_line, sanitise};

/// How something stands; always shown with words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ok,
    Fail,
    Warn,
    Busy,
    Off,
}

impl State {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Fail => "✗",
            Self::Warn => "!",
            Self::Busy => "…",
            Self::Off => "○",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "FAIL",
            Self::Warn => "warn",
            Self::Busy => "..",
            Self::Off => "off",
        }
    }

    pub(super) fn paint(self) -> Paint {
        match self {
            Self::Ok => Paint::Green,
            Self::Fail => Paint::Red,
            Self::Warn => Paint::Yellow,
            Self::Busy => Paint::Cyan,
            Self::Off => Paint::Dim,
        }
    }

    /// A marked line: a symbol, or a word of fixed width where symbols are not wanted.
    pub(super) fn line(self, text: &str, look: Look) -> String {
        let mark = if look.ascii { format!("{:<4}", self.word()) } else { self.symbol().to_string() };
        format!("{} {}", look.paint(&mark, self.paint()), one_line(text)).trim_end().to_string()
    }
}

/// What a command says to people, part by part.
#[derive(Debug, Clone, Default)]
pub struct Page {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Heading(String),
    Text(String),
    Table(Table),
    Pairs(Vec<(String, String)>),
    Blank,
    Bullet(String),
    Mark(State, String),
}

impl Page {
    /// A line that names what follows.
    pub fn heading(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.part(Part::Heading(one_line(text.as_ref())))
    }

    /// Text as it is, with its own lines; never wrapped, so that commands can be copied.
    pub fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.part(Part::Text(sanitise(text.as_ref()).trim_end_matches('\n').to_string()))
    }

    pub fn table(&mut self, table: Table) -> &mut Self {
        self.part(Part::Table(table))
    }

    /// Names and values in two aligned columns; further lines of a value are indented below its first.
    pub fn pairs<K, V>(&mut self, pairs: impl IntoIterator<Item = (K, V)>) -> &mut Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let clean =
            |(key, value): (K, V)| (one_line(key.as_ref()), sanitise(value.as_ref()).trim_end().to_string());
        self.part(Part::Pairs(pairs.into_iter().map(clean).collect()))
    }

    pub fn blank(&mut self) -> &mut Self {
        self.part(Part::Blank)
    }

    pub fn bullet(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.part(Part::Bullet(one_line(text.as_ref())))
    }

    /// A line with a state, such as one check of many.
    pub fn mark(&mut self, state: State, text: impl AsRef<str>) -> &mut Self {
        self.part(Part::Mark(state, text.as_ref().into()))
    }

    /// The page as text; every line ends with a newline, an empty page is empty.
    pub fn render(&self, look: Look) -> String {
        self.parts.iter().map(|part| part.draw(look) + "\n").collect()
    }

    fn part(&mut self, part: Part) -> &mut Self {
        self.parts.push(part);
        self
    }
}

impl Part {
    fn draw(&self, look: Look) -> String {
        match self {
            Self::Heading(text) => look.paint(text, Paint::Bold),
            Self::Text(text) => text.clone(),
            Self::Table(table) => table.draw(look),
            Self::Pairs(pairs) => draw_pairs(pairs, look),
            Self::Blank => String::new(),
            Self::Bullet(text) => format!("{} {text}", if look.ascii { '-' } else { '•' }),
            Self::Mark(state, text) => state.line(text, look),
        }
    }
}

fn draw_pairs(pairs: &[(String, String)], look: Look) -> String {
    let widest = pairs.iter().map(|(key, _)| measure_text_width(key)).max().unwrap_or(0);
    let indent = format!("\n{}", " ".repeat(widest + 2));
    let line = |(key, value): &(String, String)| {
        let gap = " ".repeat(widest + 2 - measure_text_width(key));
        let text = format!("{}{gap}{}", look.paint(key, Paint::Dim), value.replace('\n', &indent));
        text.trim_end().to_string()
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::cell::Column;
    use super::*;

    fn page() -> Page {
        let mut table = Table::new("nothing", [Column::new("name")]);
        table.row(["github"]);
        let mut page = Page::default();
        page.heading("Server \u{1b}[31mgithub")
            .pairs([("state", "running"), ("last error", "first\nsecond"), ("about", "")])
            .blank()
            .table(table)
            .bullet("one\nline")
            .mark(State::Ok, "store opens")
            .mark(State::Fail, "no `npx`")
            .text("exact\n  text\u{7}\n");
        page
    }

    #[test]
    fn a_pipe_reads_words() {
        let expected = "\
Server github
state       running
last error  first
            second
about

NAME
github
- one line
ok   store opens
FAIL no `npx`
exact
  text\\u{7}
";
        assert_eq!(page().render(Look::PLAIN), expected);
    }

    #[test]
    fn a_terminal_shows_symbols() {
        let text = page().render(Look { width: Some(80), ascii: false, ..Look::PLAIN });
        for part in ["• one line\n", "✓ store opens\n", "✗ no `npx`\n"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let colored = page().render(Look { color: true, ..Look::PLAIN });
        assert!(colored.contains("\u{1b}[1mServer github"), "{colored:?}");
        assert_eq!(sanitise(&colored), page().render(Look::PLAIN));
    }
}
