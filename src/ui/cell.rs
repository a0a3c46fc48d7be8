//! The parts a table is made of: columns with their priorities, cells with their states.
//! They know nothing of widths; `table` lays them out.
//! Rule: a cell is one line of safe text.

use super::page::State;
use super::terminal::Look;
use super::text::one_line;

/// One column of a [`Table`](super::Table).
#[derive(Debug, Clone)]
pub struct Column {
    pub(super) title: &'static str,
    pub(super) rank: u8,
    pub(super) wraps: bool,
    pub(super) right: bool,
}

impl Column {
    /// A column that is always shown, on one line.
    pub fn new(title: &'static str) -> Self {
        Self { title, rank: 0, wraps: false, right: false }
    }

    /// May be left out when the terminal is narrow; the highest rank goes first.
    #[must_use]
    pub fn optional(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    /// Long text is broken over lines before columns are left out.
    #[must_use]
    pub fn wraps(mut self) -> Self {
        self.wraps = true;
        self
    }

    /// Aligned to the right, for figures.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }
}

/// One cell: a line of text, with a state if colour and symbol should repeat what the words say.
#[derive(Debug, Clone)]
pub struct Cell {
    pub(super) text: String,
    pub(super) state: Option<State>,
}

impl Cell {
    /// A word such as `running`; the word itself must carry the meaning.
    pub fn state(state: State, text: &str) -> Self {
        Self { text: one_line(text), state: Some(state) }
    }

    /// The text as it stands in the table.
    pub(super) fn draw(&self, look: Look) -> String {
        match self.state {
            Some(state) if !look.ascii => format!("{} {}", state.symbol(), self.text),
            _ => self.text.clone(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self { text: one_line(text), state: None }
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}
