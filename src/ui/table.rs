//! Tables for people: columns that fit the terminal, plain aligned columns in a pipe.
//! The home of comfy-table. It does not print; `Page` holds tables and draws them.
//! Rule: text is wrapped or a whole column is left out and named; nothing is ever cut.

use comfy_table::{Attribute, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, TableStyle};
use dialoguer::console::measure_text_width;

use super::cell::{Cell, Column};
use super::page::State;
use super::terminal::{Look, Paint};
use super::text::one_line;

/// Space between two columns.
const GAP: u16 = 2;
/// A column that wraps is not made narrower than this.
const NARROWEST: usize = 24;

/// Rows under named columns, and the sentence that stands for no rows.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    empty: String,
}

impl Table {
    /// `empty` is shown instead of the table when there are no rows.
    pub fn new(empty: &str, columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new(), empty: empty.into() }
    }

    /// Adds a row with one cell per column; missing cells are empty.
    pub fn row<I>(&mut self, cells: I) -> &mut Self
    where
        I: IntoIterator,
        I::Item: Into<Cell>,
    {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// The table as text without a newline at its end.
    pub(super) fn draw(&self, look: Look) -> String {
        if self.rows.is_empty() {
            return one_line(&self.empty);
        }
        let natural = self.natural_widths(look);
        let (shown, fits) = choose(&self.columns, &natural, look);
        let mut text = self.lay_out(&shown, fits, look);
        let hidden: Vec<&str> = (0..self.columns.len())
            .filter(|index| !shown.contains(index))
            .map(|index| self.columns[index].title)
            .collect();
        if !hidden.is_empty() {
            let note = format!("not shown: {} (--wide shows them)", hidden.join(", "));
            text.push('\n');
            text.push_str(&look.paint(&note, Paint::Dim));
        }
        text
    }

    /// Width each column would like, title included.
    fn natural_widths(&self, look: Look) -> Vec<usize> {
        let cell_width = |row: &Vec<Cell>, index| {
            row.get(index).map_or(0, |cell: &Cell| measure_text_width(&cell.draw(look)))
        };
        self.columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let widest = self.rows.iter().map(|row| cell_width(row, index)).max().unwrap_or(0);
                widest.max(column.title.chars().count())
            })
            .collect()
    }

    fn lay_out(&self, shown: &[usize], fits: bool, look: Look) -> String {
        let mut table = comfy_table::Table::new();
        table.force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
        let mut style = TableStyle::new();
        if let Some(width) = look.width {
            style = style.header_separator(LineStyle::none().fill(if look.ascii { '-' } else { '─' }));
            if fits || !look.wide {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
            }
        }
        if look.color {
            table.enforce_styling().style_text_only();
        }
        table.load_style(style);
        table.set_header(shown.iter().map(|&index| self.title(index)).collect::<Vec<_>>());
        for row in &self.rows {
            table.add_row(shown.iter().map(|&index| self.cell(row, index, look)).collect::<Vec<_>>());
        }
        for (position, &index) in shown.iter().enumerate() {
            let column = table.column_mut(position).expect("the header made every column");
            column.set_padding((0, if position + 1 == shown.len() { 0 } else { GAP }));
            if fits && !self.columns[index].wraps {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n")
    }

    fn title(&self, index: usize) -> comfy_table::Cell {
        let column = &self.columns[index];
        comfy_table::Cell::new(column.title.to_uppercase())
            .set_alignment(alignment(column))
            .add_attribute(Attribute::Bold)
    }

    fn cell(&self, row: &[Cell], index: usize, look: Look) -> comfy_table::Cell {
        let Some(cell) = row.get(index) else { return comfy_table::Cell::new("") };
        let drawn = comfy_table::Cell::new(cell.draw(look)).set_alignment(alignment(&self.columns[index]));
        match cell.state.map(State::paint) {
            Some(Paint::Green) => drawn.fg(comfy_table::Color::DarkGreen),
            Some(Paint::Yellow) => drawn.fg(comfy_table::Color::DarkYellow),
            Some(Paint::Cyan) => drawn.fg(comfy_table::Color::DarkCyan),
            Some(Paint::Red) => drawn.fg(comfy_table::Color::DarkRed).add_attribute(Attribute::Bold),
            Some(Paint::Dim) => drawn.add_attribute(Attribute::Dim),
            Some(Paint::Bold) | None => drawn,
        }
    }
}

fn alignment(column: &Column) -> CellAlignment {
    if column.right { CellAlignment::Right } else { CellAlignment::Left }
}

/// Which columns to show, and whether they fit with only the wrapping ones made narrower.
fn choose(columns: &[Column], natural: &[usize], look: Look) -> (Vec<usize>, bool) {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let Some(width) = look.width else { return (shown, true) };
    let least = |index: usize| {
        if columns[index].wraps { natural[index].min(NARROWEST) } else { natural[index] }
    };
    loop {
        let gaps = usize::from(GAP) * shown.len().saturating_sub(1);
        if shown.iter().map(|&index| least(index)).sum::<usize>() + gaps <= width {
            return (shown, true);
        }
        // Of the same rank, the column further right goes first.
        let last = shown.iter().enumerate().max_by_key(|(_, index)| columns[**index].rank);
        match last {
            Some((position, &index)) if columns[index].rank > 0 && !look.wide => {
                shown.remove(position);
            }
            _ => return (shown, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Table {
        let mut table = Table::new(
            "no servers yet; add one with `umcp server add`",
            [
                Column::new("name"),
                Column::new("state"),
                Column::new("tools").right().optional(1),
                Column::new("about").wraps().optional(2),
                Column::new("command").optional(3),
            ],
        );
        table.row([
            "github".into(),
            Cell::state(State::Ok, "running"),
            "42".into(),
            "Issues and pull requests of every repository".into(),
            "npx -y server-github".into(),
        ]);
        table.row([
            Cell::from("日本"),
            Cell::state(State::Fail, "failed"),
            "7".into(),
            "two\nlines \u{1b}[31mred".into(),
            "./run".into(),
        ]);
        table
    }

    fn look(width: usize) -> Look {
        Look { width: Some(width), color: false, ascii: false, wide: false }
    }

    #[test]
    fn a_pipe_gets_plain_aligned_columns() {
        let expected = "\
NAME    STATE    TOOLS  ABOUT                                         COMMAND
github  running     42  Issues and pull requests of every repository  npx -y server-github
日本    failed       7  two lines red                                 ./run";
        assert_eq!(servers().draw(Look::PLAIN), expected);
    }

    #[test]
    fn a_terminal_leaves_out_columns_then_wraps() {
        let wide = "\
NAME    STATE      TOOLS  ABOUT                               COMMAND
──────────────────────────────────────────────────────────────────────────────────
github  ✓ running     42  Issues and pull requests of every   npx -y server-github
                          repository
日本    ✗ failed       7  two lines red                       ./run";
        assert_eq!(servers().draw(look(82)), wide);
        let narrow = "\
NAME    STATE      TOOLS
────────────────────────
github  ✓ running     42
日本    ✗ failed       7
not shown: about, command (--wide shows them)";
        assert_eq!(servers().draw(look(40)), narrow);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 26..140 {
            let text = servers().draw(look(width));
            let lines = text.lines().filter(|line| !line.starts_with("not shown"));
            for line in lines {
                assert!(measure_text_width(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn wide_shows_every_column() {
        let text = servers().draw(Look { wide: true, ..look(40) });
        assert!(
            text.contains("Issues and pull requests of every repository  npx -y server-github"),
            "{text}"
        );
    }

    #[test]
    fn no_rows_are_a_sentence() {
        let table = Table::new("no servers yet", [Column::new("name")]);
        assert_eq!(table.draw(Look::PLAIN), "no servers yet");
    }

    #[test]
    fn colour_repeats_the_state() {
        let mut table = Table::new("", [Column::new("state")]);
        table.row([Cell::state(State::Fail, "failed")]);
        let text = table.draw(Look { color: true, ..Look::PLAIN });
        assert!(text.contains("\u{1b}["), "{text:?}");
        assert_eq!(super::super::text::sanitise(&text), table.draw(Look::PLAIN));
    }
}
