//! Checks of the ways to sign in: whether an integration has what its kind needs. The accounts themselves are the
//! business of `umcp connection`; nobody is asked here.

use super::{Area, Check, Facts, Level};
use crate::integrations::Integration;
use crate::ui::text::plural;

pub fn check(facts: &Facts) -> Vec<Check> {
    let checks: Vec<Check> = facts.integrations.iter().filter_map(lacking).collect();
    if !checks.is_empty() {
        return checks;
    }
    let what = match facts.integrations.len() {
        0 => "no integrations, so nothing is missing from them".into(),
        count => format!("{}, nothing missing", plural(count, "integration")),
    };
    vec![Check::new(Area::Accounts, Level::Ok, what)]
}

fn lacking(integration: &Integration) -> Option<Check> {
    let missing = integration.missing();
    if missing.is_empty() {
        return None;
    }
    let name = &integration.name;
    let what = format!("nobody can sign in to `{name}`: it lacks {}", missing.join(", "));
    let flags: Vec<String> = missing.into_iter().map(given).collect();
    let cure = format!("umcp integration configure {name} {}", flags.join(" "));
    Some(Check::new(Area::Accounts, Level::Warn, what).cure(cure))
}

/// A missing flag with what is to be put in.
fn given(flag: &str) -> String {
    match flag.split(' ').next().unwrap_or(flag) {
        "--client-id" => "--client-id ID".into(),
        flag if flag.ends_with("-url") => format!("{flag} URL"),
        flag => flag.into(),
    }
}
