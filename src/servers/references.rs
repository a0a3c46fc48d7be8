//! References in the values of an entry: which texts may hold them, and what they name. Pure; they are resolved
//! when the server starts, elsewhere.

use super::model::{Server, Transport};

/// Before the name of a secret.
pub const SECRET: &str = "secret://";
/// References that stand for a whole value, or within `${…}`.
pub const OTHERS: [&str; 3] = ["env://", "file://", "cmd://"];

/// One thing an entry needs from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A variable without a default.
    Variable(String),
    Secret(String),
}

/// Everything an entry needs, each once, in alphabetical order.
pub fn references(server: &Server) -> Vec<Reference> {
    let mut found: Vec<Reference> = texts(server).into_iter().flat_map(of_text).collect();
    found.sort();
    found.dedup();
    found
}

/// Every text of an entry that is resolved when its server starts.
pub fn texts(server: &Server) -> Vec<&str> {
    let mut texts: Vec<&str> =
        server.env.values().chain(server.headers.values()).map(String::as_str).collect();
    texts.extend(server.cwd.as_deref());
    texts.extend(server.roots.iter().map(String::as_str));
    match &server.transport {
        Transport::Stdio { command, args } => {
            texts.push(command);
            texts.extend(args.iter().map(String::as_str));
        }
        Transport::Http { url, .. } | Transport::Sse { url } | Transport::WebSocket { url } => {
            texts.push(url)
        }
        Transport::Socket { path, uri } => texts.extend([path.as_str(), uri.as_str()]),
        Transport::Builtin { .. } | Transport::App { .. } => {}
    }
    texts
}

/// Names of the secrets an entry refers to.
pub fn secrets(server: &Server) -> Vec<String> {
    let mut names = Vec::new();
    for text in texts(server) {
        for scheme in [SECRET, "${secret:"] {
            for (at, _) in text.match_indices(scheme) {
                let rest = &text[at + scheme.len()..];
                if rest.starts_with("//") {
                    continue;
                }
                names.push(rest[..name_length(rest)].to_string());
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

/// Puts another name in the place of a secret's; whether the entry referred to it.
pub fn rename(server: &mut Server, from: &str, to: &str) -> bool {
    let mut changed = false;
    let mut put = |text: &mut String| {
        let renamed = renamed(text, from, to);
        changed |= renamed != *text;
        *text = renamed;
    };
    server.env.values_mut().chain(server.headers.values_mut()).for_each(&mut put);
    server.cwd.iter_mut().chain(&mut server.roots).for_each(&mut put);
    match &mut server.transport {
        Transport::Stdio { command, args } => {
            put(command);
            args.iter_mut().for_each(put);
        }
        Transport::Http { url, .. } | Transport::Sse { url } | Transport::WebSocket { url } => put(url),
        Transport::Socket { path, uri } => [path, uri].into_iter().for_each(put),
        Transport::Builtin { .. } | Transport::App { .. } => {}
    }
    changed
}

fn renamed(text: &str, from: &str, to: &str) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("secret:") {
        let after = &rest[at + "secret:".len()..];
        let name = after.strip_prefix("//").unwrap_or(after);
        let length = name_length(name);
        let head = rest.len() - name.len();
        renamed.push_str(&rest[..head]);
        renamed.push_str(if &name[..length] == from { to } else { &name[..length] });
        rest = &name[length..];
    }
    renamed + rest
}

/// How far the name of a secret goes; what a URL or a sentence puts behind it does not belong to it.
pub fn name_length(text: &str) -> usize {
    let part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let length = text.find(|c: char| !part(c)).unwrap_or(text.len());
    text[..length].trim_end_matches(['.', '/']).len()
}

/// Whether a file is read or a program run when the entry is resolved.
pub fn may_wait(server: &Server) -> bool {
    texts(server)
        .iter()
        .any(|text| ["file://", "cmd://", "connection://"].iter().any(|scheme| text.contains(scheme)))
}

fn of_text(text: &str) -> Vec<Reference> {
    if let Some(name) = text.strip_prefix("secret://") {
        return vec![Reference::Secret(name.into())];
    }
    let inner = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(inner, _)| inner);
    inner.filter_map(of_inner).collect()
}

fn of_inner(inner: &str) -> Option<Reference> {
    if let Some(name) = inner.strip_prefix("secret://").or_else(|| inner.strip_prefix("secret:")) {
        return Some(Reference::Secret(name.into()));
    }
    let name = inner.strip_prefix("env:").unwrap_or(inner);
    (!name.contains(":-")).then(|| Reference::Variable(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn the_secrets_of_an_entry_are_found_wherever_they_stand() {
        let transport = Transport::Stdio {
            command: "x".into(),
            args: vec!["--key=${secret://one}".into(), "secret://two/b".into()],
        };
        let mut server = Server::new("srv_1".into(), "a", transport, Timestamp::default());
        server.env = [("A".into(), "${secret:three}".into()), ("B".into(), "secret://two/b".into())].into();
        assert_eq!(secrets(&server), ["one", "three", "two/b"]);
        assert!(!may_wait(&server));
        server.headers = [("H".into(), "Bearer ${cmd://op read x}".into())].into();
        assert!(may_wait(&server));
    }

    #[test]
    fn a_secret_is_renamed_where_it_stands_and_nowhere_else() {
        for (text, expected) in [
            ("secret://a", "secret://b/c"),
            ("Bearer ${secret://a} ${secret:a}", "Bearer ${secret://b/c} ${secret:b/c}"),
            ("x?k=secret://a&l=secret://ab", "x?k=secret://b/c&l=secret://ab"),
            ("secret:", "secret:"),
            ("a", "a"),
        ] {
            assert_eq!(renamed(text, "a", "b/c"), expected);
        }
    }

    #[test]
    fn every_spelling_is_found_and_defaults_are_no_need() {
        let transport = Transport::Stdio {
            command: "${HOME}/bin/x".into(),
            args: vec![
                "--key".into(),
                "Bearer ${secret://key}".into(),
                "${A}:${B:-b}".into(),
                "${open".into(),
            ],
        };
        let mut server = Server::new("srv_x".into(), "x", transport, Timestamp(0));
        server.env.insert("TOKEN".into(), "secret://token".into());
        server.env.insert("SAME".into(), "${env:A}".into());
        server.headers.insert("X".into(), "plain".into());
        let variable = |name: &str| Reference::Variable(name.into());
        let secret = |name: &str| Reference::Secret(name.into());
        assert_eq!(references(&server), [variable("A"), variable("HOME"), secret("key"), secret("token")]);
    }
}
