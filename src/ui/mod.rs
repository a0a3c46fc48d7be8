//! The only place that prints: stdout is data, stderr is everything else.
//! It knows no noun and no command; a command hands it a value that is [`Output`].
//! Rule: with `--json` stdout holds one document, or one object per line for verbs that stream.

mod cell;
mod errors;
mod json;
mod page;
mod progress;
mod prompt;
mod rows;
pub mod sanitise;
mod table;
mod terminal;
pub mod text;

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;
use serde::Serialize;

use crate::error::{Error, ErrorBody, Result, codes};
pub use cell::{Cell, Column};
pub use page::{Page, State};
pub use progress::Progress;
pub use rows::{Row, Rows};
pub use table::Table;
pub use terminal::{Color, JsonMode, Look, Options};
use terminal::{Paint, Surroundings, Terminal};

/// A result that can be shown: as JSON through `Serialize`, to people through a [`Page`].
pub trait Output: Serialize {
    /// Name and version of the shape, such as `server.list/1`.
    const KIND: &'static str;

    fn human(&self, page: &mut Page);

    /// What a file or another program gets in place of the page, byte for byte; `None` for the page.
    fn exact(&self) -> Option<String> {
        None
    }

    /// What `--quiet` prints, one per line.
    fn ids(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The streams of the process, and how to speak on them. There is one per process.
pub struct Ui {
    options: Options,
    terminal: Terminal,
    warnings: Mutex<Vec<String>>,
    /// Every bar on stderr; other lines step in front of them.
    bars: MultiProgress,
    /// The document is out; a failure after it belongs to stderr alone.
    shown: AtomicBool,
    /// Lines of a stream are out; a failure must be a line too.
    streaming: AtomicBool,
    /// Whoever read stdout has gone.
    closed: AtomicBool,
}

impl Ui {
    pub fn new(options: Options) -> Self {
        let terminal = Terminal::resolve(&options, &Surroundings::read());
        // Prompts and bars ask the console crate for colours; there must be one answer.
        dialoguer::console::set_colors_enabled(terminal.out.color);
        dialoguer::console::set_colors_enabled_stderr(terminal.err.color);
        Self {
            options,
            terminal,
            warnings: Mutex::default(),
            bars: MultiProgress::new(),
            shown: AtomicBool::new(false),
            streaming: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Shows the one result of a command.
    pub fn show<T: Output>(&self, value: &T) -> Result<()> {
        self.show_document(value, None)
    }

    /// Shows the result of a command that fails all the same, such as a check that found differences.
    ///
    /// The caller still returns the error; with `--json` it stands in this document and in no second one.
    pub fn show_failed<T: Output>(&self, value: &T, error: &Error) -> Result<()> {
        self.show_document(value, Some(error))
    }

    /// Shows an error on stderr, and with `--json` also as the document on stdout.
    pub fn error(&self, error: &Error) {
        self.write_err(&errors::text(error, self.terminal.err));
        if !self.is_json() || self.shown.swap(true, Ordering::Relaxed) {
            return;
        }
        let warnings = self.take_warnings();
        let document = if self.streaming.load(Ordering::Relaxed) {
            json::text(&json::stream_failure(error, &warnings), false)
        } else {
            json::text(&json::failure(error, &warnings), self.terminal.stdout_terminal)
        };
        // The error that matters is the one being shown.
        let _ = document.and_then(|text| self.raw(&format!("{text}\n")));
    }

    /// Writes one event of a stream: the event as JSON, or its human line.
    ///
    /// A reader that has gone is told by [`Ui::closed`].
    pub fn line(&self, event: &impl Serialize, human: &str) {
        self.streaming.store(true, Ordering::Relaxed);
        let line = if self.is_json() { json::text(event, false) } else { Ok(text::sanitise(human).into()) };
        self.stream_line(line);
    }

    /// Ends a stream; with `--json` by a line of type `result` that holds the fields of `result`.
    pub fn finish_stream(&self, result: &impl Serialize) {
        if !self.is_json() || self.shown.swap(true, Ordering::Relaxed) {
            return;
        }
        let end = serde_json::to_value(result)
            .map_err(|error| Error::bug("a result could not be written as JSON").because(error));
        self.stream_line(
            end.and_then(|result| json::text(&json::stream_end(result, &self.take_warnings()), false)),
        );
    }

    /// Says something in passing, on stderr; silent with `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.options.quiet {
            self.write_err(&format!("{}\n", text::sanitise(text)));
        }
    }

    /// Warns on stderr; the warning also goes into the document.
    pub fn warn(&self, text: &str) {
        let shown = text::sanitise(text);
        self.write_err(&errors::labelled("warning:", &shown, Paint::Yellow, self.terminal.err));
        self.lock_warnings().push(text.into());
    }

    /// Writes text to stdout exactly as it is: completions, man pages, snippets.
    pub fn raw(&self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes to stdout exactly as they are. A reader that has gone is no error.
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        if self.closed() {
            return Ok(());
        }
        let written = self.bars.suspend(|| {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        });
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(Error::new(&codes::IO, "cannot write to stdout").because(error)),
            Ok(()) => Ok(()),
        }
    }

    /// Whether nobody reads stdout any more; a verb that streams then ends.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether stdout is to hold JSON.
    pub fn is_json(&self) -> bool {
        self.options.json != JsonMode::Off
    }

    /// How text on stdout is drawn; its width is there only on a terminal.
    pub fn look(&self) -> Look {
        self.terminal.out
    }

    fn show_document<T: Output>(&self, value: &T, error: Option<&Error>) -> Result<()> {
        let text = match &self.options.json {
            JsonMode::Whole => self.document(T::KIND, value, error)?,
            JsonMode::Fields(fields) => {
                let data = serde_json::to_value(value)
                    .map_err(|error| Error::bug("a result could not be written as JSON").because(error))?;
                let (data, missing) = json::project(&data, fields);
                missing.iter().for_each(|field| self.warn(&format!("the result has no field `{field}`")));
                self.document(T::KIND, &data, error)?
            }
            JsonMode::Off if self.options.quiet => {
                value.ids().iter().map(|id| text::one_line(id) + "\n").collect()
            }
            JsonMode::Off => {
                let exact = if self.terminal.stdout_terminal { None } else { value.exact() };
                exact.unwrap_or_else(|| {
                    let mut page = Page::default();
                    value.human(&mut page);
                    page.render(self.terminal.out)
                })
            }
        };
        self.shown.store(true, Ordering::Relaxed);
        self.raw(&text)
    }

    fn document<T: Serialize>(&self, kind: &'static str, data: &T, error: Option<&Error>) -> Result<String> {
        let warnings = self.take_warnings();
        let error = error.map(ErrorBody::from);
        let envelope = json::Envelope { ok: error.is_none(), kind, data, error, warnings: &warnings };
        Ok(json::text(&envelope, self.terminal.stdout_terminal)? + "\n")
    }

    fn stream_line(&self, line: Result<String>) {
        if let Err(error) = line.and_then(|line| self.raw(&format!("{line}\n"))) {
            // Nothing can follow on a stream that cannot be written: say it once and let the verb end.
            self.write_err(&errors::text(&error, self.terminal.err));
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    fn write_err(&self, text: &str) {
        self.bars.suspend(|| stderr(text));
    }

    fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock_warnings())
    }

    fn lock_warnings(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to stderr. When that fails there is nobody left to tell.
fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Word {
        word: &'static str,
    }

    #[test]
    fn a_document_takes_the_warnings_and_the_error() {
        let ui = Ui::new(Options { json: JsonMode::Whole, ..Options::default() });
        ui.lock_warnings().push("careful".into());
        let error = Error::new(&codes::DIFFERS, "1 check failed");
        let text = ui.document("word/1", &Word { word: "x" }, Some(&error)).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({"ok": false, "kind": "word/1", "data": {"word": "x"},
            "error": {"code": "UM0010", "name": "differs", "message": "1 check failed", "hints": [],
                "retryable": false, "exit": 13},
            "warnings": ["careful"]});
        assert_eq!(document, expected);
        assert!(ui.take_warnings().is_empty());
    }
}
