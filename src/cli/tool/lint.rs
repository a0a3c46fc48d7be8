//! `umcp tool lint`: what makes models stumble over definitions. Errors make it fail, warnings do not.

use super::super::context::Context;
use super::super::known::{Known, KnownTool, is_one_of};
use crate::error::{Error, Result, codes};
use crate::tools::lint::{self, Finding, Severity};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Check definitions for what makes models stumble
#[derive(Debug, Args)]
pub struct Lint {
    /// Only tools of these servers
    #[arg(value_name = "SERVER")]
    servers: Vec<String>,
}

/// What is wrong with the tools of all servers together.
pub fn between(known: &Known) -> Vec<(KnownTool<'_>, Finding)> {
    let all: Vec<KnownTool<'_>> = known.tools().filter(|it| it.server.enabled).collect();
    let named: Vec<_> = all.iter().map(|it| (it.server.name.as_str(), it.tool)).collect();
    lint::shadows(&named).into_iter().map(|(index, finding)| (all[index], finding)).collect()
}

#[derive(Serialize)]
struct Report {
    checked: usize,
    findings: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    tool: String,
    #[serde(flatten)]
    finding: Finding,
}

impl Lint {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let known = Known::ask(ctx, &|server| is_one_of(server, &self.servers))?;
        let ids = self.servers.iter().map(|name| known.server(name).map(|server| server.id.as_str()));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let tools: Vec<_> =
            known.tools().filter(|it| ids.is_empty() || ids.contains(&it.server.id.as_str())).collect();
        let items = tools
            .iter()
            .flat_map(|it| lint::lint(it.tool).into_iter().map(|finding| Item { tool: it.path(), finding }));
        let mut findings: Vec<Item> = items.collect();
        findings.extend(
            between(&known)
                .into_iter()
                .filter(|(it, _)| ids.is_empty() || ids.contains(&it.server.id.as_str()))
                .map(|(it, finding)| Item { tool: it.path(), finding }),
        );
        let report = Report { checked: tools.len(), findings };
        let errors = report.findings.iter().filter(|item| item.finding.severity == Severity::Error).count();
        if errors == 0 {
            return ctx.ui.show(&report);
        }
        let error = Error::new(&codes::DIFFERS, format!("{} in definitions", text::plural(errors, "error")));
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

impl Output for Report {
    const KIND: &'static str = "tool.lint/1";

    fn human(&self, page: &mut Page) {
        for Item { tool, finding } in &self.findings {
            let state = if finding.severity == Severity::Error { State::Fail } else { State::Warn };
            page.mark(state, format!("{tool}: {} ({})", finding.message, finding.rule));
        }
        let found = text::plural(self.findings.len(), "finding");
        page.text(format!("{} checked, {found}", text::plural(self.checked, "tool")));
    }

    fn ids(&self) -> Vec<String> {
        let mut tools: Vec<String> = self.findings.iter().map(|item| item.tool.clone()).collect();
        tools.dedup();
        tools
    }
}
