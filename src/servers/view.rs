//! A server as it may be shown to anybody: secrets stay out, references to them stay in.
//! Pure; the row itself is `model.rs`.

use super::model::{EraChoice, Limits, Server, Sharing, ToolFilter};
use super::references::{OTHERS, SECRET};
use serde::Serialize;
use std::collections::BTreeMap;

/// What stands for a value that is not shown.
pub const HIDDEN: &str = "(hidden)";

/// One server without its plain values.
#[derive(Debug, Clone, Serialize)]
pub struct ServerView {
    pub id: String,
    pub name: String,
    pub enabled: bool,
    pub transport: &'static str,
    pub target: String,
    pub description: Option<String>,
    pub env: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub tags: Vec<String>,
    pub sharing: Sharing,
    pub verbatim: bool,
    pub protocol: EraChoice,
    pub limits: Limits,
    pub tools: ToolFilter,
    pub roots: Vec<String>,
    pub origin: Option<String>,
    pub created: String,
    pub revision: u64,
}

impl From<&Server> for ServerView {
    fn from(server: &Server) -> Self {
        Self {
            id: server.id.clone(),
            name: server.name.clone(),
            enabled: server.enabled,
            transport: server.transport.word(),
            target: safe_target(&server.transport.target()),
            description: server.description.clone(),
            env: hidden(&server.env),
            headers: hidden(&server.headers),
            cwd: server.cwd.clone(),
            tags: server.tags.clone(),
            sharing: server.sharing,
            verbatim: server.verbatim,
            protocol: server.era,
            limits: server.limits.clone(),
            tools: server.tools.clone(),
            roots: server.roots.clone(),
            origin: server.origin.clone(),
            created: server.created.rfc3339(),
            revision: server.revision,
        }
    }
}

/// A copy for a file that others may read: every plain value of `env` and `headers` becomes a reference to a
/// variable, and the names of those variables are returned.
pub fn without_values(server: &Server) -> (Server, Vec<String>) {
    let mut copy = server.clone();
    let mut names = Vec::new();
    for (key, value) in copy.env.iter_mut().chain(copy.headers.iter_mut()) {
        if !is_reference(value) {
            let name: String = key
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                .collect();
            *value = format!("${{{name}}}");
            names.push(name);
        }
    }
    (copy, names)
}

fn hidden(values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let show = |value: &String| if is_reference(value) { value.clone() } else { HIDDEN.into() };
    values.iter().map(|(key, value)| (key.clone(), show(value))).collect()
}

/// Whether a value is nothing but references to variables or secrets, with at most a scheme before them.
fn is_reference(value: &str) -> bool {
    let rest =
        ["Bearer ", "Basic ", "token "].iter().find_map(|scheme| value.strip_prefix(scheme)).unwrap_or(value);
    let whole_variable =
        rest.starts_with("${") && rest.find('}') == Some(rest.len() - 1) && !rest.contains(":-");
    whole_variable || rest.starts_with(SECRET) || OTHERS.iter().any(|scheme| value.starts_with(scheme))
}

/// The target line with passwords in URLs and values of telling query fields and flags left out.
pub fn safe_target(target: &str) -> String {
    let words: Vec<String> = target.split(' ').map(safe_word).collect();
    let mut safe = Vec::with_capacity(words.len());
    let mut hide_next = false;
    for word in words {
        let hide = hide_next && !word.starts_with('-') && !is_reference(&word);
        hide_next = word.starts_with('-') && !word.contains('=') && is_telling(&word);
        safe.push(if hide { HIDDEN.into() } else { word });
    }
    safe.join(" ")
}

fn safe_word(word: &str) -> String {
    if let Some((flag, value)) = word.split_once('=').filter(|(flag, _)| !flag.contains("://")) {
        if is_telling(flag) && !is_reference(value) {
            return format!("{flag}={HIDDEN}");
        }
        return word.into();
    }
    let Some((scheme, rest)) = word.split_once("://").filter(|(scheme, _)| *scheme != "secret") else {
        return word.into();
    };
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) = before.split_once('/').map_or((before, None), |(host, path)| (host, Some(path)));
    let host =
        authority.rsplit_once('@').map_or(authority.to_string(), |(_, host)| format!("{HIDDEN}@{host}"));
    let path = path.map_or(String::new(), |path| format!("/{path}"));
    let field = |field: &str| match field.split_once('=') {
        Some((name, value)) if is_telling(name) && !is_reference(value) => format!("{name}={HIDDEN}"),
        _ => field.to_string(),
    };
    let query = query.map_or(String::new(), |query| {
        format!("?{}", query.split('&').map(field).collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{host}{path}{query}")
}

fn is_telling(name: &str) -> bool {
    let name = name.to_lowercase();
    ["key", "token", "secret", "password", "passwd", "auth", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::servers::model::Transport;

    #[test]
    fn references_are_shown_and_values_are_not() {
        for (value, expected) in [
            ("${TOKEN}", true),
            ("Bearer ${TOKEN}", true),
            ("secret://github", true),
            ("Bearer secret://github", true),
            ("cmd://op read op://a/b", true),
            ("file:///run/secrets/a", true),
            ("sk-123", false),
            ("${A}plain${B}", false),
            ("${A:-fallback}", false),
            ("", false),
        ] {
            assert_eq!(is_reference(value), expected, "{value}");
        }
    }

    #[test]
    fn a_target_hides_what_opens_doors() {
        for (target, expected) in [
            ("https://user:pw@host/mcp?api_key=1&q=2", "https://(hidden)@host/mcp?api_key=(hidden)&q=2"),
            ("npx -y thing --token abc --port 1", "npx -y thing --token (hidden) --port 1"),
            ("thing --api-key=abc --x=1", "thing --api-key=(hidden) --x=1"),
            ("thing --token ${T} --auth=secret://x", "thing --token ${T} --auth=secret://x"),
            ("https://host/a?b=c", "https://host/a?b=c"),
        ] {
            assert_eq!(safe_target(target), expected);
        }
    }

    #[test]
    fn a_copy_for_others_names_what_it_left_out() {
        let transport = Transport::Stdio { command: "a".into(), args: vec![] };
        let mut server = Server::new("srv_1".into(), "a", transport, Timestamp::default());
        server.env = [("KEY".into(), "x".into()), ("REF".into(), "${REF}".into())].into();
        server.headers = [("X-Api".into(), "y".into())].into();
        let (copy, names) = without_values(&server);
        assert_eq!(names, ["KEY", "X_API"]);
        assert_eq!(copy.env["KEY"], "${KEY}");
        assert_eq!(copy.headers["X-Api"], "${X_API}");
    }
}
