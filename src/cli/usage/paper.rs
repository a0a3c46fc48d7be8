//! Documents about usage: what stands on them, and how they look as Markdown and HTML. PDF is `pdf`.
//! Rule: names from outside stay text, whatever is in them; the HTML is one file without scripts or anything from elsewhere.

use super::super::context::Context;
use super::figures::duration;
use super::pdf;
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::ui::{Output, Page, text};
use crate::usage::sums::Sums;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Html,
    Md,
    Json,
    Pdf,
}

/// Where a document goes, and as what.
#[derive(Debug, Args)]
pub struct Way {
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value = "md")]
    format: Format,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over the file if it is there
    #[arg(long, requires = "output")]
    replace: bool,
}

impl Way {
    /// Writes a document, which is both paper and value.
    pub fn send<D: Output + Serialize>(&self, ctx: &Context, document: &D, paper: &Paper) -> Result<()> {
        if ctx.ui.is_json() && self.output.is_none() {
            return ctx.ui.show(document);
        }
        let text = match self.format {
            Format::Html => paper.html(),
            Format::Md => paper.markdown(),
            Format::Pdf => pdf::write(paper),
            Format::Json => serde_json::to_string_pretty(document)
                .map(|text| text + "\n")
                .map_err(|error| Error::bug("a document cannot be written as JSON").because(error))?,
        };
        let Some(path) = &self.output else { return ctx.ui.raw(&text) };
        if path.exists() && !self.replace {
            return Err(Error::new(&codes::FILE_EXISTS, format!("`{}` is there already", path.display()))
                .hint("give another name, or --replace"));
        }
        std::fs::write(path, &text).map_err(|error| io_error("write", path, &error))?;
        ctx.ui.show(&Saved { file: path.display().to_string(), bytes: text.len() })
    }
}

/// A document.
pub struct Paper {
    pub title: String,
    /// Lines below the title.
    pub head: Vec<String>,
    pub blocks: Vec<Block>,
    pub note: String,
}

pub enum Block {
    /// The first column is text, the others are figures.
    Table {
        heads: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    Chart {
        title: String,
        bars: Vec<Bar>,
    },
}

/// One bar of a chart.
pub struct Bar {
    pub label: String,
    pub value: u64,
    pub shown: String,
}

pub const HEADS: [&str; 6] = ["calls", "failed", "tokens in", "tokens out", "time", "cost"];

pub fn cells(sums: &Sums) -> [String; 6] {
    [
        text::number(sums.records),
        text::number(sums.failed),
        text::number(sums.input_tokens),
        text::number(sums.output_tokens),
        duration(sums.duration_us),
        sums.cost.short(),
    ]
}

/// A table of sums.
pub fn table<'a>(title: &str, rows: impl Iterator<Item = (String, &'a Sums)>) -> Block {
    let mut heads = vec![title.to_string()];
    heads.extend(HEADS.map(String::from));
    let row = |(name, sums): (String, &Sums)| {
        let mut row = vec![name];
        row.extend(cells(sums));
        row
    };
    Block::Table { heads, rows: rows.map(row).collect() }
}

impl Paper {
    pub fn markdown(&self) -> String {
        let cell =
            |text: &String| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r', '<'], " ");
        let line = |row: &[String]| format!("| {} |\n", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        let mut text = format!("# {}\n\n", cell(&self.title));
        for head in &self.head {
            text.push_str(&format!("{}  \n", cell(head)));
        }
        for block in &self.blocks {
            let Block::Table { heads, rows } = block else { continue };
            let columns = "--:|".repeat(heads.len().saturating_sub(1));
            text.push_str(&format!("\n{}|---|{columns}\n", line(heads)));
            rows.iter().for_each(|row| text.push_str(&line(row)));
        }
        text.push_str(&format!("\n{}\n", self.note));
        text
    }

    pub fn html(&self) -> String {
        let mut body = format!("<h1>{}</h1>\n", escape(&self.title));
        for head in &self.head {
            body.push_str(&format!("<p>{}</p>\n", escape(head)));
        }
        for block in &self.blocks {
            body.push_str(&match block {
                Block::Table { heads, rows } => html_table(heads, rows),
                Block::Chart { title, bars } => chart(title, bars),
            });
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\n<style>{STYLE}</style></head>\n<body>\n{body}<p class=\"note\">{}</p>\n</body></html>\n",
            escape(&self.title),
            escape(&self.note)
        )
    }
}

/// Bars over time, each with its figure as a tooltip.
fn chart(title: &str, bars: &[Bar]) -> String {
    if bars.len() < 2 {
        return String::new();
    }
    let largest = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1) as f64;
    let width = 720.0 / bars.len() as f64;
    let bar = |(index, bar): (usize, &Bar)| {
        let height = bar.value as f64 / largest * 110.0;
        format!(
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"><title>{}: {}</title></rect>",
            index as f64 * width,
            120.0 - height,
            (width * 0.85).max(0.5),
            escape(&bar.label),
            escape(&bar.shown)
        )
    };
    let bars: String = bars.iter().enumerate().map(bar).collect();
    format!(
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 720 122\" role=\"img\"><line x1=\"0\" y1=\"120.5\" x2=\"720\" y2=\"120.5\"/>{bars}</svg></figure>\n",
        escape(title)
    )
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%;margin:1.5rem 0}th,td{padding:.25rem .5rem;border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left;word-break:break-word}figure{margin:1.5rem 0}rect{fill:#3567b0}line{stroke:#999}.note{color:#666}";

fn html_table(heads: &[String], rows: &[Vec<String>]) -> String {
    let row = |tag: &str, row: &[String]| {
        let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = rows.iter().map(|cells| row("td", cells)).collect();
    format!("<table>{}{rows}</table>\n", row("th", heads))
}

/// Text inside HTML; control characters are left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No character of XML.
            '\u{fffe}' | '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[derive(Serialize)]
struct Saved {
    file: String,
    bytes: usize,
}

impl Output for Saved {
    const KIND: &'static str = "usage.report.file/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("wrote {}", self.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_stay_text() {
        assert_eq!(escape("<b>\"&'\u{7}"), "&lt;b&gt;&quot;&amp;&#39;");
        let block = table("x", std::iter::once(("<script>|".into(), &Sums::default())));
        let paper = Paper { title: "t".into(), head: Vec::new(), blocks: vec![block], note: String::new() };
        let html = paper.html();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
        assert!(paper.markdown().contains("|  script>\\| | 0 |"), "{}", paper.markdown());
    }
}
