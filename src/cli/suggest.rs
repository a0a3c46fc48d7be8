//! What was meant by a mistyped word of the command line.
//! Rule: a word that the typed one begins comes before a word that merely looks alike.

use crate::documents::near;
use crate::error::{Error, Kind, codes};
use std::ffi::OsString;

/// The command the words name, as far as they name one, with the program's name first.
pub fn path<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["umcp"];
    let mut command = super::command();
    for word in words {
        let Some(found) = command.find_subcommand(word) else { continue };
        command = found.clone();
        path.push(word);
    }
    path
}

/// At most three known words for a mistyped one.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let mut found: Vec<&str> = known.iter().copied().filter(|known| known.starts_with(&lower)).collect();
    found.sort_unstable();
    let rest: Vec<&str> = known.iter().copied().filter(|known| !found.contains(known)).collect();
    if let Some(alike) = near(word, rest.iter().copied()) {
        found.push(alike);
    } else if found.is_empty() {
        let close = |known: &&&str| strsim::damerau_levenshtein(&lower, known) <= 1;
        found.extend(rest.iter().filter(close));
    }
    found.truncate(3);
    found
}

/// The words of a command line that say what was done, without the flags that every command takes.
pub fn typed(arguments: &[OsString]) -> Vec<String> {
    let mut typed = vec!["umcp".to_string()];
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-q" | "--quiet" | "-y" | "--yes" | "--no-input" | "--wide" => {}
            "-C" | "--directory" | "--home" | "--color" => drop(words.next()),
            flag if ["--json", "--color=", "--home=", "--directory="]
                .iter()
                .any(|it| flag.starts_with(it)) => {}
            _ => typed.push(word),
        }
    }
    typed
}

/// The error without hints that are the very command which failed. Whoever has no other hint then, and no network, is told
/// who can look further.
pub fn without_circle(mut error: Error, typed: &[String]) -> Error {
    let before = error.hints.len();
    error.hints.retain(|hint| !hint.split_whitespace().eq(typed.iter().map(String::as_str)));
    let doctor = "umcp doctor";
    if error.hints.is_empty() && before > 0 && error.kind() == Kind::Network && typed.join(" ") != doctor {
        error = error.hint(doctor);
    }
    error
}

/// The error for a first word that is no command.
pub fn unknown_command(words: &[OsString]) -> Error {
    let word = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let nouns = nouns_with(&word);
    if nouns.is_empty() {
        return unknown_verb(&["umcp"], &word);
    }
    let error = Error::new(&codes::USAGE, format!("`umcp` has no command `{word}`"));
    nouns.iter().fold(error, |error, meant| error.hint(format!("did you mean `umcp {meant}`?")))
}

/// A word that is a verb of nouns, with those nouns, the daily ones first: `umcp add` means a server. Other words for
/// a verb count where nobody has it as its name.
fn nouns_with(word: &str) -> Vec<String> {
    let root = super::command();
    let verbs: Vec<(&str, &str)> = ["server", "tool", "client", "profile", "gateway"]
        .into_iter()
        .filter_map(|noun| Some((noun, root.find_subcommand(noun)?.find_subcommand(word)?)))
        .filter(|(_, verb)| !verb.is_hide_set())
        .map(|(noun, verb)| (noun, verb.get_name()))
        .collect();
    let named = verbs.iter().any(|(_, verb)| *verb == word);
    let fits = |(_, verb): &&(&str, &str)| !named || *verb == word;
    verbs.iter().filter(fits).take(2).map(|(noun, verb)| format!("{noun} {verb}")).collect()
}

/// The error for a word that is no verb of the command at `path`.
pub fn unknown_verb(path: &[&str], word: &str) -> Error {
    let root = super::command();
    let command = path.iter().skip(1).try_fold(&root, |command, word| command.find_subcommand(word));
    let known: Vec<&str> = command
        .into_iter()
        .flat_map(clap::Command::get_subcommands)
        .filter(|verb| !verb.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    let full = path.join(" ");
    let error = Error::new(&codes::USAGE, format!("`{full}` has no command `{word}`"));
    let nearest = nearest(word, &known);
    let error =
        nearest.iter().fold(error, |error, verb| error.hint(format!("did you mean `{full} {verb}`?")));
    if nearest.is_empty() {
        error.hint(if path.len() == 1 { "umcp help all".into() } else { format!("{full} --help") })
    } else {
        error
    }
}

/// The error for a flag that the command at `path` does not take.
pub fn unknown_flag(path: &[&str], flag: &str) -> Error {
    let root = super::command();
    let command = path.iter().skip(1).try_fold(&root, |command, word| command.find_subcommand(word));
    let shown = |arg: &&clap::Arg| !arg.is_hide_set();
    let own = command.into_iter().flat_map(clap::Command::get_arguments).filter(shown);
    let global = root.get_arguments().filter(|arg| arg.is_global_set());
    let known: Vec<&str> = own.chain(global).filter_map(clap::Arg::get_long).collect();
    let word = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
    let error = Error::new(&codes::USAGE, format!("unexpected argument `{flag}`"));
    let nearest = match flag {
        // What other programs call it.
        "-v" if path.len() == 1 => vec!["version"],
        _ if flag.starts_with("--") => nearest(word, &known),
        _ => Vec::new(),
    };
    let error = nearest.iter().fold(error, |error, known| error.hint(format!("did you mean `--{known}`?")));
    error.hint(format!("{} --help", path.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_never_the_command_that_failed() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let error = || {
            Error::new(&codes::SOURCE_FAILED, "no")
                .hint("umcp catalog refresh team")
                .hint("umcp catalog refresh team --full")
        };
        for (line, expected) in [
            ("umcp --json --home /x catalog refresh team -q", &["umcp catalog refresh team --full"][..]),
            ("umcp catalog refresh", &["umcp catalog refresh team", "umcp catalog refresh team --full"]),
        ] {
            assert_eq!(without_circle(error(), &typed(&words(line))).hints, expected, "{line}");
        }
        let alone = Error::new(&codes::SOURCE_FAILED, "no").hint("umcp x");
        assert_eq!(without_circle(alone.clone(), &typed(&words("umcp x --yes"))).hints, ["umcp doctor"]);
        assert_eq!(without_circle(alone, &typed(&words("umcp y"))).hints, ["umcp x"]);
    }

    #[test]
    fn a_beginning_comes_before_a_likeness() {
        let known = ["env", "secret", "user", "server", "serve", "status", "list", "remove"];
        for (word, expected) in [
            ("serv", vec!["serve", "server"]),
            ("lst", vec!["list"]),
            ("stauts", vec!["status"]),
            ("remvoe", vec!["remove"]),
            ("xyzzy", vec![]),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }

    #[test]
    fn a_verb_without_its_noun_is_given_one() {
        for (word, expected) in [
            ("add", vec!["did you mean `umcp server add`?"]),
            ("list", vec!["did you mean `umcp server list`?", "did you mean `umcp tool list`?"]),
            ("rm", vec!["did you mean `umcp server remove`?", "did you mean `umcp client disconnect`?"]),
            ("connect", vec!["did you mean `umcp client connect`?"]),
            ("stauts", vec!["did you mean `umcp status`?"]),
            ("xyzzy", vec!["umcp help all"]),
        ] {
            assert_eq!(unknown_command(&[word.into()]).hints, expected, "{word}");
        }
        let hints = unknown_flag(&["umcp"], "-v").hints;
        assert_eq!(hints, ["did you mean `--version`?", "umcp --help"]);
    }

    #[test]
    fn the_path_is_what_the_words_name() {
        assert_eq!(path(&["--json", "server", "add", "x"]), ["umcp", "server", "add"]);
        assert_eq!(path(&["nonsense"]), ["umcp"]);
    }
}
