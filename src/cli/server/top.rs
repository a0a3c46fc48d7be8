//! `umcp server top`: the running servers, again and again.

use super::super::context::Context;
use super::super::interrupt;
use super::run::{self, Statuses};
use crate::engine::live::ServerStatus;
use crate::error::Result;
use crate::servers::formats::own::parse_time;
use crate::ui::{Output, Page};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::time::Duration;

/// Watch servers live
#[derive(Debug, Args)]
pub struct Top {
    /// What to sort by, largest first
    #[arg(long, value_enum, default_value = "cpu")]
    sort: Key,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    interval: u64,
    /// End after so many looks
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Key {
    Cpu,
    Memory,
    Calls,
    Name,
}

impl Top {
    pub fn run(self, ctx: &Context) -> Result<()> {
        interrupt::watch();
        let mut looks = 0;
        while !ctx.ui.closed() && !interrupt::happened() {
            let Some(mut statuses) = run::statuses_if_running(ctx)? else {
                ctx.ui.note("no daemon is running, so no server is");
                break;
            };
            self.sort(&mut statuses);
            self.draw(ctx, statuses);
            looks += 1;
            if self.count == Some(looks) {
                break;
            }
            interrupt::wait(Duration::from_millis(self.interval.max(100)));
        }
        ctx.ui.finish_stream(&json!({"ok": true, "looks": looks}));
        Ok(())
    }

    fn sort(&self, statuses: &mut [ServerStatus]) {
        match self.sort {
            Key::Cpu => statuses.sort_by_key(|status| std::cmp::Reverse(status.cpu_ms)),
            Key::Memory => statuses.sort_by_key(|status| std::cmp::Reverse(status.memory)),
            Key::Calls => statuses.sort_by_key(|status| std::cmp::Reverse(status.calls)),
            Key::Name => statuses.sort_by(|a, b| a.name.cmp(&b.name)),
        }
    }

    fn draw(&self, ctx: &Context, statuses: Vec<ServerStatus>) {
        let statuses = Statuses(statuses);
        let mut page = Page::default();
        statuses.human(&mut page);
        let text = page.render(ctx.ui.look());
        let is_terminal = ctx.ui.look().width.is_some() && !ctx.ui.is_json();
        if is_terminal {
            // Home, then clear what is below: less flicker than clearing first.
            let _ = ctx.ui.raw(&format!("\u{1b}[H\u{1b}[J{text}"));
        } else {
            ctx.ui.line(&json!({"type": "servers", "servers": statuses}), text.trim_end());
        }
    }
}
