//! The nearest known word for a mistyped one; used for fields of files and names of things alike.

/// The candidate closest to `word`, when it is close enough to be what was meant.
pub fn near<'a, C>(word: &str, candidates: C) -> Option<&'a str>
where
    C: IntoIterator<Item = &'a str>,
{
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (score(&wanted, &plain(candidate)), candidate))
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// 1 for the same word, less with each edit; a shared beginning counts for a word cut short.
fn score(wanted: &str, candidate: &str) -> f64 {
    if wanted.chars().count() < 3 {
        return if wanted == candidate { 1.0 } else { 0.0 };
    }
    let edits = strsim::normalized_damerau_levenshtein(wanted, candidate);
    let jaro = strsim::jaro_winkler(wanted, candidate) - 0.1;
    edits.max(jaro)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_nonsense_finds_none() {
        let known = ["command", "args", "env", "startup_timeout_sec", "github", "filesystem"];
        for (word, expected) in [
            ("comand", Some("command")),
            ("commnad", Some("command")),
            ("arguments", None),
            ("startupTimeoutSec", Some("startup_timeout_sec")),
            ("gti", None),
            ("gihtub", Some("github")),
            ("filesys", Some("filesystem")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(near(word, known), expected, "{word}");
        }
    }
}
