//! Texts as numbers of the model's vocabulary: words, and where a word is unknown, the longest pieces of it that are known.
//! Reads no further than the tokens it may give, so a megabyte of text costs as much as a page.
//! The names of special tokens (`[SEP]` and the like) are text like any other: who writes a text writes no structure.

use super::asset::Asset;
use super::characters::{Kind, fold, kind};

const UNKNOWN: u16 = 100;
const BEGIN: u16 = 101;
const END: u16 = 102;
/// Longer words are unknown as a whole.
const LONGEST_WORD: usize = 100;
/// Bytes of the vocabulary's longest token.
const LONGEST_TOKEN: usize = 18;
const EMPTY: u16 = 0xffff;

/// The tokens of a text with the two that frame it, at most `most` of them.
pub fn tokens(asset: &Asset, text: &str, most: usize) -> Vec<u16> {
    let mut tokens = vec![BEGIN];
    let mut word = Word::default();
    for char in text.chars() {
        let kind = kind(asset, char);
        if matches!(kind, Kind::Space | Kind::Alone) {
            word.end(asset, &mut tokens);
        }
        if matches!(kind, Kind::Part | Kind::Alone) {
            word.add(asset, char);
        }
        if kind == Kind::Alone {
            word.end(asset, &mut tokens);
        }
        if tokens.len() >= most {
            break;
        }
    }
    word.end(asset, &mut tokens);
    tokens.truncate(most - 1);
    tokens.push(END);
    tokens
}

/// The word that is being read.
#[derive(Default)]
struct Word {
    text: String,
    chars: usize,
}

impl Word {
    fn add(&mut self, asset: &Asset, char: char) {
        if self.chars <= LONGEST_WORD {
            let before = self.text.len();
            fold(asset, char, &mut self.text);
            self.chars += self.text[before..].chars().count();
        }
    }

    /// Appends the word's pieces and begins a new one.
    fn end(&mut self, asset: &Asset, tokens: &mut Vec<u16>) {
        let before = tokens.len();
        let mut begin = 0;
        while begin < self.text.len() {
            let piece = longest(asset, &self.text[begin..], begin > 0).filter(|_| self.chars <= LONGEST_WORD);
            let Some((token, length)) = piece else {
                tokens.truncate(before);
                tokens.push(UNKNOWN);
                break;
            };
            tokens.push(token);
            begin += length;
        }
        self.text.clear();
        self.chars = 0;
    }
}

/// The longest token that `text` begins with, and its bytes; `inside` a word tokens are written with `##`.
fn longest(asset: &Asset, text: &str, inside: bool) -> Option<(u16, usize)> {
    let prefix = if inside { "##" } else { "" };
    let mut hash = prefix.bytes().fold(0x811c_9dc5, hashed);
    let mut found = None;
    let mut begin = 0;
    for char in text.chars() {
        let end = begin + char.len_utf8();
        if end > LONGEST_TOKEN {
            break;
        }
        hash = text[begin..end].bytes().fold(hash, hashed);
        found = look(asset, hash, prefix, &text[..end]).map(|token| (token, end)).or(found);
        begin = end;
    }
    found
}

fn hashed(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

fn look(asset: &Asset, hash: u32, prefix: &str, piece: &str) -> Option<u16> {
    let mut at = (hash ^ (hash >> 16)) as usize % asset.slots.len();
    loop {
        let token = asset.slots[at];
        if token == EMPTY {
            return None;
        }
        let begin = token.checked_sub(1).map_or(0, |before| asset.ends[usize::from(before)] as usize);
        let text = &asset.text[begin..asset.ends[usize::from(token)] as usize];
        if text.strip_prefix(prefix.as_bytes()) == Some(piece.as_bytes()) {
            return Some(token);
        }
        at = (at + 1) % asset.slots.len();
    }
}
