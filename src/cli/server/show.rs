//! `umcp server show`: one entry, what it offers, and how it runs.

use super::super::context::Context;
use super::super::known::one_server;
use super::run;
use crate::engine::live::ServerStatus;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::sandbox::{Net, Sandbox};
use crate::servers::formats::own::write_time;
use crate::servers::formats::shut::write_size;
use crate::servers::view::ServerView;
use crate::tools::{self, Catalogue};
use crate::ui::{Output, Page, text};
use clap::Args;
use serde::Serialize;

/// Show everything known about one server
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "SERVER")]
    name: String,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: ServerView,
    catalogue: Option<Offer>,
    status: Option<ServerStatus>,
}

/// A catalogue in figures.
#[derive(Serialize)]
struct Offer {
    server: String,
    revision: String,
    tools: usize,
    prompts: usize,
    resources: usize,
    templates: usize,
    warnings: Vec<String>,
    fetched: String,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let statuses = run::statuses_if_running(ctx)?;
        let server = one_server(ctx, &self.name)?;
        let catalogue = stored_catalogue(ctx, &server.id)?;
        ctx.ui.show(&Shown {
            status: statuses.into_iter().flatten().find(|status| status.id == server.id),
            catalogue: catalogue.as_ref().map(Offer::from),
            entry: ServerView::from(&server),
        })
    }
}

/// What a server offers, if it was ever asked.
pub fn stored_catalogue(ctx: &Context, id: &str) -> Result<Option<Catalogue>> {
    match ctx.call(tools::Request::Catalogue { server: id.into() })? {
        Reply::Tool(tools::Reply::Catalogue(catalogue)) => Ok(catalogue.map(|catalogue| *catalogue)),
        other => engine::unexpected(&other),
    }
}

impl From<&Catalogue> for Offer {
    fn from(catalogue: &Catalogue) -> Self {
        Self {
            server: server_words(&catalogue.server_info),
            revision: catalogue.revision.clone(),
            tools: catalogue.tools.len(),
            prompts: catalogue.prompts.len(),
            resources: catalogue.resources.len(),
            templates: catalogue.templates.len(),
            warnings: catalogue.warnings.clone(),
            fetched: catalogue.fetched.rfc3339(),
        }
    }
}

/// Name and version out of a `serverInfo`.
pub fn server_words(info: &str) -> String {
    let info: serde_json::Value = serde_json::from_str(info).unwrap_or_default();
    let word = |key: &str| info[key].as_str().unwrap_or_default();
    format!("{} {}", word("name"), word("version")).trim().to_string()
}

impl Output for Shown {
    const KIND: &'static str = "server.show/1";

    fn human(&self, page: &mut Page) {
        let entry = &self.entry;
        page.heading(&entry.name);
        let mut pairs = vec![
            ("state", self.state()),
            ("transport", entry.transport.into()),
            ("target", entry.target.clone()),
        ];
        let lines = |values: &std::collections::BTreeMap<String, String>| {
            values.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("\n")
        };
        let limits = &entry.limits;
        let optional = [
            ("description", entry.description.clone().unwrap_or_default()),
            ("env", lines(&entry.env)),
            ("headers", lines(&entry.headers)),
            ("directory", entry.cwd.clone().unwrap_or_default()),
            ("tags", entry.tags.join(", ")),
            ("roots", entry.roots.join("\n")),
            ("only tools", entry.tools.include.join(", ")),
            ("without tools", entry.tools.exclude.join(", ")),
            ("start within", limits.start_timeout_ms.map(write_time).unwrap_or_default()),
            ("calls within", limits.call_timeout_ms.map(write_time).unwrap_or_default()),
            ("sandbox", shut_in(&entry.sandbox)),
            ("stops after", limits.idle_stop_ms.map(write_time).unwrap_or_default()),
            ("from", entry.origin.clone().unwrap_or_default()),
        ];
        pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        pairs.push(("id", entry.id.clone()));
        page.pairs(pairs).blank();
        let Some(offer) = &self.catalogue else {
            page.text(format!("it was never asked what it offers: umcp tool refresh {}", entry.name));
            return;
        };
        page.pairs([
            ("server", format!("{} (revision {})", offer.server, offer.revision)),
            ("offers", offer.words()),
            ("as of", offer.fetched.clone()),
        ]);
        for warning in &offer.warnings {
            page.bullet(warning);
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.entry.name.clone()]
    }
}

/// What the entry itself says; what it leaves open is the settings' to say.
fn shut_in(sandbox: &Sandbox) -> String {
    let list = |word: &str, items: &[String]| {
        (!items.is_empty()).then(|| format!("{word} {}", items.join(", "))).into_iter().collect::<Vec<_>>()
    };
    let guards: Vec<String> = sandbox.require.iter().map(|guard| guard.word().into()).collect();
    let size = |word: &str, bytes: Option<u64>| {
        bytes.map(|bytes| format!("{word} at most {}", write_size(bytes))).into_iter().collect::<Vec<_>>()
    };
    let mut lines: Vec<String> = sandbox.profile.map(|base| base.word().into()).into_iter().collect();
    lines.extend(list("reads", &sandbox.read));
    lines.extend(list("writes", &sandbox.write));
    lines.extend(list("connects to", &sandbox.net.as_ref().map(Net::words).unwrap_or_default()));
    lines.extend(list("requires", &guards));
    lines.extend(size("memory", sandbox.memory));
    lines.extend(sandbox.processes.map(|count| format!("processes at most {count}")));
    lines.extend(size("disk", sandbox.disk));
    lines.join("\n")
}

impl Offer {
    fn words(&self) -> String {
        [
            text::plural(self.tools, "tool"),
            text::plural(self.prompts, "prompt"),
            text::plural(self.resources, "resource"),
            text::plural(self.templates, "template"),
        ]
        .join(", ")
    }
}

impl Shown {
    fn state(&self) -> String {
        match &self.status {
            Some(status) => match status.pid {
                Some(pid) => format!("{} (pid {pid})", status.state.word()),
                None => status.state.word().into(),
            },
            None if self.entry.enabled => "enabled".into(),
            None => "disabled".into(),
        }
    }
}
