//! What a policy says of a server as a whole: whether anything of it can pass, and what is taken out of whatever it
//! says outside any call. What becomes of one tool, prompt or resource is decided above.

use super::Bound;
use crate::glob;
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::model::{Effect, Rule};
use std::sync::Arc;

impl Bound {
    /// Whether nothing of a server can pass: its instructions and its log belong to nobody then.
    ///
    /// Where the default denies, a rule that allows or asks may open something; whether it does is seen in the lists.
    pub fn closes(&self, server: &str) -> bool {
        let mut here = self.rules().filter(|it| glob::any(&it.rule.servers, server)).peekable();
        if self.policy.default == Effect::Deny && here.peek().is_none() {
            return true;
        }
        let (mut opens, mut closes) = (false, false);
        for it in here {
            let rule = &it.rule;
            opens |= matches!(rule.effect, Effect::Allow | Effect::Ask);
            let names_nothing = rule.tools.is_empty() && rule.prompts.is_empty() && rule.resources.is_empty();
            closes |= rule.effect == Effect::Deny
                && it.is_static()
                && rule.hints.is_empty()
                && rule.labels.is_empty()
                && (names_nothing || keeps_whole(rule, server));
        }
        closes || (self.policy.default == Effect::Deny && !opens)
    }

    /// Whether some rule may open a resource of a server that no list names.
    pub fn may_open_unlisted(&self, server: &str) -> bool {
        let opens = |it: &Arc<Compiled>| {
            let rule = &it.rule;
            matches!(rule.effect, Effect::Allow | Effect::Ask)
                && glob::any(&rule.servers, server)
                && (!rule.resources.is_empty() || (rule.tools.is_empty() && rule.prompts.is_empty()))
        };
        self.rules().any(opens)
    }

    /// Whether what no rule opens is closed.
    pub fn denies_by_default(&self) -> bool {
        self.policy.default == Effect::Deny
    }

    /// What is taken out of whatever a server says outside any call. No tool can be told from it, so that every
    /// rule which redacts something of this server counts, whatever else it asks for.
    pub fn redactions(&self, server: &str) -> Vec<Arc<Compiled>> {
        let redacts =
            |it: &&Arc<Compiled>| it.rule.effect == Effect::Redact && glob::any(&it.rule.servers, server);
        self.rules().filter(redacts).cloned().collect()
    }
}

/// Whether a rule keeps back all tools of a server, and so its prompts and resources.
pub(super) fn keeps_whole(rule: &Rule, server: &str) -> bool {
    let all =
        |it: &String| it == "*" || it.strip_suffix(".*").is_some_and(|pattern| glob::fits(pattern, server));
    matches!(rule.effect, Effect::Deny | Effect::Redact)
        && rule.prompts.is_empty()
        && rule.resources.is_empty()
        && rule.tools.iter().any(all)
}
