//! Rules that most people want, ready to be taken over. A preset is copied into the policy; from then on it is the
//! user's own and can be changed like any other rule.

use super::model::{Effect, Hints, Limit, Rule};

/// A preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    pub name: &'static str,
    pub about: &'static str,
    pub rules: Vec<Rule>,
}

fn rule(name: &str, effect: Effect, reason: &str) -> Rule {
    Rule { name: name.into(), effect, reason: Some(reason.into()), ..Rule::default() }
}

/// All presets, in the order of lists.
pub fn all() -> Vec<Preset> {
    let hints = |read_only, destructive, open_world| Hints { read_only, destructive, open_world };
    vec![
        Preset {
            name: "read-only",
            about: "deny every tool that does not say it only reads",
            rules: vec![Rule {
                hints: hints(Some(false), None, None),
                ..rule("read-only", Effect::Deny, "only tools that say they only read may be used")
            }],
        },
        Preset {
            name: "ask-destructive",
            about: "ask before tools that may destroy something, and those that do not say",
            rules: vec![Rule {
                hints: hints(None, Some(true), None),
                ..rule("ask-destructive", Effect::Ask, "the tool may destroy something")
            }],
        },
        Preset {
            name: "no-network",
            about: "deny every tool that does not say it stays on this machine",
            rules: vec![Rule {
                hints: hints(None, None, Some(true)),
                ..rule(
                    "no-network",
                    Effect::Deny,
                    "only tools that say they stay on this machine may be used",
                )
            }],
        },
        Preset {
            name: "flow",
            about: "ask before anything is sent once a client read both untrusted and private things",
            rules: vec![Rule {
                labels: vec!["sends".into()],
                after: vec!["untrusted".into(), "private".into()],
                ..rule(
                    "flow",
                    Effect::Ask,
                    "this client has read untrusted and private things and may now send",
                )
            }],
        },
        Preset {
            name: "hide-keys",
            about: "take what looks like a key out of results",
            rules: vec![Rule {
                redact: vec!["keys".into()],
                ..rule("hide-keys", Effect::Redact, "keys do not belong into a model's context")
            }],
        },
        Preset {
            name: "rate",
            about: "at most 60 calls a minute of each tool by each client",
            rules: vec![Rule {
                limit: Some(Limit { calls: Some(60), per_seconds: Some(60), ..Limit::default() }),
                ..rule("rate", Effect::Limit, "a client that loops is stopped")
            }],
        },
    ]
}

/// The preset of that name.
pub fn find(name: &str) -> Option<Preset> {
    all().into_iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::super::model::Document;
    use super::*;

    #[test]
    fn all_presets_go_together() {
        let rules = all().into_iter().flat_map(|preset| preset.rules).collect();
        let policy = Policy::compile(&Document { rules, ..Document::default() }).unwrap();
        assert_eq!(policy.rules.len(), all().len());
        assert_eq!(policy.tracked.len(), 2);
    }
}
