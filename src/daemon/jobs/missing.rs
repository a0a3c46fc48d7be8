//! Why a tool that was asked for is not there, with the nearest ones that are.

use super::Jobs;
use crate::error::{Error, codes};
use crate::upstream::supervisor::Upstream;
use crate::upstream::view::{View, ViewTool};
use std::sync::Arc;

impl Jobs {
    /// Why a view has no such tool: hidden, or unknown.
    pub(super) fn not_shown(&self, view: &View, target: &str) -> Error {
        let split = target.split_once('.').or_else(|| target.split_once("__"));
        let upstream = split.and_then(|(server, tool)| Some((self.gateway.world().find(server).ok()?, tool)));
        let offered = |(upstream, tool): &(Arc<Upstream>, &str)| {
            upstream.catalogue().is_some_and(|catalogue| catalogue.tools.iter().any(|it| it.name == *tool))
        };
        if upstream.filter(offered).is_none() {
            return tool_not_found(view, target);
        }
        let error = Error::new(&codes::TOOL_DISABLED, format!("the tool `{target}` is hidden"));
        match view.profile.name.as_str() {
            crate::environments::DEFAULT => error.hint(format!("umcp tool enable {target}")),
            profile => error
                .hint(format!("umcp tool enable {target}"))
                .hint(format!("or it is not in profile `{profile}`: umcp profile show {profile}")),
        }
    }
}

/// "No tool named …", with the nearest ones.
fn tool_not_found(view: &View, target: &str) -> Error {
    let dotted = |tool: &ViewTool| format!("{}.{}", tool.upstream.name(), tool.tool);
    let mut near: Vec<(usize, String)> = view
        .tools
        .iter()
        .map(|tool| {
            let name = dotted(tool);
            (
                strsim::damerau_levenshtein(target, &name)
                    .min(strsim::damerau_levenshtein(target, &tool.tool)),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= 3)
        .collect();
    near.sort();
    let error = Error::new(&codes::TOOL_NOT_FOUND, format!("no tool named `{target}`"));
    match near.first() {
        Some((_, name)) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint("umcp tool list").hint(format!("umcp tool search {target}")),
    }
}
