//! `umcp connection list` and `show`.

use super::super::context::Context;
use super::all;
use super::view::{Targets, View};
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::integrations::{self, Request, life};
use crate::ui::{Cell, Column, Output, Page, Table, text};
use clap::Args;
use serde::Serialize;

/// List accounts that signed in
#[derive(Debug, Default, Args)]
pub struct List {
    /// Only those of this person
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// Only those nobody has used for so many days
    #[arg(long, value_name = "DAYS")]
    stale: Option<u64>,
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (now, targets) = (ctx.clock.now(), Targets::load(ctx)?);
        let wanted = |row: &&integrations::Connection| {
            self.user.as_ref().is_none_or(|user| row.user.as_ref() == Some(user))
                && self.stale.is_none_or(|days| life::is_stale(row, days, now))
        };
        let rows = all(ctx)?;
        let views = rows.iter().filter(wanted).map(|row| View::new(row, &targets, now)).collect();
        ctx.ui.show(&Connections { now, views })
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Connections {
    views: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

impl Output for Connections {
    const KIND: &'static str = "connection.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("for"),
            Column::new("state"),
            Column::new("user").optional(3),
            Column::new("default").optional(2),
            Column::new("token ends").optional(1),
            Column::new("last used").optional(4),
        ];
        let mut table = Table::new("no accounts yet; sign in: umcp connection create SERVER", columns);
        for view in &self.views {
            let ends = match view.ends {
                Some(_) if view.renews_itself => "renews itself".into(),
                Some(ends) => text::ago(self.now, ends),
                None => "never".into(),
            };
            table.row([
                Cell::from(&view.name),
                view.target.as_str().into(),
                Cell::state(view.mark(), view.state),
                view.user.as_deref().unwrap_or("-").into(),
                if view.default { "yes" } else { "-" }.into(),
                ends.into(),
                view.used.map_or("-".into(), |used| text::ago(self.now, used)).into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.views.iter().map(|view| view.name.clone()).collect()
    }
}

/// Show one account; its tokens are never shown
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "CONNECTION")]
    name: String,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match ctx.call(Request::Connection { name: self.name })? {
            Reply::Integration(integrations::Reply::Connection(row)) => {
                let view = View::new(&row, &Targets::load(ctx)?, ctx.clock.now());
                ctx.ui.show(&Shown(view))
            }
            other => engine::unexpected(&other),
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(View);

impl Output for Shown {
    const KIND: &'static str = "connection.show/1";

    fn human(&self, page: &mut Page) {
        let view = &self.0;
        page.heading(&view.name);
        let mut pairs =
            vec![("for", view.target.clone()), ("state", view.state.into()), ("kind", view.kind.into())];
        let optional = [
            ("user", view.user.clone()),
            ("default", view.default.then(|| "yes".into())),
            ("profiles", Some(view.profiles.join(", "))),
            ("directories", Some(view.directories.join("\n"))),
            ("issuer", view.issuer.clone()),
            ("scopes", Some(view.scopes.join(" "))),
            ("asked for since", Some(view.wanted_scopes.join(" "))),
            ("signed in", Some(view.signed_in.clone())),
            ("token ends", view.expires.clone()),
            (
                "renews itself",
                view.renews_itself
                    .then(|| format!("yes, {} so far", text::plural(view.refreshes as usize, "time"))),
            ),
            ("last used", view.last_used.clone()),
            ("last error", view.last_error.clone()),
            ("odd", Some(view.oddities.join("\n"))),
        ];
        for (name, value) in optional {
            pairs.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        page.pairs(pairs);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}
