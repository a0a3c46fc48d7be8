//! A document as PDF 1.4, with the fonts every reader has and nothing embedded, so that it needs no crate and is some
//! kilobytes. Rule: the file is plain ASCII; what the fonts' Latin alphabet lacks becomes a question mark.

use super::paper::{Bar, Block, Paper};

/// A4, in points.
const WIDTH: f64 = 595.0;
const HEIGHT: f64 = 842.0;
const MARGIN: f64 = 48.0;
const INNER: f64 = WIDTH - 2.0 * MARGIN;
const TEXT: f64 = 9.0;
const LINE: f64 = 15.0;
const CHART: f64 = 90.0;

/// Widths of Helvetica from the space to the tilde, in thousandths of its size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

fn width(text: &str, size: f64) -> f64 {
    let of = |c: char| (c as usize).checked_sub(32).and_then(|at| WIDTHS.get(at)).copied().unwrap_or(600);
    text.chars().map(|c| f64::from(of(c))).sum::<f64>() / 1000.0 * size
}

/// As much of a text as fits.
fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.into();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size) + width("...", size) > room {
            kept.pop();
            break;
        }
    }
    kept + "..."
}

/// A string of the format.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("(");
    for c in text.chars() {
        match c {
            '(' | ')' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            '\u{a0}'..='\u{ff}' => quoted.push_str(&format!("\\{:03o}", c as u32)),
            '€' => quoted.push_str("\\200"),
            '–' => quoted.push_str("\\226"),
            '—' => quoted.push_str("\\227"),
            c if c.is_control() => {}
            _ => quoted.push('?'),
        }
    }
    quoted + ")"
}

/// Pages as they are drawn, from the top down.
struct Pages {
    done: Vec<String>,
    page: String,
    at: f64,
}

impl Pages {
    /// Goes down by some points, to the next page where there is no room for them.
    fn down(&mut self, points: f64) {
        if self.at - points < MARGIN {
            self.done.push(std::mem::take(&mut self.page));
            self.at = HEIGHT - MARGIN;
        }
        self.at -= points;
    }

    fn text(&mut self, x: f64, size: f64, bold: bool, text: &str) {
        let font = if bold { "F2" } else { "F1" };
        let (y, text) = (self.at, quoted(text));
        self.page.push_str(&format!("BT /{font} {size} Tf {x:.1} {y:.1} Td {text} Tj ET\n"));
    }

    fn rule(&mut self) {
        let (y, end) = (self.at - 4.0, WIDTH - MARGIN);
        self.page.push_str(&format!("0.8 G 0.5 w {MARGIN} {y:.1} m {end} {y:.1} l S 0 G\n"));
    }

    fn row(&mut self, cells: &[String], bold: bool) {
        self.down(LINE);
        let column = if cells.len() < 2 { 0.0 } else { (INNER * 0.68 / (cells.len() - 1) as f64).min(72.0) };
        let first = INNER - column * (cells.len() - 1) as f64;
        for (number, cell) in cells.iter().enumerate() {
            let room = if number == 0 { first } else { column } - 4.0;
            let cell = fitted(cell, TEXT, room);
            let x = match number {
                0 => MARGIN,
                _ => MARGIN + first + column * number as f64 - width(&cell, TEXT),
            };
            self.text(x, TEXT, bold, &cell);
        }
        self.rule();
    }

    fn table(&mut self, heads: &[String], rows: &[Vec<String>]) {
        self.down(LINE);
        // A head is not left alone at the foot of a page.
        if self.at - 3.0 * LINE < MARGIN {
            self.down(HEIGHT);
        }
        self.row(heads, true);
        rows.iter().for_each(|row| self.row(row, false));
    }

    fn chart(&mut self, title: &str, bars: &[Bar]) {
        let Some(most) = bars.iter().max_by_key(|bar| bar.value).filter(|_| bars.len() > 1) else { return };
        self.down(CHART + 3.0 * LINE);
        let (floor, top) = (self.at, self.at + CHART);
        self.at = top + 6.0;
        self.text(MARGIN, TEXT, true, title);
        let said = format!("at most {} ({})", most.shown, most.label);
        self.text(WIDTH - MARGIN - width(&said, TEXT), TEXT, false, &said);
        self.at = floor;
        let step = INNER / bars.len() as f64;
        self.page.push_str("0.21 0.40 0.69 rg\n");
        for (index, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.value > 0) {
            let height = (bar.value as f64 / most.value as f64 * (CHART - 4.0)).max(0.5);
            let x = MARGIN + index as f64 * step;
            let wide = (step * 0.85).max(0.4);
            self.page.push_str(&format!("{x:.2} {floor:.2} {wide:.2} {height:.2} re f\n"));
        }
        let end = WIDTH - MARGIN;
        self.page.push_str(&format!("0 g 0.6 G 0.5 w {MARGIN} {floor:.2} m {end} {floor:.2} l S 0 G\n"));
        self.at -= 11.0;
        let (first, last) = (&bars[0].label, &bars[bars.len() - 1].label);
        self.text(MARGIN, 7.5, false, first);
        self.text(end - width(last, 7.5), 7.5, false, last);
    }

    /// Several lines of plain text.
    fn paragraph(&mut self, text: &str, size: f64) {
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && width(&format!("{line} {word}"), size) > INNER {
                self.down(size * 1.5);
                self.text(MARGIN, size, false, &std::mem::take(&mut line));
            }
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
        self.down(size * 1.5);
        self.text(MARGIN, size, false, &fitted(&line, size, INNER));
    }
}

/// The file.
pub fn write(paper: &Paper) -> String {
    let mut pages = Pages { done: Vec::new(), page: String::new(), at: HEIGHT - MARGIN };
    pages.down(20.0);
    pages.text(MARGIN, 18.0, true, &fitted(&paper.title, 18.0, INNER));
    pages.down(6.0);
    paper.head.iter().for_each(|line| pages.paragraph(line, 10.0));
    for block in &paper.blocks {
        match block {
            Block::Table { heads, rows } => pages.table(heads, rows),
            Block::Chart { title, bars } => pages.chart(title, bars),
        }
    }
    pages.down(10.0);
    pages.paragraph(&paper.note, 8.0);
    let mut drawn = pages.done;
    drawn.push(pages.page);
    file(&paper.title, &drawn)
}

fn file(title: &str, pages: &[String]) -> String {
    const FIRST: usize = 6;
    let numbers: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", FIRST + 2 * page)).collect();
    let font = |name: &str| {
        format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")
    };
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_string(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", numbers.join(" "), pages.len()),
        font("Helvetica"),
        font("Helvetica-Bold"),
        format!("<< /Title {} /Producer (umcp) >>", quoted(title)),
    ];
    for (number, page) in pages.iter().enumerate() {
        let foot = format!("{} / {}", number + 1, pages.len());
        let x = WIDTH - MARGIN - width(&foot, 8.0);
        let drawn = format!("{page}BT /F1 8 Tf {x:.1} 28 Td {} Tj ET\n", quoted(&foot));
        let content = FIRST + 2 * number + 1;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {content} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>"
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}endstream", drawn.len()));
    }
    let (mut text, mut places) = (String::from("%PDF-1.4\n"), String::new());
    for (number, object) in objects.iter().enumerate() {
        places.push_str(&format!("{:010} 00000 n \n", text.len()));
        text.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let (start, count) = (text.len(), objects.len() + 1);
    text.push_str(&format!(
        "xref\n0 {count}\n0000000000 65535 f \n{places}trailer\n<< /Size {count} /Root 1 0 R /Info 5 0 R >>\nstartxref\n{start}\n%%EOF\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(rows: usize, name: &str) -> Paper {
        let bar = |value| Bar { label: format!("day {value}"), value, shown: value.to_string() };
        let row = |number: usize| vec![format!("{name} {number}"), "1,234".into(), "$0.0225".into()];
        Paper {
            title: "Usage (all)".into(),
            head: vec!["from here to there".into()],
            blocks: vec![
                Block::Chart { title: "calls".into(), bars: (0..30).map(bar).collect() },
                Block::Table {
                    heads: vec!["tool".into(), "calls".into(), "cost".into()],
                    rows: (0..rows).map(row).collect(),
                },
            ],
            note: "word ".repeat(80),
        }
    }

    #[test]
    fn every_object_is_where_the_table_says() {
        let text = write(&paper(120, "git.log"));
        assert!(text.is_ascii());
        let start: usize = text.lines().rev().nth(1).unwrap().parse().unwrap();
        let table: Vec<&str> =
            text[start..].lines().skip(3).take_while(|line| line.ends_with("n ")).collect();
        assert_eq!(table.len(), 5 + 2 * text.matches("/Type /Page /").count());
        for (number, line) in table.iter().enumerate() {
            let at: usize = line[..10].parse().unwrap();
            assert!(text[at..].starts_with(&format!("{} 0 obj\n", number + 1)), "{line}");
        }
        assert_eq!(text.matches("/Type /Page /").count(), 3);
        assert_eq!(text.matches("(git.log ").count(), 120);
    }

    #[test]
    fn names_from_outside_stay_text() {
        assert_eq!(quoted("a)(\\\n é \u{4e16}€"), "(a\\)\\(\\\\ \\351 ?\\200)");
        let text = write(&paper(2, &"W".repeat(300)));
        assert!(text.contains("WWW...)") && !text.contains(&"W".repeat(60)));
    }
}
