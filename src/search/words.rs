//! From text to terms: splitting of prose and identifiers, stop words, a light English stemmer.
//! The stemmer is conservative: it joins `list`, `lists`, `listing`, `listed`, and leaves alone what it does not know.

/// Longer runs are blobs, not words.
const LONGEST: usize = 48;

/// One piece of a text, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    /// How many words before it this one joins, such as 2 for `createissue` after `create` and `issue`; else 0.
    pub joins: usize,
}

/// Splits a text into its words; after the parts of an identifier comes the joined whole.
pub(super) fn split(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for chunk in text.split(|c: char| !(c.is_alphanumeric() || is_connector(c) || is_apostrophe(c))) {
        let first = words.len();
        let mut part = String::new();
        let mut before = None;
        let mut chars = chunk.chars().filter(|c| !is_apostrophe(*c)).peekable();
        while let Some(c) = chars.next() {
            if is_connector(c) {
                flush(&mut part, &mut words);
                before = None;
                continue;
            }
            if before.is_some_and(|before| is_boundary(before, c, chars.peek().copied(), &part)) {
                flush(&mut part, &mut words);
            }
            part.extend(c.to_lowercase());
            before = Some(c);
        }
        flush(&mut part, &mut words);
        if words.len() > first + 1 {
            let whole: String = words[first..].iter().map(|word| word.text.as_str()).collect();
            if whole.len() <= LONGEST {
                words.push(Word { text: whole, joins: words.len() - first });
            }
        }
    }
    words
}

/// The terms a text is filed under, in its order and with repeats; words that say nothing are left out.
pub fn terms(text: &str) -> Vec<String> {
    split(text).into_iter().filter(|word| !is_stop(&word.text)).map(|word| stem(&word.text)).collect()
}

/// The terms of the words in a text that are names rather than prose: with digits, joined parts or capitals inside.
pub fn identifiers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for chunk in text.split(|c: char| !(c.is_alphanumeric() || is_connector(c))) {
        let chunk = chunk.trim_matches(is_connector);
        let words = split(chunk);
        let digits = chunk.chars().any(|c| c.is_ascii_digit());
        let shouts = chunk.len() > 1 && chunk.chars().all(|c| c.is_uppercase() || c.is_ascii_digit());
        if let Some(whole) = words.last().filter(|whole| whole.joins > 0 || digits || shouts) {
            found.push(stem(&whole.text));
        }
    }
    found
}

/// Letters and digits only, in lower case: two spellings of one identifier become equal.
pub(super) fn squash(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether the word says nothing about what is asked for.
pub(super) fn is_stop(word: &str) -> bool {
    STOP.contains(&word)
}

/// The term under which a lower-case word is filed.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, term)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*term).to_owned();
    }
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let mut word = without_plural(word);
    if let Some((_, term)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*term).to_owned();
    }
    without_ending(&mut word);
    if word.len() > 3 && word.ends_with('e') && !word.ends_with("ee") {
        word.pop();
    }
    if word.len() > 5 && word.ends_with("ll") {
        word.pop();
    }
    word
}

const STOP: &[&str] = &[
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but",
    "by", "can", "could", "did", "do", "does", "doing", "done", "eg", "else", "every", "for", "from", "had",
    "has", "have", "here", "how", "i", "id", "if", "im", "in", "into", "is", "it", "its", "ive", "just",
    "let", "lets", "like", "me", "my", "need", "not", "of", "on", "one", "or", "our", "please", "should",
    "so", "some", "than", "that", "thats", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "us", "using", "via", "want", "was", "way", "we", "were", "what", "whats", "when",
    "where", "which", "who", "will", "with", "within", "would", "you", "your",
];

/// Forms that no rule reaches, and families whose members are worth joining.
const IRREGULAR: &[(&str, &str)] = &[
    ("assignment", "assign"),
    ("built", "build"),
    ("children", "child"),
    ("deployment", "deploy"),
    ("embed", "embed"),
    ("enrollment", "enrol"),
    ("enrolment", "enrol"),
    ("found", "find"),
    ("got", "get"),
    ("indices", "index"),
    ("made", "mak"),
    ("news", "news"),
    ("paid", "pay"),
    ("payment", "pay"),
    ("people", "person"),
    ("ran", "run"),
    ("sent", "send"),
    ("series", "series"),
    ("shipment", "ship"),
    ("status", "status"),
    ("written", "writ"),
    ("wrote", "writ"),
];

fn is_connector(c: char) -> bool {
    matches!(c, '_' | '-' | '.' | '/' | ':')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// `createIssue`, `HTTPServer` and `oauth2` end a part; `s3` and `v2` do not.
fn is_boundary(before: char, c: char, after: Option<char>, part: &str) -> bool {
    let camel = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
    let acronym = c.is_uppercase() && before.is_uppercase() && after.is_some_and(char::is_lowercase);
    let digit = c.is_ascii_digit() && before.is_alphabetic() && part.len() > 2;
    let letter = c.is_alphabetic() && before.is_ascii_digit() && part.bytes().all(|b| b.is_ascii_digit());
    camel || acronym || digit || letter
}

fn flush(part: &mut String, words: &mut Vec<Word>) {
    let text = std::mem::take(part);
    if !text.is_empty() && text.len() <= LONGEST {
        words.push(Word { text, joins: 0 });
    }
}

fn without_plural(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    let sibilant = ["sses", "xes", "ches", "shes", "zzes"];
    if sibilant.iter().any(|ending| word.ends_with(ending)) {
        return word[..word.len() - 2].to_owned();
    }
    let plural = word.ends_with('s') && !["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    word[..word.len() - usize::from(plural)].to_owned()
}

fn without_ending(word: &mut String) {
    /// (ending, what takes its place, letters that must stand before it)
    const NOUNS: &[(&str, &str, usize)] = &[
        ("ification", "ify", 2),
        ("ization", "iz", 3),
        ("isation", "iz", 3),
        ("uration", "ur", 5),
        ("itation", "it", 3),
        ("ription", "rib", 3),
        ("llation", "ll", 4),
        ("tion", "t", 4),
    ];
    if let Some(stem) = word.strip_suffix("ied").filter(|stem| stem.len() > 1) {
        *word = format!("{stem}y");
        return;
    }
    for (ending, instead, before) in NOUNS {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= *before) {
            *word = format!("{stem}{instead}");
            return;
        }
    }
    for ending in ["ing", "ed"] {
        let Some(stem) = word.strip_suffix(ending) else { continue };
        let has_vowel = stem.bytes().any(|b| b"aeiouy".contains(&b));
        if stem.len() < 3 || !has_vowel || (ending == "ed" && stem.ends_with('e')) {
            return;
        }
        let mut stem = stem.to_owned();
        let bytes = stem.as_bytes();
        let doubled = bytes.len() > 3 && bytes[bytes.len() - 1] == bytes[bytes.len() - 2];
        if doubled && !b"lsz".contains(&bytes[bytes.len() - 1]) {
            stem.pop();
        }
        *word = stem;
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::{identifiers, is_stop, split, squash, stem, terms};

    #[test]
    fn prose_becomes_terms_and_names_are_told_from_it() {
        assert_eq!(
            terms("The users like Python, not create_issue"),
            ["user", "python", "creat", "issu", "createissu"]
        );
        for (text, expected) in [
            ("what does UM0401 mean?", &["um0401"][..]),
            ("the create_issue tool of GitHub", &["createissu", "github"]),
            ("who likes AWS", &["aws"]),
            ("I like plain words.", &[]),
            ("room 12", &["12"]),
        ] {
            assert_eq!(identifiers(text), expected, "{text}");
        }
    }

    fn shown(text: &str) -> String {
        let words = split(text);
        let shown: Vec<String> = words
            .iter()
            .map(|word| format!("{}{}", if word.joins > 0 { "+" } else { "" }, word.text))
            .collect();
        shown.join(" ")
    }

    #[test]
    fn identifiers_split_into_parts_and_the_joined_whole() {
        for (text, expected) in [
            ("create_issue", "create issue +createissue"),
            ("createIssue", "create issue +createissue"),
            ("issues.create-new", "issues create new +issuescreatenew"),
            ("HTTPServer", "http server +httpserver"),
            ("GitHub", "git hub +github"),
            ("oauth2", "oauth 2 +oauth2"),
            ("s3 v2", "s3 v2"),
            ("Create an issue.", "create an issue"),
            ("what's the user's name?", "whats the users name"),
            ("2fa", "2 fa +2fa"),
            ("Größe_ändern", "größe ändern +größeändern"),
            ("--- ,, ", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn families_of_a_word_share_a_stem() {
        for family in [
            &["create", "creates", "created", "creating", "creation"][..],
            &["delete", "deleting", "deletion", "deletes"],
            &["list", "lists", "listed", "listing"],
            &["get", "gets", "getting", "got"],
            &["tag", "tags", "tagged", "tagging"],
            &["add", "adds", "added", "adding"],
            &["repository", "repositories"],
            &["notify", "notifies", "notified", "notification", "notifications"],
            &["configure", "configuration", "configuring"],
            &["subscribe", "subscription", "subscriptions", "subscribed"],
            &["describe", "description"],
            &["invite", "invitation", "invited"],
            &["install", "installation", "installing", "installed"],
            &["cancel", "cancelled", "canceled", "cancellation", "cancelling"],
            &["branch", "branches"],
            &["inbox", "inboxes"],
            &["issue", "issues", "issuing"],
            &["embed", "embedding", "embedded"],
            &["deploy", "deployment", "deployments", "deploying"],
            &["write", "writing", "wrote", "written"],
            &["database", "databases"],
        ] {
            let stems: Vec<String> = family.iter().map(|word| stem(word)).collect();
            assert!(stems.iter().all(|term| *term == stems[0]), "{family:?}: {stems:?}");
        }
    }

    #[test]
    fn unlike_words_keep_apart() {
        for (one, other) in [
            ("string", "str"),
            ("ping", "p"),
            ("feed", "fe"),
            ("station", "stat"),
            ("status", "state"),
            ("action", "act"),
            ("class", "clas"),
            ("user", "use"),
            ("comment", "com"),
            ("news", "new"),
        ] {
            assert_ne!(stem(one), stem(other), "{one} {other}");
        }
    }

    #[test]
    fn spellings_of_one_name_squash_alike() {
        assert_eq!(squash("github__create_issue"), squash("GitHub.createIssue"));
        assert!(is_stop("the") && !is_stop("issue"));
    }
}
