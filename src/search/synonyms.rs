//! Words that developers use for one another, and phrases that stand for one word.
//! General words only: nothing here knows a product. A synonym counts less than the word itself.

use super::terms::Terms;
use super::words::stem;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The terms that may stand for a term, without itself.
pub(super) fn of(term: &str) -> &'static [String] {
    SYNONYMS.get(term).map_or(&[], Vec::as_slice)
}

/// The terms with synonyms that are one slip of the finger away from `term`.
pub(super) fn near(term: &str) -> impl Iterator<Item = &'static str> {
    TERMS.near(term).into_iter().map(|found| TERMS.text_of(found))
}

/// The term for a phrase that begins these words, and how many words it takes.
pub(super) fn phrase<'a>(words: impl Iterator<Item = &'a str>) -> Option<(&'static str, usize)> {
    let mut terms: [String; 3] = Default::default();
    let mut count = 0;
    for (slot, word) in terms.iter_mut().zip(words) {
        *slot = stem(word);
        count += 1;
    }
    let candidates = PHRASES.get(&terms[0])?;
    let fits = |(rest, _): &&(Vec<String>, String)| {
        rest.len() < count && rest.iter().zip(&terms[1..]).all(|(one, other)| one == other)
    };
    candidates
        .iter()
        .filter(fits)
        .max_by_key(|(rest, _)| rest.len())
        .map(|(rest, term)| (term.as_str(), rest.len() + 1))
}

const ROWS: &[&str] = &[
    // what is done
    "create add new make insert open register generate start setup",
    "delete remove rm drop erase destroy discard purge trash wipe clear",
    "list show all enumerate browse index every display",
    "get show fetch read retrieve view display inspect detail describe info load open",
    "update edit change modify set patch rename alter adjust revise",
    "search find query lookup locate filter match discover",
    "send post message notify deliver publish submit dispatch",
    "run execute invoke start launch trigger call",
    "stop cancel abort kill terminate halt end",
    "pause suspend disable deactivate mute",
    "enable activate resume",
    "copy duplicate clone fork replicate",
    "move transfer relocate migrate",
    "merge combine join",
    "archive retire shelve",
    "restore recover undelete unarchive undo revert rollback",
    "export download dump backup save",
    "import upload ingest load attach",
    "share invite grant permission access",
    "assign delegate owner assignee give",
    "watch subscribe follow monitor track observe",
    "count total number many statistic stat metric",
    "close resolve complete finish done",
    "approve accept confirm",
    "reject decline deny refuse",
    "login signin authenticate",
    "deploy release ship rollout publish",
    "schedule plan book reserve",
    "check verify validate test",
    "write save store",
    "reply respond answer",
    "lock freeze protect",
    "compare diff difference",
    "convert transform translate",
    "summarize summary digest overview",
    // what it is done to
    "issue ticket bug defect",
    "pr mr",
    "repository repo",
    "file document doc attachment",
    "document page doc note",
    "folder directory dir",
    "calendar event meeting appointment schedule",
    "weather forecast",
    "database db sql",
    "table sheet spreadsheet",
    "row record entry",
    "column field attribute property",
    "email mail",
    "message chat dm",
    "channel room conversation",
    "thread conversation discussion",
    "user member person account people",
    "team group",
    "customer client contact",
    "company organization organisation org account",
    "task todo item",
    "project workspace board",
    "label tag",
    "comment note remark feedback",
    "invoice bill",
    "payment charge transaction",
    "order purchase",
    "product item",
    "price cost rate",
    "image picture photo img",
    "video clip recording",
    "song track music",
    "log trace event",
    "error exception crash failure",
    "alert alarm notification warning",
    "server host machine instance vm",
    "container pod",
    "pipeline workflow build ci",
    "job run task",
    "secret credential password token key",
    "setting configuration config preference option",
    "link url address",
    "website site web page",
    "article post",
    "version revision release",
    "commit change",
    "branch ref",
    "dashboard chart report graph",
    "report analytics",
    "function lambda",
    "cache redis",
    "lead prospect",
    "deal opportunity",
    "location place address",
    "route direction",
    "employee staff worker",
    "vacation leave holiday",
    "test check",
    "webhook hook callback",
    "bucket storage",
    "review rating",
];

const ALIASES: &[(&str, &str)] = &[
    ("pull request", "pr"),
    ("merge request", "mr"),
    ("code review", "pr"),
    ("look up", "lookup"),
    ("look for", "search"),
    ("look at", "view"),
    ("log in", "login"),
    ("sign in", "signin"),
    ("set up", "setup"),
    ("get rid of", "delete"),
    ("throw away", "delete"),
    ("take down", "delete"),
    ("clean up", "delete"),
    ("bring back", "restore"),
    ("roll back", "rollback"),
    ("put back", "restore"),
    ("shut down", "stop"),
    ("turn off", "disable"),
    ("switch off", "disable"),
    ("turn on", "enable"),
    ("switch on", "enable"),
    ("how many", "count"),
    ("how much", "price"),
    ("hand over", "assign"),
    ("keep an eye", "watch"),
    ("get notified", "subscribe"),
    ("to do", "todo"),
    ("time off", "vacation"),
    ("direct message", "dm"),
    ("knowledge base", "wiki"),
    ("virtual machine", "vm"),
];

static SYNONYMS: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut synonyms: HashMap<String, Vec<String>> = HashMap::new();
    for row in ROWS {
        let terms: Vec<String> = row.split(' ').map(stem).collect();
        for term in &terms {
            let known = synonyms.entry(term.clone()).or_default();
            for other in &terms {
                if other != term && !known.contains(other) {
                    known.push(other.clone());
                }
            }
        }
    }
    synonyms
});

static TERMS: LazyLock<Terms> = LazyLock::new(|| {
    let mut sorted: Vec<&str> = SYNONYMS.keys().map(String::as_str).collect();
    sorted.sort_unstable();
    Terms::new(sorted.into_iter())
});

/// By first term: the terms that must follow, and what the whole stands for.
type Phrases = HashMap<String, Vec<(Vec<String>, String)>>;

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let mut phrases: Phrases = HashMap::new();
    for (phrase, meaning) in ALIASES {
        let mut terms = phrase.split(' ').map(stem);
        if let Some(first) = terms.next() {
            phrases.entry(first).or_default().push((terms.collect(), stem(meaning)));
        }
    }
    phrases
});

#[cfg(test)]
mod tests {
    use super::{ALIASES, ROWS, of, phrase};

    #[test]
    fn synonyms_go_both_ways_and_never_to_oneself() {
        assert!(of("remov").contains(&"delet".to_owned()));
        assert!(of("delet").contains(&"remov".to_owned()));
        assert!(!of("delet").contains(&"delet".to_owned()));
        assert_eq!(of("quasar"), &[] as &[String]);
    }

    #[test]
    fn a_phrase_takes_as_many_words_as_it_can() {
        for (words, expected) in [
            ("pull requests of mine", Some(("pr", 2))),
            ("getting rid of it", Some(("delet", 3))),
            ("get issues", None),
            ("pull", None),
        ] {
            assert_eq!(phrase(words.split(' ')), expected, "{words}");
        }
    }

    #[test]
    fn no_row_or_phrase_is_listed_twice() {
        let mut seen = std::collections::HashSet::new();
        assert!(ROWS.iter().chain(ALIASES.iter().map(|(phrase, _)| phrase)).all(|entry| seen.insert(entry)));
    }
}
