//! Answers without a model: `ask` quotes the memories that answer a question, `context` packs what a task needs into
//! so many tokens. Pure: hits and memories in, text out. Rule: every sentence carries the id of where it stands.

use super::model::{Kind, Memory};
use super::recall::Hit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Memories an answer quotes.
const MOST_QUOTED: usize = 5;
/// What stands further behind the best hit than this share of it is no answer.
const FALLS_OFF: f32 = 0.4;
/// Longest piece of one memory in an answer or a context, in bytes.
const LONGEST_PIECE: usize = 2_000;

/// An answer and what it stands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Empty when nothing is known.
    pub text: String,
    pub sources: Vec<Hit>,
}

/// Memories packed for a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    pub text: String,
    /// An estimate, on the safe side.
    pub tokens: u64,
    pub memories: Vec<u32>,
    /// Memories that fitted the task and found no room.
    pub left_out: u64,
}

/// How many tokens a text costs at most, as a rule: a token for every three and a half bytes, or for every word.
pub fn tokens(text: &str) -> u64 {
    let words = text.split_whitespace().count() as u64;
    (text.len() as u64 * 2).div_ceil(7).max(words)
}

/// A text on one line, cut at the end of a word.
pub fn piece(text: &str, longest: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= longest {
        return line;
    }
    let mut end = longest;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let end = line[..end].rfind(' ').filter(|at| *at > end / 2).unwrap_or(end);
    format!("{} …", &line[..end])
}

/// What a memory says, on one line.
fn said(memory: &Memory) -> String {
    let mut text = piece(&memory.text, LONGEST_PIECE);
    if let Some(key) = &memory.key {
        text = format!("{key}: {text}");
    }
    if memory.text.trim().is_empty() {
        let triples: Vec<String> = memory.triples.iter().map(super::model::Triple::sentence).collect();
        text = triples.join("; ");
    }
    text
}

/// The best hits as an answer.
pub fn ask(hits: Vec<Hit>) -> Answer {
    let best = hits.first().map_or(0.0, |hit| hit.score);
    let sources: Vec<Hit> =
        hits.into_iter().filter(|hit| hit.score >= best * FALLS_OFF).take(MOST_QUOTED).collect();
    let line = |hit: &Hit| {
        let memory = &hit.memory;
        format!("{} [{}, {}, {}]", said(memory), memory.id(), memory.agent, &memory.created.rfc3339()[..10])
    };
    Answer { text: sources.iter().map(line).collect::<Vec<_>>().join("\n"), sources }
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Working => "Working on",
        Kind::ShortTerm => "In this session",
        Kind::LongTerm => "Known",
        Kind::Semantic => "Concepts",
        Kind::Episodic => "Happened",
    }
}

/// Packs hits, best first, then what is important anyway, into at most `most` tokens.
pub fn context(hits: &[Hit], important: &[Memory], most: u64) -> Packed {
    let mut seen = BTreeSet::new();
    let mut chosen: Vec<&Memory> = Vec::new();
    let mut used = 0;
    let mut left_out = 0;
    let mut headed = BTreeSet::new();
    for memory in hits.iter().map(|hit| &hit.memory).chain(important) {
        if !seen.insert(memory.number) {
            continue;
        }
        let head = if headed.contains(&memory.kind) { 0 } else { tokens(heading(memory.kind)) + 2 };
        let cost = tokens(&line(memory)) + head + 1;
        if used + cost > most {
            left_out += 1;
            continue;
        }
        used += cost;
        headed.insert(memory.kind);
        chosen.push(memory);
    }
    let mut text = String::new();
    for kind in [Kind::Working, Kind::ShortTerm, Kind::LongTerm, Kind::Semantic, Kind::Episodic] {
        let mut of_kind = chosen.iter().filter(|memory| memory.kind == kind).peekable();
        if of_kind.peek().is_some() {
            text.push_str(&format!("{}:\n", heading(kind)));
            of_kind.for_each(|memory| text.push_str(&line(memory)));
        }
    }
    Packed {
        tokens: tokens(&text),
        text,
        memories: chosen.iter().map(|memory| memory.number).collect(),
        left_out,
    }
}

fn line(memory: &Memory) -> String {
    let when = if memory.kind == Kind::Episodic { &memory.created.rfc3339()[..10] } else { "" };
    let blank = if when.is_empty() { "" } else { " " };
    format!("- {when}{blank}{} [{}]\n", said(memory), memory.id())
}

#[cfg(test)]
mod tests {
    use super::super::model::{DEFAULT, New};
    use super::super::recall::By;
    use super::*;
    use crate::clock::Timestamp;

    fn hit(number: u32, text: &str, kind: Kind, score: f32) -> Hit {
        let new = New { namespace: DEFAULT.into(), text: text.into(), kind, ..New::default() };
        let memory = New { session: Some("s".into()), ..new };
        let memory = memory.check(number, "a", Timestamp::from_millis(1_763_717_400_123)).unwrap();
        Hit { memory, score, similarity: score, recency: 1.0, by: By::Words, words: Vec::new() }
    }

    #[test]
    fn an_answer_quotes_what_is_near_the_best_and_says_where_it_stands() {
        let hits = vec![
            hit(1, "The user prefers\nmornings", Kind::LongTerm, 0.8),
            hit(2, "Nothing to do with it", Kind::LongTerm, 0.3),
        ];
        assert_eq!(ask(hits).text, "The user prefers mornings [m1, a, 2025-11-21]");
        assert_eq!(ask(Vec::new()), Answer { text: String::new(), sources: Vec::new() });
    }

    #[test]
    fn a_context_keeps_to_its_tokens_and_tells_what_found_no_room() {
        let hits: Vec<Hit> =
            (0..50).map(|n| hit(n, &format!("fact number {n}"), Kind::LongTerm, 0.9)).collect();
        let said = hit(99, "hello", Kind::Episodic, 0.1).memory;
        let packed = context(&hits, std::slice::from_ref(&said), 60);
        assert!(packed.tokens <= 60, "{}", packed.tokens);
        assert!(packed.text.starts_with("Known:\n- fact number 0 [m0]\n"), "{}", packed.text);
        assert_eq!(packed.memories.len() as u64 + packed.left_out, 51);
        let all = context(&hits[..1], &[said], 1000);
        assert_eq!(all.text, "Known:\n- fact number 0 [m0]\nHappened:\n- 2025-11-21 hello [m99]\n");
        assert_eq!(context(&hits, &[], 0).memories, Vec::<u32>::new());
        for most in [1, 5, 17, 33, 200, 400] {
            assert!(context(&hits, &[], most).tokens <= most, "{most}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_words_and_characters() {
        assert_eq!(piece("one two three", 9), "one two …");
        assert_eq!(piece("ääääää", 5), "ää …");
    }
}
