//! Words of a profile that lead to nothing now. Mostly slips; but a server may be added later and a client may call
//! itself as it likes, so they are told and not refused. Pure: what there is comes in.

use super::Profile;
use crate::documents::near;

/// What words of a profile can mean.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    pub servers: &'a [&'a str],
    pub tags: &'a [&'a str],
    pub clients: &'a [&'a str],
}

/// A line for each word that means nothing, with the one that was meant. Patterns are left alone.
pub fn unmatched(profile: &Profile, there: &There<'_>) -> Vec<String> {
    let server = |word: &String| unknown(word, there.servers, "no server is named");
    let tag = |word: &String| unknown(word, there.tags, "no server has the tag");
    let client = |word: &String| unknown(word, there.clients, "no client is known as");
    let tool = |word: &String| {
        let (server, _) = word.split_once('.')?;
        unknown(server, there.servers, "no server is named")
    };
    let servers = profile.servers.iter().filter_map(server);
    let tags = profile.tags.iter().filter_map(tag);
    let tools = profile.include.iter().chain(&profile.exclude).filter_map(tool);
    let mut lines: Vec<String> = servers.chain(tags).chain(tools).collect();
    lines.extend(profile.clients.iter().filter_map(client));
    lines.dedup();
    lines
}

fn unknown(word: &str, known: &[&str], what: &str) -> Option<String> {
    if word.contains('*') || known.contains(&word) {
        return None;
    }
    let meant =
        near(word, known.iter().copied()).map_or(String::new(), |it| format!("; did you mean `{it}`?"));
    Some(format!("{what} `{word}`{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_that_means_nothing_is_told_once() {
        let there =
            There { servers: &["github", "time"], tags: &["work"], clients: &["cursor", "claude-code"] };
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<String>>();
        let good = Profile {
            servers: words(&["github", "gith*"]),
            tags: words(&["work"]),
            include: words(&["time.*", "*.now", "*"]),
            clients: words(&["cursor"]),
            ..Profile::default()
        };
        assert_eq!(unmatched(&good, &there), Vec::<String>::new());
        let odd = Profile {
            servers: words(&["githbu", "nosuch"]),
            tags: words(&["play"]),
            exclude: words(&["tiem.now", "tiem.then"]),
            clients: words(&["cursr"]),
            ..Profile::default()
        };
        assert_eq!(
            unmatched(&odd, &there),
            [
                "no server is named `githbu`; did you mean `github`?",
                "no server is named `nosuch`",
                "no server has the tag `play`",
                "no server is named `tiem`; did you mean `time`?",
                "no client is known as `cursr`; did you mean `cursor`?",
            ]
        );
    }
}
