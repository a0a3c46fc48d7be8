//! `umcp server inspect`: everything a server offers, or one raw request to it.

use super::super::context::{self, Context};
use super::super::known::one_server;
use super::show::{server_words, stored_catalogue};
use crate::engine::live::{Live, LiveReply};
use crate::error::{Error, Result, codes};
use crate::tools::Catalogue;
use crate::ui::{Output, Page};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

/// Show tools, prompts and resources, or send one raw request
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp server inspect time\n  umcp server inspect files --raw resources/list"
)]
pub struct Inspect {
    #[arg(value_name = "SERVER")]
    name: String,
    /// Send this request of the protocol and print the result
    #[arg(long, value_name = "METHOD")]
    raw: Option<String>,
    /// Parameters of the raw request
    #[arg(long, value_name = "JSON", requires = "raw", default_value = "{}")]
    params: String,
}

impl Inspect {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let server = one_server(ctx, &self.name)?;
        if let Some(method) = self.raw {
            let params: Value = serde_json::from_str(&self.params)
                .map_err(|error| Error::new(&codes::USAGE, "`--params` is not JSON").because(error))?;
            let live = Live::Raw { server: server.name, method, params: params.to_string() };
            return match ctx.live(live)? {
                LiveReply::Raw(text) => ctx.ui.show(&Answer(parsed(&text))),
                other => context::unexpected(&other),
            };
        }
        let catalogue = match stored_catalogue(ctx, &server.id)? {
            Some(catalogue) => catalogue,
            None => {
                ctx.live(Live::Refresh { names: vec![server.name.clone()], bounded: false })?;
                stored_catalogue(ctx, &server.id)?.ok_or_else(|| {
                    Error::new(
                        &codes::UPSTREAM_PROTOCOL,
                        format!("`{}` did not tell what it offers", server.name),
                    )
                    .hint(format!("umcp server test {}", server.name))
                })?
            }
        };
        ctx.ui.show(&Inspected::new(&server.name, &catalogue))
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Answer(Value);

impl Output for Answer {
    const KIND: &'static str = "server.raw/1";

    fn human(&self, page: &mut Page) {
        page.text(serde_json::to_string_pretty(&self.0).unwrap_or_default());
    }
}

/// The definitions as the server sent them.
#[derive(Serialize)]
struct Inspected {
    name: String,
    server_info: Value,
    revision: String,
    capabilities: Value,
    instructions: Option<String>,
    tools: Vec<Value>,
    prompts: Vec<Value>,
    resources: Vec<Value>,
    templates: Vec<Value>,
    warnings: Vec<String>,
}

impl Inspected {
    fn new(name: &str, catalogue: &Catalogue) -> Self {
        let listed =
            |items: &[crate::tools::model::Listed]| items.iter().map(|item| parsed(&item.json)).collect();
        Self {
            name: name.into(),
            server_info: parsed(&catalogue.server_info),
            revision: catalogue.revision.clone(),
            capabilities: parsed(&catalogue.capabilities),
            instructions: catalogue.instructions.clone(),
            tools: catalogue.tools.iter().map(|tool| parsed(&tool.json)).collect(),
            prompts: listed(&catalogue.prompts),
            resources: listed(&catalogue.resources),
            templates: listed(&catalogue.templates),
            warnings: catalogue.warnings.clone(),
        }
    }
}

impl Output for Inspected {
    const KIND: &'static str = "server.inspect/1";

    fn human(&self, page: &mut Page) {
        let capabilities = self.capabilities.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
        page.heading(&self.name).pairs([
            ("server", server_words(&self.server_info.to_string())),
            ("revision", self.revision.clone()),
            ("abilities", capabilities.unwrap_or_default().join(", ")),
        ]);
        let sections = [
            ("tools", &self.tools, "name"),
            ("prompts", &self.prompts, "name"),
            ("resources", &self.resources, "uri"),
            ("templates", &self.templates, "uriTemplate"),
        ];
        for (title, items, key) in sections {
            if items.is_empty() {
                continue;
            }
            page.blank().heading(format!("{title} ({})", items.len()));
            for item in items.iter() {
                let name = item[key].as_str().unwrap_or("?");
                let about = item["description"].as_str().or(item["title"].as_str()).unwrap_or_default();
                let about = about.lines().next().unwrap_or_default();
                page.bullet(if about.is_empty() { name.to_string() } else { format!("{name}: {about}") });
            }
        }
        if let Some(instructions) = &self.instructions {
            page.blank().heading("instructions").text(instructions);
        }
        for warning in &self.warnings {
            page.mark(crate::ui::State::Warn, warning);
        }
    }
}
