//! `umcp usage export`: the records themselves, as CSV, JSON, JSON Lines or a workbook.
//! Rule: a text from outside never becomes a formula in somebody's spreadsheet.

use super::super::context::Context;
use super::scope::Scope;
use super::sheet::Sheet;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::ui::{Output, Page, text};
use crate::usage::{self, Entry, Records};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Records that are asked for at once.
const PAGE: u32 = 2_000;

/// Write the records themselves to a file or stdout
#[derive(Debug, Args)]
pub struct Export {
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value = "csv")]
    format: Format,
    /// Write to this file instead of stdout; `--replace` writes over it
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
    Csv,
    Json,
    Jsonl,
    Xlsx,
    #[value(hide = true)]
    Parquet,
}

/// One record as others read it.
#[derive(Serialize)]
struct Row<'a> {
    timestamp: String,
    entity_type: &'a str,
    entity: String,
    server: &'a str,
    tool: &'a str,
    client: &'a str,
    agent: &'a str,
    user: &'a str,
    environment: &'a str,
    model: &'a str,
    workflow: &'a str,
    session: u64,
    door: &'a str,
    result: &'a str,
    error: &'a str,
    cached: bool,
    input_tokens: u64,
    output_tokens: u64,
    tokens_estimated: bool,
    api_calls: u64,
    duration_us: u64,
    compute_us: u64,
    request_bytes: u64,
    result_bytes: u64,
    storage_bytes: u64,
    /// Dollars, exactly; empty for what has no price.
    cost_usd: String,
    /// Version of the price book; empty for costs that were reported.
    price_version: String,
    metrics: String,
    metadata: &'a str,
}

impl<'a> From<&'a Entry> for Row<'a> {
    fn from(entry: &'a Entry) -> Self {
        let (call, detail) = (&entry.call, &entry.call.detail);
        let tokens = call.tokens_by_way();
        let environment = detail.environment.as_deref().or(call.profile.as_deref());
        let metrics = match detail.metrics.is_empty() {
            true => String::new(),
            false => serde_json::to_string(&detail.metrics).unwrap_or_default(),
        };
        Self {
            timestamp: entry.at.rfc3339(),
            entity_type: detail.entity.word(),
            entity: call.path(),
            server: &call.server,
            tool: &call.tool,
            client: &call.client,
            agent: detail.agent.as_deref().unwrap_or_default(),
            user: detail.user.as_deref().unwrap_or_default(),
            environment: environment.unwrap_or_default(),
            model: detail.model.as_deref().unwrap_or_default(),
            workflow: detail.workflow.as_deref().unwrap_or_default(),
            session: detail.session,
            door: call.door.word(),
            result: call.class.word(),
            error: call.error.as_deref().unwrap_or_default(),
            cached: call.cached,
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            tokens_estimated: detail.tokens.is_none(),
            api_calls: call.api_calls(),
            duration_us: call.duration_us,
            compute_us: call.compute_us(),
            request_bytes: call.request_bytes,
            result_bytes: call.result_bytes,
            storage_bytes: detail.storage_bytes,
            cost_usd: detail.cost.map_or_else(String::new, |cost| cost.pico.to_string()),
            price_version: detail
                .cost
                .and_then(|cost| cost.version)
                .map_or_else(String::new, |version| version.to_string()),
            metrics,
            metadata: detail.metadata.as_deref().unwrap_or_default(),
        }
    }
}

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = self.scope.window(ctx, "all")?;
        self.check(ctx)?;
        let Some(path) = &self.output else {
            // With `--json` stdout holds one document.
            let format = if ctx.ui.is_json() { Format::Json } else { self.format };
            if ctx.ui.is_json() {
                let mut rows = Vec::new();
                self.each(ctx, window, &mut |entry| {
                    rows.push(value(entry)?);
                    Ok(())
                })?;
                return ctx.ui.show(&Listed { rows });
            }
            let mut writer = Written { text: head(format), format, first: true };
            self.each(ctx, window, &mut |entry| {
                writer.push(entry)?;
                if writer.text.len() > 64 << 10 {
                    ctx.ui.raw(&std::mem::take(&mut writer.text))?;
                }
                Ok(())
            })?;
            writer.end();
            return ctx.ui.raw(&writer.text);
        };
        let mut options = File::options();
        options.write(true).create_new(!self.replace).create(true).truncate(self.replace);
        let file = options.open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(&codes::FILE_EXISTS, format!("`{}` is there already", path.display()))
                    .hint("give another name, or --replace")
            }
            _ => io_error("write", path, &error),
        })?;
        let mut file = BufWriter::new(file);
        let failed = |error: std::io::Error| io_error("write", path, &error);
        if self.format == Format::Xlsx {
            let (book, records) = self.book(ctx, window)?;
            file.write_all(&book).and_then(|()| file.flush()).map_err(failed)?;
            return ctx.ui.show(&Saved { file: path.display().to_string(), records });
        }
        let mut writer = Written { text: head(self.format), format: self.format, first: true };
        let mut records = 0;
        self.each(ctx, window, &mut |entry| {
            records += 1;
            writer.push(entry)?;
            file.write_all(std::mem::take(&mut writer.text).as_bytes()).map_err(failed)
        })?;
        writer.end();
        file.write_all(writer.text.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
        ctx.ui.show(&Saved { file: path.display().to_string(), records })
    }

    /// Refuses what cannot be written, before anything is.
    fn check(&self, ctx: &Context) -> Result<()> {
        if self.format == Format::Parquet {
            let message = "`parquet` is not written; the formats are csv, json, jsonl and xlsx";
            return Err(Error::new(&codes::VALUE_INVALID, message).hint(
                "umcp usage export --format jsonl --output usage.jsonl, which makers of Parquet read",
            ));
        }
        if self.format == Format::Xlsx && self.output.is_none() && !ctx.ui.is_json() {
            return Err(Error::new(&codes::VALUE_INVALID, "a workbook is written to a file only")
                .hint("umcp usage export --format xlsx --output usage.xlsx"));
        }
        Ok(())
    }

    fn book(&self, ctx: &Context, window: usage::period::Window) -> Result<(Vec<u8>, usize)> {
        let (mut sheet, mut records) = (Sheet::new(), 0);
        self.each(ctx, window, &mut |entry| {
            let value = value(entry)?;
            let fields = value.as_object().into_iter().flatten();
            if records == 0 {
                let heads: Vec<_> = fields.clone().map(|(key, _)| key.clone().into()).collect();
                sheet.row(heads.iter())?;
            }
            records += 1;
            sheet.row(fields.map(|(_, value)| value))
        })?;
        Ok((sheet.finish()?, records))
    }

    fn each(
        &self,
        ctx: &Context,
        window: usage::period::Window,
        visit: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let mut after = None;
        loop {
            let request = usage::Request::Records {
                from: window.from,
                until: window.until,
                after,
                filter: self.scope.filter(),
                limit: PAGE,
            };
            let Records { entries, next } = match ctx.call(request)? {
                Reply::Usage(usage::Reply::Records(records)) => records,
                other => return engine::unexpected(&other),
            };
            entries.iter().try_for_each(&mut *visit)?;
            after = next;
            if after.is_none() || ctx.ui.closed() {
                return Ok(());
            }
        }
    }
}

fn value(entry: &Entry) -> Result<serde_json::Value> {
    serde_json::to_value(Row::from(entry))
        .map_err(|error| Error::bug("a record cannot be written as JSON").because(error))
}

struct Written {
    text: String,
    format: Format,
    first: bool,
}

fn head(format: Format) -> String {
    match format {
        Format::Csv | Format::Jsonl | Format::Xlsx | Format::Parquet => String::new(),
        Format::Json => "[".into(),
    }
}

impl Written {
    fn push(&mut self, entry: &Entry) -> Result<()> {
        let value = value(entry)?;
        match self.format {
            Format::Csv => {
                let fields = value.as_object().into_iter().flatten();
                if self.first {
                    self.text.push_str(&line(fields.clone().map(|(key, _)| key.clone())));
                }
                self.text.push_str(&line(fields.map(|(_, value)| match value {
                    serde_json::Value::String(text) => cell(text),
                    other => other.to_string(),
                })));
            }
            Format::Json => {
                self.text.push_str(if self.first { "\n" } else { ",\n" });
                self.text.push_str(&value.to_string());
            }
            // Workbooks are made by `book`.
            Format::Jsonl | Format::Xlsx | Format::Parquet => self.text.push_str(&format!("{value}\n")),
        }
        self.first = false;
        Ok(())
    }

    fn end(&mut self) {
        if self.format == Format::Json {
            self.text.push_str("\n]\n");
        }
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// A text as a cell: quoted where it has to be, and behind a quote mark where a spreadsheet would reckon with it.
fn cell(text: &str) -> String {
    let starts = text.trim_start_matches(|c: char| c.is_whitespace() && c != '\t' && c != '\r');
    let risky = starts.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let number = !text.is_empty() && text.parse::<f64>().is_ok_and(f64::is_finite);
    let text = if risky && !number { format!("'{text}") } else { text.into() };
    if text.contains([',', '"', '\n', '\r', '\t']) || text.starts_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[derive(Serialize)]
#[serde(transparent)]
struct Listed {
    rows: Vec<serde_json::Value>,
}

impl Output for Listed {
    const KIND: &'static str = "usage.export/1";

    fn human(&self, _: &mut Page) {}
}

#[derive(Serialize)]
struct Saved {
    file: String,
    records: usize,
}

impl Output for Saved {
    const KIND: &'static str = "usage.export/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("wrote {} to {}", text::plural(self.records, "record"), self.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("-2.5", "-2.5"),
            (" =1", "\"' =1\""),
            ("\t=1", "\"'\t=1\""),
            ("=\"a\",1", "\"'=\"\"a\"\",1\""),
            ("＝1", "'＝1"),
            ("two\nlines", "\"two\nlines\""),
            ("", ""),
        ] {
            let cell = cell(text);
            let bare = cell.trim_matches('"');
            assert!(!bare.starts_with(['=', '@', '\t']), "{text:?}");
            if text == " =1" {
                assert!(cell.contains("' =1"), "{cell}");
            } else {
                assert_eq!(cell, expected, "{text:?}");
            }
        }
    }
}
