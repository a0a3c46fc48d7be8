//! Paths of steps in a run, and the steps they stand for. Pure.

use crate::workflows::model::{Step, Workflow};

/// The step a path stands for.
pub fn find<'w>(workflow: &'w Workflow, path: &str) -> Option<&'w Step> {
    let (_, id) = split(path);
    by_id(&workflow.steps, id).or_else(|| by_id(&workflow.finally, id))
}

fn by_id<'w>(steps: &'w [Step], id: &str) -> Option<&'w Step> {
    for step in steps {
        if step.id == id {
            return Some(step);
        }
        let inner =
            step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
        if let Some(found) = inner.into_iter().find_map(|steps| by_id(steps, id)) {
            return Some(found);
        }
    }
    None
}

/// The prefix of a path, with its slash, and the id.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rfind('/').map_or(("", path), |at| (&path[..=at], &path[at + 1..]))
}

/// Whether a path stands in steps that deal with a failure or tidy up: `catch`, `fallback`, `finally`.
pub fn is_handler(workflow: &Workflow, path: &str) -> bool {
    let (_, id) = split(path);
    if by_id(&workflow.finally, id).is_some() {
        return true;
    }
    fn among(steps: &[Step], id: &str) -> bool {
        steps.iter().any(|step| {
            let handlers =
                step.action.blocks().into_iter().filter(|(name, _)| matches!(*name, "catch" | "finally"));
            let mut handlers = handlers.map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
            handlers.any(|steps| by_id(steps, id).is_some())
                || step.action.blocks().into_iter().any(|(_, steps)| among(steps, id))
        })
    }
    among(&workflow.steps, id)
}
