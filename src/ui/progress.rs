//! Progress of a long operation: a spinner or bar on a terminal, a few plain lines elsewhere.
//! The home of indicatif. Everything goes to stderr; nothing here is data.
//! Rule: without a terminal only milestones are written, so that a log stays short.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::terminal::Look;
use super::text::one_line;
use super::{State, Ui, stderr};

/// Shares of the whole, in percent, that are worth a line in a log.
const MILESTONES: [u64; 3] = [25, 50, 75];

/// One running operation. Dropped without [`Progress::finish`], it disappears.
pub struct Progress {
    way: Way,
    label: String,
    look: Look,
}

enum Way {
    /// Drawn and redrawn on a terminal, among its fellows.
    Drawn(ProgressBar, MultiProgress),
    /// Lines; holds the last milestone written.
    Lines(AtomicU64),
    /// `--quiet`.
    Silent,
}

impl Ui {
    /// Starts to show an operation, such as `starting github`.
    pub fn progress(&self, label: &str) -> Progress {
        let label = one_line(label);
        let look = self.terminal.err;
        let way = if self.options.quiet {
            Way::Silent
        } else if self.terminal.animates {
            let bar = self.bars.add(ProgressBar::new_spinner());
            bar.set_style(spinner(look));
            bar.set_message(label.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            Way::Drawn(bar, self.bars.clone())
        } else {
            stderr(&format!("{label} ...\n"));
            Way::Lines(AtomicU64::new(0))
        };
        Progress { way, label, look }
    }
}

impl Progress {
    /// How far it is: `done` of `total`. A total of zero means that nobody knows.
    pub fn set(&self, done: u64, total: u64) {
        match &self.way {
            Way::Drawn(bar, _) if total > 0 => {
                if bar.length() != Some(total) {
                    bar.set_style(bar_style(self.look));
                    bar.set_length(total);
                }
                bar.set_position(done.min(total));
            }
            Way::Lines(last) => {
                let before = last.load(Ordering::Relaxed);
                if let Some(milestone) = milestone(before, done, total) {
                    last.store(milestone, Ordering::Relaxed);
                    stderr(&format!("{}: {milestone}%\n", self.label));
                }
            }
            _ => {}
        }
    }

    /// What is being done right now; shown on a terminal only.
    pub fn message(&self, text: &str) {
        if let Way::Drawn(bar, _) = &self.way {
            bar.set_message(format!("{}: {}", self.label, one_line(text)));
        }
    }

    /// Ends it with a line that stays.
    pub fn finish(self, text: &str) {
        let line = State::Ok.line(text, self.look) + "\n";
        match &self.way {
            Way::Drawn(bar, bars) => {
                bar.finish_and_clear();
                bars.suspend(|| stderr(&line));
            }
            Way::Lines(_) => stderr(&line),
            Way::Silent => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Way::Drawn(bar, _) = &self.way {
            bar.finish_and_clear();
        }
    }
}

/// The highest milestone passed since the last one written.
fn milestone(last: u64, done: u64, total: u64) -> Option<u64> {
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    MILESTONES.into_iter().rfind(|&share| total > 0 && share > last && u128::from(share) <= percent)
}

fn spinner(look: Look) -> ProgressStyle {
    let ticks = if look.ascii { "-\\|/ " } else { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " };
    style(if look.color { "{spinner:.cyan} {msg}" } else { "{spinner} {msg}" }).tick_chars(ticks)
}

fn bar_style(look: Look) -> ProgressStyle {
    let chars = if look.ascii { "##-" } else { "━━─" };
    style(if look.color { "{bar:24.cyan} {pos}/{len} {msg}" } else { "{bar:24} {pos}/{len} {msg}" })
        .progress_chars(chars)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are constant and valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_milestones_are_written() {
        let cases = [
            (0, 0, 100, None),
            (0, 24, 100, None),
            (0, 25, 100, Some(25)),
            (25, 26, 100, None),
            (0, 80, 100, Some(75)),
            (75, 100, 100, None),
            (0, 5, 0, None),
            (0, u64::MAX, u64::MAX, Some(75)),
        ];
        for (last, done, total, expected) in cases {
            assert_eq!(milestone(last, done, total), expected, "{last} {done}/{total}");
        }
    }

    #[test]
    fn every_style_can_be_made() {
        for (ascii, color) in [(false, false), (false, true), (true, false), (true, true)] {
            let look = Look { ascii, color, ..Look::PLAIN };
            let _ = (spinner(look), bar_style(look));
        }
    }
}
