//! Addresses a client wants its user sent back to: which ones may be registered, and when one is the registered one.
//! Pure. Rule: compared as text; only the port of an address on this machine may differ (RFC 8252).

/// Schemes that run something or read files instead of leading to a program that registered them.
const NEVER: [&str; 10] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "view-source"];

/// Whether a client may register it.
pub fn is_fit(address: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'<>\\^`{|}#;,".contains(c) || !c.is_ascii();
    let Some((scheme, rest)) = address.split_once(':') else { return false };
    let letters = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if address.len() > 2000 || address.chars().any(odd) || scheme.is_empty() || !scheme.chars().all(letters) {
        return false;
    }
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    match (scheme.as_str(), authority) {
        ("https", Some(authority)) => !authority.is_empty() && !authority.contains('@'),
        ("http", Some(authority)) => is_here(authority),
        ("http" | "https", None) => false,
        (other, _) => !NEVER.contains(&other),
    }
}

fn is_here(authority: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].contains(&without_port(authority).0)
}

fn without_port(authority: &str) -> (&str, &str) {
    let end = authority.find(']').map_or(0, |end| end + 1);
    match authority[end..].find(':') {
        Some(colon) if authority[end + colon + 1..].bytes().all(|it| it.is_ascii_digit()) => {
            authority.split_at(end + colon)
        }
        _ => (authority, ""),
    }
}

/// Whether an address is the registered one.
pub fn is_same(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let parts = |address: &str| -> Option<(String, String)> {
        let rest = address.strip_prefix("http://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        is_here(authority).then(|| (without_port(authority).0.to_string(), path.to_string()))
    };
    parts(registered).is_some_and(|known| parts(asked) == Some(known))
}

/// Where a browser may be sent by a form, as a content security policy has it: an origin, or a scheme.
pub fn source(address: &str) -> String {
    let (scheme, rest) = address.split_once(':').unwrap_or((address, ""));
    match (scheme, rest.strip_prefix("//")) {
        ("http" | "https", Some(rest)) => {
            format!("{scheme}://{}", rest.split(['/', '?']).next().unwrap_or_default())
        }
        _ => format!("{scheme}:"),
    }
}

/// The address with answers behind it.
pub fn with(address: &str, answers: &[(&str, &str)]) -> String {
    let pairs = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(answers).finish();
    let sign = if address.contains('?') { '&' } else { '?' };
    format!("{address}{sign}{pairs}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_addresses_may_be_registered() {
        for (address, expected) in [
            ("https://claude.ai/api/mcp/auth_callback", true),
            ("http://127.0.0.1:4711/callback", true),
            ("http://localhost/callback?x=1", true),
            ("http://[::1]:80/", true),
            ("cursor://anysphere.cursor-mcp/oauth/callback", true),
            ("com.example.app:/callback", true),
            ("http://evil.example/", false),
            ("http://127.0.0.1@evil.example/", false),
            ("http://127.0.0.1:x@evil.example/", false),
            ("http://localhost.evil.example/", false),
            ("https://user@evil.example/", false),
            ("https:///x", false),
            ("https:evil.example", false),
            ("javascript:alert(1)", false),
            ("JavaScript://x/%0aalert(1)", false),
            ("data:text/html,x", false),
            ("https://a.example/#fragment", false),
            ("https://a.example/\r\nSet-Cookie: x", false),
            ("https://a.example; script-src *", false),
            ("https://ä.example/", false),
            ("/relative", false),
            ("", false),
        ] {
            assert_eq!(is_fit(address), expected, "{address}");
        }
    }

    #[test]
    fn only_the_port_of_this_machine_may_differ() {
        for (registered, asked, expected) in [
            ("https://a.example/cb", "https://a.example/cb", true),
            ("https://a.example/cb", "https://a.example/cb/", false),
            ("https://a.example/cb", "https://a.example:444/cb", false),
            ("https://a.example/cb", "https://a.example/cb?x", false),
            ("https://a.example/cb", "https://a.example.evil/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
            ("http://127.0.0.1/cb", "http://localhost/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1/other", false),
            ("http://[::1]/cb", "http://[::1]:9/cb", true),
        ] {
            assert_eq!(is_same(registered, asked), expected, "{registered} {asked}");
        }
    }

    #[test]
    fn answers_are_coded() {
        assert_eq!(
            with("https://a/cb", &[("code", "a&b"), ("state", "x y")]),
            "https://a/cb?code=a%26b&state=x+y"
        );
        assert_eq!(with("https://a/cb?k=1", &[("code", "c")]), "https://a/cb?k=1&code=c");
        assert_eq!(source("https://a.example:8/cb?x"), "https://a.example:8");
        assert_eq!(source("cursor://x/cb"), "cursor:");
    }
}
