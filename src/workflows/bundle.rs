//! A workflow and those it runs, those that are run first: what leaves together, to be stored again in that order. Pure.
//! How that becomes one file is the business of whoever writes it.

use super::Definition;
use super::model::{Action, Runs, Step};
use super::read;
use crate::error::Result;

/// A workflow and all it runs, in the order in which they can be stored again. `find` gives a document by its name.
pub fn gather(name: &str, find: &mut dyn FnMut(&str) -> Result<Definition>) -> Result<Vec<Definition>> {
    let mut order: Vec<Definition> = Vec::new();
    visit(name, find, &mut order, &mut Vec::new())?;
    Ok(order)
}

fn visit(
    name: &str,
    find: &mut dyn FnMut(&str) -> Result<Definition>,
    order: &mut Vec<Definition>,
    open: &mut Vec<String>,
) -> Result<()> {
    // Workflows may run each other; each is there once.
    if open.iter().any(|one| one == name) || order.iter().any(|one| one.name == name) {
        return Ok(());
    }
    open.push(name.into());
    let definition = find(name)?;
    let workflow =
        read::read(&definition.file, &definition.text).map_err(|mut errors| errors.swap_remove(0))?;
    let mut names = Vec::new();
    workflow.steps.iter().chain(&workflow.finally).for_each(|step| runs(step, &mut names));
    for name in names {
        visit(&name, find, order, open)?;
    }
    order.push(definition);
    Ok(())
}

fn runs(step: &Step, names: &mut Vec<String>) {
    if let Action::Run { runs: Runs::Workflow, name, .. } = &step.action {
        names.push(name.clone());
    }
    let inner = step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
    inner.flatten().for_each(|step| runs(step, names));
}
