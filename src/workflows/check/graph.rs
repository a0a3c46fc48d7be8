//! Who waits for whom among the steps of a list, and whose results can be seen. Pure.

use crate::documents::Position;
use crate::expressions::{Expression, Step as Part};
use crate::workflows::model::{Action, Step};
use std::collections::{BTreeSet, HashMap};

/// Ids that a step makes visible to those behind it: its own and those within, but not those of loops.
pub(super) fn seen_after(step: &Step) -> BTreeSet<String> {
    let mut ids = BTreeSet::from([step.id.clone()]);
    if !matches!(step.action, Action::Foreach { .. } | Action::Repeat { .. }) {
        for (_, steps) in step.action.blocks() {
            ids.extend(steps.iter().flat_map(seen_after));
        }
    }
    ids.extend(step.fallback.iter().flat_map(seen_after));
    ids
}

pub(super) fn every_id(step: &Step) -> Vec<String> {
    let mut ids = vec![step.id.clone()];
    let inner = step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
    for step in inner.flatten() {
        ids.extend(every_id(step));
    }
    ids
}

/// Every step that a step or those within read.
pub(super) fn gather(step: &Step, read: &mut Vec<(String, Position)>) {
    let mut note = |expression: &Expression| {
        for (path, _) in expression.paths() {
            if let [Part::Key(root), Part::Key(id), ..] = path.as_slice()
                && root == "steps"
            {
                read.push((id.clone(), step.at));
            }
        }
    };
    if let Some(condition) = &step.condition {
        note(&condition.expression);
    }
    if let Action::Repeat { until: Some(until), .. } = &step.action {
        note(&until.expression);
    }
    step.action.visit(&mut |expression, _| note(expression));
    if let Some(key) = &step.idempotency_key {
        key.visit(&mut |expression, _| note(expression));
    }
    let inner = step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
    for step in inner.flatten() {
        gather(step, read);
    }
}

/// For each step of a list the ones it waits for, by their places; `together`: only those it names.
pub fn edges(steps: &[Step], together: bool) -> Vec<BTreeSet<usize>> {
    let index: HashMap<&str, usize> =
        steps.iter().enumerate().rev().map(|(at, step)| (step.id.as_str(), at)).collect();
    let mut edges: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); steps.len()];
    for (at, step) in steps.iter().enumerate() {
        let named = step.depends_on.iter().flatten().map(|(name, _)| name.as_str());
        let named = named.chain(step.reads.iter().map(String::as_str));
        edges[at].extend(named.filter_map(|name| index.get(name).copied()));
        if step.depends_on.is_some() || together {
            continue;
        }
        let first = match step.parallel {
            true => at - steps[..at].iter().rev().take_while(|step| step.parallel).count(),
            false => at,
        };
        // The last one that waits for all before it stands for those.
        let plain = |step: &Step| step.depends_on.is_none() && !step.parallel;
        edges[at].extend(steps[..first].iter().rposition(plain).unwrap_or(0)..first);
    }
    edges
}

/// A circle of the graph, if there is one, in order.
pub(super) fn circle(edges: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0_u8; edges.len()];
    for start in 0..edges.len() {
        let mut way: Vec<(usize, Vec<usize>)> = Vec::new();
        if state[start] == 0 {
            state[start] = 1;
            way.push((start, edges[start].iter().copied().collect()));
        }
        while let Some((at, rest)) = way.last_mut() {
            let Some(to) = rest.pop() else {
                state[*at] = 2;
                way.pop();
                continue;
            };
            match state[to] {
                0 => {
                    state[to] = 1;
                    way.push((to, edges[to].iter().copied().collect()));
                }
                1 => {
                    let from = way.iter().position(|(at, _)| *at == to).unwrap_or(0);
                    return Some(way[from..].iter().map(|(at, _)| *at).collect());
                }
                _ => {}
            }
        }
    }
    None
}
