//! `umcp tool budget`: what definitions cost in a model's context, beside the calls that were really made.
//! Figures are estimates at four bytes a token, from the stored catalogues; no server is started.

use super::super::context::{self, CLIENT, Context};
use super::super::known::{Known, is_one_of};
use crate::clock::Timestamp;
use crate::engine::live::{Live, LiveReply};
use crate::engine::{self, Reply};
use crate::environments::{self, DEFAULT, Mode, Profile};
use crate::error::{Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, Table, text};
use crate::usage::{self, Count};
use clap::Args;
use serde::Serialize;

/// Show what definitions cost in a model's context
///
/// Tokens are estimated at four bytes each. Tools that cost much and are never called are what a profile in search
/// mode, or `umcp tool disable`, saves.
#[derive(Debug, Args)]
pub struct Budget {
    /// Only tools of this server, one by one
    #[arg(long, short, value_name = "SERVER")]
    server: Option<String>,
    /// Choose the tools that fit into so many tokens: those called most for what they cost first
    #[arg(long, value_name = "TOKENS")]
    fit: Option<u64>,
    /// Make a profile of the tools that were chosen
    #[arg(long, value_name = "NAME", requires = "fit")]
    save: Option<String>,
    /// Count calls of so many days
    #[arg(long, value_name = "N", default_value_t = 30)]
    days: u64,
}

#[derive(Serialize)]
struct Report {
    days: u64,
    /// Tokens of every shown tool together, umcp's own left out.
    full_tokens: u64,
    /// What a client's list costs in each mode; empty when no daemon runs to write those lists.
    modes: Vec<ModeLine>,
    servers: Vec<Line>,
    tools: Vec<Line>,
    /// What `--fit` chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
    #[serde(skip)]
    one_by_one: bool,
}

#[derive(Serialize)]
struct Fit {
    limit: u64,
    tokens: u64,
    tools: Vec<String>,
    /// Calls of the last days to tools that were left out.
    calls_left_out: u64,
    profile: Option<String>,
}

#[derive(Serialize)]
struct ModeLine {
    mode: Mode,
    tools: usize,
    tokens: u64,
}

#[derive(Serialize)]
struct Line {
    name: String,
    tools: u64,
    tokens: u64,
    calls: u64,
}

impl Budget {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let since = Timestamp::from_millis(ctx.clock.now().millis().saturating_sub(self.days * 86_400_000));
        let counts = match ctx.call(usage::Request::Counts { since })? {
            Reply::Usage(usage::Reply::Counts(counts)) => counts,
            other => return engine::unexpected(&other),
        };
        let names: Vec<String> = self.server.iter().cloned().collect();
        let known = Known::ask(ctx, &|server| is_one_of(server, &names))?;
        let only = names.first().map(|name| known.server(name)).transpose()?;
        let calls = |server: &str, tool: &str| {
            counts
                .iter()
                .find(|count: &&Count| count.server == server && count.tool == tool)
                .map_or(0, |count| count.calls)
        };
        let wanted =
            known.tools().filter(|it| it.enabled() && only.is_none_or(|only| only.id == it.server.id));
        let mut tools: Vec<(String, Line)> = wanted
            .map(|it| {
                let calls = calls(&it.server.name, &it.tool.name);
                (it.server.name.clone(), Line { name: it.path(), tools: 1, tokens: it.tool.tokens(), calls })
            })
            .collect();
        tools.sort_by_key(|(_, line)| std::cmp::Reverse(line.tokens));
        let fit = self.fit.map(|limit| fit(limit, tools.iter().map(|(_, line)| line)));
        let fit = fit.map(|chosen| self.save(ctx, chosen)).transpose()?;
        let modes = modes(ctx)?;
        if modes.is_empty() && !tools.is_empty() {
            ctx.ui
                .note("no daemon is running; with one the modes are compared (umcp gateway start --detach)");
        }
        ctx.ui.show(&Report {
            modes,
            days: self.days,
            full_tokens: tools.iter().map(|(_, line)| line.tokens).sum(),
            servers: by_server(&tools),
            tools: tools.into_iter().map(|(_, line)| line).collect(),
            fit,
            one_by_one: self.server.is_some(),
        })
    }

    /// Makes the profile that was asked for.
    fn save(&self, ctx: &Context, mut fit: Fit) -> Result<Fit> {
        let Some(name) = &self.save else { return Ok(fit) };
        if fit.tools.is_empty() {
            let message = format!("no tool fits into {} tokens", fit.limit);
            return Err(Error::new(&codes::VALUE_INVALID, message).hint("umcp tool budget"));
        }
        let profile = Profile { name: name.clone(), include: fit.tools.clone(), ..Profile::default() };
        ctx.call(environments::Request::Create { profile })?;
        fit.profile = Some(name.clone());
        Ok(fit)
    }
}

/// The tools with the most calls for their tokens, as long as they fit. Tools that nobody called only take room, unless
/// none was called at all: then the small ones are chosen.
fn fit<'l>(limit: u64, tools: impl Iterator<Item = &'l Line>) -> Fit {
    let mut tools: Vec<&Line> = tools.collect();
    let any = tools.iter().any(|line| line.calls > 0);
    let worth = |line: &Line| u128::from(line.calls) * 1_000_000 / u128::from(line.tokens.max(1));
    tools.sort_by(|left, right| {
        (worth(right), left.tokens, &left.name).cmp(&(worth(left), right.tokens, &right.name))
    });
    let mut fit = Fit { limit, tokens: 0, tools: Vec::new(), calls_left_out: 0, profile: None };
    for line in tools.into_iter().filter(|line| line.calls > 0 || !any) {
        if fit.tokens + line.tokens <= limit {
            fit.tokens += line.tokens;
            fit.tools.push(line.name.clone());
        } else {
            fit.calls_left_out += line.calls;
        }
    }
    fit.tools.sort();
    fit
}

/// The lists as clients get them, umcp's own tools included.
fn modes(ctx: &Context) -> Result<Vec<ModeLine>> {
    let mut lines = Vec::new();
    for mode in [Mode::Full, Mode::Hybrid, Mode::Search] {
        let view = Live::View { profile: Some(DEFAULT.into()), client: CLIENT.into(), mode: Some(mode) };
        let text = match ctx.live_if_running(view)? {
            Some(LiveReply::View(text)) => text,
            Some(other) => return context::unexpected(&other),
            None => return Ok(Vec::new()),
        };
        let tools: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
        lines.push(ModeLine { mode, tools: tools.len(), tokens: (text.len() as u64).div_ceil(4) });
    }
    Ok(lines)
}

fn by_server(tools: &[(String, Line)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (server, tool) in tools {
        match lines.iter_mut().find(|line| line.name == *server) {
            Some(line) => {
                line.tools += 1;
                line.tokens += tool.tokens;
                line.calls += tool.calls;
            }
            None => {
                lines.push(Line { name: server.clone(), tools: 1, tokens: tool.tokens, calls: tool.calls })
            }
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.tokens));
    lines
}

impl Fit {
    fn show(&self, page: &mut Page) {
        let (tools, tokens) = (text::plural(self.tools.len(), "tool"), text::number(self.tokens));
        page.text(format!("fit into {} tokens: {tools}, {tokens} tokens", text::number(self.limit)));
        for tool in &self.tools {
            page.bullet(tool.clone());
        }
        if self.calls_left_out > 0 {
            page.text(format!("calls to tools that did not fit: {}", text::number(self.calls_left_out)));
        }
        match &self.profile {
            Some(profile) => page.text(format!("made the profile {profile}")),
            None => page.text("--save NAME makes a profile of them"),
        };
        page.blank();
    }
}

impl Output for Report {
    const KIND: &'static str = "tool.budget/1";

    fn human(&self, page: &mut Page) {
        let (title, lines) = if self.one_by_one { ("tool", &self.tools) } else { ("server", &self.servers) };
        let columns = [
            Column::new(title),
            Column::new("tools").right().optional(1),
            Column::new("tokens").right(),
            Column::new("calls").right(),
        ];
        let mut table = Table::new("no tools are known; ask the servers: umcp tool refresh", columns);
        for line in lines {
            let figure = |number| Cell::from(text::number(number));
            table.row([Cell::from(&line.name), figure(line.tools), figure(line.tokens), figure(line.calls)]);
        }
        page.table(table);
        if let Some(fit) = &self.fit {
            fit.show(page);
        }
        let unused: Vec<&Line> = self.tools.iter().filter(|line| line.calls == 0).collect();
        let unused_tokens: u64 = unused.iter().map(|line| line.tokens).sum();
        if !self.tools.is_empty() {
            page.blank();
            for line in &self.modes {
                let tools = text::plural(line.tools, "tool");
                let tokens = text::number(line.tokens);
                page.bullet(format!(
                    "{} mode: {tools}, about {tokens} tokens in every request",
                    line.mode.word()
                ));
            }
            page.text(format!("these tools together: about {} tokens", text::number(self.full_tokens)));
            let tools = text::plural(unused.len(), "tool");
            page.text(format!(
                "never called in {}: {tools}, {} tokens",
                text::plural(usize::try_from(self.days).unwrap_or(usize::MAX), "day"),
                text::number(unused_tokens)
            ));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.tools.iter().map(|line| line.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_most_for_its_tokens_fits_first() {
        let line = |name: &str, tokens, calls| Line { name: name.into(), tools: 1, tokens, calls };
        let chosen = |limit, lines: &[Line]| {
            let fit = fit(limit, lines.iter());
            (fit.tools.join(" "), fit.tokens, fit.calls_left_out)
        };
        let lines = [line("a", 100, 10), line("b", 500, 60), line("c", 50, 1), line("d", 10, 0)];
        assert_eq!(chosen(1000, &lines), ("a b c".into(), 650, 0));
        assert_eq!(chosen(160, &lines), ("a c".into(), 150, 60));
        assert_eq!(chosen(0, &lines), (String::new(), 0, 71));
        assert_eq!(chosen(60, &[line("x", 50, 0), line("y", 10, 0), line("z", 5, 0)]), ("y z".into(), 15, 0));
    }
}
