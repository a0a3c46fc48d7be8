//! What the values of an entry refer to: `${VAR}`, `${VAR:-default}` and `secret://NAME`. It resolves nothing and
//! knows no value. Rule: reads the same spellings that `upstream/values.rs` resolves.

use super::model::{Server, Transport};

/// One thing an entry needs from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A variable without a default.
    Variable(String),
    Secret(String),
}

/// Everything an entry needs, each once, in alphabetical order.
pub fn references(server: &Server) -> Vec<Reference> {
    let mut texts: Vec<&str> =
        server.env.values().chain(server.headers.values()).map(String::as_str).collect();
    texts.extend(server.cwd.iter().chain(&server.roots).map(String::as_str));
    match &server.transport {
        Transport::Stdio { command, args } => {
            texts.push(command);
            texts.extend(args.iter().map(String::as_str));
        }
        Transport::Http { url, .. } | Transport::Sse { url } | Transport::WebSocket { url } => {
            texts.push(url)
        }
        Transport::Socket { path, .. } => texts.push(path),
        Transport::Builtin { .. } => {}
    }
    let mut found: Vec<Reference> = texts.into_iter().flat_map(of_text).collect();
    found.sort();
    found.dedup();
    found
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
