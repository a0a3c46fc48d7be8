//! Decides what of somebody else's text may become part of an entry. Everything here came from outside.
//! Rules: nothing may refer to the user's variables or secrets, or steer a package manager; what is shown is cleaned;
//! what would be run is taken exactly or not at all.

use super::model::{CATEGORIES, Input};
use url::{Host, Url};

const MOST_NAME: usize = 200;
const MOST_TITLE: usize = 100;
const MOST_TEXT: usize = 600;
const MOST_ADDRESS: usize = 2_000;
const MOST_VALUE: usize = 1_000;
/// Arguments, variables or headers of one way.
pub const MOST_INPUTS: usize = 64;

/// Variables that make a process do something else than it is for.
const HIJACKING: &[&str] = &[
    "BASH_ENV",
    "CURL_HOME",
    "ENV",
    "GCONV_PATH",
    "GIT_CONFIG",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "HOME",
    "IFS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];
const HIJACKING_STARTS: &[&str] = &["LD_", "DYLD_", "NPM_CONFIG_", "UV_", "PIP_", "UMCP_", "GIT_CONFIG_"];
/// What umcp resolves when a server starts.
const REFERENCES: &[&str] = &["${", "secret://", "env://", "file://", "cmd://", "connection://"];

/// Whether a character is not what it looks like: control, direction, nothing at all.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// A foreign word as an error may quote it.
pub fn shown(text: &str) -> String {
    let kept: String = text.chars().take(80).map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(80).is_some() { kept + "…" } else { kept }
}

/// A text for people: one line, no hidden characters, not longer than `most`. Empty is none.
fn cleaned(text: &str, most: usize) -> Option<String> {
    let visible: String = text
        .chars()
        .take(most * 4)
        .filter(|c| c.is_whitespace() || !is_hidden(*c))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    let mut line = visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(most) {
        line.truncate(end);
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}

pub fn title(text: &str) -> Option<String> {
    cleaned(text, MOST_TITLE)
}

pub fn description(text: &str) -> Option<String> {
    cleaned(text, MOST_TEXT)
}

/// A short word such as a version or a licence: as it is, or not at all.
pub fn word(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._+-@:/ ()".contains(c);
    (!text.is_empty() && text.len() <= MOST_TITLE && text.chars().all(good)).then(|| text.to_string())
}

/// The name of an entry: letters, digits and `. _ - @` in at most three parts.
pub fn name(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    let part = |part: &str| {
        !part.is_empty()
            && part.chars().all(good)
            && part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@')
    };
    let fits = text.len() <= MOST_NAME && text.split('/').count() <= 3 && text.split('/').all(part);
    fits.then(|| text.to_string())
}

/// The known category a word means.
pub fn category(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    CATEGORIES.contains(&lower.as_str()).then_some(lower)
}

/// A page a person may open.
pub fn page(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= MOST_ADDRESS && !text.chars().any(is_hidden))?;
    matches!(url.scheme(), "https" | "http").then(|| url.to_string())
}

/// The address of a server in a catalogue: https to a public name. Why not, else.
pub fn endpoint(text: &str) -> Result<String, &'static str> {
    if text.len() > MOST_ADDRESS || text.chars().any(|c| is_hidden(c) || c.is_whitespace()) {
        return Err("its address is no URL");
    }
    if refers(text) || text.contains(['{', '}']) {
        return Err("its address has gaps that only you can fill");
    }
    let url = Url::parse(text).map_err(|_| "its address is no URL")?;
    if url.scheme() != "https" {
        return Err("its address is not https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its address carries a name or password");
    }
    match url.host() {
        Some(Host::Domain(host)) if is_public_name(host) => Ok(url.to_string()),
        _ => Err("its address is a number or a local name"),
    }
}

fn is_public_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let local = ["localhost", "local", "internal", "lan", "home", "corp", "intranet", "onion"];
    host.contains('.') && !local.iter().any(|end| host.rsplit('.').next() == Some(end))
}

/// The name of an npm package, and of nothing else npx would take: no file, no repository, no address.
pub fn npm(text: &str) -> Option<String> {
    let good = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_uppercase() || c.is_ascii_digit() || "._-~".contains(c)
    };
    let part =
        |part: &str| !part.is_empty() && part.chars().all(good) && !part.starts_with(['.', '-', '_', '~']);
    let fits = match text.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(text),
    };
    (fits && text.len() <= 214).then(|| text.to_string())
}

/// The name of a Python package.
pub fn pypi(text: &str) -> Option<String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    let good = |c: char| edge(c) || "._-".contains(c);
    let fits = text.len() <= 100 && text.chars().all(good) && text.starts_with(edge) && text.ends_with(edge);
    fits.then(|| text.to_string())
}

/// An exact version; no range and no word that begins an option.
pub fn version(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || ".+-_!".contains(c);
    let fits = !text.is_empty() && text.len() <= 100 && text.chars().all(good);
    (fits && text.starts_with(|c: char| c.is_ascii_digit())).then(|| text.to_string())
}

/// An argument or value that is passed on as it stands.
pub fn value(text: &str) -> Option<String> {
    (text.len() <= MOST_VALUE && !text.chars().any(is_hidden) && !refers(text)).then(|| text.to_string())
}

/// Whether umcp would put something of the user's in its place.
pub fn refers(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    REFERENCES.iter().any(|reference| lower.contains(reference))
}

/// The name of a variable that an entry may ask for or set.
pub fn variable(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = !text.is_empty() && text.len() <= 100 && text.chars().all(good);
    (fits && !text.starts_with(|c: char| c.is_ascii_digit()) && !hijacks(text)).then(|| text.to_string())
}

fn hijacks(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    HIJACKING.contains(&upper.as_str()) || HIJACKING_STARTS.iter().any(|start| upper.starts_with(start))
}

/// The name of a header that an entry may ask for or set.
pub fn header(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let ours = ["host", "content-length", "transfer-encoding", "connection", "cookie", "origin", "accept"];
    let fits = !text.is_empty() && text.len() <= 100 && text.chars().all(good);
    (fits && !ours.contains(&text.to_ascii_lowercase().as_str())).then(|| text.to_string())
}

/// An input whose parts are all acceptable; `name` has been checked. A value that refers to something is not kept:
/// the user is asked for it.
pub fn input(name: String, about: Option<&str>, required: bool, secret: bool, fixed: Option<&str>) -> Input {
    let kept = fixed.and_then(value).filter(|_| !secret);
    Input {
        name,
        description: about.and_then(description),
        required: required || (fixed.is_some() && kept.is_none()),
        secret,
        value: kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_do_not_pass() {
        assert_eq!(description("a\u{202e}b\u{200b}c\n\td\u{1b}[31m"), Some("abc d[31m".into()));
        assert_eq!(description(" \n\u{7} "), None);
        assert_eq!(title(&"x".repeat(200)).unwrap().chars().count(), 101);
        assert_eq!(description("Ein schönes Ding, 日本語 ⚡"), Some("Ein schönes Ding, 日本語 ⚡".into()));
        assert_eq!(shown("a\u{1b}b"), "a\u{fffd}b");
    }

    #[test]
    fn names_are_plain() {
        for good in ["playwright", "io.github.upstash/context7", "@scope/x", "Plugin/server.v2"] {
            assert!(name(good).is_some(), "{good}");
        }
        let long = "a".repeat(201);
        for bad in ["", "a b", "../x", "a//b", "a/b/c/d", ".x", "-x", "a\u{202e}b", "ä", "a\nb", &long] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn packages_are_packages_and_nothing_else() {
        for good in ["@a/b", "left-pad", "@microsoft/Azure.x", "mcp_x"] {
            assert!(npm(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "git+https://x/y",
            "file:../x",
            "a/b",
            "https://x/y.tgz",
            "--registry=x",
            "@a/b/c",
            "a b",
            "../x",
            "a@1",
        ] {
            assert_eq!(npm(bad), None, "{bad}");
        }
        for good in ["mcp-server-git", "awslabs.core", "A_b"] {
            assert!(pypi(good).is_some(), "{good}");
        }
        for bad in ["", "-e", "a b", "git+https://x", "a==1", "./x", "a[extra]", "x-"] {
            assert_eq!(pypi(bad), None, "{bad}");
        }
        for good in ["1.2.3", "2025.1.1", "1.0.0-rc.1+5", "1!2.0"] {
            assert!(version(good).is_some(), "{good}");
        }
        for bad in ["", "latest", "^1", ">=1", "-1", "1 || 2", "$VERSION", "${V}", "1.x *"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_are_public_and_whole() {
        for good in ["https://mcp.example.com/mcp", "https://mcp.example.com:8443/"] {
            assert_eq!(endpoint(good).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("http://example.com", "its address is not https"),
            ("https://user:pw@example.com", "its address carries a name or password"),
            ("https://127.0.0.1/mcp", "its address is a number or a local name"),
            ("https://2130706433/mcp", "its address is a number or a local name"),
            ("https://0x7f.1/mcp", "its address is a number or a local name"),
            ("https://[::1]/mcp", "its address is a number or a local name"),
            ("https://localhost/mcp", "its address is a number or a local name"),
            ("https://metadata.google.internal/", "its address is a number or a local name"),
            ("https://router/", "its address is a number or a local name"),
            (
                "https://example.com/?k=${AWS_SECRET_ACCESS_KEY}",
                "its address has gaps that only you can fill",
            ),
            ("https://example.com/?k=secret://x", "its address has gaps that only you can fill"),
            ("https://{tenant}.example.com/", "its address has gaps that only you can fill"),
            ("https://exa\u{202e}mple.com/", "its address is no URL"),
            ("javascript:alert(1)", "its address is not https"),
            ("nonsense", "its address is no URL"),
        ] {
            assert_eq!(endpoint(bad), Err(why), "{bad}");
        }
        assert_eq!(page("javascript:alert(1)"), None);
        assert_eq!(page("https://example.com/x"), Some("https://example.com/x".into()));
    }

    #[test]
    fn nothing_refers_to_the_user_or_hijacks_a_process() {
        for bad in ["${HOME}", "x secret://key", "CMD://rm", "file:///etc/passwd", "a\u{0}b"] {
            assert_eq!(value(bad), None, "{bad:?}");
        }
        assert_eq!(value("--mode=read only"), Some("--mode=read only".into()));
        for bad in
            ["PATH", "ld_preload", "NODE_OPTIONS", "npm_config_registry", "UV_INDEX_URL", "1A", "A-B", ""]
        {
            assert_eq!(variable(bad), None, "{bad}");
        }
        assert_eq!(variable("GITHUB_TOKEN"), Some("GITHUB_TOKEN".into()));
        assert_eq!(header("Host"), None);
        assert_eq!(header("X-Key"), Some("X-Key".into()));
        let kept = input("A".into(), None, false, false, Some("secret://A"));
        assert_eq!((kept.value, kept.required), (None, true));
    }
}
