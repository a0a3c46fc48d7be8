//! From the words of a query to groups of terms: the word itself, its synonyms, and guesses for a word nobody wrote.
//! It ranks nothing. The rule: guesses are made only where the dictionary has neither the word nor a synonym.

use super::synonyms;
use super::terms::Terms;
use super::words::{self, Word, stem};

/// One thing asked for, and the terms that answer it; a document counts its best one.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// The words as typed; empty when they already stand in other groups.
    pub typed: String,
    /// Terms and how well each answers, at most 1.
    pub variants: Vec<(u32, f32)>,
    /// How much the group counts beside the others.
    pub weight: f32,
}

const SYNONYM: f32 = 0.75;
const PREFIX: f32 = 0.8;
const SLIP: f32 = 0.85;
const SPLIT: f32 = 0.7;
/// Neighbours that make up a name, or most of one, are a hint and not a further thing asked for.
const NEIGHBOURS: f32 = 0.15;
/// A query is a sentence, not a page.
const MOST_WORDS: usize = 32;
const MOST_GUESSES: usize = 6;

/// The groups of a query; `frequency` tells in how many documents a term occurs.
pub(super) fn groups(query: &str, terms: &Terms, frequency: &dyn Fn(u32) -> u32) -> Vec<Group> {
    let (mut plain, mut groups) = joined_words(query, terms);
    neighbours(&mut plain, terms, &mut groups);
    let may_guess: Vec<bool> = plain.iter().map(|(_, covered)| !covered).collect();
    let all_stop = plain.iter().all(|(word, _)| words::is_stop(word));
    let mut at = 0;
    while at < plain.len() {
        let following = plain[at..].iter().map(|(word, _)| word.as_str());
        if let Some((term, taken)) = synonyms::phrase(following.clone()) {
            let variants = known(term, terms);
            if !variants.is_empty() {
                let typed: Vec<&str> = following.take(taken).collect();
                groups.push(Group { typed: typed.join(" "), variants, weight: 1.0 });
                at += taken;
                continue;
            }
        }
        let (word, _) = &plain[at];
        if all_stop || !words::is_stop(word) {
            let term = stem(word);
            let mut variants = known(&term, terms);
            if variants.is_empty() && may_guess[at] {
                variants = guesses(&term, terms, frequency);
            }
            groups.push(Group { typed: word.clone(), variants, weight: 1.0 });
        }
        at += 1;
    }
    without_repeats(groups)
}

/// The plain words, each with whether a joined word covers it; and the groups of the joined words the dictionary knows.
fn joined_words(query: &str, terms: &Terms) -> (Vec<(String, bool)>, Vec<Group>) {
    let (mut plain, mut groups): (Vec<(String, bool)>, Vec<Group>) = (Vec::new(), Vec::new());
    for Word { text, joins } in words::split(query).into_iter().take(MOST_WORDS) {
        if joins == 0 {
            plain.push((text, false));
        } else if let Some(term) = terms.find(&stem(&text)) {
            let first = plain.len() - joins;
            plain[first..].iter_mut().for_each(|(_, covered)| *covered = true);
            groups.push(Group { typed: text, variants: vec![(term, 1.0)], weight: 1.0 });
        }
    }
    (plain, groups)
}

/// Two or three words in a row that someone wrote as one: `git hub`, or `create issue` for `create_issue`.
fn neighbours(plain: &mut [(String, bool)], terms: &Terms, groups: &mut Vec<Group>) {
    let telling: Vec<usize> = (0..plain.len()).filter(|at| !words::is_stop(&plain[*at].0)).collect();
    for length in [3, 2] {
        for row in telling.windows(length) {
            let row_words: Vec<&str> = row.iter().map(|at| plain[*at].0.as_str()).collect();
            let Some(term) = terms.find(&stem(&row_words.concat())) else { continue };
            let variants = vec![(term, 1.0)];
            if row_words.iter().all(|word| terms.find(&stem(word)).is_some()) {
                groups.push(Group { typed: String::new(), variants, weight: NEIGHBOURS });
            } else {
                groups.push(Group { typed: row_words.join(" "), variants, weight: 1.0 });
                row.iter().for_each(|at| plain[*at].1 = true);
            }
        }
    }
}

fn known(term: &str, terms: &Terms) -> Vec<(u32, f32)> {
    let itself = terms.find(term).map(|found| (found, 1.0));
    let others =
        synonyms::of(term).iter().filter_map(|other| terms.find(other)).map(|found| (found, SYNONYM));
    itself.into_iter().chain(others).collect()
}

fn guesses(term: &str, terms: &Terms, frequency: &dyn Fn(u32) -> u32) -> Vec<(u32, f32)> {
    let best = |mut found: Vec<u32>, weight: f32| -> Vec<(u32, f32)> {
        found.sort_by_key(|term| (std::cmp::Reverse(frequency(*term)), *term));
        found.into_iter().take(MOST_GUESSES).map(|term| (term, weight)).collect()
    };
    let length = term.chars().count();
    let mut variants = Vec::new();
    if length >= 3 {
        variants = best(terms.beginning_with(term, 64), PREFIX);
    }
    if length >= 4 {
        variants.extend(best(terms.near(term), SLIP));
        let meant = synonyms::near(term).flat_map(|meant| known(meant, terms));
        meant.for_each(|(found, weight)| add(&mut variants, found, SLIP * weight));
    }
    if variants.is_empty() && length >= 6 {
        let cuts = term.char_indices().map(|(cut, _)| cut).filter(|cut| *cut >= 3 && term.len() - cut >= 3);
        let halves =
            cuts.filter_map(|cut| Some((terms.find(&stem(&term[..cut]))?, terms.find(&term[cut..])?)));
        variants =
            halves.flat_map(|(one, other)| [(one, SPLIT), (other, SPLIT)]).take(MOST_GUESSES).collect();
    }
    for (found, weight) in variants.clone() {
        for (other, less) in known(terms.text_of(found), terms) {
            add(&mut variants, other, weight * less);
        }
    }
    variants
}

fn add(variants: &mut Vec<(u32, f32)>, term: u32, weight: f32) {
    if !variants.iter().any(|(present, _)| *present == term) {
        variants.push((term, weight));
    }
}

fn without_repeats(groups: Vec<Group>) -> Vec<Group> {
    let mut kept: Vec<Group> = Vec::with_capacity(groups.len());
    for group in groups {
        if !group.variants.is_empty() && !kept.iter().any(|other| other.variants == group.variants) {
            kept.push(group);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{Terms, groups};

    fn shown(query: &str) -> String {
        let terms =
            ["creat", "createissu", "delet", "github", "issu", "list", "notify", "pr", "repository", "tre"];
        let terms = Terms::new(terms.into_iter());
        let found = groups(query, &terms, &|_| 1);
        let group = |group: &super::Group| {
            let variants: Vec<&str> = group.variants.iter().map(|(term, _)| terms.text_of(*term)).collect();
            format!("{}={}", group.typed, variants.join("|"))
        };
        found.iter().map(group).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_become_groups_of_terms() {
        for (query, expected) in [
            ("the issue", "issue=issu"),
            ("create an issue", "=createissu create=creat issue=issu"),
            ("createIssue", "createissue=createissu create=creat issue=issu"),
            ("git hub", "git hub=github"),
            ("GitHub", "github=github"),
            ("pull requests", "pull requests=pr"),
            ("get rid of it", "get rid of=delet"),
            ("remove ticket", "remove=delet ticket=issu"),
            ("repo", "repo=repository"),
            ("reposit", "reposit=repository"),
            ("repositroy", "repositroy=repository"),
            ("deleteissue", "deleteissue=delet|issu"),
            ("issue issues", "issue=issu"),
            ("xylophone", ""),
            ("", ""),
        ] {
            assert_eq!(shown(query), expected, "{query}");
        }
    }
}
