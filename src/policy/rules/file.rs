//! Reads a policy file. What is refused is refused with its place: a misspelt field, a pattern that is none, a role
//! that nobody has. Writing is `documents::write_yaml`.

use super::compile::{Policy, compile};
use super::model::Document;
use crate::documents::{self, Source, node};
use crate::error::Result;

/// Reads a file's text; `path` names it in errors.
///
/// # Errors
/// `FILE_INVALID`, `FIELD_UNKNOWN`, `POLICY_INVALID`, `NAME_INVALID`, with file, line and column.
pub fn parse(path: &str, text: &str) -> Result<Document> {
    let tree = documents::parse(path, text)?;
    let source = Source::new(path, text);
    let document: Document = node::into_typed(&source, &tree)?;
    let places = tree.get("rules").map(documents::Node::items).unwrap_or_default();
    for (rule, place) in document.rules.iter().zip(places) {
        compile(rule).map_err(|error| error.at(source.span(place.at)))?;
    }
    // What is wrong between rules: two of one name, a role without a definition in a file that defines roles.
    if !document.roles.is_empty() {
        Policy::compile(&document).map_err(|error| error.at(source.span(tree.at)))?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes;
    use crate::policy::rules::model::{Effect, Hints, Limit, Role, Rule};

    #[test]
    fn a_file_is_read_whole() {
        let text = "default: ask
labels: {private: ['mail.*']}
roles:
  guest: {clients: [chat*], tokens: [ci]}
rules:
  - name: no-push
    effect: deny
    roles: [guest]
    tools: ['git.push*']
    arguments: {branch: 're:^main$'}
    hints: {destructive: true}
    hours: 09:00-18:00
    days: [mon, fri]
    reason: not from there
  - {name: slow, effect: limit, limit: {calls: 5, per_seconds: 60}}
";
        let document = parse("p.yaml", text).unwrap();
        let texts = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rules = vec![
            Rule {
                name: "no-push".into(),
                effect: Effect::Deny,
                roles: texts(&["guest"]),
                tools: texts(&["git.push*"]),
                arguments: [("branch".into(), "re:^main$".into())].into(),
                hints: Hints { destructive: Some(true), ..Hints::default() },
                hours: Some("09:00-18:00".into()),
                days: texts(&["mon", "fri"]),
                reason: Some("not from there".into()),
                ..Rule::default()
            },
            Rule {
                name: "slow".into(),
                effect: Effect::Limit,
                limit: Some(Limit { calls: Some(5), per_seconds: Some(60), ..Limit::default() }),
                ..Rule::default()
            },
        ];
        let expected = Document {
            default: Some(Effect::Ask),
            labels: [("private".into(), texts(&["mail.*"]))].into(),
            roles: [("guest".into(), Role { clients: texts(&["chat*"]), tokens: texts(&["ci"]) })].into(),
            rules,
            cases: Vec::new(),
        };
        assert_eq!(document, expected);
        // What is written is read back as it was.
        assert_eq!(parse("p.yaml", &documents::write_yaml(&document).unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_mistake_is_shown_with_its_place() {
        for (text, code, line, column, hint) in [
            (
                "rules:\n  - name: a\n    efect: deny\n",
                &codes::FIELD_UNKNOWN,
                3,
                5,
                Some("did you mean `effect`?"),
            ),
            ("rules:\n  - name: a\n    effect: denie\n", &codes::FILE_INVALID, 3, 13, None),
            (
                "rules:\n  - {name: a, effect: deny}\n  - {name: b, effect: deny, arguments: {x: 're:('}}\n",
                &codes::POLICY_INVALID,
                3,
                5,
                None,
            ),
            ("rules:\n  - effect: deny\n", &codes::FILE_INVALID, 2, 5, None),
            ("defualt: deny\n", &codes::FIELD_UNKNOWN, 1, 1, Some("did you mean `default`?")),
        ] {
            let error = parse("p.yaml", text).unwrap_err();
            let span = error.span.as_deref().unwrap_or_else(|| panic!("{text}: {error}"));
            assert!(error.is(code), "{text}: {error}");
            assert_eq!((span.line, span.column), (line, column), "{text}: {error}");
            assert_eq!(error.hints.first().map(String::as_str), hint, "{text}");
        }
    }
}
