//! `umcp doctor`: asks the store and the daemon for what they know, runs the checks, shows causes and cures.

use super::context::Context;
use super::gateway;
use super::machine::machine;
use super::schedule;
use crate::daemon::lifecycle;
use crate::engine::Reply;
use crate::error::{Error, Result, codes};
use crate::schedules::Item;
use crate::setup::doctor::{self, Area, Facts, Level, Report, StoreRead};
use crate::store::{ReadOnly, Store};
use crate::ui::{Output, Page, State, text};
use crate::{apps, integrations, secrets, settings, tools, usage};
use clap::{Args, builder::PossibleValuesParser};

/// Check everything, with a cure for each fault
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp doctor\n  umcp doctor --only clients --fix")]
pub struct Doctor {
    /// Run the cures that are safe; `umcp undo` takes edits of files back
    #[arg(long)]
    fix: bool,
    /// Check one area only
    #[arg(long, value_name = "AREA", value_parser = PossibleValuesParser::new(Area::ALL.iter().map(|area| area.word())))]
    only: Option<String>,
}

impl Doctor {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let machine = machine(ctx)?;
        let now = ctx.clock.now();
        let only = self.only.as_deref();
        let only = only.and_then(|word| Area::ALL.iter().copied().find(|area| area.word() == word));
        let mut report = doctor::run(&machine, &facts(ctx), only, now);
        if self.fix {
            report = doctor::fix(report, &machine, now)?;
        }
        if report.failed == 0 {
            return ctx.ui.show(&report);
        }
        let error = Error::new(&codes::DIFFERS, format!("{} failed", text::plural(report.failed, "check")));
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

/// What only the daemon and the store can tell. What cannot be asked is a finding, not a failure.
fn facts(ctx: &Context) -> Facts {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let status = gateway::status(ctx).ok().flatten();
    let catalogues = match ctx.call(tools::Request::Catalogues) {
        Ok(Reply::Tool(tools::Reply::Catalogues(catalogues))) => catalogues,
        _ => Default::default(),
    };
    let daemon =
        lifecycle::running(&ctx.paths).map(|welcome| welcome.map(|welcome| (welcome.pid, welcome.version)));
    let servers = crate::setup::servers(&mut |request| ctx.call(request));
    let checked = match &servers {
        Err(error) => Err(error.clone()),
        // The daemon has the store open: that it answers is all that can be seen from here.
        Ok(_) if matches!(daemon, Ok(Some(_))) => Ok((StoreRead::Served, Vec::new())),
        Ok(_) => check_store(ctx),
    };
    let store_read = checked.as_ref().map_or(StoreRead::Missing, |checked| checked.0);
    let store = checked.map(|checked| checked.1);
    let vault = match ctx.call(secrets::Request::Vault) {
        Ok(Reply::Secret(secrets::Reply::Vault(vault))) => Ok(vault),
        Ok(other) => crate::engine::unexpected(&other),
        Err(error) => Err(error),
    };
    let names = match ctx.call(secrets::Request::List) {
        Ok(Reply::Secret(secrets::Reply::List(all))) => all.into_iter().map(|secret| secret.name).collect(),
        // Told by the check of the vault.
        _ => Vec::new(),
    };
    let schedules = schedule::items(ctx, None).unwrap_or_default();
    let is_on = |item: &&Item| item.schedule.enabled && item.held.is_none();
    Facts {
        schedules: schedules.iter().filter(is_on).count(),
        apps: apps(ctx),
        integrations: integrations(ctx),
        settings: settings::load(&ctx.paths, env),
        daemon,
        store,
        store_read,
        vault,
        secrets: names,
        servers: servers.unwrap_or_default(),
        catalogues,
        http: status.as_ref().map(|status| status.http.clone()).unwrap_or_default(),
        statuses: status.map(|status| status.servers).unwrap_or_default(),
    }
}

/// A store that cannot be read is told by its own check.
fn apps(ctx: &Context) -> Vec<apps::App> {
    match ctx.call(apps::Request::List) {
        Ok(Reply::App(apps::Reply::Apps(apps))) => apps,
        _ => Vec::new(),
    }
}

/// As the apps.
fn integrations(ctx: &Context) -> Vec<integrations::Integration> {
    match ctx.call(integrations::Request::Integrations) {
        Ok(Reply::Integration(integrations::Reply::Integrations(all))) => all,
        _ => Vec::new(),
    }
}

/// Reads every record of a store that nobody has open.
fn check_store(ctx: &Context) -> Result<(StoreRead, Vec<String>)> {
    let unread = |why| Ok((why, Vec::new()));
    let store = match Store::open_read_only(&ctx.paths.store())? {
        ReadOnly::Open(store) => store,
        ReadOnly::Locked => return unread(StoreRead::Busy),
        ReadOnly::NeedsRepair => return unread(StoreRead::Unclean),
        ReadOnly::Missing => return unread(StoreRead::Missing),
    };
    let report = store.check()?;
    let mut problems: Vec<String> = report
        .damage
        .iter()
        .map(|damage| {
            let key = damage.key.as_deref().map(|key| format!(" `{key}`")).unwrap_or_default();
            format!("table `{}`{key}: {}", damage.table, damage.reason)
        })
        .collect();
    if report.pages_whole == Some(false) {
        problems.push("a page of the store is damaged".into());
    }
    // A damaged record was told above, and cannot be added up.
    if problems.is_empty() && !store.read(usage::rollup::differences)?.differences.is_empty() {
        problems.push("the sums of usage are not those of its records (umcp usage check --repair)".into());
    }
    Ok((StoreRead::Whole, problems))
}

impl Output for Report {
    const KIND: &'static str = "doctor/1";

    fn human(&self, page: &mut Page) {
        let mut area = None;
        for check in &self.checks {
            if area != Some(check.area) {
                page.heading(check.area.word());
                area = Some(check.area);
            }
            let state = match check.level {
                Level::Ok | Level::Fixed => State::Ok,
                Level::Info => State::Off,
                Level::Warn => State::Warn,
                Level::Fail => State::Fail,
            };
            let fixed = if check.level == Level::Fixed { "fixed: " } else { "" };
            page.mark(state, format!("{fixed}{}", check.what));
            if let Some(cure) = &check.cure {
                page.text(format!("    cure: {cure}"));
            }
        }
        let counts = [(self.failed, "failed"), (self.warned, "to look at"), (self.fixed, "fixed")];
        let said: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{} {word}", text::plural(*count, "check")))
            .collect();
        let all = text::plural(self.checks.len(), "check");
        page.blank().text(if said.is_empty() {
            format!("{all}, all is well")
        } else {
            format!("{all}: {}", said.join(", "))
        });
        if let Some(id) = self.undo {
            page.text(format!("take the edits back: umcp undo {id}"));
        }
    }
}
