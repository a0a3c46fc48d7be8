//! Prompts, resources and templates of all servers, under the names clients see. What a policy leaves of them is
//! `passage`.

use super::ViewItem;
use super::definition::redefine;
use super::merged::declares;
use crate::tools::Catalogue;
use crate::tools::model::Listed;
use crate::upstream::Upstream;
use crate::upstream::names::{Named, assign};
use std::collections::HashMap;
use std::sync::Arc;

type Shown<'a> = [(&'a Arc<Upstream>, Arc<Catalogue>)];

/// Names are given before anything is kept back, so that no decision about one prompt changes the name of another.
pub(super) fn prompts_of(shown: &Shown<'_>) -> Vec<ViewItem> {
    let all =
        || shown.iter().flat_map(|(upstream, it)| it.prompts.iter().map(move |prompt| (*upstream, prompt)));
    let named: Vec<Named<'_>> = all()
        .map(|(upstream, prompt)| Named {
            server: upstream.name(),
            tool: &prompt.key,
            alias: None,
            verbatim: upstream.entry.verbatim,
        })
        .collect();
    let assigned = assign(&named);
    all()
        .zip(assigned)
        .map(|((upstream, prompt), assigned)| ViewItem {
            json: redefine(&prompt.json, &prompt.key, &assigned.exposed, upstream.name()).0,
            exposed: assigned.exposed,
            upstream: upstream.clone(),
            key: prompt.key.clone(),
            gate: None,
        })
        .collect()
}

/// Resources and templates keep their URIs.
pub(super) fn items_of(shown: &Shown<'_>, list: impl Fn(&Catalogue) -> &Vec<Listed>) -> Vec<ViewItem> {
    let mut items = Vec::new();
    for (upstream, catalogue) in shown {
        items.extend(list(catalogue).iter().map(|item| ViewItem {
            exposed: item.key.clone(),
            upstream: (*upstream).clone(),
            key: item.key.clone(),
            json: item.json.clone(),
            gate: None,
        }));
    }
    items
}

/// Of two servers with the same URI the first one has it.
pub(super) fn once_each(items: Vec<ViewItem>, warnings: &mut Vec<String>) -> Vec<ViewItem> {
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut first = Vec::with_capacity(items.len());
    for item in items {
        let name = item.upstream.name();
        match owners.get(&item.key) {
            Some(owner) => {
                warnings.push(format!("`{}` of `{name}` is hidden by that of `{owner}`", item.key));
            }
            None => {
                owners.insert(item.key.clone(), name.into());
                first.push(item);
            }
        }
    }
    first
}

pub(super) fn sole_of(shown: &Shown<'_>) -> Option<Arc<Upstream>> {
    let mut having = shown.iter().filter(|(_, catalogue)| declares(catalogue, "resources"));
    having.next().filter(|_| having.next().is_none()).map(|(upstream, _)| (*upstream).clone())
}
