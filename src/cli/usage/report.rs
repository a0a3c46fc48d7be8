//! `umcp usage report`: one document about a stretch of time, to read or to hand on: HTML, Markdown or JSON.
//! The HTML is one file without scripts or anything from elsewhere.

use super::super::context::Context;
use super::figures::{Figures, duration, named};
use super::scope::{Scope, shown};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::ui::{Output, Page, text};
use crate::usage::period::{Step, Window, show};
use crate::usage::query::Group;
use crate::usage::sums::{Dimension, Sums};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::path::PathBuf;

/// Rows of each part.
const ROWS: usize = 20;
const PARTS: [Dimension; 6] = [
    Dimension::Server,
    Dimension::Entity,
    Dimension::Client,
    Dimension::User,
    Dimension::Model,
    Dimension::Workflow,
];

/// Write a report about a stretch of time
#[derive(Debug, Args)]
pub struct Report {
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value = "md")]
    format: Format,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over the file if it is there
    #[arg(long, requires = "output")]
    replace: bool,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Md,
    Json,
}

#[derive(Serialize)]
struct Document {
    from: String,
    until: String,
    total: Figures,
    course: Vec<Moment>,
    parts: Vec<Part>,
    #[serde(skip)]
    sums: Sums,
    #[serde(skip)]
    window: Window,
}

#[derive(Serialize)]
struct Moment {
    time: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    sums: Sums,
}

#[derive(Serialize)]
struct Part {
    by: &'static str,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    sums: Sums,
}

impl Report {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = self.scope.window(ctx, "month")?;
        let document = self.document(ctx, window)?;
        let format = if ctx.ui.is_json() && self.output.is_none() { Format::Json } else { self.format };
        let text = match format {
            Format::Html => document.html(),
            Format::Md => document.markdown(),
            Format::Json if self.output.is_none() && ctx.ui.is_json() => return ctx.ui.show(&document),
            Format::Json => serde_json::to_string_pretty(&document)
                .map(|text| text + "\n")
                .map_err(|error| Error::bug("a report cannot be written as JSON").because(error))?,
        };
        let Some(path) = &self.output else { return ctx.ui.raw(&text) };
        if path.exists() && !self.replace {
            return Err(Error::new(&codes::FILE_EXISTS, format!("`{}` is there already", path.display()))
                .hint("give another name, or --replace"));
        }
        std::fs::write(path, &text).map_err(|error| io_error("write", path, &error))?;
        ctx.ui.show(&Saved { file: path.display().to_string(), bytes: text.len() })
    }

    fn document(&self, ctx: &Context, window: Window) -> Result<Document> {
        let zone = TimeZone::system();
        let total = self.scope.sums(ctx, window, &[])?.total();
        let mut course = Vec::new();
        if window.from.0 > 0 {
            let step = Step::fitting(window);
            for point in self.scope.points(ctx, step.edges(window, &zone)?, &[])? {
                let sums = point.total();
                course.push(Moment { time: show(point.from, step, &zone), figures: (&sums).into(), sums });
            }
        }
        let mut parts = Vec::new();
        for dimension in PARTS {
            let mut groups = self.scope.sums(ctx, window, &[dimension])?.groups;
            groups.sort_by_key(|group| std::cmp::Reverse((group.sums.cost, group.sums.records)));
            let row = |Group { key, sums }| Row {
                name: named(&key.concat()).into(),
                figures: (&sums).into(),
                sums,
            };
            let rows: Vec<Row> = groups.into_iter().take(ROWS).map(row).collect();
            if rows.iter().any(|row| row.name != "(none)") {
                parts.push(Part { by: dimension.word(), rows });
            }
        }
        let (from, until) = (window.from.rfc3339(), window.until.rfc3339());
        Ok(Document { from, until, total: (&total).into(), course, parts, sums: total, window })
    }
}

fn cells(sums: &Sums) -> [String; 6] {
    [
        text::number(sums.records),
        text::number(sums.failed),
        text::number(sums.input_tokens),
        text::number(sums.output_tokens),
        duration(sums.duration_us),
        sums.cost.short(),
    ]
}

const HEADS: [&str; 6] = ["calls", "failed", "tokens in", "tokens out", "time", "cost"];

impl Document {
    fn markdown(&self) -> String {
        let mut text = format!("# Usage, {}\n\n", shown(self.window));
        let mut table = |title: &str, rows: &mut dyn Iterator<Item = (String, &Sums)>| {
            text.push_str(&format!(
                "| {title} | {} |\n|---|{}\n",
                HEADS.join(" | "),
                "--:|".repeat(HEADS.len())
            ));
            for (name, sums) in rows {
                let name = name.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r', '<'], " ");
                text.push_str(&format!("| {name} | {} |\n", cells(sums).join(" | ")));
            }
            text.push('\n');
        };
        table("in all", &mut std::iter::once((String::new(), &self.sums)));
        for part in &self.parts {
            table(part.by, &mut part.rows.iter().map(|row| (row.name.clone(), &row.sums)));
        }
        if !self.course.is_empty() {
            table("time", &mut self.course.iter().map(|moment| (moment.time.clone(), &moment.sums)));
        }
        text.push_str(NOTE);
        text.push('\n');
        text
    }

    fn html(&self) -> String {
        let mut body = format!("<h1>Usage</h1>\n<p>{}</p>\n", escape(&shown(self.window)));
        let rows = std::iter::once((String::new(), &self.sums));
        body.push_str(&html_table("in all", rows));
        let calls: Vec<u64> = self.course.iter().map(|moment| moment.sums.records).collect();
        let costs: Vec<u64> = self
            .course
            .iter()
            .map(|moment| u64::try_from(moment.sums.cost.0.max(0)).unwrap_or(u64::MAX))
            .collect();
        body.push_str(&self.chart("calls", &calls, |sums| text::number(sums.records)));
        if self.sums.cost.0 > 0 {
            body.push_str(&self.chart("cost", &costs, |sums| sums.cost.short()));
        }
        for part in &self.parts {
            let rows = part.rows.iter().map(|row| (row.name.clone(), &row.sums));
            body.push_str(&html_table(part.by, rows));
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Usage</title>\n<style>{STYLE}</style></head>\n<body>\n{body}<p class=\"note\">{}</p>\n</body></html>\n",
            escape(NOTE)
        )
    }

    /// Bars over time, each with its figure as a tooltip.
    fn chart(&self, title: &str, values: &[u64], show: impl Fn(&Sums) -> String) -> String {
        if values.len() < 2 {
            return String::new();
        }
        let largest = values.iter().copied().max().unwrap_or(0).max(1) as f64;
        let width = 720.0 / values.len() as f64;
        let bar = |(index, (moment, value)): (usize, (&Moment, &u64))| {
            let height = *value as f64 / largest * 110.0;
            format!(
                "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"><title>{}: {}</title></rect>",
                index as f64 * width,
                120.0 - height,
                (width * 0.85).max(0.5),
                escape(&moment.time),
                escape(&show(&moment.sums))
            )
        };
        let bars: String = self.course.iter().zip(values).enumerate().map(bar).collect();
        format!(
            "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 720 122\" role=\"img\"><line x1=\"0\" y1=\"120.5\" x2=\"720\" y2=\"120.5\"/>{bars}</svg></figure>\n",
            escape(title)
        )
    }
}

const NOTE: &str =
    "Tokens that nobody counted are estimated at four bytes each. Costs follow the price book.";
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%;margin:1.5rem 0}th,td{padding:.25rem .5rem;border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left;word-break:break-word}figure{margin:1.5rem 0}rect{fill:#3567b0}line{stroke:#999}.note{color:#666}";

fn html_table<'a>(title: &str, rows: impl Iterator<Item = (String, &'a Sums)>) -> String {
    let heads: String = HEADS.iter().map(|head| format!("<th>{head}</th>")).collect();
    let row = |(name, sums): (String, &Sums)| {
        let cells: String = cells(sums).iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr><td>{}</td>{cells}</tr>\n", escape(&name))
    };
    let rows: String = rows.map(row).collect();
    format!("<table><tr><th>{}</th>{heads}</tr>\n{rows}</table>\n", escape(title))
}

/// Text inside HTML; control characters are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Output for Document {
    const KIND: &'static str = "usage.report/1";

    fn human(&self, page: &mut Page) {
        page.text(self.markdown());
    }
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
        let table = html_table("x", std::iter::once(("<script>".into(), &Sums::default())));
        assert!(!table.contains("<script>") && table.contains("&lt;script&gt;"));
    }
}
