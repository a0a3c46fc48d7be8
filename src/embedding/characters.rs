//! Characters as the model's vocabulary wants them: lower case, without accents, ideographs and punctuation apart.
//! What becomes of a character stands in the model's file, as the reference does it; only Hangul is arithmetic.

use super::asset::Asset;

const REMOVED: u32 = 1;
const SPACE: u32 = 2;
const IDEOGRAPH: u32 = 4;
const PUNCTUATION: u32 = 8;

/// What a character is among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: controls, marks, what is not assigned.
    Removed,
    Space,
    /// A word by itself.
    Alone,
    Part,
}

/// What a character is.
pub fn kind(asset: &Asset, char: char) -> Kind {
    if char.is_ascii_alphanumeric() {
        return Kind::Part;
    }
    let code = char as u32;
    let after = asset.classes.partition_point(|range| range[0] <= code);
    let class = match after.checked_sub(1).map(|at| asset.classes[at]) {
        Some([_, last, class]) if code <= last => class,
        _ => 0,
    };
    match class {
        _ if class & REMOVED != 0 => Kind::Removed,
        _ if class & SPACE != 0 => Kind::Space,
        _ if class & (IDEOGRAPH | PUNCTUATION) != 0 => Kind::Alone,
        _ => Kind::Part,
    }
}

/// Appends what a character is written as.
pub fn fold(asset: &Asset, char: char, word: &mut String) {
    if char.is_ascii() {
        word.push(char.to_ascii_lowercase());
    } else if let Some(index) = (char as u32).checked_sub(0xac00).filter(|index| *index < 11_172) {
        let parts = [0x1100 + index / 588, 0x1161 + index % 588 / 28, 0x11a7 + index % 28];
        let shown = if index % 28 == 0 { 2 } else { 3 };
        word.extend(parts[..shown].iter().filter_map(|code| char::from_u32(*code)));
    } else {
        match asset.folds.binary_search_by_key(&(char as u32), |fold| fold[0]) {
            Ok(at) => {
                let begin = at.checked_sub(1).map_or(0, |before| asset.folds[before][1] as usize);
                word.push_str(&asset.fold_text[begin..asset.folds[at][1] as usize]);
            }
            Err(_) => word.push(char),
        }
    }
}
