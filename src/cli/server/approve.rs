//! `umcp server approve`: the user has looked at a server - how it is run, what it offers - and wants exactly that.

use super::super::context::Context;
use super::super::known::{Known, is_one_of};
use crate::cli::tool::lint::between;
use crate::error::{Error, Result, codes};
use crate::tools::lint::{self, Severity};
use crate::tools::{self};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Approve a server as it is: how it is run or reached, and every tool it offers
///
/// From then on tools that change or are added are held back until you accept them, and all of them when the command,
/// the address or the names of variables change. The approval is bound to these, never to the name.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp server approve github")]
pub struct Approve {
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
    /// Take the approval back; tools are only watched again
    #[arg(long)]
    revoke: bool,
}

impl Approve {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let known = match self.revoke {
            true => Known::read(ctx)?,
            false => Known::ask(ctx, &|server| is_one_of(server, &self.names))?,
        };
        let mut done = Vec::new();
        for name in &self.names {
            let server = known.server(name)?;
            let tools: Vec<_> = known.tools().filter(|it| it.server.id == server.id).collect();
            let mut findings: Vec<String> = tools
                .iter()
                .flat_map(|it| {
                    let errors = lint::lint(it.tool).into_iter().filter(|it| it.severity == Severity::Error);
                    errors.map(|finding| format!("{}: {}", it.path(), finding.message))
                })
                .collect();
            let between = between(&known).into_iter().filter(|(it, _)| it.server.id == server.id);
            findings.extend(between.map(|(it, finding)| format!("{}: {}", it.path(), finding.message)));
            if !self.revoke {
                if known.catalogue(server).is_none() {
                    let message = format!("nobody knows yet what `{name}` offers");
                    return Err(
                        Error::new(&codes::SERVER_INVALID, message).hint(format!("umcp tool refresh {name}"))
                    );
                }
                ctx.ui.note(&format!("{}: {}", server.name, server.transport.target()));
                let names: Vec<&String> = server.env.keys().collect();
                if !names.is_empty() {
                    ctx.ui.note(&format!("variables: {names:?}"));
                }
                findings.iter().for_each(|finding| ctx.ui.warn(finding));
                let count = text::plural(tools.len(), "tool");
                let question = format!("Approve {name} with exactly this command and its {count}?");
                if !ctx.ui.confirm(&question, false, "--yes")? {
                    return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was approved").hint("give --yes"));
                }
            }
            let fingerprint = (!self.revoke).then(|| server.fingerprint());
            let (server_id, at) = (server.id.clone(), ctx.clock.now());
            ctx.call(tools::Request::Approve { server: server_id, fingerprint: fingerprint.clone(), at })?;
            done.push(Approved { server: server.name.clone(), fingerprint, tools: tools.len(), findings });
        }
        ctx.ui.show(&All { servers: done })
    }
}

#[derive(Serialize)]
struct Approved {
    server: String,
    /// Nothing when the approval was taken back.
    fingerprint: Option<String>,
    tools: usize,
    findings: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    servers: Vec<Approved>,
}

impl Output for All {
    const KIND: &'static str = "server.approved/1";

    fn human(&self, page: &mut Page) {
        for it in &self.servers {
            match it.fingerprint {
                Some(_) => page.mark(
                    State::Ok,
                    format!("approved {} with {}", it.server, text::plural(it.tools, "tool")),
                ),
                None => page.mark(State::Off, format!("{} is no longer approved", it.server)),
            };
        }
    }

    fn ids(&self) -> Vec<String> {
        self.servers.iter().map(|it| it.server.clone()).collect()
    }
}
