//! The dictionary of an index: every term once, sorted, in one string.
//! Finds a term, the terms it begins, and the terms one slip of the finger away; every search is bounded by the dictionary.

use serde::{Deserialize, Serialize};

/// Terms in order; a term's number is its place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    text: Box<str>,
    /// Where each term ends in `text`.
    ends: Box<[u32]>,
    /// Which letters each term holds, so that most of the dictionary is passed over without a look at its text.
    letters: Box<[u32]>,
}

impl Terms {
    /// Takes the terms in ascending order, each once.
    pub(super) fn new<'a>(sorted: impl Iterator<Item = &'a str>) -> Self {
        let (mut text, mut ends, mut letters) = (String::new(), Vec::new(), Vec::new());
        for term in sorted {
            text.push_str(term);
            ends.push(text.len() as u32);
            letters.push(letters_of(term));
        }
        Self { text: text.into(), ends: ends.into(), letters: letters.into() }
    }

    pub(super) fn find(&self, term: &str) -> Option<u32> {
        let place = self.first_not_before(term);
        (place < self.ends.len() && self.get(place) == term).then_some(place as u32)
    }

    /// The terms that begin with `start`, at most `most` of them from the front.
    pub(super) fn beginning_with(&self, start: &str, most: usize) -> Vec<u32> {
        let first = self.first_not_before(start);
        let last = (first + most).min(self.ends.len());
        (first..last)
            .take_while(|place| self.get(*place).starts_with(start))
            .map(|place| place as u32)
            .collect()
    }

    /// The terms that one letter more, one less, one other or two swapped would make of `word`.
    pub(super) fn near(&self, word: &str) -> Vec<u32> {
        let wanted = letters_of(word);
        let chars: Vec<char> = word.chars().collect();
        let is_near = |place: &usize| {
            if (self.letters[*place] ^ wanted).count_ones() > 2 {
                return false;
            }
            let term = self.get(*place);
            term.len().abs_diff(word.len()) <= 4 && is_one_slip(&chars, &term.chars().collect::<Vec<_>>())
        };
        (0..self.ends.len()).filter(is_near).map(|place| place as u32).collect()
    }

    pub(super) fn text_of(&self, term: u32) -> &str {
        self.get(term as usize)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.text.len() + 4 * (self.ends.len() + self.letters.len())
    }

    fn get(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] as usize };
        &self.text[start..self.ends[place] as usize]
    }

    fn first_not_before(&self, term: &str) -> usize {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) < term {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// One bit per letter a to z; digits and all other characters share the rest.
fn letters_of(term: &str) -> u32 {
    term.chars().fold(0, |bits, c| match c {
        'a'..='z' => bits | 1 << (c as u32 - 'a' as u32),
        _ => bits | 1 << (26 + c as u32 % 6),
    })
}

fn is_one_slip(one: &[char], other: &[char]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let Some(at) = (0..long.len()).find(|at| short.get(*at) != Some(&long[*at])) else {
        return false;
    };
    if long.len() == short.len() + 1 {
        return short[at..] == long[at + 1..];
    }
    if long.len() != short.len() {
        return false;
    }
    let swapped = at + 1 < long.len()
        && (short[at], short[at + 1]) == (long[at + 1], long[at])
        && short[at + 2..] == long[at + 2..];
    swapped || short[at + 1..] == long[at + 1..]
}

#[cfg(test)]
mod tests {
    use super::Terms;

    fn shown(terms: &Terms, found: Vec<u32>) -> Vec<&str> {
        found.into_iter().map(|term| terms.text_of(term)).collect()
    }

    #[test]
    fn terms_are_found_whole_by_beginning_and_by_slip() {
        let terms =
            Terms::new(["calendar", "calendars", "call", "größe", "issu", "mail", "main"].into_iter());
        assert_eq!(terms.find("call"), Some(2));
        assert_eq!(terms.find("cal"), None);
        assert_eq!(terms.find("zebra"), None);
        assert_eq!(shown(&terms, terms.beginning_with("cal", 9)), ["calendar", "calendars", "call"]);
        assert_eq!(shown(&terms, terms.beginning_with("cal", 2)), ["calendar", "calendars"]);
        for (word, expected) in [
            ("calednar", &["calendar"][..]),
            ("calendar", &["calendars"]),
            ("isu", &["issu"]),
            ("maip", &["mail", "main"]),
            ("gröse", &["größe"]),
            ("xyz", &[]),
            ("aclendra", &[]),
        ] {
            assert_eq!(shown(&terms, terms.near(word)), expected, "{word}");
        }
    }

    #[test]
    fn an_empty_dictionary_finds_nothing() {
        let terms = Terms::new([].into_iter());
        assert_eq!((terms.find("a"), terms.near("a"), terms.beginning_with("a", 3)), (None, vec![], vec![]));
    }
}
