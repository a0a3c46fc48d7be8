//! Hides in a shown text what servers keep secret: values of variables and headers, and of telling arguments.
//! The files themselves are never changed by this.

use crate::clock::Timestamp;
use crate::servers::formats;
use crate::servers::model::{Server, Transport};
use crate::servers::view::safe_target;

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";
/// Shorter values say too little to be secrets and too much of the text.
const SHORTEST: usize = 4;

/// The text with every secret of the servers in `files` (texts of the file `name`) hidden.
pub fn hide(text: &str, name: &str, files: &[&str]) -> String {
    let read = |file: &&str| formats::read(name, file, &mut String::new, Timestamp::default()).ok();
    let servers = files.iter().filter_map(read).flat_map(|read| read.servers);
    let mut secrets: Vec<String> = servers.flat_map(|server| secrets(&server)).collect();
    // The longest first, so that no secret is left in part by one that it holds.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_string(), |text, secret| text.replace(secret.as_str(), HIDDEN))
}

fn secrets(server: &Server) -> Vec<String> {
    let values = server.env.values().chain(server.headers.values());
    let plain = values.filter(|value| !value.contains("${") && !value.starts_with("secret://")).cloned();
    let mut secrets: Vec<String> = plain.collect();
    if let Transport::Stdio { args, .. } = &server.transport {
        let pairs = args.iter().zip(args.iter().skip(1));
        secrets.extend(
            pairs
                .filter(|(flag, value)| {
                    let pair = format!("{flag} {value}");
                    !value.contains(' ')
                        && !value.starts_with('-')
                        && flag.starts_with('-')
                        && safe_target(&pair) != pair
                })
                .map(|(_, value)| value.clone()),
        );
        let telling = args.iter().filter(|arg| safe_target(arg) != **arg);
        secrets.extend(telling.filter_map(|arg| arg.split_once('=').map(|(_, value)| value.to_string())));
    }
    secrets.retain(|secret| secret.len() >= SHORTEST);
    secrets
}

#[cfg(test)]
mod tests {
    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        let file = r#"{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x", "--api-key", "sk-123456", "--token=tok-99"],
            "env": {"A": "s3cret", "B": "${B}", "C": "1"}}, "b": {"url": "https://x", "headers": {"Authorization": "Bearer abcdef"}}}}"#;
        let shown = super::hide(file, "mcp.json", &[file]);
        for secret in ["sk-123456", "tok-99", "s3cret", "abcdef"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for kept in ["npx", "${B}", "--api-key", "https://x", "\"C\": \"1\""] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }
}
