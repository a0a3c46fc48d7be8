//! `umcp app from-openapi`: an app out of a document.

use super::account;
use super::change::{ALLOW_PRIVATE, assign, told_plain};
use super::install::{Done, Skipped};
use super::known;
use crate::apps::App;
use crate::apps::model::{Conversion, Kind};
use crate::apps::openapi::{Converted, Filter, Options, convert};
use crate::cli::context::{self, Context};
use crate::documents::large::{parse_large, read_large};
use crate::engine::live::{Live, LiveReply};
use crate::error::{Error, Result, codes};
use crate::servers::model::tame_name;
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Make an app of an OpenAPI document
///
/// Version 3.0 or 3.1, JSON or YAML, a file or an address. Each operation becomes a tool; keys become settings.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp app from-openapi petstore.yaml --filter tag=pet\n  umcp app from-openapi https://api.example.com/openapi.json --name example --filter verb=get"
)]
pub struct FromOpenApi {
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// Name of the app; else from the document's title
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Take only these: tag=NAME, verb=get, path=/pets* or operation=list*; several of a kind mean any of them
    #[arg(long, value_name = "KIND=PATTERN")]
    filter: Vec<String>,
    /// Send requests here instead of to the document's own server
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Use the account of this service, such as github, instead of keys in settings
    #[arg(long, value_name = "SERVICE")]
    integration: Option<String>,
    /// Give a setting its value; values may hold ${VAR} and secret://NAME
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Let it reach private addresses, the document's own included
    #[arg(long)]
    allow_private: bool,
    /// Write over an app of the same name, and keep its settings
    #[arg(long)]
    replace: bool,
    /// Show what would become of the document, and install nothing
    #[arg(long)]
    dry_run: bool,
}

impl FromOpenApi {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let conversion = Conversion { filters: self.filter.clone(), base: self.base_url.clone() };
        let document = read(ctx, &self.source, self.allow_private)?;
        let title = document["info"]["title"].as_str().unwrap_or("api");
        let name = self.name.clone().unwrap_or_else(|| tame_name(&title.to_ascii_lowercase()));
        let mut converted = transform(&document, &name, &self.source, &conversion)?;
        converted.definition.conversion = Some(conversion);
        let skipped = |converted: &mut Converted| {
            let skipped = std::mem::take(&mut converted.skipped).into_iter();
            skipped.map(|(operation, reason)| Skipped { operation, reason }).collect::<Vec<_>>()
        };
        if self.dry_run {
            let skipped = skipped(&mut converted);
            return ctx.ui.show(&Dry::new(name, &converted, skipped));
        }
        let (mut server, is_old) = known::entry(ctx, &name, self.replace)?;
        server.description = converted.description.clone().or(server.description);
        if self.allow_private {
            server.env.insert(ALLOW_PRIVATE.into(), "1".into());
        }
        let settings = converted.definition.settings.clone();
        assign(&mut server, &settings, &self.set)?;
        told_plain(ctx, &server, &settings, &self.set);
        let skipped = skipped(&mut converted);
        let now = ctx.clock.now();
        let mut app = App {
            name: name.clone(),
            kind: Kind::OpenApi,
            title: converted.title,
            description: converted.description,
            definition: String::new(),
            origin: Some(absolute(&self.source)?),
            integration: self.integration,
            created: now,
            updated: now,
        };
        app.define(&converted.definition)?;
        known::allow_time(&mut server, &converted.definition);
        account::consent(ctx, &app, &converted.definition, &server)?;
        let integration = app.integration.clone();
        let server = known::install(ctx, app, server, is_old)?;
        let done = Done::installed(ctx, &server, &converted.definition, integration.as_deref())?;
        ctx.ui.show(&done.without(skipped))
    }
}

/// Reads a document from a file or, through the daemon, from an address.
pub fn read(ctx: &Context, source: &str, allow_private: bool) -> Result<serde_json::Value> {
    let text = match is_url(source) {
        false => read_large(Path::new(source))?,
        true => {
            let bar = ctx.ui.progress(&format!("reading {source}"));
            let reply = ctx.live(Live::Fetch { url: source.into(), allow_private })?;
            drop(bar);
            match reply {
                LiveReply::Fetched(text) => text,
                other => return context::unexpected(&other),
            }
        }
    };
    parse_large(source, &text)
}

/// Converts as the user asked.
pub fn transform(
    document: &serde_json::Value,
    name: &str,
    source: &str,
    conversion: &Conversion,
) -> Result<Converted> {
    let options = Options {
        name: name.into(),
        filters: conversion.filters.iter().map(|filter| Filter::read(filter)).collect::<Result<_>>()?,
        base: conversion.base.clone(),
        origin: is_url(source).then(|| source.to_string()),
    };
    convert(document, &options).map_err(|error| match error.is(&codes::OPENAPI_INVALID) {
        true => Error { message: format!("`{source}`: {}", error.message), ..error },
        false => error,
    })
}

fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

fn absolute(source: &str) -> Result<String> {
    if is_url(source) {
        return Ok(source.into());
    }
    let full = std::path::absolute(source)
        .map_err(|error| crate::paths::io_error("find", source.as_ref(), &error))?;
    Ok(full.to_string_lossy().into_owned())
}

/// What a document would become.
#[derive(Serialize)]
struct Dry {
    name: String,
    base: Option<String>,
    operations: usize,
    chosen: usize,
    tools: Vec<String>,
    settings: Vec<String>,
    skipped: Vec<Skipped>,
}

impl Dry {
    fn new(name: String, converted: &Converted, skipped: Vec<Skipped>) -> Self {
        let definition = &converted.definition;
        Self {
            name,
            base: definition.base.clone(),
            operations: converted.operations,
            chosen: converted.chosen,
            tools: definition.tools.iter().map(|tool| tool.name.clone()).collect(),
            settings: definition.settings.iter().map(|setting| setting.name.clone()).collect(),
            skipped,
        }
    }
}

impl Output for Dry {
    const KIND: &'static str = "app.from-openapi.dry-run/1";

    fn human(&self, page: &mut Page) {
        let (tools, chosen, all) = (self.tools.len(), self.chosen, self.operations);
        page.text(format!("nothing was installed; {} would get {tools} tools", self.name));
        page.text(format!(
            "{all} operations in the document, {chosen} chosen, {} left out",
            self.skipped.len()
        ));
        self.tools.iter().for_each(|tool| _ = page.bullet(tool));
        for skipped in &self.skipped {
            page.mark(State::Warn, format!("left out {}: {}", skipped.operation, skipped.reason));
        }
        if !self.settings.is_empty() {
            page.text(format!("settings: {}", self.settings.join(", ")));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.tools.clone()
    }
}
