//! Which server a URI belongs to, and what stands before it. Most URIs are named by no list: a template fits them, or
//! one server alone has resources. What those are decided by is their own text, in the form it came in and in the
//! plainest one, so that no spelling of a path leads around a rule.

use super::passage::{Denied, Why};
use super::{View, ViewItem};
use crate::glob;
use crate::policy::rules::Kind;
use crate::policy::rules::decide::{Called, Gate, Passage};
use crate::policy::rules::model::Hints;
use crate::upstream::Upstream;
use std::borrow::Cow;
use std::sync::Arc;

/// A resource that may be read, or asked for.
pub struct Reached<'v> {
    pub upstream: &'v Arc<Upstream>,
    /// What is decided at each call; nothing when all pass.
    pub gate: Option<Arc<Gate>>,
    /// What stands for it in records: its URI where a list names it, else its template, else its scheme; the URI of
    /// something unlisted is made of arguments.
    pub recorded: Cow<'v, str>,
}

impl View {
    /// The server a URI belongs to: one that lists it, else one with a fitting template, else the only one there is.
    pub fn owner(&self, uri: &str) -> Option<&Arc<Upstream>> {
        let [_, resources, templates] = &self.denied_items;
        self.listed(uri)
            .map(|(item, _)| &item.upstream)
            .or_else(|| kept_back(resources, uri, |key| key == uri).map(|it| &it.upstream))
            .or_else(|| kept_back(templates, uri, |key| fits(key, uri)).map(|it| &it.upstream))
            .or(self.sole.as_ref())
    }

    /// A prompt that the policy keeps from this view's clients.
    pub fn denied_prompt(&self, exposed: &str) -> Option<&Denied> {
        self.denied_items[0].iter().find(|it| it.exposed == exposed)
    }

    /// What stands before a URI; `None` when it belongs to no server.
    pub fn reach(&self, uri: &str) -> Option<Result<Reached<'_>, Denied>> {
        let [_, resources, templates] = &self.denied_items;
        let (upstream, listed) = match self.listed(uri) {
            Some((item, true)) => {
                let (upstream, gate) = (&item.upstream, item.gate.clone());
                return Some(Ok(Reached { upstream, gate, recorded: Cow::Borrowed(&item.key) }));
            }
            listed => {
                if let Some(denied) = kept_back(resources, uri, |key| key == uri) {
                    return Some(Err(denied.clone()));
                }
                match (listed, kept_back(templates, uri, |key| fits(key, uri))) {
                    (Some((item, _)), _) => (&item.upstream, Some(item.key.as_str())),
                    (None, Some(denied)) if matches!(denied.why, Why::Rule(Some(_))) => {
                        return Some(Err(Denied { tool: uri.into(), ..denied.clone() }));
                    }
                    // The default keeps the template out of the list; a rule may still open this one URI.
                    (None, Some(denied)) => (&denied.upstream, Some(denied.tool.as_str())),
                    (None, None) => (self.sole.as_ref()?, None),
                }
            }
        };
        let recorded = listed.map_or_else(|| Cow::Owned(scheme_of(uri)), Cow::Borrowed);
        Some(match self.judge(upstream, uri) {
            Passage::Open => Ok(Reached { upstream, gate: None, recorded }),
            Passage::Gate(gate) => Ok(Reached { upstream, gate: Some(gate), recorded }),
            Passage::Closed(rule) => Err(Denied {
                kind: Kind::Resource,
                exposed: recorded.into_owned(),
                upstream: upstream.clone(),
                tool: uri.into(),
                why: Why::Rule(rule),
            }),
        })
    }

    /// The item that names a URI, and whether it names it alone.
    fn listed(&self, uri: &str) -> Option<(&ViewItem, bool)> {
        let exact = self.resources.iter().find(|item| item.key == uri).map(|item| (item, true));
        exact.or_else(|| {
            let fitting = self.templates.iter().find(|item| item.key == uri || fits(&item.key, uri));
            fitting.map(|item| (item, false))
        })
    }

    /// What the policy says of a URI that no list names.
    fn judge(&self, upstream: &Upstream, uri: &str) -> Passage {
        let Some(bound) = &self.bound else { return Passage::Open };
        let passage = |uri: &str| {
            let called =
                Called { server: upstream.name(), kind: Kind::Resource, tool: uri, hints: Hints::default() };
            bound.passage(&called)
        };
        let plain = plain(uri);
        let (said, meant) = (passage(uri), if plain == uri { Passage::Open } else { passage(&plain) });
        match (said, meant) {
            (Passage::Closed(rule), _) | (_, Passage::Closed(rule)) => Passage::Closed(rule),
            (Passage::Gate(one), Passage::Gate(other)) => Passage::Gate(one.and(&other)),
            (Passage::Gate(gate), Passage::Open) | (Passage::Open, Passage::Gate(gate)) => {
                Passage::Gate(gate)
            }
            (Passage::Open, Passage::Open) => Passage::Open,
        }
    }
}

fn scheme_of(uri: &str) -> String {
    format!("{}:…", uri.split_once(':').map_or("", |(scheme, _)| scheme))
}

fn kept_back<'v>(denied: &'v [Denied], uri: &str, fits: impl Fn(&str) -> bool) -> Option<&'v Denied> {
    denied.iter().find(|it| it.tool == uri || fits(&it.tool))
}

/// Whether a URI fits a URI template: literal parts in order, something without limits of its own between them.
fn fits(template: &str, uri: &str) -> bool {
    let mut pattern = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        pattern.push_str(before);
        pattern.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    pattern.push_str(rest);
    pattern.contains('*') && glob::fits(&pattern, uri)
}

/// The plainest spelling of a URI: nothing that is escaped without need, no `.` and `..`, no empty parts of a path, a small
/// scheme, no name for this machine.
fn plain(uri: &str) -> String {
    let decoded = decoded(uri).replace('\\', "/");
    let Some((scheme, rest)) = decoded.split_once(':') else { return decoded };
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let host = match host.to_ascii_lowercase() {
        host if scheme == "file" && host == "localhost" => String::new(),
        host => host,
    };
    let slashes = if rest.starts_with("//") || scheme == "file" { "//" } else { "" };
    let root = if path.starts_with('/') { "/" } else { "" };
    let end = if path.len() > 1 && path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("{scheme}:{slashes}{host}{root}{}{end}", parts.join("/"))
}

/// Without escapes; a text that would be none then stays as it is.
fn decoded(uri: &str) -> String {
    let bytes = uri.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        plain.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).unwrap_or_else(|_| uri.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fit_their_uris() {
        assert!(fits("test://template/{id}/data", "test://template/7/data"));
        assert!(!fits("test://template/{id}/data", "test://template/7/date"));
        assert!(fits("file:///{+path}", "file:///a/b"));
        assert!(!fits("test://fixed", "test://fixed"));
    }

    #[test]
    fn every_spelling_of_a_path_is_one() {
        for uri in [
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "file://localhost/etc/passwd",
            "file:/etc/passwd",
            "file:////etc//passwd",
            "file:///home/../etc/./passwd",
            "file:///%65tc/pass%77d",
            "file:///home/%2e%2e/etc/passwd",
            "file:///home\\..\\etc/passwd",
            "file:///../../etc/passwd",
        ] {
            assert_eq!(plain(uri), "file:///etc/passwd", "{uri}");
        }
        for (uri, expected) in [
            ("test://static-text", "test://static-text"),
            ("docs://A/b/", "docs://a/b/"),
            ("urn:isbn:0451450523", "urn:isbn:0451450523"),
            ("no-uri", "no-uri"),
            ("x:%ff", "x:%ff"),
        ] {
            assert_eq!(plain(uri), expected, "{uri}");
        }
    }
}
