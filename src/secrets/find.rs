//! Telling keys from ordinary values: by the marks that services put before their keys, by the name of the field, by
//! how random a text is. Pure guessing over one name and one value; a reference to a secret is never a finding.

/// Marks of known kinds of keys, and whose they are.
const MARKS: &[(&str, &str)] = &[
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghu_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("sk-ant-", "an Anthropic key"),
    ("sk-", "an API key"),
    ("sk_live_", "a Stripe key"),
    ("sk_test_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("whsec_", "a webhook secret"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("xoxa-", "a Slack token"),
    ("xapp-", "a Slack token"),
    ("AKIA", "an AWS key"),
    ("ASIA", "an AWS key"),
    ("AIza", "a Google key"),
    ("ya29.", "a Google token"),
    ("GOCSPX-", "a Google client secret"),
    ("hf_", "a Hugging Face token"),
    ("npm_", "an npm token"),
    ("pypi-", "a PyPI token"),
    ("dop_v1_", "a DigitalOcean token"),
    ("SG.", "a SendGrid key"),
    ("tvly-", "a Tavily key"),
    ("lin_api_", "a Linear key"),
    ("ntn_", "a Notion token"),
    ("secret_", "a Notion token"),
    ("figd_", "a Figma token"),
    ("gsk_", "a Groq key"),
    ("pplx-", "a Perplexity key"),
    ("sbp_", "a Supabase token"),
    ("shpat_", "a Shopify token"),
    ("fc-", "a Firecrawl key"),
    ("r8_", "a Replicate token"),
    ("umcp_", "a key of umcp's endpoint"),
];

/// Words that make a name telling.
const TELLING: [&str; 16] = [
    "token",
    "key",
    "apikey",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "auth",
    "authorization",
    "credential",
    "credentials",
    "pat",
    "bearer",
    "cookie",
];
/// Last words of names that only talk about keys.
const ABOUT: [&str; 17] = [
    "file",
    "path",
    "url",
    "uri",
    "dir",
    "id",
    "name",
    "type",
    "ttl",
    "length",
    "limit",
    "count",
    "timeout",
    "header",
    "env",
    "algorithm",
    "mode",
];
/// Shorter values are not taken for keys.
const SHORTEST: usize = 8;

/// Why a value looks like a key; `None` when it does not.
pub fn why(name: &str, value: &str) -> Option<&'static str> {
    let value = value.trim();
    if value.len() < SHORTEST || is_reference(value) {
        return None;
    }
    let long_enough = |mark: &str| value.len() >= mark.len() + 12 && !value.contains([' ', '/']);
    if let Some((_, what)) = MARKS.iter().find(|(mark, _)| value.starts_with(mark) && long_enough(mark)) {
        return Some(what);
    }
    if value.starts_with("-----BEGIN ") && value.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    if value.starts_with("eyJ") && value.matches('.').count() == 2 && value.len() > 40 {
        return Some("a signed token");
    }
    if has_password(value) {
        return Some("an address with a password");
    }
    if is_telling(name) && !is_plain(value) {
        return Some("named like a key");
    }
    is_random(value).then_some("random text")
}

fn is_reference(value: &str) -> bool {
    value.contains("${")
        || ["secret://", "env://", "file://", "cmd://"].iter().any(|scheme| value.contains(scheme))
}

/// Whether a name says that its value is a key.
pub fn is_telling(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| TELLING.contains(&word.as_str()))
        && words.last().is_some_and(|last| !ABOUT.contains(&last.as_str()))
        && !words.iter().any(|word| word == "public")
}

/// `githubToken`, `GITHUB_TOKEN` and `github-token` as words.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word, mut before) = (Vec::new(), String::new(), ' ');
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a value is a word, a number, a path or an address rather than a key.
fn is_plain(value: &str) -> bool {
    let letters = value.chars().all(|c| c.is_ascii_alphabetic());
    let number = value.chars().all(|c| c.is_ascii_digit() || c == '.') && value.len() < 12;
    letters && value.len() < 12
        || number
        || ["/", "./", "~/", "../", "http://", "https://"].iter().any(|start| value.starts_with(start))
}

/// `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    user.is_some_and(|(_, password)| !password.is_empty())
}

/// Whether a value has the form and the spread of a generated key.
fn is_random(value: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_+/=.".contains(c);
    let mixed = value.chars().any(|c| c.is_ascii_digit()) && value.chars().any(|c| c.is_ascii_alphabetic());
    let parted = value.matches(['-', '/', '.', '_']).count() > 2;
    value.len() >= 24 && value.chars().all(fits) && mixed && !parted && entropy(value) >= 3.6
}

/// Bits for each character.
fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = value.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum()
}

/// Enough of a value to know it again, and not enough to use it.
pub fn masked(value: &str) -> String {
    let length = value.chars().count();
    let shown = if length >= 16 { 4 } else { 0 };
    let head: String = value.chars().take(shown).filter(|c| !c.is_control()).collect();
    format!("{head}… ({length} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_ordinary_values_are_not() {
        for (name, value, expected) in [
            ("GITHUB_TOKEN", "ghp_0123456789abcdefABCDEF0123456789abcd", Some("a GitHub token")),
            ("X", "sk-ant-api03-abcdefghijklmnop", Some("an Anthropic key")),
            ("DATABASE_URL", "postgres://me:hunter2@db/app", Some("an address with a password")),
            ("TAVILY_API_KEY", "correct horse battery", Some("named like a key")),
            ("apiKey", "abcd1234", Some("named like a key")),
            ("Authorization", "abcdef123456", Some("named like a key")),
            (
                "X",
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
                Some("a signed token"),
            ),
            ("X", "-----BEGIN PRIVATE KEY-----\nabc", Some("a private key")),
            ("X", "q8Zr3vT1xW7yB5nM9kLpQ2sD4fG6hJ0a", Some("random text")),
            ("GITHUB_TOKEN", "${GITHUB_TOKEN}", None),
            ("GITHUB_TOKEN", "secret://GITHUB_TOKEN", None),
            ("GITHUB_TOKEN", "Bearer secret://GITHUB_TOKEN", None),
            ("API_KEY", "short", None),
            ("KEY_FILE", "/home/me/secrets/key.pem", None),
            ("TOKEN_URL", "https://login.example.com/token", None),
            ("AUTH_TYPE", "client_credentials", None),
            ("MAX_TOKENS", "4096409640", None),
            ("KEYBOARD_LAYOUT", "us-international", None),
            ("PUBLIC_KEY", "ssh-ed25519 AAAAC3Nz", None),
            ("DATABASE_URL", "postgres://localhost:5432/app", None),
            ("NODE_OPTIONS", "--max-old-space-size=4096", None),
            ("VERSION", "@modelcontextprotocol/server-everything", None),
            ("RUN_ID", "550e8400-e29b-41d4-a716-446655440000", None),
            ("LANG", "en_US.UTF-8", None),
        ] {
            assert_eq!(why(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_masked_value_is_known_again_and_not_told() {
        assert_eq!(masked("ghp_0123456789abcdef"), "ghp_… (20 characters)");
        assert_eq!(masked("hunter2hunter"), "… (13 characters)");
    }
}
