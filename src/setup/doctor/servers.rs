//! Checks of the servers: their programs are found, by desktop apps too, they answer, their tools are well formed
//! and no two tools go by one name. Nothing is started.

use super::{Area, Check, Facts, Level};
use crate::apps::App;
use crate::apps::model::Setting;
use crate::clients::CLIENTS;
use crate::clock::Timestamp;
use crate::servers::model::{Server, Transport};
use crate::servers::references::{Reference, references};
use crate::setup::{Machine, clientfiles, programs, scan};
use crate::ui::text::plural;
use std::collections::BTreeMap;

pub fn check(machine: &Machine<'_>, facts: &Facts, now: Timestamp) -> Vec<Check> {
    let enabled: Vec<&Server> = facts.servers.iter().filter(|server| server.enabled).collect();
    let path = (machine.env)("PATH").unwrap_or_default();
    let desktop = CLIENTS
        .iter()
        .filter(|client| programs::is_desktop(client.id))
        .any(|client| clientfiles::look(client, machine, now).connected());
    let mut checks: Vec<Check> =
        enabled.iter().filter_map(|server| program(server, &path, desktop)).collect();
    checks.extend(enabled.iter().filter_map(|server| unset(server, machine, &facts.secrets)));
    checks.extend(enabled.iter().filter_map(|server| unconfigured(server, &facts.apps)));
    checks.extend(facts.servers.iter().filter_map(plain));
    checks.extend(facts.statuses.iter().filter_map(|status| {
        if !status.state.is_failing() {
            return None;
        }
        let why = status.last_error.as_deref().unwrap_or("it did not say why");
        let what = format!("`{}` fails ({}): {why}", status.name, status.state.word());
        Some(Check::new(Area::Servers, Level::Fail, what).cure(format!("umcp server test {}", status.name)))
    }));
    for server in &enabled {
        for warning in facts.catalogues.get(&server.id).iter().flat_map(|catalogue| &catalogue.warnings) {
            let what = format!("`{}`: {warning}", server.name);
            checks.push(
                Check::new(Area::Servers, Level::Warn, what)
                    .cure(format!("umcp server test {}", server.name)),
            );
        }
    }
    checks.extend(clashes(&enabled, facts));
    if checks.is_empty() {
        let what = format!("{} enabled, nothing wrong with them", plural(enabled.len(), "server"));
        checks.push(Check::new(Area::Servers, Level::Ok, what));
    }
    checks
}

fn program(server: &Server, path: &str, desktop: bool) -> Option<Check> {
    let Transport::Stdio { command, .. } = &server.transport else { return None };
    // A reference is resolved when the server is started; what it will be is not known here.
    if command.contains("${") {
        return None;
    }
    let own = server.env.get("PATH").filter(|value| !value.contains("${"));
    let edit = format!("umcp server edit {}", server.name);
    let Some(place) = programs::find(command, own.map_or(path, String::as_str)) else {
        let what = format!("`{}` starts `{command}`, which is not there", server.name);
        return Some(Check::new(Area::Servers, Level::Fail, what).cure(edit));
    };
    let seen = own.is_some() || programs::find(command, programs::DESKTOP_PATH).is_some();
    if seen || !desktop {
        return None;
    }
    let folder = place.parent().unwrap_or(&place).display();
    let what = format!(
        "`{}` starts `{command}`, which your shell finds in {folder} and apps started from the desktop do not",
        server.name
    );
    let cure = format!("{edit}    # env: PATH: {folder}:{}", programs::DESKTOP_PATH);
    Some(Check::new(Area::Servers, Level::Warn, what).cure(cure))
}

/// What an entry refers to and is not there. The daemon may have been started with other variables than these, so
/// it is no more than a warning.
fn unset(server: &Server, machine: &Machine<'_>, vault: &[String]) -> Option<Check> {
    let file = machine.paths.secrets_file();
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let in_file = |name: &str| {
        let names = kept.lines().filter_map(|line| line.trim().split_once('='));
        names.map(|(known, _)| known.trim_start_matches("export ").trim()).any(|known| known == name)
    };
    let set = |name: &str| (machine.env)(name).is_some();
    let missing: Vec<String> = references(server)
        .into_iter()
        .filter_map(|reference| match reference {
            Reference::Variable(name) => (!set(&name)).then(|| format!("the variable `{name}`")),
            Reference::Secret(name) => {
                let known = vault.contains(&name) || set(&name) || in_file(&name);
                (!known).then(|| format!("the secret `{name}`"))
            }
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    let what = format!("`{}` needs {}, not set here", server.name, missing.join(" and "));
    let secret = references(server).into_iter().find_map(|reference| match reference {
        Reference::Secret(name) if missing.contains(&format!("the secret `{name}`")) => Some(name),
        _ => None,
    });
    let cure = match secret {
        Some(name) => format!("umcp secret set {name}"),
        None => "set it where umcp is started".into(),
    };
    Some(Check::new(Area::Servers, Level::Warn, what).cure(cure))
}

/// Keys that stand in an entry as they are.
fn plain(server: &Server) -> Option<Check> {
    let keys = scan::plain_keys(server);
    let what =
        format!("`{}` holds {} as it stands: {}", server.name, plural(keys.len(), "key"), keys.join(", "));
    let check = || Check::new(Area::Servers, Level::Warn, what).cure("umcp secret scan --move");
    (!keys.is_empty()).then(check)
}

/// Settings of an app that have neither a value nor a default.
fn unconfigured(server: &Server, apps: &[App]) -> Option<Check> {
    let Transport::App { name } = &server.transport else { return None };
    let definition = apps.iter().find(|app| app.name == *name)?.definition().ok()?;
    let open = |setting: &&Setting| setting.default.is_none() && !server.env.contains_key(&setting.name);
    let open: Vec<&Setting> = definition.settings.iter().filter(open).collect();
    let names: Vec<&str> = open.iter().map(|setting| setting.name.as_str()).collect();
    let word = |setting: &&Setting| match setting.secret {
        true => format!("{0}=secret://{0}", setting.name),
        false => format!("{}=VALUE", setting.name),
    };
    let words: Vec<String> = open.iter().map(word).collect();
    let what = format!("the app `{}` has no value for {}", server.name, names.join(", "));
    let cure = format!("umcp app configure {} {}", server.name, words.join(" "));
    (!open.is_empty()).then(|| Check::new(Area::Servers, Level::Warn, what).cure(cure))
}

/// Tools of verbatim servers that go by the same name.
fn clashes(enabled: &[&Server], facts: &Facts) -> Vec<Check> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in enabled.iter().filter(|server| server.verbatim) {
        for tool in facts.catalogues.get(&server.id).iter().flat_map(|catalogue| &catalogue.tools) {
            owners.entry(&tool.name).or_default().push(&server.name);
        }
    }
    owners
        .into_iter()
        .filter(|(_, owners)| owners.len() > 1)
        .map(|(tool, owners)| {
            let what =
                format!("{} all have a tool `{tool}` and show it without a prefix", owners.join(" and "));
            Check::new(Area::Servers, Level::Warn, what).cure(format!("umcp server edit {}", owners[1]))
        })
        .collect()
}
