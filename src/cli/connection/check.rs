//! `umcp connection validate` asks a provider; `health` looks at what is known without asking anybody.

use super::super::context::Context;
use super::view::{Targets, View};
use super::{all, ask, odd};
use crate::engine::accounts::{AccountReply, AccountRequest, Checked};
use crate::error::{Error, Result, codes};
use crate::integrations::life;
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Ask the provider or the server whether an account still works
#[derive(Debug, Args)]
pub struct Validate {
    #[arg(value_name = "CONNECTION")]
    name: String,
}

impl Validate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let checked = match ask(ctx, AccountRequest::Validate { name: self.name })? {
            AccountReply::Checked(checked) => checked,
            other => return odd(&other),
        };
        let valid = Valid::new(&checked);
        if checked.ok {
            return ctx.ui.show(&valid);
        }
        let message =
            format!("`{}` does not work: {}", valid.name, valid.detail.as_deref().unwrap_or("refused"));
        let error =
            Error::new(&codes::DIFFERS, message).hint(format!("umcp connection create {}", valid.name));
        ctx.ui.show_failed(&valid, &error)?;
        Err(error)
    }
}

#[derive(Serialize)]
struct Valid {
    name: String,
    ok: bool,
    asked: String,
    detail: Option<String>,
}

impl Valid {
    fn new(checked: &Checked) -> Self {
        Self {
            name: checked.connection.name.clone(),
            ok: checked.ok,
            asked: checked.asked.clone(),
            detail: checked.detail.clone(),
        }
    }
}

impl Output for Valid {
    const KIND: &'static str = "connection.validate/1";

    fn human(&self, page: &mut Page) {
        let detail = self.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
        let state = if self.ok { State::Ok } else { State::Fail };
        page.mark(state, format!("{} ({}){detail}", self.name, self.asked));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Show which accounts need attention: ended, unused, or odd
#[derive(Debug, Args)]
pub struct Health {
    /// Call an account unused after so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    stale: u64,
}

impl Health {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (now, targets) = (ctx.clock.now(), Targets::load(ctx)?);
        let found: Vec<Finding> = all(ctx)?
            .iter()
            .map(|row| {
                let view = View::new(row, &targets, now);
                let unused = life::is_stale(row, self.stale, now);
                Finding { stale: unused, view }
            })
            .collect();
        let bad = found.iter().filter(|finding| finding.view.health.is_warning()).count();
        let report = Report(found);
        if bad == 0 {
            return ctx.ui.show(&report);
        }
        let error = Error::new(&codes::DIFFERS, format!("{} attention", needs(bad)))
            .hint("umcp connection create NAME signs in again");
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

fn needs(count: usize) -> String {
    format!("{} {}", text::plural(count, "account"), if count == 1 { "needs" } else { "need" })
}

#[derive(Serialize)]
struct Finding {
    #[serde(flatten)]
    view: View,
    stale: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Vec<Finding>);

impl Output for Report {
    const KIND: &'static str = "connection.health/1";

    fn human(&self, page: &mut Page) {
        for Finding { view, stale } in &self.0 {
            let mut words = vec![view.state.to_string()];
            if *stale {
                words.push("unused for long".into());
            }
            words.extend(view.oddities.iter().cloned());
            words.extend(view.last_error.clone());
            let state = match view.mark() {
                State::Ok if *stale || !view.oddities.is_empty() => State::Warn,
                state => state,
            };
            page.mark(state, format!("{}: {}", view.name, words.join("; ")));
        }
        if self.0.is_empty() {
            page.text("no accounts yet");
        }
    }

    fn ids(&self) -> Vec<String> {
        let bad = self.0.iter().filter(|finding| finding.view.health.is_warning());
        bad.map(|finding| finding.view.name.clone()).collect()
    }
}
